//! Keeps the journal without ever waiting long for a disk. Records are made on a thread of their own, in order, and
//! whatever waits goes to the disk together; when one takes longer than [`LIMIT`] the offboarding goes on, says that its
//! record is incomplete, and waits no more.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::{Event, Journal};

/// So long the person stays in for the sake of a record.
pub(crate) const LIMIT: Duration = Duration::from_secs(2);
/// So many records go to the disk at once.
const BATCH_MAX: usize = 64;
const BROKEN: &str = "the journal broke off";

/// A record, or none to learn that all before it are made; and whom to tell.
struct Job {
    entry: Option<(usize, Event)>,
    done: Option<oneshot::Sender<()>>,
}

/// A record that is not on the disk yet.
struct Open {
    since: Instant,
    nth: usize,
    event: Event,
    told: bool,
}

/// What the thread and the others share.
#[derive(Default)]
struct Desk {
    open: VecDeque<Open>,
    faults: BTreeMap<usize, Vec<String>>,
}

/// Writes down what happens to everybody.
pub(crate) struct Scribe {
    journal: Arc<dyn Journal>,
    jobs: Option<mpsc::Sender<Job>>,
    desk: Arc<Mutex<Desk>>,
    late: AtomicBool,
}

impl Scribe {
    pub(crate) fn new(journal: Arc<dyn Journal>) -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let desk = Arc::<Mutex<Desk>>::default();
        let (writer, shared) = (journal.clone(), desk.clone());
        // A thread, not a task: whoever ends the program waits for tasks, and this may hang for good.
        let spawned = std::thread::Builder::new().name("offboard-journal".into()).spawn(move || {
            while let Ok(first) = queue.recv() {
                let more = queue.try_iter().take(BATCH_MAX - 1);
                write(&*writer, &shared, std::iter::once(first).chain(more).collect());
            }
        });
        Self { journal, jobs: spawned.is_ok().then_some(jobs), desk, late: AtomicBool::new(false) }
    }

    /// Has a record made, and does not wait. It is on the disk before any record that is asked for later.
    pub(crate) fn announce(&self, nth: usize, event: Event) {
        self.send(Some((nth, event)), None);
    }

    /// Makes a record and all before it durable, or notes that they are not.
    pub(crate) async fn record(&self, nth: usize, event: Event) {
        let (done, answer) = oneshot::channel();
        self.send(Some((nth, event)), Some(done));
        let now = Instant::now();
        let until = if self.late.load(Ordering::SeqCst) { now } else { self.oldest().unwrap_or(now) + LIMIT };
        // A thread that went away is noted by whoever finds the queue closed.
        if tokio::time::timeout_at(until, answer).await.is_err() {
            self.is_late();
        }
    }

    /// What could not be made durable, by person. Gives a slow disk one more chance to take everything.
    pub(crate) async fn finish(&self) -> BTreeMap<usize, Vec<String>> {
        let (done, answer) = oneshot::channel();
        self.send(None, Some(done));
        let caught_up = tokio::time::timeout(LIMIT, answer).await.is_ok();
        if !caught_up {
            self.is_late();
        }
        let mut desk = self.desk();
        if self.late.load(Ordering::SeqCst) {
            let state = if caught_up { "it was written late" } else { "the disk does not answer" };
            let fault = format!("the audit record is incomplete: no answer within {} s; {state}", LIMIT.as_secs());
            let open: Vec<usize> = desk.open.iter().map(|open| open.nth).collect();
            let everybody = open.into_iter().chain(desk.faults.keys().copied().collect::<Vec<_>>());
            for nth in everybody.collect::<std::collections::BTreeSet<_>>() {
                desk.faults.entry(nth).or_default().push(fault.clone());
            }
        }
        let mut faults = std::mem::take(&mut desk.faults);
        faults.values_mut().for_each(Vec::dedup);
        faults
    }

    fn send(&self, entry: Option<(usize, Event)>, done: Option<oneshot::Sender<()>>) {
        let nth = entry.as_ref().map(|(nth, _)| *nth);
        if let Some((nth, event)) = &entry {
            let open = Open { since: Instant::now(), nth: *nth, event: event.clone(), told: false };
            self.desk().open.push_back(open);
        }
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(Job { entry, done }).is_ok());
        if let (false, Some(nth)) = (sent, nth) {
            let open = self.desk().open.pop_back();
            self.desk().faults.entry(nth).or_default().push(BROKEN.to_owned());
            if let Some(open) = open {
                self.journal.late(nth, &open.event);
            }
        }
    }

    /// Since when the oldest record waits.
    fn oldest(&self) -> Option<Instant> {
        self.desk().open.front().map(|open| open.since)
    }

    /// Nobody waits for this disk any more; what it has not taken is told in another way.
    fn is_late(&self) {
        self.late.store(true, Ordering::SeqCst);
        let mut untold = Vec::new();
        for open in self.desk().open.iter_mut().filter(|open| !open.told) {
            open.told = true;
            untold.push((open.nth, open.event.clone()));
        }
        for (nth, event) in untold {
            self.desk().faults.entry(nth).or_default();
            self.journal.late(nth, &event);
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        lock(&self.desk)
    }
}

fn lock(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records go to the disk together. When they do not go together, each tries alone.
fn write(journal: &dyn Journal, desk: &Mutex<Desk>, jobs: Vec<Job>) {
    let events: Vec<(usize, Event)> = jobs.iter().filter_map(|job| job.entry.clone()).collect();
    let together = if events.is_empty() { Ok(()) } else { journal.record(&events) };
    let faults: Vec<(usize, String)> = match together {
        Ok(()) => Vec::new(),
        Err(fault) if events.len() == 1 => vec![(events[0].0, fault)],
        Err(_) => {
            let alone = |event| journal.record(std::slice::from_ref(event)).err().map(|fault| (event.0, fault));
            events.iter().filter_map(alone).collect()
        }
    };
    let mut desk = lock(desk);
    let made = events.len().min(desk.open.len());
    desk.open.drain(..made);
    for (nth, fault) in faults {
        desk.faults.entry(nth).or_default().push(fault);
    }
    drop(desk);
    for done in jobs.into_iter().filter_map(|job| job.done) {
        // Nobody waits for it any more when it took too long.
        let _ = done.send(());
    }
}
