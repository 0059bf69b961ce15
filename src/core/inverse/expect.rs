//! What a read-back must show after steps on a known record.

use lockstep_contract::{Cardholder, CredentialStatus, Expectation, Reduction, Status, Step, Steps, Suspend};

/// Status and levels that no step names must survive; everything a step sets must be so. Without a flag for a person, the
/// status follows from the credentials and is not looked at beside them.
pub(super) fn expectation(now: &Cardholder, steps: &Steps<Step>, suspend: Suspend) -> Expectation {
    let status = match suspend {
        Suspend::CardholderFlag => Some(now.status.clone()),
        Suspend::EveryCredential => None,
    };
    let mut expect = Expectation { status, levels_present: now.levels.clone(), ..Expectation::default() };
    for step in steps {
        match step {
            Step::Reduce(Reduction::Suspend) => expect.status = Some(Status::Suspended),
            Step::Reduce(Reduction::Revoke { level }) => {
                expect.levels_present.remove(level);
                expect.levels_absent.insert(level.clone());
            }
            Step::Reduce(Reduction::Narrow { validity }) | Step::Widen { validity } => {
                expect.validity = Some(*validity);
            }
            Step::Reduce(Reduction::Deactivate { credential, status }) => {
                expect.credentials.insert(credential.clone(), CredentialStatus::Inactive(*status));
            }
            Step::Reinstate => expect.status = Some(Status::Active),
            Step::Grant { level } => {
                expect.levels_present.insert(level.clone());
            }
            Step::Activate { credential } => {
                expect.credentials.insert(credential.clone(), CredentialStatus::Active);
            }
            Step::Amend { profile } => {
                expect.profile.clone_from(profile);
            }
            // A rollback creates nobody.
            Step::Provision { .. } => {}
        }
    }
    expect
}
