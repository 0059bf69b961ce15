//! Between OnGuard's words and the contract's: what badges make of a person. Pure. This module must not decide what is to be
//! done about it.
//!
//! OnGuard has no switch for a person. Somebody is in force when one of their badges works, and switched off when none does,
//! also when they have none at all. Levels hang on badges: somebody has the levels of the badges that work; when none works,
//! those of the badges that are merely switched off, so that switching somebody off changes no level. Badges reported lost,
//! stolen, handed back or expired count for nothing.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{
    AccessLevel, AccessLevelId, Capabilities, Cardholder, CardholderId, CorrelationKey, CorrelationKeys, Credential,
    CredentialId, CredentialKind, CredentialStatus, CredentialSupport, Enforcement, FieldRule, Granularity,
    InactiveStatus, KeyKind, Profile, SiteId, Status, Suspend, Validity, field,
};

use crate::config::{Config, Fields, Keys};
use crate::schema::Statuses;
use crate::wire::{BadInstance, Instance};

/// A badge, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Badge {
    pub(crate) key: i64,
    pub(crate) number: Option<String>,
    /// As the server has it.
    pub(crate) code: Option<i64>,
    pub(crate) status: CredentialStatus,
}

impl Badge {
    pub(crate) fn of(instance: &Instance, statuses: &Statuses) -> Result<(i64, Self), BadInstance> {
        let code = instance.number("STATUS")?;
        let badge =
            Self { key: instance.key("BADGEKEY")?, number: instance.text("ID")?, code, status: statuses.read(code) };
        Ok((instance.key("PERSONID")?, badge))
    }

    /// It opens doors, or nobody knows that it does not.
    pub(crate) const fn works(&self) -> bool {
        match self.status {
            CredentialStatus::Active | CredentialStatus::Other(_) => true,
            CredentialStatus::Inactive(_) => false,
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.status == CredentialStatus::Active
    }

    fn credential(&self) -> Option<Credential> {
        let id = CredentialId::new(self.key.to_string()).ok()?;
        Some(Credential { id, kind: CredentialKind::Card, number: self.number.clone(), status: self.status.clone() })
    }
}

/// Which badge has which levels.
pub(crate) type LevelsOn = BTreeMap<i64, Vec<i64>>;

/// What is kept of a cardholder, and where.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) keys: Keys,
    pub(crate) fields: Fields,
}

/// The keys of a cardholder. A value that is no key (empty, blanks around it, invisible characters) is none.
pub(crate) fn keys(instance: &Instance, shape: &Shape) -> Result<CorrelationKeys, BadInstance> {
    let mut keys = CorrelationKeys::new();
    for (kind, property) in shape.keys.each() {
        let value = instance.text(property)?.unwrap_or_default();
        if let Ok(key) = CorrelationKey::new(kind, &value) {
            keys.insert(key);
        }
    }
    Ok(keys)
}

/// A cardholder with their badges.
pub(crate) fn cardholder(
    instance: &Instance,
    badges: &[Badge],
    levels: &LevelsOn,
    shape: &Shape,
) -> Result<Cardholder, BadInstance> {
    let id = instance.key("ID")?.to_string();
    let mut profile = Profile::new();
    for (name, stored) in &shape.fields {
        if let Some(value) = instance.text(stored.property())? {
            profile.set(name.clone(), value);
        }
    }
    let site = instance.number("PRIMARYSEGMENTID")?.filter(|segment| *segment != 0);
    let mut credentials: Vec<Credential> = badges.iter().filter_map(Badge::credential).collect();
    credentials.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Cardholder {
        id: CardholderId::new(id).map_err(|_| BadInstance::Lacks("ID"))?,
        keys: keys(instance, shape)?,
        profile,
        status: if badges.iter().any(Badge::works) { Status::Active } else { Status::Suspended },
        levels: held(badges, levels).into_iter().filter_map(level_id).collect(),
        credentials,
        validity: Validity::ALWAYS,
        site: site.and_then(|segment| SiteId::new(segment.to_string()).ok()),
        revision: None,
    })
}

/// The levels that somebody has by their badges.
fn held(badges: &[Badge], levels: &LevelsOn) -> BTreeSet<i64> {
    let any_works = badges.iter().any(Badge::works);
    let counts = |badge: &&Badge| match badge.status {
        CredentialStatus::Active | CredentialStatus::Other(_) => true,
        CredentialStatus::Inactive(InactiveStatus::Disabled) => !any_works,
        CredentialStatus::Inactive(
            InactiveStatus::Lost | InactiveStatus::Stolen | InactiveStatus::Expired | InactiveStatus::Returned,
        ) => false,
    };
    let on = badges.iter().filter(counts).filter_map(|badge| levels.get(&badge.key));
    on.flatten().copied().collect()
}

fn level_id(level: i64) -> Option<AccessLevelId> {
    AccessLevelId::new(level.to_string()).ok()
}

/// A level of the catalog.
pub(crate) fn level(instance: &Instance) -> Result<Option<(AccessLevelId, AccessLevel)>, BadInstance> {
    let id = level_id(instance.key("ID")?);
    let name = instance.text("Name")?.unwrap_or_default();
    let segment = instance.number("SegmentID")?.filter(|segment| *segment != 0);
    let site = segment.and_then(|segment| SiteId::new(segment.to_string()).ok());
    Ok(id.map(|id| (id, AccessLevel { name, doors: Vec::new(), site })))
}

/// What this connector can do, by its settings.
pub(crate) fn capabilities(config: &Config, fields: &Fields) -> Capabilities {
    Capabilities {
        granularity: Granularity::Step,
        suspend: Suspend::EveryCredential,
        credentials: CredentialSupport::Status,
        // Dates stand on badges, and each badge has its own: there is no validity of a person.
        validity: false,
        revision: false,
        idempotency: false,
        keys: config.keys.each().map(|(kind, _)| kind).collect(),
        fields: fields
            .iter()
            .map(|(name, stored)| {
                let required = name.as_str() == field::FAMILY_NAME;
                (name.clone(), FieldRule { required, chars_max: Some(stored.chars_max()) })
            })
            .collect(),
        enforcement: Enforcement::Database,
        in_flight_max: config.in_flight_max,
        requests_per_minute: config.requests_per_minute,
    }
}

/// The condition of a filter that finds this value; `None` when the value cannot be written into a filter for certain. How a
/// quotation mark is escaped there is not established, so nothing is escaped: what is not plain is looked for otherwise.
pub(crate) fn condition(property: &str, numeric: bool, value: &str) -> Option<String> {
    if numeric {
        return crate::wire::number_of(value).map(|number| format!("{property}={number}"));
    }
    let plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '@' | '+');
    (!value.is_empty() && value.chars().all(plain)).then(|| format!("{property}=\"{value}\""))
}

/// True for kinds of key that ignore case, which the server may not.
pub(crate) const fn folds_case(kind: KeyKind) -> bool {
    match kind {
        KeyKind::Directory | KeyKind::Upn | KeyKind::Mail | KeyKind::Account => true,
        KeyKind::Employee | KeyKind::Card => false,
    }
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
