//! What the warden looks at: what each record of the person lets its holder do.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{Cardholder, CardholderId, CredentialId, CredentialStatus, Status, TargetId};

/// What a record lets its holder do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Access {
    pub(super) on: bool,
    pub(super) levels: BTreeSet<String>,
    pub(super) cards: BTreeSet<CredentialId>,
}

impl Access {
    pub(super) fn of(record: &Cardholder) -> Self {
        let active = record.credentials.iter().filter(|one| one.status == CredentialStatus::Active);
        Self {
            on: record.status == Status::Active,
            levels: record.levels.iter().map(ToString::to_string).collect(),
            cards: active.map(|one| one.id.clone()).collect(),
        }
    }

    pub(super) fn within(&self, before: &Self) -> bool {
        (before.on || !self.on) && self.levels.is_subset(&before.levels) && self.cards.is_subset(&before.cards)
    }
}

pub(super) type Seen = BTreeMap<(TargetId, CardholderId), Access>;
