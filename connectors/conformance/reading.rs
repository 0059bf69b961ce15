//! Reads lists to their end the way the engine does, and keeps what the laws look at. This module must not judge.

use std::collections::BTreeSet;
use std::time::Duration;

use lockstep_contract::{
    Cardholder, Census, Cursor, Cx, Directory, Fault, FaultKind, Next, Page, Person, Scope, Target,
};

/// More pages than any bed has records.
const PAGES_MAX: usize = 1_000;

/// A list that was read to its end.
pub(crate) struct Reading<T> {
    pub(crate) items: Vec<T>,
    pub(crate) census: Census,
    pub(crate) cursors: Vec<Cursor>,
}

/// A context with time enough for anything that does not hang.
pub(crate) fn cx() -> Cx {
    Cx::new(Duration::from_secs(20))
}

struct Reader<T> {
    items: Vec<T>,
    cursors: Vec<Cursor>,
}

impl<T> Reader<T> {
    fn take(&mut self, page: Page<T>) -> Result<Option<Census>, Fault> {
        self.items.extend(page.items);
        match page.next {
            Next::End(census) => Ok(Some(census)),
            Next::More(cursor) if self.cursors.len() >= PAGES_MAX => {
                Err(own_fault(&format!("the list has no end: still at {cursor:?} after {PAGES_MAX} pages")))
            }
            Next::More(cursor) if self.cursors.contains(&cursor) => {
                Err(own_fault(&format!("the cursor {cursor:?} came twice")))
            }
            Next::More(cursor) => {
                self.cursors.push(cursor);
                Ok(None)
            }
        }
    }

    fn end(self, census: Census) -> Reading<T> {
        Reading { items: self.items, census, cursors: self.cursors }
    }
}

fn own_fault(message: &str) -> Fault {
    Fault::new(FaultKind::Protocol, "conformance", "read a list", message)
}

/// Reads all cardholders.
pub(crate) async fn all_cardholders(target: &dyn Target) -> Result<Reading<Cardholder>, Fault> {
    let mut reader = Reader { items: Vec::new(), cursors: Vec::new() };
    loop {
        let page = target.list(&cx(), reader.cursors.last().cloned()).await?;
        if let Some(census) = reader.take(page)? {
            return Ok(reader.end(census));
        }
    }
}

/// Reads all people.
pub(crate) async fn all_people(directory: &dyn Directory, scope: &Scope) -> Result<Reading<Person>, Fault> {
    let mut reader = Reader { items: Vec::new(), cursors: Vec::new() };
    loop {
        let page = directory.people(&cx(), scope, reader.cursors.last().cloned()).await?;
        if let Some(census) = reader.take(page)? {
            return Ok(reader.end(census));
        }
    }
}

/// Whether the counts of a list agree with what arrived. The engine refuses a list that does not add up, so a
/// connector that hands out honest counts has kept its part.
pub(crate) fn adds_up<T>(reading: &Reading<T>, set_aside: usize) -> Result<(), String> {
    let arrived = (reading.items.len() + set_aside) as u64;
    if reading.census.sent != arrived {
        return Err(format!("the census says {} were sent, but {arrived} arrived", reading.census.sent));
    }
    match reading.census.server_total {
        Some(total) if total != arrived => Err(format!("the system counts {total}, but {arrived} arrived")),
        Some(_) | None => Ok(()),
    }
}

/// The texts that stand more than once.
pub(crate) fn repeated<'a>(ids: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for id in ids {
        if !seen.insert(id) {
            twice.insert(id.to_owned());
        }
    }
    twice.into_iter().collect()
}
