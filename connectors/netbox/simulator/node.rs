//! XML as the simulator reads and writes it.

use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::{BytesStart, Event};

/// An element.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<Node>,
    pub(super) text: String,
}

impl Node {
    /// The root of a document; `None` when it is no XML.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Self> = Vec::new();
        let mut root = None;
        loop {
            match reader.read_event().ok()? {
                Event::Start(start) => open.push(Self::begin(&start)?),
                Event::Empty(start) => {
                    let node = Self::begin(&start)?;
                    Self::end(&mut open, &mut root, node);
                }
                Event::End(_) => {
                    let node = open.pop()?;
                    Self::end(&mut open, &mut root, node);
                }
                Event::Text(text) => Self::add(&mut open, &text.xml10_content()),
                Event::CData(data) => Self::add(&mut open, &data.xml10_content()),
                Event::GeneralRef(reference) => match reference.resolve_char_ref().ok()? {
                    Some(character) => Self::add(&mut open, character.encode_utf8(&mut [0; 4])),
                    None => Self::add(&mut open, quick_xml::escape::resolve_xml_entity(&reference)?),
                },
                Event::DocType(_) => return None,
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof => return root.filter(|_| open.is_empty()),
            }
        }
    }

    fn begin(start: &BytesStart<'_>) -> Option<Self> {
        let mut node = Self { name: start.name().as_ref().to_owned(), ..Self::default() };
        for attribute in start.attributes() {
            let attribute = attribute.ok()?;
            let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok()?;
            node.attributes.push((attribute.key.as_ref().to_owned(), value.into_owned()));
        }
        Some(node)
    }

    fn end(open: &mut [Self], root: &mut Option<Self>, node: Self) {
        match open.last_mut() {
            Some(parent) => parent.children.push(node),
            None => *root = Some(node),
        }
    }

    fn add(open: &mut [Self], text: &str) {
        if let Some(node) = open.last_mut() {
            node.text.push_str(text);
        }
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of a child.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    /// Whether a child says yes, in either way of saying so.
    pub(super) fn yes(&self, name: &str) -> bool {
        self.value(name).is_some_and(|text| text == "1" || text.eq_ignore_ascii_case("true"))
    }
}

/// `<name>text</name>`, or `<name/>`.
pub(super) fn leaf(out: &mut String, name: &str, text: &str) {
    if text.is_empty() {
        out.push('<');
        out.push_str(name);
        out.push_str("/>");
    } else {
        wrap(out, name, &escape(text));
    }
}

/// `<name>inside</name>`, with what is XML already.
pub(super) fn wrap(out: &mut String, name: &str, inside: &str) {
    for piece in ["<", name, ">", inside, "</", name, ">"] {
        out.push_str(piece);
    }
}
