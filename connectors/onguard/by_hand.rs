//! Work by hand in OnGuard's System Administration. The layout of OnGuard's own import (DataExchange) is made by each site, so
//! there is no file that any of them would take. This module must not connect.

use lockstep_contract::{ByHand, Handwork, LOOK_AGAIN, Reduction, Step, field_words, validity_words};

/// The steps for OnGuard.
#[derive(Debug, Clone, Copy)]
pub struct OnguardByHand;

impl ByHand for OnguardByHand {
    fn steps(&self, work: &Handwork<'_>) -> Vec<String> {
        let mut steps = vec!["In System Administration, open Administration ▸ Cardholders".to_owned()];
        steps.push(match work.record_number() {
            Some(id) if work.name.is_empty() => format!("Search for the cardholder with the record number {id}"),
            Some(id) => {
                format!("Search for {}; check the name and the other details on this sheet (record {id})", work.name)
            }
            None => "Search for the person first; choose Add only when there is none".to_owned(),
        });
        steps.push("Choose Modify".to_owned());
        for step in &work.action.steps {
            steps.extend(clicks(work, step));
        }
        steps.push(format!("Choose OK. {LOOK_AGAIN}"));
        steps
    }

    fn lock_out(&self) -> Vec<String> {
        [
            "In System Administration, open Administration ▸ Cardholders, and search for the person.",
            "Compare the name on the screen with the name on this sheet; several people may have it.",
            "Open the tab Badge. OnGuard has no switch for a person: every badge in the list has to be switched off.",
            "For each badge that is Active: select it, choose Modify, set Status to the one that this site uses for \
             leavers, choose OK.",
            "Look through the whole list again: no badge may show Active.",
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

fn clicks(work: &Handwork<'_>, step: &Step) -> Vec<String> {
    let one = |line: String| vec![line];
    match step {
        Step::Reduce(Reduction::Suspend) => {
            one("Tab Badge: set the Status of every badge that is Active to the one for leavers".to_owned())
        }
        Step::Reduce(Reduction::Deactivate { credential, .. }) => {
            one(format!("Tab Badge: select {}, and set its Status to the one for leavers", work.credential(credential)))
        }
        Step::Reduce(Reduction::Revoke { level }) => one(format!(
            "Tab Access Levels: for every badge in the list, take the tick at {} away",
            work.level(level)
        )),
        Step::Reduce(Reduction::Narrow { validity }) | Step::Widen { validity } => {
            one(format!("Tab Badge: set Activate and Deactivate of every badge: {}", validity_words(validity)))
        }
        Step::Provision { profile, .. } | Step::Amend { profile } => {
            profile.iter().map(|(name, value)| format!("Tab Cardholder: set {} to “{value}”", field_words(name))).collect()
        }
        Step::Reinstate => one(
            "Tab Badge: look which badge is to work again; OnGuard has no switch for a person. None is switched on for \
             this step alone"
                .to_owned(),
        ),
        Step::Grant { level } => {
            one(format!("Tab Access Levels: for every badge that is Active, tick {}", work.level(level)))
        }
        Step::Activate { credential } => {
            one(format!("Tab Badge: select {}, and set its Status to Active", work.credential(credential)))
        }
    }
}
