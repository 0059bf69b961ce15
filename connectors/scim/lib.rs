//! Speaks SCIM 2.0 (RFC 7643, RFC 7644, RFC 9865) to a PACS: users are cardholders, groups are access levels.
//!
//! SCIM has no credentials, no validity and no doors. What a server says about itself is believed only where a mistake
//! would show; everything else is proved on people who are known before it is relied on. This crate never deletes a user
//! or a group.

#![forbid(unsafe_code)]

mod api;
mod applying;
mod by_hand;
mod config;
mod convert;
mod discovery;
mod finding;
mod listed;
mod listing;
mod memberships;
mod plain;
mod probing;
mod user;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lockstep_contract::{
    AccessLevelId, Action, ApplyFault, Capabilities, Cardholder, CardholderId, Catalog, CorrelationKey,
    CredentialSupport, Cursor, Cx, Enforcement, Fault, FaultKind, Granularity, Health, KeyKind, Next, Opening, Page,
    Receipt, Suspend, Target, TargetId, TargetInfo, TargetReader,
};
use lockstep_http::{CallFault, Client};

use api::{Api, Object, Resource};
use discovery::Provider;
use listed::{Listed, Lister, named_levels};
use listing::Walk;
use memberships::{Memberships, Source};

pub use by_hand::ScimByHand as ByHand;
pub use config::{ClientCertificateConfig, Config, MemberRemoval, Memberships as MembershipsSetting, Paging, UserName};

/// How long what was learned about a server is relied on.
const LEARNED_FOR: Duration = Duration::from_secs(60 * 60);
/// How many lists may be under way at once; the oldest is given up.
const WALKS_MAX: usize = 8;

/// A PACS that is reached by SCIM.
#[derive(Debug)]
pub struct Scim {
    info: TargetInfo,
    config: Config,
    client: Client,
    provider: Learned<Provider>,
    source: Learned<Source>,
    /// Whether a filter by this kind of key finds somebody who is known to be there.
    filters: Learned<BTreeMap<KeyKind, bool>>,
    /// A user with this kind of key, to try a filter on.
    canaries: Mutex<BTreeMap<KeyKind, (CardholderId, CorrelationKey)>>,
    walks: Mutex<BTreeMap<u64, Arc<tokio::sync::Mutex<UserWalk>>>>,
    walk_number: AtomicU64,
    /// Whose turn it is to read a group and write it back.
    turns: Mutex<BTreeMap<AccessLevelId, Arc<tokio::sync::Mutex<()>>>>,
    /// Held shared by whoever reads all users, and alone by whoever creates one.
    arrivals: tokio::sync::RwLock<()>,
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

/// A list of cardholders under way.
#[derive(Debug)]
struct UserWalk {
    walk: Walk,
    lister: Lister,
    /// Pages that were handed on.
    handed_on: u32,
    /// The page after those, if it was asked for ahead of time.
    ahead: Option<Result<Vec<Listed>, CallFault>>,
}

impl UserWalk {
    async fn next(&mut self, api: &Api<'_>) -> Result<Vec<Listed>, CallFault> {
        let lister = self.lister.clone();
        self.walk.next(api, move |answer| lister.page(answer)).await
    }
}

/// Opens a target. Reads files and secrets, and connects to nothing.
///
/// # Errors
/// [`FaultKind::Invalid`] when the address, a file or a secret is not usable.
pub fn open(id: TargetId, config: Config, opening: &Opening<'_>) -> Result<Scim, Fault> {
    let client = config.client(id.as_str(), opening)?;
    let info = info(id, &config, client.base().as_str());
    Ok(Scim {
        info,
        config,
        client,
        provider: Learned::nothing(),
        source: Learned::nothing(),
        filters: Learned::nothing(),
        canaries: Mutex::new(BTreeMap::new()),
        walks: Mutex::new(BTreeMap::new()),
        walk_number: AtomicU64::new(0),
        turns: Mutex::new(BTreeMap::new()),
        arrivals: tokio::sync::RwLock::new(()),
    })
}

fn info(id: TargetId, config: &Config, base: &str) -> TargetInfo {
    TargetInfo {
        id,
        kind: "scim".to_owned(),
        endpoint: base.to_owned(),
        fingerprint: base.trim_end_matches('/').to_owned(),
        capabilities: Capabilities {
            granularity: Granularity::Step,
            suspend: Suspend::CardholderFlag,
            credentials: CredentialSupport::None,
            validity: false,
            // Only some servers have versions, and which ones is not known before they are asked.
            revision: false,
            idempotency: false,
            keys: config.shape(false).key_kinds(),
            fields: convert::fields(config.enterprise).collect(),
            enforcement: Enforcement::Database,
            in_flight_max: config.in_flight_max,
            requests_per_minute: config.requests_per_minute,
        },
    }
}

impl Scim {
    /// The lock that everybody holds who reads a group in order to write it back: two of them at once, and the second
    /// would undo what the first did.
    fn turn_of(&self, level: &AccessLevelId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(level.clone()).or_default())
    }

    /// What the server says about itself.
    async fn provider(&self, api: &Api<'_>) -> Result<Provider, CallFault> {
        if let Some(provider) = self.provider.get() {
            return Ok(provider);
        }
        let document = api.document("ServiceProviderConfig").await?;
        let provider = discovery::provider(document.as_ref(), &self.config);
        self.provider.set(provider.clone());
        Ok(provider)
    }

    /// All memberships; on the way, finds out how to read those of one user.
    async fn all_memberships(&self, api: &Api<'_>, provider: &Provider) -> Result<Memberships, CallFault> {
        let memberships = memberships::scan(api, provider).await?;
        if memberships::fixed(self.config.memberships).is_none()
            && self.source.get().is_none()
            && let Some(source) = memberships::calibrate(api, provider, &memberships).await?
        {
            tracing::debug!(system = api.system(), ?source, "how the groups of one user are read");
            self.source.set(source);
        }
        Ok(memberships)
    }

    /// A user with the levels that it has now.
    async fn with_levels(&self, api: &Api<'_>, provider: &Provider, user: &Object) -> Result<Cardholder, CallFault> {
        let bad = |error: convert::BadRecord| api.protocol("read a user", &error.to_string());
        let id = convert::id_of(user, "user").map_err(bad)?;
        let source = memberships::fixed(self.config.memberships).or_else(|| self.source.get());
        let levels = match source {
            Some(Source::UserGroups) => named_levels(user).map_err(bad)?,
            Some(Source::GroupFilter) => memberships::by_filter(api, provider, id).await?,
            Some(Source::AllGroups) | None => self.all_memberships(api, provider).await?.levels_of(id),
        };
        convert::cardholder(user, levels, self.config.shape(provider.etag)).map_err(bad)
    }

    async fn begin_walk(&self, api: &Api<'_>) -> Result<(u64, Arc<tokio::sync::Mutex<UserWalk>>), CallFault> {
        let provider = self.provider(api).await?;
        let memberships = match memberships::fixed(self.config.memberships) {
            Some(Source::UserGroups) => None,
            Some(Source::AllGroups | Source::GroupFilter) | None => {
                Some(Arc::new(self.all_memberships(api, &provider).await?))
            }
        };
        let lister = Lister {
            memberships,
            cross_check: self.config.memberships == MembershipsSetting::Auto,
            shape: self.config.shape(provider.etag),
        };
        let walk = Walk::new(Resource::Users, &provider);
        let number = self.walk_number.fetch_add(1, Ordering::Relaxed);
        let walk = Arc::new(tokio::sync::Mutex::new(UserWalk { walk, lister, handed_on: 0, ahead: None }));
        let mut walks = self.walks.lock().unwrap_or_else(PoisonError::into_inner);
        while walks.len() >= WALKS_MAX {
            walks.pop_first();
        }
        walks.insert(number, Arc::clone(&walk));
        Ok((number, walk))
    }

    fn resume_walk(&self, at: &Cursor) -> Option<(u64, u32, Arc<tokio::sync::Mutex<UserWalk>>)> {
        let (number, page) = at.0.split_once('.')?;
        let (number, page) = (number.parse().ok()?, page.parse().ok()?);
        let walks = self.walks.lock().unwrap_or_else(PoisonError::into_inner);
        walks.get(&number).map(|walk| (number, page, Arc::clone(walk)))
    }

    async fn list_page(&self, cx: &Cx, at: Option<Cursor>) -> Result<Page<Cardholder>, CallFault> {
        let api = Api::begin(&self.client, cx);
        let (number, page, shared) = match &at {
            None => {
                let (number, walk) = self.begin_walk(&api).await?;
                (number, 0, walk)
            }
            Some(cursor) => self.resume_walk(cursor).ok_or_else(|| stale(&api))?,
        };
        let mut walk = Arc::clone(&shared).lock_owned().await;
        if walk.handed_on != page {
            return Err(stale(&api));
        }
        let users = match walk.ahead.take() {
            Some(users) => users?,
            None => walk.next(&api).await?,
        };
        walk.handed_on += 1;
        if users.iter().any(|user| user.fewer) && self.source.get() == Some(Source::UserGroups) {
            // It told the truth about the samples and not about this one: from now on only the members count.
            tracing::warn!(system = %self.info.id, "the groups that users name are not all of their groups");
            self.source.set(Source::AllGroups);
        }
        let next = if let Some(census) = walk.walk.census() {
            self.walks.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
            Next::End(census)
        } else {
            let cursor = Cursor(format!("{number}.{}", walk.handed_on));
            self.ask_ahead(cx, walk);
            Next::More(cursor)
        };
        Ok(Page { items: users.into_iter().map(|user| user.cardholder).collect(), next })
    }

    /// Asks for the next page while this one is being taken in, if the server takes more than one request at a time.
    fn ask_ahead(&self, cx: &Cx, mut walk: tokio::sync::OwnedMutexGuard<UserWalk>) {
        if self.config.in_flight_max.get() > 1 {
            let (client, cx) = (self.client.clone(), cx.clone());
            tokio::spawn(async move { walk.ahead = Some(walk.next(&Api::begin(&client, &cx)).await) });
        }
    }
}

fn stale(api: &Api<'_>) -> CallFault {
    let message = "this place in the list is not known any more; begin the list again";
    let fault = api.fault(FaultKind::Invalid, "list users", message);
    CallFault::not_sent(fault)
}

#[async_trait]
impl TargetReader for Scim {
    fn info(&self) -> &TargetInfo {
        &self.info
    }

    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        Ok(probing::probe(self, &Api::begin(&self.client, cx)).await?)
    }

    async fn catalog(&self, cx: &Cx) -> Result<Catalog, Fault> {
        let api = Api::begin(&self.client, cx);
        let provider = self.provider(&api).await?;
        Ok(memberships::catalog(&api, &provider).await?)
    }

    async fn list(&self, cx: &Cx, at: Option<Cursor>) -> Result<Page<Cardholder>, Fault> {
        Ok(self.list_page(cx, at).await?)
    }

    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Cardholder>, Fault> {
        let api = Api::begin(&self.client, cx);
        let users = finding::find(self, &api, key).await?;
        let provider = self.provider(&api).await?;
        let mut found = Vec::with_capacity(users.len());
        for user in &users {
            found.push(self.with_levels(&api, &provider, user).await?);
        }
        Ok(found)
    }

    async fn read(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Cardholder>, Fault> {
        let api = Api::begin(&self.client, cx);
        let Some(user) = api.get(Resource::Users, id.as_str()).await? else { return Ok(None) };
        let provider = self.provider(&api).await?;
        Ok(Some(self.with_levels(&api, &provider, &user).await?))
    }
}

#[async_trait]
impl Target for Scim {
    async fn apply(&self, cx: &Cx, action: &Action) -> Result<Receipt, ApplyFault> {
        applying::apply(self, cx, action).await
    }
}
