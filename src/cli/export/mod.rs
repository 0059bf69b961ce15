//! `export`: the manual fallback. For each PACS and each site of it a table and a printable page of who has what, read
//! from the PACS itself; and the worklist of everything that is open. It works with the directory, the PACS and the
//! state down: what cannot be read stays as it was last good, and its age is told.

mod last_seen;
mod manifest;
mod open;
mod plans;
mod reading;
mod reconcile;
mod register;
mod seal;
mod sets;
mod ticked;
mod writing;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use lockstep_view::{age_words, escape};
use serde::Serialize;

use crate::cli::Global;
use crate::cli::context::{Context, block_on};
use crate::cli::progress::stop_on_signal;
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

pub(crate) use manifest::Manifest;
#[cfg(test)]
pub(crate) use reconcile::Reconciled;

/// Write who has what on each PACS, and what is open
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Export {
    /// Write to this folder [default: the configured folder of exports]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Check that every file of a set is what was written
    Verify(Verify),
    /// Read back what people did by hand, from the worklist with its ticks, and put it on record
    Reconcile(reconcile::Reconcile),
}

/// Check that every file of a set is what was written
#[derive(Debug, Args)]
struct Verify {
    /// The folder of exports, or one set of it [default: the configured folder]
    dir: Option<PathBuf>,
}

/// The document of `export --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Exports<'a> {
    /// `lockstep/export/1`.
    schema: &'static str,
    /// The folder of exports.
    folder: String,
    /// The set that was written, below it.
    set: String,
    /// The page to start with.
    start: String,
    /// Each target.
    targets: &'a [Exported],
    /// How many records are on the worklist.
    open: usize,
    /// What could not be looked at.
    notes: &'a [String],
}

/// What became of one target's export.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct Exported {
    /// The target.
    pub target: String,
    /// How many cardholders were written.
    pub cardholders: usize,
    /// Why the old export was kept; none when a new one was written.
    pub fault: Option<String>,
    /// When the PACS was read, for the files that are there now; none when there are none.
    pub read_at: Option<String>,
    /// The files that are there now are older than they may be.
    pub too_old: bool,
}

/// The document of `export verify --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Verified {
    /// `lockstep/export-verify/1`.
    schema: &'static str,
    /// The set.
    set: String,
    /// When it was written.
    written_at: String,
    /// How many files it has.
    files: usize,
    /// Each thing that is not as it was written.
    complaints: Vec<String>,
    /// How old the reading of each target is.
    targets: Vec<Standing>,
}

/// How old the fallback of one target is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub(crate) struct Standing {
    /// The target.
    pub target: String,
    /// When the PACS was read.
    pub read_at: String,
    /// How old that is, in hours.
    pub age_hours: i64,
    /// Older than the configured limit.
    pub too_old: bool,
}

impl Export {
    pub(crate) fn run(self, global: &Global, terminal: Terminal) -> Result<Exit, Failure> {
        match self.what {
            None => export(global, terminal, self.out),
            Some(What::Verify(verify)) => verify.run(global, terminal),
            Some(What::Reconcile(reconcile)) => reconcile.run(global, terminal),
        }
    }
}

fn export(global: &Global, terminal: Terminal, out: Option<PathBuf>) -> Result<Exit, Failure> {
    let mut context = Context::load(global, terminal)?;
    if let Some(out) = out {
        context.config.exports = out;
    }
    let written = block_on(async {
        stop_on_signal(context.cancel.clone());
        writing::write(&context).await
    })?;
    let folder = &context.config.exports;
    let document = Exports {
        schema: "lockstep/export/1",
        folder: folder.display().to_string(),
        set: written.set.name(),
        start: folder.join(sets::START).display().to_string(),
        targets: &written.exported,
        open: written.manifest.worklist.rows,
        notes: &written.manifest.worklist.notes,
    };
    let now = context.now();
    terminal.show(&document, || text(&document, now))?;
    let failed = written.exported.iter().filter(|one| one.fault.is_some()).count();
    Ok(match failed {
        0 => Exit::Done,
        all if all == written.exported.len() => Exit::Unreadable,
        _ => Exit::Partial,
    })
}

/// Exports every target asked for, and the worklist. A failure to write is told, and fails nothing: the run is done,
/// and what was there before is still there.
pub(crate) async fn after_run(context: &Context) -> Vec<Exported> {
    match writing::write(context).await {
        Ok(written) => {
            tell(context, &written.exported);
            written.exported
        }
        Err(failure) => {
            context.terminal.say(&format!("! the manual fallback was not written: {failure}"));
            Vec::new()
        }
    }
}

/// The manifest of the newest set in a folder of exports; none when there is none.
pub(crate) fn manifest(folder: &Path) -> Result<Option<Manifest>, Failure> {
    Ok(sets::newest(folder)?.map(|(_, manifest)| manifest))
}

/// The page of everybody on a target, in the newest set.
pub(crate) fn page_of(folder: &Path, target: &str) -> Option<PathBuf> {
    let (set, manifest) = sets::newest(folder).ok()??;
    let page = &manifest.targets.get(target)?.files.first()?.page;
    Some(set.path.join(page))
}

/// How old the fallback of each target is, and whether that is too old.
pub(crate) fn standing(manifest: &Manifest, limit: std::time::Duration, now: Timestamp) -> Vec<Standing> {
    let each = manifest.targets.iter().filter_map(|(target, listed)| {
        let age = now.duration_since(listed.read_at.parse().ok()?);
        let too_old = is_too_old(age, limit);
        Some(Standing { target: target.clone(), read_at: listed.read_at.clone(), age_hours: age.as_hours(), too_old })
    });
    each.collect()
}

/// How far the clocks of two machines may be apart.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(10);

/// A reading that is dated in the future counts as too old: nobody knows how old it is.
fn is_too_old(age: SignedDuration, limit: std::time::Duration) -> bool {
    std::time::Duration::try_from(age).map_or(age < -CLOCKS_APART, |age| age > limit)
}

fn tell(context: &Context, exports: &[Exported]) {
    let now = context.now();
    for one in exports.iter().filter(|one| one.fault.is_some()) {
        context.terminal.say(&line(one, now));
    }
}

fn text(document: &Exports<'_>, now: Timestamp) -> String {
    let mut lines: Vec<String> = document.targets.iter().map(|one| line(one, now)).collect();
    lines.extend(document.notes.iter().map(|note| format!("! {}", escape::terminal(note))));
    lines.push(format!("Worklist: {} records are open.", document.open));
    lines.push(format!("Start here: {}", document.start));
    lines.join("\n")
}

fn line(one: &Exported, now: Timestamp) -> String {
    let target = &one.target;
    let fault = one.fault.as_deref().map(escape::terminal);
    match (fault, one.read_at.as_deref().and_then(|at| at.parse::<Timestamp>().ok())) {
        (None, _) => format!("{target}: {} cardholders written", one.cardholders),
        (Some(fault), Some(read_at)) => {
            let age = age_words(now.duration_since(read_at));
            let older =
                if one.too_old { " This is older than `export_age` allows: check the PACS itself." } else { "" };
            format!(
                "!!! {target}: NOT READ. The export of {} was kept; it is {age} old.{older}\n    {fault}",
                read_at.strftime("%Y-%m-%d %H:%M UTC")
            )
        }
        (Some(fault), None) => format!("!!! {target}: NOT READ, and there is no older export.\n    {fault}"),
    }
}

impl Verify {
    fn run(self, global: &Global, terminal: Terminal) -> Result<Exit, Failure> {
        // A set may be looked at where there is no configuration: on the stick it was copied to.
        let configured = lockstep_config::load(&crate::cli::context::config_path(global).unwrap_or_default()).ok();
        let config = configured.map(|loaded| loaded.config);
        let folder = match (self.dir, &config) {
            (Some(dir), _) => dir,
            (None, Some(config)) => config.exports.clone(),
            (None, None) => {
                return Err(Failure::new(Exit::Usage, "there is no configuration that names a folder of exports")
                    .next("name the folder: lockstep export verify DIR"));
            }
        };
        let set = if folder.join(manifest::MANIFEST).is_file() {
            folder
        } else {
            let newest = sets::list(&folder)?.pop().ok_or_else(|| {
                Failure::new(Exit::Failed, format!("there is no export in {}", folder.display()))
                    .next("write one: lockstep export")
            })?;
            newest.path
        };
        let manifest = Manifest::read(&set)?;
        let limit = config.map_or(DEFAULT_LIMIT, |config| config.export_age);
        let document = Verified {
            schema: "lockstep/export-verify/1",
            set: set.display().to_string(),
            written_at: manifest.written_at.clone(),
            files: manifest.files.len(),
            complaints: manifest.complaints(&set),
            targets: standing(&manifest, limit, Timestamp::now()),
        };
        terminal.show(&document, || document.text())?;
        Ok(if document.complaints.is_empty() { Exit::Done } else { Exit::Integrity })
    }
}

/// The limit of a set that no configuration belongs to.
const DEFAULT_LIMIT: std::time::Duration = std::time::Duration::from_secs(26 * 60 * 60);

impl Verified {
    fn text(&self) -> String {
        let mut lines: Vec<String> =
            self.complaints.iter().map(|complaint| format!("! {}", escape::terminal(complaint))).collect();
        lines.extend(self.targets.iter().map(|one| {
            let old = if one.too_old { " TOO OLD" } else { "" };
            format!("{}: read at {}, {} h old{old}", escape::terminal(&one.target), one.read_at, one.age_hours)
        }));
        let set = &self.set;
        lines.push(match self.complaints.len() {
            0 => format!("{set}: {} files, all as they were written at {}.", self.files, self.written_at),
            1 => format!("{set}: 1 thing is NOT as it was written. Do not rely on it; next: lockstep export"),
            many => {
                format!("{set}: {many} things are NOT as they were written. Do not rely on it; next: lockstep export")
            }
        });
        lines.join("\n")
    }
}
