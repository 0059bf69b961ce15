//! What of an action a rollback could not undo exactly: said when the plan is made, to whoever approves it.

use lockstep_contract::{Cardholder, CredentialStatus, Reduction, Step, TargetInfo};

use super::notes::Notes;
use super::words::words;
use crate::Code;

/// Notes what would last. `before` is the record; `None` for one to be created.
pub(super) fn note(
    notes: &mut Notes,
    target: &TargetInfo,
    name: impl Fn() -> String,
    before: Option<&Cardholder>,
    steps: &[Step],
) {
    for step in steps {
        let Some(what) = lasts(target, before, step) else { continue };
        notes.add(Code::NotReversible, || words(name(), what));
    }
}

fn lasts(target: &TargetInfo, before: Option<&Cardholder>, step: &Step) -> Option<String> {
    match step {
        Step::Provision { .. } => {
            Some("gets a new record; undoing that switches it off and takes its levels, and the record stays".into())
        }
        Step::Amend { profile } => {
            let was = |name: &str| before.and_then(|before| before.profile.get(name)).unwrap_or_default();
            let required = |name| target.capabilities.fields.get(name).is_some_and(|rule| rule.required);
            let kept = profile.iter().find(|(name, _)| required(*name) && was(name.as_str()).is_empty());
            kept.map(|(name, _)| format!("the field {name} is empty now, and this PACS cannot empty it again"))
        }
        Step::Reduce(Reduction::Deactivate { credential, .. }) => {
            let known = before?.credentials.iter().find(|known| known.id == *credential)?;
            match &known.status {
                CredentialStatus::Other(word) => Some(format!(
                    "credential {credential} is in the state “{word}”, which cannot be set again from here"
                )),
                CredentialStatus::Active | CredentialStatus::Inactive(_) => None,
            }
        }
        Step::Reduce(Reduction::Suspend | Reduction::Revoke { .. } | Reduction::Narrow { .. })
        | Step::Reinstate
        | Step::Widen { .. }
        | Step::Grant { .. }
        | Step::Activate { .. } => None,
    }
}
