//! Profiles: the plain attributes of a person or a cardholder, by field name.
//!
//! A profile is data for people to read and for the PACS to store; nothing is decided from it except by a mapping.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The field names Lockstep itself uses. Connectors translate their own names to these; a mapping may use others.
pub mod field {
    /// Given name.
    pub const GIVEN_NAME: &str = "given_name";
    /// Family name.
    pub const FAMILY_NAME: &str = "family_name";
    /// Name as shown to people.
    pub const DISPLAY_NAME: &str = "display_name";
    /// Employee number, as text.
    pub const EMPLOYEE_NUMBER: &str = "employee_number";
    /// Employee, contractor, visitor, …
    pub const EMPLOYEE_TYPE: &str = "employee_type";
    /// Department.
    pub const DEPARTMENT: &str = "department";
    /// Job title.
    pub const TITLE: &str = "title";
    /// The manager, as the directory names that person (often a distinguished name).
    pub const MANAGER: &str = "manager";
    /// Company.
    pub const COMPANY: &str = "company";
    /// Office or site.
    pub const SITE: &str = "site";
    /// Mail address.
    pub const MAIL: &str = "mail";
    /// Telephone number.
    pub const PHONE: &str = "phone";
    /// User principal name.
    pub const UPN: &str = "upn";
    /// Account name: `sAMAccountName`, `uid`.
    pub const ACCOUNT: &str = "account";
    /// Log-in name on the target, where it has one (SCIM `userName`).
    pub const USER_NAME: &str = "user_name";
}

/// A text was refused as a field name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no field name: it must match [a-z][a-z0-9_]*, at most 64 characters")]
pub struct FieldNameError {
    found: String,
}

/// The name of a field: `[a-z][a-z0-9_]{0,63}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct FieldName(std::borrow::Cow<'static, str>);

impl FieldName {
    /// Checks and wraps `name`.
    ///
    /// # Errors
    /// When it does not match `[a-z][a-z0-9_]{0,63}`.
    pub fn new(name: impl Into<String>) -> Result<Self, FieldNameError> {
        let name = name.into();
        if Self::valid(&name) { Ok(Self(name.into())) } else { Err(FieldNameError { found: name }) }
    }

    /// Wraps one of the constants of [`field`].
    ///
    /// # Panics
    /// At compile time or in the first test, when the constant is no field name.
    pub const fn known(name: &'static str) -> Self {
        assert!(!name.is_empty() && name.len() <= 64, "not a field name");
        Self(std::borrow::Cow::Borrowed(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn valid(name: &str) -> bool {
        name.len() <= 64
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    }
}

impl std::borrow::Borrow<str> for FieldName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for FieldName {
    type Err = FieldNameError;
    fn from_str(name: &str) -> Result<Self, FieldNameError> {
        Self::new(name)
    }
}

impl TryFrom<String> for FieldName {
    type Error = FieldNameError;
    fn try_from(name: String) -> Result<Self, FieldNameError> {
        Self::new(name)
    }
}

impl From<FieldName> for String {
    fn from(name: FieldName) -> String {
        name.0.into_owned()
    }
}

/// Field values by name. An absent field is *not known*; a field known to be empty holds `""`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Profile(BTreeMap<FieldName, String>);

impl Profile {
    /// No fields.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Sets a field; the last value stays.
    pub fn set(&mut self, name: FieldName, value: impl Into<String>) {
        self.0.insert(name, value.into());
    }

    /// The value of a field, if known.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All fields, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&FieldName, &str)> {
        self.0.iter().map(|(name, value)| (name, value.as_str()))
    }

    /// True when no field is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many fields are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<(FieldName, String)> for Profile {
    fn from_iter<I: IntoIterator<Item = (FieldName, String)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_field_is_a_valid_name() {
        for name in [
            field::GIVEN_NAME,
            field::FAMILY_NAME,
            field::DISPLAY_NAME,
            field::EMPLOYEE_NUMBER,
            field::EMPLOYEE_TYPE,
            field::DEPARTMENT,
            field::TITLE,
            field::MANAGER,
            field::COMPANY,
            field::SITE,
            field::MAIL,
            field::PHONE,
            field::UPN,
            field::ACCOUNT,
            field::USER_NAME,
        ] {
            assert_eq!(FieldName::new(name).expect("valid"), FieldName::known(name));
        }
    }

    #[test]
    fn names_that_would_need_quoting_are_refused() {
        for bad in ["", "Given", "1st", "a b", "a-b", "é"] {
            assert!(FieldName::new(bad).is_err(), "{bad:?}");
        }
    }
}
