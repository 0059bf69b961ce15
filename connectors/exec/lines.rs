//! Lines of a stream that nobody trusts: each has an end, and a limit. This module must not interpret them.

use std::io::{self, BufRead};

/// What stood in a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A line, without its end.
    Line(Vec<u8>),
    /// The stream ended in the middle of a line.
    Torn,
    /// A line that is longer than it may be. It was not read to its end.
    TooLong,
    /// The end.
    End,
}

/// Reads one line of at most so many bytes.
pub(crate) fn next(stream: &mut impl BufRead, bytes_max: usize) -> io::Result<Piece> {
    let mut line = Vec::new();
    loop {
        let piece = match stream.fill_buf() {
            Ok(piece) => piece,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if piece.is_empty() {
            return Ok(if line.is_empty() { Piece::End } else { Piece::Torn });
        }
        let end = piece.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(piece.len());
        if line.len() + taken > bytes_max {
            return Ok(Piece::TooLong);
        }
        line.extend_from_slice(piece.get(..taken).unwrap_or_default());
        stream.consume(taken + usize::from(end.is_some()));
        if end.is_some() {
            return Ok(Piece::Line(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    #[test]
    fn lines_come_whole_whatever_the_size_of_the_buffer() {
        for size in 1..9 {
            let mut stream = BufReader::with_capacity(size, &b"one\n\nthree\nto"[..]);
            let mut read = || next(&mut stream, 5).expect("no error");
            assert_eq!(read(), Piece::Line(b"one".to_vec()));
            assert_eq!(read(), Piece::Line(Vec::new()));
            assert_eq!(read(), Piece::Line(b"three".to_vec()));
            assert_eq!(read(), Piece::Torn);
        }
        assert_eq!(next(&mut &b""[..], 5).expect("no error"), Piece::End);
        assert_eq!(next(&mut &b"123456\n"[..], 5).expect("no error"), Piece::TooLong);
    }
}
