//! Guard trips: what a guard measured, what it allows, who is concerned, and what to do next.

use lockstep_contract::ActionId;
use serde::{Deserialize, Serialize};

use crate::Code;

/// One guard that objected. It holds only what it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trip {
    /// Which guard.
    pub code: Code,
    /// What it is about: the target, a group, a level.
    pub subject: String,
    /// What was measured, in words: `212 of 4,100 people (5.2 %)`.
    pub measured: String,
    /// What is allowed, in words: `at most 25`.
    pub allowed: String,
    /// The setting that says so: `limits.reductions_per_run`. `None` for guards without one.
    pub setting: Option<String>,
    /// What those concerned have in common, where they have: `all 212 are in department Old`.
    pub common: Option<String>,
    /// The actions it holds, ordered.
    pub holds: Vec<ActionId>,
    /// Who may let them through all the same.
    pub overrule: Overrule,
}

/// Who may let held actions through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overrule {
    /// One named person, over the plan's digest.
    OnePerson,
    /// Two different named persons, each naming the actions.
    TwoPersons,
    /// Nobody: the cause must be mended and the plan made again.
    Nobody,
}
