//! The steps of an action, sorted by the commands they need.

use lockstep_contract::{AccessLevelId, Action, CorrelationKeys, CredentialId, Profile, Reduction, Step, Validity};

/// What an action asks for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Work<'a> {
    pub(super) suspend: bool,
    pub(super) deactivate: Vec<&'a CredentialId>,
    pub(super) revoke: Vec<&'a AccessLevelId>,
    pub(super) provision: Option<(&'a Profile, &'a CorrelationKeys)>,
    pub(super) amend: Option<&'a Profile>,
    pub(super) reinstate: bool,
    pub(super) validity: Option<Validity>,
    /// The validity must lie within the present one.
    pub(super) narrows: bool,
    pub(super) grant: Vec<&'a AccessLevelId>,
    pub(super) activate: Vec<&'a CredentialId>,
}

impl<'a> Work<'a> {
    pub(super) fn of(action: &'a Action) -> Self {
        let mut work = Self::default();
        for step in &action.steps {
            match step {
                Step::Reduce(Reduction::Suspend) => work.suspend = true,
                // NBAPI has one switch; what was lost stays what it was called.
                Step::Reduce(Reduction::Deactivate { credential, status: _ }) => work.deactivate.push(credential),
                Step::Reduce(Reduction::Revoke { level }) => work.revoke.push(level),
                Step::Reduce(Reduction::Narrow { validity }) => {
                    work.validity = Some(*validity);
                    work.narrows = true;
                }
                Step::Provision { profile, keys } => work.provision = Some((profile, keys)),
                Step::Amend { profile } => work.amend = Some(profile),
                Step::Reinstate => work.reinstate = true,
                Step::Widen { validity } => {
                    work.validity = Some(*validity);
                    work.narrows = false;
                }
                Step::Grant { level } => work.grant.push(level),
                Step::Activate { credential } => work.activate.push(credential),
            }
        }
        work
    }

    /// Whether what is to be written depends on the record as it is.
    pub(super) fn needs_current(&self) -> bool {
        self.suspend || self.reinstate || self.validity.is_some() || !self.activate.is_empty()
    }
}
