//! What the laws of a directory share. This module must not judge.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{Fault, FieldName, GroupId, Membership, PersonId, Scope, field};

use crate::directory_bed::{DirectoryBed, DirectoryRig, DirectorySeed, DirectoryTrouble};
use crate::law::{Stop, broken, skip};
use crate::reading::cx;

/// A fresh directory with the standard records.
pub(super) async fn fresh(bed: &dyn DirectoryBed) -> Result<Box<dyn DirectoryRig>, Stop> {
    let seed = DirectorySeed::standard();
    let rig = bed.fresh(&seed).await.or_else(|why| broken(format!("the bed made no directory: {why}")))?;
    let made = (rig.people().len(), rig.groups().len());
    if made != (seed.people.len(), seed.groups.len()) {
        return broken(format!("the bed made {made:?} people and groups instead of what the seed holds"));
    }
    Ok(rig)
}

/// A fresh directory, if its bed can bring this trouble about.
pub(super) async fn fresh_for(
    bed: &dyn DirectoryBed,
    trouble: DirectoryTrouble,
) -> Result<Box<dyn DirectoryRig>, Stop> {
    match bed.cannot(trouble) {
        Some(why) => skip(why),
        None => fresh(bed).await,
    }
}

/// Brings the trouble about.
pub(super) async fn begin(rig: &dyn DirectoryRig, trouble: DirectoryTrouble) -> Result<(), Stop> {
    rig.trouble(trouble).await.or_else(|why| broken(format!("the bed did not bring about {trouble}: {why}")))
}

/// Every field that a mapping commonly reads.
pub(super) fn scope() -> Scope {
    let fields = [
        field::GIVEN_NAME,
        field::FAMILY_NAME,
        field::DISPLAY_NAME,
        field::EMPLOYEE_NUMBER,
        field::DEPARTMENT,
        field::TITLE,
        field::MAIL,
        field::UPN,
        field::ACCOUNT,
    ];
    Scope { fields: fields.into_iter().map(FieldName::known).collect() }
}

/// A seeded group by its place in the seed.
pub(super) fn group(rig: &dyn DirectoryRig, nth: usize) -> Result<GroupId, Stop> {
    rig.groups().get(nth).cloned().ok_or_else(|| Stop::Broken(format!("the bed has no group {nth}")))
}

/// A seeded person by its place in the seed.
pub(super) fn person(rig: &dyn DirectoryRig, nth: usize) -> Result<PersonId, Stop> {
    rig.people().get(nth).cloned().ok_or_else(|| Stop::Broken(format!("the bed has no person {nth}")))
}

/// The answers about these groups, by place in the seed.
pub(super) async fn members(rig: &dyn DirectoryRig, groups: &[usize]) -> Result<BTreeMap<usize, Membership>, Stop> {
    let ids = groups.iter().map(|nth| group(rig, *nth)).collect::<Result<BTreeSet<_>, _>>()?;
    let mut answers = rig.directory().members(&cx(), &ids).await;
    groups
        .iter()
        .map(|nth| {
            let id = group(rig, *nth)?;
            match answers.remove(&id) {
                Some(answer) => Ok((*nth, answer)),
                None => broken(format!("no answer about group `{id}`")),
            }
        })
        .collect()
}

/// Every read of something that is there: what it was, and the fault; or what it claimed instead of failing.
pub(super) async fn reads(rig: &dyn DirectoryRig) -> Result<Vec<(String, Result<String, Fault>)>, Stop> {
    let directory = rig.directory();
    let id = person(rig, 0)?;
    let mut all = Vec::new();
    let people = directory.people(&cx(), &scope(), None).await;
    all.push(("people".to_owned(), people.map(|page| format!("{} people", page.items.len()))));
    let looked_up = directory.lookup(&cx(), &id).await;
    all.push(("lookup".to_owned(), looked_up.map(|presence| format!("{presence:?}"))));
    for key in crate::seed::keys_of(0).of(lockstep_contract::KeyKind::Employee) {
        let found = directory.find(&cx(), key).await;
        all.push(("find".to_owned(), found.map(|people| format!("{} people", people.len()))));
    }
    for (nth, answer) in members(rig, &[DirectorySeed::PLAIN, DirectorySeed::EMPTY]).await? {
        let result = match answer {
            Membership::Unreadable(fault) => Err(fault),
            other => Ok(format!("{other:?}")),
        };
        all.push((format!("members of group {nth}"), result));
    }
    Ok(all)
}
