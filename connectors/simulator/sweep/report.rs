//! What a sweep found. This module must not sweep.

use std::collections::BTreeMap;
use std::fmt;

/// A law that was broken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// In which operation.
    pub operation: String,
    /// With which of its requests, counted from zero; `None` without trouble.
    pub request: Option<usize>,
    /// What went wrong with it.
    pub mishap: String,
    /// How the law was broken.
    pub broken: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.request {
            Some(request) => write!(f, "{}, request {request}, {}: {}", self.operation, self.mishap, self.broken),
            None => write!(f, "{}, {}: {}", self.operation, self.mishap, self.broken),
        }
    }
}

/// What was done with one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swept {
    /// It was swept.
    Done {
        /// So many requests it makes.
        requests: usize,
        /// So many cases that made.
        cases: usize,
    },
    /// It does not apply, and why.
    NotApplicable(String),
}

/// What a sweep found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    name: &'static str,
    theme: &'static str,
    operations: BTreeMap<String, Swept>,
    excused: BTreeMap<(String, String), &'static str>,
    findings: Vec<Finding>,
}

impl Report {
    pub(crate) const fn new(name: &'static str, theme: &'static str) -> Self {
        Self { name, theme, operations: BTreeMap::new(), excused: BTreeMap::new(), findings: Vec::new() }
    }

    pub(crate) fn with(mut self, operation: &str, request: Option<usize>, mishap: &str, broken: Vec<String>) -> Self {
        self.findings.extend(broken.into_iter().map(|broken| Finding {
            operation: operation.to_owned(),
            request,
            mishap: mishap.to_owned(),
            broken,
        }));
        self
    }

    pub(crate) fn swept(&mut self, operation: &str, requests: usize, cases: usize) {
        self.operations.insert(operation.to_owned(), Swept::Done { requests, cases });
    }

    pub(crate) fn not_applicable(&mut self, operation: &str, why: &str) {
        self.operations.insert(operation.to_owned(), Swept::NotApplicable(why.to_owned()));
    }

    pub(crate) fn excuse(&mut self, operation: &str, mishap: &str, why: &'static str) {
        self.excused.insert((operation.to_owned(), mishap.to_owned()), why);
    }

    pub(crate) fn sorted(mut self) -> Self {
        self.findings.sort();
        self
    }

    /// The laws that were broken.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What was done, by operation.
    pub const fn operations(&self) -> &BTreeMap<String, Swept> {
        &self.operations
    }

    /// Leaves its outcome for the table of the conformance suite.
    ///
    /// # Panics
    /// When a law was broken: it shows which, how often, and the first cases of each.
    pub fn assert_kept(&self) {
        let lines = self.operations.iter().map(|(operation, swept)| {
            let broken = self.findings.iter().filter(|finding| finding.operation == *operation).count();
            let outcome = match (swept, broken) {
                (Swept::NotApplicable(why), _) => lockstep_conformance::Outcome::Skipped(why.clone()),
                (Swept::Done { .. }, 0) => lockstep_conformance::Outcome::Kept,
                (Swept::Done { .. }, n) => lockstep_conformance::Outcome::Broken(format!("{n} cases")),
            };
            (format!("{}: {operation}", self.theme), outcome)
        });
        lockstep_conformance::leave_outcomes(self.name, lines);
        assert!(self.findings.is_empty(), "{self}");
    }
}

/// So many cases are shown of each kind.
const SHOWN_MAX: usize = 3;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} cases break a law", self.name, self.findings.len())?;
        let mut kinds: BTreeMap<(&str, &str), Vec<&Finding>> = BTreeMap::new();
        for finding in &self.findings {
            // The same sentence about other records is the same kind.
            let kind = finding.broken.split(['`', '(']).next().unwrap_or_default();
            kinds.entry((&finding.mishap, kind)).or_default().push(finding);
        }
        for ((mishap, kind), all) in kinds {
            writeln!(f, "{} × {mishap}: {kind}", all.len())?;
            for finding in all.iter().take(SHOWN_MAX) {
                writeln!(f, "    {finding}")?;
            }
        }
        for (operation, swept) in &self.operations {
            match swept {
                Swept::Done { requests, cases } => writeln!(f, "{operation}: {requests} requests, {cases} cases")?,
                Swept::NotApplicable(why) => writeln!(f, "{operation}: not applicable: {why}")?,
            }
        }
        for ((operation, mishap), why) in &self.excused {
            writeln!(f, "{operation}, {mishap}: not examined: {why}")?;
        }
        Ok(())
    }
}
