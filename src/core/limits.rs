//! The limits that guards hold plans to, with defaults that protect and ceilings in code, so that a slip in a
//! configuration cannot switch protection off.

use serde::{Deserialize, Serialize};

/// The limits of one target. Percentages are of the people managed there (linked and active).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// G1: people who may lose access in one run, whatever the percentage. 1 to 10,000.
    pub reductions_per_run: u32,
    /// G1: percentage of managed people who may lose access in one run; never less than 3 people. 1 to 50.
    pub reductions_percent: u32,
    /// G2: percentage who may lose access within 24 hours; never less than 3 people. 1 to 50.
    pub reductions_day_percent: u32,
    /// G3: percentage who may lose access within 7 days; never less than 3 people. 1 to 75.
    pub reductions_week_percent: u32,
    /// G4: percentage of its members that a group, or of its holders that a level, may lose at once (5 or more). 1 to
    /// 100. A drop to zero always trips.
    pub group_drop_percent: u32,
    /// G5: percentage by which active people may be fewer than the median of the last seven reads. 1 to 50.
    pub source_drop_percent: u32,
    /// G7: people who may gain access in one run, at least. 1 to 10,000.
    pub grants_per_run: u32,
    /// G7: percentage of managed people who may gain access in one run. 1 to 100.
    pub grants_percent: u32,
    /// Percentage of mapped groups that may be unreadable before the whole run is held. 0 to 50.
    pub unreadable_groups_percent: u32,
    /// G9: how old the reading may be when a plan is applied, in minutes. 1 to 1,440. Actions are checked one by one
    /// against the PACS anyway; this bounds how long the directory's word is taken.
    pub snapshot_age_minutes: u32,
    /// How long a staged plan can be approved and applied, in hours. 1 to 168.
    pub plan_age_hours: u32,
}

impl Default for Limits {
    /// The defaults of `safety.md` section 4 (G1 to G9).
    fn default() -> Self {
        Self {
            reductions_per_run: 25,
            reductions_percent: 5,
            reductions_day_percent: 10,
            reductions_week_percent: 15,
            group_drop_percent: 20,
            source_drop_percent: 10,
            grants_per_run: 10,
            grants_percent: 10,
            unreadable_groups_percent: 10,
            snapshot_age_minutes: 15,
            plan_age_hours: 24,
        }
    }
}

/// The range of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// The setting.
    pub name: &'static str,
    /// The least value allowed.
    pub min: u32,
    /// The greatest value allowed.
    pub max: u32,
}

/// A limit is outside its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("limits.{name} = {found} is not allowed: {min} to {max}")]
pub struct LimitError {
    /// The setting.
    pub name: &'static str,
    /// The value found.
    pub found: u32,
    /// The least value allowed.
    pub min: u32,
    /// The greatest value allowed.
    pub max: u32,
}

impl Limits {
    /// Every limit with its range and its value.
    pub fn table(&self) -> [(Ceiling, u32); 11] {
        let row = |name, min, max, value| (Ceiling { name, min, max }, value);
        [
            row("reductions_per_run", 1, 10_000, self.reductions_per_run),
            row("reductions_percent", 1, 50, self.reductions_percent),
            row("reductions_day_percent", 1, 50, self.reductions_day_percent),
            row("reductions_week_percent", 1, 75, self.reductions_week_percent),
            row("group_drop_percent", 1, 100, self.group_drop_percent),
            row("source_drop_percent", 1, 50, self.source_drop_percent),
            row("grants_per_run", 1, 10_000, self.grants_per_run),
            row("grants_percent", 1, 100, self.grants_percent),
            row("unreadable_groups_percent", 0, 50, self.unreadable_groups_percent),
            row("snapshot_age_minutes", 1, 1_440, self.snapshot_age_minutes),
            row("plan_age_hours", 1, 168, self.plan_age_hours),
        ]
    }

    /// The same limits, each that is outside its range moved to the nearest value inside. Guards judge by these, so
    /// that not even limits that nobody checked can switch a guard off.
    #[must_use]
    pub fn clamped(&self) -> Self {
        let mut out = self.clone();
        let values = [
            &mut out.reductions_per_run,
            &mut out.reductions_percent,
            &mut out.reductions_day_percent,
            &mut out.reductions_week_percent,
            &mut out.group_drop_percent,
            &mut out.source_drop_percent,
            &mut out.grants_per_run,
            &mut out.grants_percent,
            &mut out.unreadable_groups_percent,
            &mut out.snapshot_age_minutes,
            &mut out.plan_age_hours,
        ];
        for (value, (range, _)) in values.into_iter().zip(self.table()) {
            *value = (*value).clamp(range.min, range.max);
        }
        out
    }

    /// Every limit that is outside its range.
    pub fn check(&self) -> Vec<LimitError> {
        self.table()
            .into_iter()
            .filter(|(range, value)| !(range.min..=range.max).contains(value))
            .map(|(range, found)| LimitError { name: range.name, found, min: range.min, max: range.max })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_in_range() {
        assert!(Limits::default().check().is_empty());
        assert_eq!(Limits::default().clamped(), Limits::default());
    }

    #[test]
    fn every_limit_is_pulled_into_its_range_from_either_side() {
        for wrong in [0, u32::MAX] {
            let all = Limits {
                reductions_per_run: wrong,
                reductions_percent: wrong,
                reductions_day_percent: wrong,
                reductions_week_percent: wrong,
                group_drop_percent: wrong,
                source_drop_percent: wrong,
                grants_per_run: wrong,
                grants_percent: wrong,
                unreadable_groups_percent: wrong,
                snapshot_age_minutes: wrong,
                plan_age_hours: wrong,
            };
            let clamped = all.clamped();
            for (range, value) in clamped.table() {
                let nearest = if wrong == 0 { range.min } else { range.max };
                assert_eq!(value, nearest, "{}", range.name);
            }
            assert!(!all.check().is_empty() && clamped.check().is_empty());
        }
    }
}
