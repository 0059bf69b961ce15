//! Secrets that systemd hands to a service: files in `$CREDENTIALS_DIRECTORY`.

use std::ffi::OsStr;
use std::path::Path;

use lockstep_contract::Secret;

use super::file;

/// `folder` is what `$CREDENTIALS_DIRECTORY` says.
pub(super) fn get(folder: Option<&OsStr>, name: &str) -> Result<Secret, String> {
    let Some(folder) = folder else {
        return Err(format!(
            "$CREDENTIALS_DIRECTORY is not set, so systemd did not start this process with credentials; in the unit, \
             add LoadCredentialEncrypted={name}, or by hand: systemd-run --pty -p LoadCredential={name}:FILE lockstep …"
        ));
    };
    let path = Path::new(folder).join(name);
    if !path.exists() {
        return Err(format!("the unit passes no credential of this name; add LoadCredentialEncrypted={name} to it"));
    }
    // systemd closes the folder itself and may use access control lists, which the mode of a file does not tell.
    file::get_anyhow(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_a_file_in_the_folder_that_systemd_names() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("ldap-bind"), "s3cret\n").expect("written");
        let found = get(Some(folder.path().as_os_str()), "ldap-bind").expect("secret");
        assert_eq!(found.expose(), "s3cret");
        assert!(get(Some(folder.path().as_os_str()), "other").expect_err("none").contains("=other"));
        assert!(get(None, "ldap-bind").expect_err("none").contains("LoadCredential"));
    }
}
