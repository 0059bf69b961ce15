//! `sync`: plan, apply what may run unattended, stage the rest. Then the manual fallback and the roster are written
//! anew, whatever became of the plan: they matter most when something is down.

use std::collections::BTreeMap;

use clap::Args;
use lockstep_contract::{Fault, TargetId};
use lockstep_core::{Hold, Left, Occasion, PlanDocument};
use lockstep_engine::{ApplyReport, Planned, Store};
use serde::Serialize;

use crate::cli::context::{Context, block_on};
use crate::cli::export::{self, Exported};
use crate::cli::failures::{self, Wrote};
use crate::cli::hints::{self, States};
use crate::cli::outcome::{Numbers, Outcome};
use crate::cli::plan_dir::PlanDir;
use crate::cli::progress::{Bars, stop_on_signal};
use crate::cli::runs::{self, Systems, ToApply};
use crate::cli::settle::{self, Settled, Unconfirmed};
use crate::cli::{Global, alerts, held, housekeeping, plan, watch};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// Plan, apply what may run unattended, stage the rest
#[derive(Debug, Args)]
pub(crate) struct Sync {
    /// Do not write the manual fallback
    #[arg(long)]
    no_export: bool,
    /// Stay, and put out whoever leaves within seconds; everybody is read again now and then
    #[arg(long)]
    watch: bool,
}

/// The document of `sync --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Synced<'a> {
    /// `lockstep/sync/1`.
    schema: &'static str,
    /// The digest of the plan.
    digest: &'a str,
    /// The folder of the plan: what is staged waits there.
    plan: String,
    /// What the plan is made of.
    states: States,
    /// What became of it.
    numbers: Numbers,
    /// Each action that ran.
    #[schemars(with = "serde_json::Value")]
    report: &'a ApplyReport,
    /// What did not run, and why.
    #[schemars(with = "Vec<serde_json::Value>")]
    left: &'a [Left],
    /// Targets that could not be read whole; nothing was planned for them.
    unreadable: Vec<String>,
    /// Where the worklist for human hands is, when there is one.
    worklist: Option<String>,
    /// The manual fallback.
    exports: &'a [Exported],
    /// People held out by name.
    #[schemars(with = "Vec<serde_json::Value>")]
    holds: Vec<Hold>,
    /// Who was put out by name and may still have access somewhere, until it is read back.
    open: Vec<Unconfirmed>,
}

impl Sync {
    pub(crate) fn run(self, global: &Global, terminal: Terminal) -> Result<Exit, Failure> {
        if self.watch {
            return watch::run(global, terminal, !self.no_export);
        }
        let context = Context::load(global, terminal)?;
        block_on(async {
            stop_on_signal(context.cancel.clone());
            let begun = begin(&context).await;
            let synced = match &begun {
                Ok((store, settled)) => sync(&context, &**store, settled, !self.no_export).await,
                Err(_) => Ok(Exit::Failed),
            };
            if (begun.is_err() || synced.is_err()) && !self.no_export {
                // The plan failed; the fallback is what people have now. Its own failure must not hide the first one.
                export::after_run(&context).await;
            }
            let (store, settled) = begun?;
            alerts::after_run(&context, &*store, &settled).await;
            match synced {
                Ok(Exit::Done | Exit::Held) if !settled.open.is_empty() => Ok(Exit::Partial),
                synced => synced,
            }
        })
    }
}

/// Before anything else, and whatever else is down: who was put out by name comes first. That goes on without the state,
/// too, when it cannot be had.
pub(crate) async fn begin(context: &Context) -> Result<(Box<dyn Store>, Settled), Failure> {
    let with_state = async {
        let store = context.store()?;
        housekeeping::absorb_spool(context, &*store).await?;
        let settled = housekeeping::settle_spool(context, &*store).await?;
        Ok((store, settled))
    };
    let begun: Result<_, Failure> = with_state.await;
    if let Err(failure) = &begun
        && failure.exit != Exit::Busy
    {
        settle::without_state(context).await;
    }
    begun
}

/// What a run did.
pub(crate) struct Work {
    /// The plan.
    pub document: PlanDocument,
    /// Its folder.
    pub dir: PlanDir,
    /// What ran.
    pub report: ApplyReport,
    /// What did not.
    pub left: Vec<Left>,
    /// Targets that could not be read whole.
    pub unreadable: Vec<(TargetId, Fault)>,
    worklist: Option<String>,
    exports: Vec<Exported>,
}

impl Work {
    /// What ran, with the plan it is about.
    pub(crate) fn outcome(&self) -> Outcome<'_> {
        Outcome { document: &self.document, report: &self.report, left: &self.left }
    }

    /// What it ends with.
    pub(crate) fn exit(&self) -> Exit {
        let unreached = !self.unreadable.is_empty() || self.exports.iter().any(|one| one.fault.is_some());
        let document = &self.document;
        match self.outcome().exit() {
            Exit::Done | Exit::Held if unreached => Exit::Partial,
            Exit::Done if hints::tripped(document) => Exit::Held,
            Exit::Done | Exit::Held if hints::unread(document) && !hints::tripped(document) => Exit::Unreadable,
            exit => exit,
        }
    }
}

/// Plans, applies what may run unattended, stages the rest, and writes the manual fallback when that is wanted.
pub(crate) async fn work(
    context: &Context,
    store: &dyn Store,
    occasion: Occasion,
    export: bool,
) -> Result<Work, Failure> {
    let systems = Systems::open(context)?;
    let bars = Bars::new(context.terminal);
    runs::settle(context, &systems.targets, store, &bars).await?;
    let planned = runs::plan_on(context, &systems, store, occasion, &bars).await;
    bars.clear();
    let Planned { document, unreadable } = planned?;
    let dir = plan::write(context, &document, None)?;
    let approved = runs::approve(context, &systems.targets, store, &document, &[], &dir).await?;
    let left = approved.left().to_vec();
    let report = if approved.is_empty() && !left.is_empty() {
        ApplyReport { run: document.header.run, targets: BTreeMap::new() }
    } else {
        let what = ToApply { document: &document, approved: &approved, fresh: None };
        let report = runs::apply(context, systems.targets, store, what, &bars).await;
        bars.clear();
        report?
    };
    housekeeping::after_run(context, store).await;
    let worklist = Outcome { document: &document, report: &report, left: &left }.write_worklist(&dir)?;
    let worklist = worklist.map(|path| path.display().to_string());
    let exports = if export { export::after_run(context).await } else { Vec::new() };
    Ok(Work { document, dir, report, left, unreadable, worklist, exports })
}

async fn sync(context: &Context, store: &dyn Store, settled: &Settled, export: bool) -> Result<Exit, Failure> {
    let work = work(context, store, Occasion::Run, export).await?;
    let ids = context.targets().map(|target| &target.id);
    let holds = held::on_any(store, ids).await.map_err(|error| failures::store(error, Wrote::Nothing))?;
    let outcome = work.outcome();
    let done = Done {
        outcome: &outcome,
        dir: &work.dir,
        worklist: work.worklist.clone(),
        unreadable: work.unreadable.iter().map(|(target, _)| target.to_string()).collect(),
        holds,
        open: settled.unconfirmed(),
    };
    show(context, done, &work.exports)?;
    plan::tell_unreadable(context.terminal, &work.unreadable);
    Ok(work.exit())
}

/// What is to be told.
struct Done<'a> {
    outcome: &'a Outcome<'a>,
    dir: &'a PlanDir,
    worklist: Option<String>,
    unreadable: Vec<String>,
    holds: Vec<Hold>,
    open: Vec<Unconfirmed>,
}

impl Done<'_> {
    /// Who is out by name, and where not yet: before the summary, which stays the last line.
    fn out_by_name(&self) -> String {
        let held = held::lines(&self.holds).into_iter().map(|held| format!("= {held}\n"));
        held.chain(self.open.iter().map(|one| format!("{}\n", one.line()))).collect()
    }
}

fn show(context: &Context, done: Done<'_>, exports: &[Exported]) -> Result<(), Failure> {
    let out_by_name = done.out_by_name();
    let Done { outcome, dir, worklist, unreadable, holds, open } = done;
    let synced = Synced {
        schema: "lockstep/sync/1",
        digest: &outcome.document.digest,
        plan: dir.path().display().to_string(),
        states: States::of(outcome.document),
        numbers: outcome.numbers(),
        report: outcome.report,
        left: outcome.left,
        unreadable,
        worklist: worklist.clone(),
        exports,
        holds,
        open,
    };
    context.terminal.show(&synced, || {
        let plan = lockstep_view::plan_text(outcome.document, context.terminal.paint(), 50);
        format!("{plan}{out_by_name}{}", outcome.text())
    })?;
    if let Some(path) = worklist {
        context.terminal.say(&format!("What is open, for human hands: {path}"));
    }
    if outcome.exit() == Exit::Held {
        plan::tell(context, outcome.document, dir);
    }
    Ok(())
}
