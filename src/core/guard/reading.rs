//! Guards over what was read: is there enough evidence to act on at all?

use super::allowed::{fell_more, percent};
use super::words::{count, number, share};
use super::{Case, DEFAULT_OVERRULE, Item};
use crate::{Code, Occasion, Overrule, Trip};

/// Evidence, source shrink (G5), nobody left (G6). A rollback reads no directory and plans nothing from one.
pub(super) fn check(case: &Case<'_>, trips: &mut Vec<Trip>) {
    if case.draft.undo {
        return;
    }
    trips.extend(evidence(case));
    // A notice reads those alone of whom it was told. What they show of the whole is nothing.
    if case.draft.occasion != Occasion::Notice {
        trips.extend(source_shrank(case));
        trips.extend(nobody_read(case));
        trips.extend(nobody_on_pacs(case));
    }
    trips.extend(nobody_afterwards(case));
}

/// A few unreadable groups freeze only those who depend on them. When many are, the reading as a whole is in doubt.
/// One is always a few, unless it is the only one or the limit is zero.
fn evidence(case: &Case<'_>) -> Option<Trip> {
    let limit = case.limits.unreadable_groups_percent;
    let groups = case.draft.facts.groups.len() as u64;
    let unreadable = case.draft.facts.groups.values().filter(|members| members.is_none()).count() as u64;
    let allowed = if limit == 0 { 0 } else { percent(limit, groups).max(1) };
    if unreadable == 0 || (unreadable <= allowed && unreadable < groups) {
        return None;
    }
    let holds = case.ids(|_| true);
    Some(Trip {
        code: Code::Evidence,
        subject: "mapped groups".into(),
        measured: format!("{} could not be read", share(unreadable, groups, "mapped groups")),
        allowed: format!("at most {}", number(allowed.min(groups.saturating_sub(1)))),
        setting: Some("limits.unreadable_groups_percent".into()),
        common: None,
        holds,
        overrule: Overrule::Nobody,
    })
}

/// G5. The reading is suspect: nobody loses access because of it.
fn source_shrank(case: &Case<'_>) -> Option<Trip> {
    let median = case.history.people_median()?;
    let now = case.draft.facts.people_active;
    let limit = case.limits.source_drop_percent;
    if !fell_more(median, now, limit) {
        return None;
    }
    let holds = case.ids(Item::reduces);
    Some(Trip {
        code: Code::SourceShrank,
        subject: "directory".into(),
        measured: format!("{}, {} fewer", count(now, "active person", "active people"), number(median - now)),
        allowed: format!("at most {limit} % below {}, the median of the last reads", number(median)),
        setting: Some("limits.source_drop_percent".into()),
        common: case.common(&holds),
        holds,
        overrule: DEFAULT_OVERRULE,
    })
}

/// G6, directory: it shows nobody who is active, and there is somebody who would feel it.
fn nobody_read(case: &Case<'_>) -> Option<Trip> {
    let facts = &case.draft.facts;
    let was = case.history.people_median().unwrap_or(0).max(facts.managed);
    if facts.people_active > 0 || (was == 0 && !case.items.iter().any(Item::reduces)) {
        return None;
    }
    Some(nobody(case, "directory", "0 active people", format!("at least 1; there were {}", number(was))))
}

/// G6, PACS: it shows no cardholder, and had some. Everybody would be created a second time.
fn nobody_on_pacs(case: &Case<'_>) -> Option<Trip> {
    let was = case.history.cardholders.unwrap_or(0);
    if case.draft.facts.cardholders > 0 || was == 0 {
        return None;
    }
    let target = case.draft.target.as_str();
    Some(nobody(case, target, "0 cardholders", format!("at least 1; there were {}", number(was))))
}

fn nobody(case: &Case<'_>, subject: &str, measured: &str, allowed: String) -> Trip {
    Trip {
        code: Code::NobodyLeft,
        subject: subject.to_owned(),
        measured: measured.to_owned(),
        allowed,
        setting: None,
        common: None,
        holds: case.ids(|_| true),
        overrule: Overrule::Nobody,
    }
}

/// G6, looking ahead: the plan would switch off everybody it manages. A target with a single person is left to the
/// other guards; there, everybody is one leaver.
fn nobody_afterwards(case: &Case<'_>) -> Option<Trip> {
    let managed = case.draft.facts.managed;
    let off = case.people(Item::suspends);
    if managed < 2 || off < managed {
        return None;
    }
    let holds = case.ids(Item::reduces);
    Some(Trip {
        code: Code::NobodyLeft,
        subject: format!("{} after this plan", case.draft.target),
        measured: format!("{} would be switched off", share(off, managed, "managed people")),
        allowed: "at least 1 stays".into(),
        setting: None,
        common: case.common(&holds),
        holds,
        overrule: DEFAULT_OVERRULE,
    })
}
