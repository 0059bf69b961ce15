//! One small site on disk: a configuration, an HR feed, a simulated PACS, and the binary run against them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Everybody works here and is in `GRP-Main`; the first two are in `GRP-Lab`, too.
pub(crate) const PEOPLE: usize = 12;

pub(crate) const CONFIG: &str = r#"
[[directory]]
id = "corp"
kind = "hr-csv"
people = "people.csv"
groups = "groups.csv"

[[target]]
id = "hq"
kind = "sim"
mapping = "mappings/hq.toml"
file = "hq.json"
"#;

pub(crate) const MAPPING: &str = r#"
correlate = ["employee"]

[profile]
display_name = "{given_name} {family_name}"
employee_number = "{employee_number}"

[[level]]
id = "L-Main"
any = ["GRP-Main"]

[[level]]
id = "L-Lab"
any = ["GRP-Lab"]
"#;

pub(crate) struct Site {
    home: TempDir,
    /// Who does not work here any more, by number from 0.
    pub(crate) ended: Vec<usize>,
}

/// What a run of the program left.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The one JSON document on standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }

    /// Fails with everything that was said unless the code is this one.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}

impl Site {
    /// Twelve people, all with a cardholder; nobody has the lab yet, and one cardholder is nobody's.
    pub(crate) fn new() -> Self {
        let site = Self { home: tempfile::tempdir().expect("folder"), ended: Vec::new() };
        site.write("lockstep.toml", CONFIG);
        site.write("mappings/hq.toml", MAPPING);
        site.write_people();
        let holders: Vec<Value> = (0..PEOPLE)
            .map(|n| holder(&format!("h-{n:02}"), &number(n), &["L-Main"]))
            .chain([holder("h-guest", "9999", &["L-Main"])])
            .collect();
        site.write_world(&json!({
            "version": 1,
            "id": "hq-pacs",
            "levels": {
                "L-Main": {"name": "Main door", "doors": ["North", "South"], "site": null},
                "L-Lab": {"name": "Laboratory", "doors": ["Lab 1"], "site": null},
            },
            "cardholders": holders,
        }));
        site
    }

    /// A site where the first plan was approved and applied: everything is as it should be.
    pub(crate) fn settled() -> Self {
        let site = Self::new();
        let plan = site.plan();
        site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(0);
        site.run(&["apply", &plan]).ends(0);
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
        fs::write(path, text).expect("written");
    }

    pub(crate) fn write_people(&self) {
        let mut people = String::from("id,given_name,family_name,employee_number,department,status\n");
        let mut groups = String::from("group,member\n");
        for n in 0..PEOPLE {
            let status = if self.ended.contains(&n) { "ended" } else { "active" };
            let _ = writeln!(people, "p-{n:02},{},Lovelace,{},Research,{status}", given(n), number(n));
            let _ = writeln!(groups, "GRP-Main,p-{n:02}");
        }
        groups.push_str("GRP-Lab,p-00\nGRP-Lab,p-01\n");
        self.write("people.csv", &people);
        self.write("groups.csv", &groups);
    }

    pub(crate) fn write_world(&self, world: &Value) {
        self.write("hq.json", &serde_json::to_string_pretty(world).expect("JSON"));
    }

    pub(crate) fn world(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path("hq.json")).expect("the PACS")).expect("JSON")
    }

    /// Cardholders by employee number.
    pub(crate) fn holders(&self) -> BTreeMap<String, Value> {
        let world = self.world();
        let holders = world["cardholders"].as_array().expect("a list").clone();
        holders.into_iter().map(|holder| (key(&holder), holder)).collect()
    }

    pub(crate) fn holder(&self, n: usize) -> Value {
        self.holders()[&number(n)].clone()
    }

    /// The program, in the folder of the site, with nothing of this process's environment that could matter.
    pub(crate) fn command(&self) -> Command {
        program(self.home.path())
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        ran(self.command().args(args))
    }

    /// Plans, and returns the folder of the plan.
    pub(crate) fn plan(&self) -> String {
        let ran = self.run(&["plan", "--json"]);
        ran.json()["directory"].as_str().expect("a folder").to_owned()
    }
}

/// The program, in this folder.
pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("lockstep").expect("the program is built");
    command.current_dir(folder).env_remove("LOCKSTEP_CONFIG").env_remove("NO_COLOR").env("COLUMNS", "100");
    command.env("USER", "operator").env_remove("LOGNAME");
    command
}

pub(crate) fn ran(command: &mut Command) -> Ran {
    let output = command.output().expect("it runs");
    Ran {
        code: output.status.code().expect("it ended by itself"),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

pub(crate) fn number(n: usize) -> String {
    format!("{}", 1000 + n)
}

pub(crate) fn given(n: usize) -> String {
    ["Ada", "Bea", "Cleo", "Dora", "Eve", "Fay", "Gwen", "Hedy", "Ida", "Joan", "Kay", "Lise"][n].to_owned()
}

fn key(holder: &Value) -> String {
    let keys = holder["keys"].as_array().expect("keys");
    let employee = keys.iter().find(|key| key["kind"] == "employee").expect("an employee number");
    employee["value"].as_str().expect("text").to_owned()
}

pub(crate) fn holder(id: &str, employee: &str, levels: &[&str]) -> Value {
    let n: usize = employee.parse().expect("a number");
    let name = if n >= 1000 && n - 1000 < PEOPLE { format!("{} Lovelace", given(n - 1000)) } else { "Guest".into() };
    json!({
        "id": id,
        "keys": [{"kind": "employee", "value": employee}],
        "profile": {"display_name": name, "employee_number": employee},
        "status": "active",
        "levels": levels,
        "credentials": [{"id": format!("{id}-card"), "kind": "card", "number": format!("26-77{employee}"), "status": "active"}],
        "validity": {"from": null, "until": null},
        "site": null,
        "revision": null,
    })
}
