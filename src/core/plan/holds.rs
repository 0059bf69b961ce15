//! Named offboardings, found by any of the ways to know a human: whether there is one as [`Holds::on`] says, asked a
//! million times. A key is no name when several humans have it: such a hold keeps access from all of them and takes it from
//! none.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{CardholderId, PersonId};

use crate::snapshot::KeyRef;
use crate::{CardholderRef, DirectorySnapshot, Hold, Holds, PersonRef, TargetSnapshot};

/// Places in the list of holds. What names the human counts before what only a key says, and a key that is a name before
/// one that several have; of equals the first.
#[derive(Debug)]
pub(super) struct HoldIndex<'a> {
    holds: &'a [Hold],
    people: BTreeMap<&'a PersonId, usize>,
    cardholders: BTreeMap<&'a str, usize>,
    keys: BTreeMap<KeyRef<'a>, Vec<usize>>,
    /// Holds whose keys several people, or several records, have.
    wide: BTreeSet<usize>,
}

impl<'a> HoldIndex<'a> {
    pub(super) fn new(holds: &'a Holds, people: &DirectorySnapshot, cardholders: &TargetSnapshot) -> Self {
        let holds = holds.0.as_slice();
        let mut index = Self {
            holds,
            people: BTreeMap::new(),
            cardholders: BTreeMap::new(),
            keys: BTreeMap::new(),
            wide: BTreeSet::new(),
        };
        for (at, hold) in holds.iter().enumerate() {
            if let Some(person) = &hold.person {
                index.people.entry(person).or_insert(at);
            }
            for cardholder in &hold.cardholders {
                index.cardholders.entry(cardholder.as_str()).or_insert(at);
            }
            for key in hold.keys.iter() {
                index.keys.entry(KeyRef::of(key)).or_default().push(at);
            }
        }
        if !index.keys.is_empty() {
            index.widen(people.iter().map(PersonRef::key_refs));
            index.widen(cardholders.iter().map(CardholderRef::key_refs));
        }
        index
    }

    /// Notes the holds that more than one of these humans are named by.
    fn widen<'k>(&mut self, everybody: impl Iterator<Item = impl Iterator<Item = KeyRef<'k>>>) {
        let mut met = BTreeSet::new();
        for keys in everybody {
            let named: BTreeSet<usize> = keys.filter_map(|key| self.keys.get(&key)).flatten().copied().collect();
            self.wide.extend(named.into_iter().filter(|hold| !met.insert(*hold)));
        }
    }

    /// True when the hold names this human only by a key that others have as well.
    pub(super) fn is_no_name(&self, hold: &Hold, person: Option<&PersonId>, cardholder: Option<&CardholderId>) -> bool {
        let named = (person.is_some() && hold.person.as_ref() == person)
            || cardholder.is_some_and(|cardholder| hold.cardholders.contains(cardholder));
        let place = self.holds.iter().position(|known| std::ptr::eq(known, hold));
        !named && place.is_some_and(|place| self.wide.contains(&place))
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
        let named = [by_person, by_cardholder].into_iter().flatten().min();
        let by_key =
            || keys.filter_map(|key| self.keys.get(&key)).flatten().min_by_key(|at| (self.wide.contains(at), *at));
        self.holds.get(*named.or_else(by_key)?)
    }
}
