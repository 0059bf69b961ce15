//! One writer. Jobs that wait together share one transaction, and so one sync to the disk; each job has a savepoint of
//! its own, so that one that fails undoes only itself. Nobody is answered before the transaction is durable.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use lockstep_engine::StoreError;
use tokio::sync::oneshot;

use crate::db::{Db, failed};
use crate::tables::Result;

/// So many jobs share one transaction at most.
const BATCH_MAX: usize = 512;

type Reply = Box<dyn FnOnce(Option<&StoreError>) + Send>;

/// Given the database in a transaction, or why there is none.
type Run = Box<dyn FnOnce(std::result::Result<&mut Db, &StoreError>) -> Reply + Send>;

pub(crate) struct Job {
    writes: bool,
    run: Run,
}

/// Where jobs are done.
pub(crate) enum Writer {
    /// On a thread of its own.
    Thread { jobs: Option<Sender<Job>>, thread: Option<JoinHandle<()>> },
    /// By the caller, at once. For simulations, in which nothing may depend on another thread's speed.
    Inline(Box<Mutex<Db>>),
}

impl Writer {
    pub(crate) fn thread(db: Db) -> std::io::Result<Self> {
        let (jobs, inbox) = channel();
        let thread = std::thread::Builder::new().name("lockstep-store".to_owned()).spawn(move || work(db, &inbox))?;
        Ok(Self::Thread { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Does a job and waits until it is durable.
    pub(crate) async fn submit<T: Send + 'static>(
        &self,
        writes: bool,
        job: impl FnOnce(&mut Db) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let run: Run = Box::new(move |db| {
            let result = match db {
                Ok(db) => saved(db, writes, job),
                Err(error) => Err(error.clone()),
            };
            Box::new(move |lost: Option<&StoreError>| {
                let result = lost.map_or(result, |error| Err(error.clone()));
                // Nobody may be waiting any more; what is durable stays durable.
                let _ = answer.send(result);
            })
        });
        let job = Job { writes, run };
        match self {
            Self::Thread { jobs, .. } => {
                let sent = jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
                if !sent {
                    return Err(StoreError::Io("the writer has ended".to_owned()));
                }
            }
            Self::Inline(db) => batch(&mut db.lock().unwrap_or_else(PoisonError::into_inner), vec![job]),
        }
        answered.await.unwrap_or_else(|_| Err(StoreError::Io("the writer has ended".to_owned())))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Self::Thread { jobs, thread } = self {
            drop(jobs.take());
            if let Some(thread) = thread.take() {
                let _ = thread.join(); // a panic there was reported there
            }
        }
    }
}

fn work(mut db: Db, inbox: &Receiver<Job>) {
    while let Ok(first) = inbox.recv() {
        let mut jobs = vec![first];
        while jobs.len() < BATCH_MAX
            && let Ok(next) = inbox.try_recv()
        {
            jobs.push(next);
        }
        batch(&mut db, jobs);
    }
}

fn batch(db: &mut Db, jobs: Vec<Job>) {
    let writes = jobs.iter().any(|job| job.writes);
    let begin = if writes { "BEGIN IMMEDIATE" } else { "BEGIN DEFERRED" };
    if let Err(error) = db.conn.execute_batch(begin).map_err(failed) {
        for job in jobs {
            (job.run)(Err(&error))(None);
        }
        return;
    }
    let replies: Vec<_> = jobs.into_iter().map(|job| (job.run)(Ok(db))).collect();
    let lost = db.conn.execute_batch("COMMIT").map_err(failed).err();
    if lost.is_some() {
        let _ = db.conn.execute_batch("ROLLBACK"); // it may have been rolled back already
    }
    for reply in replies {
        reply(lost.as_ref());
    }
}

/// Runs a job in a savepoint.
fn saved<T>(db: &mut Db, writes: bool, job: impl FnOnce(&mut Db) -> Result<T>) -> Result<T> {
    if !writes {
        return job(db);
    }
    db.conn.execute_batch("SAVEPOINT job").map_err(failed)?;
    let result = job(db);
    let end = if result.is_ok() { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
    db.conn.execute_batch(end).map_err(failed)?;
    result
}
