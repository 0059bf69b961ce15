//! The simulated systems under the suite that every connector must pass.

mod beds;

use std::process::ExitCode;

use beds::{PacsBed, PeopleBed};

fn main() -> ExitCode {
    let target = lockstep_conformance::target("sim", PacsBed);
    target.and(lockstep_conformance::directory("sim-directory", PeopleBed)).run()
}
