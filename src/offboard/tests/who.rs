//! Whom an offboarding cuts, whom it leaves alone, and what it says where it could not ask.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use jiff::Timestamp;
use lockstep_contract::{
    Cardholder, CardholderId, CorrelationKey, CorrelationKeys, KeyKind, Profile, Status, TargetId, Validity,
};
use lockstep_offboard::{Event, Journal, Place, Progress, Report, Request, offboard};
use lockstep_sim::{Mishap, Operation, Sim, World, standard_capabilities};

const PATIENCE: Duration = Duration::from_secs(60);

/// A PACS that can search by these kinds of key only.
fn pacs(id: &str, kinds: &[KeyKind], holders: &[(&str, &[&str])]) -> Sim {
    let mut world = World::new(id);
    for (record, keys) in holders {
        world = world.with_cardholder(holder(record, keys));
    }
    let mut can = standard_capabilities();
    can.keys = kinds.iter().copied().collect();
    Sim::in_memory_with(TargetId::new(id).expect("id"), world, can)
}

fn holder(id: &str, keys: &[&str]) -> Cardholder {
    let key = |text: &&str| {
        let (kind, value) = text.split_once(':').expect("a kind");
        CorrelationKey::new(kind.parse().expect("a kind"), value).expect("a key")
    };
    Cardholder {
        id: CardholderId::new(id).expect("id"),
        keys: keys.iter().map(key).collect::<CorrelationKeys>(),
        profile: Profile::new(),
        status: Status::Active,
        levels: BTreeSet::new(),
        credentials: Vec::new(),
        validity: Validity::ALWAYS,
        site: None,
        revision: None,
    }
}

fn is_out(sim: &Sim, record: &str) -> bool {
    sim.world().cardholders[&CardholderId::new(record).expect("id")].status == Status::Suspended
}

/// Remembers everything.
#[derive(Default)]
struct Memory(Mutex<Vec<Event>>);

impl Journal for Memory {
    fn record(&self, event: &Event) -> Result<(), String> {
        self.0.lock().expect("whole").push(event.clone());
        Ok(())
    }
}

async fn put_out(who: &str, places: &[&Sim], journal: Arc<dyn Journal>) -> Report {
    let request = Request {
        who: who.parse().expect("names somebody"),
        reason: "theft".into(),
        by: "Desk".into(),
        at: Timestamp::UNIX_EPOCH,
        all: false,
        dry_run: false,
    };
    let place =
        |sim: &&Sim| Place { target: Arc::new((*sim).clone()), managed: BTreeSet::new(), known: BTreeMap::new() };
    offboard(&request, places.iter().map(place).collect(), journal, PATIENCE).await
}

async fn out(who: &str, places: &[&Sim]) -> Report {
    put_out(who, places, Arc::new(Memory::default())).await
}

fn progress<'r>(report: &'r Report, target: &str) -> &'r Progress {
    &report.targets[&TargetId::new(target).expect("id")].progress
}

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

/// A disk that does not answer as long as the other end is there.
struct Hung(Mutex<mpsc::Receiver<()>>);

impl Journal for Hung {
    fn record(&self, _: &Event) -> Result<(), String> {
        self.0.lock().expect("whole").recv().map_err(|_| "let go".into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_stops_no_offboarding_and_is_told() {
    let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &["employee:7"])]);
    let (hold, disk) = mpsc::channel();
    let report = put_out("employee:7", &[&hq], Arc::new(Hung(Mutex::new(disk)))).await;
    drop(hold);
    assert!(is_out(&hq, "h-1"));
    assert!(!report.complete());
    assert!(report.journal_faults.iter().any(|fault| fault.contains("incomplete")), "{report:?}");
}
