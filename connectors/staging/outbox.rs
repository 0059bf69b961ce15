//! The outbox: a table that takes changes, one row for each row of a table of the profile. The account may insert and
//! select here, and nothing else.
//!
//! All rows of an action are one statement. They are named by the action, and two rows of one name cannot be: a crash
//! between inserting and writing that down does not make it twice.

use std::sync::Arc;

use jiff::Timestamp;
use lockstep_contract::{Fault, FaultKind, quote};
use serde_json::json;
use tokio_postgres::error::SqlState;

use crate::changing::{Kind, Part};
use crate::config::Consumed;
use crate::database::{Database, quoted_path};
use crate::dropping::Look;
use crate::people::cell;
use crate::profile::{Holds, ImportProfile, TableName};

/// An outbox.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) database: Arc<Database>,
    pub(crate) system: String,
}

/// One row that is to be inserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutboxRow {
    pub(crate) op: &'static str,
    pub(crate) person_key: String,
    pub(crate) card_no: Option<String>,
    pub(crate) payload: String,
}

/// What became of an insertion.
#[derive(Debug)]
pub(crate) enum Inserted {
    /// They are there, since then by the clock of the database.
    Whole(Timestamp),
    /// They are not.
    Nothing(Fault),
    /// Nobody knows.
    Unknown(Fault),
}

/// The rows of a change. What takes access away comes first.
pub(crate) fn outbox_rows(profile: &ImportProfile, parts: &[Part]) -> Vec<OutboxRow> {
    let mut rows = Vec::new();
    for part in parts {
        let Some(table) = profile.table(part.table) else { continue };
        let op = match (part.table, part.kind) {
            (TableName::Memberships, Kind::Disable) => "remove_group",
            (TableName::Memberships, Kind::Update | Kind::Create) => "add_group",
            (_, Kind::Disable) => "disable",
            (_, Kind::Update) => "update",
            (_, Kind::Create) => "create",
        };
        for row in &part.rows {
            let columns: serde_json::Map<_, _> =
                table.columns.iter().zip(row).map(|(column, cell)| (column.header.clone(), json!(cell))).collect();
            let card = cell(table, row, Holds::CardNumber);
            rows.push(OutboxRow {
                op,
                person_key: cell(table, row, Holds::Key).to_owned(),
                card_no: (!card.is_empty()).then(|| card.to_owned()),
                payload: json!({ "table": part.table.as_str(), "columns": columns }).to_string(),
            });
        }
    }
    rows
}

impl Outbox {
    fn table(&self) -> String {
        quoted_path(&self.database.config.outbox)
    }

    /// Inserts the rows of an action in one statement.
    pub(crate) async fn insert(&self, plan_id: &str, rows: &[OutboxRow], operation: &str) -> Inserted {
        let client = match self.database.client(operation).await {
            Ok(client) => client,
            Err(fault) => return Inserted::Nothing(fault),
        };
        let sequence: Vec<i32> = (1..).take(rows.len()).collect();
        let ops: Vec<&str> = rows.iter().map(|row| row.op).collect();
        let keys: Vec<&str> = rows.iter().map(|row| row.person_key.as_str()).collect();
        let cards: Vec<Option<&str>> = rows.iter().map(|row| row.card_no.as_deref()).collect();
        let payloads: Vec<&str> = rows.iter().map(|row| row.payload.as_str()).collect();
        let sql = format!(
            "INSERT INTO {} (plan_id, seq, op, person_key, card_no, payload, queued_at, state) \
             SELECT $1, row.seq, row.op, row.person_key, row.card_no, row.payload::jsonb, now(), 'queued' \
             FROM unnest($2::int[], $3::text[], $4::text[], $5::text[], $6::text[]) \
             AS row(seq, op, person_key, card_no, payload) ORDER BY row.seq RETURNING queued_at",
            self.table()
        );
        match client.query(&sql, &[&plan_id, &sequence, &ops, &keys, &cards, &payloads]).await {
            Ok(queued) => match queued.first().and_then(|row| row.try_get::<_, Timestamp>(0).ok()) {
                Some(at) => Inserted::Whole(at),
                None => {
                    Inserted::Unknown(self.database_fault(operation, "the outbox did not say when it took the rows"))
                }
            },
            // They were inserted before, and that was not written down.
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => match self.clock(operation).await {
                Ok(now) => Inserted::Whole(now),
                Err(fault) => Inserted::Unknown(fault),
            },
            Err(error) if error.code().is_some() => Inserted::Nothing(self.database.fault(operation, &error)),
            Err(error) => Inserted::Unknown(self.database.fault(operation, &error)),
        }
    }

    fn database_fault(&self, operation: &str, message: &str) -> Fault {
        Fault::new(FaultKind::Protocol, self.system.as_str(), operation, message)
    }

    /// A name for the rows of an action that no row has yet; `None` while rows of it still wait or are being worked on.
    pub(crate) async fn free_name(&self, action: &str, operation: &str) -> Result<Option<String>, Fault> {
        let client = self.database.client(operation).await?;
        let sql = format!(
            "SELECT count(DISTINCT plan_id), count(*) FILTER (WHERE state IN ('queued', 'taken')) FROM {} \
             WHERE plan_id = $1 OR plan_id LIKE $1 || '/%'",
            self.table()
        );
        let row = client.query_one(&sql, &[&action]).await.map_err(|error| self.database.fault(operation, &error))?;
        let count = |at| row.try_get::<_, i64>(at).map_err(|error| self.database.fault(operation, &error));
        Ok(match (count(0)?, count(1)?) {
            (_, waiting) if waiting > 0 => None,
            (0, _) => Some(action.to_owned()),
            (before, _) => Some(format!("{action}/{}", before + 1)),
        })
    }

    /// What the importer did with these rows so far.
    pub(crate) async fn look(&self, plan_id: &str, operation: &str) -> Result<Look, Fault> {
        let client = self.database.client(operation).await?;
        let sql =
            format!("SELECT state, result_code, result_text, done_at, now() FROM {} WHERE plan_id = $1", self.table());
        let rows = client.query(&sql, &[&plan_id]).await.map_err(|error| self.database.fault(operation, &error))?;
        let bad = |error: tokio_postgres::Error| self.database.fault(operation, &error);
        let (mut waiting, mut rejected, mut at) = (false, None, None);
        for row in &rows {
            let state: String = row.try_get(0).map_err(bad)?;
            let done: Option<Timestamp> = row.try_get(3).map_err(bad)?;
            let now: Timestamp = row.try_get(4).map_err(bad)?;
            at = at.max(Some(done.unwrap_or(now)));
            match state.as_str() {
                "done" => {}
                "error" => {
                    let code: Option<String> = row.try_get(1).map_err(bad)?;
                    let text: Option<String> = row.try_get(2).map_err(bad)?;
                    let said = [code, text].into_iter().flatten().collect::<Vec<_>>().join(": ");
                    rejected = Some(without_numbers(&quote(&said, &[])));
                }
                // Where rows are deleted, one that is there waits, whatever it says.
                _ => waiting = true,
            }
            waiting |= self.database.config.consumed == Consumed::Deleted && state != "error";
        }
        Ok(match (rejected, waiting) {
            (Some(why), _) => Look::Rejected(at, why),
            (None, true) => Look::Waiting,
            (None, false) => match at {
                Some(at) => Look::Taken(Some(at)),
                None => Look::Taken(Some(self.clock(operation).await?)),
            },
        })
    }

    /// The clock of the database.
    pub(crate) async fn clock(&self, operation: &str) -> Result<Timestamp, Fault> {
        let client = self.database.client(operation).await?;
        let row =
            client.query_one("SELECT now()", &[]).await.map_err(|error| self.database.fault(operation, &error))?;
        row.try_get(0).map_err(|error| self.database.fault(operation, &error))
    }

    /// Whether the account may do what it must, and nothing else on this table.
    pub(crate) async fn rights(&self, operation: &str) -> Result<(bool, bool), Fault> {
        let client = self.database.client(operation).await?;
        let sql = "SELECT has_table_privilege($1, 'INSERT') AND has_table_privilege($1, 'SELECT'), \
                   has_table_privilege($1, 'UPDATE') OR has_table_privilege($1, 'DELETE') \
                   OR has_table_privilege($1, 'TRUNCATE')";
        let table = self.table();
        let row = client.query_one(sql, &[&table]).await.map_err(|error| self.database.fault(operation, &error))?;
        let right = |at| row.try_get::<_, bool>(at).map_err(|error| self.database.fault(operation, &error));
        Ok((right(0)?, right(1)?))
    }
}

/// What an importer says may hold a card number: of long numbers only the end is shown.
pub(crate) fn without_numbers(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut digits = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        match digits.len() {
            0..=4 => shown.push_str(&digits),
            len => {
                shown.push('…');
                shown.push_str(digits.get(len - 4..).unwrap_or_default());
            }
        }
        digits.clear();
        if c != '\n' {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::without_numbers;

    #[test]
    fn no_card_number_is_repeated_in_full() {
        assert_eq!(without_numbers("row 12: card 0012345678 is taken"), "row 12: card …5678 is taken");
        assert_eq!(without_numbers("0012345678"), "…5678");
    }
}
