//! `explain` for people: one block for each target, one line for each level, one for each path through the groups.

use lockstep_contract::{Entitled, GroupId, Standing};
use lockstep_core::{Explanation, LevelVerdict, Lift};
use lockstep_view::{escape, situation_label};

use crate::cli::explain::Explained;

/// The whole answer.
pub(crate) fn text(explained: &Explained) -> String {
    let keys: Vec<String> = explained.person.keys.iter().map(ToString::to_string).collect();
    let mut lines =
        vec![format!("{} ({}), {}", explained.name, keys.join(", "), standing(Some(explained.person.standing)))];
    lines.extend(explained.lifts.iter().flat_map(lift_lines));
    for (target, explanation) in &explained.targets {
        block(&mut lines, target, explanation, explained);
    }
    if let Some(fault) = &explained.paths_fault {
        lines.push(format!("! the paths through nested groups could not be read: {fault}"));
    }
    lines.iter().map(|line| escape::terminal(line)).collect::<Vec<_>>().join("\n")
}

/// What was, and who put an end to it.
fn lift_lines(lift: &Lift) -> Vec<String> {
    let held = lift
        .what
        .holds
        .iter()
        .map(|held| format!("  was held out since {} by {}: {}", held.since, held.by, held.reason));
    let approved: Vec<&str> = lift.approved_by.iter().map(String::as_str).collect();
    let asked = lift.by.as_deref().unwrap_or("nobody in particular");
    let (at, run, reason) = (lift.at, lift.run, &lift.what.reason);
    let end =
        format!("  let back in {at} by run {run}, asked for by {asked}, approved by {}: {reason}", approved.join(", "));
    held.chain([end]).collect()
}

fn standing(standing: Option<Standing>) -> String {
    match standing {
        Some(Standing::Active) => "active in the directory".into(),
        Some(Standing::Ended { since: Some(since) }) => format!("ended in the directory since {since}"),
        Some(Standing::Ended { since: None }) => "ended in the directory".into(),
        Some(Standing::Away { until: Some(until) }) => format!("not here until {until}, says the directory"),
        Some(Standing::Away { until: None }) => "not here for now, says the directory".into(),
        Some(Standing::Unconfirmed) => {
            "active in the directory, not confirmed by another that could not be read".into()
        }
        Some(Standing::Unknown) => "standing in the directory unknown".into(),
        None => "not in the directory".into(),
    }
}

fn block(lines: &mut Vec<String>, target: &str, explanation: &Explanation, explained: &Explained) {
    let cardholder = explanation.cardholder.as_ref().map_or("no cardholder".into(), |id| format!("cardholder {id}"));
    lines.push(format!("{target}: {cardholder}; {}", situation_label(explanation.situation)));
    if let Some(hold) = &explanation.hold {
        lines.push(format!("  ! held out since {} by {}: {}", hold.since, hold.by, hold.reason));
    }
    for level in &explanation.levels {
        lines.push(level_line(level));
        for (group, entitled) in level.any.iter().chain(&level.all).chain(&level.none) {
            lines.extend(group_line(level, group, *entitled, explained));
        }
    }
    for finding in &explanation.findings {
        lines.push(format!("  ? {} {}", finding.code, finding.message));
        lines.extend(finding.help.iter().map(|help| format!("      {help}")));
    }
}

fn level_line(level: &LevelVerdict) -> String {
    let (sign, should) = match level.entitled {
        Entitled::Yes => ('+', "should have it"),
        Entitled::No => ('-', "should not have it"),
        Entitled::Unknown => ('?', "not known whether it is due, so it stays as it is"),
    };
    let has = match level.has {
        Some(true) => "has it",
        Some(false) => "lacks it",
        None => "has no cardholder",
    };
    let name =
        if level.name.is_empty() { level.level.to_string() } else { format!("{} ({})", level.level, level.name) };
    let high = if level.high_security { "; high security: needs an approval by name" } else { "" };
    format!("  {sign} {name}: {should}; {has}; {}{high}", level.rule)
}

/// The way into a group that the person is in; for others, what the group says.
fn group_line(level: &LevelVerdict, group: &GroupId, entitled: Entitled, explained: &Explained) -> Option<String> {
    let excludes = level.none.iter().any(|(one, _)| one == group);
    match entitled {
        Entitled::Yes => {
            let path = explained.paths.get(group).cloned().unwrap_or_else(|| vec![group.to_string()]);
            let way: Vec<String> = path.into_iter().chain([explained.name.clone()]).collect();
            let not = if excludes { "excluded by " } else { "" };
            Some(format!("      {not}{}", way.join(" → ")))
        }
        Entitled::No if excludes => None,
        Entitled::No => Some(format!("      not in {group}")),
        Entitled::Unknown => Some(format!("      {group} could not be read, or not whole")),
    }
}
