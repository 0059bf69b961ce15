//! Carries out one action, once. Everything is looked up and checked first; what cannot be done refuses the whole action
//! before anything is sent. Reductions go first; an action that broke off in the middle says that its outcome is unknown.
//! This module must not retry or decide.

#![expect(clippy::result_large_err, reason = "the size of `ApplyFault` is the contract's matter")]

use std::collections::BTreeSet;

use lockstep_contract::{
    AccessLevelId, Action, ApplyFault, CardholderId, CorrelationKeys, CredentialId, CredentialStatus, Cx, Enforcement,
    FaultKind, InactiveStatus, Profile, Receipt, Reduction, Step, Subject,
};
use lockstep_http::{Answer, CallFault, Effect, Method, Value};
use serde_json::Map;

use crate::Onguard;
use crate::api::Api;
use crate::changes;
use crate::convert::{Badge, LevelsOn};
use crate::finding::Finder;
use crate::schema::Schema;
use crate::wire::{Instance, Kind, number_of};

/// The steps of an action, sorted by what they need.
#[derive(Debug, Default, PartialEq)]
struct Work<'a> {
    suspend: bool,
    deactivate: Vec<(i64, InactiveStatus)>,
    revoke: BTreeSet<i64>,
    provision: Option<(&'a Profile, &'a CorrelationKeys)>,
    amend: Option<&'a Profile>,
    reinstate: bool,
    grant: BTreeSet<i64>,
    activate: BTreeSet<i64>,
}

/// Why an action is turned down.
type No = (FaultKind, String);

impl<'a> Work<'a> {
    fn of(action: &'a Action) -> Result<Self, No> {
        let level = |id: &AccessLevelId| {
            number_of(id.as_str()).ok_or_else(|| (FaultKind::Invalid, format!("`{id}` is no access level of OnGuard")))
        };
        let badge = |id: &CredentialId| {
            number_of(id.as_str()).ok_or_else(|| (FaultKind::Invalid, format!("`{id}` is no badge of OnGuard")))
        };
        let mut work = Self::default();
        for step in &action.steps {
            match step {
                Step::Reduce(Reduction::Suspend) => work.suspend = true,
                Step::Reduce(Reduction::Deactivate { credential, status }) => {
                    work.deactivate.push((badge(credential)?, *status));
                }
                Step::Reduce(Reduction::Revoke { level: id }) => drop(work.revoke.insert(level(id)?)),
                Step::Provision { profile, keys } => work.provision = Some((profile, keys)),
                Step::Amend { profile } => work.amend = Some(profile),
                Step::Reinstate => work.reinstate = true,
                Step::Grant { level: id } => drop(work.grant.insert(level(id)?)),
                Step::Activate { credential } => drop(work.activate.insert(badge(credential)?)),
                Step::Reduce(Reduction::Narrow { .. }) | Step::Widen { .. } => {
                    let message = "OnGuard keeps dates on each badge, and none for a person";
                    return Err((FaultKind::Unsupported, message.to_owned()));
                }
            }
        }
        let new = matches!(action.subject, Subject::New(_));
        if work.provision.is_some() != new {
            let message = "an action creates a record exactly when it is about a new one";
            return Err((FaultKind::Unsupported, message.to_owned()));
        }
        if new && !work.grant.is_empty() {
            return Err((FaultKind::Unsupported, NO_BADGE.to_owned()));
        }
        if new && (work.needs_badges() || work.amend.is_some()) {
            let message = "a new cardholder has nothing yet that could be changed";
            return Err((FaultKind::Unsupported, message.to_owned()));
        }
        Ok(work)
    }

    /// Whether it switches badges, or asks whether one works.
    fn switches(&self) -> bool {
        self.suspend || self.reinstate || !self.deactivate.is_empty() || !self.activate.is_empty()
    }

    /// Whether the badges of the person have to be looked at.
    fn needs_badges(&self) -> bool {
        self.switches() || self.needs_levels()
    }

    fn needs_levels(&self) -> bool {
        !self.revoke.is_empty() || !self.grant.is_empty()
    }
}

/// Why somebody gets no level, and what to do.
const NO_BADGE: &str = "access levels stand on badges, and this person has none that works; issue or switch on a badge in \
                        System Administration, and the next run gives the levels";

/// One request that changes something.
#[derive(Debug, PartialEq)]
struct Change {
    method: Method,
    kind: Kind,
    properties: Map<String, Value>,
    operation: String,
}

/// Applies an action.
pub(crate) async fn apply(onguard: &Onguard, cx: &Cx, action: &Action) -> Result<Receipt, ApplyFault> {
    let api = onguard.api(cx);
    let operation = format!("apply {}", action.id);
    let turned_down = |(kind, message): No| ApplyFault::Refused(api.fault(kind, &operation, message));
    let work = Work::of(action).map_err(turned_down)?;
    let schema = onguard.schema(&api).await.map_err(not_sent)?;
    let finder = Finder { onguard, api: &api, schema: &schema };
    let (cardholder, changes) = match &action.subject {
        Subject::Existing(id) => {
            let Some(number) = number_of(id.as_str()) else {
                return Err(turned_down((FaultKind::Missing, format!("`{id}` is no cardholder of OnGuard"))));
            };
            let changes = prepared(&finder, number, &work).await.map_err(|stop| stop.into_fault(&api, &operation))?;
            (Some(id.clone()), changes)
        }
        Subject::New(_) => created(&finder, action, &work).await.map_err(|stop| stop.into_fault(&api, &operation))?,
    };
    let mut writer = Writer { api: &api, wrote: false };
    let mut made = None;
    for change in &changes {
        made = Some(writer.send(change).await?);
    }
    let cardholder = match (cardholder, made) {
        (Some(id), _) => id,
        (None, Some((answer, json))) => {
            let id = writer.new_id(&answer, json)?;
            if let (Subject::New(key), Some(number)) = (&action.subject, number_of(id.as_str())) {
                onguard.remember_canary(number, key);
            }
            id
        }
        (None, None) => return Err(turned_down((FaultKind::Invalid, "the action creates nobody".to_owned()))),
    };
    Ok(Receipt { cardholder, enforced: Enforcement::Database })
}

/// Why nothing was sent.
enum Stop {
    /// A look-up failed.
    Fault(CallFault),
    /// It cannot be done.
    No(No),
}

impl Stop {
    fn into_fault(self, api: &Api<'_>, operation: &str) -> ApplyFault {
        match self {
            Self::Fault(fault) => not_sent(fault),
            Self::No((kind, message)) => ApplyFault::Refused(api.fault(kind, operation, message)),
        }
    }
}

impl From<CallFault> for Stop {
    fn from(fault: CallFault) -> Self {
        Self::Fault(fault)
    }
}

fn no<T>(kind: FaultKind, message: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::No((kind, message.into())))
}

/// A look-up before the first change failed.
fn not_sent(fault: CallFault) -> ApplyFault {
    ApplyFault::NotSent(*fault.fault)
}

/// The changes for a cardholder who is there, all checked.
async fn prepared(finder: &Finder<'_>, id: i64, work: &Work<'_>) -> Result<Vec<Change>, Stop> {
    let look = finder.onguard.looks.take(id).filter(|_| !work.switches());
    let was_there = look.is_some();
    let (badges, levels) = if let Some(look) = look {
        look
    } else {
        let badges = if work.needs_badges() { finder.badges(id).await? } else { Vec::new() };
        let levels = if work.needs_levels() { finder.levels(&badges).await? } else { LevelsOn::new() };
        (badges, levels)
    };
    if badges.is_empty() && !was_there && finder.instance(id).await?.is_none() {
        return no(FaultKind::Missing, format!("there is no cardholder {id}"));
    }
    let mut all = reductions(finder.schema, work, &badges, &levels)?;
    if let Some(profile) = work.amend {
        all.extend(amendment(finder, id, profile)?);
    }
    all.extend(raises(finder, work, &badges, &levels).await?);
    Ok(all)
}

fn badge_status(key: i64, status: i64, schema: &Schema) -> Change {
    let name = schema.statuses.name(status);
    let properties = properties([("BADGEKEY", Value::from(key)), ("STATUS", Value::from(status))]);
    Change { method: Method::PUT, kind: Kind::Badge, properties, operation: format!("set badge {key} to “{name}”") }
}

fn assignment(method: Method, badge: i64, level: i64) -> Change {
    let verb = if method == Method::POST { "add" } else { "remove" };
    let properties = properties([("AccessLevelID", Value::from(level)), ("BadgeKey", Value::from(badge))]);
    let operation = format!("{verb} access level {level} at badge {badge}");
    Change { method, kind: Kind::Assignment, properties, operation }
}

fn properties<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What takes access away: badges first, every one; then levels, from every badge, also those that do not work, so that
/// nobody who switches one on again brings the level back.
fn reductions(schema: &Schema, work: &Work<'_>, badges: &[Badge], levels: &LevelsOn) -> Result<Vec<Change>, Stop> {
    let mut all = Vec::new();
    for badge in badges.iter().filter(|badge| badge.works()) {
        let named = work.deactivate.iter().find(|(key, _)| *key == badge.key).map(|(_, reason)| *reason);
        if let Some(reason) = named.or(work.suspend.then_some(InactiveStatus::Disabled)) {
            all.push(badge_status(badge.key, schema.statuses.to_write(reason), schema));
        }
    }
    if let Some((stranger, _)) = work.deactivate.iter().find(|(key, _)| badges.iter().all(|badge| badge.key != *key)) {
        return no(FaultKind::Invalid, format!("badge {stranger} is none of this cardholder"));
    }
    for (badge, on) in levels {
        all.extend(
            on.iter()
                .filter(|level| work.revoke.contains(level))
                .map(|level| assignment(Method::DELETE, *badge, *level)),
        );
    }
    Ok(all)
}

fn amendment(finder: &Finder<'_>, id: i64, profile: &Profile) -> Result<Option<Change>, Stop> {
    let changed = changes::amended(profile, &finder.onguard.shape, &finder.schema.cardholder);
    let mut map = changed.map_err(|message| Stop::No((FaultKind::Invalid, message)))?;
    if map.is_empty() {
        return Ok(None);
    }
    map.insert("ID".to_owned(), Value::from(id));
    let operation = format!("change cardholder {id}");
    Ok(Some(Change { method: Method::PUT, kind: Kind::Cardholder, properties: map, operation }))
}

/// What gives access: levels on every badge that works or is about to, then badges.
async fn raises(
    finder: &Finder<'_>,
    work: &Work<'_>,
    badges: &[Badge],
    levels: &LevelsOn,
) -> Result<Vec<Change>, Stop> {
    let on = switched_on(finder.schema, work, badges)?;
    let off = |badge: &Badge| work.suspend || work.deactivate.iter().any(|(key, _)| *key == badge.key);
    let active: Vec<i64> =
        badges.iter().filter(|badge| badge.is_active() && !off(badge)).map(|badge| badge.key).collect();
    let serving: BTreeSet<i64> = active.iter().chain(&on).copied().collect();
    if serving.is_empty() && !work.grant.is_empty() {
        return no(FaultKind::Unsupported, NO_BADGE);
    }
    if serving.is_empty() && work.reinstate {
        let message = "OnGuard has no switch for a person, and none of their badges works: switch on a badge that is named, \
                       or issue one in System Administration";
        return no(FaultKind::Unsupported, message);
    }
    let mut all = Vec::new();
    for badge in &serving {
        let has = levels.get(badge).map(Vec::as_slice).unwrap_or_default();
        let lacking = work.grant.iter().filter(|level| !has.contains(level));
        all.extend(lacking.map(|level| assignment(Method::POST, *badge, *level)));
    }
    all.extend(on.iter().map(|badge| badge_status(*badge, finder.schema.statuses.active, finder.schema)));
    if !all.is_empty() {
        within_limits(finder, work, &serving, levels).await?;
    }
    Ok(all)
}

/// The badges to switch on: those that we switched off and nobody touched since.
fn switched_on(schema: &Schema, work: &Work<'_>, badges: &[Badge]) -> Result<Vec<i64>, Stop> {
    let mut on = Vec::new();
    for key in &work.activate {
        let Some(badge) = badges.iter().find(|badge| badge.key == *key) else {
            return no(FaultKind::Invalid, format!("badge {key} is none of this cardholder"));
        };
        match &badge.status {
            CredentialStatus::Active => {}
            CredentialStatus::Inactive(_) if badge.code == Some(schema.statuses.switched_off) => on.push(*key),
            CredentialStatus::Inactive(_) | CredentialStatus::Other(_) => {
                let now = badge.code.map_or_else(|| "no status".to_owned(), |code| schema.statuses.name(code));
                let message = format!("badge {key} is “{now}”, which Lockstep did not set; it is not switched on");
                return no(FaultKind::Invalid, message);
            }
        }
    }
    Ok(on)
}

async fn within_limits(
    finder: &Finder<'_>,
    work: &Work<'_>,
    serving: &BTreeSet<i64>,
    levels: &LevelsOn,
) -> Result<(), Stop> {
    let limits = finder.onguard.limits(finder.api).await?;
    let over = |limit: Option<u64>, count: usize| limit.filter(|limit| count as u64 > *limit);
    if let Some(most) = over(limits.active_badges, serving.len()).filter(|_| !work.activate.is_empty()) {
        return no(FaultKind::Invalid, format!("this site allows {most} badges that work for a person, and not more"));
    }
    let most_levels = limits.levels_per_badge;
    for badge in serving {
        let has = levels.get(badge).map(Vec::as_slice).unwrap_or_default();
        let kept = has.iter().filter(|level| !work.revoke.contains(level) && !work.grant.contains(level)).count();
        if let Some(most) = over(most_levels, kept + work.grant.len()).filter(|_| !work.grant.is_empty()) {
            let message = format!("this site allows {most} access levels on a badge; badge {badge} would have more");
            return no(FaultKind::Invalid, message);
        }
    }
    Ok(())
}

/// The change that creates somebody; none when the key finds them already: a creation whose answer was lost is not repeated.
async fn created(
    finder: &Finder<'_>,
    action: &Action,
    work: &Work<'_>,
) -> Result<(Option<CardholderId>, Vec<Change>), Stop> {
    let (Subject::New(key), Some((profile, keys))) = (&action.subject, work.provision) else {
        return no(FaultKind::Unsupported, "the action creates nobody");
    };
    match finder.find(key).await?.as_slice() {
        [] => {}
        [one] => return Ok((Some(id_of(finder.api, one)?), Vec::new())),
        several => return no(FaultKind::Conflict, format!("{} cardholders have {key} already", several.len())),
    }
    let mut keys = keys.clone();
    keys.insert(key.clone());
    let constants = finder.onguard.config.new_cardholder.iter();
    let new = changes::new_cardholder(profile, &keys, constants, &finder.onguard.shape, &finder.schema.cardholder);
    let properties = new.map_err(|message| Stop::No((FaultKind::Invalid, message)))?;
    let operation = format!("create a cardholder for {key}");
    Ok((None, vec![Change { method: Method::POST, kind: Kind::Cardholder, properties, operation }]))
}

fn id_of(api: &Api<'_>, instance: &Instance) -> Result<CardholderId, CallFault> {
    let id = instance.key("ID").ok().and_then(|id| CardholderId::new(id.to_string()).ok());
    id.ok_or_else(|| api.protocol("read a cardholder", "a cardholder without a usable id"))
}

struct Writer<'a> {
    api: &'a Api<'a>,
    /// A request that may have had an effect was answered well.
    wrote: bool,
}

impl Writer<'_> {
    /// A change that failed. After an earlier one took effect, the action as a whole is neither done nor undone.
    fn failed(&self, fault: CallFault) -> ApplyFault {
        if self.wrote { ApplyFault::Uncertain(*fault.fault) } else { fault.into_apply() }
    }

    async fn send(&mut self, change: &Change) -> Result<(Answer, Value), ApplyFault> {
        let sent = self.api.write(change.method.clone(), change.kind, &change.properties, &change.operation).await;
        let answer = sent.map_err(|fault| self.failed(fault))?;
        self.wrote = true;
        Ok(answer)
    }

    fn new_id(&self, answer: &Answer, json: Value) -> Result<CardholderId, ApplyFault> {
        let id = Instance::of(json).and_then(|instance| instance.key("ID"));
        let id = id.ok().and_then(|id| CardholderId::new(id.to_string()).ok());
        id.ok_or_else(|| {
            let fault = answer.broken("the cardholder was created, and the answer has no usable id");
            self.failed(CallFault { effect: Effect::Uncertain, ..fault })
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_of_a_badge_names_its_key_and_its_status_and_nothing_else() {
        let change = assignment(Method::DELETE, 13_239, 1);
        assert_eq!(Value::Object(change.properties), json!({"AccessLevelID": 1, "BadgeKey": 13_239}));
        assert_eq!(change.operation, "remove access level 1 at badge 13239");
    }
}
