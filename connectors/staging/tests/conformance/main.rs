//! The connector examined by the common suite: on drop folders with importers of several habits, and on a real
//! PostgreSQL.

mod database;
mod folder;
mod wire;

use std::process::ExitCode;

use lockstep_staging::Consumed;
use lockstep_testbed::postgres::Postgres;

fn main() -> ExitCode {
    let mut suite = lockstep_conformance::target("genetec-files", folder::FolderBed::new("genetec"))
        .and(lockstep_conformance::target("csv-files", folder::FolderBed::new("generic-csv")))
        .and(lockstep_conformance::target("xml-files", folder::FolderBed::new("generic-xml")));
    // A server is only asked for where it is there, or where it is demanded.
    if Postgres::is_installed() || std::env::var_os("TESTBED_REAL_SERVERS").is_some_and(|value| value == "1") {
        let server = database::Server::default();
        for (name, consumed) in [("outbox-state", Consumed::State), ("outbox-deleted", Consumed::Deleted)] {
            let bed = database::DatabaseBed { server: server.clone(), profile: "genetec", consumed };
            suite = suite.and(lockstep_conformance::target(name, bed));
        }
    }
    suite.run()
}
