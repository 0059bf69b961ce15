//! The records of a NetBox. This module must not know XML.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// How a NetBox behaves, where its versions and settings differ.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Older than 6.0: NBAPI is at its old path.
    pub old: bool,
    /// NBAPI is switched on.
    pub enabled: bool,
    /// Log-in by user name and password is allowed. Without it, logging in succeeds and everything after it is refused.
    pub log_in: bool,
    /// The role of the user has the API privilege for reading only.
    pub read_only: bool,
    /// What an empty list looks like.
    pub empty_list: EmptyList,
    /// The last page has no `NEXTKEY` at all, instead of -1.
    pub no_last_key: bool,
    /// Disabling a card changes the text of its status, too.
    pub disabling_shows: bool,
    /// An empty date changes nothing, instead of taking the date away.
    pub empty_date_ignored: bool,
    /// Searches by this field find nobody.
    pub deaf: Option<&'static str>,
    /// This user-defined field takes values of a list only.
    pub closed: Option<&'static str>,
    /// Never more people on a page, whatever is asked for.
    pub page_max: usize,
    /// The offset of dates is written as `+10:00`, not as `+1000`.
    pub colon_in_offset: bool,
    /// The card statuses of this site.
    pub card_statuses: Vec<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            old: false,
            enabled: true,
            log_in: true,
            read_only: false,
            empty_list: EmptyList::NotFound,
            no_last_key: false,
            disabling_shows: false,
            empty_date_ignored: false,
            deaf: None,
            closed: None,
            page_max: 1000,
            colon_in_offset: false,
            card_statuses: ["Active", "Lost", "Damaged"].map(str::to_owned).to_vec(),
        }
    }
}

/// What an empty list looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmptyList {
    /// `NOT FOUND`.
    NotFound,
    /// `FAIL`, with `NOT FOUND` as its reason.
    Fail,
    /// `SUCCESS`, and an empty list.
    Success,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The "ID #".
    pub id: String,
    /// Names, contacts, notes, user-defined fields; by their names in NBAPI.
    pub fields: BTreeMap<&'static str, String>,
    /// From when, in controller time.
    pub start: Option<DateTime>,
    /// Until when, in controller time.
    pub end: Option<DateTime>,
    /// In the bin.
    pub deleted: bool,
    /// The levels by key, with their own ends.
    pub levels: BTreeMap<u64, Option<DateTime>>,
    /// The cards.
    pub cards: Vec<Card>,
    /// The partition.
    pub partition: u64,
    /// The PIN, which NBAPI sends in clear text.
    pub pin: String,
    /// When the record was edited last.
    pub edited: Timestamp,
    /// By whom.
    pub editor: String,
}

impl Person {
    /// Somebody of whom nothing else is known.
    pub fn new(id: &str, partition: u64) -> Self {
        Self {
            id: id.to_owned(),
            fields: BTreeMap::new(),
            start: None,
            end: None,
            deleted: false,
            levels: BTreeMap::new(),
            cards: Vec::new(),
            partition,
            pin: "4711".to_owned(),
            edited: Timestamp::now(),
            editor: "_1".to_owned(),
        }
    }

    /// Into the bin, without levels and cards.
    pub fn delete(&mut self) {
        self.deleted = true;
        self.levels.clear();
        self.cards.clear();
    }

    /// The value of a field; empty when there is none.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// A card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The id of the record.
    pub id: u64,
    /// The name of its format.
    pub format: String,
    /// The number on the chip.
    pub encoded: String,
    /// The number as printed.
    pub printed: String,
    /// Disabled.
    pub disabled: bool,
    /// One of the statuses of the site.
    pub status: String,
}

/// An access level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// Its name, unique in its partition.
    pub name: String,
    /// Its partition.
    pub partition: u64,
}

/// An open session.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) partition: u64,
}

/// All of it.
#[derive(Debug)]
pub(super) struct World {
    pub(super) rules: Rules,
    pub(super) zone: TimeZone,
    pub(super) sessions: HashMap<String, Session>,
    pub(super) levels: BTreeMap<u64, Level>,
    pub(super) partitions: BTreeMap<u64, String>,
    pub(super) formats: Vec<String>,
    people: BTreeMap<u64, Person>,
    by_id: HashMap<String, u64>,
    /// Values of fields in lower case, with the people who have them.
    by_value: HashMap<(&'static str, String), BTreeSet<u64>>,
    by_card: HashMap<(String, String), u64>,
    next_key: u64,
    next_card: u64,
    drawn: u64,
}

impl World {
    pub(super) fn new(zone: TimeZone) -> Self {
        Self {
            rules: Rules::default(),
            zone,
            sessions: HashMap::new(),
            levels: BTreeMap::new(),
            partitions: BTreeMap::from([(1, "Master".to_owned())]),
            formats: vec!["26 bit Wiegand".to_owned(), "37 bit".to_owned()],
            people: BTreeMap::new(),
            by_id: HashMap::new(),
            by_value: HashMap::new(),
            by_card: HashMap::new(),
            next_key: 1,
            next_card: 70,
            drawn: 0,
        }
    }

    /// Something that nobody guesses, and that is another each time.
    pub(super) fn draw(&mut self) -> String {
        self.drawn += 1;
        let seed = format!("session {} {:p}", self.drawn, &raw const self.drawn);
        lockstep_contract::sha256_hex(seed.as_bytes())
    }

    pub(super) fn person(&self, id: &str) -> Option<&Person> {
        self.people.get(self.by_id.get(id)?)
    }

    /// Everybody, in the order of internal keys.
    pub(super) fn all(&self) -> impl Iterator<Item = &Person> {
        self.people.values()
    }

    /// Everybody from an internal key on.
    pub(super) fn from(&self, key: u64) -> impl Iterator<Item = (u64, &Person)> {
        self.people.range(key..).map(|(key, person)| (*key, person))
    }

    /// The internal keys of those who have this value, whatever its capitals.
    pub(super) fn with_value(&self, field: &'static str, value: &str) -> BTreeSet<u64> {
        self.by_value.get(&(field, value.to_lowercase())).cloned().unwrap_or_default()
    }

    pub(super) fn by_key(&self, key: u64) -> Option<&Person> {
        self.people.get(&key)
    }

    /// The person and the card with this number.
    pub(super) fn card(&self, format: &str, encoded: &str) -> Option<(&Person, &Card)> {
        let person = self.people.get(self.by_card.get(&(format.to_owned(), encoded.to_owned()))?)?;
        let card = person.cards.iter().find(|card| card.format == format && card.encoded == encoded)?;
        Some((person, card))
    }

    pub(super) fn count(&self) -> usize {
        self.people.len()
    }

    pub(super) fn new_card(&mut self, format: &str, encoded: &str) -> Card {
        self.next_card += 1;
        Card {
            id: self.next_card,
            format: format.to_owned(),
            encoded: encoded.to_owned(),
            printed: encoded.to_owned(),
            disabled: false,
            status: "Active".to_owned(),
        }
    }

    /// An "ID #" that nobody has.
    pub(super) fn invent_id(&self) -> String {
        format!("_{}", self.next_key + 100)
    }

    /// Adds somebody. Says whether the id was free.
    pub(super) fn insert(&mut self, person: Person) -> bool {
        if self.by_id.contains_key(&person.id) {
            return false;
        }
        let key = self.next_key;
        self.next_key += 1;
        self.by_id.insert(person.id.clone(), key);
        self.index(key, &person);
        self.people.insert(key, person);
        true
    }

    /// Edits somebody. Says whether there is one.
    pub(super) fn edit(&mut self, id: &str, editor: &str, change: impl FnOnce(&mut Person)) -> bool {
        let Some(key) = self.by_id.get(id).copied() else { return false };
        let Some(mut person) = self.people.remove(&key) else { return false };
        self.forget(key, &person);
        change(&mut person);
        id.clone_into(&mut person.id);
        person.edited = Timestamp::now();
        editor.clone_into(&mut person.editor);
        self.index(key, &person);
        self.people.insert(key, person);
        true
    }

    /// Removes somebody for good.
    pub(super) fn purge(&mut self, id: &str) {
        let Some(key) = self.by_id.remove(id) else { return };
        if let Some(person) = self.people.remove(&key) {
            self.forget(key, &person);
        }
    }

    fn index(&mut self, key: u64, person: &Person) {
        for (field, value) in &person.fields {
            self.by_value.entry((field, value.to_lowercase())).or_default().insert(key);
        }
        for card in &person.cards {
            self.by_card.insert((card.format.clone(), card.encoded.clone()), key);
        }
    }

    fn forget(&mut self, key: u64, person: &Person) {
        for (field, value) in &person.fields {
            if let Some(keys) = self.by_value.get_mut(&(*field, value.to_lowercase())) {
                keys.remove(&key);
            }
        }
        for card in &person.cards {
            self.by_card.remove(&(card.format.clone(), card.encoded.clone()));
        }
    }

    pub(super) fn add_level(&mut self, name: &str, partition: u64) -> u64 {
        let key = self.levels.keys().next_back().map_or(1, |last| last + 1);
        self.levels.insert(key, Level { name: name.to_owned(), partition });
        self.partitions.entry(partition).or_insert_with(|| format!("Partition {partition}"));
        key
    }

    pub(super) fn rename_level(&mut self, key: u64, name: &str) {
        if let Some(level) = self.levels.get_mut(&key) {
            name.clone_into(&mut level.name);
        }
    }

    pub(super) fn level_named(&self, name: &str, partition: u64) -> Option<u64> {
        let mut levels = self.levels.iter();
        levels.find(|(_, level)| level.partition == partition && level.name == name).map(|(key, _)| *key)
    }
}
