//! Requests to Graph: the token, the pace, one origin, and what an answer that is no success means. This module must not
//! know what is asked for.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lockstep_contract::{Cx, Fault, FaultKind, Secret};
use lockstep_http::{Answer, Call, CallFault, Client, Extra, Method, Request, Url, Value, quote, same_origin};
use tokio::time::Instant;

use crate::api::Ask;
pub(crate) use crate::pace::Priority;
use crate::pace::{Pace, Turn};
use crate::roles::Claims;
use crate::token::{Token, Tokens};

pub(crate) const MEDIA: &str = "application/json";

/// The connection to one tenant.
#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) client: Client,
    pub(crate) tokens: Tokens,
    pub(crate) pace: Pace,
}

/// A request that did not succeed, with what Graph calls the reason.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: Option<u16>,
    /// The codes of the answer, the outermost first. Never a sentence.
    pub(crate) codes: Vec<String>,
    pub(crate) fault: Box<Fault>,
}

impl Refusal {
    /// Graph itself says that there is no such object. Any gateway can say 404.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status == Some(404)
            && self.codes.iter().any(|code| matches!(code.as_str(), "Request_ResourceNotFound" | "ResourceNotFound"))
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        *refusal.fault
    }
}

impl From<CallFault> for Refusal {
    fn from(call: CallFault) -> Self {
        Self { status: call.status, codes: Vec::new(), fault: call.fault }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { status: None, codes: Vec::new(), fault: Box::new(fault) }
    }
}

/// The requests of one call, which share its budget.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    graph: &'a Graph,
    call: Call<'a>,
    cx: &'a Cx,
    priority: Priority,
}

impl<'a> Session<'a> {
    pub(crate) fn begin(graph: &'a Graph, cx: &'a Cx, priority: Priority) -> Self {
        Self { graph, call: graph.client.call(cx), cx, priority }
    }

    pub(crate) fn system(&self) -> &str {
        self.graph.client.system()
    }

    pub(crate) const fn deadline(&self) -> Instant {
        self.call.deadline()
    }

    pub(crate) fn check(&self, operation: &str) -> Result<(), Fault> {
        self.cx.check(self.system(), operation)
    }

    pub(crate) fn fault(&self, kind: FaultKind, operation: &str, message: impl Into<String>) -> Fault {
        Fault::new(kind, self.system(), operation, message)
    }

    pub(crate) const fn pace(&self) -> &Pace {
        &self.graph.pace
    }

    /// What the token says about itself.
    pub(crate) async fn claims(&self) -> Result<Claims, Fault> {
        Ok(self.token().await?.claims.clone())
    }

    /// What must not stand in any fault.
    pub(crate) async fn secrets(&self) -> Vec<Secret> {
        self.token().await.map(|token| token.secret.clone()).into_iter().collect()
    }

    async fn token(&self) -> Result<Arc<Token>, Fault> {
        self.check("sign in")?;
        let budget = self.deadline().saturating_duration_since(Instant::now());
        let cx = Cx { budget, ..self.cx.clone() };
        self.graph.tokens.token(&cx).await
    }

    /// A link that Graph sent, proven to lead to Graph and nowhere else.
    pub(crate) fn checked(&self, link: &str, operation: &str) -> Result<Url, Fault> {
        let base = self.graph.client.base();
        let url = same_origin(base, link)
            .map_err(|error| self.fault(FaultKind::Protocol, operation, format!("a link of Graph: {error}")))?;
        if url.path().starts_with(base.path()) {
            Ok(url)
        } else {
            Err(self.fault(FaultKind::Protocol, operation, "a link of Graph leads out of the API"))
        }
    }

    /// The address of a request.
    pub(crate) fn url(&self, ask: &Ask) -> Result<Url, Fault> {
        let path = ask.path.trim_start_matches('/');
        let joined = self.graph.client.base().join(path);
        joined.map_err(|_| self.fault(FaultKind::Invalid, &ask.operation, "this id cannot stand in an address"))
    }

    /// Asks one thing.
    pub(crate) async fn one(&self, ask: &Ask) -> Result<Value, Refusal> {
        let url = self.url(ask)?;
        self.follow(url, ask).await
    }

    /// Goes on with a list at a link that was checked.
    pub(crate) async fn follow(&self, link: Url, ask: &Ask) -> Result<Value, Refusal> {
        let answer = self.send(Request::get(link, MEDIA, &*ask.operation), ask.units, ask.eventual).await?;
        Ok(json(&answer)?)
    }

    /// As [`one`](Self::one), with the clock of the server.
    pub(crate) async fn one_with_clock(&self, ask: &Ask) -> Result<(Value, Option<Timestamp>), Refusal> {
        let request = Request::get(self.url(ask)?, MEDIA, &*ask.operation);
        let answer = self.send(request, ask.units, ask.eventual).await?;
        let clock = answer.header("date").and_then(|text| {
            jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.replace("GMT", "+0000")).ok()
        });
        Ok((json(&answer)?, clock))
    }

    /// Sends several at once.
    pub(crate) async fn post_batch(&self, body: &Value, units: u32, operation: &str) -> Result<Value, Refusal> {
        let ask = Ask::new("$batch".to_owned(), units, operation);
        let request = Request {
            method: Method::POST,
            url: self.url(&ask)?,
            operation: operation.to_owned(),
            media: MEDIA,
            body: Some(body.to_string().into_bytes()),
            if_match: None,
        };
        let answer = self.send(request, units, false).await?;
        Ok(json(&answer)?)
    }

    /// Sends a read. A token that Graph does not take is renewed once: it may have been ended a moment ago.
    async fn send(&self, request: Request, units: u32, eventual: bool) -> Result<Answer, Refusal> {
        self.check(&request.operation)?;
        for fresh in [false, true] {
            let token = self.token().await?;
            let (system, operation) = (self.system(), request.operation.as_str());
            let turn = Turn { priority: self.priority, units, system, operation };
            self.graph.pace.turn(turn, self.deadline()).await?;
            let answer = self.call.send_with(request.clone(), self.extra(&token, eventual)).await?;
            self.note(&answer);
            if answer.is_success() {
                return Ok(answer);
            }
            if answer.status() == 401 && !fresh {
                self.graph.tokens.discard(&token).await;
                continue;
            }
            return Err(refusal(&answer));
        }
        Err(self.fault(FaultKind::Unauthenticated, &request.operation, "no token was taken").into())
    }

    fn extra(&self, token: &Token, eventual: bool) -> Extra {
        let priority = match self.priority {
            Priority::Low => "low",
            Priority::High => "high",
        };
        let mut headers = vec![
            ("client-request-id", uuid::Uuid::now_v7().to_string()),
            ("x-ms-throttle-priority", priority.to_owned()),
        ];
        if eventual {
            headers.push(("consistencylevel", "eventual".to_owned()));
        }
        Extra { bearer: Some(token.secret.clone()), headers, ..Extra::default() }
    }

    /// Keeps what support asks for, and waits when told to.
    fn note(&self, answer: &Answer) {
        tracing::debug!(
            system = self.system(),
            status = answer.status(),
            request = answer.header("request-id").unwrap_or_default(),
            units = answer.header("x-ms-resource-unit").unwrap_or_default(),
            limit = answer.header("x-ms-throttle-limit-percentage").unwrap_or_default(),
            "Graph answered"
        );
        if answer.status() == 429 || (answer.status() == 503 && answer.retry_after().is_some()) {
            self.graph.pace.pause(answer.retry_after());
        }
        let used: Option<f64> = answer.header("x-ms-throttle-limit-percentage").and_then(|text| text.parse().ok());
        if used.is_some_and(|used| used >= 1.0) {
            // At the limit, and not turned away yet.
            self.graph.pace.pause(Some(Duration::from_secs(1)));
        }
    }
}

fn json(answer: &Answer) -> Result<Value, CallFault> {
    answer.json()
}

fn refusal(answer: &Answer) -> Refusal {
    // At the edge an error may be a page or nothing at all.
    let body = answer.json().unwrap_or_default();
    let codes = codes(&body);
    let said = said(&body, &codes);
    let call = answer.fault(said.as_deref());
    Refusal { status: call.status, fault: Box::new(with_help(*call.fault, &codes)), codes }
}

/// The codes of an error, the outermost first.
pub(crate) fn codes(body: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = body.get("error");
    while let Some(error) = at {
        found.extend(error.get("code").and_then(Value::as_str).map(str::to_owned));
        // Both spellings are seen.
        at = error.get("innerError").or_else(|| error.get("innererror"));
    }
    found
}

/// What is shown of an error.
pub(crate) fn said(body: &Value, codes: &[String]) -> Option<String> {
    let message = body.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
    match (codes.first(), message) {
        (None, "") => None,
        (None, message) => Some(message.to_owned()),
        (Some(code), message) => Some(format!("{code}: {message}")),
    }
}

/// Where something went wrong, and what must not be shown of it.
pub(crate) struct Place<'a> {
    pub(crate) system: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) secrets: &'a [Secret],
}

/// The fault of an item in a batch.
pub(crate) fn item_refusal(at: &Place<'_>, status: u16, wait: Option<Duration>, body: &Value) -> Refusal {
    let (kind, _) = lockstep_http::classify(status, wait.is_some());
    let codes = codes(body);
    let said = quote(&said(body, &codes).unwrap_or_default(), at.secrets);
    let mut fault = Fault::new(kind, at.system, at.operation, format!("Graph answered with status {status}: {said}"));
    fault.retry_after = wait;
    Refusal { status: Some(status), fault: Box::new(with_help(fault, &codes)), codes }
}

fn with_help(mut fault: Fault, codes: &[String]) -> Fault {
    if codes.iter().any(|code| code == "Authorization_RequestDenied") || fault.kind == FaultKind::Denied {
        let help = "give the registration the application permissions that `lockstep probe` names, and grant admin consent; \
            a new permission is seen in a new token only, up to 90 minutes later";
        fault.help = Some(help.to_owned());
    } else if fault.kind == FaultKind::Unauthenticated {
        fault.help = Some("check `tenant`, `cloud` and `auth` against the registration in Entra ID".to_owned());
    }
    fault
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn codes_are_read_in_both_spellings_and_at_any_depth() {
        let body = json!({"error": {"code": "a", "innererror": {"code": "b", "innerError": {"code": "c"}}}});
        assert_eq!(codes(&body), ["a", "b", "c"]);
        assert!(codes(&json!({"error": "plain"})).is_empty() && codes(&Value::Null).is_empty());
    }

    #[test]
    fn only_graphs_own_word_means_that_an_object_is_not_there() {
        let refusal = |status, code: &str| {
            let at = Place { system: "cloud", operation: "look up", secrets: &[] };
            item_refusal(&at, status, None, &json!({"error": {"code": code, "message": "x"}}))
        };
        assert!(refusal(404, "Request_ResourceNotFound").is_not_found());
        assert!(!refusal(404, "NotFound").is_not_found());
        assert!(!refusal(403, "Request_ResourceNotFound").is_not_found());
    }
}
