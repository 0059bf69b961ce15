//! One site on disk: a configuration, a mapping, a PACS in a file, and the binary run against them. Knows nothing of any
//! directory server.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Done, or nothing to do.
pub(crate) const DONE: i32 = 0;
/// A guard holds it.
pub(crate) const HELD: i32 = 3;
/// Done in part.
pub(crate) const PARTIAL: i32 = 4;
/// A source could not be read whole.
pub(crate) const UNREADABLE: i32 = 5;

/// The folder of one deployment.
pub(crate) struct Site {
    home: TempDir,
    password: String,
}

/// What a run of the program left.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The one JSON document on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }

    /// Fails with everything that was said unless it ended with this code.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        let cut = |text: &str| text.chars().take(6_000).collect::<String>();
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", cut(&self.out), cut(&self.err));
        self
    }
}

impl Site {
    /// A folder with these two files. Passwords are `env:TEST_PASSWORD`.
    pub(crate) fn new(config: &str, mapping: &str, password: &str) -> Self {
        let home = tempfile::Builder::new().prefix("lockstep-site").tempdir().expect("a folder");
        let site = Self { home, password: password.to_owned() };
        site.write("lockstep.toml", config);
        site.write("mapping.toml", mapping);
        site
    }

    /// The same deployment once more, with everything it remembers.
    pub(crate) fn copy(&self) -> Self {
        let home = tempfile::Builder::new().prefix("lockstep-site").tempdir().expect("a folder");
        copy_folder(self.home.path(), home.path());
        Self { home, password: self.password.clone() }
    }

    /// From now on this password is used.
    pub(crate) fn use_password(&mut self, password: &str) {
        password.clone_into(&mut self.password);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    /// Changes the configuration. Fails if there is nothing to change.
    pub(crate) fn reconfigure(&self, from: &str, to: &str) {
        let old = fs::read_to_string(self.path("lockstep.toml")).expect("a configuration");
        assert!(old.contains(from), "{from:?} is not in {old}");
        self.write("lockstep.toml", &old.replace(from, to));
    }

    /// Runs the program here, with nothing of the environment of the tests that it could mistake for its own.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        for (name, _) in std::env::vars_os() {
            let ours = name.to_str().is_some_and(|name| name.starts_with("LOCKSTEP_") || name.starts_with("TESTBED_"));
            if ours {
                command.env_remove(name);
            }
        }
        command.current_dir(self.home.path()).env("TEST_PASSWORD", &self.password).args(args);
        let output = command.output().expect("it runs");
        Ran {
            code: output.status.code().expect("it ended by itself"),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Plans, and returns the folder of the plan.
    #[track_caller]
    pub(crate) fn plan(&self) -> String {
        let ran = self.run(&["plan", "--json"]);
        assert!(ran.code == DONE || ran.code == HELD, "{}: {}", ran.code, ran.err);
        ran.json()["directory"].as_str().expect("a folder").to_owned()
    }

    /// Plans, approves, applies, and sees that nothing is left to do: from here on, people are linked and can lose access.
    #[track_caller]
    pub(crate) fn settle(&self) {
        let plan = self.plan();
        self.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(DONE);
        self.run(&["apply", &plan]).ends(DONE);
        let again = self.run(&["plan", "--json"]).ends(DONE).json();
        assert_eq!(again["entries"], json!([]), "everything is as it should be");
    }

    /// The bytes of the PACS in the file.
    pub(crate) fn pacs(&self) -> Vec<u8> {
        fs::read(self.path("pacs.json")).expect("the PACS")
    }

    /// Who has what on the PACS in the file: levels and status, by employee number.
    pub(crate) fn holders(&self) -> BTreeMap<String, (BTreeSet<String>, String)> {
        let world: Value = serde_json::from_slice(&self.pacs()).expect("JSON");
        let holders = world["cardholders"].as_array().expect("a list");
        holders.iter().map(|holder| (employee(holder), (levels(holder), status(holder)))).collect()
    }

    /// Plans and synchronises in trouble. Both must end with this code; nobody may lose access, neither in the plan nor on
    /// the PACS.
    #[track_caller]
    pub(crate) fn in_trouble(&self, code: i32) -> Trouble {
        let before = self.pacs();
        let planned = self.run(&["plan", "--json"]).ends(code);
        let trouble = Trouble::of(&planned);
        self.synchronised_in_trouble(code);
        assert!(self.pacs() == before, "nothing was written to the PACS");
        trouble
    }

    /// Only synchronises in trouble.
    #[track_caller]
    pub(crate) fn synchronised_in_trouble(&self, code: i32) -> Ran {
        let before = self.pacs();
        let ran = self.run(&["sync", "--json"]).ends(code);
        assert!(self.pacs() == before, "nothing was written to the PACS: {}", ran.err);
        // Without a directory there is no document at all.
        if code != UNREADABLE || !ran.out.is_empty() {
            assert_eq!(ran.json()["numbers"]["verified"], 0, "{}", ran.out);
        }
        ran
    }
}

/// What a plan in trouble said.
pub(crate) struct Trouble {
    /// What was said to people.
    pub(crate) said: String,
    /// The codes of the guards that tripped.
    pub(crate) guards: BTreeSet<String>,
    /// The codes of the findings.
    pub(crate) findings: BTreeSet<String>,
}

impl Trouble {
    #[track_caller]
    fn of(ran: &Ran) -> Self {
        let said = ran.err.clone();
        // A source that could not be read gives no plan; a group that could not be read gives one without what rests on it.
        if ran.code == UNREADABLE && ran.out.is_empty() {
            return Self { said, guards: BTreeSet::new(), findings: BTreeSet::new() };
        }
        let plan = ran.json();
        let free = removals(&plan).into_iter().filter(|entry| entry["state"]["is"] != "held").count();
        assert_eq!(free, 0, "nobody loses access by this plan: {}", plan["entries"]);
        let codes = |list: &str| {
            let sections = plan["targets"].as_array().expect("sections").iter();
            let all = sections.flat_map(|section| section[list].as_array().expect("a list").clone());
            all.map(|one| one["code"].as_str().expect("a code").to_owned()).collect()
        };
        Self { said, guards: codes("trips"), findings: codes("findings") }
    }
}

/// The entries of a plan that take something away.
pub(crate) fn removals(plan: &Value) -> Vec<&Value> {
    let reduces = |entry: &&Value| {
        let steps = entry["action"]["steps"].as_array().expect("steps");
        steps.iter().any(|step| step.get("reduce").is_some())
    };
    plan["entries"].as_array().expect("entries").iter().filter(reduces).collect()
}

/// A cardholder of a PACS in a file.
pub(crate) fn holder(id: &str, employee: &str, name: &str, levels: &[&str]) -> Value {
    json!({
        "id": id,
        "keys": [{"kind": "employee", "value": employee}],
        "profile": {"display_name": name, "employee_number": employee},
        "status": "active",
        "levels": levels,
        "credentials": [{"id": format!("{id}-card"), "kind": "card", "number": format!("26-{employee}"), "status": "active"}],
        "validity": {"from": null, "until": null},
        "site": null,
        "revision": null,
    })
}

/// A PACS in a file.
pub(crate) fn world(levels: &[&str], holders: &[Value]) -> String {
    let level = |id: &&str| ((*id).to_owned(), json!({"name": id, "doors": [format!("Door {id}")], "site": null}));
    let levels: serde_json::Map<String, Value> = levels.iter().map(level).collect();
    json!({"version": 1, "id": "hq-pacs", "levels": levels, "cardholders": holders}).to_string()
}

fn employee(holder: &Value) -> String {
    let keys = holder["keys"].as_array().expect("keys");
    let key = keys.iter().find(|key| key["kind"] == "employee").expect("an employee number");
    key["value"].as_str().expect("text").to_owned()
}

fn levels(holder: &Value) -> BTreeSet<String> {
    let levels = holder["levels"].as_array().expect("levels");
    levels.iter().map(|level| level.as_str().expect("text").to_owned()).collect()
}

fn status(holder: &Value) -> String {
    holder["status"].as_str().unwrap_or_default().to_owned()
}

fn copy_folder(from: &Path, to: &Path) {
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
