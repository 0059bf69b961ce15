//! The manual fallback: who should have what on one PACS, readable without Lockstep, by people who have only a
//! spreadsheet or a printed sheet.

use askama::Template;
use jiff::Timestamp;

use crate::escape::cell;
use crate::html::{STYLE, minute, policy};

/// Who has what on one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// The target.
    pub target: String,
    /// Where it is.
    pub endpoint: String,
    /// When the PACS was read.
    pub read_at: Timestamp,
    /// What the rows rest on, in words: `read from the PACS`, `the last good run`.
    pub basis: String,
    /// One row for each cardholder, ordered by name.
    pub rows: Vec<ExportRow>,
}

/// One cardholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRow {
    /// Name.
    pub name: String,
    /// Employee number, if known.
    pub employee_number: String,
    /// Department, if known.
    pub department: String,
    /// The PACS' id.
    pub cardholder: String,
    /// `active`, `suspended`, or the PACS' own word.
    pub status: String,
    /// Access levels by name.
    pub levels: Vec<String>,
    /// Credentials: kind, masked number, status.
    pub credentials: Vec<String>,
}

#[derive(Template)]
#[template(path = "export.html")]
struct ExportPage<'d> {
    style: &'static str,
    policy: String,
    export: &'d Export,
    read_at: String,
}

/// For a spreadsheet.
///
/// # Panics
/// Never: it writes to memory.
pub fn export_csv(export: &Export) -> Vec<u8> {
    let mut csv = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    csv.write_record([
        "target",
        "name",
        "employee number",
        "department",
        "cardholder",
        "status",
        "access levels",
        "credentials",
        "read at",
    ])
    .expect("memory takes it");
    for row in &export.rows {
        let record = [
            &export.target,
            &row.name,
            &row.employee_number,
            &row.department,
            &row.cardholder,
            &row.status,
            &row.levels.join("; "),
            &row.credentials.join("; "),
            &export.read_at.to_string(),
        ];
        csv.write_record(record.map(|value| cell(value))).expect("memory takes it");
    }
    csv.into_inner().expect("memory takes it")
}

/// For printing.
///
/// # Panics
/// Never: the template is compiled in and writes to memory.
pub fn export_html(export: &Export) -> String {
    ExportPage { style: STYLE, policy: policy(), export, read_at: minute(export.read_at) }
        .render()
        .expect("a compiled template writes to memory")
}
