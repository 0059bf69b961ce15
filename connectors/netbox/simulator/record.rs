//! A person of the simulator in the words of the contract, by the published meaning of its fields.

use jiff::civil::DateTime;
use lockstep_contract::{
    AccessLevelId, Cardholder, CardholderId, CorrelationKey, CorrelationKeys, Credential, CredentialId, CredentialKind,
    CredentialStatus, FieldName, InactiveStatus, KeyKind, Profile, SiteId, Status, Validity,
};

use super::seeding::{FIELDS, KEYS, suspended};
use super::world::{Card, Person, World};

/// A date as NBAPI sends it.
pub(super) fn date(world: &World, at: Option<DateTime>, offset: bool) -> String {
    let Some(at) = at else { return String::new() };
    let format = match (offset, world.rules.colon_in_offset) {
        (false, _) => return at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        (true, false) => "%Y-%m-%d %H:%M:%S %z",
        (true, true) => "%Y-%m-%d %H:%M:%S%:z",
    };
    world.zone.to_zoned(at).map(|zoned| zoned.strftime(format).to_string()).unwrap_or_default()
}

pub(super) fn record(world: &World, person: &Person) -> Cardholder {
    let instant = |at: DateTime| world.zone.to_timestamp(at).ok();
    let off = person.end == Some(suspended());
    let former = person.field("UDF20").strip_prefix("lockstep:until=");
    let until = match former {
        Some("open") if off => None,
        Some(former) if off => former.parse().ok(),
        Some(_) | None => person.end.and_then(instant),
    };
    let level = |key: &u64| AccessLevelId::new(format!("{key}:{}", world.levels.get(key)?.name)).ok();
    let mut credentials: Vec<Credential> = person.cards.iter().filter_map(credential).collect();
    credentials.sort_by(|a, b| a.id.cmp(&b.id));
    Cardholder {
        id: CardholderId::new(&*person.id).expect("an id that came from a connector"),
        keys: keys(person),
        profile: profile(person),
        status: if off { Status::Suspended } else { Status::Active },
        levels: person.levels.keys().filter_map(level).collect(),
        credentials,
        validity: Validity { from: person.start.and_then(instant), until },
        site: world.partitions.get(&person.partition).and_then(|name| SiteId::new(name).ok()),
        revision: None,
    }
}

fn keys(person: &Person) -> CorrelationKeys {
    let id = CorrelationKey::new(KeyKind::Employee, &person.id).ok();
    let fields = KEYS.into_iter().filter_map(|(kind, place)| CorrelationKey::new(kind, person.field(place)).ok());
    let wiegand = person.cards.iter().filter(|card| card.format == "26 bit Wiegand");
    let cards = wiegand.filter_map(|card| CorrelationKey::new(KeyKind::Card, &format!("26-{}", card.encoded)).ok());
    id.into_iter().chain(fields).chain(cards).collect()
}

fn profile(person: &Person) -> Profile {
    let fields = FIELDS
        .into_iter()
        .filter_map(|(name, place)| Some((FieldName::known(name), person.fields.get(place)?.clone())));
    fields.collect()
}

fn credential(card: &Card) -> Option<Credential> {
    let status = match (card.disabled, card.status.as_str()) {
        (true, "Lost") => CredentialStatus::Inactive(InactiveStatus::Lost),
        (true, _) => CredentialStatus::Inactive(InactiveStatus::Disabled),
        (false, "Active") => CredentialStatus::Active,
        (false, other) => CredentialStatus::Other(other.to_owned()),
    };
    let id = CredentialId::new(card.id.to_string()).ok()?;
    Some(Credential { id, kind: CredentialKind::Card, number: Some(card.printed.clone()), status })
}
