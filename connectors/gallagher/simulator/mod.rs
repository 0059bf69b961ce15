//! A Command Centre server in memory, as strict as the real one: what it refuses, this refuses, with its words where
//! they are known. Made for rehearsals and tests; it opens no door.

mod behind;
mod feed;
mod search;
mod seeding;
mod show;
mod state;
mod write;

use std::sync::{Mutex, MutexGuard, PoisonError};

use lockstep_conformance::{Seed, Trouble};
use lockstep_contract::{AccessLevelId, Cardholder, CardholderId};
use lockstep_simulator::{Purpose, Reply, Request, Vendor};
use serde_json::json;

use search::{bad, refusal};
pub use state::{Card, CardType, Change, Division, Field, Group, Holder, Id, Membership, Rights, State};

/// The key that the simulated server accepts.
pub const KEY: &str = "C774-33B2-0001-0002-0003-0004-0005-0006";
/// The cardholder that our key acts for.
const OPERATOR: Id = 12;
/// Somebody else with a workstation.
const OTHER_OPERATOR: Id = 11;
/// The access group that carries the personal data fields.
const HOME: Id = 900;

/// A simulated Command Centre server.
#[derive(Debug)]
pub struct Simulator {
    state: Mutex<State>,
    door: Mutex<Door>,
    levels: Vec<Id>,
}

/// What stands before the data: who is let in, and what is told about the server.
#[derive(Debug, Clone)]
struct Door {
    key: String,
    /// The REST Client item is disabled.
    disabled: bool,
    version: String,
    /// From version 8.30.
    feed: bool,
    /// Alarms that refused keys have raised.
    alarms: usize,
    /// Links lead there instead of where the request was sent.
    links_to: Option<String>,
    /// Links carry a query of their own.
    decorated: bool,
}

impl Simulator {
    /// A server with these records.
    pub fn new(seed: &Seed) -> Self {
        let (state, levels) = seeding::state(seed);
        let door = Door {
            key: KEY.to_owned(),
            disabled: false,
            version: "9.10.1234.0".to_owned(),
            feed: true,
            alarms: 0,
            links_to: None,
            decorated: false,
        };
        Self { state: Mutex::new(state), door: Mutex::new(door), levels }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn door(&self) -> MutexGuard<'_, Door> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Key first, then whether the client is enabled; each refusal raises an alarm.
    fn admit(&self, request: &Request) -> Result<Door, Reply> {
        let mut door = self.door();
        let right = format!("GGL-API-KEY {}", door.key);
        if request.header("authorization") != Some(right.as_str()) {
            door.alarms += 1;
            return Err(refusal(401, "Invalid API key"));
        }
        if door.disabled {
            door.alarms += 1;
            let reply = refusal(401, "Not authorised");
            return Err(reply.header("X-Authentication-Message", "The REST Client item is disabled"));
        }
        Ok(door.clone())
    }

    fn route(&self, request: &Request, trouble: Option<Trouble>) -> Reply {
        let door = match self.admit(request) {
            Ok(door) => door,
            Err(refused) => return refused,
        };
        // Links follow the name by which the caller knows this server.
        let host = request.header("host").map_or_else(|| request.root.clone(), |host| format!("http://{host}"));
        let root = door.links_to.clone().unwrap_or(host);
        let pieces = request.pieces();
        match (request.method.as_str(), pieces.as_slice()) {
            ("GET", ["api"]) => self.front_page(&door, &root),
            (_, ["api"]) => refusal(405, "Method not allowed"),
            (_, ["api", ..]) if !self.lock().rights.licensed => refusal(403, "feature not licensed"),
            ("GET", ["api", "cardholders"]) => {
                let trouble = search::Trouble {
                    unfiltered: trouble == Some(Trouble::IgnoredFilter),
                    repeated: trouble == Some(Trouble::RepeatedPage),
                };
                search::cardholders(&self.lock(), &root, request, trouble)
            }
            ("POST", ["api", "cardholders"]) => self.create(&root, request),
            ("GET", ["api", "cardholders", "changes"]) if door.feed => feed::changes(&self.lock(), &root, request),
            ("GET", ["api", "cardholders", id]) => self.read(&root, id, request),
            ("PATCH", ["api", "cardholders", id]) => self.patch(&root, id, request),
            ("DELETE", ["api", "cardholders", ..]) => refusal(403, "The operator may not delete cardholders"),
            ("GET", ["api", "access_groups"]) => self.groups(&root, request),
            ("GET", ["api", "personal_data_fields"]) => self.fields(&root, request),
            ("GET", ["api", "divisions", "view_cardholders"]) => self.divisions(&root, request),
            ("GET", ["api", "card_types", "assign"]) => self.card_types(&root, request),
            ("GET", _) => refusal(404, "The requested item does not exist"),
            _ => refusal(405, "Method not allowed"),
        }
    }

    fn front_page(&self, door: &Door, root: &str) -> Reply {
        let mut features = json!({});
        if self.lock().rights.licensed {
            let link = |path: &str| {
                let query = if door.decorated { "?v=1" } else { "" };
                json!({ "href": format!("{root}/api/{path}{query}") })
            };
            features = json!({
                "cardholders": { "cardholders": link("cardholders") },
                "accessGroups": { "accessGroups": link("access_groups") },
                "cardTypes": { "cardTypes": link("card_types"), "assign": link("card_types/assign") },
                "personalDataFields": { "personalDataFields": link("personal_data_fields") },
                "items": { "divisions": link("divisions/view_cardholders") },
            });
            if door.feed {
                features["cardholders"]["changes"] = link("cardholders/changes");
            }
        }
        Reply::json(200, &json!({ "version": door.version, "features": features }))
    }

    fn read(&self, root: &str, id: &str, request: &Request) -> Reply {
        let state = self.lock();
        let id = id.parse::<Id>().ok();
        let found = id.and_then(|id| Some((id, state.holders.get(&id).filter(|one| state.visible(one))?)));
        let Some((id, holder)) = found else { return refusal(404, "The requested item does not exist") };
        let wanted = show::detail_fields(request.parameter("fields").as_deref());
        Reply::json(200, &show::holder(&state, root, id, holder, &wanted))
    }

    fn create(&self, root: &str, request: &Request) -> Reply {
        let mut state = self.lock();
        match write::create(&mut state, root, &request.json()) {
            Err((status, message)) => refusal(status, &message),
            Ok((id, holder)) => {
                state.put(id, holder, true);
                Reply::empty(201).header("location", format!("{root}/api/cardholders/{id}"))
            }
        }
    }

    fn patch(&self, root: &str, id: &str, request: &Request) -> Reply {
        let mut state = self.lock();
        let id = id.parse::<Id>().ok();
        let visible = id.filter(|id| state.holders.get(id).is_some_and(|one| state.visible(one)));
        let Some(id) = visible else { return refusal(404, "The requested item does not exist") };
        match write::patch(&mut state, root, id, &request.json()) {
            Err((status, message)) => refusal(status, &message),
            Ok(holder) => {
                state.put(id, holder, true);
                Reply::empty(204)
            }
        }
    }

    fn groups(&self, root: &str, request: &Request) -> Reply {
        let state = self.lock();
        let hidden = &state.rights.hidden_groups;
        let seen = state.groups.iter().filter(|(id, _)| !hidden.contains(id));
        let all: Vec<(Id, String)> = seen.map(|(id, group)| (*id, group.name.clone())).collect();
        let shown = |id, wanted: &show::Wanted| show::group(&state, root, id, wanted);
        search::items(root, request, "/api/access_groups", &all, &shown, &["href", "id", "name"])
    }

    fn fields(&self, root: &str, request: &Request) -> Reply {
        let state = self.lock();
        let all: Vec<(Id, String)> = state.fields.iter().map(|(id, field)| (*id, field.name.clone())).collect();
        let shown = |id, wanted: &show::Wanted| show::field(&state, root, id, wanted);
        search::items(root, request, "/api/personal_data_fields", &all, &shown, &["href", "id", "name"])
    }

    fn divisions(&self, root: &str, request: &Request) -> Reply {
        let state = self.lock();
        let all: Vec<(Id, String)> = state.divisions.iter().map(|(id, of)| (*id, of.name.clone())).collect();
        let shown = |id, _: &show::Wanted| show::division(&state, root, id);
        search::items(root, request, "/api/divisions/view_cardholders", &all, &shown, &[])
    }

    fn card_types(&self, root: &str, request: &Request) -> Reply {
        let state = self.lock();
        let may = state.rights.card_types;
        let seen = state.card_types.iter().filter(|_| may);
        let all: Vec<(Id, String)> = seen.map(|(id, of)| (*id, of.name.clone())).collect();
        let shown = |id, wanted: &show::Wanted| show::card_type(&state, root, id, wanted);
        search::items(root, request, "/api/card_types/assign", &all, &shown, &["href", "id", "name"])
    }
}

impl Vendor for Simulator {
    fn answer(&self, request: &Request, trouble: Option<Trouble>) -> Reply {
        match trouble {
            Some(Trouble::Refuse) => bad("The cardholder does not meet the rules of this site"),
            Some(Trouble::Deny) => refusal(403, "The operator does not have the privilege"),
            Some(Trouble::Unauthenticated) => refusal(401, "Invalid API key"),
            Some(Trouble::Throttle) => {
                refusal(429, "Too many requests").header("retry-after", Trouble::THROTTLE_WAIT.as_secs().to_string())
            }
            _ => self.route(request, trouble),
        }
    }

    fn purpose(&self, request: &Request) -> Purpose {
        match (request.method.as_str(), request.pieces().as_slice()) {
            ("GET", ["api"]) => Purpose::Session,
            ("GET", ["api", "cardholders"]) => {
                if search::Query::of(request).looks_for_somebody() {
                    Purpose::Search
                } else {
                    Purpose::List
                }
            }
            ("GET", ["api", "cardholders", ..]) => Purpose::Read,
            ("GET", _) => Purpose::Catalog,
            _ => Purpose::Write,
        }
    }

    fn cannot(&self, trouble: Trouble) -> Option<String> {
        (trouble == Trouble::ShortList).then(|| {
            "Command Centre does not tell how many cardholders there are, so a short list has no count to miss"
                .to_owned()
        })
    }

    fn record(&self, id: &CardholderId) -> Option<Cardholder> {
        let state = self.lock();
        let number = id.as_str().strip_prefix("/api/cardholders/")?.parse().ok()?;
        Some(seeding::record(&state, number, state.holders.get(&number)?))
    }

    fn cardholders(&self) -> Vec<CardholderId> {
        self.lock().order.iter().map(|id| seeding::cardholder_id(*id)).collect()
    }

    fn levels(&self) -> Vec<AccessLevelId> {
        self.levels.iter().map(|id| seeding::level_id(*id)).collect()
    }

    fn settings(&self, root: &str) -> String {
        seeding::settings(root)
    }

    fn minimum(&self, people: usize, changes: usize) -> Option<usize> {
        // `/api`, the ids of the personal data fields, a bookmark, the pages, and what changed since the bookmark.
        Some(4 + people.div_ceil(10_000).max(1) + 3 * changes)
    }

    fn secrets(&self) -> Vec<(&'static str, String)> {
        vec![(seeding::KEY_NAME, self.door().key.clone())]
    }
}
