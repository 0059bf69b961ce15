//! A vendor that is easy to get along with: JSON, pages of ten with a count and a link, one record for each person.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lockstep_conformance::{Seed, Trouble};
use lockstep_contract::{
    AccessLevelId, Cardholder, CardholderId, CorrelationKey, FieldName, KeyKind, Profile, Status, Validity, field,
};
use lockstep_simulator::{Purpose, Reply, Request, Vendor};
use serde_json::{Value, json};

pub(crate) const KEY: &str = "toy-key-5ecret";
const PAGE: usize = 10;

#[derive(Debug, Clone, Default)]
struct Person {
    employee: String,
    name: String,
    title: String,
    active: bool,
    levels: BTreeSet<String>,
}

pub(crate) struct Toy {
    people: Mutex<BTreeMap<u32, Person>>,
    levels: Vec<String>,
}

impl Toy {
    pub(crate) fn new(seed: &Seed) -> Self {
        let people = seed.cardholders.iter().enumerate().map(|(n, seeded)| {
            let field = |name| seeded.profile.get(name).unwrap_or_default().to_owned();
            let person = Person {
                employee: field(field::EMPLOYEE_NUMBER),
                name: field(field::DISPLAY_NAME),
                title: field(field::TITLE),
                active: seeded.status == Status::Active,
                levels: seeded.levels.iter().map(|nth| format!("L{nth}")).collect(),
            };
            (100 + n as u32, person)
        });
        Self { people: Mutex::new(people.collect()), levels: seed.levels.iter().map(|it| it.name.clone()).collect() }
    }

    fn people(&self) -> MutexGuard<'_, BTreeMap<u32, Person>> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self, request: &Request, trouble: Option<Trouble>) -> Reply {
        let people = self.people();
        if let Some(employee) = request.parameter("employee") {
            let matching = people.iter().filter(|(_, one)| one.employee == employee);
            let found: Vec<Value> = matching.map(|(id, one)| shown(*id, one)).collect();
            return Reply::json(200, &json!({"people": found, "total": found.len()}));
        }
        let page: usize = request.parameter("page").and_then(|page| page.parse().ok()).unwrap_or(0);
        let short = usize::from(trouble == Some(Trouble::ShortList));
        let items: Vec<Value> =
            people.iter().skip(page * PAGE).take(PAGE - short).map(|(id, one)| shown(*id, one)).collect();
        let more = (page + 1) * PAGE < people.len();
        let next = more.then(|| format!("{}/people?page={}", request.root, page + 1));
        Reply::json(200, &json!({"people": items, "total": people.len(), "next": next}))
    }

    fn change(&self, id: u32, body: &Value) -> Reply {
        let mut people = self.people();
        let Some(person) = people.get_mut(&id) else { return missing() };
        let listed = |name: &str| -> Vec<String> {
            let list = body[name].as_array().cloned().unwrap_or_default();
            list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let known = |level: &String| self.levels.len() > level[1..].parse().unwrap_or(usize::MAX);
        if !listed("add").iter().all(known) {
            return Reply::json(400, &json!({"error": "no such level"}));
        }
        person.levels.extend(listed("add"));
        for level in listed("remove") {
            person.levels.remove(&level);
        }
        if let Some(active) = body["active"].as_bool() {
            person.active = active;
        }
        if let Some(title) = body["title"].as_str() {
            title.clone_into(&mut person.title);
        }
        Reply::json(200, &shown(id, person))
    }

    fn create(&self, body: &Value) -> Reply {
        let mut people = self.people();
        let id = people.last_key_value().map_or(100, |(id, _)| id + 1);
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (employee, name, title) = (text("employee"), text("name"), text("title"));
        let person = Person { employee, name, title, active: true, ..Person::default() };
        let reply = Reply::json(201, &shown(id, &person));
        people.insert(id, person);
        reply
    }
}

fn shown(id: u32, person: &Person) -> Value {
    json!({
        "id": id.to_string(), "employee": person.employee, "name": person.name, "title": person.title,
        "active": person.active, "levels": person.levels,
    })
}

fn missing() -> Reply {
    Reply::json(404, &json!({"error": "no such person"}))
}

impl Vendor for Toy {
    fn answer(&self, request: &Request, trouble: Option<Trouble>) -> Reply {
        if request.header("x-key") != Some(KEY) || trouble == Some(Trouble::Unauthenticated) {
            return Reply::json(401, &json!({"error": "who are you?"}));
        }
        match trouble {
            Some(Trouble::Deny) => return Reply::json(403, &json!({"error": "not for you"})),
            Some(Trouble::Throttle) => return Reply::json(429, &json!({})).header("retry-after", "7"),
            Some(Trouble::Refuse) => return Reply::json(400, &json!({"error": "no"})),
            _ => {}
        }
        let pieces = request.pieces();
        let id = pieces.get(1).and_then(|id| id.parse::<u32>().ok());
        match (request.method.as_str(), pieces[0], id) {
            ("GET", "levels", None) => {
                let levels: Vec<Value> = self
                    .levels
                    .iter()
                    .enumerate()
                    .map(|(n, name)| json!({"id": format!("L{n}"), "name": name}))
                    .collect();
                Reply::json(200, &json!({"levels": levels}))
            }
            ("GET", "people", Some(id)) => {
                self.people().get(&id).map_or_else(missing, |one| Reply::json(200, &shown(id, one)))
            }
            ("GET", "people", None) if pieces.len() == 1 => self.list(request, trouble),
            ("POST", "people", None) => self.create(&request.json()),
            ("PATCH", "people", Some(id)) => self.change(id, &request.json()),
            _ => missing(),
        }
    }

    fn purpose(&self, request: &Request) -> Purpose {
        match (request.method.as_str(), request.pieces().len()) {
            ("GET", 2) => Purpose::Read,
            ("GET", _) if request.path() == "/levels" => Purpose::Catalog,
            ("GET", _) if request.parameter("employee").is_some() => Purpose::Search,
            ("GET", _) => Purpose::List,
            _ => Purpose::Write,
        }
    }

    fn record(&self, id: &CardholderId) -> Option<Cardholder> {
        let people = self.people();
        let person = people.get(&id.as_str().parse().ok()?)?;
        let profile = [(field::DISPLAY_NAME, &person.name), (field::TITLE, &person.title)];
        Some(Cardholder {
            id: id.clone(),
            keys: CorrelationKey::new(KeyKind::Employee, &person.employee).into_iter().collect(),
            profile: Profile::from_iter(profile.map(|(name, value)| (FieldName::known(name), value.clone()))),
            status: if person.active { Status::Active } else { Status::Suspended },
            levels: person.levels.iter().filter_map(|id| AccessLevelId::new(id.clone()).ok()).collect(),
            credentials: Vec::new(),
            validity: Validity::ALWAYS,
            site: None,
            revision: None,
        })
    }

    fn cardholders(&self) -> Vec<CardholderId> {
        self.people().keys().filter_map(|id| CardholderId::new(id.to_string()).ok()).collect()
    }

    fn levels(&self) -> Vec<AccessLevelId> {
        (0..self.levels.len()).filter_map(|n| AccessLevelId::new(format!("L{n}")).ok()).collect()
    }

    fn settings(&self, root: &str) -> String {
        root.to_owned()
    }

    fn secrets(&self) -> Vec<(&'static str, String)> {
        vec![("TOY_KEY", KEY.to_owned())]
    }

    fn minimum(&self, people: usize, changes: usize) -> Option<usize> {
        Some(people.div_ceil(PAGE) + 3 * changes)
    }
}
