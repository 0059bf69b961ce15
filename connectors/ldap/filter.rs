//! Search filters (RFC 4515): escaping of values, and joining of parts. This module must not know what is searched.

/// A value for use in a filter. Everything but letters, digits and a few marks is written as `\xx`.
pub(crate) fn escape(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@') {
            text.push(char::from(*byte));
        } else {
            escape_byte(&mut text, *byte);
        }
    }
    text
}

/// Bytes for use in a filter, each written as `\xx`: for binary ids.
pub(crate) fn escape_all(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len() * 3);
    for byte in value {
        escape_byte(&mut text, *byte);
    }
    text
}

fn escape_byte(text: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    text.push('\\');
    text.push(char::from(HEX[usize::from(byte >> 4)]));
    text.push(char::from(HEX[usize::from(byte & 15)]));
}

/// `(attribute=value)`, the value escaped.
pub(crate) fn equals(attribute: &str, value: &str) -> String {
    format!("({attribute}={})", escape(value.as_bytes()))
}

/// True for entries that provably have no value of this attribute. On a server with three-valued logic
/// (RFC 4511 section 4.5.1.7) it is undefined, and so not true, for an attribute that may not be read.
pub(crate) fn absent(attribute: &str) -> String {
    format!("(!({attribute}=*))")
}

/// All of the parts.
pub(crate) fn all<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let parts: String = parts.into_iter().collect();
    format!("(&{parts})")
}

/// Puts a filter from a configuration file in parentheses if it has none, and checks its syntax.
pub(crate) fn checked(filter: &str) -> Option<String> {
    let filter = filter.trim();
    let whole = if filter.starts_with('(') { filter.to_owned() } else { format!("({filter})") };
    ldap3::parse_filter(&whole).ok().map(|_| whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_would_change_a_filter_is_escaped() {
        assert_eq!(escape(b"a*)(uid=*"), r"a\2a\29\28uid\3d\2a");
        assert_eq!(escape("é\0\\".as_bytes()), r"\c3\a9\00\5c");
        assert_eq!(escape_all(&[0, 255]), r"\00\ff");
    }

    #[test]
    fn a_filter_from_the_configuration_is_checked() {
        assert_eq!(checked(" objectClass=person ").as_deref(), Some("(objectClass=person)"));
        assert_eq!(checked("(&(a=b)(c=d)"), None);
        assert_eq!(checked("(a=b)(c=d)"), None);
        assert_eq!(checked(""), None);
    }

    proptest! {
        #[test]
        fn no_value_can_break_out_of_its_parentheses(value in ".{0,40}") {
            let filter = all([equals("uid", &value).as_str(), &absent("x")]);
            prop_assert!(ldap3::parse_filter(&filter).is_ok());
            prop_assert_eq!(filter.matches(['(', ')', '*']).count(), 9);
        }
    }
}
