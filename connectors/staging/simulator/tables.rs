//! The importer of an outbox, and the views through which a PACS shows its records: tables of its own in the same
//! database, which only it writes.

use std::fmt::Write as _;

use serde_json::Value;
use tokio_postgres::{Client, Error};

use super::parser::Cells;
use super::{Rules, World};
use crate::config::Consumed;
use crate::profile::{Holds, ImportProfile, TableName};

const TABLES: [TableName; 4] = [TableName::Levels, TableName::People, TableName::Credentials, TableName::Memberships];

/// An importer of an outbox with a PACS behind it.
#[derive(Debug)]
pub struct TableImporter {
    client: Client,
    world: World,
    consumed: Consumed,
    /// Its habits.
    pub rules: Rules,
    /// How many rows it took.
    pub taken: u64,
}

/// The SQL that makes the outbox, the tables behind the views, the views, and the account with its rights.
pub fn schema(profile: &ImportProfile, account: &str, password: &str) -> String {
    let mut sql = OUTBOX.to_owned();
    // Roles belong to the whole server: another database may have made it.
    let _ = write!(
        sql,
        "DO $$ BEGIN CREATE ROLE {account} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;\n\
         ALTER ROLE {account} PASSWORD '{password}';\n\
         GRANT SELECT, INSERT ON lockstep_outbox TO {account};\n"
    );
    for name in TABLES {
        let Some(table) = profile.table(name) else { continue };
        let Some(view) = &table.view else { continue };
        let columns: Vec<String> = table.columns.iter().map(|column| format!("\"{}\" text", column.header)).collect();
        let own = own_table(name);
        let _ = write!(
            sql,
            "CREATE TABLE {own} ({});\nCREATE VIEW \"{view}\" AS SELECT * FROM {own};\nGRANT SELECT ON \"{view}\" TO {account};\n",
            columns.join(", ")
        );
    }
    sql
}

const OUTBOX: &str = "
CREATE TABLE lockstep_outbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plan_id     text NOT NULL,
    seq         integer NOT NULL,
    op          text NOT NULL CHECK (op IN ('disable', 'update', 'create', 'remove_group', 'add_group')),
    person_key  text NOT NULL,
    card_no     text,
    payload     jsonb NOT NULL,
    queued_at   timestamptz NOT NULL DEFAULT now(),
    state       text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'taken', 'done', 'error')),
    taken_at    timestamptz,
    done_at     timestamptz,
    result_code text,
    result_text text,
    UNIQUE (plan_id, seq)
);
";

fn own_table(name: TableName) -> String {
    format!("pacs_{}", name.as_str())
}

impl TableImporter {
    /// An importer on a database that has the [`schema`]. `client` is the account of the PACS.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn start(client: Client, world: World, consumed: Consumed) -> Result<Self, Error> {
        let importer = Self { client, world, consumed, rules: Rules::default(), taken: 0 };
        importer.mirror(None).await?;
        Ok(importer)
    }

    /// Looks at the PACS, or changes it behind everybody's back.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn edit(&mut self, change: impl FnOnce(&mut World)) -> Result<(), Error> {
        change(&mut self.world);
        self.mirror(None).await
    }

    /// The PACS.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// One look: works on what waits, in the order of the ids. True when there was anything.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn tick(&mut self) -> Result<bool, Error> {
        if self.rules.stopped {
            return Ok(false);
        }
        let waiting = self
            .client
            .query("SELECT id, payload, person_key FROM lockstep_outbox WHERE state = 'queued' ORDER BY id", &[])
            .await?;
        for row in &waiting {
            let (id, payload, key): (i64, Value, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            self.taken += 1;
            self.client
                .execute("UPDATE lockstep_outbox SET state = 'taken', taken_at = now() WHERE id = $1", &[&id])
                .await?;
            if std::mem::take(&mut self.rules.crashes_while_reading) {
                return Ok(true);
            }
            let wrong = self.work(&payload);
            self.client.batch_execute("BEGIN").await?;
            self.mirror(Some(&key)).await?;
            self.settle(id, wrong.first()).await?;
            self.client.batch_execute("COMMIT").await?;
        }
        Ok(!waiting.is_empty())
    }

    fn work(&mut self, payload: &Value) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let table = match payload["table"].as_str() {
            Some("people") => TableName::People,
            Some("credentials") => TableName::Credentials,
            Some("memberships") => TableName::Memberships,
            _ => return vec!["unknown table".to_owned()],
        };
        let columns = payload["columns"].as_object().cloned().unwrap_or_default();
        let cells: Cells = columns.iter().map(|(header, value)| (header.clone(), text(value))).collect();
        if self.rules.refuses {
            return vec!["refused".to_owned()];
        }
        if self.rules.ignores_content {
            return Vec::new();
        }
        let rules = self.rules;
        self.world.import(table, vec![cells], rules)
    }

    async fn settle(&self, id: i64, wrong: Option<&String>) -> Result<(), Error> {
        let sql = match (wrong, self.consumed) {
            (Some(why), _) => {
                let sql = "UPDATE lockstep_outbox SET state = 'error', done_at = clock_timestamp(), result_code = 'E', \
                           result_text = $2 WHERE id = $1";
                return self.client.execute(sql, &[&id, why]).await.map(drop);
            }
            (None, Consumed::Deleted) => "DELETE FROM lockstep_outbox WHERE id = $1",
            (None, Consumed::State) => {
                "UPDATE lockstep_outbox SET state = 'done', done_at = clock_timestamp() WHERE id = $1"
            }
        };
        self.client.execute(sql, &[&id]).await.map(drop)
    }

    /// Brings the tables behind the views up to date, about one person or everybody.
    async fn mirror(&self, key: Option<&str>) -> Result<(), Error> {
        for name in TABLES {
            let Some(table) = self.world.profile.table(name) else { continue };
            if table.view.is_none() || (key.is_some() && name == TableName::Levels) {
                continue;
            }
            let own = own_table(name);
            let at = table.place(Holds::Key);
            let mut rows = self.world.export(name);
            match (key, at) {
                (Some(key), Some(at)) => {
                    rows.retain(|row| row.get(at).is_some_and(|cell| cell == key));
                    let column = &table.columns[at].header;
                    self.client.execute(&format!("DELETE FROM {own} WHERE \"{column}\" = $1"), &[&key]).await?;
                }
                _ => {
                    self.client.execute(&format!("DELETE FROM {own}"), &[]).await?;
                }
            }
            if self.rules.short_export {
                rows.truncate(rows.len() / 2);
            }
            if self.rules.empty_export {
                rows.clear();
            }
            let columns: Vec<Vec<&str>> = (0..table.columns.len())
                .map(|at| rows.iter().map(|row| row.get(at).map_or("", String::as_str)).collect())
                .collect();
            let given: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
                columns.iter().map(|column| column as &(dyn tokio_postgres::types::ToSql + Sync)).collect();
            let places: Vec<String> = (1..=columns.len()).map(|n| format!("${n}::text[]")).collect();
            let sql = format!("INSERT INTO {own} SELECT * FROM unnest({})", places.join(", "));
            self.client.execute(&sql, &given).await?;
        }
        Ok(())
    }
}
