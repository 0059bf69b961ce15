//! One attempt to settle everybody who is open on one PACS: the offboarding itself, asked to go on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use lockstep_config::{LenientLoaded, TargetConfig};
use lockstep_contract::{
    Action, ApplyFault, Cardholder, CardholderId, Catalog, CorrelationKey, Cursor, Cx, Fault, FaultKind, Health,
    KeyKind, Opening, Page, Receipt, Target, TargetId, TargetInfo, TargetReader,
};
use lockstep_offboard::{
    Event, Gate, Journal, KnownRecords, Pacs, Person, Place, Progress, Request, TargetOutcome, Times, Who,
};
use tokio::time::Instant;

use super::Settled;
use crate::cli::emergency::{self, Folders, Open, Record};
use crate::cli::{context, runs};
use crate::secrets::Stores;

/// Tries once to settle each of these, who are all open on the same PACS.
pub(super) async fn all(
    loaded: &LenientLoaded,
    folders: &Folders,
    roster: &emergency::Roster,
    open: Vec<Open>,
    patience: Duration,
) -> Settled {
    let Some(target) = open.first().map(|one| one.target.clone()) else { return Settled::default() };
    let Some(configured) = loaded.targets.iter().find(|one| one.id == target) else {
        let broken = loaded.broken.iter().find(|(what, _)| what == target.as_str());
        let why = broken.map_or_else(|| "it is not in the configuration".to_owned(), |(_, why)| why.clone());
        return Settled {
            open: open.into_iter().map(|one| Open { why: why.clone(), ..one }).collect(),
            ..Settled::default()
        };
    };
    let here = place(loaded, configured, false);
    let known: Vec<KnownRecords> = open.iter().map(|one| known(roster, one)).collect();
    // What others have tells whether all of it is one human, and by which other keys to ask.
    let witnesses = open.iter().zip(&known).any(|(one, known)| needs_witnesses(one, known));
    let others = loaded.targets.iter().filter(|one| witnesses && one.id != target);
    let places: Vec<Place> = std::iter::once(here).chain(others.map(|one| place(loaded, one, true))).collect();
    let people = open.iter().zip(known).enumerate().filter_map(|(nth, (one, known))| {
        Some(Person { nth, request: request(one)?, roster: lockstep_offboard::roster(known) })
    });
    let people: Vec<Person> = people.collect();
    let asked: Vec<usize> = people.iter().map(|person| person.nth).collect();
    let named = open.iter().map(Open::named).enumerate().collect();
    let record = Record::going_on(Some(folders), runs::new_run(), named);
    let journal = Arc::new(GoingOn { record, target: target.clone() });
    let times = Times { started: Instant::now(), patience };
    let reports = lockstep_offboard::offboard(people, places, journal.clone(), Arc::new(()), times).await;
    journal.record.close();
    let mut reports: BTreeMap<usize, _> = asked.into_iter().zip(reports).collect();
    let mut settled = Settled::default();
    for (nth, one) in open.into_iter().enumerate() {
        let report = reports.remove(&nth);
        settled.faults.extend(report.iter().flat_map(|report| report.journal_faults.clone()));
        let outcome = report.as_ref().and_then(|report| report.targets.get(&target));
        match outcome.and_then(TargetOutcome::open) {
            Some(None) => {
                let there = outcome.is_some_and(|outcome| !matches!(outcome.progress, Progress::NotThere));
                let why = if there { "out, read back" } else { "asked, and has no record of them" };
                settled.done.push(Open { why: why.to_owned(), ..one });
            }
            Some(Some(why)) => settled.open.push(Open { why, ..one }),
            None => {
                let why = "several records match; which one is meant?".to_owned();
                settled.open.push(Open { why, ambiguous: true, ..one });
            }
        }
    }
    settled
}

fn request(open: &Open) -> Option<Request> {
    Some(Request {
        who: open.who()?,
        reason: open.reason.clone(),
        ticket: None,
        by: open.by.clone(),
        at: open.since,
        all: open.scope.all,
        dry_run: false,
    })
}

/// What the roster knows of them, and the records that were acted on already: those were judged to be theirs.
fn known(roster: &emergency::Roster, open: &Open) -> KnownRecords {
    let mut known = open.who().map(|who| roster.known(&who)).unwrap_or_default();
    let kinds: BTreeSet<KeyKind> = open.keys.iter().map(CorrelationKey::kind).collect();
    for (target, records) in &open.records {
        let there = known.entry(target.clone()).or_default();
        for record in records {
            there.entry(record.clone()).or_default().extend(kinds.iter().copied());
        }
    }
    known
}

/// A key says of itself who is meant; a value without a kind, or a record elsewhere, does not.
fn needs_witnesses(open: &Open, known: &KnownRecords) -> bool {
    let known_here = known.get(&open.target).is_some_and(|records| !records.is_empty());
    match open.who() {
        Some(Who::Key(_)) | None => false,
        Some(Who::Bare(_)) => true,
        Some(Who::Cardholder { target, .. }) => target != open.target && !known_here,
    }
}

/// A PACS to work on, or one that is only asked.
fn place(loaded: &LenientLoaded, target: &TargetConfig, witness: bool) -> Place {
    Place {
        id: target.id.clone(),
        gate: gate(loaded, target, witness),
        managed: target.policy.levels.iter().map(|rule| rule.level.clone()).collect(),
        managed_whole: loaded.broken.iter().all(|(what, _)| what != target.id.as_str()),
    }
}

/// Opens it aside: a file system or a credential store that hangs keeps nobody waiting elsewhere.
fn gate(loaded: &LenientLoaded, target: &TargetConfig, witness: bool) -> Gate {
    let (base, target) = (loaded.base.clone(), target.clone());
    let open = tokio::task::spawn_blocking(move || {
        let stores = Stores::new(&base);
        let opening = Opening { base: &base, secrets: &stores };
        let opened = context::open_target(target.id.clone(), &target.kind, &target.settings, &opening);
        opened.map_err(|failure| failure.what)
    });
    async move {
        let opened = open.await.map_err(|broken| format!("this is a bug in its connector: {broken}"))??;
        Ok(Arc::new(Pacs::new(if witness { Arc::new(Witness(opened)) } else { opened })))
    }
    .boxed()
    .shared()
}

/// A PACS that is asked and never written to.
struct Witness(Arc<dyn Target>);

#[async_trait]
impl TargetReader for Witness {
    fn info(&self) -> &TargetInfo {
        self.0.info()
    }

    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        self.0.probe(cx).await
    }

    async fn catalog(&self, cx: &Cx) -> Result<Catalog, Fault> {
        self.0.catalog(cx).await
    }

    async fn list(&self, cx: &Cx, at: Option<Cursor>) -> Result<Page<Cardholder>, Fault> {
        self.0.list(cx, at).await
    }

    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Cardholder>, Fault> {
        self.0.find(cx, key).await
    }

    async fn read(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Cardholder>, Fault> {
        self.0.read(cx, id).await
    }
}

#[async_trait]
impl Target for Witness {
    async fn apply(&self, _: &Cx, _: &Action) -> Result<Receipt, ApplyFault> {
        let system = self.0.info().id.as_str();
        let fault = Fault::new(FaultKind::Unsupported, system, "apply", "nothing is open here; it is only asked");
        Err(ApplyFault::NotSent(fault))
    }
}

/// The record goes on under the command that put the person out. What it says already is not said again, and a PACS
/// that still does not answer adds nothing to it: a PACS that is away for weeks must not fill the disk.
struct GoingOn {
    record: Record,
    target: TargetId,
}

impl GoingOn {
    fn is_new(&self, event: &Event) -> bool {
        match event {
            Event::Hold { .. } | Event::Ended { open: Some(_), .. } | Event::Closed { .. } => false,
            Event::Intent { action, .. } => action.target == self.target,
            Event::Ambiguous { target, .. } | Event::Outcome { target, .. } | Event::Ended { target, open: None } => {
                *target == self.target
            }
        }
    }
}

impl Journal for GoingOn {
    fn record(&self, events: &[(usize, Event)]) -> Result<(), String> {
        let new: Vec<(usize, Event)> = events.iter().filter(|(_, event)| self.is_new(event)).cloned().collect();
        if new.is_empty() { Ok(()) } else { self.record.record(&new) }
    }

    fn late(&self, nth: usize, event: &Event) {
        if self.is_new(event) {
            self.record.late(nth, event);
        }
    }
}
