//! What the simulated server holds.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_conformance::{Seed, SeedCardholder};
use lockstep_contract::{AccessLevelId, CardholderId, KeyKind, Status, field};
use serde_json::{Value, json};

use super::operators::Limits;
use super::table::{Row, Table};
use super::types::types;

/// The badge statuses of the site.
pub(super) const STATUSES: [(i64, &str); 8] = [
    (ACTIVE, "Active"),
    (2, "Lost"),
    (3, "Returned"),
    (4, "Stolen"),
    (SWITCHED_OFF, "Switched off by Lockstep"),
    (6, "Suspended by security"),
    (7, "Expired"),
    (8, "Worn out"),
];
/// The one that opens doors.
pub(super) const ACTIVE: i64 = 1;
/// The one that Lockstep sets.
pub(super) const SWITCHED_OFF: i64 = 5;
/// The first key of a badge: far from the ids of cardholders, so that a mix-up shows.
pub(super) const FIRST_BADGE: i64 = 1_000_001;
/// The first id of an access level.
const FIRST_LEVEL: i64 = 101;
/// The first id of a cardholder.
pub(super) const FIRST_CARDHOLDER: i64 = 10_001;

/// Everything that the server holds.
#[derive(Debug)]
pub(super) struct State {
    pub(super) tables: BTreeMap<&'static str, Table>,
    pub(super) sessions: BTreeSet<String>,
    pub(super) sessions_made: u64,
    pub(super) licensed: bool,
    pub(super) password_works: bool,
    pub(super) limits: Limits,
    /// Larger pages are made smaller.
    pub(super) page_size_max: u64,
    /// Every request for records is queued, whether it asks for it or not.
    pub(super) queues_all: bool,
    /// So often a queued request is still pending when it is asked for.
    pub(super) polls: u32,
    /// Results of queued requests, and how often they have been asked for.
    pub(super) queue: BTreeMap<u64, (u32, Value)>,
    /// Calls of `property_bulk_update`.
    pub(super) bulk_updates: u64,
    tick: i64,
    seeded: Vec<i64>,
    levels: Vec<i64>,
}

impl State {
    pub(super) fn seeded(seed: &Seed) -> Self {
        let tables = types().into_iter().map(|of| (of.name, Table::new(of))).collect();
        let mut state = Self {
            tables,
            sessions: BTreeSet::new(),
            sessions_made: 0,
            licensed: true,
            password_works: true,
            limits: Limits::default(),
            page_size_max: 100,
            queues_all: false,
            polls: 1,
            queue: BTreeMap::new(),
            bulk_updates: 0,
            tick: 0,
            seeded: Vec::new(),
            levels: Vec::new(),
        };
        for (id, name) in STATUSES {
            state.put("Lnl_BadgeStatus", &json!({"ID": id, "NAME": name}));
        }
        state.put("Lnl_BadgeType", &json!({"ID": 1, "NAME": "Employee", "BADGETYPECLASS": 1}));
        for (id, level) in (FIRST_LEVEL..).zip(&seed.levels) {
            state.put("Lnl_AccessLevel", &json!({"ID": id, "NAME": level.name, "SEGMENTID": 0}));
            state.levels.push(id);
        }
        for cardholder in &seed.cardholders {
            let id = state.seed_cardholder(cardholder);
            state.seeded.push(id);
        }
        state
    }

    fn seed_cardholder(&mut self, seed: &SeedCardholder) -> i64 {
        let key = |kind| seed.keys.of(kind).next().map(|key| key.value().to_owned());
        let field = |name| seed.profile.get(name).map(str::to_owned);
        let id = self.add_cardholder(&json!({
            "LASTNAME": field(field::FAMILY_NAME).or_else(|| field(field::DISPLAY_NAME)).unwrap_or_else(|| "?".to_owned()),
            "FIRSTNAME": field(field::GIVEN_NAME),
            "SSNO": key(KeyKind::Employee).or_else(|| field(field::EMPLOYEE_NUMBER)),
            "EMAIL": key(KeyKind::Mail).or_else(|| field(field::MAIL)),
            "LOCKSTEPID": key(KeyKind::Directory),
            "OPHONE": field(field::PHONE),
            "UDF_DEPARTMENT": field(field::DEPARTMENT),
            "UDF_TITLE": field(field::TITLE),
        }));
        let status = if seed.status == Status::Active { ACTIVE } else { SWITCHED_OFF };
        for card in &seed.cards {
            let number = card.rsplit('-').next().and_then(|digits| digits.parse().ok()).unwrap_or_default();
            let badge = self.add_badge(id, number, status);
            for level in &seed.levels {
                self.assign(badge, self.levels[*level]);
            }
        }
        id
    }

    /// The time that the server puts on a changed instance.
    pub(super) fn now(&mut self) -> Value {
        self.tick += 1;
        let at = jiff::Timestamp::from_second(1_772_000_000 + self.tick).unwrap_or_default();
        Value::from(at.to_string())
    }

    pub(super) fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)
    }

    pub(super) fn put(&mut self, table: &str, row: &Value) {
        let row: Row =
            row.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect();
        if let Some(table) = self.tables.get_mut(table) {
            table.put(row);
        }
    }

    pub(super) fn add_cardholder(&mut self, properties: &Value) -> i64 {
        let id =
            self.tables.get_mut("Lnl_Cardholder").map(|table| table.next_key(FIRST_CARDHOLDER)).unwrap_or_default();
        let mut row = properties.clone();
        row["ID"] = Value::from(id);
        row["LASTCHANGED"] = self.now();
        self.put("Lnl_Cardholder", &row);
        id
    }

    pub(super) fn add_badge(&mut self, person: i64, number: i64, status: i64) -> i64 {
        let key = self.tables.get_mut("Lnl_Badge").map(|table| table.next_key(FIRST_BADGE)).unwrap_or_default();
        let changed = self.now();
        let row = json!({"BADGEKEY": key, "ID": number, "PERSONID": person, "TYPE": 1, "STATUS": status,
            "LASTCHANGED": changed});
        self.put("Lnl_Badge", &row);
        key
    }

    pub(super) fn assign(&mut self, badge: i64, level: i64) {
        self.put("Lnl_AccessLevelAssignment", &json!({"BADGEKEY": badge, "ACCESSLEVELID": level}));
    }

    pub(super) fn cardholders(&self) -> Vec<CardholderId> {
        let all = self.table("Lnl_Cardholder").into_iter().flat_map(Table::rows);
        let all = all.filter_map(|row| row.get("ID").and_then(Value::as_i64));
        let later = all.filter(|id| self.seeded.last().is_none_or(|last| id > last));
        self.seeded.iter().copied().chain(later).filter_map(|id| CardholderId::new(id.to_string()).ok()).collect()
    }

    /// So many pages of this size hold everybody, their badges and the levels on the badges.
    pub(super) fn pages(&self, size: usize) -> usize {
        let lists = ["Lnl_Cardholder", "Lnl_Badge", "Lnl_AccessLevelAssignment"];
        let counts = lists.into_iter().filter_map(|name| self.table(name)).map(|table| table.rows().count());
        counts.map(|count| count.div_ceil(size).max(1)).sum()
    }

    pub(super) fn levels(&self) -> Vec<AccessLevelId> {
        self.levels.iter().filter_map(|id| AccessLevelId::new(id.to_string()).ok()).collect()
    }
}
