//! The security desk: what it takes from a record, and where its word waits until the state has it.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lockstep_contract::{
    Action, ActionId, Cardholder, CredentialStatus, Expectation, InactiveStatus, Reason, Reduction, RunId, Situation,
    Status, Step, Steps, Subject, TargetId,
};
use lockstep_core::{ActionEvent, Holds};
use lockstep_engine::{Desk, Intent, LinkChange, Outcome, SpoolEntry};

use super::MANAGED;
use crate::bench::level;

/// Where offboardings lie until the state takes them over.
#[derive(Default)]
pub(super) struct Tray {
    pub(super) waiting: Mutex<Vec<SpoolEntry>>,
    /// An offboarding that arrives when the desk is asked for the n-th time.
    pub(super) late: Mutex<Option<(u64, Vec<SpoolEntry>)>>,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tray {
    /// What was to arrive late arrives now at the latest. True when something was to.
    pub(super) fn arrive(&self) -> bool {
        let late = locked(&self.late).take();
        let came = late.is_some();
        locked(&self.waiting).extend(late.into_iter().flat_map(|(_, entries)| entries));
        came
    }
}

#[async_trait]
impl Desk for Tray {
    async fn holds(&self, target: &TargetId) -> Result<Arc<Holds>, String> {
        let due = match &mut *locked(&self.late) {
            Some((0, _)) => true,
            Some((left, _)) => {
                *left -= 1;
                false
            }
            None => false,
        };
        if due {
            self.arrive();
        }
        let waiting = locked(&self.waiting);
        let holds = waiting.iter().filter_map(|entry| match entry {
            SpoolEntry::Hold { targets, hold } if targets.is_empty() || targets.contains(target) => Some(hold.clone()),
            SpoolEntry::Hold { .. } | SpoolEntry::Action { .. } => None,
        });
        Ok(Arc::new(Holds(holds.collect())))
    }
}

/// What the desk takes from a record; `None` when there is nothing to take.
pub(super) fn cut(run: RunId, target: &TargetId, now: &Cardholder) -> Option<Action> {
    let mut steps = Vec::new();
    let mut expect = Expectation { status: Some(Status::Suspended), ..Expectation::default() };
    if now.status != Status::Suspended {
        steps.push(Step::Reduce(Reduction::Suspend));
    }
    for card in now.credentials.iter().filter(|card| card.status == CredentialStatus::Active) {
        let (credential, status) = (card.id.clone(), InactiveStatus::Disabled);
        expect.credentials.insert(credential.clone(), CredentialStatus::Inactive(status));
        steps.push(Step::Reduce(Reduction::Deactivate { credential, status }));
    }
    for id in MANAGED.map(level).into_iter().filter(|id| now.levels.contains(id)) {
        expect.levels_absent.insert(id.clone());
        steps.push(Step::Reduce(Reduction::Revoke { level: id }));
    }
    let steps = Steps::new(steps)?;
    let subject = Subject::Existing(now.id.clone());
    Some(Action {
        id: ActionId::of(run, target, &subject, &steps),
        target: target.clone(),
        subject,
        person: None,
        steps,
        basis: Some(now.digest()),
        expect,
        because: Reason { situation: Situation::Held, why: Vec::new() },
    })
}

pub(super) fn confirmed(intent: &Intent) -> Outcome {
    let Subject::Existing(cardholder) = intent.action.subject.clone() else { unreachable!("the desk creates nobody") };
    let suspends = intent.action.steps.iter().any(|step| *step == Step::Reduce(Reduction::Suspend));
    let links = if suspends { vec![LinkChange::Suspended { cardholder, by: intent.run }] } else { Vec::new() };
    Outcome { event: ActionEvent::Verify, at: intent.at, detail: "read back".to_owned(), after: None, links }
}
