//! XML, read strictly and with limits: UTF-8 only, no DOCTYPE, no entities but the five of XML itself, no depth without
//! end. This module must not know what the XML means.

use std::fmt::Write as _;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Elements inside one another. An answer of NBAPI has eight.
const DEPTH_MAX: usize = 64;
/// Attributes of one element. An answer of NBAPI has three.
const ATTRIBUTES_MAX: usize = 256;
/// Elements of one document: a page of a thousand people with thirty cards each has a tenth of it.
const ELEMENTS_MAX: usize = 2_000_000;

/// An element with what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// Its name.
    pub(crate) name: Box<str>,
    /// Its attributes, in the order of the document.
    pub(crate) attributes: Vec<(Box<str>, String)>,
    /// The elements in it, in the order of the document.
    pub(crate) children: Vec<Element>,
    /// The text in it, without that of its children.
    pub(crate) text: String,
}

/// Why a text is not XML that can be trusted. Never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}, at byte {at}")]
pub(crate) struct XmlError {
    problem: String,
    at: u64,
}

impl Element {
    /// The attribute of this name.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| **key == *name).map(|(_, value)| value.as_str())
    }

    /// The first child of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| *child.name == *name)
    }

    /// All children of this name.
    pub(crate) fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.children.iter().filter(move |child| *child.name == *name)
    }

    /// The text of the first child of this name, without blanks around it; `None` when there is no such child.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }
}

/// Parses a document. The text of elements with one of the names in `forget` is not kept at all.
///
/// # Errors
/// When it is cut short, is no XML, holds a DOCTYPE or an entity of its own, is not UTF-8, or passes a limit.
pub(crate) fn parse(bytes: &[u8], forget: &[&str]) -> Result<Element, XmlError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes)
        .map_err(|error| XmlError { problem: "this is not UTF-8".to_owned(), at: error.valid_up_to() as u64 })?;
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.enable_all_checks(true);
    config.expand_empty_elements = true;
    let mut builder = Builder::default();
    loop {
        let at = reader.buffer_position();
        let problem = |problem: &str| XmlError { problem: problem.to_owned(), at };
        // What the parser says may repeat the text.
        let event = reader.read_event().map_err(|_| problem("this is no XML, or is cut short"))?;
        match event {
            Event::Start(start) => builder.open(&start, forget).map_err(problem)?,
            Event::End(_) => builder.close().map_err(problem)?,
            Event::Text(text) => builder.text(&text.xml10_content()).map_err(problem)?,
            Event::CData(data) => builder.text(&data.xml10_content()).map_err(problem)?,
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().map_err(|_| problem("a character that is none"))?;
                match character {
                    Some(character) if is_xml(character) => builder.text(character.encode_utf8(&mut [0; 4])),
                    Some(_) => Err("a character that XML does not allow"),
                    None => predefined(&reference).and_then(|text| builder.text(text)),
                }
                .map_err(problem)?;
            }
            Event::Decl(declaration) => {
                if let Some(encoding) = declaration.encoding() {
                    let name = encoding.map_err(|_| problem("the declaration is broken"))?;
                    if !["utf-8", "utf8", "us-ascii", "ascii"].contains(&name.to_ascii_lowercase().as_str()) {
                        return Err(problem("the declaration names an encoding other than UTF-8"));
                    }
                }
            }
            Event::DocType(_) => return Err(problem("it holds a DOCTYPE, which no answer of NBAPI has")),
            Event::PI(_) | Event::Comment(_) => {}
            Event::Empty(_) => return Err(problem("this is no XML")),
            Event::Eof => return builder.end().map_err(problem),
        }
    }
}

fn predefined(name: &str) -> Result<&'static str, &'static str> {
    match name {
        "lt" => Ok("<"),
        "gt" => Ok(">"),
        "amp" => Ok("&"),
        "apos" => Ok("'"),
        "quot" => Ok("\""),
        _ => Err("it holds an entity that XML itself does not have"),
    }
}

#[derive(Default)]
struct Builder {
    /// The elements that are open, the outermost first, and whether their text is kept.
    open: Vec<(Element, bool)>,
    root: Option<Element>,
    elements: usize,
}

impl Builder {
    fn open(&mut self, start: &BytesStart<'_>, forget: &[&str]) -> Result<(), &'static str> {
        self.elements += 1;
        if self.root.is_some() {
            return Err("something follows the end of the document");
        }
        if self.open.len() >= DEPTH_MAX {
            return Err("the XML is nested too deeply");
        }
        if self.elements > ELEMENTS_MAX {
            return Err("the XML has too many elements");
        }
        let mut element = Element { name: start.name().as_ref().into(), ..Element::default() };
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| "an attribute is broken or stands twice")?;
            if element.attributes.len() >= ATTRIBUTES_MAX {
                return Err("an element has too many attributes");
            }
            let value = attribute
                .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                .map_err(|_| "an attribute holds what is no text")?;
            element.attributes.push((attribute.key.as_ref().into(), value.into_owned()));
        }
        let kept = !forget.contains(&&*element.name);
        self.open.push((element, kept));
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), &'static str> {
        if !text.chars().all(is_xml) {
            return Err("a character that XML does not allow");
        }
        match self.open.last_mut() {
            Some((element, true)) => element.text.push_str(text),
            Some((_, false)) => {}
            None if text.trim().is_empty() => {}
            None => return Err("there is text outside the document"),
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), &'static str> {
        let (mut element, _) = self.open.pop().ok_or("an element ends that never began")?;
        if !element.children.is_empty() {
            // Only line breaks between elements; a mixture is not used by anybody here.
            element.text = String::new();
        }
        match self.open.last_mut() {
            Some((parent, _)) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn end(self) -> Result<Element, &'static str> {
        match self.root {
            Some(root) if self.open.is_empty() => Ok(root),
            Some(_) | None => Err("the XML is cut short"),
        }
    }
}

/// Whether a document of XML 1.0 may hold this character at all, even as a reference.
pub(crate) const fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

/// Writes a document into a text.
#[derive(Debug, Default)]
pub(crate) struct Writer(String);

impl Writer {
    /// `<name>text</name>`.
    pub(crate) fn leaf(&mut self, name: &str, text: &str) {
        self.wrap(name, |inside| inside.escaped(text));
    }

    /// `<name>…</name>`.
    pub(crate) fn wrap(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.wrap_with(name, &[], inside);
    }

    /// `<name attribute="value">…</name>`.
    pub(crate) fn wrap_with(&mut self, name: &str, attributes: &[(&str, &str)], inside: impl FnOnce(&mut Self)) {
        let _ = write!(self.0, "<{name}"); // writing to a String cannot fail
        for (key, value) in attributes {
            let _ = write!(self.0, " {key}=\"");
            self.escaped(value);
            self.0.push('"');
        }
        self.0.push('>');
        inside(self);
        let _ = write!(self.0, "</{name}>");
    }

    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '&' => self.0.push_str("&amp;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&apos;"),
                // A reader turns a bare one into another character.
                '\t' | '\n' | '\r' => {
                    let _ = write!(self.0, "&#{};", u32::from(c));
                }
                _ => self.0.push(c),
            }
        }
    }

    /// The document.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
#[path = "xml_tests.rs"]
mod tests;
