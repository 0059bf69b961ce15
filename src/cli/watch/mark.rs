//! The sign of life of a watch: a small file beside the state, written anew now and then. Others read it to tell whether
//! the watch goes on, without its lease and without the database.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::cli::files;
use crate::exit::Failure;

const NAME: &str = "watch.json";
/// A watch that gave no sign for longer than so many heartbeats stands still.
const BEATS_MISSED: i64 = 5;
/// However short its heartbeats: it may be in the middle of something.
const STILL_AFTER_MIN: SignedDuration = SignedDuration::from_mins(10);
/// A census of a large site takes its time.
const CENSUS_MAX: SignedDuration = SignedDuration::from_hours(2);
/// A watch that is there and could not look for so long is blind.
const BLIND_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// How far a watch is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Mark {
    /// Who watches: host, process, start.
    pub node: String,
    /// Since when.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// When this was written.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// How many seconds lie between two signs of life.
    pub every_seconds: u64,
    /// When the directory last said what changed.
    #[schemars(with = "Option<String>")]
    pub looked: Option<Timestamp>,
    /// When the last census began that read everything.
    #[schemars(with = "Option<String>")]
    pub census: Option<Timestamp>,
    /// Why everybody is to be read before long.
    pub owed: Option<String>,
    /// How many people wait for another look.
    pub waiting: usize,
    /// The directory tells what changed. If not, only a census finds whoever left.
    pub tells: bool,
    /// A census is being made.
    pub reading: bool,
    /// It ended as it was asked to.
    pub stopped: bool,
}

impl Mark {
    /// Why nobody watches, although somebody should. `None` while all is well.
    pub(crate) fn trouble(&self, now: Timestamp) -> Option<String> {
        if self.stopped {
            return None;
        }
        let silent = now.duration_since(self.at);
        let beat = SignedDuration::from_secs(i64::try_from(self.every_seconds).unwrap_or(i64::MAX));
        let patience =
            if self.reading { CENSUS_MAX } else { beat.saturating_mul(BEATS_MISSED as i32).max(STILL_AFTER_MIN) };
        if silent > patience {
            return Some(format!("the watch gave no sign of life since {}", self.at));
        }
        let seen = self.looked.unwrap_or(self.since);
        (self.tells && self.at.duration_since(seen) > BLIND_AFTER.max(beat))
            .then(|| format!("the watch could not ask the directory what changed since {seen}"))
    }
}

fn path(state: &Path) -> PathBuf {
    state.join(NAME)
}

pub(super) fn write(state: &Path, mark: &Mark) -> Result<(), Failure> {
    let bytes = serde_json::to_vec_pretty(mark).unwrap_or_default();
    files::replace(&path(state), &bytes)
}

/// The sign of life that is there, if it can be read.
pub(crate) fn read(state: &Path) -> Option<Mark> {
    let bytes = files::read(&path(state), 1 << 16).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_that_is_silent_or_blind_is_told_from_one_that_ended() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).expect("a time");
        let mark = Mark {
            node: "here:1:1".to_owned(),
            since: at(0),
            at: at(3_600),
            every_seconds: 60,
            looked: Some(at(3_598)),
            census: None,
            owed: None,
            waiting: 0,
            tells: true,
            reading: false,
            stopped: false,
        };
        assert_eq!(mark.trouble(at(3_700)), None);
        assert!(mark.trouble(at(3_600 + 601)).is_some_and(|why| why.contains("no sign of life")));
        assert_eq!(Mark { stopped: true, ..mark.clone() }.trouble(at(9_999)), None);
        assert_eq!(Mark { reading: true, ..mark.clone() }.trouble(at(3_600 + 3_600)), None, "a long census");
        let blind = Mark { looked: Some(at(3_000)), ..mark.clone() };
        assert!(blind.trouble(at(3_601)).is_some_and(|why| why.contains("could not ask")));
        assert_eq!(Mark { tells: false, ..blind }.trouble(at(3_601)), None);
    }
}
