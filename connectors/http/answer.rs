//! An answer that arrived whole, and how it is turned into a value or a fault. This module must not send.

use std::time::Duration;

use lockstep_contract::{Fault, FaultKind, Secret};
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::fault::{CallFault, Effect, classify};
use crate::json;
use crate::scan::Scanner;
use lockstep_contract::quote;

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) etag: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) system: String,
    pub(crate) operation: String,
    pub(crate) secrets: Vec<Secret>,
}

impl Answer {
    /// The status.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// True for 200 to 299.
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// The `ETag` header.
    pub fn etag(&self) -> Option<&str> {
        self.etag.as_deref()
    }

    /// The `Location` header. Unchecked: pass it through [`same_origin`](crate::same_origin) before use.
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// A header of the peer's own, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// How long the peer asked us to wait, as in [`retry_after`](crate::retry_after).
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The bytes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The answer when it is a success.
    ///
    /// # Errors
    /// The fault that its status stands for.
    pub fn success(self) -> Result<Self, CallFault> {
        if self.is_success() { Ok(self) } else { Err(self.fault(None)) }
    }

    /// The JSON of an answer, whatever its status.
    ///
    /// # Errors
    /// [`FaultKind::Protocol`] when it is something else: a log-in page, a text cut short, a key that stands twice.
    pub fn json(&self) -> Result<Value, CallFault> {
        self.json_with(&|_, value| value)
    }

    /// As [`json`](Self::json), with items of lists made smaller as they are read.
    ///
    /// # Errors
    /// As [`json`](Self::json).
    pub fn json_with(&self, compact: &dyn Fn(&str, Value) -> Value) -> Result<Value, CallFault> {
        if let Some(found) = &self.content_type
            && !is_json(found)
        {
            let message = format!(
                "the answer is {} where JSON was expected; it begins: {}",
                quote(found, &self.secrets),
                self.beginning()
            );
            return Err(self.broken(&message));
        }
        json::parse_with(&self.body, compact)
            .map_err(|error| self.broken(&format!("the answer cannot be read: {error}")))
    }

    /// The JSON of an answer, to be taken apart in place; `None` when it does not call itself JSON, or is no text.
    pub fn scanner(&self) -> Option<Scanner<'_>> {
        if self.content_type.as_deref().is_none_or(is_json) { Scanner::new(&self.body) } else { None }
    }

    /// The fault that the status stands for, with what the peer said: `detail`, or else the beginning of the body.
    pub fn fault(&self, detail: Option<&str>) -> CallFault {
        let (kind, effect) = classify(self.status, self.retry_after.is_some());
        let said = match detail {
            Some(detail) => quote(detail, &self.secrets),
            None => self.beginning(),
        };
        let status = self.status;
        let message = match (said.is_empty(), matches!(status, 300..=399)) {
            (_, true) => format!("the server redirects (status {status}); redirects are not followed"),
            (true, false) => format!("the server answered with status {status}"),
            (false, false) => format!("the server answered with status {status}: {said}"),
        };
        let mut fault = Fault::new(kind, &self.system, &self.operation, message);
        fault.retry_after = self.retry_after;
        fault.help = help(kind).map(str::to_owned);
        CallFault::new(effect, Some(status), fault)
    }

    /// A fault of the peer in an answer that looked like a success. A write may have taken effect.
    pub fn broken(&self, message: &str) -> CallFault {
        let fault = Fault::new(FaultKind::Protocol, &self.system, &self.operation, message);
        CallFault::new(Effect::Uncertain, Some(self.status), fault)
    }

    fn beginning(&self) -> String {
        let some = &self.body[..self.body.len().min(1_024)];
        quote(&String::from_utf8_lossy(some), &self.secrets)
    }
}

fn is_json(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == "application/json"
        || media == "text/json"
        || (media.starts_with("application/") && media.ends_with("+json"))
}

const fn help(kind: FaultKind) -> Option<&'static str> {
    match kind {
        FaultKind::Unauthenticated => {
            Some("check that the token is the current one: many systems end the old one when a new one is made")
        }
        FaultKind::Denied => Some("give the account of this token the rights listed in the connector's README"),
        FaultKind::Unreachable
        | FaultKind::Throttled
        | FaultKind::Missing
        | FaultKind::Conflict
        | FaultKind::Invalid
        | FaultKind::Unsupported
        | FaultKind::Protocol
        | FaultKind::Unconfirmed
        | FaultKind::Cancelled => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, content_type: &str, body: &str) -> Answer {
        Answer {
            status,
            content_type: Some(content_type.to_owned()),
            etag: None,
            location: None,
            retry_after: None,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
            system: "hq".to_owned(),
            operation: "read user 7".to_owned(),
            secrets: vec![Secret::new("s3cret-token".into())],
        }
    }

    #[test]
    fn a_log_in_page_is_no_answer() {
        let fault = answer(200, "text/html", "<html>Please log in</html>").json().expect_err("html");
        assert_eq!((fault.fault.kind, fault.effect), (FaultKind::Protocol, Effect::Uncertain));
        assert!(fault.fault.message.contains("Please log in"), "{fault}");
    }

    #[test]
    fn json_by_any_of_its_names_is_read() {
        for name in ["application/json", "application/scim+json; charset=utf-8", "Application/SCIM+JSON"] {
            assert!(answer(200, name, "{}").json().is_ok(), "{name}");
        }
    }

    #[test]
    fn a_peer_that_repeats_the_token_does_not_get_it_into_a_fault() {
        let fault = answer(401, "text/plain", "no such token: s3cret-token").success().expect_err("401");
        assert_eq!(fault.fault.kind, FaultKind::Unauthenticated);
        assert!(!format!("{fault:?}").contains("s3cret-token"));
    }
}
