//! What each row of a worklist stands for, so that a ticked one can be read back from the PACS weeks later. Kept in the
//! folder of the state, since a list that people carried about must not say what counts as done.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{Action, CorrelationKeys, Situation, Subject, TargetId};
use serde::{Deserialize, Serialize};

use super::open::OpenWork;
use crate::cli::worklist::row_id;
use crate::cli::{failures, files};
use crate::exit::{Exit, Failure};

const FILE: &str = "worklist-rows.json";
const FILE_BYTES_MAX: u64 = 512 << 20;
/// So long a printed list may lie about.
const KEPT: SignedDuration = SignedDuration::from_hours(90 * 24);

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// When it was last on a list.
    pub listed: Timestamp,
    /// Whose, for people.
    pub name: String,
    /// What has to be so.
    pub what: What,
}

/// What has to be so for a row to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    /// The record shows what the action promised.
    Act(Box<Action>),
    /// Whoever has one of these keys is off, or nobody has.
    Out {
        /// The PACS.
        target: TargetId,
        /// No card numbers.
        keys: CorrelationKeys,
    },
}

impl What {
    /// On which PACS.
    pub(crate) const fn target(&self) -> &TargetId {
        match self {
            Self::Act(action) => &action.target,
            Self::Out { target, .. } => target,
        }
    }

    /// Somebody put this person out by name.
    pub(crate) fn puts_out(&self) -> bool {
        match self {
            Self::Act(action) => action.because.situation == Situation::Held,
            Self::Out { .. } => true,
        }
    }

    /// The number of the record, as it stands on the list; empty when there is none.
    pub(crate) fn record_number(&self) -> String {
        match self {
            Self::Act(action) => match &action.subject {
                Subject::Existing(id) => id.to_string(),
                Subject::New(_) => String::new(),
            },
            Self::Out { .. } => String::new(),
        }
    }
}

/// Everything that is open, by row.
pub(crate) fn rows(work: &OpenWork, now: Timestamp) -> BTreeMap<String, Row> {
    let tasks = work.tasks.iter().map(|task| {
        let what = What::Act(Box::new(task.action.clone()));
        (row_id(&task.action), Row { listed: now, name: task.who.name.clone(), what })
    });
    let searches = work.searches.iter().map(|search| {
        let what = What::Out { target: search.target.clone(), keys: search.keys.clone() };
        (search.id(), Row { listed: now, name: search.who.clone(), what })
    });
    tasks.chain(searches).collect()
}

/// The rows of all lists that may still lie about. A file that is not there has none.
pub(crate) fn known(state: &Path) -> Result<BTreeMap<String, Row>, Failure> {
    let path = state.join(FILE);
    match files::read(&path, FILE_BYTES_MAX) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(failures::file("read", &path, error)),
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            Failure::new(Exit::Integrity, format!("{} is not as Lockstep wrote it: {error}", path.display()))
                .next("move it away; the rows of what is still open are known from the next export on")
        }),
    }
}

/// Remembers these rows besides those of older lists.
pub(crate) fn remember(state: &Path, work: &OpenWork, now: Timestamp) -> Result<(), Failure> {
    let mut rows = rows(work, now);
    let before = known(state)?;
    if rows.is_empty() && before.is_empty() {
        return Ok(());
    }
    for (id, row) in before {
        if now.duration_since(row.listed) < KEPT {
            rows.entry(id).or_insert(row);
        }
    }
    files::folder(state)?;
    let path = state.join(FILE);
    let text = serde_json::to_vec(&rows).map_err(|error| failures::file("write", &path, error))?;
    files::replace(&path, &text)
}
