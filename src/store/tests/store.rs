//! One suite for every store: what the engine relies on holds in SQLite as in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{
    AccessLevelId, Action, ActionId, Cardholder, CardholderId, CorrelationKey, CorrelationKeys, Expectation, GroupId,
    KeyKind, PersonId, Profile, Reason, Reduction, RunId, ServerMark, Situation, Status, Step, Steps, Subject,
    TargetId, Validity,
};
use lockstep_core::{
    ActionEvent, ActionState, HeldBy, Hold, HoldId, LaneKind, Lift, Link, LinkOrigin, Reinstatement, RunEvent, RunState,
};
use lockstep_engine::{
    Epoch, Intent, LinkChange, NodeId, Observation, Outcome, RunKind, RunRecord, SpoolEntry, Store, StoreError,
};
use lockstep_store::{MemoryStore, SqliteStore};

const TTL: SignedDuration = SignedDuration::from_mins(3);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).expect("in range")
}

fn node(name: &str) -> NodeId {
    NodeId(name.to_owned())
}

fn target() -> TargetId {
    TargetId::new("hq").expect("id")
}

fn run(n: u128) -> RunId {
    RunId::new(uuid::Uuid::from_u128(n))
}

fn holder(n: u32) -> CardholderId {
    CardholderId::new(format!("c{n}")).expect("id")
}

fn person(n: u32) -> PersonId {
    PersonId::new(format!("p{n}")).expect("id")
}

fn record(n: u32, status: Status) -> Cardholder {
    Cardholder {
        id: holder(n),
        keys: CorrelationKeys::new(),
        profile: Profile::new(),
        status,
        levels: BTreeSet::new(),
        credentials: Vec::new(),
        validity: Validity::ALWAYS,
        site: None,
        revision: None,
    }
}

fn intent(n: u32, step: Step, second: i64) -> Intent {
    let subject = Subject::Existing(holder(n));
    let steps = Steps::new(vec![step]).expect("one step");
    let action = Action {
        id: ActionId::of(run(1), &target(), &subject, &steps),
        target: target(),
        subject,
        person: Some(person(n)),
        steps,
        basis: None,
        expect: Expectation::default(),
        because: Reason { situation: Situation::Unqualified, why: Vec::new() },
    };
    let before = Some(record(n, Status::Active));
    Intent { run: run(1), lane: LaneKind::Revoke, action, before, at: at(second) }
}

fn suspend(n: u32, second: i64) -> Intent {
    intent(n, Step::Reduce(Reduction::Suspend), second)
}

fn outcome(event: ActionEvent, second: i64) -> Outcome {
    Outcome { event, at: at(second), detail: format!("{event:?}"), after: None, links: Vec::new() }
}

fn link(n: u32, cardholder: u32) -> Link {
    Link {
        person: person(n),
        cardholder: holder(cardholder),
        origin: LinkOrigin::Provisioned,
        since: at(0),
        keys: CorrelationKeys::new(),
        suspended_by: None,
    }
}

fn begun() -> RunRecord {
    RunRecord {
        run: run(1),
        kind: RunKind::Plan,
        state: RunState::Reading,
        began: at(0),
        changed: at(0),
        plan: None,
        summary: String::new(),
    }
}

/// A store with a name for failures, and the folder it is in.
type Named = (&'static str, Arc<dyn Store>, Option<tempfile::TempDir>);

/// Two ways to one store, with a name for failures.
type Pair = (&'static str, Arc<dyn Store>, Arc<dyn Store>);

/// Every store.
fn stores() -> Vec<Named> {
    let folder = tempfile::tempdir().expect("a folder");
    let other = tempfile::tempdir().expect("a folder");
    vec![
        ("memory", Arc::new(MemoryStore::new()), None),
        ("sqlite", Arc::new(SqliteStore::open(folder.path().join("state.db")).expect("opens")), Some(folder)),
        ("inline", Arc::new(SqliteStore::open_inline(other.path().join("state.db")).expect("opens")), Some(other)),
    ]
}

async fn leased(store: &dyn Store) -> Epoch {
    store.lease(&node("a"), TTL, at(0)).await.expect("the lease is free")
}

#[tokio::test]
async fn a_lease_is_one_nodes_and_its_epoch_fences() {
    for (name, store, _folder) in stores() {
        let first = leased(&*store).await;
        assert_eq!(store.lease(&node("a"), TTL, at(60)).await, Ok(first), "{name}: renewed");
        store.begin(first, &begun()).await.expect("ours");
        store.release(first).await.expect("given back");
        let refused = store.applied_policy(first, &target(), "x", at(61)).await;
        assert_eq!(refused, Err(StoreError::Deposed), "{name}: a lease given back is no lease");
        let second = store.lease(&node("b"), TTL, at(62)).await.expect("free");
        assert!(second > first, "{name}");
        let refused = store.advance(first, run(1), RunEvent::Stage, "", at(63)).await;
        assert_eq!(refused, Err(StoreError::Deposed), "{name}");
        assert_eq!(store.intend(first, &[suspend(1, 1)]).await, Err(StoreError::Deposed), "{name}");
        assert_eq!(store.journal(run(1)).await, Ok(Vec::new()), "{name}: nothing was written");
    }
}

#[tokio::test]
async fn a_lease_in_use_is_refused_and_one_past_its_time_is_taken_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.db");
    let memory = Arc::new(MemoryStore::new());
    let sqlite = || -> Arc<dyn Store> { Arc::new(SqliteStore::open(&path).expect("opens")) };
    let pairs: [Pair; 2] = [("memory", memory.clone(), memory), ("sqlite", sqlite(), sqlite())];
    for (name, one, two) in pairs {
        let first = leased(&*one).await;
        match two.lease(&node("b"), TTL, at(10)).await {
            Err(StoreError::Leased { holder, since, until }) => {
                assert_eq!((holder, since, until), (node("a"), at(0), at(180)), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
        let second = two.lease(&node("b"), TTL, at(181)).await.expect("past its time");
        assert!(second > first, "{name}");
        assert_eq!(one.begin(first, &begun()).await, Err(StoreError::Deposed), "{name}");
        assert!(matches!(one.lease(&node("a"), TTL, at(182)).await, Err(StoreError::Leased { .. })), "{name}");
    }
}

#[tokio::test]
async fn the_lease_of_a_process_that_ended_is_free_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.db");
    let dead = SqliteStore::open(&path).expect("opens");
    let first = leased(&dead).await;
    drop(dead);
    let store = SqliteStore::open(&path).expect("opens");
    let second = store.lease(&node("b"), TTL, at(1)).await.expect("nobody lives");
    assert!(second > first);
}

#[tokio::test]
async fn an_action_goes_through_its_life_and_links_change_with_it() {
    for (name, store, _folder) in stores() {
        let epoch = leased(&*store).await;
        store.link(epoch, &target(), &[LinkChange::Add(link(1, 1))]).await.expect("linked");
        let intent = suspend(1, 1);
        let id = intent.action.id.clone();
        assert!(store.record(epoch, &id, &outcome(ActionEvent::Verify, 2)).await.is_err(), "{name}: never intended");
        store.intend(epoch, std::slice::from_ref(&intent)).await.expect("durable");
        store.record(epoch, &id, &outcome(ActionEvent::Doubt, 2)).await.expect("recorded");
        store.intend(epoch, std::slice::from_ref(&intent)).await.expect("again");
        let open = store.unsettled().await.expect("read");
        assert_eq!(open.len(), 1, "{name}");
        assert_eq!((open[0].state, open[0].sent, &open[0].intent), (ActionState::Intended, 2, &intent), "{name}");

        let after = record(1, Status::Suspended);
        let change = LinkChange::Suspended { cardholder: holder(1), by: run(1) };
        let done = Outcome { after: Some(after.clone()), links: vec![change], ..outcome(ActionEvent::Verify, 3) };
        assert_eq!(store.record(epoch, &id, &done).await, Ok(ActionState::Verified), "{name}");
        assert_eq!(store.unsettled().await, Ok(Vec::new()), "{name}");
        assert!(store.record(epoch, &id, &done).await.is_err(), "{name}: settled stays settled");
        assert!(store.intend(epoch, &[intent]).await.is_err(), "{name}: settled is not sent again");
        let links = store.links(&target()).await.expect("read");
        assert_eq!(links.of_person(&person(1)).and_then(|link| link.suspended_by), Some(run(1)), "{name}");
        let settled = store.settled(run(1)).await.expect("read");
        assert_eq!(settled.first().map(|settled| &settled.after), Some(&after), "{name}");
        let other = suspend(9, 9).action.id;
        assert_eq!(store.journaled(&[id.clone(), other]).await, Ok(BTreeSet::from([id])), "{name}");
        store.verify().await.expect("whole");
    }
}

#[tokio::test]
async fn one_cardholder_is_never_two_people() {
    for (name, store, _folder) in stores() {
        let epoch = leased(&*store).await;
        store.link(epoch, &target(), &[LinkChange::Add(link(1, 1))]).await.expect("linked");
        let both = [LinkChange::Add(link(3, 3)), LinkChange::Add(link(2, 1))];
        assert!(matches!(store.link(epoch, &target(), &both).await, Err(StoreError::Illegal(_))), "{name}");
        assert_eq!(store.links(&target()).await.expect("read").len(), 1, "{name}: all or nothing");
        store.link(epoch, &target(), &[LinkChange::Add(link(1, 7))]).await.expect("the old record is gone");
        let links = store.links(&target()).await.expect("read");
        assert!(links.of_cardholder(&holder(1)).is_none() && links.of_cardholder(&holder(7)).is_some(), "{name}");
    }
}

#[tokio::test]
async fn reductions_are_counted_once_for_each_record_and_forgotten_in_time() {
    for (name, store, _folder) in stores() {
        let epoch = leased(&*store).await;
        let level = AccessLevelId::new("L1").expect("id");
        let intents = [
            suspend(1, 0),
            intent(1, Step::Reduce(Reduction::Revoke { level: level.clone() }), 1),
            suspend(2, 3_600),
            intent(3, Step::Grant { level }, 3_600),
            suspend(4, 3_600),
        ];
        store.intend(epoch, &intents).await.expect("durable");
        store.record(epoch, &intents[4].action.id, &outcome(ActionEvent::Refuse, 3_601)).await.expect("recorded");
        let day = 24 * 3_600;
        for (now, expected) in [(3_700, (2, 2)), (day + 2, (1, 2)), (2 * day, (0, 2)), (8 * day, (0, 0))] {
            let history = store.history(&target(), at(now)).await.expect("read");
            assert_eq!((history.reduced_day, history.reduced_week), expected, "{name} after {now} s");
        }
        assert_eq!(store.fuse(&target(), at(3_700)).await.expect("read").reduced_day, 2, "{name}");
        store.set_fuse(epoch, &target(), Some("too many"), at(3_700)).await.expect("open");
        let fuse = store.fuse(&target(), at(3_701)).await.expect("read");
        assert_eq!((fuse.open_since, fuse.reason.as_str()), (Some(at(3_700)), "too many"), "{name}");
        store.set_fuse(epoch, &target(), None, at(3_702)).await.expect("reset");
        let fuse = store.fuse(&target(), at(3_703)).await.expect("read");
        assert_eq!((fuse.open_since, fuse.reduced_day), (None, 0), "{name}: it counts from the reset on");
    }
}

fn seen(by: u128, people: u64, disputed: bool) -> Observation {
    let group = GroupId::new("G").expect("id");
    Observation {
        run: Some(run(by)),
        people,
        groups: BTreeMap::from([(group, people / 2)]),
        levels: BTreeMap::new(),
        cardholders: people,
        managed: Some(people),
        disputed,
    }
}

#[tokio::test]
async fn disputed_counts_are_not_compared_with_until_they_are_accepted() {
    for (name, store, _folder) in stores() {
        let epoch = leased(&*store).await;
        for (n, people) in (0..).zip(100..110) {
            store.observe(epoch, &target(), &seen(0, people, false), at(n)).await.expect("kept");
        }
        store.observe(epoch, &target(), &seen(1, 1, true), at(20)).await.expect("kept");
        let before = store.history(&target(), at(21)).await.expect("read");
        assert_eq!(before.people, (103..110).collect::<Vec<_>>(), "{name}: the last seven, oldest first");
        assert_eq!(before.cardholders, Some(109), "{name}");
        store.accept(epoch, &target(), run(2), at(21)).await.expect("another run");
        let still = store.history(&target(), at(21)).await.expect("read");
        assert_eq!(still, before, "{name}: what another run counted is not what somebody said yes to");
        store.accept(epoch, &target(), run(1), at(22)).await.expect("accepted");
        let after = store.history(&target(), at(23)).await.expect("read");
        assert_eq!((after.people.last(), after.cardholders), (Some(&1), Some(1)), "{name}");

        store.observe(epoch, &target(), &seen(3, 2, true), at(24)).await.expect("kept");
        store.observe(epoch, &target(), &seen(4, 111, false), at(25)).await.expect("kept");
        store.accept(epoch, &target(), run(4), at(26)).await.expect("nothing to accept");
        let history = store.history(&target(), at(27)).await.expect("read");
        assert!(!history.people.contains(&2), "{name}: an older dispute may have been a fault of the source");
    }
}

#[tokio::test]
async fn a_run_begins_once_and_moves_by_the_rules() {
    for (name, store, _folder) in stores() {
        let epoch = leased(&*store).await;
        store.begin(epoch, &begun()).await.expect("begins");
        assert!(store.begin(epoch, &begun()).await.is_err(), "{name}");
        store.set_plan(epoch, run(1), "abc").await.expect("kept");
        assert_eq!(
            store.advance(epoch, run(1), RunEvent::Stage, "3 to do", at(5)).await,
            Ok(RunState::Staged),
            "{name}"
        );
        assert!(store.advance(epoch, run(1), RunEvent::Pause, "", at(6)).await.is_err(), "{name}");
        let known = store.run(run(1)).await.expect("read").expect("known");
        assert_eq!(
            (known.state, known.changed, known.plan.as_deref(), known.summary.as_str()),
            (RunState::Staged, at(5), Some("abc"), "3 to do"),
            "{name}"
        );
        store.begin(epoch, &RunRecord { run: run(2), ..begun() }).await.expect("another");
        let newest: Vec<_> = store.runs(1).await.expect("read").into_iter().map(|record| record.run).collect();
        assert_eq!(newest, [run(2)], "{name}");
        assert_eq!(store.run(run(3)).await, Ok(None), "{name}");
    }
}

#[tokio::test]
async fn the_rest_is_remembered() {
    for (name, store, _folder) in stores() {
        let epoch = leased(&*store).await;
        let mark = ServerMark { domain: "d".into(), replica: None, generation: Some(7), clock: None };
        assert_eq!(store.server_mark("corp").await, Ok(None), "{name}");
        store.mark_server(epoch, "corp", &mark).await.expect("kept");
        assert_eq!(store.server_mark("corp").await, Ok(Some(mark)), "{name}");
        store.applied_policy(epoch, &target(), "p1", at(1)).await.expect("kept");
        store.applied_policy(epoch, &target(), "p2", at(2)).await.expect("kept");
        let history = store.history(&target(), at(3)).await.expect("read");
        assert_eq!((history.applied_runs, history.policy_digest.as_deref()), (2, Some("p2")), "{name}");
        store.verify().await.expect("whole");
    }
}

#[tokio::test]
async fn absorbing_a_spool_twice_is_once() {
    for (name, store, _folder) in stores() {
        let epoch = leased(&*store).await;
        let key = CorrelationKey::new(KeyKind::Employee, "10482").expect("key");
        let hold = Hold {
            id: HoldId::of(run(1), 0),
            person: Some(person(1)),
            cardholders: vec![holder(1)],
            keys: [key].into_iter().collect(),
            by: "desk".into(),
            reason: "dismissed".into(),
            since: at(1),
        };
        let (done, open) = (suspend(1, 2), suspend(2, 2));
        let verified = Outcome { after: Some(record(1, Status::Suspended)), ..outcome(ActionEvent::Verify, 3) };
        let spool = [
            SpoolEntry::Hold { targets: BTreeSet::new(), hold: hold.clone() },
            SpoolEntry::Hold { targets: BTreeSet::from([TargetId::new("lab").expect("id")]), hold: hold.clone() },
            SpoolEntry::Action { intent: Box::new(done.clone()), outcome: None },
            SpoolEntry::Action { intent: Box::new(done.clone()), outcome: Some(Box::new(verified)) },
            SpoolEntry::Action { intent: Box::new(open.clone()), outcome: None },
        ];
        for _ in 0..2 {
            store.absorb(epoch, &spool).await.expect("absorbed");
            assert_eq!(store.holds(&target()).await.expect("read").0, std::slice::from_ref(&hold), "{name}");
            assert_eq!(store.holds(&TargetId::new("lab").expect("id")).await.expect("read").0.len(), 2, "{name}");
            let journal = store.journal(run(1)).await.expect("read");
            let states: Vec<_> = journal.iter().map(|entry| (&entry.intent.action.id, entry.state)).collect();
            assert_eq!(
                states,
                [(&done.action.id, ActionState::Verified), (&open.action.id, ActionState::Intended)],
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn many_at_once_are_all_durable() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.db");
    {
        let store = Arc::new(SqliteStore::open(&path).expect("opens"));
        let epoch = leased(&*store).await;
        let mut running = tokio::task::JoinSet::new();
        for n in 0..300 {
            let store = store.clone();
            running.spawn(async move { store.intend(epoch, &[suspend(n, 1)]).await });
        }
        for result in running.join_all().await {
            result.expect("durable");
        }
    }
    let store = SqliteStore::open(&path).expect("opens again");
    assert_eq!(store.unsettled().await.expect("read").len(), 300);
    store.verify().await.expect("whole");
}

fn hold(id: HoldId, keys: &[&str]) -> Hold {
    let key = |value: &&str| CorrelationKey::new(KeyKind::Employee, value).expect("key");
    Hold {
        id,
        person: None,
        cardholders: Vec::new(),
        keys: keys.iter().map(key).collect(),
        by: "desk".into(),
        reason: "dismissed".into(),
        since: at(1),
    }
}

fn lift(by: u128, holds: &[&Hold]) -> Lift {
    let what = Reinstatement {
        who: "employee:1".into(),
        reason: "cleared".into(),
        holds: holds.iter().map(|hold| HeldBy::from(*hold)).collect(),
        names: BTreeSet::new(),
        people: BTreeSet::new(),
        keys: CorrelationKeys::new(),
        records: BTreeMap::new(),
        left_out: BTreeSet::new(),
    };
    Lift { run: run(by), at: at(9), by: Some("Carol".into()), approved_by: BTreeSet::from(["Ada".into()]), what }
}

#[tokio::test]
async fn a_hold_that_was_lifted_stays_known_and_no_spool_brings_it_back() {
    for (name, store, _folder) in stores() {
        let epoch = leased(&*store).await;
        let (first, second) = (hold(HoldId::of(run(1), 0), &["1"]), hold(HoldId::of(run(1), 1), &["2"]));
        let spool = |hold: &Hold, targets: &[TargetId]| SpoolEntry::Hold {
            targets: targets.iter().cloned().collect(),
            hold: hold.clone(),
        };
        let all = [spool(&first, &[]), spool(&first, &[target()]), spool(&second, &[])];
        store.absorb(epoch, &all).await.expect("absorbed");
        let in_force = async || store.holds(&target()).await.expect("read").0;
        assert_eq!(in_force().await.len(), 3, "{name}");

        let unknown = hold(HoldId::of(run(7), 0), &["1"]);
        let refused = store.lift(epoch, &lift(3, &[&first, &unknown])).await;
        assert!(matches!(refused, Err(StoreError::Illegal(_))), "{name}: {refused:?}");
        assert_eq!((in_force().await.len(), store.lifts().await), (3, Ok(Vec::new())), "{name}: all or nothing");

        for _ in 0..2 {
            store.lift(epoch, &lift(3, &[&first])).await.expect("twice is once");
            store.absorb(epoch, &all).await.expect("absorbed again");
            // Read with other links, the same offboarding looks different.
            store.absorb(epoch, &[spool(&hold(first.id.clone(), &["1", "5"]), &[])]).await.expect("absorbed again");
            assert_eq!(in_force().await, std::slice::from_ref(&second), "{name}");
            assert_eq!(store.lifts().await, Ok(vec![lift(3, &[&first])]), "{name}");
        }
        assert!(store.lift(epoch, &lift(4, &[&first])).await.is_err(), "{name}: another run lifted it");
        store.absorb(epoch, &[spool(&hold(HoldId::of(run(8), 0), &["1"]), &[])]).await.expect("put out again");
        assert_eq!(in_force().await.len(), 2, "{name}: a newer offboarding is another hold");
        store.verify().await.expect("whole");
        store.release(epoch).await.expect("given back");
        assert_eq!(store.lift(epoch, &lift(5, &[&second])).await, Err(StoreError::Deposed), "{name}");
    }
}

#[tokio::test]
async fn the_journal_of_one_record_goes_over_all_runs() {
    for (name, store, _folder) in stores() {
        let epoch = leased(&*store).await;
        let level = AccessLevelId::new("L1").expect("id");
        let intents = [suspend(1, 1), suspend(2, 2), intent(1, Step::Grant { level }, 3)];
        store.intend(epoch, &intents).await.expect("durable");
        let of = store.journal_of(&target(), &holder(1)).await.expect("read");
        let ids: Vec<_> = of.iter().map(|entry| &entry.intent.action.id).collect();
        assert_eq!(ids, [&intents[0].action.id, &intents[2].action.id], "{name}");
        let elsewhere = store.journal_of(&TargetId::new("lab").expect("id"), &holder(1)).await;
        assert_eq!(elsewhere, Ok(Vec::new()), "{name}");
    }
}
