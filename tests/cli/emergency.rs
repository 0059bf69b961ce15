//! `offboard`, with everything else broken.

use std::fs;

use crate::site::{CONFIG, Site};

#[test]
fn a_person_is_put_out_with_directory_and_state_gone() {
    let site = Site::settled();
    fs::remove_file(site.path("people.csv")).expect("removed");
    fs::remove_dir_all(site.path("state")).expect("removed");
    let done = site.run(&["offboard", "employee:1003", "--reason", "theft", "--yes"]).ends(0);
    assert!(done.out.contains("Out everywhere: 1 record switched off and read back."), "{}", done.out);
    let holder = site.holder(3);
    assert_eq!(holder["status"], "suspended");
    assert_ne!(holder["credentials"][0]["status"], "active");
    assert!(site.path("state/spool").is_dir(), "the record is on disk");
}

#[test]
fn who_was_put_out_stays_out() {
    let site = Site::settled();
    let done = site.run(&["offboard", "employee:1003", "--reason", "theft", "--by", "Desk", "--yes", "--json"]).ends(0);
    assert_eq!(done.json()["complete"], true);
    site.run(&["sync"]).ends(0);
    assert_eq!(site.holder(3)["status"], "suspended", "the directory still says active");
    let status = site.run(&["status"]).ends(0);
    assert!(status.out.contains("held out since") && status.out.contains("by Desk"), "{}", status.out);
    let why = site.run(&["explain", "employee:1003"]).ends(0);
    assert!(why.out.contains("held out since"), "{}", why.out);
    assert!(!done.out.contains("26-771003") && !status.out.contains("26-771003"), "no card number in full");
}

#[test]
fn an_offboarding_while_the_state_is_away_is_taken_over_later() {
    let site = Site::settled();
    let (state, away) = (site.path("state/lockstep.db"), site.path("away.db"));
    fs::rename(&state, &away).expect("moved away");
    site.run(&["offboard", "employee:1004", "--reason", "theft", "--yes"]).ends(0);
    fs::rename(&away, &state).expect("back");
    let waiting = site.run(&["status"]).ends(0);
    assert!(waiting.out.contains("wait for the next"), "{}", waiting.out);
    site.run(&["sync"]).ends(0);
    assert_eq!(site.holder(4)["status"], "suspended");
    let taken = site.run(&["status"]).ends(0);
    assert!(taken.out.contains("held out since") && !taken.out.contains("wait for the next"), "{}", taken.out);
}

#[test]
fn a_broken_section_does_not_save_anybody_elsewhere() {
    let site = Site::settled();
    let second = "\n[[target]]\nid = \"annex\"\nkind = \"telepathy\"\nmapping = \"mappings/hq.toml\"\n";
    site.write("lockstep.toml", &format!("{CONFIG}{second}"));
    let part = site.run(&["offboard", "employee:1003", "--reason", "theft", "--yes"]).ends(4);
    assert_eq!(site.holder(3)["status"], "suspended");
    assert!(part.out.contains("annex: NOT reached"), "{}", part.out);
}

#[test]
fn a_pacs_that_is_down_is_named() {
    let site = Site::settled();
    site.write("hq.json", "{ this is no PACS");
    let part = site.run(&["offboard", "employee:1003", "--reason", "theft", "--yes"]).ends(4);
    assert!(part.out.contains("hq: NOT reached"), "{}", part.out);
    assert!(part.out.contains("by hand, employee:1003 on hq: switch off h-03"), "what hands must do: {}", part.out);
}

#[test]
fn a_mistyped_number_is_no_success() {
    let site = Site::settled();
    let before = site.world();
    let nobody = site.run(&["offboard", "employee:4711", "--reason", "theft", "--yes"]).ends(1);
    assert!(nobody.out.contains("NOT found on any PACS"), "{}", nobody.out);
    assert_eq!(site.world(), before);
    site.run(&["offboard", "employee:4711", "employee:1003", "--reason", "theft", "--yes"]).ends(4);
    assert_eq!(site.holder(3)["status"], "suspended");
}

#[test]
fn a_dry_run_writes_nothing() {
    let site = Site::settled();
    let before = site.world();
    let dry = site.run(&["offboard", "employee:1003", "--reason", "drill", "--dry-run"]).ends(0);
    assert!(dry.out.contains("would switch the cardholder off"), "{}", dry.out);
    assert_eq!(site.world(), before);
    assert!(!site.path("state/spool").exists());
}

#[test]
fn several_records_of_one_person_are_listed_and_asked_about() {
    let site = Site::settled();
    let mut world = site.world();
    let twin = crate::site::holder("h-twin", "1003", &["L-Main"]);
    world["cardholders"].as_array_mut().expect("a list").push(twin);
    site.write_world(&world);
    let asked = site.run(&["offboard", "employee:1003", "--reason", "theft", "--yes"]).ends(4);
    assert!(asked.out.contains("cardholder:hq/h-twin") && asked.out.contains("cardholder:hq/h-03"), "{}", asked.out);
    assert!(asked.err.contains("--all"), "{}", asked.err);
    site.run(&["offboard", "employee:1003", "--reason", "theft", "--yes", "--all"]).ends(0);
    let off =
        site.world()["cardholders"].as_array().expect("a list").iter().filter(|h| h["status"] == "suspended").count();
    assert_eq!(off, 2);
}

#[test]
fn an_ambiguous_answer_suspends_nobody_in_the_next_run() {
    let site = Site::settled();
    let mut world = site.world();
    world["cardholders"].as_array_mut().expect("a list").push(crate::site::holder("h-twin", "9999", &["L-Main"]));
    site.write_world(&world);
    site.run(&["offboard", "employee:9999", "--reason", "theft", "--yes"]).ends(4);
    site.run(&["sync"]);
    let off = site.world()["cardholders"].as_array().expect("a list").iter().any(|h| h["status"] == "suspended");
    assert!(!off, "nothing was done, and nothing comes of it: {}", site.world());
}

#[test]
fn one_offboarding_is_one_hold_in_status() {
    let site = Site::settled();
    site.run(&["offboard", "employee:1003", "--reason", "theft", "--by", "Desk", "--yes"]).ends(0);
    let status = site.run(&["status"]).ends(0);
    assert_eq!(status.out.matches("held out since").count(), 1, "{}", status.out);
    assert!(status.out.contains(", 1 holds,"), "{}", status.out);
    let document = site.run(&["status", "--json"]).ends(0).json();
    assert_eq!(document["targets"][0]["holds"].as_array().expect("a list").len(), 1, "{document}");
}

#[test]
fn a_target_left_out_is_named_and_nothing_is_said_about_everywhere() {
    let site = Site::settled();
    let second = "\n[[target]]\nid = \"annex\"\nkind = \"sim\"\nmapping = \"mappings/hq.toml\"\nfile = \"hq.json\"\n";
    site.write("lockstep.toml", &format!("{CONFIG}{second}"));
    let done = site.run(&["offboard", "employee:1003", "--target", "hq", "--reason", "theft", "--yes"]).ends(0);
    assert!(!done.out.contains("everywhere") && done.out.contains("annex: NOT asked"), "{}", done.out);
}

#[test]
fn a_record_named_on_one_pacs_says_nothing_about_others() {
    let site = Site::settled();
    let second =
        "\n[[target]]\nid = \"annex\"\nkind = \"sim\"\nmapping = \"mappings/hq.toml\"\nfile = \"annex.json\"\n";
    site.write("lockstep.toml", &format!("{CONFIG}{second}"));
    let mut world = site.world();
    world["cardholders"] = serde_json::Value::Array(Vec::new());
    site.write("annex.json", &world.to_string());
    let part = site.run(&["offboard", "cardholder:annex/x", "--reason", "theft", "--yes"]).ends(4);
    assert!(part.out.contains("hq: NOT asked"), "{}", part.out);
    assert!(part.out.contains("by hand, cardholder:annex/x on hq"), "{}", part.out);
}

#[test]
fn a_damaged_record_stops_no_run_and_what_is_whole_in_it_counts() {
    let site = Site::settled();
    let (state, away) = (site.path("state/lockstep.db"), site.path("away.db"));
    fs::rename(&state, &away).expect("moved away");
    site.run(&["offboard", "employee:1004", "--reason", "theft", "--yes"]).ends(0);
    fs::rename(&away, &state).expect("back");
    let file = fs::read_dir(site.path("state/spool")).expect("lists").next().expect("one").expect("there").path();
    let text = fs::read_to_string(&file).expect("read");
    let first = text.find('\n').expect("a line") + 1;
    fs::write(&file, format!("{}{{\"seq\":2,\"ev{}", &text[..first], &text[first..])).expect("written");
    let sync = site.run(&["sync"]).ends(0);
    assert!(sync.err.contains("damaged") && sync.err.contains(".broken"), "{}", sync.err);
    assert_eq!(site.holder(4)["status"], "suspended");
    assert!(file.with_extension("broken").is_file() && !file.exists());
    let status = site.run(&["status"]).ends(0);
    assert!(status.out.contains("held out since"), "{}", status.out);
}

#[test]
fn nobody_is_put_out_without_a_yes() {
    let site = Site::settled();
    let before = site.world();
    let refused = site.run(&["offboard", "employee:1003", "--reason", "theft"]).ends(64);
    assert!(refused.err.contains("--yes"), "{}", refused.err);
    assert_eq!(site.world(), before);
}

#[test]
fn the_eleventh_within_an_hour_asks_for_a_second_person() {
    let site = Site::settled();
    let all: Vec<String> = (0..10).map(|n| format!("employee:{}", crate::site::number(n))).collect();
    let offboard = |who: &[String], more: &[&str]| {
        let mut args = vec!["offboard", "--reason", "closing", "--by", "Desk", "--yes"];
        args.extend(more);
        args.extend(who.iter().map(String::as_str));
        site.run(&args)
    };
    let done = offboard(&all, &["--json"]).ends(0);
    assert_eq!(done.json()["people"].as_array().expect("a list").len(), 10);
    let eleventh = ["employee:1010".to_owned()];
    let asked = offboard(&eleventh, &[]).ends(3);
    assert!(asked.err.contains("--second NAME"), "{}", asked.err);
    offboard(&eleventh, &["--second", " desk "]).ends(3);
    assert_eq!(site.holder(10)["status"], "active");
    offboard(&eleventh, &["--second", "Chief"]).ends(0);
    assert_eq!(site.holder(10)["status"], "suspended");
}
