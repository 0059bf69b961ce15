//! Whom an offboarding cuts, whom it leaves alone, and what it says where it could not ask.

use std::sync::Arc;

use lockstep_contract::KeyKind;
use lockstep_offboard::{Event, KnownRecords, Progress, Request, roster};
use lockstep_sim::{Mishap, Operation};

use crate::bed::{Memory, is_out, out, pacs, place, progress, put_out, request, run};

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

fn count(report: &lockstep_offboard::Report, is: fn(&Progress) -> bool) -> usize {
    report.targets.values().filter(|outcome| is(&outcome.progress)).count()
}

fn is_ambiguous(progress: &Progress) -> bool {
    matches!(progress, Progress::Ambiguous { .. })
}

const ADA: [&str; 5] = ["employee:7", "card:26-1", "account:ada", "mail:ada@x.example", "upn:ada@y.example"];

#[tokio::test]
async fn who_is_named_by_what_changes_hands_is_found_elsewhere_by_other_keys() {
    for who in ["card:26-1", "account:ada", "mail:ada@x.example", "upn:ada@y.example", "ada"] {
        let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &ADA)]);
        let lab = pacs("lab", &KeyKind::ALL, &[("l-1", &["employee:7", "card:26-2"]), ("l-2", &["employee:8"])]);
        let report = out(who, &[&hq, &lab]).await;
        assert!(report.complete(), "{who}: {report:?}");
        assert_eq!((is_out(&hq, "h-1"), is_out(&lab, "l-1"), is_out(&lab, "l-2")), (true, true, false), "{who}");
    }
}

#[tokio::test]
async fn nobody_anywhere_is_nobody_and_a_record_with_nothing_but_a_card_leads_nowhere() {
    let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &["card:26-1"])]);
    let lab = pacs("lab", &KeyKind::ALL, &[("l-1", &["employee:7", "card:26-2"])]);
    let report = out("card:26-9", &[&hq, &lab]).await;
    assert_eq!(count(&report, |progress| *progress == Progress::NotThere), 2, "{report:?}");
    let report = out("card:26-1", &[&hq, &lab]).await;
    assert!(report.complete() && is_out(&hq, "h-1") && !is_out(&lab, "l-1"), "{report:?}");
}

#[tokio::test]
async fn a_failed_look_up_by_other_keys_never_says_that_nobody_is_there() {
    let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &["employee:7", "card:26-1"])]);
    let lab = pacs("lab", &KeyKind::ALL, &[("l-1", &["employee:7"])]);
    lab.faults().on(Operation::Find, 2, Mishap::Deny);
    let report = out("card:26-1", &[&hq, &lab]).await;
    assert!(matches!(progress(&report, "lab"), Progress::Unreached { .. }), "{report:?}");
    let blind = pacs("blind", &[KeyKind::Card], &[("b-1", &["card:26-3"])]);
    let report = out("card:26-1", &[&hq, &blind]).await;
    assert!(matches!(progress(&report, "blind"), Progress::NotAsked { .. }), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_pacs_tells_the_others_by_what_to_look_and_a_dead_one_leaves_them_open() {
    let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &["employee:7", "card:26-1"])]);
    let lab = pacs("lab", &KeyKind::ALL, &[("l-1", &["employee:7"])]);
    for nth in 1..=4 {
        hq.faults().on(Operation::Find, nth, Mishap::Down);
    }
    let report = out("card:26-1", &[&hq, &lab]).await;
    assert!(is_out(&hq, "h-1") && is_out(&lab, "l-1"), "{report:?}");
    hq.faults().always(Operation::Find, Mishap::Hang);
    let report = out("card:26-1", &[&hq, &lab]).await;
    assert!(matches!(progress(&report, "lab"), Progress::NotAsked { .. }), "{report:?}");
}

#[tokio::test]
async fn a_card_of_two_humans_cuts_nobody_unless_all_are_asked_for() {
    let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &["employee:7", "card:26-1"])]);
    let lab = pacs("lab", &KeyKind::ALL, &[("l-1", &["employee:8", "card:26-1"])]);
    let gate = pacs("gate", &KeyKind::ALL, &[("g-1", &["employee:8"])]);
    let report = out("card:26-1", &[&hq, &lab, &gate]).await;
    assert_eq!(count(&report, is_ambiguous), 3, "{report:?}");
    assert!(!is_out(&hq, "h-1") && !is_out(&lab, "l-1") && !is_out(&gate, "g-1"));
    let places = [&hq, &lab].map(place).into();
    let all = Request { all: true, ..request("card:26-1") };
    let report = run(all, places, Arc::new(Memory::default()), roster(KnownRecords::new())).await;
    assert!(report.complete() && is_out(&hq, "h-1") && is_out(&lab, "l-1"), "{report:?}");
}

#[tokio::test]
async fn records_without_a_number_contradict_nobody() {
    let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &["card:26-1"])]);
    let lab = pacs("lab", &KeyKind::ALL, &[("l-1", &["employee:7", "employee:8", "card:26-1"])]);
    let report = out("card:26-1", &[&hq, &lab]).await;
    assert!(report.complete() && is_out(&hq, "h-1") && is_out(&lab, "l-1"), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn who_answers_late_has_to_agree_with_everybody_who_was_cut_before() {
    let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &["card:26-1"])]);
    let lab = pacs("lab", &KeyKind::ALL, &[("l-1", &["employee:7", "card:26-1"])]);
    let annex = pacs("annex", &KeyKind::ALL, &[("a-1", &["employee:8", "card:26-1"])]);
    for nth in 1..=3 {
        lab.faults().on(Operation::Find, nth, Mishap::Down);
    }
    for nth in 1..=4 {
        annex.faults().on(Operation::Find, nth, Mishap::Down);
    }
    let report = out("card:26-1", &[&hq, &lab, &annex]).await;
    assert!(is_out(&hq, "h-1") && is_out(&lab, "l-1") && !is_out(&annex, "a-1"), "{report:?}");
    assert!(is_ambiguous(progress(&report, "annex")), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_when_all_have_answered() {
    let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &["employee:7", "card:26-1"])]);
    let lab = pacs("lab", &KeyKind::ALL, &[("l-1", &["employee:7", "card:26-1"])]);
    for places in [vec![place(&hq)], vec![place(&hq), place(&lab)]] {
        // Nothing is written down, so that the clock stands still while nobody waits.
        let dry_run = Request { dry_run: true, ..request("card:26-1") };
        let report = run(dry_run, places, Arc::new(Memory::default()), roster(KnownRecords::new())).await;
        let located = report.targets.values().map(|outcome| outcome.cardholders[0].located_ms);
        assert!(located.max() < Some(1_000), "{report:?}");
    }
}

#[tokio::test]
async fn a_record_that_the_roster_names_and_that_has_another_number_now_is_left_to_people() {
    let id = lockstep_contract::CardholderId::new("h-1").expect("id");
    let others: [&[(&str, &[&str])]; 2] =
        [&[("h-1", &["employee:99"]), ("h-2", &["employee:7"])], &[("h-1", &["employee:99"])]];
    for (holders, right) in others.into_iter().zip([true, false]) {
        let hq = pacs("hq", &KeyKind::ALL, holders);
        let known = KnownRecords::from([(place(&hq).id, [(id.clone(), [KeyKind::Employee].into())].into())]);
        let report = run(request("employee:7"), vec![place(&hq)], Arc::new(Memory::default()), roster(known)).await;
        assert!(!is_out(&hq, "h-1") && report.complete() == right, "{report:?}");
        assert_eq!(is_ambiguous(progress(&report, "hq")), !right, "{report:?}");
    }
}

#[tokio::test]
async fn a_mail_address_of_two_does_not_hide_whose_number_it_is() {
    let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &["card:26-1", "employee:7", "mail:desk@x.example"])]);
    let holders: [(&str, &[&str]); 2] = [("l-1", &["employee:7"]), ("l-2", &["employee:8", "mail:desk@x.example"])];
    let lab = pacs("lab", &[KeyKind::Employee, KeyKind::Mail], &holders);
    let report = out("card:26-1", &[&hq, &lab]).await;
    assert!(report.complete() && is_out(&lab, "l-1") && !is_out(&lab, "l-2"), "{report:?}");
}
