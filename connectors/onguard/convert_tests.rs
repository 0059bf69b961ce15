//! What badges make of a person, and what may stand in a filter.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const DISABLED: CredentialStatus = CredentialStatus::Inactive(InactiveStatus::Disabled);
const LOST: CredentialStatus = CredentialStatus::Inactive(InactiveStatus::Lost);

fn badge(key: i64, status: CredentialStatus) -> Badge {
    Badge { key, number: Some(format!("40{key}")), code: Some(9), status }
}

fn person(badges: &[Badge], levels: &[(i64, &[i64])]) -> (Status, Vec<String>) {
    let instance = Instance::of(json!({"property_value_map": {"ID": 7, "LASTNAME": "Boothroyd", "SSNO": "E1"}}));
    let levels = levels.iter().map(|(badge, levels)| (*badge, levels.to_vec())).collect();
    let shape = Shape { keys: Keys { employee: Some("SSNO".into()), ..Keys::default() }, fields: Fields::new() };
    let record = cardholder(&instance.expect("an instance"), badges, &levels, &shape).expect("a record");
    (record.status, record.levels.iter().map(|level| level.as_str().to_owned()).collect())
}

#[test]
fn the_levels_of_somebody_are_those_of_the_badges_that_work() {
    let unknown = CredentialStatus::Other("Worn out".into());
    for (badges, levels, status, held) in [
        (vec![], vec![], Status::Suspended, vec![]),
        (vec![badge(1, CredentialStatus::Active)], vec![(1, &[5, 6][..])], Status::Active, vec!["5", "6"]),
        // Replaced: the lost one keeps its levels in OnGuard, and opens nothing.
        (vec![badge(1, LOST), badge(2, CredentialStatus::Active)], vec![(1, &[5][..])], Status::Active, vec![]),
        (vec![badge(1, DISABLED), badge(2, unknown)], vec![(1, &[5][..]), (2, &[6][..])], Status::Active, vec!["6"]),
        // Switching the only one that works off changes no level.
        (vec![badge(1, DISABLED)], vec![(1, &[5][..])], Status::Suspended, vec!["5"]),
        (vec![badge(1, LOST)], vec![(1, &[5][..])], Status::Suspended, vec![]),
    ] {
        let expect = (status, held.into_iter().map(str::to_owned).collect());
        assert_eq!(person(&badges, &levels), expect, "{badges:?}");
    }
}

#[test]
fn only_plain_values_stand_in_a_filter() {
    assert_eq!(condition("SSNO", false, "E 1234-5_a.b@c+d"), Some("SSNO=\"E 1234-5_a.b@c+d\"".to_owned()));
    assert_eq!(condition("SSNO", false, "Zoë山"), Some("SSNO=\"Zoë山\"".to_owned()));
    for wrong in ["", "a\"b", "x\" OR ID>\"0", "it's", "50%", "a*", "a\\", "a;b", "a=b", "(a)", "a\nb", "[a]", "a,b"] {
        assert_eq!(condition("SSNO", false, wrong), None, "{wrong:?}");
    }
    assert_eq!(condition("PIN", true, "42"), Some("PIN=42".to_owned()));
    for wrong in ["042", "4 2", "+42", "42 OR 1=1", "x", ""] {
        assert_eq!(condition("PIN", true, wrong), None, "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn no_value_ends_the_quotation(value in "\\PC{0,40}") {
        if let Some(condition) = condition("SSNO", false, &value) {
            prop_assert_eq!(condition.matches('"').count(), 2);
            prop_assert_eq!(condition, format!("SSNO=\"{value}\""));
        }
    }
}
