//! Rows into people. Pure. A row that cannot be understood is set aside with its place, and the id it is about, where
//! that can be read: of such a person it is never said that he is gone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lockstep_contract::{CorrelationKey, CorrelationKeys, KeyKind, Person, PersonId, Profile, Standing, field};

use crate::columns::Columns;
use crate::standing::{Cells, Rules, Schedule};
use crate::table::{Row, Table};

/// The people of all files together.
#[derive(Debug, Clone, Default)]
pub(crate) struct People {
    /// In the order of the files.
    pub(crate) list: Vec<Person>,
    /// What the files say about when each of them is here.
    pub(crate) schedules: Vec<Schedule>,
    /// Where each person is in `list`.
    pub(crate) index: BTreeMap<PersonId, usize>,
    /// Rows set aside: where, and why.
    pub(crate) aside: Vec<(String, String)>,
    /// The ids that rows set aside are about.
    pub(crate) held: BTreeSet<PersonId>,
    /// Some row set aside is about nobody knows whom.
    pub(crate) nameless: bool,
    /// People by the name of their LDIF entry.
    pub(crate) by_entry: BTreeMap<String, PersonId>,
}

struct Candidate {
    place: String,
    entry: Option<String>,
    person: Person,
    schedule: Schedule,
}

/// Everybody in these files, as they are at this time.
pub(crate) fn collect(tables: &[(Table, Columns)], rules: &Rules, now: Timestamp) -> People {
    let mut people = People::default();
    let mut found: BTreeMap<PersonId, usize> = BTreeMap::new();
    let mut candidates = Vec::new();
    for (table, columns) in tables {
        people.nameless |= !table.ragged.is_empty();
        people.aside.extend(table.ragged.iter().cloned());
        for row in &table.rows {
            let place = table.place(row.line);
            let schedule = rules.schedule(cells(columns, row));
            match person(columns, row, schedule.standing(now)) {
                Ok(person) => {
                    *found.entry(person.id.clone()).or_default() += 1;
                    candidates.push(Candidate { place, entry: row.entry.clone(), person, schedule });
                }
                Err((id, why)) => {
                    people.aside.push((place, why));
                    people.nameless |= id.is_none();
                    people.held.extend(id);
                }
            }
        }
    }
    for candidate in candidates {
        let id = candidate.person.id.clone();
        // Nobody can tell which of two rows is the right one.
        if found.get(&id).copied().unwrap_or(0) > 1 || people.held.contains(&id) {
            people.aside.push((candidate.place, format!("the id `{id}` stands more than once")));
            people.held.insert(id);
            continue;
        }
        people.index.insert(id.clone(), people.list.len());
        if let Some(entry) = candidate.entry {
            people.by_entry.insert(entry, id);
        }
        people.list.push(candidate.person);
        people.schedules.push(candidate.schedule);
    }
    people
}

impl People {
    pub(crate) fn get(&self, id: &PersonId) -> Option<&Person> {
        self.index.get(id).and_then(|at| self.list.get(*at))
    }

    /// True for an id that nobody has, but somebody has in another case: `p17` beside `P17`.
    pub(crate) fn is_misspelt(&self, id: &PersonId) -> bool {
        if self.index.contains_key(id) || self.held.contains(id) {
            return false;
        }
        let text = id.to_string();
        self.list.iter().any(|person| person.id.to_string().eq_ignore_ascii_case(&text))
    }

    /// The people that have this key.
    pub(crate) fn with_key<'p>(&'p self, key: &'p CorrelationKey) -> impl Iterator<Item = &'p Person> {
        self.list.iter().filter(move |person| person.keys.contains(key))
    }
}

/// The fields that are keys, too.
const KEYS: [(&str, KeyKind); 4] = [
    (field::EMPLOYEE_NUMBER, KeyKind::Employee),
    (field::UPN, KeyKind::Upn),
    (field::MAIL, KeyKind::Mail),
    (field::ACCOUNT, KeyKind::Account),
];

type Refusal = (Option<PersonId>, String);

fn cell(row: &Row, at: usize) -> &str {
    row.cells.get(at).map_or("", String::as_str)
}

fn cells<'r>(columns: &Columns, row: &'r Row) -> Cells<'r> {
    let of = |at: Option<usize>| at.map(|at| cell(row, at));
    Cells {
        status: of(columns.status),
        start_date: of(columns.start_date),
        leave_date: of(columns.leave_date),
        absent_from: of(columns.absent_from),
        absent_to: of(columns.absent_to),
        site: of(columns.site),
    }
}

fn person(columns: &Columns, row: &Row, standing: Standing) -> Result<Person, Refusal> {
    let cell = |at: usize| cell(row, at);
    let text = cell(columns.id);
    if text.is_empty() {
        return Err((None, "there is no id".to_owned()));
    }
    if text.trim() != text {
        return Err((None, "the id starts or ends with a blank".to_owned()));
    }
    let id = PersonId::new(text).map_err(|error| (None, error.to_string()))?;
    let mut keys = CorrelationKeys::new();
    let mut add = |kind, value: &str| match CorrelationKey::new(kind, value) {
        Ok(key) => {
            keys.insert(key);
            Ok(())
        }
        Err(error) => Err((Some(id.clone()), error.to_string())),
    };
    add(KeyKind::Directory, &id.to_string())?;
    let mut profile = Profile::new();
    for (name, at) in &columns.fields {
        // An empty cell is not known, rather than known to be empty: it clears nothing at a PACS.
        let value = cell(*at);
        if value.is_empty() {
            continue;
        }
        if let Some((_, kind)) = KEYS.iter().find(|(known, _)| *known == name.as_str()) {
            add(*kind, value)?;
        }
        profile.set(name.clone(), value);
    }
    if let Some(card) = columns.card.map(cell).filter(|card| !card.is_empty()) {
        add(KeyKind::Card, card)?;
    }
    Ok(Person { id, keys, profile, standing })
}
