//! Reads a worklist that came back: which rows are ticked, by whom. The file went through a spreadsheet and many hands,
//! so nothing in it is believed but the ticks, and every line that makes no sense is named.

use std::collections::BTreeMap;

use serde::Serialize;

/// One ticked row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tick {
    /// Where it stands in the file.
    pub line: u64,
    /// By which it is known.
    pub row: String,
    /// What the file says about the PACS and the record: only to see that the row is the one that was ticked.
    pub target: String,
    pub cardholder: String,
    /// Who did it.
    pub by: String,
    /// When, as it was written down.
    pub time: String,
    /// What was written beside it.
    pub note: String,
}

/// A line that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub(crate) struct Complaint {
    /// Which.
    pub line: u64,
    /// Why, and what to do.
    pub what: String,
}

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ticked {
    /// The ticked rows, in the order of the file.
    pub ticks: Vec<Tick>,
    /// How many rows are not ticked.
    pub unticked: usize,
    /// Lines that could not be used.
    pub complaints: Vec<Complaint>,
}

const YES: [&str; 17] =
    ["x", "yes", "y", "1", "true", "done", "ok", "ja", "j", "si", "sí", "oui", "✓", "✔", "☑", "☒", "✗"];
const NO: [&str; 8] = ["", "no", "n", "0", "false", "-", "☐", "nein"];
/// Longer than any note on paper.
const TEXT_MAX: usize = 200;

/// Reads a file; `by` is who did the rows that do not say so.
///
/// # Errors
/// When it is no worklist at all.
pub(crate) fn read(bytes: &[u8], by: Option<&str>) -> Result<Ticked, String> {
    let text = decode(bytes)?;
    let delimiter = delimiter(&text);
    let mut reader = csv::ReaderBuilder::new().flexible(true).delimiter(delimiter).from_reader(text.as_bytes());
    let columns = Columns::of(reader.headers().map_err(|error| error.to_string())?)?;
    let mut ticked = Ticked::default();
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                ticked.complaints.push(Complaint { line, what: format!("it is no line of a table: {error}") });
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        match columns.tick(&record, line, by) {
            Ok(Some(tick)) => match seen.insert(tick.row.clone(), line) {
                Some(first) => {
                    let what = format!("{} is ticked on line {first}, too; this one was left out", tick.row);
                    ticked.complaints.push(Complaint { line, what });
                }
                None => ticked.ticks.push(tick),
            },
            Ok(None) => ticked.unticked += usize::from(!cell(&record, columns.row).is_empty()),
            Err(what) => ticked.complaints.push(Complaint { line, what }),
        }
    }
    Ok(ticked)
}

/// The text, whatever the spreadsheet saved it as. What is no UTF-8 is taken for Latin letters: only the names could be
/// wrong then, and those are not looked at.
fn decode(bytes: &[u8]) -> Result<String, String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("it is UTF-16 text; save it as \"CSV UTF-8\"".to_owned());
    }
    if bytes.starts_with(b"PK") {
        return Err("it is a workbook; save the sheet as CSV".to_owned());
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    Ok(match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    })
}

/// Spreadsheets of many countries save semicolons.
fn delimiter(text: &str) -> u8 {
    let head = text.lines().next().unwrap_or_default();
    [b',', b';', b'\t']
        .into_iter()
        .max_by_key(|one| (head.bytes().filter(|byte| byte == one).count(), *one == b','))
        .unwrap_or(b',')
}

struct Columns {
    row: usize,
    target: usize,
    cardholder: usize,
    done: usize,
    by: usize,
    time: Option<usize>,
    note: Option<usize>,
}

impl Columns {
    fn of(head: &csv::StringRecord) -> Result<Self, String> {
        let place = |name: &str| head.iter().position(|cell| cell.trim().eq_ignore_ascii_case(name));
        let needed = |name: &str| {
            place(name).ok_or_else(|| format!("it has no column `{name}`; use the worklist.csv of an export"))
        };
        Ok(Self {
            row: needed("row")?,
            target: needed("target")?,
            cardholder: needed("cardholder")?,
            done: needed("done")?,
            by: needed("by")?,
            time: place("time"),
            note: place("note"),
        })
    }

    fn tick(&self, record: &csv::StringRecord, line: u64, by: Option<&str>) -> Result<Option<Tick>, String> {
        let done = cell(record, self.done);
        let word = done.to_lowercase();
        if NO.contains(&word.as_str()) {
            return Ok(None);
        }
        if !YES.contains(&word.as_str()) {
            return Err(format!("`{done}` in the column done is neither yes nor no; write x, or leave it empty"));
        }
        let optional = |at: Option<usize>| at.map_or_else(String::new, |at| cell(record, at));
        let row = cell(record, self.row);
        if row.is_empty() {
            return Err("it is ticked, and the column row is empty; copy the row from the worklist".to_owned());
        }
        let own = cell(record, self.by);
        let by = if own.is_empty() { by.unwrap_or_default().trim().to_owned() } else { own };
        if by.is_empty() {
            return Err(format!("{row} is ticked, and nobody stands in the column by; fill it in, or give --by NAME"));
        }
        let (time, note) = (optional(self.time), optional(self.note));
        let (target, cardholder) = (cell(record, self.target), cell(record, self.cardholder));
        Ok(Some(Tick { line, row, target, cardholder, by, time, note }))
    }
}

/// A cell without what made it safe for a spreadsheet.
fn cell(record: &csv::StringRecord, at: usize) -> String {
    let cell = record.get(at).unwrap_or_default().trim();
    let plain = cell.strip_prefix('\'').filter(|rest| rest.starts_with(['=', '+', '-', '@']));
    plain.unwrap_or(cell).chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect()
}

/// True when a cell may be this text after a spreadsheet had it: those re-spell what looks like a number.
pub(crate) fn may_be(cell: &str, text: &str) -> bool {
    if cell == text {
        return true;
    }
    match (cell.replace(',', ".").parse::<f64>(), text.parse::<f64>()) {
        (Ok(cell), Ok(text)) => (cell - text).abs() <= text.abs() * 1e-4,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "row,target,when,cardholder,person,employee number,steps,done,by,time,note";

    fn lines(ticked: &Ticked) -> (Vec<&str>, Vec<u64>) {
        (
            ticked.ticks.iter().map(|tick| tick.row.as_str()).collect(),
            ticked.complaints.iter().map(|one| one.line).collect(),
        )
    }

    #[test]
    fn ticks_come_through_whatever_saved_the_file() {
        let comma = format!(
            "\u{feff}{HEAD}\r\nrow-a,hq,now,'-5,Zo\u{eb},1,\"1. Open\n2. Save\",X,AG,02:10,\r\nrow-b,hq,,,,,,,,,\r\n"
        );
        let semicolons = comma.replace(',', ";");
        let latin: Vec<u8> = comma.trim_start_matches('\u{feff}').chars().map(|c| c as u32 as u8).collect();
        for bytes in [comma.as_bytes(), semicolons.as_bytes(), &latin] {
            let ticked = read(bytes, None).expect("a worklist");
            assert_eq!(lines(&ticked), (vec!["row-a"], vec![]), "{ticked:?}");
            let tick = &ticked.ticks[0];
            assert_eq!((tick.by.as_str(), tick.time.as_str(), tick.cardholder.as_str()), ("AG", "02:10", "-5"));
            assert_eq!(ticked.unticked, 1);
        }
    }

    #[test]
    fn every_line_that_makes_no_sense_is_named_and_the_others_count() {
        let text = format!(
            "{HEAD}\nrow-a,hq,,,,,,x,AG,,\nrow-a,hq,,,,,,x,AG,,\nrow-b,hq,,,,,,perhaps,AG,,\n,hq,,,,,,x,AG,,\n\
             row-c,hq,,,,,,✓,,,\nrow-d"
        );
        let ticked = read(text.as_bytes(), None).expect("a worklist");
        assert_eq!(lines(&ticked), (vec!["row-a"], vec![3, 4, 5, 6]));
        let named = read(text.as_bytes(), Some("Guard")).expect("a worklist");
        assert_eq!(lines(&named), (vec!["row-a", "row-c"], vec![3, 4, 5]));
    }

    #[test]
    fn what_is_no_worklist_is_refused_with_what_to_do() {
        for (bytes, needed) in [
            (b"\xff\xfer\0o\0w\0".as_slice(), "UTF-8"),
            (b"PK\x03\x04", "CSV"),
            (b"name,done\nx,x\n", "no column `row`"),
            (b"", "no column"),
        ] {
            let why = read(bytes, None).expect_err("no worklist");
            assert!(why.contains(needed), "{why}");
        }
    }

    #[test]
    fn a_record_number_that_a_spreadsheet_spelled_anew_is_still_the_same() {
        for (cell, text) in [("5871", "5871"), ("123", "00123"), ("1.23457E+19", "12345678901234567890")] {
            assert!(may_be(cell, text), "{cell} {text}");
        }
        for (cell, text) in [("5871", "5872"), ("h-1", "h-2"), ("", "5871")] {
            assert!(!may_be(cell, text), "{cell} {text}");
        }
    }
}
