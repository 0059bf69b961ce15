//! The drop folder: files written beside under a temporary name, synced, renamed; never over one that waits; and how an
//! importer's treatment of them is read. Everything here blocks; callers see to that.
//!
//! That a file is gone says that somebody took it, and nothing more.

use std::collections::BTreeSet;
use std::io::{Error, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{FaultKind, sha256_hex};

use crate::changing::{Part, Refusal};
use crate::ledger::{Delivery, Item};
use crate::people::cell;
use crate::profile::{Acknowledgement, Holds, ImportProfile};
use crate::rows;
use crate::share::Share;

/// A drop folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    pub(crate) share: Arc<dyn Share>,
    pub(crate) path: PathBuf,
    pub(crate) site: String,
}

/// A file that is ready to be dropped.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    pub(crate) item: Item,
    pub(crate) bytes: Vec<u8>,
}

/// What the importer did with a delivery, as far as it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look {
    /// It still waits.
    Waiting,
    /// It was taken; the time, where the importer says it.
    Taken(Option<Timestamp>),
    /// It was taken, and the importer says that something is wrong with it.
    Rejected(Option<Timestamp>, String),
}

/// What became of dropping.
#[derive(Debug)]
pub(crate) enum Dropped {
    /// All files are there: since when by the clock of the share, and by how much that is ahead of ours, at most.
    Whole(Timestamp, SignedDuration),
    /// None is there.
    Nothing(Error),
    /// Some may be.
    Partly(Error),
}

/// The files of a change, ready to be dropped. Their names sort so that what takes access away comes first.
pub(crate) fn ready(profile: &ImportProfile, site: &str, name: &str, parts: &[Part]) -> Result<Vec<Ready>, Refusal> {
    let one_table = profile.credentials.is_none() && profile.memberships.is_none();
    let mut files = Vec::with_capacity(parts.len());
    for part in parts {
        let Some(table) = profile.table(part.table) else { continue };
        let bytes = rows::write(profile, table, &part.rows)
            .map_err(|bad| Refusal { kind: FaultKind::Invalid, message: bad.to_string() })?;
        let kind = part.kind.in_file_names();
        let of = match part.table {
            _ if one_table => String::new(),
            table => format!("-{}", table.as_str()),
        };
        let keys =
            part.rows.iter().filter_map(|row| lockstep_contract::CardholderId::new(cell(table, row, Holds::Key)).ok());
        let item = Item {
            name: format!("lockstep-{site}-{kind}{of}-{name}{}", profile.delivery.extension),
            sha256: sha256_hex(&bytes),
            rows: part.rows.len(),
            keys: keys.collect::<BTreeSet<_>>().into_iter().collect(),
        };
        files.push(Ready { item, bytes });
    }
    Ok(files)
}

impl Folder {
    /// Drops files: all of them under temporary names first, so that a full disk leaves nothing to be taken.
    pub(crate) fn drop_files(&self, profile: &ImportProfile, files: &[Ready]) -> Dropped {
        let (mut beside, mut begun) = (Vec::new(), Vec::new());
        for file in files {
            let temporary = self.path.join(format!(".{}.tmp", file.item.name));
            begun.push(Timestamp::now());
            if let Err(error) = self.share.write(&temporary, &file.bytes) {
                return self.nothing(&beside, error);
            }
            beside.push(temporary);
            match self.share.stat(&self.path.join(&file.item.name)) {
                Ok(None) => {}
                Ok(Some(_)) => return self.nothing(&beside, ErrorKind::AlreadyExists.into()),
                Err(error) => return self.nothing(&beside, error),
            }
        }
        let (mut at, mut ahead) = (None, None);
        for (nth, (file, temporary)) in files.iter().zip(&beside).enumerate() {
            let last = self.path.join(&file.item.name);
            // The time that counts is that of the share; it is read while the file is surely still ours.
            let modified = self.share.stat(temporary).ok().flatten().map(|stat| stat.modified);
            if let Err(error) = self.share.rename(temporary, &last) {
                let rest = beside.get(nth..).unwrap_or_default();
                return if nth == 0 { self.nothing(rest, error) } else { self.partly(rest, error) };
            }
            at = at.max(modified);
            // Counted from before the write, it is never too little: what is seen later is then never dated too early.
            ahead = ahead.max(modified.zip(begun.get(nth).copied()).map(|(there, here)| there.duration_since(here)));
            if let Some(marker) = &profile.delivery.marker
                && let Err(error) = self.share.write(&self.path.join(format!("{}{marker}", file.item.name)), b"")
            {
                return self.partly(beside.get(nth + 1..).unwrap_or_default(), error);
            }
        }
        Dropped::Whole(at.unwrap_or_else(Timestamp::now), ahead.unwrap_or_default())
    }

    fn clean(&self, temporary: &[PathBuf]) {
        for path in temporary {
            // What cannot be removed now has a name that no importer takes.
            let _ = self.share.remove(path);
        }
    }

    fn nothing(&self, temporary: &[PathBuf], error: Error) -> Dropped {
        self.clean(temporary);
        Dropped::Nothing(error)
    }

    fn partly(&self, temporary: &[PathBuf], error: Error) -> Dropped {
        self.clean(temporary);
        Dropped::Partly(error)
    }

    /// What the importer did so far.
    ///
    /// # Errors
    /// When the folder cannot be looked at.
    pub(crate) fn look(&self, profile: &ImportProfile, delivery: &Delivery) -> Result<Look, Error> {
        let names: BTreeSet<String> = self.share.names(&self.path)?.into_iter().collect();
        let (mut waiting, mut rejected) = (false, None);
        for item in &delivery.items {
            match self.look_at(profile, &item.name, &names)? {
                Look::Waiting => waiting = true,
                Look::Taken(_) => {}
                Look::Rejected(_, why) => rejected = rejected.or(Some(why)),
            }
        }
        Ok(match rejected {
            Some(why) => Look::Rejected(None, why),
            None if waiting => Look::Waiting,
            None => Look::Taken(None),
        })
    }

    fn look_at(&self, profile: &ImportProfile, name: &str, names: &BTreeSet<String>) -> Result<Look, Error> {
        let rules = &profile.delivery;
        let failed = format!("{name}{}", rules.renamed_on_error);
        let refused = || Look::Rejected(None, format!("the importer renamed it to {failed}"));
        Ok(match rules.acknowledgement {
            Acknowledgement::None => Look::Waiting,
            Acknowledgement::Vanished | Acknowledgement::Renamed if names.contains(&failed) => refused(),
            Acknowledgement::Vanished | Acknowledgement::Renamed if names.contains(name) => Look::Waiting,
            Acknowledgement::Vanished | Acknowledgement::Renamed => Look::Taken(None),
            Acknowledgement::ResultFile => {
                let result = format!("{name}{}", rules.result_suffix);
                if !names.contains(&result) {
                    return Ok(Look::Waiting);
                }
                let said = self.share.read(&self.path.join(&result))?;
                // What it holds may name cards: people look into it, messages do not repeat it.
                if said.iter().all(u8::is_ascii_whitespace) {
                    Look::Taken(None)
                } else {
                    Look::Rejected(None, format!("{result} lists what it refused"))
                }
            }
        })
    }

    /// Takes back what still waits, so that nothing older is imported after what takes access away. False when the
    /// importer has it already, or holds it open.
    pub(crate) fn withdraw(&self, profile: &ImportProfile, delivery: &Delivery) -> Result<bool, Error> {
        let mut all = true;
        for item in &delivery.items {
            let (there, aside) = (self.path.join(&item.name), self.path.join(format!(".{}.withdrawn", item.name)));
            if self.share.stat(&there)?.is_none() {
                all = false;
                continue;
            }
            // Renaming is what an importer that has it open forbids; removing might not be.
            if self.share.rename(&there, &aside).is_err() {
                all = false;
                continue;
            }
            self.clean(&[aside]);
            if let Some(marker) = &profile.delivery.marker {
                self.clean(&[self.path.join(format!("{}{marker}", item.name))]);
            }
        }
        Ok(all)
    }

    /// Whether the folder can be written, and its clock: a file that no importer takes is made and removed.
    pub(crate) fn try_out(&self) -> Result<SignedDuration, Error> {
        let path = self.path.join(format!(".lockstep-{}-probe-{}.tmp", self.site, std::process::id()));
        self.share.write(&path, b"")?;
        let stat = self.share.stat(&path);
        self.share.remove(&path)?;
        let there = stat?.ok_or_else(|| Error::from(ErrorKind::NotFound))?.modified;
        Ok(there.duration_since(Timestamp::now()))
    }
}

/// What a failed file operation means.
pub(crate) fn kind_of(error: &Error) -> FaultKind {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => FaultKind::Denied,
        _ => FaultKind::Unreachable,
    }
}

/// What was handed over, by name, for messages.
pub(crate) fn written(delivery: &Delivery) -> String {
    delivery.items.iter().map(|item| item.name.as_str()).collect::<Vec<_>>().join(", ")
}
