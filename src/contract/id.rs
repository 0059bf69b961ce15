//! Identifiers. Each is a type of its own, so that a cardholder id can never be
//! passed where a person id is meant; none of them is ever a bare `String`.
//!
//! This module must not know what an identifier refers to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text was refused as an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text was empty.
    #[error("{kind} is empty")]
    Empty {
        /// Which identifier was asked for.
        kind: &'static str,
    },
    /// The text is longer than the limit in bytes.
    #[error("{kind} has {len} bytes; the limit is {max}")]
    TooLong {
        /// Which identifier was asked for.
        kind: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The text holds a character that is not printable, or one that is invisible.
    #[error("{kind} holds {found}, which does not print; ids are compared exactly, so it is refused")]
    Unprintable {
        /// Which identifier was asked for.
        kind: &'static str,
        /// The character as `U+XXXX`.
        found: String,
    },
    /// The text is not of the form this identifier needs.
    #[error("{kind} must be {expected}")]
    Form {
        /// Which identifier was asked for.
        kind: &'static str,
        /// The form that is expected.
        expected: &'static str,
    },
}

/// True for characters that must never stand in an identifier: controls, bidirectional
/// overrides, zero-width characters and other invisible format characters.
pub(crate) fn invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

pub(crate) fn check_text(kind: &'static str, text: &str, max: usize) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { kind });
    }
    if text.len() > max {
        return Err(IdError::TooLong { kind, len: text.len(), max });
    }
    // Of ASCII, only control characters are invisible; most ids are ASCII, and there are millions of them.
    let found = if text.is_ascii() {
        text.bytes().find(u8::is_ascii_control).map(char::from)
    } else {
        text.chars().find(|c| invisible(*c))
    };
    match found {
        Some(c) => Err(IdError::Unprintable { kind, found: format!("U+{:04X}", c as u32) }),
        None => Ok(()),
    }
}

/// An identifier is compared byte for byte; the macro gives all of them the same face.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal $(, $rule:expr, $expected:literal)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks and wraps `text`.
            ///
            /// # Errors
            /// When it is empty, too long, holds an invisible character, or has not the form this id needs.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check_text($kind, &text, $max)?;
                $(if !($rule)(text.as_str()) {
                    return Err(IdError::Form { kind: $kind, expected: $expected });
                })?
                Ok(Self(text.into_boxed_str()))
            }

            /// The text, exactly as given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.into_string()
            }
        }
    };
}

/// A name that is also used in file names: `[a-z0-9][a-z0-9_-]{0,63}` and not reserved by an operating system.
fn plain_name(text: &str) -> bool {
    const RESERVED: [&str; 4] = ["con", "nul", "aux", "prn"];
    let device =
        |prefix: &str| text.strip_prefix(prefix).is_some_and(|d| d.len() == 1 && d.as_bytes()[0].is_ascii_digit());
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
        && !RESERVED.contains(&text)
        && !device("com")
        && !device("lpt")
}

fn hex_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

text_id!(
    /// A record on a PACS. Assigned by the PACS, never by us.
    CardholderId, "cardholder id", 512);
text_id!(
    /// A card, mobile pass or PIN on a PACS, as the PACS names the record (never the number or the PIN itself).
    CredentialId, "credential id", 512);
text_id!(
    /// An access level: what a cardholder may open and when.
    AccessLevelId, "access level id", 512);
text_id!(
    /// A directory group as the mapping writes it: a name, a distinguished name or an immutable id, in the
    /// spelling of the mapping. The connector resolves it; two matches are a fault, never a choice.
    GroupId, "group", 1024);
text_id!(
    /// A site of a PACS.
    SiteId, "site id", 256);
text_id!(
    /// A configured PACS. Also used in file names.
    TargetId, "target id", 64, plain_name, "lower-case letters, digits, `-` and `_`, starting with a letter or digit, at most 64, and no reserved file name");
text_id!(
    /// A configured directory. Also used in file names.
    DirectoryId, "directory id", 64, plain_name, "lower-case letters, digits, `-` and `_`, starting with a letter or digit, at most 64, and no reserved file name");
text_id!(
    /// One action of one plan: the SHA-256 of run, target, subject and steps, in hex. Stable and idempotent.
    ActionId, "action id", 64, hex_digest, "64 lower-case hexadecimal digits");
text_id!(
    /// The SHA-256 of a cardholder record as it was read, in hex.
    ImageDigest, "image digest", 64, hex_digest, "64 lower-case hexadecimal digits");

/// A person, by the identifier that the directory never changes: `objectGUID`, `entryUUID`, an Entra object id,
/// or the key column of an HR feed.
///
/// UUIDs are held in 16 bytes, since a census of a million people holds several million of these; every spelling
/// of one UUID (upper case, braces) is the same id. Anything else is text, compared byte for byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct PersonId(Repr);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    Uuid(uuid::Uuid),
    Text(Box<str>),
}

impl PersonId {
    /// Checks and wraps `text`. A UUID in any common spelling is recognised.
    ///
    /// # Errors
    /// When it is empty, over 512 bytes, or holds an invisible character.
    pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
        let text = text.as_ref();
        check_text("person id", text, 512)?;
        if matches!(text.len(), 36 | 38)
            && let Ok(uuid) = uuid::Uuid::try_parse(text)
        {
            return Ok(Self(Repr::Uuid(uuid)));
        }
        Ok(Self(Repr::Text(text.into())))
    }

    /// Wraps a UUID in network byte order. `objectGUID` of Active Directory is mixed-endian on the wire and must be
    /// turned round first ([MS-DTYP] 2.3.4.2); the LDAP connector has the one decoder for that.
    pub const fn from_uuid(uuid: uuid::Uuid) -> Self {
        Self(Repr::Uuid(uuid))
    }

    /// The UUID, if this id is one.
    pub const fn as_uuid(&self) -> Option<uuid::Uuid> {
        match &self.0 {
            Repr::Uuid(uuid) => Some(*uuid),
            Repr::Text(_) => None,
        }
    }
}

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Uuid(uuid) => f.pad(uuid.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer())),
            Repr::Text(text) => f.pad(text),
        }
    }
}

impl fmt::Debug for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PersonId({self})")
    }
}

impl FromStr for PersonId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl TryFrom<String> for PersonId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl From<PersonId> for String {
    fn from(id: PersonId) -> String {
        id.to_string()
    }
}

/// One run, from reading to closing. A version 7 UUID, so runs sort by the time they began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct RunId(uuid::Uuid);

impl RunId {
    /// Wraps the UUID that the shell drew; this crate draws no randomness and reads no clock.
    pub const fn new(uuid: uuid::Uuid) -> Self {
        Self(uuid)
    }

    /// The UUID.
    pub const fn uuid(&self) -> uuid::Uuid {
        self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()))
    }
}

impl FromStr for RunId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        uuid::Uuid::try_parse(text).map(Self).map_err(|_| IdError::Form { kind: "run id", expected: "a UUID" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_uuid_in_every_spelling_is_one_person() {
        let plain = PersonId::new("6f9619ff-8b86-d011-b42d-00c04fc964ff").expect("uuid");
        for spelling in ["6F9619FF-8B86-D011-B42D-00C04FC964FF", "{6f9619ff-8b86-d011-b42d-00c04fc964ff}"] {
            assert_eq!(PersonId::new(spelling).expect("uuid"), plain);
        }
        assert_eq!(plain.to_string(), "6f9619ff-8b86-d011-b42d-00c04fc964ff");
    }

    #[test]
    fn employee_numbers_keep_their_leading_zeros() {
        assert_ne!(PersonId::new("00123").expect("id"), PersonId::new("123").expect("id"));
    }

    #[test]
    fn invisible_characters_are_refused_by_name() {
        let err = CardholderId::new("1234\u{200b}").expect_err("zero width space");
        assert!(err.to_string().contains("U+200B"), "{err}");
        assert!(GroupId::new("a\nb").is_err());
        assert!(PersonId::new("\u{202e}abc").is_err());
    }

    #[test]
    fn names_used_in_files_are_safe_everywhere() {
        for bad in ["", "../x", "HQ", "con", "com1", "-a", "a b", "é", &"a".repeat(65)] {
            assert!(TargetId::new(bad).is_err(), "{bad:?} should be refused");
        }
        assert!(TargetId::new("hq-2_east").is_ok());
    }
}
