//! The laws of the contract, examined on a simulator in several dialects and on real servers of other people.

mod bed;
mod front;
mod memory;
mod wire;

use std::process::ExitCode;

use bed::{Backend, Bed};
use lockstep_conformance::target;
use lockstep_testbed::scim::{ScimKind, ScimServer, real_servers_are_demanded};
use memory::Dialect;

fn main() -> ExitCode {
    let plain = Dialect::default();
    let simulated = |name: &str, dialect: Dialect| target(name, Bed::new(name, Backend::Memory(dialect)));
    let mut suite = simulated("simulator", plain)
        .and(simulated("simulator-without-patch", Dialect { patch: false, etag: true, ..plain }))
        .and(simulated("simulator-without-filters", Dialect { filter: false, ..plain }))
        .and(simulated("simulator-by-cursor", Dialect { cursor: true, user_groups: true, ..plain }))
        .and(simulated("simulator-that-says-little", Dialect { describes: false, bare_lists: true, ..plain }));
    for (name, kind) in [
        ("scim2-server", ScimKind::Scim2),
        ("scim2-server-by-cursor", ScimKind::Scim2Cursor),
        ("scimmy", ScimKind::Scimmy),
    ] {
        match ScimServer::start(kind) {
            Ok(Some(server)) => suite = suite.and(target(name, Bed::new(name, Backend::Real(server)))),
            Ok(None) if real_servers_are_demanded() => return missing(name, "it is not installed"),
            Ok(None) => skipped(name),
            Err(why) => return missing(name, &why),
        }
    }
    suite.run()
}

#[expect(clippy::print_stderr, reason = "a skip must be seen, and the harness has no name for a whole server")]
fn skipped(name: &str) {
    eprintln!("SKIPPED {name}: not installed; run tests/support/install-scim");
}

#[expect(clippy::print_stderr, reason = "the harness has not begun yet")]
fn missing(name: &str, why: &str) -> ExitCode {
    eprintln!("FAILED {name}: {why}");
    ExitCode::FAILURE
}
