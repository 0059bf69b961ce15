//! The directory side: a human as the directory knows them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{CorrelationKeys, PersonId, Profile};

/// A human as one directory knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Immutable in the directory; a rename, a move or a marriage leaves it as it is.
    pub id: PersonId,
    /// Values by which a cardholder of the same human may be recognised.
    pub keys: CorrelationKeys,
    /// Attributes, by Lockstep's field names.
    pub profile: Profile,
    /// Whether this person is, positively, still here.
    pub standing: Standing,
}

/// Whether a person is still here. Nothing is ever defaulted: an account whose state cannot be read is `Unknown`,
/// which is neither enabled nor gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Standing {
    /// Read as enabled and not expired.
    Active,
    /// Read as disabled, expired, or past the leaving date. This is positive evidence for a suspension.
    Ended {
        /// Since when, where the source says so.
        since: Option<Timestamp>,
    },
    /// Read as not here for a while: not started yet, or on leave. Access is as that of somebody who has ended, and comes
    /// back when this is over.
    Away {
        /// Until when, where the source says so.
        until: Option<Timestamp>,
    },
    /// Read as active in the directory that says who exists, while another one that may end people could not be read. No
    /// step may rest on it; yet it is nobody missing.
    Unconfirmed,
    /// The state could not be read, or the source contradicts itself. No step may rest on it.
    Unknown,
}
