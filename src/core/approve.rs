//! From a plan document and the decisions of people to what may be applied, and nothing else.
//!
//! This is the only module that makes an [`Approved`] (I4). A document read from disk is believed only after its
//! digest, its age, its targets and the guards were checked again.

mod decide;
mod recheck;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{Action, ActionId, Reduction, RunId, Steps, Subject, TargetId};
use serde::{Deserialize, Serialize};

pub use self::decide::{Barred, barred, is_own};
use self::decide::{Decisions, Fate};
use crate::guard::Trust;
use crate::{
    Approval, History, Lane, LaneKind, Lift, Limits, LinkProposal, PlanDocument, Policy, Revoke, Stage, TargetSection,
};

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
    /// The holds that this plan lifts were lifted by it: it was applied before, in part at least.
    pub lifted: bool,
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
    pub(crate) lift: Option<Lift>,
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

    /// The holds to lift before anything else, and who said so.
    pub const fn lift(&self) -> Option<&Lift> {
        self.lift.as_ref()
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

    /// True when nothing may run. Holds may still be lifted.
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
    /// An action of the revoke lane does more than take access away: the plan was altered.
    #[error("action {action} stands among reductions and is none; the plan was altered")]
    WrongLane {
        /// Which action.
        action: ActionId,
    },
    /// A decision is about another plan.
    #[error("the approval by {by} is for another plan")]
    OtherPlan {
        /// Whose.
        by: String,
    },
}

/// What of a plan may run now, given these decisions.
///
/// # Errors
/// When the plan as a whole must not run: too old, for something else, altered, or used up.
pub fn approve(
    document: &PlanDocument,
    approvals: &[Approval],
    conditions: &Conditions<'_>,
) -> Result<ApprovedPlan, Refusal> {
    still_valid(document, conditions)?;
    for approval in approvals {
        if approval.plan != document.digest {
            return Err(Refusal::OtherPlan { by: approval.by.clone() });
        }
    }
    let all_journaled = document.entries.iter().all(|e| conditions.journaled.contains(&e.action.id));
    let begun = if document.header.reinstate.is_some() { conditions.lifted } else { !document.entries.is_empty() };
    if all_journaled && begun {
        return Err(Refusal::Used);
    }
    let decisions = Decisions::new(document, approvals);
    let lift = lift(document, approvals, &decisions, conditions);
    let mut fates = decide::fates(document, &decisions, conditions);
    if document.header.reinstate.is_some() && lift.is_none() {
        // While the hold is in force, everything that rests on its end waits with it.
        for fate in fates.iter_mut().filter(|fate| matches!(fate, Fate::Runs { .. })) {
            *fate = Fate::Left(LeftBecause::NotApproved);
        }
    }
    recheck::hold_beyond_limits(document, &mut fates, conditions);
    Ok(ApprovedPlan { lift, ..assemble(document, &decisions, &fates, conditions)? })
}

/// The holds that a plan lifts: when a named person said yes to the whole of it, whatever of its actions they rejected.
fn lift(
    document: &PlanDocument,
    approvals: &[Approval],
    decisions: &Decisions<'_>,
    conditions: &Conditions<'_>,
) -> Option<Lift> {
    let what = document.header.reinstate.clone()?;
    // A hold is on every target, so the strictest mapping says how much a name is worth.
    let names_suffice = conditions.targets.values().all(decide::names_suffice);
    if !decisions.whole() || !names_suffice {
        return None;
    }
    let said_yes = |approval: &&Approval| {
        let by = approval.by.trim();
        approval.only.is_none() && !by.is_empty() && decide::barred(document, by).is_none()
    };
    let approved_by = approvals.iter().filter(said_yes).map(|approval| approval.by.trim().to_owned()).collect();
    Some(Lift { run: document.header.run, at: conditions.now, by: document.header.by.clone(), approved_by, what })
}

/// Age, configuration, systems, mappings.
fn still_valid(document: &PlanDocument, conditions: &Conditions<'_>) -> Result<(), Refusal> {
    let header = &document.header;
    if header.created > conditions.now {
        return Err(Refusal::FromTheFuture { created: header.created });
    }
    if header.expires <= conditions.now {
        return Err(Refusal::Expired { expired: header.expires });
    }
    if header.config_digest != conditions.config_digest {
        return Err(Refusal::ConfigChanged);
    }
    for section in &document.targets {
        let Some(target) = conditions.targets.get(&section.target) else {
            return Err(Refusal::OtherTarget { target: section.target.clone() });
        };
        if target.fingerprint != section.fingerprint {
            return Err(Refusal::OtherTarget { target: section.target.clone() });
        }
        if target.policy.digest != section.facts.policy_digest {
            return Err(Refusal::PolicyChanged { target: section.target.clone() });
        }
        // Whatever the file says about its expiry, the limits of now bound its age.
        let age_max = SignedDuration::from_hours(i64::from(target.limits.clamped().plan_age_hours));
        let oldest = header.created.checked_add(age_max).unwrap_or(header.expires);
        if oldest <= conditions.now {
            return Err(Refusal::Expired { expired: oldest });
        }
    }
    match document.entries.iter().find(|entry| document.section(&entry.action.target).is_none()) {
        Some(entry) => Err(Refusal::OtherTarget { target: entry.action.target.clone() }),
        None => Ok(()),
    }
}

/// Puts what may run into lanes and targets, in the order of the document.
fn assemble(
    document: &PlanDocument,
    decisions: &Decisions<'_>,
    fates: &[Fate],
    conditions: &Conditions<'_>,
) -> Result<ApprovedPlan, Refusal> {
    let mut plan = ApprovedPlan {
        digest: document.digest.clone(),
        run: document.header.run,
        revoke: Vec::new(),
        stage: Vec::new(),
        links: BTreeMap::new(),
        policies: BTreeMap::new(),
        lift: None,
        left: Vec::new(),
    };
    for (entry, fate) in document.entries.iter().zip(fates) {
        let action = &entry.action;
        match (fate, entry.lane) {
            (Fate::Left(because), _) => plan.left.push(Left { action: action.id.clone(), because: *because }),
            (Fate::Runs { .. }, LaneKind::Revoke) => {
                let reductions = only_reductions(action)?;
                push(&mut plan.revoke, &action.target, reductions);
            }
            (Fate::Runs { .. }, LaneKind::Stage) => push(&mut plan.stage, &action.target, action.clone()),
        }
    }
    for section in &document.targets {
        let target = conditions.targets.get(&section.target);
        let routine = target.is_some_and(|t| Trust::of(t.policy, t.history, document.is_undo()) == Trust::Routine);
        // What undoes a run was not made by the mapping, so nobody saw there what the mapping does.
        if routine || (!document.is_undo() && decide::agreed(document, section, decisions, fates)) {
            plan.links.insert(section.target.clone(), undisputed(document, section, fates));
            plan.policies.insert(section.target.clone(), section.facts.policy_digest.clone());
        }
    }
    Ok(plan)
}

/// The matches that nobody has still to say yes to. A match is as good as what rests on it: where an action on the same
/// person or record waits, is held or was rejected, the match is not remembered either. Otherwise a wrong match that
/// somebody turned down would take that person's access away unattended, one run later.
fn undisputed(document: &PlanDocument, section: &TargetSection, fates: &[Fate]) -> Vec<LinkProposal> {
    let mut people = BTreeSet::new();
    let mut cardholders = BTreeSet::new();
    for (entry, fate) in document.entries.iter().zip(fates) {
        let done = matches!(fate, Fate::Runs { .. } | Fate::Left(LeftBecause::Journaled));
        if !done && entry.action.target == section.target {
            people.extend(&entry.action.person);
            if let Subject::Existing(cardholder) = &entry.action.subject {
                cardholders.insert(cardholder);
            }
        }
    }
    let disputed = |link: &&LinkProposal| people.contains(&link.person) || cardholders.contains(&link.cardholder);
    section.links.iter().filter(|link| !disputed(link)).cloned().collect()
}

fn push<L: Lane>(lanes: &mut Vec<Approved<L>>, target: &TargetId, action: Action<L::Step>) {
    match lanes.iter_mut().find(|lane| lane.target == *target) {
        Some(lane) => lane.actions.push(action),
        None => lanes.push(Approved { target: target.clone(), actions: vec![action] }),
    }
}

/// The same action in the type that cannot give access. The document said that it only takes it away; here the type
/// makes sure (I5).
fn only_reductions(action: &Action) -> Result<Action<Reduction>, Refusal> {
    let reductions: Option<Vec<Reduction>> = action.steps.iter().map(|step| step.as_reduction().cloned()).collect();
    let steps = reductions.and_then(Steps::new).ok_or_else(|| Refusal::WrongLane { action: action.id.clone() })?;
    Ok(Action {
        id: action.id.clone(),
        target: action.target.clone(),
        subject: action.subject.clone(),
        person: action.person.clone(),
        steps,
        basis: action.basis.clone(),
        expect: action.expect.clone(),
        because: action.because.clone(),
    })
}

#[cfg(test)]
mod tests;
