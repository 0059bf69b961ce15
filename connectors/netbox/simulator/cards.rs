//! The commands about cards.

use super::answers::{Asked, Outcome, fail};
use super::node::{leaf, wrap};
use super::world::{Card, Person, World};

pub(super) const ADDED: &[&str] =
    &["PERSONID", "CARDFORMAT", "ENCODEDNUM", "HOTSTAMP", "CARDSTATUS", "CARDEXPDATE", "WANTCREDENTIALID"];
pub(super) const MODIFIED: &[&str] =
    &["PERSONID", "CREDENTIALID", "CARDFORMAT", "ENCODEDNUM", "HOTSTAMP", "DISABLED", "CARDSTATUS", "CARDEXPDATE"];

const EDITOR: &str = "_2";
const NOTHING: &str =
    "At least one of Disabled, Hotstamp, Card Status or Card Expiration date parameters must be specified.";

pub(super) fn formats(world: &World) -> Outcome {
    let mut list = String::new();
    for format in &world.formats {
        leaf(&mut list, "CARDFORMAT", format);
    }
    let mut out = String::new();
    wrap(&mut out, "CARDFORMATS", &list);
    Outcome::Success(out)
}

pub(super) fn written(person: &Person, ids: bool) -> String {
    let mut out = String::new();
    for card in &person.cards {
        let mut one = String::new();
        leaf(&mut one, "ENCODEDNUM", &card.encoded);
        leaf(&mut one, "HOTSTAMP", &card.printed);
        if ids {
            leaf(&mut one, "CREDENTIALID", &card.id.to_string());
        }
        leaf(&mut one, "CARDFORMAT", &card.format);
        leaf(&mut one, "DISABLED", if card.disabled { "1" } else { "0" });
        leaf(&mut one, "CARDSTATUS", &card.status);
        leaf(&mut one, "CARDEXPDATE", "");
        wrap(&mut out, "ACCESSCARD", &one);
    }
    out
}

pub(super) fn details(world: &World, asked: &Asked<'_>) -> Outcome {
    let text = |name| asked.params.value(name).unwrap_or_default();
    let (format, encoded) = (text("CARDFORMAT"), text("ENCODEDNUM"));
    if !world.formats.iter().any(|known| known == format) {
        return fail(format!("Card format does not exist: {format}"));
    }
    let somebody = || world.all().find_map(|person| Some((person, person.cards.first()?)));
    let found = if asked.deaf { somebody() } else { world.card(format, encoded) };
    let Some((person, card)) = found.filter(|(person, _)| asked.sees(person.partition)) else {
        return Outcome::NotFound;
    };
    let mut out = String::new();
    leaf(&mut out, "PERSONID", &person.id);
    leaf(&mut out, "DISABLED", if card.disabled { "TRUE" } else { "FALSE" });
    leaf(&mut out, "CARDEXPDATE", "");
    Outcome::Success(out)
}

pub(super) fn add(world: &mut World, asked: &Asked<'_>) -> Outcome {
    let text = |name| asked.params.value(name).unwrap_or_default().to_owned();
    let (id, format, encoded) = (text("PERSONID"), text("CARDFORMAT"), text("ENCODEDNUM"));
    if !world.person(&id).is_some_and(|person| asked.sees(person.partition) && !person.deleted) {
        return Outcome::NotFound;
    }
    if !world.formats.contains(&format) {
        return fail(format!("Card format does not exist: {format}"));
    }
    if world.card(&format, &encoded).is_some() {
        return fail("Duplicate credential");
    }
    let mut card = world.new_card(&format, &encoded);
    if let Some(printed) = asked.params.value("HOTSTAMP") {
        printed.clone_into(&mut card.printed);
    }
    let mut out = String::new();
    if asked.params.yes("WANTCREDENTIALID") {
        leaf(&mut out, "CREDENTIALID", &card.id.to_string());
    }
    world.edit(&id, EDITOR, |person| person.cards.push(card));
    Outcome::Success(out)
}

/// The card that a command selects.
fn selected<'p>(person: &'p Person, asked: &Asked<'_>) -> Option<&'p Card> {
    let is = |name: &str, value: &str| asked.params.value(name).is_some_and(|wanted| wanted == value);
    person.cards.iter().find(|card| match asked.params.value("CREDENTIALID") {
        Some(id) => card.id.to_string() == id,
        None => is("CARDFORMAT", &card.format) && (is("ENCODEDNUM", &card.encoded) || is("HOTSTAMP", &card.printed)),
    })
}

pub(super) fn modify(world: &mut World, asked: &Asked<'_>) -> Outcome {
    let id = asked.params.value("PERSONID").unwrap_or_default().to_owned();
    let person = world.person(&id).filter(|person| asked.sees(person.partition));
    let Some(card) = person.and_then(|person| selected(person, asked)).map(|card| card.id) else {
        return Outcome::NotFound;
    };
    let disabled = asked.params.child("DISABLED").map(|_| asked.params.yes("DISABLED"));
    let status = asked.params.value("CARDSTATUS").map(str::to_owned);
    match (disabled, &status) {
        (Some(_), Some(_)) => return fail("Disabled and Card Status cannot both be specified."),
        (None, None) if asked.params.child("CARDEXPDATE").is_none() => return fail(NOTHING),
        (_, Some(status)) if !world.rules.card_statuses.contains(status) => {
            return fail(format!("Card status does not exist: {status}"));
        }
        _ => {}
    }
    let shows = world.rules.disabling_shows;
    world.edit(&id, EDITOR, |person| {
        for card in person.cards.iter_mut().filter(|one| one.id == card) {
            if let Some(disabled) = disabled {
                card.disabled = disabled;
                if shows {
                    if disabled { "Disabled" } else { "Active" }.clone_into(&mut card.status);
                }
            }
            if let Some(status) = &status {
                card.status.clone_from(status);
            }
        }
    });
    Outcome::Success(String::new())
}

pub(super) fn remove(world: &mut World, asked: &Asked<'_>) -> Outcome {
    let id = asked.params.value("PERSONID").unwrap_or_default().to_owned();
    let person = world.person(&id).filter(|person| asked.sees(person.partition));
    let Some(card) = person.and_then(|person| selected(person, asked)).map(|card| card.id) else {
        return Outcome::NotFound;
    };
    world.edit(&id, EDITOR, |person| person.cards.retain(|one| one.id != card));
    Outcome::Success(String::new())
}
