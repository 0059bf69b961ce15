//! What was learned about a server and is relied on for a while, and the last looks that an action may rely on once.
//! This module must not decide.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lockstep_contract::{CardholderId, CorrelationKey};
use lockstep_http::CallFault;

use crate::Gallagher;
use crate::api::Api;
use crate::convert::{Record, Shape};
use crate::discovery::{self, CardTypes, DataFields, Divisions, Groups, Root};

/// How long what was learned about a server is relied on.
const LEARNED_FOR: Duration = Duration::from_secs(60 * 60);
/// How old a look may be on which one action may rest. The engine looks directly before it acts.
const LOOK_FOR: Duration = Duration::from_secs(10);
/// So many looks are remembered.
const LOOKS_MAX: usize = 64;

/// A value that is relied on for a while.
#[derive(Debug)]
pub(crate) struct Slot<T>(Mutex<Option<(Instant, Arc<T>)>>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Slot<T> {
    fn get(&self) -> Option<Arc<T>> {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().filter(|(since, _)| since.elapsed() < LEARNED_FOR).map(|(_, value)| Arc::clone(value))
    }

    fn set(&self, value: T) -> Arc<T> {
        let value = Arc::new(value);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&value)));
        value
    }
}

/// The last looks, each good for one action.
#[derive(Debug)]
struct Looks<K, V>(Mutex<BTreeMap<K, (Instant, V)>>);

impl<K, V> Default for Looks<K, V> {
    fn default() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }
}

impl<K: Ord + Clone, V> Looks<K, V> {
    fn remember(&self, key: K, value: V) {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.retain(|_, (since, _)| since.elapsed() < LOOK_FOR);
        while looks.len() >= LOOKS_MAX {
            looks.pop_first();
        }
        looks.insert(key, (Instant::now(), value));
    }

    fn take(&self, key: &K) -> Option<V> {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.remove(key).filter(|(since, _)| since.elapsed() < LOOK_FOR).map(|(_, value)| value)
    }
}

/// Everything that was learned.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    root: Slot<Root>,
    data: Slot<DataFields>,
    groups: Slot<Groups>,
    divisions: Slot<Divisions>,
    card_types: Slot<CardTypes>,
    records: Looks<CardholderId, Record>,
    nobody: Looks<CorrelationKey, ()>,
}

impl Learned {
    /// Remembers a record as it was just read.
    pub(crate) fn saw(&self, record: Record) {
        self.records.remember(record.cardholder.id.clone(), record);
    }

    /// The record as it was read a moment ago, once: a write changes the links of its memberships.
    pub(crate) fn take_record(&self, id: &CardholderId) -> Option<Record> {
        self.records.take(id)
    }

    /// Remembers that nobody had this key.
    pub(crate) fn saw_nobody(&self, key: CorrelationKey) {
        self.nobody.remember(key, ());
    }

    /// Whether nobody had this key a moment ago, once.
    pub(crate) fn take_nobody(&self, key: &CorrelationKey) -> bool {
        self.nobody.take(key).is_some()
    }
}

impl Gallagher {
    pub(crate) async fn root(&self, api: &Api<'_>) -> Result<Arc<Root>, CallFault> {
        match self.learned.root.get() {
            Some(root) => Ok(root),
            None => self.fresh_root(api).await,
        }
    }

    pub(crate) async fn fresh_root(&self, api: &Api<'_>) -> Result<Arc<Root>, CallFault> {
        Ok(self.learned.root.set(discovery::root(api).await?))
    }

    pub(crate) async fn data_fields(&self, api: &Api<'_>) -> Result<Arc<DataFields>, CallFault> {
        match self.learned.data.get() {
            Some(data) => Ok(data),
            None => self.fresh_data_fields(api).await,
        }
    }

    pub(crate) async fn fresh_data_fields(&self, api: &Api<'_>) -> Result<Arc<DataFields>, CallFault> {
        let root = self.root(api).await?;
        Ok(self.learned.data.set(discovery::data_fields(api, &root, &self.config).await?))
    }

    pub(crate) async fn groups(&self, api: &Api<'_>) -> Result<Arc<Groups>, CallFault> {
        match self.learned.groups.get() {
            Some(groups) => Ok(groups),
            None => self.fresh_groups(api).await,
        }
    }

    pub(crate) async fn fresh_groups(&self, api: &Api<'_>) -> Result<Arc<Groups>, CallFault> {
        let root = self.root(api).await?;
        Ok(self.learned.groups.set(discovery::groups(api, &root).await?))
    }

    pub(crate) async fn divisions(&self, api: &Api<'_>) -> Result<Arc<Divisions>, CallFault> {
        if let Some(divisions) = self.learned.divisions.get() {
            return Ok(divisions);
        }
        let root = self.root(api).await?;
        Ok(self.learned.divisions.set(discovery::divisions(api, &root).await?))
    }

    pub(crate) async fn card_types(&self, api: &Api<'_>) -> Result<Arc<CardTypes>, CallFault> {
        if let Some(card_types) = self.learned.card_types.get() {
            return Ok(card_types);
        }
        let root = self.root(api).await?;
        Ok(self.learned.card_types.set(discovery::card_types(api, &root).await?))
    }

    /// The path of the access group that carries the personal data fields.
    pub(crate) async fn home(&self, api: &Api<'_>) -> Result<Option<String>, CallFault> {
        let Some(wanted) = &self.config.home_group else { return Ok(None) };
        match self.data_fields(api).await?.carrier(wanted) {
            Some(path) => Ok(Some(path.to_owned())),
            None => self.groups(api).await?.named(api, wanted).map(Some),
        }
    }

    /// How records are read.
    pub(crate) async fn shape(&self, api: &Api<'_>) -> Result<Shape, CallFault> {
        let data = self.data_fields(api).await?.as_ref().clone();
        let home = self.home(api).await?;
        Ok(Shape::new(self.client.base().clone(), data, self.config.card_states.clone(), home))
    }

    /// Whether a record is in the divisions that are ours. All are, where the settings name none.
    pub(crate) async fn is_ours(&self, api: &Api<'_>, record: &Record) -> Result<bool, CallFault> {
        if self.config.divisions.is_empty() {
            return Ok(true);
        }
        let Some(division) = record.division.as_deref() else { return Ok(false) };
        Ok(self.divisions(api).await?.is_within(division, &self.config.divisions))
    }
}
