//! The commands about people.

use jiff::Timestamp;
use jiff::civil::DateTime;

use super::answers::{Asked, Outcome, empty, fail};
use super::levels;
use super::node::{Node, leaf, wrap};
use super::record::date;
use super::world::{Person, World};

/// The plain fields of a person.
pub(super) const FIELDS: [&str; 30] = [
    "FIRSTNAME",
    "MIDDLENAME",
    "LASTNAME",
    "NOTES",
    "CONTACTPHONE",
    "CONTACTEMAIL",
    "CONTACTSMSEMAIL",
    "CONTACTLOCATION",
    "MOBILEPHONE",
    "OTHERCONTACTNAME",
    "UDF1",
    "UDF2",
    "UDF3",
    "UDF4",
    "UDF5",
    "UDF6",
    "UDF7",
    "UDF8",
    "UDF9",
    "UDF10",
    "UDF11",
    "UDF12",
    "UDF13",
    "UDF14",
    "UDF15",
    "UDF16",
    "UDF17",
    "UDF18",
    "UDF19",
    "UDF20",
];

/// The parameters of a search beside [`FIELDS`].
pub(super) const SEARCHED: &[&str] = &[
    "PERSONID",
    "DELETED",
    "ALLPARTITIONS",
    "CASEINSENSITIVE",
    "ACCESSLEVELDETAILS",
    "WANTCREDENTIALID",
    "STARTFROMKEY",
    "NUMTORETURN",
    "HOTSTAMP",
];

/// The parameters of a new person beside [`FIELDS`].
pub(super) const ADDED: &[&str] = &["PERSONID", "ACTDATE", "EXPDATE", "PIN", "ACCESSLEVELS"];

/// The parameters of a changed person beside [`FIELDS`].
pub(super) const MODIFIED: &[&str] =
    &["PERSONID", "ACTDATE", "EXPDATE", "PIN", "ACCESSLEVELS", "DELETED", "PERSONPURGE", "ALLPARTITIONS"];

/// Who edits through the interface.
const EDITOR: &str = "_2";

pub(super) fn get(world: &World, asked: &Asked<'_>) -> Outcome {
    let id = asked.params.value("PERSONID").unwrap_or_default();
    if id.is_empty() {
        return Outcome::Error(3);
    }
    match world.person(id).filter(|person| asked.sees(person.partition)) {
        Some(person) => Outcome::Success(written(world, person, asked)),
        None => Outcome::NotFound,
    }
}

pub(super) fn search(world: &World, asked: &Asked<'_>) -> Outcome {
    let params = asked.params;
    let number = |name: &str| params.value(name).map_or(Ok(0), str::parse::<u64>);
    let (Ok(start), Ok(count)) = (number("STARTFROMKEY"), number("NUMTORETURN")) else { return Outcome::Error(3) };
    let start = if asked.again { 0 } else { start };
    let count = if count == 0 { 100 } else { usize::try_from(count).unwrap_or(usize::MAX) }.min(world.rules.page_max);
    let deleted = params.value("DELETED").unwrap_or("FALSE");
    let fits = |person: &Person| {
        asked.sees(person.partition)
            && (deleted == "ALL" || person.deleted == (deleted == "TRUE"))
            && (asked.deaf || matches(world, asked, person))
    };
    let mut found = candidates(world, asked, start).filter(|(_, person)| fits(person));
    let page: Vec<_> = found.by_ref().take(count).collect();
    if page.is_empty() {
        return empty(world, "PEOPLE");
    }
    let mut list = String::new();
    for (_, person) in page {
        wrap(&mut list, "PERSON", &written(world, person, asked));
    }
    let mut out = String::new();
    wrap(&mut out, "PEOPLE", &list);
    match found.next() {
        Some((key, _)) => leaf(&mut out, "NEXTKEY", &key.to_string()),
        None if world.rules.no_last_key => {}
        None => leaf(&mut out, "NEXTKEY", "-1"),
    }
    Outcome::Success(out)
}

/// Whom to look at: those with the value of the first filter, or everybody.
fn candidates<'w>(world: &'w World, asked: &Asked<'_>, start: u64) -> Box<dyn Iterator<Item = (u64, &'w Person)> + 'w> {
    let filter = FIELDS.into_iter().find_map(|field| Some((field, asked.params.value(field)?)));
    match filter.filter(|_| !asked.deaf) {
        Some((field, value)) => {
            let keys = world.with_value(field, value);
            Box::new(
                keys.into_iter().filter(move |key| *key >= start).filter_map(|key| Some((key, world.by_key(key)?))),
            )
        }
        None => Box::new(world.from(start)),
    }
}

fn matches(world: &World, asked: &Asked<'_>, person: &Person) -> bool {
    let any_case = asked.params.yes("CASEINSENSITIVE");
    let equal = |a: &str, b: &str| if any_case { a.to_lowercase() == b.to_lowercase() } else { a == b };
    let fields = FIELDS.into_iter().all(|field| {
        asked
            .params
            .value(field)
            .is_none_or(|wanted| world.rules.deaf != Some(field) && equal(person.field(field), wanted))
    });
    let id = asked.params.value("PERSONID").is_none_or(|wanted| equal(&person.id, wanted));
    let card =
        asked.params.value("HOTSTAMP").is_none_or(|wanted| person.cards.iter().any(|card| card.printed == wanted));
    fields && id && card
}

pub(super) fn add(world: &mut World, asked: &Asked<'_>) -> Outcome {
    if asked.params.value("LASTNAME").is_none_or(|name| name.trim().is_empty()) {
        return fail("Missing Last Name");
    }
    let id = match asked.params.value("PERSONID") {
        Some(id) if !id.is_empty() => id.to_owned(),
        Some(_) | None => world.invent_id(),
    };
    if world.person(&id).is_some() {
        return fail("Duplicate person ID");
    }
    let mut person = Person::new(&id, asked.partition);
    EDITOR.clone_into(&mut person.editor);
    person.edited = Timestamp::now();
    match change(world, &mut person, asked.params) {
        Ok(()) => {
            world.insert(person);
            said(&id)
        }
        Err(outcome) => outcome,
    }
}

pub(super) fn modify(world: &mut World, asked: &Asked<'_>) -> Outcome {
    let id = asked.params.value("PERSONID").unwrap_or_default().to_owned();
    let Some(mut person) = world.person(&id).filter(|person| asked.sees(person.partition)).cloned() else {
        return Outcome::NotFound;
    };
    if asked.params.yes("PERSONPURGE") {
        world.purge(&id);
        return said(&id);
    }
    if let Some(deleted) = asked.params.child("DELETED") {
        if deleted.text == "TRUE" { person.delete() } else { person.deleted = false }
    }
    match change(world, &mut person, asked.params) {
        Ok(()) => {
            world.edit(&id, EDITOR, |now| *now = person);
            said(&id)
        }
        Err(outcome) => outcome,
    }
}

pub(super) fn remove(world: &mut World, asked: &Asked<'_>) -> Outcome {
    let id = asked.params.value("PERSONID").unwrap_or_default().to_owned();
    if !world.person(&id).is_some_and(|person| asked.sees(person.partition)) {
        return Outcome::NotFound;
    }
    world.edit(&id, EDITOR, Person::delete);
    said(&id)
}

fn said(id: &str) -> Outcome {
    let mut out = String::new();
    leaf(&mut out, "PERSONID", id);
    Outcome::Success(out)
}

fn change(world: &World, person: &mut Person, params: &Node) -> Result<(), Outcome> {
    for field in FIELDS {
        let Some(value) = params.value(field) else { continue };
        if field == "LASTNAME" && value.trim().is_empty() {
            return Err(fail("Missing Last Name"));
        }
        if world.rules.closed == Some(field) && !value.is_empty() {
            return Err(fail(format!("Invalid value: {field}")));
        }
        person.fields.insert(field, value.to_owned());
    }
    for (name, slot) in [("ACTDATE", &mut person.start), ("EXPDATE", &mut person.end)] {
        match params.value(name) {
            None => {}
            Some("") if world.rules.empty_date_ignored => {}
            Some("") => *slot = None,
            Some(text) => *slot = Some(read_date(text).ok_or_else(|| fail(format!("Invalid date: {name}")))?),
        }
    }
    match params.child("ACCESSLEVELS") {
        Some(list) => levels::change(world, person, list),
        None => Ok(()),
    }
}

/// To the minute, and without an offset: nothing else is taken.
fn read_date(text: &str) -> Option<DateTime> {
    match text.len() {
        10 => text.parse::<jiff::civil::Date>().ok().map(|day| day.at(0, 0, 0, 0)),
        16 => DateTime::strptime("%Y-%m-%d %H:%M", text).ok(),
        _ => None,
    }
}

fn written(world: &World, person: &Person, asked: &Asked<'_>) -> String {
    let mut out = String::new();
    leaf(&mut out, "PERSONID", &person.id);
    for field in ["LASTNAME", "FIRSTNAME", "MIDDLENAME"] {
        leaf(&mut out, field, person.field(field));
    }
    leaf(&mut out, "ACTDATE", &date(world, person.start, asked.offsets));
    leaf(&mut out, "EXPDATE", &date(world, person.end, asked.offsets));
    for (field, value) in
        person.fields.iter().filter(|(field, _)| !field.ends_with("NAME") || field.starts_with("OTHER"))
    {
        leaf(&mut out, field, value);
    }
    leaf(&mut out, "PIN", &person.pin);
    leaf(&mut out, "PARTITION", world.partitions.get(&person.partition).map_or("", String::as_str));
    leaf(&mut out, "DELETED", if person.deleted { "TRUE" } else { "FALSE" });
    leaf(&mut out, "LASTEDIT", &date(world, Some(world.zone.to_datetime(person.edited)), asked.offsets));
    leaf(&mut out, "LASTEDITPERSONID", &person.editor);
    let mut held = String::new();
    for (key, end) in &person.levels {
        let Some(level) = world.levels.get(key) else { continue };
        if asked.params.yes("ACCESSLEVELDETAILS") {
            let mut one = String::new();
            leaf(&mut one, "ACCESSLEVELNAME", &level.name);
            leaf(&mut one, "EXPDATE", &date(world, *end, asked.offsets));
            wrap(&mut held, "ACCESSLEVEL", &one);
        } else {
            leaf(&mut held, "ACCESSLEVEL", &level.name);
        }
    }
    // What is not assigned is not sent at all.
    if !held.is_empty() {
        wrap(&mut out, "ACCESSLEVELS", &held);
    }
    let cards = super::cards::written(person, asked.params.yes("WANTCREDENTIALID"));
    if !cards.is_empty() {
        wrap(&mut out, "ACCESSCARDS", &cards);
    }
    out
}
