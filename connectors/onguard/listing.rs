//! All cardholders with their badges and levels: three lists, joined here, rather than requests for each person. The badges
//! and assignments are read first, a few pages a call, so that no call takes longer than it may. This module must not judge.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use lockstep_contract::{Cardholder, Cursor, Cx, FaultKind, Next, Page};
use lockstep_http::CallFault;

use crate::Onguard;
use crate::api::Api;
use crate::convert::{self, Badge, LevelsOn};
use crate::schema::Schema;
use crate::walk::Walk;
use crate::wire::{Instance, Kind};

/// How many lists may be under way at once; the oldest is given up.
const WALKS_MAX: usize = 8;
/// So many pages of badges and assignments are read in one call.
const PAGES_A_CALL: usize = 16;
/// So often is a list read again that others changed while it was read.
const AGAIN_MAX: u32 = 2;

/// A list of cardholders under way.
#[derive(Debug)]
pub(crate) struct Listing {
    schema: Arc<Schema>,
    page_size: u32,
    kind: Kind,
    walk: Walk,
    again: u32,
    badges: BTreeMap<i64, Vec<Badge>>,
    levels: LevelsOn,
    handed_on: u64,
}

impl Listing {
    fn new(schema: Arc<Schema>, page_size: u32) -> Self {
        let walk = Walk::new(Kind::Badge, page_size);
        let (badges, levels) = (BTreeMap::new(), LevelsOn::new());
        Self { schema, page_size, kind: Kind::Badge, walk, again: 0, badges, levels, handed_on: 0 }
    }

    /// One page of one of the three lists; cardholders when it was one of theirs.
    async fn step(&mut self, api: &Api<'_>, onguard: &Onguard) -> Result<Option<Vec<Cardholder>>, CallFault> {
        let items = match self.walk.next(api).await {
            Ok(items) => items,
            Err(_) if self.walk.is_broken() && self.kind != Kind::Cardholder && self.again < AGAIN_MAX => {
                self.begin(self.kind);
                self.again += 1;
                return Ok(None);
            }
            Err(fault) => return Err(fault),
        };
        let broken = |error: crate::wire::BadInstance| api.protocol("list cardholders", error.to_string());
        if self.kind == Kind::Cardholder {
            return items
                .iter()
                .map(|item| self.joined(item, onguard))
                .collect::<Result<_, _>>()
                .map(Some)
                .map_err(broken);
        }
        for item in &items {
            self.keep(item).map_err(broken)?;
        }
        if self.walk.census().is_some() {
            let next = if self.kind == Kind::Badge { Kind::Assignment } else { Kind::Cardholder };
            self.again = 0;
            self.begin(next);
        }
        Ok(None)
    }

    fn begin(&mut self, kind: Kind) {
        match kind {
            Kind::Badge => self.badges.clear(),
            Kind::Assignment => self.levels.clear(),
            Kind::Cardholder | Kind::Level | Kind::BadgeStatus => {}
        }
        self.kind = kind;
        self.walk = Walk::new(kind, self.page_size);
    }

    fn keep(&mut self, item: &Instance) -> Result<(), crate::wire::BadInstance> {
        if self.kind == Kind::Badge {
            let (person, badge) = Badge::of(item, &self.schema.statuses)?;
            self.badges.entry(person).or_default().push(badge);
        } else {
            self.levels.entry(item.key("BadgeKey")?).or_default().push(item.key("AccessLevelID")?);
        }
        Ok(())
    }

    fn joined(&self, item: &Instance, onguard: &Onguard) -> Result<Cardholder, crate::wire::BadInstance> {
        let badges = self.badges.get(&item.key("ID")?).map(Vec::as_slice).unwrap_or_default();
        convert::cardholder(item, badges, &self.levels, &onguard.shape)
    }
}

/// One call of a list.
pub(crate) async fn page(onguard: &Onguard, cx: &Cx, at: Option<Cursor>) -> Result<Page<Cardholder>, CallFault> {
    let api = onguard.api(cx);
    let (number, handed_on, shared) = match &at {
        None => begin(onguard, &api).await?,
        Some(cursor) => resume(onguard, cursor).ok_or_else(|| stale(&api))?,
    };
    let mut listing = tokio::time::timeout_at(api.deadline(), shared.lock()).await.map_err(|_| stale(&api))?;
    if listing.handed_on != handed_on {
        return Err(stale(&api));
    }
    let mut items = None;
    for _ in 0..PAGES_A_CALL {
        items = listing.step(&api, onguard).await?;
        if items.is_some() {
            break;
        }
    }
    listing.handed_on += 1;
    let census = listing.walk.census().filter(|_| listing.kind == Kind::Cardholder);
    let next = match census {
        Some(census) => {
            onguard.listings().remove(&number);
            Next::End(census)
        }
        None => Next::More(Cursor(format!("{number}.{}", listing.handed_on))),
    };
    Ok(Page { items: items.unwrap_or_default(), next })
}

type Place = (u64, u64, Arc<tokio::sync::Mutex<Listing>>);

async fn begin(onguard: &Onguard, api: &Api<'_>) -> Result<Place, CallFault> {
    let schema = onguard.schema(api).await?;
    let listing = Arc::new(tokio::sync::Mutex::new(Listing::new(schema, onguard.config.page_size.get())));
    let number = onguard.listing_number.fetch_add(1, Ordering::Relaxed);
    let mut listings = onguard.listings();
    while listings.len() >= WALKS_MAX {
        listings.pop_first();
    }
    listings.insert(number, Arc::clone(&listing));
    Ok((number, 0, listing))
}

fn resume(onguard: &Onguard, at: &Cursor) -> Option<Place> {
    let (number, handed_on) = at.0.split_once('.')?;
    let (number, handed_on) = (number.parse().ok()?, handed_on.parse().ok()?);
    let listing = onguard.listings().get(&number).map(Arc::clone)?;
    Some((number, handed_on, listing))
}

fn stale(api: &Api<'_>) -> CallFault {
    let message = "this place in the list is not known any more; begin the list again";
    CallFault::not_sent(api.fault(FaultKind::Invalid, "list cardholders", message))
}
