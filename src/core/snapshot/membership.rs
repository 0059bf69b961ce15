//! From "who is in this group" to "which groups is this person in".
//!
//! Nothing is decided here, and the order in which groups were read must not show in any result.

use super::arena::{Reader, put_number};
use super::directory::Row;
use super::sets::Sets;

/// The rows of one group's members, ascending, each as the distance from the one before.
#[derive(Debug, Default)]
pub(super) struct Listed {
    bytes: Vec<u8>,
}

/// Turns "who is in this group" into "which groups is this person in", a block of rows at a time, so that the
/// whole relation never stands in memory uncompressed.
pub(super) fn assign_sets(listed: &[Listed], rows: &mut [Row], sets: &mut Sets) {
    const BLOCK: usize = 1 << 15;
    let mut cursors: Vec<_> = listed.iter().map(|listed| listed.rows().peekable()).collect();
    let mut found = Found::default();
    for (block, rows) in rows.chunks_mut(BLOCK).enumerate() {
        let start = (block * BLOCK) as u32;
        let end = start + rows.len() as u32;
        found.clear(rows.len());
        for (group, cursor) in cursors.iter_mut().enumerate() {
            while let Some(row) = cursor.next_if(|row| *row < end) {
                found.push(row - start, group as u32);
            }
        }
        found.sort();
        for (at, row) in rows.iter_mut().enumerate() {
            let set = found.of(at);
            if !set.is_empty() {
                row.groups = sets.intern(set);
            }
        }
    }
}

/// The groups of a block of rows. They come group by group, and counting puts them in the order of rows.
#[derive(Debug, Default)]
struct Found {
    pairs: Vec<(u32, u32)>,
    /// For each row: where its groups end.
    ends: Vec<u32>,
    groups: Vec<u32>,
}

impl Found {
    fn clear(&mut self, rows: usize) {
        self.pairs.clear();
        self.ends.clear();
        self.ends.resize(rows, 0);
    }

    fn push(&mut self, row: u32, group: u32) {
        if let Some(count) = self.ends.get_mut(row as usize) {
            *count += 1;
            self.pairs.push((row, group));
        }
    }

    fn sort(&mut self) {
        // From how many there are to where they begin; placing them moves that to where they end.
        let mut sum = 0;
        for count in &mut self.ends {
            sum += std::mem::replace(count, sum);
        }
        self.groups.clear();
        self.groups.resize(self.pairs.len(), 0);
        for (row, group) in &self.pairs {
            let Some(at) = self.ends.get_mut(*row as usize) else { continue };
            if let Some(slot) = self.groups.get_mut(*at as usize) {
                *slot = *group;
                *at += 1;
            }
        }
    }

    fn of(&self, row: usize) -> &[u32] {
        let start = row.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(row).copied().unwrap_or(start);
        self.groups.get(start as usize..end as usize).unwrap_or_default()
    }
}

impl Listed {
    pub(super) fn of(mut rows: Vec<u32>) -> Self {
        rows.sort_unstable();
        rows.dedup();
        let mut bytes = Vec::new();
        let mut before = 0;
        for row in rows {
            put_number(&mut bytes, u64::from(row - before));
            before = row;
        }
        bytes.shrink_to_fit();
        Self { bytes }
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = u32> + '_ {
        let mut reader = Reader::new(&self.bytes);
        let mut before = 0;
        std::iter::from_fn(move || {
            if reader.is_done() {
                return None;
            }
            before += reader.number() as u32;
            Some(before)
        })
    }
}
