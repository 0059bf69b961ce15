//! Drives a run: reads both sides whole, has the core plan and guard, applies what is approved one journaled intent at a
//! time, reads each back, and settles what a crash left open.
//!
//! It knows no connector and no database by name, decides nothing about people (the core does), and reads no clock but
//! the one it is handed.

#![forbid(unsafe_code)]

mod applying;
mod closing;
mod fresh;
mod fuse;
mod held;
mod judging;
pub mod layers;
mod lease;
mod lifting;
mod order;
mod planning;
mod reading;
mod returning;
mod sending;
mod settling;
mod store;
mod watch;

pub use applying::{apply, apply_beside, settle};
pub use fuse::fuse_ceiling;
pub use held::{HeldOut, Memory, held_out};
pub use order::{
    ActionReport, ApplyOrder, ApplyReport, Beside, Clock, Desk, Nobody, NotLifted, NotOurs, Observer, PlanOrder,
    Progress, RunError, TargetOrder, TargetReport,
};
pub use planning::{Planned, plan, plan_on};
pub use returning::{ReturnError, ReturnOrder, plan_return};
pub use store::{
    Epoch, Fuse, Intent, JournalEntry, LinkChange, NodeId, Observation, Outcome, Owed, RunKind, RunRecord, SpoolEntry,
    Store, StoreError, Watched,
};
pub use watch::{CarriedOut, Hands, Pass, Trouble, Watch, WatchOrder};
