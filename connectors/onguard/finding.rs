//! Finds cardholders by a key, and reads single ones with their badges. Filters are not believed when they find nobody: how
//! this server compares texts is not established. This module must not decide which of several cardholders is meant.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use lockstep_contract::{Cardholder, CorrelationKey, FaultKind, KeyKind};
use lockstep_http::CallFault;

use crate::Onguard;
use crate::api::Api;
use crate::convert::{self, Badge, LevelsOn};
use crate::schema::Schema;
use crate::walk::Walk;
use crate::wire::{BadInstance, Instance, Kind};

/// The requests that look for somebody.
pub(crate) struct Finder<'a> {
    pub(crate) onguard: &'a Onguard,
    pub(crate) api: &'a Api<'a>,
    pub(crate) schema: &'a Schema,
}

impl Finder<'_> {
    fn bad(&self, operation: &str, error: &BadInstance) -> CallFault {
        self.api.protocol(operation, error.to_string())
    }

    fn walk(&self, kind: Kind) -> Walk {
        Walk::new(kind, self.onguard.config.page_size.get())
    }

    /// The instance of the cardholder with this id.
    pub(crate) async fn instance(&self, id: i64) -> Result<Option<Instance>, CallFault> {
        let operation = format!("read cardholder {id}");
        let found = self.walk(Kind::Cardholder).filtered(format!("ID={id}")).all(self.api).await?;
        for one in &found {
            if one.key("ID").map_err(|error| self.bad(&operation, &error))? != id {
                let message = "the server ignores the filter: it sent another cardholder than the one asked for";
                return Err(self.api.protocol(&operation, message));
            }
        }
        Ok(found.into_iter().next())
    }

    /// All badges of a cardholder.
    pub(crate) async fn badges(&self, person: i64) -> Result<Vec<Badge>, CallFault> {
        let operation = format!("read the badges of cardholder {person}");
        let found = self.walk(Kind::Badge).filtered(format!("PERSONID={person}")).all(self.api).await?;
        let mut badges = Vec::with_capacity(found.len());
        for one in &found {
            let read = Badge::of(one, &self.schema.statuses);
            let (holder, badge) = read.map_err(|error| self.bad(&operation, &error))?;
            if holder != person {
                let message = "the server ignores the filter: it sent a badge of somebody else";
                return Err(self.api.protocol(&operation, message));
            }
            badges.push(badge);
        }
        Ok(badges)
    }

    /// The levels on each of these badges.
    pub(crate) async fn levels(&self, badges: &[Badge]) -> Result<LevelsOn, CallFault> {
        let mut levels = LevelsOn::new();
        for badge in badges {
            let key = badge.key;
            let operation = format!("read the access levels of badge {key}");
            let found = self.walk(Kind::Assignment).filtered(format!("BadgeKey={key}")).all(self.api).await?;
            for one in &found {
                let read = one.key("BadgeKey").and_then(|badge| Ok((badge, one.key("AccessLevelID")?)));
                let (of, level) = read.map_err(|error| self.bad(&operation, &error))?;
                if of != key {
                    let message = "the server ignores the filter: it sent an access level of another badge";
                    return Err(self.api.protocol(&operation, message));
                }
                levels.entry(key).or_default().push(level);
            }
        }
        Ok(levels)
    }

    /// A cardholder with everything.
    pub(crate) async fn whole(&self, instance: &Instance) -> Result<Cardholder, CallFault> {
        const OPERATION: &str = "read a cardholder";
        let id = instance.key("ID").map_err(|error| self.bad(OPERATION, &error))?;
        let badges = self.badges(id).await?;
        let levels = self.levels(&badges).await?;
        self.onguard.looks.keep(id, &badges, &levels);
        convert::cardholder(instance, &badges, &levels, &self.onguard.shape)
            .map_err(|error| self.bad(OPERATION, &error))
    }

    /// The cardholders with a key, each checked against the key itself.
    pub(crate) async fn find(&self, key: &CorrelationKey) -> Result<Vec<Instance>, CallFault> {
        let Some(property) = self.onguard.shape.keys.property(key.kind()) else {
            let message = format!("`keys` names no property for {} keys", key.kind());
            let fault = self.api.fault(FaultKind::Unsupported, &format!("find {key}"), message);
            return Err(CallFault::not_sent(fault));
        };
        let known = self.schema.cardholder.get(property);
        let numeric = known.is_some_and(|property| property.numeric);
        let Some(condition) = convert::condition(property, numeric, key.value()) else {
            // A number property holds no text; any other may hold what no filter can say.
            return if numeric { Ok(Vec::new()) } else { self.among_all(key).await };
        };
        let found = self.by(property, condition, key).await?;
        if found.is_empty() && !self.is_proved(key.kind(), property, numeric).await? {
            return self.among_all(key).await;
        }
        Ok(found)
    }

    async fn by(&self, property: &str, condition: String, key: &CorrelationKey) -> Result<Vec<Instance>, CallFault> {
        let operation = format!("find {key}");
        let found = self.walk(Kind::Cardholder).filtered(condition).all(self.api).await?;
        let mut with = Vec::new();
        for one in found {
            let keys = convert::keys(&one, &self.onguard.shape).map_err(|error| self.bad(&operation, &error))?;
            // Databases compare without case and without blanks at the end; that is no ignored filter.
            let close = one.text(property).map_err(|error| self.bad(&operation, &error))?.unwrap_or_default();
            if keys.contains(key) {
                with.push(one);
            } else if !close.trim().eq_ignore_ascii_case(key.value()) {
                let message = "the server ignores the filter: it sent a cardholder that does not have this key";
                return Err(self.api.protocol(&operation, message));
            }
        }
        Ok(with)
    }

    /// Reads everybody. Slow, and right on every server.
    async fn among_all(&self, key: &CorrelationKey) -> Result<Vec<Instance>, CallFault> {
        let operation = format!("find {key} among all cardholders");
        let mut walk = self.walk(Kind::Cardholder);
        let mut found = Vec::new();
        while walk.census().is_none() {
            for one in walk.next(self.api).await? {
                let keys = convert::keys(&one, &self.onguard.shape).map_err(|error| self.bad(&operation, &error))?;
                if let (Some(some), Ok(id)) = (keys.of(key.kind()).next(), one.key("ID")) {
                    self.onguard.remember_canary(id, some);
                }
                if keys.contains(key) {
                    found.push(one);
                }
            }
        }
        Ok(found)
    }

    /// Whether "nobody" is an answer to a filter on this property: somebody who is there is found by it, in the wrong case
    /// too where the kind of key ignores case.
    async fn is_proved(&self, kind: KeyKind, property: &str, numeric: bool) -> Result<bool, CallFault> {
        let mut known: BTreeMap<KeyKind, bool> = self.onguard.filters.get().unwrap_or_default();
        if let Some(proved) = known.get(&kind) {
            return Ok(*proved);
        }
        let some = self.walk(Kind::Cardholder).next(self.api).await?;
        let here = some.iter().find_map(|one| Some((one.key("ID").ok()?, one.text(property).ok().flatten()?)));
        let canary = here.or_else(|| self.onguard.canary(kind)).and_then(|(id, text)| {
            let shown = if convert::folds_case(kind) { swapped(&text)? } else { text };
            Some((id, convert::condition(property, numeric, &shown)?))
        });
        // Nobody to try it on now; there may be somebody next time.
        let Some((id, condition)) = canary else { return Ok(false) };
        let found = self.walk(Kind::Cardholder).filtered(condition).all(self.api).await?;
        let proved = found.iter().any(|one| one.key("ID") == Ok(id));
        if !proved {
            tracing::warn!(
                system = self.api.system(),
                %kind,
                "a filter by this key does not find somebody who has it; all cardholders are read instead"
            );
        }
        known.insert(kind, proved);
        self.onguard.filters.set(known);
        Ok(proved)
    }
}

impl Onguard {
    fn canary(&self, kind: KeyKind) -> Option<(i64, String)> {
        self.canaries.lock().unwrap_or_else(PoisonError::into_inner).get(&kind).cloned()
    }

    /// Remembers somebody who has a key. On a site where nobody had one before, this is the only one to try filters on.
    pub(crate) fn remember_canary(&self, id: i64, key: &CorrelationKey) {
        let canary = (id, key.value().to_owned());
        self.canaries.lock().unwrap_or_else(PoisonError::into_inner).insert(key.kind(), canary);
    }
}

/// The text with the case of every letter turned round; `None` when it has no letter that a key would fold.
fn swapped(text: &str) -> Option<String> {
    let turn = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    let swapped: String = text.chars().map(turn).collect();
    (swapped != text).then_some(swapped)
}
