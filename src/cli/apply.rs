//! `apply`: carries out exactly the approved actions of one plan, and reads each back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use lockstep_contract::{Target, TargetId};
use lockstep_core::{ApprovedPlan, LeftBecause, Lift, PlanDocument};
use lockstep_engine::{ApplyReport, Store};
use lockstep_view::escape;
use serde::Serialize;

use crate::cli::context::{Context, block_on};
use crate::cli::outcome::{Numbers, Outcome};
use crate::cli::plan_dir::PlanDir;
use crate::cli::progress::{Bars, stop_on_signal};
use crate::cli::runs::{self, Systems, ToApply};
use crate::cli::{Global, alerts, export, hints, housekeeping};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// Apply exactly the approved actions of a plan
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// The plan: its folder, its plan.jsonl, or the id of its run
    plan: PathBuf,
    /// Do not write the manual fallback
    #[arg(long)]
    no_export: bool,
}

/// The document of `apply --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Applied<'a> {
    /// `lockstep/apply/1`.
    pub schema: &'static str,
    /// The digest of the plan.
    pub digest: &'a str,
    /// The folder of the plan.
    pub plan: String,
    /// Everything was done and nothing waits.
    pub complete: bool,
    /// The numbers.
    pub numbers: Numbers,
    /// Each action.
    #[schemars(with = "serde_json::Value")]
    pub report: &'a ApplyReport,
    /// What did not run, and why.
    #[schemars(with = "Vec<serde_json::Value>")]
    pub left: &'a [lockstep_core::Left],
    /// The holds that were lifted, and who said so.
    #[schemars(with = "Option<serde_json::Value>")]
    pub lifted: Option<&'a Lift>,
    /// Where the worklist for human hands is, when there is one.
    pub worklist: Option<String>,
}

impl Apply {
    pub(crate) fn run(self, global: &Global, terminal: Terminal) -> Result<Exit, Failure> {
        let context = Context::load(global, terminal)?;
        let dir = PlanDir::find(&self.plan, &context.config.plans)?;
        let document = dir.document()?;
        let approvals = dir.approvals()?;
        runs::refuse_narrowed(&context, &document)?;
        block_on(async {
            stop_on_signal(context.cancel.clone());
            let store = context.store()?;
            let targets = runs::open_targets(&context, &document)?;
            housekeeping::absorb_spool(&context, &*store).await?;
            let settled = housekeeping::settle_spool(&context, &*store).await?;
            let approved = runs::approve(&context, &targets, &*store, &document, &approvals, &dir).await?;
            refuse_nothing(&context, &document, &approved, &dir)?;
            let report = carry_out(&context, targets, &*store, &document, &approved).await?;
            housekeeping::after_run(&context, &*store).await;
            let outcome = Outcome { document: &document, report: &report, left: approved.left() };
            let worklist = outcome.write_worklist(&dir)?;
            show(&context, &outcome, &approved, &dir, worklist)?;
            if !self.no_export {
                export::after_run(&context).await;
            }
            alerts::after_run(&context, &*store, &settled).await;
            Ok(outcome.exit())
        })
    }
}

/// Applies, after reading again when the plan's own reading is too old to be believed.
async fn carry_out(
    context: &Context,
    targets: BTreeMap<TargetId, Arc<dyn Target>>,
    store: &dyn Store,
    document: &PlanDocument,
    approved: &ApprovedPlan,
) -> Result<ApplyReport, Failure> {
    let bars = Bars::new(context.terminal);
    let fresh = if runs::is_old(context, document) {
        context.terminal.say("The reading behind this plan is old; reading both sides again.");
        let systems = Systems { directory: context.directory()?, targets: targets.clone(), closed: Vec::new() };
        let planned = runs::plan(context, &systems, store, &bars).await;
        bars.clear();
        let planned = planned.map_err(|failure| failure.not_done("nothing of this plan was applied"))?;
        for (target, fault) in &planned.unreadable {
            context.terminal.say(&format!("! {target} could not be read again, so nothing is applied to it: {fault}"));
        }
        Some(planned.document)
    } else {
        None
    };
    let what = ToApply { document, approved, fresh: fresh.as_ref() };
    let report = runs::apply(context, targets, store, what, &bars).await;
    bars.clear();
    report
}

/// A plan of which nothing may run yet is not begun: nothing of it would be remembered as applied.
fn refuse_nothing(
    context: &Context,
    document: &PlanDocument,
    approved: &ApprovedPlan,
    dir: &PlanDir,
) -> Result<(), Failure> {
    if document.header.reinstate.is_some() && approved.lift().is_none() {
        let next = hints::next(document, dir, &context.again);
        return Err(Failure::new(Exit::Held, "nobody but who asked for it has approved this reinstatement as a whole")
            .not_done("the hold stays, and nothing was written to any PACS")
            .next(next.join("\n        ")));
    }
    let waits = |left: &lockstep_core::Left| matches!(left.because, LeftBecause::NotApproved | LeftBecause::Held);
    let waiting = approved.left().iter().filter(|left| waits(left)).count();
    if !approved.is_empty() || waiting == 0 {
        return Ok(());
    }
    let next = hints::next(document, dir, &context.again);
    Err(Failure::new(Exit::Held, format!("{waiting} actions wait for an approval or are held; none may run yet"))
        .not_done("nothing was written to any PACS")
        .next(next.join("\n        ")))
}

fn show(
    context: &Context,
    outcome: &Outcome<'_>,
    approved: &ApprovedPlan,
    dir: &PlanDir,
    worklist: Option<PathBuf>,
) -> Result<(), Failure> {
    let worklist = worklist.map(|path| path.display().to_string());
    let applied = Applied {
        schema: "lockstep/apply/1",
        digest: &outcome.document.digest,
        plan: dir.path().display().to_string(),
        complete: outcome.exit() == Exit::Done,
        numbers: outcome.numbers(),
        report: outcome.report,
        left: outcome.left,
        lifted: approved.lift(),
        worklist: worklist.clone(),
    };
    let lifted = approved.lift().map(|lift| {
        let who = escape::terminal(&lift.what.who);
        let by: Vec<_> = lift.approved_by.iter().map(|name| escape::terminal(name)).collect();
        format!("The hold on {who} is lifted, approved by {}.\n", by.join(", "))
    });
    context.terminal.show(&applied, || format!("{}{}", lifted.unwrap_or_default(), outcome.text()))?;
    if let Some(path) = worklist {
        context.terminal.say(&format!("What is open, for human hands: {path}"));
        context.terminal.say("Next: lockstep status; then lockstep plan, which plans again what is still to do");
    }
    if outcome.exit() == Exit::Held {
        for line in hints::next(outcome.document, dir, &context.again) {
            context.terminal.say(&format!("Next, {line}"));
        }
    }
    Ok(())
}
