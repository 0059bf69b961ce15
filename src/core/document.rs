//! The plan as a document: what is written to `plan.jsonl`, shown to people, approved by digest, and read again to be
//! applied. It leaves no choice to the apply step and holds no secrets.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockstep_contract::{Action, ActionId, DirectoryId, RunId, Subject, TargetId, TargetInfo};
use serde::{Deserialize, Serialize};

use crate::guard::Guarded;
use crate::{Facts, Finding, LaneKind, Limits, LinkProposal, Occasion, Reinstatement, Tally, Trip, Who};

/// The format name in the header. A reader refuses any other.
pub const PLAN_FORMAT: &str = "lockstep/plan/1";

/// A whole plan over one or more targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanDocument {
    /// What it is.
    pub header: Header,
    /// One section for each target, ordered by id.
    pub targets: Vec<TargetSection>,
    /// All actions: revoke lane before stage lane, then by target and subject.
    pub entries: Vec<Entry>,
    /// SHA-256 over the canonical lines, in hex: what is approved.
    pub digest: String,
}

/// What a plan is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`PLAN_FORMAT`].
    pub format: String,
    /// The run that made it.
    pub run: RunId,
    /// When.
    pub created: Timestamp,
    /// Until when it may be approved and applied.
    pub expires: Timestamp,
    /// The version of the program.
    pub version: String,
    /// The directory that was read; `None` for a rollback or a reinstatement, which read none.
    pub directory: Option<DirectoryId>,
    /// SHA-256 of the configuration file.
    pub config_digest: String,
    /// Who asked for it, where that is one person, who may not approve it then (T04).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How it came about.
    #[serde(default, skip_serializing_if = "Occasion::is_run")]
    pub occasion: Occasion,
    /// Whom it lets back in, after an offboarding by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reinstate: Option<Reinstatement>,
}

/// What a plan says about one target as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetSection {
    /// The target.
    pub target: TargetId,
    /// The kind of connector.
    pub kind: String,
    /// Where it is.
    pub endpoint: String,
    /// Binds the plan to this very system.
    pub fingerprint: String,
    /// What was read.
    pub facts: Facts,
    /// The numbers.
    pub tally: Tally,
    /// The limits in force.
    pub limits: Limits,
    /// Guards that tripped.
    pub trips: Vec<Trip>,
    /// What is worth saying.
    pub findings: Vec<Finding>,
    /// Links to record when the plan is applied.
    pub links: Vec<LinkProposal>,
}

/// One action with what a reviewer needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Which lane.
    pub lane: LaneKind,
    /// Whether it may run.
    pub state: EntryState,
    /// Whose record, for reading.
    pub who: Who,
    /// What would be done.
    pub action: Action,
}

/// Whether an action may run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum EntryState {
    /// Guarded, and policy lets it run unattended.
    Standing,
    /// Guarded; waits for a named person.
    NeedsApproval,
    /// Held by the guards at these places in the target's `trips`.
    Held {
        /// Indexes into [`TargetSection::trips`].
        trips: Vec<usize>,
    },
}

impl Entry {
    /// By which entries of a plan are ordered.
    pub(crate) fn order(&self) -> (LaneKind, &TargetId, &Subject, &ActionId) {
        (self.lane, &self.action.target, &self.action.subject, &self.action.id)
    }
}

impl PlanDocument {
    /// Puts together what was judged, target by target. Each target is there once; a reader refuses a document in which
    /// one is there twice.
    pub fn build(header: Header, judged: Vec<(TargetInfo, Guarded)>) -> Self {
        let mut targets = Vec::with_capacity(judged.len());
        let mut entries = Vec::new();
        for (info, guarded) in judged {
            targets.push(take(info, guarded, &mut entries));
        }
        targets.sort_by(|a, b| a.target.cmp(&b.target));
        entries.sort_by(|a, b| a.order().cmp(&b.order()));
        let mut document = Self { header, targets, entries, digest: String::new() };
        document.digest = crate::jsonl::digest(&document);
        document
    }

    /// The section of a target.
    pub fn section(&self, target: &TargetId) -> Option<&TargetSection> {
        self.targets.iter().find(|section| section.target == *target)
    }

    /// The actions of one state, in order.
    pub fn in_state<'a>(&'a self, state: impl Fn(&EntryState) -> bool + 'a) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| state(&entry.state))
    }

    /// True for a rollback or a reinstatement: it was made from before-images, and no directory was read.
    pub const fn is_undo(&self) -> bool {
        self.header.directory.is_none()
    }

    /// How many actions are held.
    pub fn held(&self) -> usize {
        self.in_state(|state| matches!(state, EntryState::Held { .. })).count()
    }

    /// The sum of all targets' tallies.
    pub fn tally(&self) -> Tally {
        self.targets.iter().fold(Tally::default(), |sum, section| Tally {
            provision: sum.provision + section.tally.provision,
            change: sum.change + section.tally.change,
            disable: sum.disable + section.tally.disable,
            undecided: sum.undecided + section.tally.undecided,
            unchanged: sum.unchanged + section.tally.unchanged,
            orphans: sum.orphans + section.tally.orphans,
        })
    }

    /// Trips by target, for summaries.
    pub fn trips(&self) -> BTreeMap<&TargetId, &[Trip]> {
        self.targets.iter().map(|section| (&section.target, section.trips.as_slice())).collect()
    }
}

/// Takes a judged draft apart: its actions become entries, the rest a section.
fn take(info: TargetInfo, guarded: Guarded, entries: &mut Vec<Entry>) -> TargetSection {
    let Guarded { draft, limits, trips, mut states } = guarded;
    let mut who = draft.who;
    let mut entry = |lane, action: Action| Entry {
        lane,
        // An action without a state cannot come out of the guards; if it could, it would wait.
        state: states.remove(&action.id).unwrap_or(EntryState::NeedsApproval),
        who: who.remove(&action.id).unwrap_or_default(),
        action,
    };
    entries.extend(draft.revoke.actions.iter().map(|action| entry(LaneKind::Revoke, action.to_steps())));
    entries.extend(draft.stage.actions.into_iter().map(|action| entry(LaneKind::Stage, action)));
    TargetSection {
        target: draft.target,
        kind: info.kind,
        endpoint: info.endpoint,
        fingerprint: info.fingerprint,
        facts: draft.facts,
        tally: draft.tally,
        limits,
        trips,
        findings: draft.findings,
        links: draft.links,
    }
}
