//! A hash table from content to row number that holds nothing but the row numbers: four bytes a slot. The content
//! stays where it is and is asked for by the callers.
//!
//! Nothing may iterate over it: the order of slots must never show in a result (I9).

use std::hash::{Hash, Hasher};

const FREE: u32 = u32::MAX;

/// The hash of some content. It is the same in every process; it is never written down, and whoever finds a row by it
/// compares the content, too.
#[inline]
pub(crate) fn hash_of<T: Hash + ?Sized>(content: &T) -> u64 {
    let mut mixer = Mixer { state: FIRST };
    content.hash(&mut mixer);
    mixer.finish()
}

// Odd numbers without a pattern: the first bits of the roots of 2 and 3.
const FIRST: u64 = 0x6a09_e667_f3bc_c909;
const SECOND: u64 = 0xbb67_ae85_84ca_a73b;

/// Eight bytes at a time: multiplied, and both halves of the product folded into one. Ids and keys are short, so what
/// counts is how little it takes to begin and to end.
struct Mixer {
    state: u64,
}

impl Mixer {
    #[inline]
    const fn mix(&mut self, word: u64) {
        self.state = fold(self.state ^ word, SECOND);
    }
}

const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

impl Hasher for Mixer {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        // The length goes along, so that a shorter rest is another word.
        let rest = rest.iter().fold(bytes.len() as u64, |word, byte| word << 8 | u64::from(*byte));
        self.mix(rest);
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.mix(u64::from(number));
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.mix(u64::from(number));
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        fold(self.state, FIRST)
    }
}

/// Row numbers, found by the hash of what the rows hold.
#[derive(Debug, Clone, Default)]
pub(super) struct RowTable {
    slots: Vec<u32>,
    used: usize,
}

impl RowTable {
    /// The row with this hash for which `is_it` says yes.
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = self.start(hash)?;
        loop {
            match self.slots.get(at).copied() {
                None => at = 0,
                Some(FREE) => return None,
                Some(row) if is_it(row) => return Some(row),
                Some(_) => at += 1,
            }
        }
    }

    /// Adds a row that is not there yet. `rehash` gives the hash of a row when the table has to grow.
    pub(super) fn insert(&mut self, hash: u64, row: u32, rehash: impl Fn(u32) -> u64) {
        // At most three quarters full: there is always a free slot, so `find` ends.
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            let larger = (self.slots.len() * 2).max(16);
            let old = std::mem::replace(&mut self.slots, vec![FREE; larger]);
            for row in old.into_iter().filter(|row| *row != FREE) {
                self.place(rehash(row), row);
            }
        }
        self.place(hash, row);
        self.used += 1;
    }

    /// A table of exactly these rows, which all differ.
    pub(super) fn of(rows: u32, hash: impl Fn(u32) -> u64) -> Self {
        let slots = (rows as usize + rows as usize / 3 + 1).next_power_of_two().max(16);
        let mut table = Self { slots: vec![FREE; slots], used: rows as usize };
        for row in 0..rows {
            table.place(hash(row), row);
        }
        table
    }

    fn place(&mut self, hash: u64, row: u32) {
        let Some(mut at) = self.start(hash) else { return };
        loop {
            match self.slots.get_mut(at) {
                None => at = 0,
                Some(slot) if *slot == FREE => {
                    *slot = row;
                    return;
                }
                Some(_) => at += 1,
            }
        }
    }

    fn start(&self, hash: u64) -> Option<usize> {
        // The number of slots is a power of two.
        Some(hash as usize & self.slots.len().checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_again_and_nothing_else() {
        let texts: Vec<String> = (0..5_000).map(|n| format!("row {n}")).collect();
        let mut table = RowTable::default();
        for (row, text) in texts.iter().enumerate() {
            assert_eq!(table.find(hash_of(text), |r| texts[r as usize] == *text), None);
            table.insert(hash_of(text), row as u32, |r| hash_of(&texts[r as usize]));
        }
        for (row, text) in texts.iter().enumerate() {
            assert_eq!(table.find(hash_of(text), |r| texts[r as usize] == *text), Some(row as u32));
        }
    }

    #[test]
    fn similar_content_spreads_over_both_halves_of_a_hash() {
        let of = |n: u32| hash_of(format!("person{n}@corp.example").as_bytes());
        let mut low: Vec<u32> = (0..20_000).map(|n| of(n) as u32).collect();
        let mut high: Vec<u32> = (0..20_000).map(|n| (of(n) >> 32) as u32).collect();
        for half in [&mut low, &mut high] {
            half.sort_unstable();
            half.dedup();
            assert!(half.len() > 19_980, "{} of 20000 differ", half.len());
        }
        assert_ne!(hash_of(&[0_u8; 7][..]), hash_of(&[0_u8; 6][..]));
    }

    #[test]
    fn an_empty_table_answers() {
        assert_eq!(RowTable::default().find(7, |_| true), None);
    }
}
