//! Pages of a list, and the census that proves a list complete.
//!
//! A list is complete only when a page says [`Next::End`], and only if its [`Census`] agrees with what arrived. A
//! connection that drops cannot look like the last page.

use serde::{Deserialize, Serialize};

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the order of the server.
    pub items: Vec<T>,
    /// How to go on.
    pub next: Next,
}

/// How to go on after a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// There is more; ask with this cursor.
    More(Cursor),
    /// This was the last page, and these counts prove it.
    End(Census),
}

/// Where to go on. Opaque to everybody but the connector that made it; never the same twice in one read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Cursor(pub String);

/// The counts by which the reader checks that nothing got lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Census {
    /// How many items the connector handed out over all pages, or set aside with a finding.
    pub sent: u64,
    /// How many the server says there are, where it says so.
    pub server_total: Option<u64>,
}
