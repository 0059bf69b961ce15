//! What one action is in one request. Pure: this module must not ask anybody.

use std::collections::BTreeSet;

use lockstep_contract::{
    AccessLevelId, Action, CorrelationKeys, CredentialId, CredentialStatus, FaultKind, InactiveStatus, Profile,
    Reduction, Step, Subject, field,
};
use lockstep_http::{Url, Value};
use serde_json::json;

use crate::NAME_CHARS_MAX;
use crate::api::{Object, link};
use crate::cards::{label_for_off, label_for_on};
use crate::convert::{Record, Shape};
use crate::discovery::{CardTypes, DataField, Groups};

/// Why an action cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: FaultKind,
    pub(crate) message: String,
    pub(crate) help: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: None }
    }

    pub(crate) fn help(self, help: &'static str) -> Self {
        Self { help: Some(help), ..self }
    }
}

fn refuse<T>(kind: FaultKind, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(kind, message))
}

/// The steps of an action, sorted by what they become.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Work<'a> {
    pub(crate) suspend: bool,
    pub(crate) deactivate: Vec<(&'a CredentialId, InactiveStatus)>,
    pub(crate) revoke: BTreeSet<&'a AccessLevelId>,
    pub(crate) provision: Option<(&'a Profile, &'a CorrelationKeys)>,
    pub(crate) amend: Option<&'a Profile>,
    pub(crate) reinstate: bool,
    pub(crate) grant: BTreeSet<&'a AccessLevelId>,
    pub(crate) activate: Vec<&'a CredentialId>,
}

impl<'a> Work<'a> {
    pub(crate) fn of(action: &'a Action) -> Result<Self, Refusal> {
        let mut work = Self::default();
        for step in &action.steps {
            match step {
                Step::Reduce(Reduction::Suspend) => work.suspend = true,
                Step::Reduce(Reduction::Deactivate { credential, status }) => {
                    work.deactivate.push((credential, *status));
                }
                Step::Reduce(Reduction::Revoke { level }) => drop(work.revoke.insert(level)),
                Step::Reduce(Reduction::Narrow { .. }) | Step::Widen { .. } => {
                    return refuse(FaultKind::Unsupported, "a cardholder of Command Centre has no validity dates");
                }
                Step::Provision { profile, keys } => work.provision = Some((profile, keys)),
                Step::Amend { profile } => work.amend = Some(profile),
                Step::Reinstate => work.reinstate = true,
                Step::Grant { level } => drop(work.grant.insert(level)),
                Step::Activate { credential } => work.activate.push(credential),
            }
        }
        if work.provision.is_some() != matches!(action.subject, Subject::New(_)) {
            let message = "an action creates a record exactly when it is about a new one";
            return refuse(FaultKind::Unsupported, message);
        }
        Ok(work)
    }

    /// Whether the record as it is now must be known.
    pub(crate) fn needs_record(&self) -> bool {
        !self.revoke.is_empty() || !self.grant.is_empty() || self.switches_cards() || self.amends_data()
    }

    /// Whether personal data fields are written, which show only in certain groups.
    pub(crate) fn amends_data(&self) -> bool {
        let own = |name: &str| matches!(name, field::GIVEN_NAME | field::FAMILY_NAME);
        self.amend.is_some_and(|profile| profile.iter().any(|(name, _)| !own(name.as_str())))
    }

    /// Whether access is taken away. That must not wait for anything else to be right.
    pub(crate) fn reduces(&self) -> bool {
        self.suspend || !self.revoke.is_empty() || !self.deactivate.is_empty()
    }

    /// Whether the names of card states must be known.
    pub(crate) fn switches_cards(&self) -> bool {
        !self.deactivate.is_empty() || !self.activate.is_empty()
    }
}

/// The body of the request that changes a record; empty when it is as it should be.
pub(crate) fn change(
    work: &Work<'_>,
    record: Option<&Record>,
    shape: &Shape,
    card_types: Option<&CardTypes>,
) -> Result<Object, Refusal> {
    let mut body = Object::new();
    if work.suspend || work.reinstate {
        body.insert("authorised".to_owned(), Value::Bool(!work.suspend));
    }
    if let Some(profile) = work.amend {
        body.extend(attributes(profile, shape)?);
    }
    let Some(record) = record else { return Ok(body) };
    let cards = card_changes(work, record, shape, card_types)?;
    if !cards.is_empty() {
        body.insert("cards".to_owned(), json!({ "update": cards }));
    }
    let groups = group_changes(work, record, &shape.base)?;
    if !groups.is_empty() {
        body.insert("accessGroups".to_owned(), Value::Object(groups));
    }
    Ok(body)
}

/// Fields as attributes of a cardholder. Values that would not fit are refused: Command Centre may cut them silently.
pub(crate) fn attributes(profile: &Profile, shape: &Shape) -> Result<Object, Refusal> {
    let mut attributes = Object::new();
    for (name, value) in profile.iter() {
        let own = match name.as_str() {
            field::GIVEN_NAME => Some("firstName"),
            field::FAMILY_NAME => Some("lastName"),
            _ => None,
        };
        if let Some(own) = own {
            if value.chars().count() > NAME_CHARS_MAX as usize {
                let message = format!("`{name}` is longer than the {NAME_CHARS_MAX} characters that there is room for");
                return refuse(FaultKind::Invalid, message);
            }
            attributes.insert(own.to_owned(), Value::from(value));
        } else if let Some(data) = shape.data.fields.get(name) {
            if data.kind == "image" {
                return refuse(
                    FaultKind::Unsupported,
                    format!("`{name}` is an image, and no text can be written to it"),
                );
            }
            let value = if value.is_empty() { Value::Null } else { Value::from(value) };
            attributes.insert(data.attribute(), value);
        } else {
            return refuse(FaultKind::Unsupported, format!("no personal data field is set for `{name}`"));
        }
    }
    Ok(attributes)
}

/// The field of an amendment that Command Centre would drop without a word: no group of the cardholder carries it,
/// neither one that it is in nor one that this action gives.
pub(crate) fn dropped<'s>(
    work: &Work<'_>,
    record: &Record,
    shape: &'s Shape,
    groups: &Groups,
) -> Option<&'s DataField> {
    let mut fields = work.amend?.iter().filter_map(|(name, _)| shape.data.fields.get(name));
    let stays = |group: &str| !work.revoke.iter().any(|level| level.as_str() == group);
    fields.find(|field| {
        let joins = work.grant.iter().any(|level| groups.carries(level.as_str(), field));
        !joins && !record.may_hold(field, groups, stays)
    })
}

/// A path that was kept of a link of this server, as a link again.
pub(crate) fn href(base: &Url, path: &str) -> Result<String, Refusal> {
    match link(base, path) {
        Ok(url) if path.starts_with('/') => Ok(url.to_string()),
        Ok(_) | Err(_) => refuse(FaultKind::Invalid, format!("`{path}` is no path of this server")),
    }
}

fn card_changes(
    work: &Work<'_>,
    record: &Record,
    shape: &Shape,
    card_types: Option<&CardTypes>,
) -> Result<Vec<Value>, Refusal> {
    let mut updates = Vec::new();
    let states = |credential: &CredentialId| -> Option<&[String]> {
        let card = record.cards.iter().find(|card| card.credential == *credential)?;
        card_types?.0.get(card.card_type.as_deref()?).map(Vec::as_slice)
    };
    let status = |credential: &CredentialId| {
        record.cardholder.credentials.iter().find(|one| one.id == *credential).map(|one| &one.status)
    };
    let mut update = |credential: &CredentialId, label: &str| -> Result<(), Refusal> {
        let link = href(&shape.base, credential.as_str())?;
        updates.push(json!({ "href": link, "status": { "value": label } }));
        Ok(())
    };
    let invalid = |message| Refusal::new(FaultKind::Invalid, message);
    for (credential, why) in &work.deactivate {
        match status(credential) {
            // Gone is off; and why a card is off already is not overwritten.
            None | Some(CredentialStatus::Inactive(_)) => {}
            Some(CredentialStatus::Active | CredentialStatus::Other(_)) => {
                let label = label_for_off(*why, &shape.states, states(credential)).map_err(invalid)?;
                update(credential, label)?;
            }
        }
    }
    for credential in &work.activate {
        match status(credential) {
            None => return refuse(FaultKind::Missing, format!("the cardholder has no card {credential} any more")),
            Some(CredentialStatus::Active) => {}
            Some(CredentialStatus::Inactive(InactiveStatus::Lost | InactiveStatus::Stolen)) => {
                return refuse(FaultKind::Invalid, format!("card {credential} is reported lost or stolen"));
            }
            Some(CredentialStatus::Inactive(_) | CredentialStatus::Other(_)) => {
                update(credential, label_for_on(&shape.states, states(credential)).map_err(invalid)?)?;
            }
        }
    }
    Ok(updates)
}

fn group_changes(work: &Work<'_>, record: &Record, base: &Url) -> Result<Object, Refusal> {
    let of = |level: &AccessLevelId| {
        let level = level.clone();
        record.memberships.iter().filter(move |one| one.group.as_deref() == Some(level.as_str()))
    };
    let mut add = Vec::new();
    let mut remove = Vec::new();
    for level in &work.revoke {
        // Every one of them: one that is left, even of tomorrow, is access that was not taken away.
        for membership in of(level) {
            let Some(path) = &membership.path else {
                return refuse(
                    FaultKind::Denied,
                    format!("the membership of {level} has no link, so it cannot be ended"),
                );
            };
            remove.push(json!({ "href": href(base, path)? }));
        }
    }
    for level in &work.grant {
        if !of(level).any(|one| one.active) {
            add.push(json!({ "accessGroup": { "href": href(base, level.as_str())? } }));
        }
    }
    let lists = [("add", add), ("remove", remove)];
    Ok(lists
        .into_iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(name, list)| (name.to_owned(), list.into()))
        .collect())
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
