//! `secret`: sets, checks and removes secrets in the credential store of the operating system. A secret comes from a
//! terminal that does not echo, or from standard input; it is never an argument and never printed.

use std::io::{self, IsTerminal as _};

use clap::{Args, Subcommand};
use lockstep_contract::{Secret as Value, SecretRef, Secrets as _};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};
use crate::secrets::{self, Stores, keyring};
use crate::terminal::Terminal;

/// Secrets in the credential store of the operating system
#[derive(Debug, Args)]
pub(crate) struct Secret {
    #[command(subcommand)]
    verb: SecretVerb,
}

#[derive(Debug, Subcommand)]
enum SecretVerb {
    /// Keep a secret, read from the terminal without echo or from standard input
    Set {
        /// The name: NAME or keyring:NAME, as the configuration refers to it
        name: String,
    },
    /// Say whether a secret can be fetched, without printing it
    Check {
        /// keyring:NAME, systemd:NAME, file:PATH, env:NAME, or a bare NAME of the credential store
        reference: String,
    },
    /// Remove a secret from the credential store
    Remove {
        /// The name: NAME or keyring:NAME
        name: String,
    },
}

/// The document of `secret --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Done {
    schema: &'static str,
    reference: String,
    /// `set`, `there`, `removed` or `was not there`.
    outcome: &'static str,
}

impl Secret {
    pub(crate) fn run(self, terminal: Terminal) -> Result<Exit, Failure> {
        let (reference, outcome) = match self.verb {
            SecretVerb::Set { name } => {
                let (reference, name) = stored(&name)?;
                let value = read(&reference)?;
                keyring::set(&name, &value).map_err(|error| failed(&error, "nothing was kept"))?;
                (reference, "set")
            }
            SecretVerb::Check { reference } => {
                let reference = parse(&reference)?;
                check(&reference)?;
                (reference, "there")
            }
            SecretVerb::Remove { name } => {
                let (reference, name) = stored(&name)?;
                let was_there = keyring::remove(&name).map_err(|error| failed(&error, "nothing was removed"))?;
                (reference, if was_there { "removed" } else { "was not there" })
            }
        };
        let done = Done { schema: "lockstep/secret/1", reference: reference.to_string(), outcome };
        terminal.show(&done, || format!("{reference}: {outcome}"))?;
        Ok(Exit::Done)
    }
}

fn failed(error: &dyn std::fmt::Display, not_done: &str) -> Failure {
    Failure::new(Exit::Failed, error.to_string()).not_done(not_done)
}

/// A reference; a bare name is one of the credential store.
fn parse(text: &str) -> Result<SecretRef, Failure> {
    let text = if text.contains(':') { text.to_owned() } else { format!("keyring:{text}") };
    // What was typed is not repeated: it may be the secret itself.
    text.parse().map_err(|error: lockstep_contract::NotASecretRef| Failure::new(Exit::Usage, error.to_string()))
}

/// A reference to the credential store, which is the only one that is written to.
fn stored(text: &str) -> Result<(SecretRef, String), Failure> {
    match parse(text)? {
        SecretRef::Keyring(name) => Ok((SecretRef::Keyring(name.clone()), name)),
        SecretRef::Systemd(_) | SecretRef::File(_) | SecretRef::Env(_) => {
            Err(Failure::new(Exit::Usage, "only the credential store of the operating system is written to")
                .not_done("nothing was changed")
                .next("name it keyring:NAME; files and systemd credentials are made with their own tools"))
        }
    }
}

/// Fetches a secret to see whether that works, and drops it.
fn check(reference: &SecretRef) -> Result<(), Failure> {
    if let SecretRef::Keyring(name) = reference {
        if keyring::check(name).map_err(|error| failed(&error, "nothing was fetched"))? {
            return Ok(());
        }
        let missing = failed(&format!("there is no secret {reference}"), "nothing was fetched");
        return Err(missing.next(format!("lockstep secret set {name}")));
    }
    // Relative paths start here: this verb reads no configuration.
    let base = std::env::current_dir().unwrap_or_default();
    drop(Stores::new(&base).get(reference).map_err(|error| failed(&error, "nothing was fetched"))?);
    Ok(())
}

/// The secret, from the terminal without echo or from standard input.
fn read(reference: &SecretRef) -> Result<Value, Failure> {
    let unread = |error: String| failed(&format!("the secret was not read: {error}"), "nothing was kept");
    if !io::stdin().is_terminal() {
        return secrets::read_from(io::stdin().lock()).map_err(unread);
    }
    let terminal = console::Term::stderr();
    let line = terminal
        .write_str(&format!("Secret for {reference} (not shown): "))
        .and_then(|()| terminal.read_secure_line())
        .map_err(|error| unread(error.to_string()))?;
    let line = Zeroizing::new(line);
    secrets::read_from(line.as_bytes()).map_err(unread)
}
