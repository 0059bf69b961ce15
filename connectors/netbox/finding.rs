//! Finds people by key. "Nobody" is believed of a search only after the same kind of search has found somebody who is
//! there; otherwise everybody is read. This module must not write.

use std::time::Instant;

use lockstep_contract::{CardholderId, CorrelationKey, FaultKind, KeyKind};
use lockstep_http::{CallFault, Effect};

use crate::api::{Api, PAGES_MAX};
use crate::convert::{id_of, is_deleted};
use crate::place::Place;
use crate::xml::Element;
use crate::{LEARNED_FOR, NetBox, lock};

/// The people who have this key, none of them deleted.
pub(crate) async fn find(netbox: &NetBox, api: &Api<'_>, key: &CorrelationKey) -> Result<Vec<Element>, CallFault> {
    let finder = Finder { netbox, api, operation: format!("find {key}") };
    if key.kind() == KeyKind::Card && !netbox.shape.formats.is_empty() {
        return finder.by_card(key).await;
    }
    match netbox.shape.keys.get(&key.kind()) {
        Some(place) if *place == Place::PERSON_ID && !any_case(key.kind()) => finder.by_id(key, key.value()).await,
        Some(place) => finder.by_place(key, *place).await,
        None => {
            let message = format!("nobody is found by `{}` here: name its place under `keys`", key.kind());
            let fault = api.fault(FaultKind::Unsupported, &finder.operation, message);
            Err(CallFault::new(Effect::NotSent, None, fault))
        }
    }
}

/// Keys of this kind are compared without regard to case.
pub(crate) const fn any_case(kind: KeyKind) -> bool {
    match kind {
        KeyKind::Directory | KeyKind::Upn | KeyKind::Mail | KeyKind::Account => true,
        KeyKind::Employee | KeyKind::Card => false,
    }
}

struct Finder<'a> {
    netbox: &'a NetBox,
    api: &'a Api<'a>,
    operation: String,
}

impl Finder<'_> {
    fn has(&self, person: &Element, key: &CorrelationKey) -> bool {
        self.netbox.shape.correlation(person).contains(key)
    }

    async fn by_id(&self, key: &CorrelationKey, id: &str) -> Result<Vec<Element>, CallFault> {
        let Some(person) = self.api.person(id).await? else { return Ok(Vec::new()) };
        let deleted = is_deleted(&person).map_err(|error| self.api.bad(&self.operation, &error))?;
        Ok(if !deleted && self.has(&person, key) { vec![person] } else { Vec::new() })
    }

    /// A card names its holder, and the holder must have it.
    async fn by_card(&self, key: &CorrelationKey) -> Result<Vec<Element>, CallFault> {
        let Some((format, number)) = self.netbox.shape.card_of(key) else { return Ok(Vec::new()) };
        match self.api.holder_of(format, number, &self.operation).await? {
            Some(id) => self.by_id(key, &id).await,
            None => Ok(Vec::new()),
        }
    }

    async fn by_place(&self, key: &CorrelationKey, place: Place) -> Result<Vec<Element>, CallFault> {
        let found = self.search(key, place).await?;
        if !found.is_empty() || self.is_proved(key.kind(), place).await? {
            return Ok(found);
        }
        self.among_all(key).await
    }

    async fn search(&self, key: &CorrelationKey, place: Place) -> Result<Vec<Element>, CallFault> {
        let any_case = any_case(key.kind());
        let mut found = Vec::new();
        for person in self.api.search(place, key.value(), any_case, &self.operation).await? {
            if self.has(&person, key) {
                found.push(person);
            } else if !alike(&person, place, key.value()) {
                let message = "the NetBox ignores the filter: it sent somebody who does not have this key";
                return Err(self.api.line.protocol(&self.operation, message));
            }
        }
        Ok(found)
    }

    /// Reads everybody. Slow, and right on every NetBox.
    async fn among_all(&self, key: &CorrelationKey) -> Result<Vec<Element>, CallFault> {
        let mut found = Vec::new();
        let (mut start, mut read) = (0, 0);
        for _ in 0..PAGES_MAX {
            let page = self.api.people(start, self.netbox.config.page_size.get(), read + 1).await?;
            read += page.people.len() as u64;
            for person in page.people {
                self.netbox.remember(&person);
                if self.has(&person, key) {
                    found.push(person);
                }
            }
            match page.next {
                Some(next) => start = next,
                None => return Ok(found),
            }
        }
        Err(self.api.line.protocol(&self.operation, "cut list: it has no end"))
    }

    /// Whether a search in this place finds somebody who is there.
    async fn is_proved(&self, kind: KeyKind, place: Place) -> Result<bool, CallFault> {
        if lock(&self.netbox.proved).get(&kind).is_some_and(|since| since.elapsed() < LEARNED_FOR) {
            return Ok(true);
        }
        let Some((id, canary)) = lock(&self.netbox.canaries).get(&kind).cloned() else { return Ok(false) };
        let found = self.search(&canary, place).await?;
        let proved = found.iter().any(|person| id_of(person).is_ok_and(|found| found == id));
        if proved {
            lock(&self.netbox.proved).insert(kind, Instant::now());
        } else {
            // They may have left, or another key: somebody else will be tried.
            lock(&self.netbox.canaries).remove(&kind);
            tracing::warn!(
                system = %self.netbox.info.id,
                %kind,
                "a search by this key does not find somebody who has it; everybody is read instead"
            );
        }
        Ok(proved)
    }
}

/// The value of a place that the NetBox may well take for the one asked for, and which is nevertheless another key.
fn alike(person: &Element, place: Place, value: &str) -> bool {
    person.text_of(place.name()).is_some_and(|text| text.to_lowercase() == value.to_lowercase())
}

impl NetBox {
    /// Remembers somebody who has a key, to try searches on.
    pub(crate) fn remember(&self, person: &Element) {
        let Ok(id) = id_of(person) else { return };
        let mut canaries = lock(&self.canaries);
        for (kind, place) in &self.shape.keys {
            if canaries.contains_key(kind) {
                continue;
            }
            let text = person.child(place.name()).map(|element| element.text.as_str());
            if let Some(key) = text.and_then(|text| CorrelationKey::new(*kind, text).ok()) {
                canaries.insert(*kind, (id.clone(), key));
            }
        }
    }

    /// Remembers a person who was just created.
    pub(crate) fn remember_new(&self, id: &CardholderId, key: &CorrelationKey) {
        lock(&self.canaries).entry(key.kind()).or_insert_with(|| (id.clone(), key.clone()));
    }
}
