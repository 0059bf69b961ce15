//! Finds users by a key. Servers ignore filters, and answer "nobody" to filters that they do not understand; neither is
//! believed. This module must not decide which of several users is meant.

use std::sync::PoisonError;

use lockstep_contract::{CardholderId, CorrelationKey, FaultKind, KeyKind};
use lockstep_http::CallFault;

use crate::Scim;
use crate::api::{Api, Object, Resource, objects};
use crate::convert::{self, Match, Shape};
use crate::discovery::Provider;
use crate::listing::Walk;

/// The users with a key, each checked against the key itself.
pub(crate) async fn find(scim: &Scim, api: &Api<'_>, key: &CorrelationKey) -> Result<Vec<Object>, CallFault> {
    let finder = Finder { scim, api, provider: scim.provider(api).await? };
    if !scim.info.capabilities.keys.contains(&key.kind()) {
        let message = format!("users of this server cannot be found by a {} key", key.kind());
        let fault = api.fault(FaultKind::Unsupported, &format!("find {key}"), message);
        return Err(CallFault::not_sent(fault));
    }
    let Some(found) = finder.by_filter(key).await? else {
        return finder.among_all(key).await;
    };
    if found.is_empty() && !finder.is_proved(key.kind()).await? {
        return finder.among_all(key).await;
    }
    Ok(found)
}

struct Finder<'a> {
    scim: &'a Scim,
    api: &'a Api<'a>,
    provider: Provider,
}

impl Finder<'_> {
    /// `None` when the server does not take such a filter.
    async fn by_filter(&self, key: &CorrelationKey) -> Result<Option<Vec<Object>>, CallFault> {
        if !self.provider.filter {
            return Ok(None);
        }
        let capitals = key.value().to_ascii_uppercase();
        // Our keys are in lower case. `externalId` is compared exactly, and some directories write ids in capitals.
        let second = (key.kind() == KeyKind::Directory && capitals != key.value()).then_some(capitals.as_str());
        for value in [Some(key.value()), second].into_iter().flatten() {
            let shape = self.scim.config.shape(self.provider.etag);
            let Some(filter) = convert::filter_of(key.kind(), value, shape) else { return Ok(None) };
            let walk = Walk::new(Resource::Users, &self.provider).filtered(filter);
            match self.matching(walk, key, true).await {
                Ok(found) if found.is_empty() => {}
                Ok(found) => return Ok(Some(found)),
                // It knows filters, but not this one.
                Err(fault) if matches!(fault.status, Some(400 | 405 | 501)) => return Ok(None),
                Err(fault) => return Err(fault),
            }
        }
        Ok(Some(Vec::new()))
    }

    /// Reads everybody. Slow, and right on every server.
    async fn among_all(&self, key: &CorrelationKey) -> Result<Vec<Object>, CallFault> {
        let _still = self.api.still(&self.scim.arrivals).await?;
        self.matching(Walk::new(Resource::Users, &self.provider), key, false).await
    }

    async fn matching(&self, mut walk: Walk, key: &CorrelationKey, filtered: bool) -> Result<Vec<Object>, CallFault> {
        let shape = self.scim.config.shape(self.provider.etag);
        let mut found = Vec::new();
        while walk.census().is_none() {
            for user in walk.next(self.api, objects).await? {
                if let Some((id, own)) = canary(&user, key.kind(), shape).filter(|_| !filtered) {
                    self.scim.set_canary(id, own);
                }
                match convert::answers(&user, key, shape) {
                    Match::Yes => found.push(user),
                    Match::No if filtered => {
                        let message = "the server ignores the filter: it sent a user that does not have this key";
                        return Err(self.api.protocol(&format!("find {key}"), message));
                    }
                    Match::OtherCase | Match::No => {}
                }
            }
        }
        Ok(found)
    }

    /// Whether "nobody" is an answer: a user who is there, and has such a key, is found by it.
    async fn is_proved(&self, kind: KeyKind) -> Result<bool, CallFault> {
        let mut known = self.scim.filters.get().unwrap_or_default();
        if let Some(proved) = known.get(&kind) {
            return Ok(*proved);
        }
        let shape = self.scim.config.shape(self.provider.etag);
        let some = {
            let _still = self.api.still(&self.scim.arrivals).await?;
            Walk::new(Resource::Users, &self.provider).next(self.api, objects).await?
        };
        let on_the_first_page = some.iter().find_map(|user| canary(user, kind, shape));
        let Some((id, canary)) = on_the_first_page.or_else(|| self.scim.canary(kind)) else {
            return Ok(false);
        };
        let found = self.by_filter(&canary).await?.unwrap_or_default();
        let proved = found.iter().any(|user| convert::id_of(user, "user") == Ok(id.as_str()));
        if !proved {
            tracing::warn!(
                system = self.api.system(),
                %kind,
                "a filter by this key does not find somebody who has it; all users are read instead"
            );
        }
        known.insert(kind, proved);
        self.scim.filters.set(known);
        Ok(proved)
    }
}

fn canary(user: &Object, kind: KeyKind, shape: Shape) -> Option<(CardholderId, CorrelationKey)> {
    let key = convert::keys(user, shape).of(kind).next().cloned()?;
    let id = CardholderId::new(convert::id_of(user, "user").ok()?).ok()?;
    Some((id, key))
}

impl Scim {
    fn canary(&self, kind: KeyKind) -> Option<(CardholderId, CorrelationKey)> {
        self.canaries.lock().unwrap_or_else(PoisonError::into_inner).get(&kind).cloned()
    }

    /// Remembers somebody who has a key. On a server where nobody had one before, this is the only one to try filters on.
    pub(crate) fn set_canary(&self, id: CardholderId, key: CorrelationKey) {
        self.canaries.lock().unwrap_or_else(PoisonError::into_inner).insert(key.kind(), (id, key));
    }
}
