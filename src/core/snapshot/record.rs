//! How keys and fields of one record are written in an arena, on either side.

use lockstep_contract::{CorrelationKey, CorrelationKeys, FieldName, KeyKind, Profile};

use super::arena::{Reader, as_text, put_number, put_text};
use super::texts::{Names, Repeated};

/// What the records of one side share: names of fields and repeated texts.
#[derive(Debug, Clone, Default)]
pub(super) struct Vocabulary {
    pub(super) fields: Names<FieldName>,
    pub(super) texts: Repeated,
}

/// A key as it lies in a record: its kind and its normalised value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct KeyRef<'a> {
    /// What kind of value it is.
    pub(crate) kind: KeyKind,
    /// The value, normalised as [`CorrelationKey`] has it.
    pub(crate) value: &'a [u8],
}

impl<'a> KeyRef<'a> {
    /// A key of the contract, seen as one of a record.
    pub(crate) fn of(key: &'a CorrelationKey) -> Self {
        Self { kind: key.kind(), value: key.value().as_bytes() }
    }

    /// The value as text.
    pub(crate) fn text(self) -> &'a str {
        as_text(self.value)
    }

    /// A copy that stands alone.
    pub(crate) fn to_key(self) -> CorrelationKey {
        CorrelationKey::new(self.kind, self.text())
            .expect("it was a key when it was written, and normalising is stable")
    }
}

// How a value is written: a number whose lowest two bits say what the rest is.
const INLINE: u64 = 0; // its length; the bytes follow
const REPEATED: u64 = 1; // its number among the repeated texts
const AS_KEY: u64 = 2; // the same bytes as the key of this number in the same record

/// Writes the keys of a record.
pub(super) fn put_keys(out: &mut Vec<u8>, keys: &CorrelationKeys) {
    put_keys_but(out, keys, None);
}

/// Writes all keys but one.
pub(super) fn put_keys_but(out: &mut Vec<u8>, keys: &CorrelationKeys, but: Option<&CorrelationKey>) {
    let written = || keys.iter().filter(|key| Some(*key) != but);
    put_number(out, (keys.len() - usize::from(but.is_some())) as u64);
    for (at, key) in written().enumerate() {
        let kind = KeyKind::ALL.iter().position(|kind| *kind == key.kind()).expect("ALL holds every kind") as u8;
        out.push(kind);
        // A mail address is often the user principal name, too.
        match written().take(at).position(|earlier| earlier.value() == key.value()) {
            Some(earlier) => put_number(out, (earlier as u64) << 2 | AS_KEY),
            None => put_inline(out, key.value()),
        }
    }
}

/// So many keys of a record are compared with its fields; hardly anybody has more.
const KEYS_COMPARED: usize = 8;

/// Writes the fields of a record, whose keys are these.
pub(super) fn put_fields(out: &mut Vec<u8>, vocabulary: &mut Vocabulary, keys: &CorrelationKeys, profile: &Profile) {
    put_number(out, profile.len() as u64);
    // Going through a set once for every field costs more than all else here.
    let mut values = [None; KEYS_COMPARED];
    values.iter_mut().zip(keys.iter()).for_each(|(slot, key)| *slot = Some(key.value()));
    let mut before = None;
    for (name, value) in profile.iter() {
        let field = vocabulary.fields.number_after(before, name);
        before = Some(field);
        put_number(out, u64::from(field));
        match values.iter().position(|key| *key == Some(value)) {
            Some(key) => put_number(out, (key as u64) << 2 | AS_KEY),
            None => put_value(out, vocabulary, field, value),
        }
    }
}

/// Writes a value that may repeat itself in other records.
pub(super) fn put_value(out: &mut Vec<u8>, vocabulary: &mut Vocabulary, field: u32, value: &str) {
    match vocabulary.texts.number(field, value) {
        Some(number) => put_number(out, u64::from(number) << 2 | REPEATED),
        None => put_inline(out, value),
    }
}

fn put_inline(out: &mut Vec<u8>, value: &str) {
    put_number(out, (value.len() as u64) << 2 | INLINE);
    out.extend_from_slice(value.as_bytes());
}

/// Reads keys and skips what is left of them when asked to move on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys<'a> {
    start: Reader<'a>,
    reader: Reader<'a>,
    left: u64,
}

impl<'a> Keys<'a> {
    /// At the place where keys were written.
    pub(super) fn new(mut reader: Reader<'a>) -> Self {
        let left = reader.number();
        Self { start: reader, reader, left }
    }

    /// The value of the key with this number.
    fn value(mut start: Reader<'a>, number: u64) -> &'a [u8] {
        for _ in 0..number {
            start.byte();
            if let (INLINE, len) = split(start.number()) {
                start.bytes(len as usize);
            }
        }
        start.byte();
        match split(start.number()) {
            (INLINE, len) => start.bytes(len as usize),
            // The key it repeats comes before it and was written in full.
            _ => &[],
        }
    }

    /// The fields that follow.
    pub(super) fn fields(mut self, texts: &'a Repeated) -> Fields<'a> {
        while self.next().is_some() {}
        let mut reader = self.reader;
        let left = reader.number();
        Fields { keys: self.start, reader, texts, left }
    }
}

#[expect(clippy::copy_iterator, reason = "a reader is three words, and starting over from a copy is what it is for")]
impl<'a> Iterator for Keys<'a> {
    type Item = KeyRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<KeyRef<'a>> {
        self.left = self.left.checked_sub(1)?;
        let kind = KeyKind::ALL.get(usize::from(self.reader.byte())).copied()?;
        let value = match split(self.reader.number()) {
            (INLINE, len) => self.reader.bytes(len as usize),
            (_, number) => Self::value(self.start, number),
        };
        Some(KeyRef { kind, value })
    }
}

const fn split(number: u64) -> (u64, u64) {
    (number & 3, number >> 2)
}

/// Reads fields: their numbers and values, in the order of the names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    keys: Reader<'a>,
    reader: Reader<'a>,
    texts: &'a Repeated,
    left: u64,
}

impl<'a> Fields<'a> {
    /// What follows the fields.
    pub(super) fn rest(mut self) -> Reader<'a> {
        while self.left > 0 {
            self.left -= 1;
            self.reader.number();
            if let (INLINE, len) = split(self.reader.number()) {
                self.reader.bytes(len as usize);
            }
        }
        self.reader
    }
}

#[expect(clippy::copy_iterator, reason = "a reader is three words, and starting over from a copy is what it is for")]
impl<'a> Iterator for Fields<'a> {
    type Item = (u32, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<(u32, &'a [u8])> {
        self.left = self.left.checked_sub(1)?;
        let field = self.reader.number() as u32;
        Some((field, value(&mut self.reader, self.texts, self.keys)))
    }
}

/// Reads one value.
#[inline]
pub(super) fn value<'a>(reader: &mut Reader<'a>, texts: &'a Repeated, keys: Reader<'a>) -> &'a [u8] {
    match split(reader.number()) {
        (INLINE, len) => reader.bytes(len as usize),
        (REPEATED, number) => texts.get(number as u32),
        (_, key) => Keys::value(keys, key),
    }
}

/// The fields of a record as a profile.
pub(super) fn profile(fields: Fields<'_>, names: &Names<FieldName>) -> Profile {
    fields.filter_map(|(field, value)| Some((names.get(field)?.clone(), as_text(value).to_owned()))).collect()
}

/// Feeds keys and fields to a digest: names and values with their lengths, nothing that depends on the order of
/// arrival.
pub(super) fn digest(out: &mut Vec<u8>, keys: Keys<'_>, fields: Fields<'_>, names: &Names<FieldName>) {
    for key in keys {
        put_text(out, key.kind.as_str());
        put_text(out, key.text());
    }
    out.push(0);
    for (field, value) in fields {
        put_text(out, names.get(field).map_or("", FieldName::as_str));
        put_number(out, value.len() as u64);
        out.extend_from_slice(value);
    }
    out.push(0);
}

/// Writes an instant, to the nanosecond.
pub(super) fn put_time(out: &mut Vec<u8>, at: jiff::Timestamp) {
    out.extend_from_slice(&at.as_nanosecond().to_le_bytes());
}

/// Reads an instant.
pub(super) fn get_time(reader: &mut Reader<'_>) -> Option<jiff::Timestamp> {
    let bytes: [u8; 16] = reader.bytes(16).try_into().ok()?;
    jiff::Timestamp::from_nanosecond(i128::from_le_bytes(bytes)).ok()
}
