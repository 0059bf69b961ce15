//! What `offboard` answers: the document, and the number it ends with.

use lockstep_offboard::Report;
use serde::Serialize;

use super::by_hand::ByHand;
use crate::exit::Exit;

/// The document of `offboard --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Offboarded {
    /// `lockstep/offboard/1`.
    pub(super) schema: &'static str,
    /// What of it was real.
    pub(super) mode: Mode,
    /// Out on every PACS that was to be asked, read back, and on record. Of a rehearsal: the same, of the copies.
    pub(super) complete: bool,
    /// Who asked.
    pub(super) by: String,
    /// Who agreed, where that was needed.
    pub(super) second: Option<String>,
    /// Why.
    pub(super) reason: String,
    /// The ticket it belongs to.
    pub(super) ticket: Option<String>,
    /// One report for each person that was put out, with a stopwatch for each PACS.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub(super) people: Vec<Report>,
    /// Who was named and waits for a second name: nothing was done to them.
    pub(super) waiting: Vec<String>,
    /// Parts of the configuration that could not be used: somebody may still have access there.
    pub(super) not_asked: Vec<NotAsked>,
    /// Targets that `--target` left out: nobody was put out there.
    pub(super) left_out: Vec<String>,
    /// What human hands have to do, as far as it is known here.
    pub(super) by_hand: Vec<ByHand>,
    /// Where the record is; it is renamed to `.absorbed` when the state has taken it over.
    pub(super) record: Option<String>,
}

/// What of it was real.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mode {
    /// All of it.
    Real,
    /// The PACS were read; nothing was written.
    DryRun,
    /// Nothing: simulated copies were read and written.
    Drill,
}

/// A part of the configuration that could not be used.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(super) struct NotAsked {
    /// Which.
    pub what: String,
    /// Why.
    pub why: String,
}

impl Offboarded {
    /// What the command ends with.
    pub(super) fn exit(&self) -> Exit {
        let unknown = self.people.iter().all(|report| !report.known_anywhere());
        match (self.complete, unknown && self.not_asked.is_empty(), self.waiting.is_empty()) {
            (true, ..) => Exit::Done,
            (false, true, true) => Exit::Failed,
            (false, true, false) => Exit::Held,
            (false, false, _) => Exit::Partial,
        }
    }

    /// What to do next, a line each.
    pub(super) fn next(&self) -> Vec<&'static str> {
        let mut next = Vec::new();
        if self.people.iter().any(Report::ambiguous) {
            next.push(
                "Next: the same command with cardholder:TARGET/ID for the right record, with a kind of key \
                 (employee:…), or with --all for every one",
            );
        }
        if self.people.iter().any(Report::missing) {
            next.push("Next: check the spelling of whoever is found on no PACS, or name a card: card:NUMBER");
        }
        if !self.waiting.is_empty() {
            next.push("Next: the same command with --second NAME, the name of another person who agrees");
        }
        if self.mode == Mode::Real {
            next.extend(self.hands());
        }
        next
    }

    /// What people have to do where it says NOT, and whether it is tried again.
    fn hands(&self) -> Option<&'static str> {
        let is_open = |report: &Report| report.targets.values().any(|outcome| matches!(outcome.open(), Some(Some(_))));
        // Where it is not clear who is meant, and nobody was acted on, nothing stays open.
        let is_tried = |report: &Report| !report.ambiguous() || report.acted_on();
        if !self.not_asked.is_empty() || self.people.iter().any(|report| is_open(report) && is_tried(report)) {
            return Some(
                "Next: hands where it says NOT; what is open is tried again by every later run, and at once by: \
                 lockstep offboard --settle",
            );
        }
        self.people.iter().any(is_open).then_some(
            "Next: hands where it says NOT reached or asked; nobody tries that again before it is clear who is meant",
        )
    }
}
