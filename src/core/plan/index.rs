//! From a key to the rows that have it: hashes beside row numbers, sorted. Eight bytes a key.

use lockstep_contract::KeyKind;

use crate::snapshot::{KeyRef, hash_of};

/// The keys of one kind on one side.
#[derive(Debug)]
pub(super) struct KeyIndex {
    kind: KeyKind,
    /// The upper half of a hash, then the row; ascending.
    entries: Vec<u64>,
}

impl KeyIndex {
    /// An index for each kind over the keys of every row, in the order of rows. One walk for all of them: looking up
    /// the records is what takes the time.
    pub(super) fn of_kinds<'k, K: Iterator<Item = KeyRef<'k>>>(
        kinds: &[KeyKind],
        rows: impl ExactSizeIterator<Item = K>,
    ) -> Vec<Self> {
        let empty = |kind: &KeyKind| Self { kind: *kind, entries: Vec::with_capacity(rows.len()) };
        let mut indexes: Vec<Self> = kinds.iter().map(empty).collect();
        for (row, keys) in rows.enumerate() {
            for key in keys {
                if let Some(index) = indexes.iter_mut().find(|index| index.kind == key.kind) {
                    index.entries.push(head(key) | row as u64);
                }
            }
        }
        for index in &mut indexes {
            index.entries.sort_unstable();
        }
        indexes
    }

    /// The kind of the keys.
    pub(super) const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The rows that have this key, ascending. `keys_of` gives the keys of a row.
    pub(super) fn find<'k, K: Iterator<Item = KeyRef<'k>>>(
        &self,
        key: KeyRef<'_>,
        keys_of: impl Fn(u32) -> K,
    ) -> impl Iterator<Item = u32> {
        let head = head(key);
        let start = self.entries.partition_point(|entry| *entry < head);
        let same_hash =
            self.entries.get(start..).unwrap_or_default().iter().take_while(move |entry| **entry & HEAD == head);
        same_hash
            .map(|entry| *entry as u32)
            .filter(move |row| keys_of(*row).any(|other| (other.kind, other.value) == (key.kind, key.value)))
    }

    /// The keys that several rows have, with those rows, ascending.
    pub(super) fn shared<'k, K: Iterator<Item = KeyRef<'k>>>(
        &self,
        keys_of: impl Fn(u32) -> K,
    ) -> Vec<(KeyRef<'k>, Vec<u32>)> {
        let mut shared = Vec::new();
        for same_hash in self.entries.chunk_by(|a, b| a & HEAD == b & HEAD).filter(|same| same.len() > 1) {
            let Some(first) = same_hash.first() else { continue };
            // Different keys may have one hash; there are few of these.
            let mut keys: Vec<(KeyRef<'k>, u32)> = Vec::new();
            for entry in same_hash {
                let row = *entry as u32;
                let of_row = keys_of(row).filter(|key| key.kind == self.kind && head(*key) == first & HEAD);
                keys.extend(of_row.map(|key| (key, row)));
            }
            keys.sort_unstable();
            keys.dedup();
            for same in keys.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1) {
                if let Some((key, _)) = same.first() {
                    shared.push((*key, same.iter().map(|(_, row)| *row).collect()));
                }
            }
        }
        shared.sort_unstable();
        shared
    }
}

const HEAD: u64 = 0xffff_ffff_0000_0000;

fn head(key: KeyRef<'_>) -> u64 {
    hash_of(key.value) & HEAD
}
