//! Named offboardings, found by any of the ways to know a human. The same answer as [`Holds::on`], asked a million
//! times.

use std::collections::BTreeMap;

use lockstep_contract::PersonId;

use crate::snapshot::KeyRef;
use crate::{Hold, Holds};

/// Places in the list of holds; the first hold on somebody counts.
#[derive(Debug)]
pub(super) struct HoldIndex<'a> {
    holds: &'a [Hold],
    people: BTreeMap<&'a PersonId, usize>,
    cardholders: BTreeMap<&'a str, usize>,
    keys: BTreeMap<KeyRef<'a>, usize>,
}

impl<'a> HoldIndex<'a> {
    pub(super) fn new(holds: &'a Holds) -> Self {
        let holds = holds.0.as_slice();
        let mut index = Self { holds, people: BTreeMap::new(), cardholders: BTreeMap::new(), keys: BTreeMap::new() };
        for (at, hold) in holds.iter().enumerate() {
            if let Some(person) = &hold.person {
                index.people.entry(person).or_insert(at);
            }
            for cardholder in &hold.cardholders {
                index.cardholders.entry(cardholder.as_str()).or_insert(at);
            }
            for key in hold.keys.iter() {
                index.keys.entry(KeyRef::of(key)).or_insert(at);
            }
        }
        index
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    pub(super) fn on<'k>(
        &self,
        person: Option<&PersonId>,
        cardholder: Option<&str>,
        keys: impl Iterator<Item = KeyRef<'k>>,
    ) -> Option<&'a Hold> {
        let by_person = person.and_then(|person| self.people.get(person));
        let by_cardholder = cardholder.and_then(|cardholder| self.cardholders.get(cardholder));
        let by_key = keys.filter_map(|key| self.keys.get(&key)).min();
        let first = [by_person, by_cardholder, by_key].into_iter().flatten().min()?;
        self.holds.get(*first)
    }
}
