//! Settling much later: people were switched on again, and cards have changed hands since.

use std::fs;

use serde_json::{Value, json};

use crate::settling::{alerts, bring_back, offboard, settle, status_on, take_away, three};
use crate::site::{Site, number};

/// Changes the cardholders of one PACS, as somebody does with its own client.
fn change(site: &Site, target: &str, change: impl FnOnce(&mut Vec<Value>)) {
    let name = format!("{target}.json");
    let mut world: Value = serde_json::from_slice(&fs::read(site.path(&name)).expect("the PACS")).expect("JSON");
    change(world["cardholders"].as_array_mut().expect("a list"));
    site.write(&name, &world.to_string());
}

fn record(holders: &mut [Value], n: usize) -> &mut Value {
    holders.iter_mut().find(|one| one["profile"]["employee_number"] == number(n)).expect("a record")
}

/// The keys of a record: its employee number, and this card.
fn keys(n: usize, card: Option<&str>) -> Value {
    let employee = json!({"kind": "employee", "value": number(n)});
    json!(
        [Some(employee), card.map(|card| json!({"kind": "card", "value": card}))]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
    )
}

#[test]
fn an_earlier_offboarding_closes_nothing_that_a_later_one_left() {
    let site = three();
    take_away(&site, "annex.json");
    offboard(&site, "employee:1003").ends(4);
    change(&site, "hq", |holders| record(holders, 3)["status"] = json!("active"));
    take_away(&site, "hq.json");
    let again = offboard(&site, "employee:1003").ends(4);
    assert!(again.out.contains("hq"), "{}", again.out);
    let open = site.run(&["status", "--json"]).ends(0).json()["open"].clone();
    assert!(open.as_array().is_some_and(|open| open.iter().any(|one| one["target"] == "hq")), "{open}");
    for name in ["annex.json", "hq.json"] {
        bring_back(&site, name);
    }
    settle(&site).ends(0);
    assert_eq!((status_on(&site, "hq", 3), status_on(&site, "annex", 3)), ("suspended".into(), "suspended".into()));
    assert!(settle(&site).ends(0).out.contains("Nothing is open"));
}

/// Somebody who was put out by their card while one PACS was away, and that PACS as it is when it comes back.
fn by_card(hq: &str, meanwhile: impl FnOnce(&mut Vec<Value>)) -> Site {
    const CARD: &str = "26-4711";
    let site = three();
    for target in ["hq", "annex"] {
        change(&site, target, |holders| record(holders, 3)["keys"] = keys(3, Some(CARD)));
    }
    change(&site, "hq", |holders| {
        record(holders, 3)["status"] = json!(hq);
        if hq == "suspended" {
            record(holders, 3)["credentials"] = json!([]);
            record(holders, 3)["levels"] = json!([]);
        }
    });
    // Here they have no record that would say who they are.
    change(&site, "lab", |holders| holders.retain(|one| one["profile"]["employee_number"] != number(3)));
    take_away(&site, "annex.json");
    offboard(&site, &format!("card:{CARD}")).ends(4);
    assert_eq!(status_on(&site, "hq", 3), "suspended");
    bring_back(&site, "annex.json");
    change(&site, "annex", |holders| {
        record(holders, 3)["keys"] = keys(3, None);
        record(holders, 4)["keys"] = keys(4, Some(CARD));
        meanwhile(holders);
    });
    // Nobody but the record can say any more whose card it was.
    fs::remove_file(site.path("state/roster.db")).expect("nobody knows which record was linked");
    take_away(&site, "hq.json");
    site
}

#[test]
fn whoever_was_handed_the_card_since_stays_in_and_whoever_had_it_is_out() {
    let site = by_card("active", |_| {});
    let settled = settle(&site);
    assert!(settled.out.contains("on annex: out, read back"), "{}{}", settled.out, settled.err);
    assert_eq!((status_on(&site, "annex", 3), status_on(&site, "annex", 4)), ("suspended".into(), "active".into()));
}

#[test]
fn whose_card_it_was_is_looked_up_when_it_is_not_on_record_and_nobody_is_put_out_until_then() {
    let site = by_card("suspended", |_| {});
    let open = settle(&site).ends(4);
    assert!(open.out.contains("none of their records elsewhere can be read"), "{}", open.out);
    assert_eq!((status_on(&site, "annex", 3), status_on(&site, "annex", 4)), ("active".into(), "active".into()));
    bring_back(&site, "hq.json");
    settle(&site).ends(0);
    assert_eq!((status_on(&site, "annex", 3), status_on(&site, "annex", 4)), ("suspended".into(), "active".into()));
}

#[test]
fn a_card_that_only_somebody_else_has_now_is_asked_about_until_the_person_is_named() {
    let site = by_card("active", |holders| holders.retain(|one| one["profile"]["employee_number"] != number(3)));
    let asked = settle(&site).ends(4);
    assert!(asked.out.contains("which one is meant?"), "{}", asked.out);
    assert_eq!(status_on(&site, "annex", 4), "active");
    bring_back(&site, "hq.json");
    site.run(&["offboard", "employee:1003", "--reason", "theft", "--by", "Desk", "--yes"]).ends(0);
    let done = settle(&site).ends(0);
    assert!(done.out.contains("Nothing is open"), "{}", done.out);
    assert_eq!(status_on(&site, "annex", 4), "active");
}

#[test]
fn a_spoilt_state_does_not_hide_who_may_still_have_access() {
    let site = three();
    take_away(&site, "annex.json");
    offboard(&site, "employee:1003").ends(4);
    fs::write(site.path("state/lockstep.db"), "this is no database").expect("spoilt");
    let status = site.run(&["status"]).ends(8);
    assert!(status.err.contains("NOT confirmed out: employee:1003 on annex"), "{}", status.err);
}

#[test]
fn what_is_open_on_a_pacs_that_is_no_longer_configured_is_told_by_every_run() {
    let site = three();
    take_away(&site, "annex.json");
    offboard(&site, "employee:1003").ends(4);
    let config = fs::read_to_string(site.path("lockstep.toml")).expect("the configuration");
    let at = config.find("\n[[target]]\nid = \"annex\"").expect("annex");
    let end = config.find("\n[[target]]\nid = \"lab\"").expect("lab");
    site.write("lockstep.toml", &format!("{}{}", &config[..at], &config[end..]));
    let before = alerts(&site).len();
    let sync = site.run(&["sync"]).ends(4);
    assert!(sync.out.contains("NOT confirmed out: employee:1003 on annex"), "{}", sync.out);
    let raised = alerts(&site);
    assert!(raised[before..].iter().any(|one| one["code"] == "LA0101" && one["target"] == "annex"), "{raised:?}");
}
