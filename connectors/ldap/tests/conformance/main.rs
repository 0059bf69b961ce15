//! The connector examined by the common suite, on a real OpenLDAP and a real Active Directory (Samba).

#[path = "../common/mod.rs"]
mod common;
mod openldap;
mod samba;

use std::process::ExitCode;

fn main() -> ExitCode {
    // A bed is only asked for where its server is there, or where it is demanded.
    let mut suites = Vec::new();
    if common::servers_are_demanded() || openldap::is_installed() {
        suites.push(lockstep_conformance::directory("openldap", openldap::Bed));
    }
    if common::servers_are_demanded() || samba::is_installed() {
        suites.push(lockstep_conformance::directory("samba", samba::Bed));
    }
    match suites.into_iter().reduce(lockstep_conformance::Suite::and) {
        Some(suite) => suite.run(),
        None => ExitCode::SUCCESS,
    }
}
