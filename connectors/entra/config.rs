//! What stands in the configuration file about an Entra ID tenant. Nothing here connects.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use lockstep_contract::{FieldName, SecretRefs};
use schemars::JsonSchema;
use serde::Deserialize;

/// A Microsoft Entra ID tenant, read through Microsoft Graph: `kind = "entra"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The tenant, best by its id (a GUID): a domain may be moved to another tenant.
    pub tenant: String,
    /// Which cloud the tenant is in. It decides about every address that is spoken to.
    #[serde(default)]
    pub cloud: Cloud,
    /// How Lockstep signs in: exactly one of `certificate` (with `key`), `secret`, `token_file` and `managed_identity`.
    pub auth: Auth,
    /// Which users are people, and what tells that they have left.
    #[serde(default)]
    pub people: People,
    /// About groups.
    #[serde(default)]
    pub groups: Groups,
    /// Which property holds a field, where it is not the usual one: `{ employee_number =
    /// "onPremisesExtensionAttributes.extensionAttribute3", badge = "extension_0123456789abcdef0123456789abcdef_badge" }`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub fields: BTreeMap<FieldName, String>,
    /// The object id of a user who never leaves, best a disabled account that is used for nothing else. When it is not
    /// seen, nothing that is not seen is believed. Without a canary nobody is proven gone, except by the deleted items,
    /// and no group is proven empty.
    #[serde(default)]
    pub canary: Option<String>,
    /// The object id of a group of which the canary is a member. It must be readable for any group to be proven empty.
    #[serde(default)]
    pub canary_group: Option<String>,
    /// How many users or members to ask for in one page.
    #[serde(default = "default_page_size")]
    #[schemars(range(min = 1, max = 999))]
    pub page_size: u32,
    /// How many resource units of the tenant's quota may be used in a second. Microsoft allows between 350 (fewer than 50
    /// users) and 800 (more than 500), for all readers with this registration together.
    #[serde(default = "default_units")]
    pub units_per_second: NonZeroU32,
    /// Certificates of the authorities to trust, PEM. When given, no other authority is trusted. Not needed unless a
    /// proxy opens TLS.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The address of a stand-in for the whole cloud on this machine, for rehearsals: `http://127.0.0.1:8080`. No other
    /// machine can be named.
    #[serde(default)]
    pub stand_in: Option<String>,
}

/// Which cloud.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cloud {
    /// Worldwide, and the government community cloud GCC.
    #[default]
    Global,
    /// US Government L4: GCC High.
    UsGovL4,
    /// US Government L5: the Department of Defense.
    UsGovDod,
    /// China, operated by 21Vianet.
    China,
}

/// How Lockstep signs in.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The application (client) id. With `managed_identity`: which one, where the machine has several.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The certificate of the registration, PEM. The best way outside Azure.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Where the RSA key of the certificate is kept, PEM (PKCS #8): a reference, or several of which the first that works
    /// is used.
    #[serde(default)]
    pub key: Option<SecretRefs>,
    /// How the assertion is signed.
    #[serde(default)]
    pub signature: Signature,
    /// Where a client secret is kept, in one place or in several. Weaker than a certificate: it travels with every sign-in,
    /// and it expires unseen.
    #[serde(default)]
    pub secret: Option<SecretRefs>,
    /// `probe` reads from the registration when the client secret ends. Needs the permission `Application.Read.All`, which
    /// is more than a reader of people needs: a certificate is the better way.
    #[serde(default)]
    pub secret_dates: bool,
    /// A file with a token of another identity provider (workload identity federation). Read again at every sign-in.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// The identity that Azure gives to the machine on which Lockstep runs.
    #[serde(default)]
    pub managed_identity: bool,
}

/// How the assertion is signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Signature {
    /// RSA-PSS with SHA-256, the certificate named by its SHA-256.
    #[default]
    Ps256,
    /// RSA PKCS #1 v1.5 with SHA-256, the certificate named by its SHA-1: as older documents have it.
    Rs256,
}

/// Which users are people, and what tells that they have left.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// Which users are people, as an OData filter: `employeeType in ('Employee', 'Contractor')`. Must not look at the state
    /// of an account: whoever has left must still be read.
    #[serde(default)]
    pub filter: Option<String>,
    /// Read guests, too. When the home organisation of a guest ends the account there, this tenant does not show it.
    #[serde(default)]
    pub guests: bool,
    /// Whoever is past `employeeLeaveDateTime` has ended. Needs the permission `User-LifeCycleInfo.Read.All`: without it
    /// the date reads as if there were none, so the standing of everybody is unknown until the permission is seen in the
    /// token, or a leave date (in the far future) at the canary.
    #[serde(default)]
    pub leave_date: bool,
    /// The time zone in which the last day ends, as `Europe/Berlin`: the day on which the leave date falls there is whole.
    /// Without it, a leave date is the moment that it names.
    #[serde(default)]
    pub leave_zone: Option<String>,
}

/// About groups.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    /// Groups with hidden members are mapped: the permission `Member.Read.Hidden` is expected, and not called excessive.
    #[serde(default)]
    pub hidden: bool,
}

const fn default_page_size() -> u32 {
    999
}

const fn default_units() -> NonZeroU32 {
    NonZeroU32::new(100).expect("not zero")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_configuration_is_tenant_and_sign_in() {
        let config: Config =
            serde_json::from_str(r#"{"tenant":"t","auth":{"managed_identity":true}}"#).expect("parses");
        assert_eq!((config.page_size, config.cloud, config.people.guests), (999, Cloud::Global, false));
    }

    #[test]
    fn a_misspelt_key_and_a_literal_secret_are_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"tenant":"t","auth":{},"canery":"x"}"#).is_err());
        let literal = r#"{"tenant":"t","auth":{"client_id":"c","secret":"hunter2"}}"#;
        let error = serde_json::from_str::<Config>(literal).expect_err("a literal").to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
