//! Traps about requests: pages, batches, waiting, and where links lead.

use std::time::Duration;

use lockstep_contract::{Cx, Directory, FaultKind, Membership, Presence, Proof};
use serde_json::json;

use crate::simulator::opened::{cx, everybody, members, person, scope};
use crate::simulator::{Simulator, Tenant, Trouble, What};
use crate::world::{OUTER, PLAIN, STRANGER, begin, id};

#[tokio::test]
async fn trap_08_a_round_that_breaks_off_is_no_list_whichever_page_fails() {
    let (simulator, directory) = begin(json!({"page_size": 2})).await;
    for (what, kind) in [
        (What::Status(429, Some(0)), FaultKind::Throttled),
        (What::Status(503, None), FaultKind::Unreachable),
        (What::Reset, FaultKind::Unreachable),
        (What::Status(403, None), FaultKind::Denied),
    ] {
        for page in 0..5 {
            simulator.trouble(Some(Trouble { skip: page, ..Trouble::always("/users?", what.clone()) }));
            let fault = everybody(&directory, &cx()).await.expect_err("broken off");
            assert_eq!(fault.kind, kind, "page {page}, {what:?}");
        }
    }
    simulator.trouble(None);
    assert_eq!(everybody(&directory, &cx()).await.expect("whole").0.len(), 10);
}

#[tokio::test]
async fn a_list_that_ends_too_early_is_not_whole_even_when_the_canary_is_on_it() {
    let (simulator, directory) = begin(json!({"page_size": 4, "canary": id(0).to_string()})).await;
    for page in 0..3 {
        simulator.trouble(Some(Trouble { skip: page, times: 1, ..Trouble::always("/users?", What::Short) }));
        let fault = everybody(&directory, &cx()).await.expect_err("somebody is missing");
        assert!(fault.kind == FaultKind::Protocol && fault.message.contains("counts 10"), "page {page}: {fault}");
    }
    simulator.trouble(None);
    // Somebody came while the list was read: the count that is taken then agrees.
    let first = directory.people(&cx(), &scope(), None).await.expect("a page");
    let lockstep_contract::Next::More(mut cursor) = first.next else { panic!("one page") };
    simulator.tenant().add_user(id(11), json!({}));
    let census = loop {
        match directory.people(&cx(), &scope(), Some(cursor)).await.expect("a page").next {
            lockstep_contract::Next::More(next) => cursor = next,
            lockstep_contract::Next::End(census) => break census,
        }
    };
    assert_eq!((census.sent, census.server_total), (11, Some(11)));
}

#[tokio::test]
async fn a_page_that_failed_for_a_moment_can_be_asked_for_again() {
    let (simulator, directory) = begin(json!({"page_size": 4})).await;
    let first = directory.people(&cx(), &scope(), None).await.expect("a page");
    let lockstep_contract::Next::More(cursor) = first.next else { panic!("one page") };
    simulator.trouble(Some(Trouble { times: 1, ..Trouble::always("/users?", What::Status(503, None)) }));
    directory.people(&cx(), &scope(), Some(cursor.clone())).await.expect_err("for a moment");
    let second = directory.people(&cx(), &scope(), Some(cursor.clone())).await.expect("the same page");
    assert_eq!(second.items.len(), 4);
    directory.people(&cx(), &scope(), Some(cursor)).await.expect_err("a page is handed out once");
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_of_a_list_is_renewed_and_the_list_is_whole() {
    let (simulator, directory) = begin(json!({"page_size": 4})).await;
    let first = directory.people(&cx(), &scope(), None).await.expect("a page");
    let lockstep_contract::Next::More(cursor) = first.next else { panic!("one page") };
    simulator.end_tokens();
    let second = directory.people(&cx(), &scope(), Some(cursor)).await.expect("with a new token");
    assert_eq!((second.items.len(), simulator.login().given), (4, 2));
}

#[tokio::test]
async fn trap_10_every_page_asks_for_the_index_that_counts() {
    let (simulator, directory) = begin(json!({"page_size": 2})).await;
    everybody(&directory, &cx()).await.expect("the simulator refuses pages without the header");
    let pages: Vec<_> = simulator.arrived().into_iter().filter(|it| it.target.contains("/users?")).collect();
    assert!(pages.len() == 5 && pages.iter().all(|page| page.consistency), "{pages:?}");
}

#[tokio::test]
async fn trap_19_a_batch_that_succeeds_says_nothing_about_its_items() {
    let (simulator, directory) = begin(json!({})).await;
    let direct = format!("/users/{}?", id(STRANGER));
    for (on, what, kind) in [
        (direct.as_str(), What::Status(403, None), FaultKind::Denied),
        (direct.as_str(), What::Status(500, None), FaultKind::Unreachable),
        (direct.as_str(), What::Silence, FaultKind::Unreachable),
        (direct.as_str(), What::Html, FaultKind::Protocol),
        ("/directory/deletedItems", What::Status(403, None), FaultKind::Denied),
        ("/directory/deletedItems", What::Silence, FaultKind::Unreachable),
        ("$filter=id", What::Status(400, None), FaultKind::Invalid),
        ("$filter=id", What::Empty, FaultKind::Unreachable),
    ] {
        simulator.trouble(Some(Trouble::always(on, what.clone())));
        let fault = directory.lookup(&cx(), &person(STRANGER)).await.expect_err("nothing is proven");
        assert_eq!(fault.kind, kind, "{on} {what:?}: {fault}");
    }
    simulator.trouble(None);
    // The simulator answers in reverse order: an answer is found by its number, not by its place.
    assert!(matches!(directory.lookup(&cx(), &person(STRANGER)).await, Ok(Presence::Gone(Proof::NotFound { .. }))));
    assert!(matches!(directory.lookup(&cx(), &person(1)).await, Ok(Presence::Present(found)) if found.id == person(1)));
}

#[tokio::test]
async fn items_of_a_batch_that_are_turned_away_are_asked_again_after_the_wait_and_alone() {
    let (simulator, directory) = begin(json!({})).await;
    let on = format!("/groups/{}/transitiveMembers?", id(PLAIN));
    simulator.trouble(Some(Trouble { times: 1, ..Trouble::always(&on, What::Status(429, Some(1))) }));
    assert!(matches!(members(&directory, PLAIN).await, Membership::Members(_)));
    let log = simulator.arrived();
    let asked: Vec<_> = log.iter().filter(|it| it.target.contains(&on)).collect();
    assert_eq!(asked.len(), 2, "turned away, and asked once more");
    assert!(asked[1].at.duration_since(asked[0].at) >= Duration::from_millis(900), "after the wait");
    let group = format!("/groups/{}?", id(PLAIN));
    assert_eq!(log.iter().filter(|it| it.target.contains(&group)).count(), 1, "what was answered is not asked again");
}

#[tokio::test]
async fn trap_20_nothing_is_sent_while_graph_said_to_wait() {
    let (simulator, directory) = begin(json!({})).await;
    simulator.trouble(Some(Trouble::always("", What::Status(429, Some(60)))));
    let fault = everybody(&directory, &cx()).await.expect_err("turned away");
    assert_eq!((fault.kind, fault.retry_after), (FaultKind::Throttled, Some(Duration::from_secs(60))));
    simulator.trouble(None);
    simulator.arrived();
    let fault = directory.lookup(&cx(), &person(1)).await.expect_err("the whole tenant waits");
    assert!(fault.kind == FaultKind::Throttled && fault.retry_after > Some(Duration::from_secs(50)), "{fault:?}");
    let Membership::Unreadable(fault) = members(&directory, PLAIN).await else { panic!("readable") };
    assert_eq!(fault.kind, FaultKind::Throttled);
    everybody(&directory, &cx()).await.expect_err("not yet");
    assert!(simulator.arrived().is_empty(), "requests that are sent meanwhile would count against us");
}

#[tokio::test]
async fn trap_22_a_link_to_another_host_gets_no_token() {
    let decoy = Simulator::start(Tenant::new()).await;
    let (simulator, directory) = begin(json!({"page_size": 2})).await;
    let port = simulator.port;
    let inside = format!("http://user@127.0.0.1:{port}");
    let outside = decoy.root().to_owned();
    let hidden = format!("http://127.0.0.1:{port}@127.0.0.1:{}", decoy.port);
    for link in [outside.as_str(), "https://graph.microsoft.com", &inside, &hidden, "//evil.example"] {
        for on in ["/users?", "/transitiveMembers?"] {
            simulator.trouble(Some(Trouble::always(on, What::Elsewhere(link.to_owned()))));
            if on == "/users?" {
                let fault = everybody(&directory, &cx()).await.expect_err("elsewhere");
                assert_eq!(fault.kind, FaultKind::Protocol, "{link}");
            } else {
                assert!(matches!(members(&directory, OUTER).await, Membership::Unreadable(_)), "{link}");
            }
        }
    }
    // Nor does a redirect.
    simulator.trouble(Some(Trouble::always("", What::Redirect(outside))));
    everybody(&directory, &cx()).await.expect_err("a redirect");
    directory.lookup(&cx(), &person(1)).await.expect_err("a redirect");
    assert!(decoy.arrived().is_empty(), "the decoy saw nothing, and so no token");
}

#[tokio::test]
async fn no_time_left_is_said_and_nobody_is_taken_for_gone() {
    let (simulator, directory) = begin(json!({})).await;
    simulator.trouble(Some(Trouble::always("", What::Drip)));
    let short = Cx::new(Duration::from_millis(300));
    assert_eq!(everybody(&directory, &short).await.expect_err("drips").kind, FaultKind::Unreachable);
    assert_eq!(directory.lookup(&short, &person(1)).await.expect_err("drips").kind, FaultKind::Unreachable);
}
