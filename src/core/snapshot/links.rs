//! What is remembered about pairs, as compactly as what was read: a million links stand beside a million people.

use jiff::Timestamp;
use lockstep_contract::{CardholderId, CorrelationKeys, KeyKind, PersonId, RunId};

use super::arena::{Arena, Place, Reader, as_text, put_number, put_text};
use super::record::{self, KeyRef, Keys};
use super::table::{RowTable, hash_of};
use super::texts::Names;
use crate::{Link, LinkOrigin};

/// Links by person and by cardholder. Nobody is in two of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct LinkRows {
    rows: Vec<Row>,
    arena: Arena,
    people: RowTable,
    cardholders: RowTable,
    /// The runs that suspended somebody.
    runs: Names<RunId>,
    scratch: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Row {
    person: PersonId,
    at: Place,
}

/// A link as it lies there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinkRef<'a> {
    links: &'a LinkRows,
    person: &'a PersonId,
    reader: Reader<'a>,
}

impl LinkRows {
    /// Keeps a link. False, and nothing kept, when its person or cardholder has one.
    pub(crate) fn insert(&mut self, link: &Link) -> bool {
        if self.of_person(&link.person).is_some() || self.of_cardholder(link.cardholder.as_str()).is_some() {
            return false;
        }
        put(&mut self.scratch, &mut self.runs, link);
        let at = self.arena.push(&self.scratch);
        if self.rows.len() == self.rows.capacity() {
            // By an eighth, not doubled, as in a snapshot.
            self.rows.reserve_exact(64.max(self.rows.len() / 8));
        }
        let row = self.rows.len() as u32;
        self.rows.push(Row { person: link.person.clone(), at });
        let Self { rows, arena, people, cardholders, .. } = self;
        people.insert(hash_of(&link.person), row, |row| rows.get(row as usize).map_or(0, |r| hash_of(&r.person)));
        cardholders.insert(hash_of(link.cardholder.as_str()), row, |row| {
            rows.get(row as usize).map_or(0, |row| hash_of(as_text(Reader::new(arena.at(row.at)).text())))
        });
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn of_person(&self, person: &PersonId) -> Option<LinkRef<'_>> {
        let is_it = |row: u32| self.rows.get(row as usize).is_some_and(|row| row.person == *person);
        self.get(self.people.find(hash_of(person), is_it)?)
    }

    pub(crate) fn of_cardholder(&self, cardholder: &str) -> Option<LinkRef<'_>> {
        let is_it = |row: u32| self.get(row).is_some_and(|link| link.cardholder() == cardholder);
        self.get(self.cardholders.find(hash_of(cardholder), is_it)?)
    }

    /// All links, ordered by person, in whatever order they came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = LinkRef<'_>> {
        let mut order: Vec<u32> = (0..self.rows.len() as u32).collect();
        if !self.rows.is_sorted_by(|a, b| a.person <= b.person) {
            order.sort_unstable_by_key(|row| self.rows.get(*row as usize).map(|row| &row.person));
        }
        order.into_iter().filter_map(|row| self.get(row))
    }

    fn get(&self, row: u32) -> Option<LinkRef<'_>> {
        let row = self.rows.get(row as usize)?;
        Some(LinkRef { links: self, person: &row.person, reader: Reader::new(self.arena.at(row.at)) })
    }
}

// How a link came to be: created by us, or the place of a kind of key in `KeyKind::ALL` and one.
const PROVISIONED: u8 = 0;

fn put(out: &mut Vec<u8>, runs: &mut Names<RunId>, link: &Link) {
    out.clear();
    put_text(out, link.cardholder.as_str());
    out.push(match link.origin {
        LinkOrigin::Provisioned => PROVISIONED,
        LinkOrigin::Matched(kind) => KeyKind::ALL.iter().position(|known| *known == kind).map_or(0, |at| at as u8 + 1),
    });
    record::put_time(out, link.since);
    put_number(out, link.suspended_by.map_or(0, |run| u64::from(runs.number(&run)) + 1));
    record::put_keys(out, &link.keys);
}

impl<'a> LinkRef<'a> {
    pub(crate) const fn person(self) -> &'a PersonId {
        self.person
    }

    pub(crate) fn cardholder(mut self) -> &'a str {
        as_text(self.reader.text())
    }

    pub(crate) fn origin(self) -> LinkOrigin {
        self.read().0
    }

    pub(crate) fn suspended_by(self) -> Option<RunId> {
        self.read().2
    }

    pub(crate) fn keys(self) -> impl Iterator<Item = KeyRef<'a>> {
        Keys::new(self.read().3)
    }

    /// The link as it was given.
    pub(crate) fn to_link(self) -> Option<Link> {
        let (origin, since, suspended_by, keys) = self.read();
        let keys: CorrelationKeys = Keys::new(keys).map(KeyRef::to_key).collect();
        let cardholder = CardholderId::new(self.cardholder()).ok()?;
        Some(Link { person: self.person.clone(), cardholder, origin, since, keys, suspended_by })
    }

    fn read(self) -> (LinkOrigin, Timestamp, Option<RunId>, Reader<'a>) {
        let mut reader = self.reader;
        reader.text(); // the cardholder
        let kind = reader.byte().checked_sub(1).and_then(|at| KeyKind::ALL.get(usize::from(at)));
        let origin = kind.map_or(LinkOrigin::Provisioned, |kind| LinkOrigin::Matched(*kind));
        let since = record::get_time(&mut reader).unwrap_or(Timestamp::UNIX_EPOCH);
        let run = reader.number().checked_sub(1).and_then(|run| self.links.runs.get(run as u32)).copied();
        (origin, since, run, reader)
    }
}
