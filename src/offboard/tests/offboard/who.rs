//! Whom an offboarding cuts, whom it leaves alone, and what it says where it could not ask.

use std::sync::Arc;

use lockstep_contract::KeyKind;
use lockstep_offboard::{Event, Progress};
use lockstep_sim::{Mishap, Operation};

use crate::bed::{Memory, is_out, out, pacs, progress, put_out};

#[tokio::test]
async fn a_pacs_that_cannot_search_by_what_was_given_was_not_asked() {
    let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &["card:26-1"])]);
    let lab = pacs("lab", &[KeyKind::Employee], &[("l-1", &["employee:7"])]);
    for who in ["card:26-1", "cardholder:hq/h-1"] {
        let report = out(who, &[&hq, &lab]).await;
        assert!(is_out(&hq, "h-1"));
        assert!(matches!(progress(&report, "lab"), Progress::NotAsked { .. }), "{who}: {report:?}");
        assert!(!report.complete(), "{who}");
    }
    assert!(!is_out(&lab, "l-1"));
}

#[tokio::test]
async fn the_keys_of_a_found_record_lead_to_the_same_human_elsewhere() {
    let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &["card:26-1", "employee:7"])]);
    let lab = pacs("lab", &[KeyKind::Employee], &[("l-1", &["employee:7"]), ("l-2", &["employee:8"])]);
    let report = out("card:26-1", &[&hq, &lab]).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!((is_out(&hq, "h-1"), is_out(&lab, "l-1"), is_out(&lab, "l-2")), (true, true, false));
}

#[tokio::test]
async fn the_keys_of_a_found_record_never_lead_to_somebody_else() {
    let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &["card:26-1", "employee:7", "mail:desk@x.example"])]);
    let lab = pacs("lab", &[KeyKind::Mail], &[("l-1", &["employee:8", "mail:desk@x.example"])]);
    let report = out("card:26-1", &[&hq, &lab]).await;
    assert!(is_out(&hq, "h-1") && !is_out(&lab, "l-1"));
    assert!(matches!(progress(&report, "lab"), Progress::Ambiguous { .. }), "{report:?}");
}

#[tokio::test]
async fn a_bare_value_that_means_two_humans_cuts_nobody() {
    let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &["employee:10403"])]);
    let lab = pacs("lab", &KeyKind::ALL, &[("l-1", &["account:10403", "employee:5"])]);
    let journal = Arc::new(Memory::default());
    let report = put_out("10403", &[&hq, &lab], journal.clone()).await;
    assert!(report.ambiguous() && !report.complete(), "{report:?}");
    assert!(!is_out(&hq, "h-1") && !is_out(&lab, "l-1"));
    let events = journal.0.lock().expect("whole").clone();
    assert!(matches!(events[0], Event::Hold { .. }), "written first of all");
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Ambiguous { .. })).count(), 2);
    assert!(out("employee:10403", &[&hq, &lab]).await.complete(), "with its kind it is clear");
    assert!(is_out(&hq, "h-1") && !is_out(&lab, "l-1"));
}

#[tokio::test]
async fn a_bare_value_that_leads_to_different_numbers_cuts_nobody() {
    let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &["account:jdoe", "employee:1"])]);
    let lab = pacs("lab", &KeyKind::ALL, &[("l-1", &["account:jdoe", "employee:2"])]);
    let report = out("jdoe", &[&hq, &lab]).await;
    assert!(report.ambiguous(), "{report:?}");
    assert!(!is_out(&hq, "h-1") && !is_out(&lab, "l-1"));
}

#[tokio::test(start_paused = true)]
async fn a_dead_pacs_saves_nobody_elsewhere() {
    let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &["employee:7", "account:7"])]);
    let lab = pacs("lab", &KeyKind::ALL, &[("l-1", &["employee:7"])]);
    lab.faults().always(Operation::Find, Mishap::Hang);
    let report = out("7", &[&hq, &lab]).await;
    assert!(is_out(&hq, "h-1"));
    assert!(matches!(progress(&report, "lab"), Progress::Unreached { .. }), "{report:?}");
    assert!(!report.complete());
}
