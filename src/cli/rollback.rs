//! `rollback`: plans the inverse of a run from its before-images. Writes a plan like any other; it mostly gives access
//! back, so all of it waits for a named person. Changes nothing by itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use jiff::SignedDuration;
use lockstep_config::TargetConfig;
use lockstep_contract::{Cardholder, CardholderId, Cx, Fault, FaultKind, RunId, Target, TargetId, TargetInfo};
use lockstep_core::{Guarded, Header, PLAN_FORMAT, PlanDocument, RunState, Settled, UndoInputs, guard, inverse};
use lockstep_engine::{RunKind, RunRecord, Store, StoreError};
use lockstep_view::{plan_json, plan_text};

use crate::cli::context::{self, Context, block_on};
use crate::cli::failures::{self, Wrote};
use crate::cli::progress::until_stopped;
use crate::cli::{Global, housekeeping, plan, runs};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// Long enough to write one record.
const LEASE: SignedDuration = SignedDuration::from_mins(1);

/// Plan the inverse of a run
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// The run, as lockstep status lists it
    #[arg(value_name = "RUN")]
    run: String,
    /// Who asks for it, and so may not approve it [default: the log-in name]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Write the plan to this new folder [default: a folder named after the new run, in the configured folder of plans]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// At most so many changes in the text; the report has all
    #[arg(long, value_name = "N", default_value_t = 50)]
    rows: usize,
}

impl Rollback {
    pub(crate) fn run(self, global: &Global, terminal: Terminal) -> Result<Exit, Failure> {
        let old: RunId = serde_json::from_value(serde_json::Value::String(self.run.clone())).map_err(|_| {
            Failure::new(Exit::Usage, format!("`{}` is no run", self.run))
                .not_done("nothing was planned")
                .next("lockstep status lists the last runs")
        })?;
        let by = self.by.clone().or_else(context::operator).unwrap_or_else(|| "unknown".into());
        let context = Context::load(global, terminal)?;
        let document = block_on(until_stopped(undo(&context, old, &by)))?;
        let dir = plan::write(&context, &document, self.out)?;
        let json = plan_json(&document, "lockstep/rollback/1", Some(dir.path().display().to_string()));
        terminal.show(&json, || plan_text(&document, terminal.paint(), self.rows))?;
        plan::tell(&context, &document, &dir);
        Ok(plan::exit(&document, false))
    }
}

async fn undo(context: &Context, old: RunId, by: &str) -> Result<PlanDocument, Failure> {
    let remembered = |error| failures::store(error, Wrote::Nothing);
    let store = context.store()?;
    housekeeping::absorb_spool(context, &*store).await?;
    let mut done: BTreeMap<TargetId, Vec<Settled>> = BTreeMap::new();
    for settled in store.settled(old).await.map_err(remembered)? {
        done.entry(settled.action.target.clone()).or_default().push(settled);
    }
    let kind = store.run(old).await.map_err(remembered)?.map(|record| record.kind);
    if kind == Some(RunKind::Offboard) {
        return Err(Failure::new(Exit::Usage, format!("run {old} put somebody out by name; no rollback undoes that"))
            .not_done("nothing was planned")
            .next("lockstep reinstate WHO --reason TEXT"));
    }
    if done.is_empty() {
        return Err(Failure::new(Exit::Usage, format!("run {old} has nothing that was done and read back"))
            .not_done("nothing was planned")
            .next("lockstep status lists the last runs"));
    }
    let run = runs::new_run();
    let mut judged = Vec::new();
    for target in context.targets() {
        if let Some(done) = done.remove(&target.id) {
            judged.push(one_target(context, &*store, target, &done, run).await?);
        }
    }
    if judged.is_empty() {
        let left: Vec<String> = done.keys().map(ToString::to_string).collect();
        return Err(Failure::new(Exit::Usage, format!("run {old} changed only {}", left.join(", ")))
            .not_done("nothing was planned")
            .next("lockstep rollback without --target, with that target configured"));
    }
    for target in done.keys() {
        context
            .terminal
            .say(&format!("! nothing is planned for {target}: it is not configured, or left out by --target"));
    }
    let document = PlanDocument::build(header(context, run, by), judged);
    register(context, &*store, &document, old).await.map_err(remembered)?;
    Ok(document)
}

/// Only a plan that the state knows can be applied.
async fn register(context: &Context, store: &dyn Store, document: &PlanDocument, old: RunId) -> Result<(), StoreError> {
    let now = context.now();
    let record = RunRecord {
        run: document.header.run,
        kind: RunKind::Rollback,
        state: RunState::Staged,
        began: document.header.created,
        changed: now,
        plan: Some(document.digest.clone()),
        summary: format!("the inverse of run {old}: {} actions", document.entries.len()),
    };
    let epoch = store.lease(&context.node, LEASE, now).await?;
    let begun = store.begin(epoch, &record).await;
    store.release(epoch).await?;
    begun
}

async fn one_target(
    context: &Context,
    store: &dyn Store,
    configured: &TargetConfig,
    done: &[Settled],
    run: RunId,
) -> Result<(TargetInfo, Guarded), Failure> {
    let remembered = |error| failures::store(error, Wrote::Nothing);
    let target = context.target(configured)?;
    let now_on_pacs = records(&target, &context.cx(), done)
        .await
        .map_err(|fault| failures::unreadable(configured.id.as_str(), &fault))?;
    let holds = store.holds(&configured.id).await.map_err(remembered)?;
    let history = store.history(&configured.id, context.now()).await.map_err(remembered)?;
    let inputs =
        UndoInputs { target: target.info(), done, now_on_pacs: &now_on_pacs, holds: &holds, run, now: context.now() };
    let guarded = guard(inverse(inputs), &configured.policy, &configured.limits, &history);
    Ok((target.info().clone(), guarded))
}

/// The records of that run as they are now.
async fn records(
    target: &Arc<dyn Target>,
    cx: &Cx,
    done: &[Settled],
) -> Result<BTreeMap<CardholderId, Cardholder>, Fault> {
    let mut now = BTreeMap::new();
    for settled in done {
        let id = &settled.after.id;
        if now.contains_key(id) {
            continue;
        }
        let late = |_| {
            Fault::new(FaultKind::Unreachable, target.info().id.as_str(), format!("read {id}"), "no answer in time")
        };
        if let Some(record) = tokio::time::timeout(cx.budget, target.read(cx, id)).await.map_err(late)?? {
            now.insert(id.clone(), record);
        }
    }
    Ok(now)
}

fn header(context: &Context, run: RunId, by: &str) -> Header {
    let created = context.now();
    let hours = context.targets().map(|target| target.limits.plan_age_hours).min().unwrap_or(24);
    Header {
        format: PLAN_FORMAT.to_owned(),
        run,
        created,
        expires: created.checked_add(SignedDuration::from_hours(i64::from(hours))).unwrap_or(created),
        version: env!("CARGO_PKG_VERSION").into(),
        directory: None,
        config_digest: context.config.digest.clone(),
        by: Some(by.trim().to_owned()),
        occasion: lockstep_core::Occasion::Run,
        reinstate: None,
    }
}
