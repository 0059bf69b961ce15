//! Laws about groups: who is in, through which groups, and how sure that is.

use std::collections::BTreeSet;

use lockstep_contract::{GroupId, Membership, PersonId};

use super::asking::{fresh, group, members, person};
use crate::directory_bed::{DirectoryBed, DirectoryRig, DirectorySeed};
use crate::law::{Stop, broken, hold};
use crate::reading::cx;

pub(super) async fn every_group_is_answered(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let mut asked: BTreeSet<GroupId> = rig.groups().iter().cloned().collect();
    asked.insert(no_group()?);
    let answers = rig.directory().members(&cx(), &asked).await;
    let answered: BTreeSet<GroupId> = answers.into_keys().collect();
    hold(answered == asked, || format!("asked about {asked:?}, it answered about {answered:?}"))?;
    let none = rig.directory().members(&cx(), &BTreeSet::new()).await;
    hold(none.is_empty(), || format!("asked about no group, it answered {none:?}"))
}

fn no_group() -> Result<GroupId, Stop> {
    GroupId::new("conformance-no-such-group").map_err(|error| Stop::Broken(error.to_string()))
}

/// A group holds exactly these people, and everybody else is known not to be in.
async fn holds_exactly(rig: &dyn DirectoryRig, nth: usize, people: &[usize]) -> Result<(), Stop> {
    let expected = people.iter().map(|n| person(rig, *n)).collect::<Result<BTreeSet<PersonId>, _>>()?;
    match members(rig, &[nth]).await?.remove(&nth) {
        Some(Membership::Members(found)) => {
            let seen: BTreeSet<PersonId> = found.people().cloned().collect();
            hold(seen == expected, || format!("group {nth} holds {expected:?}, and reads as {seen:?}"))?;
            hold(found.gaps() == 0, || format!("group {nth} reads with {} gaps, and has none", found.gaps()))
        }
        other => broken(format!("group {nth} holds {expected:?}, and reads as {other:?}")),
    }
}

pub(super) async fn members_are_transitive(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    holds_exactly(&*rig, DirectorySeed::PLAIN, &[0, 1, 2, 3, 4]).await?;
    holds_exactly(&*rig, DirectorySeed::OUTER, &[0, 1, 2, 3, 4, 5]).await?;
    holds_exactly(&*rig, DirectorySeed::OUTERMOST, &[0, 1, 2, 3, 4, 5]).await
}

pub(super) async fn cycles_end(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    holds_exactly(&*rig, DirectorySeed::CYCLE, &[6, 7]).await?;
    holds_exactly(&*rig, DirectorySeed::CYCLE_BACK, &[6, 7]).await
}

pub(super) async fn empty_needs_proof(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    match members(&*rig, &[DirectorySeed::EMPTY]).await?.remove(&DirectorySeed::EMPTY) {
        Some(Membership::Empty(_) | Membership::Unproven) => Ok(()),
        other => broken(format!("the group names nobody, and reads as {other:?}")),
    }
}

pub(super) async fn unknown_group_is_unreadable(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let stranger = no_group()?;
    let mut answers = rig.directory().members(&cx(), &BTreeSet::from([stranger.clone()])).await;
    match answers.remove(&stranger) {
        Some(Membership::Unreadable(_)) => Ok(()),
        other => broken(format!("there is no group `{stranger}`, and it reads as {other:?}")),
    }
}

pub(super) async fn paths_lead_to_the_person(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let asked = [DirectorySeed::PLAIN, DirectorySeed::OUTERMOST, DirectorySeed::CYCLE];
    let groups = asked.iter().map(|nth| group(&*rig, *nth)).collect::<Result<BTreeSet<_>, _>>()?;
    let paths = rig.directory().paths(&cx(), &person(&*rig, 0)?, &groups).await?;
    for (nth, length) in [(DirectorySeed::PLAIN, 1), (DirectorySeed::OUTERMOST, 3)] {
        let found = paths.get(&group(&*rig, nth)?).map(Vec::len);
        hold(found == Some(length), || format!("group {nth} reaches the person in {length} groups, found {found:?}"))?;
    }
    let stranger = paths.get(&group(&*rig, DirectorySeed::CYCLE)?);
    hold(stranger.is_none(), || format!("a group that does not hold the person has a path to it: {stranger:?}"))
}
