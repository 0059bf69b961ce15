//! Where things are: only `/api` is known, links are followed as they are, and none leads away.

use lockstep_conformance::Seed;
use lockstep_contract::{FaultKind, Reduction};
use lockstep_gallagher::simulator::Simulator;
use lockstep_simulator::{Edit, Mishap, Purpose, Server, When};

use crate::site::{Site, cx, no};

#[tokio::test]
async fn links_that_carry_a_query_of_their_own_are_added_to() {
    let site = Site::new().await;
    site.simulator().decorate_links();
    assert_eq!(site.list().await.len(), 25);
    let lists: Vec<String> =
        site.arrived().into_iter().filter(|(what, _)| *what == Purpose::List).map(|(_, it)| it.target).collect();
    assert!(lists[0].starts_with("/api/cardholders?v=1&sort=id&"), "{lists:?}");
}

#[tokio::test]
async fn nothing_is_asked_for_but_the_front_page_and_what_links_led_to() {
    let site = Site::new().await;
    site.list().await;
    let id = site.holder(0);
    site.read(&id).await;
    site.apply(&id, vec![Reduction::Suspend.into()]).await.expect("accepted");
    let arrived = site.arrived();
    assert_eq!(arrived[0].1.target, "/api");
    assert!(arrived.iter().all(|(_, request)| request.method != "DELETE"));
}

#[tokio::test]
async fn a_next_link_to_another_host_is_a_fault_and_the_key_never_goes_there() {
    let site = Site::new().await;
    let decoy = Server::start(Simulator::new(&Seed::default())).await.expect("server");
    site.target.list(&cx(), None).await.expect("all is well so far");
    site.simulator().links_to(Some(decoy.root()));
    let fault = site.try_list().await.expect_err("a list that leads away");
    assert_eq!(fault.kind, FaultKind::Protocol);
    let id = site.holder(0);
    let fault = site.target.read(&cx(), &id).await.expect_err("a record of another host");
    assert_eq!(fault.kind, FaultKind::Protocol);
    assert!(decoy.arrived().is_empty(), "nothing went to the other host");
}

#[tokio::test]
async fn an_id_that_leads_to_another_host_is_refused_before_anything_is_sent() {
    let site = Site::new().await;
    let decoy = Server::start(Simulator::new(&Seed::default())).await.expect("server");
    let there = decoy.root().trim_start_matches("http:").to_owned();
    for id in [format!("{there}/api/cardholders/1"), format!("{}/api/cardholders/1", decoy.root()), "1".to_owned()] {
        let id = lockstep_contract::CardholderId::new(id).expect("id");
        let fault = no(site.apply(&id, vec![Reduction::Suspend.into()]).await);
        assert_eq!(fault.kind, FaultKind::Invalid, "{fault}");
        assert!(site.target.read(&cx(), &id).await.is_err());
    }
    assert!(decoy.arrived().is_empty());
}

#[tokio::test]
async fn a_next_link_that_leads_back_is_a_fault() {
    let site = Site::new().await;
    let page = |from: usize| {
        let items: Vec<String> = (from..from + 2)
            .map(|n| format!(r#"{{"href":"{}/api/cardholders/{n}","authorised":true}}"#, site.server.root()))
            .collect();
        format!(
            r#"{{"results":[{}],"next":{{"href":"{}/api/cardholders?pos=1"}}}}"#,
            items.join(","),
            site.server.root()
        )
    };
    site.server.mishap(When::every(Purpose::List), Mishap::Edited(Edit::Body(page(1).into_bytes())));
    let fault = site.try_list().await.expect_err("no end");
    assert_eq!(fault.kind, FaultKind::Protocol);
    site.server.mishap(
        When::every(Purpose::List),
        Mishap::Edited(Edit::Body(page(1).replace("results\":[", "results\":[],\"x\":[").into_bytes())),
    );
    let fault = site.try_list().await.expect_err("empty pages without end");
    assert!(fault.kind == FaultKind::Protocol && fault.message.contains("no end"), "{fault}");
}

#[tokio::test]
async fn links_follow_the_name_by_which_the_server_was_called() {
    let site = Site::with(|settings| settings.replace("127.0.0.1", "localhost")).await;
    assert_eq!(site.list().await.len(), 25);
}

#[tokio::test]
async fn the_list_is_read_by_id_in_large_pages_and_nobody_is_read_alone() {
    let site = Site::with(|settings| settings.replace("page_size = 10\n", "")).await;
    site.list().await;
    let arrived = site.arrived();
    let list: Vec<_> = arrived.iter().filter(|(what, _)| *what == Purpose::List).collect();
    assert_eq!(list.len(), 1);
    assert!(list[0].1.target.contains("sort=id&top=10000&fields=href%2C"), "{}", list[0].1.target);
    // `/api`, the fields, the bookmark, the page, the changes.
    assert_eq!(arrived.len(), 5, "{arrived:?}");
}

#[tokio::test]
async fn a_version_without_the_feed_of_changes_is_read_all_the_same() {
    let site = Site::new().await;
    site.simulator().without_feed();
    assert_eq!(site.list().await.len(), 25);
    let health = site.target.probe(&cx()).await.expect("a probe");
    assert!(health.checks.iter().any(|check| check.name == "sign-in" && check.detail.contains("no feed")));
}
