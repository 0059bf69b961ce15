//! Walks a list to its end, page by page, and refuses every list that does not add up. This module must not know what
//! the records mean.

use std::collections::HashSet;

use lockstep_contract::Census;
use lockstep_http::CallFault;

use crate::api::{Api, ListPage, Object, Resource};
use crate::convert::id_of;
use crate::discovery::Provider;

/// Pages of one list. A list that is longer has no end.
const PAGES_MAX: u32 = 10_000;

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
    seen: HashSet<Box<str>>,
    cursors: HashSet<Box<str>>,
    pages: u32,
    ended: bool,
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
            seen: HashSet::new(),
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
        self.ended.then_some(Census { sent: self.seen.len() as u64, server_total: self.total })
    }

    /// How many records the server says there are.
    pub(crate) const fn total(&self) -> Option<u64> {
        self.total
    }

    pub(crate) const fn pages(&self) -> u32 {
        self.pages
    }

    /// The next page.
    pub(crate) async fn next(&mut self, api: &Api<'_>) -> Result<Vec<Object>, CallFault> {
        let operation = format!("list {}, page {}", self.resource.many(), self.pages + 1);
        let page = self.ask_again_for_less(api, &operation).await?;
        let step = self.check(&page).map_err(|problem| api.protocol(&operation, &problem))?;
        if let (Step::End, Place::Index(_)) = (&step, &self.place) {
            self.prove_the_end(api, &operation, &page).await?;
        }
        self.commit(step, &page);
        Ok(page.items)
    }

    async fn ask_again_for_less(&mut self, api: &Api<'_>, operation: &str) -> Result<ListPage, CallFault> {
        loop {
            match self.ask(api, &self.place, operation).await {
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

    async fn ask(&self, api: &Api<'_>, place: &Place, operation: &str) -> Result<ListPage, CallFault> {
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
        api.list(self.resource, &query, operation).await
    }

    /// Some servers give the size of the page as `totalResults`. Behind the last record there must be nothing new;
    /// servers that begin again from the first record are known, and harmless.
    async fn prove_the_end(&self, api: &Api<'_>, operation: &str, last: &ListPage) -> Result<(), CallFault> {
        let total = last.total.unwrap_or_default();
        if self.filter.is_some() || total == 0 {
            return Ok(());
        }
        let page = match self.ask(api, &Place::Index(total + 1), operation).await {
            Ok(page) => page,
            Err(fault) if matches!(fault.status, Some(400 | 404)) => return Ok(()),
            Err(fault) => return Err(fault),
        };
        let known: HashSet<&str> = last.items.iter().filter_map(|item| id_of(item, "record").ok()).collect();
        let is_new = |id: &str| !known.contains(id) && !self.seen.contains(id);
        if page.items.iter().all(|item| id_of(item, "record").is_ok_and(|id| !is_new(id))) {
            return Ok(());
        }
        let message = format!("cut list: the server counts {total}, and sends more after the last of them");
        Err(api.protocol(operation, &message))
    }

    /// Whether a page fits what came before. Changes nothing.
    fn check(&self, page: &ListPage) -> Result<Step, String> {
        if self.pages >= PAGES_MAX {
            return Err(format!("cut list: still no end after {PAGES_MAX} pages"));
        }
        let mut on_this_page = HashSet::new();
        for item in &page.items {
            let id = id_of(item, self.resource.one()).map_err(|error| error.to_string())?;
            if self.seen.contains(id) || !on_this_page.insert(id) {
                return Err(format!("cut list: {} {id} was sent twice; a page was repeated", self.resource.one()));
            }
        }
        if let (Some(before), Some(now)) = (self.total, page.total)
            && before != now
        {
            return Err(format!("cut list: the server counted {before} first and {now} now; read again"));
        }
        let sent = (self.seen.len() + page.items.len()) as u64;
        if let Some(total) = page.total.or(self.total)
            && sent > total
        {
            return Err(format!("cut list: the server counts {total} and has sent {sent}"));
        }
        match &self.place {
            Place::Index(asked) => index_step(page, *asked, sent),
            Place::Cursor(_) => self.cursor_step(page, sent),
        }
    }

    fn cursor_step(&self, page: &ListPage, sent: u64) -> Result<Step, String> {
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

    fn commit(&mut self, step: Step, page: &ListPage) {
        self.pages += 1;
        self.total = page.total.or(self.total);
        self.seen.extend(page.items.iter().filter_map(|item| id_of(item, "record").ok()).map(Box::from));
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

fn index_step(page: &ListPage, asked: u64, sent: u64) -> Result<Step, String> {
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
