//! Who is held out, human by human: which holds are on one, which records are theirs, and what was taken from them. From
//! what the memory has; no I/O.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lockstep_contract::{
    Cardholder, CardholderId, CorrelationKey, CorrelationKeys, KeyKind, PersonId, Situation, TargetId,
};
use lockstep_core::{ActionState, HeldBy, HoldId, Holds, Lift, Links, Taken};

use crate::JournalEntry;
use crate::judging::only_reduces;

/// What the memory has of every target.
pub type Memory = BTreeMap<TargetId, (Links, Holds)>;

/// One human who is held out, by everything that is known of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldOut {
    /// Every hold on them.
    pub holds: BTreeSet<HeldBy>,
    /// Who they are in the directory.
    pub people: BTreeSet<PersonId>,
    /// Their records.
    pub records: BTreeMap<TargetId, BTreeSet<CardholderId>>,
    /// Their keys, without card numbers.
    pub keys: BTreeSet<CorrelationKey>,
}

impl HeldOut {
    /// True for two offboardings of one human. A key alone is a name only where one of them has nothing better:
    /// several humans may have it.
    fn is(&self, other: &Self) -> bool {
        let records = |one: &Self| {
            let all = one.records.iter().flat_map(|(target, ids)| ids.iter().map(|id| (target.clone(), id.clone())));
            all.collect::<BTreeSet<_>>()
        };
        let by_key_alone = |one: &Self| one.people.is_empty() && one.records.is_empty();
        !self.people.is_disjoint(&other.people)
            || !records(self).is_disjoint(&records(other))
            || ((by_key_alone(self) || by_key_alone(other)) && !self.keys.is_disjoint(&other.keys))
    }

    fn take(&mut self, other: Self) {
        self.holds.extend(other.holds);
        self.people.extend(other.people);
        for (target, records) in other.records {
            self.records.entry(target).or_default().extend(records);
        }
        self.keys.extend(other.keys);
    }

    /// Adds what the links say: the person behind a record, the records and the keys of a person.
    fn follow(&mut self, memory: &Memory) {
        for (target, (links, _)) in memory {
            let known = self.records.get(target).into_iter().flatten();
            let behind: Vec<_> = known.filter_map(|record| links.of_cardholder(record)).collect();
            self.people.extend(behind.into_iter().map(|link| link.person));
        }
        for (target, (links, _)) in memory {
            for link in self.people.iter().filter_map(|person| links.of_person(person)) {
                self.records.entry(target.clone()).or_default().insert(link.cardholder);
                self.keys.extend(link.keys.iter().filter(|key| key.kind() != KeyKind::Card).cloned());
            }
        }
    }

    /// True when this record is this human's by what is remembered.
    pub fn has(&self, target: &TargetId, record: &CardholderId) -> bool {
        self.records.get(target).is_some_and(|records| records.contains(record))
    }

    /// True when one of these keys is this human's; a key of the directory may be the id of the person.
    pub fn is_named_by(&self, keys: &[CorrelationKey]) -> bool {
        let is_person = |key: &CorrelationKey| {
            key.kind() == KeyKind::Directory && self.people.iter().any(|person| person.to_string() == key.value())
        };
        keys.iter().any(|key| self.keys.contains(key) || is_person(key))
    }

    /// True when this record is this human's.
    pub fn owns(&self, target: &TargetId, record: &Cardholder) -> bool {
        self.has(target, &record.id) || record.keys.iter().any(|key| self.keys.contains(key))
    }

    /// The keys by which a newer hold on the same human is known.
    pub fn own_keys(&self, everybody: &[Self]) -> CorrelationKeys {
        let others: BTreeSet<_> =
            everybody.iter().filter(|other| other.holds != self.holds).flat_map(|other| &other.keys).collect();
        self.keys.iter().filter(|key| !others.contains(key)).cloned().collect()
    }

    /// What was taken from one record because of these holds, in the order of taking: by the offboarding itself, and by
    /// later runs that kept the person out. `lifts`: what ended before is no matter of these holds.
    ///
    /// # Errors
    /// With an action of which nobody knows yet what became of it.
    pub fn taken(&self, journal: Vec<JournalEntry>, lifts: &[Lift]) -> Result<Vec<Taken>, Box<JournalEntry>> {
        let mut taken = Vec::new();
        for entry in journal {
            if !only_reduces(&entry.intent.action) || !self.is_because_of_these(&entry, lifts) {
                continue;
            }
            match (entry.state, &entry.intent.before) {
                // Diverged: part of it may have been done, and each part is looked at by itself.
                (ActionState::Verified | ActionState::Diverged, Some(before)) => {
                    taken.push(Taken { action: entry.intent.action.clone(), before: before.clone() });
                }
                (ActionState::Verified | ActionState::Diverged, None)
                | (ActionState::Refused | ActionState::Withdrawn, _) => {}
                (
                    ActionState::Pending | ActionState::Intended | ActionState::Acknowledged | ActionState::Uncertain,
                    _,
                ) => return Err(Box::new(entry)),
            }
        }
        Ok(taken)
    }

    fn is_because_of_these(&self, entry: &JournalEntry, lifts: &[Lift]) -> bool {
        let intent = &entry.intent;
        let of = |held: &HeldBy| held.hold.is_of_run(intent.run);
        if self.holds.iter().any(of) {
            return true;
        }
        let since = self.holds.iter().map(|held| held.since).min().unwrap_or(Timestamp::MIN);
        let lifted = lifts.iter().filter(|lift| self.was_let_in_by(lift)).map(|lift| lift.at).max();
        intent.action.because.situation == Situation::Held
            && !lifts.iter().flat_map(|lift| &lift.what.holds).any(of)
            && intent.at >= since
            && lifted.is_none_or(|lifted| intent.at > lifted)
    }

    fn was_let_in_by(&self, lift: &Lift) -> bool {
        let shared = |(target, records): (_, &BTreeSet<CardholderId>)| {
            self.records.get(target).is_some_and(|own| !own.is_disjoint(records))
        };
        !lift.what.people.is_disjoint(&self.people) || lift.what.records.iter().any(shared)
    }

    /// One line for choosing between several.
    pub fn line(&self) -> String {
        let holds: Vec<String> = self.holds.iter().map(|hold| format!("since {} by {}", hold.since, hold.by)).collect();
        let keys = self.keys.iter().map(ToString::to_string);
        let records = self
            .records
            .iter()
            .flat_map(|(target, records)| records.iter().map(move |record| format!("cardholder:{target}/{record}")));
        let people = self.people.iter().map(|person| format!("directory:{person}"));
        let known: Vec<String> = keys.chain(records).chain(people).collect();
        format!("{} (held out {})", known.join(", "), holds.join("; "))
    }
}

/// Everybody who is held out.
pub fn held_out(memory: &Memory) -> Vec<HeldOut> {
    let mut by_hold: BTreeMap<HoldId, HeldOut> = BTreeMap::new();
    for (target, (_, holds)) in memory {
        for hold in &holds.0 {
            let person = by_hold.entry(hold.id.clone()).or_default();
            person.holds.insert(HeldBy::from(hold));
            person.people.extend(hold.person.clone());
            person.keys.extend(hold.keys.iter().filter(|key| key.kind() != KeyKind::Card).cloned());
            if !hold.cardholders.is_empty() {
                person.records.entry(target.clone()).or_default().extend(hold.cardholders.iter().cloned());
            }
        }
    }
    let mut all: Vec<HeldOut> = Vec::new();
    for mut person in by_hold.into_values() {
        person.follow(memory);
        // Two who were two may turn out to be one through a third.
        let (same, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|other| person.is(other));
        for other in same {
            person.take(other);
        }
        all = others;
        all.push(person);
    }
    all.sort_by(|a, b| a.holds.cmp(&b.holds));
    all
}
