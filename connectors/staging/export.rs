//! The read-back from fresh export files. An export that is torn, empty, shrunken, too old, or still being written is a
//! fault: never a smaller PACS. Everything here blocks; callers see to that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::FaultKind;

use crate::counting::{Complaint, Counted};
use crate::people::{Snapshot, Tables};
use crate::profile::{ImportProfile, TableName};
use crate::rows;
use crate::share::{Share, Stat};

/// A folder of exports.
#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) share: Arc<dyn Share>,
    pub(crate) path: PathBuf,
    pub(crate) age_max: SignedDuration,
    pub(crate) settled_after: SignedDuration,
    pub(crate) shrink_percent_max: u32,
    /// Where the row counts of the last export that was believed are kept.
    pub(crate) memory: PathBuf,
    pub(crate) cache: Mutex<Option<Cached>>,
}

#[derive(Debug)]
pub(crate) struct Cached {
    files: BTreeMap<TableName, (String, Stat)>,
    snapshot: Arc<Snapshot>,
}

/// An export that is replaced all the time is read so often at most.
const TRIES_MAX: u32 = 5;

const RAN: &str = "find out why the export of the PACS did not run, or did not end";

impl Export {
    /// What the newest exports say.
    pub(crate) fn snapshot(&self, profile: &ImportProfile) -> Result<Arc<Snapshot>, Complaint> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.read(profile) {
                // An export that was replaced this very moment: the new one is as good.
                Err(complaint) if complaint.replaced && tries < TRIES_MAX => {}
                read => return read,
            }
        }
    }

    fn read(&self, profile: &ImportProfile) -> Result<Arc<Snapshot>, Complaint> {
        let files = self.newest(profile)?;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cached) = cache.as_ref().filter(|cached| cached.files == files) {
            self.check_age(cached.snapshot.as_of)?;
            return Ok(Arc::clone(&cached.snapshot));
        }
        let mut tables = Tables::new();
        for (name, (file, stat)) in &files {
            let Some(table) = profile.table(*name) else { continue };
            let bytes = self.whole(file, *stat)?;
            let rows = rows::read(profile, table, &bytes);
            let rows = rows.map_err(|why| broken(&format!("{file}: {why}")))?;
            tables.insert(*name, rows);
        }
        // The oldest of the files says how new the whole is.
        let as_of = files.values().map(|(_, stat)| stat.modified).min().unwrap_or(Timestamp::UNIX_EPOCH);
        self.check_age(as_of)?;
        Counted { memory: &self.memory, shrink_percent_max: self.shrink_percent_max }.check(&tables, as_of)?;
        let snapshot = Arc::new(Snapshot::assemble(profile, tables, as_of).map_err(|why| broken(&why))?);
        *cache = Some(Cached { files, snapshot: Arc::clone(&snapshot) });
        Ok(snapshot)
    }

    /// The newest file of each table that nobody is still writing.
    fn newest(&self, profile: &ImportProfile) -> Result<BTreeMap<TableName, (String, Stat)>, Complaint> {
        let names = self.share.names(&self.path).map_err(|error| unreadable(&self.path, &error))?;
        let mut files = BTreeMap::new();
        for (table, columns) in profile.tables() {
            let Some(pattern) = &columns.export else { continue };
            let mut found = Vec::new();
            for name in names.iter().filter(|name| matches(pattern, name)) {
                let path = self.path.join(name);
                if let Some(stat) = self.share.stat(&path).map_err(|error| unreadable(&path, &error))? {
                    found.push((stat.modified, name.clone(), stat));
                }
            }
            found.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
            let settled = |at: Timestamp| {
                self.settled_after.is_zero() || Timestamp::now().duration_since(at) >= self.settled_after
            };
            let Some((_, name, stat)) = found.into_iter().rev().find(|(at, ..)| settled(*at)) else {
                let message = format!("no export `{pattern}` is in {}", self.path.display());
                return Err(Complaint::new(FaultKind::Unreachable, message, RAN));
            };
            files.insert(table, (name, stat));
        }
        if files.is_empty() {
            let help = "name the export of each table in the profile: `[people] export = \"people*.csv\"`";
            return Err(Complaint::new(FaultKind::Unsupported, "the profile names no export file", help));
        }
        Ok(files)
    }

    /// Reads a file that nobody changes meanwhile.
    fn whole(&self, name: &str, before: Stat) -> Result<Vec<u8>, Complaint> {
        let path = self.path.join(name);
        let bytes = self.share.read(&path).map_err(|error| unreadable(&path, &error))?;
        let after = self.share.stat(&path).map_err(|error| unreadable(&path, &error))?;
        if after != Some(before) || bytes.len() as u64 != before.length {
            let message = format!("{name} was changed while it was read");
            let help = "let the export write another file and rename it when whole";
            return Err(Complaint { replaced: true, ..Complaint::new(FaultKind::Unreachable, message, help) });
        }
        Ok(bytes)
    }

    fn check_age(&self, as_of: Timestamp) -> Result<(), Complaint> {
        let age = Timestamp::now().duration_since(as_of);
        if age > self.age_max {
            let message = format!(
                "the newest export is {} hours old; at most {} are allowed",
                age.as_hours(),
                self.age_max.as_hours()
            );
            return Err(Complaint::new(FaultKind::Unreachable, message, RAN));
        }
        Ok(())
    }
}

fn broken(message: &str) -> Complaint {
    let help = "nothing was read from it; look into the file, and compare its columns with the profile";
    Complaint::new(FaultKind::Protocol, message, help)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Complaint {
    let help = "check that the share is there and that this user may read it";
    let kind = crate::dropping::kind_of(error);
    let message = format!("{} cannot be read: {error}", path.display());
    Complaint::new(kind, message, help)
}

/// Whether a name is of this form; one `*` stands for anything. Names that begin with a dot are never meant.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') {
        return false;
    }
    match pattern.split_once('*') {
        None => name == pattern,
        Some((before, after)) => {
            name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_pattern_means_what_it_says() {
        assert!(matches("people*.csv", "people-2026.csv") && matches("people*.csv", "people.csv"));
        assert!(!matches("people*.csv", "people.csv.tmp") && !matches("people.csv", "people-1.csv"));
        assert!(!matches("*", ".people.csv.tmp") && !matches("aba*aba", "aba"));
    }
}
