//! The laws of the contract, examined on the simulator.

#[path = "../simulator/mod.rs"]
mod simulator;

use std::process::ExitCode;

use async_trait::async_trait;
use lockstep_conformance::{DirectoryBed, DirectoryRig, DirectorySeed, DirectoryTrouble};
use lockstep_contract::{Directory, GroupId, PersonId, field};
use lockstep_entra::Entra;
use serde_json::{Map, Value, json};
use simulator::{SECRET, SIGNATURE, Simulator, Tenant, Trouble, What};
use uuid::Uuid;

const PROPERTIES: [(&str, &str); 9] = [
    (field::GIVEN_NAME, "givenName"),
    (field::FAMILY_NAME, "surname"),
    (field::DISPLAY_NAME, "displayName"),
    (field::EMPLOYEE_NUMBER, "employeeId"),
    (field::DEPARTMENT, "department"),
    (field::TITLE, "jobTitle"),
    (field::MAIL, "mail"),
    (field::UPN, "userPrincipalName"),
    (field::ACCOUNT, "onPremisesSamAccountName"),
];

struct Bed {
    name: &'static str,
    by_id: bool,
    opaque: bool,
}

struct Rig {
    simulator: Simulator,
    directory: Entra,
    people: Vec<PersonId>,
    groups: Vec<GroupId>,
}

fn user_id(n: usize) -> Uuid {
    Uuid::from_u128(0xe000_0000_0000_4000_8000_0000_0000_0000 + n as u128)
}

fn group_id(n: usize) -> Uuid {
    Uuid::from_u128(0x9000_0000_0000_4000_8000_0000_0000_0000 + n as u128)
}

fn tenant(seed: &DirectorySeed) -> Tenant {
    let mut tenant = Tenant::new();
    for (n, person) in seed.people.iter().enumerate() {
        let mut properties = Map::new();
        for (field, property) in PROPERTIES {
            properties.extend(person.profile.get(field).map(|value| (property.to_owned(), json!(value))));
        }
        properties.insert("accountEnabled".to_owned(), json!(person.active));
        tenant.add_user(user_id(n), Value::Object(properties));
    }
    for (n, group) in seed.groups.iter().enumerate() {
        let people = group.people.iter().map(|n| user_id(*n));
        let members: Vec<Uuid> = people.chain(group.groups.iter().map(|n| group_id(*n))).collect();
        tenant.add_group(group_id(n), &group.name, &members);
    }
    tenant
}

#[async_trait]
impl DirectoryBed for Bed {
    fn name(&self) -> &str {
        self.name
    }

    async fn fresh(&self, seed: &DirectorySeed) -> Result<Box<dyn DirectoryRig>, String> {
        let simulator = Simulator::start(tenant(seed)).await;
        simulator.login().opaque = self.opaque;
        let canary = user_id(seed.people.len() - 1);
        let directory = simulator::opened::open(&simulator, &json!({"page_size": 10, "canary": canary.to_string()}));
        let people = (0..seed.people.len()).map(|n| PersonId::from_uuid(user_id(n))).collect();
        let name = |n: usize| if self.by_id { group_id(n).to_string() } else { seed.groups[n].name.clone() };
        let groups = (0..seed.groups.len()).map(|n| GroupId::new(name(n)).map_err(|error| error.to_string()));
        let groups = groups.collect::<Result<_, _>>()?;
        Ok(Box::new(Rig { simulator, directory, people, groups }))
    }

    fn cannot(&self, _: DirectoryTrouble) -> Option<String> {
        None
    }

    fn one_at_a_time(&self) -> bool {
        false
    }
}

#[async_trait]
impl DirectoryRig for Rig {
    fn directory(&self) -> &dyn Directory {
        &self.directory
    }

    fn people(&self) -> &[PersonId] {
        &self.people
    }

    fn groups(&self) -> &[GroupId] {
        &self.groups
    }

    async fn trouble(&self, trouble: DirectoryTrouble) -> Result<(), String> {
        let plain = group_id(DirectorySeed::PLAIN);
        match trouble {
            DirectoryTrouble::CutPeople => {
                let second = Trouble { skip: 1, ..Trouble::always("/users?", What::Cut) };
                self.simulator.trouble(Some(second));
            }
            DirectoryTrouble::GroupDenied => {
                self.simulator.tenant().denied.insert(plain);
            }
            DirectoryTrouble::GroupHidden => {
                self.simulator.tenant().set_group(plain, "visibility", json!("HiddenMembership"));
            }
            DirectoryTrouble::EverythingHidden => self.simulator.tenant().blind = true,
            DirectoryTrouble::Deny => self.simulator.trouble(Some(Trouble::always("", What::Echo(403)))),
            DirectoryTrouble::Hang => self.simulator.trouble(Some(Trouble::always("", What::Silence))),
            DirectoryTrouble::Down => self.simulator.stop().await,
        }
        Ok(())
    }

    async fn heal(&self) {
        self.simulator.trouble(None);
        self.simulator.listen_again().await;
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned(), SIGNATURE.to_owned()]
    }
}

fn main() -> ExitCode {
    let bed = |name, by_id, opaque| lockstep_conformance::directory(name, Bed { name, by_id, opaque });
    bed("simulator", true, false)
        .and(bed("simulator-by-name", false, false))
        .and(bed("simulator-with-tokens-that-cannot-be-read", true, true))
        .run()
}
