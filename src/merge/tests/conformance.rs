//! Two directories as one, under the suite that every directory must pass: a feed that says who exists, and another over
//! it that ends people and has groups.

mod site;

use std::fmt::Write as _;
use std::process::ExitCode;

use async_trait::async_trait;
use lockstep_conformance::{DirectoryBed, DirectoryRig, DirectorySeed, DirectoryTrouble};
use lockstep_contract::{Directory, GroupId, PersonId, field};
use lockstep_merge::{Anchor, Merged, Missing};

fn main() -> ExitCode {
    let by_id = lockstep_conformance::directory("merged-by-id", Bed(Anchor::Directory { field: None }));
    by_id.and(lockstep_conformance::directory("merged-by-number", Bed(Anchor::Employee))).run()
}

struct Bed(Anchor);

struct Rig {
    merged: Merged,
    folder: tempfile::TempDir,
    seed: DirectorySeed,
    theirs: fn(usize) -> String,
    people: Vec<PersonId>,
    groups: Vec<GroupId>,
}

/// The groups that the overlay has; the others are the authority's.
const THEIRS: [usize; 3] = [DirectorySeed::PLAIN, DirectorySeed::OUTER, DirectorySeed::OUTERMOST];
const FIELDS: [&str; 5] = [field::EMPLOYEE_NUMBER, field::DISPLAY_NAME, field::MAIL, field::UPN, field::ACCOUNT];

fn ours(nth: usize) -> String {
    format!("A-{nth:04}")
}

fn other(nth: usize) -> String {
    format!("H-{nth:04}")
}

#[async_trait]
impl DirectoryBed for Bed {
    fn name(&self) -> &'static str {
        "merged"
    }

    async fn fresh(&self, seed: &DirectorySeed) -> Result<Box<dyn DirectoryRig>, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let corp = r#"{"people":"corp.csv","groups":"corp-groups.csv","expected_rows":25,"page_size":7}"#;
        let hr = r#"{"people":"hr.csv","groups":"hr-groups.csv","expected_rows":25,"page_size":4}"#;
        let merged = site::merged(folder.path(), self.0.clone(), Missing::Undecided, (corp, hr));
        let people = (0..seed.people.len()).map(|nth| PersonId::new(ours(nth)).expect("id")).collect();
        let named = |(nth, group): (usize, &lockstep_conformance::SeedGroup)| {
            let prefix = if THEIRS.contains(&nth) { "hr/" } else { "" };
            GroupId::new(format!("{prefix}{}", group.name)).expect("group")
        };
        let groups = seed.groups.iter().enumerate().map(named).collect();
        let theirs = if self.0 == Anchor::Employee { other } else { ours };
        let rig = Rig { merged, folder, seed: seed.clone(), theirs, people, groups };
        rig.write(None)?;
        Ok(Box::new(rig))
    }

    fn cannot(&self, trouble: DirectoryTrouble) -> Option<String> {
        match trouble {
            DirectoryTrouble::GroupDenied => Some("a file is readable whole or not at all".into()),
            DirectoryTrouble::Deny => Some("rights on files do not bind the user that tests may run as".into()),
            DirectoryTrouble::Hang => Some("reading a file does not wait for anybody".into()),
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

impl Rig {
    fn save(&self, file: &str, text: &str) -> Result<(), String> {
        std::fs::write(self.folder.path().join(file), text).map_err(|error| error.to_string())
    }

    /// All files; without the members of one group.
    fn write(&self, without: Option<usize>) -> Result<(), String> {
        let mut corp = format!("id,status,{}\n", FIELDS.join(","));
        let mut hr = "id,status,employee_number,department\n".to_owned();
        for (nth, person) in self.seed.people.iter().enumerate() {
            let get = |name: &str| person.profile.get(name).unwrap_or_default();
            let cells = FIELDS.map(get).join("\",\"");
            let _ = writeln!(corp, "{},active,\"{cells}\"", ours(nth));
            // Only the overlay knows who has ended.
            let status = if person.active { "active" } else { "ended" };
            let (number, department) = (get(field::EMPLOYEE_NUMBER), get(field::DEPARTMENT));
            let _ = writeln!(hr, "{},{status},{number},\"{department}\"", (self.theirs)(nth));
        }
        let (mut at_corp, mut at_hr) = ("group,member\n".to_owned(), "group,member\n".to_owned());
        for (nth, group) in self.seed.groups.iter().enumerate().filter(|(nth, _)| Some(*nth) != without) {
            let (file, person): (_, fn(usize) -> String) =
                if THEIRS.contains(&nth) { (&mut at_hr, self.theirs) } else { (&mut at_corp, ours) };
            let _ = writeln!(file, "{},", group.name);
            for one in &group.people {
                let _ = writeln!(file, "{},{}", group.name, person(*one));
            }
            for nested in &group.groups {
                let _ = writeln!(file, "{},group:{}", group.name, self.seed.groups[*nested].name);
            }
        }
        self.save("corp.csv", &corp)?;
        self.save("hr.csv", &hr)?;
        self.save("corp-groups.csv", &at_corp)?;
        self.save("hr-groups.csv", &at_hr)
    }
}

#[async_trait]
impl DirectoryRig for Rig {
    fn directory(&self) -> &dyn Directory {
        &self.merged
    }

    fn people(&self) -> &[PersonId] {
        &self.people
    }

    fn groups(&self) -> &[GroupId] {
        &self.groups
    }

    async fn trouble(&self, trouble: DirectoryTrouble) -> Result<(), String> {
        match trouble {
            DirectoryTrouble::CutPeople => self.save("corp.csv", "id,status\nA-0000,act"),
            DirectoryTrouble::GroupHidden => self.write(Some(DirectorySeed::PLAIN)),
            DirectoryTrouble::EverythingHidden => self.save("corp.csv", "id,status\n"),
            DirectoryTrouble::Down => {
                std::fs::remove_file(self.folder.path().join("corp.csv")).map_err(|error| error.to_string())
            }
            DirectoryTrouble::GroupDenied | DirectoryTrouble::Deny | DirectoryTrouble::Hang => {
                Err(format!("not supported: {trouble}"))
            }
        }
    }

    async fn heal(&self) {
        let _ = self.write(None);
    }
}
