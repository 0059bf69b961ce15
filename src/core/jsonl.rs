//! A plan as a file: canonical JSON, one value a line. A header, one line for each target, one for each action, and a
//! footer with the counts and the digest over everything before it.
//!
//! Reading is suspicious: a line is first brought into canonical form, so that another order of keys changes nothing,
//! and then it must be exactly what this program would have written. A field that is not known, a key that stands
//! twice, a line too few or in another place: refused, with the number of the line. The digest proves that a file is whole, not
//! that it is honest; `approve` trusts nothing in it that it can check again.

mod strict;

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{ActionId, Step, canonical_json};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Entry, EntryState, Header, LaneKind, PLAN_FORMAT, PlanDocument, TargetSection};

/// Why a file is no plan. Nothing of it was used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct PlanError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: PlanProblem,
}

/// What is wrong with a line of a plan file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanProblem {
    /// It is no line of a plan.
    #[error("not a line of a plan: {0}")]
    Malformed(String),
    /// It holds something that this program would not have written there: an unknown field, another spelling.
    #[error("holds something that does not belong there; it was altered, or written by another version")]
    Foreign,
    /// The header names another format.
    #[error("format is `{found}`; this version reads `{PLAN_FORMAT}`")]
    Format {
        /// What it says.
        found: String,
    },
    /// The file ends too early.
    #[error("the file ends here, before its footer; it was cut off")]
    Truncated,
    /// Something follows the footer.
    #[error("something follows the footer")]
    AfterFooter,
    /// The line is out of place: header first, then targets by id, then actions by lane, target and subject.
    #[error("out of order")]
    Order,
    /// A target or an action stands twice.
    #[error("{0} stands twice")]
    Duplicate(String),
    /// An action is on a target that has no section.
    #[error("target {0} has no section")]
    NoSection(String),
    /// The actions that a guard holds, and the actions that say so, do not agree.
    #[error("action {0} and the guards of its target do not agree about what is held")]
    Held(String),
    /// An entry of the revoke lane does more than take access away.
    #[error("action {0} is in the revoke lane and does more than take access away")]
    Lane(String),
    /// The id of an action does not belong to what the action does.
    #[error("action {0} does not do what its id says")]
    Id(String),
    /// The counts of the footer are wrong.
    #[error("the counts of the footer do not match the lines before it")]
    Counts,
    /// The digest is wrong.
    #[error("the digest does not match; the file was altered")]
    Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line<H, T, E> {
    Header(H),
    Target(T),
    Entry(E),
    Footer(Footer),
}

type Written<'d> = Line<&'d Header, &'d TargetSection, &'d Entry>;
type Parsed = Line<Header, TargetSection, Entry>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Footer {
    counts: Counts,
    digest: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counts {
    targets: u64,
    entries: u64,
    standing: u64,
    needs_approval: u64,
    held: u64,
}

impl Counts {
    fn of(document: &PlanDocument) -> Self {
        let mut counts = Self { targets: document.targets.len() as u64, ..Self::default() };
        document.entries.iter().for_each(|entry| counts.add(entry));
        counts
    }

    fn add(&mut self, entry: &Entry) {
        self.entries += 1;
        match entry.state {
            EntryState::Standing => self.standing += 1,
            EntryState::NeedsApproval => self.needs_approval += 1,
            EntryState::Held { .. } => self.held += 1,
        }
    }
}

/// The SHA-256 over all lines before the footer, in hex: what is approved.
pub(crate) fn digest(document: &PlanDocument) -> String {
    let mut hasher = Sha256::new();
    body(document).for_each(|line| hasher.update(line));
    hex(hasher)
}

fn hex(hasher: Sha256) -> String {
    use std::fmt::Write as _;
    hasher.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // writing to a String cannot fail
        hex
    })
}

/// All lines before the footer.
fn body(document: &PlanDocument) -> impl Iterator<Item = Vec<u8>> + '_ {
    let header = std::iter::once(Written::Header(&document.header));
    let targets = document.targets.iter().map(Written::Target);
    let entries = document.entries.iter().map(Written::Entry);
    header.chain(targets).chain(entries).map(|line| with_newline(canonical_json(&line)))
}

fn with_newline(mut line: Vec<u8>) -> Vec<u8> {
    line.push(b'\n');
    line
}

impl PlanDocument {
    /// The file, line by line, each with its line feed: for writing without holding all of it.
    pub fn lines(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        let footer = Footer { counts: Counts::of(self), digest: self.digest.clone() };
        body(self).chain(std::iter::once_with(move || with_newline(canonical_json(&Written::Footer(footer)))))
    }

    /// The file.
    pub fn to_jsonl(&self) -> Vec<u8> {
        let mut file = Vec::new();
        self.lines().for_each(|line| file.extend_from_slice(&line));
        file
    }

    /// Reads a file back.
    ///
    /// # Errors
    /// When it is anything else than a plan as this program writes it, whole and unaltered but for the order of keys.
    pub fn parse(bytes: &[u8]) -> Result<Self, PlanError> {
        let mut reader = Reader::default();
        let mut last = 0;
        for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            last = index + 1;
            reader.line(line).map_err(|problem| PlanError { line: last, problem })?;
        }
        reader.finish().map_err(|problem| PlanError { line: last.max(1), problem })
    }
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    header: Option<Header>,
    targets: Vec<TargetSection>,
    entries: Vec<Entry>,
    /// Which trips hold which action, by the sections; what entries say is struck off.
    held: BTreeMap<ActionId, Vec<usize>>,
    ids: BTreeSet<ActionId>,
    counts: Counts,
    hasher: Sha256,
    digest: Option<String>,
}

impl Reader {
    fn line(&mut self, line: &[u8]) -> Result<(), PlanProblem> {
        if self.digest.is_some() {
            return Err(PlanProblem::AfterFooter);
        }
        let Some(text) = line.strip_suffix(b"\n") else { return Err(PlanProblem::Truncated) };
        let (parsed, canonical) = canonical(text)?;
        match parsed {
            Parsed::Footer(footer) => return self.footer(footer),
            Parsed::Header(header) => self.header(header)?,
            Parsed::Target(section) => self.target(section)?,
            Parsed::Entry(entry) => self.entry(entry)?,
        }
        self.hasher.update(with_newline(canonical));
        Ok(())
    }

    fn header(&mut self, header: Header) -> Result<(), PlanProblem> {
        if header.format != PLAN_FORMAT {
            return Err(PlanProblem::Format { found: header.format });
        }
        if self.header.is_some() {
            return Err(PlanProblem::Duplicate("the header".into()));
        }
        self.header = Some(header);
        Ok(())
    }

    fn target(&mut self, section: TargetSection) -> Result<(), PlanProblem> {
        if self.header.is_none() || !self.entries.is_empty() {
            return Err(PlanProblem::Order);
        }
        if let Some(before) = self.targets.last() {
            match before.target.cmp(&section.target) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Err(PlanProblem::Duplicate(format!("target {}", section.target))),
                std::cmp::Ordering::Greater => return Err(PlanProblem::Order),
            }
        }
        for (index, trip) in section.trips.iter().enumerate() {
            for id in &trip.holds {
                self.held.entry(id.clone()).or_default().push(index);
            }
        }
        self.counts.targets += 1;
        self.targets.push(section);
        Ok(())
    }

    fn entry(&mut self, entry: Entry) -> Result<(), PlanProblem> {
        let Some(header) = &self.header else { return Err(PlanProblem::Order) };
        let action = &entry.action;
        let id = action.id.to_string();
        if self.entries.last().is_some_and(|before| before.order() > entry.order()) {
            return Err(PlanProblem::Order);
        }
        if !self.ids.insert(action.id.clone()) {
            return Err(PlanProblem::Duplicate(format!("action {id}")));
        }
        if !self.targets.iter().any(|section| section.target == action.target) {
            return Err(PlanProblem::NoSection(action.target.to_string()));
        }
        if action.id != ActionId::of(header.run, &action.target, &action.subject, &action.steps) {
            return Err(PlanProblem::Id(id));
        }
        if entry.lane == LaneKind::Revoke && action.steps.iter().any(|step: &Step| step.as_reduction().is_none()) {
            return Err(PlanProblem::Lane(id));
        }
        let agreed = match (&entry.state, self.held.remove(&action.id)) {
            (EntryState::Held { trips }, Some(holding)) => !trips.is_empty() && *trips == holding,
            (EntryState::Standing | EntryState::NeedsApproval, None) => true,
            (EntryState::Held { .. }, None) | (EntryState::Standing | EntryState::NeedsApproval, Some(_)) => false,
        };
        if !agreed {
            return Err(PlanProblem::Held(id));
        }
        self.counts.add(&entry);
        self.entries.push(entry);
        Ok(())
    }

    fn footer(&mut self, footer: Footer) -> Result<(), PlanProblem> {
        if self.header.is_none() {
            return Err(PlanProblem::Order);
        }
        if let Some(id) = self.held.keys().next() {
            return Err(PlanProblem::Held(id.to_string()));
        }
        if footer.counts != self.counts {
            return Err(PlanProblem::Counts);
        }
        if footer.digest != hex(std::mem::take(&mut self.hasher)) {
            return Err(PlanProblem::Digest);
        }
        self.digest = Some(footer.digest);
        Ok(())
    }

    fn finish(self) -> Result<PlanDocument, PlanProblem> {
        let (Some(header), Some(digest)) = (self.header, self.digest) else { return Err(PlanProblem::Truncated) };
        Ok(PlanDocument { header, targets: self.targets, entries: self.entries, digest })
    }
}

/// A line as a value, and its canonical bytes. Both are made from one parse, so they cannot tell different stories.
fn canonical(text: &[u8]) -> Result<(Parsed, Vec<u8>), PlanProblem> {
    let malformed = |error: serde_json::Error| PlanProblem::Malformed(error.to_string());
    let value = strict::parse(text).map_err(malformed)?;
    let canonical = canonical_json(&value);
    let parsed: Parsed = serde_json::from_value(value).map_err(malformed)?;
    if canonical_json(&parsed) != canonical {
        return Err(PlanProblem::Foreign);
    }
    Ok((parsed, canonical))
}

#[cfg(test)]
mod tests;
