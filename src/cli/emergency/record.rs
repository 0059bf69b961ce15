//! Where the record of one command goes: a file of the spool, made when it is needed; in the second folder when the
//! first does not take it within its time; on standard error when neither does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use lockstep_contract::{CardholderId, CorrelationKeys, RunId, TargetId};
use lockstep_offboard::{Event, Journal, Who};
use lockstep_store::Spool;

use super::{Folders, Line, Scope};
use crate::cli::context;
use crate::terminal;

/// So long the first folder may take when there is a second one. An offboarding waits twice as long for its record.
const FIRST: Duration = Duration::from_secs(1);
/// So long the end of a command waits for its files to be closed.
const CLOSING: Duration = Duration::from_millis(200);

/// One of the people of a command, as the record names them.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    /// The command that first named them.
    pub run: RunId,
    /// Which of the people of that command.
    pub nth: usize,
    /// The keys they were named by.
    pub keys: CorrelationKeys,
    /// The record they were named by.
    pub record: Option<(TargetId, CardholderId)>,
    /// What that command was about.
    pub scope: Scope,
}

impl Named {
    /// Somebody whom this command names.
    pub(crate) fn now(run: RunId, nth: usize, who: &Who, scope: &Scope) -> Self {
        let record = match who {
            Who::Cardholder { target, id } => Some((target.clone(), id.clone())),
            Who::Key(_) | Who::Bare(_) => None,
        };
        Self { run, nth, keys: who.keys().into_iter().collect(), record, scope: scope.clone() }
    }
}

/// The record of one command.
pub(crate) struct Record {
    run: RunId,
    writers: Vec<Writer>,
    people: BTreeMap<usize, Named>,
}

impl Record {
    /// The record of a command about these people, in the state alone.
    pub(crate) fn new(state: Option<&Path>, run: RunId, people: &[Who]) -> Self {
        Self::covering(state.map(|state| Folders::new(state, None)).as_ref(), run, people, &Scope::default())
    }

    /// The record of a command about these people. Without folders (a dry run) nothing is recorded.
    pub(crate) fn covering(folders: Option<&Folders>, run: RunId, people: &[Who], scope: &Scope) -> Self {
        let named = people.iter().enumerate().map(|(nth, who)| (nth, Named::now(run, nth, who, scope)));
        Self::going_on(folders, run, named.collect())
    }

    /// The record of a command that goes on with others, by the numbers under which their events arrive.
    pub(crate) fn going_on(folders: Option<&Folders>, run: RunId, people: BTreeMap<usize, Named>) -> Self {
        let writers = folders.into_iter().flat_map(Folders::each).map(|folder| Writer::new(folder, run)).collect();
        Self { run, writers, people }
    }

    /// The command.
    pub(crate) fn run(&self) -> RunId {
        self.run
    }

    /// The file that has the record, or the last of it.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.writers.iter().rev().find_map(Writer::path)
    }

    /// Lets go of the files, so that they can be taken over. What hangs is not waited for.
    pub(crate) fn close(&self) {
        self.writers.iter().for_each(Writer::close);
    }

    /// The first folder that takes these lines.
    fn write(&self, lines: &[Line]) -> Result<(), String> {
        let Some((last, others)) = self.writers.split_last() else { return Ok(()) };
        for writer in others {
            if writer.write(lines, Some(FIRST)).is_ok() {
                return Ok(());
            }
        }
        last.write(lines, None)
    }

    fn line(&self, nth: usize, event: &Event) -> Option<Line> {
        let Named { run, nth, keys, record, scope } = self.people.get(&nth)?.clone();
        Some(Line { run, nth, keys, record, scope, at: context::now(), event: event.clone() })
    }
}

impl Journal for Record {
    fn record(&self, events: &[(usize, Event)]) -> Result<(), String> {
        let lines: Vec<Line> = events.iter().filter_map(|(nth, event)| self.line(*nth, event)).collect();
        let written = if lines.is_empty() { Ok(()) } else { self.write(&lines) };
        // Several that do not go together are tried alone, and told then.
        if let (Err(_), [(_, event)]) = (&written, events) {
            second_best(event);
        }
        written
    }

    fn late(&self, _: usize, event: &Event) {
        if !self.writers.is_empty() {
            second_best(event);
        }
    }
}

/// Lines for the disk, and whom to tell.
type Job = (Vec<Line>, mpsc::Sender<Result<(), String>>);

/// Writes to one folder, on a thread of its own: a disk that hangs is left alone with it.
struct Writer {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    path: Arc<Mutex<Option<PathBuf>>>,
    ended: Mutex<mpsc::Receiver<()>>,
    gave_up: AtomicBool,
}

impl Writer {
    fn new(folder: &Path, run: RunId) -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (end, ended) = mpsc::channel::<()>();
        let path = Arc::<Mutex<Option<PathBuf>>>::default();
        let (folder, shared) = (folder.to_owned(), path.clone());
        let spawned = std::thread::Builder::new().name("spool".into()).spawn(move || {
            let mut spool = None;
            for (lines, told) in queue {
                // Whoever asked may have gone on without an answer.
                let _ = told.send(put(&mut spool, &folder, run, &shared, &lines));
            }
            drop(spool);
            drop(end);
        });
        let jobs = Mutex::new(spawned.is_ok().then_some(jobs));
        Self { jobs, path, ended: Mutex::new(ended), gave_up: AtomicBool::new(false) }
    }

    fn path(&self) -> Option<PathBuf> {
        self.path.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has lines written. Without a limit it waits as long as it takes; with one, a folder that once took longer is not
    /// asked again.
    fn write(&self, lines: &[Line], limit: Option<Duration>) -> Result<(), String> {
        let gone = || "the writer of the spool broke off".to_owned();
        if limit.is_some() && self.gave_up.load(Ordering::SeqCst) {
            return Err("the folder of the state does not answer".to_owned());
        }
        let (tell, told) = mpsc::channel();
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.as_ref().ok_or_else(gone)?.send((lines.to_vec(), tell)).map_err(|_| gone())?;
        drop(jobs);
        let answer = match limit {
            None => told.recv().unwrap_or_else(|_| Err(gone())),
            Some(limit) => told.recv_timeout(limit).unwrap_or_else(|error| {
                self.gave_up.store(true, Ordering::SeqCst);
                Err(error.to_string())
            }),
        };
        if limit.is_some() && answer.is_err() {
            self.gave_up.store(true, Ordering::SeqCst);
        }
        answer
    }

    fn close(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        // An error is the good case: the thread ended and let go of its end.
        let _ = self.ended.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(CLOSING);
    }
}

fn put(
    open: &mut Option<Spool>,
    folder: &Path,
    run: RunId,
    path: &Mutex<Option<PathBuf>>,
    lines: &[Line],
) -> Result<(), String> {
    if open.as_ref().is_none_or(Spool::is_soiled) {
        let spool = Spool::create(folder, &run.to_string()).map_err(|error| error.to_string())?;
        *path.lock().unwrap_or_else(PoisonError::into_inner) = Some(spool.path().to_path_buf());
        *open = Some(spool);
    }
    match open.as_mut() {
        Some(spool) => spool.append_all(lines).map_err(|error| error.to_string()),
        None => Ok(()),
    }
}

/// No disk takes the record: stderr is the last place, so that a service manager's log may have it.
fn second_best(event: &Event) {
    let line = match event {
        Event::Hold { who, reason, ticket, by, at } => {
            serde_json::json!({"event": "hold", "who": who, "reason": reason, "ticket": ticket, "by": by, "at": at})
        }
        Event::Intent { action, .. } => {
            serde_json::json!({"event": "intent", "target": action.target, "subject": action.subject})
        }
        Event::Ambiguous { target, candidates } => {
            serde_json::json!({"event": "ambiguous", "target": target, "candidates": candidates})
        }
        Event::Outcome { target, cardholder, confirmed, .. } => {
            serde_json::json!({"event": "outcome", "target": target, "cardholder": cardholder, "confirmed": confirmed})
        }
        Event::Ended { target, open } => serde_json::json!({"event": "ended", "target": target, "open": open}),
        Event::Closed { by } => serde_json::json!({"event": "closed", "by": by}),
    };
    terminal::complain(&line.to_string());
}
