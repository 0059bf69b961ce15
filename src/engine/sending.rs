//! The protocol of one action: intent durable, sent once, read back, judged, recorded; and again only when a read-back
//! shows that nothing happened. Also the way out of every state in which a crash can leave it.
//!
//! An outcome that is not known is resolved by reading, never by sending blindly.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join;
use lockstep_contract::{
    Action, ApplyFault, Cardholder, CardholderId, Cx, Enforcement, Fault, FaultKind, ImageDigest, Receipt, RunId,
    Subject, Target, TargetId, TargetReader,
};
use lockstep_core::{ActionEvent, ActionState, Hold, Holds, Lift, Links, Verdict, verify};

use crate::fuse::{Admission, Breaker};
use crate::judging::{held, link_changes, only_reduces, reduces, subject_text, untouched_by_others};
use crate::layers::{self, Layered};
use crate::{ActionReport, ApplyOrder, Desk, Epoch, Intent, Outcome, StoreError};

/// An action is sent so many times at most (F11).
pub(crate) const SENDS_MAX: u32 = 3;
/// A read-back that does not show the change yet is repeated so many times: some systems answer reads from a copy.
const READ_BACKS_MAX: usize = 3;
/// So many failures one after another stop a target (G11).
const FAILURES_IN_A_ROW: u64 = 3;
/// This part of a target's actions failing stops it, too, in percent (G11).
const FAILURES_PERCENT: u64 = 5;

/// How a target is doing.
#[derive(Debug, Default)]
struct Health {
    stopped: Option<String>,
    in_a_row: u64,
    failures: u64,
}

/// One target while actions are applied to it.
pub(crate) struct Site<'a> {
    pub(crate) id: TargetId,
    pub(crate) target: Layered<Arc<dyn Target>>,
    pub(crate) order: &'a ApplyOrder<'a>,
    desk: &'a dyn Desk,
    pub(crate) epoch: Epoch,
    pub(crate) breaker: Breaker,
    pub(crate) links: Links,
    pub(crate) holds: Holds,
    /// What was ever lifted by name.
    pub(crate) lifts: Vec<Lift>,
    /// How many actions there are to do here, for the error budget.
    pub(crate) total: u64,
    health: Mutex<Health>,
    /// The images in which actions of this run left a record.
    ours: Mutex<BTreeMap<CardholderId, Vec<ImageDigest>>>,
    /// Whoever has an action with an unknown outcome gets no other one (F13).
    open: Mutex<BTreeSet<Subject>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What became of one action, for the report.
pub(crate) fn action_report(action: &Action, state: ActionState, detail: impl Into<String>) -> ActionReport {
    ActionReport { action: action.id.clone(), subject: action.subject.clone(), state, detail: detail.into() }
}

/// What a look at a record showed.
enum Seen {
    Nothing,
    Record(Box<Cardholder>),
    Several(usize),
    Unreadable(Fault),
}

/// What a look at a record means for an action.
pub(crate) enum Judged {
    /// It is done.
    Done(Box<Cardholder>),
    /// Nothing happened, or part of it and nothing else.
    NotYet(String),
    /// Something else happened.
    Otherwise(String, Option<Box<Cardholder>>),
    /// Nobody knows.
    Unknown(Fault),
}

impl<'a> Site<'a> {
    pub(crate) fn new(
        (order, desk): (&'a ApplyOrder<'a>, &'a dyn Desk),
        epoch: Epoch,
        target: Layered<Arc<dyn Target>>,
        breaker: Breaker,
        links: Links,
    ) -> Self {
        let id = target.info().id.clone();
        Self {
            id,
            target,
            order,
            desk,
            epoch,
            breaker,
            links,
            holds: Holds::default(),
            lifts: Vec::new(),
            total: 0,
            health: Mutex::default(),
            ours: Mutex::default(),
            open: Mutex::default(),
        }
    }

    /// Reads again who is held out, and who is not any more.
    pub(crate) async fn look_at_holds(&mut self) -> Result<(), StoreError> {
        self.holds = self.order.store.holds(&self.id).await?;
        self.lifts = self.order.store.lifts().await?;
        Ok(())
    }

    /// The context of one call. It is not cancelled with the run: an action that began is brought to its end, read-back
    /// and all, and [`stopped`](Self::stopped) is asked before the next one.
    pub(crate) fn cx(&self, run: RunId) -> Cx {
        Cx { run: Some(run), ..Cx::new(self.order.call_budget) }
    }

    /// Why nothing more is sent to this target.
    pub(crate) fn stopped(&self) -> Option<String> {
        if self.order.cancel.is_cancelled() {
            return Some("stopped on request".to_owned());
        }
        locked(&self.health).stopped.clone()
    }

    pub(crate) fn is_open(&self, subject: &Subject) -> bool {
        locked(&self.open).contains(subject)
    }

    pub(crate) fn leave_open(&self, subject: &Subject) {
        locked(&self.open).insert(subject.clone());
    }

    pub(crate) fn ours(&self, id: &CardholderId) -> Vec<ImageDigest> {
        locked(&self.ours).get(id).cloned().unwrap_or_default()
    }

    pub(crate) fn remember_ours(&self, after: &Cardholder) {
        locked(&self.ours).entry(after.id.clone()).or_default().push(after.digest());
    }

    pub(crate) fn went_well(&self) {
        locked(&self.health).in_a_row = 0;
    }

    /// Counts a failure, and stops the target when it is one of the whole system, or one too many.
    pub(crate) fn failed(&self, kind: Option<FaultKind>, detail: &str) {
        if kind == Some(FaultKind::Unconfirmed) {
            return; // An importer that takes its time fails nobody; the action stays open.
        }
        let mut health = locked(&self.health);
        health.in_a_row += 1;
        health.failures += 1;
        let whole_system = matches!(kind, Some(FaultKind::Unauthenticated | FaultKind::Denied | FaultKind::Protocol));
        let too_many = health.in_a_row >= FAILURES_IN_A_ROW
            || (health.failures >= FAILURES_IN_A_ROW && health.failures * 100 > self.total * FAILURES_PERCENT);
        if whole_system {
            health.stopped.get_or_insert_with(|| detail.to_owned());
        } else if too_many {
            let failures = health.failures;
            health.stopped.get_or_insert_with(|| format!("{failures} actions failed, the last one: {detail}"));
        }
    }

    /// Asks the fuse, when the action reduces anything. A reason means no.
    pub(crate) async fn ask_fuse(&self, action: &Action) -> Result<Option<String>, StoreError> {
        if !reduces(action) {
            return Ok(None);
        }
        match self.breaker.admit() {
            Admission::Granted => Ok(None),
            Admission::Open(why) => Ok(Some(why)),
            Admission::Opens(why) => {
                let now = (self.order.clock)();
                self.order.store.set_fuse(self.epoch, &self.id, Some(&why), now).await?;
                tracing::error!(target_id = %self.id, %why, "the fuse opened");
                Ok(Some(format!("the fuse is open: {why}")))
            }
        }
    }

    pub(crate) async fn record(
        &self,
        intent: &Intent,
        event: ActionEvent,
        detail: &str,
        after: Option<Cardholder>,
    ) -> Result<ActionReport, StoreError> {
        let at = (self.order.clock)();
        let links = match (event, &after) {
            (ActionEvent::Verify, Some(after)) => link_changes(intent, after, &self.links, at),
            _ => Vec::new(),
        };
        if let (ActionEvent::Verify, Some(after)) = (event, &after) {
            self.remember_ours(after);
        }
        let outcome = Outcome { event, at, detail: detail.to_owned(), after, links };
        let state = self.order.store.record(self.epoch, &intent.action.id, &outcome).await?;
        if state.is_settled() {
            locked(&self.open).remove(&intent.action.subject);
        } else {
            self.leave_open(&intent.action.subject);
        }
        Ok(action_report(&intent.action, state, detail))
    }

    /// Reads a record, or finds the one that was to be created.
    async fn look(&self, intent: &Intent, created: Option<&CardholderId>) -> Seen {
        let cx = self.cx(intent.run);
        let read = match (&intent.action.subject, created) {
            (Subject::Existing(id), _) | (Subject::New(_), Some(id)) => self.target.read(&cx, id).await,
            (Subject::New(key), None) => match self.target.find(&cx, key).await {
                Ok(found) if found.len() > 1 => return Seen::Several(found.len()),
                Ok(found) => Ok(found.into_iter().next()),
                Err(fault) => Err(fault),
            },
        };
        match read {
            Ok(Some(record)) => Seen::Record(Box::new(record)),
            Ok(None) => Seen::Nothing,
            Err(fault) => Seen::Unreadable(fault),
        }
    }

    pub(crate) async fn judge(&self, intent: &Intent, created: Option<&CardholderId>) -> Judged {
        let action = &intent.action;
        let now = match self.look(intent, created).await {
            Seen::Unreadable(fault) => return Judged::Unknown(fault),
            Seen::Several(count) => {
                return Judged::Otherwise(format!("{count} records have the key of the new one"), None);
            }
            Seen::Nothing => None,
            Seen::Record(record) => Some(record),
        };
        let differences = match (verify(action, now.as_deref()), now) {
            (Verdict::Verified, Some(now)) => return Judged::Done(now),
            (Verdict::Verified, None) => return Judged::Otherwise("the record is gone".to_owned(), None),
            (Verdict::Diverged { differences }, now) => {
                let text = differences
                    .iter()
                    .map(|d| format!("{}: expected {}, found {}", d.what, d.expected, d.found))
                    .collect::<Vec<_>>()
                    .join("; ");
                (text, now)
            }
        };
        match (&intent.before, differences) {
            (None, (text, None)) => Judged::NotYet(text),
            (Some(before), (text, Some(now))) if untouched_by_others(action, before, &now) => Judged::NotYet(text),
            (_, (text, now)) => Judged::Otherwise(text, now),
        }
    }

    /// Sends an action and brings it as far as it goes. `sent` is how often it was sent before.
    pub(crate) async fn drive(&self, mut intent: Intent, mut sent: u32) -> Result<ActionReport, StoreError> {
        let cx = self.cx(intent.run);
        let mut waits = layers::waits();
        loop {
            intent.at = (self.order.clock)();
            self.leave_open(&intent.action.subject);
            self.order.store.intend(self.epoch, std::slice::from_ref(&intent)).await?;
            // The last moment: an offboarding may have been accepted while the intent was on its way to the disk.
            if let Some(why) = self.held_out(&intent.action, intent.before.as_ref()).await {
                let event = if sent == 0 { ActionEvent::Withdraw } else { ActionEvent::Refuse };
                return self.record(&intent, event, &why, None).await;
            }
            if sent == 0
                && let Some(why) = self.stopped()
            {
                return self.record(&intent, ActionEvent::Withdraw, &format!("not sent: {why}"), None).await;
            }
            sent += 1;
            let (fault, doubt) = match self.target.apply(&cx, &intent.action).await {
                Ok(receipt) => return self.accepted(&intent, &receipt).await,
                Err(ApplyFault::NotSent(fault)) if fault.kind == FaultKind::Cancelled => {
                    return self.record(&intent, ActionEvent::Withdraw, "stopped on request", None).await;
                }
                Err(ApplyFault::NotSent(fault) | ApplyFault::Refused(fault)) => (fault, false),
                Err(ApplyFault::Uncertain(fault)) => (fault, true),
            };
            if doubt && let Some(report) = self.resolve_doubt(&intent, &fault).await? {
                return Ok(report);
            }
            let again = fault.kind.is_transient() && sent < SENDS_MAX && self.stopped().is_none();
            let Some(own) = waits.next().filter(|_| again) else {
                let detail = format!("{fault} (sent {sent} times, no effect)");
                self.failed(Some(fault.kind), &detail);
                return self.record(&intent, ActionEvent::Refuse, &detail, None).await;
            };
            tokio::time::sleep(layers::wait_after(&fault, own)).await;
        }
    }

    /// After an answer that got lost. `None`: a read-back shows that nothing happened.
    async fn resolve_doubt(&self, intent: &Intent, fault: &Fault) -> Result<Option<ActionReport>, StoreError> {
        self.record(intent, ActionEvent::Doubt, &fault.to_string(), None).await?;
        let mut judged = self.judge(intent, None).await;
        if matches!(judged, Judged::NotYet(_)) && intent.before.is_none() {
            // A record that is created late would become two: whoever answers late gets the time of one call more.
            tokio::time::sleep(self.order.call_budget).await;
            judged = self.judge(intent, None).await;
        }
        match judged {
            Judged::Done(after) => {
                self.went_well();
                let detail = format!("the answer was lost ({fault}), but it is read back as expected");
                Ok(Some(self.record(intent, ActionEvent::Verify, &detail, Some(*after)).await?))
            }
            Judged::NotYet(_) => Ok(None),
            Judged::Otherwise(text, now) => Ok(Some(self.diverged(intent, &text, now).await?)),
            Judged::Unknown(second) => {
                let detail = format!("{fault}; and the record cannot be read: {second}");
                self.failed(Some(second.kind), &detail);
                Ok(Some(action_report(&intent.action, ActionState::Uncertain, detail)))
            }
        }
    }

    pub(crate) async fn diverged(
        &self,
        intent: &Intent,
        text: &str,
        now: Option<Box<Cardholder>>,
    ) -> Result<ActionReport, StoreError> {
        let detail = format!("read back, and not as expected: {text}");
        self.failed(None, &format!("{}: {detail}", subject_text(&intent.action.subject)));
        self.record(intent, ActionEvent::Diverge, &detail, now.map(|now| *now)).await
    }

    /// The system said yes; now it has to be seen.
    async fn accepted(&self, intent: &Intent, receipt: &Receipt) -> Result<ActionReport, StoreError> {
        let created = Some(&receipt.cardholder);
        let said = self.record(intent, ActionEvent::Acknowledge, "accepted", None);
        let (said, mut judged) = join(said, self.judge(intent, created)).await;
        said?;
        let mut waits = layers::waits().take(READ_BACKS_MAX - 1);
        while matches!(judged, Judged::NotYet(_)) {
            let Some(wait) = waits.next() else { break };
            tokio::time::sleep(wait).await;
            judged = self.judge(intent, created).await;
        }
        match judged {
            Judged::Done(after) => {
                self.went_well();
                let detail = match receipt.enforced {
                    Enforcement::Database => "read back as expected; the head end has it, controllers may lag",
                    Enforcement::Controllers => "read back as expected; the controllers have it",
                };
                self.record(intent, ActionEvent::Verify, detail, Some(*after)).await
            }
            Judged::NotYet(text) => self.diverged(intent, &format!("accepted, but without effect: {text}"), None).await,
            Judged::Otherwise(text, now) => self.diverged(intent, &text, now).await,
            Judged::Unknown(fault) => {
                let detail = format!("accepted, but it cannot be read back: {fault}");
                self.failed(Some(fault.kind), &detail);
                self.record(intent, ActionEvent::Doubt, &detail, None).await
            }
        }
    }

    /// Why this action may not be sent although it is approved: its human is held out by name, or nobody can tell. What
    /// only takes access away may always be sent.
    pub(crate) async fn held_out(&self, action: &Action, before: Option<&Cardholder>) -> Option<String> {
        if only_reduces(action) {
            return None;
        }
        let since = |hold: &Hold| format!("held out by name since {} (by {})", hold.since, hold.by);
        // The memory's own holds need no second look: under our lease nobody else can write any.
        if let Some(hold) = held(&self.holds, &self.links, action, before) {
            return Some(since(hold));
        }
        match self.desk.holds(&self.id).await {
            Ok(holds) => {
                // The record of an offboarding that was lifted since may lie about again.
                let in_force = |hold: &&Hold| !self.lifts.iter().any(|lift| lift.lifted(&hold.id));
                let holds = Holds(holds.0.iter().filter(in_force).cloned().collect());
                held(&holds, &self.links, action, before).map(since)
            }
            Err(why) => Some(format!("it cannot be told who is held out by name by now: {why}")),
        }
    }
}
