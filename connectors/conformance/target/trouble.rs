//! Laws about a system in trouble: what cannot be known is never said.

use std::time::Duration;

use lockstep_contract::{ApplyFault, Cx, Fault, FaultKind, Receipt, Step};

use super::asking::{action_on, begin, fresh, fresh_for, holder, level, present};
use crate::bed::{TargetBed, TargetRig, Trouble};
use crate::law::{Stop, broken, hold, skip};
use crate::reading::{all_cardholders, cx};
use crate::seed::keys_of;

async fn grant(rig: &dyn TargetRig, cx: &Cx) -> Result<Result<Receipt, ApplyFault>, Stop> {
    let action = action_on(rig, &holder(rig, 1)?, vec![Step::Grant { level: level(rig, 4)? }])?;
    Ok(rig.target().apply(cx, &action).await)
}

/// Every read of a record that is there: what it was, and the fault; or what it claimed instead of failing.
async fn reads(rig: &dyn TargetRig) -> Result<Vec<(&'static str, Result<String, Fault>)>, Stop> {
    let id = holder(rig, 1)?;
    let target = rig.target();
    let listed = target.list(&cx(), None).await.map(|page| format!("{} records", page.items.len()));
    let catalog = target.catalog(&cx()).await.map(|catalog| format!("{} levels", catalog.levels.len()));
    let read = target.read(&cx(), &id).await.map(|record| format!("record there: {}", record.is_some()));
    let mut all = vec![("list", listed), ("catalog", catalog), ("read", read)];
    for key in keys_of(1).iter().filter(|key| target.info().capabilities.keys.contains(&key.kind())) {
        all.push(("find", target.find(&cx(), key).await.map(|found| format!("{} records", found.len()))));
    }
    Ok(all)
}

async fn every_read_says(rig: &dyn TargetRig, kinds: &[FaultKind]) -> Result<(), Stop> {
    for (what, answer) in reads(rig).await? {
        match answer {
            Ok(claim) => return broken(format!("{what} answered `{claim}` instead of failing")),
            Err(fault) => {
                hold(kinds.contains(&fault.kind), || format!("{what} failed with the wrong kind of fault: {fault}"))?;
            }
        }
    }
    Ok(())
}

pub(super) async fn cut_after_send_is_uncertain(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh_for(bed, Trouble::LostAnswer).await?;
    begin(&*rig, Trouble::LostAnswer).await?;
    let answer = grant(&*rig, &cx()).await?;
    rig.heal().await;
    match answer {
        Err(ApplyFault::Uncertain(_)) => {}
        Err(other) => return broken(format!("it says there was no effect, and there was: {other}")),
        Ok(_) => return broken("it says the write was accepted, and no answer came"),
    }
    let record = present(&*rig, &holder(&*rig, 1)?).await?;
    let given = level(&*rig, 4)?;
    hold(record.levels.contains(&given), || "the bed should let the write take effect, and it did not".into())
}

async fn no_effect(rig: &dyn TargetRig, step: Step) -> Result<(), Stop> {
    let id = holder(rig, 1)?;
    let before = present(rig, &id).await?;
    let answer = rig.target().apply(&cx(), &action_on(rig, &id, vec![step])?).await;
    rig.heal().await;
    let after = present(rig, &id).await?;
    match answer {
        Err(ApplyFault::Refused(fault) | ApplyFault::NotSent(fault)) => {
            hold(!fault.kind.is_transient(), || format!("waiting will not help, and it says so: {fault}"))?;
            hold(before.digest() == after.digest(), || format!("refused ({fault}), yet {before:?} became {after:?}"))
        }
        Err(uncertain @ ApplyFault::Uncertain(_)) => broken(format!("the system said no: {uncertain}")),
        Ok(_) => broken("the system said no, and it says the write was accepted"),
    }
}

pub(super) async fn refused_had_no_effect(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh_for(bed, Trouble::Refuse).await?;
    begin(&*rig, Trouble::Refuse).await?;
    no_effect(&*rig, Step::Grant { level: level(&*rig, 4)? }).await
}

pub(super) async fn unknown_level_is_refused(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let like = level(&*rig, 0)?;
    let stem: String = like.as_str().chars().take(like.as_str().chars().count().saturating_sub(2)).collect();
    let known = rig.target().catalog(&cx()).await?;
    let stranger = (0..=0xff_u32)
        .rev()
        .filter_map(|n| lockstep_contract::AccessLevelId::new(format!("{stem}{n:02x}")).ok())
        .find(|id| !known.levels.contains_key(id));
    let Some(level) = stranger else { return skip("every level id that the suite can think of is taken") };
    no_effect(&*rig, Step::Grant { level }).await
}

pub(super) async fn unreadable_is_not_empty(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh_for(bed, Trouble::Down).await?;
    begin(&*rig, Trouble::Down).await?;
    every_read_says(&*rig, &[FaultKind::Unreachable]).await?;
    match grant(&*rig, &cx()).await? {
        Err(ApplyFault::NotSent(fault)) => {
            hold(fault.kind == FaultKind::Unreachable, || format!("the wrong kind of fault: {fault}"))
        }
        Err(other) => broken(format!("nobody listens, so nothing was sent, and it says: {other}")),
        Ok(_) => broken("nobody listens, and it says the write was accepted"),
    }
}

/// Reads fail with this kind, and a write is refused with it and has no effect.
async fn says_no(bed: &dyn TargetBed, trouble: Trouble, kind: FaultKind) -> Result<(), Stop> {
    let rig = fresh_for(bed, trouble).await?;
    let before = present(&*rig, &holder(&*rig, 1)?).await?;
    begin(&*rig, trouble).await?;
    every_read_says(&*rig, &[kind]).await?;
    match grant(&*rig, &cx()).await? {
        Err(ApplyFault::Refused(fault) | ApplyFault::NotSent(fault)) => {
            hold(fault.kind == kind, || format!("a write failed with the wrong kind of fault: {fault}"))?;
        }
        Err(other) => return broken(format!("the system said no, and it says: {other}")),
        Ok(_) => return broken("the system said no, and it says the write was accepted"),
    }
    rig.heal().await;
    let after = present(&*rig, &holder(&*rig, 1)?).await?;
    hold(before.digest() == after.digest(), || format!("refused, yet {before:?} became {after:?}"))
}

pub(super) async fn denied_is_not_missing(bed: &dyn TargetBed) -> Result<(), Stop> {
    says_no(bed, Trouble::Deny, FaultKind::Denied).await
}

pub(super) async fn unauthenticated_is_not_missing(bed: &dyn TargetBed) -> Result<(), Stop> {
    says_no(bed, Trouble::Unauthenticated, FaultKind::Unauthenticated).await
}

pub(super) async fn throttle_says_when(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh_for(bed, Trouble::Throttle).await?;
    begin(&*rig, Trouble::Throttle).await?;
    every_read_says(&*rig, &[FaultKind::Throttled]).await?;
    // A date instead of seconds is cut to whole seconds, and some time has passed.
    let about =
        Trouble::THROTTLE_WAIT.saturating_sub(Duration::from_secs(2))..=Trouble::THROTTLE_WAIT + Duration::from_secs(1);
    for (what, answer) in reads(&*rig).await? {
        let waits = answer.err().and_then(|fault| fault.retry_after);
        hold(waits.is_some_and(|wait| about.contains(&wait)), || {
            format!("{what}: the system asked to wait {:?}, the fault says {waits:?}", Trouble::THROTTLE_WAIT)
        })?;
    }
    match grant(&*rig, &cx()).await? {
        Err(ApplyFault::Refused(fault) | ApplyFault::NotSent(fault)) => {
            hold(fault.kind == FaultKind::Throttled && fault.retry_after.is_some(), || {
                format!("a throttled write failed with: {fault}")
            })
        }
        Err(other) => broken(format!("a throttled write had no effect, and it says: {other}")),
        Ok(_) => broken("a throttled write passed as accepted"),
    }
}

pub(super) async fn deadline_is_kept(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh_for(bed, Trouble::Hang).await?;
    let id = holder(&*rig, 1)?;
    let before = present(&*rig, &id).await?;
    let mut promised = None;
    begin(&*rig, Trouble::Hang).await?;
    let short = Cx::new(Duration::from_millis(400));
    // The engine drops the call at its deadline; a connector that ends by itself a little earlier may say why.
    let drop_after = short.budget + Duration::from_millis(200);
    if let Ok(answer) = tokio::time::timeout(drop_after, rig.target().read(&short, &id)).await {
        match answer {
            Err(fault) if fault.kind == FaultKind::Unreachable => {}
            other => return broken(format!("no answer ever came, and a read says {other:?}")),
        }
    }
    if let Ok(answer) = tokio::time::timeout(drop_after, grant(&*rig, &short)).await {
        match answer? {
            Err(ApplyFault::Uncertain(_)) => {}
            // One that looks before it writes may have got no further than to look; then nothing may have changed.
            Err(ApplyFault::NotSent(fault)) if fault.kind == FaultKind::Unreachable => promised = Some(before.digest()),
            other => return broken(format!("a write was sent and never answered, and it says {other:?}")),
        }
    }
    rig.heal().await;
    if let Some(digest) = promised {
        let after = present(&*rig, &id).await?.digest();
        hold(after == digest, || "it says that nothing was sent, and the record changed".into())?;
    }
    let reading = all_cardholders(rig.target()).await;
    hold(reading.is_ok(), || "after a call was dropped at its deadline, the next one fails".into())
}

pub(super) async fn cancel_stops_before_the_next_request(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let id = holder(&*rig, 1)?;
    let before = present(&*rig, &id).await?;
    let ended = cx();
    ended.cancel.cancel();
    for (what, answer) in [
        ("list", rig.target().list(&ended, None).await.err()),
        ("read", rig.target().read(&ended, &id).await.err()),
        ("catalog", rig.target().catalog(&ended).await.err()),
    ] {
        let kind = answer.map(|fault| fault.kind);
        hold(kind == Some(FaultKind::Cancelled), || format!("{what} should say cancelled, and says {kind:?}"))?;
    }
    match grant(&*rig, &ended).await? {
        Err(ApplyFault::NotSent(fault)) if fault.kind == FaultKind::Cancelled => {}
        other => return broken(format!("a write of a cancelled run should not be sent, and it says {other:?}")),
    }
    let after = present(&*rig, &id).await?;
    hold(before.digest() == after.digest(), || "a cancelled run wrote".into())
}

pub(super) async fn no_secret_in_any_fault(bed: &dyn TargetBed) -> Result<(), Stop> {
    let mut seen = 0;
    for trouble in Trouble::ALL {
        // A system that hangs gives no fault to look at.
        if trouble == Trouble::Hang || bed.cannot(trouble).is_some() {
            continue;
        }
        let rig = fresh(bed).await?;
        let mut secrets = rig.secrets();
        secrets.extend(keys_of(1).of(lockstep_contract::KeyKind::Card).map(|card| card.value().to_owned()));
        begin(&*rig, trouble).await?;
        let mut faults: Vec<Fault> = reads(&*rig).await?.into_iter().filter_map(|(_, answer)| answer.err()).collect();
        faults.extend(all_cardholders(rig.target()).await.err());
        faults.extend(rig.target().probe(&cx()).await.err());
        faults.extend(grant(&*rig, &cx()).await?.err().map(|fault| fault.fault().clone()));
        for fault in &faults {
            let text = format!("{fault} {fault:?}");
            let leaks = secrets.iter().any(|secret| !secret.is_empty() && text.contains(secret.as_str()));
            // The text is not repeated: it holds the secret.
            hold(!leaks, || format!("a fault of `{}` under {trouble} holds a secret", fault.operation))?;
        }
        seen += faults.len();
    }
    if seen == 0 { skip("this bed brings no fault about") } else { Ok(()) }
}
