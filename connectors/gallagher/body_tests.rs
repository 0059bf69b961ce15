//! The bodies of requests: what is sent for an action, and what refuses it before.

use std::collections::BTreeMap;

use lockstep_contract::{AccessLevelId, FieldName};

use super::*;
use crate::convert::tests::{example, shape, with};

fn record() -> Record {
    shape().record(&example()).expect("a record")
}

fn level(number: u32) -> AccessLevelId {
    AccessLevelId::new(format!("/api/access_groups/{number}")).expect("id")
}

fn body(work: &Work<'_>) -> Result<Value, Refusal> {
    change(work, Some(&record()), &shape(), None).map(Value::Object)
}

#[test]
fn revoking_names_every_membership_of_the_group_and_granting_skips_what_is_held() {
    let (held, other, new) = (level(352), level(353), level(400));
    let work = Work { revoke: [&other].into(), grant: [&held, &new].into(), ..Work::default() };
    let expected = json!({ "accessGroups": {
        "add": [{ "accessGroup": { "href": "https://cc:8904/api/access_groups/400" } }],
        "remove": [
            { "href": "https://cc:8904/api/cardholders/325/access_groups/D714D8A9" },
            { "href": "https://cc:8904/api/cardholders/325/access_groups/D714D8AA" },
        ],
    }});
    assert_eq!(body(&work), Ok(expected));
}

#[test]
fn a_suspension_needs_no_look_and_wins_over_a_reinstatement() {
    let work = Work { suspend: true, reinstate: true, ..Work::default() };
    assert!(!work.needs_record());
    let body = change(&work, None, &shape(), None).map(Value::Object);
    assert_eq!(body, Ok(json!({ "authorised": false })));
}

#[test]
fn a_level_that_leads_to_another_host_is_refused() {
    for path in ["//evil/api/access_groups/1", "https://evil/api/access_groups/1", "352"] {
        let level = AccessLevelId::new(path).expect("id");
        let work = Work { grant: [&level].into(), ..Work::default() };
        assert_eq!(body(&work).expect_err("refused").kind, FaultKind::Invalid, "{path}");
    }
}

#[test]
fn a_field_without_a_place_is_refused_and_an_empty_value_is_null() {
    let profile: Profile = [(FieldName::known(field::TITLE), "Countess".to_owned())].into_iter().collect();
    let work = Work { amend: Some(&profile), ..Work::default() };
    assert_eq!(body(&work).expect_err("refused").kind, FaultKind::Unsupported);
    let profile: Profile = [(FieldName::known(field::DEPARTMENT), String::new())].into_iter().collect();
    let work = Work { amend: Some(&profile), ..Work::default() };
    assert_eq!(body(&work), Ok(json!({ "@Department": null })));
}

#[test]
fn an_amendment_is_dropped_only_where_no_group_carries_the_field_afterwards() {
    let profile: Profile = [(FieldName::known(field::DEPARTMENT), "Lab".to_owned())].into_iter().collect();
    let amend = || Work { amend: Some(&profile), ..Work::default() };
    let groups = Groups(BTreeMap::new());
    assert_eq!(dropped(&amend(), &record(), &shape(), &groups), None, "it is in the home group");
    let home = level(900);
    let leaving = Work { revoke: [&home].into(), ..amend() };
    assert!(dropped(&leaving, &record(), &shape(), &groups).is_some());
    let outside = shape().record(&with("/accessGroups", json!([]))).expect("a record");
    assert!(dropped(&amend(), &outside, &shape(), &groups).is_some());
    let joining = Work { grant: [&home].into(), ..amend() };
    assert_eq!(dropped(&joining, &outside, &shape(), &groups), None);
}
