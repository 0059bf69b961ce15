//! A plan for a few people of whom it is known that something changed: what a watch may take from them at once.
//!
//! It is the ordinary plan, made from readings that hold only them and whoever shares a key with them, and of that only
//! what takes access away from somebody who is linked. What it must never do: give anything, match anybody, or say
//! anything about people it was not asked for. Whatever waits or is in doubt is for the next census.

use std::collections::BTreeSet;

use lockstep_contract::{AccessLevelId, PersonId, Reduction};

use super::{Inputs, plan};
use crate::{Draft, History, Holds, LevelCounts, Occasion, Tally};

/// What is known of the target as a whole, although only a few of its records were read.
#[derive(Debug, Clone, Copy)]
pub struct Remembered<'a> {
    /// The last census.
    pub history: &'a History,
    /// Linked records that we have not switched off.
    pub linked: u64,
    /// Levels that notices took since the last census, and from how many.
    pub taken: &'a LevelCounts,
}

/// Plans for `about` alone. Every one of them was looked up directly: they are among `people`, or in `looked`.
///
/// Holds are left out: what they take away was taken by name, and what they withhold is not given here.
pub fn notice(inputs: Inputs<'_>, about: &BTreeSet<PersonId>, remembered: Remembered<'_>) -> Draft {
    let nobody_held = Holds::default();
    let mut draft = plan(Inputs { holds: &nobody_held, ..inputs });
    let linked = |person: &PersonId| inputs.links.of_person(person).is_some();
    draft.stage.actions.clear();
    draft.links.clear();
    draft.findings.clear();
    draft
        .revoke
        .actions
        .retain(|action| action.person.as_ref().is_some_and(|person| about.contains(person) && linked(person)));
    let kept: BTreeSet<_> = draft.revoke.actions.iter().map(|action| action.id.clone()).collect();
    draft.who.retain(|id, _| kept.contains(id));
    draft.protected.retain(|id| kept.contains(id));
    draft.tally = tally(&draft, about);
    // A group that was not asked about was not unreadable.
    draft.facts.groups.retain(|group, _| inputs.people.group(group).is_some());
    let managed = remembered.history.managed.map_or(remembered.linked, |then| then.min(remembered.linked));
    draft.facts.managed = managed;
    draft.facts.cardholders = managed;
    count_levels(&mut draft, remembered);
    draft.on(Occasion::Notice)
}

fn tally(draft: &Draft, about: &BTreeSet<PersonId>) -> Tally {
    let actions = &draft.revoke.actions;
    let off = actions.iter().filter(|action| action.steps.iter().any(|step| *step == Reduction::Suspend));
    let (disable, actions) = (off.count() as u64, actions.len() as u64);
    let unchanged = (about.len() as u64).saturating_sub(actions);
    Tally { disable, change: actions - disable, unchanged, ..Tally::default() }
}

/// Holders as the last census counted them, less what notices took since, and what this plan would take.
fn count_levels(draft: &mut Draft, remembered: Remembered<'_>) {
    let taken = |level: &AccessLevelId| remembered.taken.get(level).copied().unwrap_or(0);
    let mut losing = LevelCounts::new();
    for step in draft.revoke.actions.iter().flat_map(|action| action.steps.iter()) {
        if let Reduction::Revoke { level } = step {
            *losing.entry(level.clone()).or_default() += 1;
        }
    }
    for (level, facts) in &mut draft.facts.levels {
        let lost = losing.get(level).copied().unwrap_or(0);
        let then = remembered.history.levels.get(level).copied().unwrap_or(facts.holders);
        facts.holders = then.saturating_sub(taken(level)).max(lost);
        facts.holders_after = facts.holders - lost;
    }
}
