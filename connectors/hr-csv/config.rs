//! The settings of an HR feed. This module must not open anything.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// People and groups from files: `kind = "hr-csv"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file with the people, or several that make one list together. A relative path starts at the folder of the
    /// configuration file.
    pub people: Files,
    /// The file with the groups: CSV with the columns `group` and `member`. Not needed for LDIF, where groups may stand
    /// in the same file as the people.
    #[serde(default)]
    pub groups: Option<PathBuf>,
    /// `csv` or `ldif`. Default: by the ending of each file (`.ldif` or `.ldf` is LDIF, anything else CSV).
    #[serde(default)]
    pub format: Option<Format>,
    /// What stands between two cells of a CSV file: `auto` (decided by the header line), `,`, `;` or `tab`.
    #[serde(default)]
    pub delimiter: Delimiter,
    /// `utf-8` (the default), `utf-16` (needs a byte order mark) or `windows-1252`. Never guessed.
    #[serde(default)]
    pub encoding: Encoding,
    /// Which column holds what: `id`, `status`, `leave_date`, `card`, or the name of a field, each with its header. A
    /// field that is not here is taken from the column with its English name, in any spelling of upper and lower case,
    /// blanks, hyphens and underscores. Only when they are named here do these count: `start_date` (the first day; not here
    /// before it), `absent_from` and `absent_to` (the first and the last day of a leave of absence; not here meanwhile).
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// Which words of the status column mean active, and which mean ended. Any other word: not known.
    #[serde(default)]
    pub status: StatusWords,
    /// Being on the list is all that the file says about whether somebody still works here. Default: false; the file
    /// then needs a status or a leave date.
    #[serde(default)]
    pub listed_means_active: bool,
    /// How dates are written, in the notation of `strptime`; the first that fits is taken. Default: `%Y-%m-%d`.
    #[serde(default = "default_date_formats")]
    pub date_formats: Vec<String>,
    /// The time zone in which a day begins and ends, as `Europe/Berlin`. Needed when the file has dates.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// The hour at which a last day is over, from `12:00` to `36:00`; from `24:00` on it is an hour of the day after.
    /// Default: `24:00`, the end of the day.
    #[serde(default)]
    pub cut_over: Option<String>,
    /// The hour at which a first day begins, up to `12:00`. Default: `00:00`.
    #[serde(default)]
    pub day_begins: Option<String>,
    /// Sites whose days are others, by the value of the `site` column: `{ Leeds = { time_zone = "Europe/London", cut_over =
    /// "30:00" } }`. What is not said there is as for all.
    #[serde(default)]
    pub sites: BTreeMap<String, Site>,
    /// Somebody who is not in a whole file is gone. Default: true. Set it to false for a file that holds some people
    /// only.
    #[serde(default = "yes")]
    pub authoritative: bool,
    /// What the members of `groups` are named by: `id` (the default), `employee_number`, `upn`, `mail` or `account`.
    #[serde(default)]
    pub members_by: MembersBy,
    /// Groups that exist although the file does not name them: nobody is in them.
    #[serde(default)]
    pub empty_groups: Vec<String>,
    /// The number of people that must be in the people files, exactly. Proves that no row is missing.
    #[serde(default)]
    pub expected_rows: Option<u64>,
    /// The least number of people that makes the people files believable. A weak proof: keep it just below the number
    /// of people there really are. Without this, `expected_rows` or `trailer`, nobody is gone for not being listed.
    #[serde(default)]
    pub min_rows: Option<u64>,
    /// The word in the first cell of the last row of every CSV file; the second cell says how many rows came before it.
    /// A file without that row was cut. The strongest proof, and the only one for the file of the groups.
    #[serde(default)]
    pub trailer: Option<String>,
    /// What to do with a file whose last line does not end. `refuse` (the default): it may have been cut inside its last
    /// value, so nothing in it is believed. `allow`: for an export that is always written so.
    #[serde(default)]
    pub unterminated: Unterminated,
    /// How old the files may be, in hours, by the time of their last change. Default: any age.
    #[serde(default)]
    pub max_age_hours: Option<NonZeroU32>,
    /// How many people one page of a list holds. Default: 500.
    #[serde(default = "default_page_size")]
    pub page_size: NonZeroU32,
}

/// When days begin and end at a site.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The time zone of the site.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// The hour at which a last day is over there.
    #[serde(default)]
    pub cut_over: Option<String>,
    /// The hour at which a first day begins there.
    #[serde(default)]
    pub day_begins: Option<String>,
}

/// One file or several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Files {
    /// One file.
    One(PathBuf),
    /// Several files that make one list together.
    Many(Vec<PathBuf>),
}

impl Files {
    /// The paths, in the order given.
    pub fn paths(&self) -> &[PathBuf] {
        match self {
            Self::One(path) => std::slice::from_ref(path),
            Self::Many(paths) => paths,
        }
    }
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Rows of cells (RFC 4180).
    Csv,
    /// Entries of a directory (RFC 2849).
    Ldif,
}

/// What stands between two cells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Delimiter {
    /// The one of `,`, `;` and tab that the header line has; two of them are a fault.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// A comma.
    #[serde(rename = ",")]
    Comma,
    /// A semicolon.
    #[serde(rename = ";")]
    Semicolon,
    /// A tab.
    #[serde(rename = "tab")]
    Tab,
}

/// How the characters of a file are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// UTF-16 with a byte order mark.
    #[serde(rename = "utf-16")]
    Utf16,
    /// Windows code page 1252.
    #[serde(rename = "windows-1252")]
    Windows1252,
}

/// What to do with a file whose last line does not end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unterminated {
    /// Nothing in it is believed.
    #[default]
    Refuse,
    /// Its last line is taken as it stands.
    Allow,
}

/// What the members of a group are named by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MembersBy {
    /// The id of the person.
    #[default]
    Id,
    /// The employee number.
    EmployeeNumber,
    /// The user principal name.
    Upn,
    /// The mail address.
    Mail,
    /// The account name.
    Account,
}

/// Which words of the status column mean what, compared without ASCII case.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StatusWords {
    /// Words that mean that somebody works here. Default: `active`, `employed`.
    pub active: Vec<String>,
    /// Words that mean that somebody does not work here any more. Default: `ended`, `left`, `terminated`, `inactive`.
    pub ended: Vec<String>,
    /// Words that mean that somebody is on leave, and comes back. Default: none.
    pub away: Vec<String>,
}

impl Default for StatusWords {
    fn default() -> Self {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        Self {
            active: words(&["active", "employed"]),
            ended: words(&["ended", "left", "terminated", "inactive"]),
            away: Vec::new(),
        }
    }
}

fn default_date_formats() -> Vec<String> {
    vec!["%Y-%m-%d".to_owned()]
}

const fn yes() -> bool {
    true
}

const fn default_page_size() -> NonZeroU32 {
    NonZeroU32::new(500).expect("not zero")
}
