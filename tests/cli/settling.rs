//! What an offboarding did not confirm stays open until it is read back: on `status`, as an alert, and tried again by
//! every run that may write.

use std::fs;

use serde_json::{Value, json};

use crate::site::{CONFIG, MAPPING, Ran, Site, holder, number};

/// The first site, and two more PACS with the same people.
pub(crate) fn three() -> Site {
    let site = Site::new();
    let more = |id: &str| {
        let mut world = site.world();
        world["id"] = json!(format!("{id}-pacs"));
        site.write(&format!("{id}.json"), &world.to_string());
        format!("\n[[target]]\nid = \"{id}\"\nkind = \"sim\"\nmapping = \"mappings/hq.toml\"\nfile = \"{id}.json\"\n")
    };
    site.write("lockstep.toml", &format!("{CONFIG}{}{}", more("annex"), more("lab")));
    let plan = site.plan();
    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(0);
    site.run(&["apply", &plan]).ends(0);
    site
}

/// The status of somebody's record on one PACS.
pub(crate) fn status_on(site: &Site, target: &str, n: usize) -> String {
    let world: Value =
        serde_json::from_slice(&fs::read(site.path(&format!("{target}.json"))).expect("the PACS")).expect("JSON");
    let holders = world["cardholders"].as_array().expect("a list");
    let one = holders.iter().find(|one| one["profile"]["employee_number"] == number(n)).expect("a record");
    one["status"].as_str().expect("a word").to_owned()
}

pub(crate) fn take_away(site: &Site, name: &str) {
    fs::rename(site.path(name), site.path(&format!("{name}.away"))).expect("moved away");
}

pub(crate) fn bring_back(site: &Site, name: &str) {
    fs::rename(site.path(&format!("{name}.away")), site.path(name)).expect("brought back");
}

pub(crate) fn offboard(site: &Site, who: &str) -> Ran {
    site.run(&["offboard", who, "--reason", "theft", "--by", "Desk", "--yes", "--patience", "1"])
}

pub(crate) fn settle(site: &Site) -> Ran {
    site.run(&["offboard", "--settle", "--patience", "1"])
}

/// The alerts that were raised so far, oldest first.
pub(crate) fn alerts(site: &Site) -> Vec<Value> {
    let text = fs::read_to_string(site.path("state/alerts.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON document a line")).collect()
}

#[test]
fn who_was_not_reached_stays_on_status_and_is_cut_when_the_pacs_is_back() {
    let site = three();
    take_away(&site, "annex.json");
    offboard(&site, "employee:1003").ends(4);
    assert_eq!((status_on(&site, "hq", 3), status_on(&site, "lab", 3)), ("suspended".into(), "suspended".into()));

    let status = site.run(&["status"]).ends(0);
    let first = status.out.lines().next().expect("a line");
    assert!(first.starts_with("! NOT confirmed out: employee:1003 on annex"), "{}", status.out);
    let open = site.run(&["status", "--json"]).ends(0).json()["open"].clone();
    assert_eq!((&open[0]["who"], &open[0]["target"]), (&json!("employee:1003"), &json!("annex")));
    assert!(open[0]["next"].as_str().is_some_and(|next| next.contains("--settle")), "{open}");

    let sync = site.run(&["sync"]).ends(4);
    assert!(sync.out.contains("NOT confirmed out: employee:1003 on annex"), "{}", sync.out);
    assert!(sync.out.contains("held out since"), "{}", sync.out);
    let raised = alerts(&site);
    assert!(raised.len() >= 2, "each run raises it again: {raised:?}");
    assert!(raised.iter().all(|one| one["code"] == "LA0101" && one["target"] == "annex"), "{raised:?}");

    bring_back(&site, "annex.json");
    assert_eq!(status_on(&site, "annex", 3), "active");
    let sync = site.run(&["sync"]).ends(0);
    assert_eq!(status_on(&site, "annex", 3), "suspended");
    assert!(sync.err.contains("employee:1003 on annex: out, read back"), "{}", sync.err);
    assert_eq!(alerts(&site).len(), raised.len(), "nothing stands any more");
    let status = site.run(&["status"]).ends(0);
    assert!(!status.out.contains("NOT"), "{}", status.out);
    settle(&site).ends(0);
}

#[test]
fn settling_needs_neither_directory_nor_state_nor_roster() {
    let site = three();
    take_away(&site, "annex.json");
    offboard(&site, "employee:1003").ends(4);
    assert!(settle(&site).ends(4).out.contains("0 settled, 1 still open"));
    bring_back(&site, "annex.json");
    for gone in ["people.csv", "groups.csv", "state/roster.db"] {
        fs::remove_file(site.path(gone)).expect("removed");
    }
    fs::write(site.path("state/lockstep.db"), "this is no database").expect("spoilt");
    let done = site.run(&["offboard", "--settle", "--json"]).ends(0).json();
    assert_eq!(
        (&done["complete"], &done["settled"]),
        (&json!(true), &json!([{"who": "employee:1003", "target": "annex", "seen": "out, read back"}]))
    );
    assert_eq!(status_on(&site, "annex", 3), "suspended");
    assert!(settle(&site).ends(0).out.contains("Nothing is open"));
}

#[test]
fn however_somebody_was_named_they_are_found_when_the_pacs_is_back() {
    for (who, seen) in [
        ("1003", "out, read back"),
        ("cardholder:hq/h-03", "out, read back"),
        ("card:26-771003", "asked, and has no record"),
    ] {
        let site = three();
        take_away(&site, "annex.json");
        offboard(&site, who).ends(4);
        fs::remove_file(site.path("state/roster.db")).expect("nobody knows which record was linked");
        let status = site.run(&["status"]).ends(0);
        assert!(!status.out.contains("26-771003"), "no card number in full: {}", status.out);
        bring_back(&site, "annex.json");
        let done = settle(&site).ends(0);
        assert!(!done.out.contains("26-771003"), "no card number in full: {}", done.out);
        assert!(done.out.contains(seen), "{who}: {}", done.out);
        assert_eq!(status_on(&site, "annex", 3) == "suspended", seen.starts_with("out"), "{who}");
    }
}

#[test]
fn a_run_that_cannot_have_the_state_settles_all_the_same() {
    let site = three();
    take_away(&site, "annex.json");
    offboard(&site, "employee:1003").ends(4);
    bring_back(&site, "annex.json");
    fs::write(site.path("state/lockstep.db"), "this is no database").expect("spoilt");
    site.run(&["sync"]).ends(8);
    assert_eq!(status_on(&site, "annex", 3), "suspended");
}

#[test]
fn a_section_that_did_not_read_is_asked_once_it_does() {
    let site = three();
    let right = fs::read_to_string(site.path("lockstep.toml")).expect("the configuration");
    site.write("lockstep.toml", &right.replace("file = \"annex.json\"", "file = \"annex.json"));
    offboard(&site, "employee:1003").ends(4);
    assert_eq!(status_on(&site, "annex", 3), "active");
    settle(&site).ends(4);
    site.write("lockstep.toml", &right);
    settle(&site).ends(0);
    assert_eq!(status_on(&site, "annex", 3), "suspended");
}

#[test]
fn not_being_there_is_settled_and_what_nobody_asked_is_not_open() {
    let site = three();
    let mut world: Value = serde_json::from_slice(&fs::read(site.path("lab.json")).expect("read")).expect("JSON");
    world["cardholders"].as_array_mut().expect("a list").retain(|one| one["profile"]["employee_number"] != "9999");
    site.write("lab.json", &world.to_string());
    offboard(&site, "employee:9999").ends(0);
    site.run(&["offboard", "employee:1004", "--target", "hq", "--reason", "theft", "--yes"]).ends(0);
    let status = site.run(&["status", "--json"]).ends(0).json();
    assert_eq!(status["open"], json!([]), "{status}");
    settle(&site).ends(0);
    assert_eq!(status_on(&site, "annex", 4), "active", "it was left out on purpose; a hold is what keeps them out");
}

#[test]
fn several_records_on_a_pacs_that_comes_back_are_asked_about_and_none_is_cut_by_chance() {
    let site = three();
    let mut world: Value = serde_json::from_slice(&fs::read(site.path("annex.json")).expect("read")).expect("JSON");
    world["cardholders"].as_array_mut().expect("a list").push(holder("a-twin", "1003", &["L-Main"]));
    site.write("annex.json", &world.to_string());
    take_away(&site, "annex.json");
    offboard(&site, "employee:1003").ends(4);
    fs::remove_file(site.path("state/roster.db")).expect("nobody knows which record was linked");
    bring_back(&site, "annex.json");
    for _ in 0..2 {
        let open = settle(&site).ends(4);
        assert!(open.out.contains("several records match") && open.out.contains("cardholder:annex/ID"), "{}", open.out);
    }
    let cut = || {
        let world: Value = serde_json::from_slice(&fs::read(site.path("annex.json")).expect("read")).expect("JSON");
        let holders = world["cardholders"].as_array().expect("a list");
        let off = holders.iter().filter(|one| one["status"] == "suspended");
        off.map(|one| one["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(cut(), [""; 0]);
    site.run(&["offboard", "cardholder:annex/h-03", "--target", "annex", "--reason", "theft", "--yes"]).ends(0);
    let done = settle(&site).ends(0);
    assert!(done.out.contains("Nothing is open"), "{}", done.out);
    assert_eq!(cut(), ["h-03"]);
}

#[test]
fn the_record_goes_to_the_second_folder_and_is_taken_over_from_there() {
    let site = Site::settled();
    site.write("lockstep.toml", &format!("spool_second = \"second\"\n{CONFIG}"));
    let _ = fs::remove_dir_all(site.path("state/spool"));
    fs::write(site.path("state/spool"), "no folder").expect("written");
    let done = site.run(&["offboard", "employee:1003", "--reason", "theft", "--by", "Desk", "--yes", "--json"]).ends(0);
    assert!(done.json()["record"].as_str().is_some_and(|path| path.contains("second")), "{}", done.out);
    fs::remove_file(site.path("state/spool")).expect("removed");
    let waiting = site.run(&["status"]).ends(0);
    assert!(waiting.out.contains("! 1 records of emergency offboardings wait"), "{}", waiting.out);
    let plan = site.run(&["plan"]);
    assert!(matches!(plan.code, 0 | 3), "{}{}", plan.out, plan.err);
    let status = site.run(&["status"]).ends(0);
    assert!(status.out.contains("held out since") && status.out.contains("late"), "{}", status.out);
}

#[test]
fn without_any_folder_the_person_is_out_and_the_record_is_told() {
    let site = Site::settled();
    site.write("lockstep.toml", &format!("spool_second = \"second\"\n{CONFIG}"));
    let _ = fs::remove_dir_all(site.path("state/spool"));
    for file in ["state/spool", "second"] {
        fs::write(site.path(file), "no folder").expect("written");
    }
    let part = offboard(&site, "employee:1003").ends(4);
    assert_eq!(site.holder(3)["status"], "suspended");
    assert!(part.err.contains("\"event\":\"hold\""), "{}", part.err);
    assert!(alerts(&site).iter().any(|one| one["code"] == "LA0105"), "{:?}", alerts(&site));
}

#[cfg(unix)]
#[test]
fn a_pipe_that_nobody_reads_keeps_no_offboarding_waiting() {
    let site = three();
    let pipe = site.path("state/alerts.jsonl");
    let _ = fs::remove_file(&pipe);
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    take_away(&site, "annex.json");
    let part = offboard(&site, "employee:1003").ends(4);
    assert!(part.err.contains("alerts could not be written"), "{}", part.err);
    assert_eq!(status_on(&site, "hq", 3), "suspended");
}

#[test]
fn a_leaver_is_out_in_the_run_that_sees_it_whatever_waits_for_approval() {
    let mut site = three();
    // Two more are to get the laboratory, which is a high-security level from now on: the mapping is another one, too.
    site.write(
        "mappings/hq.toml",
        &MAPPING.replace("any = [\"GRP-Lab\"]", "any = [\"GRP-Lab\"]\nhigh_security = true"),
    );
    site.ended = vec![3];
    site.write_people();
    let groups = fs::read_to_string(site.path("groups.csv")).expect("read");
    site.write("groups.csv", &format!("{groups}GRP-Lab,p-05\nGRP-Lab,p-06\n"));
    take_away(&site, "annex.json");
    let sync = site.run(&["sync"]).ends(4);
    assert!(sync.out.contains("mapping changed") && sync.out.contains("4 not approved"), "grants wait: {}", sync.out);
    assert_eq!((status_on(&site, "hq", 3), status_on(&site, "lab", 3)), ("suspended".into(), "suspended".into()));
    bring_back(&site, "annex.json");
    assert_eq!(status_on(&site, "annex", 3), "active");
    site.run(&["sync"]).ends(3);
    assert_eq!(status_on(&site, "annex", 3), "suspended");
    let again = site.run(&["sync"]).ends(3);
    assert!(again.out.contains("mapping changed"), "a leaver does not make a mapping known: {}", again.out);
}

/// The one file of the spool, by how its name ends.
fn spool_file(site: &Site, ending: &str) -> std::path::PathBuf {
    let files = fs::read_dir(site.path("state/spool")).expect("the spool").map(|file| file.expect("listed").path());
    let mut found: Vec<_> = files.filter(|path| path.extension().is_some_and(|found| found == ending)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn an_offboarding_that_was_killed_after_its_first_line_is_done_by_the_next_run() {
    for state in [true, false] {
        let site = three();
        let worlds = ["hq.json", "annex.json", "lab.json"];
        let before = worlds.map(|name| fs::read(site.path(name)).expect("read"));
        fs::rename(site.path("state/lockstep.db"), site.path("away.db")).expect("moved away");
        offboard(&site, "employee:1003").ends(0);
        // As a process leaves it that is killed once the hold is on the disk: nothing was sent anywhere.
        let file = spool_file(&site, "spool");
        let text = fs::read_to_string(&file).expect("read");
        fs::write(&file, format!("{}\n{{\"seq\":2,\"ev", text.lines().next().expect("a line"))).expect("cut");
        for (name, world) in worlds.iter().zip(before) {
            fs::write(site.path(name), world).expect("as it was");
        }
        if state {
            fs::rename(site.path("away.db"), site.path("state/lockstep.db")).expect("back");
            site.run(&["sync"]).ends(0);
            assert!(site.run(&["status"]).ends(0).out.contains("held out since"));
        } else {
            settle(&site).ends(0);
        }
        for target in ["hq", "annex", "lab"] {
            assert_eq!(status_on(&site, target, 3), "suspended", "{target}, with state: {state}");
        }
    }
}

#[test]
fn a_damaged_record_stays_open_and_is_an_alert_until_somebody_moves_it_away() {
    let site = three();
    take_away(&site, "annex.json");
    fs::rename(site.path("state/lockstep.db"), site.path("away.db")).expect("moved away");
    offboard(&site, "employee:1003").ends(4);
    fs::rename(site.path("away.db"), site.path("state/lockstep.db")).expect("back");
    let file = spool_file(&site, "spool");
    let text = fs::read_to_string(&file).expect("read");
    fs::write(&file, text.replacen("\"confirmed\":true", "\"confirmed\":trve", 1)).expect("damaged");
    let sync = site.run(&["sync"]).ends(4);
    assert!(sync.err.contains("damaged"), "{}", sync.err);
    let status = site.run(&["status"]).ends(0);
    assert!(status.out.contains("NOT confirmed out: employee:1003 on annex"), "{}", status.out);
    bring_back(&site, "annex.json");
    site.run(&["sync"]).ends(0);
    assert_eq!(status_on(&site, "annex", 3), "suspended");
    let codes = || alerts(&site).iter().map(|one| one["code"].clone()).collect::<Vec<_>>();
    assert_eq!(codes().last(), Some(&json!("LA0103")));
    fs::remove_file(spool_file(&site, "broken")).expect("moved away");
    let before = codes().len();
    site.run(&["sync"]).ends(0);
    assert_eq!(codes().len(), before);
}

#[test]
fn whoever_was_reinstated_is_not_cut_when_a_pacs_comes_back() {
    let site = three();
    take_away(&site, "annex.json");
    offboard(&site, "employee:1003").ends(4);
    let only = ["--target", "hq", "--target", "lab"];
    let ask = ["reinstate", "employee:1003", "--reason", "a mistake", "--by", "Desk", "--json"];
    let asked = site.run(&[&ask[..], &only[..]].concat());
    let plan = asked.json()["directory"].as_str().expect("a plan").to_owned();
    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(0);
    let before = alerts(&site).len();
    let applied = site.run(&["apply", &plan]);
    let raised = alerts(&site);
    assert!(raised[before..].iter().all(|one| one["code"] != "LA0101"), "they may have access: {raised:?}");
    assert!(applied.out.contains("is lifted"), "{}{}", applied.out, applied.err);
    bring_back(&site, "annex.json");
    fs::rename(site.path("state/lockstep.db"), site.path("away.db")).expect("the state is away");
    let done = settle(&site).ends(0);
    assert!(done.out.contains("Nothing is open"), "{}", done.out);
    assert_eq!((status_on(&site, "annex", 3), status_on(&site, "hq", 3)), ("active".into(), "active".into()));
}
