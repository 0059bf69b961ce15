//! Names, creation and the landed answer.

use lockstep_contract::{ApplyFault, FaultKind, KeyKind, Status, field};
use lockstep_simulator::{Mishap, Purpose, Reply, When};

use crate::site::{Site, amend, no};

#[tokio::test]
async fn a_name_that_would_not_fit_is_refused_before_anything_is_sent() {
    let site = Site::new().await;
    let id = site.holder(0);
    let fault = no(site.apply(&id, vec![amend(&[(field::GIVEN_NAME, &"é".repeat(51))])]).await);
    assert_eq!(fault.kind, FaultKind::Invalid);
    assert_eq!(site.count(Purpose::Write), 0);
    site.apply(&id, vec![amend(&[(field::GIVEN_NAME, &"é".repeat(50))])]).await.expect("fifty fit");
}

#[tokio::test]
async fn nobody_without_a_name_or_a_division_is_made() {
    let site = Site::new().await;
    assert_eq!(no(site.join("", "", "7001", Vec::new()).await).kind, FaultKind::Invalid);
    let nowhere = Site::with(|settings| settings.replace("division = \"Staff\"\n", "")).await;
    let fault = no(nowhere.join("New", "Comer", "7001", Vec::new()).await);
    assert!(fault.kind == FaultKind::Invalid && fault.message.contains("division"), "{fault}");
    assert_eq!(nowhere.count(Purpose::Write), 0);
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_found_and_not_repeated() {
    let site = Site::new().await;
    site.server.mishap(When { times: 1, ..When::every(Purpose::Write) }, Mishap::LostAnswer);
    let lost = site.join("New", "Comer", "7001", Vec::new()).await;
    assert!(matches!(lost, Err(ApplyFault::Uncertain(_))), "{lost:?}");
    site.server.heal();
    let there = site.find(KeyKind::Employee, "7001").await;
    assert_eq!(there.len(), 1);
    let again = site.join("New", "Comer", "7001", Vec::new()).await.expect("it is there already");
    assert_eq!(again.cardholder, there[0].id);
    assert_eq!(site.list().await.len(), 26);
}

#[tokio::test]
async fn a_creation_that_does_not_say_where_is_uncertain() {
    let site = Site::new().await;
    for reply in
        [Reply::empty(201), Reply::empty(201).header("location", "https://elsewhere.example/api/cardholders/1")]
    {
        site.server.mishap(When { times: 1, ..When::every(Purpose::Write) }, Mishap::Instead(reply));
        let answer = site.join("New", "Comer", "7002", Vec::new()).await;
        assert!(matches!(answer, Err(ApplyFault::Uncertain(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn a_success_that_shows_that_nothing_was_done_is_none() {
    let site = Site::new().await;
    let told = Reply::json(200, &serde_json::json!({ "authorised": true }));
    site.server.mishap(When::every(Purpose::Write), Mishap::Instead(told));
    let answer = site.apply(&site.holder(0), vec![lockstep_contract::Reduction::Suspend.into()]).await;
    let Err(ApplyFault::Uncertain(fault)) = answer else { panic!("{answer:?}") };
    assert!(fault.kind == FaultKind::Protocol && fault.message.contains("authorised"), "{fault}");
}

#[tokio::test]
async fn a_later_version_that_answers_with_200_is_understood() {
    let site = Site::new().await;
    let told = Reply::json(200, &serde_json::json!({ "authorised": false, "feedback": [] }));
    site.server.mishap(When::every(Purpose::Write), Mishap::LandedThen(told));
    let id = site.holder(0);
    site.apply(&id, vec![lockstep_contract::Reduction::Suspend.into()]).await.expect("accepted");
    site.server.heal();
    assert_eq!(site.read(&id).await.status, Status::Suspended);
}

#[tokio::test]
async fn whoever_is_there_twice_is_nobodys_match() {
    let site = Site::new().await;
    site.simulator().hire("One", "Two", "6001", true);
    site.simulator().hire("Two", "One", "6001", true);
    assert_eq!(site.find(KeyKind::Employee, "6001").await.len(), 2);
    let fault = no(site.join("Three", "One", "6001", Vec::new()).await);
    assert_eq!(fault.kind, FaultKind::Conflict);
}
