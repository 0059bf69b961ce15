//! A program that runs: what is sent to it, what it answers, and its end. Three threads serve its three streams, so that one
//! that does not read, or says too much, stops nobody else; a fourth one waits for its end. Whoever breaks the rules is ended; everybody who waits is told.
//!
//! This module must not know what the messages say.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lockstep_contract::{Fault, FaultKind, Secret, quote};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use crate::lines::{self, Piece};
use crate::program::Program;
use crate::protocol::{MESSAGE_BYTES_MAX, WireError};
use crate::stop;

/// How long a program has to end by itself, once its streams are closed.
const LEAVE_TIME: Duration = Duration::from_millis(500);
/// Bytes of one line of its log that are kept.
const LOG_LINE_MAX: usize = 1024;
/// Lines of its log that are passed on.
const LOG_LINES_MAX: usize = 1000;

/// An answer: what it holds, or the error that it is.
pub(crate) type Answer = Result<Box<RawValue>, WireError>;
/// Why there will be no answer.
#[derive(Debug, Clone)]
pub(crate) struct Gone {
    /// What it is for the caller.
    pub(crate) kind: FaultKind,
    /// A sentence for people.
    pub(crate) message: String,
}
type Waiting = oneshot::Sender<Result<Answer, Gone>>;

/// A running program.
pub(crate) struct Running {
    shared: Arc<Shared>,
    outbox: mpsc::Sender<Vec<u8>>,
    next: AtomicU64,
}

struct Shared {
    system: String,
    secrets: Vec<Secret>,
    child: Mutex<Child>,
    waiting: Mutex<Option<BTreeMap<u64, Waiting>>>,
    gone: Mutex<Option<Gone>>,
    last_words: Mutex<String>,
    leaving: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    /// Starts the program. It is asked nothing yet.
    pub(crate) fn start(program: &Program) -> Result<Self, Fault> {
        let fault = |kind, message| Fault::new(kind, program.id.as_str(), "start", message);
        let mut child = program.command()?.spawn().map_err(|error| {
            fault(FaultKind::Unreachable, format!("{} does not start: {error}", program.name()))
                .with_help("the path, its rights (it must be executable), and what it needs to run")
        })?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let shared = Arc::new(Shared {
            system: program.id.to_string(),
            secrets: program.secrets.values().cloned().collect(),
            child: Mutex::new(child),
            waiting: Mutex::new(Some(BTreeMap::new())),
            gone: Mutex::new(None),
            last_words: Mutex::default(),
            leaving: AtomicBool::new(false),
        });
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(fault(FaultKind::Unreachable, format!("{} has no streams", program.name())));
        };
        let (outbox, inbox) = mpsc::channel();
        let watching = Arc::clone(&shared);
        thread::spawn(move || watching.watch());
        thread::spawn(move || write(stdin, &inbox));
        let (reading, logging) = (Arc::clone(&shared), Arc::clone(&shared));
        let log = thread::spawn(move || logging.log(stderr));
        thread::spawn(move || {
            let why = reading.answers(stdout);
            reading.end(why, Some(log));
        });
        Ok(Self { shared, outbox, next: AtomicU64::new(1) })
    }

    /// The number of the next request.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends one line, and says where its answer will arrive.
    pub(crate) fn send(&self, number: u64, mut line: Vec<u8>) -> Result<oneshot::Receiver<Result<Answer, Gone>>, Gone> {
        let (waiting, answer) = oneshot::channel();
        match lock(&self.shared.waiting).as_mut() {
            Some(all) => all.insert(number, waiting),
            None => return Err(self.why()),
        };
        line.push(b'\n');
        // A program that does not read any more is found out by its end, or by the deadline.
        if self.outbox.send(line).is_err() {
            tracing::debug!(system = self.shared.system, "the connector does not read any more");
        }
        Ok(answer)
    }

    /// True until it has ended.
    pub(crate) fn is_alive(&self) -> bool {
        lock(&self.shared.waiting).is_some()
    }

    /// Ends it. Everybody who waits for an answer is told why.
    pub(crate) fn kill(&self, kind: FaultKind, message: impl Into<String>) {
        self.shared.condemn(Gone { kind, message: message.into() });
    }

    /// Why it is not there any more.
    pub(crate) fn why(&self) -> Gone {
        let unknown = || Gone { kind: FaultKind::Unreachable, message: "the connector has ended".to_owned() };
        lock(&self.shared.gone).clone().unwrap_or_else(unknown)
    }
}

impl Drop for Running {
    /// Its input closes, which is how it is told to end. One that does not is ended.
    fn drop(&mut self) {
        self.shared.leaving.store(true, Ordering::SeqCst);
        let (closed, _) = mpsc::channel();
        drop(std::mem::replace(&mut self.outbox, closed));
        let mut child = lock(&self.shared.child);
        if left(&mut child).is_none() {
            stop::end(&mut child);
            let _ = child.wait();
        }
    }
}

/// How it ended, when it does so by itself soon.
fn left(child: &mut Child) -> Option<ExitStatus> {
    let until = Instant::now() + LEAVE_TIME;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Err(_) => return None,
            Ok(None) if Instant::now() >= until => return None,
            Ok(None) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn write(mut stdin: ChildStdin, inbox: &mpsc::Receiver<Vec<u8>>) {
    while let Ok(line) = inbox.recv() {
        if stdin.write_all(&line).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

/// An answer on the wire.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    jsonrpc: String,
    id: Option<u64>,
    #[serde(default, deserialize_with = "there")]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<WireError>,
}

/// `null` is a result, too.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

impl Shared {
    /// Whatever it started may hold its streams open when it has ended; then that ends, too.
    fn watch(&self) {
        let id = lock(&self.child).id();
        if stop::await_exit(id) && lock(&self.waiting).is_some() {
            stop::end(&mut lock(&self.child));
        }
    }

    /// Takes in answers until there is a reason to stop.
    fn answers(&self, stdout: ChildStdout) -> Option<Gone> {
        let broken = |message: String| Some(Gone { kind: FaultKind::Protocol, message });
        let mut stdout = BufReader::with_capacity(64 * 1024, stdout);
        loop {
            let line = match lines::next(&mut stdout, MESSAGE_BYTES_MAX) {
                Ok(Piece::Line(line)) => line,
                Ok(Piece::End) | Err(_) => return None,
                Ok(Piece::Torn) => return broken("the connector ended in the middle of a message".to_owned()),
                Ok(Piece::TooLong) => {
                    let limit = MESSAGE_BYTES_MAX / 1024 / 1024;
                    return broken(format!("the connector sent a message of more than {limit} MiB"));
                }
            };
            if let Err(message) = self.answer(&line) {
                return broken(message);
            }
        }
    }

    fn answer(&self, line: &[u8]) -> Result<(), String> {
        let reply: Reply = serde_json::from_slice(line).map_err(|error| {
            let some = quote(&String::from_utf8_lossy(line.get(..200).unwrap_or(line)), &self.secrets);
            format!("the connector sent what is no answer of JSON-RPC 2.0 ({error}): {some}")
        })?;
        if reply.jsonrpc != "2.0" {
            return Err("the connector sent an answer that is not of JSON-RPC 2.0".to_owned());
        }
        let answer = match (reply.result, reply.error) {
            (Some(result), None) => Ok(result),
            (None, Some(error)) => Err(error),
            _ => return Err("the connector sent an answer that is not either a result or an error".to_owned()),
        };
        let waiting = reply.id.and_then(|id| lock(&self.waiting).as_mut().and_then(|all| all.remove(&id)));
        let waiting = waiting.ok_or("the connector answered what was not asked")?;
        // Whoever asked may have given up; then the connector is being ended.
        let _ = waiting.send(Ok(answer));
        Ok(())
    }

    /// Passes its log on, as far as it is bearable.
    fn log(&self, stderr: ChildStderr) {
        let mut stderr = BufReader::new(stderr);
        let mut count = 0_usize;
        loop {
            let line = match lines::next(&mut stderr, LOG_LINE_MAX) {
                Ok(Piece::Line(line)) => line,
                // The rest of it comes as lines of their own, and counts as such.
                Ok(Piece::TooLong) => {
                    let held = stderr.buffer().len();
                    stderr.consume(held);
                    b"(a long line)".to_vec()
                }
                Ok(Piece::Torn | Piece::End) | Err(_) => return,
            };
            count += 1;
            if count <= LOG_LINES_MAX {
                let said = quote(&String::from_utf8_lossy(&line), &self.secrets);
                tracing::info!(system = self.system, "connector: {said}");
                *lock(&self.last_words) = said;
            }
        }
    }

    /// Ends the program for a reason; the first one counts.
    fn condemn(&self, why: Gone) {
        lock(&self.gone).get_or_insert(why);
        stop::end(&mut lock(&self.child));
        self.tell_all();
    }

    /// The streams are closed, or it broke the rules.
    fn end(&self, why: Option<Gone>, log: Option<thread::JoinHandle<()>>) {
        let by_itself = if why.is_none() { left(&mut lock(&self.child)) } else { None };
        stop::end(&mut lock(&self.child));
        let _ = lock(&self.child).wait();
        // What it said last is in its log; which ends now, for its whole group has ended.
        if let Some(log) = log {
            let until = Instant::now() + LEAVE_TIME;
            while !log.is_finished() && Instant::now() < until {
                thread::sleep(Duration::from_millis(5));
            }
        }
        let why = why.unwrap_or_else(|| Gone { kind: FaultKind::Unreachable, message: self.obituary(by_itself) });
        if !self.leaving.load(Ordering::SeqCst) {
            tracing::warn!(system = self.system, "{}", why.message);
        }
        lock(&self.gone).get_or_insert(why);
        self.tell_all();
    }

    fn obituary(&self, status: Option<ExitStatus>) -> String {
        let how = match status {
            Some(status) => format!("the connector ended by itself ({status})"),
            None => "the connector closed its output and was ended".to_owned(),
        };
        match lock(&self.last_words).as_str() {
            "" => how,
            words => format!("{how}; the last it said: {words}"),
        }
    }

    fn tell_all(&self) {
        let all = lock(&self.waiting).take().unwrap_or_default();
        let why = lock(&self.gone).clone();
        for waiting in all.into_values() {
            if let Some(why) = why.clone() {
                let _ = waiting.send(Err(why));
            }
        }
    }
}
