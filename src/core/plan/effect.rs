//! What steps make of a record: the model that expectations are taken from.

use std::collections::BTreeSet;

use lockstep_contract::{Cardholder, CredentialStatus, Expectation, LaneStep, Reduction, Status, Step, Suspend};

/// Carries out one step on a copy of a record.
pub(super) fn apply(record: &mut Cardholder, step: &Step) {
    match step {
        Step::Reduce(reduction) => reduce(record, reduction),
        // A record that is to be created has no image yet; its keys are the connector's to store.
        Step::Provision { profile, .. } | Step::Amend { profile } => {
            for (field, value) in profile.iter() {
                record.profile.set(field.clone(), value);
            }
        }
        Step::Reinstate => record.status = Status::Active,
        Step::Widen { validity } => record.validity = *validity,
        Step::Grant { level } => {
            record.levels.insert(level.clone());
        }
        Step::Activate { credential } => {
            for one in record.credentials.iter_mut().filter(|one| one.id == *credential) {
                one.status = CredentialStatus::Active;
            }
        }
    }
}

fn reduce(record: &mut Cardholder, reduction: &Reduction) {
    match reduction {
        Reduction::Suspend => record.status = Status::Suspended,
        Reduction::Revoke { level } => {
            record.levels.remove(level);
        }
        Reduction::Narrow { validity } => record.validity = *validity,
        Reduction::Deactivate { credential, status } => {
            for one in record.credentials.iter_mut().filter(|one| one.id == *credential) {
                one.status = CredentialStatus::Inactive(*status);
            }
        }
    }
}

/// What the read-back must show after these steps, given the record as it will be.
pub(super) fn expect<S: LaneStep>(steps: &[S], after: &Cardholder) -> Expectation {
    let mut expect = Expectation {
        status: Some(after.status.clone()),
        levels_present: after.levels.clone(),
        levels_absent: BTreeSet::new(),
        ..Expectation::default()
    };
    for step in steps {
        note_step(&mut expect, step.clone().into());
    }
    expect
}

/// What the read-back of a new record must show. Without a flag for a person, nobody is in force before they have a
/// credential.
pub(super) fn expect_new(steps: &[Step], suspend: Suspend) -> Expectation {
    let status = match suspend {
        Suspend::CardholderFlag => Some(Status::Active),
        Suspend::EveryCredential => None,
    };
    let mut expect = Expectation { status, ..Expectation::default() };
    for step in steps {
        if let Step::Grant { level } = step {
            expect.levels_present.insert(level.clone());
        }
        note_step(&mut expect, step.clone());
    }
    expect
}

fn note_step(expect: &mut Expectation, step: Step) {
    match step {
        Step::Provision { profile, .. } | Step::Amend { profile } => {
            for (field, value) in profile.iter() {
                expect.profile.set(field.clone(), value);
            }
        }
        Step::Reduce(Reduction::Revoke { level }) => {
            expect.levels_absent.insert(level);
        }
        Step::Reduce(Reduction::Deactivate { credential, status }) => {
            expect.credentials.insert(credential, CredentialStatus::Inactive(status));
        }
        Step::Reduce(Reduction::Narrow { validity }) | Step::Widen { validity } => expect.validity = Some(validity),
        Step::Activate { credential } => {
            expect.credentials.insert(credential, CredentialStatus::Active);
        }
        Step::Reduce(Reduction::Suspend) | Step::Reinstate | Step::Grant { .. } => {}
    }
}
