//! New people, and the expiration date that switches people off.

use jiff::civil::date;
use lockstep_contract::{
    ApplyFault, CheckOutcome, CredentialStatus, FaultKind, Reduction, Status, Step, Subject, Target as _,
    TargetReader as _, Validity,
};

use crate::common::{Site, action, cx, no_end, off, seeded};

#[tokio::test]
async fn a_number_that_belongs_to_somebody_in_the_bin_is_not_taken_and_nobody_is_undeleted() {
    let site = Site::new().await;
    site.sim().delete("00903");
    let before = site.sim().person("00903");
    let Err(ApplyFault::Refused(fault)) = site.create("00903", vec![]).await else { panic!("refused") };
    assert_eq!(fault.kind, FaultKind::Conflict);
    assert!(fault.help.is_some_and(|help| help.contains("undelete")));
    assert_eq!(site.sim().person("00903"), before);
}

#[tokio::test]
async fn a_number_is_given_once_by_the_netbox_itself() {
    let site = Site::new().await;
    let first = site.create("77001", vec![]).await.expect("created").cardholder;
    site.server.arrived();
    let gym = site.level("Conformance level 5").await;
    let again = site.create("77001", vec![Step::Grant { level: gym.clone() }]).await.expect("there already").cardholder;
    assert_eq!((first.clone(), site.sim().count()), (again, 26));
    assert!(site.present(&first).await.levels.contains(&gym), "what was left to do is done");
}

#[tokio::test]
async fn there_is_no_switch_for_a_person_so_the_expiration_date_is_it() {
    let site = Site::new().await;
    let end = date(2031, 6, 30).at(18, 0, 0, 0);
    site.sim().edit("00901", |person| person.end = Some(end));
    let before = site.present(&seeded(1)).await;
    site.change(&seeded(1), vec![Reduction::Suspend.into()]).await.expect("suspended");
    let person = site.sim().person("00901").expect("there");
    assert_eq!(person.end, Some(date(2000, 1, 1).at(0, 0, 0, 0)));
    let off = site.present(&seeded(1)).await;
    assert_eq!((off.status, off.validity), (Status::Suspended, before.validity), "the end is kept");
    site.change(&seeded(1), vec![Step::Reinstate]).await.expect("reinstated");
    let person = site.sim().person("00901").expect("there");
    assert_eq!((person.end, person.field("UDF20")), (Some(end), ""));
    assert_eq!(site.present(&seeded(1)).await.digest(), before.digest());
}

#[tokio::test]
async fn an_end_that_an_operator_set_meanwhile_is_the_end() {
    let site = Site::new().await;
    site.change(&seeded(1), vec![Reduction::Suspend.into()]).await.expect("suspended");
    let end = date(2030, 1, 1).at(0, 0, 0, 0);
    site.sim().edit("00901", |person| person.end = Some(end));
    assert_eq!(site.present(&seeded(1)).await.status, Status::Active);
    site.change(&seeded(1), vec![Step::Reinstate]).await.expect("nothing to do");
    assert_eq!(site.sim().person("00901").expect("there").end, Some(end));
}

#[tokio::test]
async fn what_somebody_else_keeps_in_the_suspension_field_stays_and_the_suspension_goes_before() {
    let site = Site::new().await;
    site.sim().edit("00901", |person| drop(person.fields.insert("UDF20", "Parking lot 7".to_owned())));
    site.change(&seeded(1), vec![Reduction::Suspend.into()]).await.expect("suspended");
    assert_eq!(site.present(&seeded(1)).await.status, Status::Suspended);
    assert_eq!(site.sim().person("00901").expect("there").field("UDF20"), "Parking lot 7");
    let Err(ApplyFault::Refused(fault)) = site.change(&seeded(1), vec![Step::Reinstate]).await else {
        panic!("an end that nobody knows was made up")
    };
    assert!(fault.message.contains("by hand"), "{fault}");
    site.change(&seeded(1), vec![Step::Reinstate, no_end()]).await.expect("the end is said");
    assert_eq!(site.present(&seeded(1)).await.status, Status::Active);
    assert_eq!(site.sim().person("00901").expect("there").field("UDF20"), "Parking lot 7");
    let health = site.netbox.probe(&cx()).await.expect("readable");
    assert!(health.checks.iter().any(|c| c.name == "suspension field" && c.outcome == CheckOutcome::Fail));
}

#[tokio::test]
async fn an_empty_date_may_change_nothing_and_then_nobody_is_let_in() {
    let site = Site::prepared(|sim| sim.rules(|rules| rules.empty_date_ignored = true), |s| s).await;
    site.change(&seeded(1), vec![Reduction::Suspend.into()]).await.expect("suspended");
    // Accepted is not done: the read-back shows it.
    let _ = site.change(&seeded(1), vec![Step::Reinstate]).await;
    assert_eq!(site.present(&seeded(1)).await.status, Status::Suspended);
    let far = site.another(|settings| format!("open_end = \"2099-12-31\"\n{settings}"));
    let lift = action(Subject::Existing(seeded(1)), vec![Step::Reinstate, no_end()]);
    far.apply(&cx(), &lift).await.expect("reinstated");
    let record = far.read(&cx(), &seeded(1)).await.expect("readable").expect("there");
    assert_eq!((record.status, record.validity), (Status::Active, Validity::ALWAYS));
}

#[tokio::test]
async fn a_suspension_field_that_takes_no_text_does_not_keep_the_cards_on() {
    let site = Site::prepared(|sim| sim.rules(|rules| rules.closed = Some("UDF20")), |s| s).await;
    let card = site.present(&seeded(1)).await.credentials.first().expect("a card").id.clone();
    let Err(ApplyFault::Uncertain(fault)) = site.change(&seeded(1), vec![Reduction::Suspend.into(), off(&card)]).await
    else {
        panic!("not all of it is done")
    };
    assert!(fault.message.contains("UDF20"), "{fault}");
    let record = site.present(&seeded(1)).await;
    assert_eq!((record.status, record.validity), (Status::Active, Validity::ALWAYS), "no end is lost for it");
    assert!(matches!(record.credentials.first().map(|card| &card.status), Some(CredentialStatus::Inactive(_))));
}
