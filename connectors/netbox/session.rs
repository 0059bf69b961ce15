//! Sends commands: finds the path, logs in, and once more when the session has ended. This module must not know people.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lockstep_contract::{Cx, Fault, FaultKind, Secret};
use lockstep_http::{Answer, Call, CallFault, Client, Effect, Extra, Method, Request, quote};

use crate::envelope::{self, Command, Response, Says};
use crate::xml;

const MEDIA: &str = "text/xml";
/// An answer of so many bytes takes milliseconds to take apart.
const LONG: usize = 64 * 1024;
/// Where NBAPI is: from 6.0 on, and before.
const PATHS: [&str; 2] = ["/nbws/goforms/nbapi", "/goforms/nbapi"];
/// Not authorised, or the session has ended.
const EXPIRED: u32 = 5;
/// Sent in clear text by NBAPI, and no business of ours.
const FORGET: &[&str] = &["PIN", "PASSWORD"];

/// Who logs in, and where.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) user: String,
    pub(crate) password: Secret,
    /// The path, when the settings name it.
    pub(crate) path: Option<String>,
    /// The partition to switch to.
    pub(crate) partition: Option<String>,
}

/// The session that all calls share.
#[derive(Debug)]
pub(crate) struct Session {
    account: Account,
    open: Mutex<Option<Open>>,
    /// Held by whoever logs in.
    turn: tokio::sync::Mutex<()>,
    number: AtomicU32,
}

/// A session that was opened.
#[derive(Debug, Clone)]
struct Open {
    id: Secret,
    path: String,
}

/// The requests of one call.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    session: &'a Session,
    call: Call<'a>,
}

impl Session {
    pub(crate) fn new(account: Account) -> Self {
        Self { account, open: Mutex::new(None), turn: tokio::sync::Mutex::new(()), number: AtomicU32::new(1) }
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Line<'a> {
    pub(crate) fn begin(session: &'a Session, client: &'a Client, cx: &'a Cx) -> Self {
        Self { session, call: client.call(cx) }
    }

    pub(crate) fn fault(&self, kind: FaultKind, operation: &str, message: impl Into<String>) -> Fault {
        Fault::new(kind, self.call.client().system(), operation, message)
    }

    /// A fault of the NetBox in an answer that looked like a success.
    pub(crate) fn protocol(&self, operation: &str, message: &str) -> CallFault {
        CallFault::new(Effect::Uncertain, None, self.fault(FaultKind::Protocol, operation, message))
    }

    /// Sends a command and says what the answer says, which is no numbered error.
    ///
    /// # Errors
    /// When there is no answer, or it is a numbered error. An ended session is renewed, and the command, which was
    /// refused, sent once more.
    pub(crate) async fn ask(&self, command: &Command) -> Result<Says, CallFault> {
        let open = self.opened(None).await?;
        match self.exchange(&open.path, Some(&open.id), command).await?.says {
            Says::ApiError(EXPIRED) => {
                let again = self.opened(Some(&open)).await?;
                match self.exchange(&again.path, Some(&again.id), command).await?.says {
                    Says::ApiError(number) => {
                        if number == EXPIRED {
                            self.forget(&again);
                        }
                        Err(self.numbered(number, &command.operation))
                    }
                    says => Ok(says),
                }
            }
            Says::ApiError(number) => Err(self.numbered(number, &command.operation)),
            says => Ok(says),
        }
    }

    /// The reason of a refusal made safe to show.
    pub(crate) fn shown(&self, reason: &str, command: &Command) -> String {
        let mut secrets = command.secrets.clone();
        secrets.push(self.session.account.password.clone());
        secrets.extend(self.session.open().as_ref().map(|open| open.id.clone()));
        quote(reason, &secrets)
    }

    /// A session other than `ended`. Whatever goes wrong here, the command itself was not sent.
    async fn opened(&self, ended: Option<&Open>) -> Result<Open, CallFault> {
        let not_sent = |fault: CallFault| CallFault { effect: Effect::NotSent, ..fault };
        let usable = || {
            let open = self.session.open().clone();
            open.filter(|open| ended.is_none_or(|ended| ended.id.expose() != open.id.expose()))
        };
        if let Some(open) = usable() {
            return Ok(open);
        }
        let turn = tokio::time::timeout_at(self.call.deadline(), self.session.turn.lock()).await;
        let _turn = turn.map_err(|_| {
            let message = "somebody else's log-in took too long; nothing was sent";
            CallFault::not_sent(self.fault(FaultKind::Unreachable, "log in", message))
        })?;
        if let Some(open) = usable() {
            return Ok(open);
        }
        *self.session.open() = None;
        let open = self.log_in().await.map_err(not_sent)?;
        self.switch_partition(&open).await.map_err(not_sent)?;
        *self.session.open() = Some(open.clone());
        Ok(open)
    }

    fn forget(&self, ended: &Open) {
        let mut open = self.session.open();
        if open.as_ref().is_some_and(|open| open.id.expose() == ended.id.expose()) {
            *open = None;
        }
    }

    async fn log_in(&self) -> Result<Open, CallFault> {
        let account = &self.session.account;
        let command =
            Command::new("Login", "log in").with("USERNAME", &account.user).with_secret("PASSWORD", &account.password);
        let [first, second] = match account.path.as_deref() {
            Some(path) => [path, path],
            None => PATHS,
        };
        let (path, response) = match self.exchange(first, None, &command).await {
            Err(fault) if matches!(fault.status, Some(404 | 410)) && first != second => {
                (second, self.exchange(second, None, &command).await?)
            }
            other => (first, other?),
        };
        self.logged_in(path, response, &command)
    }

    fn logged_in(&self, path: &str, response: Response, command: &Command) -> Result<Open, CallFault> {
        let refused = |reason: &str| {
            let message = format!("the NetBox refuses the log-in: {}", self.shown(reason, command));
            let fault = self.fault(FaultKind::Unauthenticated, "log in", message);
            CallFault::not_sent(
                fault.with_help("check `user` and `password`, and that the user may sign in to the NetBox"),
            )
        };
        match response.says {
            Says::Success(_) => match response.session {
                Some(id) => Ok(Open { id: Secret::new(id), path: path.to_owned() }),
                None => Err(self.protocol("log in", "the NetBox accepts the log-in and names no session")),
            },
            Says::Fail(reason) => Err(refused(&reason)),
            Says::NotFound => Err(refused("not found")),
            Says::ApiError(number) => Err(self.numbered(number, "log in")),
        }
    }

    async fn switch_partition(&self, open: &Open) -> Result<(), CallFault> {
        let Some(partition) = &self.session.account.partition else { return Ok(()) };
        let operation = format!("switch to partition {partition}");
        let command = Command::new("SwitchPartition", operation.as_str()).with("PARTITIONKEY", partition);
        let reason = match self.exchange(&open.path, Some(&open.id), &command).await?.says {
            Says::Success(_) => return Ok(()),
            Says::Fail(reason) => reason,
            Says::NotFound => "not found".to_owned(),
            Says::ApiError(number) => return Err(self.numbered(number, &operation)),
        };
        let message = format!("the NetBox refuses: {}", self.shown(&reason, &command));
        let fault = self.fault(FaultKind::Denied, &operation, message);
        let help = "check `partition`, and that the role of this user has rights on it";
        Err(CallFault::not_sent(fault.with_help(help)))
    }

    /// Sends one document and reads its answer.
    async fn exchange(&self, path: &str, id: Option<&Secret>, command: &Command) -> Result<Response, CallFault> {
        let number = self.session.number.fetch_add(1, Ordering::Relaxed);
        let mut url = self.call.client().base().clone();
        url.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
        let request = Request {
            method: Method::POST,
            url,
            operation: command.operation.clone(),
            media: MEDIA,
            body: Some(command.document(id, number).into_bytes()),
            if_match: None,
        };
        let secrets = command.secrets.iter().chain(id).chain([&self.session.account.password]).cloned().collect();
        let answer = self.call.send_with(request, Extra { secrets, ..Extra::default() }).await?;
        if !answer.is_success() {
            return Err(http_fault(&answer));
        }
        media(&answer)?;
        let name = command.name;
        let broken = |answer: &Answer, problem: &str| answer.broken(&format!("the answer cannot be used: {problem}"));
        let read = move |answer: Answer| {
            let root = xml::parse(answer.body(), FORGET).map_err(|error| broken(&answer, &error.to_string()))?;
            envelope::read(root, name, number).map_err(|problem| broken(&answer, problem))
        };
        if answer.body().len() < LONG {
            return read(answer);
        }
        // The same thread may be waiting for another system.
        match tokio::task::spawn_blocking(move || read(answer)).await {
            Ok(read) => read,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(self.protocol(&command.operation, "the program ended before the answer was read")),
            },
        }
    }

    /// The fault that a numbered error of NBAPI stands for.
    fn numbered(&self, number: u32, operation: &str) -> CallFault {
        let (kind, effect, message, help) = match number {
            1 => (
                FaultKind::Unreachable,
                Effect::Uncertain,
                "the NetBox cannot start the command; its database may be down",
                None,
            ),
            2 => (
                FaultKind::Denied,
                Effect::Refused,
                "NBAPI is switched off",
                Some("switch it on: Configuration, Site Settings, Network Controller, Data Integration, Enable (V2)"),
            ),
            3 => {
                (FaultKind::Invalid, Effect::Refused, "the NetBox does not accept the parameters of the command", None)
            }
            4 => (FaultKind::Invalid, Effect::Refused, "the NetBox cannot read the command", None),
            EXPIRED => (
                FaultKind::Unauthenticated,
                Effect::Refused,
                "the NetBox accepts the log-in and then does not know the session",
                Some(
                    "tick “Use login username/password for authentication” under Configuration, Site Settings, Network \
                     Controller, Data Integration, and give the role of this user the API privilege",
                ),
            ),
            6 => (
                FaultKind::Unsupported,
                Effect::Refused,
                "this NetBox does not know the command",
                Some("NBAPI v2 is needed: NetBox 5.6 or newer"),
            ),
            _ => (FaultKind::Protocol, Effect::Uncertain, "an error that NBAPI does not have", None),
        };
        let mut fault = self.fault(kind, operation, format!("APIERROR {number}: {message}"));
        fault.help = help.map(str::to_owned);
        CallFault::new(effect, None, fault)
    }
}

fn http_fault(answer: &Answer) -> CallFault {
    // A NetBox says everything with 200. Whoever speaks here is the web server or a gateway, and its page is no secret;
    // an answer of NBAPI would be.
    let body = answer.body();
    let ours = body.windows(7).take(512).any(|window| window == b"<NETBOX");
    let mut fault = answer.fault(ours.then_some(""));
    if matches!(answer.status(), 404 | 410) {
        // Nothing of NBAPI is missing: this is not the place that it was taken for.
        fault.fault.kind = FaultKind::Protocol;
        fault.fault.help = Some("check `url` and `path`: NBAPI is not at this address".to_owned());
    }
    fault
}

/// The answer must call itself XML, in UTF-8 or without saying in what.
fn media(answer: &Answer) -> Result<(), CallFault> {
    let Some(found) = answer.header("content-type") else { return Ok(()) };
    let mut parts = found.split(';').map(|part| part.trim().to_ascii_lowercase());
    let media = parts.next().unwrap_or_default();
    if !(media == "text/xml" || media == "application/xml" || media.ends_with("+xml")) {
        return Err(answer.broken(&format!("the answer is {} where XML was expected", quote(found, &[]))));
    }
    let charset = parts.find_map(|part| part.strip_prefix("charset=").map(|name| name.trim_matches('"').to_owned()));
    match charset.as_deref() {
        None | Some("utf-8" | "utf8" | "us-ascii") => Ok(()),
        Some(other) => Err(answer.broken(&format!("the answer is in {}, not in UTF-8", quote(other, &[])))),
    }
}
