//! Rows of cells (RFC 4180), with the place of each. Pure. This module must not know what a cell means.

use crate::config::Delimiter;
use crate::source::Complaint;

/// A file as rows of cells under headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// The file, for complaints.
    pub(crate) file: String,
    /// The headers, as written.
    pub(crate) headers: Vec<String>,
    /// The rows that have a cell for each header.
    pub(crate) rows: Vec<Row>,
    /// The rows that have not: where, and why.
    pub(crate) ragged: Vec<(String, String)>,
}

/// A row with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) line: u64,
    pub(crate) cells: Vec<String>,
    /// The name of the LDIF entry, in comparable form.
    pub(crate) entry: Option<String>,
}

impl Table {
    /// The place of a row, as people cite it.
    pub(crate) fn place(&self, line: u64) -> String {
        format!("{}:{line}", self.file)
    }

    /// How many records the file holds, good and bad.
    pub(crate) fn len(&self) -> u64 {
        (self.rows.len() + self.ragged.len()) as u64
    }
}

/// Parses CSV.
///
/// # Errors
/// When the file as a whole cannot be believed: no header, a quotation that does not end, a last row cut in the middle,
/// a trailer that is missing or counts otherwise.
pub(crate) fn parse(file: &str, text: &str, delimiter: Delimiter, trailer: Option<&str>) -> Result<Table, Complaint> {
    let separator = separator(file, text, delimiter)?;
    check_quotes(file, text, separator)?;
    let mut reader =
        csv::ReaderBuilder::new().delimiter(separator).has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| Complaint::broken(format!("{file}: {error}")))?;
        let line = record.position().map_or(0, csv::Position::line);
        if record.iter().any(|cell| !cell.is_empty()) {
            rows.push(Row { line, cells: record.iter().map(str::to_owned).collect(), entry: None });
        }
    }
    let mut rows = rows.into_iter();
    let Some(header) = rows.next() else {
        return Err(Complaint::broken(format!("{file}:1: there is no header; the file is empty")));
    };
    check_headers(file, &header)?;
    let mut table = Table { file: file.to_owned(), headers: header.cells, ..Table::default() };
    let mut rows: Vec<Row> = rows.collect();
    if let Some(word) = trailer {
        take_trailer(file, &mut rows, word)?;
    }
    let ends = text.ends_with(['\n', '\r']);
    sort_out(&mut table, rows, ends)?;
    Ok(table)
}

/// Keeps rows that fit the header; the rest is set aside, unless it shows that the file was cut.
fn sort_out(table: &mut Table, rows: Vec<Row>, ends: bool) -> Result<(), Complaint> {
    let width = table.headers.len();
    let last = rows.last().map(|row| row.line);
    for mut row in rows {
        let found = row.cells.len();
        // Spreadsheets write empty cells beyond the last column.
        if found > width && row.cells.iter().skip(width).all(String::is_empty) {
            row.cells.truncate(width);
        }
        if row.cells.len() == width {
            table.rows.push(row);
            continue;
        }
        let place = table.place(row.line);
        if found < width && Some(row.line) == last && !ends {
            let message = format!("{place}: the file ends in the middle of a row: it was cut");
            return Err(Complaint::broken(message).with_help("let the export run again"));
        }
        table.ragged.push((place, format!("{found} cells where the header has {width}")));
    }
    Ok(())
}

fn separator(file: &str, text: &str, delimiter: Delimiter) -> Result<u8, Complaint> {
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    match delimiter {
        Delimiter::Comma => Ok(b','),
        Delimiter::Semicolon => Ok(b';'),
        Delimiter::Tab => Ok(b'\t'),
        Delimiter::Auto => {
            let found: Vec<u8> = [b',', b';', b'\t'].into_iter().filter(|c| header.as_bytes().contains(c)).collect();
            match found.as_slice() {
                [] => Ok(b','),
                [one] => Ok(*one),
                _ => Err(Complaint::broken(format!("{file}:1: the header holds more than one kind of separator"))
                    .with_help("set `delimiter` to `,`, `;` or `tab`")),
            }
        }
    }
}

/// A quotation that does not end swallows the rest of the file without an error.
fn check_quotes(file: &str, text: &str, separator: u8) -> Result<(), Complaint> {
    let mut line = 1_u64;
    let mut open: Option<u64> = None;
    let mut at_start = true;
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        line += u64::from(byte == b'\n');
        if open.is_some() {
            if byte == b'"' && bytes.peek() == Some(&b'"') {
                bytes.next();
            } else if byte == b'"' {
                open = None;
            }
        } else if byte == b'"' && at_start {
            open = Some(line);
        }
        at_start = open.is_none() && (byte == separator || byte == b'\n' || byte == b'\r');
    }
    match open {
        Some(line) => Err(Complaint::broken(format!("{file}:{line}: the quotation that begins here does not end"))
            .with_help("the file was cut, or a quotation mark in a cell is not doubled")),
        None => Ok(()),
    }
}

fn check_headers(file: &str, header: &Row) -> Result<(), Complaint> {
    let mut seen = std::collections::BTreeSet::new();
    for (nth, name) in header.cells.iter().enumerate() {
        if name.trim().is_empty() {
            let message = format!("{file}:{}: column {} has no header", header.line, nth + 1);
            return Err(Complaint::broken(message));
        }
        if !seen.insert(name.trim().to_lowercase()) {
            let message = format!("{file}:{}: the header `{}` stands twice", header.line, name.trim());
            return Err(Complaint::broken(message));
        }
    }
    Ok(())
}

fn take_trailer(file: &str, rows: &mut Vec<Row>, word: &str) -> Result<(), Complaint> {
    let cut = || {
        Complaint::broken(format!("{file}: the last row does not begin with `{word}`: the file was cut"))
            .with_help("let the export run again; `trailer` in the configuration names that word")
    };
    let last = rows.pop().ok_or_else(cut)?;
    if last.cells.first().map(String::as_str) != Some(word) {
        return Err(cut());
    }
    let says = last.cells.get(1).and_then(|count| count.trim().parse::<u64>().ok());
    let count = rows.len() as u64;
    if says != Some(count) {
        let says = says.map_or_else(|| "no number".to_owned(), |number| number.to_string());
        let message = format!("{file}:{}: {count} rows came, and the trailer counts {says}", last.line);
        return Err(Complaint::broken(message).with_help("let the export run again"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(text: &str) -> Vec<Vec<String>> {
        let table = parse("f.csv", text, Delimiter::Auto, None).expect("a table");
        table.rows.into_iter().map(|row| row.cells).collect()
    }

    #[test]
    fn cells_are_as_rfc_4180_says() {
        for text in [
            "a,b\n1,\"x, \"\"y\"\"\r\nz\"\n",
            "a;b\r\n1;\"x, \"\"y\"\"\r\nz\"",
            "a\tb\n1\t\"x, \"\"y\"\"\r\nz\"\n\n\t\n",
        ] {
            assert_eq!(cells(text), [["1", "x, \"y\"\r\nz"]], "{text:?}");
        }
        assert_eq!(cells("a,b\n1,5\" pipe\n"), [["1", "5\" pipe"]], "a mark inside a plain cell is a character");
    }

    #[test]
    fn ragged_rows_are_set_aside_with_their_line() {
        let table = parse("f.csv", "a,b\n1,2\n3\n4,5,6\n7,8,,\n", Delimiter::Auto, None).expect("a table");
        assert_eq!(table.rows.len(), 2);
        let places: Vec<&str> = table.ragged.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["f.csv:3", "f.csv:4"]);
    }

    #[test]
    fn a_file_that_was_cut_is_not_believed() {
        for (text, trailer, says) in [
            ("", None, "f.csv:1: there is no header"),
            ("a,b\n1,2\n3", None, "f.csv:3: the file ends in the middle of a row"),
            ("a,b\n1,\"2\n3,4\n", None, "f.csv:2: the quotation that begins here does not end"),
            ("a,A\n1,2\n", None, "f.csv:1: the header `A` stands twice"),
            ("a,\n1,2\n", None, "f.csv:1: column 2 has no header"),
            ("a,b;c\n1,2\n", None, "more than one kind of separator"),
            ("a,b\n1,2\n", Some("END"), "does not begin with `END`"),
            ("a,b\n1,2\nEND,3\n", Some("END"), "1 rows came, and the trailer counts 3"),
        ] {
            let refused = parse("f.csv", text, Delimiter::Auto, trailer).expect_err(says);
            assert!(refused.message.contains(says), "{}", refused.message);
        }
        assert_eq!(parse("f.csv", "a,b\n1,2\nEND,1\n", Delimiter::Auto, Some("END")).expect("whole").rows.len(), 1);
    }
}
