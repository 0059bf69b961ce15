//! Planning a run: read both sides whole, look the absent up, plan and guard each target, and remember what was seen.
//!
//! Nothing here holds a write capability, and nothing is planned from a reading that was not whole.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use futures::future::join3;
use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{Cx, Directory, Fault, FaultKind, PersonId, RunId, Scope, ServerMark, TargetId};
use lockstep_core::{
    Code, DirectorySnapshot, Guarded, Header, Inputs, Links, Looked, Occasion, PLAN_FORMAT, PlanDocument, RunEvent,
    RunState, TargetSnapshot, Trip, absentees, guard,
};

use crate::layers::Way;
use crate::lease::leased;
use crate::{
    Epoch, Observation, PlanOrder, RunError, RunKind, RunRecord, Store, StoreError, TargetOrder, layers, reading,
};

/// So many targets are read at one time, at most: each reading is held in memory until its target is planned.
const TARGETS_AT_ONCE: usize = 2;
/// More than this between our clock and the directory's is worth a warning (S13).
const SKEW_MAX: SignedDuration = SignedDuration::from_mins(5);

/// A plan, and the targets that it says nothing about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The plan for every target that could be read.
    pub document: PlanDocument,
    /// Targets that could not be read whole. Nothing was planned for them.
    pub unreadable: Vec<(TargetId, Fault)>,
}

/// Reads, plans, guards, and remembers the run.
///
/// # Errors
/// When the directory, or every target, could not be read whole; when another server answered for the directory; when
/// the memory failed; and when the run was asked to stop. Nothing is planned then.
pub async fn plan(order: PlanOrder<'_>) -> Result<Planned, RunError> {
    plan_on(order, Occasion::Run).await
}

/// As [`plan`], on this occasion.
///
/// # Errors
/// As [`plan`].
pub async fn plan_on(order: PlanOrder<'_>, occasion: Occasion) -> Result<Planned, RunError> {
    let order = &order;
    leased(order.store, &order.node, &order.clock, |epoch| run(order, occasion, epoch)).await
}

async fn run(order: &PlanOrder<'_>, occasion: Occasion, epoch: Epoch) -> Result<Planned, RunError> {
    let began = (order.clock)();
    let record = RunRecord {
        run: order.run,
        kind: RunKind::Plan,
        state: RunState::Reading,
        began,
        changed: began,
        plan: None,
        summary: String::new(),
    };
    order.store.begin(epoch, &record).await?;
    match read_and_plan(order, occasion, epoch, began).await {
        Ok(planned) => {
            finish(order, epoch, &planned).await?;
            Ok(planned)
        }
        Err(error) => {
            let summary = error.to_string();
            let abandoned = order.store.advance(epoch, order.run, RunEvent::Abandon, &summary, (order.clock)()).await;
            if let Err(second) = abandoned {
                tracing::warn!(error = %second, "the end of the run could not be recorded");
            }
            Err(error)
        }
    }
}

async fn finish(order: &PlanOrder<'_>, epoch: Epoch, planned: &Planned) -> Result<(), StoreError> {
    let document = &planned.document;
    let tally = document.tally();
    let held = document.held();
    let nothing = document.entries.is_empty() && document.targets.iter().all(|target| target.links.is_empty());
    let event = if nothing { RunEvent::Close } else { RunEvent::Stage };
    let summary = format!(
        "{} to provision, {} to change, {} to disable, {held} held, {} undecided",
        tally.provision, tally.change, tally.disable, tally.undecided
    );
    order.store.set_plan(epoch, order.run, &document.digest).await?;
    order.store.advance(epoch, order.run, event, &summary, (order.clock)()).await?;
    Ok(())
}

async fn read_and_plan(
    order: &PlanOrder<'_>,
    occasion: Occasion,
    epoch: Epoch,
    now: Timestamp,
) -> Result<Planned, RunError> {
    let cx = Cx { run: Some(order.run), budget: order.call_budget, cancel: order.cancel.clone() };
    let mark = server_mark(order.directory, order.store, &cx, now).await?;
    let each: Vec<_> = order.targets.iter().map(|target| reading::target(target.reader, &cx, order.observer)).collect();
    let mut reads = futures::stream::iter(each).buffered(TARGETS_AT_ONCE);
    let (people, mut read, first) = join3(read_people(order, &cx), reads.next(), first_links(order)).await;
    let (people, mut first) = (people?, first?);
    if let Some(mark) = mark {
        remember_mark(order, epoch, &mark).await?;
    }
    let absent = absent(order, &people, first.as_ref()).await?;
    let looked = reading::look_up(order.directory, &cx, absent, order.observer).await;

    let (mut guarded, mut unreadable) = (Vec::new(), Vec::new());
    for target in &order.targets {
        if order.cancel.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        let id = target.reader.info().id.clone();
        match read.take() {
            Some(Ok(cardholders)) => {
                let links = match first.take() {
                    Some(links) => links,
                    None => order.store.links(&id).await?,
                };
                let judged = judge(order, target, (&people, &cardholders, &looked), links, (occasion, now)).await?;
                drop(cardholders);
                order.store.observe(epoch, &id, &observation(&judged, order.run), now).await?;
                guarded.push((target.reader.info().clone(), judged));
            }
            Some(Err(fault)) => unreadable.push((id, fault)),
            None => {}
        }
        first = None;
        read = reads.next().await;
    }
    if order.cancel.is_cancelled() {
        return Err(RunError::Cancelled);
    }
    if guarded.is_empty()
        && let Some((target, fault)) = unreadable.first().cloned()
    {
        return Err(RunError::Unreadable { system: target.to_string(), fault });
    }
    Ok(Planned { document: PlanDocument::build(header(order, occasion, now), guarded), unreadable })
}

/// The links of the target that is planned first.
async fn first_links(order: &PlanOrder<'_>) -> Result<Option<Links>, StoreError> {
    match order.targets.first() {
        Some(target) => order.store.links(&target.reader.info().id).await.map(Some),
        None => Ok(None),
    }
}

/// Linked people who are not in the reading. The links of all targets but the first are read again when their target is
/// planned: held for all targets at once they would be the largest thing in memory.
async fn absent(
    order: &PlanOrder<'_>,
    people: &DirectorySnapshot,
    first: Option<&Links>,
) -> Result<BTreeSet<PersonId>, StoreError> {
    let mut absent: BTreeSet<PersonId> = first.map(|links| absentees(people, links)).into_iter().flatten().collect();
    for target in order.targets.iter().skip(1) {
        let links = order.store.links(&target.reader.info().id).await?;
        absent.extend(absentees(people, &links));
    }
    Ok(absent)
}

async fn read_people(order: &PlanOrder<'_>, cx: &Cx) -> Result<DirectorySnapshot, RunError> {
    let groups = order.targets.iter().flat_map(|target| target.policy.groups()).collect();
    let fields = order.targets.iter().flat_map(|target| target.policy.fields()).collect();
    let scope = Scope { fields };
    let read = reading::directory(order.directory, cx, &scope, &groups, order.observer).await;
    read.map_err(|fault| unreadable_directory(order.directory, fault))
}

pub(crate) fn unreadable_directory(directory: &dyn Directory, fault: Fault) -> RunError {
    match fault.kind {
        FaultKind::Cancelled => RunError::Cancelled,
        _ => RunError::Unreadable { system: directory.info().id.to_string(), fault },
    }
}

/// The names under which marks are remembered: the directory as a whole, and each replica for itself.
fn mark_names(directory: &dyn Directory, mark: &ServerMark) -> Vec<String> {
    let directory = &directory.info().id;
    let replica = mark.replica.as_ref().map(|replica| format!("{directory}#{replica}"));
    std::iter::once(directory.to_string()).chain(replica).collect()
}

/// Which server answers; none where that cannot be told.
///
/// # Errors
/// When it is another one than before, or one that went back.
pub(crate) async fn server_mark(
    directory: &dyn Directory,
    store: &dyn Store,
    cx: &Cx,
    now: Timestamp,
) -> Result<Option<ServerMark>, RunError> {
    let info = directory.info();
    let health = layers::read(cx, Way::to(info.id.as_str()), "ask which server this is", || directory.probe(cx));
    let Some(mark) = health.await.map_err(|fault| unreadable_directory(directory, fault))?.server else {
        return Ok(None);
    };
    for name in mark_names(directory, &mark) {
        if let Some(before) = store.server_mark(&name).await?
            && let Some(detail) = reading::other_server(&before, &mark)
        {
            return Err(RunError::OtherServer { directory: info.id.clone(), detail });
        }
    }
    if let Some(clock) = mark.clock
        && clock.duration_since(now).abs() > SKEW_MAX
    {
        tracing::warn!(directory = %info.id, %clock, %now, "the clocks of the directory and of this machine disagree");
    }
    Ok(Some(mark))
}

async fn remember_mark(order: &PlanOrder<'_>, epoch: Epoch, mark: &ServerMark) -> Result<(), StoreError> {
    for name in mark_names(order.directory, mark) {
        order.store.mark_server(epoch, &name, mark).await?;
    }
    Ok(())
}

async fn judge(
    order: &PlanOrder<'_>,
    target: &TargetOrder<'_>,
    (people, cardholders, looked): (&DirectorySnapshot, &TargetSnapshot, &BTreeMap<PersonId, Looked>),
    links: Links,
    (occasion, now): (Occasion, Timestamp),
) -> Result<Guarded, StoreError> {
    let info = target.reader.info();
    let holds = order.store.holds(&info.id).await?;
    let history = order.store.history(&info.id, now).await?;
    let draft = lockstep_core::plan(Inputs {
        target: info,
        people,
        cardholders,
        links: &links,
        holds: &holds,
        looked,
        policy: target.policy,
        run: order.run,
        now,
    });
    drop(links);
    Ok(guard(draft.on(occasion), target.policy, target.limits, &history))
}

/// True when this trip is about a drop in what was counted.
pub(crate) fn disputes(trip: &Trip) -> bool {
    match trip.code {
        Code::SourceShrank | Code::NobodyLeft | Code::Evidence => true,
        Code::GroupShrank | Code::LevelShrank => !trip.holds.is_empty(),
        _ => false,
    }
}

/// The counts of this reading. Where a guard objected to a drop, they are disputed: compared with the next time, they
/// would make the same drop look normal.
fn observation(judged: &Guarded, run: RunId) -> Observation {
    let facts = judged.draft().facts();
    let disputed = judged.trips().iter().any(disputes);
    Observation {
        run: Some(run),
        people: facts.people_active,
        groups: facts.groups.iter().filter_map(|(group, members)| Some((group.clone(), (*members)?))).collect(),
        levels: facts.levels.iter().map(|(level, facts)| (level.clone(), facts.holders)).collect(),
        cardholders: facts.cardholders,
        managed: Some(facts.managed),
        disputed,
    }
}

fn header(order: &PlanOrder<'_>, occasion: Occasion, now: Timestamp) -> Header {
    let hours = order.targets.iter().map(|target| target.limits.plan_age_hours).min().unwrap_or(24);
    Header {
        format: PLAN_FORMAT.to_owned(),
        run: order.run,
        created: now,
        expires: now.saturating_add(SignedDuration::from_hours(i64::from(hours))).unwrap_or(Timestamp::MAX),
        version: order.version.clone(),
        directory: Some(order.directory.info().id.clone()),
        config_digest: order.config_digest.clone(),
        by: None,
        occasion,
        reinstate: None,
    }
}
