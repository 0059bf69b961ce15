//! One entry of an answer, taken apart without trusting it: what is malformed is an error, never a panic, and a value
//! stays bytes until somebody asks for text. This module must not know what an attribute means.

use ldap3::asn1::{PL, StructureTag};

/// One entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The distinguished name, as the server spells it.
    pub(crate) name: Vec<u8>,
    attributes: Vec<(String, Vec<Vec<u8>>)>,
}

/// A piece of a long list of values: `member;range=0-1499`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    /// The position of the first value in this piece.
    pub(crate) from: u32,
    /// The position of the last value, or `None` for the piece with which the list ends.
    pub(crate) to: Option<u32>,
}

/// The values of an attribute, which may be a piece of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values<'a> {
    /// All of them.
    Whole(&'a [Vec<u8>]),
    /// A piece.
    Piece(Range, &'a [Vec<u8>]),
}

impl Entry {
    /// Takes a search result entry apart. `None` when it is malformed.
    pub(crate) fn from_ber(tag: StructureTag) -> Option<Self> {
        if tag.id != 4 {
            return None;
        }
        let mut parts = constructed(tag)?.into_iter();
        let name = primitive(parts.next()?)?;
        let list = constructed(parts.next()?)?;
        let mut attributes = Vec::with_capacity(list.len());
        for item in list {
            let mut item = constructed(item)?.into_iter();
            let description = String::from_utf8(primitive(item.next()?)?).ok()?;
            let values = constructed(item.next()?)?.into_iter().map(primitive).collect::<Option<Vec<_>>>()?;
            attributes.push((description, values));
        }
        Some(Self { name, attributes })
    }

    /// All values of an attribute; none when it was not sent.
    pub(crate) fn values(&self, attribute: &str) -> &[Vec<u8>] {
        self.attributes
            .iter()
            .find(|(description, _)| description.eq_ignore_ascii_case(attribute))
            .map_or(&[], |(_, values)| values)
    }

    /// The values of an attribute that a server may send in pieces. An empty whole list beside a piece means nothing:
    /// Active Directory sends both.
    pub(crate) fn ranged(&self, attribute: &str) -> Result<Values<'_>, MalformedRange> {
        for (description, values) in &self.attributes {
            let mut options = description.split(';');
            if !options.next().is_some_and(|base| base.eq_ignore_ascii_case(attribute)) {
                continue;
            }
            for option in options {
                if option.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("range=")) {
                    let range = option.get(6..).and_then(Range::parse).ok_or(MalformedRange)?;
                    return Ok(Values::Piece(range, values));
                }
            }
        }
        Ok(Values::Whole(self.values(attribute)))
    }

    /// The only value of an attribute as bytes; `None` when there is none or several.
    pub(crate) fn only(&self, attribute: &str) -> Option<&[u8]> {
        match self.values(attribute) {
            [one] => Some(one),
            _ => None,
        }
    }

    /// The only value of an attribute as text; `None` when there is none, several, or no text.
    pub(crate) fn only_text(&self, attribute: &str) -> Option<&str> {
        std::str::from_utf8(self.only(attribute)?).ok()
    }

    /// The values of an attribute that are text.
    pub(crate) fn texts(&self, attribute: &str) -> impl Iterator<Item = &str> {
        self.values(attribute).iter().filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// The name, for people.
    pub(crate) fn shown(&self) -> String {
        crate::api::shown(&String::from_utf8_lossy(&self.name))
    }

    /// An entry for tests.
    #[cfg(test)]
    pub(crate) fn of(name: &str, attributes: &[(&str, &[&[u8]])]) -> Self {
        let attributes = attributes
            .iter()
            .map(|(description, values)| ((*description).to_owned(), values.iter().map(|v| v.to_vec()).collect()))
            .collect();
        Self { name: name.as_bytes().to_vec(), attributes }
    }
}

/// The bounds after `range=` make no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MalformedRange;

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let from = from.parse().ok()?;
        let to = if to == "*" { None } else { Some(to.parse().ok()?) };
        (to.is_none_or(|to| to >= from)).then_some(Self { from, to })
    }
}

/// The parts of a constructed element.
pub(crate) fn constructed(tag: StructureTag) -> Option<Vec<StructureTag>> {
    match tag.payload {
        PL::C(parts) => Some(parts),
        PL::P(_) => None,
    }
}

/// The bytes of a primitive element.
pub(crate) fn primitive(tag: StructureTag) -> Option<Vec<u8>> {
    match tag.payload {
        PL::P(bytes) => Some(bytes),
        PL::C(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ldap3::asn1::TagClass;
    use proptest::prelude::*;

    fn tag(id: u64, payload: PL) -> StructureTag {
        StructureTag { class: TagClass::Universal, id, payload }
    }

    fn text(value: &[u8]) -> StructureTag {
        tag(4, PL::P(value.to_vec()))
    }

    fn attribute(name: &str, values: &[&[u8]]) -> StructureTag {
        let values = tag(17, PL::C(values.iter().map(|v| text(v)).collect()));
        tag(16, PL::C(vec![text(name.as_bytes()), values]))
    }

    #[test]
    fn one_value_that_is_no_text_does_not_take_the_others_with_it() {
        let list = tag(16, PL::C(vec![attribute("member", &[b"cn=a", b"cn=\xff", b"cn=b"])]));
        let entry = Entry::from_ber(tag(4, PL::C(vec![text(b"cn=g"), list]))).expect("well-formed");
        assert_eq!(entry.values("MEMBER").len(), 3);
        assert_eq!(entry.texts("member").collect::<Vec<_>>(), ["cn=a", "cn=b"]);
    }

    #[test]
    fn malformed_answers_are_no_entries() {
        let list = || tag(16, PL::C(vec![]));
        for bad in [
            tag(4, PL::P(vec![])),
            tag(5, PL::C(vec![text(b""), list()])),
            tag(4, PL::C(vec![text(b"cn=a")])),
            tag(4, PL::C(vec![list(), list()])),
            tag(4, PL::C(vec![text(b"cn=a"), text(b"x")])),
            tag(4, PL::C(vec![text(b"cn=a"), tag(16, PL::C(vec![text(b"x")]))])),
            tag(4, PL::C(vec![text(b"cn=a"), tag(16, PL::C(vec![tag(16, PL::C(vec![text(b"\xff"), list()]))]))])),
        ] {
            assert_eq!(Entry::from_ber(bad.clone()), None, "{bad:?}");
        }
    }

    #[test]
    fn an_empty_list_beside_a_piece_is_not_an_empty_list() {
        let entry = Entry::of("cn=g", &[("member", &[]), ("member;range=0-1", &[b"a", b"b"])]);
        let Ok(Values::Piece(range, values)) = entry.ranged("member") else { panic!("a piece") };
        assert_eq!((range, values.len()), (Range { from: 0, to: Some(1) }, 2));
        let last = Entry::of("cn=g", &[("Member;Range=1500-*", &[b"a"])]);
        assert!(matches!(last.ranged("member"), Ok(Values::Piece(Range { from: 1500, to: None }, _))));
        let bad = Entry::of("cn=g", &[("member;range=5-1", &[b"a"])]);
        assert_eq!(bad.ranged("member"), Err(MalformedRange));
        let whole = Entry::of("cn=g", &[("member", &[b"a"]), ("memberOf;range=0-*", &[b"b"])]);
        assert!(matches!(whole.ranged("member"), Ok(Values::Whole([_]))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok((_, tag)) = ldap3::asn1::parse_tag(&bytes) {
                let _ = Entry::from_ber(tag);
            }
        }
    }
}
