//! The values by which a person of the authority is recognised in an overlay. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockstep_contract::{CorrelationKey, KeyKind, Person};
use lockstep_core::{Anchor, PersonRef};
use uuid::Uuid;

/// The anchors of a person of the authority.
pub(crate) fn of(anchor: &Anchor, person: PersonRef<'_>) -> Vec<String> {
    let held = anchor.field().and_then(|field| person.field(field.as_str())).and_then(guid);
    match held {
        Some(guid) => vec![guid.to_string()],
        None => person.keys().filter(|(kind, _)| *kind == anchor.kind()).map(|(_, value)| value.to_owned()).collect(),
    }
}

/// The same, as keys that a directory can be asked for.
pub(crate) fn keys_of(anchor: &Anchor, person: &Person) -> Vec<CorrelationKey> {
    let held = anchor.field().and_then(|field| person.profile.get(field.as_str())).and_then(guid);
    match held.and_then(|guid| CorrelationKey::new(KeyKind::Directory, &guid.to_string()).ok()) {
        Some(key) => vec![key],
        None => person.keys.of(anchor.kind()).cloned().collect(),
    }
}

/// A GUID as a text: hyphenated, or as the base64 of its bytes in the order in which Active Directory keeps them.
fn guid(text: &str) -> Option<Uuid> {
    if let Ok(guid) = Uuid::try_parse(text) {
        return Some(guid);
    }
    let bytes: [u8; 16] = STANDARD.decode(text).ok()?.try_into().ok()?;
    Some(Uuid::from_bytes_le(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_the_same_in_each_spelling() {
        let plain = guid("00112233-4455-6677-8899-aabbccddeeff").expect("a GUID");
        assert_eq!(guid("MyIRAFVEd2aImaq7zN3u/w=="), Some(plain));
        assert_eq!(guid("{00112233-4455-6677-8899-AABBCCDDEEFF}"), Some(plain));
        assert_eq!(guid("10482"), None);
    }
}
