//! The one suite that every connector must pass: each law of the contract, by name, against a real system.
//!
//! A connector's `tests/conformance.rs` (with `harness = false`) supplies a *bed*, which makes fresh systems with known
//! records, and hands it over:
//!
//! ```no_run
//! # struct MyBed;
//! # #[async_trait::async_trait]
//! # impl lockstep_conformance::TargetBed for MyBed {
//! #     fn name(&self) -> &str { "mine" }
//! #     async fn fresh(&self, _: &lockstep_conformance::Seed)
//! #         -> Result<Box<dyn lockstep_conformance::TargetRig>, String> { Err("no server".into()) }
//! # }
//! fn main() -> std::process::ExitCode {
//!     lockstep_conformance::target("mine", MyBed).run()
//! }
//! ```
//!
//! Every law is one test of that program. A law that does not apply to the connector, or that the bed cannot bring
//! about, is shown as ignored *with the reason*: a skip is never silent. The same laws are plain asynchronous
//! functions too ([`target_laws`], [`check_target`]), for `lockstep connector conform` and for tests of the suite.
//!
//! This crate must not know any connector.

#![forbid(unsafe_code)]

mod bed;
mod directory;
mod directory_bed;
mod law;
mod outcomes;
mod reading;
mod seed;
mod suite;
mod target;

pub use bed::{TargetBed, TargetRig, Trouble};
pub use directory::{DirectoryLaw, check_directory, directory_laws};
pub use directory_bed::{DirectoryBed, DirectoryRig, DirectorySeed, DirectoryTrouble, SeedGroup, SeedPerson};
pub use law::{Outcome, Report, Stop};
pub use outcomes::leave_outcomes;
pub use seed::{Seed, SeedCardholder, SeedLevel};
pub use suite::{Suite, directory, target};
pub use target::{TargetLaw, check_target, target_laws};
