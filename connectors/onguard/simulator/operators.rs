//! What people and accidents do to the simulated server behind the connector's back.

use lockstep_contract::{AccessLevelId, CardholderId, CredentialId};
use serde_json::{Value, json};

use super::Simulator;
use super::state::{ACTIVE, STATUSES};

/// The limits of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Badges that work, for one person.
    pub active_badges: u64,
    /// Access levels on one badge.
    pub levels_per_badge: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { active_badges: 3, levels_per_badge: 32 }
    }
}

impl Limits {
    pub(super) fn shown(self) -> Value {
        json!({"version": "1.0", "activate_deactivate_dates_use_time": false, "max_active_badges": self.active_badges,
            "max_badge_id_length": 9, "max_extended_id_length": 32,
            "max_accesslevels_per_badge_standard": self.levels_per_badge, "max_accesslevels_per_badge_temporary": 32,
            "max_accesslevels_per_badge_total": self.levels_per_badge, "temporary_accesslevel_granularity": "day",
            "badge_pin_properties": {"digits": 4, "generate_pin_code": false}})
    }
}

fn number(id: &str) -> i64 {
    id.parse().unwrap_or_default()
}

/// What people do in System Administration.
impl Simulator {
    /// Adds a cardholder, with these properties in capitals.
    ///
    /// # Panics
    /// Never: a number is an id.
    pub fn add_cardholder(&self, properties: &Value) -> CardholderId {
        let id = self.state().add_cardholder(properties);
        CardholderId::new(id.to_string()).expect("a number is an id")
    }

    /// Issues a badge that works.
    ///
    /// # Panics
    /// Never: a number is an id.
    pub fn issue_badge(&self, person: &CardholderId, number_on_it: i64) -> CredentialId {
        let key = self.state().add_badge(number(person.as_str()), number_on_it, ACTIVE);
        CredentialId::new(key.to_string()).expect("a number is an id")
    }

    /// Sets the status of a badge by its name; 0 when the site has none of that name.
    pub fn set_badge_status(&self, badge: &CredentialId, name: &str) {
        let status = STATUSES.iter().find(|(_, known)| *known == name).map_or(0, |(id, _)| *id);
        self.edit("Lnl_Badge", [number(badge.as_str()), 0], "STATUS", Value::from(status));
    }

    /// The name of the status of a badge.
    pub fn badge_status(&self, badge: &CredentialId) -> Option<&'static str> {
        let state = self.state();
        let row = state.table("Lnl_Badge")?.get([number(badge.as_str()), 0])?;
        let status = row.get("STATUS").and_then(Value::as_i64)?;
        STATUSES.iter().find(|(id, _)| *id == status).map(|(_, name)| *name)
    }

    /// Ticks a level at a badge.
    pub fn assign(&self, badge: &CredentialId, level: &AccessLevelId) {
        self.state().assign(number(badge.as_str()), number(level.as_str()));
    }

    /// The levels ticked at a badge.
    pub fn levels_of_badge(&self, badge: &CredentialId) -> Vec<i64> {
        let state = self.state();
        let rows = state.table("Lnl_AccessLevelAssignment").into_iter().flat_map(super::table::Table::rows);
        let of_badge = rows.filter(|row| row.get("BADGEKEY").and_then(Value::as_i64) == Some(number(badge.as_str())));
        of_badge.filter_map(|row| row.get("ACCESSLEVELID").and_then(Value::as_i64)).collect()
    }

    /// Changes a property of a cardholder.
    pub fn edit_cardholder(&self, person: &CardholderId, property: &str, value: Value) {
        self.edit("Lnl_Cardholder", [number(person.as_str()), 0], property, value);
    }

    /// A property of a cardholder.
    pub fn cardholder_property(&self, person: &CardholderId, property: &str) -> Option<Value> {
        let state = self.state();
        state.table("Lnl_Cardholder")?.get([number(person.as_str()), 0])?.get(property).cloned()
    }

    /// Deletes a cardholder, with everything that hangs on them.
    pub fn delete_cardholder(&self, person: &CardholderId) {
        if let Some(table) = self.state().tables.get_mut("Lnl_Cardholder") {
            table.remove([number(person.as_str()), 0]);
        }
    }

    /// Renames a badge status.
    pub fn rename_status(&self, from: &str, to: &str) {
        let id = STATUSES.iter().find(|(_, known)| *known == from).map_or(0, |(id, _)| *id);
        self.edit("Lnl_BadgeStatus", [id, 0], "NAME", Value::from(to));
    }

    fn edit(&self, table: &str, key: [i64; 2], property: &str, value: Value) {
        let mut state = self.state();
        let changed = state.now();
        let Some(table) = state.tables.get_mut(table) else { return };
        if let Some(mut row) = table.get(key).cloned() {
            row.insert(property.to_owned(), value);
            row.insert("LASTCHANGED".to_owned(), changed);
            table.put(row);
        }
    }
}

/// What happens to the server.
impl Simulator {
    /// Every session runs out.
    pub fn end_sessions(&self) {
        self.state().sessions.clear();
    }

    /// How many sessions were opened.
    pub fn sessions_made(&self) -> u64 {
        self.state().sessions_made
    }

    /// A renewed licence lists the application id, or no longer does.
    pub fn license(&self, licensed: bool) {
        self.state().licensed = licensed;
    }

    /// The password works, or was changed.
    pub fn accept_password(&self, works: bool) {
        self.state().password_works = works;
    }

    /// The limits of the site.
    pub fn limit(&self, limits: Limits) {
        self.state().limits = limits;
    }

    /// No page is larger than this.
    pub fn page_size_max(&self, most: u64) {
        self.state().page_size_max = most;
    }

    /// Every request for records is queued, and pending for so many polls.
    pub fn queue_all(&self, polls: u32) {
        let mut state = self.state();
        (state.queues_all, state.polls) = (true, polls);
    }

    /// How often somebody tried to change everybody at once.
    pub fn bulk_updates(&self) -> u64 {
        self.state().bulk_updates
    }
}
