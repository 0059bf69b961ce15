//! The roster: which cardholder records somebody has, by any key, in one read-only file that is replaced as a whole
//! after every good run. An emergency reads it when the state database cannot be had.
//!
//! Keys are stored as digests: whoever finds the file learns no name, no number and no card.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use lockstep_contract::{CardholderId, CorrelationKey, CorrelationKeys, TargetId, canonical_json, sha256_hex};
use rusqlite::{Connection, OpenFlags, params};

use crate::files;

/// Marks the file as a roster: `LKRO`.
const APPLICATION_ID: i64 = 0x4c4b_524f;
const FORMAT: i64 = 1;

/// One cardholder record of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterEntry {
    /// On which PACS.
    pub target: TargetId,
    /// The record.
    pub cardholder: CardholderId,
    /// The keys by which its human is known.
    pub keys: CorrelationKeys,
}

/// The roster could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("roster {path}: {detail}")]
pub struct RosterError {
    /// The file.
    pub path: PathBuf,
    /// What happened.
    pub detail: String,
}

/// A roster, open for reading.
#[derive(Debug)]
pub struct Roster {
    conn: Connection,
    path: PathBuf,
    made: Timestamp,
}

fn digest(key: &CorrelationKey) -> String {
    sha256_hex(&canonical_json(key))
}

impl Roster {
    /// Opens a roster.
    ///
    /// # Errors
    /// When it is not there, cannot be read, or is no roster.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, RosterError> {
        let path = path.as_ref();
        let failed = |detail: String| RosterError { path: path.to_owned(), detail };
        let sql = |error: rusqlite::Error| failed(error.to_string());
        let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(sql)?;
        let application: i64 = conn.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(sql)?;
        let format: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sql)?;
        if (application, format) != (APPLICATION_ID, FORMAT) {
            return Err(failed("this is no roster, or one of another version".to_owned()));
        }
        let made: String = conn.query_row("SELECT at FROM made", [], |row| row.get(0)).map_err(sql)?;
        let made = made.parse().map_err(|error: jiff::Error| failed(error.to_string()))?;
        Ok(Self { conn, path: path.to_owned(), made })
    }

    /// When it was made.
    pub const fn made(&self) -> Timestamp {
        self.made
    }

    /// The records of whoever has any of these keys, by target.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn lookup<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k CorrelationKey>,
    ) -> Result<BTreeMap<TargetId, BTreeSet<CardholderId>>, RosterError> {
        let failed = |detail: String| RosterError { path: self.path.clone(), detail };
        let mut found: BTreeMap<TargetId, BTreeSet<CardholderId>> = BTreeMap::new();
        let sql = "SELECT target, cardholder FROM entry WHERE key = ?1";
        let mut statement = self.conn.prepare_cached(sql).map_err(|error| failed(error.to_string()))?;
        for key in keys {
            let mut rows = statement.query([digest(key)]).map_err(|error| failed(error.to_string()))?;
            while let Some(row) = rows.next().map_err(|error| failed(error.to_string()))? {
                let (target, cardholder): (String, String) =
                    row.try_into().map_err(|error: rusqlite::Error| failed(error.to_string()))?;
                let target = TargetId::new(target).map_err(|error| failed(error.to_string()))?;
                let cardholder = CardholderId::new(cardholder).map_err(|error| failed(error.to_string()))?;
                found.entry(target).or_default().insert(cardholder);
            }
        }
        Ok(found)
    }

    /// Whether this record is somebody's that is kept in step.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn has_record(&self, target: &TargetId, cardholder: &CardholderId) -> Result<bool, RosterError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM entry WHERE target = ?1 AND cardholder = ?2)";
        let found = self.conn.query_row(sql, [target.as_str(), cardholder.as_str()], |row| row.get(0));
        found.map_err(|error| RosterError { path: self.path.clone(), detail: error.to_string() })
    }

    /// Writes a new roster beside the old one, and puts it in its place as a whole.
    ///
    /// # Errors
    /// When it cannot be written. The old one stays as it is then.
    pub fn write(
        path: impl AsRef<Path>,
        entries: impl IntoIterator<Item = RosterEntry>,
        now: Timestamp,
    ) -> Result<(), RosterError> {
        let path = path.as_ref();
        let beside = path.with_extension("new");
        let failed = |detail: String| RosterError { path: path.to_owned(), detail };
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error.to_string())),
            Ok(()) | Err(_) => {}
        }
        drop(files::new_private(&beside).map_err(|error| failed(error.to_string()))?);
        fill(&beside, entries, now).map_err(|error| failed(error.to_string()))?;
        std::fs::File::open(&beside)
            .and_then(|file| file.sync_all())
            .and_then(|()| std::fs::rename(&beside, path))
            .and_then(|()| files::sync_folder(path))
            .map_err(|error| failed(error.to_string()))
    }
}

fn fill(path: &Path, entries: impl IntoIterator<Item = RosterEntry>, now: Timestamp) -> rusqlite::Result<()> {
    let mut conn = Connection::open(path)?;
    // Nobody sees the file before it is whole, so it needs no journal of its own.
    conn.pragma_update(None, "journal_mode", "OFF")?;
    conn.pragma_update(None, "synchronous", "OFF")?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    conn.pragma_update(None, "user_version", FORMAT)?;
    conn.execute_batch(
        "CREATE TABLE made (at TEXT NOT NULL) STRICT;
         CREATE TABLE entry (
             key TEXT NOT NULL, target TEXT NOT NULL, cardholder TEXT NOT NULL, PRIMARY KEY (key, target, cardholder)
         ) STRICT, WITHOUT ROWID;",
    )?;
    let transaction = conn.transaction()?;
    transaction.execute("INSERT INTO made (at) VALUES (?1)", [now.to_string()])?;
    let mut insert =
        transaction.prepare("INSERT OR IGNORE INTO entry (key, target, cardholder) VALUES (?1, ?2, ?3)")?;
    for entry in entries {
        for key in entry.keys.iter() {
            insert.execute(params![digest(key), entry.target.as_str(), entry.cardholder.as_str()])?;
        }
    }
    drop(insert);
    transaction.commit()?;
    conn.close().map_err(|(_, error)| error)
}
