//! What is learned from the server before anything else: where things are, which personal data fields hold the keys,
//! the access groups, divisions and card types. Only `/api` is known beforehand. This module must not write.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{AccessLevel, AccessLevelId, Catalog, FaultKind, FieldName, KeyKind, SiteId};
use lockstep_http::{CallFault, Effect, Url, Value};

use crate::api::{Api, path_of, with_query};
use crate::config::Config;

/// So many items of configuration are asked for in one page.
const TOP: &str = "10000";

/// Ids of items are short.
const ID_MAX: usize = 32;

/// Where things are.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    /// Four numbers with dots.
    pub(crate) version: String,
    pub(crate) cardholders: Url,
    /// From version 8.30.
    pub(crate) changes: Option<Url>,
    pub(crate) access_groups: Option<Url>,
    pub(crate) personal_data_fields: Option<Url>,
    /// From version 8.10: the card types that the operator may assign.
    pub(crate) card_types: Option<Url>,
    pub(crate) divisions: Option<Url>,
}

/// A fault about rights or settings that showed while the server was looked at.
fn missing(api: &Api<'_>, kind: FaultKind, operation: &str, message: impl Into<String>, help: &str) -> CallFault {
    CallFault::new(Effect::Refused, None, api.fault(kind, operation, message).with_help(help))
}

/// Reads `/api`.
pub(crate) async fn root(api: &Api<'_>) -> Result<Root, CallFault> {
    let operation = "read /api";
    let document = api.object(api.base().clone(), operation).await?;
    let features = document.get("features").and_then(Value::as_object);
    let features = features.ok_or_else(|| api.protocol(operation, "the answer has no `features`"))?;
    let find = |feature: &str, link: &str| -> Result<Option<Url>, CallFault> {
        let href = features.get(feature).and_then(|f| f.get(link)).and_then(|l| l.get("href")).and_then(Value::as_str);
        href.map(|href| api.link(href, operation)).transpose()
    };
    let cardholders = find("cardholders", "cardholders")?.ok_or_else(|| {
        missing(
            api,
            FaultKind::Denied,
            operation,
            "Command Centre shows no cardholders feature",
            "the site needs the licence RESTCardholders",
        )
    })?;
    // Any feature that has divisions has the same ones for an operator with the rights of this connector.
    let divisions = features.keys().find_map(|feature| find(feature, "divisions").transpose()).transpose()?;
    Ok(Root {
        version: document.get("version").and_then(Value::as_str).unwrap_or("unknown").to_owned(),
        cardholders,
        changes: find("cardholders", "changes")?,
        access_groups: find("accessGroups", "accessGroups")?,
        personal_data_fields: find("personalDataFields", "personalDataFields")?,
        card_types: find("cardTypes", "assign")?,
        divisions,
    })
}

fn text<'v>(item: &'v Value, name: &str) -> Option<&'v str> {
    item.get(name).and_then(Value::as_str)
}

/// The path of a link inside an item: `{"group": {"href": …}}`.
fn path(api: &Api<'_>, item: &Value, operation: &str) -> Result<Option<String>, CallFault> {
    text(item, "href").map(|href| Ok(path_of(&api.link(href, operation)?))).transpose()
}

/// A personal data field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataField {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) unique: bool,
    /// What the operator may do with it, from version 8.80: `noAccess`, `readOnly`, `fullAccess`.
    pub(crate) access: Option<String>,
    /// The access groups that carry it, as far as the operator may see them: their paths and names.
    pub(crate) carriers: BTreeMap<String, String>,
}

impl DataField {
    /// Where its value stands at a cardholder.
    pub(crate) fn attribute(&self) -> String {
        format!("@{}", self.name)
    }
}

/// The personal data fields of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DataFields {
    pub(crate) keys: BTreeMap<KeyKind, DataField>,
    pub(crate) fields: BTreeMap<FieldName, DataField>,
}

impl DataFields {
    /// The one group of this name that carries some of them: the fields come with the groups that carry them.
    pub(crate) fn carrier(&self, wanted: &str) -> Option<&str> {
        let carriers = self.all().into_values().flat_map(|field| &field.carriers);
        let named: BTreeSet<&str> =
            carriers.filter(|(_, name)| *name == wanted).map(|(path, _)| path.as_str()).collect();
        named.first().copied().filter(|_| named.len() == 1)
    }

    /// Each of them once, by id.
    pub(crate) fn all(&self) -> BTreeMap<&str, &DataField> {
        self.keys.values().chain(self.fields.values()).map(|field| (field.id.as_str(), field)).collect()
    }
}

/// Reads the personal data fields that the configuration names.
pub(crate) async fn data_fields(api: &Api<'_>, root: &Root, config: &Config) -> Result<DataFields, CallFault> {
    let operation = "read the personal data fields";
    let link = root.personal_data_fields.clone();
    let link = link.ok_or_else(|| {
        let help = "the site needs the licence RESTCardholders, and the operator `View Personal Data Definitions`";
        missing(api, FaultKind::Denied, operation, "Command Centre shows no personal data fields", help)
    })?;
    let wanted = "id,href,name,type,unique,operatorAccess,accessGroups";
    let items = api.everything(with_query(link, &[("top", TOP), ("fields", wanted)]), operation).await?;
    let mut all = Vec::with_capacity(items.len());
    for item in &items {
        all.push(data_field(api, item, operation)?);
    }
    let pick = |name: &str| one_of(api, &all, name, operation);
    let keys = config.keys.iter().map(|(kind, name)| Ok((*kind, pick(name)?)));
    let keys: BTreeMap<_, _> = keys.collect::<Result<_, CallFault>>()?;
    let fields = config.fields.iter().map(|(field, name)| Ok((field.clone(), pick(name)?)));
    let fields: BTreeMap<_, _> = fields.collect::<Result<_, CallFault>>()?;
    if let Some(hidden) = keys.values().find(|field| field.access.as_deref() == Some("noAccess")) {
        let message = format!("the operator may not see the personal data field `{}`: no key is known", hidden.name);
        let help = "give the operator group read access to it, under Personal Data in its properties";
        return Err(missing(api, FaultKind::Denied, operation, message, help));
    }
    Ok(DataFields { keys, fields })
}

fn data_field(api: &Api<'_>, item: &Value, operation: &str) -> Result<DataField, CallFault> {
    let (Some(id), Some(name)) = (text(item, "id"), text(item, "name")) else {
        return Err(api.protocol(operation, "a personal data field without an id or a name"));
    };
    // Asked for by an id that is none, Command Centre would answer without the field, as if nobody had a value.
    if id.is_empty() || id.len() > ID_MAX || !id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(api.protocol(operation, "the id of a personal data field is not short and alphanumeric"));
    }
    let groups = item.get("accessGroups").and_then(Value::as_array).into_iter().flatten();
    let mut carriers = BTreeMap::new();
    for group in groups {
        let name = text(group, "name").unwrap_or_default().to_owned();
        carriers.extend(path(api, group, operation)?.map(|path| (path, name)));
    }
    Ok(DataField {
        id: id.to_owned(),
        name: name.to_owned(),
        kind: text(item, "type").unwrap_or("string").to_owned(),
        unique: item.get("unique").and_then(Value::as_bool).unwrap_or(false),
        access: text(item, "operatorAccess").map(str::to_owned),
        carriers,
    })
}

fn one_of(api: &Api<'_>, all: &[DataField], wanted: &str, operation: &str) -> Result<DataField, CallFault> {
    let named: Vec<&DataField> = all.iter().filter(|field| field.id == wanted || field.name == wanted).collect();
    match named.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            let message = format!("there is no personal data field `{wanted}`, or the operator may not see it");
            let help = "check `keys` and `fields`; the operator needs `View Personal Data Definitions` on its division";
            Err(missing(api, FaultKind::Denied, operation, message, help))
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|field| field.id.as_str()).collect();
            let message =
                format!("several personal data fields are called `{wanted}`; their ids are {}", ids.join(", "));
            Err(missing(api, FaultKind::Invalid, operation, message, "write the id of the one that is meant"))
        }
    }
}

/// An access group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) parent: Option<String>,
    pub(crate) division: Option<String>,
    pub(crate) zones: Vec<String>,
}

/// The access groups, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Groups(pub(crate) BTreeMap<String, Group>);

/// Reads all access groups.
pub(crate) async fn groups(api: &Api<'_>, root: &Root) -> Result<Groups, CallFault> {
    let operation = "read the access groups";
    let link = root.access_groups.clone();
    let link = link.ok_or_else(|| {
        let help = "the site needs the licence RESTCardholders";
        missing(api, FaultKind::Denied, operation, "Command Centre shows no access groups", help)
    })?;
    let fields = "href,id,name,parent,division,access";
    let first = with_query(link, &[("sort", "id"), ("top", TOP), ("fields", fields)]);
    let mut groups = BTreeMap::new();
    for item in &api.everything(first, operation).await? {
        let Some(own) = path(api, item, operation)? else {
            return Err(api.protocol(operation, "an access group without a link"));
        };
        let inner = |name: &str| item.get(name).map_or(Ok(None), |value| path(api, value, operation));
        let zones = item.get("access").and_then(Value::as_array).into_iter().flatten();
        let group = Group {
            id: text(item, "id").unwrap_or_default().to_owned(),
            name: text(item, "name").unwrap_or_default().to_owned(),
            parent: inner("parent")?,
            division: inner("division")?,
            zones: zones.filter_map(|a| a.get("accessZone").and_then(|z| text(z, "name"))).map(str::to_owned).collect(),
        };
        groups.insert(own, group);
    }
    if groups.is_empty() {
        // Missing rights look like missing data here, and a site without access groups has no use for this program.
        let help = "give the operator `View Access Groups` on the divisions of the groups";
        return Err(missing(api, FaultKind::Denied, operation, "Command Centre shows no access group at all", help));
    }
    Ok(Groups(groups))
}

impl Groups {
    /// A group and everything above it: whoever is a member of it is a member of those, too.
    pub(crate) fn upwards<'g>(&'g self, path: &'g str) -> impl Iterator<Item = (&'g str, Option<&'g Group>)> {
        let mut seen = BTreeSet::new();
        let step = move |at: &&'g str| self.0.get(*at).and_then(|group| group.parent.as_deref());
        std::iter::successors(Some(path), step).take_while(move |at| seen.insert(*at)).map(|at| (at, self.0.get(at)))
    }

    /// Whether a member of this group may hold the field.
    pub(crate) fn carries(&self, group: &str, field: &DataField) -> bool {
        self.upwards(group).any(|(path, _)| field.carriers.contains_key(path))
    }

    /// The group that a setting names, by name or id.
    pub(crate) fn named(&self, api: &Api<'_>, wanted: &str) -> Result<String, CallFault> {
        let mut named = self.0.iter().filter(|(_, group)| group.id == wanted || group.name == wanted);
        let operation = "find the home group";
        match (named.next(), named.next()) {
            (Some((path, _)), None) => Ok(path.clone()),
            (None, _) => {
                let message = format!("there is no access group `{wanted}`, or the operator may not see it");
                Err(missing(api, FaultKind::Denied, operation, message, "check `home_group`, and `View Access Groups`"))
            }
            (Some(_), Some(_)) => {
                let message = format!("several access groups are called `{wanted}`");
                Err(missing(api, FaultKind::Invalid, operation, message, "write the id of the one that is meant"))
            }
        }
    }

    /// The groups as access levels. What a group opens is what it and the groups above it open.
    pub(crate) fn catalog(&self, home: Option<&str>) -> Catalog {
        let levels = self.0.iter().filter(|(path, _)| Some(path.as_str()) != home).filter_map(|(path, group)| {
            let zones: BTreeSet<String> =
                self.upwards(path).filter_map(|(_, group)| group).flat_map(|group| group.zones.clone()).collect();
            let level = AccessLevel {
                name: group.name.clone(),
                doors: zones.into_iter().collect(),
                site: group.division.as_deref().and_then(|division| SiteId::new(division).ok()),
            };
            Some((AccessLevelId::new(path.as_str()).ok()?, level))
        });
        Catalog { levels: levels.collect() }
    }
}

/// A division.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Division {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) parent: Option<String>,
}

/// The divisions, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Divisions(pub(crate) BTreeMap<String, Division>);

/// Reads all divisions in which the operator has rights; none when this server has no such list.
pub(crate) async fn divisions(api: &Api<'_>, root: &Root) -> Result<Divisions, CallFault> {
    let operation = "read the divisions";
    let Some(link) = root.divisions.clone() else { return Ok(Divisions::default()) };
    let mut divisions = BTreeMap::new();
    for item in &api.everything(with_query(link, &[("top", TOP)]), operation).await? {
        let Some(own) = path(api, item, operation)? else {
            return Err(api.protocol(operation, "a division without a link"));
        };
        let division = Division {
            id: text(item, "id").unwrap_or_default().to_owned(),
            name: text(item, "name").unwrap_or_default().to_owned(),
            parent: item.get("parent").map_or(Ok(None), |value| path(api, value, operation))?,
        };
        divisions.insert(own, division);
    }
    Ok(Divisions(divisions))
}

impl Divisions {
    /// Whether a division is one of those, or inside one.
    pub(crate) fn is_within(&self, division: &str, ids: &[String]) -> bool {
        let mut seen = BTreeSet::new();
        let mut at = Some(division);
        while let Some(path) = at.filter(|path| seen.insert(*path)) {
            let Some(here) = self.0.get(path) else { return false };
            if ids.contains(&here.id) {
                return true;
            }
            at = here.parent.as_deref();
        }
        false
    }

    /// The division that a setting names, by name or id.
    pub(crate) fn named(&self, api: &Api<'_>, wanted: &str) -> Result<String, CallFault> {
        let mut named = self.0.iter().filter(|(_, division)| division.id == wanted || division.name == wanted);
        match (named.next(), named.next()) {
            (Some((path, _)), None) => Ok(path.clone()),
            (None, _) => {
                let message = format!("there is no division `{wanted}`, or the operator has no rights in it");
                Err(missing(api, FaultKind::Denied, "find the division", message, "check `division`"))
            }
            (Some(_), Some(_)) => {
                let message = format!("several divisions are called `{wanted}`");
                let help = "write the id of the one that is meant";
                Err(missing(api, FaultKind::Invalid, "find the division", message, help))
            }
        }
    }
}

/// The states that cards of each type can have, by the path of the type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CardTypes(pub(crate) BTreeMap<String, Vec<String>>);

/// Reads the card types that the operator may assign; none when this server has no such list.
pub(crate) async fn card_types(api: &Api<'_>, root: &Root) -> Result<CardTypes, CallFault> {
    let operation = "read the card types";
    let Some(link) = root.card_types.clone() else { return Ok(CardTypes::default()) };
    let first = with_query(link, &[("top", TOP), ("fields", "href,id,name,availableCardStates")]);
    let mut types = BTreeMap::new();
    for item in &api.everything(first, operation).await? {
        let states = item.get("availableCardStates").and_then(Value::as_array);
        if let (Some(own), Some(states)) = (path(api, item, operation)?, states) {
            types.insert(own, states.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        }
    }
    Ok(CardTypes(types))
}
