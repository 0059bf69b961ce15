//! Walks a list of instances to its end, page by page, and refuses every list that does not add up. Pages are offsets into a
//! list that others change meanwhile, so counts and keys are checked on each. This module must not know what the instances
//! mean.

use std::collections::HashSet;

use lockstep_contract::Census;
use lockstep_http::{CallFault, Value};

use crate::api::Api;
use crate::wire::{BadInstance, Instance, Kind};

/// Pages of one list. A list that is longer has no end.
const PAGES_MAX: u64 = 50_000;

/// One walk through one list. A page that failed leaves it where it was, so that the page can be asked for again.
#[derive(Debug)]
pub(crate) struct Walk {
    kind: Kind,
    filter: Option<String>,
    page_size: u32,
    page: u64,
    total: Option<u64>,
    seen: HashSet<[i64; 2]>,
    ended: bool,
    /// The last page did not add up.
    broken: bool,
}

/// A page, taken apart.
struct PageOf {
    items: Vec<Instance>,
    keys: Vec<[i64; 2]>,
    total: u64,
    last: bool,
}

impl Walk {
    pub(crate) fn new(kind: Kind, page_size: u32) -> Self {
        Self { kind, filter: None, page_size, page: 1, total: None, seen: HashSet::new(), ended: false, broken: false }
    }

    /// Only what this filter lets through. The answer must be checked by the caller.
    pub(crate) fn filtered(mut self, filter: String) -> Self {
        self.filter = Some(filter);
        self
    }

    /// The counts of a walk that has ended.
    pub(crate) fn census(&self) -> Option<Census> {
        self.ended.then_some(Census { sent: self.seen.len() as u64, server_total: self.total })
    }

    /// The next page.
    pub(crate) async fn next(&mut self, api: &Api<'_>) -> Result<Vec<Instance>, CallFault> {
        let operation = format!("list {}, page {}", self.kind.many(), self.page);
        let mut query = Vec::with_capacity(4);
        query.extend(self.filter.iter().map(|filter| ("filter", filter.clone())));
        query.push(("page_number", self.page.to_string()));
        query.push(("page_size", self.page_size.to_string()));
        query.push(("order_by", self.kind.keys()[0].to_owned()));
        let (answer, json) = api.page(self.kind, &query, &operation).await?;
        let page = self.check(json);
        self.broken = page.is_err();
        let page = page.map_err(|problem| answer.broken(&problem))?;
        self.total = Some(page.total);
        self.seen.extend(page.keys);
        self.page += 1;
        self.ended = page.last;
        Ok(page.items)
    }

    /// True when the last page did not add up: another reading may.
    pub(crate) const fn is_broken(&self) -> bool {
        self.broken
    }

    /// All of it.
    pub(crate) async fn all(mut self, api: &Api<'_>) -> Result<Vec<Instance>, CallFault> {
        let mut items = Vec::new();
        while !self.ended {
            items.extend(self.next(api).await?);
        }
        Ok(items)
    }

    /// Whether a page fits what came before. Changes nothing.
    fn check(&self, json: Value) -> Result<PageOf, String> {
        let Value::Object(mut page) = json else { return Err("the answer is no list".to_owned()) };
        let number = |name: &str| match page.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or_else(|| format!("`{name}` of the list is no whole number")),
        };
        let asked = self.page;
        let total =
            number("total_items")?.ok_or("the list has no `total_items`: nobody can tell whether it is whole")?;
        let pages = number("total_pages")?;
        if number("page_number")?.is_some_and(|sent| sent != asked) {
            return Err(format!("cut list: asked for page {asked}, the server sent another one"));
        }
        let count = number("count")?;
        let Some(Value::Array(list)) = page.remove("item_list") else {
            return Err("the answer is no list: it has no array `item_list`".to_owned());
        };
        if count.is_some_and(|count| count != list.len() as u64) {
            return Err("cut list: the server counts other items on this page than it sent".to_owned());
        }
        let items: Vec<Instance> = list.into_iter().map(Instance::of).collect::<Result<_, _>>().map_err(words)?;
        let keys: Vec<[i64; 2]> =
            items.iter().map(|item| key_of(self.kind, item)).collect::<Result<_, _>>().map_err(words)?;
        let sent = self.fits(total, &keys)?;
        let last = sent == total;
        if !last && (items.is_empty() || pages.is_some_and(|pages| asked >= pages) || asked >= PAGES_MAX) {
            return Err(format!("cut list: the server counts {total} and stopped after {sent}"));
        }
        Ok(PageOf { items, keys, total, last })
    }

    /// How many have come with this page.
    fn fits(&self, total: u64, keys: &[[i64; 2]]) -> Result<u64, String> {
        let mut here = HashSet::with_capacity(keys.len());
        if keys.iter().any(|key| self.seen.contains(key) || !here.insert(*key)) {
            return Err("cut list: an instance was sent twice; a page was repeated, or the list changed".to_owned());
        }
        if let Some(before) = self.total.filter(|before| *before != total) {
            return Err(format!("cut list: the server counted {before} first and {total} now; read again"));
        }
        let sent = (self.seen.len() + keys.len()) as u64;
        if sent > total {
            return Err(format!("cut list: the server counts {total} and has sent {sent}"));
        }
        Ok(sent)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the form that `map_err` takes")]
fn words(error: BadInstance) -> String {
    error.to_string()
}

fn key_of(kind: Kind, item: &Instance) -> Result<[i64; 2], BadInstance> {
    match kind.keys() {
        [only] => Ok([item.key(only)?, 0]),
        [first, second, ..] => Ok([item.key(first)?, item.key(second)?]),
        [] => Ok([0, 0]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(numbers: &[i64], total: u64, page: u64, pages: u64) -> Value {
        let items: Vec<Value> = numbers.iter().map(|id| json!({"property_value_map": {"ID": id}})).collect();
        json!({"count": items.len(), "total_items": total, "page_number": page, "total_pages": pages, "item_list": items})
    }

    fn walk(seen: &[i64], total: Option<u64>) -> Walk {
        let seen = seen.iter().map(|id| [*id, 0]).collect();
        Walk { seen, total, page: 2, ..Walk::new(Kind::Cardholder, 2) }
    }

    #[test]
    fn a_page_that_does_not_add_up_is_refused() {
        let ok = walk(&[1, 2], Some(4)).check(page(&[3, 4], 4, 2, 2)).expect("fits");
        assert!(ok.last && ok.total == 4);
        assert!(!walk(&[1, 2], Some(5)).check(page(&[3, 4], 5, 2, 3)).expect("fits").last);
        for (wrong, why) in [
            (page(&[1, 2], 4, 2, 2), "twice"),
            (page(&[3, 3], 4, 2, 2), "twice"),
            (page(&[3, 4], 5, 2, 3), "counted 4 first"),
            (page(&[3], 4, 2, 2), "stopped after 3"),
            (page(&[], 4, 2, 3), "stopped after 2"),
            (page(&[3, 4, 5], 4, 2, 2), "has sent 5"),
            (page(&[3, 4], 4, 1, 2), "another one"),
            (json!({"item_list": []}), "total_items"),
            (json!({"total_items": 4}), "item_list"),
            (json!({"total_items": "4", "item_list": []}), "whole number"),
            (json!({"total_items": 4, "count": 1, "item_list": []}), "counts other items"),
            (json!([]), "no list"),
        ] {
            let error = walk(&[1, 2], Some(4)).check(wrong).err().unwrap_or_default();
            assert!(error.contains(why), "{why}: {error}");
        }
    }
}
