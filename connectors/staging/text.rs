//! Text into bytes and back, in the one encoding that a profile names. Pure. What cannot be said in it is an error with
//! the character: never `?`, since `M?ller` would be somebody new.

use encoding_rs::{EncoderResult, WINDOWS_1252};

use crate::profile::Encoding;

/// Encodes, without a mark.
///
/// # Errors
/// The first character that the encoding lacks.
pub(crate) fn encode(text: &str, encoding: Encoding) -> Result<Vec<u8>, char> {
    match encoding {
        Encoding::Utf8 | Encoding::Utf8Bom => Ok(text.as_bytes().to_vec()),
        Encoding::Utf16Le => Ok(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        Encoding::Windows1252 => {
            let mut encoder = WINDOWS_1252.new_encoder();
            let room = encoder.max_buffer_length_from_utf8_without_replacement(text.len()).unwrap_or(0);
            let mut bytes = Vec::with_capacity(room);
            match encoder.encode_from_utf8_to_vec_without_replacement(text, &mut bytes, true).0 {
                EncoderResult::Unmappable(character) => Err(character),
                EncoderResult::InputEmpty | EncoderResult::OutputFull => Ok(bytes),
            }
        }
    }
}

/// What a file begins with.
pub(crate) const fn mark(encoding: Encoding) -> &'static [u8] {
    match encoding {
        Encoding::Utf8 | Encoding::Windows1252 => b"",
        Encoding::Utf8Bom => &[0xef, 0xbb, 0xbf],
        Encoding::Utf16Le => &[0xff, 0xfe],
    }
}

/// Decodes a file. The two kinds of UTF-8 read each other.
///
/// # Errors
/// What is wrong, for people.
pub(crate) fn decode(bytes: &[u8], encoding: Encoding) -> Result<String, String> {
    match encoding {
        Encoding::Utf8 | Encoding::Utf8Bom => {
            let body = bytes.strip_prefix(mark(Encoding::Utf8Bom)).unwrap_or(bytes);
            let text = std::str::from_utf8(body).map_err(|error| {
                let before = body.get(..error.valid_up_to()).unwrap_or_default();
                format!("line {} is not UTF-8", before.split(|byte| *byte == b'\n').count())
            })?;
            Ok(text.to_owned())
        }
        Encoding::Utf16Le => {
            let body = bytes.strip_prefix(mark(Encoding::Utf16Le)).unwrap_or(bytes);
            if !body.len().is_multiple_of(2) {
                return Err("it ends in the middle of a character".to_owned());
            }
            let units: Vec<u16> = body.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).map_err(|_| "it is not whole UTF-16".to_owned())
        }
        Encoding::Windows1252 => {
            if bytes.starts_with(mark(Encoding::Utf8Bom)) {
                return Err("it begins with the mark of UTF-8".to_owned());
            }
            Ok(WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Encoding; 4] = [Encoding::Utf8, Encoding::Utf8Bom, Encoding::Utf16Le, Encoding::Windows1252];

    #[test]
    fn what_can_be_said_comes_back_and_what_cannot_is_named() {
        for encoding in ALL {
            for text in ["", "Søren “Sø” Ångström €", "Þórbjörg Æsa"] {
                let bytes = [mark(encoding).to_vec(), encode(text, encoding).expect("sayable")].concat();
                assert_eq!(decode(&bytes, encoding).as_deref(), Ok(text), "{encoding:?}");
            }
        }
        assert_eq!(encode("Zoë 👩 x", Encoding::Windows1252), Err('👩'));
        assert_eq!(encode("Łukasz", Encoding::Windows1252), Err('Ł'));
        assert_eq!(encode("€", Encoding::Windows1252), Ok(vec![0x80]));
        assert_eq!(encode("ab", Encoding::Utf16Le), Ok(vec![b'a', 0, b'b', 0]));
    }

    #[test]
    fn half_a_character_is_no_text() {
        assert!(decode(b"a\nb\xc3", Encoding::Utf8).expect_err("torn").contains("line 2"));
        assert!(decode(&[0xff, 0xfe, b'a'], Encoding::Utf16Le).is_err());
        assert!(decode(&[0xff, 0xfe, 0x3d, 0xd8], Encoding::Utf16Le).is_err(), "half of a pair");
        assert!(decode(b"\xef\xbb\xbfa", Encoding::Windows1252).is_err());
    }
}
