//! Whole-engine simulation from one seed: crash sweep and fault swarm against an independent oracle.
//!
//! The real engine and the real core run on simulated systems and a simulated disk, on one thread and with paused
//! time. What happens follows from one number, so a failure is repeated by its seed.

#![forbid(unsafe_code)]

pub mod bench;
pub mod campus;
pub mod crash;
pub mod dice;
pub mod exile;
pub mod oracle;
pub mod planted;
pub mod swarm;
pub mod vigil;
pub mod watched;
mod weather;
