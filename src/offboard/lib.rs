//! The emergency path: people out, on every PACS, now.
//!
//! It needs a list of targets and nothing else: no directory, no store, no plan, no guard (I10). This crate's manifest
//! holds that: it knows the contract and no other crate of ours. What it is told about who somebody is (from the
//! roster) and where it keeps its journal (the spool) comes in as a value and a trait, and may be missing.
//!
//! It emits reductions only, every target by itself, each with its own deadline, and believes nothing but a read-back.

#![forbid(unsafe_code)]

mod backoff;
mod board;
mod cut;
mod desk;
mod locate;
mod pacs;
mod report;
mod scribe;
mod who;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, join_all};
use jiff::Timestamp;
use lockstep_contract::{AccessLevelId, Cardholder, CardholderId, Cx, Fault, KeyKind, TargetId};
use tokio::time::Instant;

use crate::board::Board;
use crate::desk::Desk;
use crate::scribe::Scribe;

pub use pacs::{Gate, Pacs};
pub use report::{Candidate, CardholderOutcome, Controllers, Progress, Report, Stopwatch, TargetOutcome};
pub use who::{Who, WhoError};

/// Whom to put out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The person, by any of the ways to name one.
    pub who: Who,
    /// Why, for the record.
    pub reason: String,
    /// The ticket this belongs to, for the record.
    pub ticket: Option<String>,
    /// Who asks.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Take every cardholder record that matches, instead of asking when there are several.
    pub all: bool,
    /// Read and report, write nothing.
    pub dry_run: bool,
}

/// One PACS, as this path needs it.
#[derive(Clone)]
pub struct Place {
    /// Its id.
    pub id: TargetId,
    /// The way there. It may take its time to open; nobody else waits for it.
    pub gate: Gate,
    /// The levels that are ours to take; others are left, since the cardholder is switched off anyway.
    pub managed: BTreeSet<AccessLevelId>,
    /// Whether these are all that are ours. When the mapping is broken they are not, and the report says so.
    pub managed_whole: bool,
}

/// The records that the roster names for one person, by target, with the kinds of key by which it knows them.
pub type KnownRecords = BTreeMap<TargetId, BTreeMap<CardholderId, BTreeSet<KeyKind>>>;

/// What the roster says, when it says it. Nobody waits for it for longer than [`ROSTER_MAX`].
pub type Roster = Shared<BoxFuture<'static, Arc<KnownRecords>>>;

/// A roster whose answer is here already.
pub fn roster(known: KnownRecords) -> Roster {
    let known = Arc::new(known);
    async move { known }.boxed().shared()
}

/// One of the people of a command.
#[derive(Clone)]
pub struct Person {
    /// Which of them, counted over the whole command: part of the record's id.
    pub nth: usize,
    /// Whom, and why.
    pub request: Request,
    /// What the roster knows of them.
    pub roster: Roster,
    /// Records that an earlier offboarding judged to be theirs, as they were: a witness that always answers.
    pub judged: Vec<Cardholder>,
}

/// When the command began and how long it waits.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// When somebody typed it: the stopwatch starts here.
    pub started: Instant,
    /// How long one PACS may take.
    pub patience: Duration,
}

/// Keeps the journal of an offboarding. A failure to record never stops an offboarding; it is reported.
pub trait Journal: Send + Sync {
    /// Makes records durable, in this order, before the calls they announce or after those they report. Each is about
    /// the person with this number.
    ///
    /// # Errors
    /// A sentence for people, when not all of them are durable.
    fn record(&self, events: &[(usize, Event)]) -> Result<(), String>;

    /// Told when a record took too long to be waited for. It may be durable later, or never.
    fn late(&self, nth: usize, event: &Event) {
        let _ = (nth, event);
    }
}

/// Sees how it goes, while it goes. Must return at once: a stream that hangs keeps somebody in otherwise.
pub trait Watch: Send + Sync {
    /// A PACS did not answer and is tried again.
    fn waiting(&self, nth: usize, target: &TargetId, fault: &Fault) {
        let _ = (nth, target, fault);
    }

    /// A PACS is through, as far as its database goes; its controllers may be asked after this.
    fn through(&self, nth: usize, target: &TargetId, outcome: &TargetOutcome) {
        let _ = (nth, target, outcome);
    }
}

/// Nobody watches.
impl Watch for () {}

/// What is recorded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The person is out until reinstated by name. Written first of all.
    Hold {
        /// Who was named.
        who: String,
        /// Why.
        reason: String,
        /// The ticket it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ticket: Option<String>,
        /// By whom.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// An action is about to be sent.
    Intent {
        /// What will be sent.
        action: Box<lockstep_contract::Action>,
        /// The record as it was.
        before: Box<Cardholder>,
    },
    /// Several records match on one PACS, or it is not clear that they are one human: nothing was done there, and what
    /// was named holds nobody.
    Ambiguous {
        /// Where.
        target: TargetId,
        /// What matches there.
        candidates: Vec<CardholderId>,
    },
    /// What the read-back showed.
    Outcome {
        /// Where.
        target: TargetId,
        /// Whose record.
        cardholder: CardholderId,
        /// Confirmed in the database of the PACS.
        confirmed: bool,
        /// What was seen, in one sentence.
        detail: String,
    },
    /// What became of a PACS as a whole. Without one it is open: the command was cut short.
    Ended {
        /// Where.
        target: TargetId,
        /// Why the person may still have access there; none when they are out, or have no record there.
        open: Option<String>,
    },
    /// People decided that nothing of this is to be done any more: the person was reinstated by name.
    Closed {
        /// Who.
        by: String,
    },
}

/// A PACS may keep others waiting for this part of its time, where they have to know what it has at all.
const SHARE: u32 = 4;
/// And never longer than this.
const SHARE_MAX: Duration = Duration::from_secs(2);
/// Nor may the roster keep anybody waiting; less than that, so that what it knows still counts there.
pub const ROSTER_MAX: Duration = Duration::from_secs(1);

/// Puts people out on every place at once, all of them at the same time. Returns when every place has answered for
/// everybody, or used up its time.
///
/// Must run on a runtime with time; each PACS works in a task of its own, so that one that blocks or breaks off keeps
/// nobody in elsewhere.
pub async fn offboard(
    people: Vec<Person>,
    places: Vec<Place>,
    journal: Arc<dyn Journal>,
    watch: Arc<dyn Watch>,
    times: Times,
) -> Vec<Report> {
    let scribe = Arc::new(Scribe::new(journal));
    for person in people.iter().filter(|person| !person.request.dry_run) {
        scribe.announce(person.nth, hold(&person.request));
    }
    let each = people.iter().map(|person| one_person(person, &places, &scribe, &watch, times));
    let mut reports: Vec<Report> = join_all(each).await;
    let mut faults = scribe.finish().await;
    for (report, person) in reports.iter_mut().zip(&people) {
        report.journal_faults = faults.remove(&person.nth).unwrap_or_default();
    }
    reports
}

fn hold(request: &Request) -> Event {
    Event::Hold {
        who: request.who.to_string(),
        reason: request.reason.clone(),
        ticket: request.ticket.clone(),
        by: request.by.clone(),
        at: request.at,
    }
}

async fn one_person(
    person: &Person,
    places: &[Place],
    scribe: &Arc<Scribe>,
    watch: &Arc<dyn Watch>,
    times: Times,
) -> Report {
    let request = Arc::new(person.request.clone());
    let until = times.started + (times.patience / SHARE).min(SHARE_MAX);
    let board = Arc::new(Board::new(places.len(), until).judged(&person.judged, &person.request.who));
    let desks = places.iter().map(|place| {
        let desk = Desk {
            nth: person.nth,
            request: request.clone(),
            place: place.clone(),
            roster: person.roster.clone(),
            scribe: scribe.clone(),
            board: board.clone(),
            watch: watch.clone(),
            cx: Cx::new(times.patience),
            times,
            sheet: Arc::default(),
            told: Arc::default(),
        };
        let id = place.id.clone();
        async move { (id, desk.at_work().await) }
    });
    Report {
        who: request.who.to_string(),
        reason: request.reason.clone(),
        ticket: request.ticket.clone(),
        at: request.at,
        dry_run: request.dry_run,
        targets: join_all(desks).await.into_iter().collect(),
        journal_faults: Vec::new(),
    }
}
