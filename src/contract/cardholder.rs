//! The PACS side: a human as one physical access control system knows them.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::digest_of;
use crate::key::mask;
use crate::{AccessLevelId, CardholderId, CorrelationKeys, CredentialId, ImageDigest, Profile, SiteId};

/// A human as one PACS knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cardholder {
    /// The PACS' own id of the record.
    pub id: CardholderId,
    /// Values by which a person may be recognised.
    pub keys: CorrelationKeys,
    /// Attributes, by Lockstep's field names.
    pub profile: Profile,
    /// Whether the record may open anything at all.
    pub status: Status,
    /// Managed and unmanaged levels; only managed ones are ever changed.
    pub levels: BTreeSet<AccessLevelId>,
    /// Cards, passes and PINs, ordered by id.
    pub credentials: Vec<Credential>,
    /// When the record is valid.
    pub validity: Validity,
    /// The partition or site the record belongs to, where the PACS has such a thing.
    pub site: Option<SiteId>,
    /// ETag or row version: sent back on a write when the PACS supports it.
    pub revision: Option<Revision>,
}

impl Cardholder {
    /// The digest of everything that matters for a plan: the whole record but its revision, which changes
    /// on some systems with every log-in.
    pub fn digest(&self) -> ImageDigest {
        let mut image = self.clone();
        image.revision = None;
        image.credentials.sort_by(|a, b| a.id.cmp(&b.id));
        digest_of(&image)
    }
}

/// Whether a record may open anything at all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// In force.
    Active,
    /// Switched off, and reversibly so.
    Suspended,
    /// A state of the PACS that the connector does not know, in the words of the PACS. Neither active nor suspended:
    /// no step may rest on it.
    Other(String),
}

/// When a record is valid. A bound that is `None` is open. Connectors turn local controller time into instants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Validity {
    /// Valid from this instant.
    pub from: Option<Timestamp>,
    /// Valid until this instant, exclusive.
    pub until: Option<Timestamp>,
}

impl Validity {
    /// No bounds.
    pub const ALWAYS: Self = Self { from: None, until: None };

    /// True when every instant allowed by `self` is also allowed by `other`.
    pub fn within(&self, other: &Self) -> bool {
        let starts = match (self.from, other.from) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(mine), Some(theirs)) => mine >= theirs,
        };
        let ends = match (self.until, other.until) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(mine), Some(theirs)) => mine <= theirs,
        };
        starts && ends
    }
}

/// A card, mobile pass or PIN.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Credential {
    /// The PACS' id of the record, never the number.
    pub id: CredentialId,
    /// What is presented at the reader.
    pub kind: CredentialKind,
    /// The number as printed, where the PACS shows it. Masked in every output.
    pub number: Option<String>,
    /// Whether it works.
    pub status: CredentialStatus,
}

impl Credential {
    /// The number with all but its last four characters hidden.
    pub fn masked_number(&self) -> Option<String> {
        self.number.as_deref().map(mask)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("number", &self.masked_number())
            .field("status", &self.status)
            .finish()
    }
}

/// What is presented at the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CredentialKind {
    /// A card, fob or badge.
    Card,
    /// A pass on a telephone.
    Mobile,
    /// A number typed at the door.
    Pin,
    /// Anything else: a face, a fingerprint, a number plate.
    Other,
}

/// Whether a credential works.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CredentialStatus {
    /// It works.
    Active,
    /// It does not work, and why.
    Inactive(InactiveStatus),
    /// A state the connector does not know, in the words of the PACS. Treated as working when access is to be cut,
    /// and as not ours when it is to be given.
    Other(String),
}

/// Why a credential does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum InactiveStatus {
    /// Switched off by an operator or by Lockstep.
    Disabled,
    /// Reported lost. Never switched on again by Lockstep.
    Lost,
    /// Reported stolen. Never switched on again by Lockstep.
    Stolen,
    /// Past its own end date.
    Expired,
    /// Handed back.
    Returned,
}

/// An ETag or row version, opaque.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Revision(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn narrower_is_within_wider_and_not_the_other_way() {
        let wide = Validity { from: Some(at(10)), until: None };
        let narrow = Validity { from: Some(at(20)), until: Some(at(30)) };
        assert!(narrow.within(&wide) && narrow.within(&Validity::ALWAYS) && narrow.within(&narrow));
        assert!(!wide.within(&narrow) && !Validity::ALWAYS.within(&wide));
    }

    #[test]
    fn the_number_of_a_card_is_never_in_debug_output() {
        let card = Credential {
            id: CredentialId::new("c1").expect("id"),
            kind: CredentialKind::Card,
            number: Some("0123456789".into()),
            status: CredentialStatus::Active,
        };
        let text = format!("{card:?}");
        assert!(text.contains("…6789") && !text.contains("012345"), "{text}");
    }
}
