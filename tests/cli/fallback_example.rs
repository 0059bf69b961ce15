//! `examples/fallback`: the recorded sheets are those that the program writes, and who follows them gets it on record.

use std::fs;
use std::path::{Path, PathBuf};

use crate::site::{Ran, program, ran};

/// A copy of the example, at work.
struct Hospital(tempfile::TempDir);

impl Hospital {
    fn new() -> Self {
        let copy = tempfile::tempdir().expect("a folder");
        for file in ["lockstep.toml", "mapping.toml", "people.csv", "groups.csv", "pacs.json"] {
            fs::copy(example().join(file), copy.path().join(file)).expect("copied");
        }
        Self(copy)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Ran {
        ran(program(self.0.path()).args(args))
    }

    /// The newest set of sheets.
    fn set(&self) -> PathBuf {
        let sets = fs::read_dir(self.path("exports")).expect("exports").flatten().map(|entry| entry.path());
        sets.filter(|path| path.is_dir()).max().expect("a set")
    }
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/fallback")
}

/// Times, versions and numbers of sets differ from run to run; the words do not.
fn words(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect()
}

#[test]
fn the_recorded_sheets_are_what_is_written_and_following_them_works() {
    let site = Hospital::new();
    let plan = site.run(&["plan", "--json"]).json()["directory"].as_str().expect("a folder").to_owned();
    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(0);
    site.run(&["apply", &plan]).ends(0);
    // The night on which neither the directory nor the PACS can be read.
    fs::rename(site.path("pacs.json"), site.path("pacs.away")).expect("away");
    fs::rename(site.path("people.csv"), site.path("people.away")).expect("away");
    let put_out = ["offboard", "employee:20103", "--reason", "badge stolen", "--by", "Night desk"];
    site.run(&[&put_out[..], &["--yes", "--patience", "1"]].concat()).ends(4);
    site.run(&["export"]).ends(5);
    for (name, recorded) in
        [("hq/all.html", "who-has-what.html"), ("worklist.html", "worklist.html"), ("worklist.csv", "worklist.csv")]
    {
        let (made, recorded) = (site.set().join(name), example().join("recorded").join(recorded));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::copy(&made, &recorded).expect("recorded");
        }
        assert!(words(&made) == words(&recorded), "{}: UPDATE_DOCS=1 writes it again", recorded.display());
    }
    // The guard works from the list, and only from it.
    fs::rename(site.path("pacs.away"), site.path("pacs.json")).expect("back");
    let mut world: serde_json::Value =
        serde_json::from_slice(&fs::read(site.path("pacs.json")).expect("the PACS")).expect("JSON");
    let holders = world["cardholders"].as_array_mut().expect("a list");
    let record = holders.iter_mut().find(|holder| holder["id"] == "ch-20103").expect("the record on the list");
    assert_eq!(record["profile"]["display_name"], "Carvalho, Ines");
    record["status"] = "suspended".into();
    for credential in record["credentials"].as_array_mut().expect("a list") {
        credential["status"] = serde_json::json!({"inactive": "disabled"});
    }
    fs::write(site.path("pacs.json"), world.to_string()).expect("saved");
    let list = fs::read_to_string(site.set().join("worklist.csv")).expect("the list");
    let ticked = list.replace(r#""","","","""#, r#""x","NG","02:40","""#);
    assert_ne!(list, ticked, "there is a line to tick");
    fs::write(site.path("ticked.csv"), ticked).expect("saved");
    let back = site.run(&["export", "reconcile", "ticked.csv", "--by", "N. Guard"]).ends(0);
    assert!(back.out.contains("1 done by hand and read back, 0 still open"), "{}", back.out);
    site.run(&["offboard", "--settle"]).ends(0);
}
