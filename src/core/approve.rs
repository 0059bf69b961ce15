//! From a plan document and the decisions of people to what may be applied, and nothing else.
//!
//! This is the only module that makes an [`Approved`] (I4). A document read from disk is believed only after its
//! digest, its age, its targets and the guards were checked again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lockstep_contract::{Action, ActionId, RunId, TargetId};
use serde::{Deserialize, Serialize};

use crate::{Approval, History, Lane, Limits, LinkProposal, PlanDocument, Policy, Revoke, Stage};

/// What must still hold for a plan to be applied.
#[derive(Debug, Clone)]
pub struct Conditions<'a> {
    /// Now.
    pub now: Timestamp,
    /// SHA-256 of the configuration now.
    pub config_digest: &'a str,
    /// The actions of this plan that are in the journal already. None of them runs a second time, and a plan of which
    /// nothing else is left is refused as used.
    pub journaled: &'a BTreeSet<ActionId>,
    /// Each configured target.
    pub targets: BTreeMap<TargetId, TargetConditions<'a>>,
}

/// What must still hold for one target of a plan.
#[derive(Debug, Clone, Copy)]
pub struct TargetConditions<'a> {
    /// Which system this is now.
    pub fingerprint: &'a str,
    /// The mapping now.
    pub policy: &'a Policy,
    /// The limits now.
    pub limits: &'a Limits,
    /// The past until now: rolling counts are checked again.
    pub history: &'a History,
}

/// Actions of one lane on one target that may run. Only [`approve`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved<L: Lane> {
    target: TargetId,
    actions: Vec<Action<L::Step>>,
}

impl<L: Lane> Approved<L> {
    /// The PACS.
    pub const fn target(&self) -> &TargetId {
        &self.target
    }

    /// The actions, in order.
    pub fn actions(&self) -> &[Action<L::Step>] {
        &self.actions
    }
}

/// Everything of one plan that may run now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovedPlan {
    pub(crate) digest: String,
    pub(crate) run: RunId,
    pub(crate) revoke: Vec<Approved<Revoke>>,
    pub(crate) stage: Vec<Approved<Stage>>,
    pub(crate) links: BTreeMap<TargetId, Vec<LinkProposal>>,
    pub(crate) policies: BTreeMap<TargetId, String>,
    pub(crate) left: Vec<Left>,
}

impl ApprovedPlan {
    /// The digest of the plan.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The run that made the plan.
    pub const fn run(&self) -> RunId {
        self.run
    }

    /// What only takes access away, by target. Applied first.
    pub fn revoke(&self) -> &[Approved<Revoke>] {
        &self.revoke
    }

    /// Everything else, by target.
    pub fn stage(&self) -> &[Approved<Stage>] {
        &self.stage
    }

    /// Links to record, by target.
    pub const fn links(&self) -> &BTreeMap<TargetId, Vec<LinkProposal>> {
        &self.links
    }

    /// The digest of each target's policy, to be remembered as the one last applied.
    pub const fn policies(&self) -> &BTreeMap<TargetId, String> {
        &self.policies
    }

    /// What does not run, and why.
    pub fn left(&self) -> &[Left] {
        &self.left
    }

    /// How many actions may run.
    pub fn len(&self) -> usize {
        self.revoke.iter().map(|lane| lane.actions.len()).sum::<usize>()
            + self.stage.iter().map(|lane| lane.actions.len()).sum::<usize>()
    }

    /// True when nothing may run.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An action that does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The action.
    pub action: ActionId,
    /// Why.
    pub because: LeftBecause,
}

/// Why an action does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftBecause {
    /// It waits for a named person.
    NotApproved,
    /// A named person said no.
    Rejected,
    /// A guard holds it.
    Held,
    /// It is in the journal: it ran before.
    Journaled,
}

/// A plan is refused as a whole (exit code 6).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Past its time.
    #[error("the plan expired at {expired}")]
    Expired {
        /// When.
        expired: Timestamp,
    },
    /// Made in the future: the clock went back.
    #[error("the plan was made at {created}, which is later than now; the clock of this machine is wrong")]
    FromTheFuture {
        /// When it says it was made.
        created: Timestamp,
    },
    /// Applied before.
    #[error("the plan was applied before; a plan is used once")]
    Used,
    /// The configuration changed.
    #[error("the configuration changed since the plan was made")]
    ConfigChanged,
    /// A mapping changed.
    #[error("the mapping of {target} changed since the plan was made")]
    PolicyChanged {
        /// Which target.
        target: TargetId,
    },
    /// A target is not configured, or is another system now.
    #[error("target {target} is not the system the plan was made for")]
    OtherTarget {
        /// Which target.
        target: TargetId,
    },
    /// A decision is about another plan.
    #[error("the approval by {by} is for another plan")]
    OtherPlan {
        /// Whose.
        by: String,
    },
}

/// What of a plan may run now, given these decisions.
pub fn approve(
    _document: &PlanDocument,
    _approvals: &[Approval],
    _conditions: &Conditions<'_>,
) -> Result<ApprovedPlan, Refusal> {
    unimplemented!()
}
