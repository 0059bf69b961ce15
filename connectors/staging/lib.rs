//! Hands changes to a PACS that imports files or staging tables, by profiles that are data, and reads back what became of
//! them from fresh exports or views.
//!
//! Delivered is not done: while nothing newer than a delivery was read, whoever asks about its person is told that it is
//! not confirmed. This crate never writes the absence of anybody, and never overwrites a file that waits.

#![forbid(unsafe_code)]

mod applying;
mod by_hand;
mod changing;
mod config;
mod confirming;
mod counting;
mod database;
mod dates;
mod dropping;
mod export;
mod handing;
mod ledger;
mod outbox;
mod people;
mod person_row;
mod probing;
mod profile;
mod profiles;
mod rows;
#[cfg(test)]
mod rows_tests;
mod share;
pub mod simulator;
mod text;
mod view;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::SignedDuration;
use lockstep_contract::{
    AccessLevel, Action, ApplyFault, Capabilities, Cardholder, CardholderId, Catalog, Census, CorrelationKey,
    CredentialStatus, CredentialSupport, Cursor, Cx, Enforcement, Fault, FaultKind, FieldRule, Granularity, Health,
    Next, Opening, Page, Receipt, Status, Suspend, Target, TargetId, TargetInfo, TargetReader,
};

pub use by_hand::{StagingByHand as ByHand, import_file};
pub use config::{Config, Consumed, DatabaseConfig, DropConfig, ExportConfig};
pub use ledger::{Closed, Delivery, Item};
pub use profile::ImportProfile;
pub use share::{Disk, Share, Stat};

use database::Database;
use dropping::Folder;
use export::Export;
use ledger::Ledger;
use outbox::Outbox;
use people::Snapshot;
use view::{View, Whom};

/// A PACS that imports.
#[derive(Debug)]
pub struct Staging {
    info: TargetInfo,
    profile: Arc<ImportProfile>,
    ledger: Arc<Ledger>,
    site: String,
    outgoing: Outgoing,
    read_back: Option<ReadBack>,
    /// By how much a reading must be newer than a delivery to say anything about it.
    margin: SignedDuration,
    wait: std::time::Duration,
}

/// Where changes go.
#[derive(Debug)]
enum Outgoing {
    Folder(Folder),
    Outbox(Outbox),
}

/// Where records are read from.
#[derive(Debug)]
enum ReadBack {
    Export(Arc<Export>),
    View(View),
}

/// Opens a target. Reads the profile and makes the folder of manifests; touches no share and no database.
///
/// # Errors
/// [`FaultKind::Invalid`] when the settings or the profile are not usable.
pub fn open(id: TargetId, config: Config, opening: &Opening<'_>) -> Result<Staging, Fault> {
    open_on(id, config, opening, Arc::new(Disk))
}

/// As [`open`], with other file operations under it: tests let them fail.
///
/// # Errors
/// As [`open`].
pub fn open_on(id: TargetId, config: Config, opening: &Opening<'_>, share: Arc<dyn Share>) -> Result<Staging, Fault> {
    let profile = Arc::new(config.import_profile(id.as_str(), opening)?);
    let invalid = |message: String| Fault::new(FaultKind::Invalid, id.as_str(), "open", message);
    let manifests = opening.path(&config.manifests);
    let ledger = Ledger::new(&manifests, &config.site)
        .map_err(|error| invalid(format!("`manifests` {}: {error}", manifests.display())))?;
    let database = match &config.database {
        Some(config) => Some(Arc::new(Database::new(id.as_str(), config, opening)?)),
        None => None,
    };
    let outgoing = match (&config.drop, &database) {
        (Some(drop), _) => Outgoing::Folder(Folder {
            share: Arc::clone(&share),
            path: opening.path(&drop.folder),
            site: config.site.clone(),
        }),
        (None, Some(database)) => Outgoing::Outbox(Outbox { database: Arc::clone(database), system: id.to_string() }),
        (None, None) => return Err(invalid("`drop` or `database` is needed".to_owned())),
    };
    let read_back = match (&config.export, database) {
        (Some(settings), _) => Some(ReadBack::Export(Arc::new(export(settings, share, opening, &ledger)))),
        (None, Some(database)) if profile.people.view.is_some() => {
            Some(ReadBack::View(View { database, memory: ledger.memory("view-rows.json") }))
        }
        (None, _) => None,
    };
    Ok(Staging {
        info: info(id, &config, &profile, &outgoing),
        profile,
        ledger: Arc::new(ledger),
        site: config.site.clone(),
        outgoing,
        read_back,
        margin: SignedDuration::from_secs(i64::from(config.margin_seconds())),
        wait: std::time::Duration::from_secs(u64::from(config.wait_seconds)),
    })
}

fn export(settings: &ExportConfig, share: Arc<dyn Share>, opening: &Opening<'_>, ledger: &Ledger) -> Export {
    Export {
        share,
        path: opening.path(&settings.folder),
        age_max: SignedDuration::from_hours(i64::from(settings.age_hours_max.get())),
        settled_after: SignedDuration::from_secs(i64::from(settings.settled_seconds)),
        shrink_percent_max: settings.shrink_percent_max,
        memory: ledger.memory("export-rows.json"),
        cache: Mutex::new(None),
    }
}

fn info(id: TargetId, config: &Config, profile: &ImportProfile, outgoing: &Outgoing) -> TargetInfo {
    let endpoint = match outgoing {
        Outgoing::Folder(folder) => folder.path.display().to_string(),
        Outgoing::Outbox(outbox) => outbox.database.endpoint(),
    };
    let fields = profile.people.columns.iter().filter_map(|column| {
        let rule = FieldRule {
            required: column.required,
            chars_max: column.chars_max.filter(|_| !profile.file.cut_long_values),
        };
        Some((column.field.clone()?, rule))
    });
    TargetInfo {
        id,
        kind: "staging".to_owned(),
        fingerprint: format!("{}:{}:{endpoint}", profile.name, config.site),
        endpoint,
        capabilities: Capabilities {
            granularity: Granularity::WholeCardholder,
            suspend: Suspend::CardholderFlag,
            credentials: if changing::cards_supported(profile) {
                CredentialSupport::Status
            } else {
                CredentialSupport::None
            },
            validity: changing::validity_supported(profile),
            revision: false,
            // Everybody is found again by the key column: one key is one record, however often it is imported.
            idempotency: true,
            keys: people::key_kinds(profile),
            fields: fields.collect(),
            enforcement: Enforcement::Database,
            in_flight_max: config.in_flight_max,
            requests_per_minute: None,
        },
    }
}

impl Staging {
    fn fault(&self, kind: FaultKind, operation: &str, message: impl Into<String>) -> Fault {
        Fault::new(kind, self.info.id.as_str(), operation, message)
    }

    /// The newest reading.
    async fn snapshot(&self, cx: &Cx, operation: &str, whom: Whom<'_>) -> Result<Arc<Snapshot>, Fault> {
        cx.check(self.info.id.as_str(), operation)?;
        match &self.read_back {
            None => Err(self
                .fault(FaultKind::Unsupported, operation, "nothing is configured that shows what the PACS holds")
                .with_help(
                    "add `export` (a folder with fresh exports of the PACS) or `database` with views; until then, work \
                     from the worklist and the import file of `lockstep export`",
                )),
            Some(ReadBack::Export(export)) => {
                let (export, profile) = (Arc::clone(export), Arc::clone(&self.profile));
                let read = self.blocking(operation, move || export.snapshot(&profile)).await?;
                read.map_err(|complaint| complaint.fault(self.info.id.as_str(), operation))
            }
            Some(ReadBack::View(view)) => {
                let snapshot = view.snapshot(&self.profile, self.info.id.as_str(), whom).await?;
                Ok(Arc::new(snapshot))
            }
        }
    }

    /// File operations may hang on a share that is away; they must not hold up anybody else.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| self.fault(FaultKind::Protocol, operation, format!("the work broke off: {error}")))
    }

    fn operation_on(id: &CardholderId) -> String {
        format!("read cardholder {id}")
    }
}

#[async_trait]
impl TargetReader for Staging {
    fn info(&self) -> &TargetInfo {
        &self.info
    }

    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        self.probe_all(cx).await
    }

    async fn catalog(&self, cx: &Cx) -> Result<Catalog, Fault> {
        let snapshot = self.snapshot(cx, "read access levels", Whom::Everybody).await?;
        let level = |name: &String| AccessLevel { name: name.clone(), ..AccessLevel::default() };
        let levels: BTreeMap<_, _> = snapshot.levels.iter().map(|(id, name)| (id.clone(), level(name))).collect();
        Ok(Catalog { levels })
    }

    async fn list(&self, cx: &Cx, _at: Option<Cursor>) -> Result<Page<Cardholder>, Fault> {
        let snapshot = self.snapshot(cx, "list cardholders", Whom::Everybody).await?;
        let items: Vec<_> = snapshot.people.values().map(|person| person.cardholder.clone()).collect();
        let sent = items.len() as u64;
        Ok(Page { items, next: Next::End(Census { sent, server_total: Some(sent) }) })
    }

    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Cardholder>, Fault> {
        let operation = format!("find {key}");
        if !self.info.capabilities.keys.contains(&key.kind()) {
            let message = format!("the profile shows no {} key", key.kind());
            return Err(self.fault(FaultKind::Unsupported, &operation, message));
        }
        let snapshot = self.snapshot(cx, &operation, Whom::With(key)).await?;
        let mut found = Vec::new();
        for person in snapshot.with_key(key) {
            let mut seen = person.cardholder.clone();
            for delivery in self.still_open(cx, Some(&seen.id), &snapshot).await? {
                if let Some(target) = &delivery.target {
                    widest(&mut seen, target);
                }
            }
            found.push(seen);
        }
        if found.is_empty() {
            for delivery in self.still_open(cx, None, &snapshot).await? {
                if delivery.target.as_ref().is_some_and(|target| target.keys.contains(key)) {
                    return Err(self.unconfirmed(&operation, &delivery));
                }
            }
        }
        Ok(found)
    }

    async fn read(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Cardholder>, Fault> {
        let operation = Self::operation_on(id);
        let mut open = Vec::new();
        // What is only now seen to be taken was read a moment too early: the second look is surely later.
        for _ in 0..2 {
            let snapshot = self.snapshot(cx, &operation, Whom::One(id)).await?;
            open = self.still_open(cx, Some(id), &snapshot).await?;
            if open.is_empty() {
                return Ok(snapshot.people.get(id).map(|person| person.cardholder.clone()));
            }
        }
        match open.first() {
            Some(delivery) => Err(self.unconfirmed(&operation, delivery)),
            None => Err(self.fault(FaultKind::Protocol, &operation, "two looks at the manifests disagree")),
        }
    }
}

#[async_trait]
impl Target for Staging {
    async fn apply(&self, cx: &Cx, action: &Action) -> Result<Receipt, ApplyFault> {
        self.deliver(cx, action).await
    }
}

/// Whoever is looked for while a change is under way may already have what it gives: somebody who is to be put out is
/// put out of that, too. Nothing is ever verified by a search.
fn widest(seen: &mut Cardholder, target: &Cardholder) {
    if target.status == Status::Active {
        seen.status = Status::Active;
    }
    seen.levels.extend(target.levels.iter().cloned());
    for card in &mut seen.credentials {
        let given =
            target.credentials.iter().any(|other| other.id == card.id && other.status == CredentialStatus::Active);
        if given {
            card.status = CredentialStatus::Active;
        }
    }
}
