//! What the named persons decided about each action of a plan. One no outweighs every yes; the same human counts once,
//! however the name is spelled; a guard's hold gives way only to persons who name the action.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{ActionId, TargetId};
use unicode_normalization::UnicodeNormalization;

use super::{Conditions, LeftBecause, TargetConditions};
use crate::guard::{Item, Trust, runs_unattended};
use crate::{Approval, ApprovalPolicy, Entry, EntryState, Overrule, PlanDocument, TargetSection, Trip};

/// What becomes of one action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It runs. `excepted`: two persons named it, so no limit counts it again.
    Runs { excepted: bool },
    /// It does not.
    Left(LeftBecause),
}

/// The decisions, in a form that can be asked quickly. Names are normalised.
pub(super) struct Decisions<'a> {
    rejected: BTreeSet<&'a ActionId>,
    /// Who said yes to the whole plan.
    whole: BTreeSet<String>,
    approved: BTreeMap<&'a ActionId, BTreeSet<String>>,
    /// Who named a held action.
    overruled: BTreeMap<&'a ActionId, BTreeSet<String>>,
}

impl<'a> Decisions<'a> {
    /// A decision without a name, or by somebody who may not decide about this plan, is nobody's: its yes does not
    /// count, its no does.
    pub(super) fn new(document: &PlanDocument, approvals: &'a [Approval]) -> Self {
        let mut all = Self {
            rejected: BTreeSet::new(),
            whole: BTreeSet::new(),
            approved: BTreeMap::new(),
            overruled: BTreeMap::new(),
        };
        for approval in approvals {
            all.rejected.extend(&approval.reject);
            let name = same_human(&approval.by);
            if name.is_empty() || barred(document, &approval.by).is_some() {
                continue;
            }
            match &approval.only {
                None => drop(all.whole.insert(name)),
                Some(only) => {
                    for id in only {
                        all.approved.entry(id).or_default().insert(name.clone());
                        if approval.overrule {
                            all.overruled.entry(id).or_default().insert(name.clone());
                        }
                    }
                }
            }
        }
        all
    }

    /// Somebody said yes to the plan as a whole.
    pub(super) fn whole(&self) -> bool {
        !self.whole.is_empty()
    }

    /// Somebody said yes to this, and not about their own record.
    fn says_yes(&self, entry: &Entry) -> bool {
        let own = same_human(&entry.who.name);
        let named = self.approved.get(&entry.action.id).into_iter().flatten();
        self.whole.iter().chain(named).any(|name| *name != own)
    }

    fn overruling(&self, entry: &Entry) -> usize {
        let own = same_human(&entry.who.name);
        self.overruled.get(&entry.action.id).into_iter().flatten().filter(|name| **name != own).count()
    }
}

/// Why somebody may not approve anything of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Barred {
    /// They asked for it.
    Planner,
    /// It is about them.
    Subject,
}

/// Whether somebody of this name may approve a plan at all (T04). A plan that a schedule made has no planner.
pub fn barred(document: &PlanDocument, name: &str) -> Option<Barred> {
    let is = |other: &String| same_human(other) == same_human(name);
    if document.header.by.as_ref().is_some_and(is) {
        return Some(Barred::Planner);
    }
    document.header.reinstate.as_ref().is_some_and(|what| what.names.iter().any(is)).then_some(Barred::Subject)
}

/// Whether an entry is about somebody of this name, whose yes to it does not count then (T04).
pub fn is_own(entry: &Entry, name: &str) -> bool {
    !entry.who.name.is_empty() && same_human(&entry.who.name) == same_human(name)
}

/// A name as it is compared: composed, ASCII case ignored, blanks run together. Never locale-aware.
pub(super) fn same_human(name: &str) -> String {
    let composed: String = name.nfc().collect();
    composed.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase()
}

/// What becomes of each entry, in the order of the document, before the limits are looked at again.
pub(super) fn fates(document: &PlanDocument, decisions: &Decisions<'_>, conditions: &Conditions<'_>) -> Vec<Fate> {
    let sections: BTreeMap<&TargetId, &TargetSection> = document.targets.iter().map(|s| (&s.target, s)).collect();
    let fate = |entry: &Entry| {
        let id = &entry.action.id;
        let (Some(section), Some(target)) =
            (sections.get(&entry.action.target), conditions.targets.get(&entry.action.target))
        else {
            return Fate::Left(LeftBecause::Held);
        };
        if conditions.journaled.contains(id) {
            return Fate::Left(LeftBecause::Journaled);
        }
        if decisions.rejected.contains(id) {
            return Fate::Left(LeftBecause::Rejected);
        }
        let excepted = names_suffice(target) && decisions.overruling(entry) >= 2;
        match &entry.state {
            EntryState::Held { trips } => held(trips, section, decisions.overruling(entry), target),
            EntryState::Standing if unattended(entry, target, document.is_undo()) => Fate::Runs { excepted },
            EntryState::Standing | EntryState::NeedsApproval if names_suffice(target) && decisions.says_yes(entry) => {
                Fate::Runs { excepted }
            }
            EntryState::Standing | EntryState::NeedsApproval => Fate::Left(LeftBecause::NotApproved),
        }
    };
    document.entries.iter().map(fate).collect()
}

/// The file says `standing`; whether that is so is worked out again from the mapping and the past of now.
fn unattended(entry: &Entry, target: &TargetConditions<'_>, undo: bool) -> bool {
    let trust = Trust::of(target.policy, target.history, undo);
    runs_unattended(&Item::in_lane(entry.lane, &entry.action), target.policy, trust)
}

/// A recorded name is enough. Where the mapping asks for signatures, a name is not one; until signatures can be
/// checked, nothing that needs them runs.
pub(super) fn names_suffice(target: &TargetConditions<'_>) -> bool {
    match target.policy.approval {
        ApprovalPolicy::Standing | ApprovalPolicy::Recorded => true,
        ApprovalPolicy::Signed | ApprovalPolicy::TwoSigned => false,
    }
}

/// The strictest of the guards that hold it decides. A place without a guard is a file that was altered.
fn held(trips: &[usize], section: &TargetSection, overruling: usize, target: &TargetConditions<'_>) -> Fate {
    let strictest = trips
        .iter()
        .map(|index| section.trips.get(*index).map_or(Overrule::Nobody, |trip: &Trip| trip.overrule))
        .max()
        .unwrap_or(Overrule::Nobody);
    let enough = names_suffice(target)
        && match strictest {
            Overrule::OnePerson => overruling >= 1,
            Overrule::TwoPersons => overruling >= 2,
            Overrule::Nobody => false,
        };
    if enough { Fate::Runs { excepted: overruling >= 2 } } else { Fate::Left(LeftBecause::Held) }
}

/// True when people decided about the whole of what a plan does to one target: the plan as a whole, or each of its
/// actions. Only then is its mapping one that was approved, and are its links agreed to.
pub(super) fn agreed(
    document: &PlanDocument,
    section: &TargetSection,
    decisions: &Decisions<'_>,
    fates: &[Fate],
) -> bool {
    // Whoever goes out whatever the mapping says tells nothing about the mapping.
    let by_itself = |entry: &Entry| entry.state == EntryState::Standing && !decisions.says_yes(entry);
    let mut of_target = document
        .entries
        .iter()
        .zip(fates)
        .filter(|(entry, _)| entry.action.target == section.target && !by_itself(entry))
        .peekable();
    if decisions.whole() {
        return true;
    }
    of_target.peek().is_some()
        && of_target.all(|(_, fate)| match fate {
            Fate::Runs { .. } | Fate::Left(LeftBecause::Rejected | LeftBecause::Journaled) => true,
            Fate::Left(LeftBecause::NotApproved | LeftBecause::Held) => false,
        })
}
