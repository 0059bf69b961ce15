//! What an emergency offboarding works with when everything else is down: the roster says who is who, the spool keeps
//! the record. Both may be missing; that never stops an offboarding.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use lockstep_config::LenientLoaded;
use lockstep_contract::{CardholderId, CorrelationKeys, KeyKind, RunId, TargetId};
use lockstep_core::{HoldId, Lift};
use lockstep_offboard::{Event, Journal as _, Who};
use lockstep_store::{Roster as Known, SpoolError, SpoolFile, read_all, read_open};
use serde::{Deserialize, Serialize};

use crate::cli::runs;
use crate::terminal;

mod entries;
mod open;
mod record;

pub(crate) use entries::{entries, withheld};
pub(crate) use open::{Open, open};
pub(crate) use record::{Named, Record};

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
    /// What the command is about.
    #[serde(default)]
    pub scope: Scope,
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// What a command is about, beyond the people: needed by whoever goes on with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scope {
    /// Every record that matches is meant, where there are several.
    #[serde(default)]
    pub all: bool,
    /// Where the person was to be put out.
    #[serde(default)]
    pub targets: BTreeSet<TargetId>,
    /// Parts of the configuration did not even say which target they are: every target counts.
    #[serde(default)]
    pub unread: bool,
}

impl Scope {
    /// Every target that is configured, or those named by `--target`.
    pub(crate) fn of(loaded: &LenientLoaded, named: &[String], all: bool) -> Self {
        /// What stands for a part of the configuration that has no id.
        const NO_TARGET: [&str; 3] = ["configuration", "directory", "targets"];
        let known = |id: &TargetId| loaded.targets.iter().any(|target| target.id == *id);
        let is_target = |what: &str| !NO_TARGET.contains(&what) || what.parse().is_ok_and(|id| known(&id));
        let broken = || loaded.broken.iter().map(|(what, _)| what.as_str()).filter(|what| *what != "directory");
        let ids = loaded.targets.iter().map(|target| target.id.as_str());
        let everything = ids.chain(broken().filter(|what| is_target(what)));
        let targets = match named {
            [] => everything.filter_map(|id| id.parse().ok()).collect(),
            named => named.iter().filter_map(|id| id.parse().ok()).collect(),
        };
        let nameless = |what: &str| !is_target(what) || what.parse::<TargetId>().is_err();
        Self { all, targets, unread: named.is_empty() && broken().any(nameless) }
    }
}

/// The folders of the spool: within that of the state, and the second one, where one is configured.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    first: PathBuf,
    second: Option<PathBuf>,
}

impl Folders {
    /// By the folder of the state.
    pub(crate) fn new(state: &Path, second: Option<&Path>) -> Self {
        Self { first: state.join(SPOOL), second: second.map(Path::to_owned) }
    }

    /// As configured, however well that reads.
    pub(crate) fn of(loaded: &LenientLoaded) -> Self {
        Self::new(&loaded.state, loaded.spool_second.as_deref())
    }

    /// One after the other, in the order in which they are tried.
    pub(crate) fn each(&self) -> impl Iterator<Item = &Path> {
        [Some(self.first.as_path()), self.second.as_deref()].into_iter().flatten()
    }

    /// What no run has taken over yet.
    pub(crate) fn waiting(&self) -> Result<Vec<SpoolFile<Line>>, SpoolError> {
        self.each().map(read_all).collect::<Result<Vec<_>, _>>().map(|files| files.into_iter().flatten().collect())
    }

    /// Damaged files that were taken over as far as they could be, and that nobody has looked at yet.
    pub(crate) fn broken(&self) -> Vec<PathBuf> {
        let listed = self.each().filter_map(|folder| std::fs::read_dir(folder).ok());
        let paths = listed.flatten().flatten().map(|entry| entry.path());
        let mut broken: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|extension| extension == "broken")).collect();
        broken.sort();
        broken
    }

    /// What was taken over, and is not all done.
    pub(crate) fn open(&self) -> Result<Vec<SpoolFile<Line>>, SpoolError> {
        self.each().map(read_open).collect::<Result<Vec<_>, _>>().map(|files| files.into_iter().flatten().collect())
    }
}

/// Ends what is open of holds that were lifted, in the spool itself. What cannot be written now is found by the next run.
pub(crate) fn close_lifted(folders: &Folders, open: &[Open], lifts: &[Lift]) {
    let mut people = BTreeMap::new();
    let mut events = Vec::new();
    for one in open {
        let hold = HoldId::of(one.run, one.nth);
        let known = people.values().any(|named: &Named| (named.run, named.nth) == (one.run, one.nth));
        if let (false, Some(lift)) = (known, lifts.iter().find(|lift| lift.lifted(&hold))) {
            let by = lift.approved_by.iter().cloned().collect::<Vec<_>>().join(", ");
            events.push((people.len(), Event::Closed { by }));
            people.insert(people.len(), one.named());
        }
    }
    if events.is_empty() {
        return;
    }
    let record = Record::going_on(Some(folders), runs::new_run(), people);
    if let Err(why) = record.record(&events) {
        terminal::complain(&format!("! it is not on record in the spool that a hold was lifted: {why}"));
    }
    record.close();
}

/// Who is who, as the last good run left it.
#[derive(Default)]
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

    /// Whether Lockstep keeps a record in step; none when the roster cannot tell.
    pub(crate) fn has_record(&self, target: &TargetId, cardholder: &CardholderId) -> Option<bool> {
        self.0.as_ref()?.has_record(target, cardholder).ok()
    }
}
