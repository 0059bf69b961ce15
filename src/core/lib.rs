//! The planning core: from two snapshots, a mapping and a memory of the past to a plan that people can read.
//!
//! Everything here is a pure function over values. This crate reads no clock, no file, no network, no randomness and
//! no hash-map order, so the same inputs always give the same bytes (I9). It returns no errors about data: what is
//! wrong with data is a [`Finding`] in the result.
//!
//! ```text
//! DirectorySnapshot, TargetSnapshot, Links, Holds, Policy ─▶ plan ─▶ Draft ─▶ guard ─▶ Guarded ─▶ PlanDocument
//!                                                    Approved<L> ◀─ approve ◀──────────────────────┘
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::wildcard_enum_match_arm))]

mod approve;
mod document;
mod draft;
mod explain;
mod finding;
#[cfg(test)]
mod fixture;
mod guard;
mod history;
mod holds;
mod inverse;
mod jsonl;
mod lane;
mod lifecycle;
mod limits;
mod links;
mod overlay;
mod plan;
mod policy;
mod snapshot;
mod trip;
mod verify;

pub use approve::{
    Approved, ApprovedPlan, Barred, Conditions, Left, LeftBecause, Refusal, TargetConditions, approve, barred, is_own,
};
pub use document::{Entry, EntryState, Header, PLAN_FORMAT, PlanDocument, TargetSection};
pub use draft::{Draft, Facts, LevelFacts, Occasion, Plan, Tally, Who};
pub use explain::{Explanation, LevelVerdict, explain};
pub use finding::{Code, Finding, Severity};
pub use guard::{Guarded, guard};
pub use history::{History, LevelCounts};
pub use holds::{HeldBy, Hold, HoldId, Holds, Lift, Reinstatement};
pub use inverse::{RestoreInputs, Settled, Taken, UndoInputs, inverse, restore};
pub use jsonl::{PlanError, PlanProblem};
pub use lane::{Lane, LaneKind, Revoke, Stage};
pub use lifecycle::{ActionEvent, ActionState, Illegal, RunEvent, RunState, next_action, next_run};
pub use limits::{Ceiling, LimitError, Limits};
pub use links::{Link, LinkOrigin, LinkProposal, Links, Looked};
pub use overlay::{Anchor, Missing};
pub use plan::{Inputs, Remembered, absentees, notice, plan};
pub use policy::{
    Approval, ApprovalPolicy, Mover, OutOfScope, Ownership, Policy, Rule, RuleSource, ScopeRule, Template,
    TemplateError,
};
pub use snapshot::{
    Added, CardholderRef, DirectoryBuilder, DirectorySnapshot, GroupState, GroupView, PersonRef, TargetBuilder,
    TargetSnapshot,
};
pub use trip::{Overrule, Trip};
pub use verify::{Difference, Verdict, verify};
