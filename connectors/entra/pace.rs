//! How fast we ask: under the tenant's quota, and not at all while Graph said to wait. Every request counts in resource
//! units, not in pieces. This module must not send.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use lockstep_contract::{Fault, FaultKind};
use tokio::time::Instant;

/// What one burst may use at most; a batch of twenty fits in.
const BURST: NonZeroU32 = NonZeroU32::new(300).expect("not zero");
/// A wait that Graph asked for without saying how long.
const WAIT: Duration = Duration::from_secs(3);

/// How much a request matters to Graph when it must turn some away, and to us when we must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priority {
    /// A whole read.
    Low,
    /// About one person who may be leaving.
    High,
}

/// A request that is to be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn<'a> {
    pub(crate) priority: Priority,
    /// What it costs, in resource units.
    pub(crate) units: u32,
    pub(crate) system: &'a str,
    pub(crate) operation: &'a str,
}

/// The pace of all requests of one connector.
#[derive(Debug)]
pub(crate) struct Pace {
    /// For whole reads.
    bulk: DefaultDirectRateLimiter,
    /// For single people, who may be leaving: a whole read never delays them.
    reserved: DefaultDirectRateLimiter,
    paused_until: Mutex<Option<Instant>>,
}

impl Pace {
    /// So many resource units in a second.
    pub(crate) fn new(units_per_second: NonZeroU32) -> Self {
        let limiter = |units: NonZeroU32| RateLimiter::direct(Quota::per_second(units).allow_burst(BURST));
        let reserved = NonZeroU32::new(units_per_second.get() / 4).unwrap_or(NonZeroU32::MIN);
        let bulk = NonZeroU32::new(units_per_second.get() - reserved.get()).unwrap_or(NonZeroU32::MIN);
        Self { bulk: limiter(bulk), reserved: limiter(reserved), paused_until: Mutex::new(None) }
    }

    /// Graph said to wait. Requests that are sent meanwhile count against us, so there are none: not only the one that was
    /// turned away waits, but all of them.
    pub(crate) fn pause(&self, wait: Option<Duration>) {
        let until = Instant::now() + wait.unwrap_or(WAIT);
        let mut paused = self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        *paused = Some(paused.map_or(until, |before| before.max(until)));
    }

    fn remaining(&self) -> Duration {
        let paused = *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        paused.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Waits for our turn, as long as `deadline` allows.
    ///
    /// # Errors
    /// [`FaultKind::Throttled`], with how long is left to wait, when the turn comes too late.
    pub(crate) async fn turn(&self, turn: Turn<'_>, deadline: Instant) -> Result<(), Fault> {
        let Turn { priority, units, system, operation } = turn;
        let wait = self.remaining();
        if Instant::now() + wait >= deadline && !wait.is_zero() {
            let fault = Fault::new(FaultKind::Throttled, system, operation, "Graph asked to wait, so nothing was sent");
            return Err(fault.with_retry_after(wait));
        }
        tokio::time::sleep(wait).await;
        let limiter = match priority {
            Priority::Low => &self.bulk,
            Priority::High => &self.reserved,
        };
        let units = NonZeroU32::new(units).unwrap_or(NonZeroU32::MIN).min(BURST);
        let ready = tokio::time::timeout_at(deadline, limiter.until_n_ready(units)).await;
        ready.map(drop).map_err(|_| {
            let message = "the configured number of resource units in a second was used up";
            Fault::new(FaultKind::Throttled, system, operation, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_that_does_not_fit_is_said_and_one_that_fits_is_waited() {
        let pace = Pace::new(NonZeroU32::MIN);
        let turn = Turn { priority: Priority::High, units: 1, system: "cloud", operation: "read people" };
        pace.pause(Some(Duration::from_millis(30)));
        let begun = Instant::now();
        pace.turn(turn, begun + Duration::from_secs(20)).await.expect("waited");
        assert!(begun.elapsed() >= Duration::from_millis(30));
        pace.pause(Some(Duration::from_secs(60)));
        pace.pause(Some(Duration::from_secs(1)));
        let soon = Instant::now() + Duration::from_secs(10);
        let fault = pace.turn(turn, soon).await.expect_err("too long");
        assert_eq!(fault.kind, FaultKind::Throttled);
        assert!(
            fault.retry_after.is_some_and(|wait| wait > Duration::from_secs(50)),
            "the longer wait counts: {fault:?}"
        );
    }

    #[tokio::test]
    async fn a_whole_read_does_not_use_up_what_is_kept_for_leavers() {
        let pace = Pace::new(NonZeroU32::MIN);
        let turn = |priority| Turn { priority, units: 300, system: "cloud", operation: "read" };
        let now = || Instant::now() + Duration::from_millis(50);
        pace.turn(turn(Priority::Low), now()).await.expect("the burst");
        pace.turn(turn(Priority::Low), now()).await.expect_err("used up");
        pace.turn(turn(Priority::High), now()).await.expect("kept for leavers");
    }
}
