//! What went wrong with a request, and what that says about its effect. This module must not retry and must not send.

use std::time::Duration;

use jiff::Timestamp;
use lockstep_contract::{ApplyFault, Fault, FaultKind};

/// The longest time that a peer can make us wait.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(15 * 60);

/// What a failed request may have done at the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Nothing left this machine.
    NotSent,
    /// The peer said no.
    Refused,
    /// It may have taken effect.
    Uncertain,
}

/// A request that did not simply succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct CallFault {
    /// What it may have done.
    pub effect: Effect,
    /// The status, when there was an answer.
    pub status: Option<u16>,
    /// The answer was longer than the limit: asking for less may help.
    pub too_long: bool,
    /// What went wrong.
    pub fault: Box<Fault>,
}

impl CallFault {
    /// A request that failed with this effect.
    pub fn new(effect: Effect, status: Option<u16>, fault: Fault) -> Self {
        Self { effect, status, too_long: false, fault: Box::new(fault) }
    }

    /// A request that was not sent.
    pub fn not_sent(fault: Fault) -> Self {
        Self::new(Effect::NotSent, None, fault)
    }

    /// In the terms of a write. For the first and only request of an action; an action that had done something before
    /// is [`ApplyFault::Uncertain`], whatever its last request says.
    pub fn into_apply(self) -> ApplyFault {
        match self.effect {
            Effect::NotSent => ApplyFault::NotSent(*self.fault),
            Effect::Refused => ApplyFault::Refused(*self.fault),
            Effect::Uncertain => ApplyFault::Uncertain(*self.fault),
        }
    }
}

impl From<CallFault> for Fault {
    fn from(call: CallFault) -> Self {
        *call.fault
    }
}

/// What a status means for the caller, and for the effect of a write.
pub fn classify(status: u16, waits: bool) -> (FaultKind, Effect) {
    match status {
        401 | 407 => (FaultKind::Unauthenticated, Effect::Refused),
        402 | 403 | 451 => (FaultKind::Denied, Effect::Refused),
        404 | 410 => (FaultKind::Missing, Effect::Refused),
        405 | 406 | 426 => (FaultKind::Unsupported, Effect::Refused),
        // A gateway may say 408 for a request that it had already passed on.
        408 => (FaultKind::Unreachable, Effect::Uncertain),
        409 | 412 | 428 => (FaultKind::Conflict, Effect::Refused),
        425 | 429 => (FaultKind::Throttled, Effect::Refused),
        400..=499 => (FaultKind::Invalid, Effect::Refused),
        501 => (FaultKind::Unsupported, Effect::Uncertain),
        503 if waits => (FaultKind::Throttled, Effect::Uncertain),
        500..=599 => (FaultKind::Unreachable, Effect::Uncertain),
        _ => (FaultKind::Protocol, Effect::Uncertain),
    }
}

/// Reads a `Retry-After` header: seconds or a date, never more than [`RETRY_AFTER_MAX`]. Rubbish is no waiting time.
pub fn retry_after(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    let wait = if header.bytes().all(|b| b.is_ascii_digit()) && !header.is_empty() {
        Duration::from_secs(header.parse().unwrap_or(u64::MAX))
    } else {
        let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(header.replace("GMT", "+0000")).ok()?;
        Duration::try_from(at.duration_since(now)).unwrap_or_default()
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_meaning() {
        use Effect::{Refused, Uncertain};
        for (status, waits, kind, effect) in [
            (400, false, FaultKind::Invalid, Refused),
            (401, false, FaultKind::Unauthenticated, Refused),
            (403, false, FaultKind::Denied, Refused),
            (404, false, FaultKind::Missing, Refused),
            (405, false, FaultKind::Unsupported, Refused),
            (408, false, FaultKind::Unreachable, Uncertain),
            (409, false, FaultKind::Conflict, Refused),
            (412, false, FaultKind::Conflict, Refused),
            (418, false, FaultKind::Invalid, Refused),
            (422, false, FaultKind::Invalid, Refused),
            (429, false, FaultKind::Throttled, Refused),
            (429, true, FaultKind::Throttled, Refused),
            (500, false, FaultKind::Unreachable, Uncertain),
            (502, true, FaultKind::Unreachable, Uncertain),
            (503, false, FaultKind::Unreachable, Uncertain),
            (503, true, FaultKind::Throttled, Uncertain),
            (302, false, FaultKind::Protocol, Uncertain),
            (103, false, FaultKind::Protocol, Uncertain),
            (999, false, FaultKind::Protocol, Uncertain),
        ] {
            assert_eq!(classify(status, waits), (kind, effect), "{status}, Retry-After {waits}");
        }
    }

    #[test]
    fn waiting_times_are_read_and_capped() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().expect("a time");
        let seconds = |n| Some(Duration::from_secs(n));
        for (header, expect) in [
            ("5", seconds(5)),
            (" 7 ", seconds(7)),
            ("0", seconds(0)),
            ("86400", seconds(900)),
            ("99999999999999999999999", seconds(900)),
            ("Sun, 01 Mar 2026 12:00:30 GMT", seconds(30)),
            ("Sun, 01 Mar 2026 11:00:00 GMT", seconds(0)),
            ("Mon, 01 Mar 2027 12:00:00 GMT", seconds(900)),
            ("-1", None),
            ("soon", None),
            ("", None),
            ("1.5", None),
        ] {
            assert_eq!(retry_after(header, now), expect, "{header:?}");
        }
    }
}
