//! The result of examining one law. This module must not print.

use std::fmt;

use lockstep_contract::{ApplyFault, Fault};

/// What became of one law.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The connector keeps it.
    Kept,
    /// It could not be examined, and why.
    Skipped(String),
    /// The connector breaks it, and how.
    Broken(String),
}

/// One law and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The name of the law.
    pub law: &'static str,
    /// What it demands, in one sentence.
    pub says: &'static str,
    /// What became of it.
    pub outcome: Outcome,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Kept => write!(f, "{}: kept", self.law),
            Outcome::Skipped(why) => write!(f, "{}: skipped: {why}", self.law),
            Outcome::Broken(how) => write!(f, "{}: BROKEN: {how} (the law: {})", self.law, self.says),
        }
    }
}

/// Why the examination of a law ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// It does not apply, or cannot be brought about.
    Skip(String),
    /// It is broken.
    Broken(String),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Broken(format!("a call failed that should not: {fault}"))
    }
}

impl From<ApplyFault> for Stop {
    fn from(fault: ApplyFault) -> Self {
        Self::Broken(format!("a write failed that should not: {fault}"))
    }
}

impl From<Result<(), Stop>> for Outcome {
    fn from(result: Result<(), Stop>) -> Self {
        match result {
            Ok(()) => Self::Kept,
            Err(Stop::Skip(why)) => Self::Skipped(why),
            Err(Stop::Broken(how)) => Self::Broken(how),
        }
    }
}

/// The law is broken unless this holds.
pub(crate) fn hold(condition: bool, otherwise: impl FnOnce() -> String) -> Result<(), Stop> {
    if condition { Ok(()) } else { Err(Stop::Broken(otherwise())) }
}

/// A broken law.
pub(crate) fn broken<T>(how: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Broken(how.into()))
}

/// A law that was not examined.
pub(crate) fn skip<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Skip(why.into()))
}
