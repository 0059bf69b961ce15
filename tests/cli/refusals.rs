//! Everything that must not go on, each with its own exit code.

use std::fs;

use lockstep_engine::{NodeId, Store as _};
use lockstep_store::SqliteStore;

use crate::site::{CONFIG, MAPPING, Site, program, ran};

#[test]
fn a_people_file_that_is_gone_removes_nobody() {
    let site = Site::settled();
    let before = site.world();
    for break_it in [
        &(|site: &Site| fs::remove_file(site.path("people.csv")).expect("removed")) as &dyn Fn(&Site),
        &|site| site.write("people.csv", ""),
        &|site| site.write("people.csv", "id,given_name,family_name,employee_number,department,status\n\"p-00,Ada"),
    ] {
        site.write_people();
        break_it(&site);
        let planned = site.run(&["plan"]).ends(5);
        assert!(planned.err.contains("no removal was planned"), "{}", planned.err);
        site.run(&["sync"]).ends(5);
        assert_eq!(site.world(), before);
    }
    assert!(site.path("exports/START-HERE.html").is_file(), "the fallback is written from the PACS all the same");
}

#[test]
fn a_pacs_that_is_gone_is_said_to_be() {
    let site = Site::settled();
    fs::remove_file(site.path("hq.json")).expect("removed");
    site.run(&["plan"]).ends(5);
    let probed = site.run(&["probe"]).ends(5);
    assert!(probed.out.contains("FAIL"), "{}", probed.out);
}

#[test]
fn one_pacs_that_is_gone_does_not_stop_the_others() {
    let mut site = Site::settled();
    let annex = "\n[[target]]\nid = \"annex\"\nkind = \"sim\"\nmapping = \"mappings/hq.toml\"\nfile = \"annex.json\"\n";
    site.write("lockstep.toml", &format!("{CONFIG}{annex}"));
    site.ended = vec![7];
    site.write_people();
    for broken in [None, Some("{ this is no PACS")] {
        if let Some(text) = broken {
            site.write("annex.json", text);
        }
        let planned = site.run(&["plan"]).ends(4);
        assert!(planned.err.contains("annex could not be read whole"), "{}", planned.err);
        assert!(planned.out.contains("1 to disable"), "{}", planned.out);
    }
    site.run(&["sync"]).ends(4);
    assert_eq!(site.holder(7)["status"], "suspended");
    site.run(&["plan", "--target", "hq"]).ends(0);
}

#[test]
fn a_plan_that_was_edited_is_refused_everywhere() {
    let site = Site::new();
    let before = site.world();
    let plan = site.plan();
    let path = std::path::Path::new(&plan).join("plan.jsonl");
    let text = fs::read_to_string(&path).expect("plan");
    assert!(text.contains("L-Lab"));
    fs::write(&path, text.replacen("L-Lab", "L-Main", 1)).expect("edited");
    for verb in [&["show", &plan] as &[&str], &["approve", &plan, "--by", "Jane", "--yes"], &["apply", &plan]] {
        let refused = site.run(verb).ends(6);
        assert!(refused.err.contains("next: lockstep plan"), "{}", refused.err);
    }
    assert_eq!(site.world(), before);
}

#[test]
fn an_approval_of_another_plan_approves_nothing() {
    let site = Site::new();
    let before = site.world();
    let (first, second) = (site.plan(), site.plan());
    site.run(&["approve", &first, "--by", "Jane Doe", "--yes"]).ends(0);
    let name = "approvals.jsonl";
    fs::copy(std::path::Path::new(&first).join(name), std::path::Path::new(&second).join(name)).expect("copied");
    let refused = site.run(&["apply", &second]).ends(6);
    assert!(refused.err.contains("for another plan"), "{}", refused.err);
    assert_eq!(site.world(), before);
}

#[test]
fn a_plan_is_for_one_configuration_one_mapping_and_one_pacs() {
    let site = Site::new();
    let plan = site.plan();
    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(0);
    site.write("lockstep.toml", &format!("# changed\n{CONFIG}"));
    site.run(&["apply", &plan]).ends(6);
    site.write("lockstep.toml", CONFIG);
    site.write("mappings/hq.toml", &format!("# changed\n{MAPPING}"));
    site.run(&["apply", &plan]).ends(6);
    site.write("mappings/hq.toml", MAPPING);
    let mut world = site.world();
    world["id"] = "another-pacs".into();
    site.write_world(&world);
    site.run(&["apply", &plan]).ends(6);
    assert_eq!(site.world(), world);
}

#[test]
fn a_second_run_waits_for_the_first() {
    let site = Site::settled();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let store = SqliteStore::open(site.path("state/lockstep.db")).expect("state");
    let other = NodeId("elsewhere:1:1".into());
    let ttl = jiff::SignedDuration::from_mins(5);
    runtime.block_on(store.lease(&other, ttl, jiff::Timestamp::now())).expect("lease");
    let busy = site.run(&["plan"]).ends(7);
    assert!(busy.err.contains("elsewhere:1:1"), "who holds it: {}", busy.err);
    site.run(&["sync"]).ends(7);
}

#[test]
fn a_state_that_does_not_verify_stops_everything_but_offboarding() {
    let site = Site::settled();
    fs::write(site.path("state/lockstep.db"), "this is no database, and it is long enough to be looked at")
        .expect("broken");
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(site.path(&format!("state/lockstep.db{suffix}")));
    }
    for verb in ["plan", "sync", "status"] {
        let refused = site.run(&[verb]).ends(8);
        assert!(refused.err.contains("do not delete it"), "{verb}: {}", refused.err);
    }
    site.run(&["offboard", "employee:1003", "--reason", "drill", "--yes"]).ends(0);
    assert_eq!(site.holder(3)["status"], "suspended");
}

#[test]
fn a_wrong_configuration_is_78_and_says_where() {
    let site = Site::new();
    site.write("lockstep.toml", &CONFIG.replace("kind = \"sim\"", "kind = \"sim\"\nfyle = 1"));
    for verb in ["check", "plan", "probe", "status"] {
        let refused = site.run(&[verb]).ends(78);
        let said = format!("{}{}", refused.out, refused.err);
        assert!(said.contains("fyle") && said.contains("lockstep.toml"), "{verb}: {said}");
    }
    site.write("lockstep.toml", &CONFIG.replace("\"sim\"", "\"telepathy\""));
    site.run(&["check"]).ends(78);
    let empty = tempfile::tempdir().expect("folder");
    ran(program(empty.path()).arg("plan")).ends(78);
}

#[test]
fn wrong_usage_is_64() {
    let site = Site::new();
    for wrong in [
        &["nonsense"] as &[&str],
        &["plan", "--force"],
        &["plan", "--target", "nowhere"],
        &["approve", "somewhere"],
        &["show", "no-such-plan"],
        &["offboard", "employee:*", "--reason", "r", "--yes"],
        &["offboard", "employee:1001", "--yes"],
        &["explain", ""],
        &["connector", "schema", "telepathy"],
        &["secret", "check", "hunter2:not-a-reference"],
    ] {
        site.run(wrong).ends(64);
    }
    let unknown = ran(site.command().env("LOCKSTEP_CONFGI", "x").arg("check")).ends(64);
    assert!(unknown.err.contains("LOCKSTEP_CONFGI"), "{}", unknown.err);
}

/// A PACS that nobody answers for, with this token.
fn with_token(site: &Site, token: &str) {
    let target = CONFIG.replace(
        "kind = \"sim\"\nmapping = \"mappings/hq.toml\"\nfile = \"hq.json\"",
        &format!(
            "kind = \"scim\"\nmapping = \"mappings/hq.toml\"\nurl = \"https://127.0.0.1:9/scim\"\ntoken = {token}"
        ),
    );
    site.write("lockstep.toml", &target);
}

#[test]
fn no_secret_is_ever_shown() {
    const CANARY: &str = "canary-3f9a1c77";
    let site = Site::new();
    let (literal, among) = (format!("\"{CANARY}\""), format!("[\"keyring:hq\", \"{CANARY}\"]"));
    for token in ["\"env:PACS_TOKEN\"", "[\"file:none\", \"env:PACS_TOKEN\"]", &literal, &among] {
        with_token(&site, token);
        for verb in ["check", "probe", "plan"] {
            let run = ran(site.command().env("PACS_TOKEN", CANARY).args([verb, "-vvv"]));
            assert!(!run.out.contains(CANARY) && !run.err.contains(CANARY), "{verb}: {}{}", run.out, run.err);
        }
    }
    let named = site.run(&["secret", "check", CANARY]);
    assert_ne!(named.code, 0);
}

#[test]
fn of_several_places_of_a_secret_one_is_enough_and_the_others_are_told() {
    let site = Site::new();
    with_token(&site, "[\"file:none\", \"env:PACS_TOKEN\"]");
    let one = ran(site.command().env("PACS_TOKEN", "t").arg("check")).ends(0);
    assert!(one.out.contains("file:none") && one.out.contains("1 to look at"), "{}", one.out);
    let probed = ran(site.command().env("PACS_TOKEN", "t").arg("probe"));
    assert!(probed.err.contains("env:PACS_TOKEN is used instead"), "{}", probed.err);
    let none = site.run(&["check"]).ends(78);
    assert!(none.out.contains("file:none") && none.out.contains("PACS_TOKEN is not set"), "{}", none.out);
}
