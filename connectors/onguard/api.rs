//! Requests and their answers: the only place that knows addresses, parameters and error bodies. This module must not
//! decide what an answer means for a cardholder.

use std::time::Duration;

use lockstep_contract::{Cx, Fault, FaultKind};
use lockstep_http::{Answer, Call, CallFault, Client, Effect, Extra, Method, Request, Url, Value};
use serde_json::{Map, json};
use tokio::time::Instant;

use crate::session::Account;
use crate::wire::Kind;

/// The media type of everything.
pub(crate) const MEDIA: &str = "application/json";
/// The version of the interface. The server refuses requests without it.
const VERSION: &str = "1.0";
/// The one code that is known to mean that nothing was done.
const INVALID_ITEM: &str = "openaccess.general.invalidrequestitem";
/// The first wait for a queued request; each is twice as long as the one before.
const POLL_FIRST: Duration = Duration::from_millis(25);
const POLL_MAX: Duration = Duration::from_secs(2);

/// The requests of one call.
#[derive(Debug)]
pub(crate) struct Api<'a> {
    call: Call<'a>,
    account: &'a Account,
    queue: bool,
}

impl<'a> Api<'a> {
    pub(crate) fn begin(client: &'a Client, account: &'a Account, queue: bool, cx: &'a Cx) -> Self {
        Self { call: client.call(cx), account, queue }
    }

    pub(crate) fn system(&self) -> &str {
        self.call.client().system()
    }

    pub(crate) const fn deadline(&self) -> Instant {
        self.call.deadline()
    }

    pub(crate) fn fault(&self, kind: FaultKind, operation: &str, message: impl Into<String>) -> Fault {
        Fault::new(kind, self.system(), operation, message)
    }

    /// The server broke its own rules.
    pub(crate) fn protocol(&self, operation: &str, message: impl Into<String>) -> CallFault {
        CallFault::new(Effect::Uncertain, None, self.fault(FaultKind::Protocol, operation, message))
    }

    pub(crate) fn url(&self, segments: &[&str], query: &[(&str, String)]) -> Result<Url, CallFault> {
        let mut url = self.call.client().base().clone();
        let invalid = |message: &str| CallFault::not_sent(self.fault(FaultKind::Invalid, "make a request", message));
        // The parser drops these, and the request would go elsewhere.
        if segments.iter().any(|segment| matches!(*segment, "." | ".." | "")) {
            return Err(invalid("an id cannot stand in an address"));
        }
        url.path_segments_mut().map_err(|()| invalid("the base address has no path"))?.pop_if_empty().extend(segments);
        let version = ("version", VERSION.to_owned());
        let pairs: Vec<String> =
            query.iter().chain([&version]).map(|(name, value)| format!("{name}={}", encode(value))).collect();
        url.set_query(Some(&pairs.join("&")));
        Ok(url)
    }

    /// Sends one request as it is.
    pub(crate) async fn once(&self, request: Request, extra: Extra) -> Result<Answer, CallFault> {
        self.call.send_with(request, extra).await
    }

    /// Sends one request in a session. A session that has run out is opened again, once: the request had no effect.
    async fn in_session(&self, request: Request) -> Result<Answer, CallFault> {
        let session = self.account.session(self, None).await.map_err(before)?;
        let answer = self.once(request.clone(), self.account.extra(Some(&session))).await?;
        if answer.status() != 401 || is_licence(&answer) {
            return Ok(answer);
        }
        let session = self.account.session(self, Some(&session)).await.map_err(before)?;
        self.once(request, self.account.extra(Some(&session))).await
    }

    /// The result of a request, at once or from the queue.
    async fn result(&self, request: Request) -> Result<(Answer, Value), CallFault> {
        let operation = request.operation.clone();
        let mut answer = failed(self.in_session(request).await?)?;
        if answer.status() != 202 {
            let json = if answer.body().is_empty() { Value::Null } else { json_of(&answer)? };
            return match error_of(&json) {
                None => Ok((answer, json)),
                Some(error) => Err(answer.broken(&format!("the answer is a success with an error in it: {error}"))),
            };
        }
        let id = queue_id(&answer)?;
        let mut wait = POLL_FIRST;
        loop {
            let pause = Instant::now() + wait;
            if pause >= self.deadline() {
                let message = "the server queued the request, and did not get to it in time";
                return Err(open(self.fault(FaultKind::Unreachable, &operation, message)));
            }
            tokio::time::sleep_until(pause).await;
            wait = (wait * 2).min(POLL_MAX);
            let poll = Request::get(self.url(&["queue", &id], &[])?, MEDIA, operation.as_str());
            // What becomes of the poll says nothing about the request in the queue.
            answer = self.in_session(poll).await.and_then(failed).map_err(|fault| open(*fault.fault))?;
            if let Some(done) = queued(&answer, json_of(&answer)?)? {
                return Ok((answer, done));
            }
        }
    }

    /// A document of the server: a type, settings.
    pub(crate) async fn document(
        &self,
        segments: &[&str],
        query: &[(&str, String)],
        operation: &str,
    ) -> Result<Value, CallFault> {
        let request = Request::get(self.url(segments, query)?, MEDIA, operation);
        self.result(request).await.map(|(_, json)| json).map_err(not_missing)
    }

    /// A page of instances.
    pub(crate) async fn page(
        &self,
        kind: Kind,
        query: &[(&str, String)],
        operation: &str,
    ) -> Result<(Answer, Value), CallFault> {
        let mut query = [&[("type_name", kind.name().to_owned())], query].concat();
        if self.queue {
            query.push(("queue", "true".to_owned()));
        }
        let request = Request::get(self.url(&["instances"], &query)?, MEDIA, operation);
        self.result(request).await.map_err(not_missing)
    }

    /// Adds, changes or takes away one instance.
    pub(crate) async fn write(
        &self,
        method: Method,
        kind: Kind,
        properties: &Map<String, Value>,
        operation: &str,
    ) -> Result<(Answer, Value), CallFault> {
        let body = json!({"type_name": kind.name(), "property_value_map": properties});
        let query: &[(&str, String)] = if self.queue { &[("queue", "true".to_owned())] } else { &[] };
        let request = Request {
            method,
            url: self.url(&["instances"], query)?,
            operation: operation.to_owned(),
            media: MEDIA,
            body: Some(body.to_string().into_bytes()),
            if_match: None,
        };
        self.result(request).await
    }

    /// The version of the server. Needs no session.
    pub(crate) async fn version(&self) -> Result<Value, CallFault> {
        let request = Request::get(self.url(&["version"], &[])?, MEDIA, "read the version");
        let answer = self.once(request, self.account.extra(None)).await?;
        failed(answer).map_err(not_missing)?.json()
    }
}

/// Whatever went wrong before the request itself, the request was not sent.
fn before(fault: CallFault) -> CallFault {
    CallFault { effect: Effect::NotSent, ..fault }
}

/// A request in the queue may be carried out at any time.
fn open(fault: Fault) -> CallFault {
    CallFault::new(Effect::Uncertain, None, fault)
}

/// A list can be empty, but it cannot be missing: this is not the place that it was taken for.
fn not_missing(mut fault: CallFault) -> CallFault {
    if fault.fault.kind == FaultKind::Missing {
        fault.fault.kind = FaultKind::Protocol;
        fault.fault.help = Some("check `url`: OpenAccess is not at this address".to_owned());
    }
    fault
}

/// The answer when it is a success; otherwise the fault, in the words of the error body.
pub(crate) fn failed(answer: Answer) -> Result<Answer, CallFault> {
    if answer.is_success() {
        return Ok(answer);
    }
    let said = answer.json().ok().as_ref().and_then(error_of);
    let mut fault = answer.fault(said.as_deref());
    if is_licence(&answer) {
        let help = "ask the OnGuard administrator whether the licence lists this `application_id`, letter by letter, and \
                    whether OpenAccess itself is licensed";
        fault.fault.help = Some(help.to_owned());
    } else if fault.fault.kind == FaultKind::Unauthenticated {
        fault.fault.help = Some("the server ended a session right after opening it; look at this user".to_owned());
    }
    Err(fault)
}

/// The JSON of a success. What is JSON by another name is not quoted: it may hold card numbers.
fn json_of(answer: &Answer) -> Result<Value, CallFault> {
    answer.json().map_err(|fault| match answer.body().trim_ascii_start().first() {
        Some(b'{' | b'[') => answer.broken("the answer does not call itself JSON, or cannot be read as such"),
        Some(_) | None => fault,
    })
}

/// The error body, as one line.
fn error_of(json: &Value) -> Option<String> {
    let error = json.get("error").filter(|error| !error.is_null())?;
    let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    Some(format!("{}: {}", text("code"), text("message")))
}

/// The application id is not in the licence: no session and no password changes that.
pub(crate) fn is_licence(answer: &Answer) -> bool {
    let code = answer.json().ok();
    let code = code.as_ref().and_then(|json| json.get("error")?.get("code")?.as_str());
    answer.status() == 401 && code.is_some_and(|code| code.to_ascii_lowercase().ends_with(".invalidapplicationid"))
}

fn queue_id(answer: &Answer) -> Result<String, CallFault> {
    let json = answer.json()?;
    match json.get("id") {
        Some(Value::String(id)) if !id.is_empty() => Ok(id.clone()),
        Some(Value::Number(id)) => Ok(id.to_string()),
        Some(_) | None => Err(answer.broken("the server queued the request, and its answer has no `id`")),
    }
}

/// The result of a queued request when it is there; `None` when it is to be waited for.
fn queued(answer: &Answer, mut json: Value) -> Result<Option<Value>, CallFault> {
    let status = json.get("status").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    match status.as_str() {
        "pending" | "processing" | "running" => return Ok(None),
        "complete" | "completed" => {}
        _ => return Err(answer.broken("the server says of a queued request neither that it waits nor that it is done")),
    }
    let response = json.get_mut("response").map(Value::take).unwrap_or_default();
    match error_of(&response) {
        None => Ok(Some(response)),
        Some(error) => {
            let mut fault = answer.broken(&format!("the queued request ended with an error: {error}"));
            if error.contains(INVALID_ITEM) {
                (fault.effect, fault.fault.kind) = (Effect::Refused, FaultKind::Invalid);
            }
            Err(fault)
        }
    }
}

/// Percent-encoding with `%20` for a blank: some servers do not read `+` as one.
fn encode(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>().replace('+', "%20")
}
