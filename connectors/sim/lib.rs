//! A simulated PACS in one file, and a simulated directory, with faults on demand.
//!
//! Three uses, one implementation: a PACS to try Lockstep on without hardware (`kind = "sim"`), the systems of the
//! simulation tests, and the first bed of the conformance suite. The simulation is honest by default; every
//! misbehaviour is asked for by name through [`Faults`].
//!
//! This crate must not decide anything, and no operation of it opens a door: doors are names here.

#![forbid(unsafe_code)]

mod applying;
mod by_hand;
mod changes;
mod config;
mod directory;
mod faults;
mod file;
mod pacs;
mod world;

pub use by_hand::SimByHand as ByHand;
pub use config::Config;
pub use directory::{DirectoryWorld, GroupView, SimDirectory, SimGroup};
pub use faults::{Faults, Mishap, Operation};
pub use pacs::{Sim, open, standard_capabilities};
pub use world::{Rejection, World};
