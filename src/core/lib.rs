//! The planning core: from two snapshots, a mapping and a memory of the past to a plan that people can read.
//!
//! Everything here is a pure function over values. This crate reads no clock, no file, no network, no randomness and
//! no hash-map order, so the same inputs always give the same bytes (I9). It returns no errors about data: what is
//! wrong with data is a [`Finding`] in the result.
//!
//! ```text
//! DirectorySnapshot, TargetSnapshot, Links, Holds, Policy ─▶ plan ─▶ Draft ─▶ guard ─▶ Judged ─▶ PlanDocument
//!                                              Approved<L> ◀─ approve ◀─ open ◀──────────────────────┘
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::wildcard_enum_match_arm))]

mod document;
mod draft;
mod finding;
mod history;
mod lane;
mod limits;
mod links;
mod policy;
mod trip;

pub use document::{Entry, EntryState, Header, PLAN_FORMAT, PlanDocument, TargetSection};
pub use draft::{Draft, Facts, LevelFacts, Plan, Tally, Who};
pub use finding::{Code, Finding, Severity};
pub use history::{History, LevelCounts};
pub use lane::{Lane, LaneKind, Revoke, Stage};
pub use limits::{Ceiling, LimitError, Limits};
pub use links::{Hold, Holds, Link, LinkOrigin, LinkProposal, Links, Looked};
pub use policy::{
    Approval, ApprovalPolicy, Mover, OutOfScope, Ownership, Policy, Rule, RuleSource, ScopeRule, Template,
    TemplateError,
};
pub use trip::{Overrule, Trip};
