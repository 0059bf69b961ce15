//! Who is held out by a named offboarding, and what lifts that. A hold is never deleted: it is lifted by name, and both
//! stay known.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use lockstep_contract::{
    CardholderId, CorrelationKey, CorrelationKeys, PersonId, RunId, TargetId, canonical_json, sha256_hex,
};
use serde::{Deserialize, Serialize};

/// Which offboarding held somebody out. However often its record is read again, it is the same one.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HoldId(String);

impl HoldId {
    /// The person named at this place (from 0) of one command.
    pub fn of(run: RunId, nth: usize) -> Self {
        Self(format!("{run}/{nth}"))
    }

    fn is_unknown(&self) -> bool {
        self.0.is_empty()
    }

    /// True when it was set by this run.
    pub fn is_of_run(&self, run: RunId) -> bool {
        self.0.split_once('/').is_some_and(|(own, _)| own == run.to_string())
    }
}

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A person who must stay out until reinstated by name (S8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Which offboarding set it. Several holds may be of one: one for each way to know the person.
    #[serde(default, skip_serializing_if = "HoldId::is_unknown")]
    pub id: HoldId,
    /// The person, where known.
    pub person: Option<PersonId>,
    /// The cardholders, on this target.
    pub cardholders: Vec<CardholderId>,
    /// The keys named when the hold was set.
    pub keys: CorrelationKeys,
    /// Who set it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

impl Hold {
    /// The same, with an id: one that names no offboarding is known by what it says.
    #[must_use]
    pub fn identified(mut self) -> Self {
        if self.id.is_unknown() {
            self.id = HoldId(sha256_hex(&canonical_json(&self)));
        }
        self
    }

    /// True when it is on this human, by any of the ways to know them.
    pub fn is_on<'k>(
        &self,
        person: Option<&PersonId>,
        cardholder: Option<&CardholderId>,
        keys: impl IntoIterator<Item = &'k CorrelationKey>,
    ) -> bool {
        (person.is_some() && self.person.as_ref() == person)
            || cardholder.is_some_and(|cardholder| self.cardholders.contains(cardholder))
            || keys.into_iter().any(|key| self.keys.contains(key))
    }
}

/// All holds in force. They always win.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds(pub Vec<Hold>);

impl Holds {
    /// The hold on this human, if there is one, by any of the ways to know them.
    pub fn on<'k>(
        &self,
        person: Option<&PersonId>,
        cardholder: Option<&CardholderId>,
        keys: impl IntoIterator<Item = &'k CorrelationKey>,
    ) -> Option<&Hold> {
        if self.0.is_empty() {
            return None;
        }
        let keys: Vec<_> = keys.into_iter().collect();
        self.0.iter().find(|hold| hold.is_on(person, cardholder, keys.iter().copied()))
    }
}

/// A hold as people know it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldBy {
    /// Which offboarding.
    pub hold: HoldId,
    /// Since when.
    pub since: Timestamp,
    /// Who set it.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl From<&Hold> for HeldBy {
    fn from(hold: &Hold) -> Self {
        Self { hold: hold.id.clone(), since: hold.since, by: hold.by.clone(), reason: hold.reason.clone() }
    }
}

/// What a plan that reinstates somebody by name lifts, besides what its actions give back. Part of its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reinstatement {
    /// Who, as named.
    pub who: String,
    /// Why they may come back.
    pub reason: String,
    /// Every hold on them when the plan was made. One that is set later is another one, and wins.
    pub holds: BTreeSet<HeldBy>,
    /// The names by which they are known: nobody approves their own return.
    pub names: BTreeSet<String>,
    /// Who they are in the directory.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub people: BTreeSet<PersonId>,
    /// Their keys; no card numbers.
    #[serde(default, skip_serializing_if = "CorrelationKeys::is_empty")]
    pub keys: CorrelationKeys,
    /// Their records.
    pub records: BTreeMap<TargetId, BTreeSet<CardholderId>>,
    /// Where nothing was looked at, so that nothing is given back there.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub left_out: BTreeSet<TargetId>,
}

impl Reinstatement {
    /// The hold that is on the same human and that nobody said to lift: somebody put them out again since. `holds` are
    /// those in force on `target`.
    pub fn newer<'h>(&self, target: &TargetId, holds: &'h Holds) -> Option<&'h Hold> {
        let records = self.records.get(target);
        holds.0.iter().find(|hold| {
            let same = hold.person.as_ref().is_some_and(|person| self.people.contains(person))
                || hold.cardholders.iter().any(|id| records.is_some_and(|records| records.contains(id)))
                || hold.keys.iter().any(|key| self.keys.contains(key));
            same && self.holds.iter().all(|known| known.hold != hold.id)
        })
    }
}

/// Holds that were lifted by name, for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lift {
    /// The plan that said so.
    pub run: RunId,
    /// When.
    pub at: Timestamp,
    /// Who asked for it.
    pub by: Option<String>,
    /// Who said yes.
    pub approved_by: BTreeSet<String>,
    /// What, and of whom.
    pub what: Reinstatement,
}

impl Lift {
    /// True when it lifted this hold.
    pub fn lifted(&self, hold: &HoldId) -> bool {
        self.what.holds.iter().any(|held| held.hold == *hold)
    }

    /// True when it put an end to what this run was to do to this record.
    pub fn ended(&self, run: RunId, target: &TargetId, record: &CardholderId) -> bool {
        self.what.holds.iter().any(|held| held.hold.is_of_run(run))
            && self.what.records.get(target).is_some_and(|records| records.contains(record))
    }
}
