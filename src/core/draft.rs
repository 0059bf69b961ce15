//! What planning gives for one target: actions in two lanes, findings, and the facts that guards judge by.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{AccessLevelId, Action, ActionId, Cardholder, GroupId, SiteId, TargetId, field};
use serde::{Deserialize, Serialize};

use crate::{Finding, Lane, LinkProposal, Revoke, Stage};

/// How a plan came about. What a watch plans counts towards one and the same limit within an hour: an accident that comes
/// drop by drop must not get through because each look sees little of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// Somebody, or a timer, asked for a run.
    #[default]
    Run,
    /// A watch reads everybody.
    Census,
    /// A watch was told that something changed about a few people, and planned for them alone. Nothing but reductions.
    Notice,
}

impl Occasion {
    /// True for an ordinary run.
    pub fn is_run(&self) -> bool {
        *self == Self::Run
    }
}

/// Actions of one lane on one target, ordered by subject. Only planning makes one, and nothing but a guard takes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan<L: Lane> {
    pub(crate) actions: Vec<Action<L::Step>>,
}

impl<L: Lane> Plan<L> {
    /// The actions, ordered by subject.
    pub fn actions(&self) -> &[Action<L::Step>] {
        &self.actions
    }
}

/// The product of planning for one target. It has no way to a PACS: only `guard` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub(crate) target: TargetId,
    pub(crate) revoke: Plan<Revoke>,
    pub(crate) stage: Plan<Stage>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) links: Vec<LinkProposal>,
    pub(crate) who: BTreeMap<ActionId, Who>,
    pub(crate) tally: Tally,
    pub(crate) facts: Facts,
    /// Actions that take access from somebody whom the policy protects by name.
    pub(crate) protected: BTreeSet<ActionId>,
    /// It undoes a run (`inverse`), so it read no directory. `false` for everything that planning makes.
    pub(crate) undo: bool,
    /// How it came about.
    pub(crate) occasion: Occasion,
}

impl Draft {
    /// The PACS it is for.
    pub const fn target(&self) -> &TargetId {
        &self.target
    }

    /// What only takes access away.
    pub const fn revoke(&self) -> &Plan<Revoke> {
        &self.revoke
    }

    /// Everything else.
    pub const fn stage(&self) -> &Plan<Stage> {
        &self.stage
    }

    /// What is worth saying, most severe first.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Links to record when the plan is applied.
    pub fn links(&self) -> &[LinkProposal] {
        &self.links
    }

    /// What guards judge by.
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The numbers of the summary.
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The same, on this occasion.
    #[must_use]
    pub fn on(mut self, occasion: Occasion) -> Self {
        self.occasion = occasion;
        self
    }

    /// True when there is nothing to do and nothing to record.
    pub fn is_empty(&self) -> bool {
        self.revoke.actions.is_empty() && self.stage.actions.is_empty() && self.links.is_empty()
    }
}

/// A human as a reviewer knows them. For reading only; nothing is decided from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// Name.
    pub name: String,
    /// Employee number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub employee_number: Option<String>,
    /// Department.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// Job title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Manager, as the directory names that person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
}

impl From<&Cardholder> for Who {
    fn from(record: &Cardholder) -> Self {
        let get = |name: &str| record.profile.get(name).filter(|value| !value.is_empty()).map(ToOwned::to_owned);
        let name = match (get(field::DISPLAY_NAME), get(field::GIVEN_NAME), get(field::FAMILY_NAME)) {
            (Some(name), _, _) | (None, Some(name), None) | (None, None, Some(name)) => name,
            (None, Some(given), Some(family)) => format!("{given} {family}"),
            (None, None, None) => record.id.to_string(),
        };
        Self {
            name,
            employee_number: get(field::EMPLOYEE_NUMBER),
            department: get(field::DEPARTMENT),
            title: get(field::TITLE),
            manager: get(field::MANAGER),
        }
    }
}

/// The numbers of the summary line. Each person and each cardholder without a person counts once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Cardholders to create.
    pub provision: u64,
    /// Cardholders to change, in either lane, without switching them off.
    pub change: u64,
    /// Cardholders to switch off.
    pub disable: u64,
    /// People about whom nothing can be decided.
    pub undecided: u64,
    /// People and cardholders that are as they should be.
    pub unchanged: u64,
    /// Cardholders nobody accounts for.
    pub orphans: u64,
}

/// What was read, in numbers, and what the plan would make of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// People in the complete census.
    pub people: u64,
    /// Of these, active.
    pub people_active: u64,
    /// Mapped groups: members, or `None` when unreadable.
    pub groups: BTreeMap<GroupId, Option<u64>>,
    /// Cardholders in the complete census of the target.
    pub cardholders: u64,
    /// Linked cardholders that are active and ours: what percentages are of.
    pub managed: u64,
    /// Managed levels: holders now, and after the plan.
    pub levels: BTreeMap<AccessLevelId, LevelFacts>,
    /// Digest of the directory snapshot.
    pub directory_digest: String,
    /// Digest of the target snapshot.
    pub target_digest: String,
    /// Digest of the policy.
    pub policy_digest: String,
}

/// A managed level, for guards and reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelFacts {
    /// Active holders now.
    pub holders: u64,
    /// Active holders after the plan.
    pub holders_after: u64,
    /// It exists in the catalog of the PACS.
    pub exists: bool,
    /// Its name there.
    pub name: String,
    /// The doors it opens.
    pub doors: Vec<String>,
    /// Its site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteId>,
    /// Tagged high-security by the mapping.
    pub high_security: bool,
}
