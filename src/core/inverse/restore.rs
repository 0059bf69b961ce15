//! Reinstatement: the plan that gives back what a named offboarding took, and never more. A plan like any other.
//!
//! It restores nothing that somebody else took away, and nothing that is not as the offboarding left it.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{
    Action, ActionId, Cardholder, CardholderId, CredentialId, CredentialStatus, CredentialSupport, InactiveStatus,
    KeyKind, PersonId, Reason, Reduction, RunId, Situation, Status, Step, Steps, Subject, Suspend, TargetInfo, Why,
};

use super::expect::expectation;
use super::{empty, finding, subject_words};
use crate::{Code, Draft, Finding, Policy, Who};

/// An action that took access from somebody who was to be put out by name, and the record as it was before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// What was done.
    pub action: Action,
    /// The before-image.
    pub before: Cardholder,
}

/// Everything that reinstating somebody on one PACS may know.
#[derive(Debug, Clone, Copy)]
pub struct RestoreInputs<'a> {
    /// The PACS.
    pub target: &'a TargetInfo,
    /// Its mapping: a level that it does not name any more is not ours to give.
    pub policy: &'a Policy,
    /// What was taken, in the order of taking. What a record was before the first of it counts.
    pub taken: &'a [Taken],
    /// Who the records belong to.
    pub people: &'a BTreeMap<CardholderId, PersonId>,
    /// The records as they are now.
    pub now_on_pacs: &'a BTreeMap<CardholderId, Cardholder>,
    /// The new run.
    pub run: RunId,
    /// Why, for the reviewer.
    pub why: &'a str,
}

/// What was taken of one record.
struct Record<'a> {
    /// As it was before anything was taken.
    first: &'a Cardholder,
    steps: BTreeSet<&'a Reduction>,
}

/// Plans what gives back exactly what was taken. Everything is in the stage lane and waits for a named person.
pub fn restore(inputs: RestoreInputs<'_>) -> Draft {
    let mut records: BTreeMap<&CardholderId, Record<'_>> = BTreeMap::new();
    for taken in inputs.taken {
        let record =
            records.entry(&taken.before.id).or_insert_with(|| Record { first: &taken.before, steps: BTreeSet::new() });
        record.steps.extend(taken.action.steps.iter().filter_map(Step::as_reduction));
    }
    let mut draft = empty(inputs.target, inputs.now_on_pacs);
    for (id, record) in records {
        let Some(now) = inputs.now_on_pacs.get(id) else {
            let message = "The record is no longer on the PACS, so nothing of it is given back.";
            let help = "The next plan creates a new one if the directory says that this person is active.";
            draft.findings.push(finding(Code::ChangedSince, subject_words(record.first), message, help));
            draft.tally.undecided += 1;
            continue;
        };
        if is_somebody_else(record.first, now) {
            let message = "The record belongs to somebody else by now, so nothing of it is given back.";
            let help = "Look at it on the PACS; the next plan decides what this person gets where.";
            draft.findings.push(finding(Code::ChangedSince, subject_words(now), message, help));
            draft.tally.undecided += 1;
            continue;
        }
        let mut back = Back { inputs: &inputs, record: &record, now, steps: Vec::new(), findings: Vec::new() };
        back.status();
        back.levels();
        back.validity();
        back.credentials();
        let Back { steps, mut findings, .. } = back;
        let left = !findings.is_empty();
        draft.findings.append(&mut findings);
        match Steps::new(steps) {
            Some(steps) => {
                let action = action(&inputs, now, steps);
                draft.tally.change += 1;
                draft.who.insert(action.id.clone(), Who::from(now));
                draft.stage.actions.push(action);
            }
            None if left => draft.tally.undecided += 1,
            None => draft.tally.unchanged += 1,
        }
    }
    draft.stage.actions.sort_by(|a, b| a.subject.cmp(&b.subject));
    draft.findings.sort_by(|a, b| b.severity().cmp(&a.severity()).then_with(|| a.cmp(b)));
    draft
}

/// True when the record had a number of which one human has one, and has another by now.
fn is_somebody_else(before: &Cardholder, now: &Cardholder) -> bool {
    [KeyKind::Directory, KeyKind::Employee].into_iter().any(|kind| {
        let [before, now] = [before, now].map(|record| record.keys.of(kind).collect::<BTreeSet<_>>());
        !before.is_empty() && !now.is_empty() && before.is_disjoint(&now)
    })
}

/// The way back for one record, part by part.
struct Back<'a> {
    inputs: &'a RestoreInputs<'a>,
    record: &'a Record<'a>,
    now: &'a Cardholder,
    steps: Vec<Step>,
    findings: Vec<Finding>,
}

impl Back<'_> {
    fn stays(&mut self, code: Code, message: &str, help: &str) {
        self.findings.push(finding(code, subject_words(self.now), message, help));
    }

    fn has_flag(&self) -> bool {
        self.inputs.target.capabilities.suspend == Suspend::CardholderFlag
    }

    fn status(&mut self) {
        let has_status = self.has_flag() || self.now.status == Status::Suspended;
        if !has_status || !self.record.steps.contains(&Reduction::Suspend) {
            return;
        }
        match (&self.record.first.status, &self.now.status) {
            (Status::Active, Status::Suspended) => self.steps.push(Step::Reinstate),
            (Status::Active, Status::Active) => {
                let message = "The record is switched on: somebody did so on the PACS since.";
                self.stays(Code::ChangedSince, message, "Nothing is needed; find out who did it.");
            }
            (_, Status::Other(word)) | (Status::Other(word), _) => {
                let message = format!("The state “{word}” cannot be set or left from here; the record stays as it is.");
                self.stays(Code::NotReversible, &message, "Set it by hand on the PACS.");
            }
            (Status::Suspended, Status::Active | Status::Suspended) => {
                let message = "The record was switched off before the offboarding, by somebody else; it stays off.";
                self.stays(Code::SuspendedByOthers, message, "Switch it on by hand on the PACS if it should be on.");
            }
        }
    }

    fn levels(&mut self) {
        let revoked = self.record.steps.iter().filter_map(|step| match step {
            Reduction::Revoke { level } => Some(level),
            Reduction::Suspend | Reduction::Deactivate { .. } | Reduction::Narrow { .. } => None,
        });
        let missing = |level: &&lockstep_contract::AccessLevelId| {
            self.record.first.levels.contains(*level) && !self.now.levels.contains(*level)
        };
        for level in revoked.filter(missing).cloned().collect::<BTreeSet<_>>() {
            if self.inputs.policy.rule(&level).is_some() {
                self.steps.push(Step::Grant { level });
            } else {
                let message = format!("Access level {level} was taken, and the mapping does not name it any more.");
                self.stays(Code::NotReversible, &message, "Give it by hand on the PACS if it is still wanted.");
            }
        }
    }

    fn validity(&mut self) {
        let narrowed = self.record.steps.iter().filter_map(|step| match step {
            Reduction::Narrow { validity } => Some(*validity),
            Reduction::Suspend | Reduction::Deactivate { .. } | Reduction::Revoke { .. } => None,
        });
        let narrowed: Vec<_> = narrowed.collect();
        let before = self.record.first.validity;
        if narrowed.is_empty() || before == self.now.validity {
            return;
        }
        if narrowed.contains(&self.now.validity) {
            self.steps.push(Step::Widen { validity: before });
        } else {
            let message = "The validity was changed by somebody else since; it stays as it is.";
            self.stays(Code::ChangedSince, message, "Set it by hand on the PACS if it is wrong.");
        }
    }

    fn credentials(&mut self) {
        let mut switched_off: BTreeMap<CredentialId, InactiveStatus> = BTreeMap::new();
        for step in &self.record.steps {
            match step {
                Reduction::Deactivate { credential, status } => {
                    switched_off.insert(credential.clone(), *status);
                }
                // Without a flag, suspending is switching off every credential.
                Reduction::Suspend if !self.has_flag() => {
                    let all = self.record.first.credentials.iter();
                    let active = all.filter(|credential| credential.status == CredentialStatus::Active);
                    switched_off.extend(active.map(|one| (one.id.clone(), InactiveStatus::Disabled)));
                }
                Reduction::Suspend | Reduction::Revoke { .. } | Reduction::Narrow { .. } => {}
            }
        }
        for (credential, left) in switched_off {
            self.credential(&credential, left);
        }
    }

    fn credential(&mut self, id: &CredentialId, left: InactiveStatus) {
        let status = |record: &Cardholder| {
            record.credentials.iter().find(|credential| credential.id == *id).map(|found| found.status.clone())
        };
        let shown = status(self.now);
        if shown == Some(CredentialStatus::Active) {
            return;
        }
        let was_active = status(self.record.first) == Some(CredentialStatus::Active);
        // Whatever else it shows by now, somebody said so: lost, stolen, expired, handed back.
        let untouched = shown == Some(CredentialStatus::Inactive(left)) && left == InactiveStatus::Disabled;
        if !was_active || !untouched {
            let seen = match (was_active, &shown) {
                (false, _) => "was not switched on before the offboarding",
                (true, None) => "is no longer on the record",
                (true, Some(CredentialStatus::Inactive(InactiveStatus::Lost))) => "is reported lost",
                (true, Some(CredentialStatus::Inactive(InactiveStatus::Stolen))) => "is reported stolen",
                (true, Some(CredentialStatus::Inactive(InactiveStatus::Expired))) => "has expired",
                (true, Some(CredentialStatus::Inactive(InactiveStatus::Returned))) => "was handed back",
                (true, Some(_)) => "does not show the state in which the offboarding left it",
            };
            let message = format!("Credential {id} {seen}; it stays off.");
            self.stays(Code::NotReversible, &message, "Issue another one, or look at it on the PACS.");
            return;
        }
        match self.inputs.target.capabilities.credentials {
            CredentialSupport::Status | CredentialSupport::Issue => {
                self.steps.push(Step::Activate { credential: id.clone() });
            }
            CredentialSupport::None => {
                let message = format!("Credential {id} cannot be switched on from here; it stays off.");
                self.stays(Code::NotReversible, &message, "Switch it on by hand on the PACS.");
            }
        }
    }
}

fn action(inputs: &RestoreInputs<'_>, now: &Cardholder, steps: Steps<Step>) -> Action {
    let target = inputs.target.id.clone();
    let subject = Subject::Existing(now.id.clone());
    let why = Why { level: None, groups: Vec::new(), mapping: None, text: inputs.why.to_owned() };
    Action {
        id: ActionId::of(inputs.run, &target, &subject, &steps),
        target,
        subject,
        person: inputs.people.get(&now.id).cloned(),
        basis: Some(now.digest()),
        expect: expectation(now, &steps, inputs.target.capabilities.suspend),
        steps,
        because: Reason { situation: Situation::Held, why: vec![why] },
    }
}
