//! The one decoder of `objectGUID`, and other spellings of immutable ids. This module must not know where they are from.

use std::fmt::Write;

use uuid::Uuid;

/// The UUID in the 16 bytes of an `objectGUID`. Active Directory stores the first three fields in little-endian order
/// ([MS-DTYP] 2.3.4.2).
pub(crate) fn from_object_guid(bytes: &[u8]) -> Option<Uuid> {
    Uuid::from_slice_le(bytes).ok()
}

/// The 16 bytes of an `objectGUID`, for a filter.
pub(crate) fn to_object_guid(id: Uuid) -> [u8; 16] {
    id.to_bytes_le()
}

/// A UUID in text, wherever its hyphens stand: `entryUUID` has them at 8-4-4-4-12, `nsUniqueId` at 8-8-8-8.
pub(crate) fn from_text(text: &str) -> Option<Uuid> {
    let mut digits = [0_u8; 32];
    let mut count = 0;
    for byte in text.trim_matches(['{', '}']).bytes().filter(|b| *b != b'-') {
        *digits.get_mut(count)? = byte;
        count += 1;
    }
    if count != 32 {
        return None;
    }
    Uuid::try_parse_ascii(&digits).ok()
}

/// Takes an extended distinguished name apart: `<GUID=…>;<SID=…>;CN=…` gives the UUID and the plain name. The name may
/// be any bytes.
pub(crate) fn from_extended_name(value: &[u8]) -> Option<(Uuid, &[u8])> {
    let rest = value.strip_prefix(b"<GUID=")?;
    let end = rest.iter().position(|b| *b == b'>')?;
    let text = std::str::from_utf8(rest.get(..end)?).ok()?;
    // With the other flag of the control the GUID comes as the 32 hex digits of its bytes, in the order of the wire.
    let id = if text.len() == 32 { from_wire_hex(text)? } else { from_text(text)? };
    let mut name = rest.get(end + 1..)?;
    while let Some(after) = name.strip_prefix(b";") {
        name = after;
        if !name.starts_with(b"<SID=") {
            break;
        }
        let end = name.iter().position(|b| *b == b'>')?;
        name = name.get(end + 1..)?;
    }
    Some((id, name))
}

fn from_wire_hex(text: &str) -> Option<Uuid> {
    let bytes = u128::from_str_radix(text, 16).ok()?.to_be_bytes();
    Some(Uuid::from_bytes_le(bytes))
}

/// The relative id at the end of a binary security identifier: what `primaryGroupID` names.
pub(crate) fn relative_id(sid: &[u8]) -> Option<u32> {
    let count = usize::from(*sid.get(1)?);
    if count == 0 || sid.len() != 8 + 4 * count {
        return None;
    }
    let last = sid.get(sid.len() - 4..)?;
    Some(u32::from_le_bytes(last.try_into().ok()?))
}

/// A binary security identifier as people write it.
pub(crate) fn sid_text(sid: &[u8]) -> Option<String> {
    relative_id(sid)?;
    let authority = sid.get(2..8)?.iter().fold(0_u64, |all, byte| (all << 8) | u64::from(*byte));
    let mut text = format!("S-{}-{authority}", sid.first()?);
    for part in sid.get(8..)?.as_chunks::<4>().0 {
        // Writing to a text cannot fail.
        let _ = write!(text, "-{}", u32::from_le_bytes(*part));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00112233-4455-6677-8899-aabbccddeeff";
    const WIRE: [u8; 16] =
        [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];

    #[test]
    fn the_first_three_fields_are_turned_round_and_the_rest_is_not() {
        let id = from_object_guid(&WIRE).expect("16 bytes");
        assert_eq!(id.to_string(), TEXT);
        assert_eq!(to_object_guid(id), WIRE);
        assert_eq!(from_object_guid(&WIRE[1..]), None);
    }

    #[test]
    fn every_spelling_of_an_id_is_the_same_id() {
        let id = from_text(TEXT);
        assert!(id.is_some());
        assert_eq!(from_text("00112233-44556677-8899aabb-ccddeeff"), id, "nsUniqueId");
        assert_eq!(from_text("{00112233-4455-6677-8899-AABBCCDDEEFF}"), id);
        for bad in ["", "00112233", "00112233-4455-6677-8899-aabbccddeeffaa", "00112233-4455-6677-8899-aabbccddeefg"] {
            assert_eq!(from_text(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_extended_name_gives_its_id_whatever_the_name_is() {
        let id = from_text(TEXT).expect("id");
        let with_sid = format!("<GUID={TEXT}>;<SID=S-1-5-21-1>;CN=a,DC=b");
        assert_eq!(from_extended_name(with_sid.as_bytes()), Some((id, b"CN=a,DC=b".as_slice())));
        let mut odd = format!("<GUID={TEXT}>;CN=").into_bytes();
        odd.push(0xff);
        assert_eq!(from_extended_name(&odd), Some((id, b"CN=\xff".as_slice())));
        let hex = b"<GUID=33221100554477668899aabbccddeeff>;CN=a";
        assert_eq!(from_extended_name(hex), Some((id, b"CN=a".as_slice())));
        for bad in ["CN=a,DC=b", "<GUID=", "<GUID=x>;CN=a"] {
            assert_eq!(from_extended_name(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn the_relative_id_is_the_last_part_of_a_sid() {
        let sid = [1, 2, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 0x01, 0x02, 0, 0];
        assert_eq!(relative_id(&sid), Some(513));
        assert_eq!(sid_text(&sid).as_deref(), Some("S-1-5-21-513"));
        assert_eq!(relative_id(&sid[..15]), None);
        assert_eq!(relative_id(&[]), None);
    }
}
