//! From two readings to what may run, through every stage of the core: accidents that happen to directories and
//! mappings must not lock anybody out, and what is approved must be exactly what runs.

mod world;

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{EmptyProof, Membership, Proof, RunId, Standing, Subject};
use lockstep_core::{
    Approval, ApprovalPolicy, Approved, ApprovedPlan, Code, Conditions, Entry, Header, History, Holds, Limits, Looked,
    OutOfScope, PLAN_FORMAT, PlanDocument, Refusal, ScopeRule, Settled, TargetConditions, UndoInputs, approve, guard,
    inverse,
};
use world::{World, at, fault, field, group, level, pid, rule, run};

/// So many people who are linked and in step: all in the office, half in the lab, a quarter in the vault.
fn settled_world(people: u32) -> World {
    let mut world = World::new();
    for n in 1..=people {
        world.pair(n);
        world.has(n, &["office"]);
        if n % 2 == 0 {
            world.has(n, &["lab"]);
        }
        if n % 4 == 0 {
            world.has(n, &["vault"]);
        }
    }
    let every = |step: u32| (1..=people).filter(|n| n % step == 0).collect::<Vec<_>>();
    world.members("office", &every(1));
    if people >= 4 {
        world.members("lab", &every(2));
        world.members("vault", &every(4));
        world.members("cleared", &every(4));
    }
    world
}

/// What a quiet year leaves behind.
fn past(world: &World) -> History {
    let draft = world.plan();
    assert!(draft.is_empty(), "the world is in step");
    let facts = draft.facts();
    History {
        applied_runs: 300,
        people: vec![facts.people_active; 7],
        groups: facts.groups.iter().filter_map(|(group, members)| Some((group.clone(), (*members)?))).collect(),
        levels: facts.levels.iter().map(|(level, facts)| (level.clone(), facts.holders)).collect(),
        cardholders: Some(facts.cardholders),
        managed: Some(facts.managed),
        reduced_hour: 0,
        reduced_day: 0,
        reduced_week: 0,
        policy_digest: Some(world.policy.digest.clone()),
    }
}

fn header() -> Header {
    Header {
        format: PLAN_FORMAT.into(),
        run: run(),
        created: at(1_000),
        expires: at(1_000 + 86_400),
        version: "0.1.0".into(),
        directory: Some(lockstep_contract::DirectoryId::new("corp").expect("id")),
        config_digest: "config".into(),
        by: None,
        occasion: lockstep_core::Occasion::Run,
        reinstate: None,
    }
}

/// The plan as it comes back from its file.
fn document(world: &World, history: &History) -> PlanDocument {
    let guarded = guard(world.plan(), &world.policy, &Limits::default(), history);
    let document = PlanDocument::build(header(), vec![(world.target.clone(), guarded)]);
    let read = PlanDocument::parse(&document.to_jsonl()).expect("what is written can be read");
    assert_eq!(read, document);
    read
}

fn approved(
    world: &World,
    history: &History,
    document: &PlanDocument,
    approvals: &[Approval],
) -> Result<ApprovedPlan, Refusal> {
    let limits = Limits::default();
    let target =
        TargetConditions { fingerprint: &world.target.fingerprint, policy: &world.policy, limits: &limits, history };
    approve(
        document,
        approvals,
        &Conditions {
            now: at(1_060),
            config_digest: "config",
            journaled: &BTreeSet::new(),
            lifted: false,
            targets: BTreeMap::from([(world.target.id.clone(), target)]),
        },
    )
}

fn yes(by: &str, document: &PlanDocument) -> Approval {
    Approval {
        by: by.into(),
        at: at(1_030),
        plan: document.digest.clone(),
        only: None,
        reject: BTreeSet::new(),
        overrule: false,
        note: String::new(),
    }
}

/// Who would lose something, of all that may run.
fn losing(plan: &ApprovedPlan) -> BTreeSet<Subject> {
    let revoke = plan.revoke().iter().flat_map(Approved::actions).map(|action| action.subject.clone());
    let stage = plan.stage().iter().flat_map(Approved::actions);
    let stage = stage.filter(|action| action.steps.iter().any(|step| step.as_reduction().is_some()));
    revoke.chain(stage.map(|action| action.subject.clone())).collect()
}

type Accident = (&'static str, fn(&mut World, u32));

/// Things that happened to somebody, somewhere, and were not meant.
const ACCIDENTS: [Accident; 20] = [
    ("every account is disabled", |w, _| end(w, |_| true)),
    ("half of all accounts are disabled", |w, _| end(w, |n| n % 2 == 0)),
    ("four of ten accounts are disabled", |w, _| end(w, |n| n % 5 < 2)),
    ("every account is deleted", |w, people| vanish(w, people, |_| Looked::Gone(Proof::Tombstone))),
    ("everybody is missing and in doubt", |w, people| vanish(w, people, |_| Looked::Doubt(fault()))),
    ("everybody is missing and nobody was asked", |w, _| w.people.clear()),
    ("the unit moved out of the search base", |w, people| {
        w.policy.out_of_scope = OutOfScope::Leaver;
        vanish(w, people, |_| Looked::Elsewhere(Standing::Active));
    }),
    ("a filter excludes everybody", |w, _| {
        w.policy.out_of_scope = OutOfScope::Leaver;
        let source = rule("office", &["office"], 1).source;
        w.policy.scope = vec![ScopeRule { field: field("department"), any: ["Reserch".to_owned()].into(), source }];
    }),
    ("the group of all is emptied", |w, _| empty(w, "office")),
    ("the group of half is emptied", |w, _| empty(w, "lab")),
    ("the group that all of them need is emptied", |w, _| empty(w, "cleared")),
    ("everybody is put into the group that excludes", |w, people| {
        w.members("barred", &(1..=people).collect::<Vec<_>>());
    }),
    ("a group loses four of ten", |w, people| {
        w.members("office", &(1..=people).filter(|n| n % 5 > 1).collect::<Vec<_>>());
    }),
    ("two groups are swapped", |w, people| {
        w.members("lab", &(1..=people).filter(|n| n % 2 == 1).collect::<Vec<_>>());
    }),
    ("no group can be read", |w, _| {
        let names: Vec<_> = w.groups.iter().map(|(group, _)| group.clone()).collect();
        w.groups = names.into_iter().map(|group| (group, Membership::Unreadable(fault()))).collect();
    }),
    ("every group looks empty", |w, _| {
        let names: Vec<_> = w.groups.iter().map(|(group, _)| group.clone()).collect();
        w.groups = names.into_iter().map(|group| (group, Membership::Unproven)).collect();
    }),
    ("every group is empty, and the server swears it", |w, _| {
        let names: Vec<_> = w.groups.iter().map(|(group, _)| group.clone()).collect();
        w.groups = names.into_iter().map(|group| (group, Membership::Empty(EmptyProof::ServerCount))).collect();
    }),
    ("a mapping line names another group", |w, _| {
        w.policy.levels[1] = rule("office", &["lab-visitors"], 20);
        w.policy.digest = "edited".into();
    }),
    ("two levels are swapped in the mapping", |w, _| {
        w.policy.levels[0] = rule("office", &["lab"], 10);
        w.policy.levels[1] = rule("lab", &["office"], 20);
        w.policy.digest = "edited".into();
    }),
    ("the groups and half of the accounts are gone at once", |w, _| {
        empty(w, "office");
        empty(w, "lab");
        end(w, |n| n % 2 == 1);
    }),
];

fn end(world: &mut World, which: fn(u32) -> bool) {
    for (n, person) in (1..).zip(&mut world.people) {
        if which(n) {
            person.standing = Standing::Ended { since: None };
        }
    }
}

fn vanish(world: &mut World, people: u32, looked: fn(u32) -> Looked) {
    world.people.clear();
    world.looked = (1..=people).map(|n| (pid(n), looked(n))).collect();
}

fn empty(world: &mut World, name: &str) {
    world.membership(name, Membership::Empty(EmptyProof::ServerCount));
}

/// AT-20, on real plans: whatever happened, by itself nothing beyond the limits runs, and not even when one person says
/// yes to everything without naming anybody.
#[test]
fn no_accident_lets_more_people_lose_access_than_the_limits_say() {
    for people in [5, 40, 100, 200] {
        let calm = settled_world(people);
        let history = past(&calm);
        let allowed = (u64::from(people) / 20).clamp(3, 25) as usize;
        for (name, happen) in ACCIDENTS {
            let mut world = calm.clone();
            happen(&mut world, people);
            let document = document(&world, &history);
            for approvals in [vec![], vec![yes("Ada", &document)], vec![yes("Ada", &document), yes("Bo", &document)]] {
                let plan = approved(&world, &history, &document, &approvals).expect("the plan is fresh");
                let count = losing(&plan).len();
                assert!(count <= allowed, "{name}, {people} people, {} yes: {count} lose access", approvals.len());
            }
            let by_itself = approved(&world, &history, &document, &[]).expect("the plan is fresh");
            assert!(losing(&by_itself).is_empty() || people == 5, "{name}, {people} people, unattended");
        }
    }
}

/// The mass changes that are accidents say so: something trips, and it names what the people have in common.
#[test]
fn accidents_are_named() {
    let calm = settled_world(100);
    let history = past(&calm);
    let codes = |happen: fn(&mut World, u32)| {
        let mut world = calm.clone();
        happen(&mut world, 100);
        let document = document(&world, &history);
        let trips = document.targets[0].trips.iter().map(|trip| trip.code).collect::<BTreeSet<_>>();
        let common: Vec<String> = document.targets[0].trips.iter().filter_map(|trip| trip.common.clone()).collect();
        (trips, common.join(" / "))
    };
    let (disabled, common) = codes(ACCIDENTS[0].1);
    assert!(disabled.is_superset(&[Code::BlastRadius, Code::SourceShrank, Code::NobodyLeft].into()), "{disabled:?}");
    assert!(common.contains("all 100 are in department Research"), "{common}");
    let (emptied, common) = codes(ACCIDENTS[9].1);
    assert!(emptied.is_superset(&[Code::BlastRadius, Code::GroupShrank, Code::LevelShrank].into()), "{emptied:?}");
    assert!(common.contains("all 50 rest on group lab"), "{common}");
    let (edited, common) = codes(ACCIDENTS[17].1);
    assert!(edited.is_superset(&[Code::PolicyChanged, Code::LevelShrank].into()), "{edited:?}");
    assert!(common.contains("rest on mappings/hq.toml:20"), "{common}");
    assert!(codes(ACCIDENTS[14].1).0.contains(&Code::Evidence));
}

#[test]
fn a_leaver_does_not_wait_for_an_edited_mapping_and_does_not_make_it_known() {
    let mut world = settled_world(100);
    let history = past(&world);
    world.policy.digest = "edited".into();
    end(&mut world, |n| n == 7);
    world.hold(8);
    let waiting = document(&world, &history);
    let by_itself = approved(&world, &history, &waiting, &[]).expect("a plan");
    assert_eq!((losing(&by_itself).len(), by_itself.stage().len()), (2, 0), "the leaver, and whoever is out by name");
    assert!(by_itself.policies().is_empty() && by_itself.links().is_empty(), "nobody has seen the mapping yet");
    let whole = approved(&world, &history, &waiting, &[yes("Ada", &waiting)]).expect("a plan");
    assert!(!whole.policies().is_empty());
    // A line of the mapping that puts somebody out is one of those that nobody has seen.
    let mut scoped = settled_world(100);
    scoped.policy.digest = "edited".into();
    scoped.policy.out_of_scope = lockstep_core::OutOfScope::Leaver;
    scoped.people.retain(|person| person.id != pid(7));
    scoped.looked.insert(pid(7), Looked::Elsewhere(Standing::Active));
    let waiting = document(&scoped, &history);
    assert_eq!(waiting.entries.len(), 1);
    assert!(approved(&scoped, &history, &waiting, &[]).expect("a plan").is_empty());
}

#[test]
fn a_working_day_runs_by_itself_what_takes_away_and_waits_with_the_rest() {
    let mut world = settled_world(100);
    let history = past(&world);
    end(&mut world, |n| n == 7 || n == 8);
    world.members("lab", &(1..=100).filter(|n| n % 2 == 0 || *n == 9).collect::<Vec<_>>());
    world.person(101);
    world.members("office", &(1..=101).collect::<Vec<_>>());
    let document = document(&world, &history);
    assert!(document.targets[0].trips.is_empty(), "{:?}", document.targets[0].trips);
    let by_itself = approved(&world, &history, &document, &[]).expect("a plan");
    assert_eq!((by_itself.len(), by_itself.stage().len()), (2, 0));
    let whole = approved(&world, &history, &document, &[yes("Ada", &document)]).expect("a plan");
    assert_eq!(whole.len(), document.entries.len());

    world.policy.approval = ApprovalPolicy::Standing;
    let unattended = self::document(&world, &history);
    let plan = approved(&world, &history, &unattended, &[]).expect("a plan");
    assert_eq!(plan.len(), unattended.entries.len(), "grants of ordinary levels and the joiner, too");
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let build = |reverse: bool| {
        let mut world = settled_world(40);
        let history = past(&world);
        end(&mut world, |n| n % 9 == 0);
        world.person(41);
        if reverse {
            world.people.reverse();
            world.cardholders.reverse();
            world.groups.reverse();
            world.links.reverse();
        }
        document(&world, &history).to_jsonl()
    };
    assert_eq!(build(false), build(true));
}

#[test]
fn what_a_plan_did_can_be_undone_and_undoing_waits_for_a_person() {
    let calm = settled_world(40);
    let history = past(&calm);
    let mut world = calm.clone();
    end(&mut world, |n| n == 3 || n == 4);
    world.members("lab", &(1..=40).filter(|n| n % 2 == 0 || *n == 9).collect::<Vec<_>>());
    let document = document(&world, &history);
    let plan = approved(&world, &history, &document, &[yes("Ada", &document)]).expect("a plan");
    let mut done = Vec::new();
    let revoke = plan.revoke().iter().flat_map(Approved::actions).map(lockstep_contract::Action::to_steps);
    let stage = plan.stage().iter().flat_map(Approved::actions).cloned();
    for action in revoke.chain(stage) {
        let find = |world: &World| {
            let Subject::Existing(id) = &action.subject else { panic!("nobody joins here") };
            world.cardholders.iter().find(|record| record.id == *id).cloned().expect("it is there")
        };
        let before = find(&world);
        world.apply_action(&action);
        done.push(Settled { action: action.clone(), before: Some(before), after: find(&world) });
    }
    assert_eq!(done.len(), 3);

    let now = world.cardholders.iter().map(|record| (record.id.clone(), record.clone())).collect();
    let undo = UndoInputs {
        target: &world.target,
        done: &done,
        now_on_pacs: &now,
        holds: &Holds::default(),
        run: RunId::new(uuid::Uuid::from_u128(2)),
        now: at(2_000),
    };
    let guarded = guard(inverse(undo), &world.policy, &Limits::default(), &history);
    let header = Header { run: undo.run, directory: None, ..header() };
    let back = PlanDocument::build(header, vec![(world.target.clone(), guarded)]);
    let back = PlanDocument::parse(&back.to_jsonl()).expect("a plan");
    assert!(approved(&world, &history, &back, &[]).expect("a plan").is_empty(), "nobody said yes");
    let plan = approved(&world, &history, &back, &[yes("Ada", &back)]).expect("a plan");
    assert_eq!(plan.len(), 3);
    for action in plan.stage().iter().flat_map(Approved::actions) {
        world.apply_action(action);
    }
    assert_eq!(world.cardholders, calm.cardholders);
}

#[test]
fn the_protected_keep_their_access_until_one_person_names_them() {
    let mut world = settled_world(40);
    let history = past(&world);
    world.policy.protected = [world::employee("3")].into();
    end(&mut world, |n| n == 3 || n == 5);
    let document = document(&world, &history);
    let whole = approved(&world, &history, &document, &[yes("Ada", &document)]).expect("a plan");
    assert_eq!(losing(&whole), [Subject::Existing(world::cid(5))].into());
    let held: BTreeSet<_> = document
        .in_state(|state| matches!(state, lockstep_core::EntryState::Held { .. }))
        .map(|entry: &Entry| entry.action.id.clone())
        .collect();
    let named = Approval { only: Some(held), overrule: true, ..yes("Ada", &document) };
    assert_eq!(losing(&approved(&world, &history, &document, &[named]).expect("a plan")).len(), 2);
}

#[test]
fn a_level_that_does_not_exist_stops_nobody_else() {
    let mut world = settled_world(40);
    world.catalog.levels.remove(&level("vault"));
    for record in &mut world.cardholders {
        record.levels.remove(&level("vault"));
    }
    let mut history = past(&settled_world(40));
    history.groups.insert(group("vault"), 10);
    end(&mut world, |n| n == 3);
    let document = document(&world, &history);
    let codes: Vec<Code> = document.targets[0].trips.iter().map(|trip| trip.code).collect();
    assert_eq!(codes, [Code::UnknownLevel]);
    assert_eq!(losing(&approved(&world, &history, &document, &[]).expect("a plan")).len(), 1);
}
