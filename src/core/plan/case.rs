//! One human as planning sees them, and what can become of them: the words that decisions are made in.

use jiff::Timestamp;
use lockstep_contract::{CorrelationKey, KeyKind, PersonId, Proof, Reduction, Situation, Step};

use super::correlate::Matches;
use super::entitle::{Rules, Settled, Stamps, Verdicts};
use super::holds::HoldIndex;
use super::notes::Notes;
use super::profile::{Fields, Values};
use super::words;
use crate::snapshot::LinkRef;
use crate::{CardholderRef, Hold, Inputs, LinkProposal, PersonRef};

/// Everything that decisions rest on, prepared once.
#[derive(Debug)]
pub(super) struct Planner<'a> {
    pub(super) inputs: Inputs<'a>,
    pub(super) matches: Matches<'a>,
    pub(super) rules: Rules<'a>,
    pub(super) fields: Fields<'a>,
    pub(super) holds: HoldIndex<'a>,
}

/// One human, as far as known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case<'a> {
    /// The person of the census or of a link; `None` for a cardholder held by name whom nobody accounts for.
    pub(super) id: Option<&'a PersonId>,
    pub(super) person: Option<PersonRef<'a>>,
    pub(super) link: Option<LinkRef<'a>>,
    pub(super) cardholder: Option<CardholderRef<'a>>,
    /// The kind of key by which an unlinked cardholder was found.
    pub(super) found: Option<KeyKind>,
}

/// What becomes of one human.
#[derive(Debug)]
pub(super) struct Judgement<'a> {
    pub(super) situation: Situation,
    pub(super) outcome: Outcome,
    pub(super) cause: Cause<'a>,
    pub(super) revoke: Vec<Reduction>,
    pub(super) stage: Vec<Step>,
    /// The key of a record to be created.
    pub(super) new: Option<CorrelationKey>,
    pub(super) link: Option<LinkProposal>,
}

/// As what a human counts in the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Provision,
    Change,
    Disable,
    Undecided,
    Unchanged,
}

/// Why access ends; `None` where it does not.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cause<'a> {
    None,
    Ended(Option<Timestamp>),
    Away(Option<Timestamp>),
    Outside,
    Gone(&'a Proof),
    Held(&'a Hold),
}

/// What is reused from person to person, and what is collected on the way.
#[derive(Debug, Default)]
pub(super) struct Work<'a> {
    pub(super) notes: Notes,
    /// For each group that leaves something open: how many people.
    pub(super) open: std::collections::BTreeMap<&'a lockstep_contract::GroupId, u64>,
    /// Who is active where people exist, while nobody knows what another directory would say: how many, and some names.
    pub(super) unconfirmed: (u64, Vec<String>),
    pub(super) verdicts: Verdicts,
    pub(super) settled: Settled,
    pub(super) has: Stamps,
    pub(super) yes: Stamps,
    pub(super) values: Values<'a>,
}

/// Whose a cardholder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belongs {
    Ours,
    OtherSite,
    NotOurs,
}

/// Which levels change.
#[derive(Debug, Default)]
pub(super) struct LevelChanges {
    pub(super) gains: Vec<u32>,
    pub(super) losses: Vec<u32>,
    /// Something could not be decided.
    pub(super) open: bool,
}

impl Judgement<'_> {
    pub(super) fn of(situation: Situation, outcome: Outcome) -> Self {
        Self { situation, outcome, cause: Cause::None, revoke: Vec::new(), stage: Vec::new(), new: None, link: None }
    }
}

impl Case<'_> {
    /// As people know them.
    pub(super) fn name(&self) -> String {
        match (self.person, self.cardholder, self.id) {
            (Some(person), _, _) => words::name(person),
            (None, cardholder, Some(id)) => words::absent(id, cardholder),
            (None, Some(cardholder), None) => words::cardholder(cardholder),
            (None, None, None) => String::new(),
        }
    }
}
