//! The settings of an OnGuard target, as they stand in the configuration file. This module must not connect.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use lockstep_contract::{Fault, FaultKind, FieldName, KeyKind, Opening, Secret, SecretRefs, field};
use lockstep_http::{Auth, Client, Limits, Settings, Timeouts, checked_base};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// LenelS2 OnGuard, through OpenAccess.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The base address, `https://onguard.example:8080/api/access/onguard/openaccess`. Plain `http` is accepted for this
    /// machine only.
    pub url: String,
    /// The application id that the OnGuard licence of this site lists. It names the program and is no secret.
    pub application_id: String,
    /// The OnGuard user.
    pub user_name: String,
    /// The password of that user, as a reference, or as several of which the first that works is used.
    pub password: SecretRefs,
    /// The directory that this user logs on to: `id-1` is OnGuard's own. Empty: none is sent.
    #[serde(default = "directory_id")]
    pub directory_id: String,
    /// Certificates of the authorities to trust, PEM. When given, no other authority is trusted.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// In which properties of a cardholder its keys stand. At least one of `employee` and `directory`.
    pub keys: Keys,
    /// In which property of a cardholder each field stands.
    #[serde(default = "fields")]
    pub fields: BTreeMap<String, Stored>,
    /// What every new cardholder gets beside its fields: a segment, a property that this site requires.
    #[serde(default)]
    pub new_cardholder: BTreeMap<String, Constant>,
    /// What the badge statuses of this site mean, by the names that OnGuard shows.
    pub badge_status: BadgeStatuses,
    /// How many records to ask for in one page.
    #[serde(default = "page_size")]
    pub page_size: NonZeroU32,
    /// Has the server queue each request for records and fetches the result later: for lists that take it longer than its
    /// own limit of 30 seconds.
    #[serde(default)]
    pub queue: bool,
    /// After so many seconds without a request the session is refreshed before the next one. Keep it below the idle limit
    /// of the site.
    #[serde(default = "keepalive_seconds")]
    pub keepalive_seconds: u64,
    /// How many requests may be in flight.
    #[serde(default = "in_flight_max")]
    pub in_flight_max: NonZeroU32,
    /// Never more requests than this in a minute.
    #[serde(default)]
    pub requests_per_minute: Option<NonZeroU32>,
    /// The longest answer that is taken, in bytes.
    #[serde(default = "answer_bytes_max")]
    pub answer_bytes_max: NonZeroU32,
    /// How long one request may take, whatever the server does.
    #[serde(default = "request_seconds_max")]
    pub request_seconds_max: NonZeroU64,
}

/// Properties that hold keys. Each must hold one value for one person only; Lockstep holds everybody who shares one.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// The employee number. Many sites use `SSNO`; some keep something else there, so it is never assumed.
    #[serde(default)]
    pub employee: Option<String>,
    /// The directory's immutable id: a text property made in FormsDesigner.
    #[serde(default)]
    pub directory: Option<String>,
    /// The mail address.
    #[serde(default)]
    pub mail: Option<String>,
    /// The user principal name.
    #[serde(default)]
    pub upn: Option<String>,
    /// The account name.
    #[serde(default)]
    pub account: Option<String>,
}

impl Keys {
    /// Each kind of key that has a property.
    pub(crate) fn each(&self) -> impl Iterator<Item = (KeyKind, &str)> {
        [
            (KeyKind::Directory, &self.directory),
            (KeyKind::Employee, &self.employee),
            (KeyKind::Upn, &self.upn),
            (KeyKind::Mail, &self.mail),
            (KeyKind::Account, &self.account),
        ]
        .into_iter()
        .filter_map(|(kind, property)| Some((kind, property.as_deref()?)))
    }

    /// The property of this kind of key.
    pub(crate) fn property(&self, kind: KeyKind) -> Option<&str> {
        self.each().find(|(of, _)| *of == kind).map(|(_, property)| property)
    }
}

/// Where a field stands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Stored {
    /// In this property, which holds at most 64 characters.
    In(String),
    /// In a property with a limit of its own.
    Limited {
        /// The property.
        property: String,
        /// How many characters it holds, at most. Checked against the server when it is reached.
        chars_max: NonZeroU32,
    },
}

/// A property that says nothing of its limit is taken to hold so many characters.
const CHARS_MAX: u32 = 64;

impl Stored {
    pub(crate) fn property(&self) -> &str {
        match self {
            Self::In(property) | Self::Limited { property, .. } => property,
        }
    }

    pub(crate) const fn chars_max(&self) -> u32 {
        match self {
            Self::In(_) => CHARS_MAX,
            Self::Limited { chars_max, .. } => chars_max.get(),
        }
    }
}

/// A fixed value of a property.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Constant {
    /// Yes or no.
    Flag(bool),
    /// A number: the id of a list entry or a segment.
    Number(i64),
    /// A text.
    Text(String),
}

impl Constant {
    pub(crate) fn value(&self) -> Value {
        match self {
            Self::Flag(flag) => Value::from(*flag),
            Self::Number(number) => Value::from(*number),
            Self::Text(text) => Value::from(text.as_str()),
        }
    }
}

/// What the badge statuses of a site mean. Names are compared without case. A status that is named nowhere is unknown: such
/// a badge counts as working when access is to be cut, and is never switched on.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BadgeStatuses {
    /// The status that a badge gets when it is switched off, and the only one from which it is switched on again. Best one
    /// of Lockstep's own: `Switched off by Lockstep`.
    pub switched_off: String,
    /// The one status that opens doors. Without this setting it is the one with the id 1, whatever its name.
    #[serde(default)]
    pub active: Option<String>,
    /// Others that mean "switched off", set by people.
    #[serde(default)]
    pub disabled: Vec<String>,
    /// Reported lost.
    #[serde(default = "lost")]
    pub lost: Vec<String>,
    /// Reported stolen.
    #[serde(default = "stolen")]
    pub stolen: Vec<String>,
    /// Handed back.
    #[serde(default = "returned")]
    pub returned: Vec<String>,
    /// Past its end.
    #[serde(default = "expired")]
    pub expired: Vec<String>,
}

fn directory_id() -> String {
    "id-1".to_owned()
}

fn fields() -> BTreeMap<String, Stored> {
    [
        (field::GIVEN_NAME, "FIRSTNAME"),
        (field::FAMILY_NAME, "LASTNAME"),
        (field::MAIL, "EMAIL"),
        (field::PHONE, "OPHONE"),
    ]
    .map(|(name, property)| (name.to_owned(), Stored::In(property.to_owned())))
    .into()
}

fn lost() -> Vec<String> {
    vec!["Lost".to_owned()]
}

fn stolen() -> Vec<String> {
    vec!["Stolen".to_owned()]
}

fn returned() -> Vec<String> {
    vec!["Returned".to_owned()]
}

fn expired() -> Vec<String> {
    vec!["Expired".to_owned()]
}

fn page_size() -> NonZeroU32 {
    NonZeroU32::new(100).expect("not zero")
}

const fn keepalive_seconds() -> u64 {
    240
}

fn in_flight_max() -> NonZeroU32 {
    NonZeroU32::new(2).expect("not zero")
}

fn answer_bytes_max() -> NonZeroU32 {
    NonZeroU32::new(16 * 1024 * 1024).expect("not zero")
}

fn request_seconds_max() -> NonZeroU64 {
    NonZeroU64::new(60).expect("not zero")
}

/// The fields that can be stored, each with its place. The employee number stands where its key stands.
pub(crate) type Fields = BTreeMap<FieldName, Stored>;

impl Config {
    /// Checks what the file could not.
    pub(crate) fn check(&self) -> Result<Fields, String> {
        if self.keys.employee.is_none() && self.keys.directory.is_none() {
            return Err("`keys` needs `employee` or `directory`: without them nobody is found again".to_owned());
        }
        let header = |text: &str| !text.is_empty() && text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
        if !header(&self.application_id) {
            return Err("`application_id` is empty, or holds a character that no header may hold".to_owned());
        }
        let mut fields = Fields::new();
        for (name, stored) in &self.fields {
            let name = FieldName::new(name.as_str()).map_err(|error| format!("`fields`: {error}"))?;
            fields.insert(name, stored.clone());
        }
        if !fields.contains_key(field::FAMILY_NAME) {
            return Err("`fields` needs `family_name`: OnGuard has no cardholder without a last name".to_owned());
        }
        if let Some(property) = &self.keys.employee {
            let number = FieldName::known(field::EMPLOYEE_NUMBER);
            fields.entry(number).or_insert_with(|| Stored::In(property.clone()));
        }
        let key_properties = self.keys.each().map(|(_, property)| property);
        let properties = key_properties.chain(fields.values().map(Stored::property));
        let constants = self.new_cardholder.keys().map(String::as_str);
        match properties.chain(constants).find(|property| !is_property(property)) {
            Some(wrong) => Err(format!("`{wrong}` is no name of a property: letters, digits and `_`")),
            None => Ok(fields),
        }
    }

    /// Makes the client and fetches the password. Connects to nothing.
    pub(crate) fn client(&self, system: &str, opening: &Opening<'_>) -> Result<(Client, Secret), Fault> {
        let invalid = |message: String| Fault::new(FaultKind::Invalid, system, "open", message);
        let mut base = checked_base(&self.url).map_err(|error| invalid(format!("`url`: {error}")))?;
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let password = opening.secrets.first(&self.password).map_err(|error| invalid(error.to_string()))?;
        let settings = Settings {
            ca_file: self.ca_file.as_deref().map(|file| opening.path(file)),
            certificate: None,
            timeouts: Timeouts { total: Duration::from_secs(self.request_seconds_max.get()), ..Timeouts::default() },
            limits: Limits { answer_bytes_max: self.answer_bytes_max.get() as usize },
            requests_per_minute: self.requests_per_minute,
        };
        Ok((Client::open(system, base, Auth::None, settings)?, password))
    }
}

/// A name that may stand in a filter as it is.
pub(crate) fn is_property(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"{"url":"https://onguard.example:8080/api/access/onguard/openaccess",
        "application_id":"LOCKSTEP","user_name":"svc","password":"env:PW","keys":{"employee":"SSNO"},
        "badge_status":{"switched_off":"Terminated"}}"#;

    fn with(more: &str) -> Result<Config, String> {
        let mut config: Value = serde_json::from_str(MINIMAL).expect("JSON");
        let more: serde_json::Map<String, Value> = serde_json::from_str(more).expect("JSON");
        config.as_object_mut().expect("an object").extend(more);
        let config: Config = serde_json::from_value(config).map_err(|error| error.to_string())?;
        config.check().map(|_| config)
    }

    #[test]
    fn defaults_are_safe_and_the_employee_number_stands_where_its_key_stands() {
        let config = with("{}").expect("minimal");
        let fields = config.check().expect("fields");
        assert_eq!(fields.get(field::EMPLOYEE_NUMBER).map(Stored::property), Some("SSNO"));
        assert!(!config.queue && config.badge_status.active.is_none() && config.directory_id == "id-1");
    }

    #[test]
    fn what_could_be_misread_is_refused() {
        for wrong in [
            r#"{"keys":{}}"#,
            r#"{"keys":{"mail":"EMAIL"}}"#,
            r#"{"keys":{"employee":"SSNO=1 OR ID"}}"#,
            r#"{"fields":{"given_name":"FIRSTNAME"}}"#,
            r#"{"fields":{"Family":"LASTNAME","family_name":"LASTNAME"}}"#,
            r#"{"application_id":"a b"}"#,
            r#"{"password":"hunter2"}"#,
            r#"{"badge_status":{}}"#,
            r#"{"badge_status":{"switched_off":"x","actve":"y"}}"#,
            r#"{"new_cardholder":{"A-B":1}}"#,
        ] {
            assert!(with(wrong).is_err(), "{wrong}");
        }
    }
}
