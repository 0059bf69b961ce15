//! The store in one SQLite file: WAL, every commit synced, one writer. A file that is there but cannot be understood is
//! never replaced by an empty one: that would forget who is out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{ActionId, CardholderId, DirectoryId, PersonId, RunId, ServerMark, Subject, TargetId};
use lockstep_core::{ActionState, History, Holds, Lift, Link, Links, RunEvent, RunState, Settled};
use lockstep_engine::{
    Epoch, Fuse, Intent, JournalEntry, LinkChange, NodeId, Observation, Outcome, RunRecord, SpoolEntry, Store,
    StoreError, Watched,
};
use rusqlite::Connection;

use crate::db::{Db, corrupt, failed, to_json};
use crate::logic::{self, DAY, HOUR, PEOPLE_REMEMBERED, WEEK};
use crate::schema::{APPLICATION_ID, NEWEST, migrations};
use crate::tables::Tables;
use crate::writer::Writer;
use crate::{files, verify};

/// How long another process may hold the write lock.
const BUSY_MAX: Duration = Duration::from_secs(10);
/// A file up to this size is checked page by page whenever it is opened.
const CHECKED_WHEN_OPENED_MAX: u64 = 32 * 1024 * 1024;

/// Remembers in an SQLite file.
pub struct SqliteStore {
    writer: Writer,
    path: PathBuf,
}

impl SqliteStore {
    /// Opens the file, or makes a new one where there is none.
    ///
    /// # Errors
    /// [`StoreError::TooNew`] for a file of a newer version, [`StoreError::Corrupt`] for one that cannot be understood
    /// (it is left as it is), [`StoreError::Io`] when it cannot be read or written.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let db = open(path.as_ref())?;
        let writer = Writer::thread(db).map_err(|error| StoreError::Io(error.to_string()))?;
        Ok(Self { writer, path: path.as_ref().to_owned() })
    }

    /// As [`open`](Self::open), but every call does its work on the caller's thread, for simulations.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_inline(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let db = open(path.as_ref())?;
        Ok(Self { writer: Writer::Inline(Box::new(Mutex::new(db))), path: path.as_ref().to_owned() })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Db) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.submit(false, job).await
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Db) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.submit(true, job).await
    }
}

fn open(path: &Path) -> Result<Db, StoreError> {
    let io = |error: std::io::Error| StoreError::Io(format!("{}: {error}", path.display()));
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => create(path)?,
        Err(error) => return Err(io(error)),
        Ok(found) if found.len() == 0 => {
            let detail = "the file is empty; put a copy back, or remove it to begin without any memory of the past";
            return Err(corrupt(&path.display().to_string(), detail));
        }
        Ok(_) => {}
    }
    files::private(path).map_err(io)?;
    let mut conn = Connection::open(path).map_err(failed)?;
    prepare(&conn)?;
    let what = path.display().to_string();
    let application: i64 = pragma(&conn, "application_id")?;
    if application != APPLICATION_ID {
        return Err(corrupt(&what, "this is a database of another program"));
    }
    let found: i64 = pragma(&conn, "user_version")?;
    let found = found.unsigned_abs();
    if found > NEWEST {
        return Err(StoreError::TooNew { found, known: NEWEST });
    }
    migrations().to_latest(&mut conn).map_err(|error| StoreError::Io(error.to_string()))?;
    let small = std::fs::metadata(path).is_ok_and(|found| found.len() <= CHECKED_WHEN_OPENED_MAX);
    let db = Db { conn, alive: None, alive_path: path.with_extension("alive") };
    // In one transaction: what another process writes in between must not look like damage.
    db.conn.execute_batch("BEGIN").map_err(failed)?;
    if small {
        verify::pages(&db, "quick_check")?;
    }
    verify::head(&db)?;
    db.conn.execute_batch("COMMIT").map_err(failed)?;
    Ok(db)
}

/// A new file is made beside and renamed: one that was begun and not finished never looks like an empty memory.
fn create(path: &Path) -> Result<(), StoreError> {
    let io = |error: std::io::Error| StoreError::Io(format!("{}: {error}", path.display()));
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
        Ok(()) | Err(_) => {}
    }
    drop(files::new_private(&beside).map_err(io)?);
    let mut conn = Connection::open(&beside).map_err(failed)?;
    conn.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    migrations().to_latest(&mut conn).map_err(|error| StoreError::Io(error.to_string()))?;
    conn.close().map_err(|(_, error)| failed(error))?;
    std::fs::File::open(&beside).and_then(|file| file.sync_all()).map_err(io)?;
    // Two processes may both see no file; the first one in place wins, since a link never replaces anything.
    match std::fs::hard_link(&beside, path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(io(error)),
        Ok(()) | Err(_) => {}
    }
    std::fs::remove_file(&beside).map_err(io)?;
    files::sync_folder(path).map_err(io)
}

fn prepare(conn: &Connection) -> Result<(), StoreError> {
    conn.busy_timeout(BUSY_MAX).map_err(failed)?;
    conn.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    conn.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    conn.pragma_update(None, "trusted_schema", false).map_err(failed)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn pragma(conn: &Connection, name: &str) -> Result<i64, StoreError> {
    conn.pragma_query_value(None, name, |row| row.get(0)).map_err(failed)
}

#[async_trait]
impl Store for SqliteStore {
    async fn lease(&self, node: &NodeId, ttl: SignedDuration, now: Timestamp) -> Result<Epoch, StoreError> {
        let node = node.clone();
        self.write(move |db| {
            let ours = db.lease()?.holder.is_some_and(|(holder, _, _)| holder == node);
            if !ours {
                // Whoever was deposed must not take its own old lock for a sign that nobody else lives.
                db.alive = None;
            }
            let locked = db.show_alive()?;
            let taken = logic::lease(db, &node, ttl, now, locked);
            if taken.is_err() {
                db.alive = None;
            }
            taken
        })
        .await
    }

    async fn release(&self, epoch: Epoch) -> Result<(), StoreError> {
        self.write(move |db| {
            logic::release(db, epoch)?;
            db.alive = None;
            Ok(())
        })
        .await
    }

    async fn links(&self, target: &TargetId) -> Result<Links, StoreError> {
        let target = target.clone();
        self.read(move |db| db.links(&target)).await
    }

    async fn links_of(&self, target: &TargetId, people: &BTreeSet<PersonId>) -> Result<Vec<Link>, StoreError> {
        let (target, people) = (target.clone(), people.clone());
        self.read(move |db| {
            let mut links = Vec::new();
            for person in &people {
                links.extend(db.link_of_person(&target, person)?);
            }
            Ok(links)
        })
        .await
    }

    async fn watched(&self, directory: &DirectoryId) -> Result<Option<Watched>, StoreError> {
        let directory = directory.clone();
        self.read(move |db| db.watched(&directory)).await
    }

    async fn holds(&self, target: &TargetId) -> Result<Holds, StoreError> {
        let target = target.clone();
        self.read(move |db| db.holds(&target).map(Holds)).await
    }

    async fn lifts(&self) -> Result<Vec<Lift>, StoreError> {
        self.read(|db| db.lifts()).await
    }

    async fn history(&self, target: &TargetId, now: Timestamp) -> Result<History, StoreError> {
        let target = target.clone();
        self.read(move |db| {
            let mut reduced = [0; 3];
            for (count, window) in reduced.iter_mut().zip([HOUR, DAY, WEEK]) {
                *count = db.reduced_within(&target, window, now)?;
            }
            Ok(logic::history(db.readings(&target, PEOPLE_REMEMBERED)?, db.applied(&target)?, reduced))
        })
        .await
    }

    async fn server_mark(&self, system: &str) -> Result<Option<ServerMark>, StoreError> {
        let system = system.to_owned();
        self.read(move |db| db.server_mark(&system)).await
    }

    async fn fuse(&self, target: &TargetId, now: Timestamp) -> Result<Fuse, StoreError> {
        let target = target.clone();
        self.read(move |db| {
            let row = db.fuse_row(&target)?;
            let day = now.saturating_sub(DAY).unwrap_or(Timestamp::MIN);
            let since = row.reset.map_or(day, |reset| reset.max(day));
            Ok(Fuse { open_since: row.open_since, reason: row.reason, reduced_day: db.reduced_since(&target, since)? })
        })
        .await
    }

    async fn run(&self, run: RunId) -> Result<Option<RunRecord>, StoreError> {
        self.read(move |db| db.run(run)).await
    }

    async fn runs(&self, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        self.read(move |db| db.bodies("run", "SELECT body FROM run ORDER BY seq DESC LIMIT ?1", [limit])).await
    }

    async fn unsettled(&self) -> Result<Vec<JournalEntry>, StoreError> {
        self.read(|db| db.bodies("action", "SELECT body FROM action WHERE settled = 0 ORDER BY seq", [])).await
    }

    async fn journal(&self, run: RunId) -> Result<Vec<JournalEntry>, StoreError> {
        let sql = "SELECT body FROM action WHERE run = ?1 ORDER BY seq";
        self.read(move |db| db.bodies("action", sql, [run.to_string()])).await
    }

    async fn journal_of(&self, target: &TargetId, cardholder: &CardholderId) -> Result<Vec<JournalEntry>, StoreError> {
        let (target, subject) = (target.clone(), to_json(&Subject::Existing(cardholder.clone()))?);
        let sql = "SELECT body FROM action WHERE target = ?1 AND subject = ?2 ORDER BY seq";
        self.read(move |db| db.bodies("action", sql, [target.as_str(), &subject])).await
    }

    async fn journaled(&self, actions: &[ActionId]) -> Result<BTreeSet<ActionId>, StoreError> {
        let actions = actions.to_vec();
        self.read(move |db| {
            let mut known = BTreeSet::new();
            for action in actions {
                let sql = "SELECT 1 FROM action WHERE action = ?1";
                if db.one(sql, [action.as_str()], |_| Ok(()))?.is_some() {
                    known.insert(action);
                }
            }
            Ok(known)
        })
        .await
    }

    async fn settled(&self, run: RunId) -> Result<Vec<Settled>, StoreError> {
        self.journal(run).await.map(logic::settled)
    }

    async fn observe(
        &self,
        epoch: Epoch,
        target: &TargetId,
        observation: &Observation,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (target, observation) = (target.clone(), observation.clone());
        self.write(move |db| logic::observe(db, epoch, &target, &observation, now)).await
    }

    async fn accept(&self, epoch: Epoch, target: &TargetId, run: RunId, now: Timestamp) -> Result<(), StoreError> {
        let target = target.clone();
        self.write(move |db| logic::accept(db, epoch, &target, run, now)).await
    }

    async fn mark_server(&self, epoch: Epoch, system: &str, mark: &ServerMark) -> Result<(), StoreError> {
        let (system, mark) = (system.to_owned(), mark.clone());
        self.write(move |db| logic::mark_server(db, epoch, &system, &mark)).await
    }

    async fn watch(&self, epoch: Epoch, directory: &DirectoryId, watched: &Watched) -> Result<(), StoreError> {
        let (directory, watched) = (directory.clone(), watched.clone());
        self.write(move |db| logic::watch(db, epoch, &directory, &watched)).await
    }

    async fn begin(&self, epoch: Epoch, run: &RunRecord) -> Result<(), StoreError> {
        let run = run.clone();
        self.write(move |db| logic::begin(db, epoch, &run)).await
    }

    async fn set_plan(&self, epoch: Epoch, run: RunId, digest: &str) -> Result<(), StoreError> {
        let digest = digest.to_owned();
        self.write(move |db| logic::set_plan(db, epoch, run, &digest)).await
    }

    async fn advance(
        &self,
        epoch: Epoch,
        run: RunId,
        event: RunEvent,
        summary: &str,
        now: Timestamp,
    ) -> Result<RunState, StoreError> {
        let summary = summary.to_owned();
        self.write(move |db| logic::advance(db, epoch, run, event, &summary, now)).await
    }

    async fn applied_policy(
        &self,
        epoch: Epoch,
        target: &TargetId,
        policy_digest: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (target, digest) = (target.clone(), policy_digest.to_owned());
        self.write(move |db| logic::applied_policy(db, epoch, &target, &digest, now)).await
    }

    async fn link(&self, epoch: Epoch, target: &TargetId, changes: &[LinkChange]) -> Result<(), StoreError> {
        let (target, changes) = (target.clone(), changes.to_vec());
        self.write(move |db| logic::link(db, epoch, &target, &changes)).await
    }

    async fn intend(&self, epoch: Epoch, intents: &[Intent]) -> Result<(), StoreError> {
        let intents = intents.to_vec();
        self.write(move |db| logic::intend(db, epoch, &intents)).await
    }

    async fn record(&self, epoch: Epoch, action: &ActionId, outcome: &Outcome) -> Result<ActionState, StoreError> {
        let (action, outcome) = (action.clone(), outcome.clone());
        self.write(move |db| logic::record(db, epoch, &action, &outcome)).await
    }

    async fn set_fuse(
        &self,
        epoch: Epoch,
        target: &TargetId,
        open: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (target, open) = (target.clone(), open.map(str::to_owned));
        self.write(move |db| logic::set_fuse(db, epoch, &target, open.as_deref(), now)).await
    }

    async fn absorb(&self, epoch: Epoch, spool: &[SpoolEntry]) -> Result<(), StoreError> {
        let spool = spool.to_vec();
        self.write(move |db| logic::absorb(db, epoch, &spool)).await
    }

    async fn lift(&self, epoch: Epoch, lift: &Lift) -> Result<(), StoreError> {
        let lift = lift.clone();
        self.write(move |db| logic::lift(db, epoch, &lift)).await
    }

    async fn verify(&self) -> Result<(), StoreError> {
        self.read(|db| verify::everything(db)).await
    }
}
