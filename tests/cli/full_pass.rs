//! The way of every change: plan, look, approve, apply, and nothing left to do.

use std::fs;

use crate::site::{PEOPLE, Site};

#[test]
fn a_first_plan_waits_for_a_person_and_then_converges() {
    let site = Site::new();
    let before = site.world();

    let planned = site.run(&["plan"]).ends(3);
    assert!(planned.out.trim_end().ends_with("unchanged."), "the last line is the summary: {}", planned.out);
    assert!(planned.err.contains("lockstep approve "), "the next command, word for word: {}", planned.err);
    assert_eq!(site.world(), before, "planning changes nothing");

    let plan = site.plan();
    for file in ["plan.jsonl", "report.html", "report.csv", "worklist.html"] {
        let path = std::path::Path::new(&plan).join(file);
        assert!(fs::metadata(&path).expect("written").len() > 0, "{file}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600, "{file}");
        }
    }

    let refused = site.run(&["apply", &plan]).ends(3);
    assert!(refused.err.contains("lockstep approve "), "{}", refused.err);
    assert_eq!(site.world(), before, "nothing is applied without an approval");

    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(0);
    let applied = site.run(&["apply", &plan]).ends(0);
    assert!(applied.out.contains("2 done and read back"), "{}", applied.out);
    assert_eq!(site.holder(0)["levels"], serde_json::json!(["L-Lab", "L-Main"]));
    assert_eq!(site.holder(5)["levels"], serde_json::json!(["L-Main"]));

    let again = site.run(&["plan"]).ends(0);
    assert!(again.out.contains("0 to provision, 0 to change, 0 to disable, 0 held"), "{}", again.out);
    let replayed = site.run(&["apply", &plan]).ends(6);
    assert!(replayed.err.contains("a plan is used once"), "{}", replayed.err);
}

#[test]
fn a_leaver_is_switched_off_unattended_and_a_joiner_gets_a_record() {
    let mut site = Site::settled();
    site.ended = vec![7];
    site.write_people();

    let planned = site.run(&["plan", "--detailed-exitcode"]).ends(2);
    assert!(planned.out.contains("1 to disable"), "{}", planned.out);
    site.run(&["sync"]).ends(0);
    assert_eq!(site.holder(7)["status"], "suspended");
    assert_eq!(site.holder(6)["status"], "active");
    site.run(&["plan", "--detailed-exitcode"]).ends(0);

    let people = fs::read_to_string(site.path("people.csv")).expect("people");
    site.write("people.csv", &format!("{people}p-99,Mary,Somerville,1099,Research,active\n"));
    let groups = fs::read_to_string(site.path("groups.csv")).expect("groups");
    site.write("groups.csv", &format!("{groups}GRP-Main,p-99\n"));
    site.run(&["sync"]).ends(0);
    let mary = site.holders()["1099"].clone();
    assert_eq!(mary["levels"], serde_json::json!(["L-Main"]));
    assert_eq!(mary["profile"]["display_name"], "Mary Somerville");
}

#[test]
fn too_many_leavers_are_held_and_nobody_is_switched_off() {
    let mut site = Site::settled();
    let before = site.world();
    site.ended = (0..PEOPLE - 2).collect();
    site.write_people();

    let planned = site.run(&["plan"]).ends(3);
    assert!(planned.out.contains("measured") && planned.out.contains("allowed"), "{}", planned.out);
    assert!(planned.out.contains("10 held"), "{}", planned.out);
    site.run(&["sync"]).ends(3);
    assert_eq!(site.world(), before, "a guard held all of it");
}

#[test]
fn an_old_plan_is_made_again_before_it_is_applied() {
    let mut site = Site::settled();
    site.ended = vec![7];
    site.write_people();
    site.write("lockstep.toml", &format!("{}[target.limits]\nsnapshot_age_minutes = 1\n", crate::site::CONFIG));
    let plan = site.plan();
    // Nobody waits a minute here; that the reading is fresh is the ordinary case.
    site.run(&["apply", &plan]).ends(0);
    assert_eq!(site.holder(7)["status"], "suspended");
}

#[test]
fn the_next_command_names_the_configuration_that_this_one_named() {
    let site = Site::new();
    std::fs::rename(site.path("lockstep.toml"), site.path("other file.toml")).expect("renamed");
    let planned = site.run(&["plan", "--config", "other file.toml"]).ends(3);
    let next = planned.err.lines().find(|line| line.contains("lockstep approve")).expect("a next command");
    assert!(next.contains("--config 'other file.toml'") && next.contains(" plans/"), "{next}");
}

/// A site where one person left and was switched off, and the run that did it.
fn with_a_leaver() -> (Site, String) {
    let mut site = Site::settled();
    site.ended = vec![7];
    site.write_people();
    let synced = site.run(&["sync", "--json"]).ends(0).json();
    let run = synced["report"]["run"].as_str().expect("a run").to_owned();
    assert_eq!(site.holder(7)["status"], "suspended");
    (site, run)
}

#[test]
fn what_a_run_did_is_undone_by_a_plan_of_its_own() {
    let (site, run) = with_a_leaver();
    let undo = site.run(&["rollback", &run, "--json"]).ends(3).json();
    let plan = undo["directory"].as_str().expect("a folder").to_owned();
    assert_eq!(site.holder(7)["status"], "suspended", "planning changes nothing");
    site.run(&["apply", &plan]).ends(3);
    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(0);
    site.run(&["apply", &plan]).ends(0);
    let (after, before) = (site.holder(7), site.holder(6));
    assert_eq!((&after["status"], &after["levels"]), (&before["status"], &before["levels"]));
    assert_eq!(after["credentials"][0]["status"], "active");
    site.run(&["rollback", "nonsense"]).ends(64);
}

#[test]
fn who_is_held_out_by_name_is_not_brought_back_by_a_rollback() {
    let (site, run) = with_a_leaver();
    site.run(&["offboard", "employee:1007", "--reason", "theft", "--yes"]).ends(0);
    let undo = site.run(&["rollback", &run]).ends(0);
    assert!(undo.out.contains("held out by name") || undo.out.contains("1 undecided"), "{}", undo.out);
    assert_eq!(site.holder(7)["status"], "suspended");
}
