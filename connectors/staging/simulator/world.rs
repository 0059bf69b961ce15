//! The simulated PACS behind the importer: its records, what a row does to them, and its exports. It shares nothing with
//! the connector but the profile.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use lockstep_conformance::{Seed, SeedCardholder};
use lockstep_contract::{
    AccessLevelId, Cardholder, CardholderId, CorrelationKey, CorrelationKeys, Credential, CredentialId, CredentialKind,
    CredentialStatus, FieldName, InactiveStatus, KeyKind, Profile, Status, Validity,
};

use super::parser::Cells;
use super::{Duplicates, Rules};
use crate::profile::{Column, Holds, ImportProfile, Table, TableName};

/// The records.
#[derive(Debug, Clone)]
pub struct World {
    pub(crate) profile: ImportProfile,
    people: BTreeMap<String, Cells>,
    cards: BTreeMap<String, Cells>,
    members: BTreeSet<(String, String)>,
    levels: BTreeMap<String, String>,
    /// How often somebody new was made.
    pub(crate) created: u64,
}

impl World {
    /// A PACS with these records.
    pub fn new(profile: &ImportProfile, seed: &Seed) -> Self {
        let levels = seed.levels.iter().enumerate().map(|(n, level)| (level_id(n), level.name.clone())).collect();
        let mut world = Self {
            profile: profile.clone(),
            people: BTreeMap::new(),
            cards: BTreeMap::new(),
            members: BTreeSet::new(),
            levels,
            created: 0,
        };
        for (n, holder) in seed.cardholders.iter().enumerate() {
            world.seed(n, holder);
        }
        world
    }

    /// The id of a seeded cardholder.
    pub fn id_of(profile: &ImportProfile, holder: &SeedCardholder) -> Option<CardholderId> {
        CardholderId::new(holder.keys.of(profile.key).next()?.value()).ok()
    }

    /// The ids of the seeded levels.
    pub fn level_ids(seed: &Seed) -> Vec<AccessLevelId> {
        (0..seed.levels.len()).filter_map(|n| AccessLevelId::new(level_id(n)).ok()).collect()
    }

    fn seed(&mut self, n: usize, holder: &SeedCardholder) {
        let Some(id) = Self::id_of(&self.profile, holder).map(String::from) else { return };
        let levels: Vec<String> = holder.levels.iter().map(|level| level_id(*level)).collect();
        let values = self.profile.values.clone();
        let first = |words: &[String]| words.first().cloned().unwrap_or_default();
        let card = holder.cards.first().map(|number| number.replace('-', &values.card_joined_by)).unwrap_or_default();
        let cell = |column: &Column| match (column.holds, &column.field) {
            (_, Some(field)) => holder.profile.get(field.as_str()).unwrap_or_default().to_owned(),
            (Some(Holds::Key), _) => id.clone(),
            (Some(Holds::Status), _) if holder.status == Status::Suspended => first(&values.suspended),
            (Some(Holds::Status), _) => first(&values.active),
            (Some(Holds::Levels), _) => levels.join(&values.levels_joined_by),
            (Some(Holds::CardNumber), _) => card.clone(),
            (Some(Holds::CredentialStatus), _) => first(&values.card_active),
            _ => column.value.clone(),
        };
        let row = self.profile.people.columns.iter().map(|column| (column.header.clone(), cell(column))).collect();
        self.people.insert(id.clone(), row);
        if self.profile.memberships.is_some() {
            self.members.extend(levels.into_iter().map(|level| (id.clone(), level)));
        }
        if let Some(table) = self.profile.credentials.clone() {
            for (nth, number) in holder.cards.iter().enumerate() {
                let card = format!("card-{n:06}-{nth}");
                let cell = |column: &Column| match column.holds {
                    Some(Holds::Credential) => card.clone(),
                    Some(Holds::CardNumber) => number.replace('-', &values.card_joined_by),
                    Some(Holds::CredentialStatus) => first(&values.card_active),
                    Some(Holds::Key) => id.clone(),
                    _ if column.required && column.value.is_empty() => "Standard 26 bit".to_owned(),
                    _ => column.value.clone(),
                };
                let row = table.columns.iter().map(|column| (column.header.clone(), cell(column))).collect();
                self.cards.insert(card.clone(), row);
            }
        }
    }

    /// Imports rows, and says which it refused and why. A refused row changes nothing.
    pub(crate) fn import(&mut self, table: TableName, rows: Vec<Cells>, rules: Rules) -> Vec<String> {
        let mut errors = Vec::new();
        let mut seen = BTreeSet::new();
        for (nth, row) in rows.into_iter().enumerate() {
            let key = self.profile.table(table).map(|table| text(table, &row, Holds::Key)).unwrap_or_default();
            if table == TableName::People && !seen.insert(key) {
                match rules.duplicates {
                    Duplicates::LastWins => {}
                    Duplicates::FirstWins => continue,
                    Duplicates::Reject => {
                        errors.push(format!("row {}: duplicate key", nth + 1));
                        continue;
                    }
                }
            }
            if let Err(why) = self.import_row(table, &row, rules) {
                errors.push(format!("row {}: {why}", nth + 1));
            }
        }
        if table == TableName::People && rules.full_deletes_missing {
            self.people.retain(|key, _| seen.contains(key));
        }
        errors
    }

    fn import_row(&mut self, name: TableName, row: &Cells, rules: Rules) -> Result<(), String> {
        let Some(table) = self.profile.table(name).cloned() else { return Err("no such table".to_owned()) };
        for column in &table.columns {
            let value = row.get(&column.header).map_or("", String::as_str);
            if column.required && value.is_empty() {
                return Err(format!("{} is missing", column.header));
            }
            if column.chars_max.is_some_and(|most| value.chars().count() > most as usize) {
                return Err(format!("{} is too long", column.header));
            }
        }
        let key = text(&table, row, Holds::Key);
        match name {
            TableName::People => self.import_person(&table, key, row, rules),
            TableName::Credentials => {
                let id = text(&table, row, Holds::Credential);
                if !self.people.contains_key(&key) {
                    return Err("unknown cardholder".to_owned());
                }
                let word = text(&table, row, Holds::CredentialStatus);
                if matches!(card_status(&self.profile, &word), CredentialStatus::Other(_)) {
                    return Err("unknown state of a credential".to_owned());
                }
                self.cards.insert(id, row.clone());
                Ok(())
            }
            TableName::Memberships => {
                let level = text(&table, row, Holds::Level);
                if !self.people.contains_key(&key) {
                    return Err("unknown cardholder".to_owned());
                }
                self.know_level(&level, rules)?;
                let word = text(&table, row, Holds::Member);
                let values = &self.profile.values;
                if values.member.contains(&word) {
                    self.members.insert((key, level));
                } else if values.not_member.contains(&word) {
                    self.members.remove(&(key, level));
                } else {
                    return Err("neither in nor out".to_owned());
                }
                Ok(())
            }
            TableName::Levels => Err("groups are not imported".to_owned()),
        }
    }

    fn import_person(&mut self, table: &Table, key: String, row: &Cells, rules: Rules) -> Result<(), String> {
        let values = &self.profile.values;
        if table.place(Holds::Status).is_some() {
            let word = text(table, row, Holds::Status);
            if !values.active.contains(&word) && !values.suspended.contains(&word) {
                return Err("unknown state".to_owned());
            }
        }
        for holds in [Holds::ValidFrom, Holds::ValidUntil] {
            instant(&self.profile, &text(table, row, holds)).ok_or("bad date")?;
        }
        let joined = text(table, row, Holds::Levels);
        let levels: Vec<String> =
            joined.split(&values.levels_joined_by).filter(|l| !l.is_empty()).map(str::to_owned).collect();
        for level in levels {
            self.know_level(&level, rules)?;
        }
        if self.people.insert(key, row.clone()).is_none() {
            self.created += 1;
        }
        Ok(())
    }

    fn know_level(&mut self, level: &str, rules: Rules) -> Result<(), String> {
        if self.levels.contains_key(level) {
            return Ok(());
        }
        if !rules.creates_unknown_levels {
            return Err("unknown group".to_owned());
        }
        self.levels.insert(level.to_owned(), level.to_owned());
        Ok(())
    }

    /// The cells of an export, in the order of the columns.
    pub(crate) fn export(&self, name: TableName) -> Vec<Vec<String>> {
        let Some(table) = self.profile.table(name) else { return Vec::new() };
        let of = |row: &Cells| {
            table.columns.iter().map(|column| row.get(&column.header).cloned().unwrap_or_default()).collect()
        };
        match name {
            TableName::People => self.people.values().map(of).collect(),
            TableName::Credentials => self.cards.values().map(of).collect(),
            TableName::Memberships => self
                .members
                .iter()
                .map(|(person, level)| {
                    let yes = self.profile.values.member.first().cloned().unwrap_or_default();
                    let cell = |column: &Column| match column.holds {
                        Some(Holds::Key) => person.clone(),
                        Some(Holds::Level) => level.clone(),
                        Some(Holds::Member) => yes.clone(),
                        _ => column.value.clone(),
                    };
                    table.columns.iter().map(cell).collect()
                })
                .collect(),
            TableName::Levels => self
                .levels
                .iter()
                .map(|(id, name)| {
                    let cell = |column: &Column| match column.holds {
                        Some(Holds::Level) => id.clone(),
                        Some(Holds::LevelName) => name.clone(),
                        _ => String::new(),
                    };
                    table.columns.iter().map(cell).collect()
                })
                .collect(),
        }
    }

    /// How many people there are.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// True when there is nobody.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// How often somebody new was made.
    pub fn created(&self) -> u64 {
        self.created
    }

    /// An operator at the keyboard of the PACS writes into a cell of a person.
    pub fn edit(&mut self, id: &CardholderId, header: &str, value: &str) {
        if let Some(row) = self.people.get_mut(id.as_str()) {
            row.insert(header.to_owned(), value.to_owned());
        }
    }

    /// A record as the PACS has it.
    pub fn record(&self, id: &CardholderId) -> Option<Cardholder> {
        let (profile, table) = (&self.profile, &self.profile.people);
        let row = self.people.get(id.as_str())?;
        let fields = table.columns.iter().filter_map(|column| {
            let value = row.get(&column.header).filter(|value| !value.is_empty())?;
            Some((column.field.clone()?, value.clone()))
        });
        let fields: Vec<(FieldName, String)> = fields.collect();
        let until = text(table, row, Holds::ValidUntil);
        let ended = profile.values.suspended_until.as_ref() == Some(&until);
        let word = text(table, row, Holds::Status);
        let suspended = ended || profile.values.suspended.contains(&word);
        let levels = if profile.memberships.is_some() {
            self.members.iter().filter(|(person, _)| person == id.as_str()).map(|(_, level)| level.clone()).collect()
        } else {
            let joined = text(table, row, Holds::Levels);
            joined.split(&profile.values.levels_joined_by).map(str::to_owned).collect::<Vec<_>>()
        };
        let mut cardholder = Cardholder {
            id: id.clone(),
            keys: CorrelationKeys::new(),
            profile: fields.into_iter().collect::<Profile>(),
            status: if suspended { Status::Suspended } else { Status::Active },
            levels: levels.into_iter().filter_map(|level| AccessLevelId::new(level).ok()).collect(),
            credentials: self.cards_of(id, row),
            validity: Validity {
                from: instant(profile, &text(table, row, Holds::ValidFrom)).flatten(),
                until: if ended { None } else { instant(profile, &until).flatten() },
            },
            site: None,
            revision: None,
        };
        cardholder.keys = self.keys_of(&cardholder);
        Some(cardholder)
    }

    fn cards_of(&self, id: &CardholderId, person: &Cells) -> Vec<Credential> {
        let card = |id: String, table: &Table, row: &Cells| {
            let joined = &self.profile.values.card_joined_by;
            let number = text(table, row, Holds::CardNumber).replace(joined.as_str(), "-");
            let status = match table.place(Holds::CredentialStatus) {
                Some(_) => card_status(&self.profile, &text(table, row, Holds::CredentialStatus)),
                None => CredentialStatus::Active,
            };
            let id = CredentialId::new(id).ok()?;
            (!number.is_empty()).then_some(Credential { id, kind: CredentialKind::Card, number: Some(number), status })
        };
        match &self.profile.credentials {
            Some(table) => {
                let mine = self.cards.iter().filter(|(_, row)| text(table, row, Holds::Key) == id.as_str());
                mine.filter_map(|(card_id, row)| card(card_id.clone(), table, row)).collect()
            }
            None => card(format!("{id}/card"), &self.profile.people, person).into_iter().collect(),
        }
    }

    fn keys_of(&self, cardholder: &Cardholder) -> CorrelationKeys {
        let mut keys = vec![(self.profile.key, cardholder.id.to_string())];
        for (kind, field) in [
            (KeyKind::Mail, "mail"),
            (KeyKind::Employee, "employee_number"),
            (KeyKind::Upn, "upn"),
            (KeyKind::Account, "account"),
        ] {
            keys.extend(cardholder.profile.get(field).map(|value| (kind, value.to_owned())));
        }
        keys.extend(cardholder.credentials.iter().filter_map(|card| Some((KeyKind::Card, card.number.clone()?))));
        keys.into_iter().filter_map(|(kind, value)| CorrelationKey::new(kind, &value).ok()).collect()
    }
}

fn level_id(n: usize) -> String {
    format!("level-{n:02}")
}

fn text(table: &Table, row: &Cells, holds: Holds) -> String {
    let column = table.columns.iter().find(|column| column.holds == Some(holds));
    column.and_then(|column| row.get(&column.header)).cloned().unwrap_or_default()
}

fn card_status(profile: &ImportProfile, word: &str) -> CredentialStatus {
    let values = &profile.values;
    let has = |words: &[String]| words.iter().any(|known| known == word);
    if has(&values.card_active) {
        CredentialStatus::Active
    } else if has(&values.card_lost) {
        CredentialStatus::Inactive(InactiveStatus::Lost)
    } else if has(&values.card_stolen) {
        CredentialStatus::Inactive(InactiveStatus::Stolen)
    } else if has(&values.card_expired) {
        CredentialStatus::Inactive(InactiveStatus::Expired)
    } else if has(&values.card_inactive) {
        CredentialStatus::Inactive(InactiveStatus::Disabled)
    } else {
        CredentialStatus::Other(word.to_owned())
    }
}

/// `None` for a date that the importer does not understand, `Some(None)` for none.
#[expect(clippy::option_option, reason = "no date and a bad date are two answers")]
fn instant(profile: &ImportProfile, text: &str) -> Option<Option<Timestamp>> {
    if text.is_empty() || text == profile.dates.open {
        return Some(None);
    }
    let zone = TimeZone::get(&profile.dates.zone).ok()?;
    let civil = DateTime::strptime(&profile.dates.format, text)
        .or_else(|_| Date::strptime(&profile.dates.format, text).map(DateTime::from))
        .ok()?;
    Some(Some(civil.to_zoned(zone).ok()?.timestamp()))
}
