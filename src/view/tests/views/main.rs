//! What people read. One plan with every kind of change and with hostile names, through every view.

mod by_hand;
mod sample;

use lockstep_contract::{CardholderId, CorrelationKey, CorrelationKeys, KeyKind, PersonId};
use lockstep_core::{Code, LinkProposal, Overrule, Trip};
use lockstep_view::{Paint, plan_text, report_csv, report_html, summary_line};

/// A page must not be able to call anywhere or run anything, whatever a name holds.
fn assert_inert(html: &str) {
    for bad in ["<script", "javascript:", "onerror", "http:", "https:", "src=", "@import", "url("] {
        assert!(!html.contains(bad), "{bad} must not occur");
    }
    assert!(
        html.contains("default-src &#39;none&#39;") || html.contains("default-src 'none'"),
        "content security policy"
    );
}

#[test]
fn summary_line_reads_as_documented() {
    assert_eq!(
        summary_line(&sample::plan()),
        "Plan 7f3a…c1: 1 to provision, 2 to change, 1 to disable, 1 held, 1 undecided; 9,412 unchanged."
    );
}

#[test]
fn text_for_a_terminal() {
    insta::assert_snapshot!(plan_text(&sample::plan(), Paint::Plain, 20));
}

#[test]
fn a_long_plan_is_cut_in_the_terminal_and_says_so() {
    let text = plan_text(&sample::plan(), Paint::Plain, 0);
    assert!(text.contains("… and 5 more; see report.html"), "{text}");
}

#[test]
fn report_html_is_inert_and_complete() {
    let html = report_html(&sample::plan());
    assert_inert(&html);
    for needed in [
        "Ada Lovelace",
        "10482",
        "Nursing",
        "HQ Laboratory",
        "Lab door 1",
        "mappings/hq.toml:12",
        "too many people would lose access",
        "Somebody must decide",
    ] {
        assert!(html.contains(needed), "the report should show {needed}");
    }
    assert!(
        html.contains("&#60;script&#62;") || html.contains("&lt;script&gt;"),
        "a name with markup is shown as text"
    );
}

#[test]
fn what_makes_the_whole_plan_wait_is_not_told_as_an_accident() {
    let mut plan = sample::plan();
    let waits = Trip {
        code: Code::FirstRun,
        measured: "no run was applied to this target yet".into(),
        common: None,
        holds: Vec::new(),
        overrule: Overrule::OnePerson,
        ..plan.targets[0].trips[0].clone()
    };
    plan.targets[0].trips = vec![waits];
    let html = report_html(&plan);
    assert!(html.contains("First run: the whole plan waits") && !html.contains("Held by guards"), "{html}");
    assert!(html.contains("No run was applied to this target yet. Nothing of it runs before"));
    let text = plan_text(&plan, Paint::Plain, 20);
    assert!(text.contains("the whole plan waits for one named person") && !text.contains("holds 0"), "{text}");
}

#[test]
fn people_are_found_by_name() {
    let mut plan = sample::plan();
    plan.entries[0].who.name = "Zuse, Konrad".into();
    plan.entries[1].who.name = "Babbage, Charles".into();
    let html = report_html(&plan);
    let rows = html.find("People who lose all access").expect("the leavers");
    let place = |name: &str| html[rows..].find(name).expect("a leaver");
    assert!(place("Babbage, Charles") < place("Zuse, Konrad"));
}

#[test]
fn the_command_in_the_report_can_be_copied_and_works() {
    let plan = sample::plan();
    assert!(report_html(&plan).contains(&format!("lockstep approve {} --by", plan.header.run)));
}

#[test]
fn whoever_is_matched_for_the_first_time_is_shown() {
    let mut plan = sample::plan();
    let key = CorrelationKey::new(KeyKind::Employee, "10484").expect("key");
    plan.targets[0].links = vec![LinkProposal {
        person: PersonId::new("person-4").expect("id"),
        cardholder: CardholderId::new("5877").expect("id"),
        keys: CorrelationKeys::from_iter([key.clone()]),
        key,
    }];
    let html = report_html(&plan);
    for needed in ["Matched for the first time", "employee:10484", "5877", "person-4"] {
        assert!(html.contains(needed), "the report should show {needed}");
    }
}

#[test]
fn a_rollback_says_that_it_is_one() {
    let mut plan = sample::plan();
    plan.header.directory = None;
    let html = report_html(&plan);
    assert!(html.contains("to undo what an earlier run did") && !html.contains("People read"));
}

#[test]
fn csv_has_the_same_rows_and_no_formulas() {
    let plan = sample::plan();
    let bytes = report_csv(&plan);
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let records: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("valid CSV");
    assert_eq!(records.len(), plan.entries.len());
    for cell in records.iter().flat_map(csv::StringRecord::iter) {
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell:?} would be a formula");
    }
    assert!(
        records.iter().any(|record| record.iter().any(|cell| cell == "'=HYPERLINK(\"x\")")),
        "the name is kept as data"
    );
}
