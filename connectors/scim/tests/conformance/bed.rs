//! Makes a fresh server for each law, with the seeded records in it, and a way to look at it that goes past the
//! connector.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lockstep_conformance::{Seed, SeedCardholder, TargetBed, TargetRig, Trouble};
use lockstep_contract::{
    AccessLevelId, Cardholder, CardholderId, CheckOutcome, CorrelationKey, Cx, FieldName, KeyKind, Opening, Profile,
    Secret, SecretError, SecretRef, Secrets, Status, Target, TargetId, TargetReader, Validity, field,
};
use lockstep_scim::{Config, Scim};
use lockstep_testbed::scim::ScimServer;
use serde_json::{Value, json};
use std::sync::Mutex;

use crate::front::{Behind, Front};
use crate::memory::{Dialect, Memory};
use crate::wire::Request;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const SIMULATED_TOKEN: &str = "simulated-token-4711";

/// What stands behind the front.
pub(crate) enum Backend {
    /// The simulator.
    Memory(Dialect),
    /// A real server.
    Real(ScimServer),
}

/// A kind of server to examine the connector on.
pub(crate) struct Bed {
    name: String,
    backend: Backend,
    worlds: AtomicU64,
}

impl Bed {
    pub(crate) fn new(name: &str, backend: Backend) -> Self {
        Self { name: name.to_owned(), backend, worlds: AtomicU64::new(1) }
    }
}

struct OneSecret(String);

impl Secrets for OneSecret {
    fn get(&self, _reference: &SecretRef) -> Result<Secret, SecretError> {
        Ok(Secret::new(self.0.clone()))
    }
}

#[async_trait]
impl TargetBed for Bed {
    fn name(&self) -> &str {
        &self.name
    }

    fn cannot(&self, trouble: Trouble) -> Option<String> {
        match (&self.backend, trouble) {
            (Backend::Memory(dialect), Trouble::IgnoredFilter) if !dialect.filter => {
                Some("this server has no filters that it could ignore".to_owned())
            }
            (Backend::Memory(dialect), Trouble::Hang) if !dialect.patch => {
                // The law wants the write to hang, and is right to: but nothing is sent when that read hangs.
                Some("without PATCH a write begins with a read, which would hang first".to_owned())
            }
            (Backend::Memory(_) | Backend::Real(_), _) => None,
        }
    }

    fn one_at_a_time(&self) -> bool {
        false
    }

    async fn fresh(&self, seed: &Seed) -> Result<Box<dyn TargetRig>, String> {
        let world = format!("world-{}", self.worlds.fetch_add(1, Ordering::Relaxed));
        let (behind, token, base) = match &self.backend {
            Backend::Memory(dialect) => {
                let memory = Memory::new(*dialect, SIMULATED_TOKEN);
                (Behind::Memory(Mutex::new(memory)), SIMULATED_TOKEN.to_owned(), "/scim/v2".to_owned())
            }
            Backend::Real(server) => (Behind::Real(server.port()), server.token.clone(), server.base_path(&world)),
        };
        let front = Front::start(behind).await?;
        let scim = open(front.port, &base, &token)?;
        let mut rig = Rig { front, scim, token, base, cardholders: Vec::new(), levels: Vec::new() };
        rig.fill(seed).await?;
        // What a server says about itself is asked for once; a law about a hanging server is about what comes after.
        let health = rig.scim.probe(&Cx::new(Duration::from_secs(20))).await.map_err(|fault| fault.to_string())?;
        if let Some(failed) = health.checks.iter().find(|check| check.outcome == CheckOutcome::Fail) {
            return Err(format!("the probe of an honest server failed: {failed:?}"));
        }
        Ok(Box::new(rig))
    }
}

fn open(port: u16, base: &str, token: &str) -> Result<Scim, String> {
    let config = json!({"url": format!("http://127.0.0.1:{port}{base}"), "token": "env:TOKEN", "page_size": 10});
    let config: Config = serde_json::from_value(config).map_err(|error| error.to_string())?;
    let secrets = OneSecret(token.to_owned());
    let opening = Opening { base: Path::new("."), secrets: &secrets };
    lockstep_scim::open(TargetId::new("hq").expect("id"), config, &opening).map_err(|fault| fault.to_string())
}

struct Rig {
    front: Front,
    scim: Scim,
    token: String,
    base: String,
    cardholders: Vec<CardholderId>,
    levels: Vec<AccessLevelId>,
}

impl Rig {
    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value), String> {
        let request = Request::new(method, &format!("{}{path}", self.base), &self.token, body);
        let reply = self.front.ask_behind(&request).await?;
        Ok((reply.status, reply.value()))
    }

    async fn create(&self, path: &str, body: &Value) -> Result<String, String> {
        let (status, created) = self.ask("POST", path, Some(body)).await?;
        let id = created["id"].as_str().map(str::to_owned);
        id.filter(|_| status == 201).ok_or_else(|| format!("POST {path} answered {status}: {created}"))
    }

    async fn fill(&mut self, seed: &Seed) -> Result<(), String> {
        let mut ids = Vec::new();
        for cardholder in &seed.cardholders {
            ids.push(self.create("/Users", &user(cardholder)).await?);
        }
        for (nth, level) in seed.levels.iter().enumerate() {
            let inside = ids.iter().zip(&seed.cardholders).filter(|(_, c)| c.levels.contains(&nth));
            let members: Vec<Value> = inside.map(|(id, _)| json!({ "value": id })).collect();
            let group = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
                "displayName": level.name, "members": members});
            let id = self.create("/Groups", &group).await?;
            self.levels.push(AccessLevelId::new(id).map_err(|error| error.to_string())?);
        }
        self.cardholders =
            ids.into_iter().map(CardholderId::new).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        Ok(())
    }

    async fn look(&self, id: &CardholderId) -> Result<Option<Cardholder>, String> {
        let (status, user) = self.ask("GET", &format!("/Users/{id}"), None).await?;
        if status == 404 {
            return Ok(None);
        }
        let mut levels = BTreeSet::new();
        for level in &self.levels {
            let (_, group) = self.ask("GET", &format!("/Groups/{level}"), None).await?;
            let mut members = group["members"].as_array().into_iter().flatten();
            if members.any(|member| member["value"] == id.as_str()) {
                levels.insert(level.clone());
            }
        }
        Ok(Some(seen(id, &user, levels)))
    }
}

#[async_trait]
impl TargetRig for Rig {
    fn target(&self) -> &dyn Target {
        &self.scim
    }
    fn cardholders(&self) -> &[CardholderId] {
        &self.cardholders
    }
    fn levels(&self) -> &[AccessLevelId] {
        &self.levels
    }
    async fn raw(&self, id: &CardholderId) -> Option<Result<Option<Cardholder>, String>> {
        Some(self.look(id).await)
    }
    async fn trouble(&self, trouble: Trouble) -> Result<(), String> {
        self.front.trouble(Some(trouble)).await
    }
    async fn heal(&self) {
        self.front.trouble(None).await.expect("the port is still ours");
    }
    fn secrets(&self) -> Vec<String> {
        vec![self.token.clone()]
    }
}

fn user(seed: &SeedCardholder) -> Value {
    let text = |name: &str| seed.profile.get(name).unwrap_or_default();
    let key = |kind| seed.keys.of(kind).next().map(CorrelationKey::value).unwrap_or_default();
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "externalId": key(KeyKind::Directory),
        "userName": text(field::USER_NAME),
        "active": seed.status == Status::Active,
        "displayName": text(field::DISPLAY_NAME),
        "name": {"givenName": text(field::GIVEN_NAME), "familyName": text(field::FAMILY_NAME)},
        "title": text(field::TITLE),
        "userType": text(field::EMPLOYEE_TYPE),
        "emails": [{"value": text(field::MAIL), "type": "work", "primary": true},
            {"value": format!("private-{}", text(field::MAIL)), "type": "home"}],
        "phoneNumbers": [{"value": text(field::PHONE), "type": "work"}],
        ENTERPRISE: {"employeeNumber": text(field::EMPLOYEE_NUMBER), "department": text(field::DEPARTMENT),
            "organization": text(field::COMPANY)},
    })
}

/// The record as a person would read it off the server's own JSON.
fn seen(id: &CardholderId, user: &Value, levels: BTreeSet<AccessLevelId>) -> Cardholder {
    let mut keys: Vec<(KeyKind, &Value)> = vec![
        (KeyKind::Directory, &user["externalId"]),
        (KeyKind::Upn, &user["userName"]),
        (KeyKind::Employee, &user[ENTERPRISE]["employeeNumber"]),
    ];
    keys.extend(user["emails"].as_array().into_iter().flatten().map(|mail| (KeyKind::Mail, &mail["value"])));
    let fields = [
        (field::USER_NAME, &user["userName"]),
        (field::DISPLAY_NAME, &user["displayName"]),
        (field::GIVEN_NAME, &user["name"]["givenName"]),
        (field::FAMILY_NAME, &user["name"]["familyName"]),
        (field::TITLE, &user["title"]),
        (field::EMPLOYEE_TYPE, &user["userType"]),
        (field::MAIL, &user["emails"][0]["value"]),
        (field::PHONE, &user["phoneNumbers"][0]["value"]),
        (field::EMPLOYEE_NUMBER, &user[ENTERPRISE]["employeeNumber"]),
        (field::DEPARTMENT, &user[ENTERPRISE]["department"]),
        (field::COMPANY, &user[ENTERPRISE]["organization"]),
    ];
    let profile: Profile = fields
        .into_iter()
        .filter_map(|(name, value)| Some((FieldName::known(name), value.as_str()?.to_owned())))
        .collect();
    Cardholder {
        id: id.clone(),
        keys: keys.into_iter().filter_map(|(kind, value)| CorrelationKey::new(kind, value.as_str()?).ok()).collect(),
        profile,
        status: match user["active"].as_bool() {
            Some(true) => Status::Active,
            Some(false) => Status::Suspended,
            None => Status::Other("not said".to_owned()),
        },
        levels,
        credentials: Vec::new(),
        validity: Validity::ALWAYS,
        site: None,
        revision: None,
    }
}
