//! What the steps of an action make of a record: whether they are all done, and whether anything else was. This module must
//! not know connectors.

use std::collections::BTreeSet;

use lockstep_contract::{
    Capabilities, Cardholder, Credential, CredentialStatus, InactiveStatus, Reduction, Status, Step, Suspend, Validity,
};

fn is_off(credential: &Credential) -> bool {
    matches!(credential.status, CredentialStatus::Inactive(_))
}

/// The steps that a record does not show, each in a few words.
pub(crate) fn lacking<'s>(
    steps: impl IntoIterator<Item = &'s Step>,
    record: &Cardholder,
    can: &Capabilities,
) -> Vec<String> {
    let mut lacking = Vec::new();
    for step in steps {
        let done = match step {
            Step::Reduce(Reduction::Suspend) => {
                record.status == Status::Suspended
                    || (can.suspend == Suspend::EveryCredential && record.credentials.iter().all(is_off))
            }
            Step::Reduce(Reduction::Deactivate { credential, .. }) => {
                record.credentials.iter().filter(|one| one.id == *credential).all(is_off)
            }
            Step::Reduce(Reduction::Revoke { level }) => !record.levels.contains(level),
            Step::Reduce(Reduction::Narrow { validity }) | Step::Widen { validity } => record.validity == *validity,
            Step::Provision { profile, .. } | Step::Amend { profile } => {
                profile.iter().all(|(name, value)| record.profile.get(name.as_str()).unwrap_or_default() == value)
            }
            Step::Reinstate => record.status == Status::Active,
            Step::Grant { level } => record.levels.contains(level),
            Step::Activate { credential } => {
                record.credentials.iter().any(|one| one.id == *credential && one.status == CredentialStatus::Active)
            }
        };
        if !done {
            lacking.push(word(step));
        }
    }
    lacking
}

fn word(step: &Step) -> String {
    match step {
        Step::Reduce(Reduction::Suspend) => "suspend".to_owned(),
        Step::Reduce(Reduction::Deactivate { credential, .. }) => format!("deactivate `{credential}`"),
        Step::Reduce(Reduction::Revoke { level }) => format!("revoke `{level}`"),
        Step::Reduce(Reduction::Narrow { .. }) => "narrow".to_owned(),
        Step::Provision { .. } => "provision".to_owned(),
        Step::Amend { .. } => "amend".to_owned(),
        Step::Reinstate => "reinstate".to_owned(),
        Step::Widen { .. } => "widen".to_owned(),
        Step::Grant { level } => format!("grant `{level}`"),
        Step::Activate { credential } => format!("activate `{credential}`"),
    }
}

/// What changed in a record that no step of the action accounts for, each in a few words. What the steps ask for may be
/// there or not: that is another question.
pub(crate) fn beyond<'s>(
    steps: impl IntoIterator<Item = &'s Step>,
    before: &Cardholder,
    now: &Cardholder,
    can: &Capabilities,
) -> Vec<String> {
    let reach = Reach::of(steps);
    let mut beyond = Vec::new();
    let mut look = |fine: bool, what: &str| {
        if !fine {
            beyond.push(what.to_owned());
        }
    };
    look(before.id == now.id, "its id");
    look(before.site == now.site, "its site");
    look(before.keys == now.keys || !reach.fields.is_empty(), "its keys");
    // Where there is no flag, a record is what its credentials are.
    let by_credentials = can.suspend == Suspend::EveryCredential && !reach.switched.is_empty();
    let status = before.status == now.status || reach.status.as_ref() == Some(&now.status) || by_credentials;
    look(status, "its status");
    look(before.validity == now.validity || reach.validity.contains(&now.validity), "its validity");
    let added = now.levels.difference(&before.levels).all(|level| reach.granted.contains(level.as_str()));
    let removed = before.levels.difference(&now.levels).all(|level| reach.revoked.contains(level.as_str()));
    look(added, "a level that nobody granted");
    look(removed, "a level that nobody revoked");
    let names: BTreeSet<&str> =
        before.profile.iter().chain(now.profile.iter()).map(|(name, _)| name.as_str()).collect();
    for name in names {
        let value = now.profile.get(name);
        let named = value.is_some_and(|value| reach.fields.contains(&(name, value)));
        look(value == before.profile.get(name) || named, &format!("the field `{name}`"));
    }
    let ids = |record: &Cardholder| record.credentials.iter().map(|one| one.id.clone()).collect::<BTreeSet<_>>();
    look(ids(before) == ids(now), "which credentials there are");
    for credential in &now.credentials {
        let was = before.credentials.iter().find(|one| one.id == credential.id);
        let fine = was.is_none_or(|was| was.status == credential.status || reach.switches(credential));
        look(fine, &format!("the credential `{}`", credential.id));
    }
    beyond
}

#[derive(Default)]
struct Reach<'s> {
    status: Option<Status>,
    validity: Vec<Validity>,
    granted: BTreeSet<&'s str>,
    revoked: BTreeSet<&'s str>,
    fields: Vec<(&'s str, &'s str)>,
    switched: Vec<(&'s str, CredentialStatus)>,
}

impl<'s> Reach<'s> {
    fn of(steps: impl IntoIterator<Item = &'s Step>) -> Self {
        let mut reach = Self::default();
        for step in steps {
            match step {
                Step::Reduce(Reduction::Suspend) => reach.status = Some(Status::Suspended),
                Step::Reduce(Reduction::Deactivate { credential, status }) => {
                    reach.switched.push((credential.as_str(), CredentialStatus::Inactive(*status)));
                }
                Step::Reduce(Reduction::Revoke { level }) => _ = reach.revoked.insert(level.as_str()),
                Step::Reduce(Reduction::Narrow { validity }) | Step::Widen { validity } => {
                    reach.validity.push(*validity);
                }
                Step::Provision { profile, .. } | Step::Amend { profile } => {
                    reach.fields.extend(profile.iter().map(|(name, value)| (name.as_str(), value)));
                }
                Step::Reinstate => reach.status = Some(Status::Active),
                Step::Grant { level } => _ = reach.granted.insert(level.as_str()),
                Step::Activate { credential } => {
                    reach.switched.push((credential.as_str(), CredentialStatus::Active));
                }
            }
        }
        reach
    }

    /// A system without a flag switches every credential off or on instead.
    fn switches(&self, now: &Credential) -> bool {
        let by_status = match self.status {
            Some(Status::Suspended) => now.status == CredentialStatus::Inactive(InactiveStatus::Disabled),
            Some(Status::Active) => now.status == CredentialStatus::Active,
            Some(Status::Other(_)) | None => false,
        };
        by_status || self.switched.iter().any(|(id, status)| *id == now.id.as_str() && *status == now.status)
    }
}
