//! The emergency path: one person out, on every PACS, now.
//!
//! It needs a list of targets and nothing else: no directory, no store, no plan, no guard (I10). This crate's manifest
//! holds that: it knows the contract and no other crate of ours. What it is told about who somebody is (from the
//! roster) and where it keeps its journal (the spool) comes in as a value and a trait, and may be missing.
//!
//! It emits reductions only, every target by itself, each with its own deadline, and believes nothing but a read-back.

#![forbid(unsafe_code)]

mod board;
mod cut;
mod locate;
mod report;
mod scribe;
mod who;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use lockstep_contract::{AccessLevelId, CardholderId, Cx, KeyKind, Target, TargetId};

use crate::board::Board;
use crate::scribe::Scribe;

pub use report::{Candidate, CardholderOutcome, Progress, Report, TargetOutcome};
pub use who::{Who, WhoError};

/// Whom to put out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The person, by any of the ways to name one.
    pub who: Who,
    /// Why, for the record.
    pub reason: String,
    /// Who asks.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Take every cardholder record that matches, instead of asking when there are several.
    pub all: bool,
    /// Read and report, write nothing.
    pub dry_run: bool,
}

/// One PACS, and what is known about the person there.
pub struct Place {
    /// The PACS.
    pub target: Arc<dyn Target>,
    /// The levels that are ours to take; others are left, since the cardholder is switched off anyway.
    pub managed: BTreeSet<AccessLevelId>,
    /// Cardholders that the roster names for this person, with the kinds of key by which it knows them. They are looked
    /// up by key as well.
    pub known: BTreeMap<CardholderId, BTreeSet<KeyKind>>,
}

/// Keeps the journal of an offboarding. A failure to record never stops an offboarding; it is reported.
pub trait Journal: Send + Sync {
    /// Makes a record durable before the call it announces, or after the call it reports.
    ///
    /// # Errors
    /// A sentence for people, when the record is not durable.
    fn record(&self, event: &Event) -> Result<(), String>;

    /// Told when a record took too long to be waited for. It may be durable later, or never.
    fn late(&self, event: &Event) {
        let _ = event;
    }
}

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
        before: Box<lockstep_contract::Cardholder>,
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
}

/// A PACS may keep others waiting for this part of its time, where they have to know what it has at all.
const SHARE: u32 = 4;

/// Puts one person out on every place at once. Returns when every place has answered or used up its time.
pub async fn offboard(request: &Request, places: Vec<Place>, journal: Arc<dyn Journal>, patience: Duration) -> Report {
    let scribe = Scribe::new(journal);
    if !request.dry_run {
        let hold = Event::Hold {
            who: request.who.to_string(),
            reason: request.reason.clone(),
            by: request.by.clone(),
            at: request.at,
        };
        scribe.record(hold).await;
    }
    let started = tokio::time::Instant::now();
    let asked = places.iter().filter(|place| locate::cannot_be_asked(request, place).is_none()).count();
    let board = Board::new(asked, patience / SHARE);
    let each = places.iter().map(|place| async {
        let id = place.target.info().id.clone();
        let desk = cut::Desk { request, place, scribe: &scribe, board: &board, cx: Cx::new(patience), started };
        let outcome = match tokio::time::timeout(patience, desk.work()).await {
            Ok(outcome) => outcome,
            Err(_) => TargetOutcome::out_of_time(place.target.info(), patience),
        };
        (id, outcome)
    });
    let targets: BTreeMap<TargetId, TargetOutcome> = join_all(each).await.into_iter().collect();
    Report {
        who: request.who.to_string(),
        reason: request.reason.clone(),
        dry_run: request.dry_run,
        targets,
        journal_faults: scribe.finish().await,
    }
}
