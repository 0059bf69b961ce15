//! Verbs that only look: show, explain, export, status, probe, check, init, connector.

use std::fs;

use crate::site::{Site, program, ran};

#[test]
fn explain_tells_the_way_to_a_level() {
    let site = Site::settled();
    let why = site.run(&["explain", "employee:1000"]).ends(0);
    assert!(why.out.contains("GRP-Lab → Ada Lovelace"), "{}", why.out);
    assert!(why.out.contains("mappings/hq.toml:"), "the line of the mapping: {}", why.out);
    let other = site.run(&["explain", "1005"]).ends(0);
    assert!(other.out.contains("not in GRP-Lab"), "{}", other.out);
    site.run(&["explain", "employee:4711"]).ends(1);
    let by_record = site.run(&["explain", "cardholder:hq/h-00"]).ends(0);
    assert!(by_record.out.starts_with("Ada Lovelace"), "{}", by_record.out);
}

#[test]
fn explain_follows_groups_in_groups() {
    let site = Site::new();
    let ldif = "\
dn: uid=ada,dc=corp\nobjectClass: inetOrgPerson\nuid: ada\nentryUUID: 6b0c9a3e-2f6e-4c57-9c1d-0d0000000001\n\
givenName: Ada\nsn: Lovelace\nemployeeNumber: 1000\n\n\
dn: cn=GRP-Lab-Chem,dc=corp\nobjectClass: groupOfNames\ncn: GRP-Lab-Chem\nmember: uid=ada,dc=corp\n\n\
dn: cn=GRP-Lab,dc=corp\nobjectClass: groupOfNames\ncn: GRP-Lab\nmember: cn=GRP-Lab-Chem,dc=corp\n\n\
dn: cn=GRP-Main,dc=corp\nobjectClass: groupOfNames\ncn: GRP-Main\nmember: uid=ada,dc=corp\n\n";
    site.write("corp.ldif", ldif);
    let config = crate::site::CONFIG.replace(
        "people = \"people.csv\"\ngroups = \"groups.csv\"",
        "people = \"corp.ldif\"\nlisted_means_active = true",
    );
    site.write("lockstep.toml", &config);
    let why = site.run(&["explain", "employee:1000"]).ends(0);
    assert!(why.out.contains("GRP-Lab → GRP-Lab-Chem → Ada Lovelace"), "{}", why.out);
}

#[test]
fn show_filters_and_renders() {
    let site = Site::new();
    let plan = site.plan();
    let text = site.run(&["show", &plan, "--person", "employee:1000"]).ends(0);
    assert!(text.out.contains("Ada Lovelace") && !text.out.contains("Bea Lovelace"), "{}", text.out);
    let none = site.run(&["show", &plan, "--only-held", "--json"]).ends(0);
    assert_eq!(none.json()["entries"], serde_json::json!([]));
    let csv = site.run(&["show", &plan, "--csv", "-"]).ends(0);
    assert!(csv.out.contains("Bea Lovelace"), "{}", csv.out);
    site.run(&["show", &plan, "--html", "out.html"]).ends(0);
    assert!(fs::read_to_string(site.path("out.html")).expect("HTML").contains("Ada Lovelace"));
    let run = std::path::Path::new(&plan).file_name().expect("a name").to_str().expect("UTF-8").to_owned();
    site.run(&["show", &run]).ends(0);
}

#[test]
fn status_and_probe_say_how_things_are() {
    let site = Site::new();
    assert!(site.run(&["status"]).ends(0).out.contains("No run yet"));
    assert!(!site.path("state").exists(), "looking makes no state");
    let probed = site.run(&["probe"]).ends(0);
    assert!(probed.out.contains("0 failed."), "{}", probed.out);
    let settled = Site::settled();
    let status = settled.run(&["status"]).ends(0);
    assert!(status.out.contains("hq: 1 runs applied, 12 people linked"), "{}", status.out);
}

#[test]
fn init_writes_what_check_accepts_and_never_overwrites() {
    let home = tempfile::tempdir().expect("folder");
    let init = ["init", "--directory", "hr-csv", "--target", "sim"];
    ran(program(home.path()).args(init)).ends(0);
    ran(program(home.path()).arg("check")).ends(0);
    let written = fs::read_to_string(home.path().join("lockstep.toml")).expect("config");
    ran(program(home.path()).args(init)).ends(1);
    assert_eq!(fs::read_to_string(home.path().join("lockstep.toml")).expect("config"), written);
    let unknown = ran(program(home.path()).args(["init", "--directory", "x", "--target", "sim", "sub"])).ends(64);
    assert!(unknown.err.contains("hr-csv"), "{}", unknown.err);
}

#[test]
fn every_kind_has_a_section_that_check_accepts() {
    let list = ran(program(std::path::Path::new(".")).args(["connector", "list", "--json"])).ends(0).json();
    let kinds = |side: &str| -> Vec<String> {
        let all = list["connectors"].as_array().expect("a list").clone();
        all.iter()
            .filter(|one| one["side"] == side)
            .map(|one| one["kind"].as_str().expect("a kind").to_owned())
            .collect()
    };
    for directory in kinds("directory") {
        for target in kinds("target") {
            let home = tempfile::tempdir().expect("folder");
            ran(program(home.path()).args(["init", "--directory", &directory, "--target", &target])).ends(0);
            let checked = ran(program(home.path()).args(["check", "--no-secrets"]));
            assert_eq!(checked.code, 0, "{directory} → {target}: {}{}", checked.out, checked.err);
        }
    }
}

#[test]
fn the_simulated_pacs_keeps_every_law() {
    let examined = ran(program(std::path::Path::new(".")).args(["connector", "conform", "sim"])).ends(0);
    assert!(examined.out.contains("0 broken"), "{}", examined.out);
    let schema = ran(program(std::path::Path::new(".")).args(["connector", "schema", "hr-csv"])).ends(0);
    assert_eq!(schema.json()["additionalProperties"], false);
}
