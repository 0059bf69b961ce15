//! What the engine does when something is not as it should be, one thing at a time.

mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use lockstep_contract::{Cancel, Capabilities, FaultKind, ServerMark, Standing, Status, TargetId};
use lockstep_core::{ActionState, Hold, HoldId, LaneKind, RunState};
use lockstep_engine::{
    ApplyOrder, Intent, Nobody, NodeId, Observer, PlanOrder, Progress, RunError, SpoolEntry, StoreError, TargetOrder,
};
use lockstep_sim::{Mishap, Operation, Sim, World, standard_capabilities};
use lockstep_simulation::bench::{self, Bench, cardholder, group, hq, key, level, person, person_id};

use crate::site::{edit, enters_the_lab, lease, leaves, order, planned, report, site, states};

fn status(bench: &Bench, n: u64) -> Status {
    bench.sim.world().cardholders.get(&cardholder(n, n, &[], Status::Active).id).expect("there").status.clone()
}

#[test]
fn a_plan_is_closed_when_all_of_it_is_verified() {
    bench::run(async {
        let (bench, watched) = site(4).await;
        leaves(&bench, [1]);
        enters_the_lab(&bench, 2);
        let (document, approved) = planned(&bench).await;
        let applied = bench.apply(&approved).await.expect("applied");
        assert!(applied.complete(), "{applied:?}");
        let run = bench.store.run(document.header.run).await.expect("read").expect("known");
        assert_eq!((run.state, run.plan.as_deref()), (RunState::Closed, Some(document.digest.as_str())));
        let effects = watched.take_effects();
        let first = effects.first().and_then(|effect| effect.before.clone()).expect("a change");
        assert_eq!(first.id.as_str(), "card-1", "whoever loses access comes first");
        let nothing = bench.plan(bench.next_run()).await.expect("planned").document;
        assert_eq!(nothing.entries, [], "the plan that was applied is the plan that was made");
        let history = bench.store.history(&hq(), bench.now()).await.expect("read");
        assert_eq!((history.applied_runs, history.reduced_day), (1, 1));
    });
}

#[test]
fn a_source_that_cannot_be_read_whole_gives_no_plan_at_all() {
    let cut = [
        (Operation::People, Mishap::ShortList),
        (Operation::People, Mishap::CutList),
        (Operation::People, Mishap::RepeatedPage),
        (Operation::People, Mishap::Deny),
        (Operation::People, Mishap::Hang),
        (Operation::Probe, Mishap::Down),
    ];
    for (operation, mishap) in cut {
        bench::run(async {
            let (bench, _) = site(250).await;
            bench.people.faults().always(operation, mishap);
            let refused = bench.plan(bench.next_run()).await;
            assert!(matches!(refused, Err(RunError::Unreadable { .. })), "{operation:?} {mishap:?}: {refused:?}");
            let last = bench.store.runs(1).await.expect("read");
            assert_eq!(last[0].state, RunState::Abandoned);
        });
    }
    for mishap in [Mishap::ShortList, Mishap::CutList, Mishap::RepeatedPage, Mishap::Unauthenticated] {
        bench::run(async {
            let (bench, _) = site(250).await;
            bench.sim.faults().always(Operation::List, mishap);
            let refused = bench.plan(bench.next_run()).await;
            assert!(matches!(refused, Err(RunError::Unreadable { .. })), "{mishap:?}: {refused:?}");
        });
    }
}

#[test]
fn a_moment_of_trouble_is_waited_out() {
    bench::run(async {
        let (bench, _) = site(3).await;
        leaves(&bench, [1]);
        for operation in [Operation::Probe, Operation::People, Operation::Members] {
            bench.people.faults().on(operation, 1, Mishap::Throttle(std::time::Duration::from_secs(90)));
        }
        bench.sim.faults().on(Operation::Catalog, 1, Mishap::Down).on(Operation::List, 1, Mishap::Hang);
        let (_, approved) = planned(&bench).await;
        bench.sim.faults().on(Operation::Apply, 1, Mishap::Throttle(std::time::Duration::from_secs(90)));
        assert!(bench.apply(&approved).await.expect("applied").complete());
    });
}

#[test]
fn another_server_is_not_believed() {
    bench::run(async {
        let (bench, _) = site(2).await;
        let epoch = lease(&bench, "before").await;
        let mark = ServerMark { domain: "elsewhere".into(), replica: None, generation: None, clock: None };
        bench.store.mark_server(epoch, "corp", &mark).await.expect("kept");
        bench.store.release(epoch).await.expect("given back");
        let refused = bench.plan(bench.next_run()).await;
        assert!(matches!(refused, Err(RunError::OtherServer { .. })), "{refused:?}");
    });
}

#[test]
fn a_record_that_changed_is_left_alone_unless_its_human_leaves() {
    bench::run(async {
        let (bench, _) = site(4).await;
        leaves(&bench, [1, 2, 3]);
        enters_the_lab(&bench, 4);
        let (_, approved) = planned(&bench).await;
        edit(&bench, 1, |record| _ = record.levels.insert(level("Lab")));
        edit(&bench, 2, |record| record.keys = [key(77)].into_iter().collect());
        edit(&bench, 3, |record| record.status = Status::Suspended);
        edit(&bench, 4, |record| _ = record.levels.remove(&level("Door")));
        let applied = bench.apply(&approved).await.expect("applied");
        let states: BTreeMap<_, _> =
            report(&applied).actions.iter().map(|a| (format!("{:?}", a.subject), a.state)).collect();
        let states: Vec<_> = states.into_values().collect();
        use ActionState::{Verified, Withdrawn};
        assert_eq!(states, [Verified, Withdrawn, Withdrawn, Withdrawn], "{applied:?}");
        assert_eq!(status(&bench, 1), Status::Suspended, "more levels do not keep a leaver in");
        assert_eq!(status(&bench, 2), Status::Active, "this is somebody else now");
        let links = bench.store.links(&hq()).await.expect("read");
        let ours = |n| links.of_person(&person_id(n)).is_some_and(|link| link.suspended_by.is_some());
        assert!(ours(1) && !ours(3), "what the guard desk switched off is not ours to switch on");
    });
}

#[test]
fn an_account_without_rights_stops_the_target_and_is_no_missing_record() {
    for mishap in [Mishap::Deny, Mishap::Unauthenticated] {
        bench::run(async {
            let (bench, watched) = site(40).await;
            leaves(&bench, [1, 2, 3]);
            let (_, approved) = planned(&bench).await;
            bench.sim.faults().always(Operation::Apply, mishap);
            let applied = bench.apply(&approved).await.expect("applied");
            let done = report(&applied);
            assert!(done.stopped.is_some(), "{done:?}");
            assert_eq!(states(done), [ActionState::Refused, ActionState::Pending, ActionState::Pending]);
            assert_eq!(watched.take_effects(), []);
            let run = bench.store.runs(1).await.expect("read");
            assert_eq!(run[0].state, RunState::Paused, "somebody may go on with it");

            bench.sim.faults().clear();
            let again = bench.plan(bench.next_run()).await.expect("planned").document;
            assert_eq!(again.entries.len(), 3, "nothing was lost");
        });
    }
}

#[test]
fn three_failures_in_a_row_stop_a_target() {
    bench::run(async {
        let (bench, _) = site(60).await;
        leaves(&bench, 1..=6);
        let (_, approved) = planned(&bench).await;
        bench.sim.faults().always(Operation::Apply, Mishap::Refuse);
        let applied = bench.apply(&approved).await.expect("applied");
        let refused = applied.count(ActionState::Refused);
        assert_eq!((refused, applied.count(ActionState::Pending)), (3, 3), "{applied:?}");
    });
}

#[test]
fn what_a_fresh_plan_would_not_do_is_withdrawn() {
    bench::run(async {
        let (bench, watched) = site(3).await;
        leaves(&bench, [1, 2]);
        let (_, approved) = planned(&bench).await;
        bench.people.world().insert(person(1, "Works", Standing::Active));
        let fresh = bench.plan(bench.next_run()).await.expect("planned").document;
        let order = order(&bench, Some(&fresh), Cancel::default());
        let applied = lockstep_engine::apply(order, &approved).await.expect("applied");
        assert_eq!(states(report(&applied)), [ActionState::Withdrawn, ActionState::Verified]);
        assert_eq!(watched.take_effects().len(), 1);
        assert_eq!(status(&bench, 1), Status::Active);
    });
}

#[test]
fn a_run_that_is_asked_to_stop_sends_nothing_more() {
    bench::run(async {
        let (bench, watched) = site(3).await;
        leaves(&bench, [1, 2]);
        let (_, approved) = planned(&bench).await;
        let cancel = Cancel::default();
        cancel.cancel();
        let applied = lockstep_engine::apply(order(&bench, None, cancel), &approved).await.expect("applied");
        assert_eq!(states(report(&applied)), [ActionState::Pending; 2]);
        assert_eq!(watched.take_effects(), []);
        assert!(bench.apply(&approved).await.expect("applied").complete(), "and the next run does it all");
    });
}

/// Asks to stop as soon as anything was settled.
struct StopsEarly(Cancel);

impl Observer for StopsEarly {
    fn progress(&self, progress: Progress) {
        if matches!(progress, Progress::Applying { .. }) {
            self.0.cancel();
        }
    }
}

#[test]
fn what_is_in_flight_when_asked_to_stop_is_brought_to_its_end() {
    bench::run(async {
        let (bench, _) = site(3).await;
        leaves(&bench, [1, 2]);
        let (_, approved) = planned(&bench).await;
        let cancel = Cancel::default();
        let observer = StopsEarly(cancel.clone());
        let order = ApplyOrder { observer: &observer, ..order(&bench, None, cancel) };
        let applied = lockstep_engine::apply(order, &approved).await.expect("applied");
        assert_eq!(states(report(&applied)), [ActionState::Verified, ActionState::Pending]);
        assert_eq!(bench.store.unsettled().await, Ok(Vec::new()));
    });
}

#[test]
fn an_emergency_is_brought_to_its_end_however_long_the_pacs_was_away() {
    bench::run(async {
        let (bench, _) = site(3).await;
        leaves(&bench, [1]);
        let (document, _) = planned(&bench).await;
        let intent = Intent {
            run: bench.next_run(),
            lane: LaneKind::Revoke,
            action: document.entries[0].action.clone(),
            before: Some(bench.sim.world().cardholders.values().next().expect("somebody").clone()),
            at: bench.now(),
        };
        let hold = Hold {
            id: HoldId::default(),
            person: Some(person_id(1)),
            cardholders: Vec::new(),
            keys: [key(1)].into_iter().collect(),
            by: "desk".to_owned(),
            reason: "dismissed".to_owned(),
            since: bench.now(),
        };
        let spool = [
            SpoolEntry::Hold { targets: BTreeSet::new(), hold },
            SpoolEntry::Action { intent: Box::new(intent), outcome: None },
        ];
        let epoch = lease(&bench, "desk").await;
        bench.store.absorb(epoch, &spool).await.expect("absorbed");
        bench.store.release(epoch).await.expect("given back");
        bench.pass(90 * 24 * 3_600);
        bench.people.world().insert(person(1, "Works", Standing::Active));
        let settled = bench.settle().await.expect("settled");
        assert_eq!(states(report(&settled)), [ActionState::Verified]);
        assert_eq!(status(&bench, 1), Status::Suspended);
        assert_eq!(bench.plan(bench.next_run()).await.expect("planned").document.entries, [], "and stays out");
    });
}

#[test]
fn an_old_intent_that_had_no_effect_is_not_sent_again() {
    bench::run(async {
        let (mut bench, watched) = site(3).await;
        bench.limits.plan_age_hours = 24;
        leaves(&bench, [1]);
        let (_, approved) = planned(&bench).await;
        bench.sim.faults().always(Operation::Apply, Mishap::LostRequest).on(Operation::Read, 2, Mishap::Hang);
        for nth in 3..40 {
            bench.sim.faults().on(Operation::Read, nth, Mishap::Down);
        }
        bench.apply(&approved).await.expect("applied");
        assert_eq!(bench.store.unsettled().await.expect("read").len(), 1);
        bench.sim.faults().clear();
        bench.pass(25 * 3_600);
        let settled = bench.settle().await.expect("settled");
        assert_eq!(states(report(&settled)), [ActionState::Refused], "{settled:?}");
        assert_eq!(watched.take_effects(), []);
        assert_eq!(bench.plan(bench.next_run()).await.expect("planned").document.entries.len(), 1, "a new plan has it");
    });
}

#[test]
fn one_target_that_cannot_be_read_does_not_stop_the_other() {
    bench::run(async {
        let (bench, _) = site(3).await;
        leaves(&bench, [1]);
        let lab = TargetId::new("lab").expect("an id");
        let other = Sim::in_memory(lab.clone(), World::new("lab-1"));
        other.faults().always(Operation::List, Mishap::Deny);
        let reader = |reader| TargetOrder { reader, policy: &bench.policy, limits: &bench.limits };
        let now = bench.now();
        let planned = lockstep_engine::plan(PlanOrder {
            directory: &*bench.directory,
            targets: vec![reader(&*bench.target), reader(&other)],
            store: &*bench.store,
            node: NodeId("another".into()),
            run: bench.next_run(),
            version: "0".to_owned(),
            config_digest: "c0".to_owned(),
            call_budget: std::time::Duration::from_secs(20),
            cancel: Cancel::default(),
            clock: Arc::new(move || now),
            observer: &Nobody,
        });
        let planned = planned.await.expect("one could be read");
        assert_eq!(planned.document.entries.len(), 1);
        assert_eq!(planned.document.targets.len(), 1, "nothing is said about what was not read");
        let named: Vec<_> = planned.unreadable.iter().map(|(target, fault)| (target, fault.kind)).collect();
        assert_eq!(named, [(&lab, FaultKind::Denied)]);
    });
}

#[test]
fn a_wrong_plan_with_a_good_signature_still_blows_the_fuse() {
    bench::run(async {
        let (mut bench, watched) = site(40).await;
        bench.limits.reductions_day_percent = 15;
        leaves(&bench, 1..=19);
        let (_, approved) = planned(&bench).await;
        let applied = bench.apply(&approved).await.expect("applied");
        assert_eq!(applied.count(ActionState::Verified), 12, "twice 15 % of 40");
        assert_eq!(applied.count(ActionState::Withdrawn), 7);
        assert!(report(&applied).stopped.as_deref().is_some_and(|why| why.contains("fuse")), "{applied:?}");
        assert_eq!(watched.take_effects().len(), 12);

        enters_the_lab(&bench, 30);
        let (_, approved) = planned(&bench).await;
        let applied = bench.apply(&approved).await.expect("applied");
        assert_eq!(applied.count(ActionState::Verified), 1, "what takes nothing away goes on");
        assert_eq!(applied.count(ActionState::Withdrawn), 7, "and the rest waits for a person");
        bench.reset_fuse().await;
        let (_, approved) = planned(&bench).await;
        assert!(bench.apply(&approved).await.expect("applied").complete());
    });
}

#[test]
fn two_do_not_work_at_once() {
    bench::run(async {
        let (bench, watched) = site(3).await;
        leaves(&bench, [1]);
        let (_, approved) = planned(&bench).await;
        let epoch = lease(&bench, "somebody else").await;
        let refused = bench.apply(&approved).await;
        assert!(matches!(refused, Err(RunError::Store(StoreError::Leased { .. }))), "{refused:?}");
        assert!(bench.plan(bench.next_run()).await.is_err());
        assert_eq!(watched.take_effects(), []);
        bench.store.release(epoch).await.expect("given back");
        assert!(bench.apply(&approved).await.expect("applied").complete());
    });
}

#[test]
fn a_record_that_cannot_be_read_back_stays_open_and_blocks_its_human() {
    bench::run(async {
        let (bench, _) = site(40).await;
        leaves(&bench, [1]);
        let (_, approved) = planned(&bench).await;
        // The read before the write is answered; none after it is.
        bench.sim.faults().on(Operation::Apply, 1, Mishap::LostAnswer);
        for nth in 2..40 {
            bench.sim.faults().on(Operation::Read, nth, Mishap::Down);
        }
        let applied = bench.apply(&approved).await.expect("applied");
        assert_eq!(states(report(&applied)), [ActionState::Uncertain], "{applied:?}");
        assert_eq!(bench.store.unsettled().await.expect("read").len(), 1);
        bench.sim.faults().clear();
        let settled = bench.settle().await.expect("settled");
        assert_eq!(states(report(&settled)), [ActionState::Verified]);
        assert_eq!(bench.store.unsettled().await, Ok(Vec::new()));
    });
}

#[test]
fn a_drop_that_a_guard_objects_to_does_not_look_normal_the_next_time() {
    bench::run(async {
        let (mut bench, _) = site(40).await;
        bench.limits = lockstep_core::Limits::default();
        bench.people.world().group(&group("Lab")).people.extend((1..=20).map(person_id));
        let (_, approved) = planned(&bench).await;
        assert!(bench.apply(&approved).await.expect("applied").complete());
        bench.plan(bench.next_run()).await.expect("a quiet plan");
        let quiet = bench.store.history(&hq(), bench.now()).await.expect("read").groups;
        bench.people.world().group(&group("Lab")).people.retain(|id| *id == person_id(20));
        for round in 0..3 {
            let document = bench.plan(bench.next_run()).await.expect("planned").document;
            assert!(document.held() > 0, "round {round}: {:?}", document.targets[0].trips);
            let history = bench.store.history(&hq(), bench.now()).await.expect("read");
            assert_eq!(history.groups, quiet, "round {round}");
        }
    });
}

#[test]
fn what_engines_do_can_be_done_on_any_thread() {
    fn is_send<T: Send>(_: &T) {}
    bench::run(async {
        let (bench, _) = site(1).await;
        let (_, approved) = planned(&bench).await;
        let (planning, settling) = (bench.plan(bench.next_run()), bench.settle());
        let applying = bench.apply(&approved);
        is_send(&planning);
        is_send(&settling);
        is_send(&applying);
    });
}

#[test]
fn a_change_costs_a_look_a_write_and_a_look() {
    bench::run(async {
        let (bench, _) = site(200).await;
        leaves(&bench, 1..=60);
        let (_, approved) = planned(&bench).await;
        let calls = || [Operation::Read, Operation::Apply, Operation::Find].map(|what| bench.sim.faults().calls(what));
        let before = calls();
        assert!(bench.apply(&approved).await.expect("applied").complete());
        let after = calls();
        assert_eq!([after[0] - before[0], after[1] - before[1], after[2] - before[2]], [120, 60, 0]);
    });
}

#[test]
fn a_quota_is_kept() {
    bench::run(async {
        let can = Capabilities { requests_per_minute: NonZeroU32::new(60), ..standard_capabilities() };
        let (mut bench, _) = site(40).await;
        leaves(&bench, 1..=10);
        let world = bench.sim.world().clone();
        bench.sim = Sim::in_memory_with(hq(), world, can);
        bench.target = Arc::new(bench.sim.clone());
        let (_, approved) = planned(&bench).await;
        let began = tokio::time::Instant::now();
        assert!(bench.apply(&approved).await.expect("applied").complete());
        // Thirty requests, six of which may go out at once: paused time goes on only as the quota makes it.
        assert!(began.elapsed().as_secs() >= 23, "{:?}", began.elapsed());
    });
}
