//! A plan for a terminal: who, what, why, then one summary line.

use lockstep_contract::TargetId;
use lockstep_core::{PlanDocument, Severity, Trip};

use crate::escape::{number, short_digest, terminal};
use crate::reinstatement::reinstatement_lines;
use crate::report::{overrule_words, waits_as_a_whole};
use crate::row::{Row, rows};
use crate::table::{Align, Table};

/// Whether to colour. The caller knows about terminals, `NO_COLOR` and `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Plain text.
    Plain,
    /// With ANSI colours.
    Colour,
}

impl Paint {
    /// Text in an ANSI colour: 31 red, 32 green, 33 yellow, 1 bold.
    pub fn paint(self, code: u8, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// The last line of every plan: `Plan 7f3a…c1: 12 to provision, …`.
pub fn summary_line(plan: &PlanDocument) -> String {
    let tally = plan.tally();
    format!(
        "Plan {}: {} to provision, {} to change, {} to disable, {} held, {} undecided; {} unchanged.",
        short_digest(&plan.digest),
        number(tally.provision),
        number(tally.change),
        number(tally.disable),
        number(plan.held() as u64),
        number(tally.undecided),
        number(tally.unchanged),
    )
}

/// The whole plan as lines. At most `rows_max` changes are listed; the files beside it have all.
pub fn plan_text(plan: &PlanDocument, paint: Paint, rows_max: usize) -> String {
    let mut out = String::new();
    for line in reinstatement_lines(plan) {
        push(&mut out, &paint.paint(33, &format!("+ {}", terminal(&line))));
    }
    for line in changes(rows(plan), paint, rows_max) {
        push(&mut out, &line);
    }
    for line in trips(plan, paint).into_iter().chain(decisions(plan, paint, rows_max)) {
        push(&mut out, &line);
    }
    push(&mut out, &paint.paint(1, &summary_line(plan)));
    out
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

/// All changes in one table, so that its columns line up: leavers first.
fn changes(mut all: Vec<Row<'_>>, paint: Paint, rows_max: usize) -> Vec<String> {
    all.sort_by_key(|row| row.category);
    let columns = [1, 28, 10, 20, 16, 100].map(|max| (Align::Left, max));
    let mut table = Table::new(columns);
    for row in all.iter().take(rows_max) {
        let who = &row.entry.who;
        let sign = if row.held_by.is_empty() { row.category.sign() } else { '!' };
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        table.row([
            sign.to_string(),
            who.name.clone(),
            text(&who.employee_number),
            text(&who.department),
            row.entry.action.target.to_string(),
            phrase(row),
        ]);
    }
    let mut lines: Vec<String> = table.lines(0).into_iter().map(|line| colour(paint, &line)).collect();
    if all.len() > rows_max {
        lines.push(format!("  … and {} more; see report.html", number((all.len() - rows_max) as u64)));
    }
    lines
}

fn colour(paint: Paint, line: &str) -> String {
    match line.chars().next() {
        Some('-') => paint.paint(31, line),
        Some('+') => paint.paint(32, line),
        Some('!' | '?') => paint.paint(33, line),
        _ => line.to_owned(),
    }
}

/// `leaver: −HQ-Lab −HQ-Main; switch the cardholder off`.
fn phrase(row: &Row<'_>) -> String {
    let levels = row
        .losses
        .iter()
        .map(|loss| format!("-{}", loss.level))
        .chain(row.gains.iter().map(|gain| format!("+{}", gain.level)));
    let mut parts: Vec<String> = vec![levels.collect::<Vec<_>>().join(" ")];
    parts.extend(row.other.iter().cloned());
    parts.retain(|part| !part.is_empty());
    let held = if row.held_by.is_empty() { String::new() } else { format!(" [held: {}]", row.held_by.join(", ")) };
    format!("{}: {}{held}", row.category.word(), parts.join("; "))
}

fn trips(plan: &PlanDocument, paint: Paint) -> Vec<String> {
    let all = plan.targets.iter().flat_map(|section| section.trips.iter().map(move |trip| (&section.target, trip)));
    all.flat_map(|(target, trip)| trip_lines(target, trip, paint)).collect()
}

fn trip_lines(target: &TargetId, trip: &Trip, paint: Paint) -> Vec<String> {
    let subject =
        if trip.subject == target.as_str() { String::new() } else { format!(": {}", terminal(&trip.subject)) };
    let head = format!("! {} {} on {target}{subject}", trip.code, trip.code.title());
    let setting = trip.setting.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    let mut lines = vec![
        paint.paint(33, &head),
        format!("    measured {}; allowed {}{setting}", terminal(&trip.measured), terminal(&trip.allowed)),
    ];
    if let Some(common) = &trip.common {
        lines.push(format!("    in common: {}", terminal(common)));
    }
    lines.push(if waits_as_a_whole(trip) {
        "    the whole plan waits for one named person".to_owned()
    } else if trip.holds.is_empty() {
        "    holds no action of this plan".to_owned()
    } else {
        format!(
            "    holds {} of this plan's actions; {}",
            number(trip.holds.len() as u64),
            overrule_words(trip.overrule)
        )
    });
    lines
}

fn decisions(plan: &PlanDocument, paint: Paint, rows_max: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let all: Vec<_> = plan
        .targets
        .iter()
        .flat_map(|section| &section.findings)
        .filter(|finding| finding.severity() == Severity::Hold)
        .collect();
    for finding in all.iter().take(rows_max) {
        lines.push(
            paint.paint(
                33,
                &format!("? {} {}: {}", finding.code, terminal(&finding.subject), terminal(&finding.message)),
            ),
        );
        if let Some(help) = &finding.help {
            lines.push(format!("    {}", terminal(help)));
        }
    }
    if all.len() > rows_max {
        lines.push(format!("  … and {} more to decide; see report.html", number((all.len() - rows_max) as u64)));
    }
    lines
}
