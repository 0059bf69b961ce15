//! JSON, read strictly: no key twice in one object, no depth without end, nothing after the value. This module must not
//! know what the JSON means.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Objects and arrays inside one another.
pub(crate) const DEPTH_MAX: usize = 64;

/// Why a text is not JSON that can be trusted. Never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at line {line}, column {column}")]
pub struct JsonError {
    problem: String,
    line: usize,
    column: usize,
}

/// Parses JSON.
///
/// # Errors
/// When it is cut short, is no JSON, has one key twice in an object, is nested more than 64 deep, or goes on after its
/// end.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    parse_with(bytes, &|_, value| value)
}

/// Parses JSON, and makes items of lists smaller as soon as each has been read: `compact` is given the key of the list
/// and the item. A list of a hundred thousand small objects takes a hundred times the memory of its text otherwise.
///
/// # Errors
/// As [`parse`].
pub fn parse_with(bytes: &[u8], compact: &dyn Fn(&str, Value) -> Value) -> Result<Value, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Node { depth: 0, key: "", compact }.deserialize(&mut deserializer).and_then(|value| {
        deserializer.end()?;
        Ok(value)
    });
    value.map_err(|error| JsonError { problem: problem(&error), line: error.line(), column: error.column() })
}

fn problem(error: &serde_json::Error) -> String {
    match error.classify() {
        serde_json::error::Category::Eof => "the JSON is cut short".to_owned(),
        serde_json::error::Category::Data if error.to_string().starts_with(TWICE) => TWICE.to_owned(),
        serde_json::error::Category::Data if error.to_string().starts_with(DEEP) => DEEP.to_owned(),
        serde_json::error::Category::Syntax | serde_json::error::Category::Data | serde_json::error::Category::Io => {
            "this is no JSON".to_owned()
        }
    }
}

const TWICE: &str = "a key stands twice in one object";
const DEEP: &str = "the JSON is nested too deeply";

#[derive(Clone, Copy)]
struct Node<'c> {
    depth: usize,
    key: &'c str,
    compact: &'c dyn Fn(&str, Value) -> Value,
}

impl<'c> Node<'c> {
    fn inner<E: Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX { Err(E::custom(DEEP)) } else { Ok(Self { depth: self.depth + 1, ..self }) }
    }

    fn under<'k>(self, key: &'k str) -> Node<'k>
    where
        'c: 'k,
    {
        Node { key, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is none"))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push((self.compact)(self.key, item));
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(inner.under(&key))?;
            if object.insert(key, value).is_some() {
                return Err(A::Error::custom(TWICE));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for (text, expect) in [
            (r#"{"active":true,"active":false}"#, "a key stands twice"),
            (r#"{"a":1} {"b":2}"#, "this is no JSON"),
            (r#"{"a":"#, "cut short"),
            (r#"{"a":[1,2"#, "cut short"),
            ("", "cut short"),
            ("<html>hunter2</html>", "this is no JSON"),
            (r#"{"a":"\ud800"}"#, "this is no JSON"),
            ("1e400", "this is no JSON"),
        ] {
            let error = parse(text.as_bytes()).expect_err(text).to_string();
            assert!(error.contains(expect) && !error.contains("hunter2"), "{text}: {error}");
        }
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        assert!(parse(deep.as_bytes()).is_err());
    }

    #[test]
    fn items_are_made_smaller_one_by_one() {
        let compact = |key: &str, item: Value| if key == "members" { item["value"].clone() } else { item };
        let text = br#"{"members":[{"value":"a"},{"value":"b"}],"other":[{"value":"c"}]}"#;
        let expect = serde_json::json!({"members": ["a", "b"], "other": [{"value": "c"}]});
        assert_eq!(parse_with(text, &compact), Ok(expect));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map("\\PC{0,6}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_written_is_read(value in any_json()) {
            prop_assert_eq!(parse(value.to_string().as_bytes()), Ok(value));
        }

        #[test]
        fn a_text_cut_anywhere_is_an_error(value in any_json(), at in any::<proptest::sample::Index>()) {
            let text = Value::Array(vec![value]).to_string();
            prop_assert!(parse(&text.as_bytes()[..at.index(text.len())]).is_err());
        }
    }
}
