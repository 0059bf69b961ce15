//! The connection to PostgreSQL: encrypted and checked, except to this machine. This module knows no table.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lockstep_contract::{Fault, FaultKind, Opening, Secret, quote};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::sync::Mutex;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::DatabaseConfig;

/// How long making a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// A database.
pub(crate) struct Database {
    pub(crate) config: DatabaseConfig,
    system: String,
    password: Secret,
    tls: Option<Arc<ClientConfig>>,
    /// Statements that stand alone share one connection.
    shared: Mutex<Option<Arc<Client>>>,
    /// A reading of several views is one transaction, alone on its connection.
    alone: Mutex<Option<Client>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("system", &self.system).field("config", &self.config).finish_non_exhaustive()
    }
}

impl Database {
    /// Reads what is needed to connect. Connects to nothing.
    pub(crate) fn new(system: &str, config: &DatabaseConfig, opening: &Opening<'_>) -> Result<Self, Fault> {
        let invalid = |message: String| Fault::new(FaultKind::Invalid, system, "open", message);
        let password = opening.secrets.first(&config.password).map_err(|error| invalid(error.to_string()))?;
        let names = [&config.outbox, &config.name, &config.user];
        if names.iter().any(|name| name.is_empty()) {
            return Err(invalid("`database`: `name`, `user` and `outbox` must not be empty".to_owned()));
        }
        let ca_file = config.ca_file.as_deref().map(|file| opening.path(file));
        let tls = match (is_here(&config.host), &ca_file) {
            (true, None) => None,
            (_, file) => Some(client_config(file.as_deref()).map_err(invalid)?),
        };
        let (shared, alone) = (Mutex::new(None), Mutex::new(None));
        Ok(Self { config: config.clone(), system: system.to_owned(), password, tls, shared, alone })
    }

    /// Where it is, without anything secret.
    pub(crate) fn endpoint(&self) -> String {
        format!("postgresql://{}:{}/{}", self.config.host, self.config.port, self.config.name)
    }

    async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let mut to = tokio_postgres::Config::new();
        to.host(&self.config.host)
            .port(self.config.port)
            .dbname(&self.config.name)
            .user(&self.config.user)
            .password(self.password.expose())
            .application_name("lockstep")
            .connect_timeout(CONNECT_MAX);
        // A connection ends when its client is dropped, or when the server is gone; either shows at the next statement.
        if let Some(tls) = &self.tls {
            to.ssl_mode(tokio_postgres::config::SslMode::Require);
            let (client, connection) = to.connect(MakeRustlsConnect::new((**tls).clone())).await?;
            tokio::spawn(async move { drop(connection.await) });
            return Ok(client);
        }
        let (client, connection) = to.connect(NoTls).await?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }

    /// The connection that everybody shares.
    pub(crate) async fn client(&self, operation: &str) -> Result<Arc<Client>, Fault> {
        let mut shared = self.shared.lock().await;
        if let Some(client) = shared.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(self.connect().await.map_err(|error| self.fault(operation, &error))?);
        *shared = Some(Arc::clone(&client));
        Ok(client)
    }

    /// A connection for one transaction. Whoever finishes well gives it back; one that is dropped in the middle is closed.
    pub(crate) async fn take(&self, operation: &str) -> Result<Client, Fault> {
        let kept = self.alone.lock().await.take().filter(|client| !client.is_closed());
        match kept {
            Some(client) => Ok(client),
            None => self.connect().await.map_err(|error| self.fault(operation, &error)),
        }
    }

    pub(crate) async fn give_back(&self, client: Client) {
        *self.alone.lock().await = Some(client);
    }

    /// What an error of the database means.
    pub(crate) fn fault(&self, operation: &str, error: &tokio_postgres::Error) -> Fault {
        let (kind, help) = match error.code() {
            Some(code)
                if *code == SqlState::INVALID_PASSWORD || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION =>
            {
                (FaultKind::Unauthenticated, "check the account and its password")
            }
            Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
                (FaultKind::Denied, "grant INSERT and SELECT on the outbox, and SELECT on the views; nothing else")
            }
            Some(code) if *code == SqlState::UNDEFINED_TABLE || *code == SqlState::UNDEFINED_COLUMN => {
                (FaultKind::Invalid, "compare the outbox, the views and their columns with the profile")
            }
            Some(code) if code.code().starts_with("22") || code.code().starts_with("23") => {
                (FaultKind::Invalid, "compare the outbox with the one in the README of the connector")
            }
            Some(_) | None => (FaultKind::Unreachable, "check that the database runs and can be reached"),
        };
        let said = match error.as_db_error() {
            Some(error) => error.message().to_owned(),
            None => error.to_string(),
        };
        let message = quote(&said, std::slice::from_ref(&self.password));
        Fault::new(kind, self.system.as_str(), operation, message).with_help(help)
    }
}

/// This machine, by name or address.
fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A name of a table or view, with its schema if it has one, as SQL takes it.
pub(crate) fn quoted_path(name: &str) -> String {
    name.split('.').map(quoted).collect::<Vec<_>>().join(".")
}

/// A name as SQL takes it, letter for letter.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Trusts the authorities in this PEM file, or those of the operating system. There is no way to switch the check off.
fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let config = match ca_file {
        Some(path) => builder.with_root_certificates(authorities(path)?),
        None => builder
            .with_platform_verifier()
            .map_err(|error| format!("the authorities of the operating system cannot be used: {error}"))?,
    };
    Ok(Arc::new(config.with_no_client_auth()))
}

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let file = path.display();
    let wrong = |error: &dyn std::fmt::Display| format!("`ca_file` {file}: {error}");
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))? {
        store.add(certificate.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
    }
    if store.is_empty() { Err(wrong(&"it holds no certificate")) } else { Ok(store) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_letter_for_letter() {
        assert_eq!(quoted_path("acs.Out\"box"), r#""acs"."Out""box""#);
        assert_eq!(quoted("UniqueId"), "\"UniqueId\"");
    }

    #[test]
    fn only_this_machine_is_reached_in_the_clear() {
        assert!(is_here("127.0.0.1") && is_here("::1") && is_here("localhost"));
        assert!(!is_here("10.0.0.7") && !is_here("db.example"));
    }
}
