//! What an offboarding did, and what of it is proved. A report never says more than was read back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockstep_contract::{
    ApplyFault, Cardholder, CardholderId, Credential, CredentialId, CredentialKind, CredentialStatus,
    CredentialSupport, Reduction, Status, TargetId, TargetInfo, field,
};
use serde::Serialize;

use crate::{Event, Place};

/// The whole of it, for one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Who was named.
    pub who: String,
    /// Why.
    pub reason: String,
    /// The ticket it belongs to.
    pub ticket: Option<String>,
    /// When somebody typed it; the stopwatches start here.
    pub at: Timestamp,
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
        self.journal_faults.is_empty() && self.targets.values().all(|outcome| outcome.complete(self.dry_run))
    }

    /// True when some PACS has a record of this person, or may have one: it did not answer, or could not be asked.
    pub fn known_anywhere(&self) -> bool {
        self.targets.values().any(|outcome| !matches!(outcome.progress, Progress::NotThere))
    }

    /// True when some PACS was seen to have a record of this person.
    pub fn found_anywhere(&self) -> bool {
        self.targets.values().any(|outcome| matches!(outcome.progress, Progress::Done | Progress::Ambiguous { .. }))
    }

    /// True when some record was taken for this person's, and dealt with.
    pub fn acted_on(&self) -> bool {
        self.targets.values().any(|outcome| !outcome.cardholders.is_empty())
    }

    /// True when some PACS answered that it has no record of this person, and none has one.
    pub fn missing(&self) -> bool {
        let not_there = self.targets.values().any(|outcome| matches!(outcome.progress, Progress::NotThere));
        not_there && !self.found_anywhere()
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

/// Milliseconds since somebody typed the command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stopwatch {
    /// Until the PACS had said which records are this person's.
    pub located_ms: Option<u64>,
    /// Until the first request to take access away was sent.
    pub requested_ms: Option<u64>,
    /// Until the last record was read back as out, in the database of the PACS.
    pub confirmed_ms: Option<u64>,
    /// Until the controllers were known to have the last of it.
    pub controllers_ms: Option<u64>,
}

/// What happened on one PACS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetOutcome {
    /// Where it is; empty when it could not be opened.
    pub endpoint: String,
    /// How far it got.
    #[serde(flatten)]
    pub progress: Progress,
    /// How long it took.
    pub stopwatch: Stopwatch,
    /// Each record.
    pub cardholders: Vec<CardholderOutcome>,
}

impl Default for TargetOutcome {
    /// Nothing is known of it yet.
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            progress: Progress::Unreached { fault: String::new() },
            stopwatch: Stopwatch::default(),
            cardholders: Vec::new(),
        }
    }
}

impl TargetOutcome {
    /// True when nobody has to look after this PACS.
    pub fn complete(&self, dry_run: bool) -> bool {
        match self.progress {
            Progress::Done => self.cardholders.iter().all(|one| one.confirmed || dry_run),
            Progress::NotThere => true,
            Progress::Ambiguous { .. } | Progress::Unreached { .. } | Progress::NotAsked { .. } => false,
        }
    }

    /// What the record says in the end: `Some(None)` that nothing is open here, else why something is. Nothing where
    /// several records match: that is on record by itself, and people decide.
    pub fn open(&self) -> Option<Option<String>> {
        match &self.progress {
            Progress::Ambiguous { .. } => None,
            Progress::NotThere => Some(None),
            Progress::NotAsked { why } | Progress::Unreached { fault: why } => Some(Some(why.clone())),
            Progress::Done => {
                let open = self.cardholders.iter().find(|one| !one.confirmed);
                Some(open.map(|one| format!("cardholder {}: {}", one.cardholder, one.detail)))
            }
        }
    }

    pub(crate) fn of(&mut self, id: &CardholderId) -> Option<&mut CardholderOutcome> {
        self.cardholders.iter_mut().find(|one| one.cardholder == *id)
    }

    /// Sets the stopwatch by what the records say: the first request, and the last of everything else.
    pub(crate) fn wind(&mut self) {
        let last = |of: fn(&CardholderOutcome) -> Option<u64>| {
            self.cardholders.iter().map(of).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max())
        };
        self.stopwatch.confirmed_ms = last(|one| one.confirmed_ms);
        self.stopwatch.controllers_ms = last(|one| one.controllers_ms);
        self.stopwatch.requested_ms = self.cardholders.iter().filter_map(|one| one.requested_ms).min();
    }
}

/// One of several records that match, with what tells one human from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The record.
    pub cardholder: CardholderId,
    /// Its name.
    pub name: String,
    /// Its employee number.
    pub employee_number: Option<String>,
    /// Its department.
    pub department: Option<String>,
    /// Its job title.
    pub title: Option<String>,
    /// Its state, in a word.
    pub status: String,
    /// Its credentials that work, numbers masked.
    pub working: Vec<String>,
    /// How many levels it has that are managed by Lockstep.
    pub managed_levels: usize,
    /// And how many others.
    pub other_levels: usize,
    /// Until when it is valid.
    pub valid_until: Option<Timestamp>,
}

impl Candidate {
    pub(crate) fn of(cardholder: &Cardholder, place: &Place, info: &TargetInfo) -> Self {
        let text = |name| cardholder.profile.get(name).map(str::to_owned);
        let managed_levels = cardholder.levels.intersection(&place.managed).count();
        let status = match &cardholder.status {
            Status::Suspended => "switched off",
            Status::Active if info.capabilities.suspend == lockstep_contract::Suspend::EveryCredential => "no status",
            Status::Active => "active",
            Status::Other(words) => words,
        };
        Self {
            cardholder: cardholder.id.clone(),
            name: name_of(cardholder),
            employee_number: text(field::EMPLOYEE_NUMBER),
            department: text(field::DEPARTMENT),
            title: text(field::TITLE),
            status: status.to_owned(),
            working: working(cardholder).map(name_of_credential).collect(),
            managed_levels,
            other_levels: cardholder.levels.len() - managed_levels,
            valid_until: cardholder.validity.until,
        }
    }
}

fn working(cardholder: &Cardholder) -> impl Iterator<Item = &Credential> {
    cardholder.credentials.iter().filter(|one| !matches!(one.status, CredentialStatus::Inactive(_)))
}

fn name_of_credential(credential: &Credential) -> String {
    let kind = match credential.kind {
        CredentialKind::Card => "card",
        CredentialKind::Mobile => "mobile pass",
        CredentialKind::Pin => return "PIN".to_owned(),
        CredentialKind::Other => "credential",
    };
    // A number that is too short to be masked says nothing; neither does one that the PACS does not show.
    match credential.masked_number().filter(|number| number.chars().count() > 1) {
        Some(number) => format!("{kind} {number}"),
        None => kind.to_owned(),
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

/// What is known of the controllers. "In the database of the PACS" is not "at the door".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Controllers {
    /// This PACS does not say what its controllers have.
    CannotTell,
    /// It says that they do not have it yet.
    Pending,
    /// They have it.
    Confirmed,
}

/// What happened to one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CardholderOutcome {
    /// The record.
    pub cardholder: CardholderId,
    /// Its name.
    pub name: String,
    /// Whether Lockstep keeps it in step; none when that cannot be told without the state. Filled in by whoever knows.
    pub managed: Option<bool>,
    /// What was sent, or would be sent in a dry run, in words.
    pub steps: Vec<String>,
    /// What the last read-back still shows, in words.
    pub open: Vec<String>,
    /// Levels that stay on the record, since they are not managed by Lockstep, or are not known to be.
    pub levels_left: Vec<String>,
    /// Whether it is known which levels are managed. When the mapping is broken it is not.
    pub levels_known: bool,
    /// It was switched off before anything was sent; managed levels may have been left to take away.
    pub already_out: bool,
    /// The read-back shows the person out, in the database of the PACS.
    pub confirmed: bool,
    /// What is known of the controllers.
    pub controllers: Controllers,
    /// What was seen, in one sentence.
    pub detail: String,
    /// Milliseconds from the start: record read, first request sent, read back as out, controllers known to have it.
    pub located_ms: u64,
    /// See `located_ms`.
    pub requested_ms: Option<u64>,
    /// See `located_ms`.
    pub confirmed_ms: Option<u64>,
    /// See `located_ms`.
    pub controllers_ms: Option<u64>,
}

impl CardholderOutcome {
    pub(crate) fn new(before: &Cardholder, place: &Place, located_ms: u64) -> Self {
        Self {
            cardholder: before.id.clone(),
            name: name_of(before),
            managed: None,
            steps: Vec::new(),
            open: Vec::new(),
            levels_left: before.levels.difference(&place.managed).map(ToString::to_string).collect(),
            levels_known: place.managed_whole,
            already_out: false,
            confirmed: false,
            controllers: Controllers::CannotTell,
            detail: "nothing was sent".into(),
            located_ms,
            requested_ms: None,
            confirmed_ms: None,
            controllers_ms: None,
        }
    }

    pub(crate) fn note_steps(&mut self, before: &Cardholder, steps: &[Reduction]) {
        if self.steps.is_empty() {
            self.steps = steps.iter().map(|step| words(step, before)).collect();
            self.already_out = steps.iter().all(|step| matches!(step, Reduction::Revoke { .. }));
        }
    }

    pub(crate) fn requested(&mut self, at_ms: u64) {
        self.requested_ms.get_or_insert(at_ms);
        self.detail = "NOT confirmed: sent, and not read back yet".into();
    }

    pub(crate) fn still_open(&mut self, now: &Cardholder, left: &[Reduction], trouble: Option<&ApplyFault>) {
        self.open = left.iter().map(|step| words(step, now)).collect();
        self.explain(&trouble.map_or_else(|| "the PACS accepted it".to_owned(), ToString::to_string));
    }

    pub(crate) fn confirm(&mut self, now: Option<&Cardholder>, info: &TargetInfo, at_ms: u64) {
        self.confirmed = true;
        self.already_out |= self.requested_ms.is_none();
        self.confirmed_ms = Some(at_ms);
        self.open.clear();
        let Some(now) = now else {
            self.detail = "the record is gone from the PACS".into();
            return;
        };
        let how = match (self.already_out, self.requested_ms.is_some()) {
            (true, false) => "was out already",
            (true, true) => "was switched off already, and its managed levels are gone now",
            (false, _) => "read back as switched off",
        };
        let credentials = match (info.capabilities.credentials, now.credentials.len()) {
            (CredentialSupport::None, _) => "this PACS does not show its credentials here".to_owned(),
            (CredentialSupport::Status | CredentialSupport::Issue, 0) => "no credentials".to_owned(),
            (CredentialSupport::Status | CredentialSupport::Issue, 1) => "1 credential, not working".to_owned(),
            (CredentialSupport::Status | CredentialSupport::Issue, many) => format!("{many} credentials, none working"),
        };
        self.detail = format!("{how}; {credentials}");
    }

    pub(crate) fn enforced(&mut self, at_ms: u64) {
        self.controllers = Controllers::Confirmed;
        self.controllers_ms = Some(at_ms);
    }

    pub(crate) fn explain(&mut self, why: &str) {
        let open = match self.open.as_slice() {
            [] => String::new(),
            open => format!("; the read-back still shows, to do: {}", open.join(", ")),
        };
        self.detail = format!("NOT confirmed: {why}{open}");
    }

    /// No time is left. What went wrong before is the better reason, where there is one.
    pub(crate) fn break_off(&mut self, why: &str) {
        self.detail = match (self.requested_ms, self.detail.starts_with("NOT confirmed: sent")) {
            (Some(_), false) => format!("{}; {why}", self.detail),
            (Some(_), true) => format!("NOT confirmed: sent, and not read back, so it may have taken effect: {why}"),
            (None, _) => format!("NOT confirmed: found, and nothing was sent: {why}"),
        };
    }

    pub(crate) fn event(&self, target: &TargetId) -> Event {
        Event::Outcome {
            target: target.clone(),
            cardholder: self.cardholder.clone(),
            confirmed: self.confirmed,
            detail: self.detail.clone(),
        }
    }
}

fn words(step: &Reduction, record: &Cardholder) -> String {
    match step {
        Reduction::Suspend => "switch the cardholder off".into(),
        Reduction::Deactivate { credential, .. } => format!("switch {} off", named(credential, record)),
        Reduction::Revoke { level } => format!("remove access level {level}"),
        Reduction::Narrow { .. } => "end the validity".into(),
    }
}

fn named(id: &CredentialId, record: &Cardholder) -> String {
    let found = record.credentials.iter().find(|one| one.id == *id);
    found.map_or_else(|| format!("credential {id}"), |one| format!("{} ({id})", name_of_credential(one)))
}
