//! Traps about lists of changes: they say whom to look at, and nothing else.

use lockstep_contract::{Changes, Directory, Presence, Proof, Standing, Watermark};
use lockstep_entra::Entra;
use serde_json::json;

use crate::simulator::opened::{cx, everybody, members, open, person};
use crate::simulator::{Simulator, Trouble, What};
use crate::world::{OUTER, PLAIN, begin, id, usual};

/// A watermark from now on.
async fn mark(directory: &Entra) -> Watermark {
    let begun = directory.changes(&cx(), None).await.expect("begun");
    assert!(begun.reset && begun.people.is_empty(), "what was before is for a census: {begun:?}");
    begun.next
}

async fn since(directory: &Entra, mark: &Watermark) -> Changes {
    directory.changes(&cx(), Some(mark.clone())).await.expect("changes")
}

fn named(changes: &Changes) -> Vec<u128> {
    changes.people.iter().filter_map(lockstep_contract::PersonId::as_uuid).map(|uuid| uuid.as_u128()).collect()
}

#[tokio::test]
async fn trap_03_the_changes_of_groups_say_nothing_of_people_who_leave() {
    let (simulator, directory) = begin(json!({})).await;
    let mark = mark(&directory).await;
    simulator.tenant().set_user(id(1), "accountEnabled", json!(false));
    simulator.tenant().soft_delete(id(2));
    let changes = since(&directory, &mark).await;
    assert_eq!((named(&changes), changes.reset), (vec![1, 2], false));
    let (people, _) = everybody(&directory, &cx()).await.expect("read");
    let disabled = people.iter().find(|it| it.id == person(1)).expect("still listed");
    assert_eq!(disabled.standing, Standing::Ended { since: None });
    assert_eq!(directory.lookup(&cx(), &person(2)).await.expect("proof"), Presence::Gone(Proof::DeletedItem));
}

#[tokio::test]
async fn trap_04_a_nested_group_that_moves_concerns_everybody_in_it() {
    let (simulator, directory) = begin(json!({})).await;
    let mark = mark(&directory).await;
    simulator.tenant().remove_member(id(OUTER), id(PLAIN));
    assert_eq!(named(&since(&directory, &mark).await), [0, 1, 2, 3]);
    simulator.tenant().add_member(id(PLAIN), id(7));
    assert!(named(&since(&directory, &mark).await).contains(&7));
}

#[tokio::test]
async fn trap_05_a_round_that_breaks_off_gives_no_watermark_and_the_old_one_tells_all_again() {
    let (simulator, directory) = begin(json!({})).await;
    let mark = mark(&directory).await;
    for n in 0..5 {
        simulator.tenant().set_user(id(n), "department", json!("Moved"));
    }
    for page in 0..4 {
        let trouble = Trouble { skip: page, ..Trouble::always("/users/delta", What::Status(503, None)) };
        simulator.trouble(Some(trouble));
        directory.changes(&cx(), Some(mark.clone())).await.expect_err("broken off");
    }
    simulator.trouble(None);
    assert_eq!(named(&since(&directory, &mark).await), [0, 1, 2, 3, 4]);
    let next = since(&directory, &mark).await.next;
    assert_eq!(named(&since(&directory, &next).await), [0_u128; 0]);
}

#[tokio::test]
async fn trap_06_a_group_without_a_list_of_members_has_no_news_and_is_not_empty() {
    let (simulator, directory) = begin(json!({})).await;
    let mark = mark(&directory).await;
    simulator.tenant().set_group(id(PLAIN), "displayName", json!("Renamed"));
    let changes = since(&directory, &mark).await;
    assert_eq!((named(&changes), changes.reset), (vec![], false));
    assert_eq!(members(&directory, PLAIN).await.entitled(&person(0)), lockstep_contract::Entitled::Yes);
}

#[tokio::test]
async fn trap_07_one_group_comes_on_many_pages_in_any_order_and_more_than_once() {
    let (simulator, directory) = begin(json!({})).await;
    let mark = mark(&directory).await;
    for n in 4..9 {
        simulator.tenant().add_member(id(PLAIN), id(n));
    }
    simulator.tenant().remove_member(id(PLAIN), id(8));
    assert_eq!(named(&since(&directory, &mark).await), [4, 5, 6, 7, 8]);
    assert!(simulator.arrived().iter().filter(|it| it.target.contains("/groups/delta")).count() > 5, "many pages");
}

#[tokio::test]
async fn trap_09_a_link_that_is_forgotten_means_a_census_and_nobody_gone() {
    for status in [410, 400] {
        let (simulator, directory) = begin(json!({})).await;
        let mark = mark(&directory).await;
        simulator.tenant().links_forgotten = Some(status);
        let changes = since(&directory, &mark).await;
        assert!(changes.reset && changes.people.is_empty(), "{status}: {changes:?}");
        simulator.tenant().links_forgotten = None;
        simulator.tenant().set_user(id(1), "department", json!("Moved"));
        assert_eq!(named(&since(&directory, &changes.next).await), [1], "followed again from there");
    }
}

#[tokio::test]
async fn a_watermark_of_another_tenant_selection_or_time_is_worth_nothing() {
    let (simulator, directory) = begin(json!({})).await;
    let mark = mark(&directory).await;
    let old = mark.0.replace("\"since\":\"20", "\"since\":\"19");
    assert_ne!(old, mark.0);
    for worthless in [old.as_str(), "", "{}", "rubbish"] {
        assert!(since(&directory, &Watermark(worthless.to_owned())).await.reset, "{worthless}");
    }
    let mut settings = usual();
    settings["fields"] = json!({"badge": "extension_ab_badge"});
    assert!(since(&open(&simulator, &settings), &mark).await.reset, "another selection follows other changes");
    let elsewhere = mark.0.replace(simulator.root(), "http://127.0.0.1:1");
    directory.changes(&cx(), Some(Watermark(elsewhere))).await.expect_err("a link that leads elsewhere");
}

#[tokio::test]
async fn trap_12_a_deletion_is_noticed_without_any_notification() {
    let (simulator, directory) = begin(json!({})).await;
    let mark = mark(&directory).await;
    simulator.tenant().soft_delete(id(6));
    assert_eq!(named(&since(&directory, &mark).await), [6]);
    assert!(simulator.arrived().iter().all(|request| !request.target.contains("subscriptions")));
}

#[tokio::test]
async fn trap_15_whoever_is_restored_is_named_without_any_news_of_his_groups() {
    let (simulator, directory) = begin(json!({})).await;
    simulator.tenant().soft_delete(id(1));
    let mark = mark(&directory).await;
    simulator.tenant().restore(id(1));
    assert_eq!(named(&since(&directory, &mark).await), [1]);
    assert!(matches!(directory.lookup(&cx(), &person(1)).await, Ok(Presence::Present(_))));
    assert_eq!(members(&directory, PLAIN).await.entitled(&person(1)), lockstep_contract::Entitled::Yes);
}

#[tokio::test]
async fn changes_that_never_end_are_a_fault() {
    let (simulator, directory) = begin(json!({})).await;
    let mark = mark(&directory).await;
    simulator.tenant().set_user(id(1), "department", json!("Moved"));
    simulator.trouble(Some(Trouble { skip: 1, ..Trouble::always("/users/delta", What::Loop) }));
    directory.changes(&cx(), Some(mark)).await.expect_err("a circle");
    drop::<Simulator>(simulator);
}
