//! The settings of a SCIM target, as they stand in the configuration file. This module must not connect.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use lockstep_contract::{Fault, FaultKind, Opening, SecretRefs};
use lockstep_http::{Auth, Client, ClientCertificate, Limits, Settings, Timeouts, checked_base};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::convert::Shape;

/// A PACS that accepts SCIM 2.0: users are cardholders, groups are access levels.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The base address as the vendor states it, `https://pacs.example/scim/v2`. Nothing is appended to it but the names
    /// of resources. Plain `http` is accepted for this machine only.
    pub url: String,
    /// The bearer token, as a reference, or as several of which the first that works is used.
    #[serde(default)]
    pub token: Option<SecretRefs>,
    /// Certificates of the authorities to trust, PEM. When given, no other authority is trusted.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// A certificate to show to the server.
    #[serde(default)]
    pub client_certificate: Option<ClientCertificateConfig>,
    /// Where memberships are read from.
    #[serde(default)]
    pub memberships: Memberships,
    /// How a member is taken out of a group.
    #[serde(default)]
    pub member_removal: MemberRemoval,
    /// How lists are paged.
    #[serde(default)]
    pub paging: Paging,
    /// How many records to ask for in one page. The server may send fewer; what it advertises as its limit is respected.
    #[serde(default = "page_size")]
    pub page_size: NonZeroU64,
    /// Whether the server stores the enterprise extension: employee number, department, company.
    #[serde(default = "yes")]
    pub enterprise: bool,
    /// What the server's `userName` holds.
    #[serde(default)]
    pub user_name: UserName,
    /// How many requests may be in flight.
    #[serde(default = "in_flight_max")]
    pub in_flight_max: NonZeroU32,
    /// The quota of the server, if it has one.
    #[serde(default)]
    pub requests_per_minute: Option<NonZeroU32>,
    /// The longest answer that is taken, in bytes. A page that is longer is asked for again with fewer records.
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

/// What `userName` holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UserName {
    /// The user principal name, `ada@corp.example`.
    #[default]
    Upn,
    /// The account name, `ada`.
    Account,
}

/// Where memberships are read from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Memberships {
    /// Reads all groups, then finds out, with people whose groups are known by then, whether a shorter way tells the
    /// truth. Until it has proved itself, no shorter way is used.
    #[default]
    Auto,
    /// The members of all groups, each time. Slow, and right on every server.
    AllGroups,
    /// The attribute `groups` of the user.
    UserGroups,
    /// Groups filtered by `members.value`.
    GroupFilter,
}

/// How a member is taken out of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MemberRemoval {
    /// PATCH with the path `members[value eq "…"]`, as the standard has it.
    #[default]
    Path,
    /// PATCH with the path `members` and the member as value, as Entra ID sends it. Servers that keep to the standard
    /// empty the whole group on this; the group is therefore read before and after.
    Value,
    /// The group is read and written back whole without the member.
    Replace,
}

/// How lists are paged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Paging {
    /// By cursor when the server says that this is its way, by index otherwise.
    #[default]
    Auto,
    /// By `startIndex`.
    Index,
    /// By `cursor` (RFC 9865).
    Cursor,
}

const fn yes() -> bool {
    true
}

fn page_size() -> NonZeroU64 {
    NonZeroU64::new(500).expect("not zero")
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
    /// What the server stores.
    pub(crate) const fn shape(&self, revisions: bool) -> Shape {
        Shape { enterprise: self.enterprise, user_name: self.user_name, revisions }
    }

    /// Makes the client. Connects to nothing.
    pub(crate) fn client(&self, system: &str, opening: &Opening<'_>) -> Result<Client, Fault> {
        let invalid = |message: String| Fault::new(FaultKind::Invalid, system, "open", message);
        let mut base = checked_base(&self.url).map_err(|error| invalid(format!("`url`: {error}")))?;
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let secret = |places: &SecretRefs| opening.secrets.first(places).map_err(|error| invalid(error.to_string()));
        let auth = match &self.token {
            Some(reference) => Auth::Bearer(secret(reference)?),
            None => Auth::None,
        };
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
        Client::open(system, base, auth, settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_setting_is_refused_and_defaults_are_safe() {
        let minimal = r#"{"url":"https://pacs.example/scim/v2","token":"env:TOKEN"}"#;
        let config: Config = serde_json::from_str(minimal).expect("minimal");
        assert_eq!((config.memberships, config.member_removal), (Memberships::Auto, MemberRemoval::Path));
        assert!(serde_json::from_str::<Config>(r#"{"url":"https://pacs.example","tokn":"env:A"}"#).is_err());
        assert!(serde_json::from_str::<Config>(r#"{"url":"https://pacs.example","token":"hunter2"}"#).is_err());
        assert!(serde_json::from_str::<Config>(r#"{"url":"https://pacs.example","page_size":0}"#).is_err());
    }
}
