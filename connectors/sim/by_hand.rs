//! Work by hand on the simulated PACS: it has no screens, so the steps say what to change in its file.

use lockstep_contract::{ByHand, Handwork, LOOK_AGAIN, Reduction, Step, field_words, validity_words};

/// The steps for the simulated PACS.
#[derive(Debug, Clone, Copy)]
pub struct SimByHand;

impl ByHand for SimByHand {
    fn steps(&self, work: &Handwork<'_>) -> Vec<String> {
        let mut steps = vec![match work.record_number() {
            Some(id) if work.name.is_empty() => format!("Open the file of the simulated PACS; look for the id {id}"),
            Some(id) => {
                format!("Open the file of the simulated PACS; look for the id {id}; check that it is {}", work.name)
            }
            None => "Look for the person first; add a cardholder to the file only when there is none".to_owned(),
        }];
        for step in &work.action.steps {
            steps.extend(lines(work, step));
        }
        steps.push(LOOK_AGAIN.to_owned());
        steps
    }

    fn lock_out(&self) -> Vec<String> {
        [
            "Open the file of the simulated PACS in an editor, and look for the record number on this sheet.",
            "Compare the display_name there with the name on this sheet.",
            "Change the cardholder's \"status\" from \"active\" to \"suspended\".",
            "Change the \"status\" of each of its credentials to {\"inactive\": \"disabled\"}.",
            "Save the file. Open it again, and check that the record shows both.",
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

fn lines(work: &Handwork<'_>, step: &Step) -> Vec<String> {
    let one = |line: String| vec![line];
    match step {
        Step::Reduce(Reduction::Suspend) => one("Change its \"status\" to \"suspended\"".to_owned()),
        Step::Reduce(Reduction::Deactivate { credential, .. }) => {
            let which = work.credential(credential);
            one(format!("At {which}, change the \"status\" to {{\"inactive\": \"disabled\"}}"))
        }
        Step::Reduce(Reduction::Revoke { level }) => {
            one(format!("Take \"{level}\" ({}) out of its \"levels\"", work.level(level)))
        }
        Step::Reduce(Reduction::Narrow { validity }) | Step::Widen { validity } => {
            one(format!("Set its \"validity\": {}", validity_words(validity)))
        }
        Step::Provision { profile, .. } | Step::Amend { profile } => {
            profile.iter().map(|(name, value)| format!("Set the {} to “{value}”", field_words(name))).collect()
        }
        Step::Reinstate => one("Change its \"status\" to \"active\"".to_owned()),
        Step::Grant { level } => one(format!("Add \"{level}\" ({}) to its \"levels\"", work.level(level))),
        Step::Activate { credential } => {
            one(format!("At {}, change the \"status\" to \"active\"", work.credential(credential)))
        }
    }
}
