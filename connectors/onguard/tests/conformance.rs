//! The connector under the suite that every target must pass, on a simulated OnGuard.

use std::process::ExitCode;

use lockstep_onguard::simulator::Simulator;
use lockstep_simulator::{Bed, opener};

fn main() -> ExitCode {
    lockstep_conformance::target("onguard", Bed::new("onguard", Simulator::new, opener!(lockstep_onguard))).run()
}
