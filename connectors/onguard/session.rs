//! The one session with the server: log-in, keep-alive, and a log-in again when it has run out. A log-in that is refused is
//! not tried without end: the account would be locked. This module must not read or write records.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use lockstep_contract::{FaultKind, Secret};
use lockstep_http::{Answer, CallFault, Effect, Extra, Method, Request, Value};
use serde_json::json;
use tokio::sync::MutexGuard;

use crate::api::{Api, MEDIA, failed, is_licence};
use crate::config::Config;

/// So many refused log-ins are risked in [`REFUSED_WITHIN`].
const REFUSED_MAX: usize = 3;
const REFUSED_WITHIN: Duration = Duration::from_secs(60 * 60);

/// Who logs on.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) application_id: String,
    pub(crate) user_name: String,
    pub(crate) password: Secret,
    pub(crate) directory_id: String,
    pub(crate) keepalive: Duration,
    state: tokio::sync::Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    session: Option<Session>,
    sessions: u64,
    /// When log-ins were refused, oldest first.
    refused: VecDeque<Instant>,
}

/// A session that the server opened for us.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    number: u64,
    token: Secret,
    used: Instant,
}

impl Account {
    pub(crate) fn new(config: &Config, password: Secret) -> Self {
        Self {
            application_id: config.application_id.clone(),
            user_name: config.user_name.clone(),
            password,
            directory_id: config.directory_id.clone(),
            keepalive: Duration::from_secs(config.keepalive_seconds),
            state: tokio::sync::Mutex::default(),
        }
    }

    /// What goes with a request.
    pub(crate) fn extra(&self, session: Option<&Session>) -> Extra {
        let mut headers = vec![("application-id", self.application_id.clone())];
        let mut secrets = vec![self.password.clone()];
        if let Some(session) = session {
            headers.push(("session-token", session.token.expose().to_owned()));
            secrets.push(session.token.clone());
        }
        Extra { headers, secrets, ..Extra::default() }
    }

    /// A session to send the next request with. `spent` is one that the server does not know any more.
    pub(crate) async fn session(&self, api: &Api<'_>, spent: Option<&Session>) -> Result<Session, CallFault> {
        let mut state = tokio::time::timeout_at(api.deadline(), self.state.lock()).await.map_err(|_| {
            let message = "somebody else was logging on all the time; nothing was sent";
            CallFault::not_sent(api.fault(FaultKind::Unreachable, "log on", message))
        })?;
        if let (Some(spent), Some(current)) = (spent, &state.session)
            && spent.number == current.number
        {
            state.session = None;
        }
        if let Some(session) = state.session.clone() {
            if session.used.elapsed() < self.keepalive || self.refresh(api, &session).await? {
                if let Some(session) = &mut state.session {
                    session.used = Instant::now();
                }
                return Ok(session);
            }
            state.session = None;
        }
        self.log_on(api, &mut state).await
    }

    /// Keeps an idle session alive; `false` when it has run out.
    async fn refresh(&self, api: &Api<'_>, session: &Session) -> Result<bool, CallFault> {
        let request = Request::get(api.url(&["keepalive"], &[])?, MEDIA, "keep the session alive");
        let answer = api.once(request, self.extra(Some(session))).await?;
        match answer.status() {
            401 if !is_licence(&answer) => Ok(false),
            _ => failed(answer).map(|_| true),
        }
    }

    async fn log_on(&self, api: &Api<'_>, state: &mut MutexGuard<'_, State>) -> Result<Session, CallFault> {
        const OPERATION: &str = "log on";
        while state.refused.front().is_some_and(|at| at.elapsed() > REFUSED_WITHIN) {
            state.refused.pop_front();
        }
        if state.refused.len() >= REFUSED_MAX {
            let message = format!(
                "the server refused {REFUSED_MAX} log-ins within the hour; no more are tried, so that the account is not \
                 locked"
            );
            let fault = api.fault(FaultKind::Unauthenticated, OPERATION, message).with_help(HELP);
            return Err(CallFault::not_sent(fault));
        }
        let mut body = json!({"user_name": self.user_name, "password": self.password.expose()});
        if !self.directory_id.is_empty() {
            body["directory_id"] = Value::from(self.directory_id.as_str());
        }
        let request = Request {
            method: Method::POST,
            url: api.url(&["authentication"], &[])?,
            operation: OPERATION.to_owned(),
            media: MEDIA,
            body: Some(body.to_string().into_bytes()),
            if_match: None,
        };
        let answer = api.once(request, self.extra(None)).await?;
        let answer = failed(answer).map_err(|fault| {
            let fault = refused(fault);
            if fault.fault.kind == FaultKind::Unauthenticated {
                state.refused.push_back(Instant::now());
            }
            fault
        })?;
        let token = token_of(&answer)?;
        state.refused.clear();
        state.sessions += 1;
        let session = Session { number: state.sessions, token, used: Instant::now() };
        state.session = Some(session.clone());
        tracing::debug!(system = api.system(), number = session.number, "logged on");
        Ok(session)
    }
}

const HELP: &str = "check `user_name`, `password` and `directory_id`, and log on with them by hand once";

/// A log-in that was turned down is one, however the server words it; its address must not read as "nothing there".
fn refused(mut fault: CallFault) -> CallFault {
    if fault.effect != Effect::Refused {
        return fault;
    }
    if matches!(fault.fault.kind, FaultKind::Unauthenticated | FaultKind::Invalid) {
        fault.fault.kind = FaultKind::Unauthenticated;
        fault.fault.help.get_or_insert_with(|| HELP.to_owned());
    } else if fault.fault.kind == FaultKind::Missing {
        fault.fault.kind = FaultKind::Protocol;
        fault.fault.help = Some("check `url`: OpenAccess is not at this address".to_owned());
    }
    fault
}

fn token_of(answer: &Answer) -> Result<Secret, CallFault> {
    let json = answer.json()?;
    let token = json.get("session_token").and_then(Value::as_str).unwrap_or_default();
    if !token.is_empty() && token.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
        Ok(Secret::new(token.to_owned()))
    } else {
        Err(answer.broken("the server accepted the log-in, and its answer holds no usable `session_token`"))
    }
}
