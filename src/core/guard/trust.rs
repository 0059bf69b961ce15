//! Guards over whether a plan may run without a person: the first run, a changed mapping, levels that do not exist or
//! are tagged, people who are protected by name.

use std::collections::BTreeSet;

use lockstep_contract::AccessLevelId;

use super::words::{count, number};
use super::{Case, Item};
use crate::{Code, Finding, Overrule, Trip};

/// First run, policy changed (G8), unknown level, protected.
pub(super) fn check(case: &Case<'_>, trips: &mut Vec<Trip>) {
    if !case.draft.undo {
        trips.extend(first_run(case).or_else(|| policy_changed(case)));
        trips.extend(unknown_levels(case));
    }
    trips.extend(protected(case));
}

/// High-security levels that somebody would gain: worth a line for the reviewer. They wait for an approval anyway.
pub(super) fn notes(case: &Case<'_>) -> Vec<Finding> {
    let tagged = case.policy.levels.iter().filter(|rule| rule.high_security).map(|rule| &rule.level);
    let levels: BTreeSet<&AccessLevelId> = tagged.collect();
    let note = |level: &AccessLevelId| {
        let gaining = case.people(|item| item.grants(level));
        (gaining > 0).then(|| Finding {
            code: Code::HighSecurity,
            subject: format!("level {level}"),
            message: format!("{} would gain this high-security level.", count(gaining, "person", "people")),
            help: Some("A named person approves these actions; no setting lets them run unattended.".into()),
        })
    };
    levels.into_iter().filter_map(note).collect()
}

/// Nothing was ever applied here, so nobody has seen yet what the mapping does to this target.
fn first_run(case: &Case<'_>) -> Option<Trip> {
    (case.history.applied_runs == 0).then(|| {
        waits(
            case,
            Code::FirstRun,
            "no run was applied to this target yet",
            "the whole plan approved by a named person",
        )
    })
}

/// G8. On the plan, not only in the file: a changed mapping is seen by what it does.
fn policy_changed(case: &Case<'_>) -> Option<Trip> {
    let same = case.history.policy_digest.as_deref() == Some(case.policy.digest.as_str());
    let measured = "the mapping differs from the one last applied";
    (!same).then(|| waits(case, Code::PolicyChanged, measured, "the whole plan approved by a named person"))
}

/// Such a trip makes everything wait for one person; it holds nothing beyond that.
fn waits(case: &Case<'_>, code: Code, what: &str, allowed: &str) -> Trip {
    let losing = case.people(Item::reduces);
    let gaining = case.people(Item::raises);
    Trip {
        code,
        subject: case.draft.target.to_string(),
        measured: format!("{what}; {} would gain and {} lose access", number(gaining), number(losing)),
        allowed: allowed.into(),
        setting: None,
        common: None,
        holds: Vec::new(),
        overrule: Overrule::OnePerson,
    }
}

/// A level that the mapping names and the PACS does not have. Nothing can be right about it until one is mended.
fn unknown_levels(case: &Case<'_>) -> Vec<Trip> {
    let missing = case.draft.facts.levels.iter().filter(|(_, facts)| !facts.exists);
    missing
        .map(|(level, _)| Trip {
            code: Code::UnknownLevel,
            subject: format!("level {level}"),
            measured: match case.policy.rule(level) {
                Some(rule) => format!("not in the catalog of {}; named by {}", case.draft.target, rule.source),
                None => format!("not in the catalog of {}", case.draft.target),
            },
            allowed: "only levels that exist".into(),
            setting: None,
            common: None,
            holds: case.ids(|item| item.grants(level) || item.revokes(level)),
            overrule: Overrule::Nobody,
        })
        .collect()
}

/// Guards, responders, break-glass badges: each is named by the person who lets it through.
fn protected(case: &Case<'_>) -> Option<Trip> {
    let holds = case.ids(|item| item.reduces() && case.draft.protected.contains(item.id));
    let concerned = case.people(|item| holds.binary_search(item.id).is_ok());
    (!holds.is_empty()).then(|| Trip {
        code: Code::Protected,
        subject: case.draft.target.to_string(),
        measured: format!("{} would lose access", count(concerned, "protected cardholder", "protected cardholders")),
        allowed: "only when a named person names them".into(),
        setting: Some("protected".into()),
        common: case.common(&holds),
        holds,
        overrule: Overrule::OnePerson,
    })
}
