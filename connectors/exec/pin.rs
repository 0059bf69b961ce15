//! Whether the files of a program are those that the configuration names. This module must not start anything.

use std::fs;
use std::io;
use std::path::Path;

use lockstep_contract::sha256_hex;

use crate::config::Sha256;

/// A program that is larger than this is no connector.
const BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Why a file is not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PinError {
    /// It cannot be read.
    #[error("{path} cannot be read: {error}")]
    Unreadable { path: String, error: io::Error },
    /// Others could have changed it between two runs.
    #[error("{path} can be written by others than its owner")]
    Loose { path: String },
    /// It is another one.
    #[error("{path} is not the file that the configuration names: its SHA-256 is {found}")]
    Other { path: String, found: String },
}

/// Checks one file.
pub(crate) fn check(path: &Path, expected: &Sha256) -> Result<(), PinError> {
    let shown = || path.display().to_string();
    let unreadable = |error| PinError::Unreadable { path: shown(), error };
    let about = fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() || about.len() > BYTES_MAX {
        return Err(unreadable(io::Error::other("it is no file of a size that a program has")));
    }
    if writable_by_others(&about) {
        return Err(PinError::Loose { path: shown() });
    }
    let found = sha256_hex(&fs::read(path).map_err(unreadable)?);
    if found == expected.as_str() { Ok(()) } else { Err(PinError::Other { path: shown(), found }) }
}

#[cfg(unix)]
fn writable_by_others(about: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    about.permissions().mode() & 0o022 != 0
}

/// Elsewhere the rights of a file are not a number, and its digest has to do.
#[cfg(not(unix))]
const fn writable_by_others(_: &fs::Metadata) -> bool {
    false
}
