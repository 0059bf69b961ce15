//! One scenario, all targets: the same world on every vendor's simulator, on a PACS that speaks SCIM and on the simulated
//! PACS. Joiners, movers, leavers, rehires, a rename and a double from one HR feed; through the whole program. What everybody
//! can open in the end is the same everywhere, and what the feed says.
//!
//! `TESTBED_PEOPLE` makes the world larger: 2000 take about a minute.

#![cfg(all(
    feature = "hr-csv",
    feature = "gallagher",
    feature = "netbox",
    feature = "onguard",
    feature = "scim",
    feature = "sim"
))]

mod feed;
mod places;
mod site;

use std::collections::BTreeSet;

use feed::Feed;
use places::{Access, Place};
use site::Site;

/// So many people, unless the environment says otherwise.
const PEOPLE: usize = 240;

fn people() -> usize {
    std::env::var("TESTBED_PEOPLE").ok().and_then(|text| text.parse().ok()).unwrap_or(PEOPLE)
}

/// Everywhere, everybody can open what the feed says, and nothing else.
#[track_caller]
fn all_agree(places: &[Place], expected: &Access, when: &str) {
    for place in places {
        let found = place.access();
        let wrong = found
            .iter()
            .filter(|(who, doors)| expected.get(*who) != Some(*doors))
            .map(|(who, doors)| format!("{who}: {doors:?}, and should {:?}", expected.get(who)));
        let lacking = expected.keys().filter(|who| !found.contains_key(*who)).map(|who| format!("{who} is not there"));
        let differences: Vec<String> = wrong.chain(lacking).collect();
        assert!(differences.is_empty(), "{when}, {}:\n{}", place.kind, differences.join("\n"));
    }
}

/// Where access stands on badges, the badge office issues one to whoever has none, and switches on those of whoever came back.
/// Lockstep does neither, and does its part in the run after that.
fn by_hand(site: &Site, places: &[Place], people: &[String]) {
    for place in places {
        let Some(office) = &place.badge_office else { continue };
        let access = place.access();
        let early = people.iter().find(|who| access.get(*who).is_none_or(|doors| !doors.is_empty()));
        assert_eq!(early, None, "on {}, nobody opens anything without a badge that works", place.kind);
        office(people);
    }
    site.carry_out();
}

#[test]
fn everybody_can_open_the_same_doors_on_every_target() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut feed = Feed::new(people());
    let places = runtime.block_on(places::all(feed.seed()));
    let site = Site::new(&places, &feed);
    all_agree(&places, &feed.access(), "before anything is done");

    // The first plan only gets to know everybody.
    site.carry_out();
    all_agree(&places, &feed.access(), "after the first plan");

    feed.joiners_movers_leavers_a_rename_and_a_double();
    site.feed(&feed);
    site.carry_out();
    by_hand(&site, &places, &feed.newcomers());
    all_agree(&places, &feed.access(), "after the first day");
    for place in &places {
        place.is_called(&feed.renamed(), feed::NEW_NAME);
        place.is_there_once();
    }
    site.nothing_is_left();

    let rehired = feed.rehires();
    site.feed(&feed);
    site.carry_out();
    by_hand(&site, &places, &rehired);
    all_agree(&places, &feed.access(), "after the rehires");
    site.nothing_is_left();

    let before: Vec<_> = places.iter().map(Place::whole).collect();
    feed.more_movers_and_leavers();
    site.feed(&feed);
    let run = site.carry_out();
    all_agree(&places, &feed.access(), "after the third day");
    site.roll_back(&run);
    for (place, before) in places.iter().zip(before) {
        assert_eq!(place.whole(), before, "the rollback is exact on {}", place.kind);
    }

    let (who, mut expected) = (feed.somebody(), places[0].access());
    assert!(!expected[&who].is_empty(), "somebody with access");
    expected.insert(who.clone(), BTreeSet::default());
    site.offboard(&who);
    all_agree(&places, &expected, "after one command");
}
