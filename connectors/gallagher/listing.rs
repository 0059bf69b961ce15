//! Reads all cardholders: first a bookmark in the feed of changes, then page by page, then whatever changed meanwhile.
//! So a list is whole although others edit. This module must not judge.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use lockstep_contract::{Cardholder, CardholderId, Census, Cursor, FaultKind, Next, Page, Status};
use lockstep_http::{Answer, CallFault, Url, Value, quote};

use crate::Gallagher;
use crate::api::{Api, Object, PAGES_MAX, checked, object, with_query};
use crate::convert::{BadRecord, Record, Shape};
use crate::finding::{blind, broken, read_record};

/// How many lists may be under way at once; the oldest is given up.
const WALKS_MAX: usize = 8;
/// Pages of changes that are followed after a list. More means that the site is changing as a whole.
const CHANGE_PAGES_MAX: usize = 200;
/// An answer of so many bytes takes milliseconds to take apart.
const LONG: usize = 32 * 1024;
const OPERATION: &str = "list cardholders";

/// A list under way.
#[derive(Debug)]
pub(crate) struct Walk {
    shape: Shape,
    /// Where the feed of changes stood before the first page.
    bookmark: Option<Url>,
    /// Where the next page is.
    next: Url,
    /// The pages that were read.
    read: BTreeSet<String>,
    /// Who was handed on.
    seen: BTreeSet<CardholderId>,
}

/// Reads a page. When that fails, nothing has moved, and the same page can be asked for again.
pub(crate) async fn page(
    gallagher: &Gallagher,
    api: &Api<'_>,
    at: Option<Cursor>,
) -> Result<Page<Cardholder>, CallFault> {
    let (number, page, shared) = match &at {
        None => begin(gallagher, api).await?,
        Some(cursor) => resume(gallagher, cursor).ok_or_else(|| stale(api))?,
    };
    let mut walk = shared.lock().await;
    if walk.read.len() != page {
        return Err(stale(api));
    }
    let (mut records, next) = walk.fetch(api).await?;
    walk.new_ones(api, &records)?;
    if next.is_none() {
        walk.catch_up(gallagher, api, &mut records).await?;
        if records.is_empty() && walk.seen.is_empty() && !gallagher.config.may_be_empty {
            return Err(blind(api, OPERATION));
        }
    }
    let here = walk.next.to_string();
    walk.read.insert(here);
    walk.seen.extend(records.iter().map(|record| record.cardholder.id.clone()));
    let sent = walk.seen.len() as u64;
    let next = if let Some(next) = next {
        walk.next = next;
        Next::More(Cursor(format!("{number}.{}", page + 1)))
    } else {
        gallagher.walks.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        Next::End(Census { sent, server_total: None })
    };
    Ok(Page { items: records.into_iter().map(|record| record.cardholder).collect(), next })
}

/// The records of a page, and what else is in its answer. Each is made small as soon as it is read.
fn taken_in(answer: &Answer, shape: &Shape) -> Result<(Vec<Record>, Object), CallFault> {
    let taken: RefCell<Vec<Result<Record, BadRecord>>> = RefCell::new(Vec::new());
    let value = answer.json_with(&|key, item| {
        if key == "results" {
            taken.borrow_mut().push(shape.record(&item));
            Value::Null
        } else {
            item
        }
    })?;
    let body = object(answer, value)?;
    if !body.get("results").is_some_and(Value::is_array) {
        return Err(answer.broken("the answer is no search result: it has no array `results`"));
    }
    let records: Result<Vec<Record>, BadRecord> = taken.into_inner().into_iter().collect();
    Ok((records.map_err(|bad| answer.broken(&quote(&bad.0, &[])))?, body))
}

type Shared = Arc<tokio::sync::Mutex<Walk>>;

async fn begin(gallagher: &Gallagher, api: &Api<'_>) -> Result<(u64, usize, Shared), CallFault> {
    let root = gallagher.root(api).await?;
    let shape = gallagher.shape(api).await?;
    let bookmark = match &root.changes {
        Some(changes) => bookmark(api, changes.clone(), &shape).await?,
        None => None,
    };
    let top = gallagher.config.page_size.to_string();
    let divisions = gallagher.config.divisions.join(",");
    let fields = shape.fields("");
    // By id: the only order that does not shift while others edit.
    let mut query = vec![("sort", "id"), ("top", &*top), ("fields", &*fields)];
    if !divisions.is_empty() {
        query.push(("division", &divisions));
    }
    let next = with_query(root.cardholders.clone(), &query);
    let walk = Walk { shape, bookmark, next, read: BTreeSet::new(), seen: BTreeSet::new() };
    let shared = Arc::new(tokio::sync::Mutex::new(walk));
    let number = gallagher.walk_number.fetch_add(1, Ordering::Relaxed);
    let mut walks = gallagher.walks.lock().unwrap_or_else(PoisonError::into_inner);
    while walks.len() >= WALKS_MAX {
        walks.pop_first();
    }
    walks.insert(number, Arc::clone(&shared));
    Ok((number, 0, shared))
}

/// The end of the feed of changes as it is now.
async fn bookmark(api: &Api<'_>, changes: Url, shape: &Shape) -> Result<Option<Url>, CallFault> {
    let filter = "firstName,lastName,authorised,division,cards,accessGroups,personalDataFields";
    let fields = format!("type,item,{}", shape.fields("cardholder."));
    let first = with_query(changes, &[("top", "1000"), ("filter", filter), ("fields", &fields)]);
    let page = api.page(first, "set a bookmark in the changes").await?;
    page.next
        .map(Some)
        .ok_or_else(|| api.protocol("set a bookmark in the changes", "the feed of changes has no end to mark"))
}

fn resume(gallagher: &Gallagher, at: &Cursor) -> Option<(u64, usize, Shared)> {
    let (number, page) = at.0.split_once('.')?;
    let (number, page) = (number.parse().ok()?, page.parse().ok()?);
    let walks = gallagher.walks.lock().unwrap_or_else(PoisonError::into_inner);
    walks.get(&number).map(|walk| (number, page, Arc::clone(walk)))
}

fn stale(api: &Api<'_>) -> CallFault {
    let message = "this place in the list is not known any more; begin the list again";
    CallFault::not_sent(api.fault(FaultKind::Invalid, OPERATION, message))
}

/// One thing that changed: the record as it is now, unless it is gone.
struct Change {
    id: CardholderId,
    gone: bool,
    record: Option<Record>,
}

impl Walk {
    /// Reads the next page. Records are taken over one by one, so that a page is never there twice.
    async fn fetch(&self, api: &Api<'_>) -> Result<(Vec<Record>, Option<Url>), CallFault> {
        let page = self.read.len() + 1;
        let operation = format!("{OPERATION}, page {page}");
        if page > PAGES_MAX || self.read.contains(self.next.as_str()) {
            return Err(api.protocol(&operation, "the list has no end: the link to its next page came before"));
        }
        let answer = checked(api.get(self.next.clone(), &operation).await?)?;
        let (records, body) = if answer.body().len() < LONG {
            taken_in(&answer, &self.shape)?
        } else {
            // Work of milliseconds goes beside: the same thread may be waiting for another system.
            let (answer, shape) = (answer.clone(), self.shape.clone());
            let taken = tokio::task::spawn_blocking(move || taken_in(&answer, &shape)).await;
            taken.map_err(|_| api.protocol(&operation, "the answer was not read to its end"))??
        };
        let next = api.next_of(&answer, &body, &operation)?;
        Ok((records, next))
    }

    /// Nobody may be on a list twice: a page that came again is no page.
    fn new_ones(&self, api: &Api<'_>, records: &[Record]) -> Result<(), CallFault> {
        let mut here = BTreeSet::new();
        let again = records.iter().map(|r| &r.cardholder.id).find(|id| self.seen.contains(id) || !here.insert(*id));
        match again {
            Some(id) => Err(api.protocol(OPERATION, format!("cardholder {id} came twice"))),
            None => Ok(()),
        }
    }

    /// Brings the last page up to date, and adds whoever came while the pages were read. Records of earlier pages are
    /// with the engine already, which looks at each again before it acts.
    async fn catch_up(&self, gallagher: &Gallagher, api: &Api<'_>, records: &mut Vec<Record>) -> Result<(), CallFault> {
        let mut at: BTreeMap<CardholderId, usize> =
            records.iter().enumerate().map(|(place, record)| (record.cardholder.id.clone(), place)).collect();
        let mut gone = BTreeSet::new();
        for (id, change) in self.changes(api).await? {
            if self.seen.contains(&id) {
                continue;
            }
            let record = match change {
                Change { gone: true, .. } => None,
                Change { record: Some(record), .. } => Some(record),
                Change { record: None, .. } => read_record(gallagher, api, &self.shape, &id).await?,
            };
            let record = match record {
                Some(record) if gallagher.is_ours(api, &record).await? => Some(record),
                Some(_) | None => None,
            };
            match (record, at.get(&id).copied()) {
                (Some(record), Some(place)) => {
                    if let Some(slot) = records.get_mut(place) {
                        *slot = record;
                    }
                }
                (Some(record), None) => {
                    at.insert(id, records.len());
                    records.push(record);
                }
                (None, _) => {
                    gone.insert(id);
                }
            }
        }
        records.retain(|record| !gone.contains(&record.cardholder.id));
        Ok(())
    }

    /// What changed since the bookmark, the last change of each record.
    async fn changes(&self, api: &Api<'_>) -> Result<BTreeMap<CardholderId, Change>, CallFault> {
        let operation = "read what changed while the list was read";
        let mut changes = BTreeMap::new();
        let mut at = self.bookmark.clone();
        for _ in 0..CHANGE_PAGES_MAX {
            let Some(url) = at else { return Ok(changes) };
            let page = api.page(url, operation).await?;
            if page.items.is_empty() {
                return Ok(changes);
            }
            for item in &page.items {
                let change = self.change(item).map_err(|bad| broken(api, operation, &bad))?;
                changes.insert(change.id.clone(), change);
            }
            at = page.next;
        }
        let message = "more is changing at this site than can be followed; read the list again later";
        Err(CallFault::not_sent(api.fault(FaultKind::Unreachable, operation, message)))
    }

    fn change(&self, item: &Value) -> Result<Change, BadRecord> {
        let href = item.get("item").and_then(|item| item.get("href")).and_then(Value::as_str);
        let href = href.ok_or_else(|| BadRecord("a change that does not say of whom".to_owned()))?;
        let url = crate::api::link(&self.shape.base, href).map_err(BadRecord)?;
        let id = CardholderId::new(crate::api::path_of(&url)).map_err(|error| BadRecord(error.to_string()))?;
        let gone = item.get("type").and_then(Value::as_str) == Some("remove");
        let record = match item.get("cardholder") {
            Some(cardholder @ Value::Object(_)) if !gone => Some(self.shape.record(cardholder)?),
            Some(_) | None => None,
        };
        // Another record, or half of one, would be taken for the one that changed.
        let whole = |record: &Record| !matches!(record.cardholder.status, Status::Other(_));
        let record = record.filter(|record| record.cardholder.id == id && whole(record));
        Ok(Change { id, gone, record })
    }
}
