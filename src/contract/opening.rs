//! What a connector is given when it is opened: where relative paths start, and a way to fetch secrets by reference.
//!
//! No secret is ever a value of a configuration file: [`SecretRef`] does not parse from a literal.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

/// What a connector's `open` is given besides its configuration.
pub struct Opening<'a> {
    /// Relative paths in the configuration start here: the folder of the configuration file.
    pub base: &'a Path,
    /// Fetches secrets.
    pub secrets: &'a dyn Secrets,
}

impl Opening<'_> {
    /// A path of the configuration, made absolute.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }
}

/// Fetches secrets by reference.
pub trait Secrets: Send + Sync {
    /// The secret behind a reference.
    ///
    /// # Errors
    /// When the store cannot be reached, has no such secret, or keeps it where others can read it.
    fn get(&self, reference: &SecretRef) -> Result<Secret, SecretError>;

    /// The secret behind the first reference that works.
    ///
    /// # Errors
    /// When none works: what is wrong with the first, then with each of the others.
    fn first(&self, references: &SecretRefs) -> Result<Secret, SecretError> {
        let mut failed = Vec::new();
        for reference in references.iter() {
            match self.get(reference) {
                Ok(secret) => return Ok(secret),
                Err(error) => failed.push(error),
            }
        }
        Err(SecretError::all(failed))
    }
}

/// A secret could not be had. Never holds any part of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("secret `{reference}`: {message}")]
pub struct SecretError {
    /// Which one.
    pub reference: SecretRef,
    /// Why, and what to do.
    pub message: String,
}

impl SecretError {
    /// One for all places of a secret: what is wrong with the first, then with each of the others.
    pub fn all(failed: Vec<Self>) -> Self {
        let mut failed = failed.into_iter();
        let none = Self { reference: SecretRef::Env(String::new()), message: "it is kept nowhere".to_owned() };
        let first = failed.next().unwrap_or(none);
        failed.fold(first, |first, other| Self { message: format!("{}; and {other}", first.message), ..first })
    }
}

/// A secret: wiped when dropped, never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a secret over.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value. Call this where it is sent and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a secret is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SecretRef {
    /// `systemd:NAME`: a systemd credential, a file in `$CREDENTIALS_DIRECTORY`.
    Systemd(String),
    /// `keyring:NAME`: the credential store of the operating system.
    Keyring(String),
    /// `file:PATH`: a file that only its owner can read (0600).
    File(PathBuf),
    /// `env:NAME`: an environment variable. The weakest: other programs of the same user can read it.
    Env(String),
}

/// A text is no reference to a secret. It is not repeated here, since it may be the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a secret must be a reference (systemd:NAME, keyring:NAME, file:PATH or env:NAME), not the secret itself")]
pub struct NotASecretRef;

impl FromStr for SecretRef {
    type Err = NotASecretRef;
    fn from_str(text: &str) -> Result<Self, NotASecretRef> {
        let (kind, rest) = text.split_once(':').ok_or(NotASecretRef)?;
        let plain = !rest.is_empty()
            && rest.len() <= 128
            && !rest.starts_with('.')
            && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        match kind {
            "systemd" if plain => Ok(Self::Systemd(rest.to_owned())),
            "keyring" if plain => Ok(Self::Keyring(rest.to_owned())),
            "env" if plain => Ok(Self::Env(rest.to_owned())),
            "file" if !rest.is_empty() && !rest.contains('\0') => Ok(Self::File(PathBuf::from(rest))),
            _ => Err(NotASecretRef),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Systemd(name) => write!(f, "systemd:{name}"),
            Self::Keyring(name) => write!(f, "keyring:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
        }
    }
}

/// Where a secret is kept: in one place, or in several, of which the first that works is used. So the credential store
/// of a session may be locked, and the file beside it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SecretRefs(Vec<SecretRef>);

/// How [`SecretRefs`] stands in a configuration.
#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator};

    /// One place where a secret is kept, or several.
    #[derive(JsonSchema)]
    #[schemars(untagged)]
    #[expect(dead_code, reason = "only described, never built")]
    enum Places {
        One(String),
        Several(Vec<String>),
    }

    impl JsonSchema for super::SecretRefs {
        fn schema_name() -> Cow<'static, str> {
            Places::schema_name()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            Places::json_schema(generator)
        }
    }
}

/// So many places are tried.
const PLACES_MAX: usize = 4;

impl SecretRefs {
    /// The places, in the order in which they are tried. At least one.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &SecretRef> {
        self.0.iter()
    }
}

impl From<SecretRef> for SecretRefs {
    fn from(reference: SecretRef) -> Self {
        Self(vec![reference])
    }
}

impl<'de> Deserialize<'de> for SecretRefs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;
        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = SecretRefs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a reference to a secret, or a list of them")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SecretRefs, E> {
                text.parse().map(|reference: SecretRef| reference.into()).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<SecretRefs, A::Error> {
                let mut references = Vec::new();
                while let Some(reference) = list.next_element()? {
                    references.push(reference);
                }
                if (1..=PLACES_MAX).contains(&references.len()) {
                    Ok(SecretRefs(references))
                } else {
                    Err(serde::de::Error::custom(format!("a secret is kept in one to {PLACES_MAX} places")))
                }
            }
        }
        deserializer.deserialize_any(OneOrSeveral)
    }
}

impl TryFrom<String> for SecretRef {
    type Error = NotASecretRef;
    fn try_from(text: String) -> Result<Self, NotASecretRef> {
        text.parse()
    }
}

impl From<SecretRef> for String {
    fn from(reference: SecretRef) -> String {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_refused_without_being_repeated() {
        let err = "hunter2".parse::<SecretRef>().expect_err("no reference");
        assert!(!err.to_string().contains("hunter2"));
        assert!("env:a b".parse::<SecretRef>().is_err());
        assert!("systemd:../etc/shadow".parse::<SecretRef>().is_err());
    }

    #[test]
    fn references_print_as_they_are_written() {
        for text in ["systemd:ldap-bind", "keyring:corp", "file:secrets/ldap.pw", "env:LDAP_PW"] {
            assert_eq!(text.parse::<SecretRef>().expect("reference").to_string(), text);
        }
    }

    struct Locked;

    impl Secrets for Locked {
        fn get(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
            match reference {
                SecretRef::File(path) if path.ends_with("hq.pw") => Ok(Secret::new("hunter2".into())),
                _ => Err(SecretError { reference: reference.clone(), message: "locked".into() }),
            }
        }
    }

    #[test]
    fn the_first_reference_that_works_is_used_and_when_none_does_each_says_why() {
        let found = |text: &str| Locked.first(&serde_json::from_str(text).expect("references"));
        for works in [r#"["keyring:hq", "file:hq.pw"]"#, r#"["file:hq.pw", "keyring:hq"]"#, r#""file:hq.pw""#] {
            assert_eq!(found(works).expect("a secret").expose(), "hunter2");
        }
        let none = found(r#"["keyring:hq", "env:HQ"]"#).expect_err("locked").to_string();
        assert!(none.contains("`keyring:hq`: locked") && none.contains("`env:HQ`: locked"), "{none}");
    }

    #[test]
    fn no_list_holds_a_literal_or_nothing() {
        for wrong in [r#"["keyring:hq", "hunter2"]"#, r#""hunter2""#, "[]"] {
            let error = serde_json::from_str::<SecretRefs>(wrong).expect_err("no references").to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".into())), "Secret(…)");
    }
}
