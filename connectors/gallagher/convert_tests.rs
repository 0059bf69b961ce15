//! Records as Command Centre shows them, in the words of the contract.

use std::collections::BTreeMap;

use lockstep_contract::{CredentialStatus, InactiveStatus};
use serde_json::json;

use super::*;

fn field(id: &str, name: &str) -> DataField {
    DataField {
        id: id.to_owned(),
        name: name.to_owned(),
        kind: "string".to_owned(),
        unique: true,
        access: None,
        carriers: BTreeMap::from([("/api/access_groups/900".to_owned(), "People".to_owned())]),
    }
}

pub(crate) fn shape() -> Shape {
    let data = DataFields {
        keys: BTreeMap::from([(KeyKind::Employee, field("629", "Employee ID"))]),
        fields: BTreeMap::from([(FieldName::known(field::DEPARTMENT), field("631", "Department"))]),
    };
    let base = Url::parse("https://cc:8904/api").expect("a URL");
    Shape::new(base, data, CardStates::default(), Some("/api/access_groups/900".to_owned()))
}

/// The example of the documentation, in our words.
pub(crate) fn example() -> Value {
    json!({
        "href": "https://cc:8904/api/cardholders/325",
        "firstName": "Algernon", "lastName": "Boothroyd", "authorised": true,
        "division": { "href": "https://cc:8904/api/divisions/2" },
        "@Employee ID": "E1234",
        "cards": [{
            "href": "https://cc:8904/api/cardholders/325/cards/97b6a24a", "number": "20551", "issueLevel": 1,
            "status": { "value": "Active", "type": "active" }, "credentialClass": "card",
            "type": { "href": "https://cc:8904/api/card_types/354", "name": "HID 26" }, "from": "2024-01-01T00:00:00Z",
        }],
        "accessGroups": [
            membership("D714D8A8", "352", "active"),
            membership("D714D8A9", "353", "pending"),
            membership("D714D8AA", "353", "expired"),
            membership("D714D8AB", "900", "active"),
        ],
    })
}

fn membership(code: &str, group: &str, state: &str) -> Value {
    json!({
        "href": format!("https://cc:8904/api/cardholders/325/access_groups/{code}"),
        "accessGroup": { "name": "Staff", "href": format!("https://cc:8904/api/access_groups/{group}") },
        "status": { "value": "…", "type": state }, "from": "", "until": "",
    })
}

pub(crate) fn with(path: &str, value: Value) -> Value {
    let mut item = example();
    *item.pointer_mut(path).expect("a place in the example") = value;
    item
}

#[test]
fn a_record_is_read_whole_and_the_home_group_is_no_level() {
    let record = shape().record(&example()).expect("a record");
    let cardholder = &record.cardholder;
    assert_eq!(cardholder.id.as_str(), "/api/cardholders/325");
    assert_eq!(cardholder.levels.iter().map(AccessLevelId::as_str).collect::<Vec<_>>(), ["/api/access_groups/352"]);
    assert_eq!(cardholder.credentials[0].number.as_deref(), Some("20551"));
    assert_eq!(cardholder.site.as_ref().map(SiteId::as_str), Some("/api/divisions/2"));
    assert_eq!((record.memberships.len(), record.cards.len()), (4, 1));
    assert!(record.shows(KeyKind::Employee));
    assert_eq!(cardholder.profile.get(field::DEPARTMENT), None, "not sent is not known");
}

#[test]
fn what_is_asked_for_leaves_nothing_to_be_read_alone() {
    assert_eq!(
        shape().fields("cardholder."),
        "cardholder.href,cardholder.firstName,cardholder.lastName,cardholder.authorised,cardholder.division,\
         cardholder.cards,cardholder.accessGroups,cardholder.pdf_629,cardholder.pdf_631"
    );
}

#[test]
fn a_flag_that_is_missing_or_odd_is_neither_on_nor_off() {
    for odd in [Value::Null, json!("true"), json!(1)] {
        let record = shape().record(&with("/authorised", odd)).expect("a record");
        assert!(matches!(record.cardholder.status, Status::Other(_)), "{record:?}");
    }
}

#[test]
fn a_list_that_is_no_list_is_no_empty_list() {
    for path in ["/cards", "/accessGroups"] {
        for odd in [Value::Null, json!({}), json!("none"), json!([null]), json!(["x"])] {
            assert!(shape().record(&with(path, odd.clone())).is_err(), "{path}: {odd}");
        }
    }
}

#[test]
fn links_that_are_missing_odd_huge_or_lead_away_spoil_the_record() {
    let links =
        ["/href", "/cards/0/href", "/accessGroups/0/href", "/accessGroups/0/accessGroup/href", "/division/href"];
    for path in links {
        for odd in ["https://evil/api/cardholders/325".to_owned(), "x".to_owned(), format!("/{}", "h".repeat(70_000))] {
            let read = shape().record(&with(path, Value::from(odd.clone())));
            let huge_is_kept = path == "/accessGroups/0/href" && odd.starts_with("/h");
            assert!(read.is_err() || huge_is_kept, "{path}: {}", &odd[..odd.len().min(40)]);
        }
    }
}

#[test]
fn states_never_heard_of_count_as_in_force() {
    let record = shape().record(&with("/accessGroups/1/status/type", json!("suspect"))).expect("a record");
    assert!(record.cardholder.levels.iter().any(|level| level.as_str().ends_with("353")));
    let record = shape().record(&with("/cards/0/status/type", json!("suspect"))).expect("a record");
    assert_eq!(record.cardholder.credentials[0].status, CredentialStatus::Other("Active".to_owned()));
    let record = shape().record(&with("/cards/0/credentialClass", json!("palm"))).expect("a record");
    assert_eq!(record.cardholder.credentials[0].kind, CredentialKind::Other);
    let record =
        shape().record(&with("/cards/0/status", json!({"value": "Lost", "type": "inactive"}))).expect("a record");
    assert_eq!(record.cardholder.credentials[0].status, CredentialStatus::Inactive(InactiveStatus::Lost));
}

#[test]
fn a_group_without_a_link_is_a_membership_and_no_level() {
    let record = shape().record(&with("/accessGroups/0/accessGroup", json!({"name": "Hidden"}))).expect("a record");
    assert!(record.cardholder.levels.is_empty());
    assert_eq!(record.memberships[0].group, None);
}

#[test]
fn the_short_way_reads_a_link_as_the_long_way_does_or_not_at_all() {
    let base = Url::parse("https://cc:8904/api").expect("a URL");
    let origin = base.origin().ascii_serialization();
    for rest in
        ["/api/cardholders/325", "/api/a_b-c", "/", "/a//b", "/a/../b", "/a/./b", "/a?b=c", "/a#b", "/a%2fb", "/ä", "x"]
    {
        let href = format!("{origin}{rest}");
        if let Some(path) = plain_path(&origin, &href) {
            assert_eq!(link(&base, &href).map(|url| path_of(&url)), Ok(path.to_owned()), "{href}");
        }
    }
    for elsewhere in
        ["https://cc:89040/api", "https://cc:8904.evil/api", "https://cc:8904@evil/api", "http://cc:8904/api"]
    {
        assert_eq!(plain_path(&origin, elsewhere), None, "{elsewhere}");
    }
    assert!(plain_path(&origin, "https://cc:8904/api/cardholders/325").is_some());
}
