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

impl RunState {
    /// True when nothing more will happen to it.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Closed | Self::Abandoned => true,
            Self::Reading | Self::Staged | Self::Applying | Self::Paused => false,
        }
    }

    /// Its name, as it is stored and printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Staged => "staged",
            Self::Applying => "applying",
            Self::Paused => "paused",
            Self::Closed => "closed",
            Self::Abandoned => "abandoned",
        }
    }
}

impl RunEvent {
    /// Its name, as it is stored and printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Apply => "apply",
            Self::Pause => "pause",
            Self::Close => "close",
            Self::Abandon => "abandon",
        }
    }
}

/// Moves a run on. What ended stays ended, and what sent anything is never abandoned.
///
/// # Errors
/// When this event cannot happen in this state: a bug, or a second writer.
pub const fn next_run(state: RunState, event: RunEvent) -> Result<RunState, Illegal> {
    use RunEvent::{Abandon, Apply, Close, Pause, Stage};
    use RunState::{Abandoned, Applying, Closed, Paused, Reading, Staged};
    match (state, event) {
        (Reading, Stage) => Ok(Staged),
        // From `Applying`: the process died and a new one goes on.
        (Staged | Applying | Paused, Apply) => Ok(Applying),
        (Applying, Pause) => Ok(Paused),
        // Before anything was staged or sent: there was nothing to do.
        (Reading | Staged | Applying | Paused, Close) => Ok(Closed),
        (Reading | Staged, Abandon) => Ok(Abandoned),
        (Reading, Apply | Pause)
        | (Staged, Stage | Pause)
        | (Applying, Stage | Abandon)
        | (Paused, Stage | Pause | Abandon)
        | (Closed | Abandoned, Stage | Apply | Pause | Close | Abandon) => {
            Err(Illegal { state: state.as_str(), event: event.as_str() })
        }
    }
}

impl ActionState {
    /// Its name, as it is stored and printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Intended => "intended",
            Self::Acknowledged => "acknowledged",
            Self::Uncertain => "uncertain",
            Self::Refused => "refused",
            Self::Verified => "verified",
            Self::Diverged => "diverged",
            Self::Withdrawn => "withdrawn",
        }
    }

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

impl ActionEvent {
    /// Its name, as it is stored and printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intend => "intend",
            Self::Acknowledge => "acknowledge",
            Self::Doubt => "doubt",
            Self::Refuse => "refuse",
            Self::Verify => "verify",
            Self::Diverge => "diverge",
            Self::Withdraw => "withdraw",
        }
    }
}

/// Moves an action on. What is settled stays settled, and only a read-back makes it verified or diverged.
///
/// # Errors
/// When this event cannot happen in this state: a bug, or a second writer.
pub const fn next_action(state: ActionState, event: ActionEvent) -> Result<ActionState, Illegal> {
    use ActionEvent::{Acknowledge, Diverge, Doubt, Intend, Refuse, Verify, Withdraw};
    use ActionState::{Acknowledged, Diverged, Intended, Pending, Refused, Uncertain, Verified, Withdrawn};
    match (state, event) {
        (Pending | Intended | Uncertain, Intend) => Ok(Intended),
        (Intended, Acknowledge) => Ok(Acknowledged),
        // From `Uncertain`: the read-back failed, too. From `Acknowledged`: it was said yes to, but cannot be seen.
        (Intended | Uncertain | Acknowledged, Doubt) => Ok(Uncertain),
        // From `Uncertain`: a read-back shows the record as it was before, and it is not sent again.
        (Intended | Uncertain, Refuse) => Ok(Refused),
        // From `Intended`: after a crash, a read-back decides what became of it.
        (Intended | Acknowledged | Uncertain, Verify) => Ok(Verified),
        (Intended | Acknowledged | Uncertain, Diverge) => Ok(Diverged),
        // From `Intended`: the intent was durable, but nothing was sent.
        (Pending | Intended, Withdraw) => Ok(Withdrawn),
        (Pending, Acknowledge | Doubt | Refuse | Verify | Diverge)
        | (Acknowledged, Intend | Acknowledge | Refuse | Withdraw)
        | (Uncertain, Acknowledge | Withdraw)
        | (
            Refused | Verified | Diverged | Withdrawn,
            Intend | Acknowledge | Doubt | Refuse | Verify | Diverge | Withdraw,
        ) => Err(Illegal { state: state.as_str(), event: event.as_str() }),
    }
}

/// An event that cannot happen in this state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{event}` cannot happen to something that is {state}")]
pub struct Illegal {
    /// The state.
    pub state: &'static str,
    /// The event.
    pub event: &'static str,
}
