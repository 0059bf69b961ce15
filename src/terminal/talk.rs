//! Talk on its way to stderr. A thread of its own writes it: a pipe that is full, because whoever should read it hangs,
//! must not keep anybody from working.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// So long a reader may take for what was said.
const PATIENCE: Duration = Duration::from_secs(1);

enum Job {
    Write(Vec<u8>),
    /// Answers when everything before it is out.
    Reach(Sender<()>),
}

static JOBS: OnceLock<Option<Mutex<Sender<Job>>>> = OnceLock::new();
/// Nobody reads: nothing is waited for any more.
static HUNG: AtomicBool = AtomicBool::new(false);

/// Gives the job back when there is no thread.
fn send(job: Job) -> Result<(), Job> {
    let writer = || {
        let (jobs, queue) = channel();
        let thread = std::thread::Builder::new().name("stderr".into()).spawn(move || work(&queue));
        thread.is_ok().then(|| Mutex::new(jobs))
    };
    match JOBS.get_or_init(writer) {
        Some(jobs) => jobs.lock().unwrap_or_else(PoisonError::into_inner).send(job).map_err(|unsent| unsent.0),
        None => Err(job),
    }
}

fn work(queue: &Receiver<Job>) {
    for job in queue {
        match job {
            // Nowhere to report that stderr is gone.
            Job::Write(text) => drop(io::stderr().lock().write_all(&text)),
            Job::Reach(done) => drop(done.send(())),
        }
    }
}

pub(super) fn write(text: Vec<u8>) {
    if let Err(Job::Write(text)) = send(Job::Write(text)) {
        let _ = io::stderr().lock().write_all(&text);
    }
}

pub(super) fn flush() {
    if JOBS.get().is_none() || HUNG.load(Ordering::SeqCst) {
        return;
    }
    let (done, reached) = channel();
    if send(Job::Reach(done)).is_ok() && reached.recv_timeout(PATIENCE).is_err() {
        HUNG.store(true, Ordering::SeqCst);
    }
}
