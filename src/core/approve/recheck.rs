//! The limits once more, with the counts of now (S10): between planning and applying, other plans ran and people were
//! offboarded by name.

use std::collections::BTreeSet;

use super::decide::Fate;
use super::{Conditions, LeftBecause, TargetConditions};
use crate::guard::{Item, Scale, before};
use crate::{PlanDocument, TargetSection};

/// Leaves the reductions of each target that would go beyond a limit now. Those that two persons named are counted, but
/// not left.
pub(super) fn hold_beyond_limits(document: &PlanDocument, fates: &mut [Fate], conditions: &Conditions<'_>) {
    for section in &document.targets {
        let Some(target) = conditions.targets.get(&section.target) else { continue };
        let losing: Vec<bool> = document
            .entries
            .iter()
            .zip(fates.iter())
            .map(|(entry, fate)| {
                matches!(fate, Fate::Runs { .. })
                    && entry.action.target == section.target
                    && Item::in_lane(entry.lane, &entry.action).reduces()
            })
            .collect();
        let subjects = document.entries.iter().zip(&losing).filter(|(_, losing)| **losing);
        let people = subjects.map(|(entry, _)| &entry.action.subject).collect::<BTreeSet<_>>().len() as u64;
        if within(people, section, target, document) {
            continue;
        }
        for (fate, _) in fates.iter_mut().zip(losing).filter(|(_, losing)| *losing) {
            if *fate == (Fate::Runs { excepted: false }) {
                *fate = Fate::Left(LeftBecause::Held);
            }
        }
    }
}

fn within(people: u64, section: &TargetSection, target: &TargetConditions<'_>, document: &PlanDocument) -> bool {
    let history = target.history;
    let limits = target.limits.clamped();
    let scale = Scale::new(&section.facts, section.links.len(), history, document.is_undo());
    let day = scale.window(limits.reductions_day_percent, history.reduced_day);
    let week = scale.window(limits.reductions_week_percent, history.reduced_week);
    before(document.header.occasion, history).saturating_add(people) <= scale.run(&limits)
        && history.reduced_day.saturating_add(people) <= day
        && history.reduced_week.saturating_add(people) <= week
}
