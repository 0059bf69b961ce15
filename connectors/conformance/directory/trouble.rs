//! Laws about a directory in trouble: what cannot be known is never said.

use std::time::Duration;

use lockstep_contract::{Cx, Entitled, Fault, FaultKind, Membership, Presence};

use super::asking::{begin, fresh, fresh_for, members, person, reads, scope};
use crate::directory_bed::{DirectoryBed, DirectoryRig, DirectorySeed, DirectoryTrouble};
use crate::law::{Stop, broken, hold, skip};
use crate::reading::{all_people, cx};

/// The group in trouble and the two that contain it.
const ABOVE: [usize; 3] = [DirectorySeed::PLAIN, DirectorySeed::OUTER, DirectorySeed::OUTERMOST];

pub(super) async fn unreadable_is_not_empty(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh_for(bed, DirectoryTrouble::GroupDenied).await?;
    begin(&*rig, DirectoryTrouble::GroupDenied).await?;
    for (nth, answer) in members(&*rig, &ABOVE).await? {
        let unreadable = matches!(answer, Membership::Unreadable(_));
        hold(unreadable, || format!("group {nth} rests on one that may not be read, and reads as {answer:?}"))?;
    }
    let other = members(&*rig, &[DirectorySeed::CYCLE]).await?.remove(&DirectorySeed::CYCLE);
    hold(matches!(other, Some(Membership::Members(_))), || {
        format!("a group that has nothing to do with the unreadable one reads as {other:?}")
    })
}

pub(super) async fn hidden_is_not_empty(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh_for(bed, DirectoryTrouble::GroupHidden).await?;
    begin(&*rig, DirectoryTrouble::GroupHidden).await?;
    let hidden = person(&*rig, 0)?;
    for (nth, answer) in members(&*rig, &ABOVE).await? {
        let said = answer.entitled(&hidden);
        hold(said != Entitled::No, || {
            format!("group {nth} holds person `{hidden}` out of sight, and it says that he is not in it: {answer:?}")
        })?;
    }
    Ok(())
}

pub(super) async fn everything_hidden_is_nobody_gone(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh_for(bed, DirectoryTrouble::EverythingHidden).await?;
    begin(&*rig, DirectoryTrouble::EverythingHidden).await?;
    let id = person(&*rig, 0)?;
    if let Ok(Presence::Gone(proof)) = rig.directory().lookup(&cx(), &id).await {
        return broken(format!("nothing can be seen at all, and person `{id}` is said gone: {proof:?}"));
    }
    for (nth, answer) in members(&*rig, &ABOVE).await? {
        let said = answer.entitled(&id);
        hold(said != Entitled::No, || format!("nothing can be seen at all, and group {nth} reads as {answer:?}"))?;
    }
    Ok(())
}

async fn every_read_says(rig: &dyn DirectoryRig, kinds: &[FaultKind]) -> Result<(), Stop> {
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

pub(super) async fn denied_is_not_missing(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh_for(bed, DirectoryTrouble::Deny).await?;
    begin(&*rig, DirectoryTrouble::Deny).await?;
    every_read_says(&*rig, &[FaultKind::Denied, FaultKind::Unauthenticated]).await
}

pub(super) async fn down_is_not_empty(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh_for(bed, DirectoryTrouble::Down).await?;
    begin(&*rig, DirectoryTrouble::Down).await?;
    every_read_says(&*rig, &[FaultKind::Unreachable]).await
}

pub(super) async fn deadline_is_kept(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh_for(bed, DirectoryTrouble::Hang).await?;
    begin(&*rig, DirectoryTrouble::Hang).await?;
    let short = Cx::new(Duration::from_millis(400));
    // The engine drops the call at its deadline; a connector that ends by itself a little earlier may say why.
    let drop_after = short.budget + Duration::from_millis(200);
    let id = person(&*rig, 0)?;
    if let Ok(answer) = tokio::time::timeout(drop_after, rig.directory().lookup(&short, &id)).await {
        match answer {
            Err(fault) if fault.kind == FaultKind::Unreachable => {}
            other => return broken(format!("no answer ever came, and a look-up says {other:?}")),
        }
    }
    rig.heal().await;
    let reading = all_people(rig.directory(), &scope()).await;
    hold(reading.is_ok(), || "after a call was dropped at its deadline, the next one fails".into())
}

pub(super) async fn cancel_stops_before_the_next_request(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let ended = cx();
    ended.cancel.cancel();
    let id = person(&*rig, 0)?;
    for (what, answer) in [
        ("people", rig.directory().people(&ended, &scope(), None).await.err()),
        ("lookup", rig.directory().lookup(&ended, &id).await.err()),
    ] {
        let kind = answer.map(|fault| fault.kind);
        hold(kind == Some(FaultKind::Cancelled), || format!("{what} should say cancelled, and says {kind:?}"))?;
    }
    let asked = rig.groups().iter().cloned().collect();
    for (group, answer) in rig.directory().members(&ended, &asked).await {
        let unreadable = matches!(answer, Membership::Unreadable(_));
        hold(unreadable, || format!("the run is to end, and group `{group}` reads as {answer:?}"))?;
    }
    Ok(())
}

pub(super) async fn no_secret_in_any_fault(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let mut seen = 0;
    for trouble in DirectoryTrouble::ALL {
        // A directory that hangs gives no fault to look at.
        if trouble == DirectoryTrouble::Hang || bed.cannot(trouble).is_some() {
            continue;
        }
        let rig = fresh(bed).await?;
        let secrets = rig.secrets();
        if secrets.is_empty() {
            return skip("the connector is given no secret");
        }
        begin(&*rig, trouble).await?;
        let mut faults: Vec<Fault> = reads(&*rig).await?.into_iter().filter_map(|(_, answer)| answer.err()).collect();
        faults.extend(all_people(rig.directory(), &scope()).await.err());
        faults.extend(rig.directory().probe(&cx()).await.err());
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
