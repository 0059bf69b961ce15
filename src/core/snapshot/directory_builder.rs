//! Building a directory snapshot, page by page and group by group, in any order.
//!
//! Nothing is decided here. Two different records with one id are held as one person of unknown standing: no step may
//! rest on either (LDP-18).

use std::collections::BTreeMap;

use lockstep_contract::{CorrelationKeys, GroupId, Members, Membership, Person, PersonId, Profile, Standing};
use sha2::{Digest, Sha256};

use super::arena::{put_number, put_text};
use super::directory::{DirectorySnapshot, GroupRow, GroupState, Kind, PersonRef, Row};
use super::membership::{self, Listed};
use super::record::{self, Keys};
use super::table::{RowTable, hash_of};

/// What became of a person handed to a builder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// Taken.
    New,
    /// The same record came before, word for word (a page that moved while it was read). Counted once.
    Again,
    /// A different record with the same id came before. Both are held: the person is of unknown standing.
    Conflict,
}

/// Takes people and groups as they are read.
#[derive(Debug, Default)]
pub struct DirectoryBuilder {
    snapshot: DirectorySnapshot,
    table: RowTable,
    conflicts: std::collections::BTreeSet<PersonId>,
    listed: Vec<Listed>,
    /// Members who were not there when their group was read.
    later: Vec<(u32, PersonId)>,
    scratch: Vec<u8>,
}

impl DirectoryBuilder {
    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a person. Nothing of `person` is kept.
    pub fn add(&mut self, person: &Person) -> Added {
        let hash = hash_of(&person.id);
        let rows = &self.snapshot.rows;
        let known = self.table.find(hash, |row| rows.get(row as usize).is_some_and(|r| r.id == person.id));
        if let Some(row) = known {
            return self.add_again(row, person);
        }
        let at = self.write(person);
        let rows = &mut self.snapshot.rows;
        let row = rows.len() as u32;
        if rows.len() == rows.capacity() {
            // By an eighth, not doubled: rows are a good part of a snapshot.
            rows.reserve_exact(1_024.max(rows.len() / 8));
        }
        rows.push(Row { id: person.id.clone(), at, groups: 0, standing: Kind::of(person.standing) });
        self.table.insert(hash, row, |row| rows.get(row as usize).map_or(0, |r| hash_of(&r.id)));
        Added::New
    }

    /// Takes the answer about a group. The last answer about a group counts.
    pub fn group(&mut self, id: GroupId, membership: &Membership) {
        let state = match membership {
            Membership::Members(members) => GroupState::Read { gaps: members.gaps() },
            Membership::Empty(proof) => GroupState::Empty(proof.clone()),
            Membership::Unproven => GroupState::Unproven,
            Membership::Unreadable(fault) => GroupState::Unreadable(fault.clone()),
        };
        let members = match membership {
            Membership::Members(members) => Some(members),
            Membership::Empty(_) | Membership::Unproven | Membership::Unreadable(_) => None,
        };
        let count = members.map_or(0, |members| members.people().len());
        let row = GroupRow { id: id.clone(), state, members: count as u64, outside: 0 };
        let number = self.number_of(id, row);
        self.later.retain(|(group, _)| *group != number);
        let rows = &self.snapshot.rows;
        let mut found = Vec::with_capacity(count);
        for person in members.into_iter().flat_map(Members::people) {
            match self.table.find(hash_of(person), |row| rows.get(row as usize).is_some_and(|r| r.id == *person)) {
                Some(row) => found.push(row),
                None => self.later.push((number, person.clone())),
            }
        }
        if let Some(listed) = self.listed.get_mut(number as usize) {
            *listed = Listed::of(found);
        }
    }

    /// Remembers a record that the connector set aside.
    pub fn quarantined(&mut self, label: String, reason: String) {
        self.snapshot.quarantined.push((label, reason));
    }

    /// Everything has been read.
    pub fn finish(mut self) -> DirectorySnapshot {
        self.settle_late_members();
        let listed = std::mem::take(&mut self.listed);
        let DirectorySnapshot { rows, sets, .. } = &mut self.snapshot;
        membership::assign_sets(&listed, rows, sets);
        drop(listed);
        let Self { mut snapshot, table, conflicts, .. } = self;
        drop(table);
        if !snapshot.rows.is_sorted_by(|a, b| a.id <= b.id) {
            snapshot.rows.sort_unstable_by(|a, b| a.id.cmp(&b.id));
            snapshot.lay_in_order();
        }
        snapshot.rows.shrink_to_fit();
        snapshot.arena.shrink();
        snapshot.vocabulary.texts.freeze();
        snapshot.sets.freeze();
        snapshot.quarantined.sort();
        snapshot.conflicts = conflicts.into_iter().collect();
        snapshot.active = snapshot.rows.iter().filter(|row| row.standing.is_here()).count() as u64;
        snapshot.digest = digest(&snapshot);
        snapshot
    }

    fn write(&mut self, person: &Person) -> super::arena::Place {
        let out = &mut self.scratch;
        out.clear();
        if let Standing::Ended { since: Some(time) } | Standing::Away { until: Some(time) } = person.standing {
            record::put_time(out, time);
        }
        record::put_keys(out, &person.keys);
        record::put_fields(out, &mut self.snapshot.vocabulary, &person.keys, &person.profile);
        self.snapshot.arena.push(out)
    }

    fn add_again(&mut self, row: u32, person: &Person) -> Added {
        let Some(before) = self.snapshot.row(row).map(PersonRef::to_person) else { return Added::New };
        if before == *person && !self.conflicts.contains(&person.id) {
            return Added::Again;
        }
        // What remains is the same whichever record came first: all keys, so that nobody else may claim them, and
        // nothing that a step could rest on.
        let keys: CorrelationKeys = before.keys.iter().chain(person.keys.iter()).cloned().collect();
        let held = Person { id: before.id, keys, profile: Profile::new(), standing: Standing::Unknown };
        let at = self.write(&held);
        if let Some(row) = self.snapshot.rows.get_mut(row as usize) {
            row.at = at;
            row.standing = Kind::Unknown;
        }
        self.conflicts.insert(held.id);
        Added::Conflict
    }

    fn number_of(&mut self, id: GroupId, row: GroupRow) -> u32 {
        let groups = &mut self.snapshot.groups;
        if let Some(number) = self.snapshot.group_numbers.get(&id) {
            if let Some(known) = groups.get_mut(*number as usize) {
                *known = row;
            }
            return *number;
        }
        let number = groups.len() as u32;
        groups.push(row);
        self.listed.push(Listed::default());
        self.snapshot.group_numbers.insert(id, number);
        number
    }

    /// Members who came after their group, and those who never came.
    fn settle_late_members(&mut self) {
        let rows = &self.snapshot.rows;
        let mut found: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (group, person) in std::mem::take(&mut self.later) {
            match self.table.find(hash_of(&person), |row| rows.get(row as usize).is_some_and(|r| r.id == person)) {
                Some(row) => found.entry(group).or_default().push(row),
                None => {
                    if let Some(group) = self.snapshot.groups.get_mut(group as usize) {
                        group.outside += 1;
                    }
                }
            }
        }
        for (group, mut late) in found {
            if let Some(listed) = self.listed.get_mut(group as usize) {
                late.extend(listed.rows());
                *listed = Listed::of(late);
            }
        }
    }
}

impl Kind {
    const fn of(standing: Standing) -> Self {
        match standing {
            Standing::Active => Self::Active,
            Standing::Ended { since: None } => Self::Ended,
            Standing::Ended { since: Some(_) } => Self::EndedSince,
            Standing::Away { until: None } => Self::Away,
            Standing::Away { until: Some(_) } => Self::AwayUntil,
            Standing::Unconfirmed => Self::Unconfirmed,
            Standing::Unknown => Self::Unknown,
        }
    }
}

fn digest(snapshot: &DirectorySnapshot) -> String {
    let mut hasher = Sha256::new();
    let mut out = Vec::new();
    // Groups count in the order of their ids, not in that of their arrival.
    let mut order = vec![0_u32; snapshot.groups.len()];
    for (place, (id, number)) in snapshot.group_numbers.iter().enumerate() {
        if let Some(slot) = order.get_mut(*number as usize) {
            *slot = place as u32;
        }
        put_text(&mut out, id.as_str());
        if let Some(group) = snapshot.groups.get(*number as usize) {
            put_text(&mut out, &describe(&group.state));
            put_number(&mut out, group.members);
        }
    }
    let mut groups: Vec<u32> = Vec::new();
    let mut last_set = None;
    for person in snapshot.iter() {
        put_text(&mut out, &person.id().to_string());
        out.push(person.row.standing as u8);
        let (since, reader) = person.record();
        if let Some(since) = since {
            record::put_time(&mut out, since);
        }
        let keys = Keys::new(reader);
        record::digest(&mut out, keys, keys.fields(&snapshot.vocabulary.texts), &snapshot.vocabulary.fields);
        if last_set != Some(person.row.groups) {
            last_set = Some(person.row.groups);
            groups.clear();
            groups.extend(snapshot.sets.members(person.row.groups).filter_map(|group| order.get(group as usize)));
            groups.sort_unstable();
        }
        put_number(&mut out, groups.len() as u64);
        for group in &groups {
            put_number(&mut out, u64::from(*group));
        }
        hasher.update(&out);
        out.clear();
    }
    for (label, reason) in &snapshot.quarantined {
        put_text(&mut out, label);
        put_text(&mut out, reason);
    }
    hasher.update(&out);
    super::hex(hasher)
}

fn describe(state: &GroupState) -> String {
    match state {
        GroupState::Read { gaps } => format!("read, {gaps} gaps"),
        GroupState::Empty(_) => "empty".to_owned(),
        GroupState::Unproven => "unproven".to_owned(),
        // The text of a fault may differ from run to run; that it could not be read does not.
        GroupState::Unreadable(fault) => format!("unreadable: {}", fault.kind),
    }
}

#[cfg(test)]
mod tests {
    use lockstep_contract::{CorrelationKey, EmptyProof, Entitled, Fault, FaultKind, FieldName, KeyKind};

    use super::*;

    fn person(n: u32) -> Person {
        let mail = format!("p{n}@x.example");
        Person {
            id: PersonId::new(format!("p{n}")).expect("id"),
            keys: [CorrelationKey::new(KeyKind::Mail, &mail).expect("key")].into_iter().collect(),
            profile: [(FieldName::known("mail"), mail), (FieldName::known("site"), "North".to_owned())]
                .into_iter()
                .collect(),
            standing: Standing::Ended { since: Some(jiff::Timestamp::UNIX_EPOCH) },
        }
    }

    fn members(people: &[u32], gaps: u32) -> Membership {
        let people = people.iter().map(|n| person(*n).id).collect();
        Membership::Members(Members::with_gaps(people, gaps).expect("somebody"))
    }

    fn group(name: &str) -> GroupId {
        GroupId::new(name).expect("group")
    }

    #[test]
    fn a_person_comes_out_as_they_went_in() {
        let mut builder = DirectoryBuilder::new();
        let until = Some(jiff::Timestamp::MAX);
        let others = [
            Standing::Active,
            Standing::Away { until },
            Standing::Away { until: None },
            Standing::Unconfirmed,
            Standing::Unknown,
        ];
        let others: Vec<Person> =
            others.into_iter().zip(2..).map(|(standing, n)| Person { standing, ..person(n) }).collect();
        // Not in the order of their ids, so that they are laid in order at the end.
        for other in others.iter().rev() {
            assert_eq!(builder.add(other), Added::New);
        }
        assert_eq!([builder.add(&person(1)), builder.add(&person(1))], [Added::New, Added::Again]);
        let snapshot = builder.finish();
        let out: Vec<Person> = snapshot.iter().map(PersonRef::to_person).collect();
        assert_eq!(out.first(), Some(&person(1)));
        assert_eq!(out.get(1..), Some(others.as_slice()));
        assert_eq!(snapshot.active(), 2, "active, and active as far as could be read");
    }

    #[test]
    fn groups_may_come_before_their_people_and_unknown_is_not_no() {
        let mut builder = DirectoryBuilder::new();
        let fault = Fault::new(FaultKind::Denied, "corp", "read members", "denied");
        builder.group(group("late"), &members(&[1, 9], 0));
        builder.add(&person(1));
        builder.add(&person(2));
        builder.group(group("gaps"), &members(&[1], 2));
        builder.group(group("empty"), &Membership::Empty(EmptyProof::ServerCount));
        builder.group(group("unproven"), &Membership::Unproven);
        builder.group(group("dark"), &Membership::Unreadable(fault));
        let snapshot = builder.finish();
        let ask = |name: &str| {
            [1, 2].map(|n| snapshot.entitled(&group(name), snapshot.person(&person(n).id).expect("in the census")))
        };
        assert_eq!(ask("late"), [Entitled::Yes, Entitled::No]);
        assert_eq!(ask("gaps"), [Entitled::Yes, Entitled::Unknown]);
        assert_eq!(ask("empty"), [Entitled::No, Entitled::No]);
        for dark in ["unproven", "dark", "never asked"] {
            assert_eq!(ask(dark), [Entitled::Unknown, Entitled::Unknown], "{dark}");
        }
        let late = snapshot.group(&group("late")).expect("it was read");
        assert_eq!((late.members(), late.outside()), (Some(2), 1));
        assert_eq!(snapshot.group(&group("dark")).and_then(crate::GroupView::members), None);
    }

    #[test]
    fn two_records_with_one_id_are_nobody_known_whichever_came_first() {
        let other = Person { standing: Standing::Active, keys: CorrelationKeys::new(), ..person(1) };
        let both = [[person(1), other.clone()], [other, person(1)]].map(|order| {
            let mut builder = DirectoryBuilder::new();
            assert_eq!(order.each_ref().map(|person| builder.add(person)), [Added::New, Added::Conflict]);
            builder.finish()
        });
        let held = both[0].person(&person(1).id).expect("held").to_person();
        assert_eq!((held.standing, held.keys.len(), held.profile.len()), (Standing::Unknown, 1, 0));
        assert_eq!(both[0].digest(), both[1].digest());
        assert_eq!(both[0].conflicts(), [person(1).id]);
    }

    #[test]
    fn the_digest_is_of_the_content_not_of_the_order() {
        let build = |order: &[u32], group_first: bool, listed: &[u32]| {
            let mut builder = DirectoryBuilder::new();
            if group_first {
                builder.group(group("b"), &Membership::Unproven);
            }
            builder.group(group("a"), &members(listed, 0));
            for n in order {
                builder.add(&person(*n));
            }
            if !group_first {
                builder.group(group("b"), &Membership::Unproven);
            }
            builder.finish().digest()
        };
        assert_eq!(build(&[1, 2, 3], true, &[1, 3]), build(&[3, 1, 2], false, &[3, 1]));
        assert_ne!(build(&[1, 2, 3], true, &[1, 3]), build(&[1, 2, 3], true, &[1, 2]));
    }
}
