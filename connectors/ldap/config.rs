//! What stands in the configuration file about an LDAP directory. Nothing here connects.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lockstep_contract::{FieldName, SecretRefs};
use schemars::JsonSchema;
use serde::Deserialize;

/// A directory that speaks LDAP: Active Directory, Samba, OpenLDAP, 389 Directory Server, FreeIPA.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `ldaps://dc1.corp.example` or, with `starttls = true`, `ldap://dc1.corp.example`. The certificate of the server
    /// must carry this very name (or address). A connection without TLS is refused. `srv:corp.example` finds the servers of
    /// a domain by DNS instead; their names must be below it, and each certificate must carry its server's name.
    pub url: String,
    /// The site whose domain controllers are asked first, with `srv:`. The others are asked when none of these answers.
    #[serde(default)]
    pub site: Option<String>,
    /// The DNS server to ask, with `srv:`: `10.0.0.53:53`. Without it, those of the operating system.
    #[serde(default)]
    pub resolver: Option<std::net::SocketAddr>,
    /// Ask for TLS on the plain port before anything else is said. For `ldap://` only.
    #[serde(default)]
    pub starttls: bool,
    /// Connect to this address and port instead of looking the name up: `10.0.0.5:636`. The certificate is still checked
    /// against the name in `url`.
    #[serde(default)]
    pub connect_to: Option<String>,
    /// The certification authority of the server, as a PEM file. Without it, the authorities that the operating system
    /// trusts are used.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The account that reads.
    pub bind: Bind,
    /// What kind of server it is.
    #[serde(default)]
    pub flavor: Flavor,
    /// Where the people are.
    pub people: People,
    /// Where the groups are.
    pub groups: Groups,
    /// How many entries to ask for in one page. Servers may cap it.
    #[serde(default = "default_page_size")]
    #[schemars(range(min = 1, max = 5000))]
    pub page_size: u32,
    /// Which attribute holds a field, where it is not the usual one: `{ employee_number = "employeeID" }`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub fields: BTreeMap<FieldName, String>,
    /// People, by distinguished name or immutable id, who never leave: one in each place where people are, best a disabled
    /// account. When one of them is not seen, nothing that was read is believed. Without a canary, nobody can be proven gone on a
    /// server without tombstones.
    #[serde(default)]
    pub canary: Canaries,
    /// Look for tombstones in *Deleted Objects* (Active Directory; the account needs the right to list it). Without it,
    /// nobody who was deleted there is known to be gone.
    #[serde(default)]
    pub show_deleted: bool,
    /// How to ask the server what changed, for `sync --watch`. It only shortens the time until somebody is looked at.
    #[serde(default)]
    pub changes: Notice,
    /// Distinguished names below which other servers are responsible and nobody of ours is. A reference to any other
    /// place means that a read is not complete.
    #[serde(default)]
    pub elsewhere: Vec<String>,
}

/// The account that reads, and how it logs in: exactly one of `password`, `certificate` (with `key`) and `kerberos`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bind {
    /// A distinguished name or, on Active Directory, also `svc-lockstep@corp.example`. With a certificate, the name that
    /// the server must take it for.
    pub user: String,
    /// Where its password is kept: `systemd:NAME`, `keyring:NAME`, `file:PATH` or `env:NAME`; or several of these, of
    /// which the first that works is used.
    #[serde(default)]
    pub password: Option<SecretRefs>,
    /// A client certificate, and those of the authorities between, as a PEM file (SASL EXTERNAL).
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Where the key of the certificate is kept, PEM. As with `password`, one place or several.
    #[serde(default)]
    pub key: Option<SecretRefs>,
    /// By Kerberos, over TLS, with the keytab that the environment of the service names (`KRB5_CLIENT_KTNAME`). `user` is only
    /// shown. Needs a build with the feature `gssapi`.
    #[serde(default)]
    pub kerberos: bool,
}

/// What kind of server it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Flavor {
    /// Asked of the server.
    #[default]
    Auto,
    /// Active Directory, or Samba as a domain controller.
    ActiveDirectory,
    /// OpenLDAP, and others that keep to the RFCs. People are known by `entryUUID`.
    #[serde(alias = "rfc2307bis", alias = "rfc2307")]
    Openldap,
    /// 389 Directory Server: as `openldap`, and people are known by `nsUniqueId`. Untried.
    #[serde(rename = "389")]
    Directory389,
    /// FreeIPA: as `openldap`, and people are known by `ipaUniqueID`. Untried.
    FreeIpa,
}

/// How to ask a server what changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Notice {
    /// `usn` on Active Directory; elsewhere `sync` where the server has it, or else `timestamp`.
    #[default]
    Auto,
    /// Active Directory: by change numbers. An ordinary account is enough; deletions show with `show_deleted` only.
    Usn,
    /// Active Directory: by the replication control (DirSync), limited to what the account may read. It names only whom an
    /// attribute that is asked for changed of, which is less on a busy domain; it begins with a pass over everything.
    Dirsync,
    /// Content synchronization (RFC 4533): OpenLDAP with the overlay syncprov.
    Sync,
    /// By `modifyTimestamp`. Deletions, and groups that are deleted, are noticed by the next full read only.
    Timestamp,
    /// Not at all: a full read is used.
    Off,
}

/// Where the people are.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// The entry below which they are.
    pub base: String,
    /// Which entries are people. Must not look at the state of an account: whoever has left must still be read.
    #[serde(default)]
    pub filter: Option<String>,
    /// The immutable id, where it is not the usual one of the `flavor`.
    #[serde(default)]
    pub id_attribute: Option<String>,
    /// An attribute that says whether somebody is still here, besides those the server itself has.
    #[serde(default)]
    pub state: Option<State>,
    /// An account that an administrator locked for good (`pwdAccountLockedTime: 000001010000Z`) has ended. Otherwise its
    /// standing is unknown.
    #[serde(default)]
    pub locked_is_ended: bool,
    /// What proves that somebody who is not found is gone. `tombstone`: only a tombstone; needs `show_deleted`.
    /// `not-found`: that the whole naming context was searched while the `canary` was seen. Only for an account that may
    /// read **all** of the naming context: whoever is moved to where it may not read would be taken for gone, and lose
    /// access. Default: `tombstone` on Active Directory, `not-found` elsewhere, where servers keep no tombstones.
    #[serde(default)]
    pub gone: Option<Gone>,
}

/// What proves that somebody who is not found is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Gone {
    /// A tombstone among the deleted entries.
    Tombstone,
    /// That nobody has the id in the naming context, while the canary was seen.
    NotFound,
}

/// An attribute that says whether somebody is still here. Values are compared without ASCII case; any value that is in
/// neither list makes the standing unknown.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The attribute: `employeeType`.
    pub attribute: String,
    /// Values of somebody who is here.
    pub active: Vec<String>,
    /// Values of somebody who has left. One of them is enough.
    pub ended: Vec<String>,
}

/// Where the groups are.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    /// The entry below which they are.
    pub base: String,
    /// Which entries are groups.
    #[serde(default)]
    pub filter: Option<String>,
    /// Members that only stand there because the schema wants one: `cn=nobody,dc=corp,dc=example`. The group itself and
    /// the empty name always count as such.
    #[serde(default)]
    pub placeholders: Vec<String>,
    /// Every group that is asked for has the canary as a direct member, and one that does not show it is not believed.
    #[serde(default)]
    pub canary_in_every_group: bool,
    /// Ask for member lists in pieces of this many values (Active Directory).
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub range: Option<u32>,
}

/// None, one or several canaries.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Canaries {
    /// One.
    One(String),
    /// Several, or none.
    Many(Vec<String>),
    /// None.
    #[default]
    None,
}

impl Canaries {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let slice: &[String] = match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
            Self::None => &[],
        };
        slice.iter().map(String::as_str)
    }
}

const fn default_page_size() -> u32 {
    500
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(extra: &str) -> Result<Config, serde_json::Error> {
        serde_json::from_str(&format!(
            r#"{{"url":"ldaps://dc1.corp.example","bind":{{"user":"svc","password":"env:PW"}},
                "people":{{"base":"OU=Staff"}},"groups":{{"base":"OU=Groups"}}{extra}}}"#
        ))
    }

    #[test]
    fn the_smallest_configuration_is_url_account_and_two_places() {
        let config = parse("").expect("parses");
        assert_eq!((config.page_size, config.flavor), (500, Flavor::Auto));
        assert_eq!(config.canary.iter().count(), 0);
    }

    #[test]
    fn a_misspelt_key_and_a_literal_password_are_refused() {
        assert!(parse(r#","pagesize":10"#).is_err());
        let literal = r#"{"url":"ldaps://x","bind":{"user":"u","password":"hunter2"},"people":{"base":"a"},"groups":{"base":"b"}}"#;
        let error = serde_json::from_str::<Config>(literal).expect_err("a literal").to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn one_canary_or_several() {
        assert_eq!(parse(r#","canary":"cn=c""#).expect("one").canary.iter().collect::<Vec<_>>(), ["cn=c"]);
        assert_eq!(parse(r#","canary":["cn=c","cn=d"]"#).expect("two").canary.iter().count(), 2);
    }
}
