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
        let (of_person, of_cardholder) = (hash_of(&link.person), hash_of(link.cardholder.as_str()));
        if self.find_person(of_person, &link.person).is_some()
            || self.find_cardholder(of_cardholder, link.cardholder.as_str()).is_some()
        {
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
        people.insert(of_person, row, |row| rows.get(row as usize).map_or(0, |r| hash_of(&r.person)));
        cardholders.insert(of_cardholder, row, |row| {
            rows.get(row as usize).map_or(0, |row| hash_of(as_text(Reader::new(arena.at(row.at)).text())))
        });
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn of_person(&self, person: &PersonId) -> Option<LinkRef<'_>> {
        self.get(self.find_person(hash_of(person), person)?)
    }

    pub(crate) fn of_cardholder(&self, cardholder: &str) -> Option<LinkRef<'_>> {
        self.get(self.find_cardholder(hash_of(cardholder), cardholder)?)
    }

    fn find_person(&self, hash: u64, person: &PersonId) -> Option<u32> {
        self.people.find(hash, |row| self.rows.get(row as usize).is_some_and(|row| row.person == *person))
    }

    fn find_cardholder(&self, hash: u64, cardholder: &str) -> Option<u32> {
        let is_it = |at: Place| Reader::new(self.arena.at(at)).text() == cardholder.as_bytes();
        self.cardholders.find(hash, |row| self.rows.get(row as usize).is_some_and(|row| is_it(row.at)))
    }

    /// All links, ordered by person, in whatever order they came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = LinkRef<'_>> {
        self.numbered().filter_map(|row| self.get(row))
    }

    /// The numbers of all links, ordered by person.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = u32> + use<> {
        let person = |row: u32| self.rows.get(row as usize).map(|row| &row.person);
        // The beginning of the id beside each number: sorting looks at the rows only where that does not decide.
        let beginnings = self.rows.iter().map(|row| beginning(&row.person));
        let mut order: Vec<(u64, u32)> = beginnings.zip(0..).collect();
        if !self.rows.is_sorted_by(|a, b| a.person <= b.person) {
            order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| person(a.1).cmp(&person(b.1))));
        }
        order.into_iter().map(|(_, row)| row)
    }

    /// All links, in the order in which they lie in memory.
    pub(crate) fn lying(&self) -> impl ExactSizeIterator<Item = LinkRef<'_>> {
        self.rows.iter().map(|row| LinkRef {
            links: self,
            person: &row.person,
            reader: Reader::new(self.arena.at(row.at)),
        })
    }

    /// The link with this number.
    pub(crate) fn get(&self, row: u32) -> Option<LinkRef<'_>> {
        let row = self.rows.get(row as usize)?;
        Some(LinkRef { links: self, person: &row.person, reader: Reader::new(self.arena.at(row.at)) })
    }
}

// How a link came to be: created by us, or the place of a kind of key in `KeyKind::ALL` and one.
const PROVISIONED: u8 = 0;

/// Added to how a link came to be: one of the keys is the id of the person, which stands in the row.
const OWN_ID: u8 = 0x80;

/// The id as a key of the directory would have it.
fn own_id<'b>(person: &PersonId, buffer: &'b mut [u8; 36]) -> Option<KeyRef<'b>> {
    let value = person.as_uuid()?.hyphenated().encode_lower(buffer);
    Some(KeyRef { kind: KeyKind::Directory, value: value.as_bytes() })
}

fn put(out: &mut Vec<u8>, runs: &mut Names<RunId>, link: &Link) {
    out.clear();
    put_text(out, link.cardholder.as_str());
    let mut buffer = [0; 36];
    let own = own_id(&link.person, &mut buffer);
    let own = own.and_then(|own| link.keys.iter().find(|key| KeyRef::of(key) == own));
    let origin = match link.origin {
        LinkOrigin::Provisioned => PROVISIONED,
        LinkOrigin::Matched(kind) => KeyKind::ALL.iter().position(|known| *known == kind).map_or(0, |at| at as u8 + 1),
    };
    out.push(if own.is_some() { origin | OWN_ID } else { origin });
    // Seconds and nanoseconds: most links began at a full second.
    put_number(out, unsigned(link.since.as_second()));
    put_number(out, unsigned(i64::from(link.since.subsec_nanosecond())));
    put_number(out, link.suspended_by.map_or(0, |run| u64::from(runs.number(&run)) + 1));
    record::put_keys_but(out, &link.keys, own);
}

/// A number that is not smaller than that of a smaller id. Ids that are text come after all others.
fn beginning(person: &PersonId) -> u64 {
    person.as_uuid().map_or(u64::MAX, |uuid| (uuid.as_u128() >> 64) as u64)
}

/// Small numbers of either sign as small numbers.
const fn unsigned(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

const fn signed(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
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

    /// The keys, but for the one that [`own_id`](Self::own_id) gives.
    pub(crate) fn keys(self) -> impl Iterator<Item = KeyRef<'a>> {
        Keys::new(self.read().3)
    }

    /// The key that is the person's own id, if the link has it.
    pub(crate) fn own_id(self, buffer: &mut [u8; 36]) -> Option<KeyRef<'_>> {
        let mut reader = self.reader;
        reader.text(); // the cardholder
        if reader.byte() & OWN_ID == 0 { None } else { own_id(self.person, buffer) }
    }

    /// The link as it was given.
    pub(crate) fn to_link(self) -> Option<Link> {
        let (origin, since, suspended_by, keys) = self.read();
        let mut buffer = [0; 36];
        let keys: CorrelationKeys =
            self.own_id(&mut buffer).into_iter().chain(Keys::new(keys)).map(KeyRef::to_key).collect();
        let cardholder = CardholderId::new(self.cardholder()).ok()?;
        Some(Link { person: self.person.clone(), cardholder, origin, since, keys, suspended_by })
    }

    fn read(self) -> (LinkOrigin, Timestamp, Option<RunId>, Reader<'a>) {
        let mut reader = self.reader;
        reader.text(); // the cardholder
        let kind = (reader.byte() & !OWN_ID).checked_sub(1).and_then(|at| KeyKind::ALL.get(usize::from(at)));
        let origin = kind.map_or(LinkOrigin::Provisioned, |kind| LinkOrigin::Matched(*kind));
        let (seconds, nanoseconds) = (signed(reader.number()), signed(reader.number()));
        let since = Timestamp::new(seconds, nanoseconds as i32).unwrap_or(Timestamp::UNIX_EPOCH);
        let run = reader.number().checked_sub(1).and_then(|run| self.links.runs.get(run as u32)).copied();
        (origin, since, run, reader)
    }
}
