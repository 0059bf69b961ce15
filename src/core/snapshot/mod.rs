//! Snapshots: one complete reading of one side, held so compactly that a million people fit beside a million
//! cardholders.
//!
//! A row holds what is looked at for everybody; all text lies length-prefixed in an arena, repeated text (a department,
//! a job title) is held once, and so is each different set of groups or access levels. Nobody keeps a copy of a
//! [`Person`](lockstep_contract::Person) or [`Cardholder`](lockstep_contract::Cardholder): they are rebuilt for the few
//! that something is to be done about.
//!
//! This module must not decide anything, and must not let the order of arrival show: rows are sorted by id, and the
//! digest is over canonical content.

mod arena;
mod directory;
mod directory_builder;
mod links;
mod membership;
mod record;
mod sets;
mod table;
mod target;
mod target_builder;
mod texts;

pub use directory::{DirectorySnapshot, GroupState, GroupView, PersonRef};
pub use directory_builder::{Added, DirectoryBuilder};
pub use target::{CardholderRef, TargetSnapshot};
pub use target_builder::TargetBuilder;

pub(crate) use links::{LinkRef, LinkRows};
pub(crate) use record::KeyRef;
pub(crate) use table::hash_of;
pub(crate) use target::State;

/// A finished SHA-256 in hex.
fn hex(hasher: sha2::Sha256) -> String {
    use sha2::Digest as _;
    use std::fmt::Write as _;
    hasher.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // writing to a String cannot fail
        hex
    })
}
