//! Laws about people: lists, look-ups, standing.

use std::collections::BTreeSet;

use lockstep_contract::{FaultKind, Person, PersonId, Presence, Proof, Standing, field};

use super::asking::{begin, fresh, fresh_for, person, scope};
use crate::directory_bed::{DirectoryBed, DirectoryRig, DirectorySeed, DirectoryTrouble};
use crate::law::{Stop, broken, hold, skip};
use crate::reading::{Reading, adds_up, all_people, cx, repeated};

/// The list, and how many records it set aside.
async fn listed(rig: &dyn DirectoryRig) -> Result<(Reading<Person>, usize), Stop> {
    let reading = all_people(rig.directory(), &scope()).await?;
    Ok((reading, rig.directory().take_quarantined().len()))
}

fn of<'r>(reading: &'r Reading<Person>, id: &PersonId) -> Result<&'r Person, Stop> {
    let found = reading.items.iter().find(|person| person.id == *id);
    found.ok_or_else(|| Stop::Broken(format!("the list lacks person `{id}`")))
}

pub(super) async fn people_end_with_census(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let (reading, set_aside) = listed(&*rig).await?;
    adds_up(&reading, set_aside).map_err(Stop::Broken)?;
    let ids: Vec<String> = reading.items.iter().map(|person| person.id.to_string()).collect();
    let twice = repeated(ids.iter().map(String::as_str));
    hold(twice.is_empty(), || format!("these people came twice: {twice:?}"))?;
    for id in rig.people() {
        of(&reading, id)?;
    }
    Ok(())
}

pub(super) async fn cut_people_is_a_fault(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh_for(bed, DirectoryTrouble::CutPeople).await?;
    begin(&*rig, DirectoryTrouble::CutPeople).await?;
    match all_people(rig.directory(), &scope()).await {
        Ok(reading) => broken(format!("a list that broke off passed for a whole list of {}", reading.items.len())),
        Err(fault) => hold(fault.kind.is_transient() || fault.kind == FaultKind::Protocol, || {
            format!("the wrong kind of fault: {fault}")
        }),
    }
}

pub(super) async fn cursors_never_repeat(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let (reading, _) = listed(&*rig).await?;
    if reading.cursors.is_empty() {
        return skip(format!("all {} people fit on one page", reading.items.len()));
    }
    let twice = repeated(reading.cursors.iter().map(|cursor| cursor.0.as_str()));
    hold(twice.is_empty(), || format!("these cursors came twice: {twice:?}"))
}

pub(super) async fn ended_is_read_as_ended(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let (reading, _) = listed(&*rig).await?;
    for (id, seeded) in rig.people().iter().zip(DirectorySeed::standard().people) {
        let standing = of(&reading, id)?.standing;
        let right = match standing {
            Standing::Active => seeded.active,
            Standing::Ended { .. } => !seeded.active,
            Standing::Away { .. } | Standing::Unconfirmed | Standing::Unknown => false,
        };
        let word = if seeded.active { "active" } else { "ended" };
        hold(right, || format!("person `{id}` is {word}, and reads as {standing:?}"))?;
    }
    Ok(())
}

pub(super) async fn profiles_are_carried(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let (reading, _) = listed(&*rig).await?;
    for (id, seeded) in rig.people().iter().zip(DirectorySeed::standard().people) {
        let read = of(&reading, id)?;
        let mut carried = 0;
        for name in [field::GIVEN_NAME, field::FAMILY_NAME, field::DISPLAY_NAME, field::DEPARTMENT, field::MAIL] {
            let Some(value) = read.profile.get(name) else { continue };
            let stored = seeded.profile.get(name);
            hold(stored == Some(value), || format!("`{name}` of `{id}` is {stored:?}, and reads as {value:?}"))?;
            carried += 1;
        }
        hold(carried > 0, || format!("person `{id}` has no field at all"))?;
        hold(!read.keys.is_empty(), || format!("person `{id}` has no key, so no cardholder can be recognised"))?;
    }
    Ok(())
}

pub(super) async fn lookup_agrees_with_people(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let (reading, _) = listed(&*rig).await?;
    for nth in [0, 3, 24] {
        let id = person(&*rig, nth)?;
        match rig.directory().lookup(&cx(), &id).await? {
            Presence::Present(found) => {
                let listed = of(&reading, &id)?;
                let same = found.id == listed.id && found.standing == listed.standing && found.keys == listed.keys;
                hold(same, || format!("the list says {listed:?}, a look-up says {found:?}"))?;
            }
            Presence::Gone(proof) => return broken(format!("person `{id}` is there, and is said gone: {proof:?}")),
        }
    }
    Ok(())
}

pub(super) async fn find_agrees_with_people(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let (reading, _) = listed(&*rig).await?;
    for key in of(&reading, &person(&*rig, 0)?)?.keys.iter().chain(of(&reading, &person(&*rig, 3)?)?.keys.iter()) {
        let having = reading.items.iter().filter(|person| person.keys.contains(key));
        let expected: BTreeSet<&PersonId> = having.map(|person| &person.id).collect();
        let found = rig.directory().find(&cx(), key).await?;
        let found: BTreeSet<&PersonId> = found.iter().map(|person| &person.id).collect();
        hold(found == expected, || format!("{key} is on the list at {expected:?}, and is found at {found:?}"))?;
    }
    Ok(())
}

pub(super) async fn gone_needs_proof(bed: &dyn DirectoryBed) -> Result<(), Stop> {
    let rig = fresh(bed).await?;
    let like = person(&*rig, 0)?;
    let stranger = if like.as_uuid().is_some() {
        PersonId::from_uuid(uuid::Uuid::from_u128(0xc0f0_0000_0000_4000_8000_ffff_ffff_ffff))
    } else {
        PersonId::new(format!("{like}-nobody")).map_err(|error| Stop::Broken(error.to_string()))?
    };
    match rig.directory().lookup(&cx(), &stranger).await {
        Ok(Presence::Present(found)) => broken(format!("nobody has the id `{stranger}`, and it found {found:?}")),
        Ok(Presence::Gone(Proof::NotFound { canary })) => {
            hold(!canary.is_empty(), || "gone on the word of a canary without a name".into())
        }
        Ok(Presence::Gone(proof @ (Proof::Tombstone | Proof::DeletedItem))) => {
            broken(format!("this id never was, and the proof that it is gone is {proof:?}"))
        }
        Err(fault) if fault.kind == FaultKind::Missing => {
            broken(format!("`not found` is either proven or in doubt, and doubt has another kind: {fault}"))
        }
        Err(_) => Ok(()),
    }
}
