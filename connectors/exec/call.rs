//! Calls to a program: started when it is needed, asked once, and ended when it does not answer in time. This module must
//! not repeat a call.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lockstep_contract::{Cx, Fault, FaultKind, KeyKind, Secret, Step, quote};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::child::{Answer, Gone, Running};
use crate::error::{self, CallFault};
use crate::program::Program;
use crate::protocol::{Asked, Effect, Examinable, Initialized, MESSAGE_BYTES_MAX, Request, VERSION, method};

/// A child has this share of the time, so that it can say itself why it did not do it.
const SHARE: f64 = 0.9;
/// Characters of a name or an address that are believable.
const NAME_MAX: usize = 512;

/// The line to a program.
pub(crate) struct Line {
    program: Arc<Program>,
    said: Initialized,
    running: Arc<Mutex<Option<Arc<Running>>>>,
}

impl Line {
    /// Starts the program and agrees with it on a version.
    pub(crate) fn open(program: Program) -> Result<(Self, Initialized), Fault> {
        let (running, said) = begin(&program)?;
        let running = Arc::new(Mutex::new(Some(Arc::new(running))));
        let line = Self { program: Arc::new(program), said: said.clone(), running };
        Ok((line, said))
    }

    /// Whether `enforced` may be asked.
    pub(crate) const fn tells_enforcement(&self) -> bool {
        self.said.tells_enforcement
    }

    /// What it can do for the suite.
    pub(crate) const fn examinable(&self) -> Option<&Examinable> {
        self.said.conformance.as_ref()
    }

    /// The program that runs now, if one does.
    pub(crate) fn current(&self) -> Option<Arc<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A fault of this system.
    pub(crate) fn fault(&self, kind: FaultKind, operation: &str, message: impl Into<String>) -> Fault {
        Fault::new(kind, self.program.id.as_str(), operation, message)
    }

    /// Asks once, and takes the answer for what it claims to be. What must not be repeated in a fault is `hidden`.
    pub(crate) async fn ask<P: Serialize, R: DeserializeOwned>(
        &self,
        cx: &Cx,
        method: &'static str,
        what: &P,
        hidden: &[&str],
    ) -> Result<R, CallFault> {
        let not_sent = |fault| CallFault { fault: Box::new(fault), effect: Effect::NotSent };
        cx.check(self.program.id.as_str(), method).map_err(not_sent)?;
        let begun = Instant::now();
        let running = self.running().await.map_err(not_sent)?;
        let left = cx.budget.saturating_sub(begun.elapsed());
        let deadline_ms = u64::try_from(left.mul_f64(SHARE).as_millis()).unwrap_or(u64::MAX);
        let number = running.number();
        let asked = Asked { deadline_ms, run: cx.run.map(|run| run.to_string()), what };
        let line = self.line(method, number, &asked).map_err(not_sent)?;
        let answer = running.send(number, line).map_err(|gone| not_sent(self.gone(method, &gone)))?;
        let mut guard = EndUnlessAnswered { running: &running, method, answered: false };
        let answer = tokio::time::timeout(left, answer).await;
        guard.answered = answer.is_ok();
        drop(guard);
        let uncertain = |fault| CallFault { fault: Box::new(fault), effect: Effect::Uncertain };
        let answer = match answer {
            Ok(Ok(Ok(answer))) => answer,
            Ok(Ok(Err(gone))) => return Err(uncertain(self.gone(method, &gone))),
            Ok(Err(_)) => return Err(uncertain(self.gone(method, &running.why()))),
            Err(_) => return Err(uncertain(self.gone(method, &too_late(method)))),
        };
        self.take(&running, method, answer, hidden)
    }

    fn take<R: DeserializeOwned>(
        &self,
        running: &Running,
        method: &str,
        answer: Answer,
        hidden: &[&str],
    ) -> Result<R, CallFault> {
        let hidden = || hidden.iter().map(|text| Secret::new((*text).to_owned()));
        let secrets: Vec<Secret> = self.program.secrets.values().cloned().chain(hidden()).collect();
        match answer {
            Ok(result) => serde_json::from_str(result.get()).map_err(|error| {
                // One that does not keep to the protocol here does not elsewhere: nothing it said is trusted.
                let why = quote(&error.to_string(), &secrets);
                let message = format!("the connector's answer to `{method}` is not what the protocol says: {why}");
                running.kill(FaultKind::Protocol, message.as_str());
                CallFault {
                    fault: Box::new(self.fault(FaultKind::Protocol, method, message)),
                    effect: Effect::Uncertain,
                }
            }),
            Err(error) => Err(error::of(self.program.id.as_str(), method, &error, &secrets)),
        }
    }

    fn line<P: Serialize>(&self, method: &str, id: u64, params: &P) -> Result<Vec<u8>, Fault> {
        let line = serde_json::to_vec(&Request { jsonrpc: "2.0", id, method, params }).unwrap_or_default();
        if line.is_empty() || line.len() >= MESSAGE_BYTES_MAX {
            return Err(self.fault(FaultKind::Invalid, method, "the message would be longer than the protocol allows"));
        }
        Ok(line)
    }

    fn gone(&self, operation: &str, gone: &Gone) -> Fault {
        self.fault(gone.kind, operation, gone.message.as_str())
    }

    /// The running program; a new one when the last has ended.
    async fn running(&self) -> Result<Arc<Running>, Fault> {
        if let Some(running) = self.current().filter(|running| running.is_alive()) {
            return Ok(running);
        }
        let (program, slot, said) = (Arc::clone(&self.program), Arc::clone(&self.running), self.said.clone());
        let again = tokio::task::spawn_blocking(move || {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(running) = slot.as_ref().filter(|running| running.is_alive()) {
                return Ok(Arc::clone(running));
            }
            let (running, now) = begin(&program)?;
            if now != said {
                let message = "the connector says that it is another one than when the run began";
                return Err(Fault::new(FaultKind::Protocol, program.id.as_str(), "start", message));
            }
            Ok(Arc::clone(slot.insert(Arc::new(running))))
        });
        again.await.unwrap_or_else(|_| Err(self.fault(FaultKind::Unreachable, "start", "the start was broken off")))
    }
}

/// Ends the program when whoever asked goes away without an answer: a later answer would be nobody's.
struct EndUnlessAnswered<'a> {
    running: &'a Running,
    method: &'static str,
    answered: bool,
}

impl Drop for EndUnlessAnswered<'_> {
    fn drop(&mut self) {
        if !self.answered {
            let gone = too_late(self.method);
            self.running.kill(gone.kind, gone.message);
        }
    }
}

fn too_late(method: &str) -> Gone {
    let message = format!("the connector did not answer `{method}` in time, and was ended");
    Gone { kind: FaultKind::Unreachable, message }
}

/// Starts a program and agrees with it on a version.
fn begin(program: &Program) -> Result<(Running, Initialized), Fault> {
    let fault = |kind, message: String| Fault::new(kind, program.id.as_str(), method::INITIALIZE, message);
    let running = Running::start(program)?;
    let number = running.number();
    let params = program.initialize();
    let request = Request { jsonrpc: "2.0", id: number, method: method::INITIALIZE, params: &params };
    let line = serde_json::to_vec(&request).unwrap_or_default();
    if line.is_empty() || line.len() >= MESSAGE_BYTES_MAX {
        return Err(fault(FaultKind::Invalid, "its settings are longer than one message may be".to_owned()));
    }
    let answer = running.send(number, line).map_err(|gone| fault(gone.kind, gone.message))?;
    let answer = wait(answer, program.start_max).ok_or_else(|| {
        let seconds = program.start_max.as_secs();
        fault(FaultKind::Unreachable, format!("the connector did not answer within {seconds} s, and was ended"))
    })?;
    let secrets: Vec<Secret> = program.secrets.values().cloned().collect();
    let said: Initialized = match answer.map_err(|gone| fault(gone.kind, gone.message))? {
        Ok(result) => serde_json::from_str(result.get()).map_err(|error| {
            let why = quote(&error.to_string(), &secrets);
            fault(FaultKind::Protocol, format!("the connector's first answer is not what the protocol says: {why}"))
        })?,
        Err(error) => return Err(*error::of(program.id.as_str(), method::INITIALIZE, &error, &secrets).fault),
    };
    agreed(&said).map_err(|message| fault(FaultKind::Protocol, message))?;
    tracing::debug!(system = %program.id, connector = %said.connector, "the connector has started");
    Ok((running, said))
}

fn agreed(said: &Initialized) -> Result<(), String> {
    if said.protocol != VERSION {
        let theirs = said.protocol;
        return Err(format!("the connector speaks version {theirs} of the protocol; this program speaks {VERSION}"));
    }
    let texts = [("connector", &said.connector), ("endpoint", &said.endpoint), ("fingerprint", &said.fingerprint)];
    for (name, text) in texts {
        if text.is_empty() || text.chars().count() > NAME_MAX || quote(text, &[]).contains("\\u{") {
            return Err(format!("the connector's `{name}` is empty, too long, or holds what does not print"));
        }
    }
    Ok(())
}

/// Waits on this thread: a connector is opened before there is anything to do meanwhile.
fn wait<T>(mut answer: tokio::sync::oneshot::Receiver<T>, time_max: Duration) -> Option<T> {
    let until = Instant::now() + time_max;
    loop {
        match answer.try_recv() {
            Ok(answer) => return Some(answer),
            Err(tokio::sync::oneshot::error::TryRecvError::Closed) => return None,
            Err(tokio::sync::oneshot::error::TryRecvError::Empty) if Instant::now() >= until => return None,
            Err(tokio::sync::oneshot::error::TryRecvError::Empty) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// The numbers of cards that stand in a step: no fault may repeat them.
pub(crate) fn card_numbers(step: &Step) -> Vec<&str> {
    match step {
        Step::Provision { keys, .. } => keys.of(KeyKind::Card).map(lockstep_contract::CorrelationKey::value).collect(),
        Step::Reduce(_)
        | Step::Amend { .. }
        | Step::Reinstate
        | Step::Widen { .. }
        | Step::Grant { .. }
        | Step::Activate { .. } => Vec::new(),
    }
}
