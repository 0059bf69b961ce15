//! On a real Active Directory domain controller (Samba), as an ordinary account that may list Deleted Objects.

use std::fmt::Write;

use lockstep_contract::{Directory, FaultKind, PersonId};
use lockstep_ldap::Ldap;
use lockstep_testbed::certificates::CertificateKind;
use lockstep_testbed::samba::{BASE, SERVICE, SERVICE_PASSWORD, SambaAd};
use serde_json::{Value, json};

use super::common::{self, config, cx, merge, open, sorted};
use super::random::{Edit, Edited, GROUPS, PEOPLE, edits};
use super::{Follower, counted, with};
use crate::server_or_skip;

const WAYS: [&str; 2] = ["usn", "dirsync"];

fn opened(server: &SambaAd, change: Value) -> Ldap {
    let mut settings = config(&server.url(), server.ca_file(), SERVICE, &format!("OU=Staff,{BASE}"));
    let groups = json!({ "base": format!("OU=Access,{BASE}") });
    let address = server.address().to_string();
    merge(&mut settings, json!({ "connect_to": address, "groups": groups, "show_deleted": true }));
    merge(&mut settings, change);
    open(settings, SERVICE_PASSWORD).expect("opens")
}

fn person_name(number: usize) -> String {
    format!("CN=Person {number},OU=Staff,{BASE}")
}

fn group_name(name: &str) -> String {
    format!("CN={name},OU=Access,{BASE}")
}

fn add_group(changes: &mut String, name: &str, members: &[String]) {
    write!(changes, "dn: {name}\nchangetype: add\nobjectClass: group\n").expect("text");
    for member in members {
        writeln!(changes, "member: {member}").expect("text");
    }
    changes.push('\n');
}

/// Eight people; `top` holds `mid`, which holds `leaf` (0, 1, 2) and 3; `top` also holds `far` (4), which stands elsewhere.
fn domain() -> String {
    let mut changes = String::new();
    for unit in ["Staff", "Access", "Other", "Left"] {
        write!(changes, "dn: OU={unit},{BASE}\nchangetype: add\nobjectClass: organizationalUnit\n\n").expect("text");
    }
    for number in 0..8 {
        write!(
            changes,
            "dn: {}\nchangetype: add\nobjectClass: user\nsAMAccountName: p{number}\nuserAccountControl: 544\n\n",
            person_name(number)
        )
        .expect("text");
    }
    let far = format!("CN=far,OU=Other,{BASE}");
    add_group(&mut changes, &far, &[person_name(4)]);
    add_group(&mut changes, &group_name("leaf"), &[0, 1, 2].map(person_name));
    add_group(&mut changes, &group_name("mid"), &[group_name("leaf"), person_name(3)]);
    add_group(&mut changes, &group_name("top"), &[group_name("mid"), far]);
    changes
}

fn started() -> Option<SambaAd> {
    let server = SambaAd::start(&domain(), CertificateKind::Right).expect("the server starts")?;
    server.let_list_deleted().expect("the right");
    Some(server)
}

fn ids(server: &SambaAd, numbers: impl IntoIterator<Item = usize>) -> Vec<PersonId> {
    let id = |number| PersonId::new(server.guid(&person_name(number)).expect("objectGUID")).expect("id");
    sorted(numbers.into_iter().map(id))
}

fn replace(server: &SambaAd, name: &str, attribute: &str, value: &str) {
    let change = format!("dn: {name}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n-\n\n");
    server.modify(&change).expect("modified");
}

fn member(server: &SambaAd, what: &str, group: &str, member: &str) {
    let change = format!("dn: {group}\nchangetype: modify\n{what}: member\nmember: {member}\n-\n\n");
    server.modify(&change).expect("modified");
}

fn delete(server: &SambaAd, name: &str) {
    server.modify(&format!("dn: {name}\nchangetype: delete\n\n")).expect("deleted");
}

fn rename(server: &SambaAd, name: &str, relative: &str, parent: &str) {
    let change =
        format!("dn: {name}\nchangetype: modrdn\nnewrdn: {relative}\ndeleteoldrdn: 1\nnewsuperior: {parent}\n\n");
    server.modify(&change).expect("moved");
}

#[tokio::test]
async fn everybody_is_named_whom_a_change_concerns() {
    for way in WAYS {
        let server = server_or_skip!(Ok::<_, String>(started()));
        let all = ids(&server, 0..8);
        let who = |numbers: &[usize]| ids(&server, numbers.iter().copied());
        let mut follower = Follower::new(opened(&server, json!({ "changes": way }))).await;
        assert_eq!(follower.named().await, [], "{way}: nothing happened");

        replace(&server, &person_name(5), "userAccountControl", "546");
        assert_eq!(follower.named().await, who(&[5]), "{way}: disabled");
        replace(&server, &person_name(6), "accountExpires", "132223104000000000");
        assert_eq!(follower.named().await, who(&[6]), "{way}: expired");
        replace(&server, &person_name(0), "description", "noted");
        assert!(follower.named().await.iter().all(|id| who(&[0]).contains(id)), "{way}");

        member(&server, "delete", &group_name("leaf"), &person_name(2));
        assert_eq!(follower.named().await, who(&[2]), "{way}: removed from a nested group");
        member(&server, "delete", &group_name("mid"), &group_name("leaf"));
        assert_eq!(follower.named().await, who(&[0, 1]), "{way}: a nested group was taken out");
        member(&server, "delete", &format!("CN=far,OU=Other,{BASE}"), &person_name(4));
        assert_eq!(follower.named().await, who(&[4]), "{way}: removed from a nested group that stands elsewhere");
        member(&server, "add", &group_name("mid"), &group_name("leaf"));
        assert_eq!(follower.named().await, who(&[0, 1]), "{way}: and put in again");

        delete(&server, &group_name("leaf"));
        assert_eq!(follower.named().await, who(&[0, 1]), "{way}: a group was deleted");
        delete(&server, &person_name(7));
        assert_eq!(follower.named().await, [all_but(&all, &who(&[0, 1, 2, 3, 4, 5, 6]))], "{way}: deleted");
        let moved = who(&[3]);
        rename(&server, &person_name(3), "CN=Person 3", &format!("OU=Left,{BASE}"));
        assert_eq!(follower.named().await, moved, "{way}: moved out of scope");
        assert_eq!(follower.named().await, [], "{way}: nothing happened");
    }
}

/// The one who is not among the others.
fn all_but(all: &[PersonId], others: &[PersonId]) -> PersonId {
    all.iter().find(|id| !others.contains(id)).cloned().expect("somebody")
}

#[tokio::test]
async fn the_same_watermark_names_the_same_people_again() {
    let server = server_or_skip!(Ok::<_, String>(started()));
    let mut follower = Follower::new(opened(&server, json!({}))).await;
    member(&server, "delete", &group_name("leaf"), &person_name(2));
    let before = follower.at.clone();
    assert_eq!(follower.named().await, ids(&server, [2]));
    // The loop ended before anybody was looked at, and comes back with what it had.
    follower.at = before;
    member(&server, "delete", &group_name("leaf"), &person_name(1));
    assert_eq!(follower.named().await, ids(&server, [1, 2]));
}

#[tokio::test]
async fn a_watermark_outlives_the_program_and_what_cannot_be_known_any_more_is_a_reset() {
    for way in WAYS {
        let server = server_or_skip!(Ok::<_, String>(started()));
        let again = || opened(&server, json!({ "changes": way }));
        let follower = Follower::new(again()).await;
        replace(&server, &person_name(5), "userAccountControl", "546");
        let mut follower = Follower { directory: again(), at: follower.at };
        assert_eq!(follower.named().await, ids(&server, [5]), "{way}");
        member(&server, "delete", &group_name("leaf"), &person_name(2));
        assert_eq!(follower.named().await, ids(&server, [2]), "{way}: the lists are known again");
        // Who was in the group before is not known to a program that begins after it changed.
        member(&server, "delete", &group_name("leaf"), &person_name(1));
        let mut follower = Follower { directory: again(), at: follower.at };
        assert!(follower.resets().await, "{way}");
        assert_eq!(follower.named().await, [], "{way}");
    }
}

#[tokio::test]
async fn another_server_or_one_that_went_back_is_a_reset() {
    let server = server_or_skip!(Ok::<_, String>(started()));
    let mut follower = Follower::new(opened(&server, json!({}))).await;
    let good = follower.at.clone();
    for (key, value) in [
        ("replica", "00000000-0000-4000-8000-000000000001"),
        ("place", "99999999"),
        ("asked", "something else"),
        ("at", "2999-01-01T00:00:00Z"),
        ("way", "dirsync"),
    ] {
        follower.at = with(&good, key, value);
        assert!(follower.resets().await, "{key}");
    }
    follower.at = lockstep_contract::Watermark("nonsense".to_owned());
    assert!(follower.resets().await);
    assert_eq!(follower.named().await, []);
}

#[tokio::test]
async fn a_place_that_changes_needs_a_census_since_people_move_with_it() {
    for way in WAYS {
        let server = server_or_skip!(Ok::<_, String>(started()));
        let mut follower = Follower::new(opened(&server, json!({ "changes": way }))).await;
        let unit = format!("dn: OU=Team,OU=Staff,{BASE}\nchangetype: add\nobjectClass: organizationalUnit\n\n");
        server.modify(&unit).expect("added");
        assert_eq!(follower.named().await, [], "{way}: nobody is in a new place");
        rename(&server, &format!("OU=Team,OU=Staff,{BASE}"), "OU=Team", &format!("OU=Left,{BASE}"));
        assert!(follower.resets().await, "{way}");
    }
}

#[tokio::test]
async fn an_account_that_ends_by_the_clock_is_named_when_it_does() {
    let server = server_or_skip!(Ok::<_, String>(started()));
    let after = |seconds| jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    let file_time = |at: jiff::Timestamp| ((at.as_second() + 11_644_473_600) * 10_000_000).to_string();
    // While nobody looked.
    replace(&server, &person_name(0), "accountExpires", &file_time(after(-3_600)));
    let begun = Follower::new(opened(&server, json!({}))).await;
    let earlier = with(&begun.at, "at", after(-7_200).to_string());
    let mut follower = Follower { directory: opened(&server, json!({})), at: earlier };
    assert_eq!(follower.named().await, ids(&server, [0]));
    assert_eq!(follower.named().await, [], "once");
    // While somebody looks.
    let end = after(6);
    replace(&server, &person_name(1), "accountExpires", &file_time(end));
    assert_eq!(follower.named().await, ids(&server, [1]), "it was touched");
    if jiff::Timestamp::now() >= end {
        // This machine is too busy to see it coming: the look named it for both reasons.
        return;
    }
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        assert!(std::time::Instant::now() < until, "it is never named");
        let named = follower.named().await;
        if !named.is_empty() {
            assert_eq!(named, ids(&server, [1]), "it has ended");
            break;
        }
    }
}

#[tokio::test]
async fn a_look_when_nothing_happened_is_one_request() {
    for way in WAYS {
        let server = server_or_skip!(Ok::<_, String>(started()));
        let proxy = counted(server.address());
        let change = json!({ "changes": way, "connect_to": proxy.address().to_string() });
        let mut follower = Follower::new(opened(&server, change)).await;
        let before = proxy.requests();
        for _ in 0..10 {
            assert_eq!(follower.named().await, [], "{way}");
        }
        assert_eq!(proxy.requests() - before, 10, "{way}");
        replace(&server, &person_name(5), "userAccountControl", "546");
        assert_eq!(follower.named().await, ids(&server, [5]), "{way}");
        assert_eq!(proxy.requests() - before, 12, "{way}: whoever was touched is one more");
    }
}

#[tokio::test]
async fn without_the_right_to_list_deleted_objects_a_deletion_is_for_the_census() {
    let server = server_or_skip!(SambaAd::start(&domain(), CertificateKind::Right));
    let mut follower = Follower::new(opened(&server, json!({}))).await;
    delete(&server, &person_name(7));
    assert_eq!(follower.named().await, []);
    let off = opened(&server, json!({ "changes": "off" }));
    assert_eq!(off.changes(&cx(), None).await.expect_err("switched off").kind, FaultKind::Unsupported);
}

struct Random(SambaAd);

impl Edited for Random {
    fn edit(&self, edit: Edit) {
        let person = |number: usize| format!("CN=Person {number},OU=Staff,{BASE}");
        let group = |number: usize| group_name(&format!("g{number}"));
        let member = |what: &str, of: usize, member: String| {
            format!("dn: {}\nchangetype: modify\n{what}: member\nmember: {member}\n-\n\n", group(of))
        };
        let set = |number: usize, attribute: &str, value: &str| {
            format!("dn: {}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n-\n\n", person(number))
        };
        let moved = |number: usize, from: &str, to: &str| {
            format!(
                "dn: CN=Person {number},OU={from},{BASE}\nchangetype: modrdn\nnewrdn: CN=Person {number}\ndeleteoldrdn: 1\n\
                 newsuperior: OU={to},{BASE}\n\n"
            )
        };
        let change = match edit {
            Edit::Join(of, number) => member("add", of, person(number)),
            Edit::Leave(of, number) => member("delete", of, person(number)),
            Edit::Nest(of, below) => member("add", of, group(below)),
            Edit::Take(of, below) => member("delete", of, group(below)),
            Edit::End(number) => set(number, "userAccountControl", "546"),
            Edit::Return(number) => set(number, "userAccountControl", "544"),
            Edit::Note(number) => set(number, "department", "noted"),
            Edit::DeletePerson(number) => format!("dn: {}\nchangetype: delete\n\n", person(number)),
            Edit::DeleteGroup(number) => format!("dn: {}\nchangetype: delete\n\n", group(number)),
            Edit::Move(number) => moved(number, "Staff", "Left"),
            Edit::MoveBack(number) => moved(number, "Left", "Staff"),
            Edit::MakeGroup(number) => {
                let mut change = String::new();
                add_group(&mut change, &group(number), &[person(number), person(number + 1)]);
                change
            }
        };
        // What makes no sense is refused, and nothing happens.
        let _ = self.0.modify(&change);
    }
}

#[tokio::test]
async fn random_edits_never_leave_anybody_out() {
    for (way, seed) in [("usn", 0x9e37_79b9), ("dirsync", 0x7f4a_7c15)] {
        let mut changes = String::new();
        for unit in ["Staff", "Access", "Left"] {
            write!(changes, "dn: OU={unit},{BASE}\nchangetype: add\nobjectClass: organizationalUnit\n\n")
                .expect("text");
        }
        for number in 0..PEOPLE {
            let (name, account) = (person_name(number), format!("sAMAccountName: p{number}\nuserAccountControl: 544"));
            write!(changes, "dn: {name}\nchangetype: add\nobjectClass: user\n{account}\n\n").expect("text");
        }
        for number in 0..GROUPS {
            add_group(&mut changes, &group_name(&format!("g{number}")), &[person_name(number)]);
        }
        let server = server_or_skip!(SambaAd::start(&changes, CertificateKind::Right));
        server.let_list_deleted().expect("the right");
        let server = Random(server);
        let watched = opened(&server.0, json!({ "changes": way }));
        edits(&server, watched, &opened(&server.0, json!({})), 12, seed).await;
    }
}
