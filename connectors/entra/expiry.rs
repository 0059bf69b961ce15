//! When what we sign in with ends, said in time: 30, 14, 7 and 1 day ahead. Pure.

use jiff::Timestamp;
use lockstep_contract::{Check, Secret};
use lockstep_http::Value;

use crate::probe::{fail, pass, warn};

/// The check is about signing in.
pub(crate) const SIGN_IN: &str = "sign-in";
/// So many days ahead it is said again. The words change with the step and not with the day, so that whoever watches for
/// changes hears of each step once.
const STEPS: [i64; 4] = [1, 7, 14, 30];
/// From this step on it is a failure: tomorrow nobody signs in.
const FAIL_DAYS: i64 = 1;

/// The state of something that ends.
pub(crate) fn check(what: &str, ends: Timestamp, now: Timestamp, help: &str) -> Check {
    let days = ends.duration_since(now).as_hours().div_euclid(24);
    let detail = format!("by {what} that ends on {}", ends.strftime("%Y-%m-%d"));
    if days < 0 {
        return fail(SIGN_IN, format!("{detail}: it has ended"), help);
    }
    match STEPS.into_iter().find(|step| days <= *step) {
        Some(step) if step <= FAIL_DAYS => fail(SIGN_IN, format!("{detail}: within {} hours", (step + 1) * 24), help),
        Some(step) => warn(SIGN_IN, format!("{detail}: within {step} days"), help),
        None => pass(SIGN_IN, detail),
    }
}

/// When a secret of an application object ends. Of a secret, the object shows its first characters only; of several that
/// may be ours, the first to end counts.
pub(crate) fn of_secret(application: &Value, secret: &Secret) -> Option<Timestamp> {
    let listed = application.get("passwordCredentials").and_then(Value::as_array)?;
    let ours = listed.iter().filter(|one| {
        let hint = one.get("hint").and_then(Value::as_str).unwrap_or_default();
        !hint.is_empty() && secret.expose().starts_with(hint)
    });
    ours.filter_map(|one| one.get("endDateTime").and_then(Value::as_str)?.parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use lockstep_contract::CheckOutcome;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_end_is_said_in_time_and_each_step_in_words_of_its_own() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().expect("time");
        let at = |hours: i64| check("a certificate", now + SignedDuration::from_hours(hours), now, "renew it");
        for (hours, expected, words) in [
            (-1, CheckOutcome::Fail, "has ended"),
            (5, CheckOutcome::Fail, "within 48 hours"),
            (47, CheckOutcome::Fail, "within 48 hours"),
            (49, CheckOutcome::Warn, "within 7 days"),
            (7 * 24, CheckOutcome::Warn, "within 7 days"),
            (8 * 24, CheckOutcome::Warn, "within 14 days"),
            (15 * 24, CheckOutcome::Warn, "within 30 days"),
            (30 * 24, CheckOutcome::Warn, "within 30 days"),
            (32 * 24, CheckOutcome::Pass, "ends on"),
        ] {
            let said = at(hours);
            assert!(said.outcome == expected && said.detail.contains(words), "{hours} hours: {said:?}");
        }
    }

    #[test]
    fn the_secret_in_use_is_the_one_that_begins_so_and_of_two_the_first_to_end() {
        let listed = json!({"passwordCredentials": [
            {"hint": "abc", "endDateTime": "2027-01-01T00:00:00Z"},
            {"hint": "abc", "endDateTime": "2026-06-01T00:00:00.5Z"},
            {"hint": "xyz", "endDateTime": "2026-03-01T00:00:00Z"},
            {"hint": null, "endDateTime": "2026-02-01T00:00:00Z"},
        ]});
        let ends = |secret: &str| of_secret(&listed, &Secret::new(secret.to_owned()));
        assert_eq!(ends("abcdef"), "2026-06-01T00:00:00.5Z".parse().ok());
        assert_eq!((ends("ABC"), ends("")), (None, None));
        assert_eq!(of_secret(&json!({"passwordCredentials": null}), &Secret::new("abc".to_owned())), None);
    }
}
