//! Guards: pure checks over a draft, the limits and the past. A trip holds only what it names; it never lets through
//! anything, and no flag switches it off.
//!
//! The unit of harm is access lost: a person counts once, whatever they lose and in whichever lane. What is measured
//! against the past is measured against the state of the PACS where possible, so that waiting does not wear a guard
//! down.

mod allowed;
mod common;
mod item;
mod mass;
mod reading;
mod shrink;
mod state;
mod trust;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::ActionId;

pub(crate) use allowed::Scale;
pub(crate) use item::Item;
pub(crate) use mass::before;
pub(crate) use state::{Trust, runs_unattended};

use crate::{Draft, EntryState, Finding, History, Limits, Overrule, Policy, Trip};

/// A draft that went through the guards: each of its actions is standing, waits for an approval, or is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarded {
    pub(crate) draft: Draft,
    pub(crate) limits: Limits,
    pub(crate) trips: Vec<Trip>,
    pub(crate) states: BTreeMap<ActionId, EntryState>,
}

impl Guarded {
    /// The draft.
    pub const fn draft(&self) -> &Draft {
        &self.draft
    }

    /// The guards that objected, ordered by code and subject.
    pub fn trips(&self) -> &[Trip] {
        &self.trips
    }

    /// Whether an action of the draft may run; `None` for an action that is not in it.
    pub fn state(&self, action: &ActionId) -> Option<&EntryState> {
        self.states.get(action)
    }
}

/// What every check is handed.
struct Case<'a> {
    draft: &'a Draft,
    items: Vec<Item<'a>>,
    policy: &'a Policy,
    limits: &'a Limits,
    history: &'a History,
    scale: Scale,
}

impl<'a> Case<'a> {
    /// The actions for which `wanted` holds, ordered by id.
    fn ids(&self, wanted: impl Fn(&Item<'a>) -> bool) -> Vec<ActionId> {
        let ids: BTreeSet<&ActionId> = self.items.iter().filter(|item| wanted(item)).map(|item| item.id).collect();
        ids.into_iter().cloned().collect()
    }

    /// How many cardholders have an action for which `wanted` holds. Somebody with an action in each lane counts once.
    fn people(&self, wanted: impl Fn(&Item<'a>) -> bool) -> u64 {
        let subjects: BTreeSet<_> = self.items.iter().filter(|item| wanted(item)).map(|item| item.subject).collect();
        subjects.len() as u64
    }

    /// What the actions have in common, for people.
    fn common(&self, holds: &[ActionId]) -> Option<String> {
        common::common(&self.draft.who, self.items.iter().filter(|item| holds.binary_search(item.id).is_ok()))
    }
}

/// Judges a draft.
///
/// Limits outside their ranges count as the nearest value inside: a slip in a configuration cannot switch a guard off.
pub fn guard(mut draft: Draft, policy: &Policy, limits: &Limits, history: &History) -> Guarded {
    draft.facts.policy_digest.clone_from(&policy.digest);
    let in_range = limits.clamped();
    let (trips, states, notes) = judge(&draft, policy, &in_range, history);
    draft.findings.extend(notes);
    draft.findings.sort_by(|a, b| b.severity().cmp(&a.severity()).then_with(|| a.cmp(b)));
    draft.findings.dedup();
    Guarded { draft, limits: in_range, trips, states }
}

type Judged = (Vec<Trip>, BTreeMap<ActionId, EntryState>, Vec<Finding>);

fn judge(draft: &Draft, policy: &Policy, limits: &Limits, history: &History) -> Judged {
    let revoke = draft.revoke.actions.iter().map(Item::revoke);
    let items: Vec<Item<'_>> = revoke.chain(draft.stage.actions.iter().map(Item::stage)).collect();
    let scale = Scale::new(&draft.facts, draft.links.len(), history, draft.undo);
    let case = Case { draft, items, policy, limits, history, scale };

    let mut trips = Vec::new();
    reading::check(&case, &mut trips);
    shrink::check(&case, &mut trips);
    mass::check(&case, &mut trips);
    trust::check(&case, &mut trips);
    trips.sort_by(|a, b| (a.code, &a.subject).cmp(&(b.code, &b.subject)));

    let states = states(&case, &trips);
    let notes = trust::notes(&case);
    (trips, states, notes)
}

fn states(case: &Case<'_>, trips: &[Trip]) -> BTreeMap<ActionId, EntryState> {
    let mut held: BTreeMap<&ActionId, Vec<usize>> = BTreeMap::new();
    for (index, trip) in trips.iter().enumerate() {
        for id in &trip.holds {
            held.entry(id).or_default().push(index);
        }
    }
    let trust = Trust::of(case.policy, case.history, case.draft.undo);
    let state = |item: &Item<'_>| match held.get(item.id) {
        Some(trips) => EntryState::Held { trips: trips.clone() },
        None if runs_unattended(item, case.policy, trust) => EntryState::Standing,
        None => EntryState::NeedsApproval,
    };
    case.items.iter().map(|item| (item.id.clone(), state(item))).collect()
}

/// Two named persons, unless the guard says otherwise.
const DEFAULT_OVERRULE: Overrule = Overrule::TwoPersons;

#[cfg(test)]
mod tests;
