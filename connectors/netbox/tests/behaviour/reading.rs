//! What lists, searches and single records say, and do not say.

use lockstep_contract::{CorrelationKey, FaultKind, KeyKind, TargetReader as _};
use lockstep_netbox::simulator::{EmptyList, Simulator};

use crate::common::{Site, cx, seeded};

#[tokio::test]
async fn an_empty_list_is_said_in_three_ways() {
    for style in [EmptyList::NotFound, EmptyList::Fail, EmptyList::Success] {
        let site = Site::prepared(|sim| sim.rules(|rules| rules.empty_list = style), |s| s).await;
        assert!(site.find(KeyKind::Upn, "nobody@conformance.example").await.expect("nobody").is_empty(), "{style:?}");
    }
}

#[tokio::test]
async fn somebody_in_the_bin_answers_to_their_number_and_is_not_there() {
    let site = Site::new().await;
    assert!(site.sim().delete("00903"));
    assert_eq!(site.read(&seeded(3)).await.expect("readable"), None);
    assert!(site.find(KeyKind::Employee, "00903").await.expect("nobody").is_empty());
    assert!(site.everybody().await.expect("a list").iter().all(|one| one.id != seeded(3)));
}

#[tokio::test]
async fn a_pin_is_sent_in_clear_text_and_kept_nowhere() {
    let site = Site::new().await;
    assert_eq!(site.sim().person("00901").expect("there").pin, "4711");
    assert!(!format!("{:?}", site.everybody().await.expect("a list")).contains("4711"));
}

#[tokio::test]
async fn an_edit_by_somebody_else_shows_with_their_name() {
    let site = Site::new().await;
    let before = site.present(&seeded(1)).await;
    site.sim().edit("00901", |person| drop(person.fields.insert("NOTES", "x".to_owned())));
    let after = site.present(&seeded(1)).await;
    assert!(after.revision.as_ref().is_some_and(|revision| revision.0.ends_with("by _operator")), "{after:?}");
    assert_eq!(before.digest(), after.digest(), "notes are nobody's business");
}

#[tokio::test]
async fn a_page_may_be_smaller_than_asked_for_and_the_last_may_say_nothing() {
    let prepare = |sim: &Simulator| {
        sim.rules(|rules| {
            rules.page_max = 7;
            rules.no_last_key = true;
        });
    };
    let site = Site::prepared(prepare, |s| s).await;
    assert_eq!(site.everybody().await.expect("a list").len(), 25);
}

#[tokio::test]
async fn a_full_page_that_does_not_say_whether_it_is_the_last_is_no_end() {
    let prepare = |sim: &Simulator| sim.rules(|rules| rules.no_last_key = true);
    let site = Site::prepared(prepare, |settings| settings.replace("page_size = 10", "page_size = 25")).await;
    let fault = site.everybody().await.expect_err("nobody can tell");
    assert_eq!(fault.kind, FaultKind::Protocol);
}

#[tokio::test]
async fn a_search_that_finds_nobody_is_not_believed_until_it_has_found_somebody() {
    let site = Site::prepared(|sim| sim.rules(|rules| rules.deaf = Some("UDF2")), |s| s).await;
    let found = site.find(KeyKind::Upn, "person7@conformance.example").await.expect("found");
    assert_eq!(found.iter().map(|one| one.id.clone()).collect::<Vec<_>>(), [seeded(7)], "everybody was read instead");
}

#[tokio::test]
async fn keys_are_found_whatever_their_capitals_and_numbers_exactly() {
    let site = Site::new().await;
    site.sim().edit("00907", |person| drop(person.fields.insert("UDF2", "Person7@Conformance.example".to_owned())));
    let found = site.find(KeyKind::Upn, "person7@conformance.example").await.expect("found");
    assert_eq!(found.len(), 1);
    assert!(site.find(KeyKind::Employee, "907").await.expect("nobody").is_empty(), "00907 is somebody else");
}

#[tokio::test]
async fn a_card_names_its_holder_and_an_unknown_format_is_said() {
    let site = Site::new().await;
    let found = site.find(KeyKind::Card, "26-40007").await.expect("found");
    assert_eq!(found.iter().map(|one| one.id.clone()).collect::<Vec<_>>(), [seeded(7)]);
    assert!(site.find(KeyKind::Card, "37-40007").await.expect("nobody").is_empty());
    let wrong = site.another(|settings| settings.replace("26 bit Wiegand", "26 bits"));
    let key = CorrelationKey::new(KeyKind::Card, "26-40007").expect("a key");
    let fault = wrong.find(&cx(), &key).await.expect_err("no such format");
    assert!(fault.message.contains("26 bits") && !fault.to_string().contains("40007"), "{fault}");
}
