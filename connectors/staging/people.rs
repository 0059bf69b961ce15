//! From the rows of an export or view to cardholders, and from a cardholder's parts to cells. Pure.
//!
//! Rows are kept beside the cardholder: what a column holds that is not ours is written back as it was read.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lockstep_contract::{
    AccessLevelId, Cardholder, CardholderId, CorrelationKey, CorrelationKeys, Credential, CredentialId, CredentialKind,
    CredentialStatus, InactiveStatus, KeyKind, Profile, Status, Validity, field,
};

use crate::dates::Bound;
use crate::profile::{Holds, ImportProfile, Table, TableName, Values};
use crate::rows::Row;

/// The rows of each table, as they were read.
pub(crate) type Tables = BTreeMap<TableName, Vec<Row>>;

/// What a PACS held at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) people: BTreeMap<CardholderId, Person>,
    /// The levels with their names.
    pub(crate) levels: BTreeMap<AccessLevelId, String>,
    by_key: BTreeMap<CorrelationKey, Vec<CardholderId>>,
    /// The moment, by the clock of the system that it was read from.
    pub(crate) as_of: Timestamp,
}

/// One person with the rows that said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) cardholder: Cardholder,
    pub(crate) row: Row,
    pub(crate) cards: BTreeMap<CredentialId, Row>,
}

impl Snapshot {
    /// Puts the tables together.
    ///
    /// # Errors
    /// When a row cannot be read, or one person or card stands twice. For people.
    pub(crate) fn assemble(profile: &ImportProfile, mut tables: Tables, as_of: Timestamp) -> Result<Self, String> {
        let mut people = BTreeMap::new();
        for (nth, row) in tables.remove(&TableName::People).unwrap_or_default().into_iter().enumerate() {
            let person = person(profile, row).map_err(|why| format!("people, row {}: {why}", nth + 1))?;
            let id = person.cardholder.id.clone();
            if people.insert(id.clone(), person).is_some() {
                return Err(format!("people: `{id}` stands in two rows; it is not known which is right"));
            }
        }
        let mut snapshot = Self { people, levels: BTreeMap::new(), by_key: BTreeMap::new(), as_of };
        if let (Some(table), Some(rows)) = (&profile.credentials, tables.remove(&TableName::Credentials)) {
            snapshot.cards(profile, table, rows)?;
        }
        if let (Some(table), Some(rows)) = (&profile.memberships, tables.remove(&TableName::Memberships)) {
            snapshot.memberships(profile, table, &rows)?;
        }
        if let (Some(table), Some(rows)) = (&profile.levels, tables.remove(&TableName::Levels)) {
            snapshot.names(table, &rows)?;
        }
        snapshot.index();
        Ok(snapshot)
    }

    fn cards(&mut self, profile: &ImportProfile, table: &Table, rows: Vec<Row>) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for (nth, row) in rows.into_iter().enumerate() {
            let at = |why: &dyn std::fmt::Display| format!("credentials, row {}: {why}", nth + 1);
            let id = CredentialId::new(cell(table, &row, Holds::Credential)).map_err(|error| at(&error))?;
            if !seen.insert(id.clone()) {
                return Err(at(&"one card stands in two rows"));
            }
            // A card of nobody is none of ours.
            let Ok(owner) = CardholderId::new(cell(table, &row, Holds::Key)) else { continue };
            let Some(person) = self.people.get_mut(&owner) else { continue };
            let number = card_number(&profile.values, table, &row);
            let status = card_status(&profile.values, cell(table, &row, Holds::CredentialStatus));
            let card = Credential { id: id.clone(), kind: CredentialKind::Card, number, status };
            add_card(&mut person.cardholder, card);
            person.cards.insert(id, row);
        }
        Ok(())
    }

    fn memberships(&mut self, profile: &ImportProfile, table: &Table, rows: &[Row]) -> Result<(), String> {
        for (nth, row) in rows.iter().enumerate() {
            let at = |why: &dyn std::fmt::Display| format!("memberships, row {}: {why}", nth + 1);
            let level = AccessLevelId::new(cell(table, row, Holds::Level)).map_err(|error| at(&error))?;
            let owner = CardholderId::new(cell(table, row, Holds::Key)).map_err(|error| at(&error))?;
            let word = cell(table, row, Holds::Member);
            let member = profile.values.member.iter().any(|known| known == word);
            if !member && !profile.values.not_member.iter().any(|known| known == word) {
                return Err(at(&"it is not known whether this is a membership"));
            }
            self.levels.entry(level.clone()).or_default();
            if let Some(person) = self.people.get_mut(&owner).filter(|_| member) {
                person.cardholder.levels.insert(level);
            }
        }
        Ok(())
    }

    fn names(&mut self, table: &Table, rows: &[Row]) -> Result<(), String> {
        for (nth, row) in rows.iter().enumerate() {
            let id = AccessLevelId::new(cell(table, row, Holds::Level))
                .map_err(|error| format!("levels, row {}: {error}", nth + 1))?;
            self.levels.insert(id, cell(table, row, Holds::LevelName).to_owned());
        }
        Ok(())
    }

    fn index(&mut self) {
        for (id, person) in &self.people {
            for level in &person.cardholder.levels {
                self.levels.entry(level.clone()).or_default();
            }
            for key in person.cardholder.keys.iter() {
                self.by_key.entry(key.clone()).or_default().push(id.clone());
            }
        }
        for (id, name) in &mut self.levels {
            if name.is_empty() {
                id.as_str().clone_into(name);
            }
        }
    }

    /// Those who have this key.
    pub(crate) fn with_key(&self, key: &CorrelationKey) -> impl Iterator<Item = &Person> {
        self.by_key.get(key).into_iter().flatten().filter_map(|id| self.people.get(id))
    }
}

/// The cell that holds this; empty where no column does.
pub(crate) fn cell<'r>(table: &Table, row: &'r Row, holds: Holds) -> &'r str {
    table.place(holds).and_then(|at| row.get(at)).map_or("", String::as_str)
}

fn person(profile: &ImportProfile, row: Row) -> Result<Person, String> {
    let (table, values) = (&profile.people, &profile.values);
    let id = CardholderId::new(cell(table, &row, Holds::Key)).map_err(|error| error.to_string())?;
    let mut fields = Profile::new();
    for (column, value) in table.columns.iter().zip(&row) {
        if let Some(name) = column.field.as_ref().filter(|_| !value.is_empty()) {
            fields.set(name.clone(), value.as_str());
        }
    }
    let end = cell(table, &row, Holds::ValidUntil);
    let ended = values.suspended_until.as_deref() == Some(end);
    let validity = Validity {
        from: profile.dates.read(cell(table, &row, Holds::ValidFrom), Bound::From)?,
        until: if ended { None } else { profile.dates.read(end, Bound::Until)? },
    };
    let status = match table.place(Holds::Status) {
        Some(_) => status(values, cell(table, &row, Holds::Status)),
        None if ended => Status::Suspended,
        None => Status::Active,
    };
    let mut cardholder = Cardholder {
        keys: CorrelationKeys::new(),
        levels: levels(values, cell(table, &row, Holds::Levels))?,
        credentials: Vec::new(),
        site: None,
        revision: None,
        profile: fields,
        status,
        validity,
        id,
    };
    cardholder.keys = keys(profile.key, &cardholder);
    let mut cards = BTreeMap::new();
    if let Some(number) = card_number(values, table, &row) {
        let id = CredentialId::new(format!("{}/card", cardholder.id)).map_err(|error| error.to_string())?;
        let status = match table.place(Holds::CredentialStatus) {
            Some(_) => card_status(values, cell(table, &row, Holds::CredentialStatus)),
            None => CredentialStatus::Active,
        };
        add_card(
            &mut cardholder,
            Credential { id: id.clone(), kind: CredentialKind::Card, number: Some(number), status },
        );
        cards.insert(id, row.clone());
    }
    Ok(Person { cardholder, row, cards })
}

fn add_card(cardholder: &mut Cardholder, card: Credential) {
    if let Some(key) = card.number.as_deref().and_then(|number| CorrelationKey::new(KeyKind::Card, number).ok()) {
        cardholder.keys.insert(key);
    }
    let at = cardholder.credentials.partition_point(|other| other.id < card.id);
    cardholder.credentials.insert(at, card);
}

/// The keys that the fields and the key column show. A value that is no key (a blank at its end) is none.
pub(crate) fn keys(own: KeyKind, cardholder: &Cardholder) -> CorrelationKeys {
    let shown = [
        (KeyKind::Employee, field::EMPLOYEE_NUMBER),
        (KeyKind::Upn, field::UPN),
        (KeyKind::Mail, field::MAIL),
        (KeyKind::Account, field::ACCOUNT),
    ];
    let fields = shown.iter().filter_map(|(kind, name)| Some((*kind, cardholder.profile.get(name)?)));
    let cards = cardholder.credentials.iter().filter_map(|card| Some((KeyKind::Card, card.number.as_deref()?)));
    std::iter::once((own, cardholder.id.as_str()))
        .chain(fields)
        .chain(cards)
        .filter_map(|(kind, value)| CorrelationKey::new(kind, value).ok())
        .collect()
}

/// The kinds of key that [`keys`] can show with this profile.
pub(crate) fn key_kinds(profile: &ImportProfile) -> BTreeSet<KeyKind> {
    let has = |name: &str| {
        profile.people.columns.iter().any(|column| column.field.as_ref().is_some_and(|field| field.as_str() == name))
    };
    let number = |table: &Table| table.place(Holds::CardNumber).is_some();
    let mut kinds = BTreeSet::from([profile.key]);
    let shown = [
        (KeyKind::Employee, has(field::EMPLOYEE_NUMBER)),
        (KeyKind::Upn, has(field::UPN)),
        (KeyKind::Mail, has(field::MAIL)),
        (KeyKind::Account, has(field::ACCOUNT)),
        (KeyKind::Card, number(&profile.people) || profile.credentials.as_ref().is_some_and(number)),
    ];
    kinds.extend(shown.into_iter().filter(|(_, shown)| *shown).map(|(kind, _)| kind));
    kinds
}

fn known(words: &[String], word: &str) -> bool {
    words.iter().any(|known| known == word)
}

fn status(values: &Values, word: &str) -> Status {
    if known(&values.active, word) {
        Status::Active
    } else if known(&values.suspended, word) {
        Status::Suspended
    } else {
        Status::Other(word.to_owned())
    }
}

fn card_status(values: &Values, word: &str) -> CredentialStatus {
    let inactive = [
        (&values.card_inactive, InactiveStatus::Disabled),
        (&values.card_lost, InactiveStatus::Lost),
        (&values.card_stolen, InactiveStatus::Stolen),
        (&values.card_expired, InactiveStatus::Expired),
    ];
    if known(&values.card_active, word) {
        return CredentialStatus::Active;
    }
    let found = inactive.iter().find(|(words, _)| known(words, word));
    found.map_or_else(|| CredentialStatus::Other(word.to_owned()), |(_, status)| CredentialStatus::Inactive(*status))
}

/// The word for a card that does not work, as near to the reason as the importer knows one.
pub(crate) fn card_word(values: &Values, status: &CredentialStatus) -> Option<String> {
    let first = |words: &[String]| words.first().cloned();
    match status {
        CredentialStatus::Active => first(&values.card_active),
        CredentialStatus::Inactive(why) => {
            let own = match why {
                InactiveStatus::Lost => first(&values.card_lost),
                InactiveStatus::Stolen => first(&values.card_stolen),
                InactiveStatus::Expired => first(&values.card_expired),
                InactiveStatus::Disabled | InactiveStatus::Returned => None,
            };
            own.or_else(|| first(&values.card_inactive))
        }
        CredentialStatus::Other(_) => None,
    }
}

fn card_number(values: &Values, table: &Table, row: &Row) -> Option<String> {
    let number = Some(cell(table, row, Holds::CardNumber)).filter(|number| !number.is_empty())?;
    let number = match values.card_joined_by.as_str() {
        "" => number.to_owned(),
        joined => number.replace(joined, "-"),
    };
    let facility = cell(table, row, Holds::CardFacility);
    Some(if facility.is_empty() { number } else { format!("{facility}-{number}") })
}

fn levels(values: &Values, text: &str) -> Result<BTreeSet<AccessLevelId>, String> {
    let parts = text.split(values.levels_joined_by.as_str()).map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| AccessLevelId::new(part).map_err(|error| error.to_string())).collect()
}
