//! Checks that what is stored is whole: the pages of the file, the chain of the journal, and the checksum of each row.
//!
//! It reports the first thing that is wrong, and changes nothing.

use lockstep_contract::{ActionId, RunId};
use lockstep_core::Link;
use lockstep_engine::{JournalEntry, RunRecord, StoreError};

use crate::db::{Db, chained, checksum, corrupt, failed, from_json};

type Result<T> = std::result::Result<T, StoreError>;

/// The pages of the file, by SQLite's own check.
pub(crate) fn pages(db: &Db, check: &str) -> Result<()> {
    let said = db.conn.pragma_query_value(None, check, |row| row.get::<_, String>(0)).map_err(failed)?;
    if said == "ok" { Ok(()) } else { Err(corrupt("the state database", said)) }
}

/// The end of the journal is the end that was recorded.
pub(crate) fn head(db: &Db) -> Result<()> {
    let sql = "SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1";
    let last = db.one(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?.unwrap_or_default();
    if last == db.head()? {
        Ok(())
    } else {
        Err(corrupt("the journal", "its last row is not the one that was written last"))
    }
}

/// Everything.
pub(crate) fn everything(db: &Db) -> Result<()> {
    pages(db, "integrity_check")?;
    chain(db)?;
    head(db)?;
    rows(db, "lease", "SELECT '', '', '', body, sum FROM lease", 0)?;
    rows(db, "run", "SELECT run, '', '', body, sum FROM run", 1)?;
    rows(db, "action", "SELECT action, '', '', body, sum FROM action", 1)?;
    rows(db, "link", "SELECT target, person, cardholder, body, sum FROM link", 3)?;
    rows(db, "hold", "SELECT target, '', '', body, sum FROM hold", 1)?;
    rows(db, "lift", "SELECT hold, '', '', body, sum FROM lift", 1)?;
    rows(db, "observation", "SELECT target, '', '', body, sum FROM observation", 1)?;
    rows(db, "named", "SELECT kind, name, '', body, sum FROM named", 2)?;
    columns(db)
}

fn chain(db: &Db) -> Result<()> {
    let mut statement = db.conn.prepare("SELECT seq, body, hash FROM journal ORDER BY seq").map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let (mut before, mut count) = (String::new(), 0);
    while let Some(row) = rows.next().map_err(failed)? {
        count += 1;
        let (seq, body, hash): (i64, String, String) =
            row.try_into().map_err(|error: rusqlite::Error| corrupt("the journal", error))?;
        if seq != count {
            return Err(corrupt("the journal", format!("row {count} is missing")));
        }
        if chained(&before, seq, &body) != hash {
            return Err(corrupt("the journal", format!("row {seq} was changed after it was written")));
        }
        before = hash;
    }
    Ok(())
}

fn rows(db: &Db, table: &str, sql: &str, keys: usize) -> Result<()> {
    let what = format!("table {table}");
    let mut statement = db.conn.prepare(sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let (a, b, c, body, sum): (String, String, String, String, String) =
            row.try_into().map_err(|error: rusqlite::Error| corrupt(&what, error))?;
        let key = [a.as_str(), b.as_str(), c.as_str()];
        if checksum(table, key.get(..keys).unwrap_or_default(), &body) != sum {
            return Err(corrupt(&what, format!("row {a} {b} {c} was changed after it was written")));
        }
    }
    Ok(())
}

/// Columns that queries rest on say the same as the bodies.
fn columns(db: &Db) -> Result<()> {
    let sql = "SELECT action, run, target, at, settled, reduced, body FROM action";
    let mut statement = db.conn.prepare(sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let (action, run, target, at, settled, reduced, body): (String, String, String, i64, bool, bool, String) =
            row.try_into().map_err(|error: rusqlite::Error| corrupt("table action", error))?;
        let entry: JournalEntry = from_json("action", &body)?;
        let said = (action.parse::<ActionId>().ok(), run.parse::<RunId>().ok(), target, at, settled, reduced);
        let meant = (
            Some(entry.intent.action.id.clone()),
            Some(entry.intent.run),
            entry.intent.action.target.to_string(),
            crate::db::micros(entry.intent.at),
            entry.state.is_settled(),
            crate::logic::may_have_reduced(&entry),
        );
        if said != meant {
            return Err(corrupt("table action", format!("row {action} contradicts itself")));
        }
    }
    let sql = "SELECT body FROM link";
    db.each("link", sql, [], |link: Link| {
        let known = "SELECT 1 FROM link WHERE person = ?1 AND cardholder = ?2";
        let key = [link.person.to_string(), link.cardholder.to_string()];
        match db.one(known, key, |_| Ok(()))? {
            Some(()) => Ok(()),
            None => Err(corrupt("table link", format!("the link of {} contradicts itself", link.person))),
        }
    })?;
    let _: Vec<RunRecord> = db.bodies("run", "SELECT body FROM run", [])?;
    Ok(())
}
