//! What may run, decision by decision.

use lockstep_contract::{Situation, Step};

use super::*;
use crate::fixture::{Sketch, at, header, history, ids, info, level, overrule, policy, run, target, yes};
use crate::{ApprovalPolicy, EntryState, guard};

/// What is so when the plan is applied. Each test changes what it is about.
struct Scene {
    document: PlanDocument,
    policy: Policy,
    limits: Limits,
    history: History,
    fingerprint: String,
    config_digest: String,
    journaled: BTreeSet<ActionId>,
    lifted: bool,
    now: Timestamp,
}

impl Scene {
    fn new(sketch: Sketch) -> Self {
        Self::under(sketch, policy(), history(400))
    }

    fn under(sketch: Sketch, policy: Policy, history: History) -> Self {
        let guarded = guard(sketch.draft(), &policy, &Limits::default(), &history);
        Self {
            document: PlanDocument::build(header(), vec![(info(), guarded)]),
            policy,
            limits: Limits::default(),
            history,
            fingerprint: info().fingerprint,
            config_digest: "config-1".into(),
            journaled: BTreeSet::new(),
            lifted: false,
            now: at(600),
        }
    }

    fn approve(&self, approvals: &[Approval]) -> Result<ApprovedPlan, Refusal> {
        let target_now = TargetConditions {
            fingerprint: &self.fingerprint,
            policy: &self.policy,
            limits: &self.limits,
            history: &self.history,
        };
        let conditions = Conditions {
            now: self.now,
            config_digest: &self.config_digest,
            journaled: &self.journaled,
            lifted: self.lifted,
            targets: [(target(), target_now)].into(),
        };
        approve(&self.document, approvals, &conditions)
    }

    fn runs(&self, approvals: &[Approval]) -> (usize, usize) {
        let plan = self.approve(approvals).expect("a plan that may run");
        let revoke = plan.revoke().iter().map(|lane| lane.actions().len()).sum();
        (revoke, plan.stage().iter().map(|lane| lane.actions().len()).sum())
    }

    fn held(&self) -> Vec<ActionId> {
        let held = self.document.in_state(|state| matches!(state, EntryState::Held { .. }));
        held.map(|entry| entry.action.id.clone()).collect()
    }

    fn stage(&self) -> Vec<ActionId> {
        ids(&self.document, LaneKind::Stage)
    }
}

fn left(plan: &ApprovedPlan, because: LeftBecause) -> usize {
    plan.left().iter().filter(|left| left.because == because).count()
}

#[test]
fn what_stands_runs_and_what_waits_waits() {
    let scene = Scene::new(Sketch::of(400).suspends(2).grants(3, "Lab"));
    let plan = scene.approve(&[]).expect("a plan");
    assert_eq!(scene.runs(&[]), (2, 0));
    assert_eq!((plan.len(), left(&plan, LeftBecause::NotApproved)), (2, 3));
    assert_eq!(plan.digest(), scene.document.digest);
    assert_eq!(plan.run(), run());
}

#[test]
fn one_named_person_approves_the_whole_or_some() {
    let scene = Scene::new(Sketch::of(400).suspends(2).grants(3, "Lab"));
    assert_eq!(scene.runs(&[yes("Ada", &scene.document)]), (2, 3));
    let some = Approval { only: Some([scene.stage()[1].clone()].into()), ..yes("Ada", &scene.document) };
    assert_eq!(scene.runs(&[some]), (2, 1));
    assert_eq!(scene.runs(&[yes(" ", &scene.document)]), (2, 0), "nobody's yes");
}

#[test]
fn one_no_outweighs_every_yes_whoever_says_it() {
    let scene = Scene::new(Sketch::of(400).suspends(2).grants(3, "Lab"));
    let all = ids(&scene.document, LaneKind::Revoke);
    let reject = [all[0].clone(), scene.stage()[0].clone()].into();
    let no = Approval { only: Some(BTreeSet::new()), reject, ..yes("", &scene.document) };
    let decisions = [yes("Ada", &scene.document), no, yes("Bo", &scene.document)];
    assert_eq!(scene.runs(&decisions), (1, 2));
    assert_eq!(left(&scene.approve(&decisions).expect("a plan"), LeftBecause::Rejected), 2);
}

#[test]
fn what_a_guard_holds_needs_two_persons_who_name_it() {
    let scene = Scene::new(Sketch::of(400).suspends(21));
    let (document, held) = (&scene.document, scene.held());
    assert_eq!(held.len(), 21);
    let named = |by: &str| overrule(by, document, &held);
    let whole = |by: &str| Approval { overrule: true, ..yes(by, document) };
    let plain = |by: &str| Approval { overrule: false, ..overrule(by, document, &held) };
    assert_eq!(scene.runs(&[]), (0, 0));
    assert_eq!(scene.runs(&[yes("Ada", document), yes("Bo", document)]), (0, 0));
    assert_eq!(scene.runs(&[whole("Ada"), whole("Bo")]), (0, 0), "names nobody");
    assert_eq!(scene.runs(&[plain("Ada"), plain("Bo")]), (0, 0), "says nothing about the guard");
    assert_eq!(scene.runs(&[named("Ada")]), (0, 0));
    assert_eq!(scene.runs(&[named("Ada"), named("Ada")]), (0, 0));
    assert_eq!(scene.runs(&[named("Ada"), named("Bo")]), (21, 0));
    let batch = |by: &str| overrule(by, document, &held[..5]);
    assert_eq!(scene.runs(&[batch("Ada"), batch("Bo")]), (5, 0), "those named, and no others");
    assert_eq!(scene.runs(&[batch("Ada"), overrule("Bo", document, &held[3..9])]), (2, 0), "those that both named");
}

#[test]
fn one_human_with_two_spellings_is_one_person() {
    let scene = Scene::new(Sketch::of(400).suspends(21));
    let held = scene.held();
    for (a, b) in [("Zo\u{eb} Lee", "zo\u{65}\u{308} LEE"), ("Ada", "  ada "), ("Ada Lee", "Ada\u{a0} Lee")] {
        let both = [overrule(a, &scene.document, &held), overrule(b, &scene.document, &held)];
        assert_eq!(scene.runs(&both), (0, 0), "{a} is {b}");
    }
}

#[test]
fn some_holds_need_one_person_and_some_give_way_to_nobody() {
    let protected = Scene::new(Sketch::of(400).suspends(1).protected());
    assert_eq!(protected.runs(&[yes("Ada", &protected.document)]), (0, 0), "not named");
    assert_eq!(protected.runs(&[overrule("Ada", &protected.document, &protected.held())]), (1, 0));
    let nobody = Scene::new(Sketch::of(400).suspends(1).facts(|facts| facts.people_active = 0));
    let both = ["Ada", "Bo"].map(|by| overrule(by, &nobody.document, &nobody.held()));
    assert_eq!((nobody.held().len(), nobody.runs(&both)), (1, (0, 0)));
}

#[test]
fn a_plan_too_old_from_the_future_or_for_something_else_is_refused_as_a_whole() {
    type Change = fn(&mut Scene);
    let table: [(Change, Refusal); 8] = [
        (|s| s.now = at(3600), Refusal::Expired { expired: at(3600) }),
        (|s| s.now = at(-1), Refusal::FromTheFuture { created: at(0) }),
        (|s| s.config_digest = "config-2".into(), Refusal::ConfigChanged),
        (|s| s.policy.digest = "policy-2".into(), Refusal::PolicyChanged { target: target() }),
        (|s| s.fingerprint = "hq-serial-2".into(), Refusal::OtherTarget { target: target() }),
        (|s| s.document.targets.clear(), Refusal::OtherTarget { target: target() }),
        (|s| s.journaled = s.document.entries.iter().map(|e| e.action.id.clone()).collect(), Refusal::Used),
        (
            // The file says that it is good for a year; the limits of now say a day.
            |s| (s.document.header.expires, s.now) = (at(31_536_000), at(24 * 3600)),
            Refusal::Expired { expired: at(24 * 3600) },
        ),
    ];
    for (change, refusal) in table {
        let mut scene = Scene::new(Sketch::of(400).suspends(2).grants(3, "Lab"));
        assert!(scene.approve(&[]).is_ok());
        change(&mut scene);
        assert_eq!(scene.approve(&[]), Err(refusal));
    }
}

#[test]
fn an_approval_of_another_plan_is_refused() {
    let scene = Scene::new(Sketch::of(400).grants(3, "Lab"));
    let other = Approval { plan: "0".repeat(64), ..yes("Ada", &scene.document) };
    assert_eq!(scene.approve(&[yes("Bo", &scene.document), other]), Err(Refusal::OtherPlan { by: "Ada".into() }));
}

#[test]
fn what_ran_does_not_run_again() {
    let mut scene = Scene::new(Sketch::of(400).suspends(2).grants(3, "Lab"));
    scene.journaled = ids(&scene.document, LaneKind::Revoke).into_iter().collect();
    let plan = scene.approve(&[yes("Ada", &scene.document)]).expect("a plan");
    assert_eq!((plan.revoke().len(), plan.len(), left(&plan, LeftBecause::Journaled)), (0, 3, 2));
}

#[test]
fn the_windows_are_looked_at_again_when_it_is_applied() {
    let mut scene = Scene::new(Sketch::of(400).suspends(10).grants(2, "Lab"));
    let all = [yes("Ada", &scene.document)];
    assert_eq!(scene.runs(&all), (10, 2));
    (scene.history.reduced_day, scene.history.reduced_week) = (30, 30);
    assert_eq!(scene.runs(&all), (10, 2));
    scene.history.reduced_day = 31;
    assert_eq!(scene.runs(&all), (0, 2), "grants go on");
    (scene.history.reduced_day, scene.history.reduced_week) = (0, 51);
    assert_eq!(scene.runs(&all), (0, 2));
    assert_eq!(left(&scene.approve(&all).expect("a plan"), LeftBecause::Held), 10);
    let revoke = ids(&scene.document, LaneKind::Revoke);
    let named = ["Ada", "Bo"].map(|by| overrule(by, &scene.document, &revoke[..4]));
    assert_eq!(scene.runs(&named), (4, 0), "those that two persons name");
    assert_eq!(scene.runs(&named[..1]), (0, 0));
}

#[test]
fn one_person_who_names_the_protected_does_not_open_the_windows_as_well() {
    let mut scene = Scene::new(Sketch::of(400).suspends(1).protected());
    let named = ["Ada", "Bo"].map(|by| overrule(by, &scene.document, &scene.held()));
    assert_eq!(scene.runs(&named[..1]), (1, 0));
    scene.history.reduced_day = 40;
    assert_eq!(scene.runs(&named[..1]), (0, 0));
    assert_eq!(scene.runs(&named), (1, 0));
}

#[test]
fn a_limit_that_was_lowered_since_holds() {
    let mut scene = Scene::new(Sketch::of(400).suspends(10));
    scene.limits.reductions_per_run = 9;
    assert_eq!(scene.runs(&[]), (0, 0));
}

#[test]
fn a_file_that_says_standing_is_not_believed() {
    let standing = Policy { approval: ApprovalPolicy::Standing, ..policy() };
    let sketch = || Sketch::of(400).grants(1, "Vault").staged(vec![Step::Reinstate], Situation::Confirmed);
    let mut scene = Scene::under(sketch(), standing, history(400));
    scene.document.entries.iter_mut().for_each(|entry| entry.state = EntryState::Standing);
    assert_eq!(scene.runs(&[]), (0, 0));
    let mut first = Scene::new(Sketch::of(400).suspends(2));
    assert_eq!(first.runs(&[]), (2, 0));
    first.history.applied_runs = 0;
    assert_eq!(first.runs(&[]), (0, 0));
    assert_eq!(first.runs(&[yes("Ada", &first.document)]), (2, 0));
}

#[test]
fn a_grant_among_reductions_is_refused() {
    let mut scene = Scene::new(Sketch::of(400).grants(1, "Lab"));
    scene.document.entries[0].lane = LaneKind::Revoke;
    let action = scene.document.entries[0].action.id.clone();
    assert_eq!(scene.approve(&[yes("Ada", &scene.document)]), Err(Refusal::WrongLane { action }));
    assert_eq!(scene.runs(&[]), (0, 0), "it never counts as a reduction that runs by itself");
}

#[test]
fn where_signatures_are_asked_for_a_name_is_none() {
    for approval in [ApprovalPolicy::Signed, ApprovalPolicy::TwoSigned] {
        let scene =
            Scene::under(Sketch::of(400).suspends(1).grants(1, "Lab"), Policy { approval, ..policy() }, history(400));
        assert_eq!(scene.runs(&[yes("Ada", &scene.document), yes("Bo", &scene.document)]), (1, 0));
    }
}

#[test]
fn standing_policy_runs_ordinary_grants_by_itself() {
    let standing = Policy { approval: ApprovalPolicy::Standing, ..policy() };
    let scene = Scene::under(Sketch::of(400).grants(2, "Lab").grants(1, "Vault").joiners(1), standing, history(400));
    assert_eq!(scene.runs(&[]), (0, 3));
}

#[test]
fn a_mapping_counts_as_applied_only_when_people_decided_about_all_it_does() {
    let first = History { applied_runs: 0, policy_digest: None, ..history(400) };
    let scene = Scene::under(Sketch::of(400).suspends(1).grants(1, "Lab"), policy(), first.clone());
    let applied = |approvals: &[Approval]| !scene.approve(approvals).expect("a plan").policies().is_empty();
    assert!(!applied(&[]));
    let some = Approval { only: Some(scene.stage().into_iter().collect()), ..yes("Ada", &scene.document) };
    assert!(!applied(std::slice::from_ref(&some)));
    let rest = Approval {
        only: Some(BTreeSet::new()),
        reject: ids(&scene.document, LaneKind::Revoke).into_iter().collect(),
        ..yes("Bo", &scene.document)
    };
    assert!(applied(&[some, rest]));
    assert!(applied(&[yes("Ada", &scene.document)]));
    let nothing_to_do = Scene::under(Sketch::of(400), policy(), first);
    assert!(nothing_to_do.approve(&[]).expect("a plan").policies().is_empty());
    let whole = [yes("Ada", &nothing_to_do.document)];
    assert!(!nothing_to_do.approve(&whole).expect("a plan").policies().is_empty(), "to have the mapping on record");
    let routine = Scene::new(Sketch::of(400).suspends(1).grants(1, "Lab"));
    assert!(!routine.approve(&[]).expect("a plan").policies().is_empty());
}

#[test]
fn levels_that_are_granted_and_taken_go_to_the_lane_they_came_from() {
    let mover = vec![Step::Reduce(Reduction::Revoke { level: level("HQ") }), Step::Grant { level: level("Lab") }];
    let scene = Scene::new(Sketch::of(400).suspends(1).staged(mover, Situation::Confirmed));
    let plan = scene.approve(&[yes("Ada", &scene.document)]).expect("a plan");
    assert_eq!(plan.revoke()[0].actions()[0].steps.iter().collect::<Vec<_>>(), [&Reduction::Suspend]);
    assert_eq!(plan.stage()[0].actions()[0].steps.iter().count(), 2);
    assert_eq!((plan.revoke()[0].target(), plan.stage()[0].target()), (&target(), &target()));
}

#[test]
fn a_match_is_not_remembered_while_what_rests_on_it_is_not_agreed() {
    // Records 1 and 2 are matched for the first time; record 1 would get a level.
    let scene = Scene::new(Sketch::of(400).matched(2).grants(1, "HQ"));
    let remembered = |approvals: &[Approval]| {
        let plan = scene.approve(approvals).expect("a plan that may run");
        plan.links().values().flatten().map(|link| link.cardholder.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(remembered(&[]), ["c000002"], "nobody has said yes to record 1 yet");
    let mut no = yes("Ada", &scene.document);
    no.reject = scene.document.entries.iter().map(|entry| entry.action.id.clone()).collect();
    assert_eq!(remembered(&[no]), ["c000002"], "a named no leaves no link behind");
    assert_eq!(remembered(&[yes("Ada", &scene.document)]), ["c000001", "c000002"]);
}

fn reinstating(sketch: Sketch) -> Scene {
    let mut scene = Scene::new(sketch);
    let held =
        crate::HeldBy { hold: crate::HoldId::of(run(), 0), since: at(1), by: "desk".into(), reason: "theft".into() };
    scene.document.header.by = Some("Carol Shaw".into());
    scene.document.header.directory = None;
    scene.document.header.reinstate = Some(crate::Reinstatement {
        who: "employee:1".into(),
        reason: "cleared".into(),
        holds: BTreeSet::from([held]),
        names: BTreeSet::from(["Dora Lovelace".to_owned()]),
        people: BTreeSet::new(),
        keys: lockstep_contract::CorrelationKeys::new(),
        records: BTreeMap::new(),
        left_out: BTreeSet::new(),
    });
    scene.document.digest = crate::jsonl::digest(&scene.document);
    scene
}

#[test]
fn a_hold_is_lifted_by_a_yes_to_the_whole_of_somebody_who_neither_asked_nor_is_meant() {
    let scene = reinstating(Sketch::of(400).grants(2, "Lab"));
    let document = &scene.document;
    let lifts = |decisions: &[Approval]| {
        let plan = scene.approve(decisions).expect("a plan");
        (plan.lift().is_some(), plan.len())
    };
    let whole = |by: &str| yes(by, document);
    for nobody in ["", " carol  SHAW ", "dora lovelace"] {
        assert_eq!(lifts(&[whole(nobody)]), (false, 0), "{nobody:?}");
    }
    let some = Approval { only: Some([scene.stage()[0].clone()].into()), ..whole("Ada") };
    assert_eq!(lifts(&[some]), (false, 0), "a part of it lifts nothing, so nothing of it runs");
    let but_one = Approval { reject: [scene.stage()[0].clone()].into(), ..whole("Ada") };
    assert_eq!(lifts(&[but_one]), (true, 1));
    let plan = scene.approve(&[whole("Carol Shaw"), whole(" Ada ")]).expect("a plan");
    let lift = plan.lift().expect("lifted");
    assert_eq!((lift.run, lift.by.as_deref()), (run(), Some("Carol Shaw")));
    assert_eq!(lift.approved_by, BTreeSet::from(["Ada".to_owned()]));
    assert!(plan.policies().is_empty(), "nobody saw there what the mapping does");
}

#[test]
fn a_hold_without_anything_to_give_back_is_lifted_once() {
    let mut scene = reinstating(Sketch::of(400));
    assert!(scene.document.entries.is_empty());
    assert!(scene.approve(&[]).expect("a plan").lift().is_none());
    let ada = [yes("Ada", &scene.document)];
    assert!(scene.approve(&ada).expect("a plan").lift().is_some());
    scene.lifted = true;
    assert_eq!(scene.approve(&ada), Err(Refusal::Used));
}

#[test]
fn a_name_lifts_nothing_where_signatures_are_asked_for() {
    let mut scene = reinstating(Sketch::of(400));
    scene.policy.approval = ApprovalPolicy::Signed;
    let ada = [yes("Ada", &scene.document)];
    assert!(scene.approve(&ada).expect("a plan").lift().is_none());
}

#[test]
fn nobody_says_yes_to_their_own_record() {
    let scene = Scene::new(Sketch::of(400).grants(3, "Lab"));
    let own = scene.document.entries.iter().filter(|entry| entry.who.name == scene.document.entries[0].who.name);
    let (own, name) = (own.count(), scene.document.entries[0].who.name.to_uppercase());
    assert!(own > 0 && !name.is_empty());
    assert_eq!(scene.runs(&[yes(&name, &scene.document)]), (0, 3 - own));
}
