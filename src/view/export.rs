//! The manual fallback: who has what on one PACS or at one site of it, readable without Lockstep, by people who have
//! only a spreadsheet or a printed sheet.

use askama::Template;
use jiff::Timestamp;

use crate::escape::{cell, number};
use crate::html::{SHEET_STYLE, minute, policy};

/// Spreadsheet programs take a file without this mark for one in the character set of their country.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Who has what on one target, or at one site of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// The target.
    pub target: String,
    /// Where it is, for people: `HQ`, `HQ, site NORTH`.
    pub place: String,
    /// It lists the people of one site only.
    pub only_site: bool,
    /// The address of the PACS.
    pub endpoint: String,
    /// When the PACS was read.
    pub read_at: Timestamp,
    /// How to lock anybody out there, one sentence each.
    pub lock_out: Vec<String>,
    /// One row for each cardholder, ordered by name.
    pub rows: Vec<SheetRow>,
}

/// One cardholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheetRow {
    /// Name, the family name first where both are known.
    pub name: String,
    /// Employee number, if known.
    pub employee_number: String,
    /// Department, if known.
    pub department: String,
    /// The sites, if known.
    pub sites: Vec<String>,
    /// The PACS' id.
    pub cardholder: String,
    /// `active`, `suspended`, or the PACS' own word.
    pub status: String,
    /// The record may open something.
    pub active: bool,
    /// Access levels by name.
    pub levels: Vec<String>,
    /// Cards, mobile passes, PINs.
    pub passes: Vec<Pass>,
}

/// A card, mobile pass or PIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// Kind and masked number: `card …3456`.
    pub what: String,
    /// The last four characters of the number, if it has one.
    pub last_four: Option<String>,
    /// `active`, `lost`, `disabled`, or the PACS' own word.
    pub status: String,
    /// It may open something.
    pub works: bool,
}

#[derive(Template)]
#[template(path = "who_has_what.html")]
struct SheetPage<'d> {
    style: &'static str,
    policy: String,
    sheet: &'d Sheet,
    place: &'d str,
    read_at: String,
    counts: String,
    rows: Vec<Line<'d>>,
    by_card: Vec<CardLine<'d>>,
}

struct Line<'d> {
    no: usize,
    row: &'d SheetRow,
    cards: String,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct CardLine<'d> {
    card: &'d str,
    name: &'d str,
    no: usize,
    works: bool,
}

/// For a spreadsheet.
///
/// # Panics
/// Never: it writes to memory.
pub fn sheet_csv(sheet: &Sheet) -> Vec<u8> {
    let read_at = sheet.read_at.to_string();
    let records = sheet.rows.iter().map(|row| {
        let passes: Vec<String> = row.passes.iter().map(|pass| format!("{} ({})", pass.what, pass.status)).collect();
        vec![
            sheet.target.clone(),
            row.sites.join("; "),
            row.name.clone(),
            row.employee_number.clone(),
            row.department.clone(),
            row.cardholder.clone(),
            row.status.clone(),
            row.levels.join("; "),
            passes.join("; "),
            read_at.clone(),
        ]
    });
    let head = [
        "target",
        "sites",
        "name",
        "employee number",
        "department",
        "cardholder",
        "status",
        "access levels",
        "credentials",
        "read at",
    ];
    table(&head, records)
}

/// A table that every spreadsheet opens: marked as UTF-8, every cell quoted, nothing that would be a formula.
pub(crate) fn table(head: &[&str], records: impl Iterator<Item = Vec<String>>) -> Vec<u8> {
    let mut csv = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .terminator(csv::Terminator::CRLF)
        .from_writer(BYTE_ORDER_MARK.to_vec());
    csv.write_record(head).expect("memory takes it");
    for record in records {
        csv.write_record(record.iter().map(|value| cell(value))).expect("memory takes it");
    }
    csv.into_inner().expect("memory takes it")
}

/// For printing.
///
/// # Panics
/// Never: the template is compiled in and writes to memory.
pub fn sheet_html(sheet: &Sheet) -> String {
    let rows: Vec<Line<'_>> = sheet
        .rows
        .iter()
        .enumerate()
        .map(|(at, row)| Line { no: at + 1, row, cards: last_fours(row).join(" ") })
        .collect();
    let mut by_card: Vec<CardLine<'_>> = Vec::new();
    for line in &rows {
        let cards = line.row.passes.iter().filter_map(|pass| Some((pass.last_four.as_deref()?, pass.works)));
        by_card.extend(cards.map(|(card, works)| CardLine { card, name: &line.row.name, no: line.no, works }));
    }
    by_card.sort();
    SheetPage {
        style: SHEET_STYLE,
        policy: policy(SHEET_STYLE),
        sheet,
        place: &sheet.place,
        read_at: minute(sheet.read_at),
        counts: counts(sheet),
        rows,
        by_card,
    }
    .render()
    .expect("a compiled template writes to memory")
}

fn last_fours(row: &SheetRow) -> Vec<String> {
    row.passes.iter().filter_map(|pass| pass.last_four.as_ref()).map(|four| format!("…{four}")).collect()
}

fn counts(sheet: &Sheet) -> String {
    let active = sheet.rows.iter().filter(|row| row.active).count();
    let off = sheet.rows.len() - active;
    match off {
        0 => format!("{} people, all active", number(active as u64)),
        _ => format!(
            "{} people: {} active, {} off",
            number((active + off) as u64),
            number(active as u64),
            number(off as u64)
        ),
    }
}
