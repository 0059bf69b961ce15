//! Faults on demand: which call of which operation goes wrong, and how. This module must not know what an operation
//! does; the simulated systems ask it before each call.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lockstep_contract::{Fault, FaultKind};

/// An operation of a simulated system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Probe of either side.
    Probe,
    /// Catalog of a PACS.
    Catalog,
    /// One page of cardholders.
    List,
    /// Look-up by key, either side.
    Find,
    /// Read of one cardholder.
    Read,
    /// Question what the controllers have.
    Enforced,
    /// Write of one action.
    Apply,
    /// One page of people.
    People,
    /// Members of groups.
    Members,
    /// Look-up of one person by id.
    Lookup,
    /// Paths from groups to a person.
    Paths,
    /// Changes since a watermark.
    Changes,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Probe,
        Self::Catalog,
        Self::List,
        Self::Find,
        Self::Read,
        Self::Enforced,
        Self::Apply,
        Self::People,
        Self::Members,
        Self::Lookup,
        Self::Paths,
        Self::Changes,
    ];

    /// The words used in faults.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Catalog => "read the catalog",
            Self::List => "list cardholders",
            Self::Find => "find by key",
            Self::Read => "read a cardholder",
            Self::Enforced => "ask the controllers",
            Self::Apply => "apply an action",
            Self::People => "list people",
            Self::Members => "read groups",
            Self::Lookup => "look a person up",
            Self::Paths => "read paths",
            Self::Changes => "read changes",
        }
    }
}

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// Nobody listens: the request cannot be sent.
    Down,
    /// The request is sent and lost on its way: no effect, and the caller cannot know.
    LostRequest,
    /// The effect happens, and the answer is lost.
    LostAnswer,
    /// Nothing happens, and no answer ever comes.
    Hang,
    /// The effect happens, and no answer ever comes.
    HangAfterEffect,
    /// Too many requests: wait this long.
    Throttle(Duration),
    /// Forbidden.
    Deny,
    /// Not authenticated.
    Unauthenticated,
    /// Refused as invalid.
    Refuse,
    /// The list breaks off: every page after the first, or the only one, is lost.
    CutList,
    /// The last item of the list is missing, while the system's count includes it.
    ShortList,
    /// The list ends after the first page, and the system's count agrees with the lie.
    LyingTotal,
    /// The list is empty, without an error and without a count.
    EmptyList,
    /// The second page is the first one again.
    RepeatedPage,
    /// A look-up is answered with everybody; the connector checks, and keeps what matches.
    IgnoredFilter,
    /// The answer takes so many more polls.
    Slow(u32),
}

impl Mishap {
    /// The fault by which an answer never gets through; `None` when this mishap lets one through.
    pub(crate) fn fault(self, system: &str, operation: &str) -> Option<Fault> {
        let fault = |kind, message: &str| Some(Fault::new(kind, system, operation, message));
        match self {
            Self::Down => fault(FaultKind::Unreachable, "nobody listens there"),
            Self::LostRequest => fault(FaultKind::Unreachable, "the connection closed before an answer came"),
            Self::Throttle(wait) => {
                fault(FaultKind::Throttled, "too many requests").map(|throttled| throttled.with_retry_after(wait))
            }
            Self::Deny => fault(FaultKind::Denied, "this account may not do that"),
            Self::Unauthenticated => fault(FaultKind::Unauthenticated, "the system does not know this account"),
            Self::Refuse => fault(FaultKind::Invalid, "the system refused the request as invalid"),
            Self::LostAnswer
            | Self::Hang
            | Self::HangAfterEffect
            | Self::CutList
            | Self::ShortList
            | Self::LyingTotal
            | Self::EmptyList
            | Self::RepeatedPage
            | Self::IgnoredFilter
            | Self::Slow(_) => None,
        }
    }
}

#[derive(Debug, Default)]
struct Script {
    calls: BTreeMap<Operation, u32>,
    once: BTreeMap<(Operation, u32), Mishap>,
    always: BTreeMap<Operation, Mishap>,
}

/// The script of what goes wrong. Clones share it, so that a test keeps one and the system another.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Script>>);

impl Faults {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// The `nth` call of this operation from now on (1 is the next one) goes wrong, once.
    pub fn on(&self, operation: Operation, nth: u32, mishap: Mishap) -> &Self {
        let mut script = self.script();
        let so_far = script.calls.get(&operation).copied().unwrap_or(0);
        script.once.insert((operation, so_far.saturating_add(nth.max(1))), mishap);
        drop(script);
        self
    }

    /// Every call of this operation goes wrong until [`clear`](Self::clear). A mishap set with [`on`](Self::on) wins.
    pub fn always(&self, operation: Operation, mishap: Mishap) -> &Self {
        self.script().always.insert(operation, mishap);
        self
    }

    /// Every call of every operation goes wrong until [`clear`](Self::clear).
    pub fn everywhere(&self, mishap: Mishap) -> &Self {
        self.script().always.extend(Operation::ALL.map(|operation| (operation, mishap)));
        self
    }

    /// Nothing goes wrong from now on. The counts of calls stay.
    pub fn clear(&self) {
        let mut script = self.script();
        script.once.clear();
        script.always.clear();
    }

    /// How often this operation was called.
    pub fn calls(&self, operation: Operation) -> u32 {
        self.script().calls.get(&operation).copied().unwrap_or(0)
    }

    /// Counts a call and says what goes wrong with it.
    pub(crate) fn next(&self, operation: Operation) -> Option<Mishap> {
        let mut script = self.script();
        let count = script.calls.entry(operation).or_insert(0);
        *count = count.saturating_add(1);
        let nth = *count;
        script.once.remove(&(operation, nth)).or_else(|| script.always.get(&operation).copied())
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        // A test that panicked while it held the lock has failed anyway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the executor one turn. A caller that is dropped at a poll ("a crash") is dropped here.
pub(crate) async fn pause() {
    let mut waited = false;
    std::future::poll_fn(|context| {
        if waited {
            return std::task::Poll::Ready(());
        }
        waited = true;
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

/// What happens on the way there: one turn, and whatever keeps the request from arriving.
pub(crate) async fn on_the_way_there(mishap: Option<Mishap>, system: &str, operation: &str) -> Result<(), Fault> {
    pause().await;
    match mishap {
        Some(Mishap::Hang) => std::future::pending().await,
        Some(Mishap::Slow(polls)) => {
            for _ in 0..polls {
                pause().await;
            }
            Ok(())
        }
        Some(other) => other.fault(system, operation).map_or(Ok(()), Err),
        None => Ok(()),
    }
}

/// What happens on the way back: one turn, and whatever keeps the answer from arriving.
pub(crate) async fn on_the_way_back(mishap: Option<Mishap>, system: &str, operation: &str) -> Result<(), Fault> {
    pause().await;
    match mishap {
        Some(Mishap::HangAfterEffect) => std::future::pending().await,
        Some(Mishap::LostAnswer) => Err(Fault::new(
            FaultKind::Unreachable,
            system,
            operation,
            "the connection closed before the answer was complete",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_call_from_now_goes_wrong_once_and_wins_over_always() {
        let faults = Faults::none();
        assert_eq!(faults.next(Operation::List), None);
        faults.on(Operation::List, 2, Mishap::CutList).always(Operation::List, Mishap::Deny);
        let seen: Vec<_> = (0..3).map(|_| faults.next(Operation::List)).collect();
        assert_eq!(seen, [Some(Mishap::Deny), Some(Mishap::CutList), Some(Mishap::Deny)]);
        faults.clear();
        assert_eq!((faults.next(Operation::List), faults.calls(Operation::List)), (None, 5));
    }
}
