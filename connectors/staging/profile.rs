//! What a profile says: how one importer wants its files or tables, as data. Nothing about a vendor is in code.
//!
//! This module must not read rows; it only says what they look like.

use lockstep_contract::{FieldName, KeyKind};
use serde::Deserialize;

use crate::dates::Dates;

/// How one importer wants its files or tables.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportProfile {
    /// Its name, as in `profile = "genetec"`.
    pub name: String,
    /// What it is for, in a few words.
    pub about: String,
    /// Whether every column was checked against the vendor's documentation or a real system.
    pub verified: bool,
    /// What nobody has established yet, one sentence each.
    #[serde(default)]
    pub open_questions: Vec<String>,
    /// The key of a person that fills the key column of a new row.
    pub key: KeyKind,
    /// How files are written.
    pub file: FileFormat,
    /// How the importer takes files and says so.
    #[serde(default)]
    pub delivery: Delivery,
    /// How an export for reading back looks.
    #[serde(default)]
    pub export: ExportRules,
    /// The words for values.
    #[serde(default)]
    pub values: Values,
    /// Dates.
    #[serde(default)]
    pub dates: Dates,
    /// One row for each person.
    pub people: Table,
    /// One row for each card, where cards have rows of their own.
    pub credentials: Option<Table>,
    /// One row for each person and level, where levels are not in a column of the person.
    pub memberships: Option<Table>,
    /// The levels that exist. Only read.
    pub levels: Option<Table>,
    /// What people do with their hands.
    #[serde(default)]
    pub by_hand: Words,
}

/// How files are written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFormat {
    /// CSV (with any delimiter) or XML.
    pub format: Format,
    /// What stands between two cells.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// The encoding; a character that it lacks is an error for that row.
    #[serde(default)]
    pub encoding: Encoding,
    /// What ends a line.
    #[serde(default)]
    pub line_end: LineEnd,
    /// Whether the first row holds the column names.
    #[serde(default = "yes")]
    pub header: bool,
    /// Which cells are put in quotation marks.
    #[serde(default)]
    pub quote: Quoting,
    /// What is done with a value that a spreadsheet would take for a formula.
    #[serde(default)]
    pub formulas: Formulas,
    /// Whether a cell may hold a line break. Other control characters are never allowed.
    #[serde(default)]
    pub line_breaks: bool,
    /// Whether a value that is too long for its column is cut. Else it is an error for that row.
    #[serde(default)]
    pub cut_long_values: bool,
    /// XML: the outermost element.
    #[serde(default = "xml_root")]
    pub xml_root: String,
    /// XML: the element of one row.
    #[serde(default = "xml_row")]
    pub xml_row: String,
}

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Cells with a delimiter between them.
    Csv,
    /// One element a row, one element a cell.
    Xml,
}

/// The encoding of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// UTF-8 without a mark.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// UTF-8 with a mark, as spreadsheets want it.
    #[serde(rename = "utf-8-bom")]
    Utf8Bom,
    /// UTF-16, little endian, with a mark.
    #[serde(rename = "utf-16le")]
    Utf16Le,
    /// Windows-1252.
    #[serde(rename = "windows-1252")]
    Windows1252,
}

/// What ends a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineEnd {
    /// Carriage return and line feed.
    #[default]
    Crlf,
    /// Line feed.
    Lf,
}

impl LineEnd {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Crlf => "\r\n",
            Self::Lf => "\n",
        }
    }
}

/// Which cells are put in quotation marks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quoting {
    /// Those that need it.
    #[default]
    Needed,
    /// All of them: leading zeros survive more programs.
    All,
    /// None: a value that would need it is an error for that row.
    Never,
}

/// What is done with a value that a spreadsheet would take for a formula. It is never changed: that would break matching.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Formulas {
    /// It is written as it is.
    #[default]
    Keep,
    /// It is an error for that row.
    Reject,
    /// It is written as it is, and said in the log.
    Flag,
}

/// How the importer takes files and says so.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delivery {
    /// The end of a file's name.
    pub extension: String,
    /// The end of an empty file that is written after each file, for importers that wait for one.
    pub marker: Option<String>,
    /// How the importer says that it took a file.
    pub acknowledgement: Acknowledgement,
    /// What is added to the name of a file that was taken, for importers that rename.
    pub renamed: String,
    /// What is added to the name of a file that was refused, for importers that rename.
    pub renamed_on_error: String,
    /// What is added to the name of a file that lists refused rows, for importers that write one.
    pub result_suffix: String,
    /// How often the importer looks, in seconds.
    pub poll_seconds: u32,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            extension: ".csv".into(),
            marker: None,
            acknowledgement: Acknowledgement::Vanished,
            renamed: ".processed".into(),
            renamed_on_error: ".Errors".into(),
            result_suffix: ".result".into(),
            poll_seconds: 60,
        }
    }
}

impl Delivery {
    /// After so many seconds without a sign, the importer is said to stand still.
    pub(crate) fn patience_seconds(&self) -> i64 {
        (i64::from(self.poll_seconds) * 3).max(300)
    }
}

/// How an importer says that it took a file. None of them says that it did what the file asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Acknowledgement {
    /// The file is gone; when it was refused, it was renamed.
    #[default]
    Vanished,
    /// The file has another name.
    Renamed,
    /// A file with the result lies beside it.
    ResultFile,
    /// Not at all: only a new export shows it.
    None,
}

/// How an export for reading back looks. The form of the file is that of [`FileFormat`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExportRules {
    /// The encoding, where it is another one than that of the import.
    pub encoding: Option<Encoding>,
    /// The first cell of a last row that says in its second cell how many rows there are.
    pub count_row: Option<String>,
    /// Whether the last line ends with a line end; one that does not is then known to be torn.
    pub last_line_ends: bool,
}

impl Default for ExportRules {
    fn default() -> Self {
        Self { encoding: None, count_row: None, last_line_ends: true }
    }
}

/// The words for values. The first of each list is written, all are understood.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Values {
    /// The person is in force.
    pub active: Vec<String>,
    /// The person is switched off.
    pub suspended: Vec<String>,
    /// The card works.
    pub card_active: Vec<String>,
    /// The card was switched off.
    pub card_inactive: Vec<String>,
    /// The card was lost. Where a list is empty, the words of `card_inactive` are written.
    pub card_lost: Vec<String>,
    /// The card was stolen.
    pub card_stolen: Vec<String>,
    /// The card is past its end.
    pub card_expired: Vec<String>,
    /// The person has the level.
    pub member: Vec<String>,
    /// The person has it no longer.
    pub not_member: Vec<String>,
    /// What stands between two levels of one cell.
    pub levels_joined_by: String,
    /// What stands between facility and number of a card.
    pub card_joined_by: String,
    /// For importers without a status: this date in the column of the end says that the person is switched off.
    pub suspended_until: Option<String>,
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl Default for Values {
    fn default() -> Self {
        Self {
            active: words(&["Active"]),
            suspended: words(&["Inactive"]),
            card_active: words(&["Active"]),
            card_inactive: words(&["Inactive"]),
            card_lost: Vec::new(),
            card_stolen: Vec::new(),
            card_expired: Vec::new(),
            member: words(&["1"]),
            not_member: words(&["0"]),
            levels_joined_by: ";".into(),
            card_joined_by: "-".into(),
            suspended_until: None,
        }
    }
}

/// One table: its columns in order.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The name of the export file for reading back; one `*` stands for anything.
    pub export: Option<String>,
    /// The name of the database view for reading back.
    pub view: Option<String>,
    /// The columns in order.
    pub columns: Vec<Column>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The exact text of the header.
    pub header: String,
    /// What it holds; a column that holds nothing of ours is carried along as it was read.
    pub holds: Option<Holds>,
    /// The field that it holds.
    pub field: Option<FieldName>,
    /// What a new row has here.
    #[serde(default)]
    pub value: String,
    /// A row without it is refused.
    #[serde(default)]
    pub required: bool,
    /// At most so many characters.
    pub chars_max: Option<u32>,
}

/// What a column holds, when it is not a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holds {
    /// The key of the person.
    Key,
    /// The status of the person.
    Status,
    /// Valid from.
    ValidFrom,
    /// Valid until.
    ValidUntil,
    /// All levels of the person.
    Levels,
    /// One level.
    Level,
    /// The name of a level.
    LevelName,
    /// Whether the person has the level.
    Member,
    /// The id of a card.
    Credential,
    /// The facility of a card, where it has a column of its own.
    CardFacility,
    /// The number of a card.
    CardNumber,
    /// The status of a card.
    CredentialStatus,
}

/// What people do with their hands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Words {
    /// How to lock somebody out on the screens of this vendor.
    pub lock_out: Vec<String>,
    /// How to import a file by hand.
    pub import: String,
}

const fn comma() -> char {
    ','
}

const fn yes() -> bool {
    true
}

fn xml_root() -> String {
    "Import".to_owned()
}

fn xml_row() -> String {
    "Person".to_owned()
}

impl Table {
    /// The place of the column that holds this.
    pub(crate) fn place(&self, holds: Holds) -> Option<usize> {
        self.columns.iter().position(|column| column.holds == Some(holds))
    }
}

/// The tables of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TableName {
    /// One row for each person.
    People,
    /// One row for each card.
    Credentials,
    /// One row for each person and level.
    Memberships,
    /// The levels that exist.
    Levels,
}

impl TableName {
    pub(crate) const ALL: [Self; 4] = [Self::People, Self::Credentials, Self::Memberships, Self::Levels];

    /// The word in file names and profiles.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Credentials => "credentials",
            Self::Memberships => "memberships",
            Self::Levels => "levels",
        }
    }

    pub(crate) const fn needs(self) -> &'static [Holds] {
        match self {
            Self::People => &[Holds::Key],
            Self::Credentials => &[Holds::Credential, Holds::Key, Holds::CredentialStatus],
            Self::Memberships => &[Holds::Key, Holds::Level, Holds::Member],
            Self::Levels => &[Holds::Level],
        }
    }
}
