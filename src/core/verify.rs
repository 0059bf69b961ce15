//! Judging a read-back. A connector reports, this module decides whether it is done (I7).

use lockstep_contract::{Action, Cardholder};
use serde::{Deserialize, Serialize};

/// What a read-back shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Verdict {
    /// As expected.
    Verified,
    /// Not as expected.
    Diverged {
        /// Each difference.
        differences: Vec<Difference>,
    },
}

/// One thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What: `status`, `level HQ-Lab`, `field department`.
    pub what: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
}

/// Compares what an action promised with what is there.
pub fn verify(_action: &Action, _read_back: Option<&Cardholder>) -> Verdict {
    unimplemented!()
}
