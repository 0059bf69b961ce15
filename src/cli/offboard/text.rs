//! The answer of `offboard` for people, at 80 columns. It never says more than was read back, and nothing about doors.

use std::fmt::Write as _;

use lockstep_offboard::{Candidate, CardholderOutcome, Controllers, Progress, Report, TargetOutcome};
use lockstep_view::escape;

use super::by_hand::ByHand;
use super::{Mode, Offboarded};

const COLUMNS: usize = 80;

/// The whole answer.
pub(super) fn of(done: &Offboarded) -> String {
    let mut lines = vec![headline(done)];
    for report in &done.people {
        lines.push(String::new());
        person(&mut lines, report);
    }
    let rest: Vec<String> = waiting(done)
        .into_iter()
        .chain(done.not_asked.iter().map(|one| format!("! {}: NOT asked: {}", one.what, one.why)))
        .chain(done.left_out.iter().map(|what| format!("! {what}: NOT asked: left out by --target")))
        .chain(done.by_hand.iter().map(hand))
        .collect();
    if !rest.is_empty() {
        lines.push(String::new());
        lines.extend(rest);
    }
    lines.push(String::new());
    lines.push(summary(done));
    lines.extend(done.record.iter().map(|path| format!("On record: {path}")));
    lines.iter().map(|line| folded(&escape::terminal(line))).collect::<Vec<_>>().join("\n")
}

fn headline(done: &Offboarded) -> String {
    let mut text = match done.mode {
        Mode::Real => "Offboarding".to_owned(),
        Mode::DryRun => "DRY RUN: the PACS were read, NOTHING WAS WRITTEN".to_owned(),
        Mode::Drill => "DRILL: simulated copies, NOTHING REAL WAS TOUCHED".to_owned(),
    };
    let _ = write!(text, ", by {}", done.by); // writing to a String cannot fail
    if let Some(second) = &done.second {
        let _ = write!(text, " and {second}");
    }
    if !done.reason.is_empty() {
        let _ = write!(text, ": {}", done.reason);
    }
    if let Some(ticket) = &done.ticket {
        let _ = write!(text, " (ticket {ticket})");
    }
    text
}

fn person(lines: &mut Vec<String>, report: &Report) {
    lines.push(format!("{}   noticed {}", report.who, report.at.strftime("%Y-%m-%d %H:%M:%S UTC")));
    if !report.targets.is_empty() {
        lines.push(row("PACS", ["located", "requested", "in its database", "at its controllers"].map(str::to_owned)));
    }
    for (target, outcome) in &report.targets {
        lines.push(stopwatch(target.as_str(), outcome, report.dry_run));
    }
    for (target, outcome) in &report.targets {
        progress(lines, target.as_str(), &outcome.progress);
        for one in &outcome.cardholders {
            cardholder(lines, target.as_str(), one, report.dry_run);
        }
    }
    if report.missing() {
        lines.push(
            "  ! NOT found on any PACS that answered: nobody was switched off; a run holds out whom it knows by this, \
             if that is one person"
                .into(),
        );
    }
    lines.extend(report.journal_faults.iter().map(|fault| format!("  ! not on record: {fault}")));
}

fn row(name: &str, cells: [String; 4]) -> String {
    let [located, requested, database, controllers] = cells;
    format!("  {:<14} {located:>9} {requested:>10} {database:>16}  {controllers}", escape::cut(name, 14))
}

/// Times from the moment the command was typed.
fn stopwatch(target: &str, outcome: &TargetOutcome, dry_run: bool) -> String {
    let watch = outcome.stopwatch;
    let time = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), seconds);
    let out = |state: fn(&CardholderOutcome) -> bool| {
        !outcome.cardholders.is_empty() && outcome.cardholders.iter().all(state)
    };
    let database = match &outcome.progress {
        Progress::NotThere => "no record".to_owned(),
        Progress::Done if dry_run && !out(|one| one.confirmed) => "(not sent)".to_owned(),
        Progress::Done if out(|one| one.confirmed) => time(watch.confirmed_ms),
        Progress::Done => "NOT CONFIRMED".to_owned(),
        Progress::NotAsked { .. } => "NOT ASKED".to_owned(),
        Progress::Unreached { .. } => "NOT REACHED".to_owned(),
        Progress::Ambiguous { .. } => "NOT CLEAR".to_owned(),
    };
    let controllers = if outcome.cardholders.is_empty() || !out(|one| one.confirmed) || dry_run {
        "-".to_owned()
    } else if out(|one| one.controllers == Controllers::Confirmed) {
        time(watch.controllers_ms)
    } else if out(|one| one.controllers == Controllers::CannotTell) {
        "cannot be proved".to_owned()
    } else {
        "PENDING".to_owned()
    };
    row(target, [time(watch.located_ms), time(watch.requested_ms), database, controllers]).trim_end().to_owned()
}

/// A time that people read.
pub(super) fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1_000, ms % 1_000)
}

fn cardholder(lines: &mut Vec<String>, target: &str, one: &CardholderOutcome, dry_run: bool) {
    let sign = match (one.confirmed, dry_run) {
        (true, _) => '-',
        (false, true) => '=',
        (false, false) => '!',
    };
    let mut text = format!("  {sign} {target}: cardholder {} ({}): ", one.cardholder, one.name);
    text.push_str(&one.detail);
    if one.confirmed {
        text.push_str(match (one.controllers, dry_run) {
            (_, true) => "",
            (Controllers::Confirmed, false) => "; confirmed at the controllers",
            (Controllers::Pending, false) => "; confirmed in the PACS database, pending at the controllers",
            (Controllers::CannotTell, false) => "; confirmed in the PACS database",
        });
    }
    lines.push(text);
    if dry_run {
        lines.extend(one.steps.iter().map(|step| format!("      would {step}")));
    }
    if one.managed == Some(false) {
        lines.push("      not managed by Lockstep: no sync would have touched this record".into());
    }
    let left = one.levels_left.join(", ");
    match (one.levels_left.is_empty(), one.levels_known) {
        (true, _) => {}
        (false, true) => lines.push(format!("      levels left, since they are not managed: {left}")),
        (false, false) => lines.push(format!(
            "      levels left, since the mapping of this target is broken and it could not be told which are managed: \
             {left}"
        )),
    }
}

fn progress(lines: &mut Vec<String>, target: &str, progress: &Progress) {
    match progress {
        Progress::Done | Progress::NotThere => {}
        Progress::NotAsked { why } => lines.push(format!("  ! {target}: NOT asked: {why}")),
        Progress::Unreached { fault } => lines.push(format!("  ! {target}: NOT reached: {fault}")),
        Progress::Ambiguous { candidates } => {
            lines.push(format!("  ? {target}: not clear who is meant; nothing was done here. What matches:"));
            for one in candidates {
                candidate(lines, target, one);
            }
        }
    }
}

/// Two lines that tell one human from another without a picture.
fn candidate(lines: &mut Vec<String>, target: &str, one: &Candidate) {
    let number =
        one.employee_number.as_deref().map_or_else(|| "no employee number".into(), |n| format!("employee {n}"));
    lines.push(format!("      cardholder:{target}/{}   {}, {number}, {}", one.cardholder, one.name, one.status));
    let role = [one.title.as_deref(), one.department.as_deref()].into_iter().flatten().filter(|text| !text.is_empty());
    let mut about: Vec<String> = role.map(str::to_owned).collect();
    about.push(match one.working.as_slice() {
        [] => "no working credential".into(),
        working => format!("{} working: {}", working.len(), working.join(", ")),
    });
    about.push(format!("levels: {} managed, {} not", one.managed_levels, one.other_levels));
    about.push(match one.valid_until {
        Some(until) => format!("valid until {}", until.strftime("%Y-%m-%d")),
        None => "no end date".into(),
    });
    lines.push(format!("          {}", about.join("; ")));
}

fn waiting(done: &Offboarded) -> Vec<String> {
    if done.waiting.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "! {} WAIT for a second person's name, and are NOT out: {}",
        done.waiting.len(),
        done.waiting.join(", ")
    )]
}

fn hand(hand: &ByHand) -> String {
    let what = match hand.cardholders.as_slice() {
        [] => "look the person up and switch them off".to_owned(),
        records => format!("switch off {}", records.join(", ")),
    };
    let export = hand.export.as_ref().map(|path| format!(" (who has what: {path})"));
    format!("  by hand, {} on {}: {what}{}", hand.who, hand.target, export.unwrap_or_default())
}

fn summary(done: &Offboarded) -> String {
    let targets = done.people.iter().flat_map(|report| report.targets.values());
    let confirmed = targets.flat_map(|outcome| &outcome.cardholders).filter(|one| one.confirmed).count();
    let records = if confirmed == 1 { "1 record" } else { &format!("{confirmed} records") };
    match (done.mode, done.complete) {
        (Mode::DryRun, true) => "Dry run: nothing was written; all of it could be done.".into(),
        (Mode::DryRun, false) => "Dry run: nothing was written; NOT all of it could be done, see above.".into(),
        (Mode::Drill, true) => {
            format!("Drill: {records} switched off and read back on simulated copies; nothing real was touched.")
        }
        (Mode::Drill, false) => "Drill: NOT all of it worked on the simulated copies; nothing real was touched.".into(),
        (Mode::Real, true) if !done.left_out.is_empty() => {
            format!("Out where asked: {records} switched off and read back; other PACS were left out.")
        }
        (Mode::Real, true) => format!("Out everywhere: {records} switched off and read back."),
        (Mode::Real, false) => format!("NOT out everywhere yet: {records} switched off and read back; see above."),
    }
}

/// Breaks a line that is longer than a terminal at blanks, and sets what follows in under its text.
fn folded(line: &str) -> String {
    if escape::width(line) <= COLUMNS {
        return line.to_owned();
    }
    let indent = line.chars().take_while(|c| *c == ' ').count() + 4;
    let (mut text, mut column) = (String::new(), 0);
    for (index, word) in line.split(' ').enumerate() {
        let width = escape::width(word);
        if index > 0 && column + 1 + width > COLUMNS && column > indent {
            text.push('\n');
            text.push_str(&" ".repeat(indent));
            column = indent;
        } else if index > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_at_blanks_and_lose_nothing() {
        let line = format!("  ! hq: NOT reached: {}", "no answer yet ".repeat(20));
        let text = folded(&line);
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("      ")), "{text}");
        assert_eq!(text.split_whitespace().collect::<Vec<_>>(), line.split_whitespace().collect::<Vec<_>>());
    }
}
