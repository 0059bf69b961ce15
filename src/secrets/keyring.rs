//! Secrets in the credential store of the operating system: Secret Service, Keychain, Credential Manager.
//!
//! The store may ask a person to unlock it, or its service may not answer at all. So each call runs on a thread of its
//! own and is given up after a while; the thread is left behind, since nothing can interrupt it.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use keyring_core::{Entry, Error};
use lockstep_contract::Secret;
use zeroize::Zeroizing;

/// All our entries stand under this name.
const SERVICE: &str = "lockstep";
/// An unattended run must not wait for a person who is not there.
pub(super) const READ_PATIENCE: Duration = Duration::from_secs(15);
/// For a secret that is kept somewhere else, too.
pub(super) const SHORT_PATIENCE: Duration = Duration::from_secs(1);
/// Somebody at a terminal may have to type a password to unlock the store.
const WRITE_PATIENCE: Duration = Duration::from_secs(120);

/// What to do where there is no credential store.
const INSTEAD: &str = "on a server without a desktop session use systemd:NAME or file:PATH instead";

/// The secret of this name.
pub(super) fn get(name: &str, patience: Duration) -> Result<Secret, String> {
    with(name, patience, |entry, name| read(&entry, name))
}

/// Stores a secret under a name, in place of the one that was there.
///
/// # Errors
/// When the store cannot be reached, or refuses.
pub(crate) fn set(name: &str, secret: &Secret) -> Result<(), String> {
    let secret = secret.clone();
    with(name, WRITE_PATIENCE, move |entry, name| write(&entry, name, &secret))
}

/// Removes a secret. True when there was one.
///
/// # Errors
/// When the store cannot be reached, or refuses.
pub(crate) fn remove(name: &str) -> Result<bool, String> {
    with(name, WRITE_PATIENCE, |entry, name| erase(&entry, name))
}

/// True when there is a usable secret of this name. It is read to find out, and not kept.
///
/// # Errors
/// When the store cannot be reached, or refuses.
pub(crate) fn check(name: &str) -> Result<bool, String> {
    with(name, READ_PATIENCE, |entry, name| look(&entry, name))
}

fn read(entry: &Entry, name: &str) -> Result<Secret, String> {
    match entry.get_password() {
        Ok(text) => super::checked(&Zeroizing::new(text)),
        Err(error) => Err(explain(error, name)),
    }
}

fn write(entry: &Entry, name: &str, secret: &Secret) -> Result<(), String> {
    entry.set_password(secret.expose()).map_err(|error| explain(error, name))
}

fn erase(entry: &Entry, name: &str) -> Result<bool, String> {
    match entry.delete_credential() {
        Ok(()) => Ok(true),
        Err(Error::NoEntry) => Ok(false),
        Err(error) => Err(explain(error, name)),
    }
}

fn look(entry: &Entry, name: &str) -> Result<bool, String> {
    match entry.get_password() {
        Ok(text) => super::checked(&Zeroizing::new(text)).map(|_| true),
        Err(Error::NoEntry) => Ok(false),
        Err(error) => Err(explain(error, name)),
    }
}

/// Runs one call on the entry of this name.
fn with<T: Send + 'static>(
    name: &str,
    patience: Duration,
    work: impl FnOnce(Entry, &str) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let name = name.to_owned();
    patiently(patience, move || match keyring::Entry::new(SERVICE, &name) {
        Ok(entry) => work(entry.inner, &name),
        Err(Error::NoDefaultStore) => {
            let why = keyring::Entry::store_status().as_ref().err().map(ToString::to_string).unwrap_or_default();
            Err(format!("the credential store of this account cannot be reached ({why}); {INSTEAD}"))
        }
        Err(error) => Err(explain(error, &name)),
    })
}

/// Runs a call that may never return.
fn patiently<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (answer, waiting) = mpsc::channel();
    let call = thread::Builder::new().name("credential-store".to_owned()).spawn(move || {
        let _ = answer.send(work()); // nobody listens any more when patience ran out first
    });
    call.map_err(|error| format!("no thread could be started for the credential store: {error}"))?;
    match waiting.recv_timeout(patience) {
        Ok(outcome) => outcome,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(format!(
            "the credential store did not answer within {} s; it may be waiting to be unlocked: unlock it and \
             try again; {INSTEAD}",
            patience.as_secs()
        )),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(format!("the access to the credential store broke down; {INSTEAD}"))
        }
    }
}

/// What the store said, and what to do. Never repeats what it holds: some of its errors carry the secret.
fn explain(error: Error, name: &str) -> String {
    match error {
        Error::NoEntry => format!("there is no such secret; store it with: lockstep secret set {name}"),
        Error::NoStorageAccess(why) => {
            format!("the credential store is locked or refuses ({why}); unlock it and try again; {INSTEAD}")
        }
        Error::PlatformFailure(why) => format!("the credential store failed ({why}); {INSTEAD}"),
        Error::BadEncoding(bytes) => {
            drop(Zeroizing::new(bytes));
            format!("what is stored is no UTF-8 text; store it again with: lockstep secret set {name}")
        }
        Error::BadDataFormat(bytes, why) => {
            drop(Zeroizing::new(bytes));
            format!("what is stored cannot be read ({why}); store it again with: lockstep secret set {name}")
        }
        Error::Ambiguous(entries) => {
            format!("the credential store holds {} entries of this name; remove all but one there", entries.len())
        }
        Error::TooLong(what, max) => format!("the credential store takes at most {max} characters as {what}"),
        Error::NoDefaultStore => format!("there is no credential store; {INSTEAD}"),
        other => format!("the credential store refused: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use keyring_core::api::CredentialStore;
    use keyring_core::mock;

    use super::*;

    fn entry() -> Entry {
        let store: Arc<CredentialStore> = mock::Store::new().expect("mock store");
        Entry::new_in_store(&store, SERVICE, "corp").expect("entry")
    }

    fn failing(error: Error) -> Entry {
        let entry = entry();
        let credential: &mock::Cred = entry.as_any().downcast_ref().expect("mock credential");
        credential.set_error(error);
        entry
    }

    #[test]
    fn what_is_set_is_found_until_it_is_removed() {
        let entry = entry();
        assert_eq!(look(&entry, "corp"), Ok(false));
        write(&entry, "corp", &Secret::new("s3cret".into())).expect("set");
        assert_eq!(read(&entry, "corp").expect("secret").expose(), "s3cret");
        assert_eq!(look(&entry, "corp"), Ok(true));
        assert_eq!(erase(&entry, "corp"), Ok(true));
        assert_eq!(erase(&entry, "corp"), Ok(false), "removing twice is no failure");
        assert!(read(&entry, "corp").expect_err("gone").contains("lockstep secret set corp"));
    }

    #[test]
    fn each_refusal_says_what_to_do_and_holds_no_secret() {
        let secret = || b"hunter2".to_vec();
        let why = || Box::<dyn std::error::Error + Send + Sync>::from("closed");
        let cases = [
            (Error::NoStorageAccess(why()), "unlock it"),
            (Error::PlatformFailure(why()), "file:PATH"),
            (Error::BadEncoding(secret()), "lockstep secret set corp"),
            (Error::BadDataFormat(secret(), why()), "lockstep secret set corp"),
            (Error::NoDefaultStore, "systemd:NAME"),
        ];
        for (error, expected) in cases {
            let said = read(&failing(error), "corp").expect_err("refused");
            assert!(said.contains(expected) && !said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn a_store_that_does_not_answer_is_given_up() {
        let (_hold, never) = mpsc::channel::<()>();
        let said = patiently(Duration::from_millis(10), move || never.recv().map_err(|error| error.to_string()));
        assert!(said.expect_err("no answer").contains("did not answer"));
    }

    #[test]
    fn a_store_that_breaks_down_does_not_take_us_with_it() {
        let said = patiently(READ_PATIENCE, || -> Result<(), String> { std::panic::resume_unwind(Box::new("broken")) });
        assert!(said.expect_err("broken").contains("broke down"));
    }
}
