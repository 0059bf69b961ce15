//! The sweep: a small plan is applied, the process dies at the k-th poll, another one starts and goes on; for every k.
//! Nothing is lost, nothing is done twice, and the journal tells the truth (S4 to S6).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lockstep_contract::{Cardholder, CardholderId, RunId, Standing, Status};
use lockstep_core::{ActionState, Link, LinkOrigin, Mover, PlanDocument, Refusal};
use lockstep_engine::{LinkChange, NodeId, Store};
use lockstep_sim::{Mishap, Operation};
use lockstep_simulation::bench::{self, Bench, cardholder, group, hq, key, person, person_id, policy, rule};
use lockstep_simulation::crash::Crash;
use lockstep_simulation::watched::{Effect, Watched};
use lockstep_store::{MemoryStore, SqliteStore};

const LEVELS: [&str; 4] = ["Door", "Lab", "Vault", "Other"];

/// One of each: a leaver, a mover, somebody whose department changed, somebody met for the first time, two joiners, and
/// somebody with nothing to do.
async fn world(store: Arc<dyn Store>, in_flight: u32) -> (Bench, Watched) {
    let sim = bench::pacs(&LEVELS, in_flight);
    let people = bench::directory();
    {
        let mut people = people.world();
        for n in 1..=7 {
            let standing = if n == 1 { Standing::Ended { since: None } } else { Standing::Active };
            people.insert(person(n, if n == 3 { "Moved" } else { "Works" }, standing));
        }
        people.group(&group("All")).people = (2..=7).map(person_id).collect();
        people.group(&group("Lab")).people = [2, 5].map(person_id).into();
        people.group(&group("Vault")).people = [4].map(person_id).into();
    }
    {
        let mut pacs = sim.world();
        pacs.insert(cardholder(1, 1, &["Door", "Lab", "Other"], Status::Active));
        pacs.insert(cardholder(2, 2, &["Door", "Vault", "Other"], Status::Active));
        pacs.insert(cardholder(3, 3, &["Door"], Status::Active));
        pacs.insert(cardholder(4, 4, &["Door"], Status::Active));
        pacs.insert(cardholder(7, 7, &["Door"], Status::Active));
    }
    let rules = vec![
        rule("Door", &["All"], &[], &[], 1),
        rule("Lab", &["Lab"], &[], &[], 2),
        rule("Vault", &["Vault"], &[], &[], 3),
    ];
    let (bench, watched) = Bench::new(sim, people, store, policy(rules, Mover::RevokeFirst));
    let links = [1, 2, 3, 7].map(|n| {
        LinkChange::Add(Link {
            person: person_id(n),
            cardholder: cardholder(n, n, &[], Status::Active).id,
            origin: LinkOrigin::Provisioned,
            since: bench.now(),
            keys: [key(n)].into_iter().collect(),
            suspended_by: None,
        })
    });
    let ttl = jiff::SignedDuration::from_mins(1);
    let epoch = bench.store.lease(&NodeId("setup".into()), ttl, bench.now()).await.expect("free");
    bench.store.link(epoch, &hq(), &links).await.expect("linked");
    bench.store.release(epoch).await.expect("given back");
    (bench, watched)
}

/// What goes wrong at the PACS while the plan is applied, besides the crash.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    operation: Operation,
    nth: u32,
    mishap: Mishap,
}

fn records(bench: &Bench) -> BTreeMap<CardholderId, Cardholder> {
    let mut records = bench.sim.world().cardholders.clone();
    for record in records.values_mut() {
        record.revision = None;
    }
    records
}

/// What one life of the plan did.
struct Life {
    effects: Vec<Effect>,
    records: BTreeMap<CardholderId, Cardholder>,
    crashed: bool,
}

/// Applies the plan, dies after so many polls, starts again, and goes on to the end. With a `second` death, the process
/// that goes on dies, too.
async fn live(
    bench: &Bench,
    watched: &Watched,
    trouble: Option<Trouble>,
    (first, second): (u64, Option<u64>),
    die: impl Fn(),
) -> Life {
    let run = bench.next_run();
    let document = bench.plan(run).await.expect("both sides can be read").document;
    assert_eq!(document.entries.len(), 7, "the plan has one of each, and two of the mover");
    let approved = bench.approve(&document).await.expect("approved");
    assert_eq!(approved.len(), 7);
    if let Some(Trouble { operation, nth, mishap }) = trouble {
        bench.sim.faults().on(operation, nth, mishap);
    }
    let outcome = Crash::after(first, bench.apply(&approved), || {}).await;
    let first_crashed = outcome.is_none();
    let mut crashed = first_crashed;
    die();
    bench.restart();
    bench.sim.faults().clear();
    if let Some(polls) = second {
        crashed = Crash::after(polls, go_on(bench, &document), || {}).await.is_none();
        die();
        bench.restart();
    }
    go_on(bench, &document).await;
    assert_eq!(bench.store.unsettled().await, Ok(Vec::new()), "every action that was started has an end");
    let waits = told_the_truth(bench, run).await;
    assert!(crashed || first_crashed || waits == 0, "without a crash nothing waits for another plan");
    again(bench, waits).await;
    Life { effects: watched.take_effects(), records: records(bench), crashed }
}

/// What the next process does: settle, and apply what is left.
async fn go_on(bench: &Bench, document: &PlanDocument) {
    bench.settle().await.expect("what is open can be settled");
    match bench.approve(document).await {
        Ok(rest) => {
            bench.apply(&rest).await.expect("the rest can be applied");
        }
        Err(Refusal::Used) => {}
        Err(other) => panic!("{other}"),
    }
}

/// What gives anything and was interrupted without effect waits for the next plan, which does all of it.
async fn again(bench: &Bench, waits: usize) {
    let run = bench.next_run();
    let document = bench.plan(run).await.expect("both sides can be read").document;
    assert_eq!(document.entries.len(), waits, "nothing else is left to do");
    let approved = bench.approve(&document).await.expect("approved");
    assert!(bench.apply(&approved).await.expect("applied").complete());
    assert_eq!(told_the_truth(bench, run).await, 0);
    linked(bench).await;
    let quiet = bench.plan(bench.next_run()).await.expect("both sides can be read").document;
    assert_eq!(quiet.entries, [], "nothing was lost");
}

/// The journal says verified of every action, and its images are what really is there; but what gives anything and was
/// interrupted without effect was not sent again, and says so. Gives the number of those.
async fn told_the_truth(bench: &Bench, run: RunId) -> usize {
    let journal = bench.store.journal(run).await.expect("read");
    let mut last = BTreeMap::new();
    let mut waits = 0;
    for entry in &journal {
        let only_reduces = entry.intent.action.steps.iter().all(|step| step.as_reduction().is_some());
        if entry.state == ActionState::Refused && !only_reduces {
            assert!(entry.detail.contains("the next plan decides"), "{}", entry.detail);
            waits += 1;
            continue;
        }
        assert_eq!(entry.state, ActionState::Verified, "{:?}: {}", entry.intent.action.subject, entry.detail);
        let after = entry.after.clone().expect("verified by a read-back");
        last.insert(after.id.clone(), after);
    }
    let there = records(bench);
    for (id, mut after) in last {
        after.revision = None;
        assert_eq!(there.get(&id), Some(&after), "the journal shows what is there");
    }
    waits
}

/// Everybody is known, and the right one.
async fn linked(bench: &Bench) {
    let there = records(bench);
    let links = bench.store.links(&hq()).await.expect("read");
    for n in 1..=7 {
        let link = links.of_person(&person_id(n)).unwrap_or_else(|| panic!("person {n} is linked"));
        let record = there.get(&link.cardholder).expect("to a record that is there");
        assert!(record.keys.contains(&key(n)), "and the right one");
        assert_eq!(link.suspended_by.is_some(), n == 1, "only the leaver is out by us");
    }
}

/// Each record as it should end, and each thing done once.
fn as_without_a_crash(life: &Life, calm: &Life, what: &str) {
    let by_keys = |life: &Life| -> Vec<Cardholder> {
        let mut records: Vec<_> = life.records.values().cloned().collect();
        for record in &mut records {
            if record.id.as_str().starts_with("sim-") {
                // Which of two joiners gets which number is the PACS' own business.
                record.id = CardholderId::new("new").expect("an id");
            }
        }
        records.sort_by(|a, b| a.keys.cmp(&b.keys));
        records
    };
    assert_eq!(by_keys(life), by_keys(calm), "{what}: the PACS ends as without a crash");
    assert_eq!(life.effects.len(), calm.effects.len(), "{what}: each action had its effect once");
    let made = life.effects.iter().filter(|effect| effect.before.is_none()).count();
    assert_eq!(made, 2, "{what}: each joiner has one record");
}

fn troubles() -> Vec<Option<Trouble>> {
    let mut troubles = vec![None];
    for nth in 1..=7 {
        for mishap in [Mishap::LostAnswer, Mishap::LostRequest, Mishap::HangAfterEffect, Mishap::Down] {
            troubles.push(Some(Trouble { operation: Operation::Apply, nth, mishap }));
        }
    }
    troubles.push(Some(Trouble { operation: Operation::Read, nth: 2, mishap: Mishap::Down }));
    troubles.push(Some(Trouble { operation: Operation::Find, nth: 1, mishap: Mishap::LostAnswer }));
    troubles
}

fn calm() -> Life {
    bench::run(async {
        let (bench, watched) = world(Arc::new(MemoryStore::new()), 1).await;
        live(&bench, &watched, None, (u64::MAX, None), || {}).await
    })
}

/// Sweeps over every poll. Gives the number of crashes.
fn sweep(trouble: Option<Trouble>, in_flight: u32, lucky: bool, stride: usize, calm: &Life) -> u64 {
    let mut crashes = 0;
    for polls in (0..).step_by(stride) {
        let life = bench::run(async {
            let store = Arc::new(MemoryStore::new());
            let (bench, watched) = world(store.clone(), in_flight).await;
            live(&bench, &watched, trouble, (polls, None), || store.crash(lucky)).await
        });
        as_without_a_crash(&life, calm, &format!("{trouble:?}, {in_flight} at once, crash after {polls} polls"));
        if !life.crashed {
            break;
        }
        crashes += 1;
    }
    crashes
}

#[test]
fn a_crash_at_any_poll_loses_nothing_and_doubles_nothing() {
    let calm = calm();
    for (in_flight, lucky) in [(1, false), (1, true), (4, false)] {
        let crashes = sweep(None, in_flight, lucky, 1, &calm);
        assert!(crashes > 20, "only {crashes} crashes: the sweep does not sweep");
    }
}

#[test]
fn nor_does_a_crash_while_the_pacs_is_in_trouble() {
    let calm = calm();
    for trouble in troubles() {
        sweep(trouble, 1, false, 11, &calm);
    }
}

#[test]
fn nor_does_a_crash_while_a_crash_is_mended() {
    let calm = calm();
    let mut twice = 0;
    for first in (5..110).step_by(10) {
        for second in (0..).step_by(5) {
            let life = bench::run(async {
                let store = Arc::new(MemoryStore::new());
                let (bench, watched) = world(store.clone(), 1).await;
                live(&bench, &watched, None, (first, Some(second)), || store.crash(false)).await
            });
            as_without_a_crash(&life, &calm, &format!("crashes after {first} polls and {second} polls"));
            if !life.crashed {
                break;
            }
            twice += 1;
        }
    }
    assert!(twice > 40, "only {twice} double crashes");
}

#[test]
fn a_full_disk_at_any_sync_stops_before_anything_is_sent_unrecorded() {
    let calm = calm();
    for syncs in 0.. {
        let (life, failed) = bench::run(async {
            let store = Arc::new(MemoryStore::new());
            let (bench, watched) = world(store.clone(), 1).await;
            let document = bench.plan(bench.next_run()).await.expect("both sides can be read").document;
            let approved = bench.approve(&document).await.expect("approved");
            store.fail_syncs(syncs);
            let failed = bench.apply(&approved).await.is_err();
            let sent = watched.take_effects();
            store.crash(false);
            bench.restart();
            go_on(&bench, &document).await;
            let waits = told_the_truth(&bench, document.header.run).await;
            again(&bench, waits).await;
            let effects = sent.into_iter().chain(watched.take_effects()).collect();
            (Life { effects, records: records(&bench), crashed: false }, failed)
        });
        as_without_a_crash(&life, &calm, &format!("no space after {syncs} syncs"));
        if !failed {
            assert!(syncs > 20, "only {syncs} syncs");
            return;
        }
    }
}

#[test]
fn a_disk_that_says_synced_and_lies_is_noticed() {
    let calm = calm();
    let noticed = (20..200).step_by(9).any(|polls| {
        let lived = std::panic::catch_unwind(|| {
            let life = bench::run(async {
                let store = Arc::new(MemoryStore::new());
                let (bench, watched) = world(store.clone(), 1).await;
                let lie = || {
                    store.forget();
                    store.crash(false);
                };
                live(&bench, &watched, None, (polls, None), lie).await
            });
            as_without_a_crash(&life, &calm, "a disk that lies");
        });
        lived.is_err()
    });
    assert!(noticed, "the sweep would not see a journal with a hole in it");
}

#[test]
fn the_same_on_sqlite() {
    let calm = calm();
    let folder = tempfile::tempdir().expect("a folder");
    for polls in (0..).step_by(7) {
        let path = folder.path().join(format!("{polls}.db"));
        let life = bench::run(async {
            let store: Arc<dyn Store> = Arc::new(SqliteStore::open_inline(&path).expect("opens"));
            let (bench, watched) = world(store, 1).await;
            let life = live(&bench, &watched, None, (polls, None), || {}).await;
            bench.store.verify().await.expect("whole after a crash");
            life
        });
        as_without_a_crash(&life, &calm, &format!("SQLite, crash after {polls} polls"));
        if !life.crashed {
            break;
        }
    }
}

#[test]
fn the_calm_life_is_what_it_should_be() {
    let life = calm();
    let ids: BTreeSet<_> = life.records.keys().map(ToString::to_string).collect();
    assert_eq!(ids.len(), 7, "{ids:?}");
    let record = |n: u64| life.records.values().find(|record| record.keys.contains(&key(n))).expect("there");
    let levels = |n: u64| record(n).levels.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(record(1).status, Status::Suspended);
    assert!(levels(1).contains(&"Other".to_owned()), "an unmanaged level stays");
    assert_eq!(levels(2), ["Door", "Lab", "Other"]);
    assert_eq!(record(3).profile.get("department"), Some("Moved"));
    assert_eq!(levels(4), ["Door", "Vault"]);
    assert_eq!(levels(5), ["Door", "Lab"]);
    assert_eq!(levels(6), ["Door"]);
}
