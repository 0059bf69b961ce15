//! The harm table: each test is a row, a trouble that a real directory or a real PACS gets into. Each begins on a healthy,
//! settled site where people are linked and could lose access; then the trouble comes, and `plan` and `sync` run into it.
//! Nobody may lose access, neither in the plan nor on the PACS, and the exit code must say that somebody has to look. Only
//! where one group of several is in doubt, those whom it concerns keep what they have and the rest of the run goes on.

mod active_directory;
mod campus;
mod directory;
mod domain;
mod groups;
mod pacs;
mod site;
mod watching;

use lockstep_testbed::scim::real_servers_are_demanded;

/// Says that a row is left out because its server is not installed; a failure where it is demanded.
#[expect(clippy::print_stderr, reason = "a skip is never silent")]
fn skip() {
    assert!(!real_servers_are_demanded(), "the server is not installed");
    eprintln!("SKIPPED: the server is not installed");
}

/// The server, or the end of the row.
#[macro_export]
macro_rules! or_skip {
    ($start:expr) => {
        match $start {
            Some(started) => started,
            None => return $crate::skip(),
        }
    };
}
