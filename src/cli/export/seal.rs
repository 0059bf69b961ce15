//! Encryption of the sets to age recipients, where that is configured. This module must never let a configured
//! recipient end in plain text.

use crate::exit::{Exit, Failure};

/// Whom the files of a set are for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seal {
    recipients: Vec<String>,
}

impl Seal {
    /// For these recipients; for nobody in particular when there are none.
    pub(crate) fn new(recipients: &[String]) -> Result<Self, Failure> {
        if !recipients.is_empty() {
            usable(recipients).map_err(|(why, next)| {
                Failure::new(Exit::Config, format!("`export_recipients`: {why}"))
                    .not_done("no export was written: it would have been plain text")
                    .next(next)
            })?;
        }
        Ok(Self { recipients: recipients.to_vec() })
    }

    /// The recipients, for the manifest.
    pub(crate) fn recipients(&self) -> Vec<String> {
        self.recipients.clone()
    }

    /// A file as it is written: under its own name, or encrypted with `.age` behind it.
    pub(crate) fn close(&self, name: &str, bytes: &[u8]) -> Result<(String, Vec<u8>), Failure> {
        if self.recipients.is_empty() {
            return Ok((name.to_owned(), bytes.to_vec()));
        }
        let sealed = encrypt(&self.recipients, bytes).map_err(|why| {
            Failure::new(Exit::Failed, format!("{name} could not be encrypted: {why}"))
                .not_done("no export was written; the older ones are as they were")
        })?;
        Ok((format!("{name}.age"), sealed))
    }
}

/// Why these recipients cannot be used, and what to do.
#[cfg(not(feature = "age"))]
fn usable(_: &[String]) -> Result<(), (String, String)> {
    let why = "this program was built without encryption";
    let next = "build it with `--features age`, or remove `export_recipients` and encrypt the folder otherwise";
    Err((why.to_owned(), next.to_owned()))
}

#[cfg(not(feature = "age"))]
fn encrypt(_: &[String], _: &[u8]) -> Result<Vec<u8>, String> {
    Err("this program was built without encryption".to_owned())
}

/// Why these recipients cannot be used, and what to do.
#[cfg(feature = "age")]
fn usable(recipients: &[String]) -> Result<(), (String, String)> {
    keys(recipients).map(drop).map_err(|why| (why, "write them as `age-keygen -y KEY.txt` prints them".to_owned()))
}

#[cfg(feature = "age")]
fn keys(recipients: &[String]) -> Result<Vec<age::x25519::Recipient>, String> {
    recipients.iter().map(|text| text.parse().map_err(|why| format!("{text}: {why}"))).collect()
}

#[cfg(feature = "age")]
fn encrypt(recipients: &[String], bytes: &[u8]) -> Result<Vec<u8>, String> {
    use std::io::Write as _;

    let keys = keys(recipients)?;
    let to = keys.iter().map(|key| key as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(to).map_err(|error| error.to_string())?;
    let mut sealed = Vec::with_capacity(bytes.len() + 512);
    let mut writer = encryptor.wrap_output(&mut sealed).map_err(|error| error.to_string())?;
    writer.write_all(bytes).map_err(|error| error.to_string())?;
    writer.finish().map_err(|error| error.to_string())?;
    Ok(sealed)
}

#[cfg(all(test, feature = "age"))]
mod tests {
    use super::*;

    #[test]
    fn each_recipient_can_open_it_and_nobody_else() {
        let keys = [age::x25519::Identity::generate(), age::x25519::Identity::generate()];
        let seal = Seal::new(&keys.each_ref().map(|key| key.to_public().to_string())).expect("recipients");
        let (name, sealed) = seal.close("hq/all.csv", b"who has what").expect("encrypted");
        assert_eq!(name, "hq/all.csv.age");
        for key in &keys {
            assert_eq!(age::decrypt(key, &sealed).expect("opened"), b"who has what");
        }
        assert!(age::decrypt(&age::x25519::Identity::generate(), &sealed).is_err());
    }
}
