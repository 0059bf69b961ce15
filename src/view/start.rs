//! The first page of the manual fallback: what is there, how old it is, and what to open.

use askama::Template;
use jiff::{SignedDuration, Timestamp};

use crate::escape::number;
use crate::html::{SHEET_STYLE, minute, policy};

/// What the page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartPage {
    /// When it was written.
    pub written: Timestamp,
    /// The version of the program.
    pub program: String,
    /// What the reader must know first.
    pub warnings: Vec<String>,
    /// Each target.
    pub targets: Vec<TargetLinks>,
    /// How much is open, one sentence.
    pub open: String,
    /// The worklist.
    pub worklist: Vec<FileLink>,
    /// Files for the PACS' own tools.
    pub imports: Vec<FileLink>,
    /// Older sets.
    pub older: Vec<FileLink>,
}

/// The sheets of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetLinks {
    /// The target.
    pub target: String,
    /// When it was read; none when it never was.
    pub read_at: Option<Timestamp>,
    /// How many cardholders.
    pub people: usize,
    /// Why it was not read just now; empty when it was.
    pub trouble: String,
    /// To print.
    pub sheets: Vec<FileLink>,
    /// For a spreadsheet.
    pub tables: Vec<FileLink>,
}

/// A file in the same folder or below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLink {
    /// Relative, with `/`; made of letters, digits, `-`, `_` and `.` by whoever named the file.
    pub path: String,
    /// What it is.
    pub label: String,
}

#[derive(Template)]
#[template(path = "start_here.html")]
struct Filled<'d> {
    style: &'static str,
    policy: String,
    page: &'d StartPage,
    written: String,
    targets: Vec<Line<'d>>,
}

struct Line<'d> {
    of: &'d TargetLinks,
    place: String,
    read_at: String,
    age: String,
}

/// The page.
///
/// # Panics
/// Never: the template is compiled in and writes to memory.
pub fn start_html(page: &StartPage) -> String {
    let targets = page.targets.iter().map(|of| Line {
        of,
        place: of.target.to_uppercase(),
        read_at: of.read_at.map_or_else(|| "never read".to_owned(), minute),
        age: of.read_at.map_or_else(String::new, |at| {
            format!("{} old when this page was written", age_words(page.written.duration_since(at)))
        }),
    });
    let targets = targets.collect();
    Filled { style: SHEET_STYLE, policy: policy(SHEET_STYLE), page, written: minute(page.written), targets }
        .render()
        .expect("a compiled template writes to memory")
}

/// How old something is, for people: `3 days`, `5 hours`, `1 minute`.
pub fn age_words(age: SignedDuration) -> String {
    let some = |count: i64, unit: &str| {
        let plural = if count == 1 { "" } else { "s" };
        format!("{} {unit}{plural}", number(count.unsigned_abs()))
    };
    match (age.as_hours(), age.as_mins()) {
        (hours, _) if hours >= 48 => some(hours / 24, "day"),
        (hours, _) if hours >= 1 => some(hours, "hour"),
        (_, minutes) => some(minutes.max(0), "minute"),
    }
}
