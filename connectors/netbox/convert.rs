//! People of NBAPI as cardholders, and back. Pure; this module must not send and must not look at the clock.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lockstep_contract::{
    Cardholder, CardholderId, CorrelationKey, CorrelationKeys, Credential, CredentialId, CredentialKind,
    CredentialStatus, FieldName, FieldRule, InactiveStatus, KeyKind, Profile, Revision, SiteId, Status, Validity,
};

use crate::clock::{Clock, End};
use crate::levels::Levels;
use crate::place::Place;
use crate::xml::{Element, is_xml};

/// What a record of one site looks like.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// Where keys stand.
    pub(crate) keys: BTreeMap<KeyKind, Place>,
    /// Where fields stand.
    pub(crate) fields: BTreeMap<FieldName, Place>,
    /// Where the end is kept that somebody had before they were suspended.
    pub(crate) suspension: Place,
    /// How dates are written and read.
    pub(crate) clock: Clock,
    /// Names of card formats by the word in front of a card number.
    pub(crate) formats: BTreeMap<String, String>,
    /// What card statuses mean, by their names in lower case.
    pub(crate) statuses: BTreeMap<String, InactiveStatus>,
}

/// A record of the NetBox that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot be read: {why}")]
pub(crate) struct BadRecord {
    what: String,
    why: String,
}

impl BadRecord {
    pub(crate) fn new(what: &str, why: &str) -> Self {
        Self { what: what.to_owned(), why: why.to_owned() }
    }
}

/// What `suspension_field` of a suspended person says about the end that they had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// The field is empty.
    Nothing,
    /// This end.
    End(Option<Timestamp>),
    /// Something that is not ours.
    Foreign,
}

/// Short: nobody has published how much such a field holds.
const KEPT: &str = "lockstep:until=";
const KEPT_OPEN: &str = "open";

impl Kept {
    pub(crate) fn read(text: &str) -> Self {
        match text.trim().strip_prefix(KEPT) {
            None if text.trim().is_empty() => Self::Nothing,
            None => Self::Foreign,
            Some(KEPT_OPEN) => Self::End(None),
            Some(end) => end.parse().map_or(Self::Foreign, |end| Self::End(Some(end))),
        }
    }

    pub(crate) fn write(end: Option<Timestamp>) -> String {
        end.map_or_else(|| format!("{KEPT}{KEPT_OPEN}"), |end| format!("{KEPT}{end}"))
    }
}

/// Whether somebody is suspended, and until when they are valid otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Suspended by their expiration date.
    pub(crate) suspended: bool,
    /// The validity that they have, or will have again.
    pub(crate) validity: Validity,
    /// What `suspension_field` says.
    pub(crate) kept: Kept,
}

impl Shape {
    /// The kinds of key by which people are found.
    pub(crate) fn key_kinds(&self) -> BTreeSet<KeyKind> {
        let card = (!self.formats.is_empty()).then_some(KeyKind::Card);
        self.keys.keys().copied().chain(card).collect()
    }

    /// What can be stored. No lengths are published; a value that is cut shows when it is read back.
    pub(crate) fn field_rules(&self) -> BTreeMap<FieldName, FieldRule> {
        let rule = |place: &Place| FieldRule { required: *place == Place::LAST_NAME, chars_max: None };
        self.fields.iter().map(|(name, place)| (name.clone(), rule(place))).collect()
    }

    /// Whether somebody is suspended, and the dates.
    pub(crate) fn standing(&self, person: &Element) -> Result<Standing, BadRecord> {
        let bad = |which: &str| BadRecord::new(&name_of(person), &format!("{which} is no date"));
        let date = |name: &str| person.text_of(name).unwrap_or_default();
        let from = self.clock.start(date("ACTDATE")).map_err(|_| bad("ACTDATE"))?;
        let end = self.clock.end(date("EXPDATE")).map_err(|_| bad("EXPDATE"))?;
        let kept = Kept::read(person.text_of(self.suspension.name()).unwrap_or_default());
        let (suspended, until) = match (end, kept) {
            (End::Open, _) => (false, None),
            (End::At(at), _) => (false, Some(at)),
            (End::Suspended(_), Kept::End(end)) => (true, end),
            // Nobody knows which end there was; the one that stands there is the least.
            (End::Suspended(at), Kept::Nothing | Kept::Foreign) => (true, Some(at)),
        };
        Ok(Standing { suspended, validity: Validity { from, until }, kept })
    }

    /// A person as a cardholder.
    pub(crate) fn cardholder(&self, person: &Element, levels: &Levels) -> Result<Cardholder, BadRecord> {
        let id = id_of(person)?;
        let standing = self.standing(person)?;
        let credentials = self.credentials(person)?;
        let held = level_names(person)?.into_iter().map(|name| levels.held(name)).collect::<Result<_, _>>()?;
        Ok(Cardholder {
            id,
            keys: self.correlation(person),
            profile: self.profile(person),
            status: if standing.suspended { Status::Suspended } else { Status::Active },
            levels: held,
            credentials,
            validity: standing.validity,
            site: person.text_of("PARTITION").and_then(|partition| SiteId::new(partition).ok()),
            revision: last_edit(person),
        })
    }

    fn profile(&self, person: &Element) -> Profile {
        let value = |place: &Place| person.child(place.name()).map(|element| element.text.clone());
        self.fields.iter().filter_map(|(name, place)| Some((name.clone(), value(place)?))).collect()
    }

    /// The keys of a person. A value that cannot be a key is none: nobody is recognised by it.
    pub(crate) fn correlation(&self, person: &Element) -> CorrelationKeys {
        let of_fields = self.keys.iter().filter_map(|(kind, place)| {
            let text = &person.child(place.name())?.text;
            CorrelationKey::new(*kind, text).ok()
        });
        let of_cards = cards(person).filter_map(|card| self.card_key(card));
        of_fields.chain(of_cards).collect()
    }

    fn card_key(&self, card: &Element) -> Option<CorrelationKey> {
        let (format, number) = (card.text_of("CARDFORMAT")?, card.text_of("ENCODEDNUM")?);
        let (word, _) = self.formats.iter().find(|(_, name)| *name == format)?;
        CorrelationKey::new(KeyKind::Card, &format!("{word}-{number}")).ok()
    }

    /// The card format and the number that a card key names.
    pub(crate) fn card_of<'k>(&self, key: &'k CorrelationKey) -> Option<(&str, &'k str)> {
        self.formats.iter().find_map(|(word, name)| {
            let number = key.value().strip_prefix(word.as_str())?.strip_prefix('-')?;
            Some((name.as_str(), number))
        })
    }

    pub(crate) fn credentials(&self, person: &Element) -> Result<Vec<Credential>, BadRecord> {
        let mut credentials: Vec<Credential> = Vec::new();
        for card in cards(person) {
            let bad = |why: &str| BadRecord::new(&name_of(person), why);
            let id = card.text_of("CREDENTIALID").and_then(|id| CredentialId::new(id).ok());
            let id = id.ok_or_else(|| bad("a card comes without its id, although that was asked for"))?;
            if credentials.iter().any(|known| known.id == id) {
                return Err(bad("two cards have one id"));
            }
            let printed =
                ["HOTSTAMP", "ENCODEDNUM"].into_iter().find_map(|name| card.text_of(name).filter(|n| !n.is_empty()));
            let disabled = match card.text_of("DISABLED") {
                None => false,
                Some(text) => boolean(text).ok_or_else(|| bad("a card is neither disabled nor not"))?,
            };
            let status = self.credential_status(disabled, card.text_of("CARDSTATUS"));
            let number = printed.map(str::to_owned);
            credentials.push(Credential { id, kind: CredentialKind::Card, number, status });
        }
        credentials.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(credentials)
    }

    /// A card that is disabled opens nothing, and may be lost beside. One that is not is believed to open nothing only
    /// with a status of which the settings say so.
    fn credential_status(&self, disabled: bool, status: Option<&str>) -> CredentialStatus {
        let word = status.unwrap_or_default().to_ascii_lowercase();
        let known = self.statuses.get(&word).copied();
        if disabled {
            let worse = known.or(match word.as_str() {
                "lost" => Some(InactiveStatus::Lost),
                "stolen" => Some(InactiveStatus::Stolen),
                _ => None,
            });
            return CredentialStatus::Inactive(worse.unwrap_or(InactiveStatus::Disabled));
        }
        match (known, status) {
            (Some(known), _) => CredentialStatus::Inactive(known),
            (None, Some(_)) if word == "active" => CredentialStatus::Active,
            // Old versions have no statuses.
            (None, None | Some("")) => CredentialStatus::Active,
            (None, Some(other)) => CredentialStatus::Other(other.to_owned()),
        }
    }

    /// What is to be written for these values; a value that XML cannot hold is an error.
    pub(crate) fn writes(&self, profile: &Profile) -> Result<BTreeMap<Place, String>, String> {
        let mut writes = BTreeMap::new();
        for (name, value) in profile.iter() {
            let place = self.fields.get(name).ok_or_else(|| format!("there is no place for the field `{name}`"))?;
            if !value.chars().all(is_xml) {
                return Err(format!("the field `{name}` holds a character that NBAPI cannot carry"));
            }
            if *place == Place::LAST_NAME && value.trim().is_empty() {
                return Err(format!("the field `{name}` must not be empty"));
            }
            writes.insert(*place, value.to_owned());
        }
        Ok(writes)
    }

    /// What is to be written for a new person: the fields, and the keys that have a place.
    pub(crate) fn writes_new(
        &self,
        profile: &Profile,
        keys: &CorrelationKeys,
    ) -> Result<BTreeMap<Place, String>, String> {
        let mut writes = self.writes(profile)?;
        for (kind, place) in &self.keys {
            let Some(key) = keys.of(*kind).next() else { continue };
            // The field keeps its capitals where it says the same.
            let same =
                writes.get(place).and_then(|text| CorrelationKey::new(*kind, text).ok()).is_some_and(|k| k == *key);
            if !same {
                writes.insert(*place, key.value().to_owned());
            }
        }
        if !writes.contains_key(&Place::LAST_NAME) {
            return Err("a new person needs a last name: map `family_name`".to_owned());
        }
        Ok(writes)
    }
}

/// The id of a person.
pub(crate) fn id_of(person: &Element) -> Result<CardholderId, BadRecord> {
    let text = person.text_of("PERSONID").unwrap_or_default();
    CardholderId::new(text).map_err(|error| BadRecord::new("a person", &format!("PERSONID: {error}")))
}

/// Whether this person is in the bin. Everybody there is still found by their id.
pub(crate) fn is_deleted(person: &Element) -> Result<bool, BadRecord> {
    match person.text_of("DELETED") {
        None | Some("") => Ok(false),
        Some(text) => {
            boolean(text).ok_or_else(|| BadRecord::new(&name_of(person), "DELETED is neither true nor false"))
        }
    }
}

/// The names of the levels of a person, in either of the two forms in which they are sent.
pub(crate) fn level_names(person: &Element) -> Result<Vec<&str>, BadRecord> {
    let levels = person.all("ACCESSLEVELS").flat_map(|list| list.all("ACCESSLEVEL"));
    levels
        .map(|level| {
            let name = level.text_of("ACCESSLEVELNAME").unwrap_or(level.text.trim());
            if name.is_empty() {
                Err(BadRecord::new(&name_of(person), "an access level comes without its name"))
            } else {
                Ok(name)
            }
        })
        .collect()
}

/// `TRUE`, `1`, `FALSE`, `0`.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn cards(person: &Element) -> impl Iterator<Item = &Element> {
    person.all("ACCESSCARDS").flat_map(|list| list.all("ACCESSCARD"))
}

/// When the record was edited last, and by whom. Not sent back on writes: NBAPI has no such thing.
fn last_edit(person: &Element) -> Option<Revision> {
    let at = person.text_of("LASTEDIT").filter(|at| !at.is_empty())?;
    Some(Revision(format!("{at} by {}", person.text_of("LASTEDITPERSONID").unwrap_or_default())))
}

fn name_of(person: &Element) -> String {
    match id_of(person) {
        Ok(id) => format!("person {id}"),
        Err(_) => "a person".to_owned(),
    }
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
