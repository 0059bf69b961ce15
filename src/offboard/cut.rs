//! Cuts the access of one person on one PACS, reads it back, and says what was proved.

use lockstep_contract::{
    Action, ActionId, Cardholder, CredentialStatus, CredentialSupport, Cx, Expectation, Fault, InactiveStatus, Reason,
    Reduction, RunId, Situation, Status, Step, Steps, Subject, Suspend, Why,
};
use tokio::time::Instant;

use crate::board::{self, Board};
use crate::locate::{self, Hits};
use crate::report::{Candidate, CardholderOutcome, Progress, TargetOutcome};
use crate::scribe::Scribe;
use crate::{Event, Place, Request, Who};

/// Tries for one record. Reductions are idempotent, so sending one again after a read-back is safe.
const TRIES_MAX: u32 = 3;

/// One offboarding at one PACS.
pub(crate) struct Desk<'a> {
    /// Whom, and why.
    pub request: &'a Request,
    /// Where.
    pub place: &'a Place,
    /// Where it is recorded.
    pub scribe: &'a Scribe,
    /// What the others found.
    pub board: &'a Board,
    /// The context of its calls.
    pub cx: Cx,
    /// When the command began.
    pub started: Instant,
}

impl Desk<'_> {
    /// Everything that is done on this PACS.
    pub(crate) async fn work(&self) -> TargetOutcome {
        let info = self.place.target.info();
        let mut outcome = TargetOutcome::new(info);
        if let Some(why) = locate::cannot_be_asked(self.request, self.place) {
            return self.second_pass(outcome, why).await;
        }
        let found = locate::cardholders(self.request, self.place, &self.cx).await;
        self.board.put(&info.id, found.as_ref().cloned().unwrap_or_default());
        let found = match found {
            Ok(found) => found,
            Err(fault) => {
                return TargetOutcome { progress: Progress::Unreached { fault: fault.to_string() }, ..outcome };
            }
        };
        outcome.located_ms = Some(self.elapsed());
        if found.is_empty() {
            return TargetOutcome { progress: Progress::NotThere, ..outcome };
        }
        if matches!(self.request.who, Who::Bare(_)) {
            self.board.wait().await;
            if !self.board.is_one_human(&found, self.request.all) {
                return self.ambiguous(outcome, &found).await;
            }
        }
        self.cut_all(outcome, found).await
    }

    /// This PACS cannot be asked by what was given; it may be by the keys of the records that others found.
    async fn second_pass(&self, mut outcome: TargetOutcome, why: String) -> TargetOutcome {
        self.board.wait().await;
        let elsewhere = self.board.all();
        let keys = locate::other_keys(&elsewhere, self.place);
        let one = match self.request.who {
            Who::Bare(_) => self.board.is_one_human(&Hits::new(), self.request.all) && board::agree(&elsewhere),
            Who::Key(_) | Who::Cardholder { .. } => board::agree(&elsewhere),
        };
        if keys.is_empty() || !one || !self.board.is_unambiguous() {
            return TargetOutcome { progress: Progress::NotAsked { why }, ..outcome };
        }
        let found = match locate::by_other_keys(self.place, &self.cx, keys).await {
            Ok(found) => found,
            Err(fault) => {
                return TargetOutcome { progress: Progress::Unreached { fault: fault.to_string() }, ..outcome };
            }
        };
        outcome.located_ms = Some(self.elapsed());
        let together: Vec<_> = elsewhere.into_iter().chain(found.values().cloned()).collect();
        match found.len() {
            0 => TargetOutcome { progress: Progress::NotThere, ..outcome },
            // Nobody named these records: `--all` does not stretch to them.
            1 if board::agree(&together) => self.cut_all(outcome, found).await,
            _ => self.ambiguous(outcome, &found).await,
        }
    }

    async fn cut_all(&self, mut outcome: TargetOutcome, found: Hits) -> TargetOutcome {
        if found.len() > 1 && !self.request.all {
            return self.ambiguous(outcome, &found).await;
        }
        for hit in found.into_values() {
            outcome.cardholders.push(self.cut(hit.cardholder).await);
        }
        outcome.progress = Progress::Done;
        outcome
    }

    /// Nothing is done here, and the record says so: nobody is held for a key that several have.
    async fn ambiguous(&self, outcome: TargetOutcome, found: &Hits) -> TargetOutcome {
        if !self.request.dry_run {
            let target = self.place.target.info().id.clone();
            self.scribe.record(Event::Ambiguous { target, candidates: found.keys().cloned().collect() }).await;
        }
        let candidates = found.values().map(|hit| Candidate::from(&hit.cardholder)).collect();
        TargetOutcome { progress: Progress::Ambiguous { candidates }, ..outcome }
    }

    /// Takes, reads back, and takes again what is still there, a few times.
    async fn cut(&self, mut now: Cardholder) -> CardholderOutcome {
        let mut outcome = CardholderOutcome::new(&now, self.elapsed());
        let mut trouble: Option<Fault> = None;
        for _ in 0..TRIES_MAX {
            let Some(action) = reductions(self.request, self.place, &now) else { break };
            outcome.note_steps(&action);
            if self.request.dry_run {
                return outcome;
            }
            let intent = Event::Intent { action: Box::new(action.clone()), before: Box::new(now.clone()) };
            self.scribe.record(intent).await;
            outcome.requested_ms.get_or_insert(self.elapsed());
            let target = &self.place.target;
            trouble = target.apply(&self.cx, &action).await.err().map(|fault| fault.fault().clone());
            match target.read(&self.cx, &now.id).await {
                Ok(Some(after)) => now = after,
                Ok(None) => {
                    outcome.gone(self.elapsed());
                    break;
                }
                Err(fault) => {
                    trouble = Some(fault);
                    break;
                }
            }
        }
        // Only a record that was read back is judged: after a failed read-back `now` is still the one from before.
        if !outcome.confirmed && reductions(self.request, self.place, &now).is_none() {
            outcome.confirm(&now, self.place.target.info(), self.elapsed());
        }
        if !outcome.confirmed {
            outcome.explain(trouble.as_ref());
        }
        self.record_outcome(&now, &outcome).await;
        outcome
    }

    async fn record_outcome(&self, now: &Cardholder, outcome: &CardholderOutcome) {
        if self.request.dry_run {
            return;
        }
        let event = Event::Outcome {
            target: self.place.target.info().id.clone(),
            cardholder: now.id.clone(),
            confirmed: outcome.confirmed,
            detail: outcome.detail.clone(),
        };
        self.scribe.record(event).await;
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What still has to be taken away; `None` when the person is out.
fn reductions(request: &Request, place: &Place, now: &Cardholder) -> Option<Action> {
    let info = place.target.info();
    let mut steps = Vec::new();
    let mut expect = Expectation::default();
    if info.capabilities.suspend == Suspend::CardholderFlag {
        if now.status != Status::Suspended {
            steps.push(Reduction::Suspend);
        }
        expect.status = Some(Status::Suspended);
    }
    if info.capabilities.credentials != CredentialSupport::None {
        for credential in &now.credentials {
            if !matches!(credential.status, CredentialStatus::Inactive(_)) {
                steps.push(Reduction::Deactivate {
                    credential: credential.id.clone(),
                    status: InactiveStatus::Disabled,
                });
                expect.credentials.insert(credential.id.clone(), CredentialStatus::Inactive(InactiveStatus::Disabled));
            }
        }
    }
    for level in now.levels.intersection(&place.managed) {
        steps.push(Reduction::Revoke { level: level.clone() });
        expect.levels_absent.insert(level.clone());
    }
    let steps: Steps<Step> = Steps::new(steps.into_iter().map(Step::from).collect())?;
    let subject = Subject::Existing(now.id.clone());
    let run = RunId::new(uuid::Uuid::nil());
    Some(Action {
        id: ActionId::of(run, &info.id, &subject, &steps),
        target: info.id.clone(),
        subject,
        person: None,
        steps,
        basis: Some(now.digest()),
        expect,
        because: Reason {
            situation: Situation::Held,
            why: vec![Why {
                level: None,
                groups: Vec::new(),
                mapping: None,
                text: format!("offboarded by {}: {}", request.by, request.reason),
            }],
        },
    })
}
