//! What the simulators of vendors' servers share: an HTTP server on loopback, trouble on demand, and a bed for the
//! conformance suite. A vendor's own rules (paths, quirks, words of refusal) are its [`Vendor`], in the connector's crate.
//!
//! Nothing here may be used by a connector to reach a real system.

#![forbid(unsafe_code)]

mod bed;
mod message;
mod pieces;
mod server;
mod vendor;

pub use bed::{Bed, Opener, Rig};
pub use message::{Reply, Request};
pub use server::{Mishap, Server, When};
pub use vendor::{Purpose, Vendor};
