//! The conformance suite against a simulated Command Centre.

use std::process::ExitCode;

use lockstep_gallagher::simulator::Simulator;
use lockstep_simulator::{Bed, opener};

fn main() -> ExitCode {
    lockstep_conformance::target("gallagher", Bed::new("gallagher", Simulator::new, opener!(lockstep_gallagher))).run()
}
