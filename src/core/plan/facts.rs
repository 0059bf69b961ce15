//! What was read, in numbers: for guards and reports.

use std::collections::BTreeMap;

use lockstep_contract::GroupId;

use super::case::{Planner, Work};
use super::words::{advice, words};
use crate::snapshot::State;
use crate::{Code, Facts, GroupState, LevelFacts};

/// Findings about what was read rather than about anybody.
pub(super) fn note_readings<'a>(planner: &Planner<'a>, work: &mut Work<'a>) {
    let inputs = planner.inputs;
    for (label, reason) in inputs.people.quarantined() {
        work.notes.add(Code::Quarantined, || {
            advice(label.clone(), reason.clone(), "mend the record in the directory; until then it is not looked at")
        });
    }
    for level in planner.rules.levels.iter().filter(|level| !level.exists) {
        let source = level.rules.first().map(|rule| rule.source.to_string()).unwrap_or_default();
        work.notes.add(Code::UnknownLevel, || {
            advice(
                format!("level {}", level.id),
                format!("{source} names this level, and the PACS does not have it; nobody is granted it"),
                "correct the id in the mapping, or create the level on the PACS",
            )
        });
    }
    note_open_groups(planner, work);
    note_unconfirmed(work);
}

/// People whom another directory may have ended, all in one: when it cannot be read, they are everybody.
pub(super) fn note_unconfirmed(work: &mut Work<'_>) {
    let (count, mut names) = std::mem::take(&mut work.unconfirmed);
    if count == 0 {
        return;
    }
    let more = count.saturating_sub(names.len() as u64);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    work.notes.add(Code::StandingUnknown, || {
        advice(
            names.join(", "),
            "another directory, which may end people or send them on leave, could not be read, does not know them, or \
             disagrees about who they are; nothing is changed",
            "the report says under LS0114 which directory and why; whoever it ended before stays out meanwhile",
        )
    });
}

/// Groups that leave something open for somebody.
pub(super) fn note_open_groups<'a>(planner: &Planner<'a>, work: &mut Work<'a>) {
    for (group, people) in std::mem::take(&mut work.open) {
        note_group(planner, group, people, work);
    }
}

/// A group that leaves something open for so many people.
fn note_group<'a>(planner: &Planner<'a>, group: &GroupId, people: u64, work: &mut Work<'a>) {
    let state = planner.inputs.people.group(group).map(|group| group.state().clone());
    let reading = match state {
        None => "was not read".to_owned(),
        Some(GroupState::Unreadable(fault)) => format!("could not be read ({fault})"),
        Some(GroupState::Unproven) => "looks empty, and nothing proves that it is".to_owned(),
        Some(GroupState::Read { gaps }) => format!("has {gaps} members who could not be identified"),
        Some(GroupState::Empty(_)) => "is empty".to_owned(),
    };
    let concerned = if people == 1 { "1 person keeps".to_owned() } else { format!("{people} people keep") };
    work.notes.add(Code::GroupUnreadable, || {
        let message = format!("{reading}; {concerned} what depends on it");
        match planner.inputs.people.group(group).map(crate::GroupView::state) {
            Some(GroupState::Unproven) => advice(
                format!("group {group}"),
                message,
                "if it may be empty, say `may_be_empty = true` in the mapping",
            ),
            Some(GroupState::Read { .. } | GroupState::Empty(_) | GroupState::Unreadable(_)) | None => advice(
                format!("group {group}"),
                message,
                "let the account that reads the directory see the group and all its members",
            ),
        }
    });
}

/// The numbers that guards judge by.
pub(super) fn facts(planner: &Planner<'_>, managed: u64, change: &[i64]) -> Facts {
    let inputs = planner.inputs;
    let holders = holders(planner);
    let levels = planner.rules.levels.iter().zip(&holders).zip(change).map(|((level, holders), change)| {
        let known = inputs.cardholders.catalog().levels.get(level.id);
        let facts = LevelFacts {
            holders: *holders,
            holders_after: holders.saturating_add_signed(*change),
            exists: level.exists,
            name: known.map_or_else(|| level.id.to_string(), |known| known.name.clone()),
            doors: known.map(|known| known.doors.clone()).unwrap_or_default(),
            site: known.and_then(|known| known.site.clone()),
            high_security: level.rules.iter().any(|rule| rule.high_security),
        };
        (level.id.clone(), facts)
    });
    Facts {
        people: inputs.people.len() as u64,
        people_active: inputs.people.active(),
        groups: groups(planner),
        cardholders: inputs.cardholders.len() as u64,
        managed,
        levels: levels.collect(),
        directory_digest: inputs.people.digest(),
        target_digest: inputs.cardholders.digest(),
        policy_digest: inputs.policy.digest.clone(),
    }
}

/// Active holders of each managed level.
fn holders(planner: &Planner<'_>) -> Vec<u64> {
    let cardholders = planner.inputs.cardholders;
    // Many have the same levels: each set is looked at once.
    let mut with_set = vec![0_u32; cardholders.level_set_count()];
    for cardholder in cardholders.iter().filter(|cardholder| cardholder.state() == State::Active) {
        if let Some(count) = with_set.get_mut(cardholder.level_set() as usize) {
            *count += 1;
        }
    }
    let mut holders = vec![0; planner.rules.levels.len()];
    for (set, count) in with_set.iter().enumerate().filter(|(_, count)| **count > 0) {
        for level in cardholders.set_levels(set as u32).filter_map(|number| planner.rules.managed(number)) {
            if let Some(holders) = holders.get_mut(level as usize) {
                *holders += u64::from(*count);
            }
        }
    }
    holders
}

/// Members of each mapped group. A declaration in every rule that names a group stands in for the proof it lacks.
fn groups(planner: &Planner<'_>) -> BTreeMap<GroupId, Option<u64>> {
    let inputs = planner.inputs;
    let mut groups: BTreeMap<GroupId, (Option<u64>, bool)> = BTreeMap::new();
    for rule in &inputs.policy.levels {
        for group in rule.groups() {
            let view = inputs.people.group(group);
            let entry = groups.entry(group.clone()).or_insert_with(|| {
                let unproven = view.is_some_and(|view| *view.state() == GroupState::Unproven);
                (view.and_then(crate::GroupView::members), unproven)
            });
            entry.1 &= rule.may_be_empty;
        }
    }
    groups.into_iter().map(|(group, (members, declared))| (group, if declared { Some(0) } else { members })).collect()
}

/// A finding about a cardholder nobody accounts for.
pub(super) fn orphan_words(name: String, second: bool, state: State) -> super::notes::Words {
    let state = match state {
        State::Active => "in force",
        State::Suspended => "switched off",
        State::Other => "in a state that is not known here",
    };
    if second {
        advice(
            name,
            format!("{state}; has a key of somebody who is matched elsewhere: a second record, or a claim in doubt"),
            "merge or rename the record on the PACS; it is left as it is",
        )
    } else {
        words(name, format!("{state}; no person of the directory has any of its keys"))
    }
}
