//! Who waits for a look, or for another one. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lockstep_contract::PersonId;
use tokio::time::Instant;

/// So often somebody is looked at before it is left to a census.
const LOOKS_MAX: u32 = 5;

#[derive(Debug, Clone, Copy)]
struct Turn {
    looks: u32,
    not_before: Instant,
    /// Asked for again since the look that is in progress began.
    again: bool,
}

/// People who were named and are not done with.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    people: BTreeMap<PersonId, Turn>,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.people.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.people.clear();
    }

    /// How many would wait with these.
    pub(super) fn would_be(&self, named: &BTreeSet<PersonId>) -> usize {
        self.len() + named.iter().filter(|person| !self.people.contains_key(*person)).count()
    }

    /// Something happened to them: they are looked at now, however often that was tried before.
    pub(super) fn add(&mut self, named: BTreeSet<PersonId>) {
        let now = Instant::now();
        self.people.extend(named.into_iter().map(|person| (person, Turn { looks: 0, not_before: now, again: false })));
    }

    /// Whose turn it is.
    pub(super) fn due(&mut self) -> BTreeSet<PersonId> {
        let now = Instant::now();
        let due = self.people.iter_mut().filter(|(_, turn)| turn.not_before <= now);
        due.map(|(person, turn)| {
            turn.again = false;
            person.clone()
        })
        .collect()
    }

    /// They keep their turn, and have it no earlier than that.
    pub(super) fn not_before(&mut self, people: &BTreeSet<PersonId>, at: Instant) {
        for person in people {
            if let Some(turn) = self.people.get_mut(person) {
                turn.not_before = at;
                turn.again = true;
            }
        }
    }

    /// Another look, later. False, and forgotten, when there were enough of them.
    pub(super) fn again(&mut self, person: PersonId, busy: bool, poll: Duration) -> bool {
        let Some(turn) = self.people.get_mut(&person) else { return true };
        turn.looks += u32::from(!busy);
        if turn.looks >= LOOKS_MAX {
            self.people.remove(&person);
            return false;
        }
        turn.not_before = Instant::now() + super::backoff(poll, turn.looks) / 2;
        turn.again = true;
        true
    }

    /// Done with, unless asked for again.
    pub(super) fn done(&mut self, person: &PersonId) {
        if self.people.get(person).is_some_and(|turn| !turn.again) {
            self.people.remove(person);
        }
    }
}
