//! What human hands have to do where a PACS was not reached: which records the roster knows, and where to look.

use std::sync::Arc;

use lockstep_config::LenientLoaded;
use lockstep_offboard::{KnownRecords, Progress, Report, TargetOutcome};
use serde::Serialize;

use super::NotAsked;
use crate::cli::export;

/// A record that nobody could switch off from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub(super) struct ByHand {
    /// Who was named.
    pub who: String,
    /// Where.
    pub target: String,
    /// The records that are known there; empty: look the person up, by name or card.
    pub cardholders: Vec<String>,
    /// Who has what there, as last written.
    pub export: Option<String>,
}

/// Every PACS that is not known to have somebody out, for each person.
pub(super) fn rows(
    loaded: &LenientLoaded,
    known: &[Arc<KnownRecords>],
    reports: &[Report],
    not_asked: &[NotAsked],
) -> Vec<ByHand> {
    let is_missed = |outcome: &TargetOutcome| match &outcome.progress {
        Progress::Unreached { .. } | Progress::NotAsked { .. } => true,
        Progress::Done => outcome.cardholders.iter().any(|one| !one.confirmed),
        Progress::NotThere | Progress::Ambiguous { .. } => false,
    };
    let missed = |report: &Report| {
        let dry_run = report.dry_run;
        let missed = report.targets.iter().filter(|(_, outcome)| is_missed(outcome) && !outcome.complete(dry_run));
        let targets = missed.map(|(id, _)| id.to_string());
        targets.chain(not_asked.iter().map(|one| one.what.clone())).collect::<Vec<_>>()
    };
    let mut hands = Vec::new();
    for (known, report) in known.iter().zip(reports) {
        for target in missed(report) {
            let outcome = report.targets.iter().find(|(id, _)| id.as_str() == target).map(|(_, outcome)| outcome);
            let open = outcome.into_iter().flat_map(|outcome| &outcome.cardholders).filter(|one| !one.confirmed);
            let mut cardholders: Vec<String> = open.map(|one| one.cardholder.to_string()).collect();
            if cardholders.is_empty() {
                let records = known.iter().find(|(id, _)| id.as_str() == target).map(|(_, records)| records);
                cardholders.extend(records.into_iter().flatten().map(|(id, _)| id.to_string()));
            }
            let export = export::page_of(&loaded.exports, &target);
            hands.push(ByHand {
                who: report.who.clone(),
                export: export.map(|page| page.display().to_string()),
                cardholders,
                target,
            });
        }
    }
    hands
}
