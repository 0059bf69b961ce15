//! Whether an action that no guard holds may run without a person (I5). Asked when planning, and asked again when a
//! document is applied: a file that says `standing` is not believed.

use lockstep_contract::{AccessLevelId, Situation, Step};

use super::Item;
use crate::{ApprovalPolicy, History, LaneKind, Policy};

/// How far a target is trusted to run by itself now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The mapping was approved before: what is routine may run.
    Routine,
    /// First run, or a changed mapping: nobody has seen yet what it does, so all that it does waits for a person.
    Unseen,
    /// A rollback: everything waits for a person.
    Nothing,
}

impl Trust {
    pub(crate) fn of(policy: &Policy, history: &History, undo: bool) -> Self {
        let known = history.applied_runs > 0 && history.policy_digest.as_deref() == Some(policy.digest.as_str());
        match (undo, known) {
            (true, _) => Self::Nothing,
            (false, true) => Self::Routine,
            (false, false) => Self::Unseen,
        }
    }
}

/// True when policy lets it run unattended: reductions of the revoke lane, and what is ordinary when policy says so.
pub(crate) fn runs_unattended(item: &Item<'_>, policy: &Policy, trust: Trust) -> bool {
    let only_reduces = item.lane == LaneKind::Revoke && item.others().next().is_none();
    match (trust, item.lane) {
        (Trust::Nothing, _) | (Trust::Unseen, LaneKind::Stage) => false,
        (Trust::Unseen, LaneKind::Revoke) => only_reduces && leaves_whatever_the_mapping_says(item),
        (Trust::Routine, LaneKind::Revoke) => only_reduces,
        (Trust::Routine, LaneKind::Stage) => policy.approval == ApprovalPolicy::Standing && ordinary(item, policy),
    }
}

/// Somebody who was linked before and has left, by the word of the directory or by name: no mapping decides that, so
/// nobody stays in because one was edited. Whoever a line of it puts out waits with the rest of what it does.
fn leaves_whatever_the_mapping_says(item: &Item<'_>) -> bool {
    match item.because.situation {
        Situation::Held => true,
        Situation::Unqualified | Situation::SourceMissing => {
            let mut reasons = item.because.why.iter().filter(|why| why.level.is_none()).peekable();
            item.suspends() && reasons.peek().is_some() && reasons.all(|why| why.mapping.is_none())
        }
        Situation::Confirmed
        | Situation::Found
        | Situation::Absent
        | Situation::Ambiguous
        | Situation::Missing
        | Situation::Unassigned
        | Situation::Undecided => false,
    }
}

/// Joiners and movers as they happen every day. Whoever was matched for the first time loses nothing, and a record that
/// somebody deleted is not created again, without a person.
fn ordinary(item: &Item<'_>, policy: &Policy) -> bool {
    let settled = match item.because.situation {
        Situation::Confirmed | Situation::Absent => true,
        Situation::Found => !item.reduces(),
        Situation::Ambiguous
        | Situation::Missing
        | Situation::Unqualified
        | Situation::SourceMissing
        | Situation::Unassigned
        | Situation::Undecided
        | Situation::Held => false,
    };
    settled
        && item.others().all(|step| match step {
            Step::Provision { .. } | Step::Amend { .. } => true,
            Step::Grant { level } => ordinary_level(policy, level),
            Step::Reduce(_) | Step::Reinstate | Step::Widen { .. } | Step::Activate { .. } => false,
        })
}

/// Known to the mapping, and tagged high-security by none of the rules that name it.
fn ordinary_level(policy: &Policy, level: &AccessLevelId) -> bool {
    let mut rules = policy.levels.iter().filter(|rule| rule.level == *level).peekable();
    rules.peek().is_some() && rules.all(|rule| !rule.high_security)
}
