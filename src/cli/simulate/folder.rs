//! A folder to rehearse with: a configuration, a mapping and an HR feed that fit a simulated world, a day later. Never
//! overwrites. This module must not start anything.

use std::fmt::Write as _;
use std::path::Path;

use lockstep_conformance::{Seed, SeedCardholder};
use lockstep_contract::{Opening, Status, field};
use lockstep_simulator::{Rehearsal, world};

use crate::cli::files;
use crate::connectors;
use crate::exit::{Exit, Failure};

/// The configuration.
pub(super) const CONFIG: &str = "lockstep.toml";
/// The mapping.
pub(super) const MAPPING: &str = "mapping.toml";
/// So many people are new since the PACS was last looked after.
const JOINERS: usize = 3;

/// How the mapping begins.
const HEAD: &str = "# Who gets what on the simulated PACS.\ncorrelate = [\"employee\"]\nmover = \"with-grant\"\n";

/// The columns of the feed, each with its field.
const COLUMNS: [(&str, &str); 8] = [
    ("employee_number", field::EMPLOYEE_NUMBER),
    ("given_name", field::GIVEN_NAME),
    ("family_name", field::FAMILY_NAME),
    ("display_name", field::DISPLAY_NAME),
    ("department", field::DEPARTMENT),
    ("title", field::TITLE),
    ("employee_type", field::EMPLOYEE_TYPE),
    ("mail", field::MAIL),
];

pub(super) fn must_be_new(folder: &Path) -> Result<(), Failure> {
    if folder.symlink_metadata().is_ok() {
        return Err(Failure::new(Exit::Failed, format!("{} is there already", folder.display()))
            .not_done("nothing was started or written; this never overwrites")
            .next("name a folder that is not there yet"));
    }
    Ok(())
}

/// Writes everything.
pub(super) fn write(
    folder: &Path,
    kind: &str,
    section: &str,
    rehearsal: &Rehearsal,
    seed: &Seed,
) -> Result<(), Failure> {
    let feed = Feed::of(seed);
    files::folder(folder)?;
    files::create(&folder.join("people.csv"), feed.people.as_bytes())?;
    files::create(&folder.join("groups.csv"), feed.groups.as_bytes())?;
    files::create(&folder.join(CONFIG), config(section).as_bytes())?;
    let mapping = folder.join(MAPPING);
    let levels = levels(rehearsal, seed);
    files::create(&mapping, format!("{HEAD}{levels}").as_bytes())?;
    // Which fields the PACS takes is known once the connector is open, and that needs the files above.
    let profile = profile(&folder.join(CONFIG), kind, rehearsal)?;
    files::replace(&mapping, format!("{HEAD}{profile}{levels}").as_bytes())
}

fn config(section: &str) -> String {
    format!(
        "# A rehearsal against a simulated PACS. Nothing here can open a door.\n\
         approval = \"recorded\"\nstate = \"state\"\nplans = \"plans\"\nexports = \"exports\"\n\n\
         [[directory]]\nid = \"people\"\nkind = \"hr-csv\"\npeople = \"people.csv\"\ngroups = \"groups.csv\"\n\n\
         [directory.status]\nactive = [\"active\"]\nended = [\"left\"]\n\n{section}"
    )
}

/// What is written to the fields that the PACS has.
fn profile(config: &Path, kind: &str, rehearsal: &Rehearsal) -> Result<String, Failure> {
    let wrong =
        |why: String| Failure::new(Exit::Failed, format!("the rehearsal of `{kind}` does not fit together: {why}"));
    let loaded = lockstep_config::load(config)
        .map_err(|errors| wrong(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
    let target = loaded.config.targets.first().ok_or_else(|| wrong("no target".to_owned()))?;
    let known = connectors::target(kind).ok_or_else(|| wrong("no connector".to_owned()))?;
    let secrets = rehearsal.given();
    let opening = Opening { base: config.parent().unwrap_or(Path::new(".")), secrets: &secrets };
    let open =
        (known.open)(target.id.clone(), &target.settings, &opening).map_err(|error| wrong(format!("{error:?}")))?;
    let fields = &open.info().capabilities.fields;
    let mut text = String::from("\n[profile]\n");
    for (column, field) in COLUMNS.iter().filter(|(_, field)| fields.contains_key(*field)) {
        let _ = writeln!(text, "{field} = \"{{{column}}}\""); // writing to a String cannot fail
    }
    Ok(text)
}

fn levels(rehearsal: &Rehearsal, seed: &Seed) -> String {
    let mut text = String::new();
    for (id, level) in rehearsal.levels.iter().zip(&seed.levels) {
        // As TOML writes a string that may hold anything but invisible characters.
        let id = serde_json::Value::from(id.as_str());
        let _ = write!(
            text,
            "\n# {}: {}\n[[level]]\nid = {id}\nany = [\"{}\"]\n",
            level.name,
            level.doors.join(", "),
            group(&level.name)
        );
    }
    text
}

/// The group that gives a level.
fn group(level: &str) -> String {
    format!("GRP-{}", level.replace(' ', "-"))
}

/// The feed of the day after.
struct Feed {
    people: String,
    groups: String,
}

impl Feed {
    fn of(seed: &Seed) -> Self {
        let mut people = format!("id,{},status\n", COLUMNS.map(|(column, _)| column).join(","));
        let mut groups = String::from("group,member\n");
        let there = seed.cardholders.len();
        for (n, person) in world(there + JOINERS).cardholders.iter().enumerate() {
            let id = person.keys.of(lockstep_contract::KeyKind::Directory).next().map_or("", |key| key.value());
            // Who was switched off before any of this is nobody whom HR knows.
            if person.status != Status::Active && n < there {
                continue;
            }
            // The second has left since.
            let left = n == 1;
            let cells = COLUMNS.map(|(_, field)| cell(person.profile.get(field).unwrap_or_default()));
            let _ = writeln!(people, "{id},{},{}", cells.join(","), if left { "left" } else { "active" });
            for level in Self::levels(n, person, seed.levels.len()) {
                let name = seed.levels.get(level).map(|level| group(&level.name)).unwrap_or_default();
                let _ = writeln!(groups, "{name},{id}");
            }
        }
        Self { people, groups }
    }

    /// The third has another department's rooms since.
    fn levels(n: usize, person: &SeedCardholder, count: usize) -> Vec<usize> {
        let mut levels = person.levels.clone();
        if n == 2
            && let Some(last) = levels.last_mut()
        {
            *last = if *last + 1 < count { *last + 1 } else { 2 };
        }
        levels
    }
}

/// A cell of CSV.
fn cell(value: &str) -> String {
    if value.contains([',', '"', '\n']) { format!("\"{}\"", value.replace('"', "\"\"")) } else { value.to_owned() }
}
