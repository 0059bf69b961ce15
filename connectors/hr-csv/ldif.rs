//! Entries of a directory as LDIF writes them (RFC 2849): folded lines, base64, comments. Pure. Files of changes are
//! refused: they say what happened, not what is.

use std::collections::BTreeMap;

use crate::source::Complaint;

/// An entry: its place, its name, and the values of its attributes by name in lower case, without options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) line: u64,
    pub(crate) dn: String,
    pub(crate) attributes: BTreeMap<String, Vec<String>>,
}

impl Entry {
    /// The values of an attribute.
    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.attributes.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// True when the entry is of one of these classes.
    pub(crate) fn is_a(&self, classes: &[&str]) -> bool {
        self.all("objectclass").iter().any(|class| classes.iter().any(|known| class.eq_ignore_ascii_case(known)))
    }
}

/// The entries of a file, and the records set aside: where, and why.
pub(crate) type Entries = (Vec<Entry>, Vec<(String, String)>);

/// Parses LDIF.
///
/// # Errors
/// When the file as a whole is no list of entries.
pub(crate) fn parse(file: &str, text: &str) -> Result<Entries, Complaint> {
    let mut entries = Vec::new();
    let mut aside = Vec::new();
    let mut block: Vec<(u64, String)> = Vec::new();
    for line in unfolded(file, text)?.into_iter().chain([(0, String::new())]) {
        if !line.1.is_empty() {
            block.push(line);
            continue;
        }
        if block.first().is_some_and(|(_, text)| text.to_ascii_lowercase().starts_with("version:")) {
            block.remove(0);
        }
        let lines = std::mem::take(&mut block);
        let Some((first, _)) = lines.first() else { continue };
        let place = format!("{file}:{first}");
        if lines.iter().any(|(_, text)| text.to_ascii_lowercase().starts_with("changetype:")) {
            let message = format!("{place}: this is a file of changes; a whole list of entries is needed");
            return Err(Complaint::broken(message).with_help("export entries (`ldapsearch -LLL`), not changes"));
        }
        match entry(&lines) {
            Ok(entry) => entries.push(entry),
            Err(why) => aside.push((place, why)),
        }
    }
    Ok((entries, aside))
}

/// True when the last entry is followed by an empty line, or by comments after one: then no line of it is missing.
pub(crate) fn ends(text: &str) -> bool {
    let last = text.lines().rev().find(|line| !line.starts_with('#'));
    text.ends_with(['\n', '\r']) && last.is_none_or(|line| line.trim_end_matches('\r').is_empty())
}

/// Lines as they were before folding, with the number of their first line; comments are left out.
fn unfolded(file: &str, text: &str) -> Result<Vec<(u64, String)>, Complaint> {
    let mut lines: Vec<(u64, String)> = Vec::new();
    let mut in_comment = false;
    for (nth, raw) in text.lines().enumerate() {
        let number = nth as u64 + 1;
        let raw = raw.strip_suffix('\r').unwrap_or(raw);
        if let Some(rest) = raw.strip_prefix(' ') {
            match lines.last_mut() {
                _ if in_comment => {}
                Some((_, line)) if !line.is_empty() => line.push_str(rest),
                _ => return Err(Complaint::broken(format!("{file}:{number}: a folded line continues nothing"))),
            }
            continue;
        }
        in_comment = raw.starts_with('#');
        if !in_comment {
            lines.push((number, raw.to_owned()));
        }
    }
    Ok(lines)
}

fn entry(lines: &[(u64, String)]) -> Result<Entry, String> {
    let mut attributes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut dn = None;
    for (number, text) in lines {
        let (name, rest) = text.split_once(':').ok_or_else(|| format!("line {number} has no colon"))?;
        let value = if let Some(encoded) = rest.strip_prefix(':') {
            let bytes = base64(encoded.trim()).ok_or_else(|| format!("line {number} is not base64"))?;
            match String::from_utf8(bytes) {
                Ok(text) => text,
                // A photograph, a certificate, a binary id: nothing here reads those.
                Err(_) if dn.is_some() => continue,
                Err(_) => return Err(format!("line {number}: the name of the entry is not UTF-8")),
            }
        } else if rest.starts_with('<') {
            return Err(format!("line {number} refers to another file, which is not followed"));
        } else {
            rest.trim_start_matches(' ').to_owned()
        };
        if dn.is_none() {
            if !name.eq_ignore_ascii_case("dn") {
                return Err(format!("line {number} should be the name of an entry, `dn:`"));
            }
            dn = Some(value);
            continue;
        }
        let name = name.split(';').next().unwrap_or(name).to_ascii_lowercase();
        attributes.entry(name).or_default().push(value);
    }
    let line = lines.first().map_or(0, |(number, _)| *number);
    Ok(Entry { line, dn: dn.ok_or("an entry without a name")?, attributes })
}

/// Base64 (RFC 4648), padding needed; `None` when it is not.
fn base64(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(4) {
        return None;
    }
    let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len() / 4 * 3);
    for chunk in bytes.chunks_exact(4) {
        let mut word = 0_u32;
        for byte in chunk {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b'=' => 0,
                _ => return None,
            };
            word = word << 6 | u32::from(value);
        }
        let [_, a, b, c] = word.to_be_bytes();
        out.extend([a, b, c]);
    }
    let inner = &bytes[..bytes.len() - padding];
    if inner.contains(&b'=') {
        return None;
    }
    out.truncate(out.len() - padding);
    Some(out)
}

/// A distinguished name in a form that can be compared: attribute types and values without ASCII case, no blanks around
/// separators. Good for finding an entry of the same file, and for nothing else.
pub(crate) fn comparable(dn: &str) -> String {
    let mut out = String::with_capacity(dn.len());
    let mut escaped = false;
    let mut after_separator = true;
    for c in dn.chars() {
        if escaped {
            out.push(c.to_ascii_lowercase());
            escaped = false;
            after_separator = false;
        } else if matches!(c, ',' | '=' | '+') {
            while out.ends_with(' ') {
                out.pop();
            }
            out.push(c);
            after_separator = true;
        } else if !(c == ' ' && after_separator) {
            escaped = c == '\\';
            out.push(c.to_ascii_lowercase());
            after_separator = false;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_encoded_and_commented_lines_read_as_rfc_2849_says() {
        let text = "version: 1\n\n# people\n#  are below\ndn: cn=Zo\u{eb},\n ou=People\ncn:: Wm/Dqw==\nsn;lang-fr: L\u{e9}ger\n\
                    objectClass: inetOrgPerson\njpegPhoto:: /9j/4A==\n\n\ndn: cn=b\ncn: b\n";
        let (entries, aside) = parse("f.ldif", text).expect("entries");
        assert!(aside.is_empty(), "{aside:?}");
        assert_eq!(entries.len(), 2);
        assert_eq!((entries[0].dn.as_str(), entries[0].line), ("cn=Zo\u{eb},ou=People", 5));
        assert_eq!(entries[0].all("cn"), ["Zo\u{eb}"]);
        assert_eq!(entries[0].all("sn"), ["L\u{e9}ger"]);
        assert!(entries[0].is_a(&["INETORGPERSON"]) && entries[0].all("jpegphoto").is_empty());
    }

    #[test]
    fn one_bad_entry_is_set_aside_and_a_file_of_changes_is_refused() {
        let (entries, aside) = parse("f.ldif", "dn: a\ncn: a\n\ncn: b\n\ndn: c\nx:< file:///x\n").expect("entries");
        assert_eq!(entries.len(), 1);
        let places: Vec<&str> = aside.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["f.ldif:4", "f.ldif:6"]);
        assert!(parse("f.ldif", "dn: a\nchangetype: delete\n").is_err());
        assert!(parse("f.ldif", " folded\n").is_err());
    }

    #[test]
    fn base64_is_strict() {
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("Zg==", Some(b"f")),
            ("Zm9v", Some(b"foo")),
            ("Zg=", None),
            ("Z===", None),
            ("Zg=a", None),
            ("Z!==", None),
        ] {
            assert_eq!(base64(text).as_deref(), bytes, "{text}");
        }
    }

    #[test]
    fn names_of_one_entry_compare_equal() {
        assert_eq!(comparable("CN = Ada L , OU=People"), comparable("cn=ada l,ou=people"));
        assert_ne!(comparable(r"cn=a\, b,ou=x"), comparable("cn=a,b,ou=x"));
    }
}
