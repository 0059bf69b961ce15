//! A bed on a real Active Directory domain controller (Samba).

use std::fmt::Write;

use async_trait::async_trait;
use lockstep_conformance::{DirectoryBed, DirectoryRig, DirectorySeed, DirectoryTrouble};
use lockstep_contract::{Directory, GroupId, PersonId, field};
use lockstep_ldap::Ldap;
use lockstep_testbed::certificates::CertificateKind;
use lockstep_testbed::proxy::{Behaviour, Proxy};
use lockstep_testbed::samba::{BASE, SERVICE, SERVICE_PASSWORD, SambaAd};
use serde_json::json;

use crate::common;

const ATTRIBUTES: [(&str, &str); 11] = [
    (field::GIVEN_NAME, "givenName"),
    (field::FAMILY_NAME, "sn"),
    (field::DISPLAY_NAME, "displayName"),
    (field::EMPLOYEE_NUMBER, "employeeID"),
    (field::EMPLOYEE_TYPE, "employeeType"),
    (field::DEPARTMENT, "department"),
    (field::TITLE, "title"),
    (field::COMPANY, "company"),
    (field::MAIL, "mail"),
    (field::UPN, "userPrincipalName"),
    (field::ACCOUNT, "sAMAccountName"),
];

pub(crate) struct Bed;

pub(crate) fn is_installed() -> bool {
    SambaAd::is_installed()
}

struct Rig {
    directory: Ldap,
    people: Vec<PersonId>,
    groups: Vec<GroupId>,
    server: SambaAd,
    proxy: Proxy,
}

fn person_name(number: usize) -> String {
    format!("CN=Person {number},OU=Staff,{BASE}")
}

fn group_name(name: &str) -> String {
    format!("CN={name},OU=Access,{BASE}")
}

fn changes(seed: &DirectorySeed) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for unit in ["Staff", "Access"] {
        write!(text, "dn: OU={unit},{BASE}\nchangetype: add\nobjectClass: organizationalUnit\n\n")?;
    }
    for (number, person) in seed.people.iter().enumerate() {
        let control = if person.active { 544 } else { 546 };
        write!(
            text,
            "dn: {}\nchangetype: add\nobjectClass: user\nuserAccountControl: {control}\n",
            person_name(number)
        )?;
        for (field, attribute) in ATTRIBUTES {
            if let Some(value) = person.profile.get(field) {
                writeln!(text, "{attribute}: {value}")?;
            }
        }
        text.push('\n');
    }
    for group in &seed.groups {
        let name = &group.name;
        write!(text, "dn: {}\nchangetype: add\nobjectClass: group\nsAMAccountName: {name}\n\n", group_name(name))?;
    }
    // A member must be there before it is named.
    for group in seed.groups.iter().filter(|group| group.people.len() + group.groups.len() > 0) {
        write!(text, "dn: {}\nchangetype: modify\nadd: member\n", group_name(&group.name))?;
        let members = group.people.iter().map(|n| person_name(*n));
        for member in members.chain(group.groups.iter().map(|n| group_name(&seed.groups[*n].name))) {
            writeln!(text, "member: {member}")?;
        }
        text.push_str("-\n\n");
    }
    Ok(text)
}

#[async_trait]
impl DirectoryBed for Bed {
    fn name(&self) -> &'static str {
        "ldap against Samba"
    }

    async fn fresh(&self, seed: &DirectorySeed) -> Result<Box<dyn DirectoryRig>, String> {
        let changes = changes(seed).map_err(|error| error.to_string())?;
        let server = SambaAd::start(&changes, CertificateKind::Right)?.ok_or("Samba is not installed")?;
        let proxy = Proxy::start(server.address())?;
        let mut settings = common::config(&server.url(), server.ca_file(), SERVICE, BASE);
        let (connect_to, canary) = (proxy.address().to_string(), person_name(seed.people.len() - 1));
        common::merge(&mut settings, json!({ "connect_to": connect_to, "page_size": 10, "canary": canary }));
        let directory = common::open(settings, SERVICE_PASSWORD).map_err(|fault| fault.to_string())?;
        directory.probe(&common::cx()).await.map_err(|fault| fault.to_string())?;
        let ids = server.guids(&format!("OU=Staff,{BASE}"), "(objectClass=user)")?;
        let people = common::ids_in_order(seed.people.len(), |n| ids.get(&format!("Person {n}")))?;
        let groups = seed.groups.iter().map(|group| GroupId::new(group.name.clone()).map_err(|e| e.to_string()));
        let groups = groups.collect::<Result<_, _>>()?;
        Ok(Box::new(Rig { directory, people, groups, server, proxy }))
    }

    fn cannot(&self, trouble: DirectoryTrouble) -> Option<String> {
        match trouble {
            DirectoryTrouble::GroupDenied => Some(
                "Active Directory never says that it hides an attribute; see the law about hidden groups".to_owned(),
            ),
            DirectoryTrouble::CutPeople
            | DirectoryTrouble::GroupHidden
            | DirectoryTrouble::EverythingHidden
            | DirectoryTrouble::Deny
            | DirectoryTrouble::Hang
            | DirectoryTrouble::Down => None,
        }
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
        let plain = group_name(self.groups[DirectorySeed::PLAIN].as_str());
        match trouble {
            DirectoryTrouble::CutPeople => self.proxy.behave(Behaviour::Cut { request: 5, bytes: 60 }),
            DirectoryTrouble::Hang => self.proxy.behave(Behaviour::Hang),
            DirectoryTrouble::Down => self.proxy.behave(Behaviour::Refuse),
            DirectoryTrouble::GroupHidden => {
                self.server.add_right(&plain, "(OD;;RP;bf9679c0-0de6-11d0-a285-00aa003049e2;;AU)")?;
            }
            DirectoryTrouble::EverythingHidden => {
                for unit in ["Staff", "Access"] {
                    self.server.add_right(&format!("OU={unit},{BASE}"), "(D;CI;RPLCLO;;;AU)")?;
                }
            }
            DirectoryTrouble::Deny => {
                let account = format!("CN=svc-lockstep,CN=Users,{BASE}");
                let control = "changetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n-\n\n";
                self.server.modify(&format!("dn: {account}\n{control}"))?;
                // Connections that are logged in stay so; new ones are refused.
                self.proxy.behave(Behaviour::Forward);
            }
            DirectoryTrouble::GroupDenied => return Err("Active Directory never says so".to_owned()),
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
