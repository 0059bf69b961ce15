//! Records for test directories, as LDIF, made the same way every time.

use std::collections::BTreeMap;
use std::fmt::Write;

/// A growing LDIF text.
#[derive(Debug, Clone, Default)]
pub struct Ldif(String);

impl Ldif {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record.
    pub fn entry(&mut self, name: &str, attributes: &[(&str, &str)]) -> &mut Self {
        let attributes: Vec<(&str, &[u8])> = attributes.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        self.entry_of_bytes(name, &attributes)
    }

    /// Adds a record whose values need not be text.
    pub fn entry_of_bytes(&mut self, name: &str, attributes: &[(&str, &[u8])]) -> &mut Self {
        self.line("dn", name.as_bytes());
        for (attribute, value) in attributes {
            self.line(attribute, value);
        }
        self.0.push('\n');
        self
    }

    /// Adds text that is LDIF already.
    pub fn raw(&mut self, text: &str) -> &mut Self {
        self.0.push_str(text);
        self
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }

    fn line(&mut self, attribute: &str, value: &[u8]) {
        let plain = value.first().is_some_and(|b| !matches!(b, b' ' | b':' | b'<'))
            && value.last().is_some_and(|b| *b != b' ')
            && value.iter().all(|b| (32..127).contains(b));
        // Writing to a text cannot fail.
        let _ = match std::str::from_utf8(value) {
            Ok(text) if plain => writeln!(self.0, "{attribute}: {text}"),
            _ => writeln!(self.0, "{attribute}:: {}", base64(value)),
        };
    }
}

/// The value of an RDN, escaped.
pub fn escaped(value: &str) -> String {
    let mut text = String::new();
    for c in value.chars() {
        if matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '=' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    if text.starts_with([' ', '#']) {
        text.insert(0, '\\');
    }
    if value.len() > 1 && value.ends_with(' ') {
        text.truncate(text.len() - 1);
        text.push_str("\\ ");
    }
    text
}

/// Base64 (RFC 4648).
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |n: usize| u32::from(chunk.get(n).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for n in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * n) & 63) as usize];
            text.push(if n <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// From the records of an answer, the value of one attribute by that of another. Both must be plain.
pub(crate) fn pairs(answer: &str, key: &str, value: &str) -> BTreeMap<String, String> {
    let of = |record: &str, prefix: &str| {
        record.lines().find_map(|line| line.strip_prefix(prefix)).map(|text| text.trim().to_owned())
    };
    answer.split("\n\n").filter_map(|record| Some((of(record, key)?, of(record, value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_every_length() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn what_is_not_plain_is_encoded() {
        let mut ldif = Ldif::new();
        ldif.entry("cn=Zoë", &[("cn", "Zoë"), ("sn", " x"), ("mail", "a@b")]);
        assert_eq!(ldif.text(), "dn:: Y249Wm/Dqw==\ncn:: Wm/Dqw==\nsn:: IHg=\nmail: a@b\n\n");
        assert_eq!(escaped(" a,b "), "\\ a\\,b\\ ");
    }
}
