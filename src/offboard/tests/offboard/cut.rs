//! What is taken away, in what order, how often it is tried, and what of it is said to be proved.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use lockstep_contract::{
    AccessLevelId, Action, ApplyFault, Cardholder, CardholderId, Catalog, CorrelationKey, Credential, CredentialId,
    CredentialKind, CredentialStatus, Cursor, Cx, Fault, FaultKind, Health, InactiveStatus, KeyKind, Page, Receipt,
    Reduction, Status, Step, Target, TargetId, TargetInfo, TargetReader,
};
use lockstep_offboard::{
    CardholderOutcome, Controllers, Event, KnownRecords, Pacs, Person, Place, Progress, Report, Request, Roster,
    Stopwatch, TargetOutcome, Times, Watch, offboard, roster,
};
use lockstep_sim::{Mishap, Operation, Sim, World};

use crate::bed::{Memory, PATIENCE, holder, is_out, pacs, place, progress, put_out, request, run};

fn level(name: &str) -> AccessLevelId {
    AccessLevelId::new(name).expect("id")
}

/// Ada, with two levels, a card, a telephone and a PIN.
fn ada() -> Cardholder {
    let credential = |id: &str, kind, status| Credential {
        id: CredentialId::new(id).expect("id"),
        kind,
        number: (kind == CredentialKind::Card).then(|| "26-771234".to_owned()),
        status,
    };
    Cardholder {
        levels: [level("L-Main"), level("L-Server")].into(),
        credentials: vec![
            credential("c-1", CredentialKind::Card, CredentialStatus::Active),
            credential("c-2", CredentialKind::Mobile, CredentialStatus::Active),
            credential("c-3", CredentialKind::Pin, CredentialStatus::Other("half on".into())),
            credential("c-4", CredentialKind::Card, CredentialStatus::Inactive(InactiveStatus::Lost)),
        ],
        ..holder("h-1", &["employee:7"])
    }
}

fn with_ada(id: &str) -> Sim {
    Sim::in_memory(TargetId::new(id).expect("id"), World::new(id).with_cardholder(ada()))
}

fn managed(sim: &Sim) -> Place {
    Place { managed: BTreeSet::from([level("L-Main")]), ..place(sim) }
}

fn record(sim: &Sim) -> Cardholder {
    sim.world().cardholders[&CardholderId::new("h-1").expect("id")].clone()
}

fn outcome<'r>(report: &'r Report, target: &str) -> &'r CardholderOutcome {
    &report.targets[&TargetId::new(target).expect("id")].cardholders[0]
}

fn stopwatch(report: &Report, target: &str) -> Stopwatch {
    report.targets[&TargetId::new(target).expect("id")].stopwatch
}

async fn put_ada_out(places: Vec<Place>) -> (Report, Vec<Event>) {
    let journal = Arc::new(Memory::default());
    let report = run(request("employee:7"), places, journal.clone(), roster(KnownRecords::new())).await;
    let events = journal.0.lock().expect("whole").clone();
    (report, events)
}

#[tokio::test]
async fn everything_that_opens_a_door_is_taken_away_and_what_is_not_ours_is_left_and_named() {
    let hq = with_ada("hq");
    let (report, _) = put_ada_out(vec![managed(&hq)]).await;
    assert!(report.complete(), "{report:?}");
    let after = record(&hq);
    assert_eq!(after.status, Status::Suspended);
    let off = |status: &CredentialStatus| matches!(status, CredentialStatus::Inactive(_));
    assert!(after.credentials.iter().all(|one| off(&one.status)), "{after:?}");
    assert_eq!(after.credentials[3].status, CredentialStatus::Inactive(InactiveStatus::Lost), "still reported lost");
    assert_eq!(after.levels, [level("L-Server")].into());
    let one = outcome(&report, "hq");
    assert_eq!(one.levels_left, ["L-Server"]);
    assert_eq!(one.steps[0], "switch the cardholder off", "what cuts access first goes first");
    assert!(one.steps.iter().any(|step| step == "switch card …1234 (c-1) off"), "{:?}", one.steps);
    assert!(!format!("{report:?}").contains("771234"), "no card number in full");
    assert_eq!(hq.faults().calls(Operation::Apply), 1, "one request, one round trip");
}

#[tokio::test]
async fn whoever_is_out_already_is_read_and_held_and_nothing_is_sent() {
    let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &["employee:7"])]);
    hq.world().cardholders.values_mut().for_each(|holder| holder.status = Status::Suspended);
    let (report, events) = put_ada_out(vec![place(&hq)]).await;
    assert!(report.complete() && outcome(&report, "hq").already_out, "{report:?}");
    assert!(matches!(events[0], Event::Hold { .. }), "{events:?}");
    assert_eq!(hq.faults().calls(Operation::Apply), 0);
    assert_eq!(hq.faults().calls(Operation::Read), 1, "what a search says may be old");
}

#[tokio::test]
async fn a_broken_mapping_keeps_nobody_in_and_is_told() {
    let hq = with_ada("hq");
    let unknown = Place { managed: BTreeSet::new(), managed_whole: false, ..place(&hq) };
    let (report, _) = put_ada_out(vec![unknown]).await;
    assert_eq!(record(&hq).status, Status::Suspended);
    let one = outcome(&report, "hq");
    assert!(one.confirmed && !one.levels_known && one.levels_left.len() == 2, "{one:?}");
}

/// A PACS that refuses whatever touches one card, and counts.
struct Stubborn {
    sim: Sim,
    sent: AtomicU32,
}

#[async_trait]
impl TargetReader for Stubborn {
    fn info(&self) -> &TargetInfo {
        self.sim.info()
    }
    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        self.sim.probe(cx).await
    }
    async fn catalog(&self, cx: &Cx) -> Result<Catalog, Fault> {
        self.sim.catalog(cx).await
    }
    async fn list(&self, cx: &Cx, at: Option<Cursor>) -> Result<Page<Cardholder>, Fault> {
        self.sim.list(cx, at).await
    }
    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Cardholder>, Fault> {
        assert_ne!(key.value(), "panic", "as asked for");
        self.sim.find(cx, key).await
    }
    async fn read(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Cardholder>, Fault> {
        self.sim.read(cx, id).await
    }
}

#[async_trait]
impl Target for Stubborn {
    async fn apply(&self, cx: &Cx, action: &Action) -> Result<Receipt, ApplyFault> {
        self.sent.fetch_add(1, Ordering::SeqCst);
        let card = CredentialId::new("c-1").expect("id");
        let touches =
            |step: &Step| matches!(step, Step::Reduce(Reduction::Deactivate { credential, .. }) if *credential == card);
        if action.steps.iter().any(touches) {
            return Err(ApplyFault::Refused(Fault::new(FaultKind::Invalid, "hq", "apply", "this card is not yours")));
        }
        self.sim.apply(cx, action).await
    }
}

#[tokio::test(start_paused = true)]
async fn one_card_that_is_refused_does_not_keep_the_person_in() {
    let sim = with_ada("hq");
    let hq = Arc::new(Stubborn { sim: sim.clone(), sent: AtomicU32::new(0) });
    let (report, _) = put_ada_out(vec![Place { gate: Pacs::open(hq.clone()), ..managed(&sim) }]).await;
    let after = record(&sim);
    assert_eq!((after.status, after.levels), (Status::Suspended, [level("L-Server")].into()));
    let one = outcome(&report, "hq");
    assert!(!one.confirmed && one.open == ["switch card …1234 (c-1) off"], "{one:?}");
    assert!(one.detail.contains("this card is not yours"), "{}", one.detail);
    assert!(hq.sent.load(Ordering::SeqCst) <= 10, "tried a few times, not for a minute");
}

#[tokio::test]
async fn a_connector_that_breaks_off_is_named_and_saves_nobody_elsewhere() {
    let (hq, annex) = (pacs("hq", &KeyKind::ALL, &[("h-1", &["employee:panic"])]), pacs("annex", &KeyKind::ALL, &[]));
    let broken = Arc::new(Stubborn { sim: annex.clone(), sent: AtomicU32::new(0) });
    let places = vec![place(&hq), Place { gate: Pacs::open(broken), ..place(&annex) }];
    let report = run(request("employee:panic"), places, Arc::new(Memory::default()), roster(KnownRecords::new())).await;
    assert!(is_out(&hq, "h-1"));
    let Progress::Unreached { fault } = progress(&report, "annex") else { panic!("{report:?}") };
    assert!(fault.contains("bug in its connector"), "{fault}");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_is_asked_again_within_the_patience() {
    let hq = with_ada("hq");
    hq.faults().on(Operation::Find, 1, Mishap::Down).on(Operation::Find, 2, Mishap::Down);
    let (report, _) = put_ada_out(vec![managed(&hq)]).await;
    assert!(outcome(&report, "hq").confirmed, "{report:?}");
    assert_eq!(hq.faults().calls(Operation::Find), 3);
    hq.faults().always(Operation::Find, Mishap::Unauthenticated);
    let (report, _) = put_ada_out(vec![managed(&hq)]).await;
    assert!(matches!(progress(&report, "hq"), Progress::Unreached { .. }), "{report:?}");
    assert_eq!(hq.faults().calls(Operation::Find), 4, "a password that is wrong is not tried until the account locks");
}

#[tokio::test(start_paused = true)]
async fn no_write_is_repeated_before_it_was_read_back() {
    let hq = with_ada("hq");
    hq.faults().on(Operation::Apply, 1, Mishap::LostAnswer);
    let (report, _) = put_ada_out(vec![managed(&hq)]).await;
    assert!(outcome(&report, "hq").confirmed, "{report:?}");
    assert_eq!(hq.faults().calls(Operation::Apply), 1, "it had taken effect");

    let hq = with_ada("hq");
    hq.faults().on(Operation::Apply, 1, Mishap::LostRequest).on(Operation::Read, 1, Mishap::Down);
    let (report, _) = put_ada_out(vec![managed(&hq)]).await;
    assert!(outcome(&report, "hq").confirmed, "{report:?}");
    assert_eq!(hq.faults().calls(Operation::Apply), 2, "it had not");
    assert!(hq.faults().calls(Operation::Read) >= 3);
}

#[tokio::test(start_paused = true)]
async fn a_pacs_that_stops_answering_half_way_leaves_a_report_of_the_half() {
    let (hq, annex) = (with_ada("hq"), with_ada("annex"));
    annex.faults().always(Operation::Apply, Mishap::HangAfterEffect);
    let (report, events) = put_ada_out(vec![managed(&hq), managed(&annex)]).await;
    assert!(outcome(&report, "hq").confirmed);
    let one = outcome(&report, "annex");
    assert!(!one.confirmed && one.requested_ms.is_some(), "{one:?}");
    assert!(one.detail.starts_with("NOT confirmed: sent, and not read back"), "{}", one.detail);
    let doubt = |event: &Event| matches!(event, Event::Outcome { confirmed: false, .. });
    assert!(events.iter().any(doubt), "the record says it, too: {events:?}");
}

/// When the record was found and its turn came, with nothing written down: the clock stands still while nobody waits.
async fn found_after(who: &str, places: Vec<Place>, roster: Roster) -> u64 {
    let dry_run = Request { dry_run: true, ..request(who) };
    let report = run(dry_run, places, Arc::new(Memory::default()), roster).await;
    outcome(&report, "hq").located_ms
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_long_for_a_pacs_that_hangs() {
    let (hq, lab) = (with_ada("hq"), with_ada("lab"));
    lab.faults().everywhere(Mishap::Hang);
    let ms = found_after("7", vec![managed(&hq), managed(&lab)], roster(KnownRecords::new())).await;
    assert!(ms <= 2_500, "after {ms} ms");
    let report = put_out("7", &[&hq, &lab], Arc::new(Memory::default())).await;
    assert!(is_out(&hq, "h-1") && matches!(progress(&report, "lab"), Progress::Unreached { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_roster_that_does_not_answer_keeps_nobody_in_for_long() {
    let hq = with_ada("hq");
    let never = futures::future::pending().boxed().shared();
    let ms = found_after("employee:7", vec![managed(&hq)], never).await;
    assert!(ms <= 2_500, "after {ms} ms");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_only_the_roster_knows_is_found_however_slow_it_is() {
    let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &["account:ada"])]);
    let known = KnownRecords::from([(
        hq.info().id.clone(),
        [(CardholderId::new("h-1").expect("id"), [KeyKind::Employee].into())].into(),
    )]);
    let slow = async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Arc::new(known)
    };
    let roster = slow.boxed().shared();
    let report = run(request("employee:gone"), vec![managed(&hq)], Arc::new(Memory::default()), roster).await;
    assert!(outcome(&report, "hq").confirmed && is_out(&hq, "h-1"), "{report:?}");
}

#[tokio::test]
async fn every_record_of_a_person_goes_when_all_are_asked_for_even_one_request_at_a_time() {
    let mut can = lockstep_sim::standard_capabilities();
    can.in_flight_max = std::num::NonZeroU32::MIN;
    let world = World::new("hq").with_cardholder(ada()).with_cardholder(holder("h-2", &["employee:7"]));
    let hq = Sim::in_memory_with(TargetId::new("hq").expect("id"), world, can);
    let mut all = request("employee:7");
    all.all = true;
    let report = run(all, vec![managed(&hq)], Arc::new(Memory::default()), roster(KnownRecords::new())).await;
    assert!(report.complete() && is_out(&hq, "h-1") && is_out(&hq, "h-2"), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn the_controllers_are_only_said_to_have_it_when_they_say_so() {
    let lag = |ms| with_ada("hq").with_controllers_lag(Duration::from_millis(ms));
    let (cannot, soon, late) = (with_ada("hq"), lag(300), lag(3_600_000));
    let mut seen = Vec::new();
    for hq in [cannot, soon, late] {
        let (report, _) = put_ada_out(vec![managed(&hq)]).await;
        assert!(outcome(&report, "hq").confirmed);
        seen.push((outcome(&report, "hq").controllers, stopwatch(&report, "hq").controllers_ms.is_some()));
    }
    let expected = [(Controllers::CannotTell, false), (Controllers::Confirmed, true), (Controllers::Pending, false)];
    assert_eq!(seen, expected);
}

/// Notes what the controllers were known to have when it was told that a PACS is through.
#[derive(Default)]
struct Onlooker(Mutex<Vec<(String, Option<u64>)>>);

impl Watch for Onlooker {
    fn through(&self, _: usize, target: &TargetId, outcome: &TargetOutcome) {
        self.0.lock().expect("whole").push((target.to_string(), outcome.stopwatch.controllers_ms));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_looks_on_is_told_once_and_before_the_controllers_are_asked() {
    let hq = with_ada("hq").with_controllers_lag(Duration::from_millis(300));
    let watch = Arc::new(Onlooker::default());
    let roster = roster(KnownRecords::new());
    let person = Person { nth: 0, request: request("employee:7"), roster, judged: Vec::new() };
    let times = Times { started: tokio::time::Instant::now(), patience: PATIENCE };
    offboard(vec![person], vec![managed(&hq)], Arc::new(Memory::default()), watch.clone(), times).await;
    assert_eq!(*watch.0.lock().expect("whole"), [("hq".to_owned(), None)]);
}

#[tokio::test]
async fn several_records_are_told_apart_without_a_picture_and_nothing_is_done() {
    let world = World::new("hq").with_cardholder(ada()).with_cardholder(holder("h-2", &["employee:7"]));
    let hq = Sim::in_memory(TargetId::new("hq").expect("id"), world);
    let (report, events) = put_ada_out(vec![managed(&hq)]).await;
    let Progress::Ambiguous { candidates } = progress(&report, "hq") else { panic!("{report:?}") };
    let one = &candidates[0];
    assert_eq!(
        (one.working.clone(), one.managed_levels, one.other_levels),
        (vec!["card …1234".to_owned(), "mobile pass".to_owned(), "PIN".to_owned()], 1, 1)
    );
    assert!(!is_out(&hq, "h-1") && !is_out(&hq, "h-2"));
    assert!(events.iter().any(|event| matches!(event, Event::Ambiguous { .. })));
}

/// One mishap at one call: whatever is said to be confirmed is so, and what passes by itself keeps nobody in.
#[tokio::test(start_paused = true)]
async fn no_single_mishap_makes_the_report_lie_or_keeps_somebody_in_for_good() {
    let passing = [Mishap::Down, Mishap::LostRequest, Mishap::LostAnswer, Mishap::Throttle(Duration::from_secs(3))];
    let lasting = [Mishap::Hang, Mishap::HangAfterEffect, Mishap::Deny, Mishap::Unauthenticated, Mishap::Refuse];
    let calls = [
        (Operation::Find, 1),
        (Operation::Apply, 1),
        (Operation::Apply, 2),
        (Operation::Read, 1),
        (Operation::Read, 2),
    ];
    for (operation, nth) in calls {
        for mishap in passing.into_iter().chain(lasting) {
            let (hq, annex) = (with_ada("hq"), with_ada("annex"));
            hq.faults().on(operation, nth, mishap);
            let (report, events) = put_ada_out(vec![managed(&hq), managed(&annex)]).await;
            let case = format!("{mishap:?} at call {nth} of {operation:?}: {report:?}");
            assert!(outcome(&report, "annex").confirmed && is_out(&annex, "h-1"), "{case}");
            let said = report.targets[&hq.info().id].cardholders.iter().any(|one| one.confirmed);
            assert!(!said || is_out(&hq, "h-1"), "{case}");
            assert!(said || !passing.contains(&mishap), "{case}");
            let sent = hq.faults().calls(Operation::Apply);
            let intents = events
                .iter()
                .filter(|event| matches!(event, Event::Intent { action, .. } if action.target == hq.info().id));
            assert!(intents.count() as u32 >= u32::from(sent > 0), "{case}");
        }
    }
}
