//! Finds the cardholders of one person on one PACS: by what the roster says and by asking the PACS itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::{join, join_all};
use lockstep_contract::{Cardholder, CardholderId, CorrelationKey, Cx, Fault, KeyKind};

use crate::{KnownRecords, Pacs, Request, Who};

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
fn ids(request: &Request, pacs: &Pacs, known: &KnownRecords) -> BTreeMap<CardholderId, BTreeSet<KeyKind>> {
    let here = &pacs.info().id;
    let mut ids = known.get(here).cloned().unwrap_or_default();
    if let Who::Cardholder { target, id } = &request.who
        && target == here
    {
        ids.entry(id.clone()).or_default();
    }
    ids
}

/// The keys that this PACS can search by.
pub(crate) fn searchable(keys: Vec<CorrelationKey>, pacs: &Pacs) -> Vec<CorrelationKey> {
    let kinds = &pacs.info().capabilities.keys;
    keys.into_iter().filter(|key| kinds.contains(&key.kind())).collect()
}

/// Why this PACS cannot be asked for this person at all, if so. An answer of it would prove nothing.
pub(crate) fn cannot_be_asked(request: &Request, pacs: &Pacs, known: &KnownRecords) -> Option<String> {
    if !ids(request, pacs, known).is_empty() || !searchable(request.who.keys(), pacs).is_empty() {
        return None;
    }
    Some(match &request.who {
        Who::Cardholder { target, .. } => format!("a record on {target} says nothing about other PACS"),
        Who::Key(key) => format!("it cannot search by {}, and no record there is known", key.kind()),
        Who::Bare(_) => "it cannot search by any key this may be, and no record there is known".into(),
    })
}

/// Every record that is this person's, by id. All is asked at once, and the search does not wait for the roster.
///
/// A roster entry that the PACS no longer has is not an error. A failed look-up is one only when nothing was found
/// another way: the person is named, and what is known is enough to act on.
pub(crate) async fn cardholders(
    request: &Request,
    pacs: &Pacs,
    cx: &Cx,
    known: impl Future<Output = Arc<KnownRecords>>,
) -> Result<Hits, Fault> {
    let keys = request.who.keys();
    let reads = async {
        let ids = ids(request, pacs, known.await.as_ref());
        let read = async |(id, kinds)| (pacs.read(cx, &id).await, id, kinds);
        join_all(ids.into_iter().map(read)).await
    };
    let (reads, searched) = join(reads, search(pacs, cx, searchable(keys.clone(), pacs))).await;
    let (mut found, mut fault) = searched;
    for (read, id, kinds) in reads {
        match read {
            Ok(Some(cardholder)) => {
                let own = keys.iter().filter(|key| cardholder.keys.contains(key)).map(CorrelationKey::kind);
                let kinds = own.chain(kinds);
                let hit = Hit { cardholder: cardholder.clone(), kinds: BTreeSet::new() };
                found.entry(id).or_insert(hit).kinds.extend(kinds);
            }
            Ok(None) => {}
            Err(why) => fault = Some(why),
        }
    }
    match fault {
        Some(fault) if found.is_empty() => Err(fault),
        _ => Ok(found),
    }
}

/// The same by the keys that records of this person on other PACS have. Here a failed look-up always is an error: what
/// another key says might contradict.
pub(crate) async fn by_other_keys(pacs: &Pacs, cx: &Cx, keys: &[CorrelationKey]) -> Result<Hits, Fault> {
    let (found, fault) = search(pacs, cx, keys.to_vec()).await;
    fault.map_or(Ok(found), Err)
}

/// The keys of what was found elsewhere that this PACS can search by. Card numbers are left out: cards change hands.
pub(crate) fn other_keys(found: &[Hit], pacs: &Pacs) -> Vec<CorrelationKey> {
    let all: BTreeSet<CorrelationKey> = found.iter().flat_map(|hit| hit.cardholder.keys.iter().cloned()).collect();
    searchable(all.into_iter().filter(|key| key.kind() != KeyKind::Card).collect(), pacs)
}

async fn search(pacs: &Pacs, cx: &Cx, keys: Vec<CorrelationKey>) -> (Hits, Option<Fault>) {
    let (mut found, mut fault) = (Hits::new(), None);
    let answers = join_all(keys.iter().map(|key| pacs.find(cx, key))).await;
    for (key, answer) in keys.iter().zip(answers) {
        match answer {
            Ok(some) => {
                for cardholder in some {
                    let hit = Hit { cardholder, kinds: BTreeSet::new() };
                    found.entry(hit.cardholder.id.clone()).or_insert(hit).kinds.insert(key.kind());
                }
            }
            Err(why) => fault = Some(why),
        }
    }
    (found, fault)
}
