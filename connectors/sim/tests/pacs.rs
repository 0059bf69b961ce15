//! The simulated PACS in its file, and under a caller that is dropped at every poll.

use std::collections::BTreeSet;
use std::path::Path;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use lockstep_contract::{
    AccessLevel, AccessLevelId, Action, ActionId, ApplyFault, Cardholder, CardholderId, CorrelationKey,
    CorrelationKeys, Cx, Enforcement, Expectation, FaultKind, FieldName, KeyKind, Opening, Profile, Reason, Reduction,
    RunId, Secret, SecretError, SecretRef, Secrets, Situation, Status, Step, Steps, Subject, Target as _, TargetId,
    TargetReader as _, Validity, field,
};
use lockstep_sim::{Config, Mishap, Operation, Sim, World, open};

struct NoSecrets;

impl Secrets for NoSecrets {
    fn get(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        Err(SecretError { reference: reference.clone(), message: "there are none".into() })
    }
}

fn target_id() -> TargetId {
    TargetId::new("hq").expect("id")
}

fn opened(folder: &Path) -> Result<Sim, lockstep_contract::Fault> {
    let config = Config {
        file: "pacs.json".into(),
        page_size: 2.try_into().expect("not zero"),
        create: true,
        in_flight_max: 4.try_into().expect("not zero"),
        answer_ms: 0,
        controllers_lag_ms: None,
    };
    open(target_id(), config, &Opening { base: folder, secrets: &NoSecrets })
}

fn level(name: &str) -> AccessLevelId {
    AccessLevelId::new(name).expect("id")
}

fn key(n: usize) -> CorrelationKey {
    CorrelationKey::new(KeyKind::Employee, &format!("E{n:04}")).expect("key")
}

fn action(subject: Subject, steps: Vec<Step>) -> Action {
    let steps = Steps::new(steps).expect("steps");
    Action {
        id: ActionId::of(RunId::new(uuid_of(1)), &target_id(), &subject, &steps),
        target: target_id(),
        subject,
        person: None,
        steps,
        basis: None,
        expect: Expectation::default(),
        because: Reason { situation: Situation::Confirmed, why: Vec::new() },
    }
}

fn uuid_of(n: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(n)
}

fn joiner(n: usize) -> Action {
    let profile: Profile = [(FieldName::known(field::DISPLAY_NAME), format!("Joiner {n}"))].into_iter().collect();
    let keys: CorrelationKeys = [key(n)].into_iter().collect();
    action(Subject::New(key(n)), vec![Step::Provision { profile, keys }])
}

fn cx() -> Cx {
    Cx::new(Duration::from_secs(5))
}

fn holder(id: &str) -> Cardholder {
    Cardholder {
        id: CardholderId::new(id).expect("id"),
        keys: CorrelationKeys::new(),
        profile: Profile::new(),
        status: Status::Active,
        levels: BTreeSet::from([level("lobby")]),
        credentials: Vec::new(),
        validity: Validity::ALWAYS,
        site: None,
        revision: None,
    }
}

fn world() -> World {
    World::new("test").with_level(level("lab"), AccessLevel::default()).with_cardholder(holder("h1"))
}

#[tokio::test]
async fn two_connections_to_one_file_lose_no_write() {
    let folder = tempfile::tempdir().expect("folder");
    let (one, two) = (opened(folder.path()).expect("opens"), opened(folder.path()).expect("opens"));
    let threads: Vec<_> = [(one, 0), (two, 100)]
        .into_iter()
        .map(|(sim, first)| {
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
                for n in first..first + 10 {
                    runtime.block_on(sim.apply(&cx(), &joiner(n))).expect("created");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
    let third = opened(folder.path()).expect("opens");
    for n in (0..10).chain(100..110) {
        assert_eq!(third.find(&cx(), &key(n)).await.expect("found").len(), 1, "{n}");
    }
}

#[tokio::test]
async fn what_one_process_writes_another_reads_without_opening_again() {
    let folder = tempfile::tempdir().expect("folder");
    let (one, two) = (opened(folder.path()).expect("opens"), opened(folder.path()).expect("opens"));
    let id = one.apply(&cx(), &joiner(1)).await.expect("created").cardholder;
    let read = two.read(&cx(), &id).await.expect("read").expect("there");
    assert_eq!(read.profile.get(field::DISPLAY_NAME), Some("Joiner 1"));
}

#[tokio::test]
async fn a_file_that_became_another_pacs_is_not_believed() {
    let folder = tempfile::tempdir().expect("folder");
    let sim = opened(folder.path()).expect("opens");
    let other = serde_json::to_string(&World::new("elsewhere")).expect("json");
    std::fs::write(folder.path().join("pacs.json"), other).expect("written");
    assert_eq!(sim.list(&cx(), None).await.expect_err("another PACS").kind, FaultKind::Protocol);
    assert!(matches!(sim.apply(&cx(), &joiner(1)).await, Err(ApplyFault::NotSent(_))));
}

#[test]
fn a_broken_or_missing_file_is_a_fault_and_is_left_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("pacs.json");
    std::fs::write(&file, "{\"version\": 1, \"id\": ").expect("written");
    assert_eq!(opened(folder.path()).expect_err("half a file").kind, FaultKind::Protocol);
    assert_eq!(std::fs::read_to_string(&file).expect("read"), "{\"version\": 1, \"id\": ");
    let missing = Config {
        file: "elsewhere.json".into(),
        page_size: 2.try_into().expect("not zero"),
        create: false,
        in_flight_max: 4.try_into().expect("not zero"),
        answer_ms: 0,
        controllers_lag_ms: None,
    };
    let opening = Opening { base: folder.path(), secrets: &NoSecrets };
    let fault = open(target_id(), missing, &opening).expect_err("no such file");
    assert_eq!(fault.kind, FaultKind::Unreachable);
    assert!(fault.help.is_some_and(|help| help.contains("create = true")));
}

#[test]
fn a_caller_dropped_at_any_poll_has_done_the_whole_action_or_nothing_of_it() {
    let granted = |sim: &Sim| sim.world().cardholders.values().any(|record| record.levels.contains(&level("lab")));
    let mut seen = Vec::new();
    for polls in 1..10 {
        let sim = Sim::in_memory(target_id(), world());
        let steps = vec![Reduction::Revoke { level: level("lobby") }.into(), Step::Grant { level: level("lab") }];
        let action = action(Subject::Existing(CardholderId::new("h1").expect("id")), steps);
        let cx = cx();
        let mut call = sim.apply(&cx, &action);
        let mut context = Context::from_waker(Waker::noop());
        let answered = (0..polls).any(|_| call.as_mut().poll(&mut context).is_ready());
        drop(call);
        let lobby = sim.world().cardholders.values().any(|record| record.levels.contains(&level("lobby")));
        assert_ne!(granted(&sim), lobby, "all of the action or none of it, after {polls} polls");
        seen.push((granted(&sim), answered));
        if answered {
            break;
        }
    }
    let expected = [(false, false), (true, false), (true, true)];
    assert_eq!(seen, expected, "before the effect, after it without an answer, answered");
}

#[test]
fn a_call_that_hangs_never_answers_and_the_effect_is_as_asked() {
    for (mishap, effect) in [(Mishap::Hang, false), (Mishap::HangAfterEffect, true)] {
        let sim = Sim::in_memory(target_id(), world());
        sim.faults().on(Operation::Apply, 1, mishap);
        let grant = vec![Step::Grant { level: level("lab") }];
        let action = action(Subject::Existing(CardholderId::new("h1").expect("id")), grant);
        let cx = cx();
        let mut call = sim.apply(&cx, &action);
        let mut context = Context::from_waker(Waker::noop());
        assert!((0..50).all(|_| matches!(call.as_mut().poll(&mut context), Poll::Pending)));
        drop(call);
        assert_eq!(sim.world().cardholders.values().any(|record| record.levels.contains(&level("lab"))), effect);
    }
}

#[tokio::test]
async fn a_plain_pacs_creates_a_second_record_when_asked_twice() {
    let can = lockstep_contract::Capabilities { idempotency: false, ..lockstep_sim::standard_capabilities() };
    let sim = Sim::in_memory_with(target_id(), world(), can);
    for _ in 0..2 {
        sim.apply(&cx(), &joiner(1)).await.expect("created");
    }
    assert_eq!(sim.find(&cx(), &key(1)).await.expect("found").len(), 2);
}

#[tokio::test]
async fn a_joiner_whose_key_somebody_has_is_refused() {
    let sim = Sim::in_memory(target_id(), world());
    let mut taken = holder("h2");
    taken.keys.insert(key(1));
    sim.world().insert(taken);
    match sim.apply(&cx(), &joiner(1)).await {
        Err(ApplyFault::Refused(fault)) => assert_eq!(fault.kind, FaultKind::Conflict),
        other => panic!("it should be refused, and was {other:?}"),
    }
}

#[tokio::test]
async fn a_refused_action_leaves_nothing_behind_even_after_good_steps() {
    let sim = Sim::in_memory(target_id(), world());
    let before = sim.world().clone();
    let steps = vec![Reduction::Revoke { level: level("lobby") }.into(), Step::Grant { level: level("nowhere") }];
    let refused = sim.apply(&cx(), &action(Subject::Existing(CardholderId::new("h1").expect("id")), steps)).await;
    assert!(matches!(refused, Err(ApplyFault::Refused(_))), "{refused:?}");
    assert_eq!(*sim.world(), before);
}

#[test]
fn the_file_of_a_pacs_reads_back_as_it_was_written() {
    let mut before = world();
    let mut other = holder("h2");
    other.status = Status::Other("waiting".into());
    other.keys.insert(key(7));
    before.insert(other);
    let text = serde_json::to_string_pretty(&before).expect("json");
    let after: World = serde_json::from_str(&text).expect("world");
    assert_eq!(after, before);
    let twice = text.replace("\"h2\"", "\"h1\"");
    assert!(serde_json::from_str::<World>(&twice).is_err(), "one id for two records");
}

/// Controllers have nothing new to get until something is written, and have it only after their time.
#[tokio::test(start_paused = true)]
async fn controllers_have_a_write_only_after_their_lag_and_cannot_be_asked_without_one() {
    let plain = Sim::in_memory(target_id(), world());
    let lagging = plain.clone().with_controllers_lag(Duration::from_secs(15));
    let id = CardholderId::new("h1").expect("id");
    assert_eq!(plain.enforced(&cx(), &id).await, Ok(None));
    assert_eq!(lagging.enforced(&cx(), &id).await, Ok(Some(Enforcement::Controllers)));
    let off = action(Subject::Existing(id.clone()), vec![Step::Reduce(Reduction::Suspend)]);
    lagging.apply(&cx(), &off).await.expect("accepted");
    assert_eq!(lagging.enforced(&cx(), &id).await, Ok(Some(Enforcement::Database)));
    tokio::time::advance(Duration::from_secs(15)).await;
    assert_eq!(lagging.enforced(&cx(), &id).await, Ok(Some(Enforcement::Controllers)));
}
