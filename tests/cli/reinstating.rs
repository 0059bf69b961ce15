//! `reinstate`: whoever was put out by name comes back by name, with what was taken and nothing else.

use std::fs;

use serde_json::{Value, json};

use crate::site::{Site, number};

/// A site where one person was put out, with a second card that had been reported lost before.
fn with_somebody_out(n: usize) -> Site {
    let site = Site::settled();
    let mut world = site.world();
    let holder = world["cardholders"]
        .as_array_mut()
        .expect("a list")
        .iter_mut()
        .find(|holder| holder["keys"][0]["value"] == number(n).as_str());
    let holder = holder.expect("there");
    let lost = json!({"id": "old-card", "kind": "card", "number": "26-1", "status": {"inactive": "lost"}});
    holder["credentials"].as_array_mut().expect("a list").push(lost);
    let card = json!({"kind": "card", "value": format!("26-77{}", number(n))});
    holder["keys"].as_array_mut().expect("a list").push(card);
    site.write_world(&world);
    let who = format!("employee:{}", number(n));
    site.run(&["offboard", &who, "--reason", "theft", "--by", "Desk", "--yes"]).ends(0);
    assert_eq!(site.holder(n)["status"], "suspended");
    site
}

fn reinstate(site: &Site, who: &str) -> String {
    let args = ["reinstate", who, "--reason", "cleared", "--by", "Carol Shaw", "--json"];
    let planned = site.run(&args).ends(3).json();
    planned["directory"].as_str().expect("a folder").to_owned()
}

/// The parts that matter, without the counter of the PACS.
fn parts(holder: &Value) -> Value {
    json!([holder["status"], holder["levels"], holder["credentials"], holder["profile"], holder["validity"]])
}

#[test]
fn who_was_put_out_comes_back_with_exactly_what_was_taken() {
    let before = Site::settled().holder(3);
    let site = with_somebody_out(3);
    site.run(&["sync"]).ends(0);
    let plan = reinstate(&site, "employee:1003");
    let shown = site.run(&["show", &plan]).ends(0);
    assert!(shown.out.contains("Lifts the hold") && shown.out.contains("asked for by Carol Shaw"), "{}", shown.out);
    let report = fs::read_to_string(format!("{plan}/report.html")).expect("a report");
    assert!(report.contains("would come back") && report.contains("by Desk: theft"), "the report says what it is");

    site.run(&["apply", &plan]).ends(3);
    assert_eq!(site.holder(3)["status"], "suspended", "nobody approved it");
    for by in ["carol  shaw", "Dora Lovelace"] {
        let refused = site.run(&["approve", &plan, "--by", by, "--yes"]).ends(6);
        assert!(refused.err.contains("somebody else must approve it"), "{}", refused.err);
    }
    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(0);
    let applied = site.run(&["apply", &plan]).ends(0);
    assert!(applied.out.contains("The hold on employee:1003 is lifted, approved by Jane Doe"), "{}", applied.out);

    let after = site.holder(3);
    assert_eq!(after["credentials"][1]["status"], json!({"inactive": "lost"}), "a lost card stays off: {after}");
    let mut same = after.clone();
    same["credentials"].as_array_mut().expect("a list").pop();
    assert_eq!(parts(&same), parts(&before));
    assert!(!site.run(&["status"]).ends(0).out.contains("held out since"));
    let why = site.run(&["explain", "employee:1003"]).ends(0);
    assert!(why.out.contains("was held out since") && why.out.contains("approved by Jane Doe: cleared"), "{}", why.out);
    let used = site.run(&["apply", &plan]).ends(6);
    assert!(used.err.contains("applied before"), "{}", used.err);
    site.run(&["sync"]).ends(0);
    assert_eq!(site.holder(3)["status"], "active", "the directory says active, too");
    let nobody = site.run(&["reinstate", "employee:1003", "--reason", "again"]).ends(1);
    assert!(nobody.err.contains("not held out") && nobody.err.contains("lockstep status"), "{}", nobody.err);
}

#[test]
fn whoever_has_left_meanwhile_is_out_again_after_the_next_run() {
    let mut site = with_somebody_out(3);
    let plan = reinstate(&site, "1003");
    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(0);
    site.run(&["apply", &plan]).ends(0);
    site.ended = vec![3];
    site.write_people();
    site.run(&["sync"]).ends(0);
    assert_eq!(site.holder(3)["status"], "suspended");
}

#[test]
fn who_is_put_out_again_stays_out_whatever_was_approved_before() {
    let site = with_somebody_out(3);
    let plan = reinstate(&site, "cardholder:hq/h-03");
    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(0);
    site.run(&["offboard", "employee:1003", "--reason", "again", "--by", "Night desk", "--yes"]).ends(0);
    let refused = site.run(&["apply", &plan]).ends(6);
    assert!(refused.err.contains("put out again by Night desk"), "{}", refused.err);
    assert_eq!(site.holder(3)["status"], "suspended");
    assert_eq!(site.run(&["status"]).ends(0).out.matches("held out since").count(), 2);

    let both = reinstate(&site, "employee:1003");
    site.run(&["approve", &both, "--by", "Jane Doe", "--yes"]).ends(0);
    site.run(&["apply", &both]).ends(0);
    assert_eq!(site.holder(3)["credentials"][0]["status"], "active", "as it was before the first time");
}

#[test]
fn a_spool_that_is_found_again_brings_no_hold_back() {
    let site = with_somebody_out(3);
    let spool = site.path("state/spool");
    let plan = reinstate(&site, "employee:1003");
    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(0);
    site.run(&["apply", &plan]).ends(0);
    for file in fs::read_dir(&spool).expect("lists").flatten() {
        let path = file.path();
        if path.extension().is_some_and(|extension| extension == "absorbed") {
            fs::rename(&path, path.with_extension("spool")).expect("found again");
        }
    }
    site.run(&["sync"]).ends(0);
    assert_eq!(site.holder(3)["status"], "active");
    assert!(!site.run(&["status"]).ends(0).out.contains("held out since"));
}

#[test]
fn the_hold_of_somebody_who_was_never_found_is_lifted_the_same_way() {
    let site = Site::settled();
    site.run(&["offboard", "employee:4711", "--reason", "warned of", "--yes"]).ends(1);
    let plan = reinstate(&site, "employee:4711");
    site.run(&["apply", &plan]).ends(3);
    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(0);
    site.run(&["apply", &plan]).ends(0);
    site.run(&["apply", &plan]).ends(6);
    assert!(!site.run(&["status"]).ends(0).out.contains("held out since"));
}

#[test]
fn a_card_number_finds_whoever_is_held_out() {
    let site = with_somebody_out(3);
    let asked = site.run(&["reinstate", "card:26-771003", "--reason", "cleared"]).ends(3);
    assert!(asked.out.contains("Dora Lovelace") && !asked.out.contains("26-771003"), "{}", asked.out);
}

#[test]
fn a_mail_address_that_several_share_makes_no_one_human_of_them() {
    let site = Site::settled();
    let people = fs::read_to_string(site.path("people.csv")).expect("people");
    let with_mail = people.lines().enumerate().map(|(at, line)| match at {
        0 => format!("{line},mail\n"),
        4..=6 => format!("{line},desk@example.org\n"),
        _ => format!("{line},\n"),
    });
    site.write("people.csv", &with_mail.collect::<String>());
    site.run(&["sync"]).ends(0);
    let mut world = site.world();
    for holder in world["cardholders"].as_array_mut().expect("a list") {
        if ["h-03", "h-04", "h-05"].contains(&holder["id"].as_str().expect("an id")) {
            let mail = json!({"kind": "mail", "value": "desk@example.org"});
            holder["keys"].as_array_mut().expect("a list").push(mail);
        }
    }
    site.write_world(&world);
    for who in ["employee:1003", "employee:1004"] {
        site.run(&["offboard", who, "--reason", "theft", "--by", "Desk", "--yes"]).ends(0);
    }
    let pacs = site.world();
    fs::write(site.path("hq.json"), "gone").expect("no PACS");
    site.run(&["offboard", "mail:desk@example.org", "--reason", "theft", "--by", "Desk", "--yes"]);
    site.write_world(&pacs);

    let told = site.run(&["reinstate", "employee:1003", "--reason", "cleared"]).ends(3);
    assert!(told.err.contains("lockstep reinstate mail:desk@example.org"), "{}", told.err);
    let plan = reinstate(&site, "employee:1003");
    let document = fs::read_to_string(format!("{plan}/plan.jsonl")).expect("the plan");
    let header: Value = serde_json::from_str(document.lines().next().expect("the header")).expect("JSON");
    let lift = &header["header"]["reinstate"];
    assert_eq!(lift["names"], json!(["Dora Lovelace"]), "{lift}");
    assert_eq!(lift["records"], json!({"hq": ["h-03"]}), "{lift}");
    assert_eq!(lift["holds"].as_array().map(Vec::len), Some(1), "{lift}");
    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(0);
    site.run(&["apply", &plan]);
    assert_eq!(site.holder(4)["status"], "suspended");
    assert_eq!(site.run(&["status"]).ends(0).out.matches("held out since").count(), 2);
    let mail = reinstate(&site, "mail:desk@example.org");
    site.run(&["approve", &mail, "--by", "Jane Doe", "--yes"]).ends(0);
    site.run(&["apply", &mail]).ends(0);
    site.run(&["sync"]);
    assert_eq!((&site.holder(4)["status"], &site.holder(5)["status"]), (&json!("suspended"), &json!("active")));
}

#[test]
fn another_identity_of_the_same_human_stays_out_too() {
    let site = with_somebody_out(3);
    site.run(&["sync"]).ends(0);
    let mut world = site.world();
    world["cardholders"].as_array_mut().expect("a list").retain(|holder| holder["id"] != "h-03");
    site.write_world(&world);
    for name in ["people.csv", "groups.csv"] {
        let text = fs::read_to_string(site.path(name)).expect("read");
        site.write(name, &text.replace("p-03", "p-new"));
    }
    let plan = site.plan();
    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]);
    site.run(&["apply", &plan]);
    assert!(!site.holders().contains_key(&number(3)), "no new record: {}", site.world());
}

#[test]
fn nobody_approves_what_they_asked_for_themselves() {
    let mut site = Site::settled();
    site.ended = vec![7];
    site.write_people();
    let run = site.run(&["sync", "--json"]).ends(0).json()["report"]["run"].as_str().expect("a run").to_owned();
    let undo = site.run(&["rollback", &run, "--by", "Jane Doe", "--json"]).ends(3).json();
    let plan = undo["directory"].as_str().expect("a folder");
    let refused = site.run(&["approve", plan, "--by", "jane doe", "--yes"]).ends(6);
    assert!(refused.err.contains("asked for this plan"), "{}", refused.err);
    site.run(&["approve", plan, "--by", "Bo", "--yes"]).ends(0);
}

#[test]
fn an_offboarding_is_no_run_to_roll_back() {
    let site = with_somebody_out(3);
    let status = site.run(&["sync", "--json"]).ends(0);
    drop(status);
    let runs = site.run(&["status", "--json"]).ends(0).json();
    let runs = runs["runs"].as_array().expect("a list");
    let out = runs.iter().find(|run| run["kind"] == "offboard").expect("the offboarding");
    let refused = site.run(&["rollback", out["run"].as_str().expect("a run")]).ends(64);
    assert!(refused.err.contains("lockstep reinstate"), "{}", refused.err);
}

#[test]
fn nobody_approves_their_own_record_and_is_told_so() {
    let site = Site::new();
    let plan = site.plan();
    let own = site.run(&["approve", &plan, "--by", "Ada Lovelace", "--yes"]).ends(0);
    assert!(own.err.contains("1 of the actions are about Ada Lovelace"), "{}", own.err);
    let first = site.run(&["apply", &plan]).ends(3);
    assert!(first.out.contains("1 not approved"), "{}", first.out);
    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(0);
    site.run(&["apply", &plan]).ends(0);
}
