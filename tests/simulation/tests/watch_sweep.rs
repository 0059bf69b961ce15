//! What a watch does when something is not as it should be, one thing at a time; and a crash at every poll of a look.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::SignedDuration;
use lockstep_contract::{PersonId, RunId, Standing, Status};
use lockstep_core::{Link, LinkOrigin, Mover, OutOfScope};
use lockstep_engine::{LinkChange, NodeId, Pass, RunKind, Store};
use lockstep_sim::{Mishap, Operation};
use lockstep_simulation::bench::{self, Bench, cardholder, group, hq, key, level, person, person_id, policy, rule};
use lockstep_simulation::crash::Crash;
use lockstep_simulation::vigil::BenchHands;
use lockstep_simulation::watched::Watched;
use lockstep_store::MemoryStore;

/// So many linked people, in step, and a mark.
async fn site(people: u64) -> (Bench, Watched, Arc<MemoryStore>) {
    let sim = bench::pacs(&["Door", "Lab"], 1);
    let directory = bench::directory();
    {
        let (mut world, mut pacs) = (directory.world(), sim.world());
        for n in 1..=people {
            world.insert(person(n, "Works", Standing::Active));
            world.group(&group("All")).people.insert(person_id(n));
            world.group(&group("Lab")).people.insert(person_id(n));
            pacs.insert(cardholder(n, n, &["Door", "Lab"], Status::Active));
        }
    }
    let rules = vec![rule("Door", &["All"], &[], &[], 1), rule("Lab", &["Lab"], &[], &[], 2)];
    let store = Arc::new(MemoryStore::new());
    let mut policy = policy(rules, Mover::WithGrant);
    policy.out_of_scope = OutOfScope::Leaver;
    let (bench, watched) = Bench::new(sim, directory, store.clone(), policy);
    let link = |n| {
        LinkChange::Add(Link {
            person: person_id(n),
            cardholder: cardholder(n, n, &[], Status::Active).id,
            origin: LinkOrigin::Provisioned,
            since: bench.now(),
            keys: [key(n)].into_iter().collect(),
            suspended_by: None,
        })
    };
    let links: Vec<_> = (1..=people).map(link).collect();
    let epoch = store.lease(&NodeId("setup".into()), SignedDuration::from_mins(1), bench.now()).await.expect("free");
    store.link(epoch, &hq(), &links).await.expect("linked");
    store.applied_policy(epoch, &hq(), "p0", bench.now()).await.expect("known");
    store.release(epoch).await.expect("given back");
    let first = looks(&bench, &BenchHands::new(&bench, false), 1).await;
    assert!(
        first[0].census.as_ref().is_some_and(|(owed, whole)| owed.why == "the watch begins" && *whole),
        "{first:?}"
    );
    (bench, watched, store)
}

/// A watch that begins, looks so many times with a minute in between, and is forgotten.
async fn looks(bench: &Bench, hands: &BenchHands<'_>, count: u32) -> Vec<Pass> {
    let new_run = || bench.next_run();
    let mut watch = bench.watch(&new_run).await;
    let mut passes = Vec::new();
    for _ in 0..count {
        passes.push(watch.pass(hands).await);
        bench.pass(60);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    passes
}

fn status(bench: &Bench, n: u64) -> Status {
    bench.sim.world().cardholders.get(&cardholder(n, n, &[], Status::Active).id).expect("there").status.clone()
}

fn has(bench: &Bench, n: u64, id: &str) -> bool {
    let world = bench.sim.world();
    world.cardholders.get(&cardholder(n, n, &[], Status::Active).id).expect("there").levels.contains(&level(id))
}

fn ends(bench: &Bench, n: u64) {
    bench.people.world().insert(person(n, "Works", Standing::Ended { since: None }));
}

fn leaves_lab(bench: &Bench, n: u64) {
    bench.people.world().group(&group("Lab")).people.remove(&person_id(n));
}

async fn notices(store: &MemoryStore) -> Vec<RunId> {
    let runs = store.runs(1_000).await.expect("read");
    runs.into_iter().filter(|run| run.kind == RunKind::Notice).map(|run| run.run).collect()
}

#[test]
fn whoever_left_is_out_and_whoever_lost_a_group_loses_its_level_without_a_census() {
    bench::run(async {
        let (bench, watched, store) = site(20).await;
        ends(&bench, 1);
        bench.people.world().delete(&person_id(2));
        leaves_lab(&bench, 3);
        bench.people.world().outside.insert(person_id(4));
        bench.people.world().insert(person(5, "Elsewhere", Standing::Active));
        let hands = BenchHands::new(&bench, false);
        let passes = looks(&bench, &hands, 2).await;
        assert_eq!((passes[0].named, passes[0].looked, passes[1].named), (5, 5, 0), "{passes:?}");
        assert_eq!(hands.censuses.load(Ordering::SeqCst), 0, "{}", bench.notes());
        assert_eq!([1, 2, 3, 4, 5].map(|n| status(&bench, n) == Status::Suspended), [true, true, false, true, false]);
        assert_eq!((has(&bench, 3, "Lab"), has(&bench, 3, "Door"), has(&bench, 5, "Lab")), (false, true, true));
        assert_eq!(watched.take_effects().len(), 4, "one write for each of them");
        assert_eq!(notices(&store).await.len(), 2, "leavers first, then the rest");
    });
}

#[test]
fn an_accident_that_comes_drop_by_drop_is_held_by_the_hour() {
    bench::run(async {
        let (mut bench, _, _) = site(40).await;
        bench.limits.reductions_percent = 10;
        let hands = BenchHands::new(&bench, false);
        let mut out = Vec::new();
        for n in 1..=12 {
            ends(&bench, n);
            looks(&bench, &hands, 1).await;
            out.push((1..=40).filter(|n| status(&bench, *n) == Status::Suspended).count());
        }
        assert_eq!(out[..3], [1, 2, 3], "each at once");
        assert!(
            out.iter().all(|out| *out <= 4),
            "ten percent of forty: a census of the watch counts what notices took, too: {out:?}"
        );
        assert!(hands.censuses.load(Ordering::SeqCst) > 0, "what waits is shown to people");
    });
}

#[test]
fn too_many_at_once_are_a_census_and_no_look_ups() {
    bench::run(async {
        let (bench, watched, _) = site(150).await;
        for n in 1..=120 {
            bench.people.world().insert(person(n, "Stamped anew", Standing::Active));
        }
        let before = bench.people.faults().calls(Operation::Lookup);
        let hands = BenchHands::new(&bench, false);
        let passes = looks(&bench, &hands, 1).await;
        assert_eq!((passes[0].named, passes[0].looked), (120, 0), "{passes:?}");
        assert_eq!(bench.people.faults().calls(Operation::Lookup), before);
        assert_eq!(hands.censuses.load(Ordering::SeqCst), 1);
        assert_eq!(watched.take_effects(), [], "what gives something waits for people");
    });
}

#[test]
fn a_mark_that_is_lost_is_a_census_and_so_is_an_old_one() {
    bench::run(async {
        let (bench, _, store) = site(20).await;
        bench.people.faults().on(Operation::Changes, 1, Mishap::ShortList);
        let hands = BenchHands::new(&bench, false);
        looks(&bench, &hands, 2).await;
        assert_eq!(hands.censuses.load(Ordering::SeqCst), 1, "{}", bench.notes());
        bench.pass(26 * 3_600);
        let before = store.watched(&bench.people_id()).await.expect("read").expect("a mark");
        looks(&bench, &hands, 1).await;
        assert_eq!(hands.censuses.load(Ordering::SeqCst), 2, "{}", bench.notes());
        let after = store.watched(&bench.people_id()).await.expect("read").expect("a mark");
        assert!(after.census > before.census && after.owed.is_none(), "{after:?}");
    });
}

#[test]
fn a_census_that_fails_stays_owed_over_a_crash() {
    bench::run(async {
        let (bench, _, store) = site(20).await;
        bench.people.faults().on(Operation::Changes, 1, Mishap::ShortList).always(Operation::People, Mishap::Deny);
        let hands = BenchHands::new(&bench, false);
        looks(&bench, &hands, 1).await;
        let owed = store.watched(&bench.people_id()).await.expect("read").and_then(|mark| mark.owed);
        assert!(owed.is_some(), "written down");
        store.crash(false);
        bench.restart();
        bench.people.faults().clear();
        looks(&bench, &hands, 1).await;
        assert_eq!(hands.censuses.load(Ordering::SeqCst), 2, "paid by the next process");
    });
}

#[test]
fn a_look_that_fails_takes_nothing_and_comes_again_until_a_census_is_owed() {
    let failing = [
        (Operation::Lookup, Mishap::Deny),
        (Operation::Lookup, Mishap::Hang),
        (Operation::Probe, Mishap::Down),
        (Operation::Find, Mishap::Unauthenticated),
    ];
    for (operation, mishap) in failing {
        bench::run(async {
            let (bench, watched, _) = site(20).await;
            ends(&bench, 1);
            bench.people.faults().always(operation, mishap).always(Operation::People, Mishap::Down);
            let hands = BenchHands::new(&bench, false);
            let passes = looks(&bench, &hands, 2).await;
            assert_eq!(watched.take_effects(), [], "{operation:?} {mishap:?}");
            assert!(passes.iter().all(|pass| !pass.trouble.is_empty()), "{operation:?} {mishap:?}: {passes:?}");
            let passes = looks(&bench, &hands, 12).await;
            assert!(passes.iter().any(|pass| pass.census.is_some()), "{operation:?} {mishap:?}: {passes:?}");
            bench.people.faults().clear();
            looks(&bench, &hands, 8).await;
            assert_eq!(status(&bench, 1), Status::Suspended, "{operation:?} {mishap:?}: {}", bench.notes());
        });
    }
}

#[test]
fn an_account_that_was_made_again_keeps_its_human_in() {
    bench::run(async {
        let (bench, watched, _) = site(20).await;
        {
            let mut world = bench.people.world();
            world.delete(&person_id(1));
            let id = PersonId::new("person-1-again").expect("an id");
            world.insert(lockstep_contract::Person { id, ..person(1, "Works", Standing::Active) });
        }
        let hands = BenchHands::new(&bench, false);
        looks(&bench, &hands, 2).await;
        assert_eq!((status(&bench, 1), watched.take_effects().len()), (Status::Active, 0));
        assert_eq!(hands.censuses.load(Ordering::SeqCst), 1, "which says so to people");
    });
}

#[test]
fn a_group_that_cannot_be_read_takes_nothing() {
    for view in [lockstep_sim::GroupView::Denied, lockstep_sim::GroupView::Hidden] {
        bench::run(async {
            let (bench, watched, _) = site(20).await;
            leaves_lab(&bench, 3);
            bench.people.world().group(&group("Lab")).view = view;
            looks(&bench, &BenchHands::new(&bench, false), 2).await;
            assert_eq!((has(&bench, 3, "Lab"), watched.take_effects().len()), (true, 0), "{view:?}");
        });
    }
}

#[test]
fn a_mover_is_for_a_census_that_takes_and_gives_in_one() {
    bench::run(async {
        let (bench, watched, _) = site(20).await;
        {
            let mut world = bench.people.world();
            world.group(&group("Lab")).people.remove(&person_id(3));
            world.group(&group("All")).people.remove(&person_id(4));
        }
        // Of these two, the second has a level to gain, once it is taken off the record by hand.
        bench.sim.world().insert(cardholder(4, 4, &["Door"], Status::Active));
        looks(&bench, &BenchHands::new(&bench, false), 2).await;
        assert_eq!((has(&bench, 3, "Lab"), has(&bench, 4, "Door")), (false, true), "{}", bench.notes());
        assert_eq!(watched.take_effects().len(), 1);
    });
}

#[test]
fn whoever_holds_the_lease_is_waited_for() {
    bench::run(async {
        let (bench, _, store) = site(20).await;
        let other = NodeId("another run".into());
        let epoch = store.lease(&other, SignedDuration::from_mins(60), bench.now()).await.expect("free");
        ends(&bench, 1);
        let hands = BenchHands::new(&bench, false);
        let new_run = || bench.next_run();
        let mut watch = bench.watch(&new_run).await;
        for _ in 0..10 {
            let pass = watch.pass(&hands).await;
            assert_eq!(
                (pass.trouble, pass.census),
                (vec![], None),
                "to wait is no trouble, and no reason to read everybody"
            );
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        assert_eq!(status(&bench, 1), Status::Active);
        store.release(epoch).await.expect("given back");
        watch.pass(&hands).await;
        assert_eq!(status(&bench, 1), Status::Suspended);
    });
}

/// One look with a crash after so many polls, then as many looks of new processes as it takes. Gives whether it crashed.
async fn crash_after(polls: u64, lucky: bool, trouble: Option<(Operation, Mishap)>) -> bool {
    let (bench, watched, store) = site(20).await;
    ends(&bench, 1);
    leaves_lab(&bench, 3);
    if let Some((operation, mishap)) = trouble {
        bench.sim.faults().on(operation, 1, mishap);
    }
    let hands = BenchHands::new(&bench, false);
    let crashed = Crash::after(polls, looks(&bench, &hands, 1), || {}).await.is_none();
    store.crash(lucky);
    bench.restart();
    bench.sim.faults().clear();
    for _ in 0..3 {
        // A process that begins settles what the last one left open.
        bench.settle().await.expect("settled");
        looks(&bench, &hands, 3).await;
    }
    let what = format!("crash after {polls} polls, lucky: {lucky}, {trouble:?}\n{}", bench.notes());
    assert_eq!((status(&bench, 1), has(&bench, 3, "Lab")), (Status::Suspended, false), "{what}");
    assert_eq!(watched.take_effects().len(), 2, "each once: {what}");
    assert_eq!(store.unsettled().await, Ok(Vec::new()), "{what}");
    let mark = store.watched(&bench.people_id()).await.expect("read").expect("a mark");
    assert_eq!(mark.owed, None, "{what}");
    let before = bench.people.faults().calls(Operation::Lookup);
    looks(&bench, &hands, 1).await;
    assert_eq!(bench.people.faults().calls(Operation::Lookup), before, "nobody is looked at twice for nothing: {what}");
    crashed
}

#[test]
fn a_crash_at_any_poll_of_a_look_loses_nobody_and_does_nothing_twice() {
    for lucky in [false, true] {
        let mut polls = 0;
        while bench::run(crash_after(polls, lucky, None)) {
            polls += 1;
        }
        assert!(polls > 40, "only {polls} crashes: the sweep does not sweep");
    }
    for trouble in [
        (Operation::Apply, Mishap::LostAnswer),
        (Operation::Apply, Mishap::LostRequest),
        (Operation::Read, Mishap::Down),
    ] {
        let mut polls = 0;
        while bench::run(crash_after(polls, false, Some(trouble))) {
            polls += 5;
        }
    }
}
