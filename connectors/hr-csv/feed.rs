//! All files together, read and checked: one feed, or a complaint. This module must not know the connector contract's
//! calls.

use std::path::PathBuf;

use jiff::Timestamp;
use lockstep_contract::sha256_hex;

use crate::columns::{self, Columns};
use crate::config::{Config, Format, Unterminated};
use crate::days::Sites;
use crate::decode::decode;
use crate::groups::{self, Groups};
use crate::ldif::{self, Entry};
use crate::people::{self, People};
use crate::source::{Complaint, SourceFile, Stamp, read};
use crate::standing::Rules;
use crate::table::{self, Row, Table};

/// The files of a feed, and the rules to read them by.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) people: Vec<SourceFile>,
    pub(crate) groups: Option<SourceFile>,
    pub(crate) sites: Sites,
}

impl Plan {
    /// True when files that were read have been shown to hold everybody, so that who is not in them is not there.
    pub(crate) fn proves_everybody(&self) -> bool {
        // A trailer is checked in CSV only.
        let trailers =
            self.config.trailer.is_some() && self.people.iter().all(|file| format(self, file) == Format::Csv);
        trailers || self.config.expected_rows.is_some() || self.config.min_rows.is_some_and(|least| least > 0)
    }
}

/// What the files say.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) people: People,
    /// A groups file that cannot be believed makes every group unreadable, and leaves the people alone.
    pub(crate) groups: Result<Groups, Complaint>,
    /// Which versions of the files were read; `None` for one that could not be.
    pub(crate) stamps: Vec<(PathBuf, Option<Stamp>)>,
    /// SHA-256 over what was read.
    pub(crate) digest: String,
    /// When it was read.
    pub(crate) at: Timestamp,
    /// When the standing of somebody changes next, with no file changing.
    pub(crate) next: Option<Timestamp>,
}

/// Reads all files.
///
/// # Errors
/// When the people files cannot be read or believed.
pub(crate) fn load(plan: &Plan, now: Timestamp) -> Result<Feed, Complaint> {
    let mut stamps = Vec::new();
    let mut tables: Vec<(Table, Columns)> = Vec::new();
    let mut entries: Vec<Entry> = Vec::new();
    let mut read = String::new();
    for file in &plan.people {
        let (text, stamp) = text(plan, file, now)?;
        read.push_str(&sha256_hex(text.as_bytes()));
        stamps.push((file.path.clone(), Some(stamp)));
        let table = match format(plan, file) {
            Format::Csv => table::parse(&file.name, &text, plan.config.delimiter, plan.config.trailer.as_deref())?,
            Format::Ldif => {
                let (found, aside) = ldif::parse(&file.name, &text)?;
                let table = table_of(&file.name, &found, aside);
                entries.extend(found);
                table
            }
        };
        let columns = columns::resolve(&table, &plan.config)?;
        check_end(plan, file, &text)?;
        tables.push((table, columns));
    }
    check_counts(plan, tables.iter().map(|(table, _)| table.len()).sum())?;
    let people = people::collect(&tables, &Rules::new(&plan.config, plan.sites.clone()), now);
    let mut groups = Ok(groups::from_entries(&entries, &people));
    if let Some(file) = &plan.groups {
        let text = text(plan, file, now);
        stamps.push((file.path.clone(), text.as_ref().ok().map(|(_, stamp)| *stamp)));
        read.push_str(&text.as_ref().map_or_else(|why| why.message.clone(), |(text, _)| sha256_hex(text.as_bytes())));
        let of_file = text.and_then(|(text, _)| {
            let groups = groups_of(plan, file, &text, &people)?;
            check_end(plan, file, &text).map(|()| groups)
        });
        groups = groups.and_then(|mut all| {
            all.extend(of_file?);
            Ok(all)
        });
    }
    if let Ok(all) = &mut groups {
        all.declare_empty(&plan.config.empty_groups);
    }
    let next = people.schedules.iter().filter_map(|schedule| schedule.next_after(now)).min();
    Ok(Feed { people, groups, stamps, digest: sha256_hex(read.as_bytes()), at: now, next })
}

fn text(plan: &Plan, file: &SourceFile, now: Timestamp) -> Result<(String, Stamp), Complaint> {
    let (bytes, stamp) = read(&file.path)?;
    stamp.check_age(&file.path, plan.config.max_age_hours.map(std::num::NonZeroU32::get), now)?;
    let text =
        decode(&bytes, plan.config.encoding).map_err(|why| Complaint::broken(format!("{}: {why}", file.name)))?;
    Ok((text, stamp))
}

fn format(plan: &Plan, file: &SourceFile) -> Format {
    let ending = file.path.extension().map(std::ffi::OsStr::to_ascii_lowercase);
    let is_ldif = ending.is_some_and(|ending| ending == "ldif" || ending == "ldf");
    plan.config.format.unwrap_or(if is_ldif { Format::Ldif } else { Format::Csv })
}

fn groups_of(plan: &Plan, file: &SourceFile, text: &str, people: &People) -> Result<Groups, Complaint> {
    match format(plan, file) {
        Format::Csv => {
            let table = table::parse(&file.name, text, plan.config.delimiter, plan.config.trailer.as_deref())?;
            groups::from_table(&table, &plan.config, people)
        }
        Format::Ldif => {
            let (entries, aside) = ldif::parse(&file.name, text)?;
            match aside.first() {
                Some((place, why)) => Err(Complaint::broken(format!("{place}: {why}"))),
                None => Ok(groups::from_entries(&entries, people)),
            }
        }
    }
}

/// The people among the entries, as rows: a column for each attribute, with its first value.
fn table_of(file: &str, entries: &[Entry], aside: Vec<(String, String)>) -> Table {
    let is_person =
        |entry: &&Entry| entry.is_a(&["inetOrgPerson", "organizationalPerson", "person", "user", "posixAccount"]);
    let people: Vec<&Entry> = entries.iter().filter(is_person).filter(|entry| !groups::is_group(entry)).collect();
    let names = people.iter().flat_map(|entry| entry.attributes.keys().cloned());
    let headers: Vec<String> = names.collect::<std::collections::BTreeSet<_>>().into_iter().collect();
    let row = |entry: &&Entry| Row {
        line: entry.line,
        cells: headers.iter().map(|name| entry.all(name).first().cloned().unwrap_or_default()).collect(),
        entry: Some(ldif::comparable(&entry.dn)),
    };
    let rows = people.iter().map(row).collect();
    Table { file: file.to_owned(), rows, headers, ragged: aside }
}

/// A file that was cut inside its last value reads as another value: `P040` for `P04001` is another person. The count of
/// the rows does not show it; a line end (in LDIF the empty line after the last entry) or a trailer does.
fn check_end(plan: &Plan, file: &SourceFile, text: &str) -> Result<(), Complaint> {
    let (whole, end) = match format(plan, file) {
        Format::Csv => {
            // One line alone is a header, in which a cut shows as a column that is missing.
            let one_line = !text.trim_end_matches(['\n', '\r']).contains(['\n', '\r']);
            (plan.config.trailer.is_some() || one_line || text.ends_with(['\n', '\r']), "a line end")
        }
        Format::Ldif => (ldif::ends(text), "an empty line"),
    };
    if whole || plan.config.unterminated == Unterminated::Allow {
        return Ok(());
    }
    let message = format!("{}: the file does not end with {end}; it may have been cut", file.name);
    let help = "let the export run again; if it always writes the file so, set `unterminated = \"allow\"`, or for CSV \
                better `trailer`";
    Err(Complaint::broken(message).with_help(help))
}

/// An export that holds nobody, or fewer than it must, is a failed export.
fn check_counts(plan: &Plan, found: u64) -> Result<(), Complaint> {
    let names: Vec<&str> = plan.people.iter().map(|file| file.name.as_str()).collect();
    let names = names.join(", ");
    if let Some(expected) = plan.config.expected_rows.filter(|expected| *expected != found) {
        return Err(Complaint::broken(format!("{names}: {found} people, and `expected_rows` says {expected}")));
    }
    if let Some(least) = plan.config.min_rows.filter(|least| found < *least) {
        return Err(Complaint::broken(format!("{names}: {found} people, and `min_rows` says at least {least}"))
            .with_help("find out why the export is so short"));
    }
    if found == 0 && plan.config.expected_rows.is_none() {
        return Err(Complaint::broken(format!("{names}: there is nobody in it, and that is not believed"))
            .with_help("find out why the export is empty; `expected_rows = 0` says that it should be"));
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::config::{Config, Delimiter, Encoding, Files, MembersBy, StatusWords, Unterminated};

    /// Settings as they are when only the people file is named.
    pub(crate) fn config() -> Config {
        Config {
            people: Files::One("people.csv".into()),
            groups: None,
            format: None,
            delimiter: Delimiter::Auto,
            encoding: Encoding::Utf8,
            columns: std::collections::BTreeMap::new(),
            status: StatusWords::default(),
            listed_means_active: false,
            date_formats: vec!["%Y-%m-%d".to_owned()],
            time_zone: None,
            cut_over: None,
            day_begins: None,
            sites: std::collections::BTreeMap::new(),
            authoritative: true,
            members_by: MembersBy::Id,
            empty_groups: Vec::new(),
            expected_rows: None,
            min_rows: None,
            trailer: None,
            unterminated: Unterminated::Refuse,
            max_age_hours: None,
            page_size: 500.try_into().expect("not zero"),
        }
    }
}
