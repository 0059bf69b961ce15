//! Guards: pure checks over a draft, the limits and the past. A trip holds only what it names; it never lets through
//! anything, and no flag switches it off.

use std::collections::BTreeMap;

use lockstep_contract::ActionId;

use crate::{Draft, EntryState, History, Limits, Policy, Trip};

/// A draft that went through the guards: each of its actions is standing, waits for an approval, or is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarded {
    pub(crate) draft: Draft,
    pub(crate) limits: Limits,
    pub(crate) trips: Vec<Trip>,
    pub(crate) states: BTreeMap<ActionId, EntryState>,
}

impl Guarded {
    /// The draft.
    pub const fn draft(&self) -> &Draft {
        &self.draft
    }

    /// The guards that objected.
    pub fn trips(&self) -> &[Trip] {
        &self.trips
    }
}

/// Judges a draft.
pub fn guard(_draft: Draft, _policy: &Policy, _limits: &Limits, _history: &History) -> Guarded {
    unimplemented!()
}
