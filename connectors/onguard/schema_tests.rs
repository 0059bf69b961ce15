//! What the words of a site are taken to mean.

use serde_json::json;

use super::*;

fn settings(more: &Value) -> BadgeStatuses {
    let mut all = json!({"switched_off": "Switched off by Lockstep"});
    all.as_object_mut().expect("settings").extend(more.as_object().expect("settings").clone());
    serde_json::from_value(all).expect("settings")
}

fn names() -> BTreeMap<i64, String> {
    let names = ["Aktiv", "LOST", "Returned", "Worn out", "Switched off by Lockstep", "Suspended by security"];
    (1..).zip(names.map(str::to_owned)).collect()
}

#[test]
fn a_status_that_nobody_explained_is_neither_active_nor_inactive() {
    let statuses = Statuses::of(names(), &settings(&json!({}))).expect("statuses");
    assert_eq!(statuses.read(Some(1)), CredentialStatus::Active, "by its id, whatever its name");
    assert_eq!(statuses.read(Some(2)), CredentialStatus::Inactive(InactiveStatus::Lost));
    assert_eq!(statuses.read(Some(3)), CredentialStatus::Inactive(InactiveStatus::Returned));
    assert_eq!(statuses.read(Some(4)), CredentialStatus::Other("Worn out".to_owned()));
    assert_eq!(statuses.read(Some(5)), CredentialStatus::Inactive(InactiveStatus::Disabled));
    assert_eq!(statuses.read(Some(99)), CredentialStatus::Other("status 99".to_owned()));
    for broken in [None, Some(0)] {
        assert_eq!(statuses.read(broken), CredentialStatus::Other("no status".to_owned()));
    }
    assert_eq!(statuses.unexplained(), ["Worn out", "Suspended by security"]);
}

#[test]
fn a_reason_is_written_where_the_site_has_a_status_for_it() {
    let statuses = Statuses::of(names(), &settings(&json!({"disabled": ["Suspended by security"]}))).expect("statuses");
    assert_eq!(statuses.to_write(InactiveStatus::Lost), 2);
    assert_eq!(statuses.to_write(InactiveStatus::Stolen), 5, "this site has none: off is what matters");
    assert_eq!(statuses.to_write(InactiveStatus::Disabled), 5, "never the one that people set");
}

#[test]
fn settings_that_contradict_the_site_are_refused() {
    for (more, why) in [
        (json!({"switched_off": "Gone"}), "no such badge status"),
        (json!({"switched_off": "Aktiv"}), "two meanings"),
        (json!({"active": "Active"}), "no such badge status"),
        (json!({"lost": ["Lost", "Returned"]}), "two meanings"),
    ] {
        let error = Statuses::of(names(), &settings(&more)).expect_err("refused");
        assert!(error.contains(why), "{more}: {error}");
    }
    let mut without_one = names();
    without_one.remove(&1);
    assert!(Statuses::of(without_one, &settings(&json!({}))).is_err());
    let mut twice = names();
    twice.insert(7, "switched off by lockstep".to_owned());
    assert!(Statuses::of(twice, &settings(&json!({}))).expect_err("two of a name").contains("several"));
}

#[test]
fn a_type_says_what_is_required_how_long_and_whether_it_may_be_changed() {
    let json = json!({"properties": [
        {"name": "ID", "type": "Int32", "is_key": true, "is_required": true, "access": "View"},
        {"name": "LastName", "type": "String", "is_required": true, "max_length": 64, "access": "View, Edit"},
        {"name": "TYPE", "type": "Int32", "is_required": true, "default_value": 1},
        {"name": "LASTCHANGED", "type": "DateTime", "access": "ReadOnly", "max_length": 0},
    ]});
    let properties = Properties::of(&json).expect("properties");
    let required: Vec<&str> = properties.required().map(|property| property.name.as_str()).collect();
    assert_eq!(required, ["LastName"]);
    assert_eq!(properties.get("LASTNAME").and_then(|property| property.chars_max), Some(64));
    let editable = |name: &str| properties.get(name).map(|property| property.editable);
    assert_eq!(
        (editable("lastname"), editable("lastchanged"), editable("type")),
        (Some(true), Some(false), Some(true))
    );
    assert!(Properties::of(&json!({})).is_err() && Properties::of(&json!({"properties": [{}]})).is_err());
}
