//! What reading groups costs on Active Directory (Samba), beside what the server's own in-chain matching costs. Measured by
//! hand, for the README: `cargo test -p lockstep-ldap --test large -- --ignored --nocapture`.

use std::fmt::Write;
use std::process::Command;
use std::time::Instant;

use lockstep_contract::Directory;
use lockstep_testbed::certificates::CertificateKind;
use lockstep_testbed::samba::{BASE, SERVICE, SERVICE_PASSWORD, SambaAd};
use serde_json::json;

use super::common::{self, config, cx, everybody, listed, merge, open};
use crate::server_or_skip;

const PEOPLE: usize = 10_000;
const GROUPS: usize = 500;

fn person(number: usize) -> String {
    format!("CN=P{number:05},OU=Staff,{BASE}")
}

fn group(number: usize) -> String {
    format!("CN=G{number:03},OU=Access,{BASE}")
}

/// Every group names forty people; nine of ten are in the group above, three levels deep.
fn domain() -> String {
    let mut changes = String::new();
    for unit in ["Staff", "Access"] {
        write!(changes, "dn: OU={unit},{BASE}\nchangetype: add\nobjectClass: organizationalUnit\n\n").expect("text");
    }
    for number in 0..PEOPLE {
        let rest = "objectClass: user\nuserAccountControl: 544";
        write!(changes, "dn: {}\nchangetype: add\n{rest}\n\n", person(number)).expect("text");
    }
    for number in (0..GROUPS).rev() {
        write!(changes, "dn: {}\nchangetype: add\nobjectClass: group\n", group(number)).expect("text");
        for member in 0..40 {
            writeln!(changes, "member: {}", person((number * 40 + member * 7) % PEOPLE)).expect("text");
        }
        for below in (number * 3 + 1..=number * 3 + 3).filter(|below| *below < GROUPS) {
            writeln!(changes, "member: {}", group(below)).expect("text");
        }
        changes.push('\n');
    }
    changes
}

#[tokio::test]
#[ignore = "a measurement"]
#[expect(clippy::print_stderr, reason = "a measurement is for reading")]
async fn in_chain_matching_beside_reading_all_groups() {
    let server = server_or_skip!(SambaAd::start(&domain(), CertificateKind::Right));
    let mut settings = config(&server.url(), server.ca_file(), SERVICE, &format!("OU=Staff,{BASE}"));
    let groups = json!({ "base": format!("OU=Access,{BASE}") });
    merge(&mut settings, json!({ "connect_to": server.address().to_string(), "groups": groups, "page_size": 1_000 }));
    let directory = open(settings, SERVICE_PASSWORD).expect("opens");
    let start = Instant::now();
    everybody(&directory).await.expect("a census");
    eprintln!("census of {PEOPLE} people: {:?}", start.elapsed());
    let names: Vec<String> = (0..GROUPS).map(|number| format!("G{number:03}")).collect();
    let start = Instant::now();
    let answers = common::members_of(&directory, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    eprintln!("all {GROUPS} groups, expanded here, and who people are: {:?}", start.elapsed());
    let start = Instant::now();
    common::members_of(&directory, &["G000"]).await;
    eprintln!("and once more: {:?}", start.elapsed());
    for number in [0, 1, 40] {
        let start = Instant::now();
        let filter = format!("(memberOf:1.2.840.113556.1.4.1941:={})", group(number));
        let mut command = Command::new("ldapsearch");
        command.args(["-x", "-LLL", "-H", &format!("ldaps://{}", server.address()), "-D", SERVICE]);
        command.args(["-w", SERVICE_PASSWORD, "-b", BASE, &filter, "1.1"]).env("LDAPTLS_REQCERT", "never");
        let answer = command.output().expect("ldapsearch");
        let found = String::from_utf8_lossy(&answer.stdout).matches("dn: CN=P").count();
        eprintln!("one group in chain: {found} people, {:?}", start.elapsed());
        assert_eq!(found, listed(&answers[&common::group(&format!("G{number:03}"))]).0.len());
    }
    let start = Instant::now();
    let first = directory.changes(&cx(), None).await.expect("a beginning");
    eprintln!("beginning to follow changes: {:?}", start.elapsed());
    let start = Instant::now();
    let mut at = first.next;
    for _ in 0..100 {
        at = directory.changes(&cx(), Some(at)).await.expect("the changes").next;
    }
    eprintln!("a look when nothing happened: {:?}", start.elapsed() / 100);
    let change = format!("dn: {}\nchangetype: modify\ndelete: member\nmember: {}\n-\n\n", group(40), person(1_600));
    server.modify(&change).expect("modified");
    let start = Instant::now();
    assert_eq!(directory.changes(&cx(), Some(at)).await.expect("the changes").people.len(), 1);
    eprintln!("a look when somebody left a group: {:?}", start.elapsed());
}
