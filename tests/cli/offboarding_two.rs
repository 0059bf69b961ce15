//! `offboard` on two PACS that know different things of one person, or the same thing of two.

use serde_json::{Value, json};

use crate::site::{CONFIG, Ran, Site, holder};

const ANNEX: &str =
    "\n[[target]]\nid = \"annex\"\nkind = \"sim\"\nmapping = \"mappings/hq.toml\"\nfile = \"annex.json\"\n";

/// A site with a second PACS that has these records; each record is an employee with a card.
fn two(here: &[(&str, &str, &str)], there: &[(&str, &str, &str)]) -> Site {
    let site = Site::new();
    site.write("lockstep.toml", &format!("{CONFIG}{ANNEX}"));
    for (file, records) in [("hq.json", here), ("annex.json", there)] {
        let mut world = site.world();
        let record = |(id, employee, card): &(&str, &str, &str)| {
            let mut record = holder(id, employee, &["L-Main"]);
            record["keys"].as_array_mut().expect("keys").push(json!({"kind": "card", "value": card}));
            record
        };
        world["cardholders"] = records.iter().map(record).collect();
        site.write(file, &world.to_string());
    }
    site
}

fn status(site: &Site, file: &str) -> Vec<String> {
    let world: Value = serde_json::from_slice(&std::fs::read(site.path(file)).expect("there")).expect("JSON");
    let holders = world["cardholders"].as_array().expect("a list").clone();
    holders.iter().map(|holder| holder["status"].as_str().expect("text").to_owned()).collect()
}

fn offboard(site: &Site, more: &[&str]) -> Ran {
    site.run(&[&["offboard", "--reason", "theft", "--by", "Desk", "--yes"], more].concat())
}

#[test]
fn a_person_who_is_named_by_a_card_is_out_where_they_have_another_one() {
    let site = two(&[("h-1", "1003", "26-1")], &[("a-1", "1003", "55-1"), ("a-2", "1004", "55-2")]);
    let done = offboard(&site, &["card:26-1"]).ends(0);
    assert!(done.out.contains("Out everywhere: 2 records"), "{}", done.out);
    assert_eq!(
        (status(&site, "hq.json"), status(&site, "annex.json")[0].as_str()),
        (vec!["suspended".into()], "suspended")
    );
    assert_eq!(status(&site, "annex.json")[1], "active", "nobody else");
    let nobody = offboard(&site, &["card:26-9"]).ends(1);
    assert!(nobody.out.contains("NOT found on any PACS"), "{}", nobody.out);
}

#[test]
fn a_card_of_two_people_puts_nobody_out_and_says_how_to_go_on() {
    let site = two(&[("h-1", "1003", "26-1")], &[("a-1", "1004", "26-1")]);
    let asked = offboard(&site, &["card:26-1"]).ends(4);
    for words in ["cardholder:hq/h-1", "employee 1003", "cardholder:annex/a-1", "employee 1004"] {
        assert!(asked.out.contains(words), "{words}: {}", asked.out);
    }
    assert!(asked.err.contains("cardholder:TARGET/ID") && !asked.err.contains("--settle"), "{}", asked.err);
    assert_eq!([status(&site, "hq.json"), status(&site, "annex.json")].concat(), ["active", "active"]);
    offboard(&site, &["card:26-1", "--all"]).ends(0);
    assert_eq!([status(&site, "hq.json"), status(&site, "annex.json")].concat(), ["suspended", "suspended"]);
}

#[test]
fn what_is_not_tried_again_by_itself_is_not_said_to_be() {
    let site = two(&[("h-1", "1003", "26-1"), ("h-2", "1004", "26-1")], &[]);
    site.write("annex.json", "{ this is no PACS");
    let asked = offboard(&site, &["card:26-1"]).ends(4);
    assert!(!asked.err.contains("--settle") && asked.err.contains("before it is clear who is meant"), "{}", asked.err);
    let open = offboard(&site, &["card:26-1", "--all"]).ends(4);
    assert!(open.err.contains("--settle"), "{}", open.err);
}

#[test]
fn whoever_was_found_nowhere_or_not_clear_does_not_count_for_the_hour() {
    let site = two(&[("h-1", "1003", "26-1"), ("h-2", "1004", "26-1"), ("h-3", "1005", "26-3")], &[]);
    site.write("lockstep.toml", &format!("offboard_per_hour = 2\n{CONFIG}{ANNEX}"));
    offboard(&site, &["employee:1", "employee:2"]).ends(1);
    offboard(&site, &["card:26-1"]).ends(4);
    offboard(&site, &["employee:1003"]).ends(0);
    offboard(&site, &["cardholder:hq/h-1"]).ends(0);
    offboard(&site, &["employee:1004"]).ends(0);
    offboard(&site, &["employee:1005"]).ends(3);
    for nobody in ["", " ", "Desk"] {
        let refused = offboard(&site, &["employee:1005", "--second", nobody]).ends(3);
        assert!(refused.err.contains("--second NAME"), "{}", refused.err);
    }
    assert_eq!(status(&site, "hq.json")[2], "active");
    let free = offboard(&site, &["employee:1003", "--second", " ", "--json"]).ends(0);
    assert!(free.err.contains("it counts as not given") && free.json()["second"].is_null(), "{}", free.err);
}

/// The receipt of many people is longer than a pipe holds.
#[cfg(unix)]
#[test]
fn a_reader_that_does_not_read_keeps_nothing_from_the_record() {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::Stdio;
    let site = Site::settled();
    let list: Vec<String> = (0..400).map(|n| format!("employee:9{n:05}")).collect();
    site.write("list.txt", &list.join("\n"));
    let mut child = std::process::Command::new(site.command().get_program())
        .current_dir(site.path(""))
        .args(["offboard", "--reason", "theft", "--by", "Desk", "--yes", "--json", "--second", "Chief"])
        .args(["--from", "list.txt"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let last = lines.map_while(Result::ok).find(|line| line.starts_with("Next: check the spelling"));
        let _ = tell.send(last);
    });
    let last = told.recv_timeout(std::time::Duration::from_secs(60)).expect("it goes on").expect("it says what next");
    assert!(last.contains("found on no PACS"), "{last}");
    let names =
        std::fs::read_dir(site.path("state/spool")).expect("lists").map(|file| file.expect("there").file_name());
    let names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    assert!(names.iter().all(|name| name.ends_with(".absorbed")), "taken over: {names:?}");
    let mut receipt = String::new();
    child.stdout.take().expect("a pipe").read_to_string(&mut receipt).expect("read");
    assert!(receipt.len() > 65_536, "longer than a pipe holds: {}", receipt.len());
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
}
