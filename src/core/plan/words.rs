//! How people, cardholders and fields are named to the reviewer. For reading only.

use lockstep_contract::{FieldName, KeyKind, PersonId, field};

use super::correlate::show;
use super::notes::Words;
use crate::{CardholderRef, PersonRef, Who};

/// A person as people know them: `Ada Lovelace (employee:10482)`.
pub(super) fn name(person: PersonRef<'_>) -> String {
    let key = person.key_refs().find(|key| key.kind == KeyKind::Employee);
    let key = key.or_else(|| person.key_refs().find(|key| key.kind != KeyKind::Card));
    let key = key.map_or_else(|| person.id().to_string(), show);
    match full_name(|field| person.field(field)) {
        Some(name) => format!("{name} ({key})"),
        None => key,
    }
}

/// A cardholder as people know them: `cardholder 4711 (Ada Lovelace)`.
pub(super) fn cardholder(cardholder: CardholderRef<'_>) -> String {
    match full_name(|field| cardholder.field(field)) {
        Some(name) => format!("cardholder {} ({name})", cardholder.id()),
        None => format!("cardholder {}", cardholder.id()),
    }
}

/// A person who is not in the census, by what the PACS knows.
pub(super) fn absent(id: &PersonId, cardholder: Option<CardholderRef<'_>>) -> String {
    match cardholder.and_then(|cardholder| full_name(|field| cardholder.field(field))) {
        Some(name) => format!("{name} (person {id})"),
        None => format!("person {id}"),
    }
}

/// Words without advice.
pub(super) fn words(subject: String, message: impl Into<String>) -> Words {
    Words { subject, message: message.into(), help: None }
}

/// Words with advice.
pub(super) fn advice(subject: String, message: impl Into<String>, help: &'static str) -> Words {
    Words { subject, message: message.into(), help: Some(help) }
}

/// A human as a reviewer knows them.
pub(super) fn who(person: Option<PersonRef<'_>>, cardholder: Option<CardholderRef<'_>>) -> Who {
    let get = |name: &str| {
        let known = person.and_then(|person| person.field(name));
        known.or_else(|| cardholder.and_then(|cardholder| cardholder.field(name))).filter(|value| !value.is_empty())
    };
    let owned = |name: &str| get(name).map(str::to_owned);
    let name = full_name(get).or_else(|| person.map(name)).or_else(|| cardholder.map(self::cardholder));
    Who {
        name: name.unwrap_or_default(),
        employee_number: owned(field::EMPLOYEE_NUMBER).or_else(|| employee_key(person, cardholder)),
        department: owned(field::DEPARTMENT),
        title: owned(field::TITLE),
        manager: owned(field::MANAGER),
    }
}

fn employee_key(person: Option<PersonRef<'_>>, cardholder: Option<CardholderRef<'_>>) -> Option<String> {
    let of_person = person.into_iter().flat_map(PersonRef::key_refs);
    let of_cardholder = cardholder.into_iter().flat_map(CardholderRef::key_refs);
    of_person.chain(of_cardholder).find(|key| key.kind == KeyKind::Employee).map(|key| key.text().to_owned())
}

fn full_name<'v>(get: impl Fn(&str) -> Option<&'v str>) -> Option<String> {
    let get = |name: &str| get(name).filter(|value| !value.is_empty());
    if let Some(name) = get(field::DISPLAY_NAME) {
        return Some(name.to_owned());
    }
    match (get(field::GIVEN_NAME), get(field::FAMILY_NAME)) {
        (Some(given), Some(family)) => Some(format!("{given} {family}")),
        (Some(name), None) | (None, Some(name)) => Some(name.to_owned()),
        (None, None) => None,
    }
}

/// A value that the PACS would cut.
pub(super) fn too_long(subject: String, field: &FieldName, chars: usize, most: u32) -> Words {
    advice(
        subject,
        format!("`{field}` has {chars} characters, and the PACS takes {most}; it is not written rather than cut"),
        "shorten it in the directory, or write a shorter template in the mapping",
    )
}
