//! Names and repeated texts, each held once.

use super::table::{RowTable, hash_of};

/// Different values, numbered in the order in which they first came. That order must not show in any result.
#[derive(Debug, Clone)]
pub(super) struct Names<T> {
    items: Vec<T>,
    table: RowTable,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { items: Vec::new(), table: RowTable::default() }
    }
}

impl<T: Clone + std::hash::Hash + Eq> Names<T> {
    /// The number of a name, new or known.
    pub(super) fn number(&mut self, name: &T) -> u32 {
        if let Some(number) = self.find(name) {
            return number;
        }
        let number = self.items.len() as u32;
        self.items.push(name.clone());
        let Self { items, table } = self;
        table.insert(hash_of(name), number, |n| items.get(n as usize).map_or(0, hash_of));
        number
    }

    /// As [`number`](Self::number), for names that come in the same order again and again: `before` is the number of the
    /// name that came before this one.
    pub(super) fn number_after(&mut self, before: Option<u32>, name: &T) -> u32 {
        let likely = before.map_or(0, |before| before + 1);
        if self.get(likely) == Some(name) { likely } else { self.number(name) }
    }

    /// The number of a known name.
    pub(super) fn find(&self, name: &T) -> Option<u32> {
        self.table.find(hash_of(name), |n| self.get(n) == Some(name))
    }

    /// The name with this number.
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.items.get(number as usize)
    }

    /// All names, in the order of their numbers.
    pub(super) fn all(&self) -> &[T] {
        &self.items
    }
}

/// Texts that come again and again. Which texts those are is found out while reading: for each field, texts are
/// collected as long as collecting pays.
#[derive(Debug, Clone, Default)]
pub(super) struct Repeated {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    table: RowTable,
    fields: Vec<Tried>,
}

/// How collecting the texts of one field went so far.
#[derive(Debug, Clone, Copy, Default)]
struct Tried {
    kept: u32,
    met_again: u32,
    missed: u32,
}

impl Tried {
    /// A text is worth its place when it is met three times.
    const fn collects(self) -> bool {
        self.kept < TRIAL || self.met_again / 2 > self.kept
    }

    /// Looking has cost more than it brought.
    const fn hopeless(self) -> bool {
        self.missed > 4 * TRIAL && self.met_again < self.missed / 8
    }
}

/// So many different texts of a field are collected before the question is asked whether it pays.
const TRIAL: u32 = 4_096;
/// Longer texts are not worth the comparison.
const LONGEST: usize = 256;

impl Repeated {
    /// The number of a text, or `None` when this field hardly ever repeats itself.
    pub(super) fn number(&mut self, field: u32, text: &str) -> Option<u32> {
        let field = field as usize;
        if self.fields.len() <= field {
            self.fields.resize(field + 1, Tried::default());
        }
        let tried = self.fields.get_mut(field)?;
        if text.len() > LONGEST || tried.hopeless() {
            return None;
        }
        let hash = hash_of(text.as_bytes());
        let Self { bytes, ends, table, .. } = self;
        if let Some(number) = table.find(hash, |n| slice(bytes, ends, n) == text.as_bytes()) {
            tried.met_again = tried.met_again.saturating_add(1);
            return Some(number);
        }
        if !tried.collects() {
            tried.missed = tried.missed.saturating_add(1);
            return None;
        }
        tried.kept += 1;
        let number = ends.len() as u32;
        bytes.extend_from_slice(text.as_bytes());
        ends.push(bytes.len());
        table.insert(hash, number, |n| hash_of(slice(bytes, ends, n)));
        Some(number)
    }

    /// The text with this number.
    pub(super) fn get(&self, number: u32) -> &[u8] {
        slice(&self.bytes, &self.ends, number)
    }

    /// No more texts will be added.
    pub(super) fn freeze(&mut self) {
        self.table = RowTable::default();
        self.fields = Vec::new();
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[usize], number: u32) -> &'a [u8] {
    let number = number as usize;
    let start = number.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    let end = ends.get(number).copied().unwrap_or(start);
    bytes.get(start..end).unwrap_or_default()
}
