//! What the tests on real servers share.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use lockstep_contract::{
    Cx, Directory, DirectoryId, Fault, GroupId, Membership, Next, Opening, Person, PersonId, Scope, Secret,
    SecretError, SecretRef, Secrets,
};
use lockstep_ldap::{Config, Ldap};
use serde_json::{Value, json};

/// Knows one password, whatever the reference.
pub struct OneSecret(pub String);

impl Secrets for OneSecret {
    fn get(&self, _: &SecretRef) -> Result<Secret, SecretError> {
        Ok(Secret::new(self.0.clone()))
    }
}

/// Merges a change into a configuration, object by object.
pub fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change,
    }
}

/// Opens a connector.
pub fn open(config: Value, password: &str) -> Result<Ldap, Fault> {
    let config: Config = serde_json::from_value(config).expect("a configuration");
    let secrets = OneSecret(password.to_owned());
    let opening = Opening { base: Path::new("/"), secrets: &secrets };
    lockstep_ldap::open(DirectoryId::new("corp").expect("id"), config, &opening)
}

/// A configuration for a test directory.
pub fn config(url: &str, ca_file: &Path, user: &str, base: &str) -> Value {
    json!({
        "url": url,
        "ca_file": ca_file,
        "bind": { "user": user, "password": "env:TEST" },
        "people": { "base": base },
        "groups": { "base": base },
    })
}

pub fn cx() -> Cx {
    Cx::new(Duration::from_secs(60))
}

/// Reads everybody.
pub async fn everybody(directory: &Ldap) -> Result<Vec<Person>, Fault> {
    everybody_for(directory, &cx()).await
}

pub async fn everybody_for(directory: &Ldap, cx: &Cx) -> Result<Vec<Person>, Fault> {
    let scope = Scope::default();
    let (mut people, mut at) = (Vec::new(), None);
    loop {
        let page = directory.people(cx, &scope, at).await?;
        people.extend(page.items);
        match page.next {
            Next::More(cursor) => at = Some(cursor),
            Next::End(census) => {
                assert_eq!(census.sent, people.len() as u64, "nobody was set aside in these tests");
                return Ok(people);
            }
        }
    }
}

pub fn group(name: &str) -> GroupId {
    GroupId::new(name).expect("group id")
}

/// The answer about one group.
pub async fn members(directory: &Ldap, name: &str) -> Membership {
    members_of(directory, &[name]).await.remove(&group(name)).expect("an answer")
}

pub async fn members_of(directory: &Ldap, names: &[&str]) -> BTreeMap<GroupId, Membership> {
    let groups: BTreeSet<GroupId> = names.iter().map(|name| group(name)).collect();
    directory.members(&cx(), &groups).await
}

/// The people of a group that was read, and its gaps.
pub fn listed(membership: &Membership) -> (Vec<PersonId>, u32) {
    match membership {
        Membership::Members(members) => (members.people().cloned().collect(), members.gaps()),
        other => panic!("no members: {other:?}"),
    }
}

pub fn sorted(ids: impl IntoIterator<Item = PersonId>) -> Vec<PersonId> {
    let mut ids: Vec<PersonId> = ids.into_iter().collect();
    ids.sort_unstable();
    ids
}

/// The ids of so many people, in order.
pub fn ids_in_order<'a>(count: usize, of: impl Fn(usize) -> Option<&'a String>) -> Result<Vec<PersonId>, String> {
    let id = |n| PersonId::new(of(n).ok_or(format!("person {n} has no id"))?).map_err(|error| error.to_string());
    (0..count).map(id).collect()
}

/// Says that a test ends here because its server is not installed; a failure where it is demanded.
#[expect(clippy::print_stderr, reason = "a skip is never silent")]
pub fn skip() {
    assert!(!servers_are_demanded(), "the server is not installed");
    eprintln!("SKIPPED: the server is not installed");
}

/// True when a missing server is a failure.
pub fn servers_are_demanded() -> bool {
    std::env::var_os("TESTBED_REAL_SERVERS").is_some_and(|value| value == "1")
}

/// The server, or the reason why the test ends here: not installed, and not demanded.
#[macro_export]
macro_rules! server_or_skip {
    ($start:expr) => {
        match $start.expect("the server starts") {
            Some(server) => server,
            None => {
                common::skip();
                return;
            }
        }
    };
}
