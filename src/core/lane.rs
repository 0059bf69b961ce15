//! The two lanes. A plan is of one lane, and the lane decides by type what may be in it.

use lockstep_contract::{LaneStep, Reduction, Step};
use serde::{Deserialize, Serialize};

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Revoke {}
    impl Sealed for super::Stage {}
}

/// A lane. Sealed: there are two.
pub trait Lane: sealed::Sealed + Send + Sync + 'static {
    /// What a plan of this lane is made of.
    type Step: LaneStep;
    /// The lane as a value.
    const KIND: LaneKind;
}

/// Reduces only; may run unattended once guarded (I5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoke {}

/// Anything; waits for approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {}

impl Lane for Revoke {
    type Step = Reduction;
    const KIND: LaneKind = LaneKind::Revoke;
}

impl Lane for Stage {
    type Step = Step;
    const KIND: LaneKind = LaneKind::Stage;
}

/// A lane as a value, for files and reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LaneKind {
    /// Reduces only.
    Revoke,
    /// Anything.
    Stage,
}
