//! The connector on a real Active Directory domain controller (Samba).

mod common;

use std::collections::HashMap;
use std::fmt::Write;

use common::{config, cx, everybody, listed, members, members_of, open, sorted};
use lockstep_contract::{
    CheckOutcome, CorrelationKey, Directory, FaultKind, KeyKind, Membership, Person, PersonId, Presence, Proof,
    Standing,
};
use lockstep_ldap::Ldap;
use lockstep_testbed::certificates::CertificateKind;
use lockstep_testbed::samba::{BASE, POWERFUL, SERVICE, SERVICE_PASSWORD, SambaAd};
use serde_json::{Value, json};

fn opened(server: &SambaAd, change: Value) -> Ldap {
    let mut settings = config(&server.url(), server.ca_file(), SERVICE, BASE);
    common::merge(&mut settings, json!({ "connect_to": server.address().to_string() }));
    common::merge(&mut settings, change);
    open(settings, SERVICE_PASSWORD).expect("opens")
}

const UNITS: &str = "dn: OU=Staff,DC=corp,DC=example\nchangetype: add\nobjectClass: organizationalUnit\n\n\
                     dn: OU=Access,DC=corp,DC=example\nchangetype: add\nobjectClass: organizationalUnit\n\n";

fn person_name(number: usize) -> String {
    format!("CN=Person {number},OU=Staff,{BASE}")
}

fn group_name(name: &str) -> String {
    format!("CN={name},OU=Access,{BASE}")
}

fn add_person(changes: &mut String, number: usize, extra: &str) {
    let name = person_name(number);
    write!(
        changes,
        "dn: {name}\nchangetype: add\nobjectClass: user\ncn: Person {number}\nsn: Family{number}\n\
         sAMAccountName: p{number:05}\nuserPrincipalName: p{number:05}@corp.example\nemployeeID: {}\n{extra}\n",
        700_000 + number
    )
    .expect("text");
}

/// Enabled, without a password.
const ENABLED: &str = "userAccountControl: 544\n";

fn add_group(changes: &mut String, name: &str, members: impl IntoIterator<Item = String>) {
    write!(
        changes,
        "dn: {}\nchangetype: add\nobjectClass: group\ncn: {name}\nsAMAccountName: {name}\n",
        group_name(name)
    )
    .expect("text");
    for member in members {
        writeln!(changes, "member: {member}").expect("text");
    }
    changes.push('\n');
}

fn of_number(people: &[Person], number: usize) -> &Person {
    let key = CorrelationKey::new(KeyKind::Account, &format!("p{number:05}")).expect("key");
    people.iter().find(|person| person.keys.contains(&key)).expect("the person")
}

fn ids(people: &[Person], numbers: impl IntoIterator<Item = usize>) -> Vec<PersonId> {
    let accounts =
        people.iter().flat_map(|person| person.keys.of(KeyKind::Account).map(move |key| (key.value(), person)));
    let accounts: HashMap<&str, &Person> = accounts.collect();
    sorted(numbers.into_iter().map(|number| accounts[format!("p{number:05}").as_str()].id.clone()))
}

#[tokio::test]
async fn large_groups_are_whole_at_every_border_of_a_range() {
    const SIZES: [usize; 4] = [1_499, 1_500, 1_501, 5_001];
    let mut changes = UNITS.to_owned();
    for number in 0..5_001 {
        add_person(&mut changes, number, ENABLED);
    }
    for size in SIZES {
        add_group(&mut changes, &format!("size-{size}"), (0..size).map(person_name));
    }
    let server = server_or_skip!(SambaAd::start(&changes, CertificateKind::Right));
    // Samba sends a list whole unless a range is asked for: asking for 1,500 makes it answer as Windows does by itself.
    for range in [json!(null), json!(1_500), json!(499)] {
        let directory = opened(&server, json!({ "groups": { "base": format!("OU=Access,{BASE}"), "range": range } }));
        let people = everybody(&directory).await.expect("a census");
        let names = SIZES.map(|size| format!("size-{size}"));
        let answers = members_of(&directory, &names.each_ref().map(String::as_str)).await;
        for (size, name) in SIZES.into_iter().zip(&names) {
            let (members, gaps) = listed(&answers[&common::group(name)]);
            assert_eq!((members.len(), gaps), (size, 0), "range {range}");
            assert_eq!(members, ids(&people, 0..size), "range {range}");
        }
    }
}

#[tokio::test]
async fn circles_primary_groups_and_escapes() {
    let mut changes = UNITS.to_owned();
    for number in 0..6 {
        add_person(&mut changes, number, ENABLED);
    }
    let awkward = "dn: CN=\\#1 da\\, Ravi \\\"R\\\"\\; \\+\\=,OU=Staff,DC=corp,DC=example\nchangetype: add\nobjectClass: user\n\
                   sAMAccountName: p00099\nuserAccountControl: 544\n\n";
    changes.push_str(awkward);
    add_group(
        &mut changes,
        "leaf",
        [person_name(0), "CN=\\#1 da\\, Ravi \\\"R\\\"\\; \\+\\=,OU=Staff,DC=corp,DC=example".to_owned()],
    );
    add_group(&mut changes, "mid", [group_name("leaf"), person_name(1)]);
    add_group(&mut changes, "ring-a", [person_name(2)]);
    add_group(&mut changes, "ring-b", [person_name(3), group_name("ring-a")]);
    write!(
        changes,
        "dn: {}\nchangetype: modify\nadd: member\nmember: {}\n-\n\n",
        group_name("ring-a"),
        group_name("ring-b")
    )
    .expect("text");
    add_group(&mut changes, "primary", [person_name(4), person_name(5)]);
    add_group(&mut changes, "nobody", []);
    let server = server_or_skip!(SambaAd::start(&changes, CertificateKind::Right));
    let rid = server.search(&group_name("primary"), "(objectClass=group)", &["objectSid"]).expect("sid");
    let rid =
        rid.lines().find_map(|line| line.strip_prefix("objectSid: ")).and_then(|s| s.rsplit('-').next()).expect("rid");
    let change =
        format!("dn: {}\nchangetype: modify\nreplace: primaryGroupID\nprimaryGroupID: {rid}\n-\n\n", person_name(4));
    server.modify(&change).expect("modified");
    let directory = opened(&server, json!({}));
    let people = everybody(&directory).await.expect("a census");
    for (name, expected) in [
        ("leaf", vec![0, 99]),
        ("mid", vec![0, 1, 99]),
        ("ring-a", vec![2, 3]),
        ("ring-b", vec![2, 3]),
        ("primary", vec![4, 5]),
    ] {
        assert_eq!(listed(&members(&directory, name).await), (ids(&people, expected), 0), "{name}");
    }
    // Whoever has another primary group is listed in Domain Users; everybody else is in it without being listed.
    let (domain_users, gaps) = listed(&members(&directory, "Domain Users").await);
    assert_eq!(gaps, 0);
    for number in [4, 5] {
        assert!(domain_users.contains(&of_number(&people, number).id), "person {number}");
    }
    assert_eq!(members(&directory, "nobody").await, Membership::Unproven);
    let by_guid = server.guid(&group_name("mid")).expect("guid");
    assert_eq!(listed(&members(&directory, &by_guid).await).0, ids(&people, [0, 1, 99]));
    assert_eq!(listed(&members(&directory, "cn=MID,ou=access,dc=corp,dc=example").await).0, ids(&people, [0, 1, 99]));
}

#[tokio::test]
async fn standing_of_accounts_and_what_hides_it() {
    let mut changes = UNITS.to_owned();
    let file_time = |seconds: i64| (jiff::Timestamp::now().as_second() + seconds + 11_644_473_600) * 10_000_000;
    let just_now = format!("userAccountControl: 544\naccountExpires: {}\n", file_time(-2));
    let in_a_minute = format!("userAccountControl: 544\naccountExpires: {}\n", file_time(600));
    for (number, extra) in [
        ENABLED,
        "userAccountControl: 546\n",
        "userAccountControl: 544\naccountExpires: 132223104000000000\n",
        "userAccountControl: 544\naccountExpires: 0\n",
        "userAccountControl: 544\naccountExpires: 9223372036854775807\n",
        "userAccountControl: 544\naccountExpires: 150000000000000000\n",
        &just_now,
        &in_a_minute,
        // Locked out by wrong passwords, which anybody can type.
        "userAccountControl: 544\nlockoutTime: 133500000000000000\nbadPwdCount: 9\n",
    ]
    .into_iter()
    .enumerate()
    {
        add_person(&mut changes, number, extra);
    }
    let server = server_or_skip!(SambaAd::start(&changes, CertificateKind::Right));
    let directory = opened(&server, json!({}));
    let people = everybody(&directory).await.expect("a census");
    let since = "2020-01-01T00:00:00Z".parse().ok();
    let expected = [
        Standing::Active,
        Standing::Ended { since: None },
        Standing::Ended { since },
        Standing::Active,
        Standing::Active,
        Standing::Active,
        of_number(&people, 6).standing,
        Standing::Active,
        Standing::Active,
    ];
    for (number, standing) in expected.into_iter().enumerate() {
        assert_eq!(of_number(&people, number).standing, standing, "person {number}");
    }
    assert!(matches!(of_number(&people, 6).standing, Standing::Ended { since: Some(_) }), "to the second");
    // The property set that userAccountControl and accountExpires are in.
    let account_restrictions = "4c164200-20c0-11d0-a768-00aa006e0529";
    server.add_right(&person_name(0), &format!("(OD;;RP;{account_restrictions};;AU)")).expect("denied");
    server.add_right(&person_name(1), &format!("(OD;;RP;{account_restrictions};;AU)")).expect("denied");
    let people = everybody(&directory).await.expect("a census");
    for number in [0, 1] {
        assert_eq!(of_number(&people, number).standing, Standing::Unknown, "person {number}");
    }
    assert_eq!(of_number(&people, 3).standing, Standing::Active);
}

#[tokio::test]
async fn gone_is_a_tombstone_and_nothing_else_unless_it_is_set() {
    let mut changes = UNITS.to_owned();
    for number in 0..3 {
        add_person(&mut changes, number, ENABLED);
    }
    let server = server_or_skip!(SambaAd::start(&changes, CertificateKind::Right));
    let plain = opened(&server, json!({}));
    let canary = opened(&server, json!({ "canary": person_name(2) }));
    let trusting = opened(&server, json!({ "canary": person_name(2), "people": { "gone": "not-found" } }));
    let blind = opened(&server, json!({ "canary": person_name(2), "show_deleted": true }));
    let deleted = opened(&server, json!({ "show_deleted": true, "bind": { "user": POWERFUL } }));
    let people = everybody(&plain).await.expect("a census");
    let leaver = of_number(&people, 0).id.clone();
    for directory in [&plain, &canary, &trusting, &blind, &deleted] {
        let Presence::Present(person) = directory.lookup(&cx(), &leaver).await.expect("an answer") else {
            panic!("the person is there")
        };
        assert_eq!(&*person, &Person { profile: person.profile.clone(), ..of_number(&people, 0).clone() });
    }
    server.modify(&format!("dn: {}\nchangetype: delete\n\n", person_name(0))).expect("deleted");
    for (directory, says) in
        [(&plain, "no tombstones"), (&canary, "no tombstones"), (&blind, "no tombstone: perhaps moved")]
    {
        let doubt = directory.lookup(&cx(), &leaver).await.expect_err("no proof");
        assert_eq!(doubt.kind, FaultKind::Denied, "{doubt}");
        assert!(doubt.message.contains(says) && doubt.help.is_some(), "{doubt}");
    }
    assert_eq!(trusting.lookup(&cx(), &leaver).await, Ok(Presence::Gone(Proof::NotFound { canary: person_name(2) })));
    assert_eq!(deleted.lookup(&cx(), &leaver).await, Ok(Presence::Gone(Proof::Tombstone)));
    for (directory, outcome) in [
        (&plain, CheckOutcome::Warn),
        (&trusting, CheckOutcome::Pass),
        (&blind, CheckOutcome::Warn),
        (&deleted, CheckOutcome::Pass),
    ] {
        let health = directory.probe(&cx()).await.expect("a probe");
        let check = health.checks.into_iter().find(|check| check.name == "gone").expect("the check");
        assert_eq!(check.outcome, outcome, "{check:?}");
    }
    let key = CorrelationKey::new(KeyKind::Employee, "700001").expect("key");
    assert_eq!(canary.find(&cx(), &key).await.expect("found").len(), 1);
}

#[tokio::test]
async fn who_was_moved_out_of_sight_is_not_gone() {
    let mut changes = UNITS.to_owned();
    changes.push_str("dn: OU=Vault,DC=corp,DC=example\nchangetype: add\nobjectClass: organizationalUnit\n\n");
    for number in 0..2 {
        add_person(&mut changes, number, ENABLED);
    }
    let server = server_or_skip!(SambaAd::start(&changes, CertificateKind::Right));
    let settings = json!({ "canary": person_name(1), "people": { "base": format!("OU=Staff,{BASE}") } });
    let canary = opened(&server, settings.clone());
    let mut with_tombstones = settings;
    common::merge(&mut with_tombstones, json!({ "show_deleted": true }));
    let tombstones = opened(&server, with_tombstones);
    let moved = of_number(&everybody(&canary).await.expect("a census"), 0).id.clone();
    let change = format!(
        "dn: {}\nchangetype: modrdn\nnewrdn: CN=Person 0\ndeleteoldrdn: 1\nnewsuperior: OU=Vault,{BASE}\n\n",
        person_name(0)
    );
    server.modify(&change).expect("moved");
    for directory in [&canary, &tombstones] {
        assert!(matches!(directory.lookup(&cx(), &moved).await, Ok(Presence::Present(_))), "it can be seen there");
    }
    server.add_right(&format!("OU=Vault,{BASE}"), "(D;CI;RPLCLO;;;AU)").expect("hidden");
    for directory in [&canary, &tombstones] {
        assert_eq!(everybody(directory).await.expect("a census").len(), 1, "the canary is");
        let doubt = directory.lookup(&cx(), &moved).await.expect_err("not gone");
        assert_eq!(doubt.kind, FaultKind::Denied, "{doubt}");
    }
}

#[tokio::test]
async fn hidden_members_are_never_an_empty_group() {
    let mut changes = UNITS.to_owned();
    for number in 0..2 {
        add_person(&mut changes, number, ENABLED);
    }
    add_group(&mut changes, "hidden", [person_name(0)]);
    add_group(&mut changes, "above", [group_name("hidden"), person_name(1)]);
    let server = server_or_skip!(SambaAd::start(&changes, CertificateKind::Right));
    let directory = opened(&server, json!({}));
    let people = everybody(&directory).await.expect("a census");
    assert_eq!(listed(&members(&directory, "above").await), (ids(&people, [0, 1]), 0));
    let member = "bf9679c0-0de6-11d0-a285-00aa003049e2";
    server.add_right(&group_name("hidden"), &format!("(OD;;RP;{member};;AU)")).expect("denied");
    let hidden = members(&directory, "hidden").await;
    assert!(matches!(hidden, Membership::Unproven | Membership::Unreadable(_)), "{hidden:?}");
    let above = members(&directory, "above").await;
    assert_ne!(above.entitled(&of_number(&people, 0).id), lockstep_contract::Entitled::No, "{above:?}");
}

#[tokio::test]
async fn the_probe_tells_a_reader_from_an_administrator() {
    let mut changes = UNITS.to_owned();
    add_person(&mut changes, 0, ENABLED);
    add_group(&mut changes, "one", [person_name(0)]);
    let server = server_or_skip!(SambaAd::start(&changes, CertificateKind::Right));
    let reader = opened(&server, json!({ "canary": person_name(0) })).probe(&cx()).await.expect("a probe");
    for check in &reader.checks {
        // It looks for no tombstones.
        let expected = if check.name == "gone" { CheckOutcome::Warn } else { CheckOutcome::Pass };
        assert_eq!(check.outcome, expected, "{check:?}");
    }
    let mark = reader.server.expect("a mark");
    assert!(mark.domain.starts_with("S-1-5-21-"), "{mark:?}");
    assert!(mark.replica.is_some() && mark.generation.is_some() && mark.clock.is_some(), "{mark:?}");
    let outcome_of = |health: &lockstep_contract::Health, name: &str| {
        let check = health.checks.iter().find(|check| check.name == name).expect("the check");
        (check.outcome, check.detail.clone())
    };
    let again = || async { opened(&server, json!({})).probe(&cx()).await.expect("a probe") };
    // The right to change who is in one group, which is not seen at any of the places.
    let member = "bf9679c0-0de6-11d0-a285-00aa003049e2";
    server.add_right(&group_name("one"), &format!("(OA;;WP;{member};;AU)")).expect("granted");
    let (outcome, detail) = outcome_of(&again().await, "over-privilege");
    assert!(outcome == CheckOutcome::Warn && detail.contains("may write member of 1 of"), "{detail}");
    let replicating = "1131f6aa-9c07-11d1-f79f-00c04fc2dcd2";
    server.add_right(BASE, &format!("(OA;;CR;{replicating};;AU)")).expect("granted");
    assert!(outcome_of(&again().await, "over-privilege").1.contains("may replicate"));
    let account_restrictions = "4c164200-20c0-11d0-a768-00aa006e0529";
    server.add_right(&person_name(0), &format!("(OD;;RP;{account_restrictions};;AU)")).expect("denied");
    let (outcome, detail) = outcome_of(&again().await, "attributes");
    assert!(outcome == CheckOutcome::Fail && detail.contains("userAccountControl is hidden on 1 of"), "{detail}");
    let named = json!({ "fields": { "badge_number": "extensionAttribute7" } });
    let health = opened(&server, named).probe(&cx()).await.expect("a probe");
    assert_eq!(outcome_of(&health, "attributes").0, CheckOutcome::Fail, "the worse comes first");
    let powerful = opened(&server, json!({ "bind": { "user": POWERFUL } })).probe(&cx()).await.expect("a probe");
    let check = powerful.checks.iter().find(|check| check.name == "over-privilege").expect("the check");
    assert_eq!(check.outcome, CheckOutcome::Warn, "{check:?}");
    assert!(check.detail.contains("-512") && check.detail.contains("may write"), "{check:?}");
    let starttls = json!({
        "url": "ldap://dc1.corp.example", "starttls": true, "connect_to": server.plain_address().to_string()
    });
    assert!(opened(&server, starttls).probe(&cx()).await.is_ok());
}

#[tokio::test]
async fn a_principal_of_another_domain_is_a_gap_and_nobody_else_is() {
    let mut changes = UNITS.to_owned();
    add_person(&mut changes, 0, ENABLED);
    add_group(&mut changes, "mixed", [person_name(0)]);
    add_group(&mut changes, "foreign", []);
    add_group(&mut changes, "above", [group_name("foreign")]);
    let server = server_or_skip!(SambaAd::start(&changes, CertificateKind::Right));
    for group in ["mixed", "foreign"] {
        let change = format!(
            "dn: {}\nchangetype: modify\nadd: member\nmember: <SID=S-1-5-21-1004336348-1177238915-682003330-1105>\n-\n\n",
            group_name(group)
        );
        server.modify(&change).expect("a foreign security principal");
    }
    let directory = opened(&server, json!({}));
    let people = everybody(&directory).await.expect("a census");
    assert_eq!(listed(&members(&directory, "mixed").await), (ids(&people, [0]), 1));
    for group in ["foreign", "above"] {
        assert!(matches!(members(&directory, group).await, Membership::Unreadable(_)), "{group}");
    }
}

#[tokio::test]
async fn whoever_is_deleted_is_gone_with_the_recycle_bin_and_without_and_may_come_back() {
    for bin in [true, false] {
        let mut changes = UNITS.to_owned();
        for number in 0..2 {
            add_person(&mut changes, number, ENABLED);
        }
        add_group(&mut changes, "one", [person_name(0), person_name(1)]);
        let server = server_or_skip!(SambaAd::start(&changes, CertificateKind::Right));
        if bin {
            let on = format!(
                "dn:\nchangetype: modify\nreplace: enableOptionalFeature\n\
                 enableOptionalFeature: CN=Partitions,CN=Configuration,{BASE}:766ddcd8-acd0-445e-f3b9-a7f9b6744f2a\n-\n\n"
            );
            server.modify(&on).expect("the recycle bin");
        }
        server.let_list_deleted().expect("the right");
        let directory = opened(&server, json!({ "show_deleted": true }));
        let leaver = of_number(&everybody(&directory).await.expect("a census"), 0).id.clone();
        let follow = directory.changes(&cx(), None).await.expect("a beginning");
        server.modify(&format!("dn: {}\nchangetype: delete\n\n", person_name(0))).expect("deleted");
        assert_eq!(directory.lookup(&cx(), &leaver).await, Ok(Presence::Gone(Proof::Tombstone)), "bin: {bin}");
        assert_eq!(listed(&members(&directory, "one").await).0.len(), 1, "bin: {bin}");
        let follow = directory.changes(&cx(), Some(follow.next)).await.expect("the changes");
        assert_eq!(follow.people, std::slice::from_ref(&leaver), "bin: {bin}");
        if !bin {
            // Samba of today does not restore from its recycle bin.
            server.restore(&leaver.to_string(), &person_name(0)).expect("restored");
            let follow = directory.changes(&cx(), Some(follow.next)).await.expect("the changes");
            assert_eq!(follow.people, std::slice::from_ref(&leaver));
            assert!(matches!(directory.lookup(&cx(), &leaver).await, Ok(Presence::Present(_))));
        }
    }
}

#[tokio::test]
async fn groups_that_are_read_again_are_those_of_today() {
    let mut changes = UNITS.to_owned();
    for number in 0..4 {
        add_person(&mut changes, number, ENABLED);
    }
    add_group(&mut changes, "one", [person_name(0), person_name(1)]);
    add_group(&mut changes, "primary", [person_name(2), person_name(3)]);
    let server = server_or_skip!(SambaAd::start(&changes, CertificateKind::Right));
    let groups = json!({ "groups": { "base": format!("OU=Access,{BASE}") } });
    let (directory, all) = (opened(&server, groups), opened(&server, json!({})));
    let people = everybody(&directory).await.expect("a census");
    assert_eq!(listed(&members(&directory, "one").await).0, ids(&people, [0, 1]));
    assert!(listed(&members(&all, "Domain Users").await).0.contains(&of_number(&people, 2).id));
    // Somebody new, somebody who moved, and another primary group: nothing of that is remembered.
    let mut later = String::new();
    add_person(&mut later, 7, ENABLED);
    let member = |what: &str, group: &str, number: usize| {
        format!("dn: {}\nchangetype: modify\n{what}: member\nmember: {}\n-\n\n", group_name(group), person_name(number))
    };
    let sid = server.search(&group_name("primary"), "(objectClass=group)", &["objectSid"]).expect("sid");
    let rid = sid.lines().find_map(|line| line.strip_prefix("objectSid: ")).and_then(|s| s.rsplit('-').next());
    let primary = format!(
        "dn: {}\nchangetype: modify\nreplace: primaryGroupID\nprimaryGroupID: {}\n-\n\n",
        person_name(2),
        rid.expect("a relative id")
    );
    for change in [later, member("add", "one", 7), member("delete", "one", 0), primary] {
        server.modify(&change).expect("modified");
    }
    let people = everybody(&directory).await.expect("a census");
    assert_eq!(listed(&members(&directory, "one").await), (ids(&people, [1, 7]), 0));
    assert_eq!(listed(&members(&directory, "primary").await), (ids(&people, [2, 3]), 0));
    assert!(listed(&members(&all, "Domain Users").await).0.contains(&of_number(&people, 7).id), "by primary group");
}
