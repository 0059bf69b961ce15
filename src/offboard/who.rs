//! How a person is named on the command line: `employee:10482`, `upn:…`, `mail:…`, `account:…`, `card:26-1234`,
//! `directory:…`, `cardholder:hq/5871`.

use std::fmt;
use std::str::FromStr;

use lockstep_contract::{CardholderId, CorrelationKey, IdError, KeyError, KeyKind, TargetId};

/// Kinds of key of which one human has one value, and of which nobody inherits another's: cards, mail addresses and
/// accounts change hands.
pub(crate) const SURE: [KeyKind; 2] = [KeyKind::Directory, KeyKind::Employee];

/// A person, as named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// By a key that holds on every PACS.
    Key(CorrelationKey),
    /// By one record on one PACS.
    Cardholder {
        /// The PACS.
        target: TargetId,
        /// The record.
        id: CardholderId,
    },
    /// By a value without a kind: it must match exactly one person, whatever kind of key it is.
    Bare(String),
}

/// A text names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhoError {
    /// It is empty.
    #[error("a person is needed: employee:10482, upn:jdoe@corp.example, card:26-1234 or cardholder:hq/5871")]
    Empty,
    /// It holds a pattern character. One person is named exactly, never by pattern.
    #[error("`{found}` holds `{pattern}`, which is no pattern here: a person is named exactly")]
    Pattern {
        /// The text found.
        found: String,
        /// The character.
        pattern: char,
    },
    /// `cardholder:` without a target.
    #[error("`cardholder:{found}` needs the target too: cardholder:TARGET/ID, as in cardholder:hq/5871")]
    Target {
        /// The text found.
        found: String,
    },
    /// An id is not of the right form.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A key is not of the right form.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Who {
    /// Whether this says by itself which human is meant. Anything else may be different humans' on two PACS, or miss the
    /// same human's other card: what the PACS have is looked at together then.
    pub fn is_sure(&self) -> bool {
        match self {
            Self::Key(key) => SURE.contains(&key.kind()),
            Self::Cardholder { .. } => true,
            Self::Bare(_) => false,
        }
    }

    /// The keys to look for. A bare value may be any kind but a card number or a directory id.
    pub fn keys(&self) -> Vec<CorrelationKey> {
        match self {
            Self::Key(key) => vec![key.clone()],
            Self::Cardholder { .. } => Vec::new(),
            Self::Bare(value) => [KeyKind::Employee, KeyKind::Upn, KeyKind::Mail, KeyKind::Account]
                .into_iter()
                .filter_map(|kind| CorrelationKey::new(kind, value).ok())
                .collect(),
        }
    }
}

impl FromStr for Who {
    type Err = WhoError;
    fn from_str(text: &str) -> Result<Self, WhoError> {
        if text.is_empty() {
            return Err(WhoError::Empty);
        }
        if let Some(pattern) = text.chars().find(|c| matches!(c, '*' | '%' | '?')) {
            return Err(WhoError::Pattern { found: text.to_owned(), pattern });
        }
        let Some((kind, value)) = text.split_once(':') else {
            CorrelationKey::new(KeyKind::Employee, text)?;
            return Ok(Self::Bare(text.to_owned()));
        };
        if kind == "cardholder" {
            let (target, id) = value.split_once('/').ok_or_else(|| WhoError::Target { found: value.to_owned() })?;
            return Ok(Self::Cardholder { target: TargetId::new(target)?, id: CardholderId::new(id)? });
        }
        Ok(Self::Key(CorrelationKey::new(kind.parse()?, value)?))
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => key.fmt(f),
            Self::Cardholder { target, id } => write!(f, "cardholder:{target}/{id}"),
            Self::Bare(value) => f.write_str(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_name_somebody_reads_back_as_written() {
        for text in ["employee:10482", "upn:jdoe@corp.example", "cardholder:hq/5871", "10482"] {
            assert_eq!(text.parse::<Who>().expect("valid").to_string(), text);
        }
        assert_eq!("card:26-123456".parse::<Who>().expect("valid").to_string(), "card:…3456", "masked when shown");
    }

    #[test]
    fn patterns_and_nothing_name_nobody() {
        for text in ["", "*", "employee:*", "employee:1%", "cardholder:5871", "badge:1", "employee: 1"] {
            assert!(text.parse::<Who>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_bare_value_is_looked_for_as_every_plain_kind_of_key() {
        let kinds: Vec<_> = "10482".parse::<Who>().expect("valid").keys().iter().map(CorrelationKey::kind).collect();
        assert_eq!(kinds, [KeyKind::Employee, KeyKind::Upn, KeyKind::Mail, KeyKind::Account]);
    }
}
