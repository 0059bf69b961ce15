//! Wire to contract and back. Pure; nothing here asks, sends or guesses: what a server did not say stays unknown.

use std::collections::BTreeSet;

use lockstep_contract::{
    AccessLevel, AccessLevelId, Cardholder, CorrelationKey, CorrelationKeys, FieldName, FieldRule, KeyKind, Profile,
    field,
};
use lockstep_http::Value;
use serde_json::json;

use crate::api::{Object, Op, quoted};
use crate::config::UserName;
use crate::user::User;

pub(crate) const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(crate) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// Plain attributes of a user and the fields they hold, in the core schema and in the extension.
const CORE: [(&str, &str); 6] = [
    (field::USER_NAME, "userName"),
    (field::DISPLAY_NAME, "displayName"),
    (field::TITLE, "title"),
    (field::EMPLOYEE_TYPE, "userType"),
    (field::GIVEN_NAME, "name.givenName"),
    (field::FAMILY_NAME, "name.familyName"),
];
const EXTENSION: [(&str, &str); 3] =
    [(field::EMPLOYEE_NUMBER, "employeeNumber"), (field::DEPARTMENT, "department"), (field::COMPANY, "organization")];
/// Attributes with several values, of which one is ours.
const SEVERAL: [(&str, &str); 2] = [(field::MAIL, "emails"), (field::PHONE, "phoneNumbers")];

/// The fields that can be stored.
pub(crate) fn fields(enterprise: bool) -> impl Iterator<Item = (FieldName, FieldRule)> {
    let extension = EXTENSION.iter().filter(move |_| enterprise);
    CORE.iter().chain(SEVERAL.iter()).chain(extension).map(|(name, _)| (FieldName::known(name), FieldRule::default()))
}

/// Why a record of the server cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRecord {
    #[error("a {0} without a usable `id`: {1}")]
    Id(&'static str, String),
    #[error("{0}: the attribute `{1}` stands twice, in different spellings")]
    Twice(String, String),
    #[error("{0}: the attribute `{1}` is not of the type that the standard gives it")]
    Type(String, &'static str),
}

/// An attribute, whatever the case of its name. `null` and an empty list are no value.
pub(crate) fn get<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    let value = match object.get(name) {
        Some(value) => Some(value),
        None => object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value),
    };
    value.filter(|value| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()))
}

pub(crate) fn text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    get(object, name).and_then(Value::as_str)
}

/// The id of a record.
pub(crate) fn id_of<'a>(object: &'a Object, what: &'static str) -> Result<&'a str, BadRecord> {
    match object.get("id") {
        Some(Value::String(id)) if !id.is_empty() => Ok(id),
        Some(_) | None => Err(BadRecord::Id(what, "it is missing or no text".to_owned())),
    }
}

/// A cardholder, with the levels that were read elsewhere.
pub(crate) fn cardholder(
    user: &Object,
    levels: BTreeSet<AccessLevelId>,
    shape: Shape,
) -> Result<Cardholder, BadRecord> {
    plain_user(user)?.cardholder(levels, shape)
}

/// A user whose attributes are told apart by their names.
pub(crate) fn plain_user(user: &Object) -> Result<User<'_>, BadRecord> {
    let id = id_of(user, "user")?;
    no_two_spellings(user, id)?;
    Ok(User::of(user, id))
}

fn no_two_spellings(user: &Object, id: &str) -> Result<(), BadRecord> {
    let mut seen = BTreeSet::new();
    for name in user.keys() {
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err(BadRecord::Twice(format!("user {id}"), name.clone()));
        }
    }
    Ok(())
}

/// What a server stores, as it is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The enterprise extension.
    pub(crate) enterprise: bool,
    /// What `userName` holds.
    pub(crate) user_name: UserName,
    /// Versions of records.
    pub(crate) revisions: bool,
}

impl Shape {
    pub(crate) const fn user_name_kind(self) -> KeyKind {
        match self.user_name {
            UserName::Upn => KeyKind::Upn,
            UserName::Account => KeyKind::Account,
        }
    }

    /// The kinds of key that somebody can be found by.
    pub(crate) fn key_kinds(self) -> BTreeSet<KeyKind> {
        let mut kinds = BTreeSet::from([KeyKind::Directory, KeyKind::Mail, self.user_name_kind()]);
        if self.enterprise {
            kinds.insert(KeyKind::Employee);
        }
        kinds
    }
}

pub(crate) fn keys(user: &Object, shape: Shape) -> CorrelationKeys {
    User::of(user, "").keys(shape)
}

pub(crate) fn text_at<'a>(object: &'a Object, path: &str) -> Option<&'a str> {
    match path.split_once('.') {
        Some((outer, inner)) => get(object, outer).and_then(Value::as_object).and_then(|o| text(o, inner)),
        None => text(object, path),
    }
}

pub(crate) fn items<'a>(object: &'a Object, name: &str) -> impl Iterator<Item = &'a Object> {
    get(object, name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

/// The item of a list of addresses that a field stands for: the primary one, else the one for work, else the first.
pub(crate) fn ours<'a>(user: &'a Object, attribute: &str) -> Option<&'a Object> {
    let primary = |item: &&Object| get(item, "primary").and_then(Value::as_bool) == Some(true);
    let work = |item: &&Object| text(item, "type").is_some_and(|t| t.eq_ignore_ascii_case("work"));
    items(user, attribute)
        .find(primary)
        .or_else(|| items(user, attribute).find(work))
        .or_else(|| items(user, attribute).next())
}

/// The groups that a user names, direct ones only; `None` when the attribute is not there.
pub(crate) fn groups_of(user: &Object) -> Option<BTreeSet<&str>> {
    get(user, "groups")?;
    let direct = |group: &&Object| text(group, "type").is_none_or(|t| !t.eq_ignore_ascii_case("indirect"));
    Some(items(user, "groups").filter(direct).filter_map(|group| text(group, "value")).collect())
}

/// A group, and what it says about its members.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    pub(crate) id: AccessLevelId,
    pub(crate) level: AccessLevel,
    /// `None` when the attribute is not there: no members, or members that were not sent.
    pub(crate) members: Option<Members>,
}

/// The members of a group, in one piece: there may be as many as there are people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Members {
    /// All ids, one after another.
    ids: String,
    ends: Vec<usize>,
    /// The places of members that are groups.
    groups: BTreeSet<usize>,
}

/// A member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member<'a> {
    pub(crate) id: &'a str,
    pub(crate) is_group: bool,
}

impl Members {
    pub(crate) fn push(&mut self, member: Member<'_>) {
        if member.is_group {
            self.groups.insert(self.ends.len());
        }
        self.ids.push_str(member.id);
        self.ends.push(self.ids.len());
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Member<'_>> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).enumerate().map(|(at, (start, end))| Member {
            id: self.ids.get(start..*end).unwrap_or_default(),
            is_group: self.groups.contains(&at),
        })
    }
}

/// Reads a group.
pub(crate) fn group(object: &Object) -> Result<Group, BadRecord> {
    let id = id_of(object, "group")?;
    let list = object.iter().find(|(key, _)| key.eq_ignore_ascii_case("members")).map(|(_, list)| list);
    let bad = || BadRecord::Type(format!("group {id}"), "members");
    let members = match list {
        None | Some(Value::Null) => None,
        Some(Value::Array(list)) => {
            let mut members = Members::default();
            for item in list {
                members.push(member(item).ok_or_else(bad)?);
            }
            Some(members)
        }
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => return Err(bad()),
    };
    let level =
        AccessLevel { name: text(object, "displayName").unwrap_or_default().to_owned(), ..AccessLevel::default() };
    let id = AccessLevelId::new(id).map_err(|error| BadRecord::Id("group", error.to_string()))?;
    Ok(Group { id, level, members })
}

/// Makes a member of a group in a list as small as it can be: a user is its id. A group as a member stays as it is.
pub(crate) fn compact_member(key: &str, item: Value) -> Value {
    if !key.eq_ignore_ascii_case("members") {
        return item;
    }
    let id = member(&item).filter(|member| !member.is_group).map(|member| member.id.to_owned());
    id.map_or(item, Value::String)
}

fn member(value: &Value) -> Option<Member<'_>> {
    if let Value::String(id) = value {
        return Some(Member { id, is_group: false }).filter(|member| !member.id.is_empty());
    }
    let member = value.as_object()?;
    let id = text(member, "value").filter(|id| !id.is_empty())?;
    Some(Member { id, is_group: is_group(text(member, "type"), text(member, "$ref")) })
}

/// Whether a member is a group, by what is said of it.
pub(crate) fn is_group(kind: Option<&str>, link: Option<&str>) -> bool {
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case("group")) || link.is_some_and(|link| link.contains("/Groups/"))
}

/// The filter that asks for a key; `None` for a kind that this server has no place for.
pub(crate) fn filter_of(kind: KeyKind, value: &str, shape: Shape) -> Option<String> {
    if !shape.key_kinds().contains(&kind) {
        return None;
    }
    let attribute = match kind {
        KeyKind::Directory => "externalId".to_owned(),
        KeyKind::Employee => format!("{ENTERPRISE}:employeeNumber"),
        KeyKind::Upn | KeyKind::Account => "userName".to_owned(),
        KeyKind::Mail => "emails.value".to_owned(),
        KeyKind::Card => return None,
    };
    Some(format!("{attribute} eq {}", quoted(value)))
}

/// Whether a user is one that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    /// It has the key.
    Yes,
    /// It has it in other letters, which is another key: servers compare without case where we do not.
    OtherCase,
    /// It has not.
    No,
}

/// Checks a user against a key.
pub(crate) fn answers(user: &Object, key: &CorrelationKey, shape: Shape) -> Match {
    let keys = keys(user, shape);
    if keys.contains(key) {
        Match::Yes
    } else if keys.of(key.kind()).any(|other| other.value().eq_ignore_ascii_case(key.value())) {
        Match::OtherCase
    } else {
        Match::No
    }
}

/// The operations that give a user these fields. `current` is needed for attributes with several values, so that the
/// values that are not ours stay.
pub(crate) fn amend_ops(profile: &Profile, current: Option<&Object>) -> Vec<Op> {
    let mut ops = Vec::new();
    for (name, path) in CORE {
        ops.extend(profile.get(name).map(|value| plain_op(path.to_owned(), value)));
    }
    for (name, attribute) in SEVERAL {
        ops.extend(profile.get(name).map(|value| several_op(attribute, value, current)));
    }
    for (name, attribute) in EXTENSION {
        ops.extend(profile.get(name).map(|value| plain_op(format!("{ENTERPRISE}:{attribute}"), value)));
    }
    ops
}

/// True when the operations depend on what is there: values beside ours, or a value to be taken away.
pub(crate) fn needs_current(profile: &Profile) -> bool {
    let several = SEVERAL.iter().any(|(name, _)| profile.get(name).is_some());
    several || profile.iter().any(|(_, value)| value.is_empty())
}

/// Whether a user has a value at the path of an operation.
pub(crate) fn has(user: &Object, path: &str) -> bool {
    match path.strip_prefix(ENTERPRISE) {
        Some(name) => get(user, ENTERPRISE)
            .and_then(Value::as_object)
            .is_some_and(|e| get(e, name.trim_start_matches(':')).is_some()),
        None => text_at(user, path).is_some() || get(user, path).is_some(),
    }
}

fn plain_op(path: String, value: &str) -> Op {
    if value.is_empty() {
        Op { verb: "remove", path, value: None }
    } else {
        Op { verb: "replace", path, value: Some(value.into()) }
    }
}

fn several_op(attribute: &str, value: &str, current: Option<&Object>) -> Op {
    let old = current.and_then(|user| ours(user, attribute));
    let mut list: Vec<Value> = Vec::new();
    for item in current.into_iter().flat_map(|user| items(user, attribute)) {
        let mut item = item.clone();
        if old == Some(&item) {
            if value.is_empty() || list.iter().any(|earlier| earlier.get("value") == Some(&value.into())) {
                continue;
            }
            item.insert("value".to_owned(), value.into());
            // It repeats the value on servers that have it, and would now contradict it.
            item.remove("display");
        }
        list.push(Value::Object(item));
    }
    if old.is_none() && !value.is_empty() {
        let primary = attribute == "emails";
        list.push(if primary {
            json!({"value": value, "type": "work", "primary": true})
        } else {
            json!({"value": value, "type": "work"})
        });
    }
    if list.is_empty() {
        Op { verb: "remove", path: attribute.to_owned(), value: None }
    } else {
        Op { verb: "replace", path: attribute.to_owned(), value: Some(Value::Array(list)) }
    }
}

/// The operation that switches a user on or off.
pub(crate) fn active_op(active: bool) -> Op {
    Op { verb: "replace", path: "active".to_owned(), value: Some(active.into()) }
}

/// Does to a record what the operations ask for, for servers without PATCH. Everything else in it stays.
pub(crate) fn change(record: &mut Object, ops: &[Op]) {
    for op in ops {
        let (outer, inner) = match op.path.strip_prefix(ENTERPRISE) {
            Some(rest) => (Some(ENTERPRISE), rest.trim_start_matches(':')),
            None => match op.path.split_once('.') {
                Some((outer, inner)) => (Some(outer), inner),
                None => (None, op.path.as_str()),
            },
        };
        let place = match outer {
            Some(outer) => inside(record, outer),
            None => record,
        };
        let spelling = spelling_of(place, inner);
        match &op.value {
            Some(value) => place.insert(spelling, value.clone()),
            None => place.remove(&spelling),
        };
        if outer == Some(ENTERPRISE) && op.value.is_some() {
            declare(record, ENTERPRISE);
        }
    }
}

fn spelling_of(object: &Object, name: &str) -> String {
    object.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned().unwrap_or_else(|| name.to_owned())
}

fn inside<'a>(record: &'a mut Object, name: &str) -> &'a mut Object {
    let spelling = spelling_of(record, name);
    let slot = record.entry(spelling).or_insert_with(|| Value::Object(Object::new()));
    if !slot.is_object() {
        *slot = Value::Object(Object::new());
    }
    slot.as_object_mut().expect("made an object above")
}

fn declare(record: &mut Object, schema: &str) {
    if let Value::Array(schemas) = record.entry("schemas").or_insert_with(|| Value::Array(Vec::new()))
        && !schemas.iter().filter_map(Value::as_str).any(|s| s.eq_ignore_ascii_case(schema))
    {
        schemas.push(schema.into());
    }
}

/// A record as it may be written back: without what only the server writes.
pub(crate) fn writable(mut record: Object) -> Object {
    record.retain(|name, _| !name.eq_ignore_ascii_case("meta") && !name.eq_ignore_ascii_case("groups"));
    record
}

/// The version of a record, for a conditional write.
pub(crate) fn version_of(record: &Object) -> Option<String> {
    get(record, "meta").and_then(Value::as_object).and_then(|m| text(m, "version")).map(str::to_owned)
}

/// A new user, active; `None` when nothing can serve as a user name.
pub(crate) fn new_user(profile: &Profile, keys: &CorrelationKeys, shape: Shape) -> Option<Object> {
    let key = |kind: KeyKind| keys.of(kind).next().map(CorrelationKey::value);
    let by_kind = match shape.user_name {
        UserName::Upn => [(field::UPN, KeyKind::Upn), (field::MAIL, KeyKind::Mail), (field::ACCOUNT, KeyKind::Account)],
        UserName::Account => {
            [(field::ACCOUNT, KeyKind::Account), (field::UPN, KeyKind::Upn), (field::MAIL, KeyKind::Mail)]
        }
    };
    let others = by_kind.into_iter().find_map(|(name, kind)| profile.get(name).or_else(|| key(kind)));
    let user_name = profile.get(field::USER_NAME).or(others).filter(|name| !name.is_empty())?;
    let mut user = Object::new();
    user.insert("schemas".to_owned(), json!([USER_SCHEMA]));
    user.insert("userName".to_owned(), user_name.into());
    user.insert("active".to_owned(), true.into());
    if let Some(id) = key(KeyKind::Directory) {
        user.insert("externalId".to_owned(), id.into());
    }
    let mut profile = profile.clone();
    for (name, kind) in [(field::EMPLOYEE_NUMBER, KeyKind::Employee), (field::MAIL, KeyKind::Mail)] {
        if let (None, Some(value)) = (profile.get(name), key(kind)) {
            profile.set(FieldName::known(name), value);
        }
    }
    let mut ops = amend_ops(&profile, None);
    ops.retain(|op| {
        op.value.is_some() && op.path != "userName" && (shape.enterprise || !op.path.starts_with(ENTERPRISE))
    });
    change(&mut user, &ops);
    Some(user)
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
