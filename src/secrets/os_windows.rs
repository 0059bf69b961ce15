//! What is particular to Windows: who may read a file.
//!
//! The rights of a file are an access control list there, which the standard library cannot read. The check is left to
//! the administrator; the Credential Manager (`keyring:NAME`) is the better place on Windows.

use std::fs::Metadata;
use std::path::Path;

/// How to make a file that only its owner can read, for messages.
pub(super) const HOW_TO_CLOSE: &str =
    "then let only the account that runs Lockstep read it (icacls FILE /inheritance:r)";

/// Not checked on Windows.
#[expect(clippy::unnecessary_wraps, reason = "on other systems the same function refuses files")]
pub(super) fn only_owner_reads(_found: &Metadata, _path: &Path) -> Result<(), String> {
    Ok(())
}

/// Not needed on Windows.
#[cfg(test)]
pub(super) fn close(_path: &Path) {}
