//! The whole of a simulated PACS as one value: sites, access levels with their doors, cardholders. Pure data; this
//! module must not do I/O and must not know faults.

use std::collections::BTreeMap;

use lockstep_contract::{
    AccessLevel, AccessLevelId, ActionId, Cardholder, CardholderId, Catalog, CorrelationKey, Credential, FaultKind,
    Revision, SiteId,
};
use serde::{Deserialize, Serialize};

/// Everything a simulated PACS holds. This is also the layout of its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    /// The layout of the file; 1.
    pub version: u32,
    /// What tells this PACS from another one: part of every plan.
    pub id: String,
    /// Grows with every write.
    #[serde(default)]
    pub generation: u64,
    /// Sites by id, with their names.
    #[serde(default)]
    pub sites: BTreeMap<SiteId, String>,
    /// Access levels by id.
    #[serde(default)]
    pub levels: BTreeMap<AccessLevelId, AccessLevel>,
    /// Cardholders by id.
    #[serde(default, with = "holders")]
    pub cardholders: BTreeMap<CardholderId, Cardholder>,
    /// Which record an action created, so that the action sent twice creates one.
    #[serde(default)]
    pub created: BTreeMap<ActionId, CardholderId>,
    /// The number of the next record.
    #[serde(default = "first_number")]
    pub next_number: u64,
}

const fn first_number() -> u64 {
    1
}

/// The layout this version writes.
pub(crate) const VERSION: u32 = 1;

impl World {
    /// An empty PACS with this id.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            version: VERSION,
            id: id.into(),
            generation: 0,
            sites: BTreeMap::new(),
            levels: BTreeMap::new(),
            cardholders: BTreeMap::new(),
            created: BTreeMap::new(),
            next_number: first_number(),
        }
    }

    /// Adds an access level, or replaces it.
    #[must_use]
    pub fn with_level(mut self, id: AccessLevelId, level: AccessLevel) -> Self {
        self.levels.insert(id, level);
        self
    }

    /// Adds a cardholder, or replaces the one with the same id.
    #[must_use]
    pub fn with_cardholder(mut self, cardholder: Cardholder) -> Self {
        self.insert(cardholder);
        self
    }

    /// Adds a cardholder, or replaces the one with the same id, and gives it a new revision: what an operator of the
    /// PACS does at the keyboard.
    pub fn insert(&mut self, mut cardholder: Cardholder) {
        self.generation = self.generation.saturating_add(1);
        cardholder.revision = Some(Revision(self.generation.to_string()));
        self.cardholders.insert(cardholder.id.clone(), cardholder);
    }

    /// The cardholders that have exactly this key.
    pub fn with_key<'w>(&'w self, key: &'w CorrelationKey) -> impl Iterator<Item = &'w Cardholder> {
        self.cardholders.values().filter(move |cardholder| cardholder.keys.contains(key))
    }

    /// The access levels as a connector hands them out.
    pub fn catalog(&self) -> Catalog {
        Catalog { levels: self.levels.clone() }
    }

    /// An id that no record has.
    pub(crate) fn fresh_id(&mut self) -> CardholderId {
        loop {
            let id = CardholderId::new(format!("sim-{:06}", self.next_number)).expect("plain ASCII, and short");
            self.next_number = self.next_number.saturating_add(1);
            if !self.cardholders.contains_key(&id) {
                return id;
            }
        }
    }
}

/// Why a simulated PACS refused an action. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// What the caller does about it.
    pub kind: FaultKind,
    /// What was refused, and why.
    pub message: String,
}

impl Rejection {
    pub(crate) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// The credential of that id in a record.
pub(crate) fn credential_mut<'c>(
    cardholder: &'c mut Cardholder,
    id: &lockstep_contract::CredentialId,
) -> Result<&'c mut Credential, Rejection> {
    cardholder
        .credentials
        .iter_mut()
        .find(|credential| credential.id == *id)
        .ok_or_else(|| Rejection::new(FaultKind::Missing, format!("the cardholder has no credential `{id}`")))
}

/// Cardholders are a list in the file, since each knows its id already.
mod holders {
    use super::{BTreeMap, Cardholder, CardholderId, Revision};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        holders: &BTreeMap<CardholderId, Cardholder>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(holders.values())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<CardholderId, Cardholder>, D::Error> {
        let mut holders = BTreeMap::new();
        for mut holder in Vec::<Cardholder>::deserialize(from)? {
            // Files are also written by hand.
            holder.revision.get_or_insert_with(|| Revision("0".to_owned()));
            let id = holder.id.clone();
            if holders.insert(id.clone(), holder).is_some() {
                return Err(serde::de::Error::custom(format!("two cardholders have the id `{id}`")));
            }
        }
        Ok(holders)
    }
}
