//! Keeps the journal without ever waiting long for a disk. Records are made on a thread of their own, in order; when
//! one takes longer than [`LIMIT`] the offboarding goes on, says that its record is incomplete, and waits no more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::{Event, Journal};

/// So long the person stays in for the sake of a record.
pub(crate) const LIMIT: Duration = Duration::from_secs(2);

type Job = (Option<Event>, oneshot::Sender<Result<(), String>>);

/// Writes down what happens to one person.
pub(crate) struct Scribe {
    journal: Arc<dyn Journal>,
    jobs: Option<mpsc::Sender<Job>>,
    late: AtomicBool,
    faults: Mutex<Vec<String>>,
}

impl Scribe {
    pub(crate) fn new(journal: Arc<dyn Journal>) -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let writer = journal.clone();
        // A thread, not a task: whoever ends the program waits for tasks, and this may hang for good.
        let spawned = std::thread::Builder::new().name("offboard-journal".into()).spawn(move || {
            for (event, done) in queue {
                let result = event.map_or(Ok(()), |event| writer.record(&event));
                // Nobody waits for it any more when it took too long.
                let _ = done.send(result);
            }
        });
        Self { journal, jobs: spawned.is_ok().then_some(jobs), late: AtomicBool::new(false), faults: Mutex::default() }
    }

    /// Makes a record durable, or notes that it is not.
    pub(crate) async fn record(&self, event: Event) {
        let late = self.late.load(Ordering::SeqCst);
        let wait = if late { Duration::ZERO } else { LIMIT };
        match self.ask(Some(event.clone()), wait).await {
            Some(Ok(())) => {}
            Some(Err(fault)) => self.fault(fault),
            None => {
                self.late.store(true, Ordering::SeqCst);
                self.journal.late(&event);
            }
        }
    }

    /// What could not be made durable. Gives a slow disk one more chance to take everything.
    pub(crate) async fn finish(self) -> Vec<String> {
        if self.late.load(Ordering::SeqCst) {
            let caught_up = self.ask(None, LIMIT).await.is_some();
            let state = if caught_up { "it was written late" } else { "the disk does not answer" };
            self.fault(format!("the audit record is incomplete: no answer within {} s; {state}", LIMIT.as_secs()));
        }
        let mut faults = std::mem::take(&mut *self.faults.lock().unwrap_or_else(PoisonError::into_inner));
        faults.dedup();
        faults
    }

    /// `None` when there was no answer in time.
    async fn ask(&self, event: Option<Event>, wait: Duration) -> Option<Result<(), String>> {
        let broken = || Err("the journal broke off".to_owned());
        let (done, answer) = oneshot::channel();
        match &self.jobs {
            Some(jobs) if jobs.send((event, done)).is_ok() => {
                let answer = tokio::time::timeout(wait, answer).await.ok()?;
                Some(answer.unwrap_or_else(|_| broken()))
            }
            _ => Some(broken()),
        }
    }

    fn fault(&self, fault: String) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }
}
