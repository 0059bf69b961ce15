//! The report that a person reads before they say yes: one self-contained HTML file, and a CSV with the same rows.

use std::collections::BTreeMap;

use askama::Template;
use lockstep_contract::TargetId;
use lockstep_core::{Code, EntryState, Finding, LinkProposal, Overrule, PlanDocument, Severity, Trip};

use crate::escape::{cell, number, short_digest};
use crate::html::{STYLE, minute, policy, sentence};
use crate::reinstatement::reinstatement_lines;
use crate::row::{Category, Row, rows, situation_label};
use crate::text::summary_line;

/// Orphans and other notes shown by name; beyond this the count is said and the CSV has the rest.
const NOTES_MAX: usize = 200;

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage<'d> {
    style: &'static str,
    policy: String,
    plan: &'d PlanDocument,
    digest_short: String,
    created: String,
    expires: String,
    summary: String,
    tiles: [Tile; 6],
    high: bool,
    lifts: Vec<String>,
    introductions: Vec<Guard<'d>>,
    guards: Vec<Guard<'d>>,
    groups: Vec<Group<'d>>,
    decisions: Vec<Note<'d>>,
    notes: Vec<Note<'d>>,
    notes_left: usize,
    matches: Vec<Match<'d>>,
    matches_total: usize,
    waiting: String,
    waiting_any: bool,
    waiting_is_one: bool,
    waiting_none: bool,
}

struct Tile {
    class: &'static str,
    count: String,
    label: &'static str,
}

struct Guard<'d> {
    target: &'d TargetId,
    trip: &'d Trip,
    people: Vec<String>,
    overrule: &'static str,
}

struct Group<'d> {
    title: &'static str,
    lead: &'static str,
    rows: Vec<Row<'d>>,
}

struct Note<'d> {
    target: &'d TargetId,
    finding: &'d Finding,
}

struct Match<'d> {
    target: &'d TargetId,
    link: &'d LinkProposal,
}

/// The report as one HTML file.
///
/// # Panics
/// Never: the template is compiled in and writes to memory.
pub fn report_html(plan: &PlanDocument) -> String {
    let all = rows(plan);
    let high = all.iter().any(|row| row.gains.iter().any(|gain| gain.high_security));
    let (decisions, mut notes): (Vec<_>, Vec<_>) = plan
        .targets
        .iter()
        .flat_map(|section| section.findings.iter().map(|finding| Note { target: &section.target, finding }))
        .partition(|note| note.finding.severity() == Severity::Hold);
    let notes_left = notes.len().saturating_sub(NOTES_MAX);
    notes.truncate(NOTES_MAX);
    let (introductions, guards) = guards(plan).into_iter().partition(|guard| waits_as_a_whole(guard.trip));
    let waiting = plan.in_state(|state| matches!(state, EntryState::NeedsApproval)).count();
    ReportPage {
        style: STYLE,
        policy: policy(STYLE),
        plan,
        digest_short: short_digest(&plan.digest),
        created: minute(plan.header.created),
        expires: minute(plan.header.expires),
        summary: summary_line(plan),
        tiles: tiles(plan),
        high,
        lifts: reinstatement_lines(plan),
        introductions,
        guards,
        waiting: count(waiting),
        waiting_any: waiting > 0 || plan.header.reinstate.is_some(),
        waiting_is_one: waiting == 1,
        waiting_none: waiting == 0,
        groups: groups(all, plan.header.reinstate.is_some()),
        decisions,
        notes,
        notes_left,
        matches: matches(plan).take(NOTES_MAX).collect(),
        matches_total: plan.targets.iter().map(|section| section.links.len()).sum(),
    }
    .render()
    .expect("a compiled template writes to memory")
}

fn matches(plan: &PlanDocument) -> impl Iterator<Item = Match<'_>> {
    plan.targets.iter().flat_map(|section| section.links.iter().map(|link| Match { target: &section.target, link }))
}

/// A count with its thousands apart.
fn count(n: usize) -> String {
    number(n as u64)
}

fn tiles(plan: &PlanDocument) -> [Tile; 6] {
    let tally = plan.tally();
    let tile = |class, count: u64, label| Tile { class, count: number(count), label };
    [
        tile("less", tally.disable, "to switch off"),
        tile("more", tally.provision, "to create"),
        tile("", tally.change, "to change"),
        tile("hold", plan.held() as u64, "held by a guard"),
        tile("hold", tally.undecided, "undecided"),
        tile("", tally.unchanged, "stay as they are"),
    ]
}

fn guards(plan: &PlanDocument) -> Vec<Guard<'_>> {
    let names: BTreeMap<_, _> = plan.entries.iter().map(|entry| (&entry.action.id, entry.who.name.as_str())).collect();
    let people = |trip: &Trip| -> Vec<String> {
        let mut people: Vec<String> =
            trip.holds.iter().filter_map(|id| names.get(id)).map(|name| (*name).to_owned()).collect();
        people.sort();
        people
    };
    let sections =
        plan.targets.iter().flat_map(|section| section.trips.iter().map(move |trip| (&section.target, trip)));
    sections
        .map(|(target, trip)| Guard { target, trip, people: people(trip), overrule: overrule_words(trip.overrule) })
        .collect()
}

/// True for a guard that holds no action and makes the whole plan wait for one person instead.
pub(crate) fn waits_as_a_whole(trip: &Trip) -> bool {
    matches!(trip.code, Code::FirstRun | Code::PolicyChanged)
}

/// What lets a held action through.
pub(crate) const fn overrule_words(overrule: Overrule) -> &'static str {
    match overrule {
        Overrule::OnePerson => "one named person may let these through, naming each",
        Overrule::TwoPersons => "two different named persons may let these through, each naming them",
        Overrule::Nobody => "nobody may let these through; the cause must be mended first",
    }
}

const BACK: &str = "Lockstep switched their record off and would switch it on again. Cards stay off until somebody at the \
                    badge office switches them on.";
const REINSTATED: &str =
    "Exactly what the offboarding took is given back. What is not listed stays as it is, cards reported lost included.";

fn groups(all: Vec<Row<'_>>, reinstates: bool) -> Vec<Group<'_>> {
    let mut groups = [
        (
            Category::Leaver,
            "People who lose all access",
            "Their records and cards are switched off, and can be switched on again.",
        ),
        (Category::Joiner, "People who are new", "A record is created for each; cards are issued by the badge office."),
        (Category::Return, "People who are back", if reinstates { REINSTATED } else { BACK }),
        (Category::Mover, "People whose access changes", "What they gain and what they lose happens together."),
        (Category::Details, "Records whose details change", "Names and the like. No door is concerned."),
    ]
    .map(|(category, title, lead)| (category, Group { title, lead, rows: Vec::new() }));
    for row in all {
        if let Some((_, group)) = groups.iter_mut().find(|(category, _)| *category == row.category) {
            group.rows.push(row);
        }
    }
    // People look for people by name; the plan is ordered by the numbers of records.
    for (_, group) in &mut groups {
        group.rows.sort_by(|a, b| by_name(a).cmp(&by_name(b)));
    }
    groups.into_iter().map(|(_, group)| group).filter(|group| !group.rows.is_empty()).collect()
}

fn by_name<'r>(row: &'r Row<'_>) -> (&'r str, Option<&'r str>) {
    (&row.entry.who.name, row.entry.who.employee_number.as_deref())
}

/// The words by which the page's filters find a row.
fn kinds(row: &Row<'_>) -> String {
    let held = if row.held_by.is_empty() { "" } else { " held" };
    let high = if row.gains.iter().chain(&row.losses).any(|change| change.high_security) { " high" } else { "" };
    format!("{}{held}{high}", row.category.word())
}

/// The same rows for a spreadsheet, with a column for the decision. Every cell is quoted and safe to open.
///
/// # Panics
/// Never: it writes to memory.
pub fn report_csv(plan: &PlanDocument) -> Vec<u8> {
    let mut csv = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    let header = [
        "target",
        "state",
        "held by",
        "kind",
        "situation",
        "name",
        "employee number",
        "department",
        "title",
        "manager",
        "cardholder",
        "gains",
        "loses",
        "other changes",
        "why",
        "action",
        "plan",
        "decision (yes/no)",
        "decided by",
    ];
    csv.write_record(header).expect("memory takes it");
    for row in rows(plan) {
        let who = &row.entry.who;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let levels = |changes: &[crate::Change]| {
            changes.iter().map(|change| change.level.as_str()).collect::<Vec<_>>().join("; ")
        };
        let record = [
            row.entry.action.target.to_string(),
            row.state().to_owned(),
            row.held_by.join("; "),
            row.category.word().to_owned(),
            situation_label(row.entry.action.because.situation).to_owned(),
            who.name.clone(),
            text(&who.employee_number),
            text(&who.department),
            text(&who.title),
            text(&who.manager),
            row.subject(),
            levels(&row.gains),
            levels(&row.losses),
            row.other.join("; "),
            row.why.join("; "),
            row.entry.action.id.to_string(),
            plan.digest.clone(),
            String::new(),
            String::new(),
        ];
        csv.write_record(record.map(|value| cell(&value))).expect("memory takes it");
    }
    csv.into_inner().expect("memory takes it")
}
