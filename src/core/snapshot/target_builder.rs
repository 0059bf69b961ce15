//! Building a target snapshot, page by page, in any order. Nothing is decided here.

use lockstep_contract::{Cardholder, Catalog};

use super::directory_builder::Added;
use super::target::TargetSnapshot;

/// Takes cardholders as they are read.
#[derive(Debug, Default)]
pub struct TargetBuilder {
    snapshot: TargetSnapshot,
}

impl TargetBuilder {
    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a cardholder. Nothing of it is kept.
    pub fn add(&mut self, _cardholder: &Cardholder) -> Added {
        unimplemented!()
    }

    /// Takes the access levels that exist.
    pub fn catalog(&mut self, catalog: Catalog) {
        self.snapshot.catalog = catalog;
    }

    /// Everything has been read.
    pub fn finish(self) -> TargetSnapshot {
        self.snapshot
    }
}
