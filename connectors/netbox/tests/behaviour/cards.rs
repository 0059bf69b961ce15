//! Cards are switched by one flag beside a status of many words.

use lockstep_contract::{ApplyFault, Cardholder, CredentialStatus, InactiveStatus, Reduction, Step, TargetReader as _};

use crate::common::{Site, cx, off, seeded};

#[tokio::test]
async fn disabling_a_card_may_change_its_status_too_and_reads_the_same() {
    for shows in [false, true] {
        let site = Site::prepared(|sim| sim.rules(|rules| rules.disabling_shows = shows), |s| s).await;
        let card = site.present(&seeded(1)).await.credentials.first().expect("a card").id.clone();
        let status = |record: Cardholder| record.credentials.first().map(|card| card.status.clone());
        site.change(&seeded(1), vec![off(&card)]).await.expect("off");
        let disabled = Some(CredentialStatus::Inactive(InactiveStatus::Disabled));
        assert_eq!(status(site.present(&seeded(1)).await), disabled, "{shows}");
        site.change(&seeded(1), vec![Step::Activate { credential: card }]).await.expect("on");
        assert_eq!(status(site.present(&seeded(1)).await), Some(CredentialStatus::Active), "{shows}");
    }
}

#[tokio::test]
async fn a_card_status_closes_a_door_only_where_the_settings_say_so() {
    let site = Site::new().await;
    site.sim().edit("00901", |person| person.cards.iter_mut().for_each(|card| card.status = "Lost".to_owned()));
    let status = |record: &Cardholder| record.credentials.first().map(|card| card.status.clone());
    let record = site.present(&seeded(1)).await;
    assert_eq!(status(&record), Some(CredentialStatus::Other("Lost".to_owned())), "it may well open doors");
    let health = site.netbox.probe(&cx()).await.expect("readable");
    assert!(health.checks.iter().any(|c| c.name == "card statuses" && c.detail.contains("Lost")), "{health:?}");
    let told = site.another(|settings| format!("card_statuses = {{ Lost = \"lost\" }}\n{settings}"));
    let lost = told.read(&cx(), &seeded(1)).await.expect("readable").expect("there");
    assert_eq!(status(&lost), Some(CredentialStatus::Inactive(InactiveStatus::Lost)));
}

#[tokio::test]
async fn a_lost_card_is_never_switched_on_again() {
    let site = Site::new().await;
    let card = site.present(&seeded(1)).await.credentials.first().expect("a card").id.clone();
    site.sim().edit("00901", |person| {
        for card in &mut person.cards {
            (card.disabled, card.status) = (true, "Lost".to_owned());
        }
    });
    let Err(ApplyFault::Refused(fault)) = site.change(&seeded(1), vec![Step::Activate { credential: card }]).await
    else {
        panic!("switched on")
    };
    assert!(fault.message.contains("lost"), "{fault}");
    assert!(site.sim().person("00901").expect("there").cards[0].disabled);
}

#[tokio::test]
async fn a_card_that_is_gone_is_off() {
    let site = Site::new().await;
    let card = site.present(&seeded(1)).await.credentials.first().expect("a card").id.clone();
    site.sim().edit("00901", |person| person.cards.clear());
    site.change(&seeded(1), vec![Reduction::Suspend.into(), off(&card)]).await.expect("left");
}
