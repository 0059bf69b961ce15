//! The tables as the logic sees them. Two implementations: SQLite and memory. No rules here.

use jiff::Timestamp;
use lockstep_contract::{ActionId, CardholderId, DirectoryId, PersonId, RunId, ServerMark, TargetId};
use lockstep_core::{Hold, HoldId, Lift, Link};
use lockstep_engine::{Epoch, JournalEntry, NodeId, Observation, RunRecord, StoreError, Watched};
use serde::{Deserialize, Serialize};

use crate::event::Event;

pub(crate) type Result<T> = std::result::Result<T, StoreError>;

/// The lease as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) epoch: u64,
    pub(crate) holder: Option<(NodeId, Timestamp, Timestamp)>,
    /// The holder also holds the lock that the system takes from it when it dies.
    #[serde(default)]
    pub(crate) locked: bool,
}

/// What is remembered of a fuse; counts come from the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FuseRow {
    pub(crate) open_since: Option<Timestamp>,
    pub(crate) reason: String,
    /// Reductions before this instant do not count any more.
    pub(crate) reset: Option<Timestamp>,
}

/// What was last applied to a target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AppliedRow {
    pub(crate) runs: u64,
    pub(crate) policy_digest: Option<String>,
}

/// Single rows, by key. What lists or counts is each store's own.
pub(crate) trait Tables {
    fn append(&mut self, event: &Event<'_>) -> Result<()>;

    fn lease(&self) -> Result<Lease>;
    fn put_lease(&mut self, lease: &Lease) -> Result<()>;

    fn run(&self, run: RunId) -> Result<Option<RunRecord>>;
    fn put_run(&mut self, record: &RunRecord) -> Result<()>;

    fn action(&self, id: &ActionId) -> Result<Option<JournalEntry>>;
    fn put_action(&mut self, entry: &JournalEntry) -> Result<()>;

    fn link_of_person(&self, target: &TargetId, person: &PersonId) -> Result<Option<Link>>;
    fn link_of_cardholder(&self, target: &TargetId, cardholder: &CardholderId) -> Result<Option<Link>>;
    fn put_link(&mut self, target: &TargetId, link: &Link) -> Result<()>;

    fn put_hold(&mut self, target: Option<&TargetId>, hold: &Hold) -> Result<()>;
    /// True when somebody was ever held out by this.
    fn knows_hold(&self, hold: &HoldId) -> Result<bool>;
    fn lift_of(&self, hold: &HoldId) -> Result<Option<Lift>>;
    fn put_lift(&mut self, hold: &HoldId, lift: &Lift) -> Result<()>;

    fn put_observation(&mut self, target: &TargetId, observation: &Observation, at: Timestamp) -> Result<()>;
    /// The disputed counts of one run.
    fn disputed(&self, target: &TargetId, run: RunId) -> Result<Option<Observation>>;
    /// Replaces an observation, which is there exactly as `before`.
    fn replace_observation(&mut self, target: &TargetId, before: &Observation, after: &Observation) -> Result<()>;

    fn put_server(&mut self, system: &str, mark: &ServerMark) -> Result<()>;

    fn put_watched(&mut self, directory: &DirectoryId, watched: &Watched) -> Result<()>;

    fn applied(&self, target: &TargetId) -> Result<AppliedRow>;
    fn put_applied(&mut self, target: &TargetId, row: &AppliedRow) -> Result<()>;

    fn fuse_row(&self, target: &TargetId) -> Result<FuseRow>;
    fn put_fuse(&mut self, target: &TargetId, row: &FuseRow) -> Result<()>;
}

/// True when the writer still holds the lease.
pub(crate) fn fence(tables: &impl Tables, epoch: Epoch) -> Result<()> {
    let lease = tables.lease()?;
    if lease.epoch == epoch.0 && lease.holder.is_some() { Ok(()) } else { Err(StoreError::Deposed) }
}
