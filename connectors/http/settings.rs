//! What can be set about a connection, and within which bounds. This module must not connect.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use lockstep_contract::Secret;

/// How a client behaves.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Certificates of the authorities to trust, PEM. When given, no other authority is trusted.
    pub ca_file: Option<PathBuf>,
    /// A certificate to show to the server.
    pub certificate: Option<ClientCertificate>,
    /// Times.
    pub timeouts: Timeouts,
    /// Sizes.
    pub limits: Limits,
    /// Never more requests than this in a minute; more of them wait.
    pub requests_per_minute: Option<NonZeroU32>,
}

/// A certificate with its key.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// Certificate and chain, PEM.
    pub file: PathBuf,
    /// The private key, PEM.
    pub key: Secret,
}

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, TLS handshake included.
    pub connect: Duration,
    /// Between two pieces of an answer.
    pub idle: Duration,
    /// For one request, whatever the peer does.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), idle: Duration::from_secs(30), total: Duration::from_secs(600) }
    }
}

/// How much to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one answer.
    pub answer_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { answer_bytes_max: 64 * 1024 * 1024 }
    }
}
