//! What the engine does not believe: a plan that was not made here, an old reading, a drop that nobody said yes to; and
//! whom it asks once more before it gives anything to anybody.

mod site;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use lockstep_contract::{Cancel, CardholderId, PersonId, Standing, Status, TargetId};
use lockstep_core::{ActionState, Approval, Hold, HoldId, Holds, PlanDocument, RunState};
use lockstep_engine::{Beside, Desk, NotOurs, RunError, SpoolEntry};
use lockstep_sim::{Mishap, Operation};
use lockstep_simulation::bench::{self, Bench, cardholder, group, hq, key, person, person_id};
use lockstep_simulation::crash::Crash;

use crate::site::{edit, enters_the_lab, lease, leaves, order, planned, report, site, states};

fn hold(person: Option<PersonId>, cardholders: Vec<CardholderId>, keys: &[u64], bench: &Bench) -> Hold {
    Hold {
        id: HoldId::default(),
        person,
        cardholders,
        keys: keys.iter().copied().map(key).collect(),
        by: "desk".to_owned(),
        reason: "dismissed".to_owned(),
        since: bench.now(),
    }
}

/// A desk that hears of an offboarding when it is asked for the n-th time.
struct HearsLate {
    hold: Hold,
    asked: AtomicU64,
    from: u64,
}

#[async_trait]
impl Desk for HearsLate {
    async fn holds(&self, target: &TargetId) -> Result<Arc<Holds>, String> {
        assert_eq!(*target, hq());
        let asked = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(if asked >= self.from { Arc::new(Holds(vec![self.hold.clone()])) } else { Arc::default() })
    }
}

#[test]
fn an_offboarding_accepted_while_a_run_works_is_heeded_up_to_the_last_moment() {
    for from in 1..=4 {
        bench::run(async {
            let (bench, watched) = site(40).await;
            leaves(&bench, [1]);
            enters_the_lab(&bench, 2);
            let (_, approved) = planned(&bench).await;
            let hold = hold(Some(person_id(2)), Vec::new(), &[], &bench);
            let desk = HearsLate { hold, asked: AtomicU64::new(0), from };
            let beside = Beside { desk: &desk, ..Beside::default() };
            let applied = lockstep_engine::apply_beside(order(&bench, None, Cancel::default()), &approved, beside);
            let applied = applied.await.expect("applied");
            // Asked before it is planned to be sent, and when the intent is on the disk.
            let last = if from <= 2 { ActionState::Withdrawn } else { ActionState::Verified };
            assert_eq!(states(report(&applied)), [ActionState::Verified, last], "heard at {from}: {applied:?}");
            if from <= 2 {
                let detail = &report(&applied).actions[1].detail;
                assert!(detail.contains("held out by name since"), "{detail}");
                assert_eq!(watched.take_effects().len(), 1, "the leaver left all the same");
            }
            let asked = from.min(2);
            assert_eq!(desk.asked.load(Ordering::SeqCst), asked, "what only takes away is never asked for");
        });
    }
}

/// Nobody can tell.
struct Silent;

#[async_trait]
impl Desk for Silent {
    async fn holds(&self, _: &TargetId) -> Result<Arc<Holds>, String> {
        Err("the folder cannot be read".to_owned())
    }
}

#[test]
fn nothing_is_given_while_nobody_can_tell_who_is_held_out() {
    bench::run(async {
        let (bench, watched) = site(40).await;
        leaves(&bench, [1]);
        enters_the_lab(&bench, 2);
        let (_, approved) = planned(&bench).await;
        let beside = Beside { desk: &Silent, ..Beside::default() };
        let applied = lockstep_engine::apply_beside(order(&bench, None, Cancel::default()), &approved, beside);
        let applied = applied.await.expect("applied");
        assert_eq!(states(report(&applied)), [ActionState::Verified, ActionState::Withdrawn], "{applied:?}");
        assert_eq!(watched.take_effects().len(), 1);
    });
}

#[test]
fn whoever_is_held_is_known_by_every_key_that_the_planner_knows() {
    // By a key that only the link has, by the person of the action, by the record of the link, and by a second key of a
    // record that is to be made.
    for way in 0..4 {
        bench::run(async {
            let (bench, watched) = site(3).await;
            let mut joiner = person(8, "Works", Standing::Active);
            joiner.keys.insert(key(88));
            bench.people.world().insert(joiner);
            bench.people.world().group(&group("All")).people.insert(person_id(8));
            enters_the_lab(&bench, 2);
            edit(&bench, 2, |record| record.keys = [key(22)].into_iter().collect());
            let document = bench.plan(bench.next_run()).await.expect("planned").document;
            let approved = bench.approve(&document).await.expect("approved");
            assert_eq!(approved.len(), 2, "{document:?}");
            let id = cardholder(2, 2, &[], Status::Active).id;
            let held = match way {
                0 => hold(None, Vec::new(), &[2], &bench),
                1 => hold(Some(person_id(2)), Vec::new(), &[], &bench),
                2 => hold(None, vec![id], &[], &bench),
                _ => hold(None, Vec::new(), &[88], &bench),
            };
            let epoch = lease(&bench, "desk").await;
            let spool = [SpoolEntry::Hold { targets: BTreeSet::new(), hold: held }];
            bench.store.absorb(epoch, &spool).await.expect("absorbed");
            bench.store.release(epoch).await.expect("given back");
            let applied = bench.apply(&approved).await.expect("applied");
            assert_eq!(applied.count(ActionState::Withdrawn), 1, "way {way}: {applied:?}");
            let made = watched.take_effects().iter().any(|effect| effect.before.is_none());
            assert_eq!(made, way != 3, "way {way}");
        });
    }
}

#[test]
fn a_plan_that_was_not_made_here_is_refused() {
    bench::run(async {
        let (bench, watched) = site(3).await;
        leaves(&bench, [1]);
        let (document, _) = planned(&bench).await;
        let altered = PlanDocument { digest: "another".to_owned(), ..document.clone() };
        let mut foreign = document.clone();
        foreign.header.run = bench.next_run();
        for (document, why) in
            [(&altered, NotOurs::Altered(altered.header.run)), (&foreign, NotOurs::Unknown(foreign.header.run))]
        {
            let approved = bench.approve(document).await.expect("its digest is as good as any");
            match bench.apply(&approved).await {
                Err(RunError::NotOurs(found)) => assert_eq!(found, why),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(watched.take_effects(), []);
        let approved = bench.approve(&document).await.expect("approved");
        assert!(bench.apply(&approved).await.expect("applied").complete(), "the one made here still runs");
    });
}

#[test]
fn what_gives_access_and_was_interrupted_waits_for_the_next_plan() {
    bench::run(async {
        let (bench, watched) = site(40).await;
        enters_the_lab(&bench, 2);
        let (_, approved) = planned(&bench).await;
        bench.sim.faults().always(Operation::Apply, Mishap::LostRequest);
        for nth in 2..40 {
            bench.sim.faults().on(Operation::Read, nth, Mishap::Down);
        }
        bench.apply(&approved).await.expect("applied");
        assert_eq!(bench.store.unsettled().await.expect("read").len(), 1);
        bench.sim.faults().clear();
        // Meanwhile the directory takes it back.
        bench.people.world().group(&group("Lab")).people.remove(&person_id(2));
        let settled = bench.settle().await.expect("settled");
        assert_eq!(states(report(&settled)), [ActionState::Refused], "{settled:?}");
        assert!(report(&settled).actions[0].detail.contains("the next plan decides"), "{settled:?}");
        assert_eq!(watched.take_effects(), [], "nobody got what is not theirs any more");
        assert_eq!(bench.plan(bench.next_run()).await.expect("planned").document.entries, []);
    });
}

#[test]
fn a_run_that_died_does_not_apply_for_ever() {
    bench::run(async {
        let mut found = false;
        for polls in (1..200).rev() {
            let (bench, _) = site(3).await;
            leaves(&bench, [1]);
            let (document, approved) = planned(&bench).await;
            if Crash::after(polls, bench.apply(&approved), || {}).await.is_some() {
                continue;
            }
            let state = async || bench.store.run(document.header.run).await.expect("read").expect("known").state;
            let before = state().await;
            bench.restart();
            bench.pass(600);
            bench.settle().await.expect("settled");
            let expected = if before == RunState::Applying { RunState::Paused } else { before };
            assert_eq!(state().await, expected, "{polls} polls");
            found |= before == RunState::Applying;
        }
        assert!(found, "no crash was in the middle");
    });
}

#[test]
fn a_match_that_a_fresh_reading_does_not_make_is_not_remembered() {
    for changes in [false, true] {
        bench::run(async {
            let (bench, _) = site(3).await;
            bench.people.world().insert(person(5, "Works", Standing::Active));
            bench.people.world().group(&group("All")).people.insert(person_id(5));
            bench.sim.world().insert(cardholder(5, 5, &["Door"], Status::Active));
            let (document, approved) = planned(&bench).await;
            assert_eq!(document.targets[0].links.len(), 1, "{:?}", document.targets[0]);
            if changes {
                edit(&bench, 5, |record| record.keys = [key(77)].into_iter().collect());
            }
            let fresh = bench.plan(bench.next_run()).await.expect("planned").document;
            let order = order(&bench, Some(&fresh), Cancel::default());
            lockstep_engine::apply(order, &approved).await.expect("applied");
            let links = bench.store.links(&hq()).await.expect("read");
            assert_eq!(links.of_person(&person_id(5)).is_some(), !changes);
        });
    }
}

#[test]
fn what_a_guard_would_hold_now_does_not_run_unless_it_was_let_through_before() {
    for held_before in [false, true] {
        bench::run(async {
            let (mut bench, watched) = site(40).await;
            let loose = bench.limits.clone();
            let tight = lockstep_core::Limits { reductions_per_run: 1, ..loose.clone() };
            leaves(&bench, [1, 2, 3]);
            if held_before {
                bench.limits = tight.clone();
            }
            let document = bench.plan(bench.next_run()).await.expect("planned").document;
            assert_eq!(document.held() > 0, held_before);
            let approved = bench.approve(&document).await.expect("approved");
            assert_eq!(approved.len(), 3);
            bench.limits = tight;
            let fresh = bench.plan(bench.next_run()).await.expect("planned").document;
            assert!(fresh.held() > 0);
            let order = order(&bench, Some(&fresh), Cancel::default());
            let beside = Beside { document: Some(&document), ..Beside::default() };
            let applied = lockstep_engine::apply_beside(order, &approved, beside).await.expect("applied");
            let done = if held_before { 3 } else { 3 - fresh.held() };
            assert_eq!(applied.count(ActionState::Verified), done, "{applied:?}");
            assert_eq!(applied.count(ActionState::Withdrawn), 3 - done, "{applied:?}");
            assert_eq!(watched.take_effects().len(), done);
        });
    }
}

#[test]
fn nothing_is_applied_to_a_target_that_could_not_be_read_again() {
    bench::run(async {
        let (bench, watched) = site(3).await;
        leaves(&bench, [1]);
        let (document, approved) = planned(&bench).await;
        let fresh = PlanDocument { targets: Vec::new(), entries: Vec::new(), ..document.clone() };
        let order = order(&bench, Some(&fresh), Cancel::default());
        let applied = lockstep_engine::apply(order, &approved).await.expect("applied");
        assert_eq!(states(report(&applied)), [ActionState::Pending]);
        assert!(report(&applied).stopped.as_deref().is_some_and(|why| why.contains("could not be read again")));
        assert_eq!(watched.take_effects(), []);
        let history = bench.store.history(&hq(), bench.now()).await.expect("read");
        assert_eq!(history.applied_runs, 0, "and no policy counts as applied");
        assert!(bench.apply(&approved).await.expect("applied").complete(), "it can go on later");
    });
}

/// Somebody turns all of it down.
fn no(document: &PlanDocument, bench: &Bench) -> Approval {
    Approval {
        by: "ann".to_owned(),
        at: bench.now(),
        plan: document.digest.clone(),
        only: None,
        reject: document.entries.iter().map(|entry| entry.action.id.clone()).collect(),
        overrule: false,
        note: String::new(),
    }
}

#[test]
fn a_drop_is_believed_when_named_persons_let_through_what_it_held_and_not_before() {
    bench::run(async {
        let (mut bench, _) = site(40).await;
        bench.limits = lockstep_core::Limits::default();
        bench.people.world().group(&group("Lab")).people.extend((1..=6).map(person_id));
        let (document, approved) = planned(&bench).await;
        assert!(bench.apply_seen(&document, &approved).await.expect("applied").complete());
        bench.plan(bench.next_run()).await.expect("a quiet plan");
        let groups = async || bench.store.history(&hq(), bench.now()).await.expect("read").groups;
        let quiet = groups().await;
        bench.people.world().group(&group("Lab")).people.retain(|id| *id == person_id(6));

        let rejected = bench.plan(bench.next_run()).await.expect("planned").document;
        assert!(rejected.held() > 0, "{:?}", rejected.targets[0].trips);
        let nothing = bench.decide(&rejected, &[no(&rejected, &bench)]).await.expect("decided");
        bench.apply_seen(&rejected, &nothing).await.expect("applied");
        assert_eq!(groups().await, quiet, "somebody said no");

        let document = bench.plan(bench.next_run()).await.expect("planned").document;
        let later = bench.plan(bench.next_run()).await.expect("planned").document;
        assert!(later.held() > 0);
        let approved = bench.approve(&document).await.expect("approved");
        let applied = bench.apply_seen(&document, &approved).await.expect("applied");
        assert!(applied.complete(), "{applied:?}");
        assert_ne!(groups().await, quiet, "two persons let it through, by name");
        assert_eq!(bench.plan(bench.next_run()).await.expect("planned").document.entries, []);
    });
}
