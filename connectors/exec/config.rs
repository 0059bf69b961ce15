//! The settings of a connector that is a program of its own. This module must not start anything.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::PathBuf;

use lockstep_contract::SecretRefs;
use schemars::JsonSchema;
use serde::Deserialize;

/// A PACS that is reached through a program of somebody else, which speaks JSON-RPC 2.0 over its standard input and output.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The program. Started as it is, without a shell.
    pub command: PathBuf,
    /// The SHA-256 of the program, in hex. Another one is not started.
    #[schemars(with = "String")]
    pub sha256: Sha256,
    /// Its arguments. Everybody on the machine can read them: no secrets.
    #[serde(default)]
    pub args: Vec<String>,
    /// Other files that it consists of (a script, a library), each with its SHA-256. When one differs, nothing is started.
    #[schemars(with = "BTreeMap<PathBuf, String>")]
    #[serde(default)]
    pub files: BTreeMap<PathBuf, Sha256>,
    /// Its own settings, handed to it in the first message.
    #[serde(default)]
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// Its secrets, by the names that it knows them by. Handed to it in the first message, and nowhere else.
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretRefs>,
    /// Its environment. Nothing else is passed on. No secrets.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// How long it may take to start and to answer the first message, 1 to 60 seconds.
    #[serde(default = "start_seconds_max")]
    pub start_seconds_max: NonZeroU64,
}

/// A SHA-256 in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Sha256(String);

impl Sha256 {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Sha256 {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let text = text.to_ascii_lowercase();
        let hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then_some(Self(text)).ok_or("a SHA-256 has 64 hexadecimal digits, as `sha256sum FILE` prints them")
    }
}

fn start_seconds_max() -> NonZeroU64 {
    NonZeroU64::new(10).expect("not zero")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_needs_its_digest_and_secrets_are_references() {
        let digest = "ab".repeat(32);
        let with = |more: &str| serde_json::from_str::<Config>(&format!(r#"{{"command":"bin/pacs"{more}}}"#));
        assert!(with("").is_err());
        assert!(with(r#","sha256":"abc""#).expect_err("no digest").to_string().contains("sha256sum"));
        let config = with(&format!(r#","sha256":"{}""#, digest.to_uppercase())).expect("minimal");
        assert_eq!((config.sha256.as_str(), config.start_seconds_max.get()), (digest.as_str(), 10));
        let secret = |value: &str| with(&format!(r#","sha256":"{digest}","secrets":{{"password":"{value}"}}"#));
        assert!(secret("keyring:pacs").is_ok());
        let literal = secret("hunter2").expect_err("no reference");
        assert!(!literal.to_string().contains("hunter2"));
    }
}
