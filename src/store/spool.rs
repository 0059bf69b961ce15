//! The spool: what an emergency wrote down when the state database could not be had, or before it was asked. One file
//! for each command; each line is synced before the next thing happens, and chained to the line before.
//!
//! What a line says is not looked at here.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use lockstep_contract::{canonical_json, sha256_hex};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::files;

const OPEN: &str = "spool";
const ABSORBED: &str = "absorbed";

/// The spool could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("spool {path}: {detail}")]
pub struct SpoolError {
    /// The file or folder.
    pub path: PathBuf,
    /// What happened.
    pub detail: String,
}

/// One file of the spool, being written.
#[derive(Debug)]
pub struct Spool {
    file: File,
    path: PathBuf,
    lines: u64,
    last: String,
}

/// One file of the spool, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolFile<E> {
    /// The file.
    pub path: PathBuf,
    /// What it says, in order.
    pub events: Vec<E>,
    /// Its last line was cut off while it was written; what that line said never happened.
    pub torn: bool,
}

#[derive(Serialize, Deserialize)]
struct Line {
    seq: u64,
    event: Value,
    hash: String,
}

fn chained(before: &str, seq: u64, event: &Value) -> String {
    sha256_hex(&canonical_json(&(before, seq, event)))
}

impl Spool {
    /// A new file in this folder, which is made when it is not there. `name` is part of the file's name, so that files
    /// sort by time and a person finds theirs; characters that do not belong in a name are left out.
    ///
    /// # Errors
    /// When the folder or the file cannot be made.
    pub fn create(folder: impl AsRef<Path>, name: &str) -> Result<Self, SpoolError> {
        let folder = folder.as_ref();
        let failed = |error: io::Error| SpoolError { path: folder.to_owned(), detail: error.to_string() };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let plain: String =
            name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).take(64).collect();
        for number in 0..1_000_u32 {
            let path = folder.join(format!("{plain}-{number:03}.{OPEN}"));
            match files::new_private(&path) {
                Ok(file) => {
                    files::sync_folder(&path).map_err(failed)?;
                    return Ok(Self { file, path, lines: 0, last: String::new() });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(SpoolError { path: folder.to_owned(), detail: format!("a thousand files are named {plain} already") })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line. Returns after it is on the disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append<E: Serialize>(&mut self, event: &E) -> Result<(), SpoolError> {
        let failed = |detail: String| SpoolError { path: self.path.clone(), detail };
        let event = serde_json::to_value(event).map_err(|error| failed(error.to_string()))?;
        let seq = self.lines + 1;
        let hash = chained(&self.last, seq, &event);
        let line = Line { seq, event, hash: hash.clone() };
        let mut text = serde_json::to_vec(&line).map_err(|error| failed(error.to_string()))?;
        text.push(b'\n');
        self.file.write_all(&text).and_then(|()| self.file.sync_data()).map_err(|error| failed(error.to_string()))?;
        self.lines = seq;
        self.last = hash;
        Ok(())
    }
}

/// Every file of a spool that was not absorbed yet, in the order of their names. A folder that is not there has none.
///
/// # Errors
/// When a file cannot be read, or says something else than was written to it.
pub fn read_all<E: DeserializeOwned>(folder: impl AsRef<Path>) -> Result<Vec<SpoolFile<E>>, SpoolError> {
    let folder = folder.as_ref();
    let failed = |error: io::Error| SpoolError { path: folder.to_owned(), detail: error.to_string() };
    let listing = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut paths = Vec::new();
    for entry in listing {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == OPEN) {
            paths.push(path);
        }
    }
    paths.sort();
    paths.into_iter().map(read).collect()
}

/// What a file says was taken over: it is kept, under another name, and not read again.
///
/// # Errors
/// When it cannot be renamed.
pub fn set_aside(path: impl AsRef<Path>) -> Result<(), SpoolError> {
    let path = path.as_ref();
    std::fs::rename(path, path.with_extension(ABSORBED))
        .and_then(|()| files::sync_folder(path))
        .map_err(|error| SpoolError { path: path.to_owned(), detail: error.to_string() })
}

fn read<E: DeserializeOwned>(path: PathBuf) -> Result<SpoolFile<E>, SpoolError> {
    let failed = |detail: String| SpoolError { path: path.clone(), detail };
    let bytes = std::fs::read(&path).map_err(|error| failed(error.to_string()))?;
    let mut events = Vec::new();
    let mut last = String::new();
    let mut rest = bytes.as_slice();
    let mut torn = false;
    while !rest.is_empty() {
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            torn = true;
            break;
        };
        let (line, after) = rest.split_at(end + 1);
        let number = events.len() as u64 + 1;
        let broken = |detail: String| failed(format!("line {number}: {detail}"));
        let line: Line = serde_json::from_slice(line).map_err(|error| broken(error.to_string()))?;
        if line.seq != number || chained(&last, line.seq, &line.event) != line.hash {
            return Err(broken("it is not what was written".to_owned()));
        }
        events.push(serde_json::from_value(line.event).map_err(|error| broken(error.to_string()))?);
        last = line.hash;
        rest = after;
    }
    Ok(SpoolFile { path, events, torn })
}
