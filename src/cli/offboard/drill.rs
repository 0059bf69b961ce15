//! `offboard --drill`: the whole of it against simulated copies. They live in memory, and are made from what is known
//! without asking anybody: the targets and levels of the configuration, and the records that the roster names. Nothing
//! here may open a real PACS or write into the real state.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lockstep_config::LenientLoaded;
use lockstep_contract::{
    AccessLevel, AccessLevelId, Cardholder, CardholderId, CorrelationKeys, Credential, CredentialId, CredentialKind,
    CredentialStatus, FieldName, KeyKind, Profile, Status, TargetId, Validity, field,
};
use lockstep_offboard::{Pacs, Place, Who};
use lockstep_sim::{Sim, World};

use super::reach;
use crate::cli::{Global, emergency};
use crate::exit::{Exit, Failure};

/// So long the simulated controllers take to get what the database has.
const CONTROLLERS_LAG: Duration = Duration::from_millis(250);

/// Who is put out when nobody is named.
pub(super) fn somebody() -> Result<Who, Failure> {
    "employee:drill".parse().map_err(|error: lockstep_offboard::WhoError| {
        Failure::new(Exit::Failed, error.to_string()).not_done("nothing was rehearsed")
    })
}

/// A copy of each configured target.
pub(super) fn places(global: &Global, loaded: &LenientLoaded, people: &[Who]) -> Vec<Place> {
    let roster = emergency::Roster::open(&loaded.state);
    let known: Vec<_> = people.iter().map(|who| roster.known(who)).collect();
    let gate = |target: &lockstep_config::TargetConfig, _: &LenientLoaded| {
        let levels: BTreeSet<_> = target.policy.levels.iter().map(|rule| rule.level.clone()).collect();
        let mut world = World::new(format!("copy of {}", target.id));
        for level in &levels {
            world = world.with_level(level.clone(), AccessLevel::default());
        }
        for (nth, who) in people.iter().enumerate() {
            let here = known.get(nth).and_then(|records| records.get(&target.id));
            let mut ids: Vec<CardholderId> = here.into_iter().flatten().map(|(id, _)| id.clone()).collect();
            ids.extend(made_up(nth, who, &target.id).filter(|_| ids.is_empty()));
            for id in ids {
                world = world.with_cardholder(holder(id, who, &levels));
            }
        }
        Pacs::open(Arc::new(Sim::in_memory(target.id.clone(), world).with_controllers_lag(CONTROLLERS_LAG)))
    };
    reach::places(global, loaded, gate)
}

/// The record of somebody of whom nothing is known.
fn made_up(nth: usize, who: &Who, target: &TargetId) -> Option<CardholderId> {
    match who {
        Who::Cardholder { target: named, id } => (named == target).then(|| id.clone()),
        Who::Key(_) | Who::Bare(_) => CardholderId::new(format!("made-up-{}", nth + 1)).ok(),
    }
}

/// A record with everything that can be taken away.
fn holder(id: CardholderId, who: &Who, levels: &BTreeSet<AccessLevelId>) -> Cardholder {
    let mut profile = Profile::new();
    profile.set(FieldName::known(field::DISPLAY_NAME), "simulated");
    // A value without a kind is one kind of key, so that the copy is found by it as one human.
    let keys: CorrelationKeys = match who {
        Who::Bare(_) => who.keys().into_iter().filter(|key| key.kind() == KeyKind::Employee).collect(),
        Who::Key(_) | Who::Cardholder { .. } => who.keys().into_iter().collect(),
    };
    let kinds = [("card", CredentialKind::Card), ("mobile", CredentialKind::Mobile), ("pin", CredentialKind::Pin)];
    let credential = |(name, kind): (&str, CredentialKind)| {
        let id = CredentialId::new(format!("{id}-{name}")).ok()?;
        Some(Credential { id, kind, number: None, status: CredentialStatus::Active })
    };
    Cardholder {
        keys,
        profile,
        status: Status::Active,
        levels: levels.clone(),
        credentials: kinds.into_iter().filter_map(credential).collect(),
        validity: Validity::ALWAYS,
        site: None,
        revision: None,
        id,
    }
}

/// Where the record of a drill goes, so that the disk is part of it; without such a place there is no record.
pub(super) fn folder() -> Option<PathBuf> {
    let folder = std::env::temp_dir().join(format!("lockstep-drill-{}", uuid::Uuid::now_v7()));
    std::fs::create_dir(&folder).ok().map(|()| folder)
}

/// Takes it away again.
pub(super) fn clear(folder: Option<PathBuf>) {
    // What stays in a folder for passing things does no harm.
    let _ = folder.as_deref().map(|folder: &Path| std::fs::remove_dir_all(folder));
}
