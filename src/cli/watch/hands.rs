//! What a watch has done for it: a plan is written, approved by policy, applied and read back as in every run; a census is
//! an ordinary `sync`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lockstep_contract::Step;
use lockstep_core::{ActionState, Occasion, PlanDocument};
use lockstep_engine::{ApplyReport, CarriedOut, Hands, Owed, Store, Trouble, Watch};
use lockstep_view::escape;
use tokio::time::Instant;

use super::event::{Census, Told};
use super::mark::{self, Mark};
use crate::cli::alerts;
use crate::cli::context::Context;
use crate::cli::outcome::Outcome;
use crate::cli::progress::Bars;
use crate::cli::runs::{self, Systems, ToApply};
use crate::cli::{plan, sync};
use crate::exit::{Exit, Failure};

/// The manual fallback is written after a census, and not more often than this.
const EXPORT_EVERY: Duration = Duration::from_secs(3_600);
/// What stands is an alert again after this time.
const ALERT_EVERY: Duration = Duration::from_secs(15 * 60);

/// Hands on the configured systems.
pub(super) struct CliHands<'a> {
    context: &'a Context,
    systems: &'a Systems,
    store: &'a dyn Store,
    export: bool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    told: Vec<Told>,
    /// Why the watch cannot go on.
    end: Option<Failure>,
    exported: Option<Instant>,
    alerted: Option<Instant>,
}

impl<'a> CliHands<'a> {
    pub(super) fn new(context: &'a Context, systems: &'a Systems, store: &'a dyn Store, export: bool) -> Self {
        Self { context, systems, store, export, kept: Mutex::default() }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was done since the last time.
    pub(super) fn take_told(&self) -> Vec<Told> {
        std::mem::take(&mut self.kept().told)
    }

    /// Why the watch cannot go on.
    pub(super) fn take_end(&self) -> Option<Failure> {
        self.kept().end.take()
    }

    /// Raises what stands, now and then.
    pub(super) async fn alert(&self, watch: &Watch<'_>) {
        let due = self.kept().alerted.is_none_or(|at| at.elapsed() > ALERT_EVERY);
        let mark = mark::read(&self.context.config.state);
        let blind = mark.as_ref().and_then(|mark: &Mark| mark.trouble(self.context.now()));
        if !due || (blind.is_none() && watch.owed().is_none()) {
            return;
        }
        self.kept().alerted = Some(Instant::now());
        alerts::after_run(self.context, self.store, &crate::cli::settle::Settled::default()).await;
    }

    fn trouble(&self, failure: Failure) -> Trouble {
        let trouble = Trouble { busy: failure.exit == Exit::Busy, what: failure.what.clone() };
        if failure.exit == Exit::Integrity {
            self.kept().end = Some(failure);
        }
        trouble
    }

    async fn notice(&self, document: &PlanDocument) -> Result<CarriedOut, Failure> {
        let (context, targets) = (self.context, &self.systems.targets);
        let dir = plan::write(context, document, None)?;
        let approved = runs::approve(context, targets, self.store, document, &[], &dir).await?;
        let left = approved.left().to_vec();
        let report = if approved.is_empty() {
            ApplyReport { run: document.header.run, targets: std::collections::BTreeMap::new() }
        } else {
            let what = ToApply { document, approved: &approved, fresh: None };
            let bars = Bars::new(context.terminal);
            let report = runs::apply(context, targets.clone(), self.store, what, &bars).await;
            bars.clear();
            report?
        };
        let outcome = Outcome { document, report: &report, left: &left };
        outcome.write_worklist(&dir)?;
        self.kept().told.push(Told::Notice {
            plan: dir.path().display().to_string(),
            numbers: outcome.numbers(),
            people: people(document, &report),
        });
        Ok(CarriedOut { report, left })
    }

    async fn everybody(&self, why: &Owed) -> Result<bool, Failure> {
        if let Some(mut mark) = mark::read(&self.context.config.state) {
            mark.reading = true;
            mark::write(&self.context.config.state, &Mark { at: self.context.now(), ..mark })?;
        }
        let export = self.export && self.kept().exported.is_none_or(|at| at.elapsed() > EXPORT_EVERY);
        let (store, settled) = sync::begin(self.context).await?;
        let work = sync::work(self.context, &*store, Occasion::Census, export).await?;
        if export {
            self.kept().exported = Some(Instant::now());
        }
        alerts::after_run(self.context, &*store, &settled).await;
        let stopped = work.report.targets.values().any(|target| target.stopped.is_some());
        let held = matches!(work.exit(), Exit::Held);
        if held && !work.document.entries.is_empty() {
            alerts::waits(self.context, &work.dir).await;
        }
        self.kept().told.push(Told::Census(Census {
            why: why.why.clone(),
            plan: work.dir.path().display().to_string(),
            numbers: work.outcome().numbers(),
            unreadable: work.unreadable.iter().map(|(target, _)| target.to_string()).collect(),
            exit: work.exit() as u8,
        }));
        Ok(work.unreadable.is_empty() && !stopped)
    }
}

/// Who lost what, and what became of it, for people.
fn people(document: &PlanDocument, report: &ApplyReport) -> Vec<String> {
    let line = |entry: &lockstep_core::Entry| {
        let state = report
            .targets
            .values()
            .flat_map(|target| &target.actions)
            .find(|action| action.action == entry.action.id)
            .map(|action| action.state);
        let off = entry.action.steps.iter().any(|step| *step == Step::Reduce(lockstep_contract::Reduction::Suspend));
        let what = match (state, off) {
            (Some(ActionState::Verified), true) => "switched off, read back",
            (Some(ActionState::Verified), false) => "levels taken, read back",
            (Some(_), _) => "NOT confirmed, is looked at again",
            (None, _) => "waits: a guard or the mapping wants a person to say yes",
        };
        escape::terminal(&format!("{} on {}: {what}", entry.who.name, entry.action.target))
    };
    document.entries.iter().map(line).collect()
}

#[async_trait(?Send)]
impl Hands for CliHands<'_> {
    async fn carry_out(&self, plan: &PlanDocument) -> Result<CarriedOut, Trouble> {
        self.notice(plan).await.map_err(|failure| self.trouble(failure))
    }

    async fn census(&self, why: &Owed) -> Result<bool, Trouble> {
        self.everybody(why).await.map_err(|failure| self.trouble(failure))
    }
}
