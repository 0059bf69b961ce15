//! The importer of files: it watches a folder, takes what is in it in the order of names, says so as its profile has it,
//! and leaves fresh exports.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::parser::parse;
use super::{Rules, World};
use crate::profile::{Acknowledgement, Encoding, Format, ImportProfile, LineEnd, TableName};

/// An importer of files with a PACS behind it.
#[derive(Debug)]
pub struct Importer {
    drop: PathBuf,
    exports: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    world: World,
    rules: Rules,
    /// Files that were imported and left where they are.
    left: BTreeSet<String>,
    /// Every file that was imported, in order.
    imported: Vec<String>,
}

/// An importer at work in the background. Stops when dropped.
#[derive(Debug)]
pub struct Running {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Importer {
    /// An importer on these folders, which are there.
    pub fn new(world: World, drop: &Path, exports: &Path) -> Arc<Self> {
        let state = State { world, rules: Rules::default(), left: BTreeSet::new(), imported: Vec::new() };
        Arc::new(Self { drop: drop.to_owned(), exports: exports.to_owned(), state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes its habits.
    pub fn set(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.state().rules);
    }

    /// Looks at the PACS, or changes it behind everybody's back.
    pub fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.state().world)
    }

    /// The files that were imported, in order.
    pub fn imported(&self) -> Vec<String> {
        self.state().imported.clone()
    }

    /// Works with this period in the background.
    pub fn run(self: &Arc<Self>, period: Duration) -> Running {
        let stop = Arc::new(AtomicBool::new(false));
        let (importer, ended) = (Arc::clone(self), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::SeqCst) {
                importer.tick();
                std::thread::sleep(period);
            }
        });
        Running { stop, thread: Some(thread) }
    }

    /// One look: takes what waits, and leaves an export. A folder that is away is looked at the next time.
    pub fn tick(&self) {
        self.import_all();
        self.export_all();
    }

    /// Takes what waits.
    pub fn import_all(&self) {
        let mut state = self.state();
        if state.rules.stopped {
            return;
        }
        let mut names: Vec<String> = fs::read_dir(&self.drop)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        let extension = state.world.profile.delivery.extension.clone();
        for name in names.iter().filter(|name| name.ends_with(&extension) && !name.starts_with('.')) {
            let marked = state.world.profile.delivery.marker.as_ref().map(|marker| format!("{name}{marker}"));
            let ready = !state.rules.wants_marker || marked.as_ref().is_some_and(|marker| names.contains(marker));
            if !ready || state.left.contains(name) {
                continue;
            }
            if std::mem::take(&mut state.rules.crashes_while_reading) {
                return;
            }
            self.import(&mut state, name);
            if let Some(marker) = marked {
                let _ = fs::remove_file(self.drop.join(marker));
            }
        }
    }

    fn import(&self, state: &mut State, name: &str) {
        let path = self.drop.join(name);
        let Ok(bytes) = fs::read(&path) else { return };
        let rules = state.rules;
        let table = table_of(name);
        let columns = state.world.profile.table(table).map(|table| table.columns.clone()).unwrap_or_default();
        let headers: Vec<&str> = columns.iter().map(|column| column.header.as_str()).collect();
        let errors = match parse(&bytes, &state.world.profile.file, &headers) {
            _ if rules.refuses => vec!["refused".to_owned()],
            _ if rules.ignores_content => Vec::new(),
            Ok(rows) => state.world.import(table, rows, rules),
            Err(why) => vec![why],
        };
        state.imported.push(name.to_owned());
        let delivery = state.world.profile.delivery.clone();
        let beside = |suffix: &str| self.drop.join(format!("{name}{suffix}"));
        // What fails here fails as it does for a real importer: the file stays, and is taken again.
        let _ = match delivery.acknowledgement {
            Acknowledgement::Vanished if errors.is_empty() => fs::remove_file(&path),
            Acknowledgement::Renamed if errors.is_empty() => fs::rename(&path, beside(&delivery.renamed)),
            Acknowledgement::Vanished | Acknowledgement::Renamed => {
                fs::rename(&path, beside(&delivery.renamed_on_error))
            }
            Acknowledgement::ResultFile => {
                fs::write(beside(&delivery.result_suffix), errors.join("\n")).and_then(|()| fs::remove_file(&path))
            }
            Acknowledgement::None => {
                state.left.insert(name.to_owned());
                Ok(())
            }
        };
    }

    /// Leaves an export of every table.
    pub fn export_all(&self) {
        let state = self.state();
        if state.rules.stale_export {
            return;
        }
        for table in [TableName::Levels, TableName::Memberships, TableName::Credentials, TableName::People] {
            let Some(columns) = state.world.profile.table(table) else { continue };
            let Some(pattern) = &columns.export else { continue };
            let mut rows = state.world.export(table);
            if state.rules.short_export {
                rows.truncate(rows.len() / 2);
            }
            if state.rules.empty_export {
                rows.clear();
            }
            let headers: Vec<String> = columns.columns.iter().map(|column| column.header.clone()).collect();
            let mut bytes = written(&state.world.profile, &headers, &rows);
            if state.rules.torn_export {
                bytes.truncate(bytes.len() * 2 / 3);
            }
            let name = pattern.replace('*', "");
            let beside = self.exports.join(format!(".{name}.part"));
            let _ = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, self.exports.join(name)));
        }
    }
}

fn table_of(name: &str) -> TableName {
    let named = |table: &str| {
        ["1-disable", "2-update", "3-create"].iter().any(|kind| name.contains(&format!("{kind}-{table}-")))
    };
    if named("credentials") {
        TableName::Credentials
    } else if named("memberships") {
        TableName::Memberships
    } else {
        TableName::People
    }
}

/// An export, written in the importer's own way: everything in quotation marks.
fn written(profile: &ImportProfile, headers: &[String], rows: &[Vec<String>]) -> Vec<u8> {
    let file = &profile.file;
    let end = if file.line_end == LineEnd::Crlf { "\r\n" } else { "\n" };
    let mut text = String::new();
    match file.format {
        Format::Csv => {
            let delimiter = file.delimiter.to_string();
            let line = |cells: &[String]| {
                let quoted: Vec<String> =
                    cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
                quoted.join(&delimiter) + end
            };
            if file.header {
                text.push_str(&line(headers));
            }
            text.extend(rows.iter().map(|row| line(row)));
            if let Some(sign) = &profile.export.count_row {
                text.push_str(&line(&[sign.clone(), rows.len().to_string()]));
            }
        }
        Format::Xml => {
            let _ = write!(text, "<{}>{end}", file.xml_root); // writing to a String cannot fail
            for row in rows {
                let cells = headers.iter().zip(row).map(|(header, cell)| {
                    let cell = cell.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                    format!("<{header}>{cell}</{header}>")
                });
                let _ = write!(text, "<{0}>{1}</{0}>{end}", file.xml_row, cells.collect::<String>());
            }
            let _ = write!(text, "</{}>{end}", file.xml_root);
        }
    }
    match file.encoding {
        Encoding::Utf8 => text.into_bytes(),
        Encoding::Utf8Bom => [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        Encoding::Utf16Le => [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect(),
        Encoding::Windows1252 => encoding_rs::WINDOWS_1252.encode(&text).0.into_owned(),
    }
}
