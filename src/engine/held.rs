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
    /// True for two offboardings of one human: one person, or one record. A key is no such thing, since several humans
    /// may have it.
    fn is(&self, other: &Self) -> bool {
        let same_record = |(target, records): (_, &BTreeSet<CardholderId>)| {
            other.records.get(target).is_some_and(|others| !others.is_disjoint(records))
        };
        !self.people.is_disjoint(&other.people) || self.records.iter().any(same_record)
    }

    /// True when nothing but keys says whom this is about.
    pub fn is_known_by_keys_alone(&self) -> bool {
        self.people.is_empty() && self.records.is_empty()
    }

    /// True when this may be the human with these keys: they share one, and no id of theirs says otherwise.
    pub fn may_be(&self, unnamed: &Self) -> bool {
        !self.keys.is_disjoint(&unnamed.keys) && !self.is_somebody_else(&unnamed.keys)
    }

    /// True when an id among these keys is another human's: an employee number or a directory id is never shared.
    pub fn is_somebody_else<'k>(&self, keys: impl IntoIterator<Item = &'k CorrelationKey>) -> bool {
        let ids: Vec<CorrelationKey> = keys.into_iter().filter(|key| is_id(key)).cloned().collect();
        let is_known = |kind| {
            self.keys.iter().any(|key| key.kind() == kind) || (kind == KeyKind::Directory && !self.people.is_empty())
        };
        !self.is_named_by(&ids) && ids.iter().any(|id| is_known(id.kind()))
    }

    /// True when nobody is known but by keys, and all of them were given: this offboarding was named in just that way.
    pub fn is_just(&self, keys: &[CorrelationKey]) -> bool {
        self.is_known_by_keys_alone() && self.keys.iter().all(|key| keys.contains(key))
    }

    fn take(&mut self, other: Self) {
        self.holds.extend(other.holds);
        self.people.extend(other.people);
        for (target, records) in other.records {
            self.records.entry(target).or_default().extend(records);
        }
        self.keys.extend(other.keys);
    }

    /// Adds the ids that their records have, where no other is known.
    pub fn learn_ids<'r>(&mut self, records: impl Iterator<Item = &'r Cardholder>) {
        if self.people.is_empty() && !self.keys.iter().any(is_id) {
            self.keys.extend(records.flat_map(|record| record.keys.iter()).filter(|key| is_id(key)).cloned());
        }
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

/// Everybody who is held out. Two offboardings are of one human when the directory or a record says so. One that only
/// keys tell of joins the one human who has an id of it. By a mail address or an account it stays by itself, and is
/// lifted by that: somebody whom no memory knows may have it as well.
pub fn held_out(memory: &Memory) -> Vec<HeldOut> {
    let (by_keys_alone, named): (Vec<_>, Vec<_>) =
        each_hold(memory).into_iter().partition(HeldOut::is_known_by_keys_alone);
    let mut all: Vec<HeldOut> = Vec::new();
    for mut person in named {
        // Two who were two may turn out to be one through a third.
        let (same, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|other| person.is(other));
        for other in same {
            person.take(other);
        }
        all = others;
        all.push(person);
    }
    let mut apart = Vec::new();
    for unnamed in once_each(by_keys_alone) {
        let mut humans = all.iter_mut().filter(|human| shared(human, &unnamed).any(is_id));
        match (humans.next(), humans.next()) {
            (Some(only), None) => only.take(unnamed),
            _ => apart.push(unnamed),
        }
    }
    all.append(&mut apart);
    all.sort_by(|a, b| a.holds.cmp(&b.holds));
    all
}

/// Each offboarding by itself, with what the links know of its human.
fn each_hold(memory: &Memory) -> Vec<HeldOut> {
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
    let mut each: Vec<HeldOut> = by_hold.into_values().collect();
    for person in &mut each {
        person.follow(memory);
    }
    each
}

/// Offboardings that were named by the same keys, or by one id, are one. A card number is in no state: who was named by
/// nothing else stays by themselves.
fn once_each(by_keys_alone: Vec<HeldOut>) -> Vec<HeldOut> {
    let mut all: Vec<HeldOut> = Vec::new();
    for unnamed in by_keys_alone {
        let is_same = |other: &&mut HeldOut| {
            !unnamed.keys.is_empty() && (other.keys == unnamed.keys || shared(other, &unnamed).any(is_id))
        };
        match all.iter_mut().find(is_same) {
            Some(same) => same.take(unnamed),
            None => all.push(unnamed),
        }
    }
    all
}

fn shared<'k>(one: &'k HeldOut, other: &'k HeldOut) -> impl Iterator<Item = &'k CorrelationKey> {
    one.keys.intersection(&other.keys)
}

/// Of one human only, unlike a mail address or an account.
fn is_id(key: &CorrelationKey) -> bool {
    matches!(key.kind(), KeyKind::Directory | KeyKind::Employee)
}

#[cfg(test)]
mod tests {
    use lockstep_contract::RunId;
    use lockstep_core::Hold;

    use super::*;

    fn key(text: &str) -> CorrelationKey {
        let (kind, value) = text.split_once(':').expect("a kind");
        let kind = KeyKind::ALL.into_iter().find(|known| known.as_str() == kind).expect("a kind");
        CorrelationKey::new(kind, value).expect("a key")
    }

    /// A memory of one PACS: offboardings by the record that they found and by keys.
    fn held(holds: &[(&str, &[&str])]) -> Vec<Vec<HoldId>> {
        let hold = |(nth, (record, keys)): (usize, &(&str, &[&str]))| Hold {
            id: HoldId::of(RunId::new(uuid::Uuid::nil()), nth),
            person: None,
            cardholders: record.parse().into_iter().collect(),
            keys: keys.iter().copied().map(key).collect(),
            by: "Desk".to_owned(),
            reason: "theft".to_owned(),
            since: Timestamp::UNIX_EPOCH,
        };
        let holds = Holds(holds.iter().enumerate().map(hold).collect());
        let memory = Memory::from([("hq".parse().expect("an id"), (Links::new(), holds))]);
        held_out(&memory).iter().map(|one| one.holds.iter().map(|held| held.hold.clone()).collect()).collect()
    }

    fn nth(groups: &[&[usize]]) -> Vec<Vec<HoldId>> {
        let id = |nth: &usize| HoldId::of(RunId::new(uuid::Uuid::nil()), *nth);
        groups.iter().map(|group| group.iter().map(id).collect()).collect()
    }

    const ADA: (&str, &[&str]) = ("h-00", &["employee:10480", "mail:shared@x"]);
    const GRACE: (&str, &[&str]) = ("h-01", &["employee:10481", "mail:shared@x"]);
    const MAIL: (&str, &[&str]) = ("", &["mail:shared@x"]);

    #[test]
    fn a_key_that_two_share_makes_no_one_human_of_them() {
        assert_eq!(held(&[ADA, GRACE, MAIL]), nth(&[&[0], &[1], &[2]]));
        assert_eq!(held(&[ADA, MAIL]), nth(&[&[0], &[1]]), "somebody who is not held out can be meant");
        assert_eq!(held(&[ADA, ("", &["employee:10481", "mail:shared@x"])]), nth(&[&[0], &[1]]), "an id says no");
        assert_eq!(held(&[ADA, GRACE, ("", &["employee:10481"])]), nth(&[&[0], &[1, 2]]), "an id says who");
    }

    #[test]
    fn who_was_named_the_same_way_twice_is_one() {
        let id: (&str, &[&str]) = ("", &["employee:4711"]);
        let more: (&str, &[&str]) = ("", &["employee:4711", "mail:m@x"]);
        assert_eq!(held(&[MAIL, id, MAIL, more]), nth(&[&[0, 2], &[1, 3]]));
        let by_card: (&str, &[&str]) = ("", &["card:26-1"]);
        assert_eq!(held(&[by_card, ("", &["card:26-2"])]), nth(&[&[0], &[1]]), "card numbers are not kept");
        assert_eq!(held(&[("h-00", &[]), ("h-00", &["employee:10480"])]), nth(&[&[0, 1]]), "one record");
    }
}
