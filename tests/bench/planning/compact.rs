//! The least program that finds the same differences: arrays of compact records, sorted and merged.
//!
//! It keeps what the planning core keeps (ten attributes, keys, groups, levels, links) and answers the same questions:
//! does a key belong to two people, who is whom by their link, do attributes or levels differ? It explains nothing,
//! knows no person of unknown standing, and proves nothing about a group; that is what the core may cost more for.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use lockstep_contract::{
    AccessLevelId, Cardholder, CorrelationKeys, GroupId, KeyKind, Membership, Person, PersonId, Profile, Status,
};
use lockstep_core::Link;

use super::Program;
use crate::world;

/// Everything, one record after another, and arrays that point there.
#[derive(Debug, Default)]
pub(super) struct Compact {
    bytes: Vec<u8>,
    /// Id and place.
    people: Vec<(u128, u32)>,
    cardholders: Vec<u32>,
    /// Person, and the place of the rest.
    links: Vec<(u128, u32)>,
    /// By id, while groups are read.
    rows: HashMap<u128, u32>,
    /// Arrival of a person, then number of a group; sorted when all groups are read.
    memberships: Vec<u64>,
    /// By arrival: where the memberships begin.
    starts: Vec<u32>,
    groups: BTreeMap<GroupId, u16>,
    levels: BTreeMap<AccessLevelId, u16>,
}

/// A kind of key for each by which the mapping correlates.
const CORRELATE: [KeyKind; 2] = [KeyKind::Directory, KeyKind::Employee];

impl Compact {
    fn put(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(&(value.len() as u16).to_le_bytes());
        self.bytes.extend_from_slice(value);
    }

    fn put_profile(&mut self, profile: &Profile) {
        for (_, value) in profile.iter() {
            self.put(value.as_bytes());
        }
    }

    fn put_keys(&mut self, keys: &CorrelationKeys) {
        self.bytes.push(keys.len() as u8);
        for key in keys.iter() {
            self.bytes.push(key.kind() as u8);
            self.put(key.value().as_bytes());
        }
    }

    fn at(&self, place: u32) -> Reader<'_> {
        Reader { rest: self.bytes.get(place as usize..).unwrap_or_default() }
    }

    /// Keys that two people have: their hashes, sorted.
    fn shared_keys(&self) -> usize {
        let mut hashes = CORRELATE.map(|kind| (kind as u8, Vec::with_capacity(self.people.len())));
        for (_, at) in &self.people {
            let mut reader = self.at(*at);
            reader.number();
            for _ in 0..reader.byte() {
                let kind = reader.byte();
                let value = reader.text();
                if let Some((_, hashes)) = hashes.iter_mut().find(|(of, _)| *of == kind) {
                    hashes.push(hash(value));
                }
            }
        }
        let mut shared = 0;
        for (_, mut hashes) in hashes {
            hashes.sort_unstable();
            shared += hashes.windows(2).filter(|pair| pair.first() == pair.last()).count();
        }
        shared
    }

    /// People and the cardholders they are linked to, in the order of people.
    fn pairs(&self) -> Vec<(u128, u32)> {
        let mut links = self.links.clone();
        links.sort_unstable_by(|a, b| self.at(a.1).text().cmp(self.at(b.1).text()));
        let mut cardholders = self.cardholders.iter().peekable();
        let mut pairs = Vec::with_capacity(links.len());
        for (person, at) in links {
            let id = self.at(at).text();
            while cardholders.next_if(|at| self.at(**at).text() < id).is_some() {}
            if let Some(at) = cardholders.next_if(|at| self.at(**at).text() == id) {
                pairs.push((person, *at));
            }
        }
        pairs.sort_unstable();
        pairs
    }

    fn is_same(&self, person: u32, cardholder: u32, level_of: &[u16], entitled: &mut Vec<u16>) -> bool {
        let (mut person, mut cardholder) = (self.at(person), self.at(cardholder));
        let arrival = person.number() as usize;
        cardholder.text();
        let active = cardholder.byte() == 1;
        for record in [&mut person, &mut cardholder] {
            for _ in 0..record.byte() {
                record.byte();
                record.text();
            }
        }
        let same = (0..10).filter(|_| person.text() == cardholder.text()).count();
        let bounds = |at: usize| self.starts.get(at).map_or(self.memberships.len(), |start| *start as usize);
        let groups = self.memberships.get(bounds(arrival)..bounds(arrival + 1)).unwrap_or_default().iter();
        entitled.clear();
        entitled.extend(groups.filter_map(|entry| level_of.get(usize::from(*entry as u16))));
        entitled.sort_unstable();
        let levels = usize::from(cardholder.byte());
        active && same == 10 && levels == entitled.len() && entitled.iter().all(|level| *level == cardholder.short())
    }
}

impl Program for Compact {
    fn person(&mut self, person: &Person) {
        let at = self.bytes.len() as u32;
        let id = number(&person.id);
        let arrival = self.people.len() as u32;
        self.bytes.extend_from_slice(&arrival.to_le_bytes());
        self.put_keys(&person.keys);
        self.put_profile(&person.profile);
        self.people.push((id, at));
        self.rows.insert(id, arrival);
    }

    fn group(&mut self, id: &GroupId, membership: &Membership) {
        let number = self.groups.len() as u64;
        self.groups.insert(id.clone(), number as u16);
        if let Membership::Members(members) = membership {
            let rows = members.people().filter_map(|person| self.rows.get(&self::number(person)));
            self.memberships.extend(rows.map(|row| u64::from(*row) << 16 | number));
        }
    }

    fn census_read(&mut self) {
        self.rows = HashMap::new();
        self.people.sort_unstable();
        self.memberships.sort_unstable();
        self.starts = Vec::with_capacity(self.people.len());
        for (at, entry) in self.memberships.iter().enumerate() {
            while self.starts.len() as u64 <= entry >> 16 {
                self.starts.push(at as u32);
            }
        }
    }

    fn cardholder(&mut self, cardholder: &Cardholder) {
        self.cardholders.push(self.bytes.len() as u32);
        self.put(cardholder.id.as_str().as_bytes());
        self.bytes.push(u8::from(cardholder.status == Status::Active));
        self.put_keys(&cardholder.keys);
        self.put_profile(&cardholder.profile);
        let mut levels = Vec::with_capacity(cardholder.levels.len());
        for level in &cardholder.levels {
            let next = self.levels.len() as u16;
            levels.push(*self.levels.entry(level.clone()).or_insert(next));
        }
        levels.sort_unstable();
        self.bytes.push(levels.len() as u8);
        for level in levels {
            self.bytes.extend_from_slice(&level.to_le_bytes());
        }
    }

    fn target_read(&mut self) {
        let mut cardholders = std::mem::take(&mut self.cardholders);
        cardholders.sort_unstable_by(|a, b| self.at(*a).text().cmp(self.at(*b).text()));
        self.cardholders = cardholders;
    }

    fn link(&mut self, link: Link) {
        self.links.push((number(&link.person), self.bytes.len() as u32));
        self.put(link.cardholder.as_str().as_bytes());
        self.put_keys(&link.keys);
    }

    fn compare(&mut self) -> u64 {
        let mut level_of = vec![u16::MAX; self.groups.len()];
        for rule in world::policy().levels {
            let group = rule.any.first().and_then(|group| self.groups.get(group));
            let slot = group.and_then(|group| level_of.get_mut(*group as usize));
            if let (Some(slot), Some(level)) = (slot, self.levels.get(&rule.level)) {
                *slot = *level;
            }
        }
        assert_eq!(self.shared_keys(), 0, "everybody has keys of their own");
        let pairs = self.pairs();
        let mut pairs = pairs.iter().peekable();
        let mut entitled = Vec::new();
        let mut same = 0;
        for (id, at) in &self.people {
            while pairs.next_if(|(other, _)| other < id).is_some() {}
            if let Some((_, there)) = pairs.next_if(|(other, _)| other == id) {
                same += u64::from(self.is_same(*at, *there, &level_of, &mut entitled));
            }
        }
        same
    }
}

fn number(person: &PersonId) -> u128 {
    person.as_uuid().map_or(0, |uuid| uuid.as_u128())
}

fn hash(value: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Reads a record.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.rest.split_at_checked(len).unwrap_or_default();
        self.rest = rest;
        bytes
    }

    fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or_default()
    }

    fn short(&mut self) -> u16 {
        self.bytes(2).try_into().map_or(0, u16::from_le_bytes)
    }

    fn number(&mut self) -> u32 {
        self.bytes(4).try_into().map_or(0, u32::from_le_bytes)
    }

    fn text(&mut self) -> &'a [u8] {
        let len = self.short();
        self.bytes(usize::from(len))
    }
}
