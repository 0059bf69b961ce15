//! The same values for every reader: text for a terminal, JSON for a script, CSV for a spreadsheet, and HTML for
//! people who approve and people who must act with their hands.
//!
//! This crate turns values into bytes. It decides nothing, reads nothing, and writes no file. Everything that came
//! from a directory or a PACS is hostile until it went through [`escape`].

#![forbid(unsafe_code)]

pub mod escape;
mod export;
mod html;
mod json;
mod reinstatement;
mod report;
mod row;
mod start;
mod table;
mod text;
mod worklist;

pub use export::{Pass, Sheet, SheetRow, sheet_csv, sheet_html};
pub use json::{PlanJson, plan_json};
pub use reinstatement::reinstatement_lines;
pub use report::{report_csv, report_html};
pub use row::{Category, Change, Row, rows, situation_label};
pub use start::{FileLink, StartPage, TargetLinks, age_words, start_html};
pub use table::{Align, Table};
pub use text::{Paint, plan_text, summary_line};
pub use worklist::{Import, Urgency, WorkRow, WorkSheet, Worklist, worklist_csv, worklist_html};
