//! What to type next, word for word, for a plan as it stands.

use lockstep_core::{Code, Entry, EntryState, Overrule, PlanDocument, Trip};

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

/// The people that guards hold for two persons to name, as `--only` takes them.
fn whom(plan: &PlanDocument) -> String {
    /// More than this nobody types; they are in the report.
    const NAMED_MAX: usize = 25;
    let held = plan.entries.iter().filter(|entry| overrule(plan, entry) == Some(Overrule::TwoPersons));
    let mut names: Vec<String> = held
        .map(|entry| match &entry.who.employee_number {
            Some(number) if number.chars().all(|c| c.is_ascii_alphanumeric()) => format!("employee:{number}"),
            _ => entry.action.id.as_str().get(..12).unwrap_or(entry.action.id.as_str()).to_owned(),
        })
        .collect();
    names.dedup();
    if names.len() > NAMED_MAX { "WHO…".into() } else { names.join(" ") }
}

/// Who may let through what holds this entry: the strictest guard decides. None when no guard holds it.
pub(crate) fn overrule(plan: &PlanDocument, entry: &Entry) -> Option<Overrule> {
    let EntryState::Held { trips } = &entry.state else { return None };
    let section = plan.section(&entry.action.target)?;
    trips.iter().filter_map(|at| section.trips.get(*at)).map(|trip| trip.overrule).max()
}

/// Guards that objected to something, not only to its being the first of its kind.
pub(crate) fn tripped(plan: &PlanDocument) -> bool {
    plan.targets.iter().flat_map(|section| &section.trips).any(|trip| !is_introduction(trip))
}

/// A mapped group could not be read whole: what rests on it is frozen, and a job that ends with success would hide it.
pub(crate) fn unread(plan: &PlanDocument) -> bool {
    plan.targets.iter().flat_map(|section| &section.findings).any(|finding| finding.code == Code::GroupUnreadable)
}

/// A first run or a changed mapping: everything waits for one person, and nothing is wrong.
fn is_introduction(trip: &Trip) -> bool {
    matches!(trip.code, Code::FirstRun | Code::PolicyChanged)
}

/// The next commands for a plan, one a line.
pub(crate) fn next(plan: &PlanDocument, dir: &PlanDir, again: &str) -> Vec<String> {
    let (states, shown) = (States::of(plan), format!("{}{again}", dir.shown()));
    let mut lines = Vec::new();
    if states.held > 0 {
        let loosest = |who| plan.entries.iter().filter(|entry| overrule(plan, entry) == Some(who)).count();
        if loosest(Overrule::OnePerson) > 0 {
            lines.push(format!(
                "let through what a guard holds (one person): lockstep approve {shown} --by NAME --overrule"
            ));
        }
        if loosest(Overrule::TwoPersons) > 0 {
            let whom = whom(plan);
            lines.push(format!(
                "let through what a guard holds (two persons, each naming whom): lockstep approve {shown} --by NAME --overrule --only {whom}"
            ));
        }
        if loosest(Overrule::Nobody) > 0 {
            lines.push("what no person can let through: mend the cause, then: lockstep plan".into());
        }
    }
    let lifts = plan.header.reinstate.is_some();
    if states.needs_approval > 0 || lifts {
        lines.push(format!("approve what waits: lockstep approve {shown} --by NAME"));
    }
    let introduced = plan.targets.iter().flat_map(|section| &section.trips).any(is_introduction);
    if states.is_empty() && introduced && !lifts {
        lines.push(format!("nothing to do; to have this mapping on record as approved: lockstep approve {shown} --by NAME, then lockstep apply {shown}"));
    }
    if !states.is_empty() || lifts {
        let what = if states.needs_approval + states.held == 0 && !lifts { "apply what may run" } else { "then apply" };
        lines.push(format!("{what}: lockstep apply {shown}"));
    }
    lines
}
