//! A server like OnGuard's OpenAccess, in memory: its types, filters, pages, refusals and quirks. It is strict where the real
//! one is, and never guesses in the connector's favour. It shares no code with the connector.

mod answers;
mod filter;
mod operators;
mod records;
mod state;
mod table;
mod types;
mod writes;

use std::sync::{Mutex, MutexGuard, PoisonError};

use lockstep_conformance::{Seed, Trouble};
use lockstep_contract::{AccessLevelId, Cardholder, CardholderId};
use lockstep_simulator::{Purpose, Reply, Request, Vendor};

pub use operators::Limits;
use state::State;

/// Where OpenAccess is on the server.
pub const BASE: &str = "/api/access/onguard/openaccess";
/// The application id that the licence lists.
pub const APPLICATION_ID: &str = "LOCKSTEP_CONNECTOR";
/// The OnGuard user.
pub const USER_NAME: &str = "svc-lockstep";
/// Their password.
pub const PASSWORD: &str = "0nGuard-simulated-Passw0rd";

/// An OnGuard server.
#[derive(Debug)]
pub struct Simulator {
    state: Mutex<State>,
}

impl Simulator {
    /// A server with these records.
    pub fn new(seed: &Seed) -> Self {
        Self { state: Mutex::new(State::seeded(seed)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vendor for Simulator {
    fn answer(&self, request: &Request, trouble: Option<Trouble>) -> Reply {
        answers::answer(&mut self.state(), request, trouble)
    }

    fn purpose(&self, request: &Request) -> Purpose {
        answers::purpose(request)
    }

    fn record(&self, id: &CardholderId) -> Option<Cardholder> {
        records::record(&self.state(), id)
    }

    fn cardholders(&self) -> Vec<CardholderId> {
        self.state().cardholders()
    }

    fn levels(&self) -> Vec<AccessLevelId> {
        self.state().levels()
    }

    fn settings(&self, root: &str) -> String {
        format!(
            r#"url = "{root}{BASE}"
application_id = "{APPLICATION_ID}"
user_name = "{USER_NAME}"
password = "env:ONGUARD_PASSWORD"
page_size = 10
keys.employee = "SSNO"
keys.directory = "LOCKSTEPID"
keys.mail = "EMAIL"
fields.given_name = "FIRSTNAME"
fields.family_name = "LASTNAME"
fields.mail = {{ property = "EMAIL", chars_max = 80 }}
fields.phone = {{ property = "OPHONE", chars_max = 32 }}
fields.department = "UDF_DEPARTMENT"
fields.title = "UDF_TITLE"
badge_status.switched_off = "Switched off by Lockstep"
badge_status.disabled = ["Suspended by security"]
"#
        )
    }

    fn minimum(&self, _people: usize, changes: usize) -> Option<usize> {
        // The log-in; three types and the badge statuses, without which nothing that is read has a meaning; the three lists,
        // by pages of a hundred. A change is a read (cardholder, badges, levels of the badge), one request, and a read; the
        // first one asks for the limits of the site, too.
        let pages = self.state().pages(100);
        Some(5 + pages + usize::from(changes > 0) + 7 * changes)
    }

    fn secrets(&self) -> Vec<(&'static str, String)> {
        vec![("ONGUARD_PASSWORD", PASSWORD.to_owned())]
    }
}
