//! One line of the log for each request (`-vv`): what it was and how it went, and nothing that is secret or about a person.
//! This module must not know headers or bodies.

use std::time::Instant;

use reqwest::Method;
use url::Url;

use crate::answer::Answer;
use crate::fault::CallFault;

/// A request on its way.
pub(crate) struct Entry {
    method: Method,
    path: String,
    nth: u32,
    began: Instant,
}

impl Entry {
    pub(crate) fn of(method: &Method, url: &Url, nth: u32) -> Self {
        Self { method: method.clone(), path: without_values(url), nth, began: Instant::now() }
    }

    pub(crate) fn log(self, system: &str, result: &Result<Answer, CallFault>) {
        let ms = self.began.elapsed().as_millis() as u64;
        let (status, bytes, outcome) = match result {
            Ok(answer) => (Some(answer.status()), answer.body().len(), "answered"),
            Err(fault) => (fault.status, 0, fault.fault.kind.as_str()),
        };
        tracing::debug!(system, method = %self.method, path = self.path, nth = self.nth, status, ms, bytes, outcome, "request");
    }
}

/// The path, and the names of the parameters: their values may be a filter with somebody's name, or a cursor.
fn without_values(url: &Url) -> String {
    let pieces = url.query().unwrap_or_default().split('&').filter(|piece| !piece.is_empty());
    // What is no parameter is all value.
    let name = |piece: &str| piece.split_once('=').map_or_else(|| "…".to_owned(), |(name, _)| format!("{name}=…"));
    let mut names: Vec<String> = pieces.map(name).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { url.path().to_owned() } else { format!("{}?{}", url.path(), names.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_parameters_are_left_out() {
        for (url, expect) in [
            ("https://pacs.example/scim/Users/7", "/scim/Users/7"),
            ("https://pacs.example/Users?filter=userName%20eq%20%22ada%22&count=9&count=1", "/Users?count=…&filter=…"),
            ("https://pacs.example/people?ada.lovelace", "/people?…"),
            ("https://pacs.example/people?", "/people"),
        ] {
            assert_eq!(without_values(&Url::parse(url).expect("a URL")), expect);
        }
    }
}
