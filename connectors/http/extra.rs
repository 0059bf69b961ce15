//! What some peers want with a request beside the usual: headers of their own, a token that changes, a form. This module
//! must not send, and must not decide where anything is sent.

use lockstep_contract::Secret;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

/// What goes with one request beside the usual.
#[derive(Debug, Clone, Default)]
pub struct Extra {
    /// `Authorization: Bearer …` for this request, instead of what the client was opened with. Goes to the origin of the
    /// client, as everything else.
    pub bearer: Option<Secret>,
    /// Headers of the peer's own. A value that no header may hold is left out.
    pub headers: Vec<(&'static str, String)>,
    /// The media type of the body, where it is another one than that of the answer.
    pub content_type: Option<&'static str>,
    /// What must not stand in any fault of this request, beside the bearer token: a secret in the body.
    pub secrets: Vec<Secret>,
}

impl Extra {
    /// Adds what was asked for to the usual headers.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
        if let Some(bearer) = &self.bearer
            && let Ok(mut value) = HeaderValue::try_from(format!("Bearer {}", bearer.expose()))
        {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        for (name, value) in &self.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        if let Some(media) = self.content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        }
    }

    /// Everything that must not stand in a fault.
    pub(crate) fn all_secrets(&self) -> impl Iterator<Item = Secret> {
        self.bearer.iter().chain(&self.secrets).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_replaces_the_usual_and_what_no_header_may_hold_is_left_out() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer old"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let extra = Extra {
            bearer: Some(Secret::new("new".to_owned())),
            headers: vec![("consistencylevel", "eventual".to_owned()), ("x-broken", "a\nb".to_owned())],
            content_type: Some("application/x-www-form-urlencoded"),
            secrets: vec![Secret::new("in the body".to_owned())],
        };
        extra.add_to(&mut headers);
        assert_eq!(headers.get(AUTHORIZATION).map(HeaderValue::as_bytes), Some(&b"Bearer new"[..]));
        assert!(headers.get(AUTHORIZATION).is_some_and(HeaderValue::is_sensitive));
        assert_eq!(headers.get("consistencylevel").map(HeaderValue::as_bytes), Some(&b"eventual"[..]));
        assert_eq!(
            headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes),
            Some(&b"application/x-www-form-urlencoded"[..])
        );
        assert!(headers.get("x-broken").is_none());
        assert_eq!(extra.all_secrets().count(), 2);
    }
}
