//! What went wrong, classified by what the caller does next. The text is for people; no program branches on it.
//!
//! A fault must never carry a secret: connectors build messages from what they know to be harmless, and cut and
//! escape whatever a peer said.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the caller does about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Wait and try again within the deadline; counts towards the fuse.
    Unreachable,
    /// As `Unreachable`, and the peer may have said for how long.
    Throttled,
    /// Stop this system now and call somebody; never read as "nothing there".
    Unauthenticated,
    /// As `Unauthenticated`: the account may not do or see this.
    Denied,
    /// The one object is not there: re-read and replan this one cardholder.
    Missing,
    /// Somebody else changed the object: re-read and replan this one cardholder.
    Conflict,
    /// The request was wrong for this system: reject this action, carry on.
    Invalid,
    /// The system cannot do this: reject this action, carry on.
    Unsupported,
    /// The peer broke its own rules; stop this system, nothing it said is trusted.
    Protocol,
    /// The change was handed over, and what became of it cannot be seen yet: ask again later. No failure of the system,
    /// and no reason to send anything again.
    Unconfirmed,
    /// We were asked to stop.
    Cancelled,
}

impl FaultKind {
    /// True when waiting may help. Reads are tried again on this; writes never are.
    pub const fn is_transient(self) -> bool {
        match self {
            Self::Unreachable | Self::Throttled => true,
            Self::Unauthenticated
            | Self::Denied
            | Self::Missing
            | Self::Conflict
            | Self::Invalid
            | Self::Unsupported
            | Self::Protocol
            | Self::Unconfirmed
            | Self::Cancelled => false,
        }
    }

    /// The word used in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Throttled => "throttled",
            Self::Unauthenticated => "not authenticated",
            Self::Denied => "denied",
            Self::Missing => "missing",
            Self::Conflict => "changed meanwhile",
            Self::Invalid => "refused as invalid",
            Self::Unsupported => "not supported",
            Self::Protocol => "protocol broken",
            Self::Unconfirmed => "not confirmed yet",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something went wrong at a system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error("{system}: {operation}: {kind}: {message}")]
pub struct Fault {
    /// What the caller does about it.
    pub kind: FaultKind,
    /// The configured id of the system: `corp`, `hq`.
    pub system: String,
    /// What we were doing, and to what: `read group GRP-Lab, page 3`.
    pub operation: String,
    /// What happened, in one sentence, and the likely cause where it is known.
    pub message: String,
    /// How long the peer asked us to wait.
    pub retry_after: Option<Duration>,
    /// What to do about it, when that is known.
    pub help: Option<String>,
}

impl Fault {
    /// A fault without help or waiting time.
    pub fn new(
        kind: FaultKind,
        system: impl Into<String>,
        operation: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            system: system.into(),
            operation: operation.into(),
            message: message.into(),
            retry_after: None,
            help: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds how long the peer asked us to wait.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

/// A write that did not simply succeed. The three cases are what the journal needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ApplyFault {
    /// Nothing left this machine. No effect.
    #[error("not sent: {0}")]
    NotSent(Fault),
    /// The system said no. No effect.
    #[error("refused: {0}")]
    Refused(Fault),
    /// It may have taken effect. Only a read can tell. When in doubt, a connector says this.
    #[error("outcome unknown: {0}")]
    Uncertain(Fault),
}

impl ApplyFault {
    /// The fault behind it.
    pub const fn fault(&self) -> &Fault {
        match self {
            Self::NotSent(fault) | Self::Refused(fault) | Self::Uncertain(fault) => fault,
        }
    }
}
