//! TOML configuration and mapping files, checked, with a source span in every complaint.
//!
//! [`load`] is for every verb but one: it reads everything, complains about everything at once, and hands out nothing
//! unless all of it is right. [`load_lenient`] is for the emergency path only: it hands out whatever can be read.
//!
//! This crate knows no connector. What a `[[directory]]` or `[[target]]` table holds besides our own keys is kept as
//! [`Settings`] with its place in the file, and parsed by whoever knows the connector. Nothing here talks to a system,
//! and no secret is read: a configuration holds references only.

#![forbid(unsafe_code)]

mod complaint;
mod directories;
mod file;
mod lenient;
mod mapping;
mod redact;
mod reference;
mod settings;
mod table;
mod value;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use lockstep_contract::{DirectoryId, TargetId};
use lockstep_core::{Anchor, Limits, Missing, Policy};

pub use complaint::{ConfigError, ConfigErrors, Diagnostic};
pub use lenient::{LenientLoaded, load_lenient};
pub use mapping::{LoadedMapping, load_mapping};
pub use reference::{CONNECTOR_TITLE, core_reference, reference_markdown};
pub use settings::Settings;
pub use watch::{CensusWhen, WatchConfig};

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file, as it was named.
    pub path: PathBuf,
    /// The folder of the file, absolute: relative paths in it start here.
    pub base: PathBuf,
    /// SHA-256 of the file, in hex.
    pub digest: String,
    /// Where people and groups are read: of several, the one that says who exists.
    pub directory: DirectoryConfig,
    /// The other directories, in the order of the file.
    pub overlays: Vec<OverlayConfig>,
    /// The systems kept in step, ordered by id.
    pub targets: Vec<TargetConfig>,
    /// The folder of the database, the roster and the spool, absolute.
    pub state: PathBuf,
    /// Where the record of an emergency offboarding goes when the folder of the state does not take it, absolute.
    pub spool_second: Option<PathBuf>,
    /// The file that alerts are added to, absolute.
    pub alerts: PathBuf,
    /// How old the manual fallback may be before somebody is told.
    pub export_age: Duration,
    /// So many days exports are kept; the newest one always is.
    pub export_keep_days: u32,
    /// The age recipients that exports are encrypted to; empty: they are not encrypted.
    pub export_recipients: Vec<String>,
    /// The folder of plans, absolute.
    pub plans: PathBuf,
    /// The folder of the manual fallback, absolute.
    pub exports: PathBuf,
    /// How long one call to a system may take, with its retries of reads.
    pub call_budget: Duration,
    /// How long an emergency offboarding waits for one PACS before it says that it is not done there.
    pub offboard_patience: Duration,
    /// How many people one operator may put out within an hour without a second person.
    pub offboard_per_hour: usize,
    /// The rhythm of `sync --watch`.
    pub watch: WatchConfig,
}

impl Config {
    /// Every directory, the authority first.
    pub fn directories(&self) -> impl Iterator<Item = &DirectoryConfig> {
        std::iter::once(&self.directory).chain(self.overlays.iter().map(|overlay| &overlay.directory))
    }

    /// The target with this id.
    pub fn target(&self, id: &TargetId) -> Option<&TargetConfig> {
        self.targets.iter().find(|target| target.id == *id)
    }
}

/// One `[[directory]]`.
#[derive(Debug, Clone)]
pub struct DirectoryConfig {
    /// Its id.
    pub id: DirectoryId,
    /// Which connector speaks to it.
    pub kind: String,
    /// What that connector is told.
    pub settings: Settings,
}

/// A `[[directory]]` beside the one that says who exists.
#[derive(Debug, Clone)]
pub struct OverlayConfig {
    /// The directory.
    pub directory: DirectoryConfig,
    /// By what its people are recognised.
    pub anchor: Anchor,
    /// What it means that it does not know somebody.
    pub missing: Missing,
}

/// One `[[target]]`.
#[derive(Debug, Clone)]
pub struct TargetConfig {
    /// Its id.
    pub id: TargetId,
    /// Which connector speaks to it.
    pub kind: String,
    /// What that connector is told.
    pub settings: Settings,
    /// Who gets what there: the mapping file, checked.
    pub policy: Policy,
    /// What the guards hold plans to.
    pub limits: Limits,
    /// The mapping file, absolute.
    pub mapping: PathBuf,
}

/// A configuration that may be used, and what a person should still look at.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Allowed, but hardly meant.
    pub warnings: Vec<Diagnostic>,
}

/// Reads and checks a configuration with all its mapping files.
///
/// # Errors
/// Everything that is wrong in any of the files, each with its place and what to do.
pub fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
    file::load(path)
}
