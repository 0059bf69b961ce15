//! Reading a configuration for the emergency path: whatever can be read is handed out, whatever cannot is named.
//!
//! A mistake in the section of one PACS must not keep a person from being put out on the others. Nothing that plans
//! or grants may use this: a policy from here can lack what its mapping says.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lockstep_core::ApprovalPolicy;
use toml::de::DeTable;

use crate::complaint::{ConfigError, Source};
use crate::directories::directories;
use crate::file::{Opened, one_target, open, read_text, syntax_error, top};
use crate::table::{Report, Section};
use crate::value::{CALL_BUDGET, OFFBOARD_PATIENCE, OFFBOARD_PER_HOUR};
use crate::{DirectoryConfig, TargetConfig};

/// Whatever could be read.
#[derive(Debug, Clone)]
pub struct LenientLoaded {
    /// The folder of the file, absolute.
    pub base: PathBuf,
    /// The folder of the database, the roster and the spool, absolute.
    pub state: PathBuf,
    /// Where the record of an emergency offboarding goes when the folder of the state does not take it, absolute.
    pub spool_second: Option<PathBuf>,
    /// The file that alerts are added to, absolute.
    pub alerts: PathBuf,
    /// The folder of the manual fallback, absolute.
    pub exports: PathBuf,
    /// How long one call to a system may take.
    pub call_budget: Duration,
    /// How long to wait for one PACS.
    pub offboard_patience: Duration,
    /// How many people one operator may put out within an hour without a second person.
    pub offboard_per_hour: usize,
    /// The directory, if its section reads.
    pub directory: Option<DirectoryConfig>,
    /// Every target with an id and a kind, ordered by id. When its mapping is broken, its policy holds the levels that
    /// could be read, or none: that is enough to suspend somebody there, and for nothing else.
    pub targets: Vec<TargetConfig>,
    /// What is wrong: the id of the target (or what stands for it), and why. A target can be both here and above.
    pub broken: Vec<(String, String)>,
}

/// Reads whatever can be read.
pub fn load_lenient(path: &Path) -> LenientLoaded {
    match open(path, read_text) {
        Ok(opened) => read(&opened),
        Err(error) => {
            // A stray byte, perhaps in a comment, must not be what keeps somebody inside.
            if let Ok(opened) = open(path, read_lossy) {
                let mut loaded = read(&opened);
                loaded.broken.push(("configuration".to_owned(), error.one_line()));
                return loaded;
            }
            let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
            let base = absolute.parent().map(Path::to_path_buf).unwrap_or_default();
            LenientLoaded {
                state: base.join("state"),
                spool_second: None,
                alerts: base.join("state/alerts.jsonl"),
                exports: base.join("exports"),
                base,
                call_budget: Duration::from_secs(CALL_BUDGET.default),
                offboard_patience: Duration::from_secs(OFFBOARD_PATIENCE.default),
                offboard_per_hour: OFFBOARD_PER_HOUR as usize,
                directory: None,
                targets: Vec::new(),
                broken: vec![("configuration".to_owned(), error.one_line())],
            }
        }
    }
}

/// The text with a mark in place of every byte that is none.
fn read_lossy(path: &Path, what: &str) -> Result<String, ConfigError> {
    let bytes =
        std::fs::read(path).map_err(|error| ConfigError::general(format!("{what} {}: {error}", path.display())))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn read(opened: &Opened) -> LenientLoaded {
    let source = &opened.source;
    let (root, syntax) = DeTable::parse_recoverable(source.text());
    let mut torn: Vec<ConfigError> = syntax.iter().map(|error| syntax_error(source, error)).collect();
    let whole = Section::new(root.get_ref(), 0..0);
    let mut broken = Vec::new();
    let mut report = Report::new(source.clone());
    let top = top(&whole, &opened.base, &mut report);
    note("configuration", report, &mut broken);

    let mut report = Report::new(source.clone());
    let directory = directories(&whole, &mut report).authority;
    note("directory", report, &mut broken);

    let mut report = Report::new(source.clone());
    let sections = whole.tables("target", &mut report);
    if sections.is_empty() {
        report.refuse(report.at(0..0, "there is no [[target]] that can be read"));
    }
    note("targets", report, &mut broken);
    let mut targets: Vec<TargetConfig> = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        let mut report = Report::new(source.clone());
        let extent = extent(source, section.span.start);
        // A broken line inside this section may have dropped a setting, so the section is not used as if it were whole.
        let (mine, rest) = torn.into_iter().partition(|error| extent.contains(&error.offset()));
        torn = rest;
        let whole_section = Vec::is_empty(&mine);
        report.errors = mine;
        let found = one_target(section, index, opened, ApprovalPolicy::Recorded, &mut report);
        let name = found.as_ref().map_or_else(|| format!("target {}", index + 1), |(target, _)| target.id.to_string());
        match found {
            Some((target, _)) if targets.iter().any(|other| other.id == target.id) => {
                broken.push((name.clone(), format!("{source}: the id is used twice", source = source.name())));
            }
            Some((target, _)) if whole_section => targets.push(target),
            _ => {}
        }
        note(&name, report, &mut broken);
    }
    broken.extend(torn.iter().map(|error| ("configuration".to_owned(), error.one_line())));
    targets.sort_by(|a, b| a.id.cmp(&b.id));
    LenientLoaded {
        base: opened.base.clone(),
        state: top.state,
        spool_second: top.spool_second,
        alerts: top.alerts,
        exports: top.exports,
        call_budget: top.call_budget,
        offboard_patience: top.offboard_patience,
        offboard_per_hour: top.offboard_per_hour,
        directory,
        targets,
        broken,
    }
}

fn note(name: &str, report: Report, broken: &mut Vec<(String, String)>) {
    broken.extend(report.errors.iter().map(|error| (name.to_owned(), error.one_line())));
}

/// From a header to the next header of an array of tables, in bytes.
fn extent(source: &Source, start: usize) -> Range<usize> {
    let mut at = start;
    for line in source.text().get(start..).unwrap_or_default().split_inclusive('\n') {
        if at > start && line.trim_start().starts_with("[[") {
            return start..at;
        }
        at += line.len();
    }
    // A file that ends too early is complained about behind its last byte.
    start..at + 1
}
