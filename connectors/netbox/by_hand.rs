//! Work by hand on a NetBox: what to do on its screens. There is no import file: the columns of Data Operations are not
//! published, and one of them replaces every access level that somebody has.

use lockstep_contract::{ByHand, Handwork, LOOK_AGAIN, Reduction, Step, Validity, field_words, validity_words};

/// How Lockstep tells a suspension from an ordinary end. What is set by hand must be the same, or it is not seen as
/// done.
const SUSPENDED: &str = "2000-01-01 00:00 (or to the date that the settings name as `suspension_date`)";

/// The steps for a NetBox.
#[derive(Debug, Clone, Copy)]
pub struct NetBoxByHand;

impl ByHand for NetBoxByHand {
    fn steps(&self, work: &Handwork<'_>) -> Vec<String> {
        let mut steps = vec![match work.record_number() {
            Some(id) if work.name.is_empty() => {
                format!(
                    "In the Administration menu of the NetBox, search the people for ID # {id}, and open the record"
                )
            }
            Some(id) => format!(
                "In the Administration menu of the NetBox, search the people for ID # {id}; open the record, and check \
                 that it is {}",
                work.name
            ),
            None => {
                "In the Administration menu of the NetBox, search for the person first, by name and by ID #, deleted \
                     people too; add a person only when there is none"
                    .to_owned()
            }
        }];
        for step in &work.action.steps {
            steps.extend(clicks(work, step));
        }
        steps.push(LOOK_AGAIN.to_owned());
        steps
    }

    fn lock_out(&self) -> Vec<String> {
        [
            "Sign in to the NetBox, and search the people in the Administration menu for the ID # on this sheet.",
            "Compare the name on the screen with the name on this sheet.",
            "Set the expiration date of the person to 2000-01-01 00:00.",
            "On the access control tab, tick Disabled at each card listed on the line. Do not delete cards or the person: \
             that cannot be taken back.",
            "Save. Open the person again, and check the expiration date and every card.",
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

fn clicks(work: &Handwork<'_>, step: &Step) -> Vec<String> {
    let one = |line: String| vec![line];
    let dates = |validity: &Validity| {
        one(format!(
            "Set activation and expiration date (in the time of the NetBox, not UTC): {}",
            validity_words(validity)
        ))
    };
    match step {
        Step::Reduce(Reduction::Suspend) => one(format!("Write down the expiration date; then set it to {SUSPENDED}")),
        Step::Reduce(Reduction::Deactivate { credential, .. }) => {
            one(format!("On the access control tab, tick Disabled at {}", work.credential(credential)))
        }
        Step::Reduce(Reduction::Revoke { level }) => one(format!(
            "On the access control tab, take access level {} out of the list; leave all others",
            shown(work, level)
        )),
        Step::Reduce(Reduction::Narrow { validity }) | Step::Widen { validity } => dates(validity),
        Step::Provision { profile, .. } | Step::Amend { profile } => {
            profile.iter().map(|(name, value)| format!("Set {} to “{value}”", field_words(name))).collect()
        }
        Step::Reinstate => one("Set the expiration date to what it was before the suspension".to_owned()),
        Step::Grant { level } => one(format!(
            "On the access control tab, add access level {} to the list; leave all others",
            shown(work, level)
        )),
        Step::Activate { credential } => {
            one(format!("On the access control tab, take the tick off Disabled at {}", work.credential(credential)))
        }
    }
}

/// The name as the screen shows it: without the key that stands before it in an id.
fn shown(work: &Handwork<'_>, level: &lockstep_contract::AccessLevelId) -> String {
    if work.catalog.levels.contains_key(level) {
        work.level(level)
    } else {
        format!("“{}”", crate::levels::name_in(level))
    }
}

#[cfg(test)]
mod tests {
    use lockstep_contract::{
        AccessLevelId, Action, ActionId, CardholderId, Catalog, Expectation, Reason, Situation, Steps, Subject,
        TargetId,
    };

    use super::*;

    #[test]
    fn levels_are_named_as_the_screen_names_them_and_nothing_is_deleted() {
        let level = AccessLevelId::new("7:Lab: 3").expect("id");
        let steps = vec![Step::Reduce(Reduction::Suspend), Step::Reduce(Reduction::Revoke { level })];
        let action = Action {
            id: ActionId::new(lockstep_contract::sha256_hex(b"one")).expect("digest"),
            target: TargetId::new("hq").expect("id"),
            subject: Subject::Existing(CardholderId::new("E1234").expect("id")),
            person: None,
            steps: Steps::new(steps).expect("steps"),
            basis: None,
            expect: Expectation::default(),
            because: Reason { situation: Situation::Unqualified, why: Vec::new() },
        };
        let catalog = Catalog::default();
        let work = Handwork { action: &action, name: "Ada Lovelace", catalog: &catalog, record: None };
        let steps = NetBoxByHand.steps(&work);
        assert!(steps[0].contains("E1234") && steps[0].contains("Ada Lovelace"), "{steps:?}");
        assert!(steps[1].contains("expiration date"), "{steps:?}");
        assert!(steps[2].contains("“Lab: 3”") && !steps[2].contains("7:"), "{steps:?}");
        assert!(NetBoxByHand.import_file(&[work]).is_none());
    }
}
