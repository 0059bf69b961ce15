//! Laws about reading: lists, single records, look-ups, the catalog.

use std::collections::BTreeSet;

use lockstep_contract::{Cardholder, CardholderId, CorrelationKey, Fault, FaultKind, KeyKind};

use super::asking::{begin, fresh, fresh_for, holder};
use crate::bed::{TargetBed, Trouble};
use crate::law::{Stop, broken, hold, skip};
use crate::reading::{Reading, adds_up, all_cardholders, cx, repeated};
use crate::seed::Seed;

fn ids(reading: &Reading<Cardholder>) -> impl Iterator<Item = &str> {
    reading.items.iter().map(|record| record.id.as_str())
}

pub(super) async fn list_ends_with_census(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let reading = all_cardholders(rig.target()).await?;
    adds_up(&reading, 0).map_err(Stop::Broken)?;
    let twice = repeated(ids(&reading));
    hold(twice.is_empty(), || format!("these records came twice: {twice:?}"))?;
    let listed: BTreeSet<&str> = ids(&reading).collect();
    let lacking: Vec<&CardholderId> = rig.cardholders().iter().filter(|id| !listed.contains(id.as_str())).collect();
    hold(lacking.is_empty(), || format!("the list of {} lacks {lacking:?}", listed.len()))
}

pub(super) async fn cut_list_is_a_fault(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh_for(bed, Trouble::CutList).await?;
    begin(&*rig, Trouble::CutList).await?;
    match all_cardholders(rig.target()).await {
        Ok(reading) => {
            broken(format!("a list that broke off passed for a whole list of {} records", reading.items.len()))
        }
        Err(fault) => hold(says_unreachable_or_broken(&fault), || format!("the wrong kind of fault: {fault}")),
    }
}

fn says_unreachable_or_broken(fault: &Fault) -> bool {
    fault.kind.is_transient() || fault.kind == FaultKind::Protocol
}

pub(super) async fn short_list_does_not_add_up(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh_for(bed, Trouble::ShortList).await?;
    begin(&*rig, Trouble::ShortList).await?;
    match all_cardholders(rig.target()).await {
        Err(_) => Ok(()),
        Ok(reading) => hold(adds_up(&reading, 0).is_err(), || {
            format!(
                "the list lacks records, but its census agrees with the {} that arrived: {:?}",
                reading.items.len(),
                reading.census
            )
        }),
    }
}

pub(super) async fn cursors_never_repeat(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let reading = all_cardholders(rig.target()).await?;
    if reading.cursors.is_empty() {
        return skip(format!("all {} records fit on one page", reading.items.len()));
    }
    let twice = repeated(reading.cursors.iter().map(|cursor| cursor.0.as_str()));
    hold(twice.is_empty(), || format!("these cursors came twice: {twice:?}"))
}

pub(super) async fn repeated_page_is_noticed(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh_for(bed, Trouble::RepeatedPage).await?;
    begin(&*rig, Trouble::RepeatedPage).await?;
    match all_cardholders(rig.target()).await {
        Err(_) => Ok(()),
        Ok(reading) => {
            let shows = adds_up(&reading, 0).is_err() || !repeated(ids(&reading)).is_empty();
            hold(shows, || format!("a repeated page passed for a whole list of {} records", reading.items.len()))
        }
    }
}

pub(super) async fn read_agrees_with_list(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let reading = all_cardholders(rig.target()).await?;
    for listed in reading.items.iter().take(5) {
        let Some(read) = rig.target().read(&cx(), &listed.id).await? else {
            return broken(format!("record `{}` is on the list, and reading it says it is not there", listed.id));
        };
        hold(read.digest() == listed.digest(), || format!("the list says {listed:?}, a read says {read:?}"))?;
    }
    let stranger = stranger_to(&reading)?;
    match rig.target().read(&cx(), &stranger).await {
        Ok(None) => Ok(()),
        Ok(Some(other)) => broken(format!("asked for `{stranger}`, which is not there, it answered `{}`", other.id)),
        Err(fault) => broken(format!("asked for `{stranger}`, which is positively not there, it failed: {fault}")),
    }
}

/// An id like those of the system that no record has.
fn stranger_to(reading: &Reading<Cardholder>) -> Result<CardholderId, Stop> {
    let taken: BTreeSet<&str> = ids(reading).collect();
    let like = taken.first().copied().unwrap_or("0");
    let stem: String = like.chars().take(like.chars().count().saturating_sub(2)).collect();
    (0..=0xff_u32)
        .rev()
        .map(|n| format!("{stem}{n:02x}"))
        .find(|id| !taken.contains(id.as_str()))
        .and_then(|id| CardholderId::new(id).ok())
        .ok_or_else(|| Stop::Broken("the suite found no free id".into()))
}

pub(super) async fn find_agrees_with_list(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let kinds = &rig.target().info().capabilities.keys;
    if kinds.is_empty() {
        return skip("the system can find nobody by key");
    }
    let reading = all_cardholders(rig.target()).await?;
    let mut looked_up = 0;
    for key in reading.items.iter().take(5).flat_map(|record| record.keys.iter()) {
        if !kinds.contains(&key.kind()) {
            continue;
        }
        let expected: BTreeSet<&str> =
            reading.items.iter().filter(|record| record.keys.contains(key)).map(|record| record.id.as_str()).collect();
        let found = rig.target().find(&cx(), key).await?;
        let found: BTreeSet<&str> = found.iter().map(|record| record.id.as_str()).collect();
        hold(found == expected, || format!("{key} is on the list at {expected:?}, and is found at {found:?}"))?;
        looked_up += 1;
    }
    hold(looked_up > 0, || format!("it finds people by {kinds:?}, but no listed record has such a key"))?;
    for kind in kinds {
        let nobody = nobodys(*kind)?;
        let found = rig.target().find(&cx(), &nobody).await?;
        hold(found.is_empty(), || format!("nobody has {nobody}, and it found {} records", found.len()))?;
    }
    Ok(())
}

fn nobodys(kind: KeyKind) -> Result<CorrelationKey, Stop> {
    let value = match kind {
        KeyKind::Directory => "c0f00000-0000-4000-8000-ffffffffffff",
        KeyKind::Upn | KeyKind::Mail => "nobody*@conformance.example",
        KeyKind::Employee | KeyKind::Card => "99999999",
        KeyKind::Account => "nobody",
    };
    CorrelationKey::new(kind, value).map_err(|error| Stop::Broken(error.to_string()))
}

pub(super) async fn ignored_filter_is_noticed(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh_for(bed, Trouble::IgnoredFilter).await?;
    let kinds = rig.target().info().capabilities.keys.clone();
    let id = holder(&*rig, 1)?;
    let Some(record) = rig.target().read(&cx(), &id).await? else { return broken("a seeded record is not there") };
    let Some(key) = record.keys.iter().find(|key| kinds.contains(&key.kind())) else {
        return skip("the seeded records have no key that the system can find");
    };
    begin(&*rig, Trouble::IgnoredFilter).await?;
    match rig.target().find(&cx(), key).await {
        Err(_) => Ok(()),
        Ok(found) => {
            let strangers = found.iter().filter(|record| !record.keys.contains(key)).count();
            hold(strangers == 0, || format!("looked up by {key}, it handed out {strangers} records without that key"))
        }
    }
}

pub(super) async fn catalog_knows_every_level(bed: &dyn TargetBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let catalog = rig.target().catalog(&cx()).await?;
    for (nth, id) in rig.levels().iter().enumerate() {
        let Some(level) = catalog.levels.get(id) else { return broken(format!("the catalog lacks level `{id}`")) };
        let name = Seed::standard().levels.get(nth).map(|seeded| seeded.name.clone()).unwrap_or_default();
        hold(level.name == name, || format!("level `{id}` is named `{name}`, and the catalog says `{}`", level.name))?;
    }
    Ok(())
}
