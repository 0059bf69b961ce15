//! Rows about groups whose members cannot be read, or not whole.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use lockstep_testbed::slapd::{group_name, person_name};

use crate::campus::{Campus, Wish};
use crate::or_skip;
use crate::site::{HELD, UNREADABLE};

/// A group that is one of several (of four at most one, by the usual limit; a hidden list makes the group around it
/// unreadable, too) freezes those whom it concerns, and the rest goes on; when it is the only one, there is
/// too little to go by, and all is held.
fn one_group_and_the_only_group(access: &str, one_of_several: i32) {
    let (several, only) = (Campus::healthy(), Campus::with(Wish { only: Some("lab"), ..Wish::default() }));
    let (mut several, mut only) = (or_skip!(several), or_skip!(only));
    several.restart(|options| access.clone_into(&mut options.access));
    let trouble = several.site.in_trouble(one_of_several);
    assert!(trouble.findings.contains("LS0102"), "a group is unreadable: {:?}", trouble.findings);
    only.restart(|options| access.clone_into(&mut options.access));
    let trouble = only.site.in_trouble(HELD);
    assert!(trouble.guards.contains("LS0212"), "too little could be read: {:?}", trouble.guards);
}

#[test]
fn group_made_unreadable_by_acl() {
    one_group_and_the_only_group(&format!("access to dn.exact=\"{}\" by * none\n", group_name("lab")), UNREADABLE);
}

#[test]
fn group_attribute_hidden() {
    one_group_and_the_only_group(
        &format!("access to dn.exact=\"{}\" attrs=member by * none\n", group_name("lab")),
        HELD,
    );
}

#[test]
fn one_member_value_that_is_not_utf_8() {
    let mut campus = or_skip!(Campus::healthy());
    campus.server.stop();
    // No server takes such a value, so it is written into the database: in every list that names this person, two
    // characters become bytes that are no text.
    let database = campus.server.ca_file().with_file_name("db").join("data.mdb");
    assert!(spoil(&database, &person_name(3)) >= 2, "it stands in both groups");
    campus.restart(|_| {});
    let seen = campus.server.search(&group_name("lab"), "(objectClass=*)", &["member"]).expect("the group");
    assert!(seen.contains("member:: "), "the server sends bytes that are no text: {seen}");
    // Whoever is not named might be the one behind it, and keeps what the group gives.
    let trouble = campus.site.in_trouble(UNREADABLE);
    assert!(trouble.findings.contains("LS0102"), "a group could not be read whole: {:?}", trouble.findings);
}

/// Makes two bytes of this text unreadable wherever it stands in the file, and says how often that was.
fn spoil(file: &Path, text: &str) -> usize {
    // The file is as large as the database may become; what is in it stands at its beginning.
    const BEGINNING: u64 = 16 * 1024 * 1024;
    let mut file = File::options().read(true).write(true).open(file).expect("the database");
    let mut bytes = Vec::new();
    Read::by_ref(&mut file).take(BEGINNING).read_to_end(&mut bytes).expect("read");
    let places = bytes.windows(text.len()).enumerate().filter(|(_, it)| *it == text.as_bytes());
    let places: Vec<u64> = places.map(|(at, _)| at as u64).collect();
    for at in &places {
        file.seek(SeekFrom::Start(at + 5)).expect("a place");
        file.write_all(&[0xff, 0xfe]).expect("written");
    }
    places.len()
}
