//! The settings of a `[[target]]` of kind `staging`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use lockstep_contract::{Fault, FaultKind, Opening, SecretRefs};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::profile::ImportProfile;
use crate::profiles::REFERENCE;

/// Settings.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A short name of the site, for file names and outbox rows: lower-case letters, digits, `-`.
    pub site: String,
    /// How this importer wants its files or tables: a profile that comes with Lockstep.
    #[serde(default = "reference")]
    pub profile: String,
    /// A profile of your own, instead. Start from one in `connectors/staging/profiles/`.
    #[serde(default)]
    pub profile_file: Option<PathBuf>,
    /// A folder of this machine, outside the drop folder, for the manifest of each delivery. It names people; nobody else
    /// may read it.
    pub manifests: PathBuf,
    /// The folder from which the PACS imports files. Without it, changes go to the outbox in `database`.
    #[serde(default)]
    pub drop: Option<DropConfig>,
    /// The folder in which the PACS leaves fresh exports. Without it, records are read from the views in `database`; without
    /// those, nothing can be read back and nothing is delivered.
    #[serde(default)]
    pub export: Option<ExportConfig>,
    /// A PostgreSQL database with the outbox, the views, or both.
    #[serde(default)]
    pub database: Option<DatabaseConfig>,
    /// How long a delivery is waited for, in seconds: to be taken, and to be seen in a newer reading. What takes longer stays
    /// open and is settled later.
    #[serde(default = "wait_seconds")]
    pub wait_seconds: u32,
    /// How many deliveries may be waited for at one time.
    #[serde(default = "in_flight_max")]
    pub in_flight_max: NonZeroU32,
}

/// The drop folder.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropConfig {
    /// The folder.
    pub folder: PathBuf,
}

/// The exports.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportConfig {
    /// The folder.
    pub folder: PathBuf,
    /// An older export is not believed, in hours.
    #[serde(default = "age_hours_max")]
    pub age_hours_max: NonZeroU32,
    /// An export must have lain still for so many seconds: it may still be being written.
    #[serde(default = "settled_seconds")]
    pub settled_seconds: u32,
    /// An export must be so many seconds newer than a delivery to say anything about it: as long as the export takes, and
    /// as far as clocks disagree.
    #[serde(default = "margin_seconds")]
    pub margin_seconds: u32,
    /// An export with so many percent fewer rows than the one before is not believed.
    #[serde(default = "shrink_percent_max")]
    pub shrink_percent_max: u32,
}

/// A PostgreSQL database.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// Its host. The connection is encrypted and the server's certificate checked, except to this machine.
    pub host: String,
    /// Its port.
    #[serde(default = "port")]
    pub port: u16,
    /// The name of the database.
    pub name: String,
    /// The account: INSERT and SELECT on the outbox, SELECT on the views, and nothing else.
    pub user: String,
    /// Its password, as a reference, or as several of which the first that works is used.
    pub password: SecretRefs,
    /// The authority of its certificate, PEM. When given, no other authority is trusted.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The outbox, with its schema if it needs one.
    #[serde(default = "outbox")]
    pub outbox: String,
    /// How the importer says that it took a row.
    #[serde(default)]
    pub consumed: Consumed,
    /// The views show a row so many seconds after it was taken.
    #[serde(default)]
    pub settle_seconds: u32,
    /// A view with so many percent fewer rows than before is not believed.
    #[serde(default = "shrink_percent_max")]
    pub shrink_percent_max: u32,
}

/// How the importer says that it took a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Consumed {
    /// It sets the column `state`.
    #[default]
    State,
    /// It deletes the row.
    Deleted,
}

fn reference() -> String {
    REFERENCE.to_owned()
}

fn outbox() -> String {
    "lockstep_outbox".to_owned()
}

const fn port() -> u16 {
    5432
}

const fn wait_seconds() -> u32 {
    20
}

const fn settled_seconds() -> u32 {
    5
}

const fn margin_seconds() -> u32 {
    60
}

const fn shrink_percent_max() -> u32 {
    20
}

fn age_hours_max() -> NonZeroU32 {
    NonZeroU32::new(26).expect("not zero")
}

fn in_flight_max() -> NonZeroU32 {
    NonZeroU32::new(16).expect("not zero")
}

impl Config {
    /// By how many seconds a reading must be newer than a delivery.
    pub(crate) fn margin_seconds(&self) -> u32 {
        match (&self.export, &self.database) {
            (Some(export), _) => export.margin_seconds,
            (None, Some(database)) => database.settle_seconds,
            (None, None) => 0,
        }
    }

    /// Checks what no schema can, and reads the profile.
    pub(crate) fn import_profile(&self, system: &str, opening: &Opening<'_>) -> Result<ImportProfile, Fault> {
        let invalid = |message: String| Fault::new(FaultKind::Invalid, system, "open", message);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.site.is_empty() || self.site.len() > 32 || !self.site.chars().all(plain) {
            return Err(invalid("`site`: lower-case letters, digits and `-`, at most 32".to_owned()));
        }
        if self.drop.is_none() && self.database.is_none() {
            return Err(invalid("`drop` or `database` says where changes go; one of them is needed".to_owned()));
        }
        let manifests = opening.path(&self.manifests);
        if let Some(drop) = &self.drop
            && manifests.starts_with(opening.path(&drop.folder))
        {
            return Err(invalid("`manifests` must not lie in the drop folder: the importer would see it".to_owned()));
        }
        let profile = match &self.profile_file {
            Some(file) => ImportProfile::from_file(&opening.path(file)),
            None => ImportProfile::shipped(&self.profile),
        };
        profile.map_err(|error| invalid(format!("the profile: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_setting_and_a_literal_password_are_refused() {
        let minimal = r#"{"site":"hq","manifests":"m","drop":{"folder":"d"}}"#;
        let config: Config = serde_json::from_str(minimal).expect("minimal");
        assert_eq!((config.profile.as_str(), config.wait_seconds), (REFERENCE, 20));
        assert!(serde_json::from_str::<Config>(r#"{"site":"hq","manifest":"m"}"#).is_err());
        let database = r#"{"host":"h","name":"n","user":"u","password":"hunter2"}"#;
        assert!(serde_json::from_str::<DatabaseConfig>(database).is_err());
    }
}
