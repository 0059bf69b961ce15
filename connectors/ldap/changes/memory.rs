//! Who was in which group when it was last looked at, so that whoever left one can be named; and when accounts end by
//! themselves, since no directory tells. Pure: nothing here asks anybody.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use lockstep_contract::PersonId;

use crate::dn::{Mark, Marks};

/// The list of a group, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// What the member values of other groups know it by.
    pub(super) own: Mark,
    /// Everything that a mapping may call it: it may find another group under a name tomorrow.
    pub(super) label: Mark,
    /// The primary group number, where people are in it by that and the number may change.
    pub(super) number: Option<u32>,
    /// Its member values, sorted.
    pub(super) members: Box<[Mark]>,
}

/// What is kept between one look and the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// How values are marked.
    pub(super) marks: Marks,
    /// The groups whose lists matter.
    pub(super) groups: HashMap<PersonId, Listed>,
    /// Every group that is seen anywhere, by its mark. Those without a list are in no group that matters.
    pub(super) known: HashMap<Mark, PersonId>,
    /// Places and their names: people move with them.
    pub(super) places: HashMap<PersonId, Mark>,
    /// Whom a mark stands for. `None` where a mark is the id itself.
    pub(super) people: Option<HashMap<Mark, PersonId>>,
    ends: HashMap<PersonId, Timestamp>,
    calendar: BTreeSet<(Timestamp, PersonId)>,
}

/// What a look found out.
#[derive(Debug, Default)]
pub(super) struct Update {
    /// Groups with their lists of today; `None` for one that is not there any more.
    pub(super) groups: HashMap<PersonId, Option<Listed>>,
    /// Groups that are seen, whether they matter or not.
    pub(super) known: HashMap<Mark, PersonId>,
    /// Places and their names of today.
    pub(super) places: HashMap<PersonId, Mark>,
    /// People and the marks that name them.
    pub(super) people: Vec<(Mark, PersonId)>,
    /// People who are not to be seen any more.
    pub(super) gone: HashSet<PersonId>,
    /// Groups, and what is known to be in them although they were not touched: whoever is restored is back in all of them.
    pub(super) back: Vec<(PersonId, Mark)>,
    /// When their accounts end by themselves.
    pub(super) ends: Vec<(PersonId, Option<Timestamp>)>,
}

/// Whom an update concerns.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Concerned {
    pub(super) people: BTreeSet<PersonId>,
    /// It concerns somebody of whom it is not known who that is.
    pub(super) unclear: bool,
}

impl Memory {
    /// The group that a mark stands for.
    pub(super) fn group_of(&self, mark: Mark) -> Option<&PersonId> {
        self.known.get(&mark)
    }

    /// Everybody whose way into a group may be another one than before: who is below a value that came or went, by the
    /// lists of then and of now.
    pub(super) fn concerned(&self, update: &Update) -> Concerned {
        let mut concerned = Concerned::default();
        let mut waiting: Vec<Mark> = Vec::new();
        for (id, new) in &update.groups {
            let old = self.groups.get(id);
            let both: Vec<&Listed> = old.into_iter().chain(new).collect();
            match both.as_slice() {
                [old, new] if old.label == new.label && old.number == new.number => {
                    waiting.extend(difference(&old.members, &new.members));
                }
                _ => {
                    concerned.unclear |= both.iter().any(|list| list.number.is_some());
                    waiting.extend(both.iter().flat_map(|list| list.members.iter().copied()));
                }
            }
        }
        let arrived: HashMap<Mark, &PersonId> = update.people.iter().map(|(mark, id)| (*mark, id)).collect();
        let mut seen: HashSet<Mark> = HashSet::new();
        while let Some(mark) = waiting.pop() {
            if !seen.insert(mark) {
                continue;
            }
            if let Some(id) = self.known.get(&mark).or_else(|| update.known.get(&mark)) {
                let lists = [self.groups.get(id), update.groups.get(id).and_then(Option::as_ref)];
                waiting.extend(lists.into_iter().flatten().flat_map(|list| list.members.iter().copied()));
                continue;
            }
            match self.person(mark).or_else(|| arrived.get(&mark).map(|id| (*id).clone())) {
                Some(person) => {
                    concerned.people.insert(person);
                }
                // Somebody out of scope who came is nobody of ours; who it is that went cannot be found out any more.
                None => concerned.unclear |= self.groups.values().any(|list| list.members.binary_search(&mark).is_ok()),
            }
        }
        concerned
    }

    fn person(&self, mark: Mark) -> Option<PersonId> {
        match &self.people {
            Some(people) => people.get(&mark).cloned(),
            None => Some(PersonId::from_uuid(uuid::Uuid::from_u128(mark))),
        }
    }

    /// Takes an update in.
    pub(super) fn commit(&mut self, update: Update) {
        self.known.extend(update.known);
        self.places.extend(update.places);
        for (id, list) in update.groups {
            let old = match list {
                Some(list) => {
                    self.known.insert(list.own, id.clone());
                    let own = list.own;
                    self.groups.insert(id, list).filter(|old| old.own != own)
                }
                None => self.groups.remove(&id),
            };
            if let Some(old) = old {
                self.known.remove(&old.own);
            }
        }
        for (group, mark) in update.back {
            let Some(list) = self.groups.get_mut(&group) else { continue };
            if let Err(at) = list.members.binary_search(&mark) {
                let mut members = std::mem::take(&mut list.members).into_vec();
                members.insert(at, mark);
                list.members = members.into();
            }
        }
        if let Some(people) = &mut self.people {
            if !update.gone.is_empty() {
                people.retain(|_, id| !update.gone.contains(id));
            }
            people.extend(update.people);
        }
        for (id, end) in update.ends {
            if let Some(old) = self.ends.remove(&id) {
                self.calendar.remove(&(old, id.clone()));
            }
            if let Some(end) = end {
                self.calendar.insert((end, id.clone()));
                self.ends.insert(id, end);
            }
        }
    }

    /// Whose accounts end by themselves after the one time, and not after the other.
    pub(super) fn ended_between(&self, after: Timestamp, until: Timestamp) -> impl Iterator<Item = &PersonId> {
        self.calendar
            .iter()
            .skip_while(move |(at, _)| *at <= after)
            .take_while(move |(at, _)| *at <= until)
            .map(|e| &e.1)
    }

    /// Everybody and every group that is known by id.
    pub(super) fn ids(&self) -> impl Iterator<Item = &PersonId> {
        self.people.iter().flat_map(HashMap::values).chain(self.known.values())
    }
}

/// What is in one of two sorted lists and not in the other.
fn difference(one: &[Mark], other: &[Mark]) -> Vec<Mark> {
    let lacks = |list: &[Mark], mark: &Mark| list.binary_search(mark).is_err();
    let gone = one.iter().filter(|mark| lacks(other, mark));
    let come = other.iter().filter(|mark| lacks(one, mark));
    gone.chain(come).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GROUP: u128 = 1_000;

    fn id(mark: Mark) -> PersonId {
        PersonId::from_uuid(uuid::Uuid::from_u128(mark))
    }

    fn list(own: Mark, members: &[Mark]) -> Listed {
        let mut members = members.to_vec();
        members.sort_unstable();
        Listed { own, label: own, number: None, members: members.into() }
    }

    fn memory(groups: &[(Mark, &[Mark])]) -> Memory {
        let mut memory = Memory::default();
        let groups = groups.iter().map(|(own, members)| (id(*own), Some(list(*own, members)))).collect();
        memory.commit(Update { groups, ..Update::default() });
        memory
    }

    fn concerned(memory: &Memory, groups: &[(Mark, Option<&[Mark]>)]) -> Vec<u128> {
        let groups = groups.iter().map(|(own, new)| (id(*own), new.map(|new| list(*own, new)))).collect();
        let concerned = memory.concerned(&Update { groups, ..Update::default() });
        assert!(!concerned.unclear);
        concerned.people.iter().map(|id| id.as_uuid().expect("uuid").as_u128()).collect()
    }

    #[test]
    fn a_group_taken_out_of_another_concerns_everybody_below_it() {
        let memory = memory(&[(GROUP, &[1, GROUP + 1]), (GROUP + 1, &[2, GROUP + 2]), (GROUP + 2, &[3, GROUP])]);
        assert_eq!(concerned(&memory, &[(GROUP, Some(&[1]))]), [1, 2, 3]);
        assert_eq!(concerned(&memory, &[(GROUP + 1, Some(&[GROUP + 2]))]), [2]);
        assert_eq!(concerned(&memory, &[(GROUP + 2, None)]), [1, 2, 3]);
        assert_eq!(concerned(&memory, &[(GROUP, Some(&[1, GROUP + 1]))]), [0_u128; 0]);
    }

    #[test]
    fn somebody_unknown_who_went_is_unclear_and_one_who_came_is_not() {
        let mut memory = memory(&[(GROUP, &[1, 2])]);
        memory.people = Some(HashMap::from([(1, id(1))]));
        let with = |members: &[Mark]| Update {
            groups: HashMap::from([(id(GROUP), Some(list(GROUP, members)))]),
            ..Update::default()
        };
        assert!(memory.concerned(&with(&[1])).unclear);
        let came = memory.concerned(&with(&[1, 2, 9]));
        assert!(!came.unclear && came.people.is_empty());
        let arrived = Update { people: vec![(9, id(9))], ..with(&[1, 2, 9]) };
        assert_eq!(memory.concerned(&arrived).people, BTreeSet::from([id(9)]));
    }

    #[test]
    fn whoever_is_restored_is_back_in_groups_that_were_not_touched() {
        let mut memory = memory(&[(GROUP, &[1])]);
        memory.commit(Update { back: vec![(id(GROUP), 2), (id(GROUP), 1), (id(9), 3)], ..Update::default() });
        assert_eq!(concerned(&memory, &[(GROUP, Some(&[1]))]), [2], "and is named when taken out");
    }

    #[test]
    fn a_group_under_another_name_concerns_everybody_in_it() {
        let memory = memory(&[(GROUP, &[1, 2])]);
        let renamed = Listed { label: 7, ..list(GROUP, &[1, 2]) };
        let update = Update { groups: HashMap::from([(id(GROUP), Some(renamed))]), ..Update::default() };
        assert_eq!(memory.concerned(&update).people, BTreeSet::from([id(1), id(2)]));
    }

    #[test]
    fn accounts_end_by_themselves_once() {
        let at = |second| Timestamp::from_second(second).expect("time");
        let mut memory = Memory::default();
        memory.commit(Update { ends: vec![(id(1), Some(at(10))), (id(2), Some(at(20)))], ..Update::default() });
        assert_eq!(memory.ended_between(at(5), at(10)).collect::<Vec<_>>(), [&id(1)]);
        assert_eq!(memory.ended_between(at(10), at(19)).count(), 0);
        memory.commit(Update { ends: vec![(id(2), None), (id(1), Some(at(30)))], ..Update::default() });
        assert_eq!(memory.ended_between(at(5), at(40)).collect::<Vec<_>>(), [&id(1)]);
    }

    proptest! {
        /// Whoever is in a group before and not after, or the other way round, is named.
        #[test]
        fn nobody_whose_membership_changed_is_left_out(
            before in proptest::collection::vec(proptest::collection::btree_set(0_u128..16, 0..6), 8),
            after in proptest::collection::vec(proptest::option::weighted(0.9, proptest::collection::btree_set(0_u128..16, 0..6)), 8),
        ) {
            // Values from 8 on are groups.
            let value = |v: &u128| if *v >= 8 { GROUP + v - 8 } else { *v };
            let lists = |set: &BTreeSet<u128>| set.iter().map(value).collect::<Vec<Mark>>();
            let old: Vec<(Mark, Vec<Mark>)> = before.iter().enumerate().map(|(n, s)| (GROUP + n as u128, lists(s))).collect();
            let new: Vec<(Mark, Option<Vec<Mark>>)> =
                after.iter().enumerate().map(|(n, s)| (GROUP + n as u128, s.as_ref().map(lists))).collect();
            let reach = |of: &dyn Fn(Mark) -> Vec<Mark>, start: Mark| {
                let (mut seen, mut waiting) = (BTreeSet::new(), vec![start]);
                while let Some(mark) = waiting.pop() {
                    if seen.insert(mark) { waiting.extend(of(mark)); }
                }
                seen.into_iter().filter(|mark| *mark < 8).collect::<BTreeSet<_>>()
            };
            let find_old = |mark: Mark| old.iter().find(|(own, _)| *own == mark).map(|g| g.1.clone()).unwrap_or_default();
            let find_new = |mark: Mark| new.iter().find(|(own, _)| *own == mark).and_then(|g| g.1.clone()).unwrap_or_default();
            let memory = memory(&old.iter().map(|(own, m)| (*own, m.as_slice())).collect::<Vec<_>>());
            let named = concerned(&memory, &new.iter().map(|(own, m)| (*own, m.as_deref())).collect::<Vec<_>>());
            for (own, _) in &old {
                let (then, now) = (reach(&find_old, *own), reach(&find_new, *own));
                for person in then.symmetric_difference(&now) {
                    prop_assert!(named.contains(person), "{person} in {own}");
                }
            }
        }
    }
}
