//! Access levels are named, renamed, and never sent as a bare list; nobody is deleted.

use jiff::civil::date;
use lockstep_contract::{
    AccessLevelId, ApplyFault, CredentialStatus, FaultKind, Reduction, Status, Step, TargetReader as _,
};

use crate::common::{Site, cx, no_end, off, revoke, seeded};

#[tokio::test]
async fn a_bare_list_would_replace_all_levels_and_is_never_sent() {
    let site = Site::new().await;
    let temporary = site.sim().add_level("Guest lift", 1);
    let end = date(2031, 1, 1).at(8, 0, 0, 0);
    site.sim().edit("00900", |person| person.levels.extend([(temporary, Some(end))]));
    let before = site.present(&seeded(0)).await;
    let (given, taken) = (site.level("Conformance level 4").await, site.level("Conformance level 1").await);
    let card = before.credentials.first().expect("a card").id.clone();
    site.server.arrived();
    site.change(&seeded(0), vec![Step::Grant { level: given.clone() }, revoke(&taken)]).await.expect("moved");
    site.change(&seeded(0), vec![Reduction::Suspend.into(), off(&card), revoke(&given)]).await.expect("left");
    site.change(&seeded(0), vec![Step::Reinstate, no_end()]).await.expect("came back");
    site.create("77001", vec![Step::Grant { level: given.clone() }]).await.expect("joined");
    let writes = site.writes();
    assert_eq!(writes.len(), 5, "one command for each action, and one for the card");
    for document in &writes {
        for level in document.split("<ACCESSLEVEL>").skip(1) {
            assert!(level.starts_with("<ACCESSLEVELNAME>") && level.contains("<DELETE>"), "{document}");
        }
        assert!(!document.contains("<ACCESSLEVELS></ACCESSLEVELS>") && !document.contains("<ACCESSLEVELS/>"));
    }
    let mut levels = before.levels;
    levels.remove(&taken);
    assert_eq!(site.present(&seeded(0)).await.levels, levels, "what others manage is as it was");
    let person = site.sim().person("00900").expect("there");
    assert_eq!(person.levels.get(&temporary), Some(&Some(end)), "with the end that they gave it");
}

#[tokio::test]
async fn nobody_is_ever_deleted_or_purged() {
    let site = Site::new().await;
    let card = site.present(&seeded(0)).await.credentials.first().expect("a card").id.clone();
    let levels: Vec<_> = site.present(&seeded(0)).await.levels.into_iter().collect();
    let mut steps = vec![Reduction::Suspend.into(), off(&card)];
    steps.extend(levels.iter().map(revoke));
    site.change(&seeded(0), steps).await.expect("left");
    for document in site.writes() {
        for never in ["RemovePerson", "RemoveCredential", "<DELETED>", "PERSONPURGE"] {
            assert!(!document.contains(never), "{document}");
        }
    }
    let person = site.sim().person("00900").expect("there");
    assert!(!person.deleted && person.cards.len() == 1);
}

#[tokio::test]
async fn a_level_that_others_hold_is_another_one_once_it_is_renamed() {
    let site = Site::new().await;
    let lab = site.level("Conformance level 1").await;
    let key = site.sim().level_key("Conformance level 1").expect("a key");
    site.sim().rename_level(key, "Vault");
    let catalog = site.netbox.catalog(&cx()).await.expect("readable");
    assert!(!catalog.levels.contains_key(&lab), "a mapping that means the old one is held up");
    let Err(ApplyFault::Refused(fault)) = site.change(&seeded(1), vec![Step::Grant { level: lab.clone() }]).await
    else {
        panic!("not given under its new name")
    };
    assert_eq!(fault.kind, FaultKind::Invalid);
    let held = site.present(&seeded(0)).await.levels;
    assert!(!held.contains(&lab) && held.iter().any(|level| level.as_str() == format!("{key}:Vault")), "{held:?}");
}

#[tokio::test]
async fn a_level_that_cannot_be_taken_does_not_keep_anybody_in() {
    let site = Site::new().await;
    let before = site.present(&seeded(0)).await;
    let card = before.credentials.first().expect("a card").id.clone();
    let gone = AccessLevelId::new("99:Torn down").expect("an id");
    let steps = vec![Reduction::Suspend.into(), off(&card), revoke(&gone)];
    let Err(ApplyFault::Uncertain(fault)) = site.change(&seeded(0), steps).await else {
        panic!("not all of it is done")
    };
    assert!(fault.message.contains("Torn down"), "{fault}");
    let after = site.present(&seeded(0)).await;
    assert_eq!(after.status, Status::Suspended);
    assert!(after.credentials.iter().all(|card| matches!(card.status, CredentialStatus::Inactive(_))));
}

#[tokio::test]
async fn nobody_holds_more_than_thirty_two_levels() {
    let site = Site::new().await;
    for n in 0..33 {
        site.sim().add_level(&format!("Extra {n}"), 1);
    }
    let mut steps = Vec::new();
    for n in 0..33 {
        steps.push(Step::Grant { level: site.level(&format!("Extra {n}")).await });
    }
    let Err(ApplyFault::Refused(fault)) = site.change(&seeded(1), steps).await else { panic!("too many") };
    assert!(fault.message.contains("32"), "{fault}");
    assert!(site.present(&seeded(1)).await.levels.is_empty());
}
