//! One deployment of the drill: a directory feed, a PACS in a file and two that speak SCIM, settled once and put back to
//! that before every row. Runs the real program, and looks at each PACS past the program.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use lockstep_testbed::scripted::{Kept, Mood, Scripted};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Call, Ran};

/// How many people there are.
pub(crate) const PEOPLE: usize = 24;
/// Who is put out.
pub(crate) const PERSON: usize = 3;
/// The PACS, in the order of the configuration.
pub(crate) const TARGETS: [&str; 3] = ["hq", "lab", "annex"];
/// What the second PACS wants to see.
pub(crate) const TOKEN: &str = "tkn-5b21f0c4";

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// The deployment, and what it is put back to.
pub(crate) struct Lane {
    home: TempDir,
    healthy: TempDir,
    pub(crate) lab: Scripted,
    pub(crate) annex: Scripted,
    lab_healthy: Kept,
    annex_healthy: Kept,
    /// The section of the directory, and the part of a mapping that says which fields to write.
    directory: (String, &'static str),
}

/// What somebody may still do on one PACS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) active: bool,
    pub(crate) levels: BTreeSet<String>,
    pub(crate) cards: usize,
}

/// The employee number of a person.
pub(crate) fn number(n: usize) -> String {
    format!("{}", 700_000 + n)
}

/// The name of a person on a PACS that speaks SCIM.
pub(crate) fn upn(n: usize) -> String {
    format!("u{n}@corp.example")
}

impl Lane {
    /// A settled deployment. `nth` keeps the addresses of several apart.
    pub(crate) fn new(nth: u8) -> Self {
        Self::with(nth, (DIRECTORY.to_owned(), PROFILE), &[])
    }

    /// The same with another directory.
    pub(crate) fn with(nth: u8, directory: (String, &'static str), secrets: &[(&str, &str)]) -> Self {
        let server = |last| {
            let address = IpAddr::V4(Ipv4Addr::new(127, 77, nth, last));
            Scripted::start_at(address).expect("the PACS starts")
        };
        let folder = || tempfile::Builder::new().prefix("lockstep-drill").tempdir().expect("a folder");
        let (lab, annex) = (server(1), server(2));
        let (lab_healthy, annex_healthy) = (lab.keep(), annex.keep());
        let mut lane = Self { home: folder(), healthy: folder(), lab, annex, lab_healthy, annex_healthy, directory };
        for (file, secret) in secrets.iter().chain(&[("lab.token", TOKEN)]) {
            lane.write(file, secret);
            let only_the_owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(lane.path(file), only_the_owner).expect("permissions");
        }
        lane.settle();
        lane
    }

    fn settle(&mut self) {
        let scim = |server: &Scripted| {
            let users = (0..PEOPLE).map(|n| {
                server.add_user(json!({
                    "userName": upn(n), "displayName": name(n), "active": true, ENTERPRISE: {"employeeNumber": number(n)},
                }))
            });
            let users: Vec<String> = users.collect();
            let levels = [server.add_group("Main", &users), server.add_group("Lab", &[users[PERSON].clone()])];
            mapping(self.directory.1, levels.each_ref().map(String::as_str))
        };
        let (lab, annex) = (scim(&self.lab), scim(&self.annex));
        self.lab.demand(TOKEN);
        self.write("hq.toml", &mapping("", ["L-Main", "L-Lab"]));
        self.write("lab.toml", &lab);
        self.write("annex.toml", &annex);
        self.write("pacs.json", &world());
        self.staff(&Feed::default());
        self.write("lockstep.toml", &self.configuration());
        let plan = self.run(&["plan", "--json"]).json();
        let plan = plan["directory"].as_str().expect("a folder").to_owned();
        self.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(&[0]);
        self.run(&["apply", &plan]).ends(&[0]);
        self.run(&["sync"]).ends(&[0]);
        copy_folder(self.home.path(), self.healthy.path());
        (self.lab_healthy, self.annex_healthy) = (self.lab.keep(), self.annex.keep());
    }

    fn configuration(&self) -> String {
        format!(
            "approval = \"standing\"\noffboard_patience = \"5s\"\n\n{}\n\
             [[target]]\nid = \"hq\"\nkind = \"sim\"\nfile = \"pacs.json\"\nmapping = \"hq.toml\"\n\n\
             [[target]]\nid = \"lab\"\nkind = \"scim\"\nurl = \"{}\"\ntoken = [\"keyring:drill-lab\", \"file:lab.token\"]\n\
             mapping = \"lab.toml\"\n\n\
             [[target]]\nid = \"annex\"\nkind = \"scim\"\nurl = \"{}\"\nmapping = \"annex.toml\"\n",
            self.directory.0,
            self.lab.url(),
            self.annex.url(),
        )
    }

    /// Puts everything back to where it was when it was settled.
    pub(crate) fn reset(&self) {
        for entry in fs::read_dir(self.home.path()).expect("a folder").flatten() {
            let path = entry.path();
            let gone = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            gone.expect("removed");
        }
        copy_folder(self.healthy.path(), self.home.path());
        for (server, kept) in [(&self.lab, &self.lab_healthy), (&self.annex, &self.annex_healthy)] {
            server.behave(Mood::Answers).expect("it listens");
            server.restore(kept);
        }
    }

    /// A file as it was when all was settled.
    pub(crate) fn healthy(&self, name: &str) -> PathBuf {
        self.healthy.path().join(name)
    }

    /// Puts one file back to where it was.
    pub(crate) fn restore(&self, name: &str) {
        fs::copy(self.healthy(name), self.path(name)).expect("copied");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("readable")
    }

    /// Changes a file. Fails if there is nothing to change.
    pub(crate) fn replace(&self, name: &str, from: &str, to: &str) {
        let old = self.read(name);
        assert!(old.contains(from), "{from:?} is not in {old}");
        self.write(name, &old.replace(from, to));
    }

    /// A run of the program here, to be made.
    pub(crate) fn call<'a>(&self, args: &[&'a str]) -> Call<'a> {
        Call::new(self.home.path(), args)
    }

    /// Runs the program here.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.call(args).run()
    }

    /// Who is in the feed, and who has left.
    pub(crate) fn staff(&self, feed: &Feed) {
        let mut people = "id,upn,display_name,employee_number,status\n".to_owned();
        let mut groups = format!("group,member\nGRP-Lab,p-{PERSON}\n");
        for n in 0..PEOPLE + feed.joiners {
            let status = if feed.left.contains(&n) { "ended" } else { "active" };
            let _ = writeln!(people, "p-{n},{},{},{},{status}", upn(n), name(n), number(n));
            let _ = writeln!(groups, "GRP-Main,p-{n}");
        }
        for n in &feed.lab {
            let _ = writeln!(groups, "GRP-Lab,p-{n}");
        }
        self.write("people.csv", &people);
        self.write("groups.csv", &groups);
    }

    /// What a person may do on a PACS, as that PACS has it.
    pub(crate) fn access(&self, target: &str, n: usize) -> Access {
        let scim = |server: &Scripted| {
            let access = server.access();
            let (active, levels) = access.get(&upn(n)).expect("the record");
            Access { active: *active, levels: levels.clone(), cards: 0 }
        };
        match target {
            "hq" => self.access_in_file(n),
            "lab" => scim(&self.lab),
            _ => scim(&self.annex),
        }
    }

    fn access_in_file(&self, n: usize) -> Access {
        let world: Value = serde_json::from_str(&self.read("pacs.json")).expect("JSON");
        let holders = world["cardholders"].as_array().expect("a list");
        let holder = holders.iter().find(|one| one["id"] == format!("h-{n}")).expect("the record");
        let list = |name: &str| holder[name].as_array().expect("a list").clone();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Access {
            active: holder["status"] == "active",
            levels: list("levels").iter().map(text).collect(),
            cards: list("credentials").iter().filter(|card| card["status"] == "active").count(),
        }
    }

    /// When a PACS was last seen busy after `start`, past the program.
    pub(crate) fn busy_until(&self, target: &str, start: (Instant, SystemTime)) -> Option<Duration> {
        match target {
            "hq" => {
                let changed = fs::metadata(self.path("pacs.json")).and_then(|file| file.modified());
                changed.ok()?.duration_since(start.1).ok()
            }
            "lab" => self.lab.last_answer()?.checked_duration_since(start.0),
            _ => self.annex.last_answer()?.checked_duration_since(start.0),
        }
    }
}

/// The feed of the directory.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    pub(crate) joiners: usize,
    pub(crate) left: BTreeSet<usize>,
    /// Who else is in the laboratory.
    pub(crate) lab: BTreeSet<usize>,
}

/// The section of the directory.
pub(crate) const DIRECTORY: &str =
    "[[directory]]\nid = \"corp\"\nkind = \"hr-csv\"\npeople = \"people.csv\"\ngroups = \"groups.csv\"\n";

/// What is written of a person on the PACS that speak SCIM.
const PROFILE: &str =
    "\n[profile]\nuser_name = \"{upn}\"\ndisplay_name = \"{display_name}\"\nemployee_number = \"{employee_number}\"\n";

fn name(n: usize) -> String {
    format!("Given{n} Family{n}")
}

fn mapping(profile: &str, [main, lab]: [&str; 2]) -> String {
    format!(
        "correlate = [\"employee\"]\n{profile}\n\
         [[level]]\nid = \"{main}\"\nany = [\"GRP-Main\"]\n\n[[level]]\nid = \"{lab}\"\nany = [\"GRP-Lab\"]\n"
    )
}

fn world() -> String {
    let holder = |n: usize| {
        let levels = if n == PERSON { json!(["L-Lab", "L-Main"]) } else { json!(["L-Main"]) };
        json!({
            "id": format!("h-{n}"),
            "keys": [{"kind": "employee", "value": number(n)}],
            "profile": {"display_name": name(n), "employee_number": number(n)},
            "status": "active",
            "levels": levels,
            "credentials": [{"id": format!("h-{n}-card"), "kind": "card", "number": format!("26-{}", number(n)), "status": "active"}],
            "validity": {"from": null, "until": null},
            "site": null,
            "revision": null,
        })
    };
    let level = |id: &str| json!({"name": id, "doors": [format!("Door {id}")], "site": null});
    let holders: Vec<Value> = (0..PEOPLE).map(holder).collect();
    let levels = json!({"L-Main": level("L-Main"), "L-Lab": level("L-Lab")});
    json!({"version": 1, "id": "hq-pacs", "levels": levels, "cardholders": holders}).to_string()
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let (old, new) = (entry.path(), to.join(entry.file_name()));
        if old.is_dir() {
            copy_folder(&old, &new);
        } else {
            fs::copy(&old, &new).expect("copied");
        }
    }
}
