//! Cards: their states have names that sites choose and translate.

use jiff::{Timestamp, ToSpan};
use lockstep_contract::{CredentialStatus, FaultKind, InactiveStatus, Reduction, Step};
use lockstep_simulator::Purpose;

use crate::site::{Site, no};

const GERMAN: [(&str, &str); 4] =
    [("Active", "Aktiv"), ("Disabled (manually)", "Gesperrt"), ("Lost", "Verloren"), ("Stolen", "Gestohlen")];

fn german(settings: String) -> String {
    let states =
        "card_states = { active = \"Aktiv\", disabled = \"Gesperrt\", lost = \"Verloren\", stolen = \"Gestohlen\" }";
    format!("{states}\n{settings}")
}

#[tokio::test]
async fn translated_states_are_written_as_the_site_names_them() {
    let site = Site::with(german).await;
    site.simulator().translate_card_states(&GERMAN);
    let id = site.holder(0);
    let card = site.read(&id).await.credentials[0].id.clone();
    let off = Reduction::Deactivate { credential: card.clone(), status: InactiveStatus::Lost };
    site.apply(&id, vec![off.into()]).await.expect("accepted");
    assert_eq!(site.simulator().holder(&id).expect("a record").cards[0].state, "Verloren");
    assert_eq!(site.read(&id).await.credentials[0].status, CredentialStatus::Inactive(InactiveStatus::Lost));
}

#[tokio::test]
async fn a_state_that_the_site_does_not_have_is_refused_before_anything_is_sent_with_those_it_has() {
    let site = Site::new().await;
    site.simulator().translate_card_states(&GERMAN);
    let id = site.holder(0);
    let card = site.read(&id).await.credentials[0].id.clone();
    site.arrived();
    let off = Reduction::Deactivate { credential: card, status: InactiveStatus::Disabled };
    let fault = no(site.apply(&id, vec![off.into()]).await);
    assert!(fault.kind == FaultKind::Invalid && fault.message.contains("`Gesperrt`"), "{fault}");
    assert!(fault.message.contains("card_states.disabled"), "{fault}");
    assert_eq!(site.count(Purpose::Write), 0);
}

#[tokio::test]
async fn without_a_look_at_the_card_types_the_server_decides_about_the_name() {
    let site = Site::new().await;
    site.simulator().rights(|rights| rights.card_types = false);
    let id = site.holder(0);
    let card = site.read(&id).await.credentials[0].id.clone();
    let off = Reduction::Deactivate { credential: card, status: InactiveStatus::Disabled };
    site.apply(&id, vec![off.into()]).await.expect("accepted");
    let status = &site.read(&id).await.credentials[0].status;
    assert_eq!(*status, CredentialStatus::Inactive(InactiveStatus::Disabled));
}

#[tokio::test]
async fn why_a_card_is_off_is_not_overwritten_and_a_lost_one_is_never_switched_on() {
    let site = Site::new().await;
    let id = site.holder(0);
    for (state, status) in [
        ("Lost", InactiveStatus::Lost),
        ("Stolen", InactiveStatus::Stolen),
        ("Damaged", InactiveStatus::Expired),
        ("Disabled (by inactivity)", InactiveStatus::Expired),
    ] {
        site.simulator().edit(&id, |holder| state.clone_into(&mut holder.cards[0].state));
        let card = site.read(&id).await.credentials[0].clone();
        assert_eq!(card.status, CredentialStatus::Inactive(status), "{state}");
        let off = Reduction::Deactivate { credential: card.id.clone(), status: InactiveStatus::Disabled };
        site.apply(&id, vec![off.into()]).await.expect("nothing to do");
        assert_eq!(site.simulator().holder(&id).expect("a record").cards[0].state, state);
        if matches!(status, InactiveStatus::Lost | InactiveStatus::Stolen) {
            let fault = no(site.apply(&id, vec![Step::Activate { credential: card.id }]).await);
            assert_eq!(fault.kind, FaultKind::Invalid);
        }
    }
}

#[tokio::test]
async fn a_card_of_tomorrow_is_cut_like_one_that_works() {
    let site = Site::new().await;
    let id = site.holder(0);
    site.simulator().edit(&id, |holder| holder.cards[0].from = Some(Timestamp::now() + 24.hours()));
    let card = site.read(&id).await.credentials[0].clone();
    assert_eq!(card.status, CredentialStatus::Other("Not Yet Activated".to_owned()));
    let off = Reduction::Deactivate { credential: card.id, status: InactiveStatus::Disabled };
    site.apply(&id, vec![off.into()]).await.expect("accepted");
    let status = &site.read(&id).await.credentials[0].status;
    assert_eq!(*status, CredentialStatus::Inactive(InactiveStatus::Disabled));
}

#[tokio::test]
async fn a_card_that_is_gone_is_off_and_cannot_be_switched_on() {
    let site = Site::new().await;
    let id = site.holder(0);
    let card = site.read(&id).await.credentials[0].id.clone();
    site.simulator().edit(&id, |holder| holder.cards.clear());
    site.read(&id).await;
    let off = Reduction::Deactivate { credential: card.clone(), status: InactiveStatus::Disabled };
    site.apply(&id, vec![off.into(), Reduction::Suspend.into()]).await.expect("the rest is done");
    assert_eq!(site.read(&id).await.status, lockstep_contract::Status::Suspended);
    let fault = no(site.apply(&id, vec![Step::Activate { credential: card }]).await);
    assert_eq!(fault.kind, FaultKind::Missing);
}

#[tokio::test]
async fn suspending_is_one_flag_and_leaves_cards_and_groups_as_they_are() {
    let site = Site::new().await;
    let id = site.holder(0);
    let before = site.read(&id).await;
    site.apply(&id, vec![Reduction::Suspend.into()]).await.expect("accepted");
    let after = site.read(&id).await;
    assert_eq!(after.status, lockstep_contract::Status::Suspended);
    assert_eq!((after.credentials, after.levels), (before.credentials, before.levels));
}
