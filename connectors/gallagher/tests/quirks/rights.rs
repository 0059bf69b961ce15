//! Who may do what: here, missing rights look like missing data, and a refused key raises alarms.

use lockstep_contract::{FaultKind, KeyKind, Reduction, Step};
use lockstep_simulator::Purpose;

use crate::site::{Site, cx, no};

#[tokio::test]
async fn a_refused_key_is_not_shown_again_and_again() {
    let site = Site::new().await;
    site.simulator().change_key("another");
    for _ in 0..20 {
        let fault = site.try_list().await.expect_err("refused");
        assert_eq!(fault.kind, FaultKind::Unauthenticated);
    }
    assert!(site.simulator().alarms() <= 3, "{} alarms", site.simulator().alarms());
}

#[tokio::test]
async fn a_key_that_is_refused_in_the_middle_of_a_list_is_no_end_of_it() {
    let site = Site::new().await;
    let page = site.target.list(&cx(), None).await.expect("the first page");
    let lockstep_contract::Next::More(cursor) = page.next else { panic!("one page only") };
    site.simulator().disable_client(true);
    let fault = site.target.list(&cx(), Some(cursor.clone())).await.expect_err("refused");
    assert_eq!(fault.kind, FaultKind::Unauthenticated);
    assert!(fault.message.contains("REST Client item is disabled"), "the server's own words: {fault}");
    site.simulator().disable_client(false);
    let page = site.target.list(&cx(), Some(cursor)).await.expect("the same page again");
    assert_eq!(page.items.len(), 10);
}

#[tokio::test]
async fn a_site_without_the_licence_is_denied_and_not_empty() {
    let site = Site::new().await;
    site.list().await;
    site.simulator().rights(|rights| rights.licensed = false);
    let fault = site.try_list().await.expect_err("not licensed");
    assert!(fault.kind == FaultKind::Denied && fault.message.contains("feature not licensed"), "{fault}");
    let fresh = Site::new().await;
    fresh.simulator().rights(|rights| rights.licensed = false);
    let fault = fresh.try_list().await.expect_err("the front page shows no feature");
    assert!(fault.kind == FaultKind::Denied && fault.to_string().contains("cardholders"), "{fault}");
}

#[tokio::test]
async fn an_operator_who_sees_nobody_has_no_empty_site() {
    let site = Site::new().await;
    let id = site.holder(0);
    site.simulator().rights(|rights| rights.view = false);
    let fault = site.try_list().await.expect_err("blind");
    assert_eq!(fault.kind, FaultKind::Denied);
    let fault = site.target.read(&cx(), &id).await.expect_err("404 is no proof when nobody shows");
    assert_eq!(fault.kind, FaultKind::Denied);
    let told = Site::with(|settings| format!("may_be_empty = true\n{settings}")).await;
    told.simulator().rights(|rights| rights.view = false);
    assert!(told.list().await.is_empty());
}

#[tokio::test]
async fn a_deleted_cardholder_is_not_there() {
    let site = Site::new().await;
    let id = site.holder(0);
    site.simulator().delete(&id);
    assert_eq!(site.target.read(&cx(), &id).await.expect("an answer"), None);
    let fault = no(site.apply(&id, vec![Step::Grant { level: site.level(0) }]).await);
    assert_eq!(fault.kind, FaultKind::Missing);
    let fault = no(site.apply(&id, vec![Reduction::Suspend.into()]).await);
    assert_eq!(fault.kind, FaultKind::Missing);
}

#[tokio::test]
async fn an_operator_without_the_right_to_edit_is_denied() {
    let site = Site::new().await;
    site.simulator().rights(|rights| (rights.edit, rights.create) = (false, false));
    let fault = no(site.apply(&site.holder(0), vec![Reduction::Suspend.into()]).await);
    assert_eq!(fault.kind, FaultKind::Denied);
    assert_eq!(no(site.join("New", "Comer", "7001", Vec::new()).await).kind, FaultKind::Denied);
}

#[tokio::test]
async fn a_licence_that_is_full_is_denied() {
    let site = Site::new().await;
    site.simulator().rights(|rights| rights.cardholders_max = 25);
    let fault = no(site.join("New", "Comer", "7001", Vec::new()).await);
    assert!(fault.kind == FaultKind::Denied && fault.message.contains("limit"), "{fault}");
}

#[tokio::test]
async fn somebody_with_unsaved_edits_is_named_and_nothing_is_changed() {
    let site = Site::new().await;
    let id = site.holder(0);
    site.simulator().lock_record(&id, "Front Desk", "RECEPTION-2");
    let before = site.read(&id).await;
    let fault = no(site.apply(&id, vec![Reduction::Suspend.into()]).await);
    assert_eq!(fault.kind, FaultKind::Conflict);
    assert!(fault.message.contains("Front Desk") && fault.message.contains("RECEPTION-2"), "{fault}");
    assert_eq!(site.read(&id).await.digest(), before.digest());
}

#[tokio::test]
async fn only_the_divisions_of_the_settings_are_read_and_written() {
    let site = Site::with(|settings| format!("divisions = [\"5\"]\n{settings}")).await;
    assert!(site.target.info().fingerprint.ends_with("#divisions=5"), "{}", site.target.info().fingerprint);
    let visitor = site.holder(3);
    site.simulator().edit(&visitor, |holder| holder.division = 7);
    let ids: Vec<_> = site.list().await.into_iter().map(|record| record.id).collect();
    assert!(ids.len() == 24 && !ids.contains(&visitor));
    for steps in [vec![Reduction::Suspend.into()], vec![Step::Grant { level: site.level(0) }]] {
        let fault = no(site.apply(&visitor, steps).await);
        assert!(fault.kind == FaultKind::Denied && fault.message.contains("division"), "{fault}");
    }
    assert!(site.find(KeyKind::Employee, "00903").await.is_empty(), "not ours");
    let fault = no(site.join("Given3", "Family3", "00903", Vec::new()).await);
    assert_eq!(fault.kind, FaultKind::Conflict, "and not to be made a second time: {fault}");
}

#[tokio::test]
async fn the_divisions_inside_a_division_are_part_of_it() {
    let site = Site::with(|settings| format!("divisions = [\"2\"]\n{settings}")).await;
    assert_eq!(site.list().await.len(), 25);
    site.apply(&site.holder(0), vec![Reduction::Suspend.into()]).await.expect("inside the root division");
}

#[tokio::test]
async fn the_operator_of_the_key_is_a_cardholder_too_and_has_no_key() {
    let site = Site::new().await;
    let operator = site.simulator().show_operator();
    let list = site.list().await;
    let own = list.iter().find(|record| record.id == operator).expect("it shows");
    assert!(own.keys.is_empty());
    assert_eq!(site.count(Purpose::Write), 0);
}

#[tokio::test]
async fn a_probe_names_what_is_missing() {
    let site = Site::new().await;
    site.simulator().field_access("Department", "readOnly");
    site.simulator().rights(|rights| rights.card_types = false);
    site.simulator().hire("Hidden", "Key", "8001", false);
    let health = site.target.probe(&cx()).await.expect("a probe");
    let text = |name: &str| {
        let check =
            health.checks.iter().find(|check| check.name == name).unwrap_or_else(|| panic!("{name}: {health:?}"));
        format!("{:?}: {}", check.outcome, check.detail)
    };
    assert!(text("personal data field Department").starts_with("Warn"), "{health:?}");
    assert!(text("card states").starts_with("Warn"));
    assert!(text("keys").contains("those of 1 cannot show"));
    assert!(text("home group").starts_with("Pass"));
    assert_eq!(site.count(Purpose::Write), 0, "a probe writes nothing");
}
