//! Which of several records is meant, is said by people. A question stands until somebody named one of them, or named
//! the human by a number of which each has one, and was answered by the PACS after it was asked.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_config::LenientLoaded;
use lockstep_contract::{CardholderId, RunId, TargetId};
use lockstep_offboard::{Event, Journal as _, Report};

use super::STATE;
use crate::cli::emergency::{Folders, Open, Record};
use crate::cli::{housekeeping, runs};

/// What a PACS answered just now: whose records are out there, of whom.
pub(super) struct Answer {
    who: String,
    target: TargetId,
    out: BTreeSet<CardholderId>,
}

impl Answer {
    /// Of somebody who was settled just now.
    pub(super) fn of(settled: &Open) -> Self {
        Self { who: settled.who.clone(), target: settled.target.clone(), out: settled.own.clone() }
    }

    /// Of everybody whom a command put out just now.
    fn all(reports: &[Report]) -> Vec<Self> {
        let done = |report: &Report| {
            let who = report.who.clone();
            let closed = report.targets.iter().filter(|(_, outcome)| !report.dry_run && outcome.open() == Some(None));
            let answer = |(target, outcome): (&TargetId, &lockstep_offboard::TargetOutcome)| {
                let out = outcome.cardholders.iter().map(|one| one.cardholder.clone()).collect();
                Self { who: who.clone(), target: target.clone(), out }
            };
            closed.map(answer).collect::<Vec<_>>()
        };
        reports.iter().flat_map(done).collect()
    }

    fn settles(&self, question: &Open) -> bool {
        let named = || question.number().is_some_and(|number| number.to_string() == self.who);
        question.ambiguous && question.target == self.target && (!question.candidates.is_disjoint(&self.out) || named())
    }
}

/// Ends the questions that these answers settle, in the spool itself, and returns them. What cannot be written now stands,
/// and is asked again.
pub(super) fn end(folders: &Folders, open: &[Open], answers: &[Answer]) -> Vec<Open> {
    let settled = open.iter().filter(|one| answers.iter().any(|answer| answer.settles(one)));
    let settled: Vec<Open> =
        settled.map(|one| Open { why: "somebody said which one is meant".to_owned(), ..one.clone() }).collect();
    if settled.is_empty() {
        return settled;
    }
    let people: BTreeMap<usize, _> = settled.iter().map(Open::named).enumerate().collect();
    let ended = |(nth, one): (usize, &Open)| (nth, Event::Ended { target: one.target.clone(), open: None });
    let events: Vec<(usize, Event)> = settled.iter().enumerate().map(ended).collect();
    let record = Record::going_on(Some(folders), runs::new_run(), people);
    let written = record.record(&events);
    record.close();
    if written.is_ok() { settled } else { Vec::new() }
}

/// The same for what a command did just now, within a time.
pub(super) async fn after(loaded: &LenientLoaded, reports: &[Report], run: RunId) -> Vec<Open> {
    let (folders, answers) = (Folders::of(loaded), Answer::all(reports));
    let targets: Vec<TargetId> = loaded.targets.iter().map(|target| target.id.clone()).collect();
    let work = tokio::task::spawn_blocking(move || {
        let mut open = housekeeping::open(&folders, &targets).unwrap_or_default();
        open.retain(|one| one.run != run);
        end(&folders, &open, &answers)
    });
    tokio::time::timeout(STATE, work).await.ok().and_then(Result::ok).unwrap_or_default()
}
