//! What to type next, word for word, for a plan as it stands.

use lockstep_core::{Code, EntryState, Overrule, PlanDocument, Trip};

use crate::cli::plan_dir::PlanDir;

/// How many actions of a plan are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub(crate) struct States {
    /// May run unattended.
    pub standing: usize,
    /// Wait for a named person.
    pub needs_approval: usize,
    /// Held by a guard.
    pub held: usize,
}

impl States {
    /// Counts.
    pub(crate) fn of(plan: &PlanDocument) -> Self {
        let mut states = Self::default();
        for entry in &plan.entries {
            match entry.state {
                EntryState::Standing => states.standing += 1,
                EntryState::NeedsApproval => states.needs_approval += 1,
                EntryState::Held { .. } => states.held += 1,
            }
        }
        states
    }

    /// Nothing to do at all.
    pub(crate) const fn is_empty(self) -> bool {
        self.standing + self.needs_approval + self.held == 0
    }
}

/// Guards that objected to something, not only to its being the first of its kind.
pub(crate) fn tripped(plan: &PlanDocument) -> bool {
    plan.targets.iter().flat_map(|section| &section.trips).any(|trip| !is_introduction(trip))
}

/// A first run or a changed mapping: everything waits for one person, and nothing is wrong.
fn is_introduction(trip: &Trip) -> bool {
    matches!(trip.code, Code::FirstRun | Code::PolicyChanged)
}

/// The next commands for a plan, one a line.
pub(crate) fn next(plan: &PlanDocument, dir: &PlanDir) -> Vec<String> {
    let (states, shown) = (States::of(plan), dir.shown());
    let mut lines = Vec::new();
    if states.held > 0 {
        let loosest = |overrule| {
            let trips = plan.targets.iter().flat_map(|section| &section.trips);
            trips.filter(|trip| !trip.holds.is_empty() && trip.overrule == overrule).count()
        };
        if loosest(Overrule::OnePerson) > 0 {
            lines.push(format!("let through what a guard holds (one person): lockstep approve {shown} --by NAME --overrule"));
        }
        if loosest(Overrule::TwoPersons) > 0 {
            lines.push(format!(
                "let through what a guard holds (two persons, each naming whom): lockstep approve {shown} --by NAME --overrule --only WHO"
            ));
        }
        if loosest(Overrule::Nobody) > 0 {
            lines.push("what no person can let through: mend the cause, then: lockstep plan".into());
        }
    }
    if states.needs_approval > 0 {
        lines.push(format!("approve what waits: lockstep approve {shown} --by NAME"));
    }
    let introduced = plan.targets.iter().flat_map(|section| &section.trips).any(is_introduction);
    if states.is_empty() && introduced {
        lines.push(format!("nothing to do; to have this mapping on record as approved: lockstep approve {shown} --by NAME, then lockstep apply {shown}"));
    }
    if !states.is_empty() {
        let what = if states.standing > 0 { "apply what may run" } else { "then apply" };
        lines.push(format!("{what}: lockstep apply {shown}"));
    }
    lines
}
