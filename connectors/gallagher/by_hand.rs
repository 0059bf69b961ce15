//! What people do in Command Centre with their hands, screen by screen. Pure.
//!
//! There is no import file: Enterprise Data Import takes whatever columns a site has set up, so there is no one form of
//! it.

use lockstep_contract::{ByHand, Handwork, InactiveStatus, LOOK_AGAIN, Reduction, Step, field_words, validity_words};

/// The steps for Command Centre.
#[derive(Debug, Clone, Copy)]
pub struct CommandCentreByHand;

impl ByHand for CommandCentreByHand {
    fn steps(&self, work: &Handwork<'_>) -> Vec<String> {
        let mut steps = vec![match work.record_number() {
            Some(id) if work.name.is_empty() => {
                format!("In Command Centre, open Manage Cardholders; open the cardholder of record {id}")
            }
            Some(id) => format!(
                "In Command Centre, open Manage Cardholders; search for {}; check that it is the right one by its \
                 personal data (record {id})",
                work.name
            ),
            None => {
                "In Command Centre, open Manage Cardholders; search for the person first; choose New Cardholder only \
                     when there is none"
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
            "Sign in to Command Centre, and open Manage Cardholders.",
            "Search for the last name; check the name and the personal data against this sheet.",
            "Clear the tick at Authorised: it refuses every access, whatever the cards and groups say.",
            "On the tab Cards, set every active card to a disabled state.",
            "Save. If somebody else has the cardholder open, ask them to close it: nothing is saved until they do.",
            "Open the cardholder again, and check that it is not authorised.",
            "Controllers that are offline keep the old data until they are connected again.",
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

fn clicks(work: &Handwork<'_>, step: &Step) -> Vec<String> {
    let one = |line: String| vec![line];
    match step {
        Step::Reduce(Reduction::Suspend) => one("Clear the tick at Authorised".to_owned()),
        Step::Reduce(Reduction::Deactivate { credential, status }) => {
            let card = work.credential(credential);
            one(format!("On the tab Cards, set the state of {card} to {}", state_words(*status)))
        }
        Step::Reduce(Reduction::Revoke { level }) => one(format!(
            "On the tab Access Groups, remove {}; it may stand there twice, with other dates: remove every one",
            work.level(level)
        )),
        Step::Reduce(Reduction::Narrow { validity }) | Step::Widen { validity } => one(format!(
            "Command Centre has no validity of a cardholder: set it at each card: {}",
            validity_words(validity)
        )),
        Step::Provision { profile, .. } | Step::Amend { profile } => {
            profile.iter().map(|(name, value)| format!("Set {} to “{value}”", field_words(name))).collect()
        }
        Step::Reinstate => one("Set the tick at Authorised".to_owned()),
        Step::Grant { level } => one(format!("On the tab Access Groups, add {} without dates", work.level(level))),
        Step::Activate { credential } => {
            one(format!("On the tab Cards, set the state of {} to active", work.credential(credential)))
        }
    }
}

const fn state_words(status: InactiveStatus) -> &'static str {
    match status {
        InactiveStatus::Disabled | InactiveStatus::Expired => "disabled",
        InactiveStatus::Lost => "lost",
        InactiveStatus::Stolen => "stolen",
        InactiveStatus::Returned => "returned, or disabled where there is no such state",
    }
}

#[cfg(test)]
mod tests {
    use lockstep_contract::{
        AccessLevel, AccessLevelId, Action, ActionId, CardholderId, Catalog, Expectation, Reason, Situation, Steps,
        Subject, TargetId,
    };

    use super::*;

    #[test]
    fn the_clicks_say_what_to_look_for_and_that_a_group_may_stand_there_twice() {
        let level = AccessLevelId::new("/api/access_groups/352").expect("id");
        let steps = Steps::new(vec![
            Step::Reduce(Reduction::Suspend),
            Step::Reduce(Reduction::Revoke { level: level.clone() }),
        ])
        .expect("steps");
        let action = Action {
            id: ActionId::new(lockstep_contract::sha256_hex(b"one")).expect("digest"),
            target: TargetId::new("hq").expect("id"),
            subject: Subject::Existing(CardholderId::new("/api/cardholders/325").expect("id")),
            person: None,
            steps,
            basis: None,
            expect: Expectation::default(),
            because: Reason { situation: Situation::Unqualified, why: Vec::new() },
        };
        let mut catalog = Catalog::default();
        catalog.levels.insert(level, AccessLevel { name: "Staff - HQ".to_owned(), ..AccessLevel::default() });
        let work = Handwork { action: &action, name: "Ada Lovelace", catalog: &catalog, record: None };
        let steps = CommandCentreByHand.steps(&work);
        assert!(steps[0].contains("Ada Lovelace") && steps[0].contains("/api/cardholders/325"), "{steps:?}");
        assert_eq!(steps[1], "Clear the tick at Authorised");
        assert!(steps[2].contains("“Staff - HQ”") && steps[2].contains("every one"), "{steps:?}");
        assert_eq!(CommandCentreByHand.import_file(&[work]), None);
    }
}
