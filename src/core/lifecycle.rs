//! What a run and an action go through, as pure functions. The store persists the event, then the state; the engine has
//! no other notion of progress.

use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Both sides are being read.
    Reading,
    /// The plan is written and synced.
    Staged,
    /// The first intent was made durable.
    Applying,
    /// Stopped in the middle: the fuse is open, or a target is down.
    Paused,
    /// Every action is settled.
    Closed,
    /// Ended before anything was sent.
    Abandoned,
}

/// What happens to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEvent {
    /// The plan was written.
    Stage,
    /// Applying begins, or begins again.
    Apply,
    /// Applying stopped in the middle.
    Pause,
    /// Everything is settled, or there was nothing to do.
    Close,
    /// Given up before anything was sent.
    Abandon,
}

/// Where an action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionState {
    /// Approved, nothing sent.
    Pending,
    /// Intent and before-image are durable; it may have been sent.
    Intended,
    /// The system said yes; not read back yet.
    Acknowledged,
    /// The answer was lost; only a read can tell.
    Uncertain,
    /// The system said no; no effect.
    Refused,
    /// Read back as expected. Only this counts as done.
    Verified,
    /// Read back, and not as expected.
    Diverged,
    /// Not sent: the record changed since, the fuse is open, or the plan was superseded.
    Withdrawn,
}

impl ActionState {
    /// True when nothing more will happen to it.
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Refused | Self::Verified | Self::Diverged | Self::Withdrawn => true,
            Self::Pending | Self::Intended | Self::Acknowledged | Self::Uncertain => false,
        }
    }
}

/// What happens to an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionEvent {
    /// Intent and before-image were made durable. From `Intended` or `Uncertain`: it is sent again, after a read-back
    /// showed the record as it was before.
    Intend,
    /// The system said yes.
    Acknowledge,
    /// The answer was lost.
    Doubt,
    /// The system said no, or nothing was sent.
    Refuse,
    /// The read-back is as expected.
    Verify,
    /// The read-back is not as expected.
    Diverge,
    /// Not sent, and it will not be.
    Withdraw,
}

/// An event that cannot happen in this state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{event} cannot happen to something that is {state}")]
pub struct Illegal {
    /// The state.
    pub state: &'static str,
    /// The event.
    pub event: &'static str,
}
