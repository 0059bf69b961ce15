//! Every target with the same records, and what everybody can really open there. This module must not go through a connector.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use lockstep_conformance::{Seed, SeedCardholder};
use lockstep_contract::{
    AccessLevel, AccessLevelId, Cardholder, CardholderId, Credential, CredentialId, CredentialKind, CredentialStatus,
    KeyKind, Status, field,
};
use lockstep_sim::World;
use lockstep_simulator::{Server, Vendor};
use lockstep_testbed::scripted::Scripted;
use serde_json::{Value, json};

use crate::feed::doors;

/// What everybody can open, by employee number.
pub(crate) type Access = BTreeMap<String, BTreeSet<String>>;

/// One target.
pub(crate) struct Place {
    pub(crate) kind: &'static str,
    /// Its settings, as TOML.
    pub(crate) settings: String,
    /// The secrets that the settings name.
    pub(crate) secrets: Vec<(&'static str, String)>,
    /// The ids of its levels, in the order of the seed.
    pub(crate) levels: Vec<AccessLevelId>,
    /// What is written to its records, as lines of a mapping.
    pub(crate) profile: &'static str,
    /// Where Lockstep alone lets nobody in: sees to the badges of these people, by employee number.
    pub(crate) badge_office: Option<BadgeOffice>,
    seed: Seed,
    records: Box<dyn Fn() -> Vec<Cardholder>>,
}

/// What the badge office does for these people.
pub(crate) type BadgeOffice = Box<dyn Fn(&[String])>;

impl Place {
    /// What everybody can really open here.
    pub(crate) fn access(&self) -> Access {
        let numbers: BTreeMap<&AccessLevelId, usize> = self.levels.iter().enumerate().map(|(n, id)| (id, n)).collect();
        let opens = |record: &Cardholder| {
            let active = record.status == Status::Active;
            let levels = record.levels.iter().filter(|_| active).filter_map(|id| numbers.get(id).copied());
            doors(&self.seed, levels)
        };
        (self.records)().iter().map(|record| (employee(record), opens(record))).collect()
    }

    /// Everything, to compare.
    pub(crate) fn whole(&self) -> BTreeMap<String, Cardholder> {
        let plain = |record: Cardholder| Cardholder { revision: None, ..record };
        (self.records)().into_iter().map(|record| (record.id.to_string(), plain(record))).collect()
    }

    /// The server that speaks SCIM tells the test no names; there, a second plan with nothing to do is the proof.
    #[track_caller]
    pub(crate) fn is_called(&self, who: &str, name: &str) {
        if self.kind == "scim" {
            return;
        }
        let record = (self.records)().into_iter().find(|record| employee(record) == who).expect("a record");
        let names = [field::FAMILY_NAME, field::DISPLAY_NAME].map(|name| record.profile.get(name).unwrap_or_default());
        let called = names.concat();
        assert!(called.contains(name), "on {}, {who} is called {called:?}", self.kind);
    }

    #[track_caller]
    pub(crate) fn is_there_once(&self) {
        let mut seen = BTreeSet::new();
        let twice: Vec<String> =
            (self.records)().iter().map(employee).filter(|number| !seen.insert(number.clone())).collect();
        assert!(twice.is_empty(), "on {}, these are there twice: {twice:?}", self.kind);
    }
}

fn employee(record: &Cardholder) -> String {
    record.keys.of(KeyKind::Employee).next().map_or_else(String::new, |key| key.value().to_owned())
}

const NAMES: &str = "given_name = \"{given_name}\"\nfamily_name = \"{family_name}\"\nmail = \"{mail}\"\n";
const NAMES_FOR_SCIM: &str = "given_name = \"{given_name}\"\nfamily_name = \"{family_name}\"\nmail = \"{mail}\"\nuser_name = \"{mail}\"\n\
     employee_number = \"{employee_number}\"\n";

const NAMES_FOR_SIM: &str = "display_name = \"{given_name} {family_name}\"\nfamily_name = \"{family_name}\"\n";

/// Every target, with these records. They end with the runtime.
pub(crate) async fn all(seed: &Seed) -> Vec<Place> {
    vec![
        vendor("gallagher", lockstep_gallagher::simulator::Simulator::new, seed).await,
        vendor("netbox", lockstep_netbox::simulator::Simulator::new, seed).await,
        onguard(seed).await,
        scim(seed),
        sim(seed),
    ]
}

async fn vendor<V: Vendor>(kind: &'static str, make: fn(&Seed) -> V, seed: &Seed) -> Place {
    let server = Arc::new(Server::start(make(seed)).await.expect("a port"));
    place_of(kind, server, seed)
}

async fn onguard(seed: &Seed) -> Place {
    use lockstep_onguard::simulator::Simulator;
    let server = Arc::new(Server::start(Simulator::new(seed)).await.expect("a port"));
    let own = Arc::clone(&server);
    let office = move |people: &[String]| {
        let vendor = own.vendor();
        let records = vendor.cardholders().into_iter().filter_map(|id| vendor.record(&id));
        for (nth, record) in records.filter(|record| people.contains(&employee(record))).enumerate() {
            if record.credentials.is_empty() {
                vendor.issue_badge(&record.id, 900_000 + i64::try_from(nth).expect("few"));
            }
            record.credentials.iter().for_each(|badge| vendor.set_badge_status(&badge.id, "Active"));
        }
    };
    Place { badge_office: Some(Box::new(office)), ..place_of("onguard", server, seed) }
}

fn place_of<V: Vendor>(kind: &'static str, server: Arc<Server<V>>, seed: &Seed) -> Place {
    server.watch(Box::new(|_, _, _| {}));
    let (settings, secrets, levels) =
        (server.vendor().everyday(server.root()), server.vendor().secrets(), server.vendor().levels());
    let records = move || {
        let vendor = server.vendor();
        vendor.cardholders().iter().filter_map(|id| vendor.record(id)).collect()
    };
    let (seed, records) = (seed.clone(), Box::new(records));
    Place { kind, settings, secrets, levels, profile: NAMES, badge_office: None, seed, records }
}

fn level_id(nth: usize) -> AccessLevelId {
    AccessLevelId::new(format!("L{nth}")).expect("an id")
}

fn sim(seed: &Seed) -> Place {
    let mut world = World::new("rehearsal");
    for (nth, level) in seed.levels.iter().enumerate() {
        let level = AccessLevel { name: level.name.clone(), doors: level.doors.clone(), site: None };
        world = world.with_level(level_id(nth), level);
    }
    for (nth, person) in seed.cardholders.iter().enumerate() {
        world.insert(record(nth, person));
    }
    let file = std::env::temp_dir().join(format!("lockstep-targets-{}.json", std::process::id()));
    std::fs::write(&file, serde_json::to_string(&world).expect("JSON")).expect("written");
    let settings = format!("file = {}\n", json!(file));
    let levels = (0..seed.levels.len()).map(level_id).collect();
    let records = Gone(file).records();
    let (secrets, seed) = (Vec::new(), seed.clone());
    Place { kind: "sim", settings, secrets, levels, profile: NAMES_FOR_SIM, badge_office: None, seed, records }
}

/// A file that is gone when this is.
struct Gone(PathBuf);

impl Gone {
    fn records(self) -> Box<dyn Fn() -> Vec<Cardholder>> {
        Box::new(move || {
            let world: World = serde_json::from_slice(&std::fs::read(&self.0).expect("the file")).expect("JSON");
            world.cardholders.into_values().collect()
        })
    }
}

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn record(nth: usize, person: &SeedCardholder) -> Cardholder {
    let card = |(n, number): (usize, &String)| Credential {
        id: CredentialId::new(format!("C{nth}-{n}")).expect("an id"),
        kind: CredentialKind::Card,
        number: Some(number.clone()),
        status: CredentialStatus::Active,
    };
    Cardholder {
        id: CardholderId::new(format!("C{nth}")).expect("an id"),
        keys: person.keys.clone(),
        profile: person.profile.clone(),
        status: person.status.clone(),
        levels: person.levels.iter().map(|nth| level_id(*nth)).collect(),
        credentials: person.cards.iter().enumerate().map(card).collect(),
        validity: person.validity,
        site: None,
        revision: None,
    }
}

fn user(person: &SeedCardholder) -> Value {
    let of = |name| person.profile.get(name).unwrap_or_default();
    json!({
        "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        ],
        "userName": of(field::MAIL),
        "name": {"givenName": of(field::GIVEN_NAME), "familyName": of(field::FAMILY_NAME)},
        "emails": [{"value": of(field::MAIL), "type": "work", "primary": true}],
        "active": person.status == Status::Active,
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"employeeNumber": of(field::EMPLOYEE_NUMBER)},
    })
}

fn scim(seed: &Seed) -> Place {
    let server = Scripted::start().expect("a port");
    let ids: Vec<String> = seed.cardholders.iter().map(|person| server.add_user(user(person))).collect();
    let members = |level: usize| -> Vec<String> {
        let has = seed.cardholders.iter().zip(&ids).filter(|(person, _)| person.levels.contains(&level));
        has.map(|(_, id)| id.clone()).collect()
    };
    let group = |(nth, level): (usize, &lockstep_conformance::SeedLevel)| {
        AccessLevelId::new(server.add_group(&level.name, &members(nth))).expect("an id")
    };
    let levels: Vec<AccessLevelId> = seed.levels.iter().enumerate().map(group).collect();
    let settings = format!("url = \"{}\"\ntoken = \"env:SCIM_TOKEN\"\n", server.url());
    let secrets = vec![("SCIM_TOKEN", "rehearsal".to_owned())];
    let (named, by_name) = (seed.clone(), levels.clone());
    let records = move || scim_records(&server, &named, &by_name);
    let (seed, records) = (seed.clone(), Box::new(records));
    Place { kind: "scim", settings, secrets, levels, profile: NAMES_FOR_SCIM, badge_office: None, seed, records }
}

/// What the server of the testbed tells of its users: who is active, and in which groups.
fn scim_records(server: &Scripted, seed: &Seed, levels: &[AccessLevelId]) -> Vec<Cardholder> {
    let names: BTreeMap<&str, &AccessLevelId> =
        seed.levels.iter().zip(levels).map(|(level, id)| (level.name.as_str(), id)).collect();
    let people = lockstep_simulator::world(seed.cardholders.len() + 100).cardholders;
    let by_mail: BTreeMap<&str, &SeedCardholder> =
        people.iter().filter_map(|person| Some((person.profile.get(field::MAIL)?, person))).collect();
    let all = server.access();
    let some = all.iter().filter_map(|(name, (active, groups))| {
        let person = by_mail.get(name.as_str())?;
        let mut record = record(0, person);
        record.id = CardholderId::new(name.clone()).ok()?;
        record.status = if *active { Status::Active } else { Status::Suspended };
        record.levels = groups.iter().filter_map(|group| names.get(group.as_str()).copied().cloned()).collect();
        Some(record)
    });
    some.collect()
}
