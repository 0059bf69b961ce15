//! Secrets in files that only their owner can read.

use std::fs::File;
use std::path::Path;

use lockstep_contract::Secret;

use super::os;

/// Reads a secret from a file that nobody but its owner may read.
pub(super) fn get(path: &Path) -> Result<Secret, String> {
    read(path, true)
}

/// The same for a folder whose rights somebody else answers for.
pub(super) fn get_anyhow(path: &Path) -> Result<Secret, String> {
    read(path, false)
}

fn read(path: &Path, guarded: bool) -> Result<Secret, String> {
    let shown = path.display();
    let trouble = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("{shown} is not there; write the secret into it, {}", os::HOW_TO_CLOSE),
        std::io::ErrorKind::PermissionDenied => {
            format!("{shown} may not be read by this account; make the account that runs Lockstep its owner")
        }
        _ => format!("{shown} cannot be read: {error}"),
    };
    // Looked at before it is opened: opening a pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(trouble)?.is_file() {
        return Err(format!("{shown} is no plain file"));
    }
    let file = File::open(path).map_err(trouble)?;
    // And again through the handle: this is the file that will be read, whatever stands at the path by now.
    let found = file.metadata().map_err(trouble)?;
    if !found.is_file() {
        return Err(format!("{shown} is no plain file"));
    }
    if guarded {
        os::only_owner_reads(&found, path)?;
    }
    super::read_from(file).map_err(|why| format!("{shown}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("ldap.pw");
        std::fs::write(&path, text).expect("written");
        os::close(&path);
        (folder, path)
    }

    #[test]
    fn a_closed_file_is_read_without_its_line_end() {
        let (_folder, path) = written("s3cret\n");
        assert_eq!(get(&path).expect("secret").expose(), "s3cret");
    }

    #[test]
    fn no_error_holds_any_part_of_the_secret() {
        let (_folder, path) = written(&"hunter2".repeat(20_000));
        let error = get(&path).expect_err("too large");
        assert!(!error.contains("hunter2") && error.contains("ldap.pw"), "{error}");
    }

    #[test]
    fn a_folder_and_a_missing_file_are_no_secrets() {
        let (folder, _path) = written("x");
        assert!(get(folder.path()).expect_err("folder").contains("no plain file"));
        assert!(get(&folder.path().join("other")).expect_err("missing").contains("is not there"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_command_that_closes_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, path) = written("s3cret");
        for mode in [0o640, 0o604, 0o666, 0o620] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode");
            let error = get(&path).expect_err("open to others");
            assert!(error.contains("chmod 600 ") && error.contains("ldap.pw"), "{error}");
            assert!(get_anyhow(&path).is_ok(), "systemd answers for its own folder");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).expect("mode");
        assert!(get(&path).is_ok());
    }
}
