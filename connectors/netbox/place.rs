//! The fields of a person that Lockstep may read and write, by their names in NBAPI. PIN, password, role and log-in
//! name are not among them, and must not be.

use std::collections::BTreeMap;
use std::fmt;

use lockstep_contract::{FieldName, field};
use serde::{Deserialize, Deserializer};

const PLACES: [&str; 31] = [
    "PERSONID",
    "FIRSTNAME",
    "MIDDLENAME",
    "LASTNAME",
    "NOTES",
    "CONTACTPHONE",
    "CONTACTEMAIL",
    "CONTACTSMSEMAIL",
    "CONTACTLOCATION",
    "MOBILEPHONE",
    "OTHERCONTACTNAME",
    "UDF1",
    "UDF2",
    "UDF3",
    "UDF4",
    "UDF5",
    "UDF6",
    "UDF7",
    "UDF8",
    "UDF9",
    "UDF10",
    "UDF11",
    "UDF12",
    "UDF13",
    "UDF14",
    "UDF15",
    "UDF16",
    "UDF17",
    "UDF18",
    "UDF19",
    "UDF20",
];

/// A field of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(&'static str);

impl Place {
    pub(crate) const PERSON_ID: Self = Self("PERSONID");
    pub(crate) const LAST_NAME: Self = Self("LASTNAME");

    /// Its name in NBAPI.
    pub(crate) const fn name(self) -> &'static str {
        self.0
    }

    /// Where the fields stand that every NetBox has a place for.
    pub(crate) fn known_fields() -> BTreeMap<FieldName, Self> {
        BTreeMap::from([
            (FieldName::known(field::GIVEN_NAME), Self("FIRSTNAME")),
            (FieldName::known(field::FAMILY_NAME), Self::LAST_NAME),
            (FieldName::known(field::MAIL), Self("CONTACTEMAIL")),
            (FieldName::known(field::PHONE), Self("CONTACTPHONE")),
        ])
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl TryFrom<String> for Place {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        PLACES.into_iter().find(|place| *place == name).map(Self).ok_or_else(|| {
            format!("`{name}` is no field of a person that can be used here; use UDF1 to UDF20, NOTES, CONTACTEMAIL, …")
        })
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A user-defined field of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Place")]
pub struct UserField(Place);

impl UserField {
    pub(crate) const fn place(self) -> Place {
        self.0
    }
}

impl TryFrom<Place> for UserField {
    type Error = &'static str;
    fn try_from(place: Place) -> Result<Self, &'static str> {
        if place.0.starts_with("UDF") { Ok(Self(place)) } else { Err("only UDF1 to UDF20 can be used for this") }
    }
}
