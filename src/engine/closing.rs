//! The end of a run: what it leaves in the memory, and whether somebody may go on with it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use lockstep_contract::{ActionId, TargetId};
use lockstep_core::{ActionState, ApprovedPlan, EntryState, LeftBecause, PlanDocument, RunEvent, RunState};

use crate::planning::disputes;
use crate::{ApplyOrder, ApplyReport, Beside, Epoch, StoreError};

/// So many of the last runs are looked at for one that was interrupted.
const RUNS_LOOKED_AT: u32 = 50;

/// A run that died while it applied says so for ever. Under our lease nobody else is at it: once nothing of it is open,
/// it is paused, since what of its plan was never begun cannot be told from the journal.
pub(crate) async fn pause_interrupted(order: &ApplyOrder<'_>, epoch: Epoch) -> Result<(), StoreError> {
    let open: BTreeSet<_> = order.store.unsettled().await?.into_iter().map(|entry| entry.intent.run).collect();
    for record in order.store.runs(RUNS_LOOKED_AT).await? {
        if record.state == RunState::Applying && !open.contains(&record.run) {
            let verified = order.store.settled(record.run).await?.len();
            let summary = format!("interrupted; {verified} verified, nothing is open");
            order.store.advance(epoch, record.run, RunEvent::Pause, &summary, (order.clock)()).await?;
        }
    }
    Ok(())
}

/// Remembers the policies that were agreed to (the core says which) on every target that was gone through, and accepts
/// the disputed counts of this plan's own reading where named persons let through what they held.
pub(crate) async fn conclude(
    (order, beside): (&ApplyOrder<'_>, Beside<'_>),
    plan: &ApprovedPlan,
    epoch: Epoch,
    report: &ApplyReport,
) -> Result<(), StoreError> {
    let now = (order.clock)();
    for (target, digest) in plan.policies() {
        if report.targets.get(target).is_some_and(|done| done.stopped.is_some())
            || order.fresh.is_some_and(|fresh| fresh.section(target).is_none())
        {
            continue;
        }
        order.store.applied_policy(epoch, target, digest, now).await?;
        if beside.document.is_some_and(|document| let_through(document, plan, target)) {
            order.store.accept(epoch, target, plan.run(), now).await?;
        }
    }
    Ok(())
}

/// True when every guard that objected to a drop in the counts held something, and named persons let all of it through.
/// A drop about which nobody was asked anything is not agreed to by anybody.
fn let_through(document: &PlanDocument, plan: &ApprovedPlan, target: &TargetId) -> bool {
    let Some(section) = document.section(target).filter(|_| document.digest == plan.digest()) else { return false };
    // What ran before ran with the same yes.
    let not: BTreeSet<&ActionId> =
        plan.left().iter().filter(|left| left.because != LeftBecause::Journaled).map(|left| &left.action).collect();
    section.trips.iter().enumerate().filter(|(_, trip)| disputes(trip)).all(|(index, _)| {
        let held_by = |state: &EntryState| matches!(state, EntryState::Held { trips } if trips.contains(&index));
        let mut held = document.entries.iter().filter(|e| e.action.target == *target && held_by(&e.state)).peekable();
        held.peek().is_some() && held.all(|entry| !not.contains(&entry.action.id))
    })
}

/// How many actions of the plan still wait for somebody.
fn waiting(plan: &ApprovedPlan) -> usize {
    let waits = |because: LeftBecause| matches!(because, LeftBecause::NotApproved | LeftBecause::Held);
    plan.left().iter().filter(|left| waits(left.because)).count()
}

/// Closes the run when all of it is settled; a run that somebody may go on with stays open.
pub(crate) async fn finish(
    order: &ApplyOrder<'_>,
    plan: &ApprovedPlan,
    epoch: Epoch,
    report: &ApplyReport,
) -> Result<(), StoreError> {
    let total: usize = report.targets.values().map(|target| target.actions.len()).sum();
    let verified = report.count(ActionState::Verified);
    let waiting = waiting(plan);
    let settled = report
        .targets
        .values()
        .all(|target| target.stopped.is_none() && target.actions.iter().all(|action| action.state.is_settled()));
    let event = if settled && waiting == 0 { RunEvent::Close } else { RunEvent::Pause };
    let mut summary = format!("{verified} of {total} verified");
    for (state, word) in [
        (ActionState::Refused, "refused"),
        (ActionState::Diverged, "diverged"),
        (ActionState::Withdrawn, "withdrawn"),
        (ActionState::Uncertain, "uncertain"),
        (ActionState::Pending, "not sent"),
    ] {
        let count = report.count(state);
        if count > 0 {
            let _ = write!(summary, ", {count} {word}"); // writing to a String cannot fail
        }
    }
    if waiting > 0 {
        let _ = write!(summary, ", {waiting} wait for approval");
    }
    order.store.advance(epoch, plan.run(), event, &summary, (order.clock)()).await?;
    Ok(())
}
