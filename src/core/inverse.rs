//! Rollback: the plan that undoes what a run did, from before-images. A plan like any other.
//!
//! It must never bring back somebody who is held out, and never touch a cardholder that changed since.

mod expect;
mod restore;
mod touched;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lockstep_contract::{
    Action, ActionId, Cardholder, CardholderId, Reason, Reduction, RunId, Status, Step, Steps, Subject, TargetInfo,
    Why, canonical_json, sha256_hex,
};

use self::expect::expectation;
pub use self::restore::{RestoreInputs, Taken, restore};
use self::touched::{Touched, touched};
use crate::{Code, Draft, Facts, Finding, Holds, Plan, Tally, Who};

/// An action that was applied and verified, with its images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// What was done.
    pub action: Action,
    /// The record before; `None` when it was created.
    pub before: Option<Cardholder>,
    /// The record as it was read back.
    pub after: Cardholder,
}

/// Everything that undoing may know.
#[derive(Debug, Clone, Copy)]
pub struct UndoInputs<'a> {
    /// The PACS.
    pub target: &'a TargetInfo,
    /// What was done there, in the order of doing.
    pub done: &'a [Settled],
    /// The records as they are now.
    pub now_on_pacs: &'a BTreeMap<CardholderId, Cardholder>,
    /// Who is held out.
    pub holds: &'a Holds,
    /// The new run.
    pub run: RunId,
    /// Now.
    pub now: Timestamp,
}

/// Plans the inverse. Everything is in the stage lane: undoing mostly gives access back.
///
/// Only what the run changed is put back, each part to what it was before the run first touched it.
pub fn inverse(inputs: UndoInputs<'_>) -> Draft {
    let mut draft = empty(inputs.target, inputs.now_on_pacs);
    for touched in touched(inputs.target, inputs.done) {
        match undo_one(&inputs, &touched, &mut draft.findings) {
            Outcome::Action(action) => {
                count(&action, &mut draft.tally);
                draft.who.insert(action.id.clone(), Who::from(&touched.last.after));
                draft.stage.actions.push(*action);
            }
            Outcome::Left => draft.tally.undecided += 1,
            Outcome::AsBefore => draft.tally.unchanged += 1,
        }
    }
    draft.stage.actions.sort_by(|a, b| a.subject.cmp(&b.subject));
    draft.findings.sort_by(|a, b| b.severity().cmp(&a.severity()).then_with(|| a.cmp(b)));
    draft
}

enum Outcome {
    Action(Box<Action>),
    /// Nothing is done about it; a finding says why.
    Left,
    /// There is nothing to put back.
    AsBefore,
}

fn empty(target: &TargetInfo, now_on_pacs: &BTreeMap<CardholderId, Cardholder>) -> Draft {
    let active = |record: &&Cardholder| record.status == Status::Active;
    Draft {
        target: target.id.clone(),
        revoke: Plan { actions: Vec::new() },
        stage: Plan { actions: Vec::new() },
        findings: Vec::new(),
        links: Vec::new(),
        who: BTreeMap::new(),
        tally: Tally::default(),
        facts: Facts {
            cardholders: now_on_pacs.len() as u64,
            managed: now_on_pacs.values().filter(active).count() as u64,
            target_digest: sha256_hex(&canonical_json(now_on_pacs)),
            ..Facts::default()
        },
        protected: BTreeSet::new(),
        undo: true,
        occasion: crate::Occasion::Run,
    }
}

fn undo_one(inputs: &UndoInputs<'_>, touched: &Touched<'_>, findings: &mut Vec<Finding>) -> Outcome {
    let id = &touched.last.after.id;
    let name = subject_words(&touched.last.after);
    let Some(now) = inputs.now_on_pacs.get(id) else {
        let message = "The record is no longer on the PACS, so nothing of it is put back.";
        findings.push(finding(
            Code::ChangedSince,
            name,
            message,
            "Check by hand whether the person needs a new record.",
        ));
        return Outcome::Left;
    };
    if now.digest() != touched.last.after.digest() {
        let message = "The record was changed after the run, so nothing of it is put back.";
        let help = "Compare the record with the report of the run, and put back by hand what is still wanted.";
        findings.push(finding(Code::ChangedSince, name, message, help));
        return Outcome::Left;
    }
    let mut steps = touched.steps_back(now, &name, findings);
    let person = touched.last.action.person.as_ref();
    let held = inputs.holds.on(person, Some(id), now.keys.iter().chain(touched.last.after.keys.iter()));
    if held.is_some() && steps.iter().any(raises) {
        // Whatever a run did before: who is out by name comes back only by name (S8).
        steps.retain(|step| !raises(step));
        let message = "This person is held out by name; no access is given back.";
        findings.push(finding(
            Code::OnHold,
            name,
            message,
            "Only a reinstatement by name lifts a hold: lockstep reinstate WHO --reason TEXT",
        ));
        if steps.is_empty() {
            return Outcome::Left;
        }
    }
    match Steps::new(steps) {
        Some(steps) => Outcome::Action(Box::new(action(inputs, touched, now, steps))),
        None => Outcome::AsBefore,
    }
}

const fn raises(step: &Step) -> bool {
    match step {
        Step::Reinstate | Step::Widen { .. } | Step::Grant { .. } | Step::Activate { .. } | Step::Provision { .. } => {
            true
        }
        Step::Reduce(_) | Step::Amend { .. } => false,
    }
}

fn action(inputs: &UndoInputs<'_>, touched: &Touched<'_>, now: &Cardholder, steps: Steps<Step>) -> Action {
    let target = inputs.target.id.clone();
    let subject = Subject::Existing(now.id.clone());
    let why = Why { level: None, groups: Vec::new(), mapping: None, text: "puts back what the run changed".into() };
    Action {
        id: ActionId::of(inputs.run, &target, &subject, &steps),
        target,
        subject,
        person: touched.last.action.person.clone(),
        basis: Some(now.digest()),
        expect: expectation(now, &steps, inputs.target.capabilities.suspend),
        steps,
        because: Reason { situation: touched.last.action.because.situation, why: vec![why] },
    }
}

fn count(action: &Action, tally: &mut Tally) {
    let off = action.steps.iter().any(|step| matches!(step, Step::Reduce(Reduction::Suspend)));
    if off { tally.disable += 1 } else { tally.change += 1 }
}

fn subject_words(record: &Cardholder) -> String {
    format!("{} (cardholder {})", Who::from(record).name, record.id)
}

fn finding(code: Code, subject: String, message: &str, help: &str) -> Finding {
    Finding { code, subject, message: message.to_owned(), help: Some(help.to_owned()) }
}

#[cfg(test)]
mod tests;
