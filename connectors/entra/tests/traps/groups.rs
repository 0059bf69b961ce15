//! Traps about groups.

use lockstep_contract::{Directory, EmptyProof, Entitled, FaultKind, GroupId, Membership};
use serde_json::json;

use crate::simulator::opened::{cx, everybody, members, open, person};
use crate::world::{EMPTY, OUTER, PLAIN, PLANTED, begin, id};

fn listed(membership: &Membership) -> Vec<u128> {
    match membership {
        Membership::Members(members) => {
            members.people().filter_map(lockstep_contract::PersonId::as_uuid).map(|uuid| uuid.as_u128()).collect()
        }
        other => panic!("no members: {other:?}"),
    }
}

#[tokio::test]
async fn trap_11_an_index_that_lags_takes_nothing_away() {
    let (simulator, directory) = begin(json!({})).await;
    simulator.tenant().freeze_index();
    simulator.tenant().remove_member(id(PLAIN), id(3));
    let plain = members(&directory, PLAIN).await;
    assert_eq!(listed(&plain), [0, 1, 2], "read directly");
    assert_eq!(plain.entitled(&person(3)), Entitled::Unknown, "the index still counts four");
    simulator.tenant().index = None;
    assert_eq!(members(&directory, PLAIN).await.entitled(&person(3)), Entitled::No);
    // Somebody whom only the index still knows is not gone, nor is the other way round.
    simulator.tenant().freeze_index();
    simulator.tenant().soft_delete(id(6));
    simulator.tenant().purge(id(6));
    let fault = directory.lookup(&cx(), &person(6)).await.expect_err("one of the two lags");
    assert_eq!(fault.kind, FaultKind::Unreachable, "another look may help");
}

#[tokio::test]
async fn trap_16_hidden_members_are_unreadable_without_their_permission() {
    let (simulator, directory) = begin(json!({})).await;
    simulator.tenant().set_group(id(PLAIN), "visibility", json!("HiddenMembership"));
    for group in [PLAIN, OUTER] {
        let Membership::Unreadable(fault) = members(&directory, group).await else { panic!("readable") };
        assert!(fault.kind == FaultKind::Denied && fault.message.contains("Member.Read.Hidden"), "{fault}");
    }
    simulator.tenant().permissions.insert("Member.Read.Hidden".to_owned());
    simulator.end_tokens();
    let Membership::Unreadable(_) = members(&directory, PLAIN).await else { panic!("a token was renewed meanwhile") };
    assert_eq!(listed(&members(&directory, PLAIN).await), [0, 1, 2, 3]);
    assert_eq!(listed(&members(&directory, OUTER).await), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn trap_17_a_paused_rule_leaves_leavers_in() {
    let (simulator, directory) = begin(json!({})).await;
    let set = |name: &str, value| simulator.tenant().set_group(id(PLAIN), name, value);
    set("groupTypes", json!(["DynamicMembership"]));
    set("membershipRuleProcessingState", json!("On"));
    assert_eq!(listed(&members(&directory, OUTER).await), [0, 1, 2, 3, 4]);
    set("membershipRuleProcessingState", json!("Paused"));
    for group in [PLAIN, OUTER] {
        let Membership::Unreadable(fault) = members(&directory, group).await else { panic!("readable") };
        assert!(fault.message.contains("paused"), "{fault}");
    }
}

#[tokio::test]
async fn trap_25_a_mapped_group_that_is_deleted_is_not_empty_and_a_renamed_one_is_the_same() {
    let (simulator, directory) = begin(json!({})).await;
    simulator.tenant().set_group(id(PLAIN), "displayName", json!("Another name"));
    assert_eq!(listed(&members(&directory, PLAIN).await), [0, 1, 2, 3]);
    simulator.tenant().groups.remove(&id(PLAIN));
    let Membership::Unreadable(fault) = members(&directory, PLAIN).await else { panic!("readable") };
    assert_eq!(fault.kind, FaultKind::Missing);
}

#[tokio::test]
async fn trap_04_a_change_in_a_nested_group_reaches_the_group_above() {
    let (simulator, directory) = begin(json!({})).await;
    assert_eq!(listed(&members(&directory, OUTER).await), [0, 1, 2, 3, 4]);
    simulator.tenant().remove_member(id(PLAIN), id(2));
    simulator.tenant().add_member(id(PLAIN), id(7));
    assert_eq!(listed(&members(&directory, OUTER).await), [0, 1, 3, 4, 7]);
}

#[tokio::test]
async fn an_empty_group_is_proven_empty_only_while_the_canary_is_in_sight() {
    let (simulator, directory) = begin(json!({})).await;
    assert_eq!(members(&directory, EMPTY).await, Membership::Empty(EmptyProof::ServerCount));
    assert_eq!(members(&directory, PLANTED).await, Membership::Empty(EmptyProof::Canary(person(9))));
    // The planted group shows nobody any more: whatever shows nobody proves nothing.
    simulator.tenant().remove_member(id(PLANTED), id(9));
    assert_eq!(members(&directory, EMPTY).await, Membership::Unproven);
    let without = open(&simulator, &json!({}));
    assert_eq!(members(&without, EMPTY).await, Membership::Unproven);
}

#[tokio::test]
async fn two_groups_of_one_name_are_a_fault_and_one_name_is_found() {
    let (simulator, directory) = begin(json!({})).await;
    let ask = |name: &str| GroupId::new(name).expect("a group");
    let answers = directory.members(&cx(), &[ask("plain"), ask("O'Neil & Sons")].into()).await;
    assert_eq!(listed(&answers[&ask("plain")]), [0, 1, 2, 3]);
    assert!(
        matches!(&answers[&ask("O'Neil & Sons")], Membership::Unreadable(fault) if fault.kind == FaultKind::Missing)
    );
    simulator.tenant().add_group(id(200), "Plain", &[]);
    let answers = directory.members(&cx(), &[ask("Plain")].into()).await;
    assert!(matches!(&answers[&ask("Plain")], Membership::Unreadable(fault) if fault.kind == FaultKind::Invalid));
}

#[tokio::test]
async fn members_who_were_deleted_are_told_by_the_census_and_the_look_up_not_by_the_group() {
    let (simulator, directory) = begin(json!({})).await;
    simulator.tenant().soft_delete(id(1));
    assert!(simulator.tenant().groups[&id(PLAIN)].members.contains(&id(1)), "Entra keeps the membership");
    let (people, _) = everybody(&directory, &cx()).await.expect("read");
    assert!(people.iter().all(|it| it.id != person(1)));
    assert_eq!(listed(&members(&directory, PLAIN).await), [0, 2, 3]);
}

#[tokio::test]
async fn microsoft_365_and_role_assignable_groups_are_read_as_any_other() {
    let (simulator, directory) = begin(json!({})).await;
    let set = |name: &str, value| simulator.tenant().set_group(id(PLAIN), name, value);
    set("groupTypes", json!(["Unified"]));
    set("securityEnabled", json!(false));
    set("visibility", json!("Private"));
    set("isAssignableToRole", json!(true));
    assert_eq!(listed(&members(&directory, PLAIN).await), [0, 1, 2, 3]);
}
