//! A server that breaks the rules: a scripted one, over real TLS, says what no honest server says. Whatever comes, it is a
//! fault or a gap, never a panic and never a short list.

#[path = "../common/mod.rs"]
mod common;
mod server;

use common::{config, everybody, listed, members, open};
use lockstep_contract::{Fault, FaultKind, Membership, Person};
use lockstep_ldap::Ldap;
use serde_json::json;
use server::{Script, Server, attribute, bind_answer, done, done_without_control, entry, reference};

const BASE: &str = "dc=corp,dc=example";

fn opened(server: &Server, flavor: &str) -> Ldap {
    let mut settings = config(&server.url, &server.ca_file, "cn=svc", BASE);
    let state = json!({ "attribute": "employeeType", "active": ["employee"], "ended": ["left"] });
    common::merge(&mut settings, json!({ "flavor": flavor, "people": { "state": state } }));
    open(settings, "secret").expect("opens")
}

fn person(number: u8) -> Vec<u8> {
    let id = format!("00000000-0000-0000-0000-0000000000{number:02}");
    let attributes = [attribute("entryUUID", &[id.as_bytes()]), attribute("employeeType", &[b"employee"])];
    entry(format!("uid=u{number},{BASE}").as_bytes(), &attributes)
}

/// What a census says when the pages are these.
async fn census(pages: Vec<Vec<Vec<u8>>>) -> Option<Result<Vec<Person>, Fault>> {
    let server = Server::start(Script { bind: bind_answer(0), people: pages, ..Script::default() })?;
    Some(everybody(&opened(&server, "openldap")).await)
}

macro_rules! or_skip {
    ($value:expr) => {
        match $value {
            Some(value) => value,
            None => {
                common::skip();
                return;
            }
        }
    };
}

#[tokio::test]
async fn an_honest_script_is_read_whole() {
    let pages = vec![vec![person(1), person(2), done(0, b"more")], vec![person(3), done(0, b"")]];
    assert_eq!(or_skip!(census(pages).await).expect("a census").len(), 3);
}

#[tokio::test]
async fn a_page_that_fails_and_offers_a_cookie_all_the_same_ends_the_list() {
    for code in [1, 3, 4, 9, 10, 11, 12, 51, 52, 53, 80] {
        let pages = vec![
            vec![person(1), done(0, b"two")],
            vec![person(2), done(code, b"three")],
            vec![person(3), done(0, b"")],
        ];
        assert!(or_skip!(census(pages).await).is_err(), "code {code} on the second page");
    }
}

#[tokio::test]
async fn pages_that_repeat_lack_their_control_or_refer_elsewhere_are_faults() {
    for (what, second) in [
        ("the same page again", vec![person(1), done(0, b"")]),
        ("no control", vec![person(2), done_without_control(0)]),
        ("a reference", vec![person(2), reference("ldap://other.example/ou=x,dc=corp,dc=example"), done(0, b"")]),
    ] {
        let fault = or_skip!(census(vec![vec![person(1), done(0, b"two")], second]).await).expect_err(what);
        assert!(matches!(fault.kind, FaultKind::Protocol | FaultKind::Unsupported), "{what}: {fault}");
    }
}

#[tokio::test]
async fn malformed_answers_end_the_connection_and_not_the_program() {
    let broken_entry = vec![0x64, 0x03, 0x04, 0x01, b'x'];
    let broken_result = vec![0x65, 0x02, 0x04, 0x00];
    let unknown_message = vec![0x7e, 0x00];
    for broken in [broken_entry, broken_result, unknown_message] {
        let pages = vec![vec![person(1), broken.clone(), done(0, b"")]];
        let fault = or_skip!(census(pages).await).expect_err("malformed");
        assert!(matches!(fault.kind, FaultKind::Protocol | FaultKind::Unreachable), "{broken:?}: {fault}");
    }
}

#[tokio::test]
async fn a_malformed_answer_to_the_log_in_is_a_fault() {
    for bind in [vec![0x61, 0x02, 0x04, 0x00], vec![0x61, 0x00], bind_answer(49), bind_answer(14)] {
        let server = or_skip!(Server::start(Script { bind: bind.clone(), ..Script::default() }));
        let fault = everybody(&opened(&server, "openldap")).await.expect_err("no log-in");
        assert!(!fault.to_string().contains("secret"), "{bind:?}: {fault}");
    }
}

#[tokio::test]
async fn one_member_value_that_is_no_text_is_a_gap_and_the_others_stay() {
    let values: [&[u8]; 3] = [b"uid=u1,dc=corp,dc=example", b"cn=\xff\xfe,dc=corp", b"uid=u2,dc=corp,dc=example"];
    let attributes = [
        attribute("cn", &[b"mapped"]),
        attribute("entryUUID", &[b"00000000-0000-0000-0000-000000000099"]),
        attribute("objectClass", &[b"groupOfNames"]),
        attribute("member", &values),
    ];
    let server = or_skip!(Server::start(Script {
        bind: bind_answer(0),
        people: vec![vec![person(1), person(2), done(0, b"")]],
        groups: vec![vec![entry(b"cn=mapped,dc=corp,dc=example", &attributes), done(0, b"")]],
        ..Script::default()
    }));
    let (people, gaps) = listed(&members(&opened(&server, "openldap"), "mapped").await);
    assert_eq!((people.len(), gaps), (2, 1));
}

/// A user or group of Active Directory, and its extended name.
fn object(number: u8, more: &[Vec<u8>]) -> Vec<u8> {
    let mut guid = [0; 16];
    guid[15] = number;
    let mut attributes = vec![attribute("objectGUID", &[&guid])];
    attributes.extend_from_slice(more);
    entry(extended(number).as_bytes(), &attributes)
}

fn extended(number: u8) -> String {
    format!("<GUID=00000000-0000-0000-0000-0000000000{number:02x}>;CN=o{number},{BASE}")
}

/// Lists in pieces as Windows sends them: an empty `member` beside `member;range=0-1`.
async fn windows(second: Vec<u8>) -> Option<Membership> {
    let names: Vec<String> = (1..=3).map(extended).collect();
    let stamp = attribute("uSNChanged", &[b"7"]);
    let first = [
        attribute("cn", &[b"mapped"]),
        attribute("objectClass", &[b"group"]),
        attribute("member", &[]),
        attribute("member;range=0-1", &[names[0].as_bytes(), names[1].as_bytes()]),
        stamp,
    ];
    let server = Server::start(Script {
        bind: bind_answer(0),
        people: vec![vec![object(1, &[]), object(2, &[]), object(3, &[]), done(0, b"")]],
        groups: vec![vec![object(9, &first), done(0, b"")]],
        by_name: vec![second, done_without_control(0)],
    })?;
    Some(members(&opened(&server, "active-directory"), "mapped").await)
}

#[tokio::test]
async fn an_empty_list_beside_a_piece_is_read_on_to_the_last_piece() {
    let third = extended(3);
    let last = attribute("member;range=2-*", &[third.as_bytes()]);
    let whole = or_skip!(windows(object(9, &[last.clone(), attribute("uSNChanged", &[b"7"])])).await);
    assert_eq!(listed(&whole).0.len(), 3);
    for (what, second) in [
        ("a gap between pieces", object(9, &[attribute("member;range=3-*", &[third.as_bytes()])])),
        ("no piece at all", object(9, &[attribute("uSNChanged", &[b"7"])])),
        ("a short piece", object(9, &[attribute("member;range=2-9", &[third.as_bytes()])])),
        ("changed meanwhile, every time", object(9, &[last, attribute("uSNChanged", &[b"8"])])),
    ] {
        let answer = or_skip!(windows(second).await);
        assert!(matches!(answer, Membership::Unreadable(_)), "{what}: {answer:?}");
    }
}
