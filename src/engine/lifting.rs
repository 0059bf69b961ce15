//! Lifting the holds that an approved plan names, before anything that rests on their end. A newer offboarding of the same
//! person always wins.

use std::collections::BTreeSet;

use lockstep_contract::TargetId;
use lockstep_core::{ApprovedPlan, Lift};

use crate::{ApplyOrder, Beside, Epoch, NotLifted, RunError, StoreError};

/// Refuses a plan whose lift is not right any more, before anything of it is begun.
pub(crate) async fn refuse_stale(
    (order, beside): (&ApplyOrder<'_>, Beside<'_>),
    plan: &ApprovedPlan,
) -> Result<(), RunError> {
    let Some(lift) = plan.lift() else { return Ok(()) };
    lifted_before(order, lift).await?;
    refuse_newer((order, beside), lift).await
}

/// Lifts what the plan lifts. Done twice by one plan it is done once.
pub(crate) async fn lift(order: &ApplyOrder<'_>, plan: &ApprovedPlan, epoch: Epoch) -> Result<(), StoreError> {
    match plan.lift() {
        Some(lift) => order.store.lift(epoch, lift).await,
        None => Ok(()),
    }
}

async fn lifted_before(order: &ApplyOrder<'_>, lift: &Lift) -> Result<(), RunError> {
    let before = order.store.lifts().await?;
    match before.iter().find(|one| one.run != lift.run && lift.what.holds.iter().any(|held| one.lifted(&held.hold))) {
        Some(one) => Err(RunError::NotLifted(NotLifted::Before { who: lift.what.who.clone(), run: one.run })),
        None => Ok(()),
    }
}

/// Asks the memory and the desk, for each target that is known or that the person has a record on.
async fn refuse_newer((order, beside): (&ApplyOrder<'_>, Beside<'_>), lift: &Lift) -> Result<(), RunError> {
    let what = &lift.what;
    let lifts = order.store.lifts().await?;
    let known = order.targets.keys().chain(order.limits.keys());
    let targets: BTreeSet<&TargetId> = known.chain(what.records.keys()).chain(&what.left_out).collect();
    for target in targets {
        let known = order.store.holds(target).await?;
        let unknown = |why| RunError::NotLifted(NotLifted::Unknown { who: what.who.clone(), why });
        let mut arriving = (*beside.desk.holds(target).await.map_err(unknown)?).clone();
        arriving.0.retain(|hold| !lifts.iter().any(|lift| lift.lifted(&hold.id)));
        if let Some(hold) = what.newer(target, &known).or_else(|| what.newer(target, &arriving)) {
            let (who, by, since) = (what.who.clone(), hold.by.clone(), hold.since);
            return Err(RunError::NotLifted(NotLifted::PutOutAgain { who, by, since }));
        }
    }
    Ok(())
}
