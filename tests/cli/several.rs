//! Several directories: one says who exists, an HR feed over it ends people, sends them on leave, and has groups.

use std::fmt::Write as _;

use serde_json::Value;

use crate::site::{CONFIG, MAPPING, Ran, Site, number};

const HR: &str = r#"
[[directory]]
id = "hr"
kind = "hr-csv"
people = "hr.csv"
groups = "hr-groups.csv"
time_zone = "Europe/Berlin"
columns = { start_date = "First day", absent_from = "Away from", absent_to = "Away to" }
anchor = "employee"
"#;

/// What the feed says of one person: first day, last day, first and last day of a leave.
type Dates = (usize, [&'static str; 4]);

fn config() -> String {
    CONFIG.replace("kind = \"hr-csv\"", "kind = \"hr-csv\"\nauthority = true") + HR
}

fn write_feed(site: &Site, dates: &[Dates]) {
    let mut feed = "id,employee_number,status,First day,Last day,Away from,Away to\n".to_owned();
    for n in 0..crate::site::PEOPLE {
        let none = [""; 4];
        let [first, last, from, to] = dates.iter().find(|(one, _)| *one == n).map_or(none, |(_, dates)| *dates);
        let _ = writeln!(feed, "hr-{n:02},{},active,{first},{last},{from},{to}", number(n));
    }
    site.write("hr.csv", &feed);
    site.write("hr-groups.csv", "group,member\nInducted,hr-02\n");
}

/// A settled site, to which the feed is added, and whose lab is for the inducted of the feed.
fn with_feed(dates: &[Dates]) -> Site {
    let site = Site::settled();
    site.write("lockstep.toml", &config());
    site.write("mappings/hq.toml", &MAPPING.replace("any = [\"GRP-Lab\"]", "any = [\"GRP-Lab\", \"hr/Inducted\"]"));
    write_feed(&site, dates);
    site
}

fn planned(site: &Site) -> Vec<Value> {
    let ran = site.run(&["plan", "--json"]);
    let folder = ran.json()["directory"].as_str().expect("a folder").to_owned();
    let lines = std::fs::read_to_string(site.path(&folder).join("plan.jsonl")).expect("the plan");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// What the plan does to a person, as text.
fn about(plan: &[Value], n: usize) -> String {
    let holder = format!("\"h-{n:02}\"");
    plan.iter().map(Value::to_string).filter(|line| line.contains(&holder)).collect()
}

#[test]
fn the_feed_ends_people_sends_them_on_leave_and_keeps_joiners_out_with_the_reason_in_the_plan() {
    let site = with_feed(&[
        (3, ["", "2020-01-31", "", ""]),
        (4, ["2999-01-01", "", "", ""]),
        (5, ["", "2999-12-31", "", ""]),
        (6, ["", "", "2020-01-01", "2999-01-31"]),
    ]);
    let plan = planned(&site);
    assert!(about(&plan, 3).contains("ended at 2020-01-31T23:00:00Z"), "{}", about(&plan, 3));
    assert!(about(&plan, 4).contains("not here until 2998-12-31T23:00:00Z"), "{}", about(&plan, 4));
    assert!(about(&plan, 6).contains("not here until 2999-01-31T23:00:00Z"), "{}", about(&plan, 6));
    assert_eq!(about(&plan, 5), "", "the last day is to come");
    assert!(about(&plan, 2).contains("hr/Inducted"), "{}", about(&plan, 2));

    let explained = site.run(&["explain", "employee:1003"]).ends(0).out;
    assert!(explained.contains("directory:p-03") && explained.contains("directory:hr-03"), "one person: {explained}");
    assert!(explained.contains("ended in the directory since 2020-01-31T23:00:00Z"), "{explained}");
    let inducted = site.run(&["explain", "directory:hr-02"]).ends(0).out;
    assert!(inducted.contains("directory:p-02") && inducted.contains("Inducted → Cleo Lovelace"), "{inducted}");
}

#[test]
fn somebody_back_from_leave_gets_the_access_back_and_nobody_does_while_the_feed_cannot_be_read() {
    let site = with_feed(&[(6, ["", "", "2020-01-01", "2999-01-31"])]);
    apply(&site).ends(0);
    assert_eq!(site.holder(6)["status"], "suspended");

    std::fs::remove_file(site.path("hr.csv")).expect("removed");
    let people = std::fs::read_to_string(site.path("people.csv")).expect("people");
    site.write("people.csv", &people.replace("1007,Research,active", "1007,Research,ended"));
    let dark = planned(&site);
    assert_eq!(about(&dark, 6), "", "whoever the feed had sent away stays away");
    assert!(about(&dark, 7).contains("suspend"), "who leaves by the word of the authority leaves: {dark:?}");
    assert_eq!(about(&dark, 8), "");
    assert!(
        dark.iter().any(|line| line.to_string().contains("hr: directory")),
        "the plan says which directory: {dark:?}"
    );
    let said = site.run(&["plan"]).out;
    assert_eq!(said.matches("another directory").count(), 1, "said once, not for each of them: {said}");

    write_feed(&site, &[]);
    assert!(about(&planned(&site), 6).contains("reinstate"), "back from leave");
}

fn apply(site: &Site) -> Ran {
    let plan = site.plan();
    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(0);
    site.run(&["apply", &plan])
}

#[test]
fn check_says_where_a_second_directory_lacks_what_it_needs() {
    let site = Site::new();
    let authority = CONFIG.replace("kind = \"hr-csv\"", "kind = \"hr-csv\"\nauthority = true");
    for (text, says) in [
        (authority.clone() + &HR.replace("anchor = \"employee\"\n", ""), "`anchor` is missing"),
        (authority.clone() + &HR.replace("\"employee\"", "\"mail\""), "`anchor` cannot be `mail`"),
        (authority.clone() + HR + "authority = true\n", "two directories cannot both say who exists"),
        (authority.clone() + &HR.replace("\"hr\"", "\"corp\""), "the id `corp` is used twice"),
        (authority.clone() + HR + "anchor_field = \"guid\"\n", "`anchor_field` goes with anchor = \"directory\""),
        (authority.clone() + HR + "missing = \"gone\"\n", "`missing` cannot be `gone`"),
        (CONFIG.replace("kind = \"hr-csv\"", "kind = \"hr-csv\"\nanchor = \"employee\""), "is for a directory beside"),
    ] {
        site.write("lockstep.toml", &text);
        let checked = site.run(&["check", "--json"]).ends(78).json();
        let complaints = checked["complaints"].as_array().expect("a list").clone();
        let found = complaints.iter().find(|one| one["message"].as_str().is_some_and(|text| text.contains(says)));
        let found = found.unwrap_or_else(|| panic!("{says} is not among {complaints:?}"));
        assert!(found["line"].is_u64() && found["column"].is_u64() && found["help"].is_string(), "{found}");
    }
    site.write("lockstep.toml", &(CONFIG.to_owned() + HR));
    site.write("hr.csv", "id,employee_number,status\n");
    let warned = site.run(&["check"]).ends(0).out;
    assert!(warned.contains("authority = true"), "{warned}");
}
