//! Speaks NBAPI v2 (XML commands over HTTP) to a LenelS2 NetBox: people are cardholders, their cards are credentials.
//!
//! This crate never deletes or purges a person, never sends a bare list of access levels, and never touches a portal, a
//! schedule or a threat level: it has no command for any of it.

#![forbid(unsafe_code)]

mod api;
mod applying;
mod by_hand;
mod clock;
mod config;
mod convert;
mod envelope;
mod finding;
mod levels;
mod place;
mod probing;
mod session;
pub mod simulator;
mod xml;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lockstep_contract::{
    Action, ApplyFault, Capabilities, Cardholder, CardholderId, Catalog, Census, CorrelationKey, CredentialSupport,
    Cursor, Cx, Enforcement, Fault, FaultKind, Granularity, Health, KeyKind, Next, Opening, Page, Receipt, Suspend,
    Target, TargetId, TargetInfo, TargetReader,
};
use lockstep_http::{CallFault, Client};

use api::Api;
use convert::{Shape, is_deleted, level_names};
use levels::Levels;
use session::{Account, Line, Session};
use xml::Element;

pub use by_hand::NetBoxByHand as ByHand;
pub use config::{Config, ZoneName};
pub use place::{Place, UserField};

/// How long what was learned about a NetBox is relied on.
pub(crate) const LEARNED_FOR: Duration = Duration::from_secs(60 * 60);
/// How long the list of levels is relied on.
const LEVELS_FOR: Duration = Duration::from_secs(5 * 60);
/// A list of levels older than this is read again when somebody holds a level that is not on it.
const LEVELS_AGAIN: Duration = Duration::from_secs(10);

/// A LenelS2 NetBox.
#[derive(Debug)]
pub struct NetBox {
    info: TargetInfo,
    config: Config,
    shape: Shape,
    client: Client,
    session: Session,
    levels: Mutex<Option<(Instant, Arc<Levels>)>>,
    /// Somebody with this kind of key, to try a search on.
    canaries: Mutex<BTreeMap<KeyKind, (CardholderId, CorrelationKey)>>,
    /// Since when searches by this kind of key are known to find people.
    proved: Mutex<BTreeMap<KeyKind, Instant>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens a target. Reads files and secrets, and connects to nothing.
///
/// # Errors
/// [`FaultKind::Invalid`] when the settings contradict each other, or the address, a file or a secret is not usable.
pub fn open(id: TargetId, config: Config, opening: &Opening<'_>) -> Result<NetBox, Fault> {
    let shape = config.shape().map_err(|message| config::invalid(id.as_str(), &message))?;
    let client = config.client(id.as_str(), opening)?;
    let account = Account {
        user: config.user.clone(),
        password: config.secret(id.as_str(), opening)?,
        path: config.path.clone(),
        partition: config.partition.clone(),
    };
    Ok(NetBox {
        info: info(id, &config, &shape, client.base().as_str()),
        config,
        shape,
        client,
        session: Session::new(account),
        levels: Mutex::new(None),
        canaries: Mutex::new(BTreeMap::new()),
        proved: Mutex::new(BTreeMap::new()),
    })
}

fn info(id: TargetId, config: &Config, shape: &Shape, base: &str) -> TargetInfo {
    let base = base.trim_end_matches('/');
    TargetInfo {
        id,
        kind: "netbox".to_owned(),
        endpoint: base.to_owned(),
        fingerprint: match &config.partition {
            Some(partition) => format!("{base} partition {partition}"),
            None => base.to_owned(),
        },
        capabilities: Capabilities {
            granularity: Granularity::Step,
            suspend: Suspend::CardholderFlag,
            credentials: CredentialSupport::Status,
            validity: true,
            // LASTEDIT is read, and shown; no write can be made to depend on it.
            revision: false,
            idempotency: false,
            keys: shape.key_kinds(),
            fields: shape.field_rules(),
            enforcement: Enforcement::Database,
            in_flight_max: config.in_flight_max,
            requests_per_minute: config.requests_per_minute,
        },
    }
}

/// Where a list of people stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    start: u64,
    sent: u64,
    count: u32,
}

impl Progress {
    fn read(cursor: &Cursor) -> Option<Self> {
        let mut parts = cursor.0.split('.');
        let place = Self {
            start: parts.next()?.parse().ok()?,
            sent: parts.next()?.parse().ok()?,
            count: parts.next()?.parse().ok().filter(|count| *count > 0)?,
        };
        parts.next().is_none().then_some(place)
    }

    fn write(self) -> Cursor {
        Cursor(format!("{}.{}.{}", self.start, self.sent, self.count))
    }
}

impl NetBox {
    fn api<'a>(&'a self, cx: &'a Cx) -> Api<'a> {
        Api { line: Line::begin(&self.session, &self.client, cx) }
    }

    /// The access levels, read again when what is known is older than this.
    async fn levels(&self, api: &Api<'_>, age_max: Duration) -> Result<Arc<Levels>, CallFault> {
        let known = lock(&self.levels).clone();
        if let Some((_, levels)) = known.filter(|(since, _)| since.elapsed() < age_max) {
            return Ok(levels);
        }
        let levels = Arc::new(api.levels().await?);
        *lock(&self.levels) = Some((Instant::now(), Arc::clone(&levels)));
        Ok(levels)
    }

    /// The access levels, with those that these people hold if they are on the list at all.
    async fn levels_for(
        &self,
        api: &Api<'_>,
        people: &[Element],
        age_max: Duration,
        operation: &str,
    ) -> Result<Arc<Levels>, CallFault> {
        let levels = self.levels(api, age_max).await?;
        for person in people {
            let held = level_names(person).map_err(|error| api.bad(operation, &error))?;
            if !held.iter().all(|name| levels.knows(name)) {
                return self.levels(api, LEVELS_AGAIN).await;
            }
        }
        Ok(levels)
    }

    async fn cardholder(&self, api: &Api<'_>, person: &Element, operation: &str) -> Result<Cardholder, CallFault> {
        self.remember(person);
        let levels = self.levels_for(api, std::slice::from_ref(person), LEVELS_FOR, operation).await?;
        self.shape.cardholder(person, &levels).map_err(|error| api.bad(operation, &error))
    }

    async fn list_page(&self, cx: &Cx, at: Option<Cursor>) -> Result<Page<Cardholder>, CallFault> {
        const OPERATION: &str = "list people";
        let api = self.api(cx);
        let (place, age_max) = match &at {
            // A list begins with the levels as they are now.
            None => (Progress { start: 0, sent: 0, count: self.config.page_size.get() }, LEVELS_AGAIN),
            Some(cursor) => (Progress::read(cursor).ok_or_else(|| stale(&api))?, LEVELS_FOR),
        };
        let page = api.people(place.start, place.count, place.sent + 1).await?;
        let levels = self.levels_for(&api, &page.people, age_max, OPERATION).await?;
        let mut ids = BTreeSet::new();
        let mut items = Vec::with_capacity(page.people.len());
        for person in &page.people {
            self.remember(person);
            let one = self.shape.cardholder(person, &levels).map_err(|error| api.bad(OPERATION, &error))?;
            if !ids.insert(one.id.clone()) {
                return Err(api.line.protocol(OPERATION, &format!("cut list: person {} was sent twice", one.id)));
            }
            items.push(one);
        }
        let sent = place.sent + items.len() as u64;
        let next = match page.next {
            Some(start) => Next::More(Progress { start, sent, count: page.count }.write()),
            // NBAPI counts nothing.
            None => Next::End(Census { sent, server_total: None }),
        };
        Ok(Page { items, next })
    }

    /// A person who is there and not in the bin.
    pub(crate) async fn present(&self, api: &Api<'_>, id: &CardholderId) -> Result<Option<Element>, CallFault> {
        let Some(person) = api.person(id.as_str()).await? else { return Ok(None) };
        let deleted = is_deleted(&person).map_err(|error| api.bad("read a person", &error))?;
        Ok((!deleted).then_some(person))
    }
}

fn stale(api: &Api<'_>) -> CallFault {
    let message = "this place in the list is not known; begin the list again";
    CallFault::not_sent(api.fault(FaultKind::Invalid, "list people", message))
}

#[async_trait]
impl TargetReader for NetBox {
    fn info(&self) -> &TargetInfo {
        &self.info
    }

    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        Ok(probing::probe(self, &self.api(cx)).await?)
    }

    async fn catalog(&self, cx: &Cx) -> Result<Catalog, Fault> {
        let api = self.api(cx);
        let levels = self.levels(&api, Duration::ZERO).await?;
        Ok(levels.catalog().map_err(|error| api.bad("list access levels", &error))?)
    }

    async fn list(&self, cx: &Cx, at: Option<Cursor>) -> Result<Page<Cardholder>, Fault> {
        Ok(self.list_page(cx, at).await?)
    }

    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Cardholder>, Fault> {
        let api = self.api(cx);
        let mut found = Vec::new();
        for person in finding::find(self, &api, key).await? {
            found.push(self.cardholder(&api, &person, &format!("find {key}")).await?);
        }
        Ok(found)
    }

    async fn read(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Cardholder>, Fault> {
        let api = self.api(cx);
        match self.present(&api, id).await? {
            Some(person) => Ok(Some(self.cardholder(&api, &person, &format!("read person {id}")).await?)),
            None => Ok(None),
        }
    }
}

#[async_trait]
impl Target for NetBox {
    async fn apply(&self, cx: &Cx, action: &Action) -> Result<Receipt, ApplyFault> {
        applying::apply(self, cx, action).await
    }
}
