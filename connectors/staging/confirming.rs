//! Delivered is not done: which deliveries a reading answers, and what is said about the others.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{CardholderId, Cx, Fault, FaultKind};

use crate::changing::shows;
use crate::dropping::{Look, written};
use crate::ledger::{Closed, Delivery};
use crate::people::Snapshot;
use crate::profile::Acknowledgement;
use crate::{Outgoing, Staging};

impl Staging {
    /// The deliveries about somebody, or about everybody, that this reading does not answer. Those that it answers are
    /// closed.
    pub(crate) async fn still_open(
        &self,
        cx: &Cx,
        person: Option<&CardholderId>,
        snapshot: &Snapshot,
    ) -> Result<Vec<Delivery>, Fault> {
        let operation = "look into the manifests";
        cx.check(self.info.id.as_str(), operation)?;
        let (ledger, person) = (Arc::clone(&self.ledger), person.cloned());
        let read = self.blocking(operation, move || match &person {
            Some(person) => ledger.open_for(person),
            None => ledger.all_open(),
        });
        let all = read.await?.map_err(|error| self.ledger_fault(&error))?;
        let mut open = Vec::new();
        for mut delivery in all {
            self.look(&mut delivery).await?;
            if self.answers(snapshot, &delivery) {
                self.close(&mut delivery, Closed::Answered).await?;
            } else {
                open.push(delivery);
            }
        }
        Ok(open)
    }

    /// Whether a reading is new enough to say what became of a delivery.
    pub(crate) fn answers(&self, snapshot: &Snapshot, delivery: &Delivery) -> bool {
        let later = |at: Timestamp| snapshot.as_of > at + self.margin;
        let begun = delivery.handed_over.unwrap_or(delivery.prepared + ahead(delivery));
        if delivery.taken.is_some_and(later) {
            return true;
        }
        let there = snapshot.people.get(&delivery.person).map(|person| &person.cardholder);
        if later(begun) && there.is_some_and(|now| shows(now, &delivery.steps)) {
            return true;
        }
        // Nobody will say that it was taken: after that long it was, or never will be.
        let silent = delivery.handed_over.is_none() || self.is_silent();
        silent && later(begun + SignedDuration::from_secs(self.profile.delivery.patience_seconds()))
    }

    fn is_silent(&self) -> bool {
        match &self.outgoing {
            Outgoing::Folder(_) => self.profile.delivery.acknowledgement == Acknowledgement::None,
            Outgoing::Outbox(_) => false,
        }
    }

    /// Looks what the importer did, and writes it down when it is news.
    pub(crate) async fn look(&self, delivery: &mut Delivery) -> Result<(), Fault> {
        if delivery.taken.is_some() {
            return Ok(());
        }
        let seen = match &self.outgoing {
            Outgoing::Folder(folder) => {
                let (folder, profile, asked) = (folder.clone(), Arc::clone(&self.profile), delivery.clone());
                let look = self.blocking("look into the drop folder", move || folder.look(&profile, &asked)).await?;
                look.map_err(|error| self.folder_fault("look into the drop folder", &error))?
            }
            Outgoing::Outbox(outbox) => match delivery.items.first() {
                Some(item) => outbox.look(&item.name, "look into the outbox").await?,
                // It got no further than its manifest.
                None => Look::Taken(None),
            },
        };
        let at = match seen {
            Look::Waiting => return Ok(()),
            Look::Taken(at) => at,
            Look::Rejected(at, why) => {
                delivery.rejected = Some(why);
                at
            }
        };
        delivery.taken = Some(at.unwrap_or_else(|| Timestamp::now() + ahead(delivery)));
        self.write_down(delivery).await
    }

    /// Closes a delivery.
    pub(crate) async fn close(&self, delivery: &mut Delivery, how: Closed) -> Result<(), Fault> {
        delivery.closed = Some(how);
        self.write_down(delivery).await
    }

    /// Brings the manifest up to date.
    pub(crate) async fn write_down(&self, delivery: &Delivery) -> Result<(), Fault> {
        let (ledger, delivery) = (Arc::clone(&self.ledger), delivery.clone());
        let written = self.blocking("write a manifest", move || ledger.update(&delivery)).await?;
        written.map_err(|error| self.ledger_fault(&error))
    }

    pub(crate) fn ledger_fault(&self, error: &std::io::Error) -> Fault {
        let message = format!("the manifests cannot be read or written: {error}");
        self.fault(FaultKind::Unreachable, "keep a manifest", message)
            .with_help("free space on this machine, and check that this user may write the folder `manifests`")
    }

    pub(crate) fn folder_fault(&self, operation: &str, error: &std::io::Error) -> Fault {
        let kind = crate::dropping::kind_of(error);
        self.fault(kind, operation, format!("{}: {error}", self.info.endpoint))
            .with_help("check that the share is there, has room, and lets this user write")
    }

    /// What is said about a delivery that nothing newer has answered.
    pub(crate) fn unconfirmed(&self, operation: &str, delivery: &Delivery) -> Fault {
        let handed = delivery.handed_over.unwrap_or(delivery.prepared);
        let patience = SignedDuration::from_secs(self.profile.delivery.patience_seconds());
        let waited = (Timestamp::now() + ahead(delivery)).duration_since(handed);
        let what = written(delivery);
        let state = match (&delivery.rejected, delivery.taken) {
            (Some(why), _) => format!("the importer says that something is wrong with it ({why})"),
            (None, Some(_)) => "the importer took it, which does not say that it did it".to_owned(),
            (None, None) if self.is_silent() => "this importer does not say when it takes anything".to_owned(),
            (None, None) => format!("the importer has not taken it for {} minutes", waited.as_mins()),
        };
        let message = format!("delivered {handed:.0} as {what}, not confirmed yet: {state}; no newer reading shows it");
        let help = if delivery.taken.is_none() && waited > patience {
            "the importer stands still: look into its service, and do by hand what `lockstep export` lists"
        } else if delivery.rejected.is_some() {
            "look into what the importer says; the next reading of the PACS decides what became of it"
        } else {
            "wait for the next export of the PACS, then: lockstep settle"
        };
        self.fault(FaultKind::Unconfirmed, operation, message).with_help(help)
    }
}

/// By how much the clock of the share is ahead of ours.
fn ahead(delivery: &Delivery) -> SignedDuration {
    SignedDuration::from_millis(delivery.clock_ahead_ms)
}
