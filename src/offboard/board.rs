//! What the PACS found so far, shared by all who work for one offboarding, and whether all of it is one human.
//!
//! Nobody who has a record here waits for longer than a share of the time: a PACS that is down keeps nobody in
//! elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lockstep_contract::{Cardholder, CorrelationKey, KeyKind, TargetId};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::locate::{Hit, Hits};
use crate::who::SURE;
use crate::{Request, Who};

/// What was found, by target.
pub(crate) struct Board {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    asked: usize,
    until: Instant,
}

#[derive(Default)]
struct State {
    answers: BTreeMap<TargetId, Answer>,
    /// Records that were judged to be theirs before: witnesses that always answer.
    witnesses: Vec<Hit>,
    judged: Option<Judgement>,
    /// What is taken for the human who is meant. Whatever comes later has to agree with all of it.
    taken: Vec<Hit>,
}

/// What is known of one PACS.
enum Answer {
    /// Nobody waits for it any more; it may say something later.
    Late,
    /// It will say nothing.
    Never,
    /// What it has by what was given.
    Has(Hits),
}

/// Whether all that was found in time is one human.
enum Judgement {
    /// It is, found by these kinds of key.
    One(BTreeSet<KeyKind>),
    /// It is not, or nobody knows.
    NotClear,
}

impl Board {
    pub(crate) fn new(asked: usize, until: Instant) -> Self {
        Self { state: Mutex::default(), changed: watch::Sender::new(()), asked, until }
    }

    /// With records that an earlier offboarding took for this human's, however they are found.
    pub(crate) fn judged(self, records: &[Cardholder], who: &Who) -> Self {
        let kinds: BTreeSet<KeyKind> = who.keys().iter().map(CorrelationKey::kind).collect();
        let witness = |cardholder: &Cardholder| Hit { cardholder: cardholder.clone(), kinds: kinds.clone() };
        self.state().witnesses.extend(records.iter().map(witness));
        self
    }

    /// Says what a PACS has by what was given; nothing also when it cannot be asked by that.
    pub(crate) fn put(&self, target: &TargetId, hits: Hits) {
        self.state().answers.insert(target.clone(), Answer::Has(hits));
        self.changed.send_replace(());
    }

    /// Nobody needs to wait for this PACS any more; it may say something later.
    pub(crate) fn late(&self, target: &TargetId) {
        self.state().answers.entry(target.clone()).or_insert(Answer::Late);
        self.changed.send_replace(());
    }

    /// This PACS is through: what it has not said by now it will not say.
    pub(crate) fn through(&self, target: &TargetId) {
        let mut state = self.state();
        let answer = state.answers.entry(target.clone()).or_insert(Answer::Never);
        if matches!(answer, Answer::Late) {
            *answer = Answer::Never;
        }
        drop(state);
        self.changed.send_replace(());
    }

    /// Returns when everybody answered, or the share of time is used up.
    pub(crate) async fn wait(&self) {
        let mut changes = self.changed.subscribe();
        let all = changes.wait_for(|()| self.state().answers.len() >= self.asked);
        // Out of time: what is there has to do.
        let _ = tokio::time::timeout_at(self.until, all).await;
    }

    /// Returns when somebody has a record, or nobody is left who may still find one. For those who have none: nobody
    /// waits for them.
    pub(crate) async fn wait_for_a_record(&self) {
        let mut changes = self.changed.subscribe();
        // An error means that nobody can say anything any more.
        let _ = changes.wait_for(|()| !self.all().is_empty() || self.state().pending(self.asked) == 0).await;
    }

    /// Everything found so far.
    pub(crate) fn all(&self) -> Vec<Hit> {
        self.state().all()
    }

    /// Every PACS has said what it has.
    pub(crate) fn is_whole(&self) -> bool {
        self.state().hits().count() >= self.asked
    }

    /// No PACS has several records of whom was named.
    pub(crate) fn is_unambiguous(&self) -> bool {
        self.state().hits().all(|hits| hits.len() <= 1)
    }

    /// Whether what was given means one human: no two records have different keys of which a human has one, and a value
    /// without a kind was found as a common kind of key. Judged once; who answers later has to agree with that.
    pub(crate) fn is_one_human(&self, hits: &Hits, request: &Request) -> bool {
        let mut state = self.state();
        let all = state.all();
        if all.is_empty() {
            return false;
        }
        if state.judged.is_none() {
            state.judged = Some(judge(&all, request));
            state.taken.extend(all);
        }
        let Some(Judgement::One(kinds)) = &state.judged else { return false };
        let bare = matches!(request.who, Who::Bare(_));
        let found_alike = hits.values().all(|hit| hit.kinds.intersection(kinds).next().is_some());
        (found_alike || !bare) && (request.all || state.agrees(hits)) && state.take(hits)
    }

    /// Whether these, that were found by other keys than what was given, are the same human as all that is known.
    pub(crate) fn is_the_same(&self, found: &Hits) -> bool {
        let mut state = self.state();
        let all: Vec<Hit> = state.all().into_iter().chain(found.values().cloned()).collect();
        agree(&all) && state.agrees(found) && state.take(found)
    }

    /// Never held across an await.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn hits(&self) -> impl Iterator<Item = &Hits> {
        self.answers.values().filter_map(|answer| match answer {
            Answer::Has(hits) => Some(hits),
            Answer::Late | Answer::Never => None,
        })
    }

    fn all(&self) -> Vec<Hit> {
        self.witnesses.iter().chain(self.hits().flat_map(BTreeMap::values)).cloned().collect()
    }

    /// How many may still say something.
    fn pending(&self, asked: usize) -> usize {
        asked.saturating_sub(self.answers.values().filter(|answer| !matches!(answer, Answer::Late)).count())
    }

    fn agrees(&self, hits: &Hits) -> bool {
        agree(&self.taken.iter().chain(hits.values()).cloned().collect::<Vec<_>>())
    }

    /// From now on these are part of the human.
    fn take(&mut self, hits: &Hits) -> bool {
        self.taken.extend(hits.values().cloned());
        true
    }
}

fn judge(hits: &[Hit], request: &Request) -> Judgement {
    let kinds = common(hits.iter());
    let named = !kinds.is_empty() || !matches!(request.who, Who::Bare(_));
    if named && (request.all || agree(hits)) { Judgement::One(kinds) } else { Judgement::NotClear }
}

/// The kinds of key by which all of these were found.
fn common<'h>(mut hits: impl Iterator<Item = &'h Hit>) -> BTreeSet<KeyKind> {
    let first = hits.next().map(|hit| hit.kinds.clone()).unwrap_or_default();
    hits.fold(first, |kinds, hit| kinds.intersection(&hit.kinds).copied().collect())
}

/// True when no two of these have different sure keys. Who has none contradicts nobody.
pub(crate) fn agree(hits: &[Hit]) -> bool {
    !SURE.into_iter().any(|kind| {
        let of = |hit: &Hit| hit.cardholder.keys.of(kind).cloned().collect::<BTreeSet<CorrelationKey>>();
        let values: Vec<BTreeSet<_>> = hits.iter().map(of).filter(|values| !values.is_empty()).collect();
        values.iter().enumerate().any(|(nth, one)| values[..nth].iter().any(|other| one.is_disjoint(other)))
    })
}
