//! Cuts the access of one record, reads it back, and asks the controllers where that can be asked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lockstep_contract::{
    AccessLevelId, Action, ActionId, ApplyFault, Cardholder, CardholderId, CredentialStatus, CredentialSupport,
    Enforcement, Expectation, InactiveStatus, Reason, Reduction, RunId, Situation, Status, Step, Steps, Subject,
    Suspend, TargetInfo, Why,
};
use tokio::time::{Instant, sleep, timeout_at};

use crate::backoff::Backoff;
use crate::desk::Desk;
use crate::report::{CardholderOutcome, Controllers};
use crate::{Event, Pacs, Request};

/// Tries for one record that the PACS refuses, or accepts without any effect. One that does not answer is tried as long
/// as there is time: reductions are idempotent, and nothing is sent again before it was read back.
const TRIES_MAX: u32 = 3;
/// Controllers get this long after the read-back before the receipt says that they are not known to have it.
const CONTROLLERS: Duration = Duration::from_secs(2);
/// The first wait before they are asked again; each is twice the one before.
const CONTROLLERS_AGAIN: Duration = Duration::from_millis(100);

impl Desk {
    /// Takes, reads back, and takes again what is still there.
    pub(crate) async fn cut(&self, pacs: &Arc<Pacs>, mut now: Cardholder) {
        let id = now.id.clone();
        self.put(CardholderOutcome::new(&now, &self.place, self.elapsed()));
        let mut backoff = Backoff::new();
        // All at once is fastest. Once something was not done, each step goes alone: what a PACS refuses to do to one
        // card must not keep it from switching the person off.
        let mut alone = false;
        if !self.request.dry_run && reductions(&self.place.managed, pacs.info(), &now).is_empty() {
            // What a search says may be old; only the record itself proves it.
            match self.read_back(pacs, &id).await {
                Ok(Some(after)) => now = after,
                Ok(None) => return self.confirmed(pacs, None, &id),
                Err(why) => return self.not_confirmed(&id, &why),
            }
        }
        for tries in 1.. {
            let steps = reductions(&self.place.managed, pacs.info(), &now);
            if steps.is_empty() {
                return self.confirmed(pacs, Some(&now), &id);
            }
            self.note(&id, |one| one.note_steps(&now, &steps));
            if self.request.dry_run {
                return;
            }
            let trouble = self.send(pacs, &now, &steps, alone).await;
            match self.read_back(pacs, &id).await {
                Ok(Some(after)) => now = after,
                Ok(None) => return self.confirmed(pacs, None, &id),
                Err(why) => return self.not_confirmed(&id, &why),
            }
            let left = reductions(&self.place.managed, pacs.info(), &now);
            if left.is_empty() {
                continue;
            }
            self.note(&id, |one| one.still_open(&now, &left, trouble.as_ref()));
            let waiting_helps = trouble.as_ref().is_some_and(|fault| fault.fault().kind.is_transient());
            if tries >= TRIES_MAX && !waiting_helps {
                let why = trouble.map_or_else(|| "the PACS accepted it".to_owned(), |fault| fault.to_string());
                return self.not_confirmed(&id, &why);
            }
            if waiting_helps || alone {
                let asked = trouble.and_then(|fault| fault.fault().retry_after);
                sleep(backoff.next(asked)).await;
                match self.read_back(pacs, &id).await {
                    Ok(Some(after)) => now = after,
                    Ok(None) => return self.confirmed(pacs, None, &id),
                    Err(why) => return self.not_confirmed(&id, &why),
                }
            }
            alone = !waiting_helps || alone;
        }
    }

    /// Sends these steps, once each; what happened to the first that went wrong. The intent is on the disk before.
    async fn send(&self, pacs: &Pacs, now: &Cardholder, steps: &[Reduction], alone: bool) -> Option<ApplyFault> {
        let whole = action(&self.request, pacs.info(), now, steps)?;
        let intent = Event::Intent { action: Box::new(whole.clone()), before: Box::new(now.clone()) };
        self.scribe.record(self.nth, intent).await;
        let at = self.elapsed();
        self.note(&now.id, |one| one.requested(at));
        if !alone {
            return pacs.apply(&self.cx, &whole).await.inspect(|receipt| self.receipt(&now.id, receipt.enforced)).err();
        }
        let mut first = None;
        for step in steps {
            let Some(action) = action(&self.request, pacs.info(), now, std::slice::from_ref(step)) else { continue };
            match pacs.apply(&self.cx, &action).await {
                Ok(receipt) => self.receipt(&now.id, receipt.enforced),
                Err(fault) => first = first.or(Some(fault)),
            }
        }
        first
    }

    /// Reads the record as long as waiting may help; the fault that ends it otherwise.
    async fn read_back(&self, pacs: &Pacs, id: &CardholderId) -> Result<Option<Cardholder>, String> {
        let mut backoff = Backoff::new();
        loop {
            match pacs.read(&self.cx, id).await {
                Err(fault) if fault.kind.is_transient() => {
                    self.watch.waiting(self.nth, &self.place.id, &fault);
                    self.note(id, |one| one.explain(&format!("not read back: {fault}")));
                    sleep(backoff.next(fault.retry_after)).await;
                }
                answer => return answer.map_err(|fault| format!("not read back: {fault}")),
            }
        }
    }

    /// The read-back shows the person out, or no record at all.
    fn confirmed(&self, pacs: &Pacs, now: Option<&Cardholder>, id: &CardholderId) {
        let at = self.elapsed();
        self.note(id, |one| one.confirm(now, pacs.info(), at));
        self.record_outcome(id);
    }

    fn not_confirmed(&self, id: &CardholderId, why: &str) {
        self.note(id, |one| one.explain(why));
        self.record_outcome(id);
    }

    /// Where the controllers can be asked they are, for a bounded time. Where they cannot, nothing is said about them.
    pub(crate) async fn ask_controllers(&self, pacs: &Pacs, id: &CardholderId) {
        let until = Instant::now() + CONTROLLERS;
        let mut wait = CONTROLLERS_AGAIN;
        let asking = async {
            loop {
                match pacs.enforced(&self.cx, id).await {
                    Ok(Some(Enforcement::Controllers)) => {
                        let at = self.elapsed();
                        return self.note(id, |one| one.enforced(at));
                    }
                    Ok(Some(Enforcement::Database)) => {
                        self.note(id, |one| one.controllers = Controllers::Pending);
                        sleep(wait).await;
                        wait *= 2;
                    }
                    Ok(None) | Err(_) => return,
                }
            }
        };
        // Later than this is said to be pending, and is no reason to keep anybody waiting.
        let _ = timeout_at(until, asking).await;
    }

    /// The answer to a write proves the controllers on a PACS that answers only when they have it.
    fn receipt(&self, id: &CardholderId, enforced: Enforcement) {
        if enforced == Enforcement::Controllers {
            let at = self.elapsed();
            self.note(id, |one| one.enforced(at));
        }
    }

    fn record_outcome(&self, id: &CardholderId) {
        let event = self.sheet().of(id).map(|one| one.event(&self.place.id));
        if let (false, Some(event)) = (self.request.dry_run, event) {
            self.scribe.announce(self.nth, event);
        }
    }

    fn put(&self, one: CardholderOutcome) {
        self.sheet().cardholders.push(one);
    }

    fn note(&self, id: &CardholderId, change: impl FnOnce(&mut CardholderOutcome)) {
        let mut sheet = self.sheet();
        if let Some(one) = sheet.of(id) {
            change(one);
        }
        sheet.wind();
    }
}

/// What still has to be taken away, what cuts access first before the rest; nothing when the person is out.
fn reductions(managed: &BTreeSet<AccessLevelId>, info: &TargetInfo, now: &Cardholder) -> Vec<Reduction> {
    let mut steps = Vec::new();
    if info.capabilities.suspend == Suspend::CardholderFlag && now.status != Status::Suspended {
        steps.push(Reduction::Suspend);
    }
    if info.capabilities.credentials != CredentialSupport::None {
        let working = now.credentials.iter().filter(|one| !matches!(one.status, CredentialStatus::Inactive(_)));
        steps.extend(
            working.map(|one| Reduction::Deactivate { credential: one.id.clone(), status: InactiveStatus::Disabled }),
        );
    }
    steps.extend(now.levels.intersection(managed).map(|level| Reduction::Revoke { level: level.clone() }));
    steps
}

fn action(request: &Request, info: &TargetInfo, now: &Cardholder, steps: &[Reduction]) -> Option<Action> {
    let mut expect = Expectation::default();
    if info.capabilities.suspend == Suspend::CardholderFlag {
        expect.status = Some(Status::Suspended);
    }
    for step in steps {
        match step {
            Reduction::Suspend => {}
            Reduction::Deactivate { credential, status } => {
                expect.credentials.insert(credential.clone(), CredentialStatus::Inactive(*status));
            }
            Reduction::Revoke { level } => {
                expect.levels_absent.insert(level.clone());
            }
            Reduction::Narrow { validity } => expect.validity = Some(*validity),
        }
    }
    let steps: Steps<Step> = Steps::new(steps.iter().cloned().map(Step::from).collect())?;
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
