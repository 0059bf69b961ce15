//! Tables per guard: the value that trips, and the one just below that does not.

use lockstep_contract::{CredentialId, Reduction, Situation, Step, Subject, Validity};

use super::*;
use crate::fixture::{Sketch, at, cardholder, group, history, level, policy};
use crate::{ApprovalPolicy, Code, LaneKind};

fn judged(sketch: Sketch, past: &History) -> Guarded {
    guard(sketch.draft(), &policy(), &Limits::default(), past)
}

fn codes(guarded: &Guarded) -> Vec<Code> {
    guarded.trips.iter().map(|trip| trip.code).collect()
}

/// Codes on a quiet past of as many people as the draft has.
fn trips(people: u64, sketch: Sketch) -> Vec<Code> {
    codes(&judged(sketch, &history(people)))
}

fn held(guarded: &Guarded) -> usize {
    guarded.states.values().filter(|state| matches!(state, EntryState::Held { .. })).count()
}

#[test]
fn a_quiet_plan_trips_nothing_and_reductions_run_by_themselves() {
    let guarded = judged(Sketch::of(400).suspends(3).grants(2, "Lab"), &history(400));
    assert!(guarded.trips.is_empty(), "{:?}", guarded.trips);
    let standing = guarded.draft.revoke.actions.iter().all(|a| guarded.state(&a.id) == Some(&EntryState::Standing));
    let waiting = guarded.draft.stage.actions.iter().all(|a| guarded.state(&a.id) == Some(&EntryState::NeedsApproval));
    assert!(standing && waiting);
}

#[test]
fn g1_blast_radius_is_the_smaller_of_number_and_percentage_but_three_people_always_may() {
    // (people, allowed)
    for (people, allowed) in [(5, 3), (40, 3), (79, 3), (80, 4), (100, 5), (400, 20), (500, 25), (5_000, 25)] {
        let quiet = trips(people, Sketch::of(people).suspends(allowed));
        assert!(!quiet.contains(&Code::BlastRadius), "{allowed} of {people} may");
        let loud = trips(people, Sketch::of(people).suspends(allowed + 1));
        assert!(loud.contains(&Code::BlastRadius), "{} of {people} may not", allowed + 1);
    }
}

#[test]
fn g1_holds_every_reduction_in_either_lane_and_no_grant() {
    let mover = vec![Reduction::Revoke { level: level("HQ") }.into(), Step::Grant { level: level("Lab") }];
    let guarded = judged(
        Sketch::of(100).suspends(5).staged(mover, Situation::Confirmed).grants(2, "Lab").department("Old"),
        &history(100),
    );
    assert_eq!(codes(&guarded), [Code::BlastRadius]);
    let trip = &guarded.trips[0];
    assert_eq!(trip.measured, "6 of 100 managed people (6.0 %) would lose access");
    assert_eq!(trip.allowed, "at most 5");
    assert_eq!(trip.setting.as_deref(), Some("limits.reductions_percent"));
    assert_eq!(trip.common.as_deref(), Some("all 6 are in department Old"));
    assert_eq!((trip.holds.len(), trip.overrule), (6, Overrule::TwoPersons));
    assert!(trip.holds.is_sorted());
    assert_eq!(held(&guarded), 6, "five leavers and the mover; the two grants go on");
}

#[test]
fn somebody_who_loses_twice_is_one_person() {
    let mut sketch = Sketch::of(60).suspends(3);
    let again = vec![Reduction::Revoke { level: level("HQ") }.into(), Step::Grant { level: level("Lab") }];
    let action = crate::fixture::action(cardholder(1), again, Situation::Confirmed, Vec::new());
    sketch.draft.stage.actions.push(action);
    assert!(trips(60, sketch).is_empty());
}

#[test]
fn g2_and_g3_count_what_was_lost_before() {
    // 400 people: 40 a day, 60 a week; whoever was switched off in the window still counts as one of the 400.
    let past = |day, week| History { reduced_day: day, reduced_week: week, ..history(400) };
    let sketch = |gone: u64| Sketch::of(400).facts(|facts| facts.managed = 400 - gone).suspends(10);
    assert!(codes(&judged(sketch(30), &past(30, 30))).is_empty());
    assert_eq!(codes(&judged(sketch(31), &past(31, 31))), [Code::RollingDay]);
    assert!(codes(&judged(sketch(50), &past(0, 50))).is_empty());
    assert_eq!(codes(&judged(sketch(51), &past(0, 51))), [Code::RollingWeek]);
    assert_eq!(codes(&judged(sketch(51), &past(51, 51))), [Code::RollingDay, Code::RollingWeek]);
    assert!(codes(&judged(Sketch::of(400).grants(1, "Lab"), &past(400, 400))).is_empty(), "nobody loses anything");
}

#[test]
fn at_22_a_slow_drip_of_three_percent_a_day_is_blocked_on_day_six_and_two_percent_passes() {
    let blocked_on = |a_day: u64| {
        let mut lost: Vec<u64> = Vec::new();
        (1..=10).find(|_| {
            let week: u64 = lost.iter().rev().take(6).sum();
            let past = History { reduced_day: 0, reduced_week: week, ..history(400) };
            let gone: u64 = lost.iter().sum();
            let sketch = Sketch::of(400).facts(|facts| facts.managed = 400 - gone).suspends(a_day);
            lost.push(a_day);
            let guarded = judged(sketch, &past);
            assert!(!codes(&guarded).contains(&Code::BlastRadius), "each day by itself is small");
            held(&guarded) == a_day as usize
        })
    };
    assert_eq!(blocked_on(12), Some(6));
    assert_eq!(blocked_on(8), None);
}

#[test]
fn g4_group_any_drop_to_zero_and_more_than_a_fifth_of_five_or_more() {
    // (before, now, trips)
    let table =
        [(1, 0, true), (0, 0, false), (4, 1, false), (5, 4, false), (5, 3, true), (100, 80, false), (100, 79, true)];
    for (before, now, expected) in table {
        let mut past = history(400);
        past.groups.insert(group("G-Lab"), before);
        let sketch = Sketch::of(400).members("G-Lab", Some(now));
        let tripped = codes(&judged(sketch, &past)).contains(&Code::GroupShrank);
        assert_eq!(tripped, expected, "{before} to {now}");
    }
}

#[test]
fn g4_a_group_that_cannot_be_read_did_not_shrink() {
    let mut past = history(400);
    past.groups.insert(group("G-Lab"), 100);
    let sketch = Sketch::of(400).members("G-Lab", None);
    assert!(codes(&judged(sketch, &past)).is_empty());
}

#[test]
fn g4_holds_only_what_rests_on_the_group() {
    let mut past = history(400);
    past.groups.insert(group("G-Lab"), 10);
    let sketch = Sketch::of(400)
        .members("G-Lab", Some(6))
        .revokes(4, "Lab", &["G-Lab", "G-Visit"])
        .revokes(2, "HQ", &["G-HQ"])
        .suspends(2);
    let guarded = judged(sketch, &past);
    assert_eq!(codes(&guarded), [Code::GroupShrank]);
    assert_eq!(guarded.trips[0].subject, "group G-Lab");
    assert_eq!(guarded.trips[0].measured, "4 of 10 members (40.0 %) gone");
    assert_eq!(guarded.trips[0].common.as_deref(), Some("all 4 rest on group G-Lab; all 4 rest on mappings/hq.toml:7"));
    assert_eq!(held(&guarded), 4);
}

#[test]
fn g4_a_leaver_goes_even_when_the_reason_names_a_group_that_shrank() {
    let mut past = history(400);
    past.groups.insert(group("G-Lab"), 10);
    let mut sketch = Sketch::of(400).members("G-Lab", Some(6)).revokes(1, "Lab", &["G-Lab"]).suspends(1);
    let leaver = sketch.draft.revoke.actions.last_mut().expect("the leaver");
    leaver.because.why = vec![
        crate::fixture::why("Lab", &["G-Lab"]),
        lockstep_contract::Why { level: None, ..crate::fixture::why("Lab", &["G-Lab"]) },
    ];
    let leaver = leaver.id.clone();
    let guarded = judged(sketch, &past);
    assert_eq!((codes(&guarded), held(&guarded)), (vec![Code::GroupShrank], 1));
    assert_eq!(guarded.state(&leaver), Some(&EntryState::Standing));
}

#[test]
fn g4_waiting_for_another_read_does_not_wear_the_guard_down() {
    // The past has forgotten: it was read once already as it is now.
    let mut past = history(400);
    past.groups.insert(group("G-HQ"), 0);
    let emptied = Sketch::of(400).members("G-HQ", Some(0)).revokes(2, "HQ", &["G-HQ"]);
    assert_eq!(codes(&judged(emptied, &past)), [Code::GroupShrank]);
    // Losing a level by joining a group that excludes says nothing about that group.
    past.groups.insert(group("G-Barred"), 2);
    let barred = Sketch::of(400).members("G-Barred", Some(6)).revokes(4, "Lab", &["G-Barred"]);
    past.groups.insert(group("G-HQ"), 400);
    assert!(codes(&judged(barred, &past)).is_empty());
}

#[test]
fn g4_level_any_drop_to_zero_and_more_than_a_fifth_of_five_or_more() {
    for (holders, lost, expected) in
        [(1, 1, true), (4, 3, false), (5, 1, false), (5, 2, true), (10, 2, false), (10, 3, true)]
    {
        let sketch = Sketch::of(400)
            .facts(|facts| {
                let level = facts.levels.get_mut(&level("Lab")).expect("Lab");
                (level.holders, level.holders_after) = (holders, holders);
            })
            .revokes(lost, "Lab", &["G-Lab", "G-Visit"])
            .revokes(1, "HQ", &["G-HQ"]);
        let guarded = judged(sketch, &history(400));
        let expect = if expected { vec![Code::LevelShrank] } else { vec![] };
        assert_eq!(codes(&guarded), expect, "{lost} of {holders}");
        assert_eq!(held(&guarded), if expected { lost as usize } else { 0 });
    }
}

#[test]
fn a_leaver_is_not_kept_in_because_nobody_else_holds_the_level() {
    let sketch = Sketch::of(400).suspends(1).facts(|facts| {
        let level = facts.levels.get_mut(&level("Vault")).expect("Vault");
        (level.holders, level.holders_after) = (1, 0);
    });
    assert!(trips(400, sketch).is_empty());
}

#[test]
fn a_leaver_whose_levels_are_taken_too_is_not_kept_in_either() {
    let mut sketch = Sketch::of(400).revokes(1, "Vault", &["G-Vault"]).suspends(1).facts(|facts| {
        let level = facts.levels.get_mut(&level("Vault")).expect("Vault");
        (level.holders, level.holders_after) = (2, 0);
    });
    let leaver = sketch.draft.revoke.actions.last_mut().expect("the leaver");
    let steps = vec![Reduction::Suspend, Reduction::Revoke { level: level("Vault") }];
    leaver.steps = lockstep_contract::Steps::new(steps).expect("some steps");
    let leaver = leaver.id.clone();
    let guarded = judged(sketch, &history(400));
    assert_eq!((codes(&guarded), held(&guarded)), (vec![Code::LevelShrank], 1));
    assert_eq!(guarded.state(&leaver), Some(&EntryState::Standing));
}

#[test]
fn the_ceiling_of_the_drop_limit_leaves_the_drop_to_zero() {
    let limits = Limits { group_drop_percent: 100, ..Limits::default() };
    let sketch = |lost| {
        Sketch::of(400)
            .facts(|facts| {
                let level = facts.levels.get_mut(&level("Lab")).expect("Lab");
                (level.holders, level.holders_after) = (10, 10);
            })
            .revokes(lost, "Lab", &["G-Lab", "G-Visit"])
            .draft()
    };
    assert!(guard(sketch(9), &policy(), &limits, &history(400)).trips.is_empty());
    assert_eq!(codes(&guard(sketch(10), &policy(), &limits, &history(400))), [Code::LevelShrank]);
}

#[test]
fn g5_more_than_a_tenth_fewer_people_than_the_median() {
    let past = History { people: vec![10, 400, 400, 400, 9_000, 400, 400], ..history(400) };
    for (active, expected) in [(400, false), (360, false), (359, true), (1, true)] {
        let sketch = Sketch::of(400).facts(|facts| facts.people_active = active).suspends(2).grants(1, "Lab");
        let guarded = judged(sketch, &past);
        assert_eq!(codes(&guarded).contains(&Code::SourceShrank), expected, "{active}");
        assert_eq!(held(&guarded), if expected { 2 } else { 0 }, "only who would lose access is held");
    }
}

#[test]
fn g6_nobody_on_either_side_stops_everything_and_nobody_may_overrule_it() {
    let source = judged(Sketch::of(400).facts(|f| f.people_active = 0).suspends(1).grants(1, "Lab"), &history(400));
    assert!(codes(&source).contains(&Code::NobodyLeft));
    assert_eq!(held(&source), 2);
    let pacs =
        judged(Sketch::of(400).facts(|facts| (facts.cardholders, facts.managed) = (0, 0)).joiners(8), &history(400));
    assert_eq!(codes(&pacs), [Code::NobodyLeft]);
    assert!(pacs.trips.iter().all(|trip| trip.overrule == Overrule::Nobody));
    assert_eq!(held(&pacs), 8);
}

#[test]
fn g6_an_empty_pacs_that_was_always_empty_is_a_beginning() {
    let past = History { cardholders: None, applied_runs: 0, people: Vec::new(), ..history(0) };
    let sketch = Sketch::of(0).facts(|facts| (facts.people, facts.people_active) = (40, 40)).joiners(40);
    let guarded = judged(sketch, &past);
    assert_eq!(codes(&guarded), [Code::FirstRun]);
    assert_eq!(held(&guarded), 0, "it waits for one person");
}

#[test]
fn g6_a_plan_that_switches_everybody_off_is_held_however_few_they_are() {
    assert_eq!(trips(3, Sketch::of(3).suspends(3)), [Code::NobodyLeft]);
    assert!(trips(3, Sketch::of(3).suspends(2)).is_empty());
    assert!(trips(1, Sketch::of(1).suspends(1)).is_empty());
}

#[test]
fn g7_a_flood_of_grants_is_held_and_reductions_go_on() {
    for (people, allowed) in [(5, 10), (100, 10), (400, 40)] {
        assert!(trips(people, Sketch::of(people).grants(allowed, "Lab")).is_empty(), "{allowed} of {people}");
        let guarded = judged(Sketch::of(people).grants(allowed, "Lab").joiners(1).suspends(1), &history(people));
        assert_eq!(codes(&guarded), [Code::GrantFlood], "one more of {people}");
        assert_eq!(held(&guarded) as u64, allowed + 1);
    }
    let details = vec![Step::Amend { profile: lockstep_contract::Profile::new() }];
    let many = (0..50).fold(Sketch::of(5), |sketch, _| sketch.staged(details.clone(), Situation::Confirmed));
    assert!(trips(5, many).is_empty(), "a changed name gives no access");
}

#[test]
fn g8_and_the_first_run_make_everything_wait_for_one_person() {
    let changed = History { policy_digest: Some("another".into()), ..history(400) };
    let forgotten = History { policy_digest: None, ..history(400) };
    let first = History { applied_runs: 0, ..history(400) };
    for (past, code) in [(changed, Code::PolicyChanged), (forgotten, Code::PolicyChanged), (first, Code::FirstRun)] {
        let guarded = judged(Sketch::of(400).suspends(2).grants(2, "Lab"), &past);
        assert_eq!(codes(&guarded), [code]);
        assert!(guarded.states.values().all(|state| *state == EntryState::NeedsApproval), "{code}");
        assert_eq!((guarded.trips[0].overrule, guarded.trips[0].holds.len()), (Overrule::OnePerson, 0));
    }
}

#[test]
fn the_first_run_may_fill_an_empty_pacs_but_not_switch_off_a_full_one() {
    let first = History { applied_runs: 0, policy_digest: None, ..history(400) };
    assert_eq!(codes(&judged(Sketch::of(400).joiners(200), &first)), [Code::FirstRun]);
    assert_eq!(codes(&judged(Sketch::of(400).suspends(21), &first)), [Code::BlastRadius, Code::FirstRun]);
}

#[test]
fn whoever_is_matched_in_the_first_run_is_one_of_those_that_percentages_are_of() {
    let first = History { applied_runs: 0, policy_digest: None, cardholders: None, people: Vec::new(), ..history(400) };
    let sketch = |losing| Sketch::of(400).facts(|facts| facts.managed = 0).matched(400).suspends(losing);
    assert_eq!(codes(&judged(sketch(20), &first)), [Code::FirstRun]);
    assert_eq!(codes(&judged(sketch(21), &first)), [Code::BlastRadius, Code::FirstRun]);
}

#[test]
fn evidence_a_few_unreadable_groups_freeze_only_their_own() {
    // (groups, unreadable, trips)
    for (groups, unreadable, expected) in
        [(1, 1, true), (2, 1, false), (2, 2, true), (10, 1, false), (10, 2, true), (50, 5, false), (50, 6, true)]
    {
        let sketch = Sketch::of(400).suspends(1).grants(1, "Lab").facts(|facts| {
            facts.groups = (0..groups).map(|n| (group(&format!("g{n}")), (n >= unreadable).then_some(9))).collect();
        });
        let guarded = judged(sketch, &history(400));
        assert_eq!(codes(&guarded).contains(&Code::Evidence), expected, "{unreadable} of {groups}");
        assert_eq!(held(&guarded), if expected { 2 } else { 0 });
    }
    let strict = Limits { unreadable_groups_percent: 0, ..Limits::default() };
    let one = Sketch::of(400).members("G-HQ", None).draft();
    assert_eq!(codes(&guard(one, &policy(), &strict, &history(400))), [Code::Evidence]);
}

#[test]
fn an_unknown_level_holds_whoever_it_is_about_and_nobody_may_overrule_it() {
    let sketch = Sketch::of(400)
        .facts(|facts| facts.levels.get_mut(&level("Lab")).expect("Lab").exists = false)
        .grants(1, "Lab")
        .grants(1, "HQ");
    let guarded = judged(sketch, &history(400));
    assert_eq!(codes(&guarded), [Code::UnknownLevel]);
    assert_eq!(guarded.trips[0].measured, "not in the catalog of hq; named by mappings/hq.toml:7");
    assert_eq!((held(&guarded), guarded.trips[0].overrule), (1, Overrule::Nobody));
}

#[test]
fn the_protected_are_held_until_one_person_names_them() {
    let guarded = judged(Sketch::of(400).suspends(2).protected().suspends(1), &history(400));
    assert_eq!(codes(&guarded), [Code::Protected]);
    assert_eq!((held(&guarded), guarded.trips[0].overrule), (2, Overrule::OnePerson));
}

#[test]
fn a_grant_to_the_protected_is_a_grant_like_any_other() {
    let mut sketch = Sketch::of(400).grants(1, "Lab");
    sketch.draft.protected = sketch.draft.stage.actions.iter().map(|action| action.id.clone()).collect();
    assert!(trips(400, sketch).is_empty());
}

#[test]
fn what_most_have_in_common_is_named_and_what_few_have_is_not() {
    let common = |in_old: u64, elsewhere: u64| {
        let mut sketch = Sketch::of(100).suspends(in_old).department("Old").suspends(elsewhere);
        sketch.draft.who.values_mut().for_each(|who| who.title = Some(who.name.clone()));
        judged(sketch, &history(100)).trips[0].common.clone()
    };
    assert_eq!(common(10, 0).as_deref(), Some("all 10 are in department Old"));
    assert_eq!(common(8, 2).as_deref(), Some("8 of 10 are in department Old"));
    assert_eq!(common(7, 3), None);
}

#[test]
fn standing_policy_lets_ordinary_steps_run_and_nothing_else() {
    let standing = Policy { approval: ApprovalPolicy::Standing, ..policy() };
    let grant = |id: &str| Step::Grant { level: level(id) };
    let revoke = || Step::Reduce(Reduction::Revoke { level: level("HQ") });
    let widen = Step::Widen { validity: Validity::ALWAYS };
    let activate = Step::Activate { credential: CredentialId::new("c").expect("id") };
    let table = [
        (vec![grant("Lab")], Situation::Confirmed, true),
        (vec![grant("Lab")], Situation::Found, true),
        (vec![revoke(), grant("Lab")], Situation::Confirmed, true),
        (vec![revoke(), grant("Lab")], Situation::Found, false),
        (vec![grant("Vault")], Situation::Confirmed, false),
        (vec![grant("Lab"), grant("Vault")], Situation::Confirmed, false),
        (vec![grant("Elsewhere")], Situation::Confirmed, false),
        (vec![Step::Reinstate], Situation::Confirmed, false),
        (vec![widen], Situation::Confirmed, false),
        (vec![activate], Situation::Confirmed, false),
        (vec![grant("Lab")], Situation::Missing, false),
        (vec![grant("Lab")], Situation::Held, false),
    ];
    for (steps, situation, runs) in table {
        let draft = Sketch::of(400).staged(steps.clone(), situation).draft();
        let guarded = guard(draft, &standing, &Limits::default(), &history(400));
        let expect = if runs { EntryState::Standing } else { EntryState::NeedsApproval };
        assert_eq!(guarded.states.values().collect::<Vec<_>>(), [&expect], "{steps:?} {situation:?}");
    }
    let mut twice = standing.clone();
    twice.levels.push(crate::Rule { high_security: true, ..twice.rule(&level("Lab")).expect("Lab").clone() });
    let guarded = guard(Sketch::of(400).grants(1, "Lab").draft(), &twice, &Limits::default(), &history(400));
    assert!(
        guarded.states.values().all(|state| *state == EntryState::NeedsApproval),
        "one rule of the level tags it high-security"
    );
    let joiner = guard(Sketch::of(400).joiners(1).draft(), &standing, &Limits::default(), &history(400));
    assert!(joiner.states.values().all(|state| *state == EntryState::Standing));
}

#[test]
fn a_high_security_grant_is_said_aloud() {
    let guarded = judged(Sketch::of(400).grants(2, "Vault"), &history(400));
    assert!(guarded.trips.is_empty());
    let notes: Vec<_> = guarded.draft.findings.iter().map(|f| (f.code, f.subject.as_str())).collect();
    assert_eq!(notes, [(Code::HighSecurity, "level Vault")]);
}

#[test]
fn a_rollback_always_waits_and_is_judged_by_the_size_of_the_target() {
    let standing = Policy { approval: ApprovalPolicy::Standing, ..policy() };
    let undo = |sketch: Sketch| {
        let mut draft = sketch.draft();
        draft.undo = true;
        (draft.facts.people_active, draft.facts.managed, draft.facts.cardholders) = (0, 2, 2);
        draft
    };
    let guarded = guard(undo(Sketch::of(400).grants(50, "Lab")), &standing, &Limits::default(), &history(400));
    assert!(guarded.trips.is_empty(), "{:?}", guarded.trips);
    assert!(guarded.states.values().all(|state| *state == EntryState::NeedsApproval));
    let many = guard(undo(Sketch::of(400).revokes(21, "Lab", &[])), &standing, &Limits::default(), &history(400));
    assert_eq!(codes(&many), [Code::BlastRadius], "20 of the 400 at the last reading may");
}

#[test]
fn limits_out_of_range_do_not_switch_a_guard_off() {
    let loose = Limits { reductions_per_run: u32::MAX, reductions_percent: u32::MAX, ..Limits::default() };
    let guarded = guard(Sketch::of(100).suspends(51).draft(), &policy(), &loose, &history(100));
    assert!(codes(&guarded).contains(&Code::BlastRadius), "50 % is the ceiling");
    assert_eq!(guarded.limits, loose.clamped());
}

/// AT-20: what a directory can do to everybody at once. Each returns a draft over `people`, and the past it meets.
fn mass_changes(people: u64) -> Vec<(&'static str, Sketch, History)> {
    let quiet = || history(people);
    let shrunk = |group_name: &str, members: u64| {
        let mut past = history(people);
        past.groups.insert(group(group_name), members);
        past
    };
    let emptied = |sketch: Sketch, name: &str| sketch.members(name, Some(0));
    let active = |sketch: Sketch, n: u64| sketch.facts(|facts| facts.people_active = n);
    let half = people / 2;
    let mover = || vec![Reduction::Revoke { level: level("HQ") }.into(), Step::Grant { level: level("Lab") }];
    let narrow = || Reduction::Narrow { validity: Validity { from: None, until: Some(at(0)) } };
    let with_all = |mut sketch: Sketch, make: &dyn Fn(&mut Sketch)| {
        (0..people).for_each(|_| make(&mut sketch));
        sketch
    };
    vec![
        ("everybody is disabled", active(Sketch::of(people).suspends(people), 0), quiet()),
        ("everybody is removed", active(Sketch::of(people).suspends(people), 0), quiet()),
        ("everybody but one is disabled", active(Sketch::of(people).suspends(people - 1), 1), quiet()),
        ("half are disabled", active(Sketch::of(people).suspends(half.max(4)), people - half), quiet()),
        (
            "a fifth and three are disabled",
            active(Sketch::of(people).suspends(people / 5 + 3), people * 4 / 5 - 3 + 1),
            quiet(),
        ),
        (
            "the one group is emptied",
            emptied(Sketch::of(people).revokes(people, "HQ", &["G-HQ"]), "G-HQ"),
            shrunk("G-HQ", people),
        ),
        (
            "one of two groups is emptied",
            emptied(Sketch::of(people).revokes(half, "Lab", &["G-Lab", "G-Visit"]), "G-Lab"),
            shrunk("G-Lab", half),
        ),
        (
            "a group is emptied and was read so before",
            emptied(Sketch::of(people).revokes(people, "HQ", &["G-HQ"]), "G-HQ"),
            shrunk("G-HQ", 0),
        ),
        (
            "a group is renamed and reads as empty",
            emptied(Sketch::of(people).revokes(half, "Lab", &["G-Lab"]), "G-Lab"),
            quiet(),
        ),
        ("the unit moved out of the search base", Sketch::of(people).suspends(people).department("Old"), quiet()),
        ("a filter hides most", active(Sketch::of(people).suspends(people * 9 / 10), people / 10), quiet()),
        ("everybody joins a group that excludes", Sketch::of(people).revokes(half, "Lab", &["G-Barred"]), quiet()),
        (
            "everybody moves to another level",
            (0..people).fold(Sketch::of(people), |s, _| s.staged(mover(), Situation::Confirmed)),
            quiet(),
        ),
        ("every validity ends", with_all(Sketch::of(people), &|s| s.reduce_for_test(narrow())), quiet()),
        (
            "every card is switched off",
            with_all(Sketch::of(people), &|s| {
                s.reduce_for_test(Reduction::Deactivate {
                    credential: CredentialId::new("c").expect("id"),
                    status: lockstep_contract::InactiveStatus::Disabled,
                });
            }),
            quiet(),
        ),
        (
            "two levels are lost by different halves",
            Sketch::of(people).revokes(half, "Lab", &["G-Lab"]).revokes(people - half, "HQ", &["G-HQ"]),
            quiet(),
        ),
        ("on top of a busy day", Sketch::of(people).suspends(3), History { reduced_day: people / 10 + 3, ..quiet() }),
        (
            "on top of a busy week",
            Sketch::of(people).suspends(3),
            History { reduced_week: people * 15 / 100 + 1, ..quiet() },
        ),
        (
            "everybody at once in the first run",
            Sketch::of(people).suspends(people),
            History { applied_runs: 0, ..quiet() },
        ),
        (
            "a mapping line is deleted",
            Sketch::of(people).revokes(people, "HQ", &[]),
            History { policy_digest: Some("before".into()), ..quiet() },
        ),
    ]
}

#[test]
fn at_20_no_mass_change_lets_anybody_lose_access_unheld_beyond_the_limits() {
    for people in [5, 40, 100, 5_000] {
        let scenarios = mass_changes(people);
        assert_eq!(scenarios.len(), 20);
        for (name, sketch, past) in scenarios {
            let guarded = judged(sketch, &past);
            let free: BTreeSet<&Subject> = guarded
                .draft
                .revoke
                .actions
                .iter()
                .map(|a| (&a.id, &a.subject))
                .chain(
                    guarded
                        .draft
                        .stage
                        .actions
                        .iter()
                        .filter(|a| Item::stage(a).reduces())
                        .map(|a| (&a.id, &a.subject)),
                )
                .filter(|(id, _)| !matches!(guarded.state(id), Some(EntryState::Held { .. })))
                .map(|(_, subject)| subject)
                .collect();
            assert!(
                free.is_empty(),
                "{name}, {people} people: {} would lose access unheld: {:?}",
                free.len(),
                guarded.trips
            );
        }
    }
}

#[test]
fn every_trip_says_what_was_measured_against_what_and_holds_what_says_so() {
    for (name, sketch, past) in mass_changes(100) {
        let guarded = judged(sketch, &past);
        assert!(!guarded.trips.is_empty(), "{name}");
        for (index, trip) in guarded.trips.iter().enumerate() {
            assert!(!trip.measured.is_empty() && !trip.allowed.is_empty() && !trip.subject.is_empty(), "{name}");
            for (id, state) in &guarded.states {
                let says = matches!(state, EntryState::Held { trips } if trips.contains(&index));
                assert_eq!(says, trip.holds.contains(id), "{name}");
            }
        }
    }
}

#[test]
fn lanes_do_not_change_what_counts() {
    let staged = Sketch::of(100)
        .suspends(3)
        .staged(vec![Reduction::Suspend.into()], Situation::Found)
        .staged(vec![Reduction::Suspend.into()], Situation::Found)
        .staged(vec![Reduction::Suspend.into()], Situation::Found);
    let guarded = judged(staged, &history(100));
    assert_eq!(codes(&guarded), [Code::BlastRadius]);
    let lanes: BTreeSet<LaneKind> =
        guarded
            .trips
            .iter()
            .flat_map(|trip| &trip.holds)
            .map(|id| {
                if guarded.draft.stage.actions.iter().any(|a| a.id == *id) { LaneKind::Stage } else { LaneKind::Revoke }
            })
            .collect();
    assert_eq!(lanes.len(), 2);
}
