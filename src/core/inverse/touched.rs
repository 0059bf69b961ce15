//! What a run touched of one record, and what it was before: the material of a rollback. Parts that the run did not
//! touch are somebody else's and stay as they are.

use std::collections::BTreeMap;

use lockstep_contract::{
    AccessLevelId, Cardholder, CardholderId, CredentialId, CredentialStatus, FieldName, InactiveStatus, Profile,
    Reduction, Status, Step, Suspend, TargetInfo, Validity,
};

use super::{Settled, finding};
use crate::{Code, Finding};

/// One record, over all actions of the run. Each part holds what it was before the run first touched it.
pub(super) struct Touched<'a> {
    pub(super) last: &'a Settled,
    created: bool,
    levels: BTreeMap<&'a AccessLevelId, bool>,
    fields: BTreeMap<&'a FieldName, &'a str>,
    status: Option<&'a Status>,
    validity: Option<Validity>,
    credentials: BTreeMap<&'a CredentialId, Option<&'a CredentialStatus>>,
}

/// All records, ordered by id.
pub(super) fn touched<'a>(target: &TargetInfo, done: &'a [Settled]) -> Vec<Touched<'a>> {
    // Where there is no flag, suspending is switching off every credential.
    let every_credential = target.capabilities.suspend == Suspend::EveryCredential;
    let mut records: BTreeMap<&CardholderId, Touched<'a>> = BTreeMap::new();
    for settled in done {
        let record = records.entry(&settled.after.id).or_insert_with(|| Touched::new(settled));
        record.last = settled;
        match &settled.before {
            Some(before) => {
                for step in &settled.action.steps {
                    record.note(step, before);
                    if every_credential && *step == Step::Reduce(Reduction::Suspend) {
                        record.all_credentials(before);
                    }
                }
            }
            None => record.created(settled),
        }
    }
    records.into_values().collect()
}

impl<'a> Touched<'a> {
    fn new(last: &'a Settled) -> Self {
        Self {
            last,
            created: false,
            levels: BTreeMap::new(),
            fields: BTreeMap::new(),
            status: None,
            validity: None,
            credentials: BTreeMap::new(),
        }
    }

    /// A created record had nothing before; it stays, switched off, without the levels it was given.
    fn created(&mut self, settled: &'a Settled) {
        self.created = true;
        for step in &settled.action.steps {
            if let Some(level) = granted(step) {
                self.levels.entry(level).or_insert(false);
            }
        }
    }

    fn note(&mut self, step: &'a Step, before: &'a Cardholder) {
        match step {
            Step::Reduce(Reduction::Suspend) | Step::Reinstate => {
                self.status.get_or_insert(&before.status);
            }
            Step::Reduce(Reduction::Revoke { level }) | Step::Grant { level } => {
                self.levels.entry(level).or_insert_with(|| before.levels.contains(level));
            }
            Step::Reduce(Reduction::Narrow { .. }) | Step::Widen { .. } => {
                self.validity.get_or_insert(before.validity);
            }
            Step::Reduce(Reduction::Deactivate { credential, .. }) | Step::Activate { credential } => {
                self.credentials.entry(credential).or_insert_with(|| status_of(before, credential));
            }
            Step::Amend { profile } => {
                for (name, _) in profile.iter() {
                    self.fields.entry(name).or_insert_with(|| before.profile.get(name.as_str()).unwrap_or_default());
                }
            }
            Step::Provision { .. } => {}
        }
    }

    fn all_credentials(&mut self, before: &'a Cardholder) {
        for credential in before.credentials.iter().filter(|one| one.status == CredentialStatus::Active) {
            self.credentials.entry(&credential.id).or_insert(Some(&credential.status));
        }
    }

    /// The steps from how the record is now to how each touched part was.
    pub(super) fn steps_back(&self, now: &Cardholder, name: &str, findings: &mut Vec<Finding>) -> Vec<Step> {
        let mut steps = Vec::new();
        self.status_back(now, name, &mut steps, findings);
        for (level, had) in &self.levels {
            match (*had, now.levels.contains(*level)) {
                (true, false) => steps.push(Step::Grant { level: (*level).clone() }),
                (false, true) => steps.push(Reduction::Revoke { level: (*level).clone() }.into()),
                (true, true) | (false, false) => {}
            }
        }
        if let Some(validity) = self.validity.filter(|before| *before != now.validity) {
            let narrower = validity.within(&now.validity);
            steps.push(if narrower { Reduction::Narrow { validity }.into() } else { Step::Widen { validity } });
        }
        if !self.created {
            let differs =
                |(name, value): &(&&FieldName, &&str)| now.profile.get(name.as_str()).unwrap_or_default() != **value;
            let back = self.fields.iter().filter(differs).map(|(name, value)| ((*name).clone(), (*value).to_owned()));
            let profile: Profile = back.collect();
            if !profile.is_empty() {
                steps.push(Step::Amend { profile });
            }
        }
        self.credentials_back(now, name, &mut steps, findings);
        steps
    }

    fn status_back(&self, now: &Cardholder, name: &str, steps: &mut Vec<Step>, findings: &mut Vec<Finding>) {
        if self.created {
            let message =
                "The run created this record. It is switched off and loses the levels it was given; it stays.";
            findings.push(finding(Code::NotReversible, name.to_owned(), message, "Delete it by hand if it must go."));
            if now.status == Status::Active {
                steps.push(Reduction::Suspend.into());
            }
            return;
        }
        match (self.status, &now.status) {
            (Some(Status::Active), Status::Suspended) => steps.push(Step::Reinstate),
            (Some(Status::Suspended), Status::Active) => steps.push(Reduction::Suspend.into()),
            (Some(Status::Other(word)), _) => {
                let message = format!("The record was in the state “{word}”, which cannot be set from here.");
                findings.push(finding(Code::NotReversible, name.to_owned(), &message, "Set it by hand on the PACS."));
            }
            (Some(Status::Active | Status::Suspended) | None, _) => {}
        }
    }

    fn credentials_back(&self, now: &Cardholder, name: &str, steps: &mut Vec<Step>, findings: &mut Vec<Finding>) {
        for (credential, before) in &self.credentials {
            let there = status_of(now, credential);
            if there == *before {
                continue;
            }
            match (before, there) {
                (Some(CredentialStatus::Active), Some(CredentialStatus::Inactive(why))) if may_come_back(*why) => {
                    steps.push(Step::Activate { credential: (*credential).clone() });
                }
                (Some(CredentialStatus::Inactive(status)), Some(CredentialStatus::Active)) => {
                    let credential = (*credential).clone();
                    steps.push(Reduction::Deactivate { credential, status: *status }.into());
                }
                // Off before and off now, for another reason: it opens nothing either way.
                (Some(CredentialStatus::Inactive(_)), Some(CredentialStatus::Inactive(_))) => {}
                (before, _) if before.is_some() => {
                    let message = format!("Credential {credential} cannot be put back to what it was.");
                    let help = "Look at it on the PACS; a lost or stolen one is never switched on again from here.";
                    findings.push(finding(Code::NotReversible, name.to_owned(), &message, help));
                }
                _ => {}
            }
        }
    }
}

/// What was reported lost or stolen is never switched on again by a program.
const fn may_come_back(status: InactiveStatus) -> bool {
    match status {
        InactiveStatus::Disabled | InactiveStatus::Returned => true,
        InactiveStatus::Lost | InactiveStatus::Stolen | InactiveStatus::Expired => false,
    }
}

fn status_of<'c>(record: &'c Cardholder, id: &CredentialId) -> Option<&'c CredentialStatus> {
    record.credentials.iter().find(|credential| credential.id == *id).map(|credential| &credential.status)
}

const fn granted(step: &Step) -> Option<&AccessLevelId> {
    match step {
        Step::Grant { level } => Some(level),
        Step::Reduce(_)
        | Step::Provision { .. }
        | Step::Amend { .. }
        | Step::Reinstate
        | Step::Widen { .. }
        | Step::Activate { .. } => None,
    }
}
