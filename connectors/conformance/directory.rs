//! The laws for a directory, by name. What each demands stands beside it; how it is examined is in the modules below,
//! by theme. This module must not know any connector.

mod asking;
mod groups;
mod people;
mod trouble;

use std::pin::Pin;

use crate::directory_bed::DirectoryBed;
use crate::law::{Outcome, Report, Stop};

type Examination<'b> = Pin<Box<dyn Future<Output = Result<(), Stop>> + Send + 'b>>;

/// One law for a directory.
pub struct DirectoryLaw {
    /// Its name.
    pub name: &'static str,
    /// What it demands, in one sentence.
    pub says: &'static str,
    run: for<'b> fn(&'b dyn DirectoryBed) -> Examination<'b>,
}

impl DirectoryLaw {
    /// Examines the connector of this bed.
    pub async fn examine(&self, bed: &dyn DirectoryBed) -> Outcome {
        (self.run)(bed).await.into()
    }
}

impl std::fmt::Debug for DirectoryLaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirectoryLaw").field("name", &self.name).field("says", &self.says).finish_non_exhaustive()
    }
}

/// Every law for a directory.
pub fn directory_laws() -> &'static [DirectoryLaw] {
    LAWS
}

/// Examines every law, one after the other.
pub async fn check_directory(bed: &dyn DirectoryBed) -> Vec<Report> {
    let mut reports = Vec::with_capacity(LAWS.len());
    for law in LAWS {
        reports.push(Report { law: law.name, says: law.says, outcome: law.examine(bed).await });
    }
    reports
}

/// `law!(module::name, "what it demands")`: the law is named like the function that examines it.
macro_rules! law {
    ($theme:ident :: $name:ident, $says:literal) => {
        DirectoryLaw { name: stringify!($name), says: $says, run: |bed| Box::pin($theme::$name(bed)) }
    };
}

static LAWS: &[DirectoryLaw] = &[
    law!(
        people::people_end_with_census,
        "a list holds every person once and ends with counts that agree with what arrived and what was set aside"
    ),
    law!(people::cut_people_is_a_fault, "a list of people that breaks off is a fault, never a shorter list"),
    law!(people::cursors_never_repeat, "no cursor comes twice in one list"),
    law!(people::ended_is_read_as_ended, "an ended account reads as ended, every other one as active"),
    law!(people::profiles_are_carried, "the fields that were asked for come as they are stored, and with keys"),
    law!(people::lookup_agrees_with_people, "a person looked up by id is the person of the list"),
    law!(people::find_agrees_with_people, "a look-up by key finds exactly the listed people who have the key"),
    law!(people::gone_needs_proof, "an id that nobody has is gone with a proof, or a fault; it is never made up"),
    law!(groups::every_group_is_answered, "there is one answer for each group asked, and none for any other"),
    law!(groups::members_are_transitive, "members of nested groups are members, through any number of levels"),
    law!(groups::cycles_end, "groups that contain each other are read once, and hold the members of all of them"),
    law!(groups::empty_needs_proof, "a group without members is proven empty or unproven; it is no error and no list"),
    law!(groups::unknown_group_is_unreadable, "a group that does not exist is unreadable, never empty"),
    law!(groups::paths_lead_to_the_person, "a path leads from the group asked down to the one that names the person"),
    law!(
        trouble::unreadable_is_not_empty,
        "a group that may not be read is unreadable, and so is every group that contains it"
    ),
    law!(
        trouble::hidden_is_not_empty,
        "a group whose members are hidden is never proven empty, and of nobody is it said that he is not in it"
    ),
    law!(
        trouble::everything_hidden_is_nobody_gone,
        "when the directory shows nothing, nobody is said to be gone, and no group to be empty"
    ),
    law!(trouble::denied_is_not_missing, "forbidden is said as denied: no read answers `nothing there`"),
    law!(trouble::down_is_not_empty, "while the directory is down, every read is a fault that says unreachable"),
    law!(
        trouble::deadline_is_kept,
        "a call to a directory that never answers ends by its deadline and harms no later call"
    ),
    law!(trouble::cancel_stops_before_the_next_request, "when the run is to end, no request is sent any more"),
    law!(trouble::no_secret_in_any_fault, "no fault holds a secret"),
];
