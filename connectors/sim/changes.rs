//! What a simulated directory says has changed: it remembers how it was whenever it was asked, and compares. This module
//! must not decide anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lockstep_contract::{Changes, GroupId, PersonId, Watermark};

use crate::directory::DirectoryWorld;
use crate::faults::Mishap;

/// So many states are remembered. An older mark is lost.
const REMEMBERED: usize = 64;

/// How the directory was, at each mark it gave out.
#[derive(Debug, Default)]
pub(crate) struct Past {
    states: VecDeque<DirectoryWorld>,
    /// The number of the first of them.
    first: u64,
}

impl Past {
    /// What changed since a mark. Mishaps of lists mean the like here: an empty one misses what happened, a short one has
    /// lost its place, and one that is given again names everybody.
    pub(crate) fn changes(
        &mut self,
        now: &DirectoryWorld,
        since: Option<&Watermark>,
        mishap: Option<Mishap>,
    ) -> Changes {
        let before = since.and_then(|mark| mark.0.parse::<u64>().ok()).and_then(|number| self.at(number)).cloned();
        if self.states.back() != Some(now) {
            self.states.push_back(now.clone());
            while self.states.len() > REMEMBERED {
                self.states.pop_front();
                self.first += 1;
            }
        }
        let next = Watermark((self.first + self.states.len() as u64 - 1).to_string());
        match (before, mishap) {
            (None, _) | (_, Some(Mishap::ShortList)) => Changes { people: Vec::new(), next, reset: true },
            (Some(_), Some(Mishap::EmptyList)) => Changes { people: Vec::new(), next, reset: false },
            (Some(_), Some(Mishap::RepeatedPage)) => {
                Changes { people: now.people.keys().cloned().collect(), next, reset: false }
            }
            (Some(before), _) => Changes { people: different(&before, now), next, reset: false },
        }
    }

    fn at(&self, number: u64) -> Option<&DirectoryWorld> {
        self.states.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }
}

/// Who differs, in their own record or in the groups they are in.
fn different(before: &DirectoryWorld, now: &DirectoryWorld) -> Vec<PersonId> {
    let (were, are) = (groups_of(before), groups_of(now));
    let all: BTreeSet<&PersonId> =
        before.people.keys().chain(now.people.keys()).chain(were.keys().copied()).chain(are.keys().copied()).collect();
    let same = |id: &PersonId| {
        before.people.get(id) == now.people.get(id)
            && before.outside.contains(id) == now.outside.contains(id)
            && were.get(id) == are.get(id)
    };
    all.into_iter().filter(|id| !same(id)).cloned().collect()
}

/// The groups that each person is in, those around them included.
fn groups_of(world: &DirectoryWorld) -> BTreeMap<&PersonId, BTreeSet<&GroupId>> {
    let mut groups: BTreeMap<&PersonId, BTreeSet<&GroupId>> = BTreeMap::new();
    for top in world.groups.keys() {
        let (mut seen, mut waiting) = (BTreeSet::from([top]), vec![top]);
        while let Some(group) = waiting.pop().and_then(|id| world.groups.get(id)) {
            for person in &group.people {
                groups.entry(person).or_default().insert(top);
            }
            waiting
                .extend(group.groups.iter().filter(|nested| world.groups.contains_key(*nested) && seen.insert(nested)));
        }
    }
    groups
}
