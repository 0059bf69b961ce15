//! A PACS that imports, simulated: an importer with the habits of real ones, by the same profiles as the connector and with
//! a reader of its own. Its habits are options; its records can be looked at and edited behind the connector's back.

mod faulty;
mod importer;
mod parser;
mod tables;
mod world;

pub use faulty::{Faulty, Operation};
pub use importer::{Importer, Running};
pub use tables::{TableImporter, schema};
pub use world::World;

#[cfg(test)]
pub(crate) use parser::parse as parse_for_tests;

/// What an importer does with two rows of one key in one file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// The later one counts.
    #[default]
    LastWins,
    /// The earlier one counts.
    FirstWins,
    /// The later one is an error.
    Reject,
}

/// The habits of an importer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// Two rows of one key.
    pub duplicates: Duplicates,
    /// A level that it does not know is made.
    pub creates_unknown_levels: bool,
    /// Whoever is not in a file of people is deleted.
    pub full_deletes_missing: bool,
    /// The importer stands still.
    pub stopped: bool,
    /// No export is written any more.
    pub stale_export: bool,
    /// It takes files, and does nothing of what they ask for.
    pub ignores_content: bool,
    /// It refuses every file.
    pub refuses: bool,
    /// It dies in the middle of the next file, and leaves it.
    pub crashes_while_reading: bool,
    /// Exports break off in the middle of a row.
    pub torn_export: bool,
    /// Exports lack their last rows.
    pub short_export: bool,
    /// Exports hold nobody.
    pub empty_export: bool,
    /// It takes only files that have a marker.
    pub wants_marker: bool,
}
