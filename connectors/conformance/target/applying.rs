//! Laws about writing: what is written is what was asked for, no less and no more.

use jiff::Timestamp;
use lockstep_contract::{
    Action, CardholderId, CorrelationKey, CorrelationKeys, CredentialStatus, CredentialSupport, FieldName,
    InactiveStatus, KeyKind, Profile, Reduction, Step, Subject, Validity, field,
};

use super::asking::{action, action_on, both_views, fresh, holder, is_suspended, level, present, truth};
use crate::bed::{TargetBed, TargetRig};
use crate::law::{Stop, broken, hold, skip};
use crate::reading::{all_cardholders, cx};
use crate::seed::{keys_of, profile_of};

async fn apply(rig: &dyn TargetRig, action: &Action) -> Result<CardholderId, Stop> {
    let receipt = rig.target().apply(&cx(), action).await?;
    Ok(receipt.cardholder)
}

/// Carries out steps on an existing record.
async fn change(rig: &dyn TargetRig, id: &CardholderId, steps: Vec<Step>) -> Result<(), Stop> {
    let written = apply(rig, &action_on(rig, id, steps)?).await?;
    hold(written == *id, || format!("the action was for `{id}`, the receipt is for `{written}`"))
}

/// The newcomer of that number: more than any seed has.
pub(super) fn newcomer(rig: &dyn TargetRig, n: usize) -> Result<Action, Stop> {
    let can = &rig.target().info().capabilities;
    let profile: Profile = profile_of(n)
        .iter()
        .filter(|(name, _)| can.fields.contains_key(*name))
        .map(|(name, value)| (name.clone(), value.to_owned()))
        .collect();
    let keys: CorrelationKeys = keys_of(n).iter().filter(|key| can.keys.contains(&key.kind())).cloned().collect();
    let Some(key) = newcomers_key(&keys) else { return skip("a new record could not be found again: no kind of key") };
    action(rig, Subject::New(key), vec![Step::Provision { profile, keys }])
}

fn newcomers_key(keys: &CorrelationKeys) -> Option<CorrelationKey> {
    [KeyKind::Directory, KeyKind::Upn, KeyKind::Employee, KeyKind::Mail, KeyKind::Account]
        .into_iter()
        .find_map(|kind| keys.of(kind).next().cloned())
}

pub(super) async fn accepted_is_visible(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let (id, given) = (holder(&*rig, 1)?, level(&*rig, 4)?);
    change(&*rig, &id, vec![Step::Grant { level: given.clone() }]).await?;
    for seen in both_views(&*rig, &id).await? {
        hold(seen.levels.contains(&given), || format!("`{given}` was granted, and is not there: {:?}", seen.levels))?;
    }
    change(&*rig, &id, vec![Reduction::Revoke { level: given.clone() }.into()]).await?;
    for seen in both_views(&*rig, &id).await? {
        hold(!seen.levels.contains(&given), || format!("`{given}` was revoked, and is still there"))?;
    }
    change(&*rig, &id, vec![Reduction::Suspend.into()]).await?;
    for seen in both_views(&*rig, &id).await? {
        let dead = seen.credentials.iter().all(|card| matches!(card.status, CredentialStatus::Inactive(_)));
        let cut = is_suspended(&seen) || (dead && !seen.credentials.is_empty());
        hold(cut, || format!("it was suspended, and reads as {:?} with {:?}", seen.status, seen.credentials))?;
    }
    Ok(())
}

pub(super) async fn apply_twice_is_once(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let id = holder(&*rig, 0)?;
    let steps = vec![Step::Grant { level: level(&*rig, 4)? }, Reduction::Revoke { level: level(&*rig, 1)? }.into()];
    let twice = action_on(&*rig, &id, steps)?;
    apply(&*rig, &twice).await?;
    let once = present(&*rig, &id).await?;
    apply(&*rig, &twice).await?;
    let again = present(&*rig, &id).await?;
    hold(once.digest() == again.digest(), || format!("after one time {once:?}, after two {again:?}"))?;
    if !rig.target().info().capabilities.idempotency {
        // The engine looks for the newcomer before it sends again; the connector promises nothing here.
        return Ok(());
    }
    let joiner = newcomer(&*rig, 100)?;
    let before = all_cardholders(rig.target()).await?.items.len();
    let first = apply(&*rig, &joiner).await?;
    let second = apply(&*rig, &joiner).await?;
    hold(first == second, || format!("one joiner's action made `{first}`, then `{second}`"))?;
    let after = all_cardholders(rig.target()).await?.items.len();
    hold(after == before + 1, || format!("one joiner's action sent twice: {before} records became {after}"))
}

pub(super) async fn reductions_never_raise(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let can = rig.target().info().capabilities.clone();
    for nth in [0, 2] {
        let id = holder(&*rig, nth)?;
        let mut steps: Vec<Step> = vec![Reduction::Revoke { level: level(&*rig, 0)? }.into()];
        if can.validity {
            let validity = Validity { from: Some(instant("2026-01-01T00:00:00Z")?), until: Some(noon()?) };
            steps.push(Reduction::Narrow { validity }.into());
        }
        let card = present(&*rig, &id).await?.credentials.first().map(|card| card.id.clone());
        if let Some(credential) = card.filter(|_| can.credentials != CredentialSupport::None) {
            steps.push(Reduction::Deactivate { credential, status: InactiveStatus::Disabled }.into());
        }
        steps.push(Reduction::Suspend.into());
        for step in steps {
            let before = present(&*rig, &id).await?;
            change(&*rig, &id, vec![step.clone()]).await?;
            let after = present(&*rig, &id).await?;
            hold(after.levels.is_subset(&before.levels), || format!("{step:?} added a level to {before:?}"))?;
            hold(!is_suspended(&before) || is_suspended(&after), || format!("{step:?} lifted a suspension"))?;
            hold(after.validity.within(&before.validity), || {
                format!("{step:?} widened {:?} to {:?}", before.validity, after.validity)
            })?;
            let dead = |card: &lockstep_contract::Credential| matches!(card.status, CredentialStatus::Inactive(_));
            let risen = after
                .credentials
                .iter()
                .find(|now| !dead(now) && before.credentials.iter().find(|was| was.id == now.id).is_none_or(dead));
            hold(risen.is_none(), || format!("{step:?} made a credential work: {risen:?}"))?;
        }
    }
    Ok(())
}

pub(super) async fn unmanaged_levels_survive(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let id = holder(&*rig, 0)?;
    let before = present(&*rig, &id).await?;
    let (given, taken) = (level(&*rig, 4)?, level(&*rig, 1)?);
    let steps = vec![Step::Grant { level: given.clone() }, Reduction::Revoke { level: taken.clone() }.into()];
    change(&*rig, &id, steps).await?;
    let mut levels = before.levels.clone();
    levels.remove(&taken);
    levels.insert(given);
    let after = present(&*rig, &id).await?;
    hold(after.levels == levels, || format!("it should hold {levels:?}, and holds {:?}", after.levels))?;
    hold(after.profile == before.profile, || {
        format!("a change of levels changed fields: {:?} became {:?}", before.profile, after.profile)
    })?;
    hold(after.credentials == before.credentials, || "a change of levels changed credentials".into())?;
    hold(after.keys == before.keys, || "a change of levels changed keys".into())?;

    let can = rig.target().info().capabilities.clone();
    if let Some(name) = [field::DEPARTMENT, field::TITLE].into_iter().find(|name| can.fields.contains_key(*name)) {
        let profile: Profile = [(FieldName::known(name), "Changed".to_owned())].into_iter().collect();
        change(&*rig, &id, vec![Step::Amend { profile }]).await?;
        let amended = present(&*rig, &id).await?;
        hold(amended.levels == levels, || format!("a change of `{name}` changed levels to {:?}", amended.levels))?;
        let lost = before
            .profile
            .iter()
            .find(|(field, value)| field.as_str() != name && amended.profile.get(field.as_str()) != Some(*value));
        hold(lost.is_none(), || format!("a change of `{name}` changed another field: {lost:?}"))?;
    }
    change(&*rig, &id, vec![Reduction::Suspend.into()]).await?;
    let suspended = present(&*rig, &id).await?;
    hold(suspended.levels == levels, || format!("a suspension changed levels to {:?}", suspended.levels))
}

/// Names that break systems which cut, fold, escape or re-encode.
const NAMES: [&str; 9] = [
    "Nuala O'Brien-D'Angelo",
    "Þórbjörg Æsa Ðalkvist",
    "נועה בן־ארי",
    "ليلى الحدّاد",
    "山崎 さくら",
    "Zoë 👩🏽\u{200d}🔬 Lindqvist",
    "Robert\"); DROP <b>&amp;</b> \\ *)(uid=*",
    "Ngọc Ánh Nguyễn-Vũ",
    "Maximiliane Philippa Friederike Ottilie von und zu Hohenstaufenberg",
];

pub(super) async fn names_round_trip(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let can = rig.target().info().capabilities.clone();
    let id = holder(&*rig, 1)?;
    let mut written = 0;
    for name in [field::DISPLAY_NAME, field::GIVEN_NAME, field::FAMILY_NAME] {
        let Some(rule) = can.fields.get(name) else { continue };
        for value in NAMES.iter().filter(|v| rule.chars_max.is_none_or(|most| v.chars().count() <= most as usize)) {
            let profile: Profile = [(FieldName::known(name), (*value).to_owned())].into_iter().collect();
            change(&*rig, &id, vec![Step::Amend { profile }]).await?;
            for seen in both_views(&*rig, &id).await? {
                let back = seen.profile.get(name);
                hold(back == Some(*value), || format!("`{name}` was written as {value:?}, and came back as {back:?}"))?;
            }
            written += 1;
        }
    }
    if written == 0 { skip("the system stores no names") } else { Ok(()) }
}

fn instant(text: &str) -> Result<Timestamp, Stop> {
    text.parse().map_err(|error| Stop::Broken(format!("the suite holds no time: {error}")))
}

fn noon() -> Result<Timestamp, Stop> {
    instant("2031-06-30T12:00:00Z")
}

pub(super) async fn validity_keeps_its_zone(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    if !rig.target().info().capabilities.validity {
        return skip("validity cannot be written here");
    }
    let id = holder(&*rig, 0)?;
    // Around the nights on which clocks change in Europe and America, and a leap day.
    for (from, until) in [
        ("2027-03-28T00:30:00Z", "2027-10-31T01:30:00Z"),
        ("2027-03-14T07:30:00Z", "2027-11-07T06:30:00Z"),
        ("2028-02-28T23:00:00Z", "2028-02-29T22:59:00Z"),
    ] {
        let validity = Validity { from: Some(instant(from)?), until: Some(instant(until)?) };
        change(&*rig, &id, vec![Step::Widen { validity }]).await?;
        for seen in both_views(&*rig, &id).await? {
            hold(seen.validity == validity, || format!("{validity:?} was written, {:?} came back", seen.validity))?;
        }
    }
    let narrower =
        Validity { from: Some(instant("2028-02-28T23:30:00Z")?), until: Some(instant("2028-02-29T20:00:00Z")?) };
    change(&*rig, &id, vec![Reduction::Narrow { validity: narrower }.into()]).await?;
    let Some(seen) = truth(&*rig, &id).await? else { return broken("the record is gone") };
    hold(seen.validity == narrower, || format!("{narrower:?} was written, {:?} came back", seen.validity))
}
