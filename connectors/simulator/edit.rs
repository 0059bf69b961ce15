//! Answers spoilt on the way: what a proxy, a newer version or a bug makes of them. This module must not know what is in them
//! beyond their being JSON or XML.

use serde_json::{Map, Value};

use crate::message::Reply;

/// How an answer is spoilt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Every link to this server leads to that root instead, in the body and in the headers.
    Elsewhere(String),
    /// Another body, of the same media type.
    Body(Vec<u8>),
    /// Another media type.
    Media(&'static str),
    /// Its first half, as if it were all.
    Half,
    /// Twice, one after the other.
    Doubled,
    /// The surprise of that number, of those that `surprises` counts.
    Surprise(usize),
}

impl Edit {
    pub(crate) fn spoil(&self, mut reply: Reply, root: &str) -> Reply {
        match self {
            Self::Elsewhere(other) => {
                reply.body = replaced(&reply.body, root, other);
                for (_, value) in &mut reply.headers {
                    *value = value.replace(root, other);
                }
            }
            Self::Body(body) => reply.body.clone_from(body),
            Self::Media(media) => (*media).clone_into(&mut reply.media),
            Self::Half => reply.body.truncate(reply.body.len() / 2),
            Self::Doubled => reply.body.extend_from_within(..),
            Self::Surprise(nth) => {
                if let Some(body) = surprised(&reply.body, *nth) {
                    reply.body = body;
                }
            }
        }
        reply
    }

    /// How many surprises a body of JSON or XML holds: each field missing, empty, of a value never heard of, or huge.
    pub(crate) fn surprises(body: &[u8]) -> usize {
        count(body)
    }
}

fn replaced(body: &[u8], root: &str, other: &str) -> Vec<u8> {
    match std::str::from_utf8(body) {
        // JSON may escape slashes.
        Ok(text) => {
            text.replace(root, other).replace(&root.replace('/', "\\/"), &other.replace('/', "\\/")).into_bytes()
        }
        Err(_) => body.to_vec(),
    }
}

const NEVER_HEARD_OF: &str = "never-heard-of";

fn huge() -> String {
    "h".repeat(20_000)
}

/// What can be found in a field instead of what should be there.
const KINDS: usize = 4;

/// How many surprises a body holds.
fn count(body: &[u8]) -> usize {
    KINDS
        * match (serde_json::from_slice::<Value>(body), std::str::from_utf8(body)) {
            (Ok(value), _) => fields(&value).len(),
            (Err(_), Ok(text)) => leaves(text).len(),
            (Err(_), Err(_)) => 0,
        }
}

/// The body with its surprise of that number.
fn surprised(body: &[u8], nth: usize) -> Option<Vec<u8>> {
    let (place, kind) = (nth / KINDS, nth % KINDS);
    match (serde_json::from_slice::<Value>(body), std::str::from_utf8(body)) {
        (Ok(mut value), _) => {
            let place = fields(&value).into_iter().nth(place)?;
            let new =
                [None, Some(Value::Null), Some(NEVER_HEARD_OF.into()), Some(huge().into())].into_iter().nth(kind)?;
            put(&mut value, &place, new);
            Some(value.to_string().into_bytes())
        }
        (Err(_), Ok(text)) => {
            let leaf = leaves(text).into_iter().nth(place)?;
            let (from, to) = if kind == 0 { leaf.outer } else { leaf.inner };
            let new = [String::new(), String::new(), NEVER_HEARD_OF.to_owned(), huge()].into_iter().nth(kind)?;
            Some(format!("{}{new}{}", &text[..from], &text[to..]).into_bytes())
        }
        (Err(_), Err(_)) => None,
    }
}

/// The places of all fields, as JSON pointers; of a list, those of its first item.
fn fields(value: &Value) -> Vec<String> {
    let mut places = Vec::new();
    gather(value, "", &mut places);
    places
}

fn gather(value: &Value, at: &str, places: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let place = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                gather(value, &place, places);
                places.push(place);
            }
        }
        Value::Array(list) => {
            if let Some(first) = list.first() {
                gather(first, &format!("{at}/0"), places);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn put(value: &mut Value, place: &str, new: Option<Value>) {
    let Some((parent, key)) = place.rsplit_once('/') else { return };
    let key = key.replace("~1", "/").replace("~0", "~");
    let Some(object): Option<&mut Map<String, Value>> = value.pointer_mut(parent).and_then(Value::as_object_mut) else {
        return;
    };
    match new {
        Some(new) => object.insert(key, new),
        None => object.remove(&key),
    };
}

/// An element that holds text only.
struct Leaf {
    outer: (usize, usize),
    inner: (usize, usize),
}

/// The first leaf of each name in a text of XML.
fn leaves(text: &str) -> Vec<Leaf> {
    let mut seen = std::collections::BTreeSet::new();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find('<').map(|n| at + n) {
        let Some(close) = text[open..].find('>').map(|n| open + n + 1) else { break };
        at = close;
        let name = text[open + 1..close - 1].split_whitespace().next().unwrap_or_default();
        let Some(end) = text[close..].find('<').map(|n| close + n) else { break };
        let tail = format!("</{name}>");
        if !name.is_empty() && text[end..].starts_with(&tail) && seen.insert(name) {
            found.push(Leaf { outer: (open, end + tail.len()), inner: (close, end) });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(body: &[u8]) -> Vec<String> {
        let surprises = (0..Edit::surprises(body)).filter_map(|nth| surprised(body, nth));
        surprises.map(|body| String::from_utf8(body).expect("text")).collect()
    }

    #[test]
    fn each_field_is_missing_empty_strange_and_huge() {
        let texts = all(br#"{"a":{"b":1},"l":[{"c":2},{"c":3}]}"#);
        assert_eq!(texts.len(), 4 * 4, "a, b, l and the first c");
        assert!(texts.contains(&r#"{"a":{},"l":[{"c":2},{"c":3}]}"#.to_owned()));
        assert!(texts.contains(&r#"{"a":{"b":1},"l":[{},{"c":3}]}"#.to_owned()));
        assert!(texts.contains(&r#"{"a":{"b":1},"l":null}"#.to_owned()));
    }

    #[test]
    fn each_leaf_of_xml_is_missing_empty_strange_and_huge() {
        let texts = all(b"<?xml version=\"1.0\"?><R><A x='1'>1</A><B>2</B><B>3</B></R>");
        assert_eq!(texts.len(), 2 * 4);
        assert_eq!(texts[0], "<?xml version=\"1.0\"?><R><B>2</B><B>3</B></R>");
        assert_eq!(texts[6], "<?xml version=\"1.0\"?><R><A x='1'>1</A><B>never-heard-of</B><B>3</B></R>");
    }

    #[test]
    fn links_lead_elsewhere_in_body_and_headers() {
        let reply =
            Reply::text(200, "application/json", r#"{"a":"http:\/\/127.0.0.1:1\/x","b":"http://127.0.0.1:1/y"}"#)
                .header("location", "http://127.0.0.1:1/z");
        let spoilt = Edit::Elsewhere("http://127.0.0.1:2".to_owned()).spoil(reply, "http://127.0.0.1:1");
        assert_eq!(spoilt.body, br#"{"a":"http:\/\/127.0.0.1:2\/x","b":"http://127.0.0.1:2/y"}"#);
        assert_eq!(spoilt.headers[0].1, "http://127.0.0.1:2/z");
    }
}
