//! Bytes into text, in the one encoding that is configured. Pure. A byte that has no meaning in it is a complaint with
//! its place: never a replacement character, since `M�ller` would be somebody new.

use crate::config::Encoding;

/// Decodes a file.
///
/// # Errors
/// Says what cannot be decoded, and in which line.
pub(crate) fn decode(bytes: &[u8], encoding: Encoding) -> Result<String, String> {
    match encoding {
        Encoding::Utf8 => utf8(bytes),
        Encoding::Utf16 => utf16(bytes),
        Encoding::Windows1252 => windows_1252(bytes),
    }
}

fn utf8(bytes: &[u8]) -> Result<String, String> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err("it is UTF-16; set `encoding = \"utf-16\"`".to_owned());
    }
    let bytes = bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.split(|byte| *byte == b'\n').count();
            Err(format!("line {line} is not UTF-8; if the file comes from Windows, try `encoding = \"windows-1252\"`"))
        }
    }
}

fn utf16(bytes: &[u8]) -> Result<String, String> {
    let (little, body) = match bytes {
        [0xff, 0xfe, rest @ ..] => (true, rest),
        [0xfe, 0xff, rest @ ..] => (false, rest),
        _ => return Err("it has no byte order mark, so it is not known which UTF-16 it is".to_owned()),
    };
    if !body.len().is_multiple_of(2) {
        return Err("it ends in the middle of a character".to_owned());
    }
    let unit = |pair: &[u8]| match (pair, little) {
        ([a, b], true) => u16::from_le_bytes([*a, *b]),
        ([a, b], false) => u16::from_be_bytes([*a, *b]),
        _ => 0,
    };
    let units: Vec<u16> = body.chunks_exact(2).map(unit).collect();
    String::from_utf16(&units).map_err(|_| "it holds half a character; it is not whole UTF-16".to_owned())
}

/// What the bytes 0x80 to 0x9f stand for; `\0` for the five that stand for nothing.
const HIGH: [char; 32] = [
    '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘', '’', '“', '”', '•',
    '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
];

fn windows_1252(bytes: &[u8]) -> Result<String, String> {
    if bytes.starts_with(&[0xef, 0xbb, 0xbf]) {
        return Err("it begins with the mark of UTF-8; set `encoding = \"utf-8\"`".to_owned());
    }
    let mut text = String::with_capacity(bytes.len());
    let mut line = 1;
    for byte in bytes {
        let character = match byte {
            0x80..=0x9f => HIGH.get(usize::from(*byte) - 0x80).copied().unwrap_or('\0'),
            other => char::from(*other),
        };
        if character == '\0' {
            return Err(format!("line {line} holds the byte {byte:#04x}, which means nothing in Windows-1252"));
        }
        if character == '\n' {
            line += 1;
        }
        text.push(character);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_encoding_reads_its_own_and_refuses_the_others() {
        let text = "id,name\n1,Søren “Sø” Ångström €\n";
        let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect();
        let latin = b"id,name\n1,S\xf8ren \x93S\xf8\x94 \xc5ngstr\xf6m \x80\n";
        let marked: Vec<u8> = [0xef, 0xbb, 0xbf].into_iter().chain(text.bytes()).collect();
        for (bytes, encoding) in [
            (text.as_bytes(), Encoding::Utf8),
            (&marked, Encoding::Utf8),
            (&utf16, Encoding::Utf16),
            (&big, Encoding::Utf16),
            (latin, Encoding::Windows1252),
        ] {
            assert_eq!(decode(bytes, encoding).as_deref(), Ok(text), "{encoding:?}");
        }
        for (bytes, encoding, says) in [
            (&latin[..], Encoding::Utf8, "line 2 is not UTF-8"),
            (&utf16, Encoding::Utf8, "it is UTF-16"),
            (text.as_bytes(), Encoding::Utf16, "no byte order mark"),
            (&marked, Encoding::Windows1252, "mark of UTF-8"),
            (b"a\n\x81", Encoding::Windows1252, "line 2 holds the byte 0x81"),
            (&utf16[..utf16.len() - 1], Encoding::Utf16, "middle of a character"),
        ] {
            let refused = decode(bytes, encoding).expect_err(says);
            assert!(refused.contains(says), "{refused}");
        }
    }
}
