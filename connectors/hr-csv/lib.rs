//! Reads people and groups from CSV or LDIF files: the feed that small sites have.
//!
//! A file is believed only when it is whole: a header that makes sense, no row cut in the middle, the count its trailer
//! announces, and not older than configured. What is wrong with one row sets that row aside; what is wrong with the
//! file is a fault, and then nobody is said to be gone. This crate must not write, and must not guess: not the
//! encoding, not the order of day and month, not whether somebody still works here.

#![forbid(unsafe_code)]

mod changes;
mod columns;
mod config;
mod days;
mod decode;
mod directory;
mod feed;
mod groups;
mod ldif;
mod people;
mod source;
mod standing;
mod table;

pub use config::{Config, Delimiter, Encoding, Files, Format, MembersBy, Site, StatusWords, Unterminated};
pub use directory::{HrFeed, open};
