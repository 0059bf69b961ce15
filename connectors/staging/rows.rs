//! Rows into the bytes of a file and back, as a profile says. Pure. A value that the file cannot hold is an error for its
//! row, and no message repeats a value: it may be a card number.

use std::fmt::Write as _;

use quick_xml::events::Event;
use quick_xml::{Reader, XmlVersion};

use crate::profile::{Column, Encoding, Format, Formulas, ImportProfile, Quoting, Table};
use crate::text;

/// The cells of one row, in the order of the columns of its table.
pub(crate) type Row = Vec<String>;

/// Longer files are refused: no export of cardholders is that long.
const BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Why a value cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column `{column}`: {why}")]
pub(crate) struct BadCell {
    pub(crate) column: String,
    pub(crate) why: String,
}

/// A value as its column takes it.
///
/// # Errors
/// When it is too long, holds what the file cannot hold, or is not there although it must be.
pub(crate) fn checked(profile: &ImportProfile, column: &Column, value: &str) -> Result<String, BadCell> {
    let bad = |why: String| BadCell { column: column.header.clone(), why };
    let file = &profile.file;
    if column.required && value.is_empty() {
        return Err(bad("it must not be empty".into()));
    }
    let mut value = value.to_owned();
    if let Some(most) = column.chars_max.map(|most| most as usize).filter(|most| value.chars().count() > *most) {
        if !file.cut_long_values {
            return Err(bad(format!("it holds at most {most} characters, and {} were given", value.chars().count())));
        }
        value = value.chars().take(most).collect();
    }
    let allowed = |c: char| !c.is_control() || (file.line_breaks && matches!(c, '\r' | '\n'));
    if let Some(c) = value.chars().find(|c| !allowed(*c)) {
        return Err(bad(format!("the importer cannot take the control character U+{:04X}", c as u32)));
    }
    if file.formulas == Formulas::Reject && looks_like_a_formula(&value) {
        return Err(bad("a spreadsheet would take it for a formula, and the profile rejects those".into()));
    }
    if file.format == Format::Csv && file.quote == Quoting::Never && needs_quotes(file.delimiter, &value) {
        return Err(bad("it would need quotation marks, which the importer does not understand".into()));
    }
    if file.format == Format::Xml
        && let Some(c) = value.chars().find(|c| matches!(c, '\u{fffe}' | '\u{ffff}'))
    {
        return Err(bad(format!("XML cannot hold U+{:04X}", c as u32)));
    }
    text::encode(&value, file.encoding)
        .map_err(|c| bad(format!("{:?} cannot hold the character U+{:04X}", file.encoding, c as u32)))?;
    Ok(value)
}

/// True for a value that a spreadsheet would calculate.
pub(crate) fn looks_like_a_formula(value: &str) -> bool {
    value.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

fn needs_quotes(delimiter: char, value: &str) -> bool {
    value.contains([delimiter, '"', '\r', '\n']) || value.starts_with(' ') || value.ends_with(' ')
}

/// Writes a file of checked rows.
///
/// # Errors
/// When a value cannot be written.
pub(crate) fn write(profile: &ImportProfile, table: &Table, rows: &[Row]) -> Result<Vec<u8>, BadCell> {
    let mut checked_rows = Vec::with_capacity(rows.len());
    for row in rows {
        let cells = table.columns.iter().zip(row).map(|(column, value)| checked(profile, column, value));
        checked_rows.push(cells.collect::<Result<Row, _>>()?);
    }
    let text = match profile.file.format {
        Format::Csv => csv_text(profile, table, &checked_rows),
        Format::Xml => xml_text(profile, table, &checked_rows),
    };
    let body = text::encode(&text, profile.file.encoding)
        .map_err(|c| BadCell { column: "header".into(), why: format!("it holds U+{:04X}", c as u32) })?;
    Ok([text::mark(profile.file.encoding), &body].concat())
}

fn csv_text(profile: &ImportProfile, table: &Table, rows: &[Row]) -> String {
    let file = &profile.file;
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        for (nth, cell) in cells.enumerate() {
            if nth > 0 {
                text.push(file.delimiter);
            }
            let quoted = match file.quote {
                Quoting::All => true,
                Quoting::Needed => needs_quotes(file.delimiter, cell),
                Quoting::Never => false,
            };
            if quoted {
                let _ = write!(text, "\"{}\"", cell.replace('"', "\"\"")); // writing to a String cannot fail
            } else {
                text.push_str(cell);
            }
        }
        text.push_str(file.line_end.as_str());
    };
    if file.header {
        line(&mut table.columns.iter().map(|column| column.header.as_str()));
    }
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    text
}

fn xml_text(profile: &ImportProfile, table: &Table, rows: &[Row]) -> String {
    let (file, end) = (&profile.file, profile.file.line_end.as_str());
    let encoding = match file.encoding {
        Encoding::Utf8 | Encoding::Utf8Bom => "utf-8",
        Encoding::Utf16Le => "utf-16",
        Encoding::Windows1252 => "windows-1252",
    };
    let mut text = format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>{end}<{}>{end}", file.xml_root);
    for row in rows {
        let _ = write!(text, "<{}>", file.xml_row); // writing to a String cannot fail
        for (column, cell) in table.columns.iter().zip(row) {
            let _ = write!(text, "<{0}>{1}</{0}>", column.header, quick_xml::escape::escape(cell.as_str()));
        }
        let _ = write!(text, "</{}>{end}", file.xml_row);
    }
    let _ = write!(text, "</{}>{end}", file.xml_root);
    text
}

/// Reads an export whole, its cells in the order of the table's columns.
///
/// # Errors
/// When anything in it is not as the profile says, for people.
pub(crate) fn read(profile: &ImportProfile, table: &Table, bytes: &[u8]) -> Result<Vec<Row>, String> {
    if bytes.len() > BYTES_MAX {
        return Err(format!("it has more than {BYTES_MAX} bytes"));
    }
    let text = text::decode(bytes, profile.export.encoding.unwrap_or(profile.file.encoding))?;
    let records = match profile.file.format {
        Format::Csv => csv_records(profile, table, &text)?,
        Format::Xml => xml_records(profile, table, &text)?,
    };
    counted(profile, records)
}

/// Takes the last row off that counts the others, and checks it.
fn counted(profile: &ImportProfile, mut rows: Vec<Row>) -> Result<Vec<Row>, String> {
    let Some(sign) = &profile.export.count_row else { return Ok(rows) };
    let last = rows.pop().filter(|row| row.first() == Some(sign));
    let Some(last) = last else { return Err(format!("its last row does not begin with `{sign}`: it is torn")) };
    let said = last.get(1).and_then(|count| count.parse::<usize>().ok());
    match said {
        Some(count) if count == rows.len() => Ok(rows),
        Some(count) => Err(format!("its last row counts {count} rows, and {} are there", rows.len())),
        None => Err("its last row holds no count".to_owned()),
    }
}

fn csv_records(profile: &ImportProfile, table: &Table, text: &str) -> Result<Vec<Row>, String> {
    let file = &profile.file;
    if profile.export.last_line_ends && !text.is_empty() && !text.ends_with('\n') {
        return Err("it does not end with a line end: it is torn".to_owned());
    }
    let delimiter = u8::try_from(file.delimiter).map_err(|_| "its delimiter is not ASCII".to_owned())?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(file.quote != Quoting::Never)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut records = reader.records();
    let places: Vec<Option<usize>> = if file.header {
        let header = records.next().ok_or("it is empty: it has no header")?.map_err(|error| error.to_string())?;
        let headers: Vec<&str> = header.iter().collect();
        places(table, &headers)?
    } else {
        (0..table.columns.len()).map(Some).collect()
    };
    let width = places.iter().flatten().max().map_or(0, |last| last + 1);
    let mut rows = Vec::new();
    for record in records {
        let record = record.map_err(|error| error.to_string())?;
        let is_count = profile.export.count_row.as_deref().is_some_and(|sign| record.get(0) == Some(sign));
        if record.len() < width && !is_count {
            let line = record.position().map_or(0, csv::Position::line);
            return Err(format!("line {line} has {} cells and should have {width}: it is torn", record.len()));
        }
        let row: Row = if is_count {
            record.iter().map(str::to_owned).collect()
        } else {
            places.iter().map(|at| at.and_then(|at| record.get(at)).unwrap_or_default().to_owned()).collect()
        };
        rows.push(row);
    }
    Ok(rows)
}

/// Where each column of the table stands in the file. A column that holds something must be there.
fn places(table: &Table, headers: &[&str]) -> Result<Vec<Option<usize>>, String> {
    let find = |column: &Column| {
        let mut at = headers.iter().enumerate().filter(|(_, header)| **header == column.header).map(|(at, _)| at);
        match (at.next(), at.next()) {
            (Some(_), Some(_)) => Err(format!("it has two columns `{}`", column.header)),
            (None, _) if column.holds.is_some() || column.field.is_some() => {
                Err(format!("it has no column `{}`; headers are compared exactly", column.header))
            }
            (found, _) => Ok(found),
        }
    };
    table.columns.iter().map(find).collect()
}

fn xml_records(profile: &ImportProfile, table: &Table, text: &str) -> Result<Vec<Row>, String> {
    let file = &profile.file;
    let mut reader = Reader::from_str(text);
    let (mut rows, mut row, mut cell): (Vec<Row>, Option<Row>, Option<usize>) = (Vec::new(), None, None);
    let (mut path, mut whole): (Vec<String>, bool) = (Vec::new(), false);
    let unknown = |name: &str| format!("it holds an element `{}` that the profile does not know", name.escape_debug());
    loop {
        match reader.read_event().map_err(|error| format!("it is no whole XML: {error}"))? {
            Event::Start(start) => {
                let name = start.name().as_ref().to_owned();
                match path.len() {
                    0 if name == file.xml_root && !whole => {}
                    1 if name == file.xml_row => row = Some(vec![String::new(); table.columns.len()]),
                    2 => cell = table.columns.iter().position(|column| column.header == name),
                    _ => return Err(unknown(&name)),
                }
                path.push(name);
            }
            Event::Empty(_) if path.len() == 2 => {}
            Event::End(_) => {
                path.pop();
                match path.len() {
                    2 => cell = None,
                    1 => rows.extend(row.take()),
                    _ => whole = true,
                }
            }
            Event::Text(part) => {
                let part = part.xml_content(XmlVersion::Implicit1_0);
                add(&mut row, cell, &part, path.len())?;
            }
            Event::GeneralRef(name) => {
                let part = resolved(&name)?;
                add(&mut row, cell, &part, path.len())?;
            }
            Event::CData(part) => {
                let part = part.xml_content(XmlVersion::Implicit1_0);
                add(&mut row, cell, &part, path.len())?;
            }
            Event::DocType(_) => return Err("it holds a DOCTYPE, which no export needs".to_owned()),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Empty(_) => return Err("it holds an empty element that the profile does not know".to_owned()),
            Event::Eof if whole => return Ok(rows),
            Event::Eof => return Err("it ends before its last element does: it is torn".to_owned()),
        }
    }
}

fn add(row: &mut Option<Row>, cell: Option<usize>, part: &str, depth: usize) -> Result<(), String> {
    if depth == 3 {
        if let (Some(row), Some(at)) = (row, cell)
            && let Some(value) = row.get_mut(at)
        {
            value.push_str(part);
        }
        return Ok(());
    }
    if part.trim().is_empty() { Ok(()) } else { Err("it holds text between its elements".to_owned()) }
}

/// The characters of a reference. Entities of the document's own are refused: none is ever expanded.
fn resolved(name: &quick_xml::events::BytesRef<'_>) -> Result<String, String> {
    if let Some(character) = name.resolve_char_ref().map_err(|error| error.to_string())? {
        return Ok(character.to_string());
    }
    let entity = name.xml_content(XmlVersion::Implicit1_0);
    quick_xml::escape::resolve_predefined_entity(&entity)
        .map(str::to_owned)
        .ok_or_else(|| format!("it holds the entity `{}`, which is none of XML's own", entity.escape_debug()))
}
