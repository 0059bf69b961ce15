//! A plan for a script: one document, every name stable.

use lockstep_core::{Entry, Header, PlanDocument, Tally, TargetSection};
use serde::Serialize;

/// The document of `plan --json` and `show --json`.
#[derive(Debug, Serialize)]
pub struct PlanJson<'d> {
    /// `lockstep/plan/1` or `lockstep/show/1`.
    pub schema: &'d str,
    /// The digest that is approved.
    pub digest: &'d str,
    /// Where the plan stands on this machine.
    pub directory: Option<String>,
    /// The numbers of the summary line.
    pub tally: Tally,
    /// How many actions a guard holds.
    pub held: usize,
    /// What the plan is.
    pub header: &'d Header,
    /// One section for each target.
    pub targets: &'d [TargetSection],
    /// All actions.
    pub entries: Vec<&'d Entry>,
}

/// A plan as a document for scripts.
pub fn plan_json<'d>(plan: &'d PlanDocument, schema: &'d str, directory: Option<String>) -> PlanJson<'d> {
    PlanJson {
        schema,
        digest: &plan.digest,
        directory,
        tally: plan.tally(),
        held: plan.held(),
        header: &plan.header,
        targets: &plan.targets,
        entries: plan.entries.iter().collect(),
    }
}
