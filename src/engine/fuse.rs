//! The fuse of one target: a breaker below approval. It counts reductions, knows nothing of plans, and when it opens,
//! a person must reset it. A wrong plan with a good signature still stops here.

use std::sync::Mutex;

use lockstep_core::Limits;

use crate::Fuse;

/// A fuse never opens at fewer cardholders than this: at very small sites a percentage means nothing.
const FLOOR: u64 = 10;
/// The highest percentage at which a fuse opens, whatever the limits say.
const PERCENT_MAX: u64 = 75;

/// How many cardholders may be reduced within 24 hours before the fuse opens: twice the percentage of guard G2 (so that
/// the guard always trips first), 75 % at the most, of those managed there, and ten at the least.
pub fn fuse_ceiling(limits: &Limits, managed: u64) -> u64 {
    let percent = (2 * u64::from(limits.reductions_day_percent)).min(PERCENT_MAX);
    (managed * percent / 100).max(FLOOR)
}

/// Whether one more reduction may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It may.
    Granted,
    /// It may not, and the fuse must be recorded as open.
    Opens(String),
    /// It may not: the fuse is open.
    Open(String),
}

#[derive(Debug)]
pub(crate) struct Breaker {
    ceiling: u64,
    state: Mutex<Fuse>,
}

impl Breaker {
    pub(crate) fn new(fuse: Fuse, ceiling: u64) -> Self {
        Self { ceiling, state: Mutex::new(fuse) }
    }

    /// Why the fuse is open, when it is.
    pub(crate) fn open(&self) -> Option<String> {
        let fuse = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        (fuse.open_since.is_some() || !fuse.reason.is_empty()).then(|| format!("the fuse is open: {}", fuse.reason))
    }

    /// Asks for one more reduction, and counts it.
    pub(crate) fn admit(&self) -> Admission {
        let mut fuse = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if fuse.open_since.is_some() || !fuse.reason.is_empty() {
            return Admission::Open(format!("the fuse is open: {}", fuse.reason));
        }
        if fuse.reduced_day >= self.ceiling {
            fuse.reason = format!(
                "{} cardholders were reduced within 24 hours; the fuse allows {}",
                fuse.reduced_day, self.ceiling
            );
            return Admission::Opens(fuse.reason.clone());
        }
        fuse.reduced_day += 1;
        Admission::Granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuse_is_above_the_guard_and_below_everybody() {
        for day in 1..=50 {
            let limits = Limits { reductions_day_percent: day, ..Limits::default() };
            for managed in [20, 100, 5_000, 1_000_000] {
                let guard = (managed * u64::from(day) / 100).max(3);
                let fuse = fuse_ceiling(&limits, managed);
                assert!(fuse > guard && fuse < managed, "{day} % of {managed}: guard {guard}, fuse {fuse}");
            }
        }
    }

    #[test]
    fn it_opens_once_and_stays_open() {
        let breaker = Breaker::new(Fuse { reduced_day: 1, ..Fuse::default() }, 3);
        assert_eq!(breaker.admit(), Admission::Granted);
        assert_eq!(breaker.admit(), Admission::Granted);
        assert!(matches!(breaker.admit(), Admission::Opens(_)));
        assert!(matches!(breaker.admit(), Admission::Open(_)));
    }
}
