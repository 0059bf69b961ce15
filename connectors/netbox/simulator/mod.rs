//! A NetBox in memory, by the published rules of NBAPI v2 and in its words; for tests and rehearsals. It shares no code
//! with the connector, and refuses what a NetBox refuses.

mod answers;
mod cards;
mod levels;
mod node;
mod people;
mod record;
mod seeding;
mod world;

use std::sync::{Mutex, MutexGuard, PoisonError};

use lockstep_conformance::{Seed, Trouble};
use lockstep_contract::{AccessLevelId, Cardholder, CardholderId};
use lockstep_simulator::{Purpose, Reply, Request, Vendor};

use node::Node;
use world::World;

pub use world::{Card, EmptyList, Level, Person, Rules};

/// The user that a simulator knows.
pub const USER: &str = "lockstep";
/// The password of that user.
pub const PASSWORD: &str = "netbox-simulator-password";
/// The zone of the controller. Its clocks change on other nights than those of Europe and America.
pub const ZONE: &str = "Australia/Sydney";

const PATH: &str = "/nbws/goforms/nbapi";
const OLD_PATH: &str = "/goforms/nbapi";

/// A NetBox.
#[derive(Debug)]
pub struct Simulator {
    world: Mutex<World>,
}

impl Simulator {
    /// A NetBox with these records.
    ///
    /// # Panics
    /// When this machine has no time zones.
    pub fn new(seed: &Seed) -> Self {
        Self { world: Mutex::new(seeding::world(seed)) }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes how this NetBox behaves: its version, its settings, its quirks.
    pub fn rules(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.world().rules);
    }

    /// Ends every session.
    pub fn end_sessions(&self) {
        self.world().sessions.clear();
    }

    /// How many sessions are open.
    pub fn sessions(&self) -> usize {
        self.world().sessions.len()
    }

    /// Another operator edits a person, behind everybody's back. Says whether there is one.
    pub fn edit(&self, id: &str, change: impl FnOnce(&mut Person)) -> bool {
        self.world().edit(id, "_operator", change)
    }

    /// A person as they are, deleted or not.
    pub fn person(&self, id: &str) -> Option<Person> {
        self.world().person(id).cloned()
    }

    /// Another operator deletes a person: levels and cards are gone with it.
    pub fn delete(&self, id: &str) -> bool {
        self.edit(id, Person::delete)
    }

    /// Another operator adds a level; its key.
    pub fn add_level(&self, name: &str, partition: u64) -> u64 {
        self.world().add_level(name, partition)
    }

    /// Another operator renames a level.
    pub fn rename_level(&self, key: u64, name: &str) {
        self.world().rename_level(key, name);
    }

    /// The key of the level of this name in the first partition.
    pub fn level_key(&self, name: &str) -> Option<u64> {
        self.world().level_named(name, 1)
    }

    /// Another operator adds a person in some partition. Says whether the id was free.
    pub fn add_person(&self, id: &str, last_name: &str, partition: u64) -> bool {
        let mut person = Person::new(id, partition);
        person.fields.insert("LASTNAME", last_name.to_owned());
        self.world().insert(person)
    }

    /// How many people there are, deleted ones too.
    pub fn count(&self) -> usize {
        self.world().count()
    }
}

impl Vendor for Simulator {
    fn answer(&self, request: &Request, trouble: Option<Trouble>) -> Reply {
        let mut world = self.world();
        let expected = if world.rules.old { OLD_PATH } else { PATH };
        if request.path() != expected {
            return Reply::empty(if request.path() == OLD_PATH { 410 } else { 404 });
        }
        if request.method != "POST" {
            return Reply::empty(405);
        }
        if trouble == Some(Trouble::Throttle) {
            // Not the NetBox, which knows no such thing: a gateway in front of it.
            return Reply::empty(429).header("retry-after", Trouble::THROTTLE_WAIT.as_secs().to_string());
        }
        Reply::text(200, "text/xml", answers::answer(&mut world, request, trouble))
    }

    fn purpose(&self, request: &Request) -> Purpose {
        let Some(root) = Node::read(&request.text()) else { return Purpose::Session };
        let Some(command) = root.child("COMMAND") else { return Purpose::Session };
        let params = command.child("PARAMS");
        let filtered = || {
            let only_paging = ["DELETED", "WANTCREDENTIALID", "STARTFROMKEY", "NUMTORETURN", "ACCESSLEVELDETAILS"];
            params.is_some_and(|params| params.children.iter().any(|param| !only_paging.contains(&&*param.name)))
        };
        match command.attribute("name").unwrap_or_default() {
            "GetPerson" => Purpose::Read,
            "SearchPersonData" if !filtered() => Purpose::List,
            "SearchPersonData" | "GetCardAccessDetails" => Purpose::Search,
            "GetAccessLevels" | "GetCardFormats" | "GetPartitions" => Purpose::Catalog,
            name if ["Add", "Modify", "Remove"].iter().any(|verb| name.starts_with(verb)) => Purpose::Write,
            _ => Purpose::Session,
        }
    }

    fn cannot(&self, trouble: Trouble) -> Option<String> {
        (trouble == Trouble::ShortList).then(|| "NBAPI sends no count of the people there are".to_owned())
    }

    fn record(&self, id: &CardholderId) -> Option<Cardholder> {
        let world = self.world();
        let person = world.person(id.as_str()).filter(|person| !person.deleted)?;
        Some(record::record(&world, person))
    }

    fn cardholders(&self) -> Vec<CardholderId> {
        let world = self.world();
        world.all().filter(|person| !person.deleted).filter_map(|person| CardholderId::new(&*person.id).ok()).collect()
    }

    fn levels(&self) -> Vec<AccessLevelId> {
        let world = self.world();
        let levels = world.levels.iter().filter(|(_, level)| level.partition == 1);
        levels.filter_map(|(key, level)| AccessLevelId::new(format!("{key}:{}", level.name)).ok()).collect()
    }

    fn settings(&self, root: &str) -> String {
        // Small pages for few people, so that a test sees more than one.
        let page_size = if self.count() <= 500 { 10 } else { 1000 };
        format!(
            "url = \"{root}\"\n\
             user = \"{USER}\"\n\
             password = \"env:NETBOX_PASSWORD\"\n\
             time_zone = \"{ZONE}\"\n\
             suspension_field = \"UDF20\"\n\
             page_size = {page_size}\n\
             {}",
            seeding::PLACES
        )
    }

    fn minimum(&self, people: usize, changes: usize) -> Option<usize> {
        // The log-in; the levels, without which the names that people hold have no keys; people by the thousand. A
        // change is a read, one command and a read.
        let levels = self.world().levels.len().div_ceil(levels::PAGE).max(1);
        Some(1 + levels + people.div_ceil(1000).max(1) + 3 * changes)
    }

    fn secrets(&self) -> Vec<(&'static str, String)> {
        vec![("NETBOX_PASSWORD", PASSWORD.to_owned())]
    }
}
