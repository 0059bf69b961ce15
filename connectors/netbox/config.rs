//! The settings of a NetBox target, as they stand in the configuration file. This module must not connect.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use lockstep_contract::{Fault, FaultKind, FieldName, InactiveStatus, KeyKind, Opening, Secret, SecretRefs};
use lockstep_http::{Auth, Client, Limits, Settings, Timeouts, checked_base};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::clock::Clock;
use crate::convert::Shape;
use crate::place::{Place, UserField};

/// A LenelS2 NetBox with its NBAPI v2 switched on.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The address of the NetBox, `https://netbox.example`; for NetBox Global with `/global` behind it. Plain `http` is
    /// accepted for this machine only.
    pub url: String,
    /// Where NBAPI is on it. Without this, `/nbws/goforms/nbapi` (6.0 and newer) is tried, then `/goforms/nbapi`.
    #[serde(default)]
    pub path: Option<String>,
    /// The log-in name of a NetBox user whose role has the API privilege.
    pub user: String,
    /// The password, as a reference, or as several of which the first that works is used.
    pub password: SecretRefs,
    /// Certificates of the authorities to trust, PEM. When given, no other authority is trusted. A NetBox comes with a
    /// certificate of its own making: export it, and name it here.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The time zone of the controller, as in `America/New_York`. NBAPI takes dates in controller time only.
    #[schemars(with = "String")]
    pub time_zone: ZoneName,
    /// A user-defined field, `UDF1` to `UDF20`, that nobody else uses. While somebody is suspended, it keeps the end of
    /// validity that they had.
    #[schemars(with = "String")]
    pub suspension_field: UserField,
    /// The expiration date that means "suspended by Lockstep". It must be in the past, and no real end may fall on it.
    #[schemars(with = "String")]
    #[serde(default = "suspension_date")]
    pub suspension_date: Date,
    /// The expiration date that stands for "no end", where an empty one does not: some day far in the future.
    #[schemars(with = "Option<String>")]
    #[serde(default)]
    pub open_end: Option<Date>,
    /// Where the keys by which people are recognised stand: `PERSONID` (the "ID #"), `UDF1` to `UDF20`, `CONTACTEMAIL`,
    /// ….
    #[schemars(with = "BTreeMap<String, String>")]
    #[serde(default = "keys")]
    pub keys: BTreeMap<KeyKind, Place>,
    /// Where further fields stand: `department = "UDF2"`. Names, mail address and telephone are known.
    #[schemars(with = "BTreeMap<String, String>")]
    #[serde(default)]
    pub fields: BTreeMap<FieldName, Place>,
    /// Card formats by the word that stands in front of a card number in a key: `26 = "26 bit Wiegand"` for
    /// `card:26-1234`. Without any, nobody is found by a card.
    #[serde(default)]
    pub card_formats: BTreeMap<String, String>,
    /// What the card statuses of this site mean, apart from `Active`: `Lost = "lost"`. List only those with which a
    /// card opens nothing. A card with any other status counts as one that works, unless it is disabled.
    #[schemars(with = "BTreeMap<String, String>")]
    #[serde(default)]
    pub card_statuses: BTreeMap<String, InactiveStatus>,
    /// The key of the one partition to work in. Without it, the one that the user signs in to.
    #[serde(default)]
    pub partition: Option<String>,
    /// How many people to ask for in one page. More than 1000 has not been tried anywhere.
    #[serde(default = "page_size")]
    pub page_size: NonZeroU32,
    /// How many requests may be in flight. A NetBox is a small appliance: leave it at one.
    #[serde(default = "in_flight_max")]
    pub in_flight_max: NonZeroU32,
    /// Never more requests than this in a minute.
    #[serde(default)]
    pub requests_per_minute: Option<NonZeroU32>,
    /// The longest answer that is taken, in bytes. A page that is longer is asked for again with fewer people.
    #[serde(default = "answer_bytes_max")]
    pub answer_bytes_max: NonZeroU32,
    /// How long one request may take, whatever the NetBox does.
    #[serde(default = "request_seconds_max")]
    pub request_seconds_max: NonZeroU64,
}

/// A time zone of the IANA database.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ZoneName(TimeZone);

impl TryFrom<String> for ZoneName {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        TimeZone::get(&name)
            .map(Self)
            .map_err(|_| format!("`{name}` is no time zone that this machine knows; write it as in `America/New_York`"))
    }
}

fn suspension_date() -> Date {
    Date::constant(2000, 1, 1)
}

fn keys() -> BTreeMap<KeyKind, Place> {
    BTreeMap::from([(KeyKind::Employee, Place::PERSON_ID)])
}

fn page_size() -> NonZeroU32 {
    NonZeroU32::new(1000).expect("not zero")
}

fn in_flight_max() -> NonZeroU32 {
    NonZeroU32::MIN
}

fn answer_bytes_max() -> NonZeroU32 {
    NonZeroU32::new(16 * 1024 * 1024).expect("not zero")
}

fn request_seconds_max() -> NonZeroU64 {
    NonZeroU64::new(120).expect("not zero")
}

impl Config {
    /// What a record of this site looks like.
    pub(crate) fn shape(&self) -> Result<Shape, String> {
        let mut fields = Place::known_fields();
        fields.extend(self.fields.clone());
        let suspension = self.suspension_field.place();
        let mut taken = BTreeSet::new();
        for (name, place) in &fields {
            if *place == Place::PERSON_ID {
                return Err(format!(
                    "`fields.{name}`: the ID # of a person cannot be changed, so it can only be a key"
                ));
            }
            if *place == suspension {
                return Err(format!("`fields.{name}` is `suspension_field`, which nothing else may use"));
            }
            if !taken.insert(*place) {
                return Err(format!("`fields.{name}`: another field stands in {place} already"));
            }
        }
        if let Some((kind, _)) = self.keys.iter().find(|(_, place)| **place == suspension) {
            return Err(format!("`keys.{kind}` is `suspension_field`, which nothing else may use"));
        }
        if self.keys.contains_key(&KeyKind::Card) {
            return Err("`keys.card`: cards are found by `card_formats`".to_owned());
        }
        if self.open_end.is_some_and(|end| end <= self.suspension_date) {
            return Err("`open_end` must be later than `suspension_date`".to_owned());
        }
        if let Some(status) = self.card_statuses.keys().find(|status| status.eq_ignore_ascii_case("active")) {
            return Err(format!("`card_statuses.{status}`: a card with this status works"));
        }
        let statuses = self.card_statuses.iter().map(|(word, status)| (word.to_ascii_lowercase(), *status)).collect();
        Ok(Shape {
            keys: self.keys.clone(),
            fields,
            suspension,
            clock: Clock { zone: self.time_zone.0.clone(), suspended: self.suspension_date, open_end: self.open_end },
            formats: self.card_formats.clone(),
            statuses,
        })
    }

    /// Makes the client. Connects to nothing.
    pub(crate) fn client(&self, system: &str, opening: &Opening<'_>) -> Result<Client, Fault> {
        let base = checked_base(&self.url).map_err(|error| invalid(system, &format!("`url`: {error}")))?;
        if let Some(path) = self.path.as_ref().filter(|path| !path.starts_with('/') || path.contains(['?', '#'])) {
            return Err(invalid(system, &format!("`path`: `{path}` is no path such as `/nbws/goforms/nbapi`")));
        }
        let settings = Settings {
            ca_file: self.ca_file.as_deref().map(|file| opening.path(file)),
            certificate: None,
            timeouts: Timeouts { total: Duration::from_secs(self.request_seconds_max.get()), ..Timeouts::default() },
            limits: Limits { answer_bytes_max: self.answer_bytes_max.get() as usize },
            requests_per_minute: self.requests_per_minute,
        };
        Client::open(system, base, Auth::None, settings)
    }

    /// The password.
    pub(crate) fn secret(&self, system: &str, opening: &Opening<'_>) -> Result<Secret, Fault> {
        opening.secrets.first(&self.password).map_err(|error| invalid(system, &error.to_string()))
    }
}

pub(crate) fn invalid(system: &str, message: &str) -> Fault {
    Fault::new(FaultKind::Invalid, system, "open", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"
        url = "https://netbox.example"
        user = "lockstep"
        password = "env:NETBOX"
        time_zone = "Europe/Vienna"
        suspension_field = "UDF20"
    "#;

    fn config(more: &str) -> Result<Config, toml::de::Error> {
        toml::from_str(&format!("{MINIMAL}\n{more}"))
    }

    #[test]
    fn the_minimum_is_enough_and_the_defaults_are_safe() {
        let config = config("").expect("minimal");
        assert_eq!((config.in_flight_max.get(), config.page_size.get()), (1, 1000));
        let shape = config.shape().expect("fits");
        assert_eq!(shape.keys.get(&KeyKind::Employee), Some(&Place::PERSON_ID));
        assert!(shape.statuses.is_empty(), "no status is believed to close a door unless somebody says so");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for wrong in [
            "pasword = \"env:A\"",
            "page_size = 0",
            "open_end = \"soon\"",
            "keys = { employee = \"PIN\" }",
            "keys = { employee = \"UDF21\" }",
            "fields = { department = \"ROLE\" }",
            "card_statuses = { Lost = \"asleep\" }",
        ] {
            assert!(config(wrong).is_err(), "{wrong}");
        }
        for (wrong, expect) in [
            ("fields = { department = \"UDF20\" }", "suspension_field"),
            ("fields = { department = \"PERSONID\" }", "cannot be changed"),
            ("fields = { department = \"LASTNAME\" }", "another field"),
            ("keys = { upn = \"UDF20\" }", "suspension_field"),
            ("keys = { card = \"UDF1\" }", "card_formats"),
            ("open_end = \"1999-01-01\"", "later"),
            ("card_statuses = { ACTIVE = \"lost\" }", "works"),
        ] {
            let error = config(wrong).expect(wrong).shape().expect_err(wrong);
            assert!(error.contains(expect), "{wrong}: {error}");
        }
        let elsewhere = MINIMAL.replace("Europe/Vienna", "Europe/Springfield");
        assert!(toml::from_str::<Config>(&elsewhere).expect_err("no zone").to_string().contains("America/New_York"));
        assert!(toml::from_str::<Config>(&MINIMAL.replace("env:NETBOX", "hunter2")).is_err());
    }
}
