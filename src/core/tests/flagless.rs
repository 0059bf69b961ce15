//! A PACS that has no flag for a person (`Suspend::EveryCredential`): nobody is in force before a credential works, and
//! nothing but a credential brings somebody back.

mod world;

use lockstep_contract::{CredentialStatus, InactiveStatus, Status, Suspend};
use world::{ENDED, World, card_credential, run, tell};

const OFF: CredentialStatus = CredentialStatus::Inactive(InactiveStatus::Disabled);

fn world() -> World {
    let mut world = World::new();
    world.target.capabilities.suspend = Suspend::EveryCredential;
    world
}

/// Somebody linked, with one card.
fn with_card(status: CredentialStatus) -> World {
    let mut world = world();
    world.pair(1);
    world.at(1).status = if status == CredentialStatus::Active { Status::Active } else { Status::Suspended };
    world.at(1).credentials.push(card_credential("k1", status));
    world
}

#[test]
fn a_joiner_gets_a_record_now_and_the_levels_when_there_is_a_card() {
    let mut world = world();
    world.person(1);
    world.members("lab", &[1]);
    let draft = world.plan();
    assert_eq!(tell(&draft), ["stage new employee:1 Absent: provision", "LS0120 P1"]);
    let expect = &draft.stage().actions()[0].expect;
    assert_eq!(expect.status, None, "a record without a card is not in force");

    let mut without = with_card(OFF);
    without.at(1).credentials.clear();
    without.members("lab", &[1]);
    assert_eq!(tell(&without.plan()), ["LS0120 P1"], "said in every run, and no step that would be refused");

    let mut issued = with_card(CredentialStatus::Active);
    issued.members("lab", &[1]);
    assert_eq!(tell(&issued.plan()), ["stage c1 Confirmed: +lab"]);
}

#[test]
fn whoever_lost_the_only_card_still_loses_levels_and_is_not_held_for_having_been_switched_off() {
    let mut world = with_card(OFF);
    world.has(1, &["office"]);
    world.members("lab", &[1]);
    assert_eq!(tell(&world.plan()), ["revoke c1 Confirmed: -office", "LS0120 P1"]);
}

#[test]
fn a_rehire_whom_we_switched_off_is_not_reinstated_by_a_flag_that_is_not_there() {
    let mut world = with_card(OFF);
    world.links[0].suspended_by = Some(run());
    world.members("lab", &[1]);
    assert_eq!(tell(&world.plan()), ["LS0120 P1"]);
}

#[test]
fn a_leaver_is_switched_off_once() {
    let mut world = with_card(CredentialStatus::Active);
    world.who(1).standing = ENDED;
    assert_eq!(tell(&world.plan()), ["revoke c1 Unqualified: suspend"]);
    let mut off = with_card(OFF);
    off.who(1).standing = ENDED;
    assert!(off.plan().is_empty());
}
