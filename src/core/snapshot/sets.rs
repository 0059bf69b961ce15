//! Sets of small numbers, each different set held once. Most people share their set of groups with many others.

use super::arena::{Reader, put_number};
use super::table::{RowTable, hash_of};

/// Sets of numbers by set number. Set 0 is the empty set.
#[derive(Debug, Clone)]
pub(super) struct Sets {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    table: RowTable,
    scratch: Vec<u8>,
}

impl Default for Sets {
    fn default() -> Self {
        let mut sets = Self { bytes: Vec::new(), ends: Vec::new(), table: RowTable::default(), scratch: Vec::new() };
        sets.intern(&[]);
        sets
    }
}

impl Sets {
    /// The number of this set. `members` ascend and do not repeat.
    pub(super) fn intern(&mut self, members: &[u32]) -> u32 {
        self.scratch.clear();
        let mut before = 0;
        for member in members {
            put_number(&mut self.scratch, u64::from(member - before));
            before = *member;
        }
        let hash = hash_of(self.scratch.as_slice());
        if let Some(set) = self.table.find(hash, |set| self.encoded(set) == self.scratch) {
            return set;
        }
        let set = self.ends.len() as u32;
        // Grown by an eighth, not doubled: with many different sets this is a large part of a snapshot.
        if self.bytes.capacity() - self.bytes.len() < self.scratch.len() {
            self.bytes.reserve_exact(self.scratch.len().max(self.bytes.len() / 8));
        }
        self.bytes.extend_from_slice(&self.scratch);
        self.ends.push(self.bytes.len());
        let Self { bytes, ends, table, .. } = self;
        table.insert(hash, set, |set| hash_of(slice(bytes, ends, set)));
        set
    }

    /// The members, ascending.
    pub(super) fn members(&self, set: u32) -> impl Iterator<Item = u32> + Clone + '_ {
        let mut reader = Reader::new(self.encoded(set));
        let mut before = 0;
        std::iter::from_fn(move || {
            if reader.is_done() {
                return None;
            }
            before += reader.number() as u32;
            Some(before)
        })
    }

    /// How many sets there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// No more sets will be added.
    pub(super) fn freeze(&mut self) {
        self.table = RowTable::default();
        self.scratch = Vec::new();
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    fn encoded(&self, set: u32) -> &[u8] {
        slice(&self.bytes, &self.ends, set)
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[usize], set: u32) -> &'a [u8] {
    let set = set as usize;
    let start = set.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    let end = ends.get(set).copied().unwrap_or(start);
    bytes.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_are_one_set_and_keep_their_members() {
        let mut sets = Sets::default();
        let a = sets.intern(&[0, 3, 1_000]);
        let b = sets.intern(&[5]);
        assert_eq!(sets.intern(&[0, 3, 1_000]), a);
        assert_eq!((sets.intern(&[]), sets.len()), (0, 3));
        sets.freeze();
        assert_eq!(sets.members(a).collect::<Vec<_>>(), [0, 3, 1_000]);
        assert_eq!(sets.members(b).collect::<Vec<_>>(), [5]);
        assert_eq!(sets.members(0).count(), 0);
    }
}
