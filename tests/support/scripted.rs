//! A SCIM server in memory that tells the truth until it is told to lie, and that can be looked at past the protocol.
//! Made for tests of the whole program, which care about what a PACS ends up with. This module must not know the
//! connector.

mod door;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

pub use door::Mood;
use door::{Door, Request};

/// What is wrong with the lists of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// The last record of the last page is left out, and counted.
    ShortList,
    /// The second page is the first one once more.
    RepeatedPage,
    /// Filters are taken and ignored.
    IgnoredFilter,
    /// `totalResults` counts the records of the page.
    TotalOfPage,
    /// `totalResults` is larger by one than what there is.
    TotalTooLarge,
    /// The last user is not there for lists, and is not counted: nothing in the list contradicts that.
    HiddenUser,
}

/// Who has what, by the user's name: whether the user is active, and the names of the groups.
pub type Access = BTreeMap<String, (bool, BTreeSet<String>)>;

/// A running server. It ends with the test program.
#[derive(Debug)]
pub struct Scripted {
    door: Door,
    shared: Arc<Mutex<Records>>,
}

/// What a server held at some time.
#[derive(Debug, Clone)]
pub struct Kept(Records);

#[derive(Debug, Clone, Default)]
struct Records {
    users: BTreeMap<String, Value>,
    groups: BTreeMap<String, Value>,
    /// Who is in a group, by its id.
    members: BTreeMap<String, BTreeSet<String>>,
    /// Users in which a text stands somewhere, or stood: those to look at for a filter.
    index: BTreeMap<String, BTreeSet<String>>,
    lie: Option<Lie>,
    made: u64,
    writes: u64,
}

impl Scripted {
    /// Starts an empty server.
    ///
    /// # Errors
    /// When no port is to be had.
    pub fn start() -> Result<Self, String> {
        Self::start_at(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// Starts an empty server at an address of this machine. One that nobody else uses keeps its port free while the
    /// server is dead.
    ///
    /// # Errors
    /// When no port is to be had.
    pub fn start_at(address: IpAddr) -> Result<Self, String> {
        let shared = Arc::new(Mutex::new(Records::default()));
        let own = Arc::clone(&shared);
        let door = Door::open(address, move |request| locked(&own).answer(request))?;
        Ok(Self { door, shared })
    }

    /// From now on it behaves like this.
    ///
    /// # Errors
    /// When it was dead, and its port is not to be had again.
    pub fn behave(&self, mood: Mood) -> Result<(), String> {
        self.door.behave(mood)
    }

    /// From now on only who shows this token gets an answer.
    pub fn demand(&self, token: &str) {
        self.door.demand(token);
    }

    /// When its last answer went out.
    pub fn last_answer(&self) -> Option<std::time::Instant> {
        self.door.last()
    }

    /// What it holds now.
    pub fn keep(&self) -> Kept {
        Kept(locked(&self.shared).clone())
    }

    /// Holds again what it held then.
    pub fn restore(&self, kept: &Kept) {
        locked(&self.shared).clone_from(&kept.0);
    }

    /// The base address.
    pub fn url(&self) -> String {
        format!("http://{}/scim/v2", self.door.address())
    }

    /// Adds a user, and returns the id.
    pub fn add_user(&self, user: Value) -> String {
        locked(&self.shared).add("Users", user)
    }

    /// Adds a group with these members, and returns the id.
    pub fn add_group(&self, name: &str, members: &[String]) -> String {
        let mut records = locked(&self.shared);
        let id = records.add("Groups", json!({ "displayName": name }));
        records.members.insert(id.clone(), members.iter().cloned().collect());
        id
    }

    /// From now on it lies like this.
    pub fn lie(&self, lie: Lie) {
        locked(&self.shared).lie = Some(lie);
    }

    /// How many requests changed something.
    pub fn writes(&self) -> u64 {
        locked(&self.shared).writes
    }

    /// What there really is.
    pub fn access(&self) -> Access {
        let records = locked(&self.shared);
        let of = |id: &str| {
            let inside = records.members.iter().filter(|(_, members)| members.contains(id));
            inside.map(|(group, _)| text(&records.groups[group], "displayName")).collect()
        };
        let users = records.users.iter();
        users.map(|(id, user)| (text(user, "userName"), (user["active"] != false, of(id)))).collect()
    }
}

fn locked(records: &Mutex<Records>) -> MutexGuard<'_, Records> {
    records.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn error(status: u16, detail: &str) -> (u16, Value) {
    let schema = "urn:ietf:params:scim:api:messages:2.0:Error";
    (status, json!({"schemas": [schema], "status": status.to_string(), "detail": detail}))
}

impl Records {
    fn add(&mut self, kind: &str, mut record: Value) -> String {
        self.made += 1;
        let id = format!("{}-{:06}", kind[..1].to_lowercase(), self.made);
        record["id"] = id.clone().into();
        self.remember(kind, &id, &record);
        self.of(kind).insert(id.clone(), record);
        id
    }

    fn remember(&mut self, kind: &str, id: &str, value: &Value) {
        match value {
            Value::String(text) if kind == "Users" => {
                self.index.entry(text.to_ascii_lowercase()).or_default().insert(id.to_owned());
            }
            Value::Array(values) => values.iter().for_each(|value| self.remember(kind, id, value)),
            Value::Object(fields) => fields.values().for_each(|value| self.remember(kind, id, value)),
            _ => {}
        }
    }

    /// The users in which this text may stand.
    fn candidates(&self, text: &str) -> impl Iterator<Item = &Value> {
        self.index.get(&text.to_ascii_lowercase()).into_iter().flatten().filter_map(|id| self.users.get(id))
    }

    fn of(&mut self, kind: &str) -> &mut BTreeMap<String, Value> {
        if kind == "Users" { &mut self.users } else { &mut self.groups }
    }

    fn answer(&mut self, request: &Request) -> (u16, Value) {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        match (request.method.as_str(), path.as_slice()) {
            ("GET", ["ServiceProviderConfig"]) => (200, description()),
            ("GET", ["ResourceTypes"]) => (200, resource_types()),
            ("GET", [kind @ ("Users" | "Groups")]) => self.list(kind, request),
            ("POST", ["Users"]) => self.create(request.body.clone()),
            ("GET", [kind @ ("Users" | "Groups"), id]) => match self.of(kind).get(*id).cloned() {
                Some(record) => (200, self.shown(kind, record)),
                None => error(404, "no such record"),
            },
            ("PATCH", [kind @ ("Users" | "Groups"), id]) => self.patch(kind, id, &request.body),
            _ => error(404, "no such resource"),
        }
    }

    fn create(&mut self, user: Value) -> (u16, Value) {
        let name = text(&user, "userName");
        let taken = |one: &Value| text(one, "userName").eq_ignore_ascii_case(&name);
        if name.is_empty() || self.candidates(&name).any(taken) {
            return error(409, "this userName is taken");
        }
        self.writes += 1;
        let id = self.add("Users", user);
        (201, self.users[&id].clone())
    }

    fn shown(&self, kind: &str, mut record: Value) -> Value {
        let id = text(&record, "id");
        if kind == "Users" {
            let inside = self.members.iter().filter(|(_, members)| members.contains(&id));
            record["groups"] = inside.map(|(group, _)| json!({ "value": group })).collect();
        } else {
            let members = self.members.get(&id).into_iter().flatten();
            record["members"] = members.map(|member| json!({ "value": member })).collect();
        }
        record
    }

    fn list(&mut self, kind: &str, request: &Request) -> (u16, Value) {
        let lie = self.lie.filter(|_| kind == "Users");
        let number = |name: &str| request.query.get(name).and_then(|value| value.parse::<usize>().ok());
        let (mut start, count) = (number("startIndex").unwrap_or(1).max(1), number("count").unwrap_or(100));
        let filter = request.query.get("filter").filter(|_| self.lie != Some(Lie::IgnoredFilter));
        let mut found: Vec<Value> = match filter.map(|filter| self.filtered(kind, filter)) {
            Some(None) => return error(400, "cannot read this filter"),
            Some(Some(found)) => found,
            None => self.of(kind).values().cloned().collect(),
        };
        if lie == Some(Lie::HiddenUser) {
            found.pop();
        }
        let mut total = found.len();
        let asked = start;
        if lie == Some(Lie::RepeatedPage) && start > 1 {
            start = 1;
        }
        let last_page = start - 1 + count >= total;
        let mut page: Vec<Value> = found.into_iter().skip(start - 1).take(count).collect();
        match lie {
            Some(Lie::ShortList) if last_page => drop(page.pop()),
            Some(Lie::TotalOfPage) => total = page.len(),
            Some(Lie::TotalTooLarge) => total += 1,
            _ => {}
        }
        let bare = request.query.get("excludedAttributes").is_some_and(|names| names == "members");
        let shown = |record| if bare { record } else { self.shown(kind, record) };
        let items: Vec<Value> = page.into_iter().map(shown).collect();
        let schema = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
        (200, json!({"schemas": [schema], "totalResults": total, "startIndex": asked, "Resources": items}))
    }

    /// `attribute eq "text"`, nothing more.
    fn filtered(&self, kind: &str, filter: &str) -> Option<Vec<Value>> {
        let (attribute, value) = filter.split_once(" eq ")?;
        let value: String = serde_json::from_str(value).ok()?;
        if kind == "Groups" && attribute == "members.value" {
            let inside = self.members.iter().filter(|(_, members)| members.contains(&value));
            return Some(inside.map(|(group, _)| self.groups[group].clone()).collect());
        }
        let names = path_of(attribute);
        let has = |record: &&Value| {
            let found = names.iter().fold(vec![*record], |values, name| {
                values.into_iter().flat_map(|value| one_or_many(&value[name.as_str()])).collect()
            });
            found.iter().filter_map(|it| it.as_str()).any(|it| it.eq_ignore_ascii_case(&value))
        };
        if kind == "Users" {
            return Some(self.candidates(&value).filter(has).cloned().collect());
        }
        Some(self.groups.values().filter(has).cloned().collect())
    }

    fn patch(&mut self, kind: &str, id: &str, body: &Value) -> (u16, Value) {
        if !self.of(kind).contains_key(id) {
            return error(404, "no such record");
        }
        for operation in body["Operations"].as_array().into_iter().flatten() {
            let (verb, path) = (text(operation, "op").to_lowercase(), text(operation, "path"));
            let value = &operation["value"];
            if kind == "Groups" && path.starts_with("members") {
                let members = self.members.entry(id.to_owned()).or_default();
                let leaving = path.strip_prefix("members[value eq \"").and_then(|rest| rest.strip_suffix("\"]"));
                match (verb.as_str(), leaving) {
                    ("add", None) => members.extend(one_or_many(value).into_iter().map(|it| text(it, "value"))),
                    ("remove", Some(leaving)) => drop(members.remove(leaving)),
                    _ => return error(400, "no such operation on members"),
                }
                continue;
            }
            self.remember(kind, id, value);
            let Some(record) = self.of(kind).get_mut(id) else { return error(404, "no such record") };
            match (verb.as_str(), path.as_str(), value) {
                ("replace" | "add", "", Value::Object(fields)) => {
                    for (name, value) in fields {
                        *slot(record, name) = value.clone();
                    }
                }
                ("replace" | "add", path, value) if !path.is_empty() => *slot(record, path) = value.clone(),
                ("remove", path, _) if !path.is_empty() => *slot(record, path) = Value::Null,
                _ => return error(400, "no such operation"),
            }
        }
        self.writes += 1;
        (204, Value::Null)
    }
}

fn description() -> Value {
    let supported = |it: bool| json!({ "supported": it });
    json!({"patch": supported(true), "filter": {"supported": true, "maxResults": 1000}, "etag": supported(false),
        "sort": supported(false), "bulk": supported(false)})
}

fn resource_types() -> Value {
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    json!({"totalResults": 2, "Resources": [
        {"id": "User", "endpoint": "/Users", "schemaExtensions": [{"schema": enterprise, "required": false}]},
        {"id": "Group", "endpoint": "/Groups"},
    ]})
}

fn one_or_many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        other => vec![other],
    }
}

fn path_of(attribute: &str) -> Vec<String> {
    match attribute.rsplit_once(':') {
        Some((schema, name)) => vec![schema.to_owned(), name.to_owned()],
        None => attribute.split('.').map(str::to_owned).collect(),
    }
}

fn slot<'r>(record: &'r mut Value, path: &str) -> &'r mut Value {
    path_of(path).into_iter().fold(record, |place, name| {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        &mut place[name.as_str()]
    })
}
