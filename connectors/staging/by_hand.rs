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

#[cfg(test)]
mod tests {
    use lockstep_contract::{
        AccessLevelId, ActionId, Cardholder, CardholderId, Catalog, CorrelationKeys, Expectation, FieldName, Profile,
        Reason, Situation, Steps, Subject, TargetId, Validity, sha256_hex,
    };

    use super::*;

    fn record(id: &str) -> Cardholder {
        let fields = [("given_name", "=Ada"), ("family_name", "Lovelace")];
        let profile = fields.into_iter().map(|(name, value)| (FieldName::known(name), value.to_owned()));
        Cardholder {
            id: CardholderId::new(id).expect("id"),
            keys: CorrelationKeys::new(),
            profile: profile.collect::<Profile>(),
            status: Status::Active,
            levels: std::collections::BTreeSet::new(),
            credentials: Vec::new(),
            validity: Validity::ALWAYS,
            site: None,
            revision: None,
        }
    }

    fn action(id: &str, steps: Vec<Step>) -> Action {
        Action {
            id: ActionId::new(sha256_hex(id.as_bytes())).expect("digest"),
            target: TargetId::new("hq").expect("id"),
            subject: Subject::Existing(CardholderId::new(id).expect("id")),
            person: None,
            steps: Steps::new(steps).expect("steps"),
            basis: None,
            expect: Expectation::default(),
            because: Reason { situation: Situation::Unqualified, why: Vec::new() },
        }
    }

    #[test]
    fn the_file_switches_off_those_whose_record_is_known_and_does_nothing_else() {
        let level = AccessLevelId::new("g").expect("id");
        let off = || Step::Reduce(Reduction::Suspend);
        let (leaver, unknown) = (action("p-1", vec![off()]), action("p-2", vec![off()]));
        let mover = action("p-3", vec![off(), Step::Grant { level: level.clone() }]);
        let less = action("p-4", vec![Step::Reduce(Reduction::Revoke { level })]);
        let catalog = Catalog::default();
        let records = ["p-1", "p-3", "p-4"].map(record);
        let work = |action, record| Handwork { action, name: "", catalog: &catalog, record };
        let all = [
            work(&leaver, Some(&records[0])),
            work(&unknown, None),
            work(&mover, Some(&records[1])),
            work(&less, Some(&records[2])),
        ];
        let file = StagingByHand.import_file(&all).expect("one leaver");
        let text = String::from_utf8(file.bytes).expect("UTF-8");
        assert_eq!((file.name.as_str(), file.actions), ("genetec-1-disable.csv", 1));
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.ends_with("\"p-1\",\"=Ada\",\"Lovelace\",\"\",\"2\",\"\",\"\"\r\n"), "{text}");
        assert!(StagingByHand.import_file(&all[1..]).is_none());
        assert!(StagingByHand.lock_out().iter().any(|line| line.contains("Inactive")));
    }
}
