//! The records of a seed in a fresh server, and a record of the server in the words of the contract: by a way that
//! shares nothing with the connector.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_conformance::{Seed, SeedCardholder};
use lockstep_contract::{
    AccessLevelId, Cardholder, CardholderId, CorrelationKey, CorrelationKeys, Credential, CredentialId, CredentialKind,
    CredentialStatus, FieldName, InactiveStatus, KeyKind, Profile, SiteId, Status, Validity, field,
};

use super::HOME;
use super::state::{Card, CardType, Division, Field, Group, Holder, Id, Membership, State};

/// The name under which the key is given.
pub(super) const KEY_NAME: &str = "COMMAND_CENTRE_KEY";
/// Where new cardholders go.
const STAFF: Id = 5;
const CARD: Id = 600;
/// Ids of the fields, with their names, the key or the profile field that they hold, and whether they are unique.
const FIELDS: [(Id, &str, &str, bool); 6] = [
    (629, "Employee ID", field::EMPLOYEE_NUMBER, true),
    (630, "Directory ID", "", true),
    (631, "Department", field::DEPARTMENT, false),
    (632, "Title", field::TITLE, false),
    (633, "Email", field::MAIL, false),
    (634, "Company", field::COMPANY, false),
];
const EMPLOYEE_ID: Id = 629;
const DIRECTORY_ID: Id = 630;

pub(super) fn settings(root: &str) -> String {
    let fields: Vec<String> = FIELDS
        .iter()
        .filter(|(_, _, of, _)| !of.is_empty())
        .map(|(_, name, of, _)| format!("{of} = \"{name}\""))
        .collect();
    format!(
        "url = \"{root}\"\napi_key = \"env:{KEY_NAME}\"\nhome_group = \"Lockstep people\"\ndivision = \"Staff\"\n\
         page_size = 10\nkeys = {{ employee = \"Employee ID\", directory = \"Directory ID\" }}\nfields = {{ {} }}\n",
        fields.join(", ")
    )
}

pub(super) fn cardholder_id(id: Id) -> CardholderId {
    CardholderId::new(format!("/api/cardholders/{id}")).expect("a plain path")
}

pub(super) fn level_id(id: Id) -> AccessLevelId {
    AccessLevelId::new(format!("/api/access_groups/{id}")).expect("a plain path")
}

/// The state of a fresh server, and the groups that are the levels of the seed.
pub(super) fn state(seed: &Seed) -> (State, Vec<Id>) {
    let mut state = State::default();
    for (id, name, parent) in [(2, "Root division", None), (STAFF, "Staff", Some(2)), (7, "Visitors", Some(2))] {
        state.divisions.insert(id, Division { name: name.to_owned(), parent });
    }
    let states = ["Active", "Disabled (manually)", "Lost", "Stolen", "Damaged"].map(str::to_owned).to_vec();
    let card = CardType { name: "HID 26".to_owned(), class: "card".to_owned(), states };
    state.card_types.insert(601, CardType { name: "Mobile".to_owned(), class: "mobile".to_owned(), ..card.clone() });
    state.card_types.insert(CARD, card);
    let group = |name: &str, zones: &[String]| Group {
        name: name.to_owned(),
        parent: None,
        division: 2,
        zones: zones.to_vec(),
    };
    state.groups.insert(HOME, group("Lockstep people", &[]));
    for (id, name, _, unique) in FIELDS {
        let field = Field {
            name: name.to_owned(),
            kind: "string".to_owned(),
            unique,
            required: false,
            access: "fullAccess".to_owned(),
            carriers: BTreeSet::from([HOME]),
        };
        state.fields.insert(id, field);
    }
    let mut levels = Vec::new();
    for (id, level) in (1_000..).zip(&seed.levels) {
        state.groups.insert(id, group(&level.name, &level.doors));
        levels.push(id);
    }
    for (id, seeded) in (100_000..).zip(&seed.cardholders) {
        let holder = holder(&mut state, seeded, &levels);
        state.put(id, holder, false);
    }
    state.changes.clear();
    (state, levels)
}

fn holder(state: &mut State, seeded: &SeedCardholder, levels: &[Id]) -> Holder {
    let name = |name: &str| seeded.profile.get(name).unwrap_or_default().to_owned();
    let key = |kind| seeded.keys.of(kind).next().map(|key| key.value().to_owned());
    let mut data: BTreeMap<Id, String> =
        FIELDS.iter().filter_map(|(id, _, of, _)| Some((*id, seeded.profile.get(of)?.to_owned()))).collect();
    data.extend(key(KeyKind::Employee).map(|value| (EMPLOYEE_ID, value)));
    data.extend(key(KeyKind::Directory).map(|value| (DIRECTORY_ID, value)));
    let groups = seeded.levels.iter().filter_map(|place| levels.get(*place).copied());
    let memberships = std::iter::once(HOME).chain(groups);
    Holder {
        first_name: name(field::GIVEN_NAME),
        last_name: name(field::FAMILY_NAME),
        authorised: seeded.status == Status::Active,
        division: STAFF,
        data,
        memberships: memberships
            .map(|group| Membership { code: state.fresh(), group, from: None, until: None })
            .collect(),
        cards: seeded
            .cards
            .iter()
            .map(|number| Card {
                code: state.fresh(),
                card_type: CARD,
                number: number.clone(),
                state: "Active".to_owned(),
                from: None,
                until: None,
            })
            .collect(),
        ..Holder::default()
    }
}

/// A record in the words of the contract.
pub(super) fn record(state: &State, id: Id, holder: &Holder) -> Cardholder {
    let now = state.now();
    let value = |field: Id| holder.data.get(&field).filter(|_| state.may_hold(holder, field));
    let mut keys = CorrelationKeys::new();
    for (kind, field) in [(KeyKind::Employee, EMPLOYEE_ID), (KeyKind::Directory, DIRECTORY_ID)] {
        if let Some(key) = value(field).and_then(|value| CorrelationKey::new(kind, value).ok()) {
            keys.insert(key);
        }
    }
    let mut profile = Profile::new();
    profile.set(FieldName::known(field::GIVEN_NAME), &holder.first_name);
    profile.set(FieldName::known(field::FAMILY_NAME), &holder.last_name);
    for (field, _, of, _) in FIELDS.into_iter().filter(|(_, _, of, _)| !of.is_empty()) {
        if let Some(value) = value(field) {
            profile.set(FieldName::known(of), value);
        }
    }
    let active = holder.memberships.iter().filter(|one| one.state(now) == "active" && one.group != HOME);
    let seen = active.filter(|one| !state.rights.hidden_groups.contains(&one.group));
    Cardholder {
        id: cardholder_id(id),
        keys,
        profile,
        status: if holder.authorised { Status::Active } else { Status::Suspended },
        levels: seen.map(|one| level_id(one.group)).collect(),
        credentials: holder.cards.iter().map(|card| credential(state, id, card)).collect(),
        validity: Validity::ALWAYS,
        site: SiteId::new(format!("/api/divisions/{}", holder.division)).ok(),
        revision: None,
    }
}

fn credential(state: &State, id: Id, card: &Card) -> Credential {
    let (label, kind) = state.card_state(card);
    let class = state.card_types.get(&card.card_type).map(|of| of.class.as_str());
    Credential {
        id: CredentialId::new(format!("/api/cardholders/{id}/cards/{:x}", card.code)).expect("a plain path"),
        kind: if class == Some("mobile") { CredentialKind::Mobile } else { CredentialKind::Card },
        number: Some(card.number.clone()).filter(|number| !number.is_empty()),
        status: match (kind, label.as_str()) {
            ("active", _) => CredentialStatus::Active,
            ("inactive", "Disabled (manually)") => CredentialStatus::Inactive(InactiveStatus::Disabled),
            ("inactive", "Lost") => CredentialStatus::Inactive(InactiveStatus::Lost),
            ("inactive", "Stolen") => CredentialStatus::Inactive(InactiveStatus::Stolen),
            ("pending", _) => CredentialStatus::Other(label),
            _ => CredentialStatus::Inactive(InactiveStatus::Expired),
        },
    }
}
