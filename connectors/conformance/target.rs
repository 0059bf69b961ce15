//! The laws for a target, by name. What each demands stands beside it; how it is examined is in the modules below, by
//! theme. This module must not know any connector.

mod applying;
mod asking;
mod capabilities;
mod listing;
mod trouble;

use std::pin::Pin;

use crate::bed::TargetBed;
use crate::law::{Outcome, Report, Stop};

type Examination<'b> = Pin<Box<dyn Future<Output = Result<(), Stop>> + Send + 'b>>;

/// One law for a target.
pub struct TargetLaw {
    /// Its name.
    pub name: &'static str,
    /// What it demands, in one sentence.
    pub says: &'static str,
    run: for<'b> fn(&'b dyn TargetBed) -> Examination<'b>,
}

impl TargetLaw {
    /// Examines the connector of this bed.
    pub async fn examine(&self, bed: &dyn TargetBed) -> Outcome {
        (self.run)(bed).await.into()
    }
}

impl std::fmt::Debug for TargetLaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TargetLaw").field("name", &self.name).field("says", &self.says).finish_non_exhaustive()
    }
}

/// Every law for a target.
pub fn target_laws() -> &'static [TargetLaw] {
    LAWS
}

/// Examines every law, one after the other.
pub async fn check_target(bed: &dyn TargetBed) -> Vec<Report> {
    let mut reports = Vec::with_capacity(LAWS.len());
    for law in LAWS {
        reports.push(Report { law: law.name, says: law.says, outcome: law.examine(bed).await });
    }
    reports
}

/// `law!(module::name, "what it demands")`: the law is named like the function that examines it.
macro_rules! law {
    ($theme:ident :: $name:ident, $says:literal) => {
        TargetLaw { name: stringify!($name), says: $says, run: |bed| Box::pin($theme::$name(bed)) }
    };
}

static LAWS: &[TargetLaw] = &[
    law!(
        listing::list_ends_with_census,
        "a list holds every cardholder once, suspended ones too, and ends with counts that agree with what arrived"
    ),
    law!(listing::cut_list_is_a_fault, "a list that breaks off is a fault, never a shorter list"),
    law!(
        listing::short_list_does_not_add_up,
        "a list that lacks records the system counts is a fault, or its census shows that it lacks them"
    ),
    law!(listing::cursors_never_repeat, "no cursor comes twice in one list"),
    law!(
        listing::repeated_page_is_noticed,
        "a page sent twice is a fault, or shows as a repeated cursor or record; it never passes as the whole list"
    ),
    law!(listing::read_agrees_with_list, "a record read alone is the record of the list; an unknown id is `None`"),
    law!(listing::find_agrees_with_list, "a look-up by key finds exactly the listed records that have the key"),
    law!(
        listing::ignored_filter_is_noticed,
        "when the system ignores the filter of a look-up, nobody without the key is handed out"
    ),
    law!(listing::catalog_knows_every_level, "the catalog holds every access level with its name"),
    law!(applying::accepted_is_visible, "what was accepted shows in the next read: no success is claimed that is none"),
    law!(applying::apply_twice_is_once, "an action sent twice leaves the record as once, and creates one record"),
    law!(applying::reductions_never_raise, "a reduction never adds a level, a working credential, validity or status"),
    law!(applying::unmanaged_levels_survive, "levels, fields and credentials that an action does not name stay"),
    law!(
        applying::names_round_trip,
        "names come back as they were written: long, right to left, emoji, apostrophes, filter characters"
    ),
    law!(applying::validity_keeps_its_zone, "a validity comes back as the same two instants, across clock changes"),
    law!(capabilities::capabilities_are_true, "what a connector says it can do it does, and it refuses the rest"),
    law!(trouble::cut_after_send_is_uncertain, "a write whose answer is lost is uncertain: not done, not refused"),
    law!(trouble::refused_had_no_effect, "a refused write left the record as it was"),
    law!(trouble::unknown_level_is_refused, "a level that does not exist is refused, without any effect"),
    law!(
        trouble::unreadable_is_not_empty,
        "while the system is down, every read is a fault that says unreachable, and a write was not sent"
    ),
    law!(trouble::denied_is_not_missing, "forbidden is said as denied: no read answers `nothing there`"),
    law!(
        trouble::unauthenticated_is_not_missing,
        "a system that does not know us is said to be that: no read answers `nothing there`"
    ),
    law!(trouble::throttle_says_when, "throttling is said as such, with the time that the system asked us to wait"),
    law!(
        trouble::deadline_is_kept,
        "a call to a system that never answers ends by its deadline, leaves the outcome open, and harms no later call"
    ),
    law!(trouble::cancel_stops_before_the_next_request, "when the run is to end, no request is sent any more"),
    law!(trouble::no_secret_in_any_fault, "no fault holds a secret or a card number in full"),
];
