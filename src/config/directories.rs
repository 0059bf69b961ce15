//! The `[[directory]]` sections: the one that says who exists, and the overlays beside it.

use std::ops::Range;

use lockstep_contract::{DirectoryId, FieldName};
use lockstep_core::{Anchor, Missing};

use crate::file::{required_id, required_kind};
use crate::settings::Settings;
use crate::table::{Report, Section};
use crate::{DirectoryConfig, OverlayConfig};

/// Keys of a `[[directory]]` that are ours; all others are the connector's.
pub(crate) const DIRECTORY_KEYS: &[&str] = &["id", "kind", "authority", "anchor", "anchor_field", "missing"];
/// Those that only an overlay has.
const OVERLAY_KEYS: [&str; 3] = ["anchor", "anchor_field", "missing"];

/// What could be read of the directories.
pub(crate) struct Directories {
    /// The one that says who exists.
    pub(crate) authority: Option<DirectoryConfig>,
    /// The others, in the order of the file.
    pub(crate) overlays: Vec<OverlayConfig>,
}

/// Every directory. What is wrong is complained about; whatever else could be read is handed out.
pub(crate) fn directories(whole: &Section<'_>, report: &mut Report) -> Directories {
    let sections = whole.tables("directory", report);
    if whole.get("directory").is_none() {
        let complaint = report.at(0..0, "there is no [[directory]]");
        report.refuse(complaint.help("add one: [[directory]] with `id` and `kind`, such as kind = \"ldap\""));
    }
    let authority = authority(&sections, report);
    let mut read = Directories { authority: None, overlays: Vec::new() };
    let mut places: Vec<(DirectoryId, Range<usize>)> = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        let overlay = (index != authority).then(|| overlay(section, report));
        if overlay.is_none() {
            refuse_overlay_keys(section, sections.len(), report);
        }
        let Some((directory, span)) = one_directory(section, index, report) else { continue };
        if let Some((_, first)) = places.iter().find(|(id, _)| *id == directory.id) {
            let complaint = report.at(span.clone(), format!("the id `{}` is used twice", directory.id));
            let help = "give each directory an id of its own; groups are named by it";
            report.refuse(complaint.label("again here").also(first.clone(), "first here").help(help));
        }
        places.push((directory.id.clone(), span));
        match overlay {
            None => read.authority = Some(directory),
            Some(Some((anchor, missing))) => read.overlays.push(OverlayConfig { directory, anchor, missing }),
            Some(None) => {}
        }
    }
    read
}

/// Which section is the authority: the one that says so, or the first.
fn authority(sections: &[Section<'_>], report: &mut Report) -> usize {
    let mut found = None;
    for (index, section) in sections.iter().enumerate() {
        if section.flag("authority", report) != Some(true) {
            continue;
        }
        match found {
            None => found = Some(index),
            Some(first) => {
                let span = sections.get(first).map_or(0..0, |section: &Section<'_>| section.key_span("authority"));
                let complaint = report.at(section.key_span("authority"), "two directories cannot both say who exists");
                let help =
                    "leave `authority = true` at one; the others are overlays, which may end people all the same";
                report.refuse(complaint.label("a second authority").also(span, "the first").help(help));
            }
        }
    }
    if let (None, [first, _, ..]) = (found, sections) {
        let complaint = report.at(first.span.clone(), "the first of several directories is taken as the authority");
        report.warn(complaint.label("this one").help("write authority = true there, so that nobody has to guess"));
    }
    found.unwrap_or(0)
}

/// What an overlay says about itself.
fn overlay(section: &Section<'_>, report: &mut Report) -> Option<(Anchor, Missing)> {
    let words = [("directory", true), ("employee", false)];
    if section.get("anchor").is_none() {
        let complaint = report.at(section.span.clone(), "`anchor` is missing: nothing says whom its people are");
        let help = "write anchor = \"directory\" (the immutable id that the other directory gave) or anchor = \
                    \"employee\" (the employee number)";
        report.refuse(complaint.label("in this section").help(help));
    }
    let by_id = section.word("anchor", &words, report);
    let named = section.text("anchor_field", report);
    let field =
        named.clone().and_then(|text| text.parse::<FieldName>("fields are written like consistency_guid", report));
    if let (Some(text), Some(false)) = (named, by_id) {
        let complaint = report.at(text.span, "`anchor_field` goes with anchor = \"directory\" only");
        report.refuse(complaint.help("remove it; employee numbers are in the field employee_number"));
    }
    let missing = [("undecided", Missing::Undecided), ("unchanged", Missing::Unchanged)];
    let missing = section.word("missing", &missing, report).unwrap_or_default();
    Some((if by_id? { Anchor::Directory { field } } else { Anchor::Employee }, missing))
}

fn refuse_overlay_keys(section: &Section<'_>, count: usize, report: &mut Report) {
    for key in OVERLAY_KEYS.into_iter().filter(|key| section.get(key).is_some()) {
        let complaint = report.at(section.key_span(key), format!("`{key}` is for a directory beside the authority"));
        let help = if count == 1 {
            "remove it: there is one directory, and it says who exists"
        } else {
            "remove it here, or write authority = true at the directory that says who exists"
        };
        report.refuse(complaint.label("this is the authority").help(help));
    }
}

/// One directory and the place of its id.
fn one_directory(section: &Section<'_>, index: usize, report: &mut Report) -> Option<(DirectoryConfig, Range<usize>)> {
    let id = required_id::<DirectoryId>(section, "\"corp\"", report);
    let kind = required_kind(section, "\"ldap\"", report);
    let settings = Settings::new(&report.source, "directory", index, DIRECTORY_KEYS, section.span.clone());
    let (id, span) = id?;
    Some((DirectoryConfig { id, kind: kind?, settings }, span))
}
