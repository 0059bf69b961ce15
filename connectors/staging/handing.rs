//! Hands a change over: the manifest on the disk first, then the files into the drop folder or the rows into the outbox.

#![expect(clippy::result_large_err, reason = "the size of `ApplyFault` is the contract's matter")]

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{Action, ApplyFault, CardholderId, Cx, Fault, sha256_hex};

use crate::changing::{Change, Part};
use crate::dropping::{Dropped, Folder, Ready, ready};
use crate::ledger::{Closed, Delivery, Item};
use crate::outbox::{Inserted, Outbox, OutboxRow, outbox_rows};
use crate::{Outgoing, Staging};

/// What became of handing over.
enum Handed {
    /// Since when by the clock over there, and by how much that is ahead of ours, at most.
    Whole(Timestamp, SignedDuration),
    Nothing(Fault),
    Unknown(Fault),
}

impl Staging {
    /// Writes the manifest and hands the change over.
    pub(crate) async fn hand_over(
        &self,
        cx: &Cx,
        action: &Action,
        operation: &str,
        person: CardholderId,
        change: Change,
    ) -> Result<Delivery, ApplyFault> {
        let Change { target, parts } = change;
        // A value that no file can hold is refused before anything is written down.
        ready(&self.profile, &self.site, "check", &parts).map_err(|refusal| self.refusal(operation, refusal))?;
        let delivery = Delivery {
            name: String::new(),
            run: cx.run,
            action: action.id.clone(),
            person,
            prepared: Timestamp::now(),
            handed_over: None,
            clock_ahead_ms: 0,
            taken: None,
            rejected: None,
            items: Vec::new(),
            closed: None,
            target: Some(target),
            steps: action.steps.iter().cloned().collect(),
        };
        let (mut delivery, handed) = match &self.outgoing {
            Outgoing::Folder(folder) => self.drop_it(cx, operation, folder, delivery, parts).await?,
            Outgoing::Outbox(outbox) => self.insert_it(cx, operation, outbox, delivery, &parts).await?,
        };
        match handed {
            Handed::Whole(at, ahead) => {
                delivery.clock_ahead_ms = i64::try_from(ahead.as_millis()).unwrap_or_default();
                delivery.handed_over = Some(at);
                // Without the newer manifest, the older one is read: it only takes longer to be believed.
                let _ = self.write_down(&delivery).await;
                tracing::debug!(system = %self.info.id, delivery = %delivery.name, "handed over");
                Ok(delivery)
            }
            Handed::Nothing(fault) => {
                self.close(&mut delivery, Closed::NotSent).await.map_err(ApplyFault::NotSent)?;
                Err(ApplyFault::NotSent(fault))
            }
            Handed::Unknown(fault) => Err(ApplyFault::Uncertain(fault)),
        }
    }

    async fn drop_it(
        &self,
        cx: &Cx,
        operation: &str,
        folder: &Folder,
        delivery: Delivery,
        parts: Vec<Part>,
    ) -> Result<(Delivery, Handed), ApplyFault> {
        let (ledger, profile, site) = (Arc::clone(&self.ledger), Arc::clone(&self.profile), self.site.clone());
        let begun = self.blocking(operation, move || -> std::io::Result<(Delivery, Vec<Ready>)> {
            let mut delivery = ledger.begin(delivery)?;
            let files = ready(&profile, &site, &delivery.name, &parts);
            let files = files.map_err(|bad| std::io::Error::other(bad.message))?;
            delivery.items = files.iter().map(|file| file.item.clone()).collect();
            ledger.update(&delivery)?;
            Ok((delivery, files))
        });
        let (delivery, files) = self.begun(begun.await)?;
        cx.check(self.info.id.as_str(), operation).map_err(ApplyFault::NotSent)?;
        let (folder, profile) = (folder.clone(), Arc::clone(&self.profile));
        let dropped = self.blocking(operation, move || folder.drop_files(&profile, &files)).await;
        let handed = match dropped.map_err(ApplyFault::Uncertain)? {
            Dropped::Whole(at, ahead) => Handed::Whole(at, ahead),
            Dropped::Nothing(error) => Handed::Nothing(self.folder_fault(operation, &error)),
            Dropped::Partly(error) => Handed::Unknown(self.folder_fault(operation, &error)),
        };
        Ok((delivery, handed))
    }

    async fn insert_it(
        &self,
        cx: &Cx,
        operation: &str,
        outbox: &Outbox,
        delivery: Delivery,
        parts: &[Part],
    ) -> Result<(Delivery, Handed), ApplyFault> {
        let rows = outbox_rows(&self.profile, parts);
        let free = outbox.free_name(delivery.action.as_str(), operation).await.map_err(ApplyFault::NotSent)?;
        // Rows of this very action wait already, although no manifest says so: they are waited for.
        let name = free.clone().unwrap_or_else(|| delivery.action.to_string());
        let item = item(&name, &rows);
        let ledger = Arc::clone(&self.ledger);
        let begun = self.blocking(operation, move || -> std::io::Result<Delivery> {
            let mut delivery = ledger.begin(delivery)?;
            delivery.items = vec![item];
            ledger.update(&delivery)?;
            Ok(delivery)
        });
        let delivery = self.begun(begun.await)?;
        cx.check(self.info.id.as_str(), operation).map_err(ApplyFault::NotSent)?;
        let before = Timestamp::now();
        if free.is_none() {
            let now = outbox.clock(operation).await.map_err(ApplyFault::Uncertain)?;
            return Ok((delivery, Handed::Whole(now, now.duration_since(before))));
        }
        let handed = match outbox.insert(&name, &rows, operation).await {
            Inserted::Whole(at) => Handed::Whole(at, at.duration_since(before)),
            Inserted::Nothing(fault) => Handed::Nothing(fault),
            Inserted::Unknown(fault) => Handed::Unknown(fault),
        };
        Ok((delivery, handed))
    }

    fn begun<T>(&self, begun: Result<std::io::Result<T>, Fault>) -> Result<T, ApplyFault> {
        begun.map_err(ApplyFault::NotSent)?.map_err(|error| ApplyFault::NotSent(self.ledger_fault(&error)))
    }

    /// Takes a delivery back that still waits; false when the importer may have it.
    pub(crate) async fn take_back(&self, delivery: &Delivery) -> Result<bool, ApplyFault> {
        let operation = "take back what still waits";
        match &self.outgoing {
            Outgoing::Folder(folder) => {
                let (folder, profile, delivery) = (folder.clone(), Arc::clone(&self.profile), delivery.clone());
                let done = self.blocking(operation, move || folder.withdraw(&profile, &delivery)).await;
                done.map_err(ApplyFault::NotSent)?
                    .map_err(|error| ApplyFault::NotSent(self.folder_fault(operation, &error)))
            }
            // Nothing is ever deleted there; rows are worked on in the order of their ids, so the newer one counts.
            Outgoing::Outbox(_) => Ok(false),
        }
    }
}

fn item(name: &str, rows: &[OutboxRow]) -> Item {
    let all: Vec<String> = rows.iter().map(|row| format!("{} {}", row.op, row.payload)).collect();
    let mut keys: Vec<_> = rows.iter().filter_map(|row| CardholderId::new(row.person_key.as_str()).ok()).collect();
    keys.dedup();
    Item { name: name.to_owned(), sha256: sha256_hex(all.join("\n").as_bytes()), rows: rows.len(), keys }
}
