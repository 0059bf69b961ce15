//! The manual fallback: sheets that stay when everything is down, the worklist, and what people did by hand coming
//! back.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::site::{CONFIG, Ran, Site};

/// The newest set of exports.
fn newest(site: &Site) -> PathBuf {
    let sets = fs::read_dir(site.path("exports")).expect("exports").flatten().map(|entry| entry.path());
    sets.filter(|path| path.is_dir()).max().expect("a set")
}

fn text(site: &Site, name: &str) -> String {
    fs::read_to_string(newest(site).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn manifest(site: &Site) -> Value {
    serde_json::from_str(&text(site, "manifest.json")).expect("JSON")
}

fn change(site: &Site, change: impl Fn(&mut Value)) {
    let mut world = site.world();
    for holder in world["cardholders"].as_array_mut().expect("cardholders") {
        change(holder);
    }
    site.write_world(&world);
}

/// Does by hand what locks this person out.
fn lock_out_by_hand(site: &Site, id: &str) {
    change(site, |holder| {
        if holder["id"] == id {
            holder["status"] = json!("suspended");
            holder["credentials"][0]["status"] = json!({"inactive": "disabled"});
        }
    });
}

/// The worklist with these rows ticked: by what stands in them, and with which words.
fn tick(site: &Site, which: impl Fn(&csv::StringRecord) -> bool, done: &str, by: &str) -> String {
    let bytes = fs::read(newest(site).join("worklist.csv")).expect("the worklist");
    let mut reader = csv::Reader::from_reader(bytes.strip_prefix(b"\xef\xbb\xbf").expect("marked as UTF-8"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(reader.headers().expect("head")).expect("memory");
    let mut ticked = 0;
    for record in reader.records() {
        let record = record.expect("a row");
        let is_ticked = which(&record);
        ticked += usize::from(is_ticked);
        let cells = record.iter().enumerate().map(|(at, cell)| match at {
            7 if is_ticked => done,
            8 if is_ticked => by,
            _ => cell,
        });
        writer.write_record(cells).expect("memory");
    }
    assert!(ticked > 0, "some row is ticked");
    let text = String::from_utf8(writer.into_inner().expect("memory")).expect("UTF-8");
    site.write("ticked.csv", &text);
    text
}

fn reconcile(site: &Site, more: &[&str]) -> Ran {
    site.run(&[&["export", "reconcile", "ticked.csv"], more].concat())
}

#[test]
fn every_file_of_a_set_is_in_its_manifest_and_verify_finds_any_change() {
    let site = Site::settled();
    let ran = site.run(&["export"]).ends(0);
    assert!(ran.out.contains("hq: 13 cardholders written") && ran.out.contains("START-HERE.html"), "{}", ran.out);
    let facts = manifest(&site);
    assert_eq!(facts["targets"]["hq"]["cardholders"], 13);
    assert!(facts["journal_head"]["run"].is_string(), "{facts}");
    for name in ["START-HERE.html", "hq/all.csv", "hq/all.html", "worklist.csv", "worklist.html"] {
        let bytes = fs::read(newest(&site).join(name)).expect("the file");
        let (sha256, size) = (&facts["files"][name]["sha256"], &facts["files"][name]["bytes"]);
        assert_eq!((sha256, size), (&json!(lockstep_contract::sha256_hex(&bytes)), &json!(bytes.len())), "{name}");
    }
    let table = text(&site, "hq/all.csv");
    assert!(table.starts_with('\u{feff}') && table.contains("Ada Lovelace") && table.contains("Laboratory; Main door"));
    let page = text(&site, "hq/all.html");
    for leak in [&table, &page] {
        assert!(!leak.contains("26-771000") && leak.contains("…1000"), "card numbers are masked");
    }
    site.run(&["export", "verify"]).ends(0);

    let set = newest(&site);
    fs::write(set.join("hq/all.csv"), table.replace("Ada", "Eda")).expect("changed");
    fs::write(set.join("hq/more.html"), "x").expect("added");
    fs::remove_file(set.join("worklist.html")).expect("removed");
    let found = site.run(&["export", "verify"]).ends(8);
    for name in ["hq/all.csv", "hq/more.html", "worklist.html"] {
        assert!(found.out.contains(name), "{name}: {}", found.out);
    }
    assert!(!found.out.contains("hq/all.html"), "{}", found.out);
    let elsewhere = site.run(&["export", "verify", set.to_str().expect("UTF-8"), "--json"]).ends(8);
    assert_eq!(elsewhere.json()["complaints"].as_array().map(Vec::len), Some(3));
}

#[test]
fn each_site_has_sheets_of_its_own_and_no_name_leads_out_of_the_folder() {
    let site = Site::settled();
    let mut world = site.world();
    world["levels"]["L-Lab"]["site"] = json!("../../../LAB");
    world["cardholders"][5]["site"] = json!("NORTH");
    site.write_world(&world);
    site.run(&["export"]).ends(0);
    let files = manifest(&site)["targets"]["hq"]["files"].clone();
    let labels: Vec<&str> = files.as_array().expect("files").iter().filter_map(|file| file["label"].as_str()).collect();
    assert_eq!(labels, ["everybody", "site ../../../LAB", "site NORTH", "no site known"]);
    assert!(text(&site, "hq/site-NORTH.csv").lines().count() == 2, "one person belongs there");
    for file in files.as_array().expect("files") {
        let page = file["page"].as_str().expect("a name");
        assert!(!page.contains("..") && newest(&site).join(page).is_file(), "{page}");
    }
    let lab = files[1]["page"].as_str().expect("a name").to_owned();
    let lab = text(&site, &lab);
    assert!(lab.contains("Ada Lovelace") && lab.contains("Bea Lovelace") && !lab.contains("Cleo Lovelace"));
    assert!(text(&site, "hq/no-site.csv").contains("Cleo Lovelace"));
}

#[test]
fn with_the_directory_the_pacs_and_the_state_down_the_last_good_sheets_stay_and_the_worklist_is_fresh() {
    let site = Site::settled();
    site.run(&["export"]).ends(0);
    let pacs = site.world();
    fs::remove_file(site.path("people.csv")).expect("no directory");
    site.run(&["export"]).ends(0);
    let (first, table) = (newest(&site), text(&site, "hq/all.csv"));
    fs::write(site.path("hq.json"), "gone").expect("no PACS");
    let offboard = site.run(&["offboard", "employee:1003", "--reason", "theft", "--yes"]);
    assert_ne!(offboard.code, 0, "it cannot be confirmed");
    fs::write(site.path("state/lockstep.db"), "gone").expect("no state");

    let kept = site.run(&["export"]).ends(5);
    assert!(kept.out.contains("!!! hq: NOT READ") && kept.out.contains("0 minutes old"), "{}", kept.out);
    assert!(kept.out.contains("state of Lockstep could not be read"), "{}", kept.out);
    assert_ne!(newest(&site), first);
    assert_eq!(text(&site, "hq/all.csv"), table, "as it was last good");
    assert!(manifest(&site)["targets"]["hq"]["kept_because"].is_string());
    assert!(text(&site, "START-HERE.html").contains("NOT READ NOW"));
    let worklist = text(&site, "worklist.html");
    assert!(worklist.contains("Lock these people out now") && worklist.contains("h-03"), "{worklist}");
    let words = "look for the record number on this sheet";
    assert!(worklist.contains("theft") && worklist.contains(words), "in the connector's own words: {worklist}");
    site.run(&["export", "verify"]).ends(0);

    // Somebody does it by hand; with the PACS back, the next list does not ask for it again.
    site.write_world(&pacs);
    lock_out_by_hand(&site, "h-03");
    site.run(&["export"]).ends(0);
    assert!(!text(&site, "worklist.html").contains("h-03"), "the PACS shows that it is done");
}

#[test]
fn a_kept_sheet_that_was_changed_is_not_taken_over() {
    let site = Site::settled();
    site.run(&["export"]).ends(0);
    let good = text(&site, "hq/all.csv");
    site.run(&["export"]).ends(0);
    fs::write(newest(&site).join("hq/all.csv"), "changed").expect("changed");
    fs::write(site.path("hq.json"), "gone").expect("no PACS");
    site.run(&["export"]).ends(5);
    assert_eq!(text(&site, "hq/all.csv"), good, "from the set before it");
}

#[test]
fn an_export_that_is_too_old_is_told_everywhere() {
    let site = Site::settled();
    site.run(&["export"]).ends(0);
    let path = newest(&site).join("manifest.json");
    let mut facts = manifest(&site);
    facts["targets"]["hq"]["read_at"] = json!("2020-01-01T00:00:00Z");
    fs::write(&path, facts.to_string()).expect("aged");
    assert!(site.run(&["status"]).ends(0).out.contains("TOO OLD"));
    assert!(site.run(&["export", "verify"]).ends(0).out.contains("TOO OLD"));
    facts["targets"]["hq"]["read_at"] = json!("2120-01-01T00:00:00Z");
    fs::write(&path, facts.to_string()).expect("of the future");
    assert!(site.run(&["status"]).ends(0).out.contains("TOO OLD"), "nobody knows how old it is");
    facts["targets"]["hq"]["read_at"] = json!("2020-01-01T00:00:00Z");
    fs::write(&path, facts.to_string()).expect("aged");
    fs::write(site.path("hq.json"), "gone").expect("no PACS");
    let kept = site.run(&["export"]).ends(5);
    assert!(kept.out.contains("older than `export_age` allows"), "{}", kept.out);
}

#[test]
fn every_good_run_leaves_a_set_and_one_that_cannot_be_written_fails_no_run() {
    let site = Site::new();
    let plan = site.plan();
    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(0);
    site.run(&["apply", &plan]).ends(0);
    let applied = newest(&site);
    site.run(&["sync"]).ends(0);
    assert_ne!(newest(&site), applied);
    fs::remove_dir_all(site.path("exports")).expect("removed");
    site.write("exports", "a file");
    let ran = site.run(&["sync"]).ends(0);
    assert!(ran.err.contains("the manual fallback was not written"), "{}", ran.err);
}

#[test]
fn recipients_never_end_in_plain_text() {
    let site = Site::settled();
    fs::remove_dir_all(site.path("exports")).expect("of the first run");
    let recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    site.write("lockstep.toml", &format!("export_recipients = [\"{recipient}\"]\n{CONFIG}"));
    let ran = site.run(&["export"]);
    if cfg!(feature = "age") {
        assert_eq!(ran.code, 0, "{}", ran.err);
        let folder = newest(&site);
        assert!(folder.join("hq/all.csv.age").is_file() && !folder.join("hq/all.csv").exists());
        let sealed = fs::read(folder.join("hq/all.csv.age")).expect("sealed");
        assert!(sealed.starts_with(b"age-encryption.org/v1"), "the standard format");
        for entry in ["START-HERE.html", "manifest.json"] {
            assert!(!text(&site, entry).contains("Lovelace"), "{entry} names nobody");
        }
        site.run(&["export", "verify"]).ends(0);
    } else {
        let ran = ran.ends(78);
        assert!(ran.err.contains("--features age") && ran.err.contains("no export was written"), "{}", ran.err);
        assert!(!site.path("exports").exists());
    }
    site.write("lockstep.toml", &format!("export_recipients = [\"AGE-SECRET-KEY-1\"]\n{CONFIG}"));
    site.run(&["check"]).ends(78);
}

#[test]
fn what_was_done_by_hand_comes_back_with_a_name_and_never_runs_again() {
    let mut site = Site::settled();
    site.ended = vec![4];
    site.write_people();
    let groups = fs::read_to_string(site.path("groups.csv")).expect("groups");
    site.write("groups.csv", &format!("{groups}GRP-Lab,p-05\n"));
    let plan = site.plan();
    site.run(&["export"]).ends(0);
    // The worklist is of the plan; nobody applied it. The leaver is done by hand, the mover is only ticked.
    change(&site, |holder| {
        if holder["id"] == "h-04" {
            holder["status"] = json!("suspended");
            holder["levels"] = json!([]);
            holder["credentials"][0]["status"] = json!({"inactive": "disabled"});
        }
    });
    fs::remove_file(site.path("people.csv")).expect("no directory");
    tick(&site, |row| ["h-04", "h-05"].contains(&&row[3]), "x", "A. Guard");
    let ran = reconcile(&site, &["--json"]).ends(4);
    let document = ran.json();
    assert_eq!(document["done"][0]["by"], "A. Guard", "{document}");
    assert_eq!(
        (document["done"].as_array().map(Vec::len), document["open"].as_array().map(Vec::len)),
        (Some(1), Some(1))
    );
    assert!(
        document["open"][0]["why"].as_str().is_some_and(|why| why.contains("level L-Lab is not held")),
        "{document}"
    );
    let status = site.run(&["status", "--json"]).ends(0).json();
    let run = &status["runs"][0];
    assert_eq!((&run["kind"], &run["state"]), (&json!("by-hand"), &json!("closed")), "{run}");
    assert!(run["summary"].as_str().is_some_and(|text| text.contains("1 done by hand by A. Guard")), "{run}");
    site.run(&["export"]).ends(0);
    let worklist = text(&site, "worklist.csv");
    assert!(!worklist.contains("h-04") && worklist.contains("h-05"), "only what is open is still listed: {worklist}");
    let applied = site.run(&["apply", &plan, "--json"]).ends(0).json();
    let actions = applied["report"]["targets"]["hq"]["actions"].as_array().expect("actions").len();
    assert_eq!(actions, 1, "what people did is not done again: {applied}");
}

#[test]
fn an_offboarding_that_hands_finished_is_settled_with_their_name() {
    let site = Site::settled();
    let pacs = site.world();
    fs::write(site.path("hq.json"), "gone").expect("no PACS");
    site.run(&["offboard", "employee:1003", "--reason", "theft", "--yes"]);
    site.run(&["export"]).ends(5);
    site.write_world(&pacs);
    tick(&site, |row| &row[3] == "h-03", "✓", "");
    let nameless = reconcile(&site, &[]).ends(4);
    assert!(nameless.out.contains("nobody stands in the column by"), "{}", nameless.out);
    let open = reconcile(&site, &["--by", "B. Desk"]).ends(4);
    assert!(open.out.contains("STILL OPEN") && open.out.contains("status is active"), "{}", open.out);
    lock_out_by_hand(&site, "h-03");
    let done = reconcile(&site, &["--by", "B. Desk"]).ends(0);
    assert!(done.out.contains("read back as done, by B. Desk"), "{}", done.out);
    let status = site.run(&["status"]).ends(0);
    assert!(status.out.contains("1 done by hand by B. Desk"), "{}", status.out);
}

#[test]
fn who_was_looked_for_by_hand_is_on_record_once_with_place_and_name() {
    let site = Site::new(); // no run has read who is where
    let pacs = site.world();
    fs::write(site.path("hq.json"), "gone").expect("no PACS");
    site.run(&["offboard", "employee:1003", "--reason", "theft", "--yes"]);
    site.run(&["export"]).ends(5);
    site.write_world(&pacs);
    lock_out_by_hand(&site, "h-03");
    tick(&site, |row| row[0].starts_with("row-"), "x", "Guard Joe");
    for _ in 0..2 {
        reconcile(&site, &[]).ends(0);
        let status = site.run(&["status", "--json"]).json();
        let runs = status["runs"].as_array().expect("runs").iter();
        let by_hand: Vec<&str> =
            runs.filter(|run| run["kind"] == "by-hand").filter_map(|run| run["summary"].as_str()).collect();
        assert_eq!(by_hand.len(), 1, "{by_hand:?}");
        assert!(by_hand[0].starts_with("employee:1003 on hq, row-"), "{by_hand:?}");
        assert!(by_hand[0].contains("done by hand by Guard Joe"), "{by_hand:?}");
    }
}

#[test]
fn a_list_that_is_older_than_a_return_puts_nobody_out_again() {
    let site = Site::settled();
    let pacs = site.world();
    fs::write(site.path("hq.json"), "gone").expect("no PACS");
    site.run(&["offboard", "employee:1003", "--reason", "theft", "--yes"]);
    site.run(&["export"]).ends(5);
    tick(&site, |row| &row[3] == "h-03", "x", "A. Guard");
    site.write_world(&pacs);
    site.run(&["offboard", "--settle"]).ends(0);
    let args = ["reinstate", "employee:1003", "--reason", "cleared", "--by", "Carol Shaw", "--json"];
    let plan = site.run(&args).ends(3).json()["directory"].as_str().expect("a folder").to_owned();
    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(0);
    site.run(&["apply", &plan]).ends(0);
    let told = reconcile(&site, &[]).ends(4);
    assert!(told.out.contains("was reinstated at") && told.out.contains("approved by Jane Doe"), "{}", told.out);
    assert!(!told.out.contains("STILL OPEN"), "{}", told.out);
}

#[test]
fn a_changed_list_is_told_line_by_line_and_what_is_right_in_it_counts() {
    let site = Site::new();
    site.plan();
    site.run(&["export"]).ends(0);
    let waiting = tick(&site, |row| &row[3] == "h-00", "x", "AG");
    let row = waiting.lines().find(|line| line.contains("row-")).expect("a row");
    let id = row.split(',').next().expect("an id").to_owned();
    let head = waiting.lines().next().expect("the head");
    site.write(
        "ticked.csv",
        &format!(
            "{head}\nrow-ffffffffffff,hq,,h-01,,,,x,AG,,\n{id},other,,h-00,,,,x,AG,,\nrow-x,hq,,,,,,maybe,AG,,\n\
             ,,,,,,,x,AG,,\n"
        ),
    );
    let ran = reconcile(&site, &["--json"]).ends(4);
    let document = ran.json();
    let lines: Vec<u64> =
        document["complaints"].as_array().expect("complaints").iter().filter_map(|one| one["line"].as_u64()).collect();
    assert_eq!(lines, [2, 3, 4, 5], "{document}");
    assert_eq!(document["done"], json!([]));
    site.write("ticked.csv", "no,worklist\n1,2\n");
    let refused = reconcile(&site, &[]).ends(1);
    assert!(
        refused.err.contains("no column `row`") && refused.err.contains("nothing was put on record"),
        "{}",
        refused.err
    );
}
