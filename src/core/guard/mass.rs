//! Guards over numbers: how many people lose (G1, G2, G3) or gain (G7) access.

use super::words::{number, share};
use super::{Case, DEFAULT_OVERRULE, Item};
use crate::{Code, History, Occasion, Trip};

/// Blast radius, the two rolling windows, and the flood of grants.
pub(super) fn check(case: &Case<'_>, trips: &mut Vec<Trip>) {
    let losing = case.people(Item::reduces);
    if losing > 0 {
        trips.extend(blast_radius(case, losing));
        trips.extend(rolling_day(case, losing));
        trips.extend(rolling_week(case, losing));
    }
    trips.extend(grant_flood(case));
}

/// G1.
fn blast_radius(case: &Case<'_>, losing: u64) -> Option<Trip> {
    let allowed = case.scale.run(case.limits);
    let setting = if allowed == u64::from(case.limits.reductions_per_run) {
        "limits.reductions_per_run"
    } else {
        "limits.reductions_percent"
    };
    let before = before(case.draft.occasion, case.history);
    let measured = match before {
        0 => format!("{} would lose access", share(losing, case.scale.managed, "managed people")),
        before => window_words(before, losing, "an hour"),
    };
    (before.saturating_add(losing) > allowed)
        .then(|| trip(case, Code::BlastRadius, measured, allowed, setting, Item::reduces))
}

/// Who counts beside those of this plan. A run counts for itself. A watch looks every few seconds, so what it takes counts
/// by the hour: otherwise no accident would ever be large.
pub(crate) fn before(occasion: Occasion, history: &History) -> u64 {
    match occasion {
        Occasion::Run => 0,
        Occasion::Census | Occasion::Notice => history.reduced_hour,
    }
}

/// G2.
fn rolling_day(case: &Case<'_>, losing: u64) -> Option<Trip> {
    let before = case.history.reduced_day;
    let allowed = case.scale.window(case.limits.reductions_day_percent, before);
    let measured = window_words(before, losing, "24 hours");
    let setting = "limits.reductions_day_percent";
    (before.saturating_add(losing) > allowed)
        .then(|| trip(case, Code::RollingDay, measured, allowed, setting, Item::reduces))
}

/// G3.
fn rolling_week(case: &Case<'_>, losing: u64) -> Option<Trip> {
    let before = case.history.reduced_week;
    let allowed = case.scale.window(case.limits.reductions_week_percent, before);
    let measured = window_words(before, losing, "7 days");
    let setting = "limits.reductions_week_percent";
    (before.saturating_add(losing) > allowed)
        .then(|| trip(case, Code::RollingWeek, measured, allowed, setting, Item::reduces))
}

/// G7. The first run and a rollback wait for a person as a whole, and filling an empty PACS is what a first run is for.
fn grant_flood(case: &Case<'_>) -> Option<Trip> {
    if case.draft.undo || case.history.applied_runs == 0 {
        return None;
    }
    let gaining = case.people(Item::raises);
    let allowed = case.scale.grants(case.limits);
    let setting = if allowed == u64::from(case.limits.grants_per_run) {
        "limits.grants_per_run"
    } else {
        "limits.grants_percent"
    };
    let measured = format!("{} would gain access; {} are managed", number(gaining), number(case.scale.managed));
    (gaining > allowed).then(|| trip(case, Code::GrantFlood, measured, allowed, setting, Item::raises))
}

fn window_words(before: u64, losing: u64, window: &str) -> String {
    format!(
        "{} within {window}: {} before, {} in this plan",
        number(before.saturating_add(losing)),
        number(before),
        number(losing)
    )
}

fn trip<'a>(
    case: &Case<'a>,
    code: Code,
    measured: String,
    allowed: u64,
    setting: &str,
    concerned: impl Fn(&Item<'a>) -> bool,
) -> Trip {
    let holds = case.ids(concerned);
    Trip {
        code,
        subject: case.draft.target.to_string(),
        measured,
        allowed: format!("at most {}", number(allowed)),
        setting: Some(setting.into()),
        common: case.common(&holds),
        holds,
        overrule: DEFAULT_OVERRULE,
    }
}
