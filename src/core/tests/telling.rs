//! What a plan tells its reader: reasons, sums, findings, and the same decisions explained for one person.

mod world;

use lockstep_contract::{
    CredentialStatus, EmptyProof, Entitled, KeyKind, Membership, Proof, Situation, Standing, Status, Step,
};
use lockstep_core::{Code, Looked, Mover, Severity};
use world::{ENDED, World, card_credential, cid, employee, fault, group, key, level, pid, tell};

#[test]
fn protected_badges_are_named() {
    let mut world = World::new();
    world.pair(1);
    world.who(1).standing = ENDED;
    world.policy.protected.insert(employee("1"));
    assert_eq!(tell(&world.plan()), ["revoke c1 Unqualified: suspend", "LS0118 P1"]);
    world.who(1).standing = Standing::Active;
    world.members("lab", &[1]);
    assert_eq!(tell(&world.plan()), ["stage c1 Confirmed: +lab"], "nothing is lost");
}

#[test]
fn the_reviewer_sees_groups_and_mapping_lines() {
    let mut world = World::new();
    world.pair(1);
    world.has(1, &["lab"]);
    world.members("vault", &[1]);
    world.members("cleared", &[1]);
    let draft = world.plan();
    let [action] = draft.stage().actions() else { panic!("one action") };
    let lines: Vec<_> = action.because.why.iter().map(|why| (why.mapping.as_deref(), why.text.as_str())).collect();
    assert_eq!(
        lines,
        [
            (Some("mappings/hq.toml:10"), "no longer a member of lab and lab-visitors"),
            (Some("mappings/hq.toml:30"), "member of vault and cleared, and not of barred"),
        ]
    );
    assert_eq!(action.because.why[1].groups, [group("vault"), group("cleared")]);
    assert_eq!(action.because.why[1].level, Some(level("vault")));
}

#[test]
fn a_stage_action_rests_on_the_record_as_the_revoke_lane_leaves_it() {
    let mut world = World::new();
    world.policy.mover = Mover::RevokeFirst;
    world.pair(1);
    world.has(1, &["lab", "canteen"]);
    world.members("office", &[1]);
    let draft = world.plan();
    assert_eq!(draft.revoke().actions()[0].basis, Some(world.at(1).digest()));
    world.at(1).levels.remove(&level("lab"));
    assert_eq!(draft.stage().actions()[0].basis, Some(world.at(1).digest()));
}

#[test]
fn everybody_counts_once() {
    let mut world = World::new();
    world.pair(1); // in step
    world.pair(2);
    world.members("lab", &[2]); // changes
    world.pair(3);
    world.who(3).standing = ENDED; // leaves
    world.has(3, &["lab"]);
    world.pair(4);
    world.who(4).standing = Standing::Unknown; // undecided
    world.person(5); // joins
    world.card(6); // orphan
    let draft = world.plan();
    let tally = draft.tally();
    assert_eq!((tally.provision, tally.change, tally.disable), (1, 1, 1));
    assert_eq!((tally.undecided, tally.unchanged, tally.orphans), (1, 1, 1));
    let facts = draft.facts();
    assert_eq!((facts.people, facts.people_active, facts.cardholders, facts.managed), (5, 3, 5, 4));
    let lab = &facts.levels[&level("lab")];
    assert_eq!((lab.holders, lab.holders_after, lab.exists, lab.name.as_str()), (1, 1, true, "The lab"));
    assert_eq!(facts.groups[&group("lab")], Some(1));
    assert_eq!(facts.groups[&group("office")], Some(0));
}

#[test]
fn unreadable_groups_have_no_number_and_declared_ones_are_empty() {
    let mut world = World::new();
    world.membership("lab", Membership::Unreadable(fault()));
    world.membership("office", Membership::Unproven);
    world.membership("vault", Membership::Unproven);
    world.policy.levels[1].may_be_empty = true;
    world.membership("cleared", Membership::Empty(EmptyProof::Canary(pid(9))));
    let draft = world.plan();
    let groups = &draft.facts().groups;
    assert_eq!((groups[&group("lab")], groups[&group("office")]), (None, Some(0)));
    assert_eq!((groups[&group("vault")], groups[&group("cleared")]), (None, Some(0)));
}

#[test]
fn findings_come_most_severe_first_and_never_in_thousands() {
    let mut world = World::new();
    for n in 0..1_500 {
        world.card(n);
    }
    world.pair(2_000);
    world.who(2_000).standing = Standing::Unknown;
    world.person(3_000);
    world.link(3_000, 3_000);
    let draft = world.plan();
    let severities: Vec<Severity> = draft.findings().iter().map(lockstep_core::Finding::severity).collect();
    assert!(severities.is_sorted_by(|a, b| a >= b), "{severities:?}");
    let orphans: Vec<_> = draft.findings().iter().filter(|finding| finding.code == Code::Orphan).collect();
    assert_eq!(orphans.len(), 1_001);
    assert_eq!(orphans[1_000].subject, "and 500 more");
    assert_eq!(draft.tally().orphans, 1_500);
}

#[test]
fn explaining_says_what_planning_decides() {
    let mut world = World::new();
    world.pair(1);
    world.has(1, &["lab"]);
    world.members("vault", &[1]);
    world.membership("cleared", Membership::Unreadable(fault()));
    let told = world.explain(1);
    assert_eq!((told.situation, told.standing), (Situation::Confirmed, Some(Standing::Active)));
    assert_eq!(told.cardholder, Some(cid(1)));
    let levels: Vec<_> = told.levels.iter().map(|l| (l.level.as_str(), l.entitled, l.has)).collect();
    assert_eq!(
        levels,
        [
            ("lab", Entitled::No, Some(true)),
            ("office", Entitled::No, Some(false)),
            ("vault", Entitled::Unknown, Some(false)),
        ]
    );
    assert_eq!(told.levels[2].all, [(group("cleared"), Entitled::Unknown)]);
    assert_eq!(told.levels[2].rule.line, 30);
    let codes: Vec<Code> = told.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::GroupUnreadable]);
}

#[test]
fn explaining_people_who_are_not_in_the_census() {
    let mut world = World::new();
    world.card(1);
    world.link(1, 1);
    world.looked.insert(pid(1), Looked::Gone(Proof::Tombstone));
    let gone = world.explain(1);
    assert_eq!((gone.situation, gone.standing, gone.cardholder), (Situation::SourceMissing, None, Some(cid(1))));
    let stranger = world.explain(7);
    assert_eq!((stranger.situation, stranger.cardholder), (Situation::Absent, None));
    assert!(stranger.levels.iter().all(|level| level.entitled == Entitled::Unknown && level.has.is_none()));
}

#[test]
fn a_joiner_takes_all_keys_along() {
    let mut world = World::new();
    world.person(1);
    let draft = world.plan();
    let [action] = draft.stage().actions() else { panic!("one action") };
    let Some(Step::Provision { profile, keys }) = action.steps.iter().next() else { panic!("provisioned first") };
    assert_eq!((profile.get("display_name"), keys.len()), (Some("P1"), 2));
    assert_eq!((action.basis.as_ref(), action.person.as_ref()), (None, Some(&pid(1))));
    assert_eq!(action.expect.status, Some(Status::Active));
}

#[test]
fn no_plan_shows_a_card_number_in_full() {
    let number = "26-0012345678";
    let mut world = World::new();
    // A joiner, and somebody who is matched by nothing but the card.
    world.person(1).keys.insert(key(KeyKind::Card, number));
    world.person(2).keys = [key(KeyKind::Card, "26-0087654321")].into_iter().collect();
    world.card(2).keys = [key(KeyKind::Card, "26-0087654321")].into_iter().collect();
    world.policy.correlate = vec![KeyKind::Employee, KeyKind::Card];
    let draft = world.plan();
    assert_eq!((draft.stage().actions().len(), draft.links().len()), (1, 1), "{:?}", tell(&draft));
    let written = serde_json::to_string(&(draft.stage().actions(), draft.links())).expect("JSON");
    assert!(!written.contains(number) && !written.contains("0087654321"), "{written}");
    assert!(written.contains("4321"), "the last characters tell which card matched: {written}");
}

#[test]
fn what_no_rollback_could_undo_is_said_when_the_plan_is_made() {
    let mut world = World::new();
    world.person(1);
    world.pair(2);
    world.who(2).standing = ENDED;
    let half_off = CredentialStatus::Other("half off".into());
    world.at(2).credentials =
        vec![card_credential("odd", half_off), card_credential("plain", CredentialStatus::Active)];
    let draft = world.plan();
    let lasting = draft.findings().iter().filter(|finding| finding.code == Code::NotReversible);
    let said: Vec<String> = lasting.map(|finding| format!("{} {}", finding.subject, finding.message)).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("P1 ") && said[0].contains("the record stays"), "{said:?}");
    assert!(said[1].starts_with("P2 ") && said[1].contains("credential odd"), "{said:?}");
}
