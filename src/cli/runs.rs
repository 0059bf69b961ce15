//! The steps that `plan`, `apply` and `sync` share: make a plan, see what of it may run, run that. The engine and the
//! core do the work; this puts together what they ask for.

mod desk;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;
use lockstep_config::TargetConfig;
use lockstep_contract::{ActionId, Directory, Fault, RunId, Target, TargetId};
use lockstep_core::{Approval, ApprovedPlan, Conditions, History, Occasion, PlanDocument, RunState, TargetConditions};
use lockstep_engine::{ApplyOrder, ApplyReport, Beside, Observer, PlanOrder, Planned, Store, TargetOrder};

use crate::cli::context::Context;
use crate::cli::failures::{self, Wrote};
use crate::cli::housekeeping;
use crate::cli::plan_dir::PlanDir;
use crate::exit::{Exit, Failure};

/// A fresh run id. Sorts by time.
pub(crate) fn new_run() -> RunId {
    RunId::new(uuid::Uuid::now_v7())
}

/// The systems of a run, opened.
pub(crate) struct Systems {
    /// The directory.
    pub directory: Arc<dyn Directory>,
    /// The targets that could be opened.
    pub targets: BTreeMap<TargetId, Arc<dyn Target>>,
    /// Those that could not: nothing is planned for them, and the others go on.
    pub closed: Vec<(TargetId, Fault)>,
}

impl Systems {
    /// Opens the directory and the targets asked for.
    pub(crate) fn open(context: &Context) -> Result<Self, Failure> {
        let mut systems = Self { directory: context.directory()?, targets: BTreeMap::new(), closed: Vec::new() };
        for target in context.targets() {
            match context.target_or_fault(target)? {
                Ok(opened) => drop(systems.targets.insert(target.id.clone(), opened)),
                Err(fault) => systems.closed.push((target.id.clone(), fault)),
            }
        }
        match systems.closed.first() {
            Some((target, fault)) if systems.targets.is_empty() => Err(failures::unreadable(target.as_str(), fault)),
            _ => Ok(systems),
        }
    }
}

/// Opens the targets that a plan is for.
pub(crate) fn open_targets(
    context: &Context,
    document: &PlanDocument,
) -> Result<BTreeMap<TargetId, Arc<dyn Target>>, Failure> {
    let concerned = context.targets().filter(|target| document.section(&target.id).is_some());
    concerned.map(|target| Ok((target.id.clone(), context.target(target)?))).collect()
}

/// Reads both sides and plans.
pub(crate) async fn plan(
    context: &Context,
    systems: &Systems,
    store: &dyn Store,
    observer: &dyn Observer,
) -> Result<Planned, Failure> {
    plan_on(context, systems, store, Occasion::Run, observer).await
}

/// The targets that could be opened, to be planned for.
pub(crate) fn target_orders<'a>(context: &'a Context, systems: &'a Systems) -> Vec<TargetOrder<'a>> {
    let order = |target: &'a TargetConfig| {
        let reader = systems.targets.get(&target.id)?;
        Some(TargetOrder { reader: &**reader, policy: &target.policy, limits: &target.limits })
    };
    context.targets().filter_map(order).collect()
}

/// Reads both sides and plans, on an occasion.
pub(crate) async fn plan_on(
    context: &Context,
    systems: &Systems,
    store: &dyn Store,
    occasion: Occasion,
    observer: &dyn Observer,
) -> Result<Planned, Failure> {
    let order = PlanOrder {
        directory: &*systems.directory,
        targets: target_orders(context, systems),
        store,
        node: context.node.clone(),
        run: new_run(),
        version: env!("CARGO_PKG_VERSION").into(),
        config_digest: context.config.digest.clone(),
        call_budget: context.config.call_budget,
        cancel: context.cancel.clone(),
        clock: context.clock.clone(),
        observer,
    };
    let mut planned =
        lockstep_engine::plan_on(order, occasion).await.map_err(|error| failures::run(error, Wrote::Nothing))?;
    planned.unreadable.extend(systems.closed.iter().cloned());
    Ok(planned)
}

/// What of a plan may run now, given these decisions.
pub(crate) async fn approve(
    context: &Context,
    targets: &BTreeMap<TargetId, Arc<dyn Target>>,
    store: &dyn Store,
    document: &PlanDocument,
    approvals: &[Approval],
    plan: &PlanDir,
) -> Result<ApprovedPlan, Failure> {
    let remembered = |error| failures::store(error, Wrote::Nothing);
    let now = context.now();
    let actions: Vec<ActionId> = document.entries.iter().map(|entry| entry.action.id.clone()).collect();
    let journaled = store.journaled(&actions).await.map_err(remembered)?;
    let mut histories: BTreeMap<TargetId, History> = BTreeMap::new();
    for target in &context.config.targets {
        histories.insert(target.id.clone(), store.history(&target.id, now).await.map_err(remembered)?);
    }
    let conditions = context.targets().filter_map(|configured| {
        let fingerprint = &targets.get(&configured.id)?.info().fingerprint;
        let history = histories.get(&configured.id)?;
        let (policy, limits) = (&configured.policy, &configured.limits);
        Some((configured.id.clone(), TargetConditions { fingerprint, policy, limits, history }))
    });
    let lifted = store.lifts().await.map_err(remembered)?.iter().any(|lift| lift.run == document.header.run);
    let targets = conditions.collect();
    let config_digest = &context.config.digest;
    let conditions = Conditions { now, config_digest, journaled: &journaled, lifted, targets };
    lockstep_core::approve(document, approvals, &conditions)
        .map_err(|refusal| failures::refused(&refusal, Some(plan.path())))
}

/// A plan, what of it may run, and what a plan made just now would do, where the plan's own reading is too old.
#[derive(Clone, Copy)]
pub(crate) struct ToApply<'a> {
    pub document: &'a PlanDocument,
    pub approved: &'a ApprovedPlan,
    pub fresh: Option<&'a PlanDocument>,
}

/// Applies what may run. Who was put out since the spool was taken over last is put out now, too; who is put out from
/// here on is asked for before each action that gives anything.
pub(crate) async fn apply(
    context: &Context,
    targets: BTreeMap<TargetId, Arc<dyn Target>>,
    store: &dyn Store,
    what: ToApply<'_>,
    observer: &dyn Observer,
) -> Result<ApplyReport, Failure> {
    housekeeping::absorb_spool(context, store).await?;
    let order = order(context, targets, store, what.fresh, observer);
    let desk = desk(context, store);
    let beside = Beside { desk: &desk, document: Some(what.document) };
    let applied = lockstep_engine::apply_beside(order, what.approved, beside).await;
    applied.map_err(|error| failures::run(error, Wrote::Perhaps))
}

/// Settles what earlier runs, or an emergency, left open: before a plan is made from it.
pub(crate) async fn settle(
    context: &Context,
    targets: &BTreeMap<TargetId, Arc<dyn Target>>,
    store: &dyn Store,
    observer: &dyn Observer,
) -> Result<(), Failure> {
    let open = store.unsettled().await.map_err(|error| failures::store(error, Wrote::Nothing))?;
    let recent = store.runs(20).await.map_err(|error| failures::store(error, Wrote::Nothing))?;
    if open.is_empty() && recent.iter().all(|run| run.state != RunState::Applying) {
        return Ok(());
    }
    let order = order(context, targets.clone(), store, None, observer);
    let desk = desk(context, store);
    let report = lockstep_engine::settle(&order, &desk).await.map_err(|error| failures::run(error, Wrote::Perhaps))?;
    let left = report.targets.values().flat_map(|target| &target.actions).filter(|action| !action.state.is_settled());
    if !open.is_empty() {
        context.terminal.say(&format!("{} actions were open from before; {} still are", open.len(), left.count()));
    }
    Ok(())
}

/// Where offboardings arrive while a run works.
fn desk<'a>(context: &Context, store: &'a dyn Store) -> desk::SpoolDesk<'a> {
    let all = context.config.targets.iter().map(|target| target.id.clone()).collect();
    desk::SpoolDesk::new(housekeeping::folders(context), all, store)
}

fn order<'a>(
    context: &Context,
    targets: BTreeMap<TargetId, Arc<dyn Target>>,
    store: &'a dyn Store,
    fresh: Option<&'a PlanDocument>,
    observer: &'a dyn Observer,
) -> ApplyOrder<'a> {
    ApplyOrder {
        targets,
        limits: context.targets().map(|target| (target.id.clone(), target.limits.clone())).collect(),
        store,
        node: context.node.clone(),
        fresh,
        call_budget: context.config.call_budget,
        cancel: context.cancel.clone(),
        clock: context.clock.clone(),
        observer,
    }
}

/// Whether the reading behind a plan is too old to be believed as it stands.
pub(crate) fn is_old(context: &Context, document: &PlanDocument) -> bool {
    let minutes = document.targets.iter().map(|section| section.limits.snapshot_age_minutes).min().unwrap_or(0);
    let age = context.now().duration_since(document.header.created);
    document.header.directory.is_some() && age > SignedDuration::from_mins(i64::from(minutes))
}

/// A plan is applied whole, so every target of it must be configured and asked for.
pub(crate) fn refuse_narrowed(context: &Context, document: &PlanDocument) -> Result<(), Failure> {
    let asked: BTreeSet<&TargetId> = context.targets().map(|target| &target.id).collect();
    match document.targets.iter().find(|section| !asked.contains(&section.target)) {
        Some(section) if context.narrowed() => {
            Err(Failure::new(Exit::Usage, format!("--target leaves out {}, which this plan is for", section.target))
                .not_done("nothing of this plan was applied")
                .next("apply the plan without --target, or make a smaller one: lockstep plan --target …"))
        }
        _ => Ok(()),
    }
}
