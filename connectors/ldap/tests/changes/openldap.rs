//! On a real OpenLDAP.

use lockstep_contract::PersonId;
use lockstep_ldap::Ldap;
use lockstep_testbed::ldif::Ldif;
use lockstep_testbed::slapd::{
    BASE, SERVICE, SERVICE_PASSWORD, Slapd, SlapdOptions, group, group_name, people, person_name, unit,
};
use serde_json::{Value, json};

use super::common::{self, config, merge, open, sorted};
use super::random::{Edit, Edited, GROUPS, PEOPLE, edits};
use super::{Follower, counted, with};
use crate::server_or_skip;

fn opened(server: &Slapd, change: Value) -> Ldap {
    let mut settings = config(&server.ldaps_url(), server.ca_file(), SERVICE, BASE);
    let places = json!({ "base": format!("ou=people,{BASE}") });
    merge(&mut settings, json!({ "people": places, "groups": { "base": format!("ou=groups,{BASE}") } }));
    merge(&mut settings, change);
    open(settings, SERVICE_PASSWORD).expect("opens")
}

/// Eight people; `top` holds `mid`, which holds `leaf` (0, 1, 2) and 3; `top` also holds `far` (4), which stands elsewhere.
fn records() -> Ldif {
    let mut all = Ldif::new();
    people(&mut all, 8);
    for name in ["groups", "other", "left"] {
        unit(&mut all, name);
    }
    let far = format!("cn=far,ou=other,{BASE}");
    all.entry(
        &far,
        &[("objectClass", "groupOfNames"), ("cn", "far"), ("member", &person_name(4)), ("member", &person_name(5))],
    );
    group(&mut all, "leaf", &[0, 1, 2].map(person_name));
    group(&mut all, "mid", &[group_name("leaf"), person_name(3)]);
    group(&mut all, "top", &[group_name("mid"), far]);
    all
}

fn started(settings: &str) -> Option<Slapd> {
    let settings = settings.to_owned();
    let options = SlapdOptions { records: records(), sync: true, settings, ..SlapdOptions::default() };
    Slapd::start(options).expect("the server starts")
}

fn ids(server: &Slapd, numbers: impl IntoIterator<Item = usize>) -> Vec<PersonId> {
    let id = |number| PersonId::new(server.entry_uuid(&person_name(number)).expect("entryUUID")).expect("id");
    sorted(numbers.into_iter().map(id))
}

fn replace(server: &Slapd, name: &str, attribute: &str, value: &str) {
    let change = format!("dn: {name}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n");
    server.modify(&change).expect("modified");
}

fn member(server: &Slapd, what: &str, group: &str, member: &str) {
    server.modify(&format!("dn: {group}\nchangetype: modify\n{what}: member\nmember: {member}\n")).expect("modified");
}

fn delete(server: &Slapd, name: &str) {
    server.modify(&format!("dn: {name}\nchangetype: delete\n")).expect("deleted");
}

#[tokio::test]
async fn everybody_is_named_whom_a_change_concerns() {
    // Without a log, the server says who is still there instead of who is not.
    for log in ["", "syncprov-sessionlog 100\n"] {
        let Some(mut server) = started("") else { return common::skip() };
        server.restart(|options| options.sync_settings = log.to_owned()).expect("restarts");
        let before = ids(&server, 0..8);
        let who = |numbers: &[usize]| sorted(numbers.iter().map(|n| before_of(&server, &before, *n)));
        let mut follower = Follower::new(opened(&server, json!({}))).await;
        assert_eq!(follower.named().await, [], "{log}: nothing happened");

        replace(&server, &person_name(5), "title", "Guard");
        assert_eq!(follower.named().await, who(&[5]), "{log}: changed");
        member(&server, "delete", &group_name("leaf"), &person_name(2));
        assert_eq!(follower.named().await, who(&[2]), "{log}: removed from a nested group");
        member(&server, "delete", &group_name("mid"), &group_name("leaf"));
        assert_eq!(follower.named().await, who(&[0, 1]), "{log}: a nested group was taken out");
        member(&server, "delete", &format!("cn=far,ou=other,{BASE}"), &person_name(4));
        assert_eq!(follower.named().await, who(&[4]), "{log}: removed from a nested group that stands elsewhere");
        member(&server, "add", &group_name("mid"), &group_name("leaf"));
        assert_eq!(follower.named().await, who(&[0, 1]), "{log}: and put in again");

        delete(&server, &group_name("leaf"));
        assert_eq!(follower.named().await, who(&[0, 1]), "{log}: a group was deleted");
        let (leaver, mover) = (who(&[7]), who(&[3]));
        delete(&server, &person_name(7));
        assert_eq!(follower.named().await, leaver, "{log}: deleted");
        let change = format!(
            "dn: {}\nchangetype: modrdn\nnewrdn: uid=u000003\ndeleteoldrdn: 1\nnewsuperior: ou=left,{BASE}\n",
            person_name(3)
        );
        server.modify(&change).expect("moved");
        assert_eq!(follower.named().await, mover, "{log}: moved out of scope");
        assert_eq!(follower.named().await, [], "{log}: nothing happened");
    }
}

fn before_of(server: &Slapd, before: &[PersonId], number: usize) -> PersonId {
    let id = PersonId::new(server.entry_uuid(&person_name(number)).expect("entryUUID")).expect("id");
    assert!(before.contains(&id));
    id
}

#[tokio::test]
async fn a_look_when_nothing_happened_is_one_request() {
    let server = server_or_skip!(Ok::<_, String>(started("")));
    let proxy = counted(server.tls_address());
    let change = json!({ "connect_to": proxy.address().to_string() });
    let mut follower = Follower::new(opened(&server, change)).await;
    let before = proxy.requests();
    for _ in 0..10 {
        assert_eq!(follower.named().await, []);
    }
    assert_eq!(proxy.requests() - before, 10);
    replace(&server, &person_name(5), "title", "Guard");
    assert_eq!(follower.named().await, ids(&server, [5]));
    assert_eq!(proxy.requests() - before, 11, "the same request tells");
}

#[tokio::test]
async fn restarts_of_either_side_and_a_server_that_went_back() {
    let Some(mut server) = started("") else { return common::skip() };
    let follower = Follower::new(opened(&server, json!({}))).await;
    replace(&server, &person_name(5), "title", "Guard");
    let mut follower = Follower { directory: opened(&server, json!({})), at: follower.at };
    assert_eq!(follower.named().await, ids(&server, [5]), "the program began again");
    server.restart(|_| {}).expect("restarts");
    let leaver = ids(&server, [6]);
    delete(&server, &person_name(6));
    assert_eq!(follower.named().await, leaver, "the server began again, and its log is gone");
    member(&server, "delete", &group_name("leaf"), &person_name(2));
    let mut follower = Follower { directory: opened(&server, json!({})), at: follower.at };
    assert!(follower.resets().await, "who was in the group is not known any more");

    // rid=000,csn=29990101000000.000000Z#000000#000#000000
    let future =
        "7269643d3030302c63736e3d32393939303130313030303030302e3030303030305a233030303030302330303023303030303030";
    follower.at = with(&follower.at, "place", future);
    assert!(follower.resets().await, "the server is older than the watermark");
    follower.at = with(&follower.at, "place", "6e6f6e73656e7365");
    let nonsense = follower.look().await;
    assert!(nonsense.reset || !nonsense.people.is_empty(), "{nonsense:?}");
}

#[tokio::test]
async fn a_server_that_does_not_tell_is_asked_by_time_and_deletions_are_for_the_census() {
    let options = SlapdOptions { records: records(), ..SlapdOptions::default() };
    let server = server_or_skip!(Slapd::start(options));
    let mut follower = Follower::new(opened(&server, json!({}))).await;
    let second = follower.look().await;
    assert!(!second.reset, "{second:?}");
    // Whoever was loaded in the newest second is named until that is over.
    follower.named().await;
    replace(&server, &person_name(5), "title", "Guard");
    assert!(follower.named().await.contains(&ids(&server, [5])[0]));
    member(&server, "delete", &group_name("leaf"), &person_name(2));
    assert!(follower.named().await.contains(&ids(&server, [2])[0]));
    let leaver = ids(&server, [7])[0].clone();
    delete(&server, &person_name(7));
    let changes = follower.look().await;
    assert!(!changes.reset && !changes.people.contains(&leaver), "{changes:?}");
}

struct Random(Slapd);

impl Edited for Random {
    fn edit(&self, edit: Edit) {
        let group = |number: usize| group_name(&format!("g{number}"));
        let member = |what: &str, of: usize, member: String| {
            format!("dn: {}\nchangetype: modify\n{what}: member\nmember: {member}\n", group(of))
        };
        let set = |number: usize, attribute: &str, value: &str| {
            format!("dn: {}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n", person_name(number))
        };
        let moved = |number: usize, from: &str, to: &str| {
            format!(
                "dn: uid=u{number:06},ou={from},{BASE}\nchangetype: modrdn\nnewrdn: uid=u{number:06}\ndeleteoldrdn: 1\n\
                 newsuperior: ou={to},{BASE}\n"
            )
        };
        let change = match edit {
            Edit::Join(of, number) => member("add", of, person_name(number)),
            Edit::Leave(of, number) => member("delete", of, person_name(number)),
            Edit::Nest(of, below) => member("add", of, group(below)),
            Edit::Take(of, below) => member("delete", of, group(below)),
            Edit::End(number) => set(number, "employeeType", "left"),
            Edit::Return(number) => set(number, "employeeType", "here"),
            Edit::Note(number) => set(number, "title", "noted"),
            Edit::DeletePerson(number) => format!("dn: {}\nchangetype: delete\n", person_name(number)),
            Edit::DeleteGroup(number) => format!("dn: {}\nchangetype: delete\n", group(number)),
            Edit::Move(number) => moved(number, "people", "left"),
            Edit::MoveBack(number) => moved(number, "left", "people"),
            Edit::MakeGroup(number) => {
                let mut record = Ldif::new();
                super::openldap::group(&mut record, &format!("g{number}"), &[person_name(number)]);
                record.text().replacen('\n', "\nchangetype: add\n", 1)
            }
        };
        // What makes no sense is refused, and nothing happens.
        let _ = self.0.modify(&change);
    }
}

#[tokio::test]
async fn random_edits_never_leave_anybody_out() {
    for (log, seed) in [("", 0x9e37_79b9), ("syncprov-sessionlog 100\n", 0x7f4a_7c15)] {
        let mut all = Ldif::new();
        people(&mut all, PEOPLE);
        for name in ["groups", "left"] {
            unit(&mut all, name);
        }
        for number in 0..GROUPS {
            group(&mut all, &format!("g{number}"), &[person_name(number)]);
        }
        let options =
            SlapdOptions { records: all, sync: true, sync_settings: log.to_owned(), ..SlapdOptions::default() };
        let server = Random(server_or_skip!(Slapd::start(options)));
        let state = json!({ "attribute": "employeeType", "active": ["here"], "ended": ["left"] });
        let open = || opened(&server.0, json!({ "people": { "state": state } }));
        edits(&server, open(), &open(), 25, seed).await;
    }
}
