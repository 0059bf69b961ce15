//! Speaks to LenelS2 OnGuard through OpenAccess: cardholders, their badges, and the access levels on the badges.
//!
//! OnGuard has no switch for a person: a person is out when none of their badges works. Every site has its own properties and
//! badge statuses, so both are read from the server and the settings are checked against them. This crate deletes no
//! cardholder and no badge, and never calls `property_bulk_update`, which changes everybody when its list is forgotten.

#![forbid(unsafe_code)]

mod api;
mod applying;
mod by_hand;
mod changes;
mod config;
mod convert;
mod finding;
mod listing;
mod probing;
mod schema;
mod session;
pub mod simulator;
mod walk;
mod wire;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lockstep_contract::{
    Action, ApplyFault, Cardholder, CardholderId, Catalog, CorrelationKey, Cursor, Cx, Fault, FaultKind, Health,
    KeyKind, Opening, Page, Receipt, Target, TargetId, TargetInfo, TargetReader,
};
use lockstep_http::{CallFault, Client};

use api::Api;
use convert::{Badge, LevelsOn, Shape};
use finding::Finder;
use schema::{Schema, SiteLimits};
use session::Account;
use walk::Walk;
use wire::Kind;

pub use by_hand::OnguardByHand as ByHand;
pub use config::{BadgeStatuses, Config, Constant, Keys, Stored};

/// How long what was learned about a site is relied on.
const LEARNED_FOR: Duration = Duration::from_secs(60 * 60);

/// An OnGuard system.
#[derive(Debug)]
pub struct Onguard {
    info: TargetInfo,
    config: Config,
    shape: Shape,
    client: Client,
    account: Account,
    schema: Learned<Arc<Schema>>,
    limits: Learned<SiteLimits>,
    /// Whether a filter by this kind of key finds somebody who is known to be there.
    filters: Learned<BTreeMap<KeyKind, bool>>,
    /// Somebody with this kind of key, to try a filter on.
    canaries: Mutex<BTreeMap<KeyKind, (i64, String)>>,
    listings: Mutex<BTreeMap<u64, Arc<tokio::sync::Mutex<listing::Listing>>>>,
    listing_number: AtomicU64,
    looks: Looks,
}

/// How long a look at somebody's badges serves.
const LOOK_FOR: Duration = Duration::from_secs(10);
/// So many looks are kept.
const LOOKS_MAX: usize = 64;

/// What was just seen of people. The engine looks at a record right before it sends an action; a look serves one action
/// that gives or takes levels, and none that switches a badge.
#[derive(Debug, Default)]
struct Looks(Mutex<BTreeMap<i64, Look>>);

type Look = (Instant, Vec<Badge>, LevelsOn);

impl Looks {
    fn all(&self) -> MutexGuard<'_, BTreeMap<i64, Look>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, person: i64, badges: &[Badge], levels: &LevelsOn) {
        let mut all = self.all();
        all.retain(|_, (since, _, _)| since.elapsed() < LOOK_FOR);
        if all.len() < LOOKS_MAX {
            all.insert(person, (Instant::now(), badges.to_vec(), levels.clone()));
        }
    }

    /// The last look, if it is fresh. Whatever is done next, it has served.
    fn take(&self, person: i64) -> Option<(Vec<Badge>, LevelsOn)> {
        let (since, badges, levels) = self.all().remove(&person)?;
        (since.elapsed() < LOOK_FOR).then_some((badges, levels))
    }
}

/// A value that is relied on for a while.
#[derive(Debug)]
struct Learned<T>(Mutex<Option<(Instant, T)>>);

impl<T: Clone> Learned<T> {
    const fn nothing() -> Self {
        Self(Mutex::new(None))
    }
    fn get(&self) -> Option<T> {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().filter(|(since, _)| since.elapsed() < LEARNED_FOR).map(|(_, value)| value.clone())
    }
    fn set(&self, value: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), value));
    }
}

/// Opens a target. Reads files and secrets, and connects to nothing.
///
/// # Errors
/// [`FaultKind::Invalid`] when a setting, a file or the password is not usable.
pub fn open(id: TargetId, config: Config, opening: &Opening<'_>) -> Result<Onguard, Fault> {
    let fields = config.check().map_err(|message| Fault::new(FaultKind::Invalid, id.as_str(), "open", message))?;
    let (client, password) = config.client(id.as_str(), opening)?;
    let base = client.base().as_str();
    let info = TargetInfo {
        id,
        kind: "onguard".to_owned(),
        endpoint: base.to_owned(),
        fingerprint: base.trim_end_matches('/').to_owned(),
        capabilities: convert::capabilities(&config, &fields),
    };
    Ok(Onguard {
        info,
        shape: Shape { keys: config.keys.clone(), fields },
        account: Account::new(&config, password),
        config,
        client,
        schema: Learned::nothing(),
        limits: Learned::nothing(),
        filters: Learned::nothing(),
        canaries: Mutex::default(),
        listings: Mutex::default(),
        listing_number: AtomicU64::new(0),
        looks: Looks::default(),
    })
}

impl Onguard {
    fn api<'a>(&'a self, cx: &'a Cx) -> Api<'a> {
        Api::begin(&self.client, &self.account, self.config.queue, cx)
    }

    fn listings(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<tokio::sync::Mutex<listing::Listing>>>> {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the site is like.
    async fn schema(&self, api: &Api<'_>) -> Result<Arc<Schema>, CallFault> {
        if let Some(schema) = self.schema.get() {
            return Ok(schema);
        }
        let schema = Arc::new(Schema::learn(api, &self.config).await?);
        self.schema.set(Arc::clone(&schema));
        Ok(schema)
    }

    /// What the site allows.
    async fn limits(&self, api: &Api<'_>) -> Result<SiteLimits, CallFault> {
        if let Some(limits) = self.limits.get() {
            return Ok(limits);
        }
        let limits = SiteLimits::learn(api).await?;
        self.limits.set(limits);
        Ok(limits)
    }

    async fn levels(&self, api: &Api<'_>) -> Result<Catalog, CallFault> {
        let mut catalog = Catalog::default();
        for level in Walk::new(Kind::Level, self.config.page_size.get()).all(api).await? {
            let read = convert::level(&level);
            catalog.levels.extend(read.map_err(|error| api.protocol("list access levels", error.to_string()))?);
        }
        Ok(catalog)
    }
}

#[async_trait]
impl TargetReader for Onguard {
    fn info(&self) -> &TargetInfo {
        &self.info
    }

    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        Ok(probing::probe(self, &self.api(cx)).await?)
    }

    async fn catalog(&self, cx: &Cx) -> Result<Catalog, Fault> {
        Ok(self.levels(&self.api(cx)).await?)
    }

    async fn list(&self, cx: &Cx, at: Option<Cursor>) -> Result<Page<Cardholder>, Fault> {
        Ok(listing::page(self, cx, at).await?)
    }

    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Cardholder>, Fault> {
        let api = self.api(cx);
        let schema = self.schema(&api).await?;
        let finder = Finder { onguard: self, api: &api, schema: &schema };
        let mut found = Vec::new();
        for instance in finder.find(key).await? {
            found.push(finder.whole(&instance).await?);
        }
        Ok(found)
    }

    async fn read(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Cardholder>, Fault> {
        let api = self.api(cx);
        // OnGuard's ids are numbers: whatever else it is, it is none of theirs.
        let Some(id) = wire::number_of(id.as_str()) else {
            cx.check(api.system(), "read a cardholder")?;
            return Ok(None);
        };
        let schema = self.schema(&api).await?;
        let finder = Finder { onguard: self, api: &api, schema: &schema };
        match finder.instance(id).await? {
            Some(instance) => Ok(Some(finder.whole(&instance).await?)),
            None => Ok(None),
        }
    }
}

#[async_trait]
impl Target for Onguard {
    async fn apply(&self, cx: &Cx, action: &Action) -> Result<Receipt, ApplyFault> {
        applying::apply(self, cx, action).await
    }
}
