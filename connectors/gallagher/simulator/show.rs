//! How the simulated server shows what it has, with `fields` as the caller asked for them. This module must not change
//! anything.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::state::{Card, Holder, Id, Membership, State};

/// What the caller wants of an item.
pub(super) struct Wanted {
    names: BTreeSet<String>,
}

impl Wanted {
    /// The parameter `fields`, with what is sent when there is none. Unknown names are ignored, and case counts.
    pub(super) fn of(parameter: Option<&str>, defaults: &[&str]) -> Self {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for name in parameter.unwrap_or("defaults").split(',').filter(|name| !name.is_empty()) {
            if name == "defaults" {
                names.extend(defaults.iter().map(|name| (*name).to_owned()));
            } else {
                names.insert(name.to_owned());
            }
        }
        Self { names }
    }

    /// What is wanted of an item that stands inside this one: `cardholder.cards` wants `cards` of `cardholder`.
    pub(super) fn inside(&self, name: &str) -> Option<Self> {
        let prefix = format!("{name}.");
        let names: BTreeSet<String> =
            self.names.iter().filter_map(|one| one.strip_prefix(&prefix)).map(str::to_owned).collect();
        (!names.is_empty()).then_some(Self { names })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

/// An item without the attributes that nobody asked for.
fn chosen(all: Vec<(&str, Option<Value>)>, wanted: &Wanted) -> Value {
    let shown = all.into_iter().filter(|(name, _)| wanted.has(name));
    Value::Object(shown.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

const HOLDER_DEFAULTS: [&str; 7] = ["href", "id", "firstName", "lastName", "shortName", "description", "authorised"];

/// What is sent of a cardholder in a search.
pub(super) fn search_fields(parameter: Option<&str>) -> Wanted {
    Wanted::of(parameter, &HOLDER_DEFAULTS)
}

/// What is sent of a cardholder alone.
pub(super) fn detail_fields(parameter: Option<&str>) -> Wanted {
    let more = ["division", "cards", "accessGroups", "personalDataFields"];
    Wanted::of(parameter, &[HOLDER_DEFAULTS.as_slice(), &more].concat())
}

/// Times as Command Centre writes them.
fn time(at: Timestamp) -> Value {
    Value::from(at.to_string())
}

pub(super) fn holder(state: &State, root: &str, id: Id, holder: &Holder, wanted: &Wanted) -> Value {
    let own = format!("{root}/api/cardholders/{id}");
    let list = |name: &str, items: &dyn Fn() -> Vec<Value>| wanted.has(name).then(|| Value::Array(items()));
    let cards = || holder.cards.iter().map(|one| card(state, root, &own, one)).collect();
    let groups = || holder.memberships.iter().map(|one| membership(state, root, &own, one)).collect();
    let mut shown = chosen(
        vec![
            ("href", Some(Value::from(own.as_str()))),
            ("id", Some(Value::from(id.to_string()))),
            ("firstName", Some(Value::from(holder.first_name.as_str()))),
            ("lastName", Some(Value::from(holder.last_name.as_str()))),
            ("shortName", Some(Value::from(holder.short_name.as_str()))),
            ("description", Some(Value::from(holder.description.as_str()))),
            ("authorised", Some(Value::Bool(holder.authorised))),
            ("division", Some(json!({ "href": format!("{root}/api/divisions/{}", holder.division) }))),
            ("cards", list("cards", &cards)),
            ("accessGroups", list("accessGroups", &groups)),
        ],
        wanted,
    );
    if let Value::Object(shown) = &mut shown {
        data(state, holder, wanted, shown);
    }
    shown
}

/// Values of personal data fields stand at the root, and only those that show.
fn data(state: &State, holder: &Holder, wanted: &Wanted, shown: &mut Map<String, Value>) {
    for (id, value) in &holder.data {
        let asked = wanted.has("personalDataFields") || wanted.has(&format!("pdf_{id}"));
        let Some(field) = state.fields.get(id).filter(|field| asked && field.access != "noAccess") else { continue };
        if state.may_hold(holder, *id) {
            shown.insert(format!("@{}", field.name), Value::from(value.as_str()));
        }
    }
}

fn card(state: &State, root: &str, own: &str, card: &Card) -> Value {
    let (value, kind) = state.card_state(card);
    let of = state.card_types.get(&card.card_type).cloned().unwrap_or_default();
    let mut shown = json!({
        "href": format!("{own}/cards/{:x}", card.code),
        "number": card.number,
        "cardSerialNumber": "",
        "issueLevel": 1,
        "status": { "value": value, "type": kind },
        "type": { "href": format!("{root}/api/card_types/{}", card.card_type), "name": of.name },
        "credentialClass": of.class,
    });
    dates(&mut shown, card.from, card.until);
    shown
}

fn membership(state: &State, root: &str, own: &str, one: &Membership) -> Value {
    let now = state.now();
    let kind = one.state(now);
    let name = state.groups.get(&one.group).map(|group| group.name.as_str()).unwrap_or_default();
    let mut group = json!({ "name": name });
    if !state.rights.hidden_groups.contains(&one.group) {
        group["href"] = Value::from(format!("{root}/api/access_groups/{}", one.group));
    }
    let word = match kind {
        "active" => "Active",
        "pending" => "Not Yet Activated",
        _ => "Expired",
    };
    let mut shown = json!({
        "href": format!("{own}/access_groups/{:X}", one.code),
        "accessGroup": group,
        "status": { "value": word, "type": kind },
    });
    dates(&mut shown, one.from, one.until);
    shown
}

fn dates(shown: &mut Value, from: Option<Timestamp>, until: Option<Timestamp>) {
    for (name, at) in [("from", from), ("until", until)] {
        if let Some(at) = at {
            shown[name] = time(at);
        }
    }
}

pub(super) fn group(state: &State, root: &str, id: Id, wanted: &Wanted) -> Value {
    let Some(group) = state.groups.get(&id) else { return Value::Null };
    let link = |id: Id, name: &str| json!({ "href": format!("{root}/api/access_groups/{id}"), "name": name });
    let parent = group.parent.map(|id| link(id, state.groups.get(&id).map_or("", |group| &group.name)));
    let zone = |name: &String| json!({ "accessZone": { "name": name }, "schedule": { "name": "Always" } });
    let all = vec![
        ("href", Some(Value::from(format!("{root}/api/access_groups/{id}")))),
        ("id", Some(Value::from(id.to_string()))),
        ("name", Some(Value::from(group.name.as_str()))),
        ("parent", parent),
        ("division", Some(json!({ "href": format!("{root}/api/divisions/{}", group.division) }))),
        ("access", Some(group.zones.iter().map(zone).collect())),
    ];
    chosen(all, wanted)
}

pub(super) fn field(state: &State, root: &str, id: Id, wanted: &Wanted) -> Value {
    let Some(field) = state.fields.get(&id) else { return Value::Null };
    let carrier = |id: &Id| {
        let mut shown = json!({ "name": state.groups.get(id).map_or("", |group| &group.name) });
        if !state.rights.hidden_groups.contains(id) {
            shown["href"] = Value::from(format!("{root}/api/access_groups/{id}"));
        }
        shown
    };
    let all = vec![
        ("href", Some(Value::from(format!("{root}/api/personal_data_fields/{id}")))),
        ("id", Some(Value::from(id.to_string()))),
        ("name", Some(Value::from(field.name.as_str()))),
        ("type", Some(Value::from(field.kind.as_str()))),
        ("unique", Some(Value::Bool(field.unique))),
        ("required", Some(Value::Bool(field.required))),
        ("operatorAccess", Some(Value::from(field.access.as_str()))),
        ("accessGroups", Some(field.carriers.iter().map(carrier).collect())),
    ];
    chosen(all, wanted)
}

pub(super) fn division(state: &State, root: &str, id: Id) -> Value {
    let Some(division) = state.divisions.get(&id) else { return Value::Null };
    let mut shown = json!({
        "href": format!("{root}/api/divisions/{id}"), "id": id.to_string(), "name": division.name,
    });
    if let Some(parent) = division.parent {
        shown["parent"] = json!({ "href": format!("{root}/api/divisions/{parent}") });
    }
    shown
}

pub(super) fn card_type(state: &State, root: &str, id: Id, wanted: &Wanted) -> Value {
    let Some(of) = state.card_types.get(&id) else { return Value::Null };
    let all = vec![
        ("href", Some(Value::from(format!("{root}/api/card_types/{id}")))),
        ("id", Some(Value::from(id.to_string()))),
        ("name", Some(Value::from(of.name.as_str()))),
        ("credentialClass", Some(Value::from(of.class.as_str()))),
        ("availableCardStates", Some(of.states.iter().map(String::as_str).collect())),
    ];
    chosen(all, wanted)
}
