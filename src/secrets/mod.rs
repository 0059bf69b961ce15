//! Where secrets are kept: files, systemd credentials, the credential store of the operating system, environment
//! variables. One file each; what differs between operating systems is in `os_unix.rs` and `os_windows.rs`.
//!
//! A secret is read when a connector is opened, handed over, and wiped when dropped. Nothing here prints one, puts one
//! into an error, or writes one anywhere but into the credential store.

mod env;
mod file;
pub(crate) mod keyring;
#[cfg_attr(unix, path = "os_unix.rs")]
#[cfg_attr(windows, path = "os_windows.rs")]
mod os;
mod systemd;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lockstep_contract::{Secret, SecretError, SecretRef, SecretRefs, Secrets};
use zeroize::{Zeroize as _, Zeroizing};

/// Nothing that is a secret is larger; a larger file is the wrong file.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Fetches secrets by reference from wherever they are kept.
pub(crate) struct Stores {
    base: PathBuf,
}

impl Stores {
    /// Relative paths of `file:` references start at `base`, the folder of the configuration.
    pub(crate) fn new(base: &Path) -> Self {
        Self { base: base.to_path_buf() }
    }
}

impl Stores {
    /// `patience` is for whoever may not answer at all.
    fn fetch(&self, reference: &SecretRef, patience: Duration) -> Result<Secret, SecretError> {
        let found = match reference {
            SecretRef::Systemd(name) => systemd::get(std::env::var_os("CREDENTIALS_DIRECTORY").as_deref(), name),
            SecretRef::Keyring(name) => keyring::get(name, patience),
            SecretRef::File(path) => file::get(&self.base.join(path)),
            SecretRef::Env(name) => env::get(std::env::var_os(name), name),
        };
        found.map_err(|message| SecretError { reference: reference.clone(), message })
    }
}

impl Secrets for Stores {
    fn get(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        self.fetch(reference, keyring::READ_PATIENCE)
    }

    /// Nobody waits long for a place while there is another one. What failed is told even when another one did: it may be
    /// the other one that is down next time.
    fn first(&self, references: &SecretRefs) -> Result<Secret, SecretError> {
        let mut failed: Vec<SecretError> = Vec::new();
        let last = references.iter().len() - 1;
        for (nth, reference) in references.iter().enumerate() {
            let patience = if nth < last { keyring::SHORT_PATIENCE } else { keyring::READ_PATIENCE };
            match self.fetch(reference, patience) {
                Ok(secret) => {
                    for error in &failed {
                        crate::terminal::complain(&format!("! {error}; {reference} is used instead"));
                    }
                    return Ok(secret);
                }
                Err(error) => failed.push(error),
            }
        }
        Err(SecretError::all(failed))
    }
}

/// Takes a secret from a reader, such as standard input: everything up to its end, without one line end at the end.
///
/// # Errors
/// When it cannot be read, is too large, is no text, or is empty. Never holds any part of it.
pub(crate) fn read_from(reader: impl Read) -> Result<Secret, String> {
    // Room for all of it at once: a buffer that grows leaves copies behind that nobody wipes.
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX as usize + 1));
    reader.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| format!("it cannot be read: {error}"))?;
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(format!(
            "it is larger than {SECRET_BYTES_MAX} bytes, so it is hardly a secret; see that the name is right"
        ));
    }
    let mut text = match std::str::from_utf8(&bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => return Err("it is not UTF-8 text".to_owned()),
    };
    let secret = checked(&text);
    text.zeroize();
    secret
}

/// Without one line end at the end, which editors and `echo` add; refuses what is empty then.
fn checked(text: &str) -> Result<Secret, String> {
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() {
        return Err("it is empty; an empty secret would be sent as if it were one".to_owned());
    }
    Ok(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_taken_off_and_nothing_else() {
        for (given, expected) in
            [("s3cret", "s3cret"), ("s3cret\n", "s3cret"), ("s3cret\r\n", "s3cret"), (" a \n\n", " a \n")]
        {
            assert_eq!(read_from(given.as_bytes()).expect("secret").expose(), expected);
        }
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        for bad in [&b""[..], b"\n", b"\r\n", &[0xff, 0x00], &vec![b'a'; 64 * 1024 + 1]] {
            assert!(read_from(bad).is_err());
        }
        assert!(read_from(vec![b'a'; 64 * 1024].as_slice()).is_ok(), "the limit itself is allowed");
    }

    #[test]
    fn an_error_names_the_reference_and_what_to_do() {
        let folder = tempfile::tempdir().expect("folder");
        let reference: SecretRef = "file:missing.pw".parse().expect("reference");
        let error = Stores::new(folder.path()).get(&reference).expect_err("missing");
        assert!(error.to_string().starts_with("secret `file:missing.pw`: "), "{error}");
        let unset: SecretRef = "env:LOCKSTEP_TEST_NEVER_SET".parse().expect("reference");
        assert!(Stores::new(folder.path()).get(&unset).expect_err("unset").message.contains("is not set"));
    }
}
