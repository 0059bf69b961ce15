//! What an offboarding did, and what of it is proved. A report never says more than was read back.

use std::collections::BTreeMap;
use std::time::Duration;

use lockstep_contract::{
    Action, Cardholder, CredentialSupport, Enforcement, Fault, Reduction, Status, Step, TargetId, TargetInfo, field,
};
use serde::Serialize;

/// The whole of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Who was named.
    pub who: String,
    /// Why.
    pub reason: String,
    /// Nothing was written.
    pub dry_run: bool,
    /// Each PACS.
    pub targets: BTreeMap<TargetId, TargetOutcome>,
    /// Records that could not be made durable.
    pub journal_faults: Vec<String>,
}

impl Report {
    /// True when the person is out on every PACS that knows them, every PACS answered, and all of it is on record.
    pub fn complete(&self) -> bool {
        self.journal_faults.is_empty()
            && self.targets.values().all(|outcome| match outcome.progress {
                Progress::Done => outcome.cardholders.iter().all(|one| one.confirmed || self.dry_run),
                Progress::NotThere => true,
                Progress::Ambiguous { .. } | Progress::Unreached { .. } | Progress::NotAsked { .. } => false,
            })
    }

    /// True when some PACS has a record of this person, or may have one: it did not answer, or could not be asked.
    pub fn known_anywhere(&self) -> bool {
        self.targets.values().any(|outcome| !matches!(outcome.progress, Progress::NotThere))
    }

    /// True when some PACS was seen to have a record of this person.
    pub fn found_anywhere(&self) -> bool {
        self.targets.values().any(|outcome| matches!(outcome.progress, Progress::Done | Progress::Ambiguous { .. }))
    }

    /// True when a PACS asks which of several records is meant.
    pub fn ambiguous(&self) -> bool {
        self.targets.values().any(|outcome| matches!(outcome.progress, Progress::Ambiguous { .. }))
    }
}

/// How far one PACS got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Progress {
    /// Every record was dealt with; see each.
    Done,
    /// The PACS answered, and has no record of this person.
    NotThere,
    /// The PACS cannot search by what was given, and no record there is known. The person may still have access there.
    NotAsked {
        /// Why.
        why: String,
    },
    /// Several records match, or it is not clear that all that match are one human; nothing was done here.
    Ambiguous {
        /// They.
        candidates: Vec<Candidate>,
    },
    /// The PACS could not be asked. The person may still have access there.
    Unreached {
        /// Why.
        fault: String,
    },
}

/// What happened on one PACS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetOutcome {
    /// Where it is.
    pub endpoint: String,
    /// What a confirmation here proves: the database, or the controllers.
    pub proves: Enforcement,
    /// How far it got.
    #[serde(flatten)]
    pub progress: Progress,
    /// Milliseconds from the start until the person was found.
    pub located_ms: Option<u64>,
    /// Each record.
    pub cardholders: Vec<CardholderOutcome>,
}

impl TargetOutcome {
    pub(crate) fn new(info: &TargetInfo) -> Self {
        Self {
            endpoint: info.endpoint.clone(),
            proves: info.capabilities.enforcement,
            progress: Progress::NotThere,
            located_ms: None,
            cardholders: Vec::new(),
        }
    }

    pub(crate) fn out_of_time(info: &TargetInfo, patience: Duration) -> Self {
        let fault =
            format!("{}: no answer within {} s; what was sent may have taken effect", info.id, patience.as_secs());
        Self { progress: Progress::Unreached { fault }, ..Self::new(info) }
    }
}

/// One of several records that match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The record.
    pub cardholder: String,
    /// Its name.
    pub name: String,
    /// Its employee number.
    pub employee_number: Option<String>,
    /// Its department.
    pub department: Option<String>,
    /// Whether it is active.
    pub active: bool,
    /// Its cards, numbers masked.
    pub cards: Vec<String>,
}

impl From<&Cardholder> for Candidate {
    fn from(cardholder: &Cardholder) -> Self {
        let text = |name| cardholder.profile.get(name).map(str::to_owned);
        Self {
            cardholder: cardholder.id.to_string(),
            name: name_of(cardholder),
            employee_number: text(field::EMPLOYEE_NUMBER),
            department: text(field::DEPARTMENT),
            active: cardholder.status == Status::Active,
            cards: cardholder.credentials.iter().filter_map(lockstep_contract::Credential::masked_number).collect(),
        }
    }
}

fn name_of(cardholder: &Cardholder) -> String {
    let get = |name| cardholder.profile.get(name).unwrap_or_default();
    let display = get(field::DISPLAY_NAME);
    if display.is_empty() {
        format!("{} {}", get(field::GIVEN_NAME), get(field::FAMILY_NAME)).trim().to_owned()
    } else {
        display.to_owned()
    }
}

/// What happened to one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CardholderOutcome {
    /// The record.
    pub cardholder: String,
    /// Its name.
    pub name: String,
    /// What was sent, or would be sent in a dry run, in words.
    pub steps: Vec<String>,
    /// It was out before anything was sent.
    pub already_out: bool,
    /// The read-back shows the person out, in the database of the PACS.
    pub confirmed: bool,
    /// What was seen, in one sentence.
    pub detail: String,
    /// Milliseconds from the start: record read, first request sent, read back as out.
    pub noticed_ms: u64,
    /// See `noticed_ms`.
    pub requested_ms: Option<u64>,
    /// See `noticed_ms`.
    pub confirmed_ms: Option<u64>,
}

impl CardholderOutcome {
    pub(crate) fn new(before: &Cardholder, noticed_ms: u64) -> Self {
        Self {
            cardholder: before.id.to_string(),
            name: name_of(before),
            steps: Vec::new(),
            already_out: false,
            confirmed: false,
            detail: "nothing was sent: this is a dry run".into(),
            noticed_ms,
            requested_ms: None,
            confirmed_ms: None,
        }
    }

    pub(crate) fn note_steps(&mut self, action: &Action) {
        if self.steps.is_empty() {
            self.steps = action.steps.iter().map(words).collect();
        }
    }

    pub(crate) fn confirm(&mut self, now: &Cardholder, info: &TargetInfo, at_ms: u64) {
        self.confirmed = true;
        self.already_out = self.requested_ms.is_none();
        self.confirmed_ms = Some(at_ms);
        let how = if self.already_out { "was out already" } else { "read back as switched off" };
        let credentials = match info.capabilities.credentials {
            CredentialSupport::None => "this PACS does not show its credentials here".to_owned(),
            CredentialSupport::Status | CredentialSupport::Issue => {
                format!("{} credentials, none working", now.credentials.len())
            }
        };
        self.detail = format!("{how}; {credentials}");
    }

    pub(crate) fn gone(&mut self, at_ms: u64) {
        self.confirmed = true;
        self.confirmed_ms = Some(at_ms);
        self.detail = "the record is gone from the PACS".into();
    }

    pub(crate) fn explain(&mut self, trouble: Option<&Fault>) {
        self.detail = match trouble {
            Some(fault) => format!("NOT confirmed: {fault}"),
            None => "NOT confirmed: the PACS accepted it but still shows access".into(),
        };
    }
}

fn words(step: &Step) -> String {
    match step {
        Step::Reduce(Reduction::Suspend) => "switch the cardholder off".into(),
        Step::Reduce(Reduction::Deactivate { credential, .. }) => format!("switch credential {credential} off"),
        Step::Reduce(Reduction::Revoke { level }) => format!("remove access level {level}"),
        Step::Reduce(Reduction::Narrow { .. }) => "end the validity".into(),
        Step::Provision { .. }
        | Step::Amend { .. }
        | Step::Reinstate
        | Step::Widen { .. }
        | Step::Grant { .. }
        | Step::Activate { .. } => "nothing".into(),
    }
}
