//! Finds the cardholders of one person on one PACS: by what the roster says and by asking the PACS itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::{join, join_all};
use lockstep_contract::{Cardholder, CardholderId, CorrelationKey, Cx, Fault, KeyKind};

use crate::board::agree;
use crate::who::SURE;
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

/// Why a PACS that has nobody by what was given may have this person all the same.
pub(crate) fn may_know_another_key(who: &Who) -> String {
    let given = match who {
        Who::Key(key) => key.kind().to_string(),
        Who::Cardholder { .. } | Who::Bare(_) => "what was given".to_owned(),
    };
    format!("it has no record by {given}, and no other PACS has named a key of this person that it can search by")
}

/// Every record that is this person's, by id. All is asked at once, and the search does not wait for the roster.
///
/// A roster entry that the PACS no longer has is not an error. A failed look-up is one only when nothing was found
/// another way: the person is named, and what is known is enough to act on. A record that only the roster names and that
/// has another number now counts only when there is nothing else: people have to look at it.
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
    let mut doubtful = Hits::new();
    for (read, id, kinds) in reads {
        match read {
            Ok(Some(cardholder)) => {
                let own = keys.iter().filter(|key| cardholder.keys.contains(key)).map(CorrelationKey::kind);
                let known = kinds.into_iter().filter(|kind| !is_another(*kind, &cardholder, &keys));
                let kinds: BTreeSet<KeyKind> = own.chain(known).collect();
                let hit = Hit { cardholder, kinds };
                let known = if is_doubtful(&hit, &keys) { &mut doubtful } else { &mut found };
                known.entry(id).or_insert_with(|| hit.clone()).kinds.extend(hit.kinds);
            }
            Ok(None) => {}
            Err(why) => fault = Some(why),
        }
    }
    match fault {
        Some(fault) if found.is_empty() => Err(fault),
        _ if found.is_empty() => Ok(doubtful),
        _ => Ok(found),
    }
}

/// Whether the record has a key of this kind, of which one human has one, and none that was given.
fn is_another(kind: KeyKind, cardholder: &Cardholder, given: &[CorrelationKey]) -> bool {
    let given = || given.iter().filter(|key| key.kind() == kind);
    let has_one = SURE.contains(&kind) && cardholder.keys.of(kind).next().is_some();
    has_one && given().next().is_some() && !given().any(|key| cardholder.keys.contains(key))
}

/// Whether nothing but the roster names this record, and somebody else may have it by now.
pub(crate) fn is_doubtful(hit: &Hit, given: &[CorrelationKey]) -> bool {
    hit.kinds.is_empty() && SURE.into_iter().any(|kind| is_another(kind, &hit.cardholder, given))
}

/// The same by the keys that records of this person on other PACS have. Here a failed look-up always is an error: what
/// another key says might contradict.
pub(crate) async fn by_other_keys(pacs: &Pacs, cx: &Cx, keys: &[CorrelationKey]) -> Result<Hits, Fault> {
    let (mut found, fault) = search(pacs, cx, keys.to_vec()).await;
    // Whoever has another number than a record found by number only shares what several may have.
    let is_sure = |hit: &Hit| hit.kinds.iter().any(|kind| SURE.contains(kind));
    let sure: Vec<Hit> = found.values().filter(|hit| is_sure(hit)).cloned().collect();
    found.retain(|_, hit| is_sure(hit) || agree(&[sure.as_slice(), std::slice::from_ref(hit)].concat()));
    fault.map_or(Ok(found), Err)
}

/// The keys of what was found elsewhere, but those that were given. Card numbers are left out: cards change hands.
pub(crate) fn other_keys(found: &[Hit], who: &Who) -> Vec<CorrelationKey> {
    let given = who.keys();
    let all: BTreeSet<&CorrelationKey> = found.iter().flat_map(|hit| hit.cardholder.keys.iter()).collect();
    all.into_iter().filter(|key| key.kind() != KeyKind::Card && !given.contains(key)).cloned().collect()
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
