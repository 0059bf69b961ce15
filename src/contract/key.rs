//! Correlation keys: the values by which a person and a cardholder are recognised as one human.
//!
//! Normalisation happens here, once, at construction, so that comparing two keys is comparing bytes. This module
//! must not decide which key is trusted; the mapping's `correlate` order does.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::id::{IdError, check_text};

/// What kind of value a [`CorrelationKey`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// The directory's immutable id, stored on the PACS (SCIM `externalId`, a personal data field).
    Directory,
    /// Employee number. Text: `00123` and `123` are two people.
    Employee,
    /// User principal name, compared without ASCII case.
    Upn,
    /// Mail address, compared without ASCII case.
    Mail,
    /// Account name (`sAMAccountName`, `uid`), compared without ASCII case.
    Account,
    /// Card number as printed, with its format or facility in front: `26-1234`.
    Card,
}

impl KeyKind {
    /// Every kind, in order.
    pub const ALL: [Self; 6] = [Self::Directory, Self::Employee, Self::Upn, Self::Mail, Self::Account, Self::Card];

    /// The word used in mappings and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Employee => "employee",
            Self::Upn => "upn",
            Self::Mail => "mail",
            Self::Account => "account",
            Self::Card => "card",
        }
    }

    const fn folds_case(self) -> bool {
        match self {
            Self::Upn | Self::Mail | Self::Account | Self::Directory => true,
            Self::Employee | Self::Card => false,
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for KeyKind {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::ALL.into_iter().find(|k| k.as_str() == text).ok_or_else(|| KeyError::Kind { found: text.to_owned() })
    }
}

/// Why a value was refused as a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The value is empty, too long, or holds an invisible character.
    #[error(transparent)]
    Value(#[from] IdError),
    /// The value starts or ends with a blank. Nothing is trimmed silently: ` 123` may be somebody else.
    #[error("{kind} key starts or ends with a blank")]
    Blank {
        /// The kind of key.
        kind: KeyKind,
    },
    /// The word before the colon is no kind of key.
    #[error("`{found}` is no kind of key; use directory:, employee:, upn:, mail:, account: or card:")]
    Kind {
        /// The word found.
        found: String,
    },
}

/// One key with its kind. Values are NFC; kinds that ignore case are in ASCII lower case. Never locale-aware.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "WireKey", into = "WireKey")]
pub struct CorrelationKey {
    kind: KeyKind,
    value: Box<str>,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct WireKey {
    kind: KeyKind,
    value: String,
}

impl CorrelationKey {
    /// Checks and normalises.
    ///
    /// # Errors
    /// When the value is empty, over 512 bytes, has a blank at either end, or holds an invisible character.
    pub fn new(kind: KeyKind, value: &str) -> Result<Self, KeyError> {
        check_text("key", value, 512)?;
        if value.trim() != value {
            return Err(KeyError::Blank { kind });
        }
        // ASCII is composed as it is.
        let mut value: String = if value.is_ascii() { value.to_owned() } else { value.nfc().collect() };
        if kind.folds_case() {
            value.make_ascii_lowercase();
        }
        Ok(Self { kind, value: value.into_boxed_str() })
    }

    /// What kind of value it is.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The normalised value.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl TryFrom<WireKey> for CorrelationKey {
    type Error = KeyError;
    fn try_from(wire: WireKey) -> Result<Self, KeyError> {
        Self::new(wire.kind, &wire.value)
    }
}

impl From<CorrelationKey> for WireKey {
    fn from(key: CorrelationKey) -> Self {
        Self { kind: key.kind, value: key.value.into_string() }
    }
}

impl fmt::Display for CorrelationKey {
    /// `kind:value`. Card numbers are masked to their last four characters: a number in full is a secret (S11).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            KeyKind::Card => write!(f, "card:{}", mask(&self.value)),
            _ => write!(f, "{}:{}", self.kind, self.value),
        }
    }
}

impl fmt::Debug for CorrelationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CorrelationKey({self})")
    }
}

/// Hides all but the last four characters.
pub(crate) fn mask(number: &str) -> String {
    let count = number.chars().count();
    let tail: String = number.chars().skip(count.saturating_sub(4)).collect();
    if count <= 4 { "…".to_owned() } else { format!("…{tail}") }
}

/// All keys of one person or cardholder; several of one kind are allowed (a cardholder may hold two cards).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct CorrelationKeys(BTreeSet<CorrelationKey>);

impl CorrelationKeys {
    /// No keys at all.
    pub const fn new() -> Self {
        Self(BTreeSet::new())
    }

    /// Adds a key.
    pub fn insert(&mut self, key: CorrelationKey) {
        self.0.insert(key);
    }

    /// All keys, ordered by kind and value.
    pub fn iter(&self) -> impl Iterator<Item = &CorrelationKey> {
        self.0.iter()
    }

    /// The keys of one kind.
    pub fn of(&self, kind: KeyKind) -> impl Iterator<Item = &CorrelationKey> {
        self.0.iter().filter(move |k| k.kind == kind)
    }

    /// True when this very key is among them.
    pub fn contains(&self, key: &CorrelationKey) -> bool {
        self.0.contains(key)
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<CorrelationKey> for CorrelationKeys {
    fn from_iter<I: IntoIterator<Item = CorrelationKey>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: KeyKind, value: &str) -> CorrelationKey {
        CorrelationKey::new(kind, value).expect("valid key")
    }

    #[test]
    fn mail_ignores_ascii_case_and_composition_but_employee_numbers_are_exact() {
        assert_eq!(key(KeyKind::Mail, "Zo\u{65}\u{308}@x.example"), key(KeyKind::Mail, "zo\u{eb}@X.example"));
        assert_ne!(key(KeyKind::Employee, "00123"), key(KeyKind::Employee, "123"));
        assert_ne!(key(KeyKind::Employee, "a1"), key(KeyKind::Employee, "A1"));
    }

    #[test]
    fn cyrillic_look_alikes_do_not_join() {
        assert_ne!(key(KeyKind::Upn, "paul@x.example"), key(KeyKind::Upn, "р\u{430}ul@x.example"));
    }

    #[test]
    fn blanks_and_invisible_characters_are_refused_not_repaired() {
        for bad in ["", " 123", "123 ", "12\u{200b}3"] {
            assert!(CorrelationKey::new(KeyKind::Employee, bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_card_number_never_prints_in_full() {
        let card = key(KeyKind::Card, "26-0012345678");
        assert_eq!(card.to_string(), "card:…5678");
        assert!(!format!("{card:?}").contains("26-00"));
    }
}
