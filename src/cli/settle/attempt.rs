//! One attempt to settle everybody who is open on one PACS: the offboarding itself, asked to go on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::join_all;
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
    let times = Times { started: Instant::now(), patience };
    let pass = Pass { loaded, folders, roster, configured, times };
    let mut settled = Settled::default();
    let open = pass.with_witnesses(open, &mut settled).await;
    let (known, mut named): (Vec<Open>, Vec<Open>) = open.into_iter().partition(|one| surest(one).is_some());
    for (one, outcome) in pass.ask(known, Name::Surest, &mut settled.faults).await {
        match outcome.as_ref().map(|outcome| &outcome.progress) {
            // No answer to how they were named.
            None | Some(Progress::NotThere | Progress::NotAsked { .. }) => named.push(one),
            Some(_) => judge(one, outcome.as_ref(), &mut settled),
        }
    }
    for (one, outcome) in pass.ask(named, Name::Given, &mut settled.faults).await {
        judge(one, outcome.as_ref(), &mut settled);
    }
    settled
}

/// What an answer means for somebody who was open.
fn judge(one: Open, outcome: Option<&TargetOutcome>, settled: &mut Settled) {
    match outcome.and_then(TargetOutcome::open) {
        Some(None) => {
            let confirmed = outcome.into_iter().flat_map(|outcome| &outcome.cardholders);
            let own = confirmed.map(|record| record.cardholder.clone()).collect();
            let there = outcome.is_some_and(|outcome| !matches!(outcome.progress, Progress::NotThere));
            let why = if there { "out, read back" } else { "asked, and has no record of them" };
            settled.done.push(Open { why: why.to_owned(), own, ..one });
        }
        Some(Some(why)) => settled.open.push(Open { why, ..one }),
        None => {
            let candidates = match outcome.map(|outcome| &outcome.progress) {
                Some(Progress::Ambiguous { candidates }) => candidates.iter().map(|it| it.cardholder.clone()).collect(),
                _ => BTreeSet::new(),
            };
            let why = "several records match; which one is meant?".to_owned();
            settled.open.push(Open { why, ambiguous: true, candidates, ..one });
        }
    }
}

/// How somebody is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    /// By what the record knows of them, whatever became of the name that was given. That they are not there then is no
    /// answer yet.
    Surest,
    /// As they were named.
    Given,
}

/// A card, an account or a mail address may be somebody else's by now. The records that this command acted on here are
/// theirs, and so is the number of which one human has one; nothing when neither is known, or needed.
fn surest(open: &Open) -> Option<Who> {
    let given = open.who()?;
    let elsewhere = matches!(&given, Who::Cardholder { target, .. } if *target != open.target);
    if given.is_sure() && !elsewhere {
        return None;
    }
    if let (false, Some(id)) = (open.scope.all, open.own.first()) {
        return Some(Who::Cardholder { target: open.target.clone(), id: id.clone() });
    }
    open.number().map(Who::Key)
}

/// One attempt at one PACS.
struct Pass<'p> {
    loaded: &'p LenientLoaded,
    folders: &'p Folders,
    roster: &'p emergency::Roster,
    configured: &'p TargetConfig,
    times: Times,
}

impl Pass<'_> {
    /// Records that were found switched off already are not on record as they were. Where only they tell whose card it
    /// was, they are read; when none can be, nobody is put out for it.
    async fn with_witnesses(&self, open: Vec<Open>, settled: &mut Settled) -> Vec<Open> {
        let mut all = Vec::new();
        for mut one in open {
            let elsewhere = one.records.iter().filter(|(target, _)| **target != one.target);
            let elsewhere: Vec<_> =
                elsewhere.flat_map(|(target, ids)| ids.iter().map(move |id| (target, id))).collect();
            let loose = matches!(one.who(), Some(who) if !who.is_sure()) && one.before.is_empty();
            if !loose || elsewhere.is_empty() {
                all.push(one);
                continue;
            }
            let read = join_all(elsewhere.into_iter().map(|(target, id)| self.read(target, id))).await;
            one.before = read.into_iter().flatten().collect();
            if one.before.is_empty() {
                let why = "whether they still have what they were named by cannot be told: none of their records \
                           elsewhere can be read";
                settled.open.push(Open { why: why.to_owned(), ..one });
            } else {
                all.push(one);
            }
        }
        all
    }

    /// A record on another PACS, when it can be read within half of the time.
    async fn read(&self, target: &TargetId, id: &CardholderId) -> Option<Cardholder> {
        let configured = self.loaded.targets.iter().find(|one| one.id == *target)?;
        let patience = self.times.patience / 2;
        let read = async {
            let opened = opened(self.loaded, configured).await.ok()?;
            opened.read(&Cx::new(patience), id).await.ok()?
        };
        tokio::time::timeout(patience, read).await.ok()?
    }

    /// What the PACS says of each, and does.
    async fn ask(&self, open: Vec<Open>, by: Name, faults: &mut Vec<String>) -> Vec<(Open, Option<TargetOutcome>)> {
        if open.is_empty() {
            return Vec::new();
        }
        let target = &self.configured.id;
        let who = |one: &Open| if by == Name::Surest { surest(one) } else { one.who() };
        let known: Vec<KnownRecords> = open.iter().map(|one| known(self.roster, one, who(one).as_ref())).collect();
        let here = place(self.loaded, self.configured, false);
        // What others have tells whether all of it is one human, and by which other keys to ask.
        let witnesses = by == Name::Given && open.iter().zip(&known).any(|(one, known)| needs_witnesses(one, known));
        let others = self.loaded.targets.iter().filter(|one| witnesses && one.id != *target);
        let others = others.map(|one| place(self.loaded, one, true));
        let places: Vec<Place> = std::iter::once(here).chain(others).collect();
        let people = open.iter().zip(known).enumerate().filter_map(|(nth, (one, known))| {
            let request = request(one, who(one)?);
            Some(Person { nth, request, roster: lockstep_offboard::roster(known), judged: one.before.clone() })
        });
        let people: Vec<Person> = people.collect();
        let asked: Vec<usize> = people.iter().map(|person| person.nth).collect();
        let named = open.iter().map(Open::named).enumerate().collect();
        let record = Record::going_on(Some(self.folders), runs::new_run(), named);
        let journal = Arc::new(GoingOn { record, target: target.clone(), by, out: Mutex::default() });
        let reports = lockstep_offboard::offboard(people, places, journal.clone(), Arc::new(()), self.times).await;
        journal.record.close();
        let mut reports: BTreeMap<usize, _> = asked.into_iter().zip(reports).collect();
        let answer = |(nth, one): (usize, Open)| {
            let report = reports.remove(&nth);
            faults.extend(report.iter().flat_map(|report| report.journal_faults.clone()));
            (one, report.and_then(|mut report| report.targets.remove(target)))
        };
        open.into_iter().enumerate().map(answer).collect()
    }
}

fn request(open: &Open, who: Who) -> Request {
    Request {
        // Every record that this command acted on here is theirs.
        all: open.scope.all || matches!(&who, Who::Cardholder { target, .. } if *target == open.target),
        who,
        reason: open.reason.clone(),
        ticket: None,
        by: open.by.clone(),
        at: open.since,
        dry_run: false,
    }
}

/// What the roster knows of them, and the records that were acted on already: those were judged to be theirs.
fn known(roster: &emergency::Roster, open: &Open, who: Option<&Who>) -> KnownRecords {
    let mut known = who.map(|who| roster.known(who)).unwrap_or_default();
    let kinds: BTreeSet<KeyKind> = open.keys.iter().map(CorrelationKey::kind).collect();
    for (target, records) in &open.records {
        let there = known.entry(target.clone()).or_default();
        for record in records {
            there.entry(record.clone()).or_default().extend(kinds.iter().copied());
        }
    }
    known
}

/// A number of which a human has one says of itself who is meant; another key, a value without a kind, or a record
/// elsewhere does not.
fn needs_witnesses(open: &Open, known: &KnownRecords) -> bool {
    let known_here = known.get(&open.target).is_some_and(|records| !records.is_empty());
    match open.who() {
        None => false,
        Some(Who::Cardholder { target, .. }) => target != open.target && !known_here,
        Some(who @ (Who::Key(_) | Who::Bare(_))) => !who.is_sure(),
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

fn gate(loaded: &LenientLoaded, target: &TargetConfig, witness: bool) -> Gate {
    let open = opened(loaded, target);
    async move {
        let opened = open.await?;
        Ok(Arc::new(Pacs::new(if witness { Arc::new(Witness(opened)) } else { opened })))
    }
    .boxed()
    .shared()
}

/// Opens it aside: a file system or a credential store that hangs keeps nobody waiting elsewhere.
fn opened(
    loaded: &LenientLoaded,
    target: &TargetConfig,
) -> impl Future<Output = Result<Arc<dyn Target>, String>> + Send + use<> {
    let (base, target) = (loaded.base.clone(), target.clone());
    let open = tokio::task::spawn_blocking(move || {
        let stores = Stores::new(&base);
        let opening = Opening { base: &base, secrets: &stores };
        let opened = context::open_target(target.id.clone(), &target.kind, &target.settings, &opening);
        opened.map_err(|failure| failure.what)
    });
    async move { open.await.map_err(|broken| format!("this is a bug in its connector: {broken}"))? }
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
    by: Name,
    /// Whose record was read back as out.
    out: Mutex<BTreeSet<usize>>,
}

impl GoingOn {
    fn is_new(&self, nth: usize, event: &Event) -> bool {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Hold { .. } | Event::Ended { open: Some(_), .. } | Event::Closed { .. } => false,
            Event::Intent { action, .. } => action.target == self.target,
            Event::Outcome { target, confirmed, .. } => {
                if *confirmed {
                    out.insert(nth);
                }
                *target == self.target
            }
            Event::Ambiguous { target, .. } => *target == self.target,
            Event::Ended { target, open: None } => {
                *target == self.target && (self.by == Name::Given || out.contains(&nth))
            }
        }
    }
}

impl Journal for GoingOn {
    fn record(&self, events: &[(usize, Event)]) -> Result<(), String> {
        let new: Vec<(usize, Event)> = events.iter().filter(|(nth, event)| self.is_new(*nth, event)).cloned().collect();
        if new.is_empty() { Ok(()) } else { self.record.record(&new) }
    }

    fn late(&self, nth: usize, event: &Event) {
        if self.is_new(nth, event) {
            self.record.late(nth, event);
        }
    }
}
