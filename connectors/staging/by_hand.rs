//! Work by hand on a PACS that imports: the file that its own import takes, and the clicks to lock somebody out. The file
//! only switches people off.
//!
//! It is known without opening a target, so it is that of the reference profile; a site with another one is told so.

use std::collections::BTreeMap;

use lockstep_contract::{Action, ByHand, Handwork, ImportFile, Reduction, Status, Step};

use crate::person_row::person_row;
use crate::profile::ImportProfile;
use crate::profiles::REFERENCE;
use crate::rows;

/// Work by hand on a PACS that imports.
#[derive(Debug, Clone, Copy)]
pub struct StagingByHand;

impl ByHand for StagingByHand {
    fn lock_out(&self) -> Vec<String> {
        ImportProfile::shipped(REFERENCE).map(|profile| profile.by_hand.lock_out).unwrap_or_default()
    }

    fn import_file(&self, work: &[Handwork<'_>]) -> Option<ImportFile> {
        import_file(&ImportProfile::shipped(REFERENCE).ok()?, work)
    }
}

/// The import file of a profile: one row for each person who is to be switched off and whose record is known.
pub fn import_file(profile: &ImportProfile, work: &[Handwork<'_>]) -> Option<ImportFile> {
    let mut people = BTreeMap::new();
    let mut actions = 0;
    for one in work {
        let Some(mut record) = one.record.cloned().filter(|_| only_switches_off(one.action)) else { continue };
        record.status = Status::Suspended;
        let Ok(row) = person_row(profile, &record, None) else { continue };
        // A row that cannot be written is left out: the worklist has it all the same.
        if rows::write(profile, &profile.people, std::slice::from_ref(&row)).is_ok() {
            actions += 1;
            people.insert(record.id, row);
        }
    }
    let rows: Vec<_> = people.into_values().collect();
    let bytes = rows::write(profile, &profile.people, &rows).ok().filter(|_| !rows.is_empty())?;
    Some(ImportFile {
        name: format!("{}-1-disable{}", profile.name, profile.delivery.extension),
        bytes,
        how: format!(
            "For {}. It only switches people off. {} Then check each person on the screen.",
            profile.about, profile.by_hand.import
        ),
        actions,
    })
}

/// Whoever is switched off opens nothing, whatever cards and levels are left.
fn only_switches_off(action: &Action) -> bool {
    let mut suspends = false;
    let reduces = action.steps.iter().all(|step| match step {
        Step::Reduce(reduction) => {
            suspends |= *reduction == Reduction::Suspend;
            true
        }
        Step::Provision { .. }
        | Step::Amend { .. }
        | Step::Reinstate
        | Step::Widen { .. }
        | Step::Grant { .. }
        | Step::Activate { .. } => false,
    });
    reduces && suspends
}
