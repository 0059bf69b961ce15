//! What a vendor's simulator supplies: its answers, and its records as they are. This module must not know HTTP servers.

use lockstep_conformance::Trouble;
use lockstep_contract::{AccessLevelId, Cardholder, CardholderId};

use crate::message::{Reply, Request};

/// A vendor's server in memory. It keeps its records behind a lock of its own.
pub trait Vendor: Send + Sync + 'static {
    /// The answer to a request, by this vendor's rules and in its words.
    ///
    /// Trouble is what a test asks for, and strikes this request. Handed on are those that every vendor shows in its own way:
    /// `ShortList`, `RepeatedPage`, `IgnoredFilter`, `Refuse`, `Deny`, `Unauthenticated`, `Throttle`. The others are made by
    /// the server.
    fn answer(&self, request: &Request, trouble: Option<Trouble>) -> Reply;

    /// What a request is for, so that trouble can strike some and not others.
    fn purpose(&self, request: &Request) -> Purpose;

    /// Why this vendor's server cannot get into that trouble; `None` when it can.
    fn cannot(&self, _trouble: Trouble) -> Option<String> {
        None
    }

    /// A record as the server has it, in the words of the contract; by a way that shares nothing with the connector.
    fn record(&self, id: &CardholderId) -> Option<Cardholder>;

    /// The ids of all cardholders, those of the seed first and in its order.
    fn cardholders(&self) -> Vec<CardholderId>;

    /// The ids of the levels of the seed, in its order.
    fn levels(&self) -> Vec<AccessLevelId>;

    /// The settings of a `[[target]]` for this server, as TOML without `id` and `kind`. `root` is `http://127.0.0.1:PORT`.
    /// Secrets are named as `env:NAME`.
    fn settings(&self, root: &str) -> String;

    /// The secrets that [`settings`](Self::settings) names, with their values.
    fn secrets(&self) -> Vec<(&'static str, String)>;

    /// The settings as an operator would write them: the same, without the small pages that laws need.
    fn everyday(&self, root: &str) -> String {
        let lines = self.settings(root);
        lines.lines().filter(|line| !line.trim_start().starts_with("page_size")).collect::<Vec<_>>().join("\n")
    }

    /// The fewest requests that this vendor's interface allows, log-in and all: everybody is read once with their levels,
    /// by the largest pages there are; then so many of them, one after the other, are read, given one level and read again.
    /// `None` when it is not established.
    fn minimum(&self, _people: usize, _changes: usize) -> Option<usize> {
        None
    }
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// Log-in, log-out, keep-alive, version: nothing about records.
    Session,
    /// Access levels, types, doors.
    Catalog,
    /// A page of all cardholders.
    List,
    /// A look-up by key.
    Search,
    /// One record, or a part of it.
    Read,
    /// Anything that changes a record.
    Write,
}
