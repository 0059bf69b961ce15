//! The settings of a Command Centre target, as they stand in the configuration file. This module must not connect.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use lockstep_contract::{Fault, FaultKind, FieldName, KeyKind, Opening, Secret, SecretRefs, field};
use lockstep_http::{Auth, Client, ClientCertificate, Limits, Settings, Timeouts, checked_base};
use schemars::JsonSchema;
use serde::Deserialize;

/// A Gallagher Command Centre server, reached by its REST API: access groups are access levels.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The address of the server with its port, `https://cc.example.net:8904`. `/api` is appended; everything else is
    /// followed from there. Plain `http` is accepted for this machine only.
    pub url: String,
    /// The key of the REST Client item, as a reference, or as several of which the first that works is used.
    pub api_key: SecretRefs,
    /// Certificates to trust, PEM. Command Centre's own certificate is normally not signed by a public authority.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The certificate whose thumbprint stands at the REST Client item.
    #[serde(default)]
    pub client_certificate: Option<ClientCertificateConfig>,
    /// In which personal data field each kind of key stands, by its name or id: `{ employee = "Employee ID" }`.
    #[schemars(with = "BTreeMap<String, String>")]
    pub keys: BTreeMap<KeyKind, String>,
    /// Which other fields stand in which personal data field, by its name or id: `{ department = "Department" }`.
    #[schemars(with = "BTreeMap<String, String>")]
    #[serde(default)]
    pub fields: BTreeMap<FieldName, String>,
    /// The access group that carries these personal data fields and opens no door, by its name or id. New cardholders
    /// are put into it. It is never shown as an access level, and nobody is taken out of it.
    #[serde(default)]
    pub home_group: Option<String>,
    /// The division of new cardholders, by its name or id. Without it none are created.
    #[serde(default)]
    pub division: Option<String>,
    /// Only cardholders of these divisions and of those inside them, by id. All that the operator may see when empty.
    #[serde(default)]
    pub divisions: Vec<String>,
    /// The names of card states at this site: they are translated, and every site may have its own.
    #[serde(default)]
    pub card_states: CardStates,
    /// Whether a list without a single cardholder is believed. Command Centre answers so, too, when the operator has
    /// lost the right to see them.
    #[serde(default)]
    pub may_be_empty: bool,
    /// How many records to ask for in one page.
    #[serde(default = "page_size")]
    pub page_size: NonZeroU32,
    /// How many requests may be in flight.
    #[serde(default = "in_flight_max")]
    pub in_flight_max: NonZeroU32,
    /// Never more requests than this in a minute. Command Centre has no such limit of its own.
    #[serde(default)]
    pub requests_per_minute: Option<NonZeroU32>,
    /// The longest answer that is taken, in bytes.
    #[serde(default = "answer_bytes_max")]
    pub answer_bytes_max: NonZeroU32,
    /// How long one request may take, whatever the server does.
    #[serde(default = "request_seconds_max")]
    pub request_seconds_max: NonZeroU64,
}

/// A certificate with its key.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificateConfig {
    /// Certificate and chain, PEM.
    pub file: PathBuf,
    /// The private key, PEM, as a reference, or as several of which the first that works is used.
    pub key: SecretRefs,
}

/// The names of card states.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CardStates {
    /// In force.
    pub active: String,
    /// Switched off by an operator. Written when a card is switched off; the only one that is ever lifted.
    pub disabled: String,
    /// Reported lost.
    pub lost: String,
    /// Reported stolen.
    pub stolen: String,
    /// Handed back, where the site has such a state.
    pub returned: Option<String>,
}

impl Default for CardStates {
    fn default() -> Self {
        Self {
            active: "Active".to_owned(),
            disabled: "Disabled (manually)".to_owned(),
            lost: "Lost".to_owned(),
            stolen: "Stolen".to_owned(),
            returned: None,
        }
    }
}

/// The largest page that the documentation speaks of.
fn page_size() -> NonZeroU32 {
    NonZeroU32::new(10_000).expect("not zero")
}

fn in_flight_max() -> NonZeroU32 {
    NonZeroU32::new(4).expect("not zero")
}

fn answer_bytes_max() -> NonZeroU32 {
    NonZeroU32::new(64 * 1024 * 1024).expect("not zero")
}

fn request_seconds_max() -> NonZeroU64 {
    NonZeroU64::new(120).expect("not zero")
}

impl Config {
    /// What is wrong with the settings beyond their form.
    fn check(&self) -> Result<(), String> {
        if self.keys.is_empty() {
            return Err("`keys` names no personal data field: nobody could be recognised".to_owned());
        }
        if self.keys.contains_key(&KeyKind::Card) {
            return Err("`keys`: card numbers stand at the cards, in no personal data field".to_owned());
        }
        let own = [field::GIVEN_NAME, field::FAMILY_NAME];
        if let Some(name) = own.iter().find(|name| self.fields.contains_key(**name)) {
            return Err(format!("`fields`: `{name}` has a place of its own at the cardholder"));
        }
        let plain = |id: &String| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric());
        match self.divisions.iter().find(|id| !plain(id)) {
            Some(id) => Err(format!("`divisions`: `{id}` is no id of a division (they are short and alphanumeric)")),
            None => Ok(()),
        }
    }

    /// What tells this view of a system from another: its address, and the divisions where they narrow it.
    pub(crate) fn fingerprint(&self, base: &str) -> String {
        let mut divisions = self.divisions.clone();
        divisions.sort();
        divisions.dedup();
        let base = base.trim_end_matches('/');
        if divisions.is_empty() { base.to_owned() } else { format!("{base}#divisions={}", divisions.join(",")) }
    }

    /// Makes the client, and hands out the bare key so that it can be kept out of faults. Connects to nothing.
    pub(crate) fn client(&self, system: &str, opening: &Opening<'_>) -> Result<(Client, Secret), Fault> {
        let invalid = |message: String| Fault::new(FaultKind::Invalid, system, "open", message);
        self.check().map_err(invalid)?;
        let mut base = checked_base(&self.url).map_err(|error| invalid(format!("`url`: {error}")))?;
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&if path.ends_with("/api") { path } else { format!("{path}/api") });
        let secret = |places: &SecretRefs| opening.secrets.first(places).map_err(|error| invalid(error.to_string()));
        let key = secret(&self.api_key)?;
        let value = Secret::new(format!("GGL-API-KEY {}", key.expose()));
        let certificate = match &self.client_certificate {
            Some(it) => Some(ClientCertificate { file: opening.path(&it.file), key: secret(&it.key)? }),
            None => None,
        };
        let settings = Settings {
            ca_file: self.ca_file.as_deref().map(|file| opening.path(file)),
            certificate,
            timeouts: Timeouts { total: Duration::from_secs(self.request_seconds_max.get()), ..Timeouts::default() },
            limits: Limits { answer_bytes_max: self.answer_bytes_max.get() as usize },
            requests_per_minute: self.requests_per_minute,
        };
        let client = Client::open(system, base, Auth::Header { name: "authorization", value }, settings)?;
        Ok((client, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Result<Config, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_misspelt_setting_is_refused_and_defaults_are_safe() {
        let minimal = r#"{"url":"https://cc:8904","api_key":"env:KEY","keys":{"employee":"Employee ID"}}"#;
        let good = config(minimal).expect("minimal");
        assert!(good.division.is_none() && !good.may_be_empty && good.check().is_ok());
        assert!(config(&minimal.replace("\"keys\"", "\"kys\"")).is_err());
        assert!(config(&minimal.replace("env:KEY", "C774-33B2")).is_err(), "a key itself is no reference");
    }

    #[test]
    fn settings_that_could_recognise_nobody_are_refused() {
        for keys in ["{}", r#"{"card":"Card"}"#] {
            let json = format!(r#"{{"url":"https://cc:8904","api_key":"env:KEY","keys":{keys}}}"#);
            assert!(config(&json).expect("form").check().is_err(), "{keys}");
        }
        let injected = r#"{"url":"https://cc","api_key":"env:K","keys":{"upn":"UPN"},"divisions":["2&x=1"]}"#;
        assert!(config(injected).expect("form").check().is_err());
    }

    #[test]
    fn divisions_narrow_the_fingerprint_whatever_their_order() {
        let json = r#"{"url":"https://cc","api_key":"env:K","keys":{"upn":"UPN"},"divisions":["7","2"]}"#;
        let mut one = config(json).expect("form");
        let fingerprint = one.fingerprint("https://cc/api/");
        assert_eq!(fingerprint, "https://cc/api#divisions=2,7");
        one.divisions.clear();
        assert_eq!(one.fingerprint("https://cc/api/"), "https://cc/api");
    }
}
