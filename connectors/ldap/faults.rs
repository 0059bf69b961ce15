//! From result codes and broken connections to faults: what the caller does next, and what a person should do about it.
//! No message holds a secret.

use std::error::Error;

use ldap3::LdapError;
use lockstep_contract::{Fault, FaultKind};
use rustls::{CertificateError, Error as TlsError};

/// Who says what about which operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    /// The configured id of the directory.
    pub(crate) system: &'a str,
    /// What was being done.
    pub(crate) operation: &'a str,
}

impl About<'_> {
    /// A fault about this operation.
    pub(crate) fn fault(&self, kind: FaultKind, message: impl Into<String>) -> Fault {
        Fault::new(kind, self.system, self.operation, message)
    }

    /// The server broke the protocol.
    pub(crate) fn protocol(&self, message: impl Into<String>) -> Fault {
        self.fault(FaultKind::Protocol, message)
    }
}

/// A search that did not end with success.
pub(crate) fn search_failed(about: About<'_>, code: u32, text: &str) -> Fault {
    let text = crate::api::shown(text);
    let said = if text.is_empty() { String::new() } else { format!(" The server says: {text}") };
    let fault = |kind, what: &str| about.fault(kind, format!("{what} (result code {code}).{said}"));
    match code {
        3 => fault(FaultKind::Unreachable, "the time limit of the server ended the search before it was complete")
            .with_help("raise the time limit of the service account, or add an index for the filter"),
        4 => fault(FaultKind::Denied, "the size limit of the server cut the answer short; what arrived was discarded")
            .with_help("let the service account read in pages without a total limit (OpenLDAP: size.prtotal=unlimited)"),
        11 => fault(FaultKind::Denied, "an administrative limit of the server ended the search")
            .with_help("lower `page_size`, or raise the limits of the service account (OpenLDAP: limits … size.pr, size.unchecked)"),
        9 | 10 => fault(FaultKind::Unsupported, "the server refers to another server; referrals are never followed")
            .with_help("name a server in `url` that holds the whole of the base"),
        32 => fault(FaultKind::Denied, "the base is not there, or the service account may not see it")
            .with_help("check `base` in the configuration, and the rights of the service account"),
        1 | 50 | 48 => fault(FaultKind::Denied, "the service account may not do this"),
        7 | 8 | 13 => fault(FaultKind::Unauthenticated, "the server wants a stronger way to log in"),
        2 | 12 => fault(FaultKind::Unsupported, "the server does not support this request"),
        17 | 18 | 21 | 34 => fault(FaultKind::Invalid, "the server does not understand the base, the filter or an attribute"),
        51 => fault(FaultKind::Throttled, "the server is busy"),
        52 => fault(FaultKind::Unreachable, "the server is not available"),
        53 => fault(FaultKind::Denied, "the server is unwilling"),
        80 => fault(FaultKind::Unreachable, "the server had an error of its own"),
        _ => fault(FaultKind::Protocol, "the search failed"),
    }
}

/// A log-in that failed.
pub(crate) fn bind_failed(about: About<'_>, code: u32, text: &str) -> Fault {
    let kind = match code {
        51 => FaultKind::Throttled,
        3 | 52 | 80 => FaultKind::Unreachable,
        _ => FaultKind::Unauthenticated,
    };
    let why = match code {
        49 => active_directory_reason(text).unwrap_or("the server does not accept the name and password"),
        8 | 13 => "the server wants a stronger way to log in",
        32 | 34 => "the server does not know the name of the service account",
        53 => "the server refuses this log-in",
        51 | 52 | 80 | 3 => "the server cannot log anybody in just now",
        _ => "the log-in failed",
    };
    let help = match kind {
        FaultKind::Unauthenticated => {
            "correct the service account; it is not tried again, so that it is not locked out"
        }
        _ => "try again later",
    };
    about.fault(kind, format!("{why} (result code {code})")).with_help(help)
}

/// Active Directory says the reason of a refused log-in as `data 52e`.
fn active_directory_reason(text: &str) -> Option<&'static str> {
    let (_, rest) = text.split_once("data ")?;
    let code = rest.split(|c: char| !c.is_ascii_alphanumeric()).next()?;
    Some(match code.to_ascii_lowercase().as_str() {
        "525" => "the service account does not exist",
        "52e" => "the password of the service account is wrong",
        "530" => "the service account may not log in at this hour",
        "531" => "the service account may not log in from this machine",
        "532" => "the password of the service account has expired",
        "533" => "the service account is disabled",
        "701" => "the service account has expired",
        "773" => "the service account must change its password first",
        "775" => "the service account is locked out",
        _ => return None,
    })
}

/// The connection could not be made, or broke.
pub(crate) fn broken(about: About<'_>, error: &LdapError) -> Fault {
    if let Some(tls) = tls_error(error) {
        return tls_failed(about, tls);
    }
    match error {
        LdapError::Io { source } => about.fault(FaultKind::Unreachable, format!("the connection failed: {source}")),
        LdapError::Timeout { .. } => about.fault(FaultKind::Unreachable, "the server did not answer in time"),
        LdapError::LdapResult { result } => match result.rc {
            0 => about.protocol("the server answered out of turn"),
            code => about.fault(FaultKind::Unsupported, format!("the server refuses TLS (result code {code})")),
        },
        LdapError::EndOfStream
        | LdapError::OpSend { .. }
        | LdapError::ResultRecv { .. }
        | LdapError::IdScrubSend { .. }
        | LdapError::MiscSend { .. } => {
            about.fault(FaultKind::Unreachable, "the connection was closed before the answer was complete")
        }
        #[cfg(feature = "gssapi")]
        LdapError::GssapiOperationError(why) => no_ticket(about, why),
        LdapError::FilterParsing => about.fault(FaultKind::Invalid, "the filter does not parse"),
        other => about.protocol(format!("the LDAP client failed: {}", crate::api::shown(&other.to_string()))),
    }
}

/// Kerberos gives no ticket, or not one that the server takes.
#[cfg(feature = "gssapi")]
fn no_ticket(about: About<'_>, why: &str) -> Fault {
    let kind = if why.contains("contact any KDC") { FaultKind::Unreachable } else { FaultKind::Unauthenticated };
    let fault = about.fault(kind, format!("Kerberos: {}", crate::api::shown(why)));
    fault.with_help(
        "check the keytab that KRB5_CLIENT_KTNAME names, with `kinit -k -i`, and the clocks of both machines",
    )
}

/// The TLS error at the bottom of an error, if there is one.
fn tls_error(error: &LdapError) -> Option<&TlsError> {
    let LdapError::Io { source } = error else { return None };
    let mut inner: Option<&(dyn Error + 'static)> = source.get_ref().map(|e| e as &(dyn Error + 'static));
    while let Some(error) = inner {
        if let Some(tls) = error.downcast_ref::<TlsError>() {
            return Some(tls);
        }
        inner = error.source();
    }
    None
}

fn tls_failed(about: About<'_>, error: &TlsError) -> Fault {
    let TlsError::InvalidCertificate(reason) = error else {
        return about.protocol(format!("TLS failed: {error}"));
    };
    let (message, help) = match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ("the certificate of the server has expired".to_owned(), "have the certificate renewed")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("the certificate of the server is not valid yet".to_owned(), "compare the clocks of both machines")
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => (
            "the certificate of the server carries no subject alternative name, so no name can be checked".to_owned(),
            "have a certificate issued with the name of the server as DNS name; the common name does not count",
        ),
        CertificateError::NotValidForNameContext { presented, .. } => (
            format!("the certificate of the server is for another name: {}", presented.join(", ")),
            "write the name that the certificate carries in `url`; `connect_to` can name the address",
        ),
        CertificateError::NotValidForName => (
            "the certificate of the server is for another name".to_owned(),
            "write the name that the certificate carries in `url`; `connect_to` can name the address",
        ),
        CertificateError::UnknownIssuer => (
            "the certificate of the server is from an authority that is not trusted".to_owned(),
            "name the authority's certificate in `ca_file`",
        ),
        CertificateError::Revoked => ("the certificate of the server is revoked".to_owned(), "call somebody"),
        other => (format!("the certificate of the server is refused: {other:?}"), "have the certificate examined"),
    };
    about.protocol(message).with_help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About<'static> = About { system: "corp", operation: "read people" };

    #[test]
    fn no_result_code_but_zero_is_success_and_none_says_nothing_there() {
        for code in (1..=123).chain([4096, u32::MAX]) {
            let fault = search_failed(ABOUT, code, "text");
            assert_ne!(fault.kind, FaultKind::Missing, "{code}");
        }
    }

    #[test]
    fn a_locked_account_is_told_from_a_wrong_password() {
        let text = "80090308: LdapErr: DSID-0C09042A, comment: AcceptSecurityContext error, data 775, v3839";
        let fault = bind_failed(ABOUT, 49, text);
        assert_eq!(fault.kind, FaultKind::Unauthenticated);
        assert!(fault.message.contains("locked out"), "{fault}");
        assert!(bind_failed(ABOUT, 49, "").message.contains("name and password"));
        assert!(bind_failed(ABOUT, 51, "").kind.is_transient());
    }
}
