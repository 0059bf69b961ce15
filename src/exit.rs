//! Exit codes and failures: the one place where an outcome becomes a number that scripts rely on.

use std::fmt;

/// What a verb ends with. The numbers are a contract with scripts and never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// Failed; nothing was written to any PACS.
    Failed = 1,
    /// There are changes (only with `--detailed-exitcode`).
    Changes = 2,
    /// A guard tripped, or an approval is needed.
    Held = 3,
    /// Done in part: something is not verified or was not reached.
    Partial = 4,
    /// A source, or a mapped group, could not be read whole; nothing that rests on it was planned.
    Unreadable = 5,
    /// The plan was refused.
    Refused = 6,
    /// Another run holds the lease.
    Busy = 7,
    /// State, journal or log does not verify.
    Integrity = 8,
    /// Wrong usage.
    Usage = 64,
    /// Configuration or mapping invalid.
    Config = 78,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A verb could not do its work. Says what happened, what was not done, and what to type next.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The number.
    pub exit: Exit,
    /// What happened, to whom, where.
    pub what: String,
    /// What was not done.
    pub not_done: Option<String>,
    /// The next command or step.
    pub next: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), not_done: None, next: None }
    }

    pub(crate) fn not_done(mut self, what: impl Into<String>) -> Self {
        self.not_done = Some(what.into());
        self
    }

    pub(crate) fn next(mut self, step: impl Into<String>) -> Self {
        self.next = Some(step.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(not_done) = &self.not_done {
            write!(f, "\n  not done: {not_done}")?;
        }
        if let Some(next) = &self.next {
            write!(f, "\n  next: {next}")?;
        }
        Ok(())
    }
}
