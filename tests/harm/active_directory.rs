//! Rows about large groups of Active Directory, which come in pieces: nobody is lost between two of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::OnceLock;

use lockstep_testbed::certificates::CertificateKind;
use lockstep_testbed::samba::{SERVICE_PASSWORD, SambaAd};

use crate::domain::{Changes, directory, number, person};
use crate::or_skip;
use crate::site::{Site, UNREADABLE, holder, removals, world};

/// One more than the largest group has members.
const PEOPLE: usize = 5_002;
const SIZES: [usize; 4] = [1_499, 1_500, 1_501, 5_001];

/// What became of the site, after it followed the domain. One domain and one site for all rows.
struct Followed {
    /// The levels of everybody, by employee number.
    levels: BTreeMap<String, BTreeSet<String>>,
    /// How `sync` ended with a wrong password, after that.
    wrong_password: i32,
    /// Whether it left the PACS as it was.
    untouched: bool,
}

/// At first the PACS has the members of each group right but for two: the last member lacks the level, and somebody who
/// is no member has it. A member who is lost on the way would lose the level.
fn followed() -> Option<&'static Followed> {
    static FOLLOWED: OnceLock<Option<Followed>> = OnceLock::new();
    let follow_once = || {
        let mut changes = Changes::new();
        changes.people(PEOPLE);
        for size in SIZES {
            changes.group(&format!("size-{size}"), (0..size).map(person));
        }
        let domain = SambaAd::start(&changes.0, CertificateKind::Right).expect("the domain starts");
        domain.map(|domain| follow(&domain))
    };
    FOLLOWED.get_or_init(follow_once).as_ref()
}

fn follow(domain: &SambaAd) -> Followed {
    let mut mapping = "correlate = [\"employee\"]\n".to_owned();
    for size in SIZES {
        let _ = write!(mapping, "\n[[level]]\nid = \"L-{size}\"\nany = [\"size-{size}\"]\n");
    }
    let mut site = Site::new(&config(domain), &mapping, SERVICE_PASSWORD);
    let levels = SIZES.map(|size| format!("L-{size}"));
    let had = |n: usize| {
        let inside = SIZES.iter().zip(&levels).filter(|(size, _)| n + 1 < **size || n == **size);
        inside.map(|(_, level)| level.as_str()).collect::<Vec<_>>()
    };
    let holders: Vec<_> =
        (0..PEOPLE).map(|n| holder(&format!("h-{n}"), &number(n), &format!("Person {n}"), &had(n))).collect();
    site.write("pacs.json", &world(&levels.each_ref().map(String::as_str), &holders));

    let plan = site.run(&["plan", "--json"]).json();
    let leaving: BTreeSet<&str> =
        removals(&plan).iter().filter_map(|entry| entry["who"]["employee_number"].as_str()).collect();
    let expected = SIZES.map(number);
    assert_eq!(leaving, expected.iter().map(String::as_str).collect(), "one for each group, who is no member");
    site.settle();
    let levels = site.holders().into_iter().map(|(number, (levels, _))| (number, levels)).collect();
    let before = site.pacs();
    site.use_password("not-the-password");
    let wrong_password = site.run(&["sync", "--json"]).code;
    Followed { levels, wrong_password, untouched: site.pacs() == before }
}

fn group_of(size: usize) {
    let followed = or_skip!(followed());
    let level = format!("L-{size}");
    let inside: BTreeSet<String> = followed
        .levels
        .iter()
        .filter(|(_, levels)| levels.contains(&level))
        .map(|(number, _)| number.clone())
        .collect();
    assert_eq!(inside, (0..size).map(number).collect(), "every member has the level, and nobody else");
}

fn config(domain: &SambaAd) -> String {
    format!(
        "{}\n[[target]]\nid = \"hq\"\nkind = \"sim\"\nfile = \"pacs.json\"\npage_size = 1000\nmapping = \"mapping.toml\"\n",
        directory(domain)
    )
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
    let followed = or_skip!(followed());
    assert_eq!(followed.wrong_password, UNREADABLE);
    assert!(followed.untouched, "nothing was written to the PACS");
}
