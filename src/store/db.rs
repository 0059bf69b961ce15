//! The tables in SQLite: one connection, plain SQL, every body with its checksum.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{
    ActionId, CardholderId, DirectoryId, PersonId, RunId, ServerMark, TargetId, canonical_json, sha256_hex,
};
use lockstep_core::{Hold, HoldId, Lift, Link, Links};
use lockstep_engine::{JournalEntry, Observation, RunRecord, StoreError, Watched};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event::Event;
use crate::logic::{OBSERVATIONS_KEPT, may_have_reduced};
use crate::tables::{AppliedRow, FuseRow, Lease, Result, Tables};

/// The connection, and the lock that shows other processes that we live.
pub(crate) struct Db {
    pub(crate) conn: Connection,
    /// Open as long as we hold the lease; the system lets go of it when the process ends, however it ends.
    pub(crate) alive: Option<Connection>,
    pub(crate) alive_path: std::path::PathBuf,
}

/// An error of SQLite, as the store says it.
pub(crate) fn failed(error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match &error {
        rusqlite::Error::SqliteFailure(cause, _) if matches!(cause.code, DatabaseCorrupt | NotADatabase) => {
            corrupt("the state database", error)
        }
        rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => {
            corrupt("the state database", error)
        }
        _ => StoreError::Io(error.to_string()),
    }
}

pub(crate) fn corrupt(what: &str, detail: impl ToString) -> StoreError {
    StoreError::Corrupt { what: what.to_owned(), detail: detail.to_string() }
}

/// The checksum of a row: which table, which key, what it says.
pub(crate) fn checksum(table: &str, key: &[&str], body: &str) -> String {
    sha256_hex(&canonical_json(&(table, key, body)))
}

/// The hash of a journal row, chained to the row before.
pub(crate) fn chained(before: &str, seq: i64, body: &str) -> String {
    sha256_hex(format!("{before}\n{seq}\n{body}").as_bytes())
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Illegal(format!("cannot be written: {error}")))
}

pub(crate) fn from_json<T: DeserializeOwned>(table: &str, body: &str) -> Result<T> {
    serde_json::from_str(body).map_err(|error| corrupt(&format!("table {table}"), error))
}

/// The key of an instant: microseconds.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

impl Db {
    fn execute(&self, sql: &str, params: impl Params) -> Result<usize> {
        self.conn.prepare_cached(sql).and_then(|mut statement| statement.execute(params)).map_err(failed)
    }

    pub(crate) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        self.conn
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(params, read).optional())
            .map_err(failed)
    }

    /// Hands out the bodies that a query gives, parsed, one after the other.
    pub(crate) fn each<T: DeserializeOwned>(
        &self,
        table: &str,
        sql: &str,
        params: impl Params,
        mut take: impl FnMut(T) -> Result<()>,
    ) -> Result<()> {
        let mut statement = self.conn.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(params).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let body = row.get_ref(0).map_err(failed)?.as_str().map_err(|error| corrupt(table, error))?;
            take(from_json(table, body)?)?;
        }
        Ok(())
    }

    /// The bodies that a query gives, parsed.
    pub(crate) fn bodies<T: DeserializeOwned>(&self, table: &str, sql: &str, params: impl Params) -> Result<Vec<T>> {
        let mut values = Vec::new();
        self.each(table, sql, params, |value| {
            values.push(value);
            Ok(())
        })?;
        Ok(values)
    }

    fn body<T: DeserializeOwned>(&self, table: &str, sql: &str, params: impl Params) -> Result<Option<T>> {
        let body = self.one(sql, params, |row| row.get::<_, String>(0))?;
        body.map(|body| from_json(table, &body)).transpose()
    }

    pub(crate) fn head(&self) -> Result<(i64, String)> {
        let head = self.one("SELECT seq, hash FROM head WHERE id = 1", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(head.unwrap_or_default())
    }

    fn named<T: DeserializeOwned>(&self, kind: &str, name: &str) -> Result<Option<T>> {
        self.body("named", "SELECT body FROM named WHERE kind = ?1 AND name = ?2", params![kind, name])
    }

    fn put_named<T: Serialize>(&self, kind: &str, name: &str, value: &T) -> Result<()> {
        let body = to_json(value)?;
        let sum = checksum("named", &[kind, name], &body);
        let sql = "INSERT INTO named (kind, name, body, sum) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (kind, name) DO UPDATE SET body = excluded.body, sum = excluded.sum";
        self.execute(sql, params![kind, name, body, sum]).map(drop)
    }

    pub(crate) fn server_mark(&self, system: &str) -> Result<Option<ServerMark>> {
        self.named("server", system)
    }

    pub(crate) fn watched(&self, directory: &DirectoryId) -> Result<Option<Watched>> {
        self.named("watch", directory.as_str())
    }

    pub(crate) fn links(&self, target: &TargetId) -> Result<Links> {
        let sql = "SELECT body FROM link WHERE target = ?1 ORDER BY person";
        let mut links = Links::new();
        self.each("link", sql, [target.as_str()], |link: Link| {
            links.insert(link).map_err(|conflict| corrupt("table link", conflict))
        })?;
        Ok(links)
    }

    pub(crate) fn holds(&self, target: &TargetId) -> Result<Vec<Hold>> {
        let sql = "SELECT body FROM hold WHERE target IN ('', ?1) ORDER BY seq";
        let holds: Vec<Hold> = self.bodies("hold", sql, [target.as_str()])?;
        let lifts = self.lifts()?;
        let in_force = |hold: &Hold| !lifts.iter().any(|lift| lift.lifted(&hold.id));
        Ok(holds.into_iter().map(Hold::identified).filter(in_force).collect())
    }

    /// Everything that was lifted. One lift of several holds is one.
    pub(crate) fn lifts(&self) -> Result<Vec<Lift>> {
        let mut lifts: Vec<Lift> = self.bodies("lift", "SELECT body FROM lift ORDER BY seq", [])?;
        lifts.dedup();
        Ok(lifts)
    }

    /// How many records of a target were reduced after an instant.
    pub(crate) fn reduced_since(&self, target: &TargetId, since: Timestamp) -> Result<u64> {
        let sql = "SELECT COUNT(DISTINCT subject) FROM action WHERE target = ?1 AND reduced = 1 AND at > ?2";
        let count = self.one(sql, params![target.as_str(), micros(since)], |row| row.get::<_, i64>(0))?;
        Ok(count.unwrap_or_default().unsigned_abs())
    }

    /// How many records of a target were reduced within a span that ends now.
    pub(crate) fn reduced_within(&self, target: &TargetId, span: SignedDuration, now: Timestamp) -> Result<u64> {
        self.reduced_since(target, now.saturating_sub(span).unwrap_or(Timestamp::MIN))
    }

    /// The last readings that count, oldest first.
    pub(crate) fn readings(&self, target: &TargetId, limit: usize) -> Result<Vec<Observation>> {
        let sql = "SELECT body FROM observation WHERE target = ?1 AND disputed = 0 ORDER BY seq DESC LIMIT ?2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut readings: Vec<Observation> = self.bodies("observation", sql, params![target.as_str(), limit])?;
        readings.reverse();
        Ok(readings)
    }

    /// Takes the lock that shows that we live. False when somebody else has it, and so lives.
    pub(crate) fn show_alive(&mut self) -> Result<bool> {
        if self.alive.is_some() {
            return Ok(true);
        }
        crate::files::private(&self.alive_path).map_err(|error| StoreError::Io(error.to_string()))?;
        let lock = open_plain(&self.alive_path)?;
        match lock.execute_batch("BEGIN EXCLUSIVE") {
            Ok(()) => {
                self.alive = Some(lock);
                Ok(true)
            }
            Err(rusqlite::Error::SqliteFailure(cause, _)) if cause.code == rusqlite::ErrorCode::DatabaseBusy => {
                Ok(false)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

fn open_plain(path: &Path) -> Result<Connection> {
    let conn = Connection::open(path).map_err(failed)?;
    conn.busy_timeout(std::time::Duration::ZERO).map_err(failed)?;
    Ok(conn)
}

impl Tables for Db {
    fn append(&mut self, event: &Event<'_>) -> Result<()> {
        let body = to_json(event)?;
        let (seq, before) = self.head()?;
        let seq = seq + 1;
        let hash = chained(&before, seq, &body);
        self.execute("INSERT INTO journal (seq, body, hash) VALUES (?1, ?2, ?3)", params![seq, body, hash])?;
        let sql = "INSERT INTO head (id, seq, hash) VALUES (1, ?1, ?2)
                   ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash";
        self.execute(sql, params![seq, hash]).map(drop)
    }

    fn lease(&self) -> Result<Lease> {
        Ok(self.body("lease", "SELECT body FROM lease WHERE id = 1", [])?.unwrap_or_default())
    }

    fn put_lease(&mut self, lease: &Lease) -> Result<()> {
        let body = to_json(lease)?;
        let sum = checksum("lease", &[], &body);
        let sql = "INSERT INTO lease (id, body, sum) VALUES (1, ?1, ?2)
                   ON CONFLICT (id) DO UPDATE SET body = excluded.body, sum = excluded.sum";
        self.execute(sql, params![body, sum]).map(drop)
    }

    fn run(&self, run: RunId) -> Result<Option<RunRecord>> {
        self.body("run", "SELECT body FROM run WHERE run = ?1", [run.to_string()])
    }

    fn put_run(&mut self, record: &RunRecord) -> Result<()> {
        let (run, body) = (record.run.to_string(), to_json(record)?);
        let sum = checksum("run", &[&run], &body);
        let sql =
            "INSERT INTO run (run, seq, body, sum) VALUES (?1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM run), ?2, ?3)
                   ON CONFLICT (run) DO UPDATE SET body = excluded.body, sum = excluded.sum";
        self.execute(sql, params![run, body, sum]).map(drop)
    }

    fn action(&self, id: &ActionId) -> Result<Option<JournalEntry>> {
        self.body("action", "SELECT body FROM action WHERE action = ?1", [id.as_str()])
    }

    fn put_action(&mut self, entry: &JournalEntry) -> Result<()> {
        let action = &entry.intent.action;
        let (run, body, subject) = (entry.intent.run.to_string(), to_json(entry)?, to_json(&action.subject)?);
        let sum = checksum("action", &[action.id.as_str()], &body);
        let (settled, reduced) = (entry.state.is_settled(), may_have_reduced(entry));
        let sql = "INSERT INTO action (action, run, target, subject, at, settled, reduced, body, sum)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                   ON CONFLICT (action) DO UPDATE SET at = excluded.at, settled = excluded.settled,
                       reduced = excluded.reduced, body = excluded.body, sum = excluded.sum";
        let at = micros(entry.intent.at);
        let target = action.target.as_str();
        self.execute(sql, params![action.id.as_str(), run, target, subject, at, settled, reduced, body, sum]).map(drop)
    }

    fn link_of_person(&self, target: &TargetId, person: &PersonId) -> Result<Option<Link>> {
        let sql = "SELECT body FROM link WHERE target = ?1 AND person = ?2";
        self.body("link", sql, params![target.as_str(), person.to_string()])
    }

    fn link_of_cardholder(&self, target: &TargetId, cardholder: &CardholderId) -> Result<Option<Link>> {
        let sql = "SELECT body FROM link WHERE target = ?1 AND cardholder = ?2";
        self.body("link", sql, params![target.as_str(), cardholder.as_str()])
    }

    fn put_link(&mut self, target: &TargetId, link: &Link) -> Result<()> {
        let (person, body) = (link.person.to_string(), to_json(link)?);
        let sum = checksum("link", &[target.as_str(), &person, link.cardholder.as_str()], &body);
        let sql = "INSERT INTO link (target, person, cardholder, body, sum) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (target, person) DO UPDATE SET cardholder = excluded.cardholder,
                       body = excluded.body, sum = excluded.sum";
        self.execute(sql, params![target.as_str(), person, link.cardholder.as_str(), body, sum]).map(drop)
    }

    fn put_hold(&mut self, target: Option<&TargetId>, hold: &Hold) -> Result<()> {
        let (target, body) = (target.map_or("", TargetId::as_str), to_json(hold)?);
        let sum = checksum("hold", &[target], &body);
        self.execute("INSERT OR IGNORE INTO hold (target, body, sum) VALUES (?1, ?2, ?3)", params![target, body, sum])
            .map(drop)
    }

    fn knows_hold(&self, hold: &HoldId) -> Result<bool> {
        let holds: Vec<Hold> = self.bodies("hold", "SELECT body FROM hold", [])?;
        Ok(holds.into_iter().any(|known| known.identified().id == *hold))
    }

    fn lift_of(&self, hold: &HoldId) -> Result<Option<Lift>> {
        self.body("lift", "SELECT body FROM lift WHERE hold = ?1", [hold.to_string()])
    }

    fn put_lift(&mut self, hold: &HoldId, lift: &Lift) -> Result<()> {
        let (hold, body) = (hold.to_string(), to_json(lift)?);
        let sum = checksum("lift", &[&hold], &body);
        self.execute("INSERT INTO lift (hold, body, sum) VALUES (?1, ?2, ?3)", params![hold, body, sum]).map(drop)
    }

    fn put_observation(&mut self, target: &TargetId, observation: &Observation, _: Timestamp) -> Result<()> {
        let body = to_json(observation)?;
        let sum = checksum("observation", &[target.as_str()], &body);
        let sql = "INSERT INTO observation (target, disputed, body, sum) VALUES (?1, ?2, ?3, ?4)";
        self.execute(sql, params![target.as_str(), observation.disputed, body, sum])?;
        let sql = "DELETE FROM observation WHERE target = ?1 AND disputed = ?2 AND seq NOT IN
                   (SELECT seq FROM observation WHERE target = ?1 AND disputed = ?2 ORDER BY seq DESC LIMIT ?3)";
        let kept = i64::try_from(OBSERVATIONS_KEPT).unwrap_or(i64::MAX);
        self.execute(sql, params![target.as_str(), observation.disputed, kept]).map(drop)
    }

    fn disputed(&self, target: &TargetId, run: RunId) -> Result<Option<Observation>> {
        let sql = "SELECT body FROM observation WHERE target = ?1 AND disputed = 1 ORDER BY seq DESC";
        let all: Vec<Observation> = self.bodies("observation", sql, [target.as_str()])?;
        Ok(all.into_iter().find(|one| one.run == Some(run)))
    }

    fn replace_observation(&mut self, target: &TargetId, before: &Observation, after: &Observation) -> Result<()> {
        let body = to_json(after)?;
        let sum = checksum("observation", &[target.as_str()], &body);
        // The body names its run, so no other row reads the same.
        let sql = "UPDATE observation SET disputed = ?2, body = ?3, sum = ?4 WHERE target = ?1 AND body = ?5";
        self.execute(sql, params![target.as_str(), after.disputed, body, sum, to_json(before)?]).map(drop)
    }

    fn put_server(&mut self, system: &str, mark: &ServerMark) -> Result<()> {
        self.put_named("server", system, mark)
    }

    fn put_watched(&mut self, directory: &DirectoryId, watched: &Watched) -> Result<()> {
        self.put_named("watch", directory.as_str(), watched)
    }

    fn applied(&self, target: &TargetId) -> Result<AppliedRow> {
        Ok(self.named("applied", target.as_str())?.unwrap_or_default())
    }

    fn put_applied(&mut self, target: &TargetId, row: &AppliedRow) -> Result<()> {
        self.put_named("applied", target.as_str(), row)
    }

    fn fuse_row(&self, target: &TargetId) -> Result<FuseRow> {
        Ok(self.named("fuse", target.as_str())?.unwrap_or_default())
    }

    fn put_fuse(&mut self, target: &TargetId, row: &FuseRow) -> Result<()> {
        self.put_named("fuse", target.as_str(), row)
    }
}
