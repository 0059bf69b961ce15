//! The read-back from database views: what the PACS holds at this moment. All views are read in one transaction, so that
//! they are of one moment.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use lockstep_contract::{CardholderId, CorrelationKey, Fault, FaultKind, KeyKind, field};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use crate::counting::Counted;
use crate::database::{Database, quoted, quoted_path};
use crate::people::{Snapshot, Tables};
use crate::profile::{Holds, ImportProfile, Table, TableName};
use crate::rows::Row;

/// The views of a database.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) database: Arc<Database>,
    pub(crate) memory: PathBuf,
}

/// Whom a reading is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whom<'a> {
    Everybody,
    One(&'a CardholderId),
    With(&'a CorrelationKey),
}

const OPERATION: &str = "read the views";

impl View {
    /// Reads, about these people.
    pub(crate) async fn snapshot(
        &self,
        profile: &ImportProfile,
        system: &str,
        whom: Whom<'_>,
    ) -> Result<Snapshot, Fault> {
        let client = self.database.take(OPERATION).await?;
        let sql = |error: tokio_postgres::Error| self.database.fault(OPERATION, &error);
        client.batch_execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map_err(sql)?;
        let (tables, as_of) = self.tables(&client, profile, whom).await?;
        client.batch_execute("COMMIT").await.map_err(sql)?;
        self.database.give_back(client).await;
        let protocol = |why: String| Fault::new(FaultKind::Protocol, system, OPERATION, why);
        if matches!(whom, Whom::Everybody) {
            let counted = Counted { memory: &self.memory, shrink_percent_max: self.database.config.shrink_percent_max };
            counted.check(&tables, as_of).map_err(|complaint| complaint.fault(system, OPERATION))?;
        }
        Snapshot::assemble(profile, tables, as_of).map_err(protocol)
    }

    async fn tables(
        &self,
        client: &Client,
        profile: &ImportProfile,
        whom: Whom<'_>,
    ) -> Result<(Tables, Timestamp), Fault> {
        let sql = |error: tokio_postgres::Error| self.database.fault(OPERATION, &error);
        // The time of the reading itself, not of the transaction's first word.
        let now = client.query_one("SELECT clock_timestamp()", &[]).await.map_err(sql)?;
        let as_of: Timestamp = now.try_get(0).map_err(sql)?;
        let keys = match whom {
            Whom::Everybody => None,
            Whom::One(id) => Some(BTreeSet::from([id.to_string()])),
            Whom::With(key) => Some(self.keys_of(client, profile, key).await?),
        };
        let keys: Option<Vec<String>> = keys.map(|keys| keys.into_iter().collect());
        let mut tables = Tables::new();
        for (name, table) in profile.tables() {
            let Some(view) = &table.view else { continue };
            let of = keys.as_deref().filter(|_| name != TableName::Levels);
            tables.insert(name, self.rows(client, table, view, of).await?);
        }
        Ok((tables, as_of))
    }

    async fn rows(
        &self,
        client: &Client,
        table: &Table,
        view: &str,
        keys: Option<&[String]>,
    ) -> Result<Vec<Row>, Fault> {
        let columns: Vec<String> =
            table.columns.iter().map(|column| format!("coalesce({}::text, '')", quoted(&column.header))).collect();
        let mut sql = format!("SELECT {} FROM {}", columns.join(", "), quoted_path(view));
        let mut given: Vec<&(dyn ToSql + Sync)> = Vec::new();
        if let (Some(keys), Some(at)) = (&keys, table.place(Holds::Key)) {
            sql = format!("{sql} WHERE {}::text = ANY($1)", quoted(&table.columns[at].header));
            given.push(keys);
        }
        let rows = client.query(&sql, &given).await.map_err(|error| self.database.fault(OPERATION, &error))?;
        let cells = |row: &tokio_postgres::Row| -> Result<Row, tokio_postgres::Error> {
            (0..table.columns.len()).map(|at| row.try_get(at)).collect()
        };
        rows.iter().map(|row| cells(row).map_err(|error| self.database.fault(OPERATION, &error))).collect()
    }

    /// The keys of those who may have a key; each is looked at again afterwards.
    async fn keys_of(
        &self,
        client: &Client,
        profile: &ImportProfile,
        key: &CorrelationKey,
    ) -> Result<BTreeSet<String>, Fault> {
        let field = match key.kind() {
            KeyKind::Employee => field::EMPLOYEE_NUMBER,
            KeyKind::Upn => field::UPN,
            KeyKind::Mail => field::MAIL,
            KeyKind::Account => field::ACCOUNT,
            KeyKind::Directory | KeyKind::Card => "",
        };
        let mut places = Vec::new();
        for (_, table) in profile.tables() {
            let (Some(view), Some(owner)) = (&table.view, table.place(Holds::Key)) else { continue };
            for (at, column) in table.columns.iter().enumerate() {
                let own = profile.key == key.kind() && at == owner;
                let card = key.kind() == KeyKind::Card && column.holds == Some(Holds::CardNumber);
                if own || card || column.field.as_ref().is_some_and(|name| name.as_str() == field) {
                    places.push((view, table, owner, column));
                }
            }
        }
        // Only the end of a card number is sure to stand in the column of the number.
        let tail = key.value().rsplit('-').next().unwrap_or_default().to_owned();
        let mut keys = BTreeSet::new();
        for (view, table, owner, column) in places {
            let (condition, value) = match column.holds {
                Some(Holds::CardNumber) => ("right(COLUMN::text, length($1)) = $1", tail.as_str()),
                _ => ("lower(COLUMN::text) = lower($1)", key.value()),
            };
            let sql = format!(
                "SELECT DISTINCT {}::text FROM {} WHERE {}",
                quoted(&table.columns[owner].header),
                quoted_path(view),
                condition.replace("COLUMN", &quoted(&column.header))
            );
            let rows = client.query(&sql, &[&value]).await.map_err(|error| self.database.fault(OPERATION, &error))?;
            keys.extend(rows.iter().filter_map(|row| row.try_get::<_, Option<String>>(0).ok().flatten()));
        }
        Ok(keys)
    }
}
