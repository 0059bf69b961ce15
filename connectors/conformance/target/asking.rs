//! What the laws of a target share: a fresh system, an action for it, and the truth about a record. This module must
//! not judge.

use lockstep_contract::{
    AccessLevelId, Action, ActionId, Cardholder, CardholderId, Expectation, Reason, RunId, Situation, Status, Step,
    Steps, Subject,
};

use crate::bed::{TargetBed, TargetRig, Trouble};
use crate::law::{Stop, broken, skip};
use crate::reading::cx;
use crate::seed::Seed;

/// A fresh system with the standard records.
pub(super) async fn fresh(bed: &dyn TargetBed) -> Result<Box<dyn TargetRig>, Stop> {
    let rig = bed.fresh(&Seed::standard()).await.or_else(|why| broken(format!("the bed made no system: {why}")))?;
    if rig.cardholders().len() != Seed::CARDHOLDERS {
        return broken(format!("the bed made {} cardholders of {}", rig.cardholders().len(), Seed::CARDHOLDERS));
    }
    Ok(rig)
}

/// A fresh system, if its bed can bring this trouble about.
pub(super) async fn fresh_for(bed: &dyn TargetBed, trouble: Trouble) -> Result<Box<dyn TargetRig>, Stop> {
    match bed.cannot(trouble) {
        Some(why) => skip(why),
        None => fresh(bed).await,
    }
}

/// Brings the trouble about.
pub(super) async fn begin(rig: &dyn TargetRig, trouble: Trouble) -> Result<(), Stop> {
    rig.trouble(trouble).await.or_else(|why| broken(format!("the bed did not bring about {trouble}: {why}")))
}

/// A seeded cardholder by its place in the seed.
pub(super) fn holder(rig: &dyn TargetRig, nth: usize) -> Result<CardholderId, Stop> {
    rig.cardholders().get(nth).cloned().ok_or_else(|| Stop::Broken(format!("the bed has no cardholder {nth}")))
}

/// A seeded level by its place in the seed.
pub(super) fn level(rig: &dyn TargetRig, nth: usize) -> Result<AccessLevelId, Stop> {
    rig.levels().get(nth).cloned().ok_or_else(|| Stop::Skip(format!("the system has no access level {nth}")))
}

/// An action on an existing record.
pub(super) fn action_on(rig: &dyn TargetRig, id: &CardholderId, steps: Vec<Step>) -> Result<Action, Stop> {
    action(rig, Subject::Existing(id.clone()), steps)
}

/// An action. Its id follows from its content, so the same one twice is the same action.
pub(super) fn action(rig: &dyn TargetRig, subject: Subject, steps: Vec<Step>) -> Result<Action, Stop> {
    let steps = Steps::new(steps).ok_or_else(|| Stop::Broken("the suite made an action without steps".into()))?;
    let run = RunId::new(uuid::Uuid::from_u128(0xc0f0_0000_0000_7000_8000_0000_0000_0001));
    let target = rig.target().info().id.clone();
    Ok(Action {
        id: ActionId::of(run, &target, &subject, &steps),
        target,
        subject,
        person: None,
        steps,
        basis: None,
        expect: Expectation::default(),
        because: Reason { situation: Situation::Confirmed, why: Vec::new() },
    })
}

/// A record as the system itself has it, if there is a way to see that; else as the connector reads it.
pub(super) async fn truth(rig: &dyn TargetRig, id: &CardholderId) -> Result<Option<Cardholder>, Stop> {
    match rig.raw(id).await {
        Some(Ok(record)) => Ok(record),
        Some(Err(why)) => broken(format!("the bed cannot see record `{id}`: {why}")),
        None => Ok(rig.target().read(&cx(), id).await?),
    }
}

/// A record that must be there.
pub(super) async fn present(rig: &dyn TargetRig, id: &CardholderId) -> Result<Cardholder, Stop> {
    truth(rig, id).await?.ok_or_else(|| Stop::Broken(format!("record `{id}` is gone; no action may delete one")))
}

/// What is seen both by the connector and, where there is a way, in the system itself.
pub(super) async fn both_views(rig: &dyn TargetRig, id: &CardholderId) -> Result<Vec<Cardholder>, Stop> {
    let Some(read) = rig.target().read(&cx(), id).await? else {
        return broken(format!("record `{id}` was just written, and cannot be read"));
    };
    Ok(vec![read, present(rig, id).await?])
}

/// How much a status opens: what cannot be told counts as open.
pub(super) fn is_suspended(record: &Cardholder) -> bool {
    record.status == Status::Suspended
}
