//! Requests to Command Centre, and what its answers have in common. Every link of the server goes through one check of
//! its origin. This module must not know what a cardholder is.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lockstep_contract::{Cx, Fault, FaultKind, Secret};
use lockstep_http::{Answer, Call, CallFault, Client, Effect, Extra, Method, Request, Url, Value, same_origin};
use serde_json::Map;

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

const MEDIA: &str = "application/json";
/// Pages of one search, at most. More is a server that turns in circles.
pub(crate) const PAGES_MAX: usize = 10_000;
/// Refusals of the key in a row, after which it is not shown for a while.
const REFUSALS_MAX: u32 = 3;
/// Command Centre raises an alarm for each refused key, and stops telling them apart at more than ten in a minute.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// How often the key was refused lately.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Option<(u32, Instant)>>);

impl Refusals {
    fn count(&self, refused: bool) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = slot.map_or(0, |(count, _)| count);
        *slot = refused.then(|| (before.saturating_add(1), Instant::now()));
    }

    fn is_over(&self) -> bool {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.is_some_and(|(count, last)| count >= REFUSALS_MAX && last.elapsed() < REFUSED_FOR)
    }
}

/// The requests of one call.
#[derive(Debug)]
pub(crate) struct Api<'a> {
    call: Call<'a>,
    key: &'a Secret,
    refusals: &'a Refusals,
}

/// A page of a search.
pub(crate) struct ResultPage {
    /// The items, in the order of the server.
    pub(crate) items: Vec<Value>,
    /// Where the next page is.
    pub(crate) next: Option<Url>,
}

impl<'a> Api<'a> {
    pub(crate) fn begin(client: &'a Client, cx: &'a Cx, key: &'a Secret, refusals: &'a Refusals) -> Self {
        Self { call: client.call(cx), key, refusals }
    }

    pub(crate) fn system(&self) -> &str {
        self.call.client().system()
    }

    pub(crate) fn base(&self) -> &Url {
        self.call.client().base()
    }

    pub(crate) fn fault(&self, kind: FaultKind, operation: &str, message: impl Into<String>) -> Fault {
        Fault::new(kind, self.system(), operation, message)
    }

    /// The server broke its own rules. After a write, nobody knows what happened.
    pub(crate) fn protocol(&self, operation: &str, message: impl Into<String>) -> CallFault {
        CallFault::new(Effect::Uncertain, None, self.fault(FaultKind::Protocol, operation, message))
    }

    /// A link of the server, or a path that was kept of one, on the configured server and nowhere else.
    pub(crate) fn link(&self, href: &str, operation: &str) -> Result<Url, CallFault> {
        link(self.base(), href).map_err(|error| self.protocol(operation, format!("a link of the server: {error}")))
    }

    /// Reads, whatever the status of the answer.
    pub(crate) async fn get(&self, url: Url, operation: &str) -> Result<Answer, CallFault> {
        self.send(Request::get(url, MEDIA, operation)).await
    }

    /// Reads an object.
    pub(crate) async fn object(&self, url: Url, operation: &str) -> Result<Object, CallFault> {
        let answer = checked(self.get(url, operation).await?)?;
        object(&answer, answer.json()?)
    }

    /// Reads a page of a search.
    pub(crate) async fn page(&self, url: Url, operation: &str) -> Result<ResultPage, CallFault> {
        let answer = checked(self.get(url, operation).await?)?;
        let mut page = object(&answer, answer.json()?)?;
        let Some(Value::Array(items)) = page.remove("results") else {
            return Err(answer.broken("the answer is no search result: it has no array `results`"));
        };
        let next = self.next_of(&answer, &page, operation)?;
        Ok(ResultPage { items, next })
    }

    /// The link to the next page.
    pub(crate) fn next_of(&self, answer: &Answer, page: &Object, operation: &str) -> Result<Option<Url>, CallFault> {
        match page.get("next") {
            None => Ok(None),
            Some(next) => match next.get("href").and_then(Value::as_str) {
                Some(href) => self.link(href, operation).map(Some),
                None => Err(answer.broken("`next` of the answer holds no link")),
            },
        }
    }

    /// Reads every page of a search.
    pub(crate) async fn everything(&self, first: Url, operation: &str) -> Result<Vec<Value>, CallFault> {
        let mut seen = BTreeSet::new();
        let mut items = Vec::new();
        let mut at = Some(first);
        while let Some(url) = at {
            if seen.len() >= PAGES_MAX || !seen.insert(url.to_string()) {
                return Err(self.protocol(operation, "the pages of this answer have no end: a link came twice"));
            }
            let page = self.page(url, operation).await?;
            items.extend(page.items);
            at = page.next;
        }
        Ok(items)
    }

    /// Writes.
    pub(crate) async fn write(
        &self,
        method: Method,
        url: Url,
        body: &Object,
        operation: &str,
    ) -> Result<Answer, CallFault> {
        let body = serde_json::to_vec(body).expect("a JSON value can be written");
        let operation = operation.to_owned();
        checked(self.send(Request { method, url, operation, media: MEDIA, body: Some(body), if_match: None }).await?)
    }

    async fn send(&self, request: Request) -> Result<Answer, CallFault> {
        if self.refusals.is_over() {
            let message = "the key was refused several times, and is not shown again for a minute";
            let fault = self.fault(FaultKind::Unauthenticated, &request.operation, message);
            return Err(CallFault::not_sent(fault.with_help(KEY_HELP)));
        }
        let extra = Extra { secrets: vec![self.key.clone()], ..Extra::default() };
        let answer = self.call.send_with(request, extra).await?;
        self.refusals.count(answer.status() == 401);
        Ok(answer)
    }
}

const KEY_HELP: &str = "look at the REST Client item in Command Centre: its key, the thumbprint of its certificate, \
                        the addresses it allows, and whether it is enabled";
const RIGHTS_HELP: &str = "give the operator of the REST Client the rights that the connector's README lists; check the \
                           licence RESTCardholders";

/// The answer when it is a success; otherwise the fault, in the words of the server.
pub(crate) fn checked(answer: Answer) -> Result<Answer, CallFault> {
    if answer.is_success() {
        return Ok(answer);
    }
    let told = answer.json().ok();
    let message = told.as_ref().and_then(|body| body.get("message")).and_then(Value::as_str);
    let also = answer.header("x-authentication-message");
    let said = match (message, also) {
        (Some(message), Some(also)) => Some(format!("{message} ({also})")),
        (Some(one), None) | (None, Some(one)) => Some(one.to_owned()),
        (None, None) => None,
    };
    let mut fault = answer.fault(said.as_deref());
    let help = [(FaultKind::Unauthenticated, KEY_HELP), (FaultKind::Denied, RIGHTS_HELP)];
    if let Some((_, help)) = help.iter().find(|(kind, _)| *kind == fault.fault.kind) {
        fault.fault.help = Some((*help).to_owned());
    }
    Err(fault)
}

/// The object of an answer.
pub(crate) fn object(answer: &Answer, value: Value) -> Result<Object, CallFault> {
    match value {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(answer.broken("the answer is no JSON object"))
        }
    }
}

/// Adds parameters to a link, which may have some already.
pub(crate) fn with_query(mut url: Url, parameters: &[(&str, &str)]) -> Url {
    let mut query = url.query().unwrap_or_default().to_owned();
    for (name, value) in parameters {
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(name);
        query.push('=');
        query.push_str(&encode(value));
    }
    url.set_query((!query.is_empty()).then_some(query.as_str()));
    url
}

/// Percent-encoding with `%20` for a blank and `%2B` for a plus: a bare plus is a blank to Command Centre.
fn encode(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>().replace('+', "%20")
}

/// A link of the server, or a path that was kept of one, on the configured server and nowhere else. Command Centre
/// writes its links in full; one that is relative to whatever was asked for last is none of its.
pub(crate) fn link(base: &Url, href: &str) -> Result<Url, String> {
    if !href.starts_with('/') && !href.contains("://") {
        return Err("it is not written in full".to_owned());
    }
    same_origin(base, href).map_err(|error| error.to_string())
}

/// What is kept of a link: everything behind the host. Links may carry queries, and paths change between versions.
pub(crate) fn path_of(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn parameters_are_added_to_links_with_and_without_a_query() {
        let plain = with_query(url("https://cc:8904/api/cardholders"), &[("sort", "id"), ("name", "\"O'Neil, A+B\"")]);
        assert_eq!(plain.query(), Some("sort=id&name=%22O%27Neil%2C%20A%2BB%22"));
        let more = with_query(url("https://cc:8904/api/x?v=2"), &[("top", "5")]);
        assert_eq!(more.query(), Some("v=2&top=5"));
        assert_eq!(with_query(url("https://cc/api"), &[]).as_str(), "https://cc/api");
    }

    #[test]
    fn only_links_in_full_to_this_server_are_links() {
        let base = url("https://cc:8904/api");
        for good in ["https://cc:8904/api/cardholders/1", "/api/cardholders/1"] {
            assert_eq!(link(&base, good).map(|url| path_of(&url)), Ok("/api/cardholders/1".to_owned()));
        }
        for bad in
            ["cardholders/1", "", "//evil/api", "https://evil:8904/api", "http://cc:8904/api", "https://cc@evil/"]
        {
            assert!(link(&base, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_host_of_a_link_is_not_kept_and_its_query_is() {
        assert_eq!(path_of(&url("https://cc:8904/api/cardholders/325")), "/api/cardholders/325");
        assert_eq!(path_of(&url("https://cc:8904/api/item?id=325")), "/api/item?id=325");
    }

    #[test]
    fn a_key_that_is_refused_again_and_again_is_not_shown_for_a_while() {
        let refusals = Refusals::default();
        refusals.count(true);
        refusals.count(true);
        assert!(!refusals.is_over());
        refusals.count(true);
        assert!(refusals.is_over());
        refusals.count(false);
        assert!(!refusals.is_over());
    }
}
