//! Content digests over canonical JSON.
//!
//! Canonical means RFC 8785 for the values Lockstep writes: keys sorted (they are ASCII, so byte order is the
//! UTF-16 order the RFC asks for), no white space, integers only. Floating-point numbers must not be digested here.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{ActionId, ImageDigest, RunId, Step, Steps, Subject, TargetId};

/// The canonical JSON of a value: the same value always gives the same bytes.
///
/// # Panics
/// When a value cannot be written as JSON (a map whose keys are no strings). Our own types can.
pub fn canonical_json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    // By way of `Value`, whose objects are sorted maps; a struct would be written in the order of its fields.
    let sorted = serde_json::to_value(value).expect("contract types are plain JSON");
    serde_json::to_vec(&sorted).expect("a JSON value can be written")
}

/// The SHA-256 of some bytes, in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // writing to a String cannot fail
        hex
    })
}

pub(crate) fn digest_of<T: Serialize>(value: &T) -> ImageDigest {
    ImageDigest::new(sha256_hex(&canonical_json(value))).expect("SHA-256 in hex is a digest")
}

impl ActionId {
    /// The id of an action: equal inputs give an equal id, so planning twice cannot double an action.
    ///
    /// # Panics
    /// Never: a SHA-256 in hex is a valid id.
    pub fn of(run: RunId, target: &TargetId, subject: &Subject, steps: &Steps<Step>) -> Self {
        Self::new(sha256_hex(&canonical_json(&(run, target, subject, steps)))).expect("SHA-256 in hex is an id")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_whatever_the_order_of_the_fields() {
        #[derive(Serialize)]
        struct Swapped {
            b: u8,
            a: u8,
        }
        assert_eq!(canonical_json(&Swapped { b: 1, a: 2 }), br#"{"a":2,"b":1}"#);
    }

    #[test]
    fn sha256_of_abc_is_the_published_test_vector() {
        // FIPS 180-4, example "abc".
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
