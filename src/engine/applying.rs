//! Applying what was approved, and settling what was left open. Targets go side by side; on each, what only takes
//! access away comes first, so that a run cut short leaves less access than planned, never more.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use lockstep_contract::{Action, Fault, RunId, Subject, TargetId, TargetReader};
use lockstep_core::{ActionState, ApprovedPlan, LaneKind, Link, LinkOrigin, LinkProposal, RunEvent};

use crate::closing::{conclude, finish, pause_interrupted};
use crate::fresh::Fresh;
use crate::fuse::{Breaker, fuse_ceiling};
use crate::judging::{Drift, drift, subject_text};
use crate::layers::Layered;
use crate::lease::leased;
use crate::lifting;
use crate::sending::{Site, action_report};
use crate::{
    ActionReport, ApplyOrder, ApplyReport, Beside, Desk, Epoch, Intent, JournalEntry, LinkChange, NotOurs, Progress,
    RunError, StoreError, TargetReport,
};

/// What there is to do on one target.
#[derive(Default)]
struct Work {
    revoke: Vec<Action>,
    stage: Vec<Action>,
}

impl Work {
    fn len(&self) -> u64 {
        (self.revoke.len() + self.stage.len()) as u64
    }
}

/// Applies an approved plan: settles what is open from before, then carries out each action, reads it back, and records
/// it. One target's trouble does not stop the others.
///
/// # Errors
/// When the lease is held by somebody else, the memory fails, the plan is not one that was made here, or the run cannot
/// be applied in its state. Whatever was sent by then is in the journal.
pub async fn apply(order: ApplyOrder<'_>, plan: &ApprovedPlan) -> Result<ApplyReport, RunError> {
    apply_beside(order, plan, Beside::default()).await
}

/// As [`apply`], with an eye on what else is known: offboardings that arrive meanwhile, and what guards said.
///
/// # Errors
/// As [`apply`].
pub async fn apply_beside(
    order: ApplyOrder<'_>,
    plan: &ApprovedPlan,
    beside: Beside<'_>,
) -> Result<ApplyReport, RunError> {
    let order = &order;
    leased(order.store, &order.node, &order.clock, |epoch| async move {
        made_here(order, plan).await?;
        apply_leased(order, plan, beside, epoch).await
    })
    .await
}

/// The digest in a plan proves that the file is whole; only the memory knows which plan this run made.
async fn made_here(order: &ApplyOrder<'_>, plan: &ApprovedPlan) -> Result<(), RunError> {
    match order.store.run(plan.run()).await? {
        None => Err(RunError::NotOurs(NotOurs::Unknown(plan.run()))),
        Some(record) if record.plan.as_deref() != Some(plan.digest()) => {
            Err(RunError::NotOurs(NotOurs::Altered(plan.run())))
        }
        Some(_) => Ok(()),
    }
}

/// Settles every action that is open, whatever run it is from: reads it back, and sends it again where that is right.
/// What gives anything is sent again only of a return by name, and never to somebody whom the desk has put out since.
///
/// # Errors
/// When the lease is held by somebody else, or the memory fails.
pub async fn settle(order: &ApplyOrder<'_>, desk: &dyn Desk) -> Result<ApplyReport, RunError> {
    leased(order.store, &order.node, &order.clock, |epoch| async move {
        let open = order.store.unsettled().await?;
        let beside = Beside { desk, document: None };
        let sites = sites((order, beside), epoch, &BTreeMap::new(), &BTreeMap::new(), &open).await?;
        let run = open.last().map_or_else(|| RunId::new(uuid::Uuid::nil()), |entry| entry.intent.run);
        let mut targets = BTreeMap::new();
        for (target, reports) in settle_all(&sites, &open).await? {
            let stopped = sites.get(&target).map_or_else(|| Some(not_there(&target)), why_stopped);
            let actions = reports.into_iter().map(|(_, report)| report).collect();
            targets.insert(target, TargetReport { actions, stopped });
        }
        pause_interrupted(order, epoch).await?;
        Ok(ApplyReport { run, targets })
    })
    .await
}

async fn apply_leased(
    order: &ApplyOrder<'_>,
    plan: &ApprovedPlan,
    beside: Beside<'_>,
    epoch: Epoch,
) -> Result<ApplyReport, RunError> {
    let mut work = work_of(plan);
    let open = order.store.unsettled().await?;
    let fresh =
        order.fresh.map(|document| Fresh::new(document, beside.document.filter(|of| of.digest == plan.digest())));
    let fresh = fresh.as_ref();
    let links = fresh.map_or_else(|| plan.links().clone(), |fresh| fresh.links(plan.links()));
    let mut sites = sites((order, beside), epoch, &work, &links, &open).await?;
    let settled = settle_all(&sites, &open).await?;
    let begins = !plan.is_empty() || plan.lift().is_some() || links.values().any(|links| !links.is_empty());
    lifting::refuse_stale((order, beside), plan).await?;
    if begins {
        begin(order, plan, epoch).await?;
    }
    if plan.lift().is_some() {
        lifting::lift(order, plan, epoch).await?;
        for site in sites.values_mut() {
            site.look_at_holds().await?;
        }
    }
    record_links(order, &links, epoch).await?;
    for (target, _) in links.iter().filter(|(_, links)| !links.is_empty()) {
        if let Some(site) = sites.get_mut(target) {
            site.links = order.store.links(target).await?;
        }
    }
    for entry in order.store.journal(plan.run()).await? {
        if let (Some(site), Some(after)) = (sites.get(&entry.intent.action.target), &entry.after)
            && entry.state == ActionState::Verified
        {
            site.remember_ours(after);
        }
    }

    let mut targets = BTreeMap::new();
    if let Some(fresh) = fresh {
        work.retain(|target, work| {
            let read = fresh.has_read(target);
            if !read {
                targets.insert(target.clone(), untouched(work, &unread(target)));
            }
            read
        });
    }
    let running = sites.values().filter_map(|site| Some((site, work.remove(&site.id)?)));
    for done in join_all(running.map(|(site, work)| apply_to(site, plan.run(), work, fresh))).await {
        let (target, report) = done?;
        targets.insert(target, report);
    }
    for (target, work) in work {
        targets.insert(target.clone(), untouched(&work, &not_there(&target)));
    }
    for (target, reports) in settled {
        let of_this_run = reports.into_iter().filter(|(run, _)| *run == plan.run()).map(|(_, report)| report);
        let mut before: Vec<_> = of_this_run.collect();
        if !before.is_empty() {
            let report: &mut TargetReport = targets.entry(target).or_default();
            before.append(&mut report.actions);
            report.actions = before;
        }
    }
    let report = ApplyReport { run: plan.run(), targets };
    conclude((order, beside), plan, epoch, &report).await?;
    if begins {
        finish(order, plan, epoch, &report).await?;
    }
    Ok(report)
}

fn work_of(plan: &ApprovedPlan) -> BTreeMap<TargetId, Work> {
    let mut work: BTreeMap<TargetId, Work> = BTreeMap::new();
    for lane in plan.revoke() {
        let actions = lane.actions().iter().map(Action::to_steps);
        work.entry(lane.target().clone()).or_default().revoke.extend(actions);
    }
    for lane in plan.stage() {
        work.entry(lane.target().clone()).or_default().stage.extend(lane.actions().iter().cloned());
    }
    work.retain(|_, work| work.len() > 0);
    work
}

/// Opens what is needed to work on each target that has anything to do.
async fn sites<'a>(
    (order, beside): (&'a ApplyOrder<'a>, Beside<'a>),
    epoch: Epoch,
    work: &BTreeMap<TargetId, Work>,
    proposed: &BTreeMap<TargetId, Vec<LinkProposal>>,
    open: &[JournalEntry],
) -> Result<BTreeMap<TargetId, Site<'a>>, StoreError> {
    let concerned = |id: &TargetId| work.contains_key(id) || open.iter().any(|e| e.intent.action.target == *id);
    let mut sites = BTreeMap::new();
    for (id, target) in order.targets.iter().filter(|(id, _)| concerned(id)) {
        let links = order.store.links(id).await?;
        let fuse = order.store.fuse(id, (order.clock)()).await?;
        let managed = links.len() + proposed.get(id).map_or(0, Vec::len);
        let limits = order.limits.get(id).cloned().unwrap_or_default();
        let breaker = Breaker::new(fuse, fuse_ceiling(&limits, managed as u64));
        let mut site = Site::new((order, beside.desk), epoch, Layered::new(target.clone()), breaker, links);
        site.look_at_holds().await?;
        let left_open = open.iter().filter(|entry| entry.intent.action.target == *id).count();
        site.total = work.get(id).map_or(0, Work::len) + left_open as u64;
        sites.insert(id.clone(), site);
    }
    Ok(sites)
}

type Settlings = BTreeMap<TargetId, Vec<(RunId, ActionReport)>>;

/// Settles everything open, targets side by side, each in the order of intent.
async fn settle_all(sites: &BTreeMap<TargetId, Site<'_>>, open: &[JournalEntry]) -> Result<Settlings, StoreError> {
    let mut by_target: BTreeMap<&TargetId, Vec<&JournalEntry>> = BTreeMap::new();
    for entry in open {
        by_target.entry(&entry.intent.action.target).or_default().push(entry);
    }
    let each = by_target.into_iter().map(|(target, entries)| async move {
        let mut reports = Vec::with_capacity(entries.len());
        for entry in entries {
            let report = match sites.get(target) {
                Some(site) => site.settle(entry).await?,
                None => action_report(&entry.intent.action, entry.state, not_there(target)),
            };
            reports.push((entry.intent.run, report));
        }
        Ok::<_, StoreError>((target.clone(), reports))
    });
    join_all(each).await.into_iter().collect()
}

fn not_there(target: &TargetId) -> String {
    format!("target {target} is not configured, or could not be opened; nothing was sent to it")
}

fn unread(target: &TargetId) -> String {
    format!("target {target} could not be read again just now, and the plan's own reading is too old; nothing was sent")
}

fn untouched(work: &Work, why: &str) -> TargetReport {
    let all = work.revoke.iter().chain(&work.stage);
    let actions = all.map(|action| action_report(action, ActionState::Pending, why)).collect();
    TargetReport { actions, stopped: Some(why.to_owned()) }
}

fn why_stopped(site: &Site<'_>) -> Option<String> {
    site.stopped().or_else(|| site.breaker.open())
}

async fn begin(order: &ApplyOrder<'_>, plan: &ApprovedPlan, epoch: Epoch) -> Result<(), StoreError> {
    let now = (order.clock)();
    let summary = format!("{} actions to apply", plan.len());
    order.store.advance(epoch, plan.run(), RunEvent::Apply, &summary, now).await?;
    Ok(())
}

/// Who is who was approved with the plan, and is true whatever becomes of its actions: it is recorded first, so that an
/// interrupted run knows its people.
async fn record_links(
    order: &ApplyOrder<'_>,
    links: &BTreeMap<TargetId, Vec<LinkProposal>>,
    epoch: Epoch,
) -> Result<(), StoreError> {
    let now = (order.clock)();
    for (target, proposals) in links {
        let changes: Vec<_> = proposals
            .iter()
            .map(|proposal| {
                LinkChange::Add(Link {
                    person: proposal.person.clone(),
                    cardholder: proposal.cardholder.clone(),
                    origin: LinkOrigin::Matched(proposal.key.kind()),
                    since: now,
                    keys: proposal.keys.clone(),
                    suspended_by: None,
                })
            })
            .collect();
        if !changes.is_empty() {
            order.store.link(epoch, target, &changes).await?;
        }
    }
    Ok(())
}

/// How many actions are in progress at once. There are more of them than requests: while some wait for our disk, the
/// others keep the PACS busy, and whatever waits for the disk together is one write. The number grows while all goes
/// well, and falls back at the first trouble, so that little is on its way when a target has to be stopped.
struct Pace {
    usual: usize,
    at_once: usize,
}

impl Pace {
    const MOST: usize = 32;

    fn new(in_flight_max: NonZeroU32) -> Self {
        // A PACS that bears one request at a time gets one action at a time.
        let usual = match in_flight_max.get() as usize {
            1 => 1,
            requests => requests.saturating_mul(2),
        };
        Self { usual, at_once: usual }
    }

    fn after(&mut self, state: ActionState) {
        self.at_once = match state {
            ActionState::Verified if self.usual > 1 => (self.at_once + 1).min(Self::MOST.max(self.usual)),
            _ => self.usual,
        };
    }
}

async fn apply_to(
    site: &Site<'_>,
    run: RunId,
    work: Work,
    fresh: Option<&Fresh<'_>>,
) -> Result<(TargetId, TargetReport), StoreError> {
    let total = work.len();
    let mut reports = Vec::with_capacity(total as usize);
    for (lane, actions) in [(LaneKind::Revoke, work.revoke), (LaneKind::Stage, work.stage)] {
        let first = reports.len();
        let mut waiting = actions.into_iter().enumerate();
        let mut running = FuturesUnordered::new();
        let mut pace = Pace::new(site.target.info().capabilities.in_flight_max);
        loop {
            while running.len() < pace.at_once
                && let Some((at, action)) = waiting.next()
            {
                running.push(async move { (first + at, one(site, run, lane, action, fresh).await) });
            }
            let Some((at, report)) = running.next().await else { break };
            let report = report?;
            pace.after(report.state);
            reports.push((at, report));
            let done = reports.len() as u64;
            site.order.observer.progress(Progress::Applying { target: site.id.clone(), done, total });
        }
    }
    reports.sort_by_key(|(at, _)| *at);
    let actions = reports.into_iter().map(|(_, report)| report).collect();
    Ok((site.id.clone(), TargetReport { actions, stopped: why_stopped(site) }))
}

/// One action, from the last look before it to the first look after it.
async fn one(
    site: &Site<'_>,
    run: RunId,
    lane: LaneKind,
    action: Action,
    fresh: Option<&Fresh<'_>>,
) -> Result<ActionReport, StoreError> {
    let withdrawn = |detail: &str| Ok(action_report(&action, ActionState::Withdrawn, detail));
    if let Some(why) = site.stopped() {
        return Ok(action_report(&action, ActionState::Pending, why));
    }
    if site.is_open(&action.subject) {
        return withdrawn("an earlier action on this record is not settled yet");
    }
    if let Some(why) = fresh.and_then(|fresh| fresh.why_not(&action)) {
        return withdrawn(why);
    }
    let before = match last_look(site, run, &action).await {
        Ok(LastLook::Free) => None,
        Ok(LastLook::Record(record)) => Some(*record),
        Ok(LastLook::Withdraw(why)) => return withdrawn(why),
        Err(fault) => {
            let detail = format!("not sent, since the record could not be read first: {fault}");
            site.failed(Some(fault.kind), &format!("{}: {fault}", subject_text(&action.subject)));
            return Ok(action_report(&action, ActionState::Pending, detail));
        }
    };
    if let Some(why) = site.held_out(&action, before.as_ref()).await {
        return withdrawn(&why);
    }
    let adapted = match before.as_ref().map(|now| drift(&action, now, &site.links, &site.ours(&now.id))) {
        None | Some(Drift::None) => action.clone(),
        Some(Drift::Leaver(adapted)) => *adapted,
        Some(Drift::Withdraw(why)) => return withdrawn(why),
    };
    if let Some(why) = site.ask_fuse(&adapted).await? {
        return withdrawn(&why);
    }
    let at = (site.order.clock)();
    site.drive(Intent { run, lane, action: adapted, before, at }, 0).await
}

/// What the last look before an action shows.
enum LastLook {
    /// Nobody has the key of the new record.
    Free,
    /// The record.
    Record(Box<lockstep_contract::Cardholder>),
    /// Not what was planned for.
    Withdraw(&'static str),
}

async fn last_look(site: &Site<'_>, run: RunId, action: &Action) -> Result<LastLook, Fault> {
    let cx = site.cx(run);
    Ok(match &action.subject {
        Subject::Existing(id) => match site.target.read(&cx, id).await? {
            Some(record) => LastLook::Record(Box::new(record)),
            None => LastLook::Withdraw("the record is gone from the PACS"),
        },
        Subject::New(key) if site.target.find(&cx, key).await?.is_empty() => LastLook::Free,
        Subject::New(_) => LastLook::Withdraw("a record with this key is there meanwhile; plan again"),
    })
}
