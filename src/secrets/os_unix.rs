//! What is particular to Unix: who may read a file.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// How to make a file that only its owner can read, for messages.
pub(super) const HOW_TO_CLOSE: &str = "then run chmod 600 on it";

/// Refuses a file that its group or others may read or write: who can write it can choose the secret.
pub(super) fn only_owner_reads(found: &Metadata, path: &Path) -> Result<(), String> {
    let mode = found.mode() & 0o777;
    let others = mode & 0o077;
    if others == 0 {
        return Ok(());
    }
    let shown = path.display();
    Err(format!("{shown} has mode {mode:04o}, so others can reach it; run: chmod 600 '{shown}'"))
}

/// Closes a file to everybody but its owner.
#[cfg(test)]
pub(super) fn close(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("mode");
}
