//! The connector on a real OpenLDAP.

mod common;

use common::{config, cx, everybody, listed, members, members_of, open, sorted};
use lockstep_contract::{
    CorrelationKey, Directory, EmptyProof, FaultKind, KeyKind, Membership, PersonId, Presence, Proof, Standing,
};
use lockstep_ldap::Ldap;
use lockstep_testbed::ldif::{Ldif, escaped};
use lockstep_testbed::slapd::{
    BASE, SERVICE, SERVICE_PASSWORD, Slapd, SlapdOptions, group as add_group, group_name, people, person_name, unit,
};
use serde_json::{Value, json};

fn records(people_count: usize) -> Ldif {
    let mut records = Ldif::new();
    people(&mut records, people_count);
    unit(&mut records, "groups");
    records
}

fn opened(server: &Slapd, change: Value) -> Ldap {
    let mut settings = config(&server.ldaps_url(), server.ca_file(), SERVICE, BASE);
    common::merge(&mut settings, change);
    open(settings, SERVICE_PASSWORD).expect("opens")
}

fn id(server: &Slapd, name: &str) -> PersonId {
    PersonId::new(server.entry_uuid(name).expect("entryUUID")).expect("id")
}

fn ids(server: &Slapd, people: impl IntoIterator<Item = usize>) -> Vec<PersonId> {
    sorted(people.into_iter().map(|n| id(server, &person_name(n))))
}

#[tokio::test]
async fn everybody_is_read_over_both_kinds_of_tls_and_any_page_size() {
    let server = server_or_skip!(Slapd::start(SlapdOptions { records: records(57), ..SlapdOptions::default() }));
    for page_size in [1, 10, 56, 57, 58, 500] {
        let directory = opened(&server, json!({ "page_size": page_size }));
        let people = everybody(&directory).await.expect("a census");
        assert_eq!(people.len(), 57, "pages of {page_size}");
        assert!(people.iter().all(|person| person.standing == Standing::Active));
    }
    let starttls = opened(&server, json!({ "url": server.ldap_url(), "starttls": true }));
    assert_eq!(everybody(&starttls).await.expect("a census").len(), 57);
}

#[tokio::test]
async fn names_that_need_escapes_and_odd_spellings_join() {
    const AWKWARD: [&str; 8] =
        ["da, Ravi", "\"Q\" U", "#1", " lead", "trail ", "a+b=c", "back\\slash", "名前 e\u{301}"];
    let mut all = records(3);
    let mut members = Vec::new();
    for cn in AWKWARD {
        let name = format!("cn={},ou=people,{BASE}", escaped(cn));
        all.entry(&name, &[("objectClass", "inetOrgPerson"), ("cn", cn), ("sn", "x")]);
        members.push(name);
    }
    add_group(&mut all, "awkward", &members);
    let spelled: Vec<String> = vec![
        "UID=U000000, OU=People, DC=corp,DC=example".to_owned(),
        "0.9.2342.19200300.100.1.1=u000001,ou=people,dc=corp,dc=example".to_owned(),
        "uid=u00000\\32,ou=PEOPLE,dc=CORP,dc=example".to_owned(),
    ];
    add_group(&mut all, "spelled", &spelled);
    let server = server_or_skip!(Slapd::start(SlapdOptions { records: all, ..SlapdOptions::default() }));
    let directory = opened(&server, json!({}));
    let answer = members_of(&directory, &["awkward", "spelled"]).await;
    let (people, gaps) = listed(&answer[&common::group("awkward")]);
    assert_eq!((people.len(), gaps), (AWKWARD.len(), 0));
    assert_eq!(listed(&answer[&common::group("spelled")]), (ids(&server, 0..3), 0));
}

#[tokio::test]
async fn nesting_circles_placeholders_and_dangling_members() {
    let mut all = records(6);
    let person = person_name;
    add_group(&mut all, "leaf", &[person(0), person(1)]);
    add_group(&mut all, "mid", &[group_name("leaf"), person(2)]);
    add_group(&mut all, "top", &[group_name("mid")]);
    add_group(&mut all, "ring-a", &[person(3), group_name("ring-b")]);
    add_group(&mut all, "ring-b", &[person(4), group_name("ring-a")]);
    add_group(&mut all, "nobody", &[]);
    add_group(&mut all, "placeholder", &["cn=nobody,dc=corp,dc=example".to_owned()]);
    add_group(&mut all, "dangling", &[person(5), person(99)]);
    unit(&mut all, "elsewhere");
    let outside = format!("cn=outside,ou=elsewhere,{BASE}");
    all.entry(&outside, &[("objectClass", "groupOfNames"), ("cn", "outside"), ("member", &person(5))]);
    add_group(&mut all, "reaches-outside", &[outside]);
    let server = server_or_skip!(Slapd::start(SlapdOptions { records: all, ..SlapdOptions::default() }));
    let directory = opened(
        &server,
        json!({
            "groups": { "base": format!("ou=groups,{BASE}"), "placeholders": ["CN=nobody,DC=corp,DC=example"] },
        }),
    );
    for (name, expected) in [
        ("leaf", vec![0, 1]),
        ("mid", vec![0, 1, 2]),
        ("top", vec![0, 1, 2]),
        ("ring-a", vec![3, 4]),
        ("ring-b", vec![3, 4]),
        ("dangling", vec![5]),
        ("reaches-outside", vec![5]),
    ] {
        assert_eq!(listed(&members(&directory, name).await), (ids(&server, expected), 0), "{name}");
    }
    for name in ["nobody", "placeholder"] {
        assert_eq!(members(&directory, name).await, Membership::Empty(EmptyProof::ServerCount), "{name}");
    }
    let paths = directory
        .paths(&cx(), &id(&server, &person(0)), &[common::group("top"), common::group("ring-a")].into())
        .await
        .expect("paths");
    assert_eq!(paths.into_values().collect::<Vec<_>>(), [vec!["top", "mid", "leaf"]]);
}

#[tokio::test]
async fn logins_and_unique_names_join_and_a_stranger_is_a_gap() {
    let mut all = records(2);
    let (first, second) = (person_name(0), person_name(1));
    all.entry_of_bytes(
        &format!("cn=logins,ou=groups,{BASE}"),
        &[
            ("objectClass", b"posixGroup"),
            ("cn", b"logins"),
            ("gidNumber", b"5000"),
            ("memberUid", b"u000000"),
            ("memberUid", b"U000001"),
        ],
    );
    all.entry_of_bytes(
        &format!("cn=unique,ou=groups,{BASE}"),
        &[
            ("objectClass", b"groupOfUniqueNames"),
            ("cn", b"unique"),
            ("uniqueMember", format!("{first}#'01'B").as_bytes()),
            ("uniqueMember", second.as_bytes()),
        ],
    );
    let server = server_or_skip!(Slapd::start(SlapdOptions { records: all, ..SlapdOptions::default() }));
    let directory = opened(&server, json!({}));
    // `memberUid` is compared exactly: U000001 is nobody we know.
    assert_eq!(listed(&members(&directory, "logins").await), (ids(&server, [0]), 1));
    assert_eq!(listed(&members(&directory, "unique").await), (ids(&server, [0, 1]), 0));
}

#[tokio::test]
async fn standing_is_read_and_a_hidden_state_is_unknown() {
    let mut all = records(3);
    for (uid, expire) in [("gone", "18262"), ("future", "99999"), ("odd", "0")] {
        all.entry(
            &format!("uid={uid},ou=people,{BASE}"),
            &[
                ("objectClass", "inetOrgPerson"),
                ("objectClass", "shadowAccount"),
                ("uid", uid),
                ("cn", uid),
                ("sn", uid),
                ("shadowExpire", expire),
            ],
        );
    }
    let mut server = server_or_skip!(Slapd::start(SlapdOptions { records: all, ..SlapdOptions::default() }));
    let directory = opened(&server, json!({}));
    let standings = |people: Vec<lockstep_contract::Person>| -> Vec<(String, Standing)> {
        let account =
            |p: &lockstep_contract::Person| p.keys.of(KeyKind::Account).next().expect("uid").value().to_owned();
        let mut all: Vec<_> = people.iter().map(|p| (account(p), p.standing)).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    };
    let seen = standings(everybody(&directory).await.expect("a census"));
    let since = "2020-01-01T00:00:00Z".parse().ok();
    let expected = [
        ("future", Standing::Active),
        ("gone", Standing::Ended { since }),
        ("odd", Standing::Unknown),
        ("u000000", Standing::Active),
        ("u000001", Standing::Active),
        ("u000002", Standing::Active),
    ];
    assert_eq!(seen, expected.map(|(name, standing)| (name.to_owned(), standing)));
    server
        .restart(|options| {
            options.access = "access to attrs=shadowExpire by * none".to_owned();
        })
        .expect("restarts");
    for (account, standing) in standings(everybody(&directory).await.expect("a census")) {
        assert_eq!(standing, Standing::Unknown, "{account}");
    }
    let key = CorrelationKey::new(KeyKind::Account, "u000001").expect("key");
    let found = directory.find(&cx(), &key).await.expect("found");
    assert_eq!(found.iter().map(|person| person.standing).collect::<Vec<_>>(), [Standing::Unknown]);
}

#[tokio::test]
async fn find_answers_exactly_and_lookup_proves_gone_only_with_the_canary() {
    let server = server_or_skip!(Slapd::start(SlapdOptions { records: records(5), ..SlapdOptions::default() }));
    let without = opened(&server, json!({}));
    let with = opened(&server, json!({ "canary": person_name(4) }));
    for (kind, value, count) in [
        (KeyKind::Employee, "700002", 1),
        (KeyKind::Employee, "70000", 0),
        (KeyKind::Employee, "*", 0),
        (KeyKind::Mail, "U000002@corp.example", 1),
        (KeyKind::Account, "u000002", 1),
    ] {
        let key = CorrelationKey::new(kind, value).expect("key");
        assert_eq!(without.find(&cx(), &key).await.expect("an answer").len(), count, "{key}");
    }
    let upn = CorrelationKey::new(KeyKind::Upn, "u@x").expect("key");
    assert_eq!(without.find(&cx(), &upn).await.expect_err("no such attribute").kind, FaultKind::Unsupported);

    let leaver = id(&server, &person_name(0));
    assert!(matches!(with.lookup(&cx(), &leaver).await, Ok(Presence::Present(_))));
    server.modify(&format!("dn: {}\nchangetype: delete\n", person_name(0))).expect("deleted");
    assert_eq!(without.lookup(&cx(), &leaver).await.expect_err("no proof").kind, FaultKind::Denied);
    let canary = person_name(4);
    assert_eq!(with.lookup(&cx(), &leaver).await, Ok(Presence::Gone(Proof::NotFound { canary })));
    server.modify(&format!("dn: {}\nchangetype: delete\n", person_name(4))).expect("deleted");
    assert_eq!(with.lookup(&cx(), &leaver).await.expect_err("the canary is gone").kind, FaultKind::Denied);
    assert_eq!(everybody(&with).await.expect_err("the canary is gone").kind, FaultKind::Denied);
}

#[tokio::test]
async fn nobody_is_gone_while_the_top_of_the_naming_context_is_hidden_or_unless_absence_counts() {
    let mut server = server_or_skip!(Slapd::start(SlapdOptions { records: records(3), ..SlapdOptions::default() }));
    let canary = json!({ "canary": person_name(1), "people": { "base": format!("ou=people,{BASE}") } });
    let directory = opened(&server, canary.clone());
    let mut strict = canary;
    common::merge(&mut strict, json!({ "people": { "gone": "tombstone" } }));
    let strict = opened(&server, strict);
    let leaver = id(&server, &person_name(0));
    server.modify(&format!("dn: {}\nchangetype: delete\n", person_name(0))).expect("deleted");
    assert!(matches!(directory.lookup(&cx(), &leaver).await, Ok(Presence::Gone(Proof::NotFound { .. }))));
    assert_eq!(strict.lookup(&cx(), &leaver).await.expect_err("no tombstones here").kind, FaultKind::Denied);
    server
        .restart(|options| {
            options.access = format!("access to dn.base=\"{BASE}\" attrs=objectClass by * none\n");
        })
        .expect("restarts");
    assert_eq!(everybody(&directory).await.expect("a census").len(), 2);
    let doubt = directory.lookup(&cx(), &leaver).await.expect_err("it may have been moved");
    assert_eq!(doubt.kind, FaultKind::Denied);
    assert!(doubt.message.contains("naming context"), "{doubt}");
    let health = directory.probe(&cx()).await.expect("a probe");
    let check = health.checks.iter().find(|check| check.name == "gone").expect("the check");
    assert_eq!(check.outcome, lockstep_contract::CheckOutcome::Warn, "{check:?}");
}

#[tokio::test]
async fn hidden_members_are_unreadable_and_absent_ones_are_proven() {
    let mut all = records(3);
    add_group(&mut all, "hidden", &[person_name(0)]);
    add_group(&mut all, "above", &[group_name("hidden"), person_name(1)]);
    add_group(&mut all, "other", &[person_name(2)]);
    for name in ["empty", "hidden-empty"] {
        all.entry(
            &group_name(name),
            &[("objectClass", "posixGroup"), ("cn", name), ("gidNumber", "7000"), ("description", "x")],
        );
    }
    let rule =
        |what: &str, rights: &str| format!("access to dn.exact=\"{what}\" attrs=member,memberUid by * {rights}\n");
    for rights in ["none", "compare", "search"] {
        let access = rule(&group_name("hidden"), rights) + &rule(&group_name("hidden-empty"), "none");
        let options = SlapdOptions { records: all.clone(), access, ..SlapdOptions::default() };
        let server = server_or_skip!(Slapd::start(options));
        let directory = opened(&server, json!({}));
        for name in ["hidden", "above", "hidden-empty"] {
            let Membership::Unreadable(fault) = members(&directory, name).await else { panic!("{rights}: {name}") };
            assert_eq!(fault.kind, FaultKind::Denied, "{fault}");
        }
        assert_eq!(listed(&members(&directory, "other").await), (ids(&server, [2]), 0));
        assert_eq!(members(&directory, "empty").await, Membership::Empty(EmptyProof::ServerCount), "{rights}");
    }
}

#[tokio::test]
async fn a_hidden_person_in_a_group_is_a_gap() {
    let mut all = records(3);
    add_group(&mut all, "both", &[person_name(0), person_name(1)]);
    add_group(&mut all, "only", &[person_name(0)]);
    let access = format!("access to dn.exact=\"{}\" by * none\n", person_name(0));
    let server = server_or_skip!(Slapd::start(SlapdOptions { records: all, access, ..SlapdOptions::default() }));
    let directory = opened(&server, json!({}));
    assert_eq!(listed(&members(&directory, "both").await), (ids(&server, [1]), 1));
    assert!(matches!(members(&directory, "only").await, Membership::Unreadable(_)));
}

#[tokio::test]
async fn the_probe_says_what_it_sees_and_finds_too_many_rights() {
    let options = SlapdOptions { records: records(2), sync: true, ..SlapdOptions::default() };
    let mut server = server_or_skip!(Slapd::start(options));
    let directory = opened(&server, json!({ "canary": person_name(1) }));
    let health = directory.probe(&cx()).await.expect("a probe");
    let of = |health: &lockstep_contract::Health, name: &str| {
        health.checks.iter().find(|check| check.name == name).map(|check| check.outcome).expect("the check")
    };
    use lockstep_contract::CheckOutcome::{Fail, Pass, Warn};
    for check in &health.checks {
        assert_eq!(check.outcome, Pass, "{check:?}");
    }
    assert_eq!(health.server.expect("a mark").domain, BASE);
    let change = format!("dn: {}\nchangetype: modify\nadd: userPassword\nuserPassword: x\n", person_name(0));
    server.modify(&change).expect("modified");
    server
        .restart(|options| {
            options.access = format!("access to * by dn.exact=\"{SERVICE}\" read by anonymous auth by * none\n");
        })
        .expect("restarts");
    assert_eq!(of(&directory.probe(&cx()).await.expect("a probe"), "over-privilege"), Warn);
    let misplaced = opened(&server, json!({ "people": { "base": format!("ou=nowhere,{BASE}") } }));
    let health = misplaced.probe(&cx()).await.expect("a probe");
    assert_eq!((of(&health, "people base"), of(&health, "canary")), (Fail, Warn));
    for (fields, outcome) in
        [(json!({ "badge_number": "noSuchThing" }), Fail), (json!({ "badge_number": "pager" }), Warn)]
    {
        let health = opened(&server, json!({ "fields": fields })).probe(&cx()).await.expect("a probe");
        assert_eq!(of(&health, "attributes"), outcome, "{fields}");
    }
    server.restart(|options| options.sync = false).expect("restarts");
    for (changes, outcome) in [("auto", Warn), ("sync", Fail), ("usn", Fail), ("off", Pass)] {
        let health = opened(&server, json!({ "changes": changes })).probe(&cx()).await.expect("a probe");
        assert_eq!(of(&health, "changes"), outcome, "{changes}");
    }
}

#[test]
fn tombstones_and_absence_are_not_asked_for_together() {
    let mut settings = config("ldaps://dc1.corp.example", std::path::Path::new("none"), "svc", BASE);
    common::merge(&mut settings, json!({ "ca_file": null, "show_deleted": true, "people": { "gone": "not-found" } }));
    let fault = open(settings.clone(), "secret").expect_err("a contradiction");
    assert!(fault.kind == FaultKind::Invalid && fault.message.contains("exclude each other"), "{fault}");
    common::merge(&mut settings, json!({ "people": { "gone": "tombstone" } }));
    assert!(open(settings, "secret").is_ok());
}
