//! Recorded payloads, and what becomes of them.

use lockstep_contract::{Revision, Status};
use proptest::prelude::*;

use super::*;

const SHAPE: Shape = Shape { enterprise: true, user_name: UserName::Upn, revisions: true };

/// As scim2-server sends a user.
fn ada() -> Object {
    object(json!({
        "schemas": [USER_SCHEMA, ENTERPRISE],
        "id": "76519d8070b54953b0eeca0e2569d6f7",
        "externalId": "0A5B1C2D-0000-4000-8000-000000000001",
        "meta": {"resourceType": "User", "version": "W/\"3\"", "created": "2026-03-01T10:00:00Z"},
        "userName": "Ada@corp.example", "active": true, "displayName": "Ada L",
        "name": {"givenName": "Ada", "familyName": "L", "honorificPrefix": "Dr"},
        "emails": [
            {"value": "ada@home.example", "type": "home"},
            {"value": "ada@corp.example", "type": "work", "primary": true},
        ],
        "phoneNumbers": [{"value": "+15550100", "type": "mobile"}],
        "groups": [{"value": "g1", "type": "direct"}, {"value": "g2", "type": "indirect"}, {"value": "g3"}],
        ENTERPRISE: {"employeeNumber": "00007", "department": "IT", "manager": {"value": "u9"}},
    }))
}

fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

fn read(user: &Object) -> Cardholder {
    cardholder(user, BTreeSet::new(), SHAPE).expect("a cardholder")
}

fn key(kind: KeyKind, value: &str) -> CorrelationKey {
    CorrelationKey::new(kind, value).expect("a key")
}

#[test]
fn a_recorded_user_is_a_cardholder() {
    let ada = read(&ada());
    assert_eq!(ada.status, Status::Active);
    assert_eq!(ada.revision, Some(Revision("W/\"3\"".into())));
    let expected: CorrelationKeys = [
        key(KeyKind::Directory, "0a5b1c2d-0000-4000-8000-000000000001"),
        key(KeyKind::Employee, "00007"),
        key(KeyKind::Upn, "ada@corp.example"),
        key(KeyKind::Mail, "ada@corp.example"),
        key(KeyKind::Mail, "ada@home.example"),
    ]
    .into_iter()
    .collect();
    assert_eq!(ada.keys, expected);
    let fields: Vec<(&str, &str)> = ada.profile.iter().map(|(name, value)| (name.as_str(), value)).collect();
    assert_eq!(
        fields,
        [
            ("department", "IT"),
            ("display_name", "Ada L"),
            ("employee_number", "00007"),
            ("family_name", "L"),
            ("given_name", "Ada"),
            ("mail", "ada@corp.example"),
            ("phone", "+15550100"),
            ("user_name", "Ada@corp.example"),
        ]
    );
}

#[test]
fn whether_somebody_is_active_is_never_guessed() {
    for (active, expect) in [
        (Some(json!(true)), "Active"),
        (Some(json!(false)), "Suspended"),
        (None, "Other"),
        (Some(Value::Null), "Other"),
        (Some(json!("true")), "Other"),
        (Some(json!("False")), "Other"),
        (Some(json!(1)), "Other"),
    ] {
        let mut user = ada();
        user.remove("active");
        user.extend(active.clone().map(|value| ("active".to_owned(), value)));
        let status = format!("{:?}", read(&user).status);
        assert!(status.starts_with(expect), "{active:?} was read as {status}");
    }
}

#[test]
fn names_of_attributes_have_no_case_and_stand_once() {
    let user = object(json!({"id": "u1", "USERNAME": "ada@corp.example", "Active": false}));
    let ada = read(&user);
    assert_eq!(ada.status, Status::Suspended);
    assert!(ada.keys.contains(&key(KeyKind::Upn, "ada@corp.example")));
    let twice = object(json!({"id": "u1", "active": false, "Active": true}));
    assert!(matches!(cardholder(&twice, BTreeSet::new(), SHAPE), Err(BadRecord::Twice(..))));
}

#[test]
fn records_without_a_usable_id_are_refused() {
    for id in [json!(null), json!(7), json!(""), json!("a\u{202e}b")] {
        let user = object(json!({"id": id, "userName": "x"}));
        assert!(matches!(cardholder(&user, BTreeSet::new(), SHAPE), Err(BadRecord::Id(..))), "{user:?}");
        assert!(group(&object(json!({"id": id, "displayName": "x"}))).is_err());
    }
}

#[test]
fn what_is_no_key_recognises_nobody() {
    let user = object(json!({"id": "u1", "externalId": " 123", "userName": "a\u{200b}b",
        ENTERPRISE: {"employeeNumber": 7}}));
    assert!(read(&user).keys.is_empty());
}

#[test]
fn only_direct_groups_count() {
    assert_eq!(groups_of(&ada()), Some(BTreeSet::from(["g1", "g3"])));
    assert_eq!(groups_of(&object(json!({"id": "u1"}))), None);
}

#[test]
fn members_left_out_are_not_members_that_are_none() {
    let members = |value: Value| group(&object(value)).map(|group| group.members);
    assert_eq!(members(json!({"id": "g1"})), Ok(None));
    assert_eq!(members(json!({"id": "g1", "members": null})), Ok(None));
    assert_eq!(members(json!({"id": "g1", "members": []})), Ok(Some(Members::default())));
    assert!(members(json!({"id": "g1", "members": "u1"})).is_err());
    assert!(members(json!({"id": "g1", "members": [{"display": "no id"}]})).is_err());
    let nested = members(json!({"id": "g1", "members": [
        {"value": "u1"}, {"value": "g2", "type": "Group"}, {"value": "g3", "$ref": "https://p.example/v2/Groups/g3"}]}));
    let is_group: Vec<bool> = nested.expect("members").expect("there").iter().map(|member| member.is_group).collect();
    assert_eq!(is_group, [false, true, true]);
}

#[test]
fn a_user_answers_to_its_own_keys_only() {
    let ada = ada();
    for (asked, expect) in [
        (key(KeyKind::Directory, "0A5B1C2D-0000-4000-8000-000000000001"), Match::Yes),
        (key(KeyKind::Mail, "ADA@HOME.example"), Match::Yes),
        (key(KeyKind::Employee, "00007"), Match::Yes),
        (key(KeyKind::Employee, "7"), Match::No),
        (key(KeyKind::Account, "ada@corp.example"), Match::No),
        (key(KeyKind::Upn, "bob@corp.example"), Match::No),
    ] {
        assert_eq!(answers(&ada, &asked, SHAPE), expect, "{asked}");
    }
    let lettered = object(json!({"id": "u1", ENTERPRISE: {"employeeNumber": "A7"}}));
    assert_eq!(answers(&lettered, &key(KeyKind::Employee, "a7"), SHAPE), Match::OtherCase);
}

#[test]
fn filters_are_quoted() {
    let filter = filter_of(KeyKind::Upn, "o\"neil\\", SHAPE);
    assert_eq!(filter.as_deref(), Some(r#"userName eq "o\"neil\\""#));
    assert_eq!(filter_of(KeyKind::Card, "26-1", SHAPE), None);
    assert_eq!(filter_of(KeyKind::Employee, "1", Shape { enterprise: false, ..SHAPE }), None);
}

fn profile_of(fields: &[(&'static str, &str)]) -> Profile {
    fields.iter().map(|(name, value)| (FieldName::known(name), (*value).to_owned())).collect()
}

#[test]
fn changing_one_address_keeps_the_others() {
    let ops = amend_ops(&profile_of(&[(field::MAIL, "new@corp.example")]), Some(&ada()));
    let expect = json!([
        {"value": "ada@home.example", "type": "home"},
        {"value": "new@corp.example", "type": "work", "primary": true},
    ]);
    assert_eq!(ops, [Op { verb: "replace", path: "emails".into(), value: Some(expect) }]);
}

#[test]
fn an_empty_value_takes_the_attribute_away() {
    let ops = amend_ops(&profile_of(&[(field::TITLE, ""), (field::PHONE, "")]), Some(&ada()));
    let paths: Vec<(&str, &str)> = ops.iter().map(|op| (op.verb, op.path.as_str())).collect();
    assert_eq!(paths, [("remove", "title"), ("remove", "phoneNumbers")]);
}

#[test]
fn a_change_without_patch_leaves_what_it_does_not_name() {
    let mut user = ada();
    let mut ops = amend_ops(&profile_of(&[(field::GIVEN_NAME, "Augusta"), (field::DEPARTMENT, "Lab")]), Some(&ada()));
    ops.push(active_op(false));
    change(&mut user, &ops);
    let mut expect = ada();
    expect["name"]["givenName"] = "Augusta".into();
    expect[ENTERPRISE]["department"] = "Lab".into();
    expect["active"] = false.into();
    assert_eq!(user, expect);
    let written = writable(user);
    assert!(!written.contains_key("meta") && !written.contains_key("groups") && written.contains_key("externalId"));
}

#[test]
fn a_new_user_needs_a_name_and_is_active() {
    let keys: CorrelationKeys =
        [key(KeyKind::Directory, "D-1"), key(KeyKind::Mail, "ada@corp.example")].into_iter().collect();
    let user = new_user(&profile_of(&[(field::GIVEN_NAME, "Ada"), (field::DEPARTMENT, "IT")]), &keys, SHAPE);
    let expect = json!({
        "schemas": [USER_SCHEMA, ENTERPRISE], "userName": "ada@corp.example", "active": true, "externalId": "d-1",
        "name": {"givenName": "Ada"}, "emails": [{"value": "ada@corp.example", "type": "work", "primary": true}],
        ENTERPRISE: {"department": "IT"},
    });
    assert_eq!(user.map(Value::Object), Some(expect));
    assert_eq!(new_user(&profile_of(&[(field::GIVEN_NAME, "Ada")]), &CorrelationKeys::new(), SHAPE), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_written_is_read_back(
        given in "\\PC{1,20}", family in "[a-z'\"\\\\ éß漢]{1,20}", mail in "[a-z]{1,8}@[a-z]{1,8}\\.example",
        department in "\\PC{1,20}", old in proptest::option::of("[a-z]{1,8}@old\\.example"),
    ) {
        let mut user = object(json!({"id": "u1", "userName": "x@corp.example", "active": true}));
        user.extend(old.map(|value| ("emails".to_owned(), json!([{"value": value}]))));
        let wanted = profile_of(&[
            (field::GIVEN_NAME, &given), (field::FAMILY_NAME, &family), (field::MAIL, &mail), (field::DEPARTMENT, &department),
        ]);
        let ops = amend_ops(&wanted, Some(&user));
        change(&mut user, &ops);
        let read = read(&user);
        for (name, value) in wanted.iter() {
            prop_assert_eq!(read.profile.get(name.as_str()), Some(value));
        }
        let again = amend_ops(&wanted, Some(&user));
        let mut twice = user.clone();
        change(&mut twice, &again);
        prop_assert_eq!(twice, user, "twice is once");
    }
}
