//! One person at one PACS: from the gate to the receipt. What is known so far stands on a sheet, so that a PACS that
//! stops answering half-way leaves a report of the half that it did.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::join_all;
use lockstep_contract::{CardholderId, Cx, Fault};
use tokio::time::{sleep, timeout_at};

use crate::backoff::Backoff;
use crate::board::Board;
use crate::locate::{self, Hits};
use crate::report::{Candidate, CardholderOutcome, Progress, TargetOutcome};
use crate::scribe::Scribe;
use crate::{Event, KnownRecords, Pacs, Place, ROSTER_MAX, Request, Roster, Times, Watch};

/// One offboarding at one PACS.
#[derive(Clone)]
pub(crate) struct Desk {
    /// Which of the people.
    pub nth: usize,
    /// Whom, and why.
    pub request: Arc<Request>,
    /// Where.
    pub place: Place,
    /// What is known of them.
    pub roster: Roster,
    /// Where it is recorded.
    pub scribe: Arc<Scribe>,
    /// What the others found.
    pub board: Arc<Board>,
    /// Who looks on.
    pub watch: Arc<dyn Watch>,
    /// The context of its calls.
    pub cx: Cx,
    /// Since when, and until when.
    pub times: Times,
    /// What is known so far.
    pub sheet: Arc<Mutex<TargetOutcome>>,
    /// Whether whoever looks on was told of it.
    pub told: Arc<AtomicBool>,
}

impl Desk {
    /// Everything that is done here, in a task of its own, within its time.
    pub(crate) async fn at_work(self) -> TargetOutcome {
        let desk = self.clone();
        let until = self.times.started + self.times.patience;
        let mut task = tokio::spawn(async move { desk.work().await });
        let why = match timeout_at(until, &mut task).await {
            Ok(Ok(())) => None,
            Ok(Err(broken)) => Some(format!("{}: this is a bug in its connector: {broken}", self.place.id)),
            Err(_) => {
                task.abort();
                let patience = self.times.patience.as_secs();
                Some(format!("no answer within {patience} s"))
            }
        };
        if let Some(why) = why {
            self.break_off(&why);
        }
        // Whoever waits for this one need not any more.
        self.board.through(&self.place.id);
        let outcome = self.sheet().clone();
        if let (false, Some(open)) = (self.request.dry_run, outcome.open()) {
            self.scribe.announce(self.nth, Event::Ended { target: self.place.id.clone(), open });
        }
        self.through();
        outcome
    }

    /// Out of time: whatever is not confirmed is said not to be, here and on record.
    fn break_off(&self, why: &str) {
        let mut records = Vec::new();
        {
            let mut sheet = self.sheet();
            if let Progress::Unreached { fault } = &mut sheet.progress {
                let before = if fault.is_empty() { String::new() } else { format!("{fault}; ") };
                *fault = format!("{before}{why}; nothing was sent");
            }
            for one in sheet.cardholders.iter_mut().filter(|one| !one.confirmed) {
                one.break_off(why);
                records.push(one.event(&self.place.id));
            }
        }
        for event in records.into_iter().filter(|_| !self.request.dry_run) {
            self.scribe.announce(self.nth, event);
        }
    }

    async fn work(&self) {
        let pacs = match self.place.gate.clone().await {
            Ok(pacs) => pacs,
            Err(why) => return self.set(Progress::Unreached { fault: why }),
        };
        self.sheet().endpoint.clone_from(&pacs.info().endpoint);
        if locate::searchable(self.request.who.keys(), &pacs).is_empty()
            && let Some(why) = locate::cannot_be_asked(&self.request, &pacs, self.known().await.as_ref())
        {
            self.board.put(&self.place.id, Hits::new());
            return self.second_pass(&pacs, why, false).await;
        }
        self.first_pass(&pacs).await;
    }

    /// What the roster knows of this person. Nobody waits long for one that is slow.
    async fn known(&self) -> Arc<KnownRecords> {
        timeout_at(self.times.started + ROSTER_MAX, self.roster.clone()).await.unwrap_or_default()
    }

    async fn first_pass(&self, pacs: &Arc<Pacs>) {
        let found = match self.persist(|| locate::cardholders(&self.request, pacs, &self.cx, self.known())).await {
            Ok(found) => found,
            Err(fault) => return self.set(Progress::Unreached { fault: fault.to_string() }),
        };
        let given = self.request.who.keys();
        let doubtful = !found.is_empty() && found.values().all(|hit| locate::is_doubtful(hit, &given));
        self.board.put(&self.place.id, if doubtful { Hits::new() } else { found.clone() });
        self.sheet().stopwatch.located_ms = Some(self.elapsed());
        if doubtful {
            return self.ambiguous(pacs, &found);
        }
        match (found.is_empty(), self.request.who.is_sure()) {
            (true, true) => return self.set(Progress::NotThere),
            (true, false) => {
                let why = locate::may_know_another_key(&self.request.who);
                return self.second_pass(pacs, why, true).await;
            }
            (false, true) => {}
            (false, false) => {
                self.board.wait().await;
                if !self.board.is_one_human(&found, &self.request) {
                    return self.ambiguous(pacs, &found);
                }
            }
        }
        self.cut_all(pacs, found).await;
    }

    /// By what was given this PACS cannot be asked, or it has nobody by that (`asked`). It may have the same human by the
    /// keys of the records that others found. Nobody waits for this, so it waits for whoever is slow.
    async fn second_pass(&self, pacs: &Arc<Pacs>, why: String, asked: bool) {
        self.set(Progress::NotAsked { why });
        self.board.wait().await;
        self.board.wait_for_a_record().await;
        let elsewhere = self.board.all();
        let other = locate::other_keys(&elsewhere, &self.request.who);
        let keys = locate::searchable(other.clone(), pacs);
        if keys.is_empty() {
            // Everybody answered, and nobody knows anything else to ask by.
            if asked && other.is_empty() && self.board.is_whole() {
                self.set(Progress::NotThere);
            }
            return;
        }
        let sure = self.request.who.is_sure() || self.board.is_one_human(&Hits::new(), &self.request);
        let clear = sure && self.board.is_unambiguous();
        self.set(Progress::Unreached { fault: String::new() });
        let found = match self.persist(|| locate::by_other_keys(pacs, &self.cx, &keys)).await {
            Ok(found) => found,
            Err(fault) => return self.set(Progress::Unreached { fault: fault.to_string() }),
        };
        self.sheet().stopwatch.located_ms = Some(self.elapsed());
        match found.len() {
            0 => self.set(Progress::NotThere),
            // Nobody named these records: `--all` does not stretch to them.
            1 if clear && self.board.is_the_same(&found) => self.cut_all(pacs, found).await,
            _ => self.ambiguous(pacs, &found),
        }
    }

    /// Looks again, as long as waiting may help. Looking changes nothing, so it may be done as often as one likes.
    async fn persist<F>(&self, look: impl Fn() -> F) -> Result<Hits, Fault>
    where
        F: Future<Output = Result<Hits, Fault>>,
    {
        let mut backoff = Backoff::new();
        loop {
            match look().await {
                Err(fault) if fault.kind.is_transient() => {
                    self.board.late(&self.place.id);
                    self.watch.waiting(self.nth, &self.place.id, &fault);
                    self.set(Progress::Unreached { fault: fault.to_string() });
                    sleep(backoff.next(fault.retry_after)).await;
                }
                answer => return answer.inspect_err(|_| self.board.late(&self.place.id)),
            }
        }
    }

    /// Every record at the same time: the second one of a person opens doors as well as the first.
    async fn cut_all(&self, pacs: &Arc<Pacs>, found: Hits) {
        if found.len() > 1 && !self.request.all {
            return self.ambiguous(pacs, &found);
        }
        self.set(Progress::Done);
        join_all(found.into_values().map(|hit| self.cut(pacs, hit.cardholder))).await;
        self.through();
        if !self.request.dry_run {
            let confirmed = |one: &CardholderOutcome| one.confirmed.then(|| one.cardholder.clone());
            let records: Vec<CardholderId> = self.sheet().cardholders.iter().filter_map(confirmed).collect();
            join_all(records.iter().map(|id| self.ask_controllers(pacs, id))).await;
        }
    }

    /// Tells whoever looks on, once: what the controllers say can wait, what the database says cannot.
    fn through(&self) {
        if !self.told.swap(true, Ordering::SeqCst) {
            let outcome = self.sheet().clone();
            self.watch.through(self.nth, &self.place.id, &outcome);
        }
    }

    /// Nothing is done here, and the record says so: nobody is held for a key that several have.
    fn ambiguous(&self, pacs: &Pacs, found: &Hits) {
        if !self.request.dry_run {
            let candidates = found.keys().cloned().collect();
            self.scribe.announce(self.nth, Event::Ambiguous { target: self.place.id.clone(), candidates });
        }
        let candidates = found.values().map(|hit| Candidate::of(&hit.cardholder, &self.place, pacs.info())).collect();
        self.set(Progress::Ambiguous { candidates });
    }

    fn set(&self, progress: Progress) {
        self.sheet().progress = progress;
    }

    /// Never held across an await.
    pub(crate) fn sheet(&self) -> MutexGuard<'_, TargetOutcome> {
        self.sheet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn elapsed(&self) -> u64 {
        u64::try_from(self.times.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
