//! A hundred thousand people and two thousand groups on a real OpenLDAP: all of them, and in little memory.

#[path = "../common/mod.rs"]
mod common;
mod in_chain;

use std::collections::BTreeSet;
use std::time::Instant;

use common::{config, group, listed, open};
use lockstep_contract::{Cx, Directory, GroupId, Next, RunId, Scope};
use lockstep_testbed::ldif::Ldif;
use lockstep_testbed::slapd::{BASE, SERVICE, SERVICE_PASSWORD, Slapd, SlapdOptions, group as add_group};
use lockstep_testbed::slapd::{group_name, people, person_name, unit};
use serde_json::json;

const PEOPLE: usize = 100_000;
const GROUPS: usize = 2_000;
/// What the connector may keep besides what is handed out, in KiB.
const MEMORY_MAX: u64 = 60 * 1024;

/// A line of this process' status, in KiB.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let found = status.lines().find_map(|l| l.strip_prefix(line));
    found.and_then(|rest| rest.split_whitespace().next()).and_then(|n| n.parse().ok()).expect("a number")
}

fn records() -> Ldif {
    let mut records = Ldif::new();
    people(&mut records, PEOPLE);
    unit(&mut records, "groups");
    for number in 0..GROUPS {
        let direct = (0..50).map(|n| person_name((number * 50 + n) % PEOPLE));
        let nested = (number % 10 == 9).then(|| group_name(&format!("g{:04}", number - 1)));
        add_group(&mut records, &format!("g{number:04}"), &direct.chain(nested).collect::<Vec<_>>());
    }
    records
}

#[tokio::test]
async fn a_hundred_thousand_people_in_little_memory() {
    let options = SlapdOptions {
        settings: format!(
            "limits dn.exact=\"{SERVICE}\" size.soft=500 size.hard=500 size.pr=1000 size.prtotal=unlimited"
        ),
        records: records(),
        ..SlapdOptions::default()
    };
    let server = server_or_skip!(Slapd::start(options));
    let mut settings = config(&server.ldaps_url(), server.ca_file(), SERVICE, BASE);
    common::merge(&mut settings, json!({ "page_size": 1000 }));
    let directory = open(settings, SERVICE_PASSWORD).expect("opens");
    // From here on, the peak is counted anew.
    std::fs::write("/proc/self/clear_refs", "5").expect("the peak is reset");
    let before = memory("VmRSS:");
    let run = RunId::new(uuid::Uuid::from_u128(7));
    let cx = Cx { run: Some(run), ..common::cx() };
    let (mut count, mut at, start) = (0, None, Instant::now());
    loop {
        let page = directory.people(&cx, &Scope::default(), at).await.expect("a page");
        count += page.items.len();
        match page.next {
            Next::More(cursor) => at = Some(cursor),
            Next::End(_) => break,
        }
    }
    let people_took = start.elapsed();
    assert_eq!(count, PEOPLE);
    let asked: BTreeSet<GroupId> = (0..GROUPS).map(|n| group(&format!("g{n:04}"))).collect();
    let start = Instant::now();
    let answers = directory.members(&cx, &asked).await;
    assert_eq!(listed(&answers[&group("g0008")]).0.len(), 50);
    assert_eq!(listed(&answers[&group("g0009")]).0.len(), 100);
    assert_eq!(answers.values().map(|answer| listed(answer).1).sum::<u32>(), 0);
    let used = memory("VmHWM:") - before;
    report(&format!("people {people_took:?}, groups {:?}, at most {used} KiB more than before", start.elapsed()));
    assert!(used < MEMORY_MAX, "{used} KiB");
}

#[expect(clippy::print_stderr, reason = "the numbers are for whoever runs it by hand")]
fn report(text: &str) {
    eprintln!("{text}");
}
