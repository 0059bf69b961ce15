//! `offboard`, in every way to name people, for people in every state, and what it says about it.

use std::fs;

use serde_json::{Value, json};

use crate::site::{CONFIG, Site, holder, ran};

const PUT_OUT: [&str; 5] = ["offboard", "--reason", "theft", "--by", "Desk"];

fn offboard(site: &Site, more: &[&str]) -> crate::site::Ran {
    site.run(&[&PUT_OUT, more].concat())
}

/// The record of this id.
fn record(site: &Site, id: &str) -> Value {
    let world = site.world();
    let holders = world["cardholders"].as_array().expect("a list").clone();
    holders.into_iter().find(|holder| holder["id"] == id).expect("there")
}

fn is_out(site: &Site, id: &str) -> bool {
    let record = record(site, id);
    let working = record["credentials"].as_array().expect("a list").iter().any(|one| one["status"] == "active");
    record["status"] == "suspended" && !working
}

/// Changes the record of this id by hand.
fn edit(site: &Site, id: &str, change: impl FnOnce(&mut Value)) {
    let mut world = site.world();
    let holders = world["cardholders"].as_array_mut().expect("a list");
    change(holders.iter_mut().find(|holder| holder["id"] == id).expect("there"));
    site.write_world(&world);
}

#[test]
fn a_person_is_named_by_any_key_that_a_record_has() {
    let ways = [
        "employee:1003",
        "upn:DORA@corp.example",
        "mail:dora@corp.example",
        "account:dora",
        "card:26-771003",
        "directory:CN=Dora,OU=Lab",
        "cardholder:hq/h-03",
        "1003",
    ];
    let site = Site::new();
    edit(&site, "h-03", |record| {
        let key = |kind: &str, value: &str| json!({"kind": kind, "value": value});
        record["keys"] = json!([
            key("employee", "1003"),
            key("upn", "dora@corp.example"),
            key("mail", "dora@corp.example"),
            key("account", "dora"),
            key("card", "26-771003"),
            key("directory", "cn=dora,ou=lab"),
        ]);
    });
    let before = site.world();
    for who in ways {
        site.write_world(&before);
        let done = offboard(&site, &[who, "--yes", "--second", "Chief"]).ends(0);
        assert!(is_out(&site, "h-03"), "{who}: {}", done.out);
        assert!(!done.out.contains("771003") && !done.err.contains("771003"), "no card number in full: {}", done.out);
    }
}

#[test]
fn a_list_is_read_whole_or_nobody_is_put_out() {
    let site = Site::new();
    site.write("leavers.txt", "# left tonight\nemployee:1001\n\nemployee:1001\nemployee:1002\n");
    let done = offboard(&site, &["--from", "leavers.txt", "employee:1003", "--yes", "--json"]).ends(0).json();
    assert_eq!(done["people"].as_array().expect("a list").len(), 3, "each once");
    for id in ["h-01", "h-02", "h-03"] {
        assert!(is_out(&site, id), "{id}");
    }
    site.write("half.txt", "employee:1004\nbadge:5\nemployee:1006\nemployee:*\n");
    let refused = offboard(&site, &["--from", "half.txt", "--yes"]).ends(64);
    assert!(refused.err.contains("line 2:") && refused.err.contains("line 4:"), "{}", refused.err);
    assert!(!is_out(&site, "h-04") && !is_out(&site, "h-06"));
}

#[test]
fn a_table_comes_through_standard_input_when_nobody_has_to_be_asked() {
    let site = Site::new();
    let table = "Name,Employee\n\"Lovelace, Eve\",1004\n";
    let piped = |more: &[&str]| ran(site.command().args(PUT_OUT).args(["--from", "-"]).args(more).write_stdin(table));
    let refused = piped(&[]).ends(64);
    assert!(refused.err.contains("--yes"), "{}", refused.err);
    assert!(!is_out(&site, "h-04"));
    piped(&["--yes"]).ends(0);
    assert!(is_out(&site, "h-04"));
}

#[test]
fn people_in_every_state_are_put_out_and_the_receipt_says_whose_they_were() {
    let mut site = Site::settled();
    edit(&site, "h-05", |record| {
        record["status"] = json!("suspended");
        record["levels"] = json!([]);
        record["credentials"][0]["status"] = json!({"inactive": "lost"});
    });
    site.ended.push(6);
    site.write_people();
    let done = offboard(&site, &["employee:1005", "employee:1006", "employee:9999", "--yes", "--json"]).ends(0).json();
    let outcome = |nth: usize| done["people"][nth]["targets"]["hq"]["cardholders"][0].clone();
    assert_eq!((&outcome(0)["already_out"], &outcome(0)["managed"]), (&json!(true), &json!(true)));
    assert_eq!((&outcome(1)["already_out"], &outcome(1)["managed"]), (&json!(false), &json!(true)));
    assert_eq!((&outcome(2)["confirmed"], &outcome(2)["managed"]), (&json!(true), &json!(false)));
    assert!(is_out(&site, "h-06") && is_out(&site, "h-guest"));
    assert_eq!(record(&site, "h-05")["credentials"][0]["status"], json!({"inactive": "lost"}), "as it was reported");
    let text = offboard(&site, &["employee:9999", "--yes"]).ends(0);
    assert!(text.out.contains("not managed by Lockstep"), "{}", text.out);
    let status = site.run(&["status"]).ends(0);
    assert!(status.out.matches("held out since").count() >= 3, "also whoever was out already: {}", status.out);
}

#[test]
fn levels_that_are_not_managed_stay_and_are_named() {
    let site = Site::new();
    edit(&site, "h-03", |record| record["levels"] = json!(["L-Main", "L-Visitors"]));
    let done = offboard(&site, &["employee:1003", "--yes"]).ends(0);
    assert!(done.out.contains("not managed: L-Visitors"), "{}", done.out);
    assert_eq!(record(&site, "h-03")["levels"], json!(["L-Visitors"]));
}

#[test]
fn a_mapping_that_cannot_be_read_keeps_nobody_in() {
    let site = Site::new();
    fs::remove_file(site.path("mappings/hq.toml")).expect("removed");
    let done = offboard(&site, &["employee:1003", "--yes"]).ends(0);
    assert!(is_out(&site, "h-03"));
    let flat = done.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("it could not be told which are managed: L-Main"), "{}", done.out);
    assert_eq!(record(&site, "h-03")["levels"], json!(["L-Main"]), "nobody knows whose it is");
}

#[test]
fn the_controllers_are_said_to_have_it_only_when_they_say_so() {
    for (lag, controllers, words) in [
        ("", "cannot-tell", "confirmed in the PACS database"),
        ("controllers_lag_ms = 20", "confirmed", "confirmed at the controllers"),
        ("controllers_lag_ms = 4000000000", "pending", "pending at the controllers"),
    ] {
        let site = Site::new();
        site.write("lockstep.toml", &format!("{CONFIG}{lag}\n"));
        let text = offboard(&site, &["employee:1003", "--yes"]).ends(0);
        let flat = text.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(words) && !flat.contains("door"), "{}", text.out);
        let done = offboard(&site, &["employee:1004", "--yes", "--json"]).ends(0).json();
        let hq = &done["people"][0]["targets"]["hq"];
        assert_eq!(hq["cardholders"][0]["controllers"], controllers, "{hq}");
        assert!(hq["stopwatch"]["confirmed_ms"].is_u64(), "{hq}");
        assert_eq!(hq["stopwatch"]["controllers_ms"].is_u64(), controllers == "confirmed", "{hq}");
    }
}

#[test]
fn the_ticket_is_on_record_beside_the_reason() {
    let site = Site::settled();
    let done = offboard(&site, &["employee:1003", "--ticket", "SEC-4711", "--yes", "--json"]).ends(0).json();
    assert_eq!((&done["ticket"], &done["people"][0]["ticket"]), (&json!("SEC-4711"), &json!("SEC-4711")));
    let status = site.run(&["status", "--json"]).ends(0).json();
    assert!(status.to_string().contains("SEC-4711"), "{status}");
}

#[test]
fn beyond_the_number_of_an_hour_the_first_go_and_the_rest_wait_for_a_second_name() {
    let site = Site::new();
    site.write("lockstep.toml", &format!("offboard_per_hour = 2\n{CONFIG}"));
    let part = offboard(&site, &["employee:1001", "employee:1002", "employee:1003", "--yes"]).ends(4);
    assert_eq!(["h-01", "h-02", "h-03"].map(|id| is_out(&site, id)), [true, true, false]);
    assert!(
        part.out.contains("1 WAIT for a second person's name") && part.out.contains("employee:1003"),
        "{}",
        part.out
    );
    assert!(part.err.contains("--second NAME"), "{}", part.err);
    let again = offboard(&site, &["employee:1002", "--yes"]).ends(0);
    assert!(again.out.contains("was out already"), "the same person again counts once: {}", again.out);
    offboard(&site, &["employee:1003", "--yes"]).ends(3);
    offboard(&site, &["employee:1003", "--yes", "--second", "Chief"]).ends(0);
    assert!(is_out(&site, "h-03"));
}

#[test]
fn a_drill_shows_the_whole_way_and_touches_nothing_real() {
    let site = Site::new();
    let before = site.world();
    for who in [&[][..], &["employee:1003"]] {
        let drill = site.run(&[&["offboard", "--drill"], who].concat()).ends(0);
        assert!(
            drill.out.contains("NOTHING REAL WAS TOUCHED") && drill.out.contains("at its controllers"),
            "{}",
            drill.out
        );
        assert!(drill.err.contains("DRILL"), "{}", drill.err);
    }
    assert_eq!(site.world(), before);
    assert!(!site.path("state").exists(), "no hold, no record");
    let document = site.run(&["offboard", "--drill", "--json"]).ends(0).json();
    assert_eq!((&document["mode"], &document["complete"]), (&json!("drill"), &json!(true)));
}

#[test]
fn a_dry_run_shows_what_would_be_done_and_what_would_not_be_reached() {
    let site = Site::settled();
    let second = "\n[[target]]\nid = \"annex\"\nkind = \"sim\"\nmapping = \"mappings/hq.toml\"\nfile = \"away.json\"\n";
    site.write("lockstep.toml", &format!("{CONFIG}{second}"));
    let before = site.world();
    let dry = site.run(&["offboard", "employee:1003", "--dry-run"]).ends(4);
    for words in
        ["NOTHING WAS WRITTEN", "would switch card …1003", "annex: NOT reached", "by hand, employee:1003 on annex"]
    {
        assert!(dry.out.contains(words), "{words}: {}", dry.out);
    }
    assert_eq!(site.world(), before);
}

#[test]
fn a_receipt_fits_a_terminal() {
    let site = Site::settled();
    let second = "\n[[target]]\nid = \"annex\"\nkind = \"sim\"\nmapping = \"mappings/hq.toml\"\nfile = \"away.json\"\n";
    site.write("lockstep.toml", &format!("{CONFIG}{second}"));
    let part = offboard(&site, &["employee:1003", "4711", "--yes"]).ends(4);
    let wide = |line: &&str| line.chars().count() > 80 && line.contains(' ') && !line.contains('/');
    assert_eq!(part.out.lines().filter(wide).collect::<Vec<_>>(), Vec::<&str>::new());
}

/// Nothing of the surroundings is needed, and a result that cannot be printed is no failure of the work.
#[cfg(unix)]
#[test]
fn surroundings_that_are_missing_or_full_keep_nobody_in() {
    let site = Site::new();
    let full = fs::File::options().write(true).open("/dev/full").expect("a full disk");
    let mut command = std::process::Command::new(site.command().get_program());
    let status = command
        .current_dir(site.path(""))
        .env_clear()
        .env("LOCKSTEP_STRAY", "1")
        .args(PUT_OUT)
        .args(["employee:1003", "--yes"])
        .stdout(full)
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .expect("it runs");
    assert_eq!(status.code(), Some(0));
    assert!(is_out(&site, "h-03"));
}

#[test]
fn who_is_not_clear_is_told_apart_without_a_picture() {
    let site = Site::new();
    let mut world = site.world();
    let mut twin = holder("h-twin", "1003", &["L-Main", "L-Visitors"]);
    twin["profile"]["department"] = json!("Kitchen");
    twin["validity"]["until"] = json!("2031-05-06T00:00:00Z");
    world["cardholders"].as_array_mut().expect("a list").push(twin);
    site.write_world(&world);
    let asked = offboard(&site, &["employee:1003", "employee:1004", "--yes"]).ends(4);
    for words in ["cardholder:hq/h-twin", "Kitchen", "card …1003", "levels: 1 managed, 1 not", "2031-05-06"] {
        assert!(asked.out.contains(words), "{words}: {}", asked.out);
    }
    assert!(!is_out(&site, "h-03") && !is_out(&site, "h-twin") && is_out(&site, "h-04"), "nobody else waits");
}
