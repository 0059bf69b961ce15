//! What the simulators of vendors' servers share: an HTTP server on loopback, trouble on demand, and a bed for the
//! conformance suite. A vendor's own rules (paths, quirks, words of refusal) are its [`Vendor`], in the connector's crate.
//!
//! Nothing here may be used by a connector to reach a real system.

#![forbid(unsafe_code)]

mod bed;
mod decoy;
mod dice;
mod economy;
mod edit;
mod message;
mod pieces;
mod rehearsal;
mod server;
mod sweep;
mod timeouts;
mod vendor;
mod world;

pub use bed::{Bed, Opener, Rig, settings};
pub use economy::{Count, Economy, economy};
pub use edit::Edit;
pub use message::{Reply, Request};
pub use rehearsal::{Beginning, Rehearsal, Rehearse, rehearse};
pub use server::{Mishap, Server, Watcher, When};
pub use sweep::{Finding, Report, Sweep, Swept};
pub use timeouts::landed_timeouts;
pub use vendor::{Purpose, Vendor};
pub use world::world;
