//! `--json`: one document on standard output, whatever is said on standard error, with the name of its schema.

use crate::site::Site;

#[test]
fn every_verb_has_one_document_with_the_name_of_its_schema() {
    let site = Site::new();
    let plan = site.plan();
    let approve = ["approve", &plan, "--by", "Jane Doe", "--yes", "--json"];
    let verbs: [(&[&str], &str, i32); 13] = [
        (&["check", "--json"], "lockstep/check/1", 0),
        (&["probe", "--json"], "lockstep/probe/1", 0),
        (&["plan", "--json"], "lockstep/plan/1", 3),
        (&["show", &plan, "--json"], "lockstep/show/1", 0),
        (&approve, "lockstep/approve/1", 0),
        (&["apply", &plan, "--json"], "lockstep/apply/1", 0),
        (&["sync", "--json"], "lockstep/sync/1", 0),
        (&["explain", "employee:1000", "--json"], "lockstep/explain/1", 0),
        (&["export", "--json"], "lockstep/export/1", 0),
        (&["status", "--json"], "lockstep/status/1", 0),
        (&["connector", "list", "--json"], "lockstep/connector/1", 0),
        (&["offboard", "employee:1003", "--reason", "r", "--yes", "--json"], "lockstep/offboard/1", 0),
        (&["reinstate", "employee:1003", "--reason", "r", "--json"], "lockstep/reinstate/1", 3),
    ];
    for (args, schema, code) in verbs {
        let document = site.run(args).ends(code).json();
        assert_eq!(document["schema"], schema, "{args:?}");
    }
}

#[test]
fn a_failure_is_on_standard_error_even_when_quiet() {
    let site = Site::new();
    std::fs::remove_file(site.path("people.csv")).expect("removed");
    let failed = site.run(&["plan", "--json", "--quiet"]).ends(5);
    assert!(failed.out.is_empty(), "{}", failed.out);
    assert!(failed.err.contains("not done:") && failed.err.contains("next:"), "{}", failed.err);
}

#[test]
fn quiet_says_nothing_and_colour_is_asked_for() {
    let site = Site::new();
    let quiet = site.run(&["plan", "--quiet"]).ends(3);
    assert!(quiet.err.is_empty(), "{}", quiet.err);
    assert!(!quiet.out.contains('\u{1b}'), "no colour in a pipe");
    let coloured = site.run(&["plan", "--color", "always"]).ends(3);
    assert!(coloured.out.contains("\u{1b}["));
}
