//! From two readings, a policy and a memory of the past to a draft: correlate, decide, diff, explain to the reviewer.
//!
//! Total and pure: it cannot fail, block, or look anything up. What it must never do: plan a reduction that rests on
//! something unknown.

mod assemble;
mod case;
mod correlate;
mod decide;
mod effect;
mod entitle;
mod facts;
mod holds;
mod index;
mod lasting;
mod leave;
mod notes;
mod notice;
mod profile;
mod raise;
mod tell;
mod why;
mod words;

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockstep_contract::{PersonId, RunId, TargetInfo};

use crate::snapshot::LinkRef;
use crate::{DirectorySnapshot, Draft, Explanation, Holds, Links, Looked, Policy, TargetSnapshot};
use assemble::Assembly;
use case::{Case, Planner, Work};
use correlate::Account;
pub use notice::{Remembered, notice};

/// Everything that planning for one target may know.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The PACS and what it can do.
    pub target: &'a TargetInfo,
    /// A complete reading of the directory.
    pub people: &'a DirectorySnapshot,
    /// A complete reading of the PACS.
    pub cardholders: &'a TargetSnapshot,
    /// Who was matched to whom.
    pub links: &'a Links,
    /// Who is held out by name; always wins.
    pub holds: &'a Holds,
    /// What direct look-ups said about those [`absentees`] names.
    pub looked: &'a BTreeMap<PersonId, Looked>,
    /// The mapping.
    pub policy: &'a Policy,
    /// The run.
    pub run: RunId,
    /// Now.
    pub now: Timestamp,
}

/// Linked people who are not in the census. Each must be looked up directly before planning: absence is no evidence.
pub fn absentees(people: &DirectorySnapshot, links: &Links) -> Vec<PersonId> {
    let links = links.rows().iter().map(LinkRef::person);
    links.filter(|person| people.person(person).is_none()).cloned().collect()
}

/// Plans one target.
pub fn plan(inputs: Inputs<'_>) -> Draft {
    let planner = Planner::new(inputs);
    let mut work = Work::default();
    let mut assembly = Assembly::new(&planner);
    plan_people(&planner, &mut work, &mut assembly);
    for (link, row) in &planner.matches.absent {
        let case = planner.absent_case(*link, *row);
        let clash = planner.matches.absent_clashes.get(link.person());
        let judgement = planner.judge(&case, clash, &mut work);
        assembly.take(&case, judgement);
    }
    plan_orphans(&planner, &mut work, &mut assembly);
    facts::note_readings(&planner, &mut work);
    assembly.finish(work)
}

fn plan_people<'a>(planner: &Planner<'a>, work: &mut Work<'a>, assembly: &mut Assembly<'_, 'a>) {
    let mut clashes = planner.matches.clashes.iter().peekable();
    for (row, person) in planner.inputs.people.iter().enumerate() {
        let row = row as u32;
        let clash = clashes.next_if(|(of, _)| **of == row).map(|(_, clash)| clash);
        let case = planner.case(row, person, planner.matches.link(row));
        let judgement = planner.judge(&case, clash, work);
        assembly.take(&case, judgement);
    }
}

/// Cardholders nobody accounts for. They are reported, never touched, unless one is held out by name.
fn plan_orphans<'a>(planner: &Planner<'a>, work: &mut Work<'a>, assembly: &mut Assembly<'_, 'a>) {
    for (account, cardholder) in planner.matches.cardholders.iter().zip(planner.inputs.cardholders.iter()) {
        match account {
            Account::Linked | Account::Found => continue,
            Account::Orphan | Account::Claimed => {}
        }
        let id = None;
        let case = Case { id, person: None, link: None, cardholder: Some(cardholder), found: None };
        if let Some(judgement) = planner.judge_orphan(&case, cardholder, *account, work) {
            assembly.take_orphan(&case, judgement);
        }
    }
}

/// What planning decides about one person, with everything that decided it.
pub(crate) fn explain_one(inputs: Inputs<'_>, id: &PersonId) -> Explanation {
    let planner = Planner::new(inputs);
    let mut work = Work::default();
    let person = inputs.people.iter().enumerate().find(|(_, person)| person.id() == id);
    let absent = planner.matches.absent.iter().find(|(link, _)| link.person() == id);
    let (case, clash) = match (person, absent) {
        (Some((row, person)), _) => {
            let row = row as u32;
            let case = planner.case(row, person, planner.matches.link(row));
            (case, planner.matches.clashes.get(&row))
        }
        (None, Some((link, row))) => (planner.absent_case(*link, *row), planner.matches.absent_clashes.get(id)),
        (None, None) => (Case { id: None, person: None, link: None, cardholder: None, found: None }, None),
    };
    planner.explain(&case, clash, id, &mut work)
}
