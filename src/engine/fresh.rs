//! What a plan made just now says about an approved plan whose own reading is too old to be believed: which of its
//! actions it would do again, which of its matches it would make again, and which targets it could not read. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{Action, Step, Steps, Subject, TargetId};
use lockstep_core::{Code, Entry, EntryState, LinkProposal, PlanDocument};

type Doing<'a> = (&'a TargetId, &'a Subject, &'a Steps<Step>);

/// What the fresh plan would do with an action.
enum Again {
    /// The same.
    Yes,
    /// The same, but a guard holds it that held nothing of it when it was approved.
    Held,
}

/// The fresh plan, beside the approved one.
pub(crate) struct Fresh<'a> {
    document: &'a PlanDocument,
    again: BTreeMap<Doing<'a>, Again>,
}

fn doing(action: &Action) -> Doing<'_> {
    (&action.target, &action.subject, &action.steps)
}

/// The guards that hold an entry.
fn guards<'a>(document: &'a PlanDocument, entry: &'a Entry) -> BTreeSet<Option<Code>> {
    let trips = document.section(&entry.action.target).map_or(&[][..], |section| &section.trips);
    match &entry.state {
        // A place without a guard is a guard that nobody has overruled.
        EntryState::Held { trips: places } => places.iter().map(|at| trips.get(*at).map(|trip| trip.code)).collect(),
        EntryState::Standing | EntryState::NeedsApproval => BTreeSet::new(),
    }
}

impl<'a> Fresh<'a> {
    /// `approved`: the document that was approved. An action that runs although it was held there was let through by
    /// name, and the same guard need not be overruled twice.
    pub(crate) fn new(document: &'a PlanDocument, approved: Option<&PlanDocument>) -> Self {
        let overruled: BTreeMap<_, _> = approved
            .into_iter()
            .flat_map(|approved| approved.entries.iter().map(|entry| (doing(&entry.action), guards(approved, entry))))
            .collect();
        let again = document.entries.iter().map(|entry| {
            let guards = guards(document, entry);
            let known = overruled.get(&doing(&entry.action)).is_some_and(|known| guards.is_subset(known));
            (doing(&entry.action), if guards.is_empty() || known { Again::Yes } else { Again::Held })
        });
        Self { document, again: again.collect() }
    }

    /// False for a target that could not be read.
    pub(crate) fn has_read(&self, target: &TargetId) -> bool {
        self.document.section(target).is_some()
    }

    /// Why an approved action does not run, after all.
    pub(crate) fn why_not(&self, action: &Action) -> Option<&'static str> {
        match self.again.get(&doing(action)) {
            Some(Again::Yes) => None,
            Some(Again::Held) => Some("a guard would hold this in a plan made just now"),
            None => Some("a plan made just now would not do this any more"),
        }
    }

    /// The matches that were approved and would be made again.
    pub(crate) fn links(
        &self,
        approved: &BTreeMap<TargetId, Vec<LinkProposal>>,
    ) -> BTreeMap<TargetId, Vec<LinkProposal>> {
        let again = |target: &TargetId, one: &LinkProposal| {
            self.document.section(target).is_some_and(|section| {
                section.links.iter().any(|now| now.person == one.person && now.cardholder == one.cardholder)
            })
        };
        let of = |(target, links): (&TargetId, &Vec<LinkProposal>)| {
            (target.clone(), links.iter().filter(|one| again(target, one)).cloned().collect())
        };
        approved.iter().map(of).collect()
    }
}
