//! How much is allowed: from percentages and numbers to people. The one place where this is computed, for planning and
//! again when a plan is applied.

use crate::{Facts, History, Limits};

/// However small a target, so many people may lose access.
const PEOPLE_MIN: u64 = 3;

/// What percentages are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scale {
    /// People managed now.
    pub(crate) managed: u64,
    /// Cardholders there are at all: nobody can have managed more.
    cardholders: u64,
}

impl Scale {
    /// Whoever is matched for the first time by this plan is one of the managed: in a first run they all are.
    ///
    /// Undoing a run reads only the records it concerns, so there the last complete reading tells how large the target
    /// is.
    pub(crate) fn new(facts: &Facts, matched: usize, history: &History, undo: bool) -> Self {
        let remembered = if undo { history.cardholders.unwrap_or(0) } else { 0 };
        let managed = facts.managed.saturating_add(matched as u64).max(remembered);
        Self { managed, cardholders: facts.cardholders.max(managed) }
    }

    /// G1: people who may lose access in one run.
    pub(crate) fn run(self, limits: &Limits) -> u64 {
        percent(limits.reductions_percent, self.managed).max(PEOPLE_MIN).min(u64::from(limits.reductions_per_run))
    }

    /// G2 and G3: people who may lose access within a window in which `reduced` have lost some already.
    ///
    /// Those were managed when the window began and may not be now, so they are counted in again: otherwise the same
    /// drip would be stopped earlier the more it had done. Never more than there are cardholders.
    pub(crate) fn window(self, window_percent: u32, reduced: u64) -> u64 {
        let began = self.managed.saturating_add(reduced).min(self.cardholders);
        percent(window_percent, began).max(PEOPLE_MIN)
    }

    /// G7: people who may gain access in one run.
    pub(crate) fn grants(self, limits: &Limits) -> u64 {
        percent(limits.grants_percent, self.managed).max(u64::from(limits.grants_per_run))
    }
}

/// So many percent of a number, rounded down.
pub(crate) fn percent(percent: u32, whole: u64) -> u64 {
    u64::try_from(u128::from(whole) * u128::from(percent) / 100).unwrap_or(u64::MAX)
}

/// True when `now` is more than so many percent below `before`.
pub(crate) fn fell_more(before: u64, now: u64, limit_percent: u32) -> bool {
    let lost = u128::from(before.saturating_sub(now));
    lost * 100 > u128::from(before) * u128::from(limit_percent)
}
