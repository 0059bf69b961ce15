//! What an action does to a simulated PACS: all of its steps or none. Pure; this module must not do I/O.

use lockstep_contract::{
    Action, Capabilities, Cardholder, CardholderId, CorrelationKey, CorrelationKeys, CredentialId, CredentialStatus,
    CredentialSupport, FaultKind, InactiveStatus, KeyKind, Profile, Reduction, Status, Step, Subject, Suspend,
    Validity, field,
};

use crate::world::{Rejection, World, credential_mut};

impl World {
    /// Carries an action out. An action that changes nothing (because it was done before) is accepted, too.
    ///
    /// # Errors
    /// When the PACS refuses; nothing was changed then.
    pub fn apply(&mut self, can: &Capabilities, action: &Action) -> Result<CardholderId, Rejection> {
        let before = match &action.subject {
            Subject::Existing(id) => self
                .cardholders
                .get(id)
                .cloned()
                .ok_or_else(|| Rejection::new(FaultKind::Missing, format!("there is no cardholder `{id}`")))?,
            Subject::New(key) => match self.created_by(can, action, key)? {
                Some(done) => done,
                None => blank(self.fresh_id()),
            },
        };
        let mut after = before.clone();
        for step in &action.steps {
            self.take_step(can, action, &mut after, step)?;
        }
        let id = after.id.clone();
        if matches!(action.subject, Subject::New(_)) {
            self.created.insert(action.id.clone(), id.clone());
        }
        if self.cardholders.get(&id) != Some(&after) {
            self.insert(after);
        }
        Ok(id)
    }

    /// The record that this very action created before, if it did.
    fn created_by(
        &self,
        can: &Capabilities,
        action: &Action,
        key: &CorrelationKey,
    ) -> Result<Option<Cardholder>, Rejection> {
        if !action.steps.iter().any(|step| matches!(step, Step::Provision { .. })) {
            let message = format!("no cardholder is named, and none is to be created for {key}");
            return Err(Rejection::new(FaultKind::Invalid, message));
        }
        if !can.idempotency {
            return Ok(None);
        }
        if let Some(id) = self.created.get(&action.id) {
            return Ok(self.cardholders.get(id).cloned());
        }
        match self.with_key(key).next() {
            Some(other) => {
                Err(Rejection::new(FaultKind::Conflict, format!("cardholder `{}` has the key {key} already", other.id)))
            }
            None => Ok(None),
        }
    }

    fn take_step(
        &self,
        can: &Capabilities,
        action: &Action,
        record: &mut Cardholder,
        step: &Step,
    ) -> Result<(), Rejection> {
        match step {
            Step::Reduce(reduction) => reduce(can, record, reduction),
            Step::Provision { profile, keys } => match &action.subject {
                // Created by this very action before: nothing to do again.
                Subject::New(_) if self.cardholders.contains_key(&record.id) => Ok(()),
                Subject::New(key) => provision(can, record, profile, keys, key),
                Subject::Existing(id) => {
                    Err(Rejection::new(FaultKind::Invalid, format!("cardholder `{id}` exists, and cannot be created")))
                }
            },
            Step::Amend { profile } => amend(can, record, profile),
            Step::Reinstate => {
                record.status = Status::Active;
                Ok(())
            }
            Step::Widen { validity } => set_validity(can, record, *validity),
            Step::Grant { level } => {
                if !self.levels.contains_key(level) {
                    let message = format!("there is no access level `{level}`");
                    return Err(Rejection::new(FaultKind::Invalid, message));
                }
                record.levels.insert(level.clone());
                Ok(())
            }
            Step::Activate { credential } => activate(can, record, credential),
        }
    }
}

fn blank(id: CardholderId) -> Cardholder {
    Cardholder {
        id,
        keys: CorrelationKeys::new(),
        profile: Profile::new(),
        status: Status::Active,
        levels: std::collections::BTreeSet::new(),
        credentials: Vec::new(),
        validity: Validity::ALWAYS,
        site: None,
        revision: None,
    }
}

fn reduce(can: &Capabilities, record: &mut Cardholder, reduction: &Reduction) -> Result<(), Rejection> {
    match reduction {
        Reduction::Suspend => {
            suspend(can, record);
            Ok(())
        }
        Reduction::Deactivate { credential, status } => {
            credentials_supported(can)?;
            credential_mut(record, credential)?.status = CredentialStatus::Inactive(*status);
            Ok(())
        }
        Reduction::Revoke { level } => {
            record.levels.remove(level);
            Ok(())
        }
        Reduction::Narrow { validity } if !validity.within(&record.validity) => Err(Rejection::new(
            FaultKind::Invalid,
            format!("the validity asked for is not within the one cardholder `{}` has", record.id),
        )),
        Reduction::Narrow { validity } => set_validity(can, record, *validity),
    }
}

fn provision(
    can: &Capabilities,
    record: &mut Cardholder,
    profile: &Profile,
    keys: &CorrelationKeys,
    key: &CorrelationKey,
) -> Result<(), Rejection> {
    let lacking =
        can.fields.iter().find(|(name, rule)| rule.required && profile.get(name.as_str()).is_none_or(str::is_empty));
    if let Some((name, _)) = lacking {
        return Err(Rejection::new(FaultKind::Invalid, format!("a new cardholder needs the field `{name}`")));
    }
    amend(can, record, profile)?;
    record.keys = keys.clone();
    record.keys.insert(key.clone());
    Ok(())
}

fn amend(can: &Capabilities, record: &mut Cardholder, profile: &Profile) -> Result<(), Rejection> {
    for (name, value) in profile.iter() {
        let Some(rule) = can.fields.get(name.as_str()) else {
            return Err(Rejection::new(FaultKind::Invalid, format!("there is no field `{name}`")));
        };
        if let Some(most) = rule.chars_max.filter(|most| value.chars().count() > *most as usize) {
            let message = format!("the field `{name}` holds at most {most} characters");
            return Err(Rejection::new(FaultKind::Invalid, message));
        }
        record.profile.set(name.clone(), value);
        refresh_key(record, name.as_str(), value);
    }
    Ok(())
}

/// A key that mirrors a field follows it, as it does in every PACS that finds people by their fields.
fn refresh_key(record: &mut Cardholder, name: &str, value: &str) {
    let kind = match name {
        field::EMPLOYEE_NUMBER => KeyKind::Employee,
        field::UPN => KeyKind::Upn,
        field::MAIL => KeyKind::Mail,
        field::ACCOUNT => KeyKind::Account,
        _ => return,
    };
    if record.keys.of(kind).next().is_none() {
        return;
    }
    let others = record.keys.iter().filter(|key| key.kind() != kind).cloned();
    record.keys = others.chain(CorrelationKey::new(kind, value)).collect();
}

fn suspend(can: &Capabilities, record: &mut Cardholder) {
    record.status = Status::Suspended;
    if can.suspend == Suspend::EveryCredential {
        for credential in &mut record.credentials {
            if !matches!(credential.status, CredentialStatus::Inactive(_)) {
                credential.status = CredentialStatus::Inactive(InactiveStatus::Disabled);
            }
        }
    }
}

fn set_validity(can: &Capabilities, record: &mut Cardholder, validity: Validity) -> Result<(), Rejection> {
    if !can.validity {
        return Err(Rejection::new(FaultKind::Unsupported, "validity cannot be written here"));
    }
    record.validity = validity;
    Ok(())
}

fn activate(can: &Capabilities, record: &mut Cardholder, id: &CredentialId) -> Result<(), Rejection> {
    credentials_supported(can)?;
    let credential = credential_mut(record, id)?;
    match &credential.status {
        CredentialStatus::Inactive(lost @ (InactiveStatus::Lost | InactiveStatus::Stolen)) => Err(Rejection::new(
            FaultKind::Invalid,
            format!("credential `{id}` is reported {lost:?}; it is not switched on again"),
        )),
        CredentialStatus::Active | CredentialStatus::Inactive(_) | CredentialStatus::Other(_) => {
            credential.status = CredentialStatus::Active;
            if can.suspend == Suspend::EveryCredential {
                // Without a flag, a card that works is what brings somebody back.
                record.status = Status::Active;
            }
            Ok(())
        }
    }
}

fn credentials_supported(can: &Capabilities) -> Result<(), Rejection> {
    match can.credentials {
        CredentialSupport::None => Err(Rejection::new(FaultKind::Unsupported, "credentials cannot be written here")),
        CredentialSupport::Status | CredentialSupport::Issue => Ok(()),
    }
}
