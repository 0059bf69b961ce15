//! Puts the records of a seed into a fresh NetBox.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lockstep_conformance::{Seed, SeedCardholder};
use lockstep_contract::{KeyKind, Status, field};

use super::ZONE;
use super::world::{Person, World};

/// Where keys and fields stand, as settings.
pub(super) const PLACES: &str = "\
    keys = { employee = \"PERSONID\", directory = \"UDF1\", upn = \"UDF2\", account = \"UDF3\", mail = \"CONTACTEMAIL\" }\n\
    fields = { department = \"UDF4\", title = \"UDF5\", employee_number = \"UDF6\", employee_type = \"UDF7\", \
    company = \"UDF8\", site = \"UDF9\", display_name = \"UDF10\" }\n\
    card_formats = { 26 = \"26 bit Wiegand\" }\n";

/// Where keys stand, apart from the ID #.
pub(super) const KEYS: [(KeyKind, &str); 4] =
    [(KeyKind::Directory, "UDF1"), (KeyKind::Upn, "UDF2"), (KeyKind::Account, "UDF3"), (KeyKind::Mail, "CONTACTEMAIL")];

/// Where fields stand.
pub(super) const FIELDS: [(&str, &str); 11] = [
    (field::GIVEN_NAME, "FIRSTNAME"),
    (field::FAMILY_NAME, "LASTNAME"),
    (field::MAIL, "CONTACTEMAIL"),
    (field::PHONE, "CONTACTPHONE"),
    (field::DEPARTMENT, "UDF4"),
    (field::TITLE, "UDF5"),
    (field::EMPLOYEE_NUMBER, "UDF6"),
    (field::EMPLOYEE_TYPE, "UDF7"),
    (field::COMPANY, "UDF8"),
    (field::SITE, "UDF9"),
    (field::DISPLAY_NAME, "UDF10"),
];

/// The date that means "suspended", and what the connector's settings call it by default.
pub(super) fn suspended() -> DateTime {
    DateTime::constant(2000, 1, 1, 0, 0, 0, 0)
}

pub(super) fn world(seed: &Seed) -> World {
    let mut world = World::new(TimeZone::get(ZONE).expect("this machine knows time zones"));
    let levels: Vec<u64> = seed.levels.iter().map(|level| world.add_level(&level.name, 1)).collect();
    for one in &seed.cardholders {
        let person = person(&mut world, one, &levels);
        world.insert(person);
    }
    world
}

fn person(world: &mut World, seed: &SeedCardholder, levels: &[u64]) -> Person {
    let employee = seed.keys.of(KeyKind::Employee).next().map(|key| key.value().to_owned());
    let id = employee.filter(|id| world.person(id).is_none()).unwrap_or_else(|| world.invent_id());
    let mut person = Person::new(&id, 1);
    for (kind, place) in KEYS {
        if let Some(key) = seed.keys.of(kind).next() {
            person.fields.insert(place, key.value().to_owned());
        }
    }
    for (name, place) in FIELDS {
        if let Some(value) = seed.profile.get(name) {
            person.fields.insert(place, value.to_owned());
        }
    }
    person.fields.entry("LASTNAME").or_insert_with(|| "Nobody".to_owned());
    person.levels = seed.levels.iter().filter_map(|nth| Some((*levels.get(*nth)?, None))).collect();
    for number in &seed.cards {
        let encoded = number.strip_prefix("26-").unwrap_or(number);
        person.cards.push(world.new_card("26 bit Wiegand", encoded));
    }
    person.start = seed.validity.from.map(|from| world.zone.to_datetime(from));
    person.end = seed.validity.until.map(|until| world.zone.to_datetime(until));
    if seed.status == Status::Suspended {
        let until = seed.validity.until.map_or_else(|| "open".to_owned(), |until| until.to_string());
        person.end = Some(suspended());
        person.fields.insert("UDF20", format!("lockstep:until={until}"));
    }
    person
}
