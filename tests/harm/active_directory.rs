//! Rows about large groups of Active Directory, which come in pieces: nobody is lost between two of them.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use lockstep_testbed::certificates::CertificateKind;
use lockstep_testbed::samba::{SERVICE_PASSWORD, SambaAd};

use crate::domain::{Changes, directory, number, person};
use crate::or_skip;
use crate::site::{DONE, Site, UNREADABLE, holder, removals, world};

/// One more than the largest group has members.
const PEOPLE: usize = 5_002;
const SIZES: [usize; 4] = [1_499, 1_500, 1_501, 5_001];

/// One domain for all rows; it is only read.
fn domain() -> Option<&'static SambaAd> {
    static DOMAIN: OnceLock<Option<SambaAd>> = OnceLock::new();
    let started = DOMAIN.get_or_init(|| {
        let mut changes = Changes::new();
        changes.people(PEOPLE);
        for size in SIZES {
            changes.group(&format!("size-{size}"), (0..size).map(person));
        }
        SambaAd::start(&changes.0, CertificateKind::Right).expect("the domain starts")
    });
    started.as_ref()
}

/// The PACS has the members of the group right but for two: the last member lacks the level, and somebody who is no
/// member has it. A member who is lost on the way would lose the level, and a piece that is read twice changes nothing.
fn group_of(size: usize) {
    let domain = or_skip!(domain());
    let config = format!(
        "{}\n[[target]]\nid = \"hq\"\nkind = \"sim\"\nfile = \"pacs.json\"\npage_size = 1000\nmapping = \"mapping.toml\"\n",
        directory(domain)
    );
    let mapping = format!("correlate = [\"employee\"]\n[[level]]\nid = \"L\"\nany = [\"size-{size}\"]\n");
    let site = Site::new(&config, &mapping, SERVICE_PASSWORD);
    let had = |n: usize| n + 1 < size || n == size;
    let holders: Vec<_> = (0..PEOPLE)
        .map(|n| holder(&format!("h-{n}"), &number(n), &format!("Person {n}"), if had(n) { &["L"] } else { &[] }))
        .collect();
    site.write("pacs.json", &world(&["L"], &holders));

    let plan = site.run(&["plan", "--json"]).json();
    assert_eq!(plan["entries"].as_array().expect("entries").len(), 2, "one gains the level and one loses it");
    let leaving: Vec<&str> =
        removals(&plan).iter().filter_map(|entry| entry["who"]["employee_number"].as_str()).collect();
    assert_eq!(leaving, [number(size)]);
    site.settle();
    let inside: BTreeSet<String> =
        site.holders().into_iter().filter(|(_, (levels, _))| levels.contains("L")).map(|(number, _)| number).collect();
    assert_eq!(inside, (0..size).map(number).collect(), "every member has the level, and nobody else");
    site.run(&["sync"]).ends(DONE);
}

#[test]
fn group_of_1499() {
    group_of(1_499);
}

#[test]
fn group_of_1500() {
    group_of(1_500);
}

#[test]
fn group_of_1501() {
    group_of(1_501);
}

#[test]
fn group_of_5001() {
    group_of(5_001);
}

#[test]
fn active_directory_wrong_password() {
    let domain = or_skip!(domain());
    let config = format!(
        "{}\n[[target]]\nid = \"hq\"\nkind = \"sim\"\nfile = \"pacs.json\"\nmapping = \"mapping.toml\"\n",
        directory(domain)
    );
    let mapping = "correlate = [\"employee\"]\n[[level]]\nid = \"L\"\nany = [\"size-1499\"]\n";
    let site = Site::new(&config, mapping, "not-the-password");
    site.write("pacs.json", &world(&["L"], &[holder("h-1", &number(1), "Person 1", &["L"])]));
    site.in_trouble(UNREADABLE);
}
