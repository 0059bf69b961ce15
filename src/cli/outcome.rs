//! What applying did, told: one line for each action that is not simply done, numbers for the rest, and the worklist
//! for human hands when something is left open.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use lockstep_contract::ActionId;
use lockstep_core::{ActionState, Entry, Left, LeftBecause, PlanDocument};
use lockstep_engine::{ActionReport, ApplyReport};
use lockstep_view::{Align, Table, escape, worklist_html};
use serde::Serialize;

use crate::cli::plan_dir::PlanDir;
use crate::cli::{files, select, worklist};
use crate::exit::{Exit, Failure};

/// What applying did, with the plan it is about.
pub(crate) struct Outcome<'a> {
    /// The plan.
    pub document: &'a PlanDocument,
    /// What ran.
    pub report: &'a ApplyReport,
    /// What did not.
    pub left: &'a [Left],
}

/// The numbers of the last line, and part of every `--json` document about applying.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub(crate) struct Numbers {
    /// Read back as expected. Only these are done.
    pub verified: usize,
    /// Read back, and not as expected.
    pub diverged: usize,
    /// The PACS said no.
    pub refused: usize,
    /// Not sent: the record changed since, or the target was stopped.
    pub withdrawn: usize,
    /// Sent, or perhaps sent, and not settled yet.
    pub open: usize,
    /// Wait for a named person.
    pub not_approved: usize,
    /// A named person said no.
    pub rejected: usize,
    /// Held by a guard.
    pub held: usize,
}

impl Outcome<'_> {
    /// Counts.
    pub(crate) fn numbers(&self) -> Numbers {
        let mut numbers = Numbers::default();
        for action in self.report.targets.values().flat_map(|target| &target.actions) {
            match action.state {
                ActionState::Verified => numbers.verified += 1,
                ActionState::Diverged => numbers.diverged += 1,
                ActionState::Refused => numbers.refused += 1,
                ActionState::Withdrawn => numbers.withdrawn += 1,
                ActionState::Pending | ActionState::Intended | ActionState::Acknowledged | ActionState::Uncertain => {
                    numbers.open += 1;
                }
            }
        }
        for left in self.left {
            match left.because {
                LeftBecause::NotApproved => numbers.not_approved += 1,
                LeftBecause::Rejected => numbers.rejected += 1,
                LeftBecause::Held => numbers.held += 1,
                LeftBecause::Journaled => {}
            }
        }
        numbers
    }

    /// What it ends with.
    pub(crate) fn exit(&self) -> Exit {
        let numbers = self.numbers();
        if !self.report.complete() {
            Exit::Partial
        } else if numbers.not_approved + numbers.held > 0 {
            Exit::Held
        } else {
            Exit::Done
        }
    }

    /// For people. The last line is the summary.
    pub(crate) fn text(&self) -> String {
        let entries: BTreeMap<&ActionId, &Entry> =
            self.document.entries.iter().map(|entry| (&entry.action.id, entry)).collect();
        let mut lines = Vec::new();
        let mut table = Table::new([1, 28, 10, 8, 12, 100].map(|width| (Align::Left, width)));
        let all = self.report.targets.iter().flat_map(|(id, target)| target.actions.iter().map(move |one| (id, one)));
        for (target, action) in all.filter(|(_, action)| action.state != ActionState::Verified) {
            let who = entries.get(&action.action).map(|entry| &entry.who);
            table.row([
                "!",
                who.map_or("", |who| who.name.as_str()),
                who.and_then(|who| who.employee_number.as_deref()).unwrap_or_default(),
                target.as_str(),
                state_word(action),
                &action.detail,
            ]);
        }
        lines.extend(table.lines(0));
        for (target, report) in &self.report.targets {
            if let Some(why) = &report.stopped {
                lines.push(format!("! {target} stopped early: {}", escape::terminal(why)));
            }
        }
        lines.push(self.summary());
        lines.join("\n")
    }

    fn summary(&self) -> String {
        let numbers = self.numbers();
        let digest = escape::short_digest(&self.document.digest);
        let mut parts = vec![format!("{} done and read back", numbers.verified)];
        let more = [
            (numbers.diverged, "not as expected"),
            (numbers.refused, "refused by the PACS"),
            (numbers.withdrawn, "not sent"),
            (numbers.open, "not settled"),
            (numbers.not_approved, "not approved"),
            (numbers.held, "held"),
            (numbers.rejected, "rejected"),
        ];
        parts.extend(more.into_iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")));
        format!("Plan {digest}: {}.", parts.join(", "))
    }

    /// Writes what is left for human hands beside the plan, when something is.
    pub(crate) fn write_worklist(&self, dir: &PlanDir) -> Result<Option<PathBuf>, Failure> {
        let open: BTreeSet<&ActionId> = self
            .report
            .targets
            .values()
            .flat_map(|target| &target.actions)
            .filter(|action| action.state != ActionState::Verified)
            .map(|action| &action.action)
            .collect();
        if open.is_empty() {
            return Ok(None);
        }
        let plan = select::filtered(self.document, |entry| open.contains(&entry.action.id));
        let path = dir.file("worklist-open.html");
        files::replace(&path, worklist_html(&worklist::of_plan(&plan)).as_bytes())?;
        Ok(Some(path))
    }
}

/// A state in one word or two.
pub(crate) const fn state_word(action: &ActionReport) -> &'static str {
    match action.state {
        ActionState::Pending => "not begun",
        ActionState::Intended => "begun",
        ActionState::Acknowledged => "accepted",
        ActionState::Uncertain => "unknown",
        ActionState::Refused => "refused",
        ActionState::Verified => "done",
        ActionState::Diverged => "differs",
        ActionState::Withdrawn => "not sent",
    }
}
