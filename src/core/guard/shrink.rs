//! G4: one group or one access level loses many, or all. Holds only what rests on it.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{AccessLevelId, ActionId, GroupId, Reduction, Subject};

use super::allowed::fell_more;
use super::words::share;
use super::{Case, DEFAULT_OVERRULE};
use crate::{Code, LevelFacts, Trip};

/// Below this many members, percentages say nothing: one of four is a quarter.
const MEMBERS_MIN: u64 = 5;

/// Groups and levels. A rollback rests on no group, and its levels are those that the run before it changed.
pub(super) fn check(case: &Case<'_>, trips: &mut Vec<Trip>) {
    if case.draft.undo {
        return;
    }
    let resting = resting(case);
    let none = Resting::default();
    for (group, members) in &case.draft.facts.groups {
        if let Some(now) = members {
            trips.extend(group_shrank(case, group, *now, resting.get(group).unwrap_or(&none)));
        }
    }
    let revoking = revoking(case);
    let levels = &case.draft.facts.levels;
    trips.extend(levels.iter().filter_map(|(level, facts)| level_shrank(case, level, facts, revoking.get(level)?)));
}

/// Any drop to zero, and a large one of a group that is not tiny. The ceiling of the setting, 100 %, leaves the first.
fn shrank(before: u64, now: u64, limit_percent: u32) -> bool {
    (before > 0 && now == 0) || (before >= MEMBERS_MIN && fell_more(before, now, limit_percent))
}

/// What the group had before is what was read last, or what it must have had: somebody who loses a level for this
/// group alone was in it. The second cannot be forgotten by waiting for another run.
fn group_shrank(case: &Case<'_>, group: &GroupId, now: u64, resting: &Resting<'_>) -> Option<Trip> {
    let lost = resting.only.len() as u64;
    let before = case.history.groups.get(group).copied().unwrap_or(0).max(now.saturating_add(lost));
    let limit = case.limits.group_drop_percent;
    if !shrank(before, now, limit) {
        return None;
    }
    let holds: Vec<ActionId> = resting.any.iter().copied().cloned().collect();
    Some(Trip {
        code: Code::GroupShrank,
        subject: format!("group {group}"),
        measured: format!("{} gone", share(before.saturating_sub(now), before, "members")),
        allowed: allowed(limit),
        setting: Some("limits.group_drop_percent".into()),
        common: case.common(&holds),
        holds,
        overrule: DEFAULT_OVERRULE,
    })
}

/// Whoever is switched off as a leaver loses the level for a reason of their own, proven one by one. So a level is
/// judged when somebody who stays would lose it, and only their actions are held.
fn level_shrank(
    case: &Case<'_>,
    level: &AccessLevelId,
    facts: &LevelFacts,
    losing: &BTreeSet<&ActionId>,
) -> Option<Trip> {
    let limit = case.limits.group_drop_percent;
    if !shrank(facts.holders, facts.holders_after, limit) {
        return None;
    }
    let name = if facts.name.is_empty() { level.as_str() } else { facts.name.as_str() };
    let holds: Vec<ActionId> = losing.iter().copied().cloned().collect();
    let gone = facts.holders.saturating_sub(facts.holders_after);
    Some(Trip {
        code: Code::LevelShrank,
        subject: format!("level {name}"),
        measured: format!("{} would lose it", share(gone, facts.holders, "holders")),
        allowed: allowed(limit),
        setting: Some("limits.group_drop_percent".into()),
        common: case.common(&holds),
        holds,
        overrule: DEFAULT_OVERRULE,
    })
}

fn allowed(limit_percent: u32) -> String {
    format!("at most {limit_percent} % of {MEMBERS_MIN} or more, and never all")
}

/// What rests on one group.
#[derive(Default)]
struct Resting<'c> {
    /// Actions that take something away for it, people who are switched off left out.
    any: BTreeSet<&'c ActionId>,
    /// Cardholders who lose something for it alone.
    only: BTreeSet<&'c Subject>,
}

/// One pass over all reasons: which actions rest on which groups.
fn resting<'c>(case: &'c Case<'_>) -> BTreeMap<&'c GroupId, Resting<'c>> {
    let mut by_group: BTreeMap<&GroupId, Resting<'_>> = BTreeMap::new();
    for item in case.items.iter().filter(|item| item.reduces() && !item.suspends()) {
        for why in &item.because.why {
            let about_a_loss = why.level.as_ref().is_none_or(|level| item.revokes(level));
            for group in why.groups.iter().filter(|_| about_a_loss) {
                let resting = by_group.entry(group).or_default();
                resting.any.insert(item.id);
                if why.groups.len() == 1 && why.level.as_ref().is_some_and(|level| gives(case, group, level)) {
                    resting.only.insert(item.subject);
                }
            }
        }
    }
    by_group
}

/// Being in the group helps to get the level. (Of a group that excludes, somebody who loses for it has just joined.)
fn gives(case: &Case<'_>, group: &GroupId, level: &AccessLevelId) -> bool {
    let mut rules = case.policy.levels.iter().filter(|rule| rule.level == *level);
    rules.any(|rule| rule.any.contains(group) || rule.all.contains(group))
}

/// Who loses each level without being switched off.
fn revoking<'c>(case: &'c Case<'_>) -> BTreeMap<&'c AccessLevelId, BTreeSet<&'c ActionId>> {
    let mut by_level: BTreeMap<&AccessLevelId, BTreeSet<&ActionId>> = BTreeMap::new();
    for item in case.items.iter().filter(|item| !item.suspends()) {
        for reduction in item.reductions() {
            match reduction {
                Reduction::Revoke { level } => {
                    by_level.entry(level).or_default().insert(item.id);
                }
                Reduction::Suspend | Reduction::Deactivate { .. } | Reduction::Narrow { .. } => {}
            }
        }
    }
    by_level
}
