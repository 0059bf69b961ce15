//! Reads people and groups from Active Directory and LDAP servers.
//!
//! One rule stands above all: unreadable is never empty. A search counts only when the server ended it with success and
//! referred to nobody else; a group in which nobody is seen is empty only with a proof; somebody who is not found is gone
//! only with a tombstone or, where the settings say that the account sees everything, with the canary seen on the same
//! connection. Nothing here writes, and nothing decides.

#![forbid(unsafe_code)]

mod api;
mod changes;
mod config;
mod convert;
mod discovery;
mod dn;
mod entry;
mod facts;
mod faults;
mod filter;
mod groups;
mod guid;
mod lookup;
mod members;
mod pager;
mod people;
mod probe;
mod rights;
mod server;
mod standing;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
pub use config::{Bind, Canaries, Config, Flavor, Gone, Groups, Notice, People, State};
use lockstep_contract::{
    Changes, CorrelationKey, Cursor, Cx, Directory, DirectoryId, DirectoryInfo, Entitled, Fault, FaultKind, GroupId,
    GroupPath, Health, Membership, Opening, Page, Person, PersonId, Presence, Scope, Watermark,
};

use crate::api::{Call, Session};
use crate::discovery::Discovery;
use crate::dn::Name;
use crate::facts::Facts;
use crate::server::{Login, Place, Server};

/// The configuration, checked.
#[derive(Debug)]
pub(crate) struct Settings {
    config: Config,
    people_base: Name,
    groups_base: Name,
    people_filter: Option<String>,
    groups_filter: Option<String>,
    placeholders: Vec<Name>,
}

/// A directory that speaks LDAP.
#[derive(Debug)]
pub struct Ldap {
    info: DirectoryInfo,
    server: Arc<Server>,
    settings: Arc<Settings>,
    facts: tokio::sync::OnceCell<Arc<Facts>>,
    people: Mutex<people::State>,
    /// A connection that nobody uses at the moment.
    idle: Mutex<Option<Session>>,
    /// What is remembered from one look at the changes to the next.
    kept: tokio::sync::Mutex<changes::Kept>,
}

/// Opens a directory: checks the configuration and fetches the secret. Nothing is connected yet.
///
/// # Errors
/// When the configuration makes no sense, asks for a connection without TLS, or the secret cannot be had.
pub fn open(id: DirectoryId, config: Config, opening: &Opening<'_>) -> Result<Ldap, Fault> {
    let invalid = |message: String| Fault::new(FaultKind::Invalid, id.as_str(), "open", message);
    let (place, endpoint) = place(&config).map_err(&invalid)?;
    let (login, tls) = login(&config, opening).map_err(&invalid)?;
    let settings = Settings::check(config).map_err(&invalid)?;
    let server = Server { place, starttls: settings.config.starttls, tls, login };
    Ok(Ldap {
        info: DirectoryInfo { id, kind: "ldap".to_owned(), endpoint },
        server: Arc::new(server),
        settings: Arc::new(settings),
        facts: tokio::sync::OnceCell::new(),
        people: Mutex::default(),
        idle: Mutex::default(),
        kept: tokio::sync::Mutex::default(),
    })
}

/// Where to connect, and how that is written.
fn place(config: &Config) -> Result<(Place, String), String> {
    if let Some(domain) = config.url.strip_prefix("srv:") {
        if config.connect_to.is_some() {
            return Err("`connect_to` and a `url` with `srv:` exclude each other".to_owned());
        }
        let discovery = Discovery::new(domain, config.site.as_deref(), config.resolver, config.starttls)?;
        return Ok((Place::Discovered(discovery), config.url.clone()));
    }
    if config.site.is_some() || config.resolver.is_some() {
        return Err("`site` and `resolver` are for a `url` with `srv:`".to_owned());
    }
    let url = checked_url(config)?.to_string();
    Ok((Place::Fixed { url: url.clone(), connect_to: config.connect_to.clone() }, url))
}

/// How to log in, and the TLS for that.
fn login(config: &Config, opening: &Opening<'_>) -> Result<(Login, Arc<rustls::ClientConfig>), String> {
    let bind = &config.bind;
    let secret = |places| opening.secrets.first(places).map_err(|error| error.to_string());
    let ca_file = config.ca_file.as_ref().map(|path| opening.path(path));
    if bind.user.is_empty() {
        return Err("`bind.user`: the service account needs a name".to_owned());
    }
    let user = bind.user.clone();
    if bind.kerberos && bind.password.is_none() && bind.certificate.is_none() && bind.key.is_none() {
        #[cfg(feature = "gssapi")]
        return Ok((Login::Kerberos { user }, tls::client_config(ca_file.as_deref(), None)?));
        #[cfg(not(feature = "gssapi"))]
        return Err("`bind.kerberos`: this program was built without Kerberos (the feature `gssapi`)".to_owned());
    }
    match (&bind.password, &bind.certificate, &bind.key) {
        (Some(places), None, None) if !bind.kerberos => {
            let password = secret(places)?;
            if password.expose().is_empty() {
                // A name without a password logs in as nobody, with success (RFC 4513 5.1.2).
                return Err("the service account needs a password that is not empty".to_owned());
            }
            Ok((Login::Password { user, password }, tls::client_config(ca_file.as_deref(), None)?))
        }
        (None, Some(certificate), Some(key)) if !bind.kerberos => {
            let own = tls::Own { certificate: &opening.path(certificate), key: &secret(key)? };
            Ok((Login::Certificate { user }, tls::client_config(ca_file.as_deref(), Some(&own))?))
        }
        _ => Err("`bind` needs one of `password`, `certificate` with `key`, and `kerberos`".to_owned()),
    }
}

/// Only a URL that leads to TLS, and that holds nothing but the server.
fn checked_url(config: &Config) -> Result<url::Url, String> {
    let url = url::Url::parse(&config.url).map_err(|error| format!("`url`: {error}"))?;
    match (url.scheme(), config.starttls) {
        ("ldaps", false) | ("ldap", true) => {}
        ("ldaps", true) => return Err("`url` is ldaps:// already; take `starttls` away".to_owned()),
        ("ldap", false) => {
            return Err("`url` would send the password in clear; use ldaps://, or set `starttls = true`".to_owned());
        }
        (other, _) => return Err(format!("`url` must start with ldaps:// or ldap://, not {other}://")),
    }
    let plain = url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain || url.host_str().is_none_or(str::is_empty) {
        return Err("`url` must hold a host and maybe a port, and nothing else".to_owned());
    }
    Ok(url)
}

impl Settings {
    fn check(config: Config) -> Result<Self, String> {
        let name = |key: &str, text: &str| {
            Name::parse(text).filter(|n| !n.is_empty()).ok_or(format!("`{key}` is no distinguished name: {text}"))
        };
        let filter = |key: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => filter::checked(text).map(Some).ok_or(format!("`{key}` is no LDAP filter: {text}")),
        };
        let people_base = name("people.base", &config.people.base)?;
        let groups_base = name("groups.base", &config.groups.base)?;
        for place in &config.elsewhere {
            name("elsewhere", place)?;
        }
        for canary in config.canary.iter().filter(|canary| guid::from_text(canary).is_none()) {
            name("canary", canary)?;
        }
        if config.page_size == 0 || config.groups.range == Some(0) {
            return Err("`page_size` and `groups.range` must be at least 1".to_owned());
        }
        if config.show_deleted && config.people.gone == Some(Gone::NotFound) {
            let message =
                "`people.gone = \"not-found\"` and `show_deleted` exclude each other: with tombstones, only they count";
            return Err(message.to_owned());
        }
        if config.groups.canary_in_every_group && config.canary.iter().next().is_none() {
            return Err("`groups.canary_in_every_group` needs a `canary`".to_owned());
        }
        let attributes = config.fields.values().chain(&config.people.id_attribute);
        for attribute in attributes.chain(config.people.state.as_ref().map(|state| &state.attribute)) {
            let valid = attribute.starts_with(|c: char| c.is_ascii_alphanumeric())
                && attribute.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b';'));
            if !valid {
                return Err(format!("`{attribute}` is no name of an attribute"));
            }
        }
        let placeholders = config.groups.placeholders.iter().map(|text| name("groups.placeholders", text));
        Ok(Self {
            people_base,
            groups_base,
            people_filter: filter("people.filter", &config.people.filter)?,
            groups_filter: filter("groups.filter", &config.groups.filter)?,
            placeholders: placeholders.collect::<Result<_, _>>()?,
            config,
        })
    }
}

impl Ldap {
    fn call<'a>(&'a self, cx: &'a Cx) -> Call<'a> {
        Call::new(cx, self.info.id.as_str())
    }

    /// A connection that is logged in: one that is idle, or a new one.
    async fn session(&self, call: &Call<'_>) -> Result<Session, Fault> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        match idle.and_then(Session::if_open) {
            Some(session) => Ok(session),
            None => self.server.connect(call).await,
        }
    }

    /// Keeps a connection for the next call. Only after everything on it went well.
    fn give_back(&self, session: Session) {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
    }

    /// What is known about the server, asked once.
    async fn facts(&self, call: &Call<'_>, session: &Session) -> Result<Arc<Facts>, Fault> {
        let read = || async { Facts::read(session, call, &self.settings).await.map(Arc::new) };
        self.facts.get_or_try_init(read).await.cloned()
    }
}

#[async_trait]
impl Directory for Ldap {
    fn info(&self) -> &DirectoryInfo {
        &self.info
    }

    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        self.health(cx).await
    }

    async fn people(&self, cx: &Cx, scope: &Scope, at: Option<Cursor>) -> Result<Page<Person>, Fault> {
        self.people_page(cx, scope, at).await
    }

    async fn members(&self, cx: &Cx, groups: &BTreeSet<GroupId>) -> BTreeMap<GroupId, Membership> {
        self.memberships(cx, groups).await
    }

    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Person>, Fault> {
        self.find_people(cx, key).await
    }

    async fn lookup(&self, cx: &Cx, id: &PersonId) -> Result<Presence, Fault> {
        self.look_up(cx, id).await
    }

    async fn in_reach(&self, cx: &Cx, id: &PersonId) -> Result<Entitled, Fault> {
        self.within_reach(cx, id).await
    }

    async fn paths(
        &self,
        cx: &Cx,
        id: &PersonId,
        groups: &BTreeSet<GroupId>,
    ) -> Result<BTreeMap<GroupId, GroupPath>, Fault> {
        self.group_paths(cx, id, groups).await
    }

    async fn changes(&self, cx: &Cx, since: Option<Watermark>) -> Result<Changes, Fault> {
        self.changes_since(cx, since).await
    }

    fn take_quarantined(&self) -> Vec<(String, String)> {
        self.quarantined()
    }
}
