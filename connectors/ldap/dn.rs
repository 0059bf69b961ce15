//! Distinguished names (RFC 4514): one spelling for each, so that a member value finds its entry. Servers return entry
//! names in their own spelling and member values in the writer's. This module must not know what is named.

use std::hash::{BuildHasher, Hasher, RandomState};

use unicode_normalization::UnicodeNormalization;

/// A distinguished name in the one spelling in which two names of the same entry are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name(Vec<String>);

impl Name {
    /// Parses. `None` for a text that is no distinguished name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(Vec::new()));
        }
        split(text, |c| matches!(c, ',' | ';'))?.into_iter().map(component).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Parses bytes as they come from a server.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::parse(std::str::from_utf8(bytes).ok()?)
    }

    /// The name of the entry above.
    pub(crate) fn parent(&self) -> Option<Self> {
        let (_, above) = self.0.split_first()?;
        Some(Self(above.to_vec()))
    }

    /// True when this entry is that one or stands below it.
    pub(crate) fn is_below(&self, above: &Self) -> bool {
        self.0.ends_with(&above.0)
    }

    /// True for the name with no parts.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Short stand-ins for names: an index of a million names keeps 16 bytes for each instead of the text. Two hashes
/// with different random keys; that two names share both does not happen.
#[derive(Debug, Default)]
pub(crate) struct Marks(RandomState, RandomState);

/// A stand-in for a name.
pub(crate) type Mark = u128;

impl Marks {
    /// The stand-in for this name.
    pub(crate) fn of(&self, name: &Name) -> Mark {
        u128::from(self.0.hash_one(name)) << 64 | u128::from(self.1.hash_one(name))
    }

    /// The stand-in for the very bytes of a name, as one server spells it.
    pub(crate) fn of_bytes(&self, bytes: &[u8]) -> Mark {
        let one = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            hasher.write(bytes);
            u128::from(hasher.finish())
        };
        one(&self.0) << 64 | one(&self.1)
    }
}

/// Splits at separators that are neither escaped nor quoted. `None` when a quote or an escape is left open.
fn split(text: &str, separator: impl Fn(char) -> bool) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            c if !quoted && separator(c) => {
                parts.push(text.get(start..at)?);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    if quoted || escaped {
        return None;
    }
    parts.push(text.get(start..)?);
    Some(parts)
}

/// One level: `cn=a` or `uid=x+cn=a`, its parts in order.
fn component(text: &str) -> Option<String> {
    let mut parts = split(text, |c| c == '+')?.into_iter().map(assertion).collect::<Option<Vec<_>>>()?;
    parts.sort_unstable();
    Some(parts.join("+"))
}

/// `type=value`, folded.
fn assertion(text: &str) -> Option<String> {
    let (kind, value) = text.split_once('=')?;
    let kind = kind.trim().to_ascii_lowercase();
    let valid = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    if !valid {
        return None;
    }
    let kind = short_name(kind.strip_prefix("oid.").unwrap_or(&kind));
    let value = unescape(value)?;
    // A separator in a value must not look like one between parts.
    Some(format!("{kind}={}", fold(&value).replace('\\', r"\\").replace('+', r"\+")))
}

/// The usual names of attributes that are also written as object identifiers or in full.
fn short_name(kind: &str) -> &str {
    match kind {
        "2.5.4.3" | "commonname" => "cn",
        "2.5.4.4" | "surname" => "sn",
        "2.5.4.6" | "countryname" => "c",
        "2.5.4.7" | "localityname" => "l",
        "2.5.4.8" | "stateorprovincename" => "st",
        "2.5.4.10" | "organizationname" => "o",
        "2.5.4.11" | "organizationalunitname" => "ou",
        "0.9.2342.19200300.100.1.1" | "userid" => "uid",
        "0.9.2342.19200300.100.1.25" | "domaincomponent" => "dc",
        other => other,
    }
}

/// Takes escapes and quotes away. Blanks around the value count only when they are escaped or quoted; at this level they
/// do not count at all, since the comparison ignores them.
fn unescape(text: &str) -> Option<String> {
    let text = text.trim_start();
    if let Some(hex) = text.strip_prefix('#') {
        // A BER value in hex: compared as it is written.
        return hex.trim_end().bytes().all(|b| b.is_ascii_hexdigit()).then(|| text.trim_end().to_ascii_lowercase());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => {
                let first = rest.next()?;
                match (hex_digit(first), rest.clone().next().and_then(hex_digit)) {
                    (Some(high), Some(low)) => {
                        rest.next();
                        bytes.push(high << 4 | low);
                    }
                    _ => bytes.push(first),
                }
            }
            b'"' => {}
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

/// Case folded, composed, runs of blanks made one, blanks at the ends dropped: `caseIgnoreMatch` of RFC 4518, near enough.
fn fold(value: &str) -> String {
    let mut folded = String::with_capacity(value.len());
    for word in value.split([' ', '\u{a0}']).filter(|word| !word.is_empty()) {
        if !folded.is_empty() {
            folded.push(' ');
        }
        if word.is_ascii() {
            // ASCII is composed already, and stays ASCII in lower case.
            folded.extend(word.bytes().map(|byte| char::from(byte.to_ascii_lowercase())));
        } else {
            folded.extend(word.nfkc().flat_map(char::to_lowercase).nfkc());
        }
    }
    folded
}

/// A text for use as the value of an RDN.
#[cfg(test)]
fn escape(value: &str) -> String {
    let mut text = String::new();
    for c in value.chars() {
        if matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' | '#' | ' ') {
            text.push('\\');
        }
        if c == '\0' { text.push_str("\\00") } else { text.push(c) }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn same(one: &str, other: &str) -> bool {
        let (one, other) = (Name::parse(one), Name::parse(other));
        one.is_some() && one == other
    }

    #[test]
    fn two_spellings_of_one_name_are_equal() {
        for (one, other) in [
            ("CN=da\\, Ravi,OU=Staff,DC=corp", "cn=da\\2C ravi,ou=STAFF,dc=corp"),
            ("cn=\"da, Ravi\",dc=corp", "cn=da\\, Ravi , dc=corp"),
            ("cn=a  b,dc=c", "cn=a b,dc=c"),
            ("uid=x+cn=y,dc=c", "CN=y+UID=x,dc=c"),
            ("2.5.4.3=a,dc=c", "cn=a,dc=c"),
            ("cn=Zo\\C3\\AB,dc=c", "cn=ZOË,dc=c"),
            ("cn=e\u{301},dc=c", "cn=É,dc=c"),
            ("cn=\\#1\\;2,dc=c", "cn=\\231\\3B2,dc=c"),
            ("cn=\\ a\\ ,dc=c", "cn=a,dc=c"),
        ] {
            assert!(same(one, other), "{one} and {other}");
        }
    }

    #[test]
    fn different_names_are_not() {
        for (one, other) in [
            ("cn=a,dc=c", "cn=b,dc=c"),
            ("cn=a,dc=c", "cn=a"),
            ("cn=a\\,dc=c", "cn=a,dc=c"),
            ("cn=Weiß,dc=c", "cn=Weiss,dc=c"),
            ("cn=a\\+cn\\=b,dc=c", "cn=a+cn=b,dc=c"),
            ("cn=p\u{430}ul,dc=c", "cn=paul,dc=c"),
        ] {
            assert!(!same(one, other), "{one} and {other}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in ["a", "=b", "cn=a,,dc=c", "cn=\"a", "cn=a\\", "c n=a", "cn=#zz"] {
            assert_eq!(Name::parse(bad), None, "{bad}");
        }
        assert_eq!(Name::from_bytes(b"cn=\xff"), None);
        assert!(Name::parse("").expect("the empty name").is_empty());
    }

    #[test]
    fn above_and_below() {
        let name = |text| Name::parse(text).expect("name");
        assert_eq!(name("cn=a,ou=b,dc=c").parent(), Some(name("OU=b,DC=c")));
        assert!(name("cn=a,ou=b,dc=c").is_below(&name("OU=B,dc=c")));
        assert!(!name("cn=a,ou=bb,dc=c").is_below(&name("ou=b,dc=c")));
        assert_eq!(name("").parent(), None);
    }

    proptest! {
        #[test]
        fn whatever_stands_in_a_value_it_stays_one_value(value in ".{1,20}") {
            let text = format!("cn={},dc=corp", escape(&value));
            let name = Name::parse(&text);
            prop_assert!(name.is_some(), "{}", text);
            prop_assert_eq!(name.and_then(|n| n.parent()), Name::parse("dc=corp"));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,60}") {
            let _ = Name::parse(&text);
        }
    }
}
