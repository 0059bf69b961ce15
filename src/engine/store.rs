//! What the engine needs remembered. One trait; every implementation passes one test suite.
//!
//! Each write states the epoch of the lease it was made under. A writer that was deposed is refused before anything is
//! sent to a PACS.

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{
    Action, ActionId, Cardholder, CardholderId, DirectoryId, PersonId, RunId, ServerMark, TargetId, Watermark,
};
use lockstep_core::{
    ActionEvent, ActionState, History, Hold, Holds, LaneKind, LevelCounts, Lift, Link, Links, RunEvent, RunState,
    Settled,
};
use serde::{Deserialize, Serialize};

/// Who holds a lease: host, process and start, so that a person can find it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub String);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The number of a lease. It only grows; a write under an older one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// An action about to be sent, with the record as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The run whose plan it is from.
    pub run: RunId,
    /// Which lane.
    pub lane: LaneKind,
    /// What will be sent.
    pub action: Action,
    /// The before-image; `None` for a record to be created.
    pub before: Option<Cardholder>,
    /// When.
    pub at: Timestamp,
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The event.
    pub event: ActionEvent,
    /// When.
    pub at: Timestamp,
    /// What was seen, in one sentence; no secrets.
    pub detail: String,
    /// The record as it was read back.
    pub after: Option<Cardholder>,
    /// What it means for links, in the same transaction.
    pub links: Vec<LinkChange>,
}

/// A change of what is remembered about who is who.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkChange {
    /// Person and cardholder are one human. Replaces an older link of the same person (the old record is gone).
    Add(Link),
    /// We suspended this cardholder in this run.
    Suspended {
        /// Which record.
        cardholder: CardholderId,
        /// In which run.
        by: RunId,
    },
    /// We lifted our suspension.
    Reinstated {
        /// Which record.
        cardholder: CardholderId,
    },
}

/// An action in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// What was intended.
    pub intent: Intent,
    /// Where it stands.
    pub state: ActionState,
    /// What was seen last.
    pub detail: String,
    /// The record as it was read back.
    pub after: Option<Cardholder>,
    /// How often it was intended, and so at most how often it was sent.
    #[serde(default)]
    pub sent: u32,
}

/// What kind of run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunKind {
    /// Read and planned.
    Plan,
    /// A watch was told that something changed about a few people, and planned for them alone.
    Notice,
    /// Applied a plan.
    Apply,
    /// An emergency offboarding, absorbed from the spool.
    Offboard,
    /// The inverse of another run.
    Rollback,
    /// Somebody who was offboarded by name may come back.
    Reinstate,
    /// What people did with their hands, read back.
    ByHand,
}

/// A run as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run.
    pub run: RunId,
    /// What kind.
    pub kind: RunKind,
    /// Where it stands.
    pub state: RunState,
    /// When it began.
    pub began: Timestamp,
    /// When it last changed.
    pub changed: Timestamp,
    /// The digest of its plan, once there is one.
    pub plan: Option<String>,
    /// One line for people.
    pub summary: String,
}

/// The counts of one complete reading, to compare the next with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The run that counted.
    #[serde(default)]
    pub run: Option<RunId>,
    /// Active people.
    pub people: u64,
    /// Members of each readable mapped group.
    pub groups: std::collections::BTreeMap<lockstep_contract::GroupId, u64>,
    /// Active holders of each managed level.
    pub levels: LevelCounts,
    /// Cardholders.
    pub cardholders: u64,
    /// Linked cardholders that are active and ours; `None` in a reading of an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<u64>,
    /// A guard objected to a drop in these counts. They are not compared with until they are accepted: otherwise a
    /// drop that is planned twice would look normal the second time.
    #[serde(default)]
    pub disputed: bool,
}

/// How far a watch is. It is written when everybody up to the mark was looked at, or is owed a census.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Up to where the directory's changes were looked at.
    pub mark: Watermark,
    /// When that was written.
    pub at: Timestamp,
    /// Why everybody is to be read before long, when that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed: Option<Owed>,
    /// When the last census of the watch began that read everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub census: Option<Timestamp>,
}

/// A census that a watch owes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// Since when: only a census that began later pays it.
    pub since: Timestamp,
    /// Why, for people.
    pub why: String,
}

/// The breaker below approval: a rolling count of reductions on one target. Knows nothing of plans.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fuse {
    /// Open: nothing that reduces is sent until a person resets it.
    pub open_since: Option<Timestamp>,
    /// Why.
    pub reason: String,
    /// Cardholders reduced within the last 24 hours, and since the last reset.
    pub reduced_day: u64,
}

/// One record of the spool of an offboarding, to be absorbed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpoolEntry {
    /// A person is held out.
    Hold {
        /// The targets it is for; empty: all.
        targets: BTreeSet<TargetId>,
        /// The hold.
        hold: Hold,
    },
    /// An action was intended, and this is what became of it.
    Action {
        /// The intent.
        intent: Box<Intent>,
        /// The outcome; `None` when the process died before it was known.
        outcome: Option<Box<Outcome>>,
    },
}

/// The store could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another run holds the lease (exit code 7).
    #[error("another run holds the lease: {holder}, since {since}, until {until}")]
    Leased {
        /// Who.
        holder: NodeId,
        /// Since when.
        since: Timestamp,
        /// Until when, if it is not renewed.
        until: Timestamp,
    },
    /// Our lease was taken over; nothing more may be sent (exit code 7).
    #[error("the lease was taken over by another run; nothing more was sent")]
    Deposed,
    /// What is stored does not verify (exit code 8).
    #[error("{what} does not verify: {detail}")]
    Corrupt {
        /// Which file or table.
        what: String,
        /// What is wrong.
        detail: String,
    },
    /// The file is from a newer version (exit code 8).
    #[error("the state is of format {found}; this program knows up to {known}")]
    TooNew {
        /// The format found.
        found: u64,
        /// The newest known.
        known: u64,
    },
    /// An event that cannot happen in this state: a bug, or two writers.
    #[error("{0}")]
    Illegal(String),
    /// It could not be read or written (disk full, permissions, locked).
    #[error("state database: {0}")]
    Io(String),
}

/// Remembers.
#[async_trait]
pub trait Store: Send + Sync {
    /// Takes the lease, or renews it when this node holds it. A lease past its time is taken over; clocks of two
    /// machines may differ, so its time to live is measured in minutes.
    async fn lease(&self, node: &NodeId, ttl: SignedDuration, now: Timestamp) -> Result<Epoch, StoreError>;
    /// Gives the lease back. The epoch stays used.
    async fn release(&self, epoch: Epoch) -> Result<(), StoreError>;

    /// All links of a target.
    async fn links(&self, target: &TargetId) -> Result<Links, StoreError>;
    /// The links of these people on a target, whoever of them has one.
    async fn links_of(&self, target: &TargetId, people: &BTreeSet<PersonId>) -> Result<Vec<Link>, StoreError>;
    /// How far the watch of a directory is.
    async fn watched(&self, directory: &DirectoryId) -> Result<Option<Watched>, StoreError>;
    /// The holds in force on a target: those that were set and not lifted.
    async fn holds(&self, target: &TargetId) -> Result<Holds, StoreError>;
    /// Everything that was ever lifted, oldest first.
    async fn lifts(&self) -> Result<Vec<Lift>, StoreError>;
    /// What guards compare with. Rolling counts end at `now`.
    async fn history(&self, target: &TargetId, now: Timestamp) -> Result<History, StoreError>;
    /// Which server answered last time for this system.
    async fn server_mark(&self, system: &str) -> Result<Option<ServerMark>, StoreError>;
    /// The fuse of a target.
    async fn fuse(&self, target: &TargetId, now: Timestamp) -> Result<Fuse, StoreError>;
    /// One run.
    async fn run(&self, run: RunId) -> Result<Option<RunRecord>, StoreError>;
    /// The last runs, newest first.
    async fn runs(&self, limit: u32) -> Result<Vec<RunRecord>, StoreError>;
    /// Everything intended and not settled, in the order of intent.
    async fn unsettled(&self) -> Result<Vec<JournalEntry>, StoreError>;
    /// The whole journal of one run, in the order of intent.
    async fn journal(&self, run: RunId) -> Result<Vec<JournalEntry>, StoreError>;
    /// The journal of one record over all runs since it is there, in the order of intent.
    async fn journal_of(&self, target: &TargetId, cardholder: &CardholderId) -> Result<Vec<JournalEntry>, StoreError>;
    /// Which of these actions are in the journal.
    async fn journaled(&self, actions: &[ActionId]) -> Result<BTreeSet<ActionId>, StoreError>;
    /// What a run did and read back, for its inverse.
    async fn settled(&self, run: RunId) -> Result<Vec<Settled>, StoreError>;

    /// Remembers the counts of a complete reading.
    async fn observe(
        &self,
        epoch: Epoch,
        target: &TargetId,
        observation: &Observation,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// The disputed counts of this run are believed from now on: what they showed was let through by name. Those of
    /// any other run stay disputed.
    async fn accept(&self, epoch: Epoch, target: &TargetId, run: RunId, now: Timestamp) -> Result<(), StoreError>;
    /// Remembers which server answered.
    async fn mark_server(&self, epoch: Epoch, system: &str, mark: &ServerMark) -> Result<(), StoreError>;
    /// Remembers how far the watch of a directory is.
    async fn watch(&self, epoch: Epoch, directory: &DirectoryId, watched: &Watched) -> Result<(), StoreError>;
    /// Remembers a run. A run begins once.
    async fn begin(&self, epoch: Epoch, run: &RunRecord) -> Result<(), StoreError>;
    /// Remembers the digest of a run's plan.
    async fn set_plan(&self, epoch: Epoch, run: RunId, digest: &str) -> Result<(), StoreError>;
    /// Moves a run on.
    async fn advance(
        &self,
        epoch: Epoch,
        run: RunId,
        event: RunEvent,
        summary: &str,
        now: Timestamp,
    ) -> Result<RunState, StoreError>;
    /// Remembers the policy that was applied to a target, and counts the run for it.
    async fn applied_policy(
        &self,
        epoch: Epoch,
        target: &TargetId,
        policy_digest: &str,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Remembers links without an action (a cardholder that was found as it should be).
    async fn link(&self, epoch: Epoch, target: &TargetId, changes: &[LinkChange]) -> Result<(), StoreError>;
    /// Makes intents durable. Returns after they are.
    async fn intend(&self, epoch: Epoch, intents: &[Intent]) -> Result<(), StoreError>;
    /// Records what became of an action. Returns after it is durable.
    async fn record(&self, epoch: Epoch, action: &ActionId, outcome: &Outcome) -> Result<ActionState, StoreError>;
    /// Opens (`Some(reason)`) or resets (`None`) a fuse.
    async fn set_fuse(
        &self,
        epoch: Epoch,
        target: &TargetId,
        open: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Takes over what an offboarding wrote to its spool. Doing so twice is once.
    async fn absorb(&self, epoch: Epoch, spool: &[SpoolEntry]) -> Result<(), StoreError>;
    /// Lifts holds by name, for good. They are not forgotten, and absorbing their spool again does not bring them back.
    /// Doing so twice in one run is once; [`StoreError::Illegal`] for a hold that is not known, or that another run
    /// lifted.
    async fn lift(&self, epoch: Epoch, lift: &Lift) -> Result<(), StoreError>;
    /// Checks that everything stored is whole.
    async fn verify(&self) -> Result<(), StoreError>;
}
