//! The law that capabilities are facts, not wishes: each is tried, in both directions where that can be done.

use lockstep_contract::{
    ApplyFault, Capabilities, CardholderId, CredentialStatus, CredentialSupport, FaultKind, FieldName, InactiveStatus,
    KeyKind, Profile, Receipt, Reduction, Step, Subject, Suspend, Validity,
};

use super::applying::newcomer;
use super::asking::{action, action_on, fresh, holder, level, present};
use crate::bed::{TargetBed, TargetRig};
use crate::law::{Stop, broken, hold};
use crate::reading::{all_cardholders, cx};
use crate::seed::keys_of;

pub(super) async fn capabilities_are_true(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let can = rig.target().info().capabilities.clone();
    keys(&*rig, &can).await?;
    revision(&*rig, &can).await?;
    fields(&*rig, &can).await?;
    credentials(&*rig, &can).await?;
    validity(&*rig, &can).await?;
    suspension(&*rig, &can).await
}

async fn send(rig: &dyn TargetRig, id: &CardholderId, step: Step) -> Result<Result<Receipt, ApplyFault>, Stop> {
    Ok(rig.target().apply(&cx(), &action_on(rig, id, vec![step])?).await)
}

/// What is not claimed is refused, and refused without an effect.
fn refused(result: Result<Receipt, ApplyFault>, what: &str) -> Result<(), Stop> {
    match result {
        Err(ApplyFault::NotSent(fault) | ApplyFault::Refused(fault))
            if matches!(fault.kind, FaultKind::Unsupported | FaultKind::Invalid) =>
        {
            Ok(())
        }
        Ok(_) => broken(format!("{what}: it was accepted")),
        Err(other) => broken(format!("{what}: it should be refused as unsupported or invalid, and was: {other}")),
    }
}

async fn keys(rig: &dyn TargetRig, can: &Capabilities) -> Result<(), Stop> {
    for key in keys_of(1).iter() {
        match rig.target().find(&cx(), key).await {
            Ok(_) => {}
            Err(fault) if !can.keys.contains(&key.kind()) && fault.kind == FaultKind::Unsupported => {}
            Err(fault) => return broken(format!("looked up by {key}: {fault}")),
        }
    }
    let claimed: Vec<KeyKind> = can.keys.iter().copied().collect();
    let listed = all_cardholders(rig.target()).await?;
    for kind in claimed {
        let some = listed.items.iter().any(|record| record.keys.of(kind).next().is_some());
        hold(some, || format!("it finds people by {kind}, but no record shows such a key"))?;
    }
    Ok(())
}

async fn revision(rig: &dyn TargetRig, can: &Capabilities) -> Result<(), Stop> {
    if !can.revision {
        return Ok(());
    }
    let id = holder(rig, 3)?;
    let before = rig.target().read(&cx(), &id).await?.and_then(|record| record.revision);
    hold(before.is_some(), || "it writes with revisions, but a record shows none".into())?;
    send(rig, &id, Step::Grant { level: level(rig, 5)? }).await??;
    let given = rig.target().read(&cx(), &id).await?.and_then(|record| record.revision);
    send(rig, &id, Reduction::Revoke { level: level(rig, 5)? }.into()).await??;
    let after = rig.target().read(&cx(), &id).await?.and_then(|record| record.revision);
    let moved = before != given || given != after;
    hold(moved, || format!("two writes left the revision at {after:?}"))
}

async fn fields(rig: &dyn TargetRig, can: &Capabilities) -> Result<(), Stop> {
    let joiner = newcomer(rig, 101)?;
    let written = rig.target().apply(&cx(), &joiner).await?.cardholder;
    let record = present(rig, &written).await?;
    for step in &joiner.steps {
        let Step::Provision { profile, keys } = step else { continue };
        for (name, value) in profile.iter() {
            let back = record.profile.get(name.as_str());
            hold(back == Some(value), || format!("field `{name}` of a new record: {value:?} came back as {back:?}"))?;
        }
        let lost = keys.iter().find(|key| !record.keys.contains(key) && key.kind() != KeyKind::Card);
        hold(lost.is_none(), || format!("a new record was given the key {lost:?}, and does not show it"))?;
    }
    hold(record.levels.is_empty(), || format!("a new record has levels: {:?}", record.levels))?;

    let id = holder(rig, 1)?;
    for (name, rule) in &can.fields {
        let Some(most) = rule.chars_max.filter(|most| *most <= 10_000) else { continue };
        let profile = one(name, &"x".repeat(most as usize + 1));
        refused(send(rig, &id, Step::Amend { profile }).await?, &format!("`{name}` over its {most} characters"))?;
    }
    if let Some((name, _)) = can.fields.iter().find(|(_, rule)| rule.required) {
        let steps: Vec<Step> = newcomer(rig, 102)?.steps.iter().map(|step| without(step, name)).collect();
        let Some(key) = keys_of(102).iter().find(|key| can.keys.contains(&key.kind())).cloned() else { return Ok(()) };
        let lacking = action(rig, Subject::New(key), steps)?;
        refused(rig.target().apply(&cx(), &lacking).await, &format!("a new record without its `{name}`"))?;
    }
    Ok(())
}

fn one(name: &FieldName, value: &str) -> Profile {
    [(name.clone(), value.to_owned())].into_iter().collect()
}

fn without(step: &Step, name: &FieldName) -> Step {
    match step {
        Step::Provision { profile, keys } => {
            let rest = profile.iter().filter(|(field, _)| *field != name);
            let profile = rest.map(|(field, value)| (field.clone(), value.to_owned())).collect();
            Step::Provision { profile, keys: keys.clone() }
        }
        Step::Reduce(_)
        | Step::Amend { .. }
        | Step::Reinstate
        | Step::Widen { .. }
        | Step::Grant { .. }
        | Step::Activate { .. } => step.clone(),
    }
}

async fn credentials(rig: &dyn TargetRig, can: &Capabilities) -> Result<(), Stop> {
    let id = holder(rig, 4)?;
    let card = present(rig, &id).await?.credentials.first().map(|card| card.id.clone());
    let off = |credential| Reduction::Deactivate { credential, status: InactiveStatus::Disabled };
    match (can.credentials, card) {
        (CredentialSupport::None, None) => Ok(()),
        (CredentialSupport::None, Some(card)) => {
            refused(send(rig, &id, off(card).into()).await?, "a credential switched off where that cannot be done")
        }
        (CredentialSupport::Status | CredentialSupport::Issue, None) => {
            broken("it switches credentials, but a record with a card shows none")
        }
        (CredentialSupport::Status | CredentialSupport::Issue, Some(card)) => {
            send(rig, &id, off(card.clone()).into()).await??;
            let status = |record: &lockstep_contract::Cardholder| {
                record.credentials.iter().find(|one| one.id == card).map(|one| one.status.clone())
            };
            // A credential that is gone counts as switched off.
            let seen = status(&present(rig, &id).await?);
            let dead = seen.as_ref().is_none_or(|status| matches!(status, CredentialStatus::Inactive(_)));
            hold(dead, || format!("a credential was switched off, and is {seen:?}"))?;
            send(rig, &id, Step::Activate { credential: card.clone() }).await??;
            let seen = status(&present(rig, &id).await?);
            hold(seen == Some(CredentialStatus::Active), || format!("a credential was switched on, and is {seen:?}"))
        }
    }
}

async fn validity(rig: &dyn TargetRig, can: &Capabilities) -> Result<(), Stop> {
    if can.validity {
        return Ok(()); // `validity_keeps_its_zone` tries it.
    }
    let until = "2031-06-30T12:00:00Z".parse().ok();
    let id = holder(rig, 5)?;
    let narrow = Reduction::Narrow { validity: Validity { from: None, until } };
    refused(send(rig, &id, narrow.into()).await?, "a validity written where that cannot be done")
}

async fn suspension(rig: &dyn TargetRig, can: &Capabilities) -> Result<(), Stop> {
    let id = holder(rig, 6)?;
    send(rig, &id, Reduction::Suspend.into()).await??;
    let seen = present(rig, &id).await?;
    match can.suspend {
        Suspend::CardholderFlag => {
            hold(super::asking::is_suspended(&seen), || format!("suspending left the status at {:?}", seen.status))?;
            send(rig, &id, Step::Reinstate).await??;
            let seen = present(rig, &id).await?;
            hold(seen.status == lockstep_contract::Status::Active, || {
                format!("reinstating left the status at {:?}", seen.status)
            })
        }
        Suspend::EveryCredential => {
            let works = seen.credentials.iter().find(|card| !matches!(card.status, CredentialStatus::Inactive(_)));
            hold(works.is_none(), || format!("suspending left a credential working: {works:?}"))
        }
    }
}
