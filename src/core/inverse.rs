//! Rollback: the plan that undoes what a run did, from before-images. A plan like any other.
//!
//! It must never bring back somebody who is held out, and never touch a cardholder that changed since.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockstep_contract::{Action, Cardholder, CardholderId, RunId, TargetInfo};

use crate::{Draft, Holds};

/// An action that was applied and verified, with its images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// What was done.
    pub action: Action,
    /// The record before; `None` when it was created.
    pub before: Option<Cardholder>,
    /// The record as it was read back.
    pub after: Cardholder,
}

/// Everything that undoing may know.
#[derive(Debug, Clone, Copy)]
pub struct UndoInputs<'a> {
    /// The PACS.
    pub target: &'a TargetInfo,
    /// What was done there, in the order of doing.
    pub done: &'a [Settled],
    /// The records as they are now.
    pub now_on_pacs: &'a BTreeMap<CardholderId, Cardholder>,
    /// Who is held out.
    pub holds: &'a Holds,
    /// The new run.
    pub run: RunId,
    /// Now.
    pub now: Timestamp,
}

/// Plans the inverse. Everything is in the stage lane: undoing mostly gives access back.
pub fn inverse(_inputs: UndoInputs<'_>) -> Draft {
    unimplemented!()
}
