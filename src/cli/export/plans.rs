//! What recent plans have agreed to or wait with. Of several plans for one target the newest counts; what somebody
//! approved in an older one stays on the list until it is done or the plan expires.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{ActionId, CardholderId, RunId, TargetId};
use lockstep_core::{Approval, Entry, EntryState, PlanDocument};
use lockstep_view::{Urgency, rows};

use super::manifest::PlanFacts;
use super::open::{OpenWork, State, is_done, is_kept_out, record_of};
use super::reading::Reading;
use crate::cli::context::Context;
use crate::cli::plan_dir::PlanDir;
use crate::cli::worklist;

/// So many plans are looked at, the newest first.
const PLANS_MAX: usize = 20;

/// A plan that may still be applied.
pub(crate) struct Recent {
    document: PlanDocument,
    approvals: Vec<Approval>,
    /// The targets for which it is the newest one.
    newest_for: BTreeSet<TargetId>,
}

impl Recent {
    /// The run that made it, under which its actions are in the journal.
    pub(crate) const fn run(&self) -> RunId {
        self.document.header.run
    }

    fn is_approved(&self, id: &ActionId) -> bool {
        self.decisions().any(|one| one.only.as_ref().is_none_or(|only| only.contains(id)))
    }

    fn is_rejected(&self, id: &ActionId) -> bool {
        self.decisions().any(|one| one.reject.contains(id))
    }

    /// The decisions that are about this very plan.
    fn decisions(&self) -> impl Iterator<Item = &Approval> {
        self.approvals.iter().filter(|one| one.plan == self.document.digest)
    }

    /// Two people let through what a guard holds, each naming it.
    fn is_let_through(&self, id: &ActionId) -> bool {
        let named = |one: &&Approval| one.overrule && one.only.as_ref().is_some_and(|only| only.contains(id));
        self.decisions().filter(named).map(|one| one.by.to_lowercase()).collect::<BTreeSet<_>>().len() >= 2
    }

    /// How much this entry matters; nothing when it is not to be done by anybody.
    fn urgency(&self, entry: &Entry) -> Option<Urgency> {
        let id = &entry.action.id;
        let held = matches!(entry.state, EntryState::Held { .. });
        if self.is_rejected(id) || (held && !self.is_let_through(id)) {
            return None;
        }
        let agreed = entry.state == EntryState::Standing || self.is_approved(id);
        // An older plan of the same target is only a plan for what somebody said yes to.
        let counts = self.newest_for.contains(&entry.action.target) || (agreed && self.is_approved(id));
        counts.then_some(if agreed { Urgency::Agreed } else { Urgency::Waits })
    }
}

/// The plans that count, newest first.
pub(crate) fn recent(context: &Context, notes: &mut Vec<String>) -> Vec<Recent> {
    let entries = std::fs::read_dir(&context.config.plans).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    // The name of a plan is the id of its run, which sorts by time.
    names.retain(|name| name.to_string_lossy().parse::<uuid::Uuid>().is_ok());
    names.sort_unstable_by(|a, b| b.cmp(a));
    let mut covered = BTreeSet::new();
    let mut plans = Vec::new();
    for name in names.into_iter().take(PLANS_MAX) {
        let read =
            PlanDir::find(name.as_ref(), &context.config.plans).and_then(|dir| Ok((dir.document()?, dir.approvals()?)));
        let (document, approvals) = match read {
            Ok(read) => read,
            Err(failure) => {
                notes
                    .push(format!("A plan could not be read, so what it agreed to is missing here: {}.", failure.what));
                continue;
            }
        };
        if document.header.expires <= context.now() {
            continue;
        }
        let targets = document.targets.iter().map(|section| section.target.clone());
        let newest_for: BTreeSet<TargetId> = if document.header.directory.is_none() {
            targets.collect() // to undo or to reinstate: it stands beside what the directory says
        } else {
            targets.filter(|target| covered.insert(target.clone())).collect()
        };
        if !newest_for.is_empty() || !approvals.is_empty() {
            plans.push(Recent { document, approvals, newest_for });
        }
    }
    plans
}

/// Adds what these plans have agreed to or wait with.
pub(crate) fn add(
    plans: &[Recent],
    state: &State,
    readings: &BTreeMap<TargetId, Reading>,
    work: &mut OpenWork,
    held: &BTreeSet<(TargetId, CardholderId)>,
) {
    let mut listed: BTreeMap<String, usize> = BTreeMap::new();
    for plan in plans {
        for section in &plan.document.targets {
            work.catalogs.entry(section.target.clone()).or_insert_with(|| worklist::catalog(section));
        }
        for row in rows(&plan.document) {
            let action = &row.entry.action;
            let Some(urgency) = plan.urgency(row.entry) else { continue };
            if state.taken_up.contains(&action.id) || is_kept_out(action, held) || is_done(action, readings) {
                continue;
            }
            let mut task = worklist::task(row.entry, row.category);
            task.urgency = urgency;
            task.record = record_of(action, readings).cloned();
            let id = worklist::row_id(action);
            if let Some(known) = listed.get(&id).and_then(|at| work.tasks.get_mut(*at)) {
                known.urgency = known.urgency.min(urgency);
                continue;
            }
            listed.insert(id, work.tasks.len());
            work.tasks.push(task);
            work.plan.get_or_insert_with(|| PlanFacts {
                run: plan.document.header.run.to_string(),
                digest: plan.document.digest.clone(),
            });
        }
    }
}
