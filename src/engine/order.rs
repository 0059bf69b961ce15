//! What the engine is asked for, and what it answers. Values only.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_contract::{
    ActionId, Cancel, Directory, DirectoryId, Fault, RunId, Subject, Target, TargetId, TargetReader,
};
use lockstep_core::{ActionState, Holds, Limits, PlanDocument, Policy, Refusal};
use serde::{Deserialize, Serialize};

use crate::{NodeId, Store, StoreError};

/// Tells the time. Handed in, so that tests decide what time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Is told how far a run is. Must not block.
pub trait Observer: Send + Sync {
    /// Something went on.
    fn progress(&self, progress: Progress);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Observer for Nobody {
    fn progress(&self, _: Progress) {}
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// So many people were read so far.
    People(u64),
    /// The members of so many groups are being read, or (`done`) were.
    Groups {
        /// How many groups.
        groups: u64,
        /// They are all answered.
        done: bool,
    },
    /// So many cardholders of a target were read so far.
    Cardholders {
        /// The target.
        target: TargetId,
        /// How many.
        count: u64,
    },
    /// Absent people are being looked up one by one.
    LookingUp {
        /// How many are done.
        done: u64,
        /// Of how many.
        total: u64,
    },
    /// Actions were settled on a target.
    Applying {
        /// The target.
        target: TargetId,
        /// How many are settled.
        done: u64,
        /// Of how many.
        total: u64,
    },
}

/// One target to plan for. A reader only: planning holds no write capability.
pub struct TargetOrder<'a> {
    /// The PACS.
    pub reader: &'a dyn TargetReader,
    /// Its mapping.
    pub policy: &'a Policy,
    /// Its limits.
    pub limits: &'a Limits,
}

/// A plan is wanted.
pub struct PlanOrder<'a> {
    /// The directory.
    pub directory: &'a dyn Directory,
    /// The targets, in the order of their ids.
    pub targets: Vec<TargetOrder<'a>>,
    /// The memory.
    pub store: &'a dyn Store,
    /// Who plans.
    pub node: NodeId,
    /// The new run.
    pub run: RunId,
    /// The version of the program, for the header.
    pub version: String,
    /// SHA-256 of the configuration.
    pub config_digest: String,
    /// How long one call to a system may take.
    pub call_budget: Duration,
    /// Asks everybody to stop.
    pub cancel: Cancel,
    /// The time.
    pub clock: Clock,
    /// Who watches.
    pub observer: &'a dyn Observer,
}

/// Approved actions are to be applied.
pub struct ApplyOrder<'a> {
    /// The targets.
    pub targets: BTreeMap<TargetId, Arc<dyn Target>>,
    /// The limits of each, for the fuse.
    pub limits: BTreeMap<TargetId, Limits>,
    /// The memory.
    pub store: &'a dyn Store,
    /// Who applies.
    pub node: NodeId,
    /// A plan made just now, when the approved one is older than the snapshot limit: approved actions that it would not
    /// make again are withdrawn.
    pub fresh: Option<&'a PlanDocument>,
    /// How long one call to a system may take.
    pub call_budget: Duration,
    /// Asks everybody to stop after what is in flight.
    pub cancel: Cancel,
    /// The time.
    pub clock: Clock,
    /// Who watches.
    pub observer: &'a dyn Observer,
}

/// Where named offboardings arrive while a run works. They do not wait for its lease, so the memory does not have them
/// yet.
#[async_trait]
pub trait Desk: Send + Sync {
    /// Who is held out on this target beyond what the memory has. Asked before everything that gives anything, so it
    /// must be quick.
    ///
    /// # Errors
    /// When that cannot be told. Nothing that gives anything is sent then.
    async fn holds(&self, target: &TargetId) -> Result<Arc<Holds>, String>;
}

#[async_trait]
impl Desk for Nobody {
    async fn holds(&self, _: &TargetId) -> Result<Arc<Holds>, String> {
        Ok(Arc::default())
    }
}

/// What else is known while a plan is applied.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// Where offboardings arrive meanwhile.
    pub desk: &'a dyn Desk,
    /// The plan as people saw it: its guards say what was let through by name. Without it nothing was.
    pub document: Option<&'a PlanDocument>,
}

impl Default for Beside<'_> {
    fn default() -> Self {
        Self { desk: &Nobody, document: None }
    }
}

/// What applying did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyReport {
    /// The run of the plan.
    pub run: RunId,
    /// Each target.
    pub targets: BTreeMap<TargetId, TargetReport>,
}

/// What applying did on one target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetReport {
    /// Each action, in the order of the plan.
    pub actions: Vec<ActionReport>,
    /// Why it stopped early: the fuse, or a fault of the whole system.
    pub stopped: Option<String>,
}

/// What became of one action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionReport {
    /// The action.
    pub action: ActionId,
    /// Whose record.
    pub subject: Subject,
    /// Where it stands.
    pub state: ActionState,
    /// What was seen, in one sentence.
    pub detail: String,
}

impl ApplyReport {
    /// Actions in this state, over all targets.
    pub fn count(&self, state: ActionState) -> usize {
        self.targets.values().flat_map(|target| &target.actions).filter(|action| action.state == state).count()
    }

    /// True when everything was read back as expected and nothing stopped early.
    pub fn complete(&self) -> bool {
        self.targets.values().all(|target| {
            target.stopped.is_none() && target.actions.iter().all(|action| action.state == ActionState::Verified)
        })
    }
}

/// Why a plan is not one that was made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// The memory knows no such run.
    #[error("this plan was not made here: run {0} is not in the state")]
    Unknown(RunId),
    /// The memory has another digest for it.
    #[error("the plan of run {0} is not the one that was made here: it was altered since")]
    Altered(RunId),
}

/// Why a plan that lifts a hold does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotLifted {
    /// Somebody put the same person out again: the newer word wins.
    #[error("{who} was put out again by {by} at {since}, after this plan was made")]
    PutOutAgain {
        /// Whom the plan is about.
        who: String,
        /// Who put them out.
        by: String,
        /// When.
        since: Timestamp,
    },
    /// It cannot be told whether somebody did.
    #[error("it cannot be told whether {who} was put out again: {why}")]
    Unknown {
        /// Whom the plan is about.
        who: String,
        /// What is in the way.
        why: String,
    },
    /// Another plan lifted it before.
    #[error("the hold on {who} was lifted before, by run {run}")]
    Before {
        /// Whom the plan is about.
        who: String,
        /// Which.
        run: RunId,
    },
}

/// A run ended without its result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A source could not be read whole (exit code 5). Nothing was planned.
    #[error("{system} could not be read whole: {fault}")]
    Unreadable {
        /// Which system.
        system: String,
        /// Why.
        fault: Fault,
    },
    /// A directory without a census id of its own: another domain or an older state answered than last time.
    #[error("{directory} is not the server it was: {detail}")]
    OtherServer {
        /// Which directory.
        directory: DirectoryId,
        /// What differs.
        detail: String,
    },
    /// The plan is refused (exit code 6).
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The plan is not the one that was made here (exit code 6). Nothing of it was sent.
    #[error("{0}")]
    NotOurs(NotOurs),
    /// The plan lifts a hold, and may not any more (exit code 6). Nothing of it was done.
    #[error("{0}")]
    NotLifted(NotLifted),
    /// The memory failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run was asked to stop.
    #[error("stopped on request")]
    Cancelled,
}
