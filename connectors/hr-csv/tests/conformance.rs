//! HR feeds, as CSV and as LDIF, under the suite that every connector must pass.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use async_trait::async_trait;
use lockstep_conformance::{DirectoryBed, DirectoryRig, DirectorySeed, DirectoryTrouble};
use lockstep_contract::{
    Directory, DirectoryId, GroupId, Opening, PersonId, Secret, SecretError, SecretRef, Secrets, field,
};
use lockstep_hr_csv::{Config, Files, Format, HrFeed, open};

fn main() -> ExitCode {
    let csv = lockstep_conformance::directory("hr-csv", Bed(Format::Csv));
    csv.and(lockstep_conformance::directory("hr-ldif", Bed(Format::Ldif))).run()
}

struct NoSecrets;

impl Secrets for NoSecrets {
    fn get(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        Err(SecretError { reference: reference.clone(), message: "there are none".into() })
    }
}

struct Bed(Format);

struct Rig {
    feed: HrFeed,
    folder: tempfile::TempDir,
    format: Format,
    seed: DirectorySeed,
    people: Vec<PersonId>,
    groups: Vec<GroupId>,
}

const FIELDS: [&str; 9] = [
    field::EMPLOYEE_NUMBER,
    field::GIVEN_NAME,
    field::FAMILY_NAME,
    field::DISPLAY_NAME,
    field::DEPARTMENT,
    field::TITLE,
    field::MAIL,
    field::UPN,
    field::ACCOUNT,
];

const ATTRIBUTES: [&str; 9] = [
    "employeeNumber",
    "givenName",
    "sn",
    "displayName",
    "departmentNumber",
    "title",
    "mail",
    "userPrincipalName",
    "uid",
];

fn id(nth: usize) -> String {
    format!("P-{nth:04}")
}

fn csv_people(seed: &DirectorySeed) -> String {
    let mut text = format!("id,status,{}\r\n", FIELDS.join(","));
    for (nth, person) in seed.people.iter().enumerate() {
        let cells: Vec<&str> = FIELDS.iter().map(|name| person.profile.get(name).unwrap_or_default()).collect();
        let status = if person.active { "active" } else { "ended" };
        let _ = write!(text, "{},{status},\"{}\"\r\n", id(nth), cells.join("\",\""));
    }
    text
}

fn csv_groups(seed: &DirectorySeed, without: Option<usize>) -> String {
    let mut text = "group,member\n".to_owned();
    for (_, group) in seed.groups.iter().enumerate().filter(|(nth, _)| Some(*nth) != without) {
        let _ = writeln!(text, "{},", group.name);
        for person in &group.people {
            let _ = writeln!(text, "{},{}", group.name, id(*person));
        }
        for nested in &group.groups {
            let _ = writeln!(text, "{},group:{}", group.name, seed.groups[*nested].name);
        }
    }
    text
}

fn ldif(seed: &DirectorySeed, without: Option<usize>) -> String {
    let mut text = "version: 1\n\n".to_owned();
    for (nth, person) in seed.people.iter().enumerate() {
        let status = if person.active { "active" } else { "ended" };
        let _ = write!(text, "dn: cn={},ou=People,o=x\nobjectClass: inetOrgPerson\nid: {}\n", id(nth), id(nth));
        let _ = writeln!(text, "employeeStatus: {status}");
        for (name, attribute) in FIELDS.iter().zip(ATTRIBUTES) {
            let _ = writeln!(text, "{attribute}: {}", person.profile.get(name).unwrap_or_default());
        }
        text.push('\n');
    }
    for (_, group) in seed.groups.iter().enumerate().filter(|(nth, _)| Some(*nth) != without) {
        let _ = write!(text, "dn: cn={0},ou=Groups,o=x\nobjectClass: groupOfNames\ncn: {0}\n", group.name);
        for person in &group.people {
            let _ = writeln!(text, "member: CN={},\n  ou=People, o=x", id(*person));
        }
        for nested in &group.groups {
            let _ = writeln!(text, "member: cn={},ou=Groups,o=x", seed.groups[*nested].name);
        }
        text.push('\n');
    }
    text
}

impl Rig {
    fn people_file(&self) -> PathBuf {
        self.folder.path().join(if self.format == Format::Csv { "people.csv" } else { "people.ldif" })
    }

    fn write(&self, without: Option<usize>) -> Result<(), String> {
        let people = match self.format {
            Format::Csv => csv_people(&self.seed),
            Format::Ldif => ldif(&self.seed, without),
        };
        std::fs::write(self.people_file(), people).map_err(|error| error.to_string())?;
        let groups = csv_groups(&self.seed, without);
        std::fs::write(self.folder.path().join("groups.csv"), groups).map_err(|error| error.to_string())
    }
}

#[async_trait]
impl DirectoryBed for Bed {
    fn name(&self) -> &'static str {
        "hr-csv"
    }

    async fn fresh(&self, seed: &DirectorySeed) -> Result<Box<dyn DirectoryRig>, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let csv = self.0 == Format::Csv;
        let config = Config {
            people: Files::One(if csv { "people.csv" } else { "people.ldif" }.into()),
            groups: csv.then(|| "groups.csv".into()),
            page_size: 10.try_into().expect("not zero"),
            // A cut inside a row or an entry shows by itself; one between two of them only by the count.
            expected_rows: Some(seed.people.len() as u64),
            ..settings()
        };
        let opening = Opening { base: folder.path(), secrets: &NoSecrets };
        let feed = open(DirectoryId::new("hr").expect("id"), config, &opening).map_err(|fault| fault.to_string())?;
        let rig = Rig {
            feed,
            folder,
            format: self.0,
            seed: seed.clone(),
            people: (0..seed.people.len()).map(|nth| PersonId::new(id(nth)).expect("id")).collect(),
            groups: seed.groups.iter().map(|group| GroupId::new(&group.name).expect("id")).collect(),
        };
        rig.write(None)?;
        Ok(Box::new(rig))
    }

    fn cannot(&self, trouble: DirectoryTrouble) -> Option<String> {
        match trouble {
            DirectoryTrouble::GroupDenied => Some("a file is readable whole or not at all".to_owned()),
            DirectoryTrouble::Deny => Some("rights on files do not bind the user that tests may run as".to_owned()),
            DirectoryTrouble::Hang => Some("reading a file does not wait for anybody".to_owned()),
            DirectoryTrouble::CutPeople
            | DirectoryTrouble::GroupHidden
            | DirectoryTrouble::EverythingHidden
            | DirectoryTrouble::Down => None,
        }
    }

    fn one_at_a_time(&self) -> bool {
        false
    }
}

fn settings() -> Config {
    Config {
        people: Files::Many(Vec::new()),
        groups: None,
        format: None,
        delimiter: lockstep_hr_csv::Delimiter::Auto,
        encoding: lockstep_hr_csv::Encoding::Utf8,
        columns: std::collections::BTreeMap::new(),
        status: lockstep_hr_csv::StatusWords::default(),
        listed_means_active: false,
        date_formats: vec!["%Y-%m-%d".to_owned()],
        time_zone: None,
        cut_over: None,
        day_begins: None,
        sites: std::collections::BTreeMap::new(),
        authoritative: true,
        members_by: lockstep_hr_csv::MembersBy::Id,
        empty_groups: Vec::new(),
        expected_rows: None,
        min_rows: None,
        trailer: None,
        unterminated: lockstep_hr_csv::Unterminated::Refuse,
        max_age_hours: None,
        page_size: 500.try_into().expect("not zero"),
    }
}

#[async_trait]
impl DirectoryRig for Rig {
    fn directory(&self) -> &dyn Directory {
        &self.feed
    }

    fn people(&self) -> &[PersonId] {
        &self.people
    }

    fn groups(&self) -> &[GroupId] {
        &self.groups
    }

    async fn trouble(&self, trouble: DirectoryTrouble) -> Result<(), String> {
        let said = |result: std::io::Result<()>| result.map_err(|error| error.to_string());
        let whole = std::fs::read(self.people_file()).map_err(|error| error.to_string())?;
        match trouble {
            DirectoryTrouble::CutPeople => said(std::fs::write(self.people_file(), &whole[..whole.len() / 3])),
            DirectoryTrouble::GroupHidden => self.write(Some(DirectorySeed::PLAIN)),
            DirectoryTrouble::EverythingHidden => {
                let header = whole.split(|byte| *byte == b'\n').next().unwrap_or_default();
                said(std::fs::write(self.people_file(), header))
            }
            DirectoryTrouble::Down => said(std::fs::remove_file(self.people_file())),
            DirectoryTrouble::GroupDenied | DirectoryTrouble::Deny | DirectoryTrouble::Hang => {
                Err(format!("not supported: {trouble}"))
            }
        }
    }

    async fn heal(&self) {
        let _ = self.write(None);
    }
}
