//! Decisions of people: whole, in part, no, and over a guard.

use std::fs;

use crate::site::{PEOPLE, Site};

#[test]
fn only_whom_an_approver_named_is_changed() {
    let site = Site::new();
    let plan = site.plan();
    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes", "--only", "employee:1000"]).ends(0);
    let applied = site.run(&["apply", &plan]).ends(3);
    assert!(applied.out.contains("1 done and read back, 1 not approved"), "{}", applied.out);
    assert_eq!(site.holder(0)["levels"], serde_json::json!(["L-Lab", "L-Main"]));
    assert_eq!(site.holder(1)["levels"], serde_json::json!(["L-Main"]));
}

#[test]
fn one_no_outweighs_a_yes() {
    let site = Site::new();
    let plan = site.plan();
    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(0);
    site.run(&["approve", &plan, "--by", "John Roe", "--yes", "--reject", "Bea Lovelace"]).ends(0);
    let applied = site.run(&["apply", &plan]).ends(0);
    assert!(applied.out.contains("1 rejected"), "{}", applied.out);
    assert_eq!(site.holder(1)["levels"], serde_json::json!(["L-Main"]));
}

#[test]
fn nothing_is_recorded_without_a_yes_or_for_a_name_that_is_not_there() {
    let site = Site::new();
    let plan = site.plan();
    let asked = site.run(&["approve", &plan, "--by", "Jane Doe"]).ends(64);
    assert!(asked.err.contains("2 actions"), "the numbers are shown: {}", asked.err);
    site.run(&["approve", &plan, "--by", " ", "--yes"]).ends(64);
    site.run(&["approve", &plan, "--by", "Jane", "--yes", "--only", "employee:100"]).ends(64);
    site.run(&["approve", &plan, "--by", "Jane", "--yes", "--only", "Lovelace"]).ends(64);
    assert!(!std::path::Path::new(&plan).join("approvals.jsonl").exists());
}

#[test]
fn a_guard_gives_way_to_two_persons_who_name_whom() {
    let mut site = Site::settled();
    site.ended = (0..PEOPLE / 2).collect();
    site.write_people();
    let plan = site.plan();
    let nothing = site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(3);
    assert!(nothing.err.contains("--overrule"), "{}", nothing.err);
    let names: Vec<String> = site.ended.iter().map(|n| format!("employee:{}", crate::site::number(*n))).collect();
    let overrule = |by: &str| {
        let mut args = vec!["approve", plan.as_str(), "--by", by, "--yes", "--overrule", "--only"];
        args.extend(names.iter().map(String::as_str));
        site.run(&args).ends(0);
    };
    overrule("Jane Doe");
    site.run(&["apply", &plan]).ends(3);
    overrule("jane  DOE");
    site.run(&["apply", &plan]).ends(3);
    assert_eq!(site.holder(0)["status"], "active", "the same human counts once");
    overrule("John Roe");
    site.run(&["apply", &plan]).ends(0);
    assert_eq!(site.holder(0)["status"], "suspended");
}

#[test]
fn a_decision_that_does_not_parse_is_a_refusal() {
    let site = Site::new();
    let plan = site.plan();
    fs::write(std::path::Path::new(&plan).join("approvals.jsonl"), "{\"by\": \"me\"}\n").expect("written");
    let refused = site.run(&["apply", &plan]).ends(6);
    assert!(refused.err.contains("approvals.jsonl line 1"), "{}", refused.err);
}
