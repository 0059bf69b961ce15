//! Delivers one action: manifest first, then the files or rows, then the wait for something newer to show it. Nothing is
//! ever sent twice by itself.

#![expect(clippy::result_large_err, reason = "the size of `ApplyFault` is the contract's matter")]

use std::time::Duration;

use lockstep_contract::{
    Action, ApplyFault, Cardholder, CardholderId, Cx, Enforcement, Fault, FaultKind, Receipt, Reduction, Step, Subject,
};
use tokio::time::{Instant, sleep};

use crate::Staging;
use crate::changing::{self, Refusal, shows};
use crate::ledger::{Closed, Delivery};
use crate::people::{Person, Snapshot};
use crate::view::Whom;

/// The first pause between two looks; each is half as long again, up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(1);

impl Staging {
    pub(crate) async fn deliver(&self, cx: &Cx, action: &Action) -> Result<Receipt, ApplyFault> {
        let until = Instant::now() + self.wait.min(cx.budget / 5 * 4);
        let operation = operation(action);
        let gives = action.steps.iter().any(|step| matches!(step, Step::Grant { .. }));
        let whom = match &action.subject {
            // Without a list of levels, only all people together show which there are.
            _ if gives && self.profile.levels.is_none() => Whom::Everybody,
            Subject::Existing(id) => Whom::One(id),
            Subject::New(key) => Whom::With(key),
        };
        let snapshot = self.snapshot(cx, &operation, whom).await.map_err(ApplyFault::NotSent)?;
        if let Some(there) = there_already(&snapshot, action) {
            return self.met(&operation, there, action);
        }
        let (person, base) = match self.base(cx, &snapshot, action, &operation).await? {
            Base::Under(delivery) => return self.await_proof(cx, *delivery, action, until).await,
            Base::On(person, base) => (person, base),
        };
        let change = changing::change(&self.profile, &snapshot, base.as_deref(), action)
            .map_err(|refusal| self.refusal(&operation, refusal))?;
        let person = person.unwrap_or_else(|| change.target.id.clone());
        let delivery = self.hand_over(cx, action, &operation, person, change).await?;
        self.await_proof(cx, delivery, action, until).await
    }

    pub(crate) fn refusal(&self, operation: &str, refusal: Refusal) -> ApplyFault {
        ApplyFault::NotSent(self.fault(refusal.kind, operation, refusal.message))
    }

    /// Somebody new who is there already: by this very action, or not.
    fn met(&self, operation: &str, there: &Person, action: &Action) -> Result<Receipt, ApplyFault> {
        let steps: Vec<Step> = action.steps.iter().cloned().collect();
        if shows(&there.cardholder, &steps) {
            return Ok(receipt(&there.cardholder.id));
        }
        let message = format!("`{}` is there already, and is somebody else's work", there.cardholder.id);
        Err(self.refusal(operation, Refusal { kind: FaultKind::Conflict, message }))
    }

    /// What the change is worked out on. Something that is under way about the same person stands in the way of anything
    /// but taking access away.
    async fn base(&self, cx: &Cx, snapshot: &Snapshot, action: &Action, operation: &str) -> Result<Base, ApplyFault> {
        let person = match &action.subject {
            Subject::Existing(id) => Some(id.clone()),
            Subject::New(_) => changing::new_id(&self.profile, action),
        };
        let Some(id) = &person else { return Ok(Base::On(None, None)) };
        let mut seen = snapshot.people.get(id).cloned();
        let open = self.still_open(cx, Some(id), snapshot).await.map_err(ApplyFault::NotSent)?;
        if let Some(same) = open.iter().find(|one| one.action == action.id) {
            return Ok(Base::Under(Box::new(same.clone())));
        }
        if let Some(earlier) = open.last()
            && action.steps.iter().any(|step| step.as_reduction().is_none())
        {
            let fault = self.unconfirmed(operation, earlier);
            return Err(ApplyFault::NotSent(Fault {
                message: format!("an earlier change comes first: {}", fault.message),
                ..fault
            }));
        }
        for mut earlier in open {
            // An importer that sorts by name would do the older change after this one.
            if earlier.taken.is_none() && self.take_back(&earlier).await? {
                self.close(&mut earlier, Closed::Withdrawn).await.map_err(ApplyFault::NotSent)?;
                continue;
            }
            if let Some(target) = earlier.target {
                let rows = seen.take();
                let (row, cards) = rows.map_or_else(Default::default, |seen| (seen.row, seen.cards));
                seen = Some(Person { cardholder: target, row, cards });
            }
        }
        Ok(Base::On(person, seen.map(Box::new)))
    }

    /// Waits until something newer shows what became of a delivery, or the time is over.
    async fn await_proof(
        &self,
        cx: &Cx,
        mut delivery: Delivery,
        action: &Action,
        until: Instant,
    ) -> Result<Receipt, ApplyFault> {
        let operation = operation(action);
        let mut pause = PAUSE_FIRST;
        loop {
            // What cannot be looked at now may be looked at a moment later; nothing was lost.
            let looked = self.look(&mut delivery).await;
            if looked.is_ok()
                && let Ok(snapshot) = self.snapshot(cx, &operation, Whom::One(&delivery.person)).await
                && self.answers(&snapshot, &delivery)
            {
                let there = snapshot.people.get(&delivery.person);
                let done = there.is_some_and(|person| shows(&person.cardholder, &delivery.steps));
                self.close(&mut delivery, Closed::Answered).await.map_err(ApplyFault::Uncertain)?;
                return match delivery.rejected {
                    Some(why) if !done => {
                        let fault =
                            self.fault(FaultKind::Invalid, &operation, format!("the importer refused it: {why}"));
                        // It said no, and a newer reading shows nothing of it.
                        let nothing = there.is_none_or(|person| untouched(&person.cardholder, &delivery.steps));
                        Err(if nothing { ApplyFault::Refused(fault) } else { ApplyFault::Uncertain(fault) })
                    }
                    _ => Ok(receipt(&delivery.person)),
                };
            }
            if Instant::now() + pause >= until || cx.cancel.is_cancelled() {
                return Err(ApplyFault::Uncertain(self.unconfirmed(&operation, &delivery)));
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(PAUSE_MAX);
        }
    }
}

enum Base {
    /// The same action is under way already.
    Under(Box<Delivery>),
    /// Whom it is about, and the person as last known.
    On(Option<CardholderId>, Option<Box<Person>>),
}

/// Whether a record shows none of these steps.
fn untouched(now: &Cardholder, steps: &[Step]) -> bool {
    steps.iter().all(|step| !shows(now, std::slice::from_ref(step)))
}

fn receipt(id: &CardholderId) -> Receipt {
    Receipt { cardholder: id.clone(), enforced: Enforcement::Database }
}

/// Whoever is to be created and is there already.
fn there_already<'s>(snapshot: &'s Snapshot, action: &Action) -> Option<&'s Person> {
    match &action.subject {
        Subject::New(key) => snapshot.with_key(key).next(),
        Subject::Existing(_) => None,
    }
}

fn operation(action: &Action) -> String {
    let verb = if action.steps.iter().any(|step| matches!(step, Step::Reduce(Reduction::Suspend))) {
        "switch off"
    } else {
        "change"
    };
    match &action.subject {
        Subject::Existing(id) => format!("{verb} cardholder {id}"),
        Subject::New(key) => format!("create a cardholder for {key}"),
    }
}
