//! From the records of Command Centre to those of the contract. Pure: this module must not ask anybody.
//!
//! What is not sent is not known: a personal data field shows only while its cardholder is in an access group that
//! carries it, so a key that does not show is never "no key". See [`Record::shows`] and [`Record::may_hold`].

use lockstep_contract::{
    AccessLevelId, Cardholder, CardholderId, CorrelationKey, CorrelationKeys, Credential, CredentialId, CredentialKind,
    FieldName, KeyKind, Profile, SiteId, Status, Validity, field,
};
use lockstep_http::{Url, Value};

use crate::api::{Object, link, path_of};
use crate::cards::status_of;
use crate::config::CardStates;
use crate::discovery::{DataField, DataFields, Groups};

/// How records are read: everything that is the same for all of them.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) base: Url,
    /// Scheme, host and port of the base.
    origin: String,
    pub(crate) data: DataFields,
    pub(crate) states: CardStates,
    /// The access group that carries the fields; no access level.
    pub(crate) home: Option<String>,
}

/// A record as Command Centre has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) cardholder: Cardholder,
    pub(crate) memberships: Vec<Membership>,
    pub(crate) cards: Vec<Card>,
    pub(crate) division: Option<String>,
}

/// A membership. There may be several of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Membership {
    /// Its path, which changes with every update.
    pub(crate) path: Option<String>,
    /// The group; `None` when the operator may not see it.
    pub(crate) group: Option<String>,
    /// In force now. What cannot be told counts as in force.
    pub(crate) active: bool,
}

/// A card as it is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) credential: CredentialId,
    pub(crate) card_type: Option<String>,
}

/// A record that cannot be what it claims to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadRecord(pub(crate) String);

impl From<String> for BadRecord {
    fn from(message: String) -> Self {
        Self(message)
    }
}

fn bad<T>(message: impl Into<String>) -> Result<T, BadRecord> {
    Err(BadRecord(message.into()))
}

impl Shape {
    pub(crate) fn new(base: Url, data: DataFields, states: CardStates, home: Option<String>) -> Self {
        let origin = base.origin().ascii_serialization();
        Self { base, origin, data, states, home }
    }

    /// A link inside an object, as a path. A list has hundreds of thousands of them, nearly all written alike.
    fn path_in(&self, item: &Object, name: &str) -> Result<Option<String>, String> {
        match item.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(href)) => match plain_path(&self.origin, href) {
                Some(path) => Ok(Some(path.to_owned())),
                None => Ok(Some(path_of(&link(&self.base, href).map_err(|error| format!("`{name}`: {error}"))?))),
            },
            Some(_) => Err(format!("`{name}` is no text")),
        }
    }

    /// What to ask for, so that no second look at a record is needed. `prefix` is for records inside of others.
    pub(crate) fn fields(&self, prefix: &str) -> String {
        let own = ["href", "firstName", "lastName", "authorised", "division", "cards", "accessGroups"];
        let data = self.data.all();
        let names = own.iter().map(|name| (*name).to_owned()).chain(data.keys().map(|id| format!("pdf_{id}")));
        names.map(|name| format!("{prefix}{name}")).collect::<Vec<_>>().join(",")
    }

    /// Reads a record.
    pub(crate) fn record(&self, item: &Value) -> Result<Record, BadRecord> {
        let Value::Object(item) = item else { return bad("a cardholder that is no object") };
        let Some(path) = self.path_in(item, "href")? else { return bad("a cardholder without a link") };
        let id = CardholderId::new(path).map_err(|error| BadRecord(error.to_string()))?;
        let memberships = self.memberships(item)?;
        let held = memberships.iter().filter(|one| one.active).filter_map(|one| one.group.as_deref());
        let levels = held.filter(|group| self.home.as_deref() != Some(*group));
        let levels = levels.map(|group| AccessLevelId::new(group).map_err(|error| BadRecord(error.to_string())));
        let levels = levels.collect::<Result<_, _>>()?;
        let division = match item.get("division") {
            None | Some(Value::Null) => None,
            Some(Value::Object(division)) => self.path_in(division, "href")?,
            Some(_) => return bad("`division` of a cardholder is no object"),
        };
        let (cards, credentials) = self.cards(item)?.into_iter().unzip();
        let site = division.as_deref().map(SiteId::new).transpose().map_err(|error| BadRecord(error.to_string()))?;
        let cardholder = Cardholder {
            id,
            keys: self.keys(item),
            profile: self.profile(item)?,
            status: status(item),
            levels,
            credentials,
            validity: Validity::ALWAYS,
            site,
            revision: None,
        };
        Ok(Record { cardholder, memberships, cards, division })
    }

    fn keys(&self, item: &Object) -> CorrelationKeys {
        let values = self.data.keys.iter().filter_map(|(kind, field)| Some((*kind, value_of(item, field)?)));
        values.filter_map(|(kind, value)| CorrelationKey::new(kind, &value).ok()).collect()
    }

    fn profile(&self, item: &Object) -> Result<Profile, BadRecord> {
        let mut profile = Profile::new();
        for (name, attribute) in [(field::GIVEN_NAME, "firstName"), (field::FAMILY_NAME, "lastName")] {
            match item.get(attribute) {
                None | Some(Value::Null) => {}
                Some(Value::String(value)) => profile.set(FieldName::known(name), value),
                Some(_) => return bad(format!("`{attribute}` of a cardholder is no text")),
            }
        }
        for (name, field) in &self.data.fields {
            if let Some(value) = value_of(item, field) {
                profile.set(name.clone(), value);
            }
        }
        Ok(profile)
    }

    fn memberships(&self, item: &Object) -> Result<Vec<Membership>, BadRecord> {
        let mut memberships = Vec::new();
        for one in list(item, "accessGroups")? {
            let group = match one.get("accessGroup") {
                Some(Value::Object(group)) => self.path_in(group, "href")?,
                Some(_) | None => return bad("a membership without an access group"),
            };
            let state = one.get("status").and_then(|status| status.get("type")).and_then(Value::as_str);
            let active = !matches!(state, Some("pending" | "expired"));
            memberships.push(Membership { path: self.path_in(one, "href")?, group, active });
        }
        Ok(memberships)
    }

    fn cards(&self, item: &Object) -> Result<Vec<(Card, Credential)>, BadRecord> {
        let mut cards = Vec::new();
        for one in list(item, "cards")? {
            let Some(path) = self.path_in(one, "href")? else { return bad("a card without a link") };
            let id = CredentialId::new(path).map_err(|error| BadRecord(error.to_string()))?;
            let card_type = match one.get("type") {
                Some(Value::Object(card_type)) => self.path_in(card_type, "href")?,
                Some(_) | None => None,
            };
            let status = one.get("status");
            let part = |name: &str| status.and_then(|status| status.get(name)).and_then(Value::as_str);
            let credential = Credential {
                id: id.clone(),
                kind: kind_of(one.get("credentialClass").and_then(Value::as_str)),
                number: one.get("number").and_then(text_of).filter(|number| !number.is_empty()),
                status: status_of(part("value"), part("type"), &self.states),
            };
            cards.push((Card { credential: id, card_type }, credential));
        }
        Ok(cards)
    }
}

/// The path of a link of this origin that is written so plainly that there are no two ways to read it.
fn plain_path<'h>(origin: &str, href: &'h str) -> Option<&'h str> {
    let path = href.strip_prefix(origin).filter(|path| path.starts_with('/'))?;
    let plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-'));
    (plain && !path.contains("//")).then_some(path)
}

/// A list that may be left out when it is empty. Anything else in its place is no empty list.
fn list<'i>(item: &'i Object, name: &str) -> Result<Vec<&'i Object>, BadRecord> {
    match item.get(name) {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => {
            let objects =
                items.iter().map(|one| one.as_object().ok_or_else(|| format!("`{name}` holds no objects").into()));
            objects.collect()
        }
        Some(_) => bad(format!("`{name}` of a cardholder is no list")),
    }
}

fn status(item: &Object) -> Status {
    match item.get("authorised") {
        Some(Value::Bool(true)) => Status::Active,
        Some(Value::Bool(false)) => Status::Suspended,
        Some(_) => Status::Other("`authorised` is neither true nor false".to_owned()),
        None => Status::Other("`authorised` was not sent".to_owned()),
    }
}

fn kind_of(class: Option<&str>) -> CredentialKind {
    match class {
        Some("card" | "govPass" | "piv" | "pivi" | "transact") => CredentialKind::Card,
        Some("mobile" | "digitalId" | "applePass") => CredentialKind::Mobile,
        Some(_) | None => CredentialKind::Other,
    }
}

/// The value of a personal data field; `None` when it does not show, or is empty.
fn value_of(item: &Object, field: &DataField) -> Option<String> {
    item.get(&field.attribute()).and_then(text_of).filter(|value| !value.is_empty())
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(it) => Some(it.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Record {
    /// Whether the record shows a key of this kind.
    pub(crate) fn shows(&self, kind: KeyKind) -> bool {
        self.cardholder.keys.of(kind).next().is_some()
    }

    /// Whether the record is in a group, of those that count, that carries the field, so that a value would show.
    pub(crate) fn may_hold(&self, field: &DataField, groups: &Groups, counts: impl Fn(&str) -> bool) -> bool {
        let active = self.memberships.iter().filter(|one| one.active).filter_map(|one| one.group.as_deref());
        active.filter(|group| counts(group)).any(|group| groups.carries(group, field))
    }
}

#[cfg(test)]
#[path = "convert_tests.rs"]
pub(crate) mod tests;
