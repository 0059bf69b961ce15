//! The directory side: people in the order of their ids, and the groups that the mapping names.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockstep_contract::{
    CorrelationKeys, EmptyProof, Entitled, Fault, FieldName, GroupId, KeyKind, Person, PersonId, Profile, Standing,
};

use super::arena::{Arena, Place, Reader, as_text};
use super::record::{self, Fields, KeyRef, Keys, Vocabulary};
use super::sets::Sets;

/// A complete reading of a directory.
#[derive(Debug, Clone, Default)]
pub struct DirectorySnapshot {
    pub(super) rows: Vec<Row>,
    pub(super) arena: Arena,
    pub(super) vocabulary: Vocabulary,
    pub(super) sets: Sets,
    pub(super) groups: Vec<GroupRow>,
    pub(super) group_numbers: BTreeMap<GroupId, u32>,
    pub(super) quarantined: Vec<(String, String)>,
    pub(super) conflicts: Vec<PersonId>,
    pub(super) active: u64,
    pub(super) digest: String,
}

/// What is looked at for everybody. 40 bytes.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: PersonId,
    pub(super) at: Place,
    pub(super) groups: u32,
    pub(super) standing: Kind,
}

/// A [`Standing`] in one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Active,
    Ended,
    EndedSince,
    Unknown,
    Away,
    AwayUntil,
    Unconfirmed,
}

impl Kind {
    /// A time stands before the keys.
    const fn has_time(self) -> bool {
        matches!(self, Self::EndedSince | Self::AwayUntil)
    }

    /// Nothing that was read says that this person is not here.
    pub(super) const fn is_here(self) -> bool {
        matches!(self, Self::Active | Self::Unconfirmed)
    }
}

#[derive(Debug, Clone)]
pub(super) struct GroupRow {
    pub(super) id: GroupId,
    pub(super) state: GroupState,
    pub(super) members: u64,
    pub(super) outside: u64,
}

/// What is known about a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupState {
    /// Read, with at least one person. So many of its members could not be identified: of everybody who is not
    /// listed it is unknown when this is not zero.
    Read {
        /// How many members could not be identified.
        gaps: u32,
    },
    /// Proven empty.
    Empty(EmptyProof),
    /// Nobody was seen in it, and nothing proves that nobody is.
    Unproven,
    /// Not read, or not whole.
    Unreadable(Fault),
}

/// A group as it was read.
#[derive(Debug, Clone, Copy)]
pub struct GroupView<'a> {
    row: &'a GroupRow,
}

impl<'a> GroupView<'a> {
    /// The group.
    pub const fn id(self) -> &'a GroupId {
        &self.row.id
    }

    /// What is known about it.
    pub const fn state(self) -> &'a GroupState {
        &self.row.state
    }

    /// How many people are in it, whether they are in the census or not; `None` when that is not known.
    pub const fn members(self) -> Option<u64> {
        match self.row.state {
            GroupState::Read { .. } => Some(self.row.members),
            GroupState::Empty(_) => Some(0),
            GroupState::Unproven | GroupState::Unreadable(_) => None,
        }
    }

    /// How many of them are not in the census: outside the configured search base, or not people.
    pub const fn outside(self) -> u64 {
        self.row.outside
    }

    /// What is known about somebody who is not listed.
    pub(crate) const fn strangers(self) -> Entitled {
        match self.row.state {
            GroupState::Read { gaps: 0 } | GroupState::Empty(_) => Entitled::No,
            GroupState::Read { .. } | GroupState::Unproven | GroupState::Unreadable(_) => Entitled::Unknown,
        }
    }
}

impl DirectorySnapshot {
    /// How many people there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when there is nobody.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many of them were read as active, whether that could be confirmed everywhere or not.
    pub const fn active(&self) -> u64 {
        self.active
    }

    /// The person with this id.
    pub fn person(&self, id: &PersonId) -> Option<PersonRef<'_>> {
        let at = self.rows.binary_search_by(|row| row.id.cmp(id)).ok()?;
        Some(PersonRef { snapshot: self, row: self.rows.get(at)? })
    }

    /// Everybody, in the order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = PersonRef<'_>> {
        self.rows.iter().map(|row| PersonRef { snapshot: self, row })
    }

    /// The person in this row; rows are in the order of ids.
    pub(crate) fn row(&self, row: u32) -> Option<PersonRef<'_>> {
        Some(PersonRef { snapshot: self, row: self.rows.get(row as usize)? })
    }

    /// A group that was read.
    pub fn group(&self, id: &GroupId) -> Option<GroupView<'_>> {
        let number = *self.group_numbers.get(id)?;
        Some(GroupView { row: self.groups.get(number as usize)? })
    }

    /// All groups, in the order of their ids.
    pub fn groups(&self) -> impl Iterator<Item = GroupView<'_>> {
        self.group_numbers.values().filter_map(|number| self.groups.get(*number as usize)).map(|row| GroupView { row })
    }

    /// Whether a person is in a group, as far as it was read. A group that was never read is unknown.
    pub fn entitled(&self, group: &GroupId, person: PersonRef<'_>) -> Entitled {
        let Some(number) = self.group_numbers.get(group) else { return Entitled::Unknown };
        if self.sets.members(person.row.groups).any(|member| member == *number) {
            return Entitled::Yes;
        }
        self.group(group).map_or(Entitled::Unknown, GroupView::strangers)
    }

    /// Records that were set aside: which, and why.
    pub fn quarantined(&self) -> &[(String, String)] {
        &self.quarantined
    }

    /// Ids that came more than once with different data; these people are of unknown standing.
    pub fn conflicts(&self) -> &[PersonId] {
        &self.conflicts
    }

    /// SHA-256 over the content, in hex. The order in which people and groups arrived does not change it.
    pub fn digest(&self) -> String {
        self.digest.clone()
    }

    /// Moves the records into the order of the rows. Everything that is asked about everybody goes through them in that
    /// order, and memory is far faster when read from one end to the other.
    pub(super) fn lay_in_order(&mut self) {
        let before = std::mem::take(&mut self.arena);
        for row in &mut self.rows {
            let start = Reader::new(before.at(row.at));
            let mut reader = start;
            if row.standing.has_time() {
                record::get_time(&mut reader);
            }
            let rest = Keys::new(reader).fields(&self.vocabulary.texts).rest();
            row.at = self.arena.push(start.until(rest));
        }
    }

    pub(crate) fn group_number(&self, group: &GroupId) -> Option<u32> {
        self.group_numbers.get(group).copied()
    }

    /// How many groups were asked about.
    pub(crate) fn group_count(&self) -> usize {
        self.groups.len()
    }

    pub(crate) fn set_members(&self, set: u32) -> impl Iterator<Item = u32> + Clone + '_ {
        self.sets.members(set)
    }

    /// The number by which [`PersonRef::numbered_fields`] calls a field; `None` when nobody has it.
    pub(crate) fn field_number(&self, name: &FieldName) -> Option<u32> {
        self.vocabulary.fields.find(name)
    }
}

/// A person in a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct PersonRef<'a> {
    pub(super) snapshot: &'a DirectorySnapshot,
    pub(super) row: &'a Row,
}

impl<'a> PersonRef<'a> {
    /// The immutable id.
    pub const fn id(self) -> &'a PersonId {
        &self.row.id
    }

    /// Whether this person is, positively, still here.
    pub fn standing(self) -> Standing {
        match self.row.standing {
            Kind::Active => Standing::Active,
            Kind::Unknown => Standing::Unknown,
            Kind::Ended => Standing::Ended { since: None },
            Kind::EndedSince => Standing::Ended { since: self.record().0 },
            Kind::Away => Standing::Away { until: None },
            Kind::AwayUntil => Standing::Away { until: self.record().0 },
            Kind::Unconfirmed => Standing::Unconfirmed,
        }
    }

    /// The keys: kind and normalised value, in order.
    pub fn keys(self) -> impl Iterator<Item = (KeyKind, &'a str)> {
        self.key_refs().map(|key| (key.kind, key.text()))
    }

    /// The keys, as values of their own.
    pub fn correlation_keys(self) -> CorrelationKeys {
        self.key_refs().map(KeyRef::to_key).collect()
    }

    /// The value of a field, if known.
    pub fn field(self, name: &str) -> Option<&'a str> {
        let names = &self.snapshot.vocabulary.fields;
        self.numbered_fields()
            .find(|(field, _)| names.get(*field).is_some_and(|known| known.as_str() == name))
            .map(|(_, value)| as_text(value))
    }

    /// All fields, ordered by name.
    pub fn profile(self) -> Profile {
        record::profile(self.fields(), &self.snapshot.vocabulary.fields)
    }

    /// The whole record as the connector gave it.
    pub fn to_person(self) -> Person {
        Person {
            id: self.row.id.clone(),
            keys: self.correlation_keys(),
            profile: self.profile(),
            standing: self.standing(),
        }
    }

    /// The number of the set of groups; people with the same groups have the same number.
    pub(crate) const fn group_set(self) -> u32 {
        self.row.groups
    }

    pub(crate) fn key_refs(self) -> impl Iterator<Item = KeyRef<'a>> {
        Keys::new(self.record().1)
    }

    /// The fields by number, see [`DirectorySnapshot::field_number`].
    pub(crate) fn numbered_fields(self) -> impl Iterator<Item = (u32, &'a [u8])> {
        self.fields()
    }

    fn fields(self) -> Fields<'a> {
        Keys::new(self.record().1).fields(&self.snapshot.vocabulary.texts)
    }

    pub(super) fn record(self) -> (Option<Timestamp>, Reader<'a>) {
        let mut reader = Reader::new(self.snapshot.arena.at(self.row.at));
        let time = if self.row.standing.has_time() { record::get_time(&mut reader) } else { None };
        (time, reader)
    }
}
