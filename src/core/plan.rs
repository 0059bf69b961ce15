//! From two readings, a policy and a memory of the past to a draft: correlate, decide, diff, explain to the reviewer.
//!
//! Total and pure: it cannot fail, block, or look anything up. What it must never do: plan a reduction that rests on
//! something unknown.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockstep_contract::{PersonId, RunId, TargetInfo};

use crate::{DirectorySnapshot, Draft, Holds, Links, Looked, Policy, TargetSnapshot};

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
    links.iter().filter(|link| people.person(&link.person).is_none()).map(|link| link.person.clone()).collect()
}

/// Plans one target.
pub fn plan(_inputs: Inputs<'_>) -> Draft {
    unimplemented!()
}
