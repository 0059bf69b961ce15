//! What tests and rehearsals do behind the connector's back: another operator edits, rights are taken away, a licence
//! ends.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lockstep_contract::{AccessLevelId, CardholderId};

use super::state::{Holder, Id, Membership, Rights, State};
use super::{HOME, OPERATOR, Simulator, seeding};

/// The number in a path of this server.
fn number(path: &str) -> Id {
    path.rsplit('/').next().and_then(|last| last.parse().ok()).unwrap_or_default()
}

impl Simulator {
    /// Changes anything, without a trace in the feed.
    pub fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.lock())
    }

    /// Another operator edits a record. Does nothing when it is not there.
    pub fn edit(&self, id: &CardholderId, change: impl FnOnce(&mut Holder)) {
        let mut state = self.lock();
        let id = number(id.as_str());
        if let Some(mut holder) = state.holders.get(&id).cloned() {
            change(&mut holder);
            state.put(id, holder, false);
        }
    }

    /// A record as the server has it.
    pub fn holder(&self, id: &CardholderId) -> Option<Holder> {
        self.lock().holders.get(&number(id.as_str())).cloned()
    }

    /// Another operator creates a cardholder in the division `Staff`, and in the home group if `shown`.
    pub fn hire(&self, first_name: &str, last_name: &str, employee_id: &str, shown: bool) -> CardholderId {
        let mut state = self.lock();
        let (id, code) = (state.fresh() + 1_000_000, state.fresh());
        let home = Membership { code, group: HOME, from: None, until: None };
        let holder = Holder {
            first_name: first_name.to_owned(),
            last_name: last_name.to_owned(),
            authorised: true,
            division: 5,
            data: std::iter::once((629, employee_id.to_owned())).collect(),
            memberships: if shown { vec![home] } else { Vec::new() },
            ..Holder::default()
        };
        state.put(id, holder, false);
        seeding::cardholder_id(id)
    }

    /// Whoever our key acts for is a cardholder, too, and shows in every list of a server that was not made for laws.
    pub fn show_operator(&self) -> CardholderId {
        let operator = Holder {
            first_name: "REST".to_owned(),
            last_name: "Operator".to_owned(),
            division: 2,
            ..Holder::default()
        };
        self.lock().put(OPERATOR, operator, false);
        seeding::cardholder_id(OPERATOR)
    }

    /// Another operator deletes a cardholder for good.
    pub fn delete(&self, id: &CardholderId) {
        self.lock().delete(number(id.as_str()));
    }

    /// Another operator makes somebody a member.
    pub fn join(&self, id: &CardholderId, level: &AccessLevelId, from: Option<Timestamp>, until: Option<Timestamp>) {
        let code = self.lock().fresh();
        let one = Membership { code, group: number(level.as_str()), from, until };
        self.edit(id, |holder| holder.memberships.push(one));
    }

    /// Another operator takes somebody out of a group.
    pub fn leave(&self, id: &CardholderId, group: Id) {
        self.edit(id, |holder| holder.memberships.retain(|one| one.group != group));
    }

    /// Another operator changes dates of a membership to what they were: its link is another one then.
    pub fn touch_memberships(&self, id: &CardholderId) {
        let count = self.holder(id).map_or(0, |holder| holder.memberships.len());
        let codes: Vec<Id> = (0..count).map(|_| self.lock().fresh()).collect();
        self.edit(id, |holder| {
            for (one, code) in holder.memberships.iter_mut().zip(codes) {
                one.code = code;
            }
        });
    }

    /// Somebody opens a record and does not save.
    pub fn lock_record(&self, id: &CardholderId, operator: &str, workstation: &str) {
        self.lock().locks.insert(number(id.as_str()), (operator.to_owned(), workstation.to_owned()));
    }

    /// What the operator may do.
    pub fn rights(&self, change: impl FnOnce(&mut Rights)) {
        change(&mut self.lock().rights);
    }

    /// Which groups a level is, as a number.
    pub fn group_of(&self, level: &AccessLevelId) -> Id {
        number(level.as_str())
    }

    /// Whether the operator may see a field: `noAccess`, `readOnly`, `fullAccess`.
    pub fn field_access(&self, name: &str, access: &str) {
        let mut state = self.lock();
        for field in state.fields.values_mut().filter(|field| field.name == name) {
            access.clone_into(&mut field.access);
        }
    }

    /// The site translates its card states; the first is the one in force.
    pub fn translate_card_states(&self, to: &[(&str, &str)]) {
        let mut state = self.lock();
        let new = |old: &str| to.iter().find(|(from, _)| *from == old).map(|(_, to)| (*to).to_owned());
        for label in state.card_types.values_mut().flat_map(|of| &mut of.states) {
            *label = new(label).unwrap_or_else(|| label.clone());
        }
        for card in state.holders.values_mut().flat_map(|holder| &mut holder.cards) {
            card.state = new(&card.state).unwrap_or_else(|| card.state.clone());
        }
    }

    /// The groups that carry every field.
    pub fn carried_by(&self, groups: &[Id]) {
        for field in self.lock().fields.values_mut() {
            field.carriers = groups.iter().copied().collect::<BTreeSet<_>>();
        }
    }

    /// The home group.
    pub const fn home(&self) -> Id {
        HOME
    }

    /// The key is another one from now on.
    pub fn change_key(&self, key: &str) {
        key.clone_into(&mut self.door().key);
    }

    /// The REST Client item is disabled, or enabled.
    pub fn disable_client(&self, disabled: bool) {
        self.door().disabled = disabled;
    }

    /// How many alarms refused keys have raised.
    pub fn alarms(&self) -> usize {
        self.door().alarms
    }

    /// A version before 8.30: no feed of changes.
    pub fn without_feed(&self) {
        let mut door = self.door();
        door.feed = false;
        "8.20.1000.0".clone_into(&mut door.version);
    }

    /// Links lead to this root from now on.
    pub fn links_to(&self, root: Option<&str>) {
        self.door().links_to = root.map(str::to_owned);
    }

    /// Links on the front page carry a query of their own.
    pub fn decorate_links(&self) {
        self.door().decorated = true;
    }
}
