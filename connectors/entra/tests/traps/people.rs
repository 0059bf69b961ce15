//! Traps about people.

use lockstep_contract::{CorrelationKey, Directory, FaultKind, KeyKind, Presence, Proof, Standing};
use serde_json::{Value, json};

use crate::simulator::opened::{cx, everybody, members, person};
use crate::simulator::{Trouble, What};
use crate::world::{CANARY, PLAIN, STRANGER, begin, id};

fn standing_of(people: &[lockstep_contract::Person], n: u128) -> Standing {
    people.iter().find(|it| it.id == person(n)).expect("on the list").standing
}

#[tokio::test]
async fn trap_01_null_means_forbidden_neither_enabled_nor_disabled() {
    let (simulator, directory) = begin(json!({})).await;
    simulator.tenant().set_user(id(1), "accountEnabled", Value::Null);
    let (people, _) = everybody(&directory, &cx()).await.expect("read");
    assert_eq!(standing_of(&people, 1), Standing::Unknown);
    assert_eq!(standing_of(&people, 2), Standing::Active);
    simulator.tenant().properties_hidden = true;
    let (people, _) = everybody(&directory, &cx()).await.expect("read");
    assert!(people.iter().all(|person| person.standing == Standing::Unknown), "{people:?}");
    assert!(people.iter().all(|person| person.profile.is_empty()), "null is not known, and never empty");
    let Presence::Present(found) = directory.lookup(&cx(), &person(1)).await.expect("there") else { panic!("gone") };
    assert_eq!(found.standing, Standing::Unknown);
    let fault = directory.lookup(&cx(), &person(STRANGER)).await.expect_err("the canary is not shown");
    assert_eq!(fault.kind, FaultKind::Denied);
    let plain = members(&directory, PLAIN).await;
    assert_eq!(plain.entitled(&person(8)), lockstep_contract::Entitled::Unknown, "{plain:?}");
}

#[tokio::test]
async fn trap_02_without_a_selection_the_state_of_an_account_never_arrives() {
    let (simulator, directory) = begin(json!({})).await;
    simulator.tenant().set_user(id(1), "accountEnabled", json!(false));
    let (people, _) = everybody(&directory, &cx()).await.expect("read");
    assert_eq!(standing_of(&people, 1), Standing::Ended { since: None });
    directory.lookup(&cx(), &person(1)).await.expect("looked up");
    let key = CorrelationKey::new(KeyKind::Employee, "00901").expect("a key");
    assert_eq!(directory.find(&cx(), &key).await.expect("found").len(), 1);
    members(&directory, PLAIN).await;
    for request in simulator.arrived().iter().filter(|request| !request.target.contains("$batch")) {
        assert!(request.target.contains("$select="), "{}", request.target);
    }
}

#[tokio::test]
async fn trap_13_whoever_is_renamed_is_the_same_person() {
    let (simulator, directory) = begin(json!({})).await;
    for name in ["userPrincipalName", "mail"] {
        simulator.tenant().set_user(id(2), name, json!("married@corp.example"));
    }
    simulator.tenant().set_user(id(2), "employeeId", json!("77777"));
    let (people, _) = everybody(&directory, &cx()).await.expect("read");
    let found = people.iter().find(|it| it.id == person(2)).expect("the same id");
    assert!(found.keys.contains(&CorrelationKey::new(KeyKind::Upn, "married@corp.example").expect("a key")));
    // A deletion alters the name; the id stays.
    simulator.tenant().soft_delete(id(2));
    let presence = directory.lookup(&cx(), &person(2)).await.expect("a proof");
    assert_eq!(presence, Presence::Gone(Proof::DeletedItem));
}

#[tokio::test]
async fn trap_14_a_rehire_is_another_person_until_somebody_says_otherwise() {
    let (simulator, directory) = begin(json!({})).await;
    let old = simulator.tenant().users[&id(3)].clone();
    simulator.tenant().soft_delete(id(3));
    let mut new = Value::Object(old);
    new["id"] = json!(id(30));
    simulator.tenant().add_user(id(30), new);
    let (people, _) = everybody(&directory, &cx()).await.expect("read");
    let rehired = people.iter().find(|it| it.id == person(30)).expect("the new one");
    let own = CorrelationKey::new(KeyKind::Directory, &id(3).to_string()).expect("a key");
    assert!(!rehired.keys.contains(&own), "nothing says that the two are one: {:?}", rehired.keys);
    assert_eq!(directory.lookup(&cx(), &person(3)).await.expect("a proof"), Presence::Gone(Proof::DeletedItem));
}

#[tokio::test]
async fn trap_18_a_leave_date_is_null_without_its_permission_and_a_last_day_is_whole() {
    let (simulator, directory) = begin(json!({"people": {"leave_date": true}})).await;
    simulator.tenant().set_user(id(1), "employeeLeaveDateTime", json!("2020-01-31T23:00:00Z"));
    let (people, _) = everybody(&directory, &cx()).await.expect("read");
    assert!(people.iter().all(|person| person.standing == Standing::Unknown), "the date may be hidden: {people:?}");
    simulator.tenant().permissions.insert("User-LifeCycleInfo.Read.All".to_owned());
    simulator.end_tokens();
    directory.probe(&cx()).await.expect("a new token");
    let (people, _) = everybody(&directory, &cx()).await.expect("read");
    assert_eq!(standing_of(&people, 1), Standing::Ended { since: "2020-01-31T23:00:00Z".parse().ok() });
    assert_eq!(standing_of(&people, 2), Standing::Active, "no date, and one would be shown");
    // A token that cannot be read: the canary's own date shows that dates are shown.
    simulator.login().opaque = true;
    simulator.end_tokens();
    directory.probe(&cx()).await.expect("a new token");
    let (people, _) = everybody(&directory, &cx()).await.expect("read");
    assert_eq!(standing_of(&people, 2), Standing::Unknown);
    simulator.tenant().set_user(id(CANARY), "employeeLeaveDateTime", json!("2999-01-01T00:00:00Z"));
    let (people, _) = everybody(&directory, &cx()).await.expect("read");
    assert_eq!(standing_of(&people, 2), Standing::Active);
}

#[tokio::test]
async fn trap_26_a_guest_may_have_lost_his_account_at_home() {
    let guest = |state: Value| json!({"userType": "Guest", "externalUserState": state});
    let (simulator, directory) = begin(json!({})).await;
    simulator.tenant().add_user(id(20), guest(json!("Accepted")));
    let (people, _) = everybody(&directory, &cx()).await.expect("read");
    assert!(people.iter().all(|it| it.id != person(20)), "guests are no people unless the settings say so");

    let (simulator, directory) = begin(json!({"people": {"guests": true}})).await;
    simulator.tenant().add_user(id(20), guest(json!("Accepted")));
    simulator.tenant().add_user(id(21), guest(json!("PendingAcceptance")));
    let (people, _) = everybody(&directory, &cx()).await.expect("read");
    assert_eq!(standing_of(&people, 20), Standing::Active);
    assert_eq!(standing_of(&people, 21), Standing::Unknown);
    let health = directory.probe(&cx()).await.expect("health");
    let said = health.checks.iter().find(|check| check.name == "guests").expect("a warning");
    assert_eq!(said.outcome, lockstep_contract::CheckOutcome::Warn);
}

#[tokio::test]
async fn gone_is_said_with_two_paths_and_the_canary_or_not_at_all() {
    let (simulator, directory) = begin(json!({})).await;
    simulator.tenant().soft_delete(id(5));
    simulator.tenant().purge(id(5));
    let gone = directory.lookup(&cx(), &person(5)).await.expect("a proof");
    assert_eq!(gone, Presence::Gone(Proof::NotFound { canary: id(CANARY).to_string() }));
    let said_by_a_gateway = Trouble::always(&format!("/users/{}", id(6)), What::Gateway404);
    simulator.trouble(Some(said_by_a_gateway));
    let fault = directory.lookup(&cx(), &person(6)).await.expect_err("not Graph's own word");
    assert_eq!(fault.kind, FaultKind::Protocol);
    simulator.trouble(None);
    simulator.tenant().users.remove(&id(CANARY));
    directory.lookup(&cx(), &person(5)).await.expect_err("no canary, no proof");
    everybody(&directory, &cx()).await.expect_err("no canary, no list");
}

#[tokio::test]
async fn one_person_in_both_directories_is_found_by_either_id() {
    let (simulator, directory) = begin(json!({})).await;
    // 00112233-4455-6677-8899-aabbccddeeff, as Entra Connect writes an objectGUID.
    simulator.tenant().set_user(id(7), "onPremisesImmutableId", json!("MyIRAFVEd2aImaq7zN3u/w=="));
    for text in ["00112233-4455-6677-8899-aabbccddeeff", &id(7).to_string()] {
        let key = CorrelationKey::new(KeyKind::Directory, text).expect("a key");
        let found = directory.find(&cx(), &key).await.expect("found");
        assert_eq!(found.iter().map(|it| it.id.clone()).collect::<Vec<_>>(), [person(7)], "{text}");
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_understood_is_set_aside_and_counted() {
    let (simulator, directory) = begin(json!({})).await;
    simulator.tenant().set_user(id(4), "employeeId", json!("12\u{200b}3"));
    let (people, census) = everybody(&directory, &cx()).await.expect("read");
    assert_eq!((people.len(), census.sent, census.server_total), (9, 10, Some(10)));
    let aside = directory.take_quarantined();
    assert!(aside.len() == 1 && aside[0].1.contains("employeeId"), "{aside:?}");
}
