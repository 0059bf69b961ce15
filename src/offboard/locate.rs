//! Finds the cardholders of one person on one PACS: by what the roster says and by asking the PACS itself.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{Cardholder, CardholderId, CorrelationKey, Cx, Fault, KeyKind};

use crate::{Place, Request, Who};

/// A record that is taken for this person's.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    /// The record.
    pub cardholder: Cardholder,
    /// The kinds of key by which it was found; empty when it was named itself.
    pub kinds: BTreeSet<KeyKind>,
}

/// What one PACS has of one person.
pub(crate) type Hits = BTreeMap<CardholderId, Hit>;

/// The records that can be read without any search: named on the command line, or by the roster.
fn ids(request: &Request, place: &Place) -> BTreeMap<CardholderId, BTreeSet<KeyKind>> {
    let mut ids = place.known.clone();
    if let Who::Cardholder { target, id } = &request.who
        && *target == place.target.info().id
    {
        ids.entry(id.clone()).or_default();
    }
    ids
}

/// The keys that this PACS can search by.
fn searchable(keys: Vec<CorrelationKey>, place: &Place) -> Vec<CorrelationKey> {
    let kinds = &place.target.info().capabilities.keys;
    keys.into_iter().filter(|key| kinds.contains(&key.kind())).collect()
}

/// Why this PACS cannot be asked for this person at all, if so. An answer of it would prove nothing.
pub(crate) fn cannot_be_asked(request: &Request, place: &Place) -> Option<String> {
    if !ids(request, place).is_empty() || !searchable(request.who.keys(), place).is_empty() {
        return None;
    }
    Some(match &request.who {
        Who::Cardholder { target, .. } => format!("a record on {target} says nothing about other PACS"),
        Who::Key(key) => format!("it cannot search by {}, and no record there is known", key.kind()),
        Who::Bare(_) => "it cannot search by any key this may be, and no record there is known".into(),
    })
}

/// Every record that is this person's, by id.
///
/// A roster entry that the PACS no longer has is not an error. A failed look-up is one only when nothing was found
/// another way: the person is named, and what is known is enough to act on.
pub(crate) async fn cardholders(request: &Request, place: &Place, cx: &Cx) -> Result<Hits, Fault> {
    let mut found = Hits::new();
    let mut fault = None;
    let keys = request.who.keys();
    for (id, kinds) in ids(request, place) {
        match place.target.read(cx, &id).await {
            Ok(Some(cardholder)) => {
                let own = keys.iter().filter(|key| cardholder.keys.contains(key)).map(CorrelationKey::kind);
                let kinds = own.chain(kinds).collect();
                found.insert(id, Hit { cardholder, kinds });
            }
            Ok(None) => {}
            Err(why) => fault = Some(why),
        }
    }
    search(place, cx, searchable(keys, place), &mut found, &mut fault).await;
    match fault {
        Some(fault) if found.is_empty() => Err(fault),
        _ => Ok(found),
    }
}

/// The same by the keys that records of this person on other PACS have. Here a failed look-up always is an error: what
/// another key says might contradict.
pub(crate) async fn by_other_keys(place: &Place, cx: &Cx, keys: Vec<CorrelationKey>) -> Result<Hits, Fault> {
    let mut found = Hits::new();
    let mut fault = None;
    search(place, cx, keys, &mut found, &mut fault).await;
    fault.map_or(Ok(found), Err)
}

/// The keys of what was found elsewhere that this PACS can search by. Card numbers are left out: cards change hands.
pub(crate) fn other_keys(found: &[Hit], place: &Place) -> Vec<CorrelationKey> {
    let all: BTreeSet<CorrelationKey> = found.iter().flat_map(|hit| hit.cardholder.keys.iter().cloned()).collect();
    searchable(all.into_iter().filter(|key| key.kind() != KeyKind::Card).collect(), place)
}

async fn search(place: &Place, cx: &Cx, keys: Vec<CorrelationKey>, found: &mut Hits, fault: &mut Option<Fault>) {
    for key in keys {
        match place.target.find(cx, &key).await {
            Ok(some) => {
                for cardholder in some {
                    let hit = Hit { cardholder, kinds: BTreeSet::new() };
                    found.entry(hit.cardholder.id.clone()).or_insert(hit).kinds.insert(key.kind());
                }
            }
            Err(why) => *fault = Some(why),
        }
    }
}
