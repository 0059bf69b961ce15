//! The states of cards. Their names are translated and differ from site to site; only the type of a state is fixed.
//! Pure.

use lockstep_contract::{CredentialStatus, InactiveStatus};

use crate::config::CardStates;

/// What a state means. Whatever is switched off in a way that the settings do not name is never switched on from here.
pub(crate) fn status_of(label: Option<&str>, kind: Option<&str>, states: &CardStates) -> CredentialStatus {
    match kind {
        Some("active") => CredentialStatus::Active,
        Some("expired") => CredentialStatus::Inactive(InactiveStatus::Expired),
        Some("inactive") => CredentialStatus::Inactive(why_inactive(label, states)),
        // A card that will work one day is one that works, when access is to be cut.
        Some(other) => CredentialStatus::Other(label.unwrap_or(other).to_owned()),
        None => CredentialStatus::Other(label.unwrap_or("no state").to_owned()),
    }
}

fn why_inactive(label: Option<&str>, states: &CardStates) -> InactiveStatus {
    let is = |name: &str| label.is_some_and(|label| same(label, name));
    if is(&states.lost) {
        InactiveStatus::Lost
    } else if is(&states.stolen) {
        InactiveStatus::Stolen
    } else if states.returned.as_deref().is_some_and(is) {
        InactiveStatus::Returned
    } else if is(&states.disabled) {
        InactiveStatus::Disabled
    } else {
        InactiveStatus::Expired
    }
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// The state to write in order to switch a card off for this reason. A reason for which there is no state at this site
/// gives way to the plain one: that the card is off matters more than why.
///
/// # Errors
/// The states that there are, when none of the settings is among them.
pub(crate) fn label_for_off<'s>(
    why: InactiveStatus,
    states: &'s CardStates,
    there: Option<&[String]>,
) -> Result<&'s str, String> {
    let exact = match why {
        InactiveStatus::Disabled | InactiveStatus::Expired => None,
        InactiveStatus::Lost => Some(states.lost.as_str()),
        InactiveStatus::Stolen => Some(states.stolen.as_str()),
        InactiveStatus::Returned => states.returned.as_deref(),
    };
    let mut wanted = exact.into_iter().chain([states.disabled.as_str()]);
    let first = wanted.clone().next().unwrap_or(&states.disabled);
    let Some(there) = there else { return Ok(first) };
    wanted.find(|label| is_there(label, there)).ok_or_else(|| unknown(&states.disabled, "disabled", there))
}

/// The state to write in order to switch a card on.
///
/// # Errors
/// The states that there are, when the setting is not among them.
pub(crate) fn label_for_on<'s>(states: &'s CardStates, there: Option<&[String]>) -> Result<&'s str, String> {
    match there {
        Some(there) if !is_there(&states.active, there) => Err(unknown(&states.active, "active", there)),
        Some(_) | None => Ok(&states.active),
    }
}

fn is_there(label: &str, there: &[String]) -> bool {
    there.iter().any(|state| same(state, label))
}

fn unknown(label: &str, setting: &str, there: &[String]) -> String {
    format!(
        "cards of this type have no state `{label}`, but {}: set `card_states.{setting}` to the right one",
        there.iter().map(|state| format!("`{state}`")).collect::<Vec<_>>().join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn german() -> CardStates {
        CardStates {
            disabled: "Gesperrt".into(),
            lost: "Verloren".into(),
            active: "Aktiv".into(),
            ..CardStates::default()
        }
    }

    #[test]
    fn the_type_decides_and_the_name_only_says_why() {
        let states = german();
        let of = |label, kind| status_of(Some(label), kind, &states);
        assert_eq!(of("Aktiv", Some("active")), CredentialStatus::Active);
        assert_eq!(of("Gesperrt", Some("active")), CredentialStatus::Active, "whatever it is called");
        assert_eq!(of("GESPERRT", Some("inactive")), CredentialStatus::Inactive(InactiveStatus::Disabled));
        assert_eq!(of("verloren", Some("inactive")), CredentialStatus::Inactive(InactiveStatus::Lost));
        assert_eq!(of("", Some("expired")), CredentialStatus::Inactive(InactiveStatus::Expired));
    }

    #[test]
    fn a_state_that_nobody_named_is_off_and_stays_off() {
        let seen = status_of(Some("Beschlagnahmt"), Some("inactive"), &german());
        assert_eq!(seen, CredentialStatus::Inactive(InactiveStatus::Expired));
    }

    #[test]
    fn a_card_of_tomorrow_and_a_state_of_an_unknown_type_count_as_working_when_access_is_cut() {
        for kind in [Some("pending"), Some("suspect"), None] {
            let seen = status_of(Some("Not Yet Activated"), kind, &german());
            assert_eq!(seen, CredentialStatus::Other("Not Yet Activated".to_owned()), "{kind:?}");
        }
    }

    #[test]
    fn a_missing_reason_gives_way_and_a_missing_state_is_refused_with_those_there_are() {
        let there: Vec<String> = ["Aktiv", "Gesperrt"].map(str::to_owned).to_vec();
        assert_eq!(label_for_off(InactiveStatus::Lost, &german(), Some(&there)), Ok("Gesperrt"));
        assert_eq!(label_for_off(InactiveStatus::Lost, &german(), None), Ok("Verloren"));
        assert_eq!(label_for_on(&german(), Some(&there)), Ok("Aktiv"));
        let factory = CardStates::default();
        let error = label_for_off(InactiveStatus::Disabled, &factory, Some(&there)).expect_err("no such state");
        assert!(error.contains("Disabled (manually)") && error.contains("`Gesperrt`"), "{error}");
    }
}
