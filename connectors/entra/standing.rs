//! Whether somebody is still here, from the properties that say so. Pure. Nothing is defaulted: Graph answers `null` for
//! what the registration may not see, so `null` is never no.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use lockstep_contract::Standing;
use lockstep_http::Value;

use crate::api::Object;

/// What the configuration says about leaving.
#[derive(Debug, Clone)]
pub(crate) struct Leaving {
    /// The leave date counts.
    pub(crate) by_date: bool,
    /// Where the last day ends.
    pub(crate) zone: Option<TimeZone>,
}

/// True when the properties that every user has are shown. They are hidden together with everything else.
pub(crate) fn is_shown(user: &Object) -> bool {
    user.get("accountEnabled").is_some_and(Value::is_boolean)
        && user.get("userPrincipalName").is_some_and(Value::is_string)
}

/// The standing of a user. `dates_readable` tells whether a leave date would be shown if there were one.
pub(crate) fn of(user: &Object, leaving: &Leaving, dates_readable: bool, now: Timestamp) -> Standing {
    let date = match leave_date(user) {
        _ if !leaving.by_date => Ok(None),
        Ok(None) if !dates_readable => Err(()),
        other => other,
    };
    let past = date.map(|date| date.map(|at| end_of(at, leaving.zone.as_ref())).filter(|end| *end <= now));
    match (user.get("accountEnabled"), past) {
        (_, Ok(Some(since))) => Standing::Ended { since: Some(since) },
        (Some(Value::Bool(false)), _) => Standing::Ended { since: None },
        (Some(Value::Bool(true)), Ok(None)) if is_shown(user) && !is_waiting(user) => Standing::Active,
        _ => Standing::Unknown,
    }
}

/// The leave date; an error when there is something that is no date.
fn leave_date(user: &Object) -> Result<Option<Timestamp>, ()> {
    match user.get("employeeLeaveDateTime") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some).map_err(|_| ()),
        Some(_) => Err(()),
    }
}

/// A last day is whole: it ends at the next midnight of the site, whatever hour was typed.
fn end_of(at: Timestamp, zone: Option<&TimeZone>) -> Timestamp {
    let Some(zone) = zone else { return at };
    let day = at.to_zoned(zone.clone()).date();
    let next = day.checked_add(1.day()).and_then(|next| next.to_zoned(zone.clone()));
    next.map_or(at, |midnight| midnight.timestamp())
}

/// A guest who has not accepted the invitation is nobody yet, nor has he left.
fn is_waiting(user: &Object) -> bool {
    match user.get("externalUserState") {
        None | Some(Value::Null) => false,
        Some(state) => state.as_str() != Some("Accepted"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ENDED: Standing = Standing::Ended { since: None };

    fn now() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().expect("time")
    }

    fn leaving(by_date: bool, zone: Option<&str>) -> Leaving {
        Leaving { by_date, zone: zone.map(|name| TimeZone::get(name).expect("zone")) }
    }

    fn user(extra: Value) -> Object {
        let mut user = json!({"id": "x", "accountEnabled": true, "userPrincipalName": "a@x.example"});
        for (name, value) in extra.as_object().expect("object") {
            user[name] = value.clone();
        }
        user.as_object().expect("object").clone()
    }

    fn standing(extra: Value) -> Standing {
        of(&user(extra), &leaving(false, None), false, now())
    }

    #[test]
    fn null_and_absent_are_neither_enabled_nor_disabled() {
        assert_eq!(standing(json!({})), Standing::Active);
        assert_eq!(standing(json!({"accountEnabled": false})), ENDED);
        assert_eq!(standing(json!({"accountEnabled": null})), Standing::Unknown);
        assert_eq!(standing(json!({"accountEnabled": "true"})), Standing::Unknown);
        assert_eq!(standing(json!({"userPrincipalName": null})), Standing::Unknown);
        let mut absent = user(json!({}));
        absent.remove("accountEnabled");
        assert_eq!(of(&absent, &leaving(false, None), true, now()), Standing::Unknown);
    }

    #[test]
    fn a_leave_date_that_may_be_hidden_leaves_everything_open() {
        let by_date = leaving(true, None);
        let of = |extra: Value, readable| of(&user(extra), &by_date, readable, now());
        assert_eq!(of(json!({"employeeLeaveDateTime": null}), true), Standing::Active);
        assert_eq!(of(json!({"employeeLeaveDateTime": null}), false), Standing::Unknown);
        assert_eq!(of(json!({"employeeLeaveDateTime": null, "accountEnabled": false}), false), ENDED);
        assert_eq!(of(json!({"employeeLeaveDateTime": "2026-03-02T00:00:00Z"}), true), Standing::Active);
        let since = "2026-03-01T00:00:00Z";
        assert_eq!(of(json!({"employeeLeaveDateTime": since}), false), Standing::Ended { since: since.parse().ok() });
        assert_eq!(of(json!({"employeeLeaveDateTime": "soon"}), true), Standing::Unknown);
    }

    #[test]
    fn a_last_day_is_whole_in_the_zone_of_the_site() {
        // Midnight of the first of March in Berlin.
        let typed = json!({"employeeLeaveDateTime": "2026-02-28T23:00:00Z"});
        let until = |zone| of(&user(typed.clone()), &leaving(true, zone), true, now());
        assert_eq!(until(None), Standing::Ended { since: "2026-02-28T23:00:00Z".parse().ok() });
        assert_eq!(until(Some("Europe/Berlin")), Standing::Active, "the first of March is not over at noon");
    }

    #[test]
    fn a_guest_who_has_not_accepted_is_nobody_yet() {
        assert_eq!(standing(json!({"externalUserState": "PendingAcceptance"})), Standing::Unknown);
        assert_eq!(standing(json!({"externalUserState": "SomethingNew"})), Standing::Unknown);
        assert_eq!(standing(json!({"externalUserState": "Accepted"})), Standing::Active);
    }
}
