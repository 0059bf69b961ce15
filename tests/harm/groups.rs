//! Rows about groups whose members cannot be read, or not whole.

use lockstep_testbed::slapd::{group_name, person_name};

use crate::campus::{Campus, Wish};
use crate::or_skip;
use crate::site::{DONE, HELD};

/// A group that is one of several freezes those whom it concerns, and the rest goes on; when it is the only one, there is
/// too little to go by, and all is held.
fn one_group_and_the_only_group(access: &str) {
    let (several, only) = (Campus::healthy(), Campus::with(Wish { only: Some("lab"), ..Wish::default() }));
    let (mut several, mut only) = (or_skip!(several), or_skip!(only));
    several.restart(|options| access.clone_into(&mut options.access));
    let trouble = several.site.in_trouble(DONE);
    assert!(trouble.findings.contains("LS0102"), "a group is unreadable: {:?}", trouble.findings);
    only.restart(|options| access.clone_into(&mut options.access));
    let trouble = only.site.in_trouble(HELD);
    assert!(trouble.guards.contains("LS0212"), "too little could be read: {:?}", trouble.guards);
}

#[test]
fn group_made_unreadable_by_acl() {
    one_group_and_the_only_group(&format!("access to dn.exact=\"{}\" by * none\n", group_name("lab")));
}

#[test]
fn group_attribute_hidden() {
    one_group_and_the_only_group(&format!("access to dn.exact=\"{}\" attrs=member by * none\n", group_name("lab")));
}

#[test]
fn one_member_value_that_is_not_utf_8() {
    let mut campus = or_skip!(Campus::healthy());
    campus.server.stop();
    // No server takes such a value, so it is written into the database: in every list that names this person, two
    // characters become bytes that are no text.
    let database = campus.server.ca_file().with_file_name("db").join("data.mdb");
    let (name, mut broken) = (person_name(3), person_name(3).into_bytes());
    broken[5..7].copy_from_slice(&[0xff, 0xfe]);
    let mut bytes = std::fs::read(&database).expect("the database");
    let places: Vec<usize> =
        bytes.windows(name.len()).enumerate().filter(|(_, it)| *it == name.as_bytes()).map(|(at, _)| at).collect();
    assert!(places.len() >= 2, "it stands in both groups");
    for at in places {
        bytes[at..at + broken.len()].copy_from_slice(&broken);
    }
    std::fs::write(&database, bytes).expect("written");
    campus.restart(|_| {});
    let seen = campus.server.search(&group_name("lab"), "(objectClass=*)", &["member"]).expect("the group");
    assert!(seen.contains("member:: "), "the server sends bytes that are no text: {seen}");
    campus.site.in_trouble(DONE);
}
