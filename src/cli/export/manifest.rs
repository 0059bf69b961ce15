//! What a set of exports holds: which files, their digests, when each PACS was read, and what the worklist was made
//! from. Written last, so that whoever finds a file named here finds it whole.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use lockstep_contract::sha256_hex;
use serde::{Deserialize, Serialize};

use crate::cli::{failures, files};
use crate::exit::{Exit, Failure};

/// The file of the manifest.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The format in it.
const FORMAT: &str = "lockstep/export-manifest/1";
const MANIFEST_BYTES_MAX: u64 = 16 << 20;
/// No sheet that we write is larger.
const FILE_BYTES_MAX: u64 = 2 << 30;

/// What a set of exports holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Manifest {
    /// `lockstep/export-manifest/1`.
    pub schema: String,
    /// When the set was written.
    pub written_at: String,
    /// The version of the program.
    pub program: String,
    /// Each target that was ever exported here.
    pub targets: BTreeMap<String, Listed>,
    /// What is open.
    pub worklist: WorklistFacts,
    /// The last run in the journal when the set was written; none when the state could not be read. There is no audit
    /// log in this version that it could be checked against.
    pub journal_head: Option<JournalHead>,
    /// The plan whose actions are on the worklist.
    pub plan: Option<PlanFacts>,
    /// The age recipients that the files are encrypted to; empty: they are not encrypted.
    #[serde(default)]
    pub recipients: Vec<String>,
    /// Every other file of the set, by its path within it.
    pub files: BTreeMap<String, FileFacts>,
}

/// The sheets of one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Listed {
    /// When the PACS was read.
    pub read_at: String,
    /// How many cardholders.
    pub cardholders: usize,
    /// Its files, by what they are.
    pub files: Vec<SheetFile>,
    /// Why the PACS was not read for this set, and an older reading was kept.
    #[serde(default)]
    pub kept_because: Option<String>,
}

/// A sheet as a page and as a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct SheetFile {
    /// `everybody`, `site NORTH`, `no site known`.
    pub label: String,
    /// The page to print.
    pub page: String,
    /// The table for a spreadsheet.
    pub table: String,
    /// How many cardholders.
    pub cardholders: usize,
}

/// The worklist.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct WorklistFacts {
    /// How many records are on it.
    pub rows: usize,
    /// What could not be looked at.
    pub notes: Vec<String>,
    /// Files for the PACS' own tools.
    pub imports: Vec<String>,
}

/// The last run in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct JournalHead {
    /// Its id.
    pub run: String,
    /// Where it stood.
    pub state: String,
    /// When it last changed.
    pub changed: String,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct PlanFacts {
    /// The run that made it.
    pub run: String,
    /// What is approved.
    pub digest: String,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct FileFacts {
    /// Its SHA-256, in hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

impl FileFacts {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { sha256: sha256_hex(bytes), bytes: bytes.len() as u64 }
    }
}

impl Manifest {
    /// An empty one.
    pub(crate) fn new(written_at: String) -> Self {
        Self {
            schema: FORMAT.to_owned(),
            written_at,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            targets: BTreeMap::new(),
            worklist: WorklistFacts::default(),
            journal_head: None,
            plan: None,
            recipients: Vec::new(),
            files: BTreeMap::new(),
        }
    }

    /// Reads the manifest of a set.
    pub(crate) fn read(set: &Path) -> Result<Self, Failure> {
        let path = set.join(MANIFEST);
        let bytes = files::read(&path, MANIFEST_BYTES_MAX).map_err(|error| failures::file("read", &path, error))?;
        let bad = |why: &dyn std::fmt::Display| {
            Failure::new(Exit::Integrity, format!("{} is not as Lockstep wrote it: {why}", path.display()))
                .next("do not rely on this set; write a new one: lockstep export")
        };
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| bad(&error))?;
        if manifest.schema != FORMAT {
            return Err(bad(&format!("its format is {:?}, not {FORMAT}", manifest.schema)));
        }
        match manifest.files.keys().find(|name| !is_within(name)) {
            Some(name) => Err(bad(&format!("it names a file outside of its folder: {name:?}"))),
            None => Ok(manifest),
        }
    }

    /// The file as it is in this set, if it is the one that was written.
    pub(crate) fn whole_file(&self, set: &Path, name: &str) -> Result<Vec<u8>, String> {
        let Some(facts) = self.files.get(name) else { return Err(format!("{name}: not in the manifest")) };
        let bytes = files::read(&set.join(name), FILE_BYTES_MAX).map_err(|error| format!("{name}: {error}"))?;
        if FileFacts::of(&bytes) == *facts {
            Ok(bytes)
        } else {
            Err(format!("{name}: it is not what was written; its SHA-256 differs from the manifest"))
        }
    }

    /// Everything that is wrong with the files of this set.
    pub(crate) fn complaints(&self, set: &Path) -> Vec<String> {
        let mut complaints: Vec<String> =
            self.files.keys().filter_map(|name| self.whole_file(set, name).err()).collect();
        let named = self.targets.values().flat_map(|listed| &listed.files).flat_map(|file| [&file.page, &file.table]);
        complaints.extend(
            named.filter(|name| !self.files.contains_key(*name)).map(|name| format!("{name}: it has no digest")),
        );
        let mut strangers = Vec::new();
        strange(set, "", self, &mut strangers);
        complaints.extend(strangers);
        complaints
    }
}

/// Files that nobody wrote down. Two levels are all that a set has.
fn strange(set: &Path, below: &str, manifest: &Manifest, complaints: &mut Vec<String>) {
    let folder = if below.is_empty() { set.to_path_buf() } else { set.join(below) };
    let Ok(entries) = std::fs::read_dir(&folder) else {
        complaints.push(format!("{}: it cannot be listed", folder.display()));
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if below.is_empty() {
                strange(set, &path, manifest, complaints);
            } else {
                complaints.push(format!("{path}: a folder that is not in the manifest"));
            }
        } else if path != MANIFEST && !manifest.files.contains_key(&path) {
            complaints.push(format!("{path}: not in the manifest"));
        }
    }
}

/// True for a name that stays in its folder, whatever the manifest came from.
fn is_within(name: &str) -> bool {
    let path = Path::new(name);
    !name.is_empty() && !name.contains('\\') && path.components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_cannot_point_outside_of_its_folder() {
        for bad in ["", "../x", "/etc/passwd", "hq/../../x", "..", "hq\\..\\x", "./x"] {
            let dot = bad == "./x"; // a leading dot is taken away by the path itself, and stays within
            assert!(dot || !is_within(bad), "{bad:?}");
        }
        assert!(is_within("hq/all.csv") && is_within("worklist.html"));
    }
}
