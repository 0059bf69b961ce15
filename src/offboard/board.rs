//! What the PACS found so far, shared by all who work for one offboarding, and whether all of it is one human.
//!
//! Nobody waits here for longer than a share of the time: a PACS that is down keeps nobody in elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock, PoisonError};

use lockstep_contract::{KeyKind, TargetId};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::locate::{Hit, Hits};

/// Kinds of key of which one human has one value.
const STRONG: [KeyKind; 2] = [KeyKind::Directory, KeyKind::Employee];

/// What was found, by target.
pub(crate) struct Board {
    found: Mutex<BTreeMap<TargetId, Hits>>,
    answered: watch::Sender<usize>,
    asked: usize,
    until: Instant,
    one: OnceLock<Option<Judgement>>,
}

/// All that was found in time is one human, found by these kinds of key. No kind: nothing was found.
#[derive(Debug, Clone)]
struct Judgement {
    kinds: BTreeSet<KeyKind>,
    hits: Vec<Hit>,
}

impl Board {
    pub(crate) fn new(asked: usize, until: Instant) -> Self {
        Self { found: Mutex::default(), answered: watch::Sender::new(0), asked, until, one: OnceLock::new() }
    }

    /// Says what a PACS has; nothing when it could not be asked. It may say more later.
    pub(crate) fn put(&self, target: &TargetId, hits: Hits) {
        let first = self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(target.clone(), hits).is_none();
        if first {
            self.answered.send_modify(|answered| *answered += 1);
        }
    }

    /// Nobody waits for this PACS any more, whatever it says later.
    pub(crate) fn answered(&self, target: &TargetId) {
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner).contains_key(target);
        if !known {
            self.put(target, Hits::new());
        }
    }

    /// Returns when everybody answered, or the share of time is used up.
    pub(crate) async fn wait(&self) {
        let mut answers = self.answered.subscribe();
        let all = answers.wait_for(|answered| *answered >= self.asked);
        // Out of time: what is there has to do.
        let _ = tokio::time::timeout_at(self.until, all).await;
    }

    /// Everything found so far.
    pub(crate) fn all(&self) -> Vec<Hit> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.values().flat_map(BTreeMap::values).cloned().collect()
    }

    /// No PACS has several records of whom was named.
    pub(crate) fn is_unambiguous(&self) -> bool {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.values().all(|hits| hits.len() <= 1)
    }

    /// Whether a value without a kind means one human: every record was found by a common kind of key, and no two have
    /// different numbers of which a human has one. Judged once; who answers later has to agree with that.
    pub(crate) fn is_one_human(&self, hits: &Hits, all: bool) -> bool {
        let judge = || {
            let hits = self.all();
            let kinds = common(hits.iter())?;
            (all || agree(&hits)).then_some(Judgement { kinds, hits })
        };
        if self.all().is_empty() {
            return false;
        }
        let Some(judgement) = self.one.get_or_init(judge) else { return false };
        let late = || hits.values().all(|hit| hit.kinds.intersection(&judgement.kinds).next().is_some());
        let together: Vec<Hit> = judgement.hits.iter().chain(hits.values()).cloned().collect();
        late() && (all || agree(&together))
    }
}

/// The kinds of key by which all of these were found; `None` when there is no such kind.
fn common<'h>(mut hits: impl Iterator<Item = &'h Hit>) -> Option<BTreeSet<KeyKind>> {
    let first = hits.next()?.kinds.clone();
    let kinds = hits.fold(first, |kinds, hit| kinds.intersection(&hit.kinds).copied().collect());
    (!kinds.is_empty()).then_some(kinds)
}

/// True when no two of these have different strong keys.
pub(crate) fn agree(hits: &[Hit]) -> bool {
    STRONG.iter().all(|kind| {
        let values: BTreeSet<_> = hits.iter().flat_map(|hit| hit.cardholder.keys.of(*kind)).collect();
        values.len() <= 1
    })
}
