//! The program, with one configuration for all targets. This module must not know what is right.

use std::fmt::Write as _;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

use crate::feed::{Feed, group};
use crate::places::Place;

const DIRECTORY: &str = "approval = \"recorded\"\n\n[[directory]]\nid = \"hr\"\nkind = \"hr-csv\"\n\
    people = \"people.csv\"\ngroups = \"groups.csv\"\n\n[directory.status]\nactive = [\"active\"]\nended = [\"left\"]\n";

/// A folder with a configuration.
pub(crate) struct Site {
    home: TempDir,
    secrets: Vec<(&'static str, String)>,
}

impl Site {
    pub(crate) fn new(places: &[Place], feed: &Feed) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let secrets = places.iter().flat_map(|place| place.secrets.clone()).collect();
        let site = Self { home, secrets };
        let mut config = String::from(DIRECTORY);
        for place in places {
            let kind = place.kind;
            let _ = write!(config, "\n[[target]]\nid = \"{kind}\"\nkind = \"{kind}\"\nmapping = \"{kind}.toml\"\n");
            for line in place.settings.lines() {
                let table = line.strip_prefix('[').map(|rest| format!("[target.{rest}"));
                let _ = writeln!(config, "{}", table.as_deref().unwrap_or(line));
            }
            // Several days in a few seconds.
            config.push_str("[target.limits]\nreductions_day_percent = 50\nreductions_week_percent = 75\n");
            site.write(&format!("{kind}.toml"), &mapping(place));
        }
        site.write("lockstep.toml", &config);
        site.feed(feed);
        site
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.home.path().join(name), text).expect("written");
    }

    pub(crate) fn feed(&self, feed: &Feed) {
        self.write("people.csv", &feed.people());
        self.write("groups.csv", &feed.groups());
    }

    /// Runs the program; one of these exit codes is right.
    #[track_caller]
    fn run(&self, arguments: &[&str], codes: &[i32]) -> Value {
        let mut command = Command::cargo_bin("lockstep").expect("the program is built");
        command.current_dir(self.home.path()).env_remove("LOCKSTEP_CONFIG").env("USER", "operator");
        command.envs(self.secrets.iter().map(|(name, value)| (*name, value.as_str())));
        let output = command.args(arguments).arg("--json").output().expect("it runs");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let code = output.status.code().unwrap_or(-1);
        assert!(codes.contains(&code), "{arguments:?} ended with {code}:\n{out}\n{err}");
        serde_json::from_str(&out).unwrap_or_default()
    }

    /// Plans, approves everything and applies it. The id of the run.
    pub(crate) fn carry_out(&self) -> String {
        let planned = self.run(&["plan"], &[0, 3]);
        self.approve_and_apply(&planned)
    }

    fn approve_and_apply(&self, planned: &Value) -> String {
        let plan = planned["directory"].as_str().expect("a folder");
        let entries = planned["entries"].as_array().map_or(0, Vec::len);
        if entries > 0 {
            self.run(&["approve", plan, "--by", "Jane Doe", "--yes"], &[0]);
            self.run(&["apply", plan], &[0]);
        }
        Path::new(plan).file_name().expect("a name").to_string_lossy().into_owned()
    }

    #[track_caller]
    pub(crate) fn nothing_is_left(&self) {
        let planned = self.run(&["plan"], &[0, 3]);
        let entries = planned["entries"].as_array().expect("entries");
        assert!(entries.is_empty(), "something is left to do: {entries:#?}");
    }

    pub(crate) fn roll_back(&self, run: &str) {
        let planned = self.run(&["rollback", run], &[0, 3]);
        self.approve_and_apply(&planned);
    }

    pub(crate) fn offboard(&self, employee: &str) {
        self.run(&["offboard", &format!("employee:{employee}"), "--reason", "theft", "--yes"], &[0]);
    }
}

fn mapping(place: &Place) -> String {
    let mut text = format!("correlate = [\"employee\"]\n\n[profile]\n{}", place.profile);
    for (nth, id) in place.levels.iter().enumerate() {
        let _ = write!(text, "\n[[level]]\nid = {}\nany = [\"{}\"]\n", Value::from(id.as_str()), group(nth));
    }
    text
}
