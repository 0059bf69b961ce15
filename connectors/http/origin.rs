//! The one check that a link from a peer stays on the configured origin. A token must never follow a link elsewhere.
//!
//! This module must not look anything up and must not send anything.

use std::net::IpAddr;

use url::{Host, Url};

/// Why a link or a base address is refused. The link itself is not repeated: it may carry a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Empty, with blanks, control characters, or backslashes: readers disagree about what such a link means.
    #[error("the link is not written plainly (empty, a blank, a control character or a backslash)")]
    NotPlain,
    /// It cannot be parsed.
    #[error("the link cannot be parsed: {0}")]
    Unparseable(String),
    /// It carries a user name or a password.
    #[error("the link carries a user name or a password")]
    UserInfo,
    /// It leads elsewhere.
    #[error("the link leads to {found}, not to {expected}")]
    Elsewhere {
        /// Scheme, host and port of the link.
        found: String,
        /// Scheme, host and port that were configured.
        expected: String,
    },
    /// It has a scheme that is not spoken here, or plain `http` to a host that is not this machine.
    #[error("{0} is not allowed: use https (plain http is for this machine only)")]
    Scheme(String),
    /// A base address has a query or a fragment.
    #[error("the address must not have a query or a fragment")]
    Decorated,
}

/// Resolves a link that a peer sent, and proves that it has the scheme, host and port of `base`.
///
/// # Errors
/// When the link leads elsewhere, carries user-info, or is written so that two readers could understand it differently.
pub fn same_origin(base: &Url, link: &str) -> Result<Url, OriginError> {
    plain(link)?;
    let resolved = base.join(link).map_err(|error| OriginError::Unparseable(error.to_string()))?;
    if !resolved.username().is_empty() || resolved.password().is_some() {
        return Err(OriginError::UserInfo);
    }
    let same = resolved.scheme() == base.scheme()
        && resolved.host() == base.host()
        && resolved.host().is_some()
        && resolved.port_or_known_default() == base.port_or_known_default();
    if !same {
        return Err(OriginError::Elsewhere { found: origin_of(&resolved), expected: origin_of(base) });
    }
    let mut resolved = resolved;
    resolved.set_fragment(None);
    Ok(resolved)
}

/// Parses a configured base address: `https`, or `http` to this machine; no user-info, query or fragment.
///
/// # Errors
/// When it is none of that.
pub fn checked_base(address: &str) -> Result<Url, OriginError> {
    plain(address)?;
    let base = Url::parse(address).map_err(|error| OriginError::Unparseable(error.to_string()))?;
    if !base.username().is_empty() || base.password().is_some() {
        return Err(OriginError::UserInfo);
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(OriginError::Decorated);
    }
    match base.scheme() {
        "https" => Ok(base),
        "http" if is_loopback(&base) => Ok(base),
        scheme => Err(OriginError::Scheme(format!("{scheme}://"))),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}

fn plain(link: &str) -> Result<(), OriginError> {
    if link.is_empty() || link.chars().any(|c| c <= ' ' || c == '\\' || c == '\u{7f}' || c.is_control()) {
        return Err(OriginError::NotPlain);
    }
    // `https:host/x` without slashes is a path to one parser and a host to another.
    if let Some(scheme) = scheme_of(link)
        && !link[scheme.len() + 1..].starts_with("//")
    {
        return Err(OriginError::NotPlain);
    }
    match authority_of(link) {
        Some(authority) if authority.contains('@') => Err(OriginError::UserInfo),
        Some(authority) if authority.is_empty() || authority.contains('%') => Err(OriginError::NotPlain),
        Some(_) | None => Ok(()),
    }
}

fn scheme_of(link: &str) -> Option<&str> {
    let (scheme, _) = link.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    is_scheme.then_some(scheme)
}

fn authority_of(link: &str) -> Option<&str> {
    let rest = match scheme_of(link) {
        Some(scheme) => &link[scheme.len() + 1..],
        None => link,
    };
    let rest = rest.strip_prefix("//")?;
    Some(rest.split(['/', '?', '#']).next().unwrap_or_default())
}

fn origin_of(url: &Url) -> String {
    match (url.host(), url.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{}://{host}:{port}", url.scheme()),
        (Some(host), None) => format!("{}://{host}", url.scheme()),
        (None, _) => format!("{}:", url.scheme()),
    }
}

#[cfg(test)]
#[path = "origin_tests.rs"]
mod tests;
