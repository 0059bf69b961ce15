//! A bed on a real OpenLDAP.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use lockstep_conformance::{DirectoryBed, DirectoryRig, DirectorySeed, DirectoryTrouble};
use lockstep_contract::{Directory, GroupId, PersonId, field};
use lockstep_ldap::Ldap;
use lockstep_testbed::ldif::Ldif;
use lockstep_testbed::proxy::{Behaviour, Proxy};
use lockstep_testbed::slapd::{BASE, SERVICE, SERVICE_PASSWORD, Slapd, SlapdOptions, group_name, unit};
use serde_json::json;

use crate::common;

const ATTRIBUTES: [(&str, &str); 8] = [
    (field::GIVEN_NAME, "givenName"),
    (field::FAMILY_NAME, "sn"),
    (field::DISPLAY_NAME, "displayName"),
    (field::EMPLOYEE_NUMBER, "employeeNumber"),
    (field::DEPARTMENT, "departmentNumber"),
    (field::TITLE, "title"),
    (field::MAIL, "mail"),
    (field::ACCOUNT, "uid"),
];

pub(crate) struct Bed;

pub(crate) fn is_installed() -> bool {
    Slapd::is_installed()
}

struct Rig {
    directory: Ldap,
    people: Vec<PersonId>,
    groups: Vec<GroupId>,
    server: Mutex<Slapd>,
    proxy: Proxy,
}

fn person_name(number: usize) -> String {
    format!("uid=person{number},ou=people,{BASE}")
}

fn records(seed: &DirectorySeed) -> Ldif {
    let mut records = Ldif::new();
    unit(&mut records, "people");
    unit(&mut records, "groups");
    for (number, person) in seed.people.iter().enumerate() {
        let mut attributes = vec![("objectClass", "inetOrgPerson"), ("objectClass", "shadowAccount")];
        let name = person.profile.get(field::DISPLAY_NAME).unwrap_or_default();
        attributes.push(("cn", name));
        for (field, attribute) in ATTRIBUTES {
            attributes.extend(person.profile.get(field).map(|value| (attribute, value)));
        }
        if !person.active {
            attributes.push(("shadowExpire", "1"));
        }
        records.entry(&person_name(number), &attributes);
    }
    for group in &seed.groups {
        let members = group.people.iter().map(|n| person_name(*n));
        let members: Vec<String> =
            members.chain(group.groups.iter().map(|n| group_name(&seed.groups[*n].name))).collect();
        lockstep_testbed::slapd::group(&mut records, &group.name, &members);
    }
    records
}

#[async_trait]
impl DirectoryBed for Bed {
    fn name(&self) -> &'static str {
        "ldap against OpenLDAP"
    }

    async fn fresh(&self, seed: &DirectorySeed) -> Result<Box<dyn DirectoryRig>, String> {
        let options = SlapdOptions { records: records(seed), ..SlapdOptions::default() };
        let server = Slapd::start(options)?.ok_or("OpenLDAP is not installed")?;
        let proxy = Proxy::start(server.tls_address())?;
        let url = format!("ldaps://localhost:{}", proxy.address().port());
        let mut settings = common::config(&url, server.ca_file(), SERVICE, BASE);
        let canary = person_name(seed.people.len() - 1);
        common::merge(&mut settings, json!({ "page_size": 10, "canary": canary }));
        let directory = common::open(settings, SERVICE_PASSWORD).map_err(|fault| fault.to_string())?;
        // What is asked once about a server is asked now, so that requests can be counted later.
        directory.probe(&common::cx()).await.map_err(|fault| fault.to_string())?;
        let ids = server.entry_uuids(&format!("ou=people,{BASE}"))?;
        let people = common::ids_in_order(seed.people.len(), |n| ids.get(&format!("person{n}")))?;
        let groups = seed.groups.iter().map(|group| GroupId::new(group.name.clone()).map_err(|e| e.to_string()));
        let groups = groups.collect::<Result<_, _>>()?;
        Ok(Box::new(Rig { directory, people, groups, server: Mutex::new(server), proxy }))
    }

    fn cannot(&self, _: DirectoryTrouble) -> Option<String> {
        None
    }
}

impl Rig {
    fn restart(&self, access: String) -> Result<(), String> {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.restart(|options| options.access = access)
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
        let plain = self.groups[DirectorySeed::PLAIN].as_str();
        match trouble {
            // Of a connection: handshake, log-in, canary, first page, second page.
            DirectoryTrouble::CutPeople => self.proxy.behave(Behaviour::Cut { request: 5, bytes: 60 }),
            DirectoryTrouble::Hang => self.proxy.behave(Behaviour::Hang),
            DirectoryTrouble::Down => self.proxy.behave(Behaviour::Refuse),
            DirectoryTrouble::GroupDenied => {
                self.restart(format!("access to dn.exact=\"{}\" attrs=member by * none\n", group_name(plain)))?;
            }
            DirectoryTrouble::GroupHidden => {
                self.restart(format!("access to dn.exact=\"{}\" attrs=member by * search\n", group_name(plain)))?;
            }
            DirectoryTrouble::EverythingHidden => {
                self.restart(format!("access to dn.children=\"{BASE}\" by anonymous auth by * none\n"))?;
            }
            DirectoryTrouble::Deny => self.restart("access to * by anonymous auth by * none\n".to_owned())?,
        }
        Ok(())
    }

    async fn heal(&self) {
        self.proxy.behave(Behaviour::Forward);
    }

    fn secrets(&self) -> Vec<String> {
        vec![SERVICE_PASSWORD.to_owned()]
    }
}
