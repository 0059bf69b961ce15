//! The importer's own reader of files. It shares nothing with the connector but the profile, so that the two can disagree.

use std::collections::BTreeMap;

use crate::profile::{Encoding, FileFormat, Format};

/// One row by header; without a header, by position as text.
pub(crate) type Cells = BTreeMap<String, String>;

/// Reads a file as an importer does that was set up by this profile.
///
/// # Errors
/// Why the whole file is rejected.
pub(crate) fn parse(bytes: &[u8], file: &FileFormat, headers: &[&str]) -> Result<Vec<Cells>, String> {
    let text = decode(bytes, file.encoding)?;
    match file.format {
        Format::Csv => from_csv(&text, file, headers),
        Format::Xml => from_xml(&text, file),
    }
}

fn decode(bytes: &[u8], encoding: Encoding) -> Result<String, String> {
    match encoding {
        Encoding::Utf8 | Encoding::Utf8Bom => {
            let marked = bytes.starts_with(b"\xef\xbb\xbf");
            if marked != (encoding == Encoding::Utf8Bom) {
                return Err("wrong encoding: byte order mark".to_owned());
            }
            let body = if marked { bytes.get(3..).unwrap_or_default() } else { bytes };
            String::from_utf8(body.to_vec()).map_err(|_| "wrong encoding: not UTF-8".to_owned())
        }
        Encoding::Utf16Le => {
            let Some((b"\xff\xfe", body)) = bytes.split_first_chunk::<2>() else {
                return Err("wrong encoding: no byte order mark".to_owned());
            };
            let units =
                body.chunks(2).map(|pair| pair.iter().rev().fold(0_u16, |unit, byte| unit << 8 | u16::from(*byte)));
            char::decode_utf16(units).collect::<Result<_, _>>().map_err(|_| "wrong encoding: not UTF-16".to_owned())
        }
        Encoding::Windows1252 => Ok(bytes.iter().map(|byte| windows_1252(*byte)).collect()),
    }
}

fn windows_1252(byte: u8) -> char {
    const HIGH: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";
    match byte {
        0x80..=0x9f => HIGH.chars().nth(usize::from(byte - 0x80)).unwrap_or('?'),
        other => char::from(other),
    }
}

fn from_csv(text: &str, file: &FileFormat, headers: &[&str]) -> Result<Vec<Cells>, String> {
    let mut lines = csv_lines(text, file.delimiter)?;
    if file.header {
        if lines.is_empty() {
            return Err("no header".to_owned());
        }
        let found = lines.remove(0);
        if found != headers {
            return Err("wrong header".to_owned());
        }
    }
    let mut rows = Vec::new();
    for (nth, cells) in lines.into_iter().enumerate() {
        if cells.len() != headers.len() {
            return Err(format!("row {}: {} cells instead of {}", nth + 1, cells.len(), headers.len()));
        }
        rows.push(headers.iter().map(|header| (*header).to_owned()).zip(cells).collect());
    }
    Ok(rows)
}

/// RFC 4180, with any delimiter: lines end with CRLF or LF outside of quotation marks.
fn csv_lines(text: &str, delimiter: char) -> Result<Vec<Vec<String>>, String> {
    let (mut lines, mut line, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match (quoted, c) {
            (true, '"') if letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            (true, '"') => quoted = false,
            (false, '"') if cell.is_empty() => quoted = true,
            (false, '\r') if letters.peek() == Some(&'\n') => {}
            (false, '\n') => {
                line.push(std::mem::take(&mut cell));
                lines.push(std::mem::take(&mut line));
            }
            (false, other) if other == delimiter => line.push(std::mem::take(&mut cell)),
            (_, other) => cell.push(other),
        }
    }
    if quoted || !cell.is_empty() || !line.is_empty() {
        return Err("the file ends in the middle of a row".to_owned());
    }
    Ok(lines)
}

fn from_xml(text: &str, file: &FileFormat) -> Result<Vec<Cells>, String> {
    let inner = between(text, &file.xml_root).ok_or("the root element is missing, or not closed")?;
    let mut rows = Vec::new();
    let mut rest = inner;
    let (open, close) = (format!("<{}>", file.xml_row), format!("</{}>", file.xml_row));
    while let Some((_, after)) = rest.split_once(&open) {
        let (row, next) = after.split_once(&close).ok_or("a row is not closed")?;
        rows.push(xml_cells(row)?);
        rest = next;
    }
    Ok(rows)
}

fn between<'t>(text: &'t str, element: &str) -> Option<&'t str> {
    let (_, after) = text.split_once(&format!("<{element}>"))?;
    after.rsplit_once(&format!("</{element}>")).map(|(inner, _)| inner)
}

fn xml_cells(row: &str) -> Result<Cells, String> {
    let mut cells = Cells::new();
    let mut rest = row;
    while let Some((_, after)) = rest.split_once('<') {
        let (name, after) = after.split_once('>').ok_or("a tag is not closed")?;
        let (value, next) = after.split_once(&format!("</{name}>")).ok_or("an element is not closed")?;
        cells.insert(name.to_owned(), unescape(value)?);
        rest = next;
    }
    Ok(cells)
}

fn unescape(value: &str) -> Result<String, String> {
    let mut parts = value.split('&');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(';').ok_or("an entity is not closed")?;
        let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
        let character = match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            other => match other.strip_prefix('#') {
                Some(code) => code.strip_prefix('x').map_or_else(|| number(code, 10), |hex| number(hex, 16)),
                None => None,
            },
        };
        text.push(character.ok_or("an unknown entity")?);
        text.push_str(rest);
    }
    Ok(text)
}
