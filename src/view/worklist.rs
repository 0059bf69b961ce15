//! The worklist: what a person has to do by hand, record by record, when Lockstep cannot. As a page to print, with
//! boxes to tick, and as a table to type the ticks into.
//!
//! What is to be done, and how on which PACS, comes in as values: the connectors know their vendors' screens.

use askama::Template;
use jiff::Timestamp;

use crate::escape::number;
use crate::export::table;
use crate::html::{SHEET_STYLE, minute, policy};

/// Everything that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worklist {
    /// When it was put together.
    pub made: Timestamp,
    /// What it was made from, one sentence.
    pub basis: String,
    /// What the reader must know: what could not be looked at.
    pub notes: Vec<String>,
    /// One for each target with anything open.
    pub sheets: Vec<WorkSheet>,
}

/// What is open on one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkSheet {
    /// The target.
    pub target: String,
    /// Where it is.
    pub endpoint: String,
    /// The file for the PACS' own tool, where there is one.
    pub import: Option<Import>,
    /// In the order of work.
    pub rows: Vec<WorkRow>,
}

/// A file for the PACS' own tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Its name, with the folder it is in.
    pub name: String,
    /// How to use it.
    pub how: String,
    /// How many of the records it has.
    pub actions: usize,
}

/// How much it matters. In the order of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Somebody was put out by name, and it is not confirmed.
    PutOut,
    /// Agreed to, and not confirmed.
    Agreed,
    /// Nobody has agreed to it yet.
    Waits,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkRow {
    /// By which it is known again: `row-3f9a0c12d4e5`.
    pub id: String,
    /// How much it matters.
    pub urgency: Urgency,
    /// The name, or how the person was named.
    pub name: String,
    /// Employee number, if known.
    pub employee_number: String,
    /// Department, if known.
    pub department: String,
    /// The PACS' id of the record; empty when it is not known or not there yet.
    pub record: String,
    /// Why, in a few words.
    pub because: String,
    /// What to do, one sentence each.
    pub steps: Vec<String>,
}

impl Worklist {
    /// How many records.
    pub fn len(&self) -> usize {
        self.sheets.iter().map(|sheet| sheet.rows.len()).sum()
    }

    /// True when nothing is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn count(&self, urgency: Urgency) -> usize {
        self.sheets.iter().flat_map(|sheet| &sheet.rows).filter(|row| row.urgency == urgency).count()
    }

    /// How much is open, in one sentence without a full stop.
    pub fn counts(&self) -> String {
        if self.is_empty() {
            return "Nothing is open".to_owned();
        }
        let kinds =
            [(Urgency::PutOut, "to lock out now"), (Urgency::Agreed, "to do"), (Urgency::Waits, "only after approval")];
        let parts: Vec<String> = kinds
            .into_iter()
            .map(|(urgency, words)| (self.count(urgency), words))
            .filter(|(count, _)| *count > 0)
            .map(|(count, words)| format!("{} {words}", number(count as u64)))
            .collect();
        parts.join(", ")
    }
}

impl Urgency {
    const ALL: [Self; 3] = [Self::PutOut, Self::Agreed, Self::Waits];

    const fn title(self) -> &'static str {
        match self {
            Self::PutOut => "Lock these people out now",
            Self::Agreed => "Agreed: do these next",
            Self::Waits => "Only after approval",
        }
    }

    const fn note(self) -> &'static str {
        match self {
            Self::PutOut | Self::Agreed => "",
            Self::Waits => "Nobody has agreed to these yet. Do none of them before somebody who may decide says so.",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::PutOut => "now",
            Self::Agreed => "agreed",
            Self::Waits => "only after approval",
        }
    }
}

#[derive(Template)]
#[template(path = "worklist.html")]
struct WorklistPage<'d> {
    style: &'static str,
    policy: String,
    list: &'d Worklist,
    made: String,
    counts: String,
    sheets: Vec<Part<'d>>,
}

struct Part<'d> {
    of: &'d WorkSheet,
    place: String,
    parts: Vec<Block<'d>>,
}

struct Block<'d> {
    title: &'static str,
    note: &'static str,
    rows: Vec<&'d WorkRow>,
}

/// For printing.
///
/// # Panics
/// Never: the template is compiled in and writes to memory.
pub fn worklist_html(list: &Worklist) -> String {
    let block = |sheet: &'_ WorkSheet, urgency: Urgency| -> Vec<usize> {
        let rows = sheet.rows.iter().enumerate().filter(|(_, row)| row.urgency == urgency);
        rows.map(|(at, _)| at).collect()
    };
    let sheets = list.sheets.iter().filter(|sheet| !sheet.rows.is_empty()).map(|sheet| Part {
        of: sheet,
        place: sheet.target.to_uppercase(),
        parts: Urgency::ALL
            .into_iter()
            .map(|urgency| Block {
                title: urgency.title(),
                note: urgency.note(),
                rows: block(sheet, urgency).into_iter().filter_map(|at| sheet.rows.get(at)).collect(),
            })
            .filter(|block| !block.rows.is_empty())
            .collect(),
    });
    WorklistPage {
        style: SHEET_STYLE,
        policy: policy(SHEET_STYLE),
        list,
        made: minute(list.made),
        counts: list.counts(),
        sheets: sheets.collect(),
    }
    .render()
    .expect("a compiled template writes to memory")
}

/// For a spreadsheet: ticks, initials and times are typed into the last four columns, and the file is read again.
pub fn worklist_csv(list: &Worklist) -> Vec<u8> {
    let head =
        ["row", "target", "when", "cardholder", "person", "employee number", "steps", "done", "by", "time", "note"];
    let rows = list.sheets.iter().flat_map(|sheet| sheet.rows.iter().map(move |row| (&sheet.target, row)));
    table(
        &head,
        rows.map(|(target, row)| {
            let steps: Vec<String> =
                row.steps.iter().enumerate().map(|(at, step)| format!("{}. {step}", at + 1)).collect();
            let filled = [
                row.id.clone(),
                target.clone(),
                row.urgency.word().to_owned(),
                row.record.clone(),
                row.name.clone(),
                row.employee_number.clone(),
                steps.join("\n"),
            ];
            filled.into_iter().chain(std::iter::repeat_n(String::new(), 4)).collect()
        }),
    )
}
