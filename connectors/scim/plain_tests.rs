//! What is read in place is what is read from a tree, or it is not read in place.

use lockstep_http::{Value, parse};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::api::Object;
use crate::convert::{ENTERPRISE, plain_user};
use crate::user::User;

fn scanned<T>(text: &str, read: impl FnOnce(&mut Scanner<'_>) -> Option<T>) -> Option<T> {
    let mut scanner = Scanner::new(text.as_bytes())?;
    let value = read(&mut scanner)?;
    scanner.end().map(|()| value)
}

fn object(text: &str) -> Object {
    match parse(text.as_bytes()) {
        Ok(Value::Object(object)) => object,
        other => panic!("{text}: {other:?}"),
    }
}

/// The groups come in any order.
fn sorted(mut user: User<'_>) -> User<'_> {
    user.groups.sort_unstable();
    user.groups.dedup();
    user
}

/// Whether a user can be read in place; if so, it must be the user that the tree holds.
fn read_in_place(text: &str) -> bool {
    let mut scanner = Scanner::new(text.as_bytes()).expect("text");
    let in_place = User::scan(&mut scanner).map(sorted);
    let tree = object(text);
    if let Some(user) = &in_place {
        assert!(scanner.end().is_some());
        assert_eq!(Ok(user), plain_user(&tree).map(sorted).as_ref(), "{text}");
    }
    in_place.is_some()
}

#[test]
fn a_usual_user_is_read_in_place() {
    let text = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
        "id": "u1", "externalId": "0a5b", "userName": "Zo\u{eb}@corp.example", "displayName": null, "active": true,
        "name": {"givenName": "Zo\u{eb}", "familyName": "L", "formatted": "Zo\u{eb} L"},
        "emails": [{"value": "z@home.example", "type": "home"}, {"value": "z@corp.example", "type": "Work"}],
        "phoneNumbers": [{"value": "+1", "primary": false}],
        "groups": [{"value": "g2"}, {"value": "g1", "type": "direct"}, {"value": "g3", "type": "indirect"}],
        "meta": {"version": "W/\"3\""},
        ENTERPRISE: {"employeeNumber": "7", "manager": {"value": "u9"}},
    });
    for text in [text.to_string(), text.to_string().replace('\u{eb}', "\\u00eb")] {
        assert!(read_in_place(&text), "{text}");
    }
}

#[test]
fn the_unusual_is_left_to_the_tree() {
    for odd in [
        r#"{"ID":"u1","id":"u1"}"#,
        r#"{"id":"u1","UserName":"a"}"#,
        r#"{"id":"u1","active":"True"}"#,
        r#"{"id":"u1","emails":["a@x.example"]}"#,
        r#"{"id":"u1","title":7}"#,
        r#"{"id":"u1","name":{"GivenName":"A"}}"#,
        r#"{"id":7}"#,
        r#"{"userName":"a"}"#,
    ] {
        assert!(scanned(odd, |scanner| User::scan(scanner).map(drop)).is_none(), "{odd}");
    }
    for odd in [r#"{"id":"g1","members":"u1"}"#, r#"{"id":"g1","members":[{"display":"x"}]}"#, r#"{"Id":"g1"}"#] {
        assert!(scanned(odd, group).is_none(), "{odd}");
    }
    for odd in [
        r#"{"totalResults":1,"resources":[]}"#,
        r#"{"totalResults":null,"Resources":[]}"#,
        r#"{"totalResults":1}"#,
        r#"{"totalResults":1,"Resources":[{"id":"u1"}]} x"#,
        r#"{"totalResults":1,"Resources":[{"id":"u1","a":1,"a":2}]}"#,
    ] {
        assert!(page(Scanner::new(odd.as_bytes()).expect("text"), |s| User::scan(s).map(drop)).is_none(), "{odd}");
    }
}

/// A name as it should be, or nearly.
fn spelled(name: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![20 => Just(name.to_owned()), 1 => Just(name.to_uppercase()), 1 => Just("other".to_owned())]
}

fn value(usual: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    prop_oneof![
        16 => usual,
        1 => Just(Value::Null),
        1 => Just(json!([])),
        1 => Just(json!({})),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<u8>().prop_map(Value::from),
        1 => ".{0,4}".prop_map(Value::from),
    ]
}

fn text() -> impl Strategy<Value = Value> {
    value("[a-z\u{e9}\"]{0,4}".prop_map(Value::from))
}

fn entry(name: &'static str, usual: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Option<(String, Value)>> {
    proptest::option::weighted(0.8, (spelled(name), value(usual))).boxed()
}

fn some(entries: Vec<BoxedStrategy<Option<(String, Value)>>>) -> impl Strategy<Value = Value> {
    entries.prop_map(|entries| Value::Object(entries.into_iter().flatten().collect()))
}

fn list(of: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    proptest::collection::vec(value(of), 0..4).prop_map(Value::from)
}

fn kind() -> impl Strategy<Value = Value> {
    proptest::sample::select(vec!["work", "Work", "home", "indirect", "direct", "Group"]).prop_map(Value::from)
}

fn addresses() -> impl Strategy<Value = Value> {
    list(some(vec![
        entry("value", text()),
        entry("type", kind()),
        entry("primary", any::<bool>().prop_map(Value::from)),
    ]))
}

fn any_user() -> impl Strategy<Value = Value> {
    some(vec![
        entry("id", text()),
        entry("externalId", text()),
        entry("userName", text()),
        entry("title", text()),
        entry("active", any::<bool>().prop_map(Value::from)),
        entry("name", some(vec![entry("givenName", text()), entry("familyName", text())])),
        entry("emails", addresses()),
        entry("phoneNumbers", addresses()),
        entry("groups", addresses()),
        entry("meta", some(vec![entry("version", text())])),
        entry(ENTERPRISE, some(vec![entry("employeeNumber", text()), entry("department", text())])),
        entry("schemas", list(text())),
    ])
}

fn any_group() -> impl Strategy<Value = Value> {
    let member = some(vec![entry("value", text()), entry("type", kind()), entry("$ref", text())]);
    some(vec![entry("id", text()), entry("displayName", text()), entry("members", list(member))])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn both_readings_of_a_user_agree(user in any_user()) {
        read_in_place(&user.to_string());
    }

    #[test]
    fn both_readings_of_a_group_agree(of in any_group()) {
        let text = of.to_string();
        if let Some(in_place) = scanned(&text, group) {
            prop_assert_eq!(Ok(in_place), convert::group(&object(&text)));
        }
    }
}
