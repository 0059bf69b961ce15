//! What an emergency offboarding works with when everything else is down: the roster says who is who, the spool keeps
//! the record. Both may be missing; that never stops an offboarding.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{CardholderId, CorrelationKeys, KeyKind, RunId, TargetId};
use lockstep_offboard::{Event, Journal, Who};
use lockstep_store::{Roster as Known, Spool};
use serde::{Deserialize, Serialize};

use crate::terminal;

mod entries;

pub(crate) use entries::{entries, withheld};

/// The folder of the spool within that of the state.
pub(crate) const SPOOL: &str = "spool";
/// The file of the roster within the folder of the state.
pub(crate) const ROSTER: &str = "roster.db";

/// One line of the spool: what happened, and in the course of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// The command.
    pub run: RunId,
    /// Which of the people named, from 0.
    pub nth: usize,
    /// The keys they were named by.
    pub keys: CorrelationKeys,
    /// The record they were named by.
    pub record: Option<(TargetId, CardholderId)>,
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// Where the record of one command goes: one file of the spool, made when it is needed.
pub(crate) struct Record {
    folder: Option<PathBuf>,
    run: RunId,
    open: Mutex<Option<Spool>>,
    /// Where it is, known without waiting for whoever writes just now.
    path: Mutex<Option<PathBuf>>,
}

impl Record {
    /// The record of a command. Without a folder (a dry run) nothing is recorded.
    pub(crate) fn new(state: Option<&Path>, run: RunId) -> Self {
        Self { folder: state.map(|state| state.join(SPOOL)), run, open: Mutex::default(), path: Mutex::default() }
    }

    /// The journal for one of the people named.
    pub(crate) fn of(self: &Arc<Self>, nth: usize, who: &Who) -> PersonRecord {
        let record = match who {
            Who::Cardholder { target, id } => Some((target.clone(), id.clone())),
            Who::Key(_) | Who::Bare(_) => None,
        };
        PersonRecord { all: self.clone(), nth, keys: who.keys().into_iter().collect(), record }
    }

    /// The file, when there is one.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.path.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn append(&self, line: &Line) -> Result<(), String> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_none_or(Spool::is_soiled) {
            let spool = Spool::create(folder, &self.run.to_string()).map_err(|error| error.to_string())?;
            *self.path.lock().unwrap_or_else(PoisonError::into_inner) = Some(spool.path().to_path_buf());
            *open = Some(spool);
        }
        match open.as_mut() {
            Some(spool) => spool.append(line).map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }
}

/// The journal of one person's offboarding.
pub(crate) struct PersonRecord {
    all: Arc<Record>,
    nth: usize,
    keys: CorrelationKeys,
    record: Option<(TargetId, CardholderId)>,
}

impl Journal for PersonRecord {
    fn record(&self, event: &Event) -> Result<(), String> {
        let line = Line {
            run: self.all.run,
            nth: self.nth,
            keys: self.keys.clone(),
            record: self.record.clone(),
            at: Timestamp::now(),
            event: event.clone(),
        };
        self.all.append(&line).inspect_err(|_| second_best(&line.event))
    }

    fn late(&self, event: &Event) {
        if self.all.folder.is_some() {
            second_best(event);
        }
    }
}

/// The disk does not take the record: stderr is the second place, so that a service manager's log may have it.
fn second_best(event: &Event) {
    let line = match event {
        Event::Hold { who, reason, by, at } => {
            serde_json::json!({"event": "hold", "who": who, "reason": reason, "by": by, "at": at})
        }
        Event::Intent { action, .. } => {
            serde_json::json!({"event": "intent", "target": action.target, "subject": action.subject})
        }
        Event::Ambiguous { target, candidates } => {
            serde_json::json!({"event": "ambiguous", "target": target, "candidates": candidates})
        }
        Event::Outcome { target, cardholder, confirmed, .. } => {
            serde_json::json!({"event": "outcome", "target": target, "cardholder": cardholder, "confirmed": confirmed})
        }
    };
    terminal::complain(&line.to_string());
}

/// How many people somebody put out within the last hour, as far as the spool tells. It never keeps anybody from being
/// put out: what cannot be read counts as nobody.
pub(crate) fn recently(state: &Path, by: &str, now: Timestamp) -> usize {
    /// A line of a spool file, read without its chain: taken-over files are only counted here.
    #[derive(Deserialize)]
    struct Written {
        event: Line,
    }
    let is_recent = |line: &str| match serde_json::from_str::<Written>(line) {
        Ok(Written { event: Line { event: Event::Hold { by: one, at, .. }, .. } }) => {
            let age = now.duration_since(at);
            same_human(one.split(" and ").next().unwrap_or_default(), by) && age < SignedDuration::from_hours(1)
        }
        Ok(_) | Err(_) => false,
    };
    let files = std::fs::read_dir(state.join(SPOOL)).into_iter().flatten().flatten();
    let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    texts.map(|text| text.lines().filter(|line| is_recent(line)).count()).sum()
}

/// Two spellings of one name.
pub(crate) fn same_human(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    plain(one) == plain(other)
}

/// Who is who, as the last good run left it.
pub(crate) struct Roster(Option<Known>);

impl Roster {
    /// Opens the roster; without one, each PACS is asked for itself.
    pub(crate) fn open(state: &Path) -> Self {
        Self(Known::load(state.join(ROSTER)).ok())
    }

    /// The records of a person, by target, each with the kinds of key by which it is known.
    pub(crate) fn known(&self, who: &Who) -> BTreeMap<TargetId, BTreeMap<CardholderId, BTreeSet<KeyKind>>> {
        let mut known: BTreeMap<TargetId, BTreeMap<CardholderId, BTreeSet<KeyKind>>> = BTreeMap::new();
        for key in who.keys() {
            let found = self.0.as_ref().and_then(|roster| roster.lookup([&key]).ok()).unwrap_or_default();
            for (target, records) in found {
                let there = known.entry(target).or_default();
                for record in records {
                    there.entry(record).or_default().insert(key.kind());
                }
            }
        }
        known
    }
}
