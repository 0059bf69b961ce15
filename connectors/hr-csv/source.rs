//! Reads files whole or not at all. This module must not know what is in them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use lockstep_contract::FaultKind;

/// A complaint about a file: what the caller does about it, what is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) kind: FaultKind,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Complaint {
    /// The file breaks the rules that it is to keep: nothing in it is believed.
    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self { kind: FaultKind::Protocol, message: message.into(), help: None }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

/// What is the version of this file now?
pub(crate) fn stamp(path: &Path) -> Result<Stamp, Complaint> {
    let data = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if !data.is_file() {
        return Err(Complaint::broken(format!("{} is not a file", path.display())));
    }
    Ok(Stamp { length: data.len(), modified: data.modified().ok() })
}

impl Stamp {
    /// Complains when the file was last changed too long ago.
    pub(crate) fn check_age(self, path: &Path, hours_max: Option<u32>, now: Timestamp) -> Result<(), Complaint> {
        let Some(hours_max) = hours_max else { return Ok(()) };
        let changed = self.modified.and_then(|at| Timestamp::try_from(at).ok()).ok_or_else(|| {
            Complaint::broken(format!("{}: the time of its last change is not known", path.display()))
        })?;
        let age = now.duration_since(changed).as_secs();
        if age > i64::from(hours_max) * 3_600 {
            let message = format!(
                "{} was last changed {} hours ago; at most {hours_max} are allowed",
                path.display(),
                age / 3_600
            );
            return Err(Complaint::broken(message).with_help("find out why the export did not run"));
        }
        Ok(())
    }
}

/// Reads a file whole. A file that is being written at the same time is refused.
pub(crate) fn read(path: &Path) -> Result<(Vec<u8>, Stamp), Complaint> {
    let before = stamp(path)?;
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    let after = stamp(path)?;
    if before != after || bytes.len() as u64 != after.length {
        let message = format!("{} was changed while it was read", path.display());
        let help = "let the export write another file and rename it when it is whole";
        return Err(Complaint { kind: FaultKind::Unreachable, message, help: Some(help.to_owned()) });
    }
    Ok((bytes, after))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Complaint {
    let (kind, help) = match error.kind() {
        ErrorKind::PermissionDenied => (FaultKind::Denied, "let this user read the file and enter its folder"),
        _ => (FaultKind::Unreachable, "check that the path is right and that the export ran"),
    };
    let message = format!("{} cannot be read: {error}", path.display());
    Complaint { kind, message, help: Some(help.to_owned()) }
}

/// A file by the name that people know it by, for complaints.
pub(crate) fn short_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// A file of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceFile {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
}

impl SourceFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { name: short_name(&path), path }
    }
}
