//! What the engine needs remembered, on disk: journal, links, holds, history, in one SQLite file; and the two things
//! that an emergency works with when that file cannot be had: the roster and the spool.
//!
//! Nothing here decides anything about people, and nothing here is ever made anew because it could not be read.

#![forbid(unsafe_code)]

mod db;
mod event;
mod files;
mod logic;
mod memory;
mod roster;
mod schema;
mod spool;
mod sqlite;
mod tables;
mod verify;
mod writer;

pub use memory::MemoryStore;
pub use roster::{Roster, RosterEntry, RosterError};
pub use spool::{
    Spool, SpoolError, SpoolFile, is_being_written, read_all, read_open, set_aside, set_aside_broken, set_aside_open,
};
pub use sqlite::SqliteStore;
