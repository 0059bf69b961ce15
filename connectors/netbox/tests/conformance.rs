//! The connector under the suite that every target must pass, on a simulated NetBox.

use std::process::ExitCode;

use lockstep_netbox::simulator::Simulator;
use lockstep_simulator::{Bed, opener};

fn main() -> ExitCode {
    lockstep_conformance::target("netbox", Bed::new("netbox", Simulator::new, opener!(lockstep_netbox))).run()
}
