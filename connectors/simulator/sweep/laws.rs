//! What must hold whatever goes wrong: a connector knows, or it says that it does not. This module must not send.

use std::collections::BTreeMap;

use lockstep_contract::{
    ApplyFault, Capabilities, Cardholder, CardholderId, CorrelationKey, Receipt, Step, Subject, Target,
};

use super::operation::{Answer, Failed, What};
use super::reach::{beyond, lacking};
use super::strike::Strike;
use super::truth::Truth;
use crate::vendor::Purpose;

/// All that is known of one case.
pub(super) struct Case<'c> {
    pub(super) what: &'c What,
    pub(super) strike: &'c Strike,
    /// What the request that was struck was for.
    pub(super) purpose: Purpose,
    pub(super) before: &'c Truth,
    pub(super) after: &'c Truth,
    pub(super) can: &'c Capabilities,
    /// The catalog as the connector reads it without trouble.
    pub(super) catalog: &'c lockstep_contract::Catalog,
}

type Broken = String;

impl Case<'_> {
    /// The laws that this outcome breaks.
    pub(super) async fn judge(&self, outcome: &Result<Answer, Failed>, target: &dyn Target) -> Vec<Broken> {
        let mut broken = Vec::new();
        broken.extend(match self.what {
            What::Apply(action) => self.bystanders(&action.subject, &action.steps),
            What::Probe | What::Catalog | What::List | What::Find(_) | What::Read(_) => self.untouched(),
        });
        broken.extend(match outcome {
            Ok(answer) => self.answer(answer, target).await,
            Err(Failed::Writing(ApplyFault::NotSent(fault) | ApplyFault::Refused(fault))) => {
                self.untouched().map(|what| format!("it says that there was no effect ({fault}), but {what}"))
            }
            Err(Failed::Writing(ApplyFault::Uncertain(_)) | Failed::Reading(_)) => None,
        });
        broken
    }

    /// Nothing may have changed at all.
    fn untouched(&self) -> Option<Broken> {
        if let Some(new) = self.after.newer(self.before).first() {
            return Some(format!("the record `{}` was made", new.id));
        }
        let id = self.after.disturbed(self.before, None)?;
        let (was, is) = (self.before.records.get(&id), self.after.records.get(&id));
        Some(format!("the record `{id}` changed from {was:?} to {is:?}"))
    }

    /// Nothing may have changed beyond what the steps ask for; one record may be new when one was to be made.
    fn bystanders<'s>(&self, subject: &Subject, steps: impl IntoIterator<Item = &'s Step>) -> Option<Broken> {
        let own = match subject {
            Subject::Existing(id) => Some(id),
            Subject::New(_) => None,
        };
        if let Some(id) = self.after.disturbed(self.before, own) {
            return Some(format!("the record `{id}`, which the action is not about, changed"));
        }
        let newer = self.after.newer(self.before);
        if newer.len() > usize::from(own.is_none()) {
            return Some(format!("{} records were made by one action", newer.len()));
        }
        let duplicates = self.after.duplicates();
        if duplicates != self.before.duplicates() {
            return Some(format!("there are duplicates: {}", duplicates.join(", ")));
        }
        if let Some(new) = newer.first() {
            let granted: Vec<_> = steps
                .into_iter()
                .filter_map(|step| if let Step::Grant { level } = step { Some(level) } else { None })
                .collect();
            let more = new.levels.iter().find(|level| !granted.contains(level));
            return more.map(|level| format!("the new record has the level `{level}`, which nobody granted"));
        }
        let (was, is) = (self.before.records.get(own?)?, self.after.records.get(own?));
        let Some(is) = is else { return Some(format!("the record `{}` is gone", was.id)) };
        let changed = beyond(steps, was, is, self.can);
        (!changed.is_empty()).then(|| format!("the action changed what it does not name: {}", changed.join(", ")))
    }

    async fn answer(&self, answer: &Answer, target: &dyn Target) -> Option<Broken> {
        match answer {
            Answer::Written(receipt) => self.written(receipt, target).await,
            Answer::Health => None,
            _ if self.strike.lies => None,
            Answer::Catalog(catalog) => (catalog != self.catalog)
                .then(|| format!("the catalog has {} levels, and another one is the true one", catalog.levels.len())),
            Answer::List(items, census) => {
                let adds_up = census.sent == items.len() as u64
                    && census.server_total.is_none_or(|total| total == items.len() as u64);
                // What does not add up is refused by whoever reads it.
                if adds_up { self.records(items, "the list", |_| true) } else { None }
            }
            Answer::Found(items) => {
                let What::Find(key) = self.what else { return None };
                self.records(items, "the look-up", |record| has(record, key))
            }
            Answer::Read(record) => {
                let What::Read(id) = self.what else { return None };
                let items: Vec<Cardholder> = record.iter().map(|record| (**record).clone()).collect();
                self.records(&items, "the read", |record| record.id == *id)
            }
        }
    }

    fn records(&self, items: &[Cardholder], what: &str, meant: impl Fn(&Cardholder) -> bool) -> Option<Broken> {
        let expected: BTreeMap<&CardholderId, &Cardholder> =
            self.before.records.iter().filter(|(_, record)| meant(record)).collect();
        if items.len() != expected.len() {
            return Some(format!("{what} gave {} records, and there are {}", items.len(), expected.len()));
        }
        let wrong = items.iter().find(|item| expected.get(&item.id).is_none_or(|it| it.digest() != item.digest()));
        wrong.map(|item| format!("{what} gave {item:?}, and the server has {:?}", self.before.records.get(&item.id)))
    }

    /// An action was accepted: it is done, or the connector's own read shows that it is not.
    async fn written(&self, receipt: &Receipt, target: &dyn Target) -> Option<Broken> {
        if self.strike.broken_wire && self.purpose == Purpose::Write {
            return Some("it says that the write was accepted, and no whole answer to it arrived".to_owned());
        }
        let What::Apply(action) = self.what else { return None };
        if let Subject::Existing(id) = &action.subject
            && *id != receipt.cardholder
        {
            return Some(format!("the action was for `{id}`, and the receipt is for `{}`", receipt.cardholder));
        }
        let there = self.after.records.get(&receipt.cardholder);
        if there.is_some_and(|record| lacking(&action.steps, record, self.can).is_empty()) {
            return None;
        }
        let cx = lockstep_contract::Cx::new(super::AMPLE);
        match target.read(&cx, &receipt.cardholder).await {
            Ok(Some(read)) => {
                let lacks = lacking(&action.steps, &read, self.can);
                lacks.is_empty().then(|| "it was accepted, is not done, and reads as if it were".to_owned())
            }
            Ok(None) | Err(_) => None,
        }
    }
}

fn has(record: &Cardholder, key: &CorrelationKey) -> bool {
    record.keys.contains(key)
}

/// A call after the trouble has ended gives the truth. After a trouble with log-ins it may fail: some wait before they try
/// again, so that nobody locks the account.
pub(super) async fn recovers(target: &dyn Target, truth: &Truth, strike: &Strike, id: &CardholderId) -> Option<Broken> {
    let cx = lockstep_contract::Cx::new(super::AMPLE);
    match (target.read(&cx, id).await, truth.records.get(id)) {
        (Ok(Some(read)), Some(record)) if read.digest() == record.digest() => None,
        (Err(_), _) if !strike.broken_wire => None,
        (Err(fault), _) => Some(format!("the next call fails, although the trouble has ended: {fault}")),
        (Ok(read), record) => Some(format!("the next call gives {read:?}, although the server has {record:?}")),
    }
}
