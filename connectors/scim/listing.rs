//! Walks a list to its end, page by page, and refuses every list that does not add up. This module must not know what
//! the records mean.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use lockstep_contract::Census;
use lockstep_http::{Answer, CallFault};

use crate::api::{Api, ListPage, Object, Resource};
use crate::convert::{BadRecord, id_of};
use crate::discovery::Provider;

/// Pages of one list. A list that is longer has no end.
const PAGES_MAX: u32 = 10_000;

/// A record of a list.
pub(crate) trait Record: Send + 'static {
    /// Its id.
    fn id(&self, what: &'static str) -> Result<&str, BadRecord>;
}

impl Record for Object {
    fn id(&self, what: &'static str) -> Result<&str, BadRecord> {
        id_of(self, what)
    }
}

/// Where a walk stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Index(u64),
    Cursor(String),
}

/// One walk through one list. A page that failed leaves it where it was, so that the page can be asked for again.
#[derive(Debug)]
pub(crate) struct Walk {
    resource: Resource,
    filter: Option<String>,
    extra: Vec<(&'static str, String)>,
    count: u64,
    sorted: bool,
    place: Place,
    total: Option<u64>,
    seen: Seen,
    cursors: HashSet<Box<str>>,
    pages: u32,
    ended: bool,
}

/// Which ids came. Only their hashes are kept: two ids with one hash look like one that came twice, and the list is read
/// again, once in millions of millions of lists.
#[derive(Debug, Default)]
struct Seen {
    hashes: HashSet<u64>,
    hasher: RandomState,
}

impl Seen {
    fn hash(&self, id: &str) -> u64 {
        self.hasher.hash_one(id)
    }

    fn contains(&self, id: &str) -> bool {
        self.hashes.contains(&self.hash(id))
    }
}

impl Walk {
    pub(crate) fn new(resource: Resource, provider: &Provider) -> Self {
        Self {
            resource,
            filter: None,
            extra: Vec::new(),
            count: provider.count,
            sorted: provider.sort && !provider.by_cursor,
            place: if provider.by_cursor { Place::Cursor(String::new()) } else { Place::Index(1) },
            total: None,
            seen: Seen::default(),
            cursors: HashSet::new(),
            pages: 0,
            ended: false,
        }
    }

    /// Only what this filter lets through. The answer must be checked by the caller: some servers ignore filters.
    pub(crate) fn filtered(mut self, filter: String) -> Self {
        self.filter = Some(filter);
        self.sorted = false;
        self
    }

    /// With pages of at most this many records.
    pub(crate) fn at_most(mut self, count: u64) -> Self {
        self.count = self.count.min(count);
        self
    }

    /// With one more parameter.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.extra.push((name, value.to_owned()));
        self
    }

    /// The counts of a walk that has ended.
    pub(crate) fn census(&self) -> Option<Census> {
        self.ended.then_some(Census { sent: self.seen.hashes.len() as u64, server_total: self.total })
    }

    /// How many records the server says there are.
    pub(crate) const fn total(&self) -> Option<u64> {
        self.total
    }

    /// The next page, each record as `read` takes it apart.
    pub(crate) async fn next<T: Record>(
        &mut self,
        api: &Api<'_>,
        read: impl Fn(&Answer) -> Result<ListPage<T>, CallFault> + Clone + Send + 'static,
    ) -> Result<Vec<T>, CallFault> {
        let operation = format!("list {}, page {}", self.resource.many(), self.pages + 1);
        let page = self.ask_again_for_less(api, &operation, &read).await?;
        let (step, ids) = self.check(&page).map_err(|problem| api.protocol(&operation, &problem))?;
        if let (Step::End, Place::Index(_)) = (&step, &self.place) {
            self.prove_the_end(api, &operation, &page, read).await?;
        }
        self.commit(step, ids, &page);
        Ok(page.items)
    }

    async fn ask_again_for_less<T: Record>(
        &mut self,
        api: &Api<'_>,
        operation: &str,
        read: &(impl Fn(&Answer) -> Result<ListPage<T>, CallFault> + Clone + Send + 'static),
    ) -> Result<ListPage<T>, CallFault> {
        loop {
            match api.list(self.resource, &self.query(&self.place), operation, read.clone()).await {
                // Not every server that sorts can sort by id, and the order is a convenience.
                Err(fault) if self.sorted && self.pages == 0 && matches!(fault.status, Some(400 | 501)) => {
                    self.sorted = false;
                }
                // A group may have as many members as there are people.
                Err(fault) if fault.too_long && self.count > 1 && matches!(self.place, Place::Index(_)) => {
                    self.count = (self.count / 4).max(1);
                }
                other => return other,
            }
        }
    }

    fn query(&self, place: &Place) -> Vec<(&'static str, String)> {
        let mut query = Vec::new();
        query.extend(self.filter.iter().map(|filter| ("filter", filter.clone())));
        match place {
            Place::Index(start) => query.push(("startIndex", start.to_string())),
            Place::Cursor(cursor) => query.push(("cursor", cursor.clone())),
        }
        query.push(("count", self.count.to_string()));
        if self.sorted {
            query.extend([("sortBy", "id".to_owned()), ("sortOrder", "ascending".to_owned())]);
        }
        query.extend(self.extra.iter().cloned());
        query
    }

    /// Some servers give the size of the page as `totalResults`. Behind the last record there must be nothing new;
    /// servers that begin again from the first record are known, and harmless.
    async fn prove_the_end<T: Record>(
        &self,
        api: &Api<'_>,
        operation: &str,
        last: &ListPage<T>,
        read: impl Fn(&Answer) -> Result<ListPage<T>, CallFault> + Send + 'static,
    ) -> Result<(), CallFault> {
        let total = last.total.unwrap_or_default();
        if self.filter.is_some() || total == 0 {
            return Ok(());
        }
        let page = match api.list(self.resource, &self.query(&Place::Index(total + 1)), operation, read).await {
            Ok(page) => page,
            Err(fault) if matches!(fault.status, Some(400 | 404)) => return Ok(()),
            Err(fault) => return Err(fault),
        };
        let known: HashSet<&str> = last.items.iter().filter_map(|item| item.id("record").ok()).collect();
        let is_new = |id: &str| !known.contains(id) && !self.seen.contains(id);
        if page.items.iter().all(|item| item.id("record").is_ok_and(|id| !is_new(id))) {
            return Ok(());
        }
        let message = format!("cut list: the server counts {total}, and sends more after the last of them");
        Err(api.protocol(operation, &message))
    }

    /// Whether a page fits what came before, and the hashes of its ids. Changes nothing.
    fn check<T: Record>(&self, page: &ListPage<T>) -> Result<(Step, HashSet<u64>), String> {
        if self.pages >= PAGES_MAX {
            return Err(format!("cut list: still no end after {PAGES_MAX} pages"));
        }
        let mut on_this_page = HashSet::with_capacity(page.items.len());
        for item in &page.items {
            let id = item.id(self.resource.one()).map_err(|error| error.to_string())?;
            let hash = self.seen.hash(id);
            if self.seen.hashes.contains(&hash) || !on_this_page.insert(hash) {
                return Err(format!("cut list: {} {id} was sent twice; a page was repeated", self.resource.one()));
            }
        }
        if let (Some(before), Some(now)) = (self.total, page.total)
            && before != now
        {
            return Err(format!("cut list: the server counted {before} first and {now} now; read again"));
        }
        let sent = (self.seen.hashes.len() + page.items.len()) as u64;
        if let Some(total) = page.total.or(self.total)
            && sent > total
        {
            return Err(format!("cut list: the server counts {total} and has sent {sent}"));
        }
        let step = match &self.place {
            Place::Index(asked) => index_step(page, *asked, sent),
            Place::Cursor(_) => self.cursor_step(page, sent),
        };
        Ok((step?, on_this_page))
    }

    fn cursor_step<T>(&self, page: &ListPage<T>, sent: u64) -> Result<Step, String> {
        match &page.next_cursor {
            Some(cursor) if self.cursors.contains(cursor.as_str()) => {
                Err("cut list: the server gave the same cursor twice".to_owned())
            }
            Some(cursor) => Ok(Step::More(Place::Cursor(cursor.clone()))),
            None => match page.total.or(self.total) {
                Some(total) if total != sent => {
                    Err(format!("cut list: the server counts {total} and stopped after {sent}"))
                }
                Some(_) | None => Ok(Step::End),
            },
        }
    }

    fn commit<T>(&mut self, step: Step, ids: HashSet<u64>, page: &ListPage<T>) {
        self.pages += 1;
        self.total = page.total.or(self.total);
        self.seen.hashes.extend(ids);
        match step {
            Step::End => self.ended = true,
            Step::More(place) => {
                if let Place::Cursor(cursor) = &place {
                    self.cursors.insert(cursor.as_str().into());
                }
                self.place = place;
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    More(Place),
    End,
}

fn index_step<T>(page: &ListPage<T>, asked: u64, sent: u64) -> Result<Step, String> {
    let Some(total) = page.total else {
        return Err("the list has no `totalResults`, so nobody can tell whether it is complete".to_owned());
    };
    if let Some(start) = page.start
        && !page.items.is_empty()
        && start != asked
    {
        return Err(format!("cut list: asked for record {asked} and those after it, the server sent from {start} on"));
    }
    if sent == total {
        Ok(Step::End)
    } else if page.items.is_empty() {
        Err(format!("cut list: the server counts {total} and stopped after {sent}"))
    } else {
        // By what arrived, never by what the server says a page holds.
        Ok(Step::More(Place::Index(sent + 1)))
    }
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
