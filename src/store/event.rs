//! Everything that is ever written, as events. Each is appended to the hash-chained journal before the tables that
//! answer questions are changed, in the same transaction.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lockstep_contract::{ActionId, DirectoryId, RunId, ServerMark, TargetId};
use lockstep_core::{Hold, Lift, RunEvent};
use lockstep_engine::{Epoch, Intent, LinkChange, NodeId, Observation, Outcome, RunRecord, Watched};
use serde::Serialize;

/// One thing that was written.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event<'a> {
    Lease { node: &'a NodeId, epoch: Epoch, at: Timestamp },
    Begin { run: &'a RunRecord },
    Plan { run: RunId, digest: &'a str },
    Advance { run: RunId, what: RunEvent, summary: &'a str, at: Timestamp },
    Intend { intent: &'a Intent },
    Record { action: &'a ActionId, outcome: &'a Outcome },
    Link { target: &'a TargetId, changes: &'a [LinkChange] },
    Observe { target: &'a TargetId, observation: &'a Observation, at: Timestamp },
    Accept { target: &'a TargetId, run: RunId, at: Timestamp },
    Server { system: &'a str, mark: &'a ServerMark },
    Watch { directory: &'a DirectoryId, watched: &'a Watched },
    Policy { target: &'a TargetId, digest: &'a str, at: Timestamp },
    Fuse { target: &'a TargetId, open: Option<&'a str>, at: Timestamp },
    Hold { targets: &'a BTreeSet<TargetId>, hold: &'a Hold },
    Lift { lift: &'a Lift },
    Absorb { intent: &'a Intent, outcome: Option<&'a Outcome> },
}
