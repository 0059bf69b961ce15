//! Bytes that stay where they are: records one after another in chunks, so that growing never copies what is there.

/// Chunks are of this size; a record that is larger has one of its own.
const CHUNK: usize = 1 << 20;

/// A place in an [`Arena`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    chunk: u32,
    offset: u32,
}

/// Append-only bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Arena {
    chunks: Vec<Vec<u8>>,
}

impl Arena {
    /// Keeps a record. It must know its own length: only its beginning is remembered.
    pub(super) fn push(&mut self, record: &[u8]) -> Place {
        let fits = self.chunks.last().is_some_and(|last| last.capacity() - last.len() >= record.len());
        if !fits {
            self.chunks.push(Vec::with_capacity(CHUNK.max(record.len())));
        }
        let chunk = (self.chunks.len() - 1) as u32;
        let last = self.chunks.last_mut().expect("there is a chunk: one was pushed if none was there");
        let offset = last.len() as u32;
        last.extend_from_slice(record);
        Place { chunk, offset }
    }

    /// Everything from the beginning of a record on.
    pub(super) fn at(&self, place: Place) -> &[u8] {
        self.chunks.get(place.chunk as usize).and_then(|chunk| chunk.get(place.offset as usize..)).unwrap_or_default()
    }

    /// Gives back what the last chunk does not need.
    pub(super) fn shrink(&mut self) {
        if let Some(last) = self.chunks.last_mut() {
            last.shrink_to_fit();
        }
        self.chunks.shrink_to_fit();
    }
}

/// Writes a number in seven bits a byte, least first.
pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes a text with its length in front.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Reads what was written. Past the end it reads zeros and empty text; records are ours, so that does not happen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    #[inline]
    pub(super) fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((byte, rest)) => {
                self.rest = rest;
                *byte
            }
            None => 0,
        }
    }

    #[inline]
    pub(super) fn number(&mut self) -> u64 {
        match self.rest.split_first() {
            Some((first, rest)) if *first < 0x80 => {
                self.rest = rest;
                u64::from(*first)
            }
            Some(_) | None => self.long_number(),
        }
    }

    /// A number of two bytes and more.
    fn long_number(&mut self) -> u64 {
        let mut number = u64::from(self.byte());
        if number < 0x80 {
            return number;
        }
        number &= 0x7f;
        let mut shift = 7;
        while shift < 64 {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
            shift += 7;
        }
        number
    }

    #[inline]
    pub(super) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.rest.split_at_checked(len).unwrap_or((&[], &[]));
        self.rest = rest;
        bytes
    }

    #[inline]
    pub(super) fn text(&mut self) -> &'a [u8] {
        let len = self.number() as usize;
        self.bytes(len)
    }

    pub(super) const fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes from here to where a later reader stands.
    pub(super) fn until(mut self, later: Reader<'a>) -> &'a [u8] {
        self.bytes(self.rest.len().saturating_sub(later.rest.len()))
    }
}

/// Bytes that were a `&str` when they were written.
pub(super) fn as_text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut out = Vec::new();
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            put_number(&mut out, number);
        }
        put_text(&mut out, "Zoë");
        let mut arena = Arena::default();
        arena.push(b"before");
        let place = arena.push(&out);
        let huge = arena.push(&vec![7; CHUNK + 1]);
        let mut reader = Reader::new(arena.at(place));
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(reader.number(), number);
        }
        assert_eq!(as_text(reader.text()), "Zoë");
        assert_eq!(arena.at(huge).len(), CHUNK + 1, "a record over the size of a chunk has its own");
    }

    #[test]
    fn reading_past_the_end_ends() {
        let mut reader = Reader::new(&[0x85]);
        assert_eq!((reader.number(), reader.number(), reader.text()), (5, 0, &[][..]));
    }
}
