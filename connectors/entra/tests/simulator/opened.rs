//! A connector opened on the simulator. This module must not judge.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use lockstep_contract::{
    Census, Cx, Directory, DirectoryId, Fault, FieldName, GroupId, Membership, Next, Opening, Person, PersonId, Scope,
    Secret, SecretError, SecretRef, Secrets, field,
};
use lockstep_entra::Entra;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{CLIENT, SECRET, Simulator, TENANT};

/// Gives every reference the same secret.
struct Kept(String);

impl Secrets for Kept {
    fn get(&self, _: &SecretRef) -> Result<Secret, SecretError> {
        Ok(Secret::new(self.0.clone()))
    }
}

/// A connector with these settings beside the usual ones.
pub(crate) fn open(simulator: &Simulator, extra: &Value) -> Entra {
    open_with(simulator, extra, SECRET).expect("opens")
}

pub(crate) fn open_with(simulator: &Simulator, extra: &Value, secret: &str) -> Result<Entra, Fault> {
    let mut settings = json!({
        "tenant": TENANT,
        "auth": {"client_id": CLIENT, "secret": "env:SECRET"},
        "stand_in": simulator.root(),
        "units_per_second": 10_000,
    });
    for (name, value) in extra.as_object().into_iter().flatten() {
        settings[name] = value.clone();
    }
    let config = serde_json::from_value(settings).expect("settings");
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let secrets = Kept(secret.to_owned());
    let opening = Opening { base: &base, secrets: &secrets };
    lockstep_entra::open(DirectoryId::new("cloud").expect("id"), config, &opening)
}

pub(crate) fn cx() -> Cx {
    Cx::new(Duration::from_secs(20))
}

pub(crate) fn scope() -> Scope {
    let fields =
        [field::GIVEN_NAME, field::FAMILY_NAME, field::DISPLAY_NAME, field::EMPLOYEE_NUMBER, field::DEPARTMENT];
    Scope { fields: fields.into_iter().map(FieldName::known).collect() }
}

/// Everybody, read to the end.
pub(crate) async fn everybody(directory: &Entra, cx: &Cx) -> Result<(Vec<Person>, Census), Fault> {
    let mut people = Vec::new();
    let mut at = None;
    for _ in 0..1_000 {
        let page = directory.people(cx, &scope(), at).await?;
        people.extend(page.items);
        match page.next {
            Next::End(census) => return Ok((people, census)),
            Next::More(cursor) => at = Some(cursor),
        }
    }
    panic!("the list has no end");
}

pub(crate) fn person(n: u128) -> PersonId {
    PersonId::from_uuid(Uuid::from_u128(n))
}

pub(crate) fn group(n: u128) -> GroupId {
    GroupId::new(Uuid::from_u128(n).to_string()).expect("a group")
}

/// The answer about one group.
pub(crate) async fn members(directory: &Entra, n: u128) -> Membership {
    let mut answers = directory.members(&cx(), &BTreeSet::from([group(n)])).await;
    answers.remove(&group(n)).expect("an answer")
}
