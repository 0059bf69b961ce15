//! What a site is like: its properties and their limits from `/type`, its badge statuses. Read when the server is first
//! reached and relied on for an hour; the settings are checked against it. This module must not change anything.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{CredentialStatus, Fault, FaultKind, InactiveStatus};
use lockstep_http::{CallFault, Value};

use crate::api::Api;
use crate::config::{BadgeStatuses, Config};
use crate::walk::Walk;
use crate::wire::Kind;

/// A property as `/type` describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Property {
    /// As the site spells it.
    pub(crate) name: String,
    /// A new instance must have it, and the server has no value of its own for it.
    pub(crate) required: bool,
    pub(crate) chars_max: Option<u64>,
    pub(crate) editable: bool,
    /// Holds whole numbers, not texts.
    pub(crate) numeric: bool,
}

/// The properties of a type, by name in capitals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Properties(BTreeMap<String, Property>);

impl Properties {
    /// The property of this name, however it is spelt.
    pub(crate) fn get(&self, name: &str) -> Option<&Property> {
        self.0.get(&name.to_ascii_uppercase())
    }

    /// What a new instance must have.
    pub(crate) fn required(&self) -> impl Iterator<Item = &Property> {
        self.0.values().filter(|property| property.required)
    }

    pub(crate) fn of(json: &Value) -> Result<Self, String> {
        let list = json.get("properties").and_then(Value::as_array).ok_or("the type has no array `properties`")?;
        let mut all = BTreeMap::new();
        for entry in list {
            let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
            let flag = |name: &str| entry.get(name).and_then(Value::as_bool).unwrap_or_default();
            let name = text("name").to_owned();
            if name.is_empty() {
                return Err("the type has a property without a name".to_owned());
            }
            let default =
                entry.get("default_value").is_some_and(|value| !value.is_null() && value.as_str() != Some(""));
            let kind = text("type").to_ascii_lowercase();
            let property = Property {
                required: flag("is_required") && !flag("is_key") && !default,
                chars_max: entry.get("max_length").and_then(Value::as_u64).filter(|most| *most > 0),
                editable: is_editable(text("access")),
                numeric: ["int", "long", "short", "decimal"].iter().any(|word| kind.contains(word)),
                name: name.clone(),
            };
            all.insert(name.to_ascii_uppercase(), property);
        }
        Ok(Self(all))
    }
}

/// The words for access are not established. One that speaks of looking and not of changing means what it says; any other is
/// taken as editable, and the server refuses what it does not allow.
fn is_editable(access: &str) -> bool {
    let access = access.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| access.contains(word));
    !has(&["read", "view", "none"]) || has(&["edit", "write", "modify", "add", "full", "all"])
}

/// What the badge statuses of a site mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statuses {
    pub(crate) active: i64,
    pub(crate) switched_off: i64,
    known: BTreeMap<i64, CredentialStatus>,
    names: BTreeMap<i64, String>,
    reasons: BTreeMap<InactiveStatus, i64>,
}

/// Without a setting, the status that opens doors has this id on every site.
const ACTIVE: i64 = 1;

impl Statuses {
    /// What a status means.
    pub(crate) fn read(&self, status: Option<i64>) -> CredentialStatus {
        match status.filter(|status| *status != 0) {
            None => CredentialStatus::Other("no status".to_owned()),
            Some(status) => self.known.get(&status).cloned().unwrap_or_else(|| {
                let named = self.names.get(&status).cloned();
                CredentialStatus::Other(named.unwrap_or_else(|| format!("status {status}")))
            }),
        }
    }

    /// The status to write for a reason; the general one where the site has none for it.
    pub(crate) fn to_write(&self, reason: InactiveStatus) -> i64 {
        self.reasons.get(&reason).copied().unwrap_or(self.switched_off)
    }

    /// The name of a status.
    pub(crate) fn name(&self, status: i64) -> String {
        self.names.get(&status).cloned().unwrap_or_else(|| format!("status {status}"))
    }

    /// The names that no setting explains.
    pub(crate) fn unexplained(&self) -> Vec<&str> {
        let unknown = self.names.iter().filter(|(id, _)| !self.known.contains_key(id));
        unknown.map(|(_, name)| name.as_str()).collect()
    }

    fn of(names: BTreeMap<i64, String>, settings: &BadgeStatuses) -> Result<Self, String> {
        let ids = |name: &str| -> BTreeSet<i64> {
            names.iter().filter(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(id, _)| *id).collect()
        };
        let one = |setting: &str, name: &str| -> Result<i64, String> {
            match ids(name).into_iter().collect::<Vec<_>>().as_slice() {
                [id] => Ok(*id),
                [] => Err(format!("`badge_status.{setting}` is “{name}”, and the site has no such badge status")),
                _ => Err(format!("`badge_status.{setting}` is “{name}”, and several badge statuses have this name")),
            }
        };
        let active = match &settings.active {
            Some(name) => one("active", name)?,
            None if names.contains_key(&ACTIVE) => ACTIVE,
            None => return Err("the site has no badge status with the id 1; set `badge_status.active`".to_owned()),
        };
        let switched_off = one("switched_off", &settings.switched_off)?;
        let mut known = BTreeMap::from([(active, CredentialStatus::Active)]);
        let mut reasons = BTreeMap::new();
        let off = vec![settings.switched_off.clone()];
        for (list, reason) in [
            (&off, InactiveStatus::Disabled),
            (&settings.disabled, InactiveStatus::Disabled),
            (&settings.lost, InactiveStatus::Lost),
            (&settings.stolen, InactiveStatus::Stolen),
            (&settings.returned, InactiveStatus::Returned),
            (&settings.expired, InactiveStatus::Expired),
        ] {
            for id in list.iter().flat_map(|name| ids(name)) {
                let meaning = CredentialStatus::Inactive(reason);
                if known.insert(id, meaning.clone()).is_some_and(|other| other != meaning) {
                    let name = names.get(&id).map(String::as_str).unwrap_or_default();
                    return Err(format!("`badge_status` gives the badge status “{name}” two meanings"));
                }
                reasons.entry(reason).or_insert(id);
            }
        }
        Ok(Self { active, switched_off, known, names, reasons })
    }
}

/// What was learned about a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schema {
    pub(crate) cardholder: Properties,
    pub(crate) badge: Properties,
    pub(crate) assignment: Properties,
    pub(crate) statuses: Statuses,
}

impl Schema {
    /// Asks the server, and checks the settings that reading rests on.
    pub(crate) async fn learn(api: &Api<'_>, config: &Config) -> Result<Self, CallFault> {
        let cardholder = properties(api, Kind::Cardholder).await?;
        let badge = properties(api, Kind::Badge).await?;
        let assignment = properties(api, Kind::Assignment).await?;
        for (kind, of, needed) in [
            (Kind::Cardholder, &cardholder, &["ID"][..]),
            (Kind::Badge, &badge, &["BADGEKEY", "PERSONID", "STATUS"][..]),
            (Kind::Assignment, &assignment, &["ACCESSLEVELID", "BADGEKEY"][..]),
        ] {
            if let Some(lacking) = needed.iter().find(|name| of.get(name).is_none()) {
                let message =
                    format!("{} has no property {lacking}: this is no OnGuard that is known here", kind.name());
                return Err(api.protocol("read the types", message));
            }
        }
        if let Some((kind, property)) = config.keys.each().find(|(_, property)| cardholder.get(property).is_none()) {
            let message = format!("`keys.{kind}` is `{property}`, and cardholders of this site have no such property");
            return Err(CallFault::not_sent(settings(api, &message)));
        }
        let listed = Walk::new(Kind::BadgeStatus, config.page_size.get()).all(api).await?;
        let mut names = BTreeMap::new();
        for status in &listed {
            let read = status.key("ID").and_then(|id| Ok((id, status.text("Name")?.unwrap_or_default())));
            let (id, name) = read.map_err(|error| api.protocol("list badge statuses", error.to_string()))?;
            names.insert(id, name.trim().to_owned());
        }
        let statuses = Statuses::of(names, &config.badge_status)
            .map_err(|message| CallFault::not_sent(settings(api, &message)))?;
        Ok(Self { cardholder, badge, assignment, statuses })
    }
}

fn settings(api: &Api<'_>, message: &str) -> Fault {
    api.fault(FaultKind::Invalid, "check the settings against the site", message)
        .with_help("correct the setting, or the site; nothing is read or written until they agree")
}

async fn properties(api: &Api<'_>, kind: Kind) -> Result<Properties, CallFault> {
    let operation = format!("read the type {}", kind.name());
    let json = api.document(&["type"], &[("type_name", kind.name().to_owned())], &operation).await?;
    Properties::of(&json).map_err(|problem| api.protocol(&operation, problem))
}

/// The limits of a site that a write can run into. What a server does not say is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SiteLimits {
    /// Badges of one person that work at the same time.
    pub(crate) active_badges: Option<u64>,
    /// Levels without dates on one badge.
    pub(crate) levels_per_badge: Option<u64>,
}

impl SiteLimits {
    pub(crate) async fn learn(api: &Api<'_>) -> Result<Self, CallFault> {
        let json = api.document(&["settings", "cardholder"], &[], "read the limits of the site").await?;
        let limit = |name: &str| json.get(name).and_then(Value::as_u64).filter(|limit| *limit > 0);
        let levels = ["max_accesslevels_per_badge_total", "max_accesslevels_per_badge_standard"];
        Ok(Self {
            active_badges: limit("max_active_badges"),
            levels_per_badge: levels.into_iter().filter_map(limit).min(),
        })
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
