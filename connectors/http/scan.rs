//! JSON taken apart in place: no tree is built, and what is not wanted costs nothing but the looking. For answers of
//! megabytes, of which a few values are needed.
//!
//! As strict as [`parse`](crate::parse), and a little more; it says yes or no and never why. Whoever gets a no reads the
//! same text with [`parse`](crate::parse). So it may refuse what is merely unusual, and must never accept what
//! [`parse`](crate::parse) refuses, nor read anything as another value.

use std::borrow::Cow;

use serde_json::Number;

use crate::json::DEPTH_MAX;

/// Objects with more keys than this are unusual.
const KEYS_MAX: usize = 64;

/// A place in a JSON text.
#[derive(Debug)]
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// The keys of all objects that are open.
    keys: Vec<Cow<'a, str>>,
}

impl<'a> Scanner<'a> {
    /// At the beginning; `None` when this is no text.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        Some(Self { text: std::str::from_utf8(bytes).ok()?, at: 0, depth: 0, keys: Vec::new() })
    }

    /// Reads an object: `each` is given every key, and must read or skip its value. `None` when two keys differ in
    /// nothing but the case of their letters.
    pub fn object(&mut self, mut each: impl FnMut(&mut Self, &str) -> Option<()>) -> Option<()> {
        self.open(b'{')?;
        let mine = self.keys.len();
        if !self.follows(b'}') {
            loop {
                let key = self.text()?;
                let others = self.keys.get(mine..)?;
                if others.len() >= KEYS_MAX || others.iter().any(|other| other.eq_ignore_ascii_case(&key)) {
                    return None;
                }
                self.keys.push(key.clone());
                self.expect(b':')?;
                each(self, &key)?;
                if !self.follows(b',') {
                    break;
                }
            }
            self.expect(b'}')?;
        }
        self.keys.truncate(mine);
        self.depth -= 1;
        Some(())
    }

    /// Reads a list: `each` must read or skip one item.
    pub fn array(&mut self, mut each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.open(b'[')?;
        if !self.follows(b']') {
            loop {
                each(self)?;
                if !self.follows(b',') {
                    break;
                }
            }
            self.expect(b']')?;
        }
        self.depth -= 1;
        Some(())
    }

    /// Reads a text.
    pub fn text(&mut self) -> Option<Cow<'a, str>> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain(self.rest());
            match self.rest().first()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    // Whatever is escaped, it is one byte that is not looked at here.
                    self.at += 2;
                }
                _ => return None,
            }
        }
        let end = self.at;
        self.at += 1;
        if escaped {
            return serde_json::from_str::<String>(self.text.get(start - 1..self.at)?).ok().map(Cow::Owned);
        }
        self.text.get(start..end).map(Cow::Borrowed)
    }

    /// Reads a text, or `null`.
    pub fn text_or_null(&mut self) -> Option<Option<Cow<'a, str>>> {
        if self.null() { Some(None) } else { self.text().map(Some) }
    }

    /// Reads `true` or `false`.
    pub fn boolean(&mut self) -> Option<bool> {
        match self.peek()? {
            b't' => self.word("true").map(|()| true),
            b'f' => self.word("false").map(|()| false),
            _ => None,
        }
    }

    /// Reads a whole number that is not negative.
    pub fn count(&mut self) -> Option<u64> {
        self.number()?.as_u64()
    }

    /// Reads `null`, if it is what follows.
    pub fn null(&mut self) -> bool {
        self.peek() == Some(b'n') && self.word("null").is_some()
    }

    /// The first byte of what follows.
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            match self.rest().first()? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    /// Reads whatever follows.
    pub fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'{' => self.object(|scanner, _| scanner.skip()),
            b'[' => self.array(Self::skip),
            b'"' => self.text().map(drop),
            b't' | b'f' => self.boolean().map(drop),
            b'n' => self.word("null"),
            _ => self.number().map(drop),
        }
    }

    /// `None` when anything but blanks follows.
    pub fn end(mut self) -> Option<()> {
        if self.peek().is_none() { Some(()) } else { None }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn open(&mut self, bracket: u8) -> Option<()> {
        self.expect(bracket)?;
        self.depth += 1;
        if self.depth > DEPTH_MAX { None } else { Some(()) }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        if self.follows(byte) { Some(()) } else { None }
    }

    fn follows(&mut self, byte: u8) -> bool {
        let is_it = self.peek() == Some(byte);
        self.at += usize::from(is_it);
        is_it
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.rest().starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<Number> {
        self.peek()?;
        let length =
            self.rest().iter().take_while(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')).count();
        let number = serde_json::from_str(self.text.get(self.at..self.at + length)?).ok();
        self.at += length;
        number
    }
}

/// How many bytes there are before a quote, a backslash or a control character; eight are looked at at one time.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    // Sets the top of the lowest byte that is zero; bytes above that one may be wrong.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & TOPS;
    let (words, rest) = bytes.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * 0x20) & !word & TOPS;
        let found = zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\'))) | control;
        if found != 0 {
            return n * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let odd = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    words.len() * 8 + rest.iter().position(odd).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;
    use crate::parse;

    /// The value as the scanner reads it.
    fn read(scanner: &mut Scanner<'_>) -> Option<Value> {
        Some(match scanner.peek()? {
            b'{' => {
                let mut object = Map::new();
                scanner.object(|scanner, key| {
                    let key = key.to_owned();
                    object.insert(key, read(scanner)?);
                    Some(())
                })?;
                Value::Object(object)
            }
            b'[' => {
                let mut list = Vec::new();
                scanner.array(|scanner| read(scanner).map(|item| list.push(item)))?;
                Value::Array(list)
            }
            b'"' => scanner.text()?.into(),
            b't' | b'f' => scanner.boolean()?.into(),
            b'n' => scanner.null().then_some(Value::Null)?,
            _ => Value::Number(scanner.number()?),
        })
    }

    fn whole(bytes: &[u8]) -> Option<Value> {
        let mut scanner = Scanner::new(bytes)?;
        let value = read(&mut scanner)?;
        scanner.end().map(|()| value)
    }

    fn skipped(bytes: &[u8]) -> bool {
        Scanner::new(bytes).is_some_and(|mut scanner| scanner.skip().is_some() && scanner.end().is_some())
    }

    #[test]
    fn what_parse_refuses_is_refused() {
        for text in [
            r#"{"active":true,"active":false}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":1} {"b":2}"#,
            r#"{"a":1,}"#,
            "[1,]",
            "[1 2]",
            r#"{"a":"#,
            r#"{"a" 1}"#,
            r#"{"a":"\ud800"}"#,
            r#""\q""#,
            "\"a\nb\"",
            "\"\\",
            "1e400",
            "01",
            "1.",
            "--1",
            "-",
            "nul",
            "tru",
            "\u{feff}{}",
            "",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
            assert!(!skipped(text.as_bytes()) && whole(text.as_bytes()).is_none(), "{text}");
        }
        assert!(!skipped(b"\"\xff\""));
        for depth in [64, 65] {
            let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            assert_eq!((skipped(deep.as_bytes()), parse(deep.as_bytes()).is_ok()), (depth == 64, depth == 64));
        }
    }

    #[test]
    fn keys_that_differ_in_case_only_and_very_many_keys_are_unusual() {
        assert!(!skipped(br#"{"userName":"a","username":"b"}"#));
        let keys: Vec<String> = (0..=KEYS_MAX).map(|n| format!("\"k{n}\":0")).collect();
        assert!(!skipped(format!("{{{}}}", keys.join(",")).as_bytes()));
        assert!(skipped(format!("{{{}}}", keys[1..].join(",")).as_bytes()));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map(".{0,6}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn what_is_read_is_what_parse_reads(value in any_json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.expect("JSON");
            if let Some(read) = whole(text.as_bytes()) {
                prop_assert_eq!(Ok(read), parse(text.as_bytes()));
                prop_assert!(skipped(text.as_bytes()));
            }
        }

        #[test]
        fn nothing_is_accepted_that_parse_refuses(
            value in any_json(),
            at in any::<proptest::sample::Index>(),
            byte in proptest::sample::select(b"\"\\{}[],:0-.e nt\x00\x1f\xff\xc3".to_vec()),
        ) {
            let mut text = value.to_string().into_bytes();
            let at = at.index(text.len());
            text[at] = byte;
            if skipped(&text) {
                prop_assert!(parse(&text).is_ok(), "{}", String::from_utf8_lossy(&text));
            }
            if let Some(read) = whole(&text) {
                prop_assert_eq!(Ok(read), parse(&text));
            }
        }
    }
}
