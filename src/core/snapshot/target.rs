//! The PACS side: cardholders in the order of their ids, and the catalog of access levels.

use lockstep_contract::{Cardholder, CardholderId, Catalog};

/// A complete reading of one PACS.
#[derive(Debug, Clone, Default)]
pub struct TargetSnapshot {
    pub(super) catalog: Catalog,
    pub(super) digest: String,
}

impl TargetSnapshot {
    /// How many cardholders there are.
    pub fn len(&self) -> usize {
        unimplemented!()
    }

    /// True when there is nobody.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The access levels that exist.
    pub const fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The cardholder with this id.
    pub fn cardholder(&self, _id: &CardholderId) -> Option<CardholderRef<'_>> {
        unimplemented!()
    }

    /// Everybody, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = CardholderRef<'_>> {
        std::iter::empty()
    }

    /// SHA-256 over the content, in hex. The order of arrival does not change it.
    pub fn digest(&self) -> String {
        self.digest.clone()
    }
}

/// A cardholder in a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct CardholderRef<'a> {
    pub(super) snapshot: &'a TargetSnapshot,
}

impl CardholderRef<'_> {
    /// The whole record as the connector gave it, but its revision.
    pub fn to_cardholder(self) -> Cardholder {
        let _ = self.snapshot;
        unimplemented!()
    }
}
