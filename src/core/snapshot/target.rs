//! The PACS side: cardholders in the order of their ids, and the catalog of access levels.

use std::collections::BTreeSet;

use lockstep_contract::{
    AccessLevelId, Cardholder, CardholderId, Catalog, CorrelationKeys, Credential, CredentialId, CredentialKind,
    CredentialStatus, FieldName, InactiveStatus, KeyKind, Profile, SiteId, Status, Validity,
};

use super::arena::{Arena, Place, Reader, as_text};
use super::record::{self, Fields, KeyRef, Keys, Vocabulary};
use super::sets::Sets;
use super::table::{RowTable, hash_of};
use super::texts::Names;

/// A complete reading of one PACS.
#[derive(Debug, Clone, Default)]
pub struct TargetSnapshot {
    pub(super) rows: Vec<Row>,
    pub(super) by_id: RowTable,
    pub(super) arena: Arena,
    pub(super) vocabulary: Vocabulary,
    pub(super) sets: Sets,
    pub(super) levels: Names<AccessLevelId>,
    pub(super) sites: Names<SiteId>,
    pub(super) catalog: Catalog,
    pub(super) conflicts: Vec<CardholderId>,
    pub(super) active: u64,
    pub(super) digest: String,
}

/// What is looked at for everybody. 32 bytes.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: CardholderId,
    pub(super) at: Place,
    pub(super) levels: u32,
    pub(super) state: State,
}

/// A [`Status`] in one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// In force.
    Active,
    /// Switched off.
    Suspended,
    /// In a state that the connector does not know.
    Other,
}

impl TargetSnapshot {
    /// How many cardholders there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when there is nobody.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many of them are in force.
    pub const fn active(&self) -> u64 {
        self.active
    }

    /// The access levels that exist.
    pub const fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The cardholder with this id.
    pub fn cardholder(&self, id: &CardholderId) -> Option<CardholderRef<'_>> {
        self.row(self.row_of(id.as_str())?)
    }

    /// Everybody, in the order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = CardholderRef<'_>> {
        self.rows.iter().map(|row| CardholderRef { snapshot: self, row })
    }

    /// Ids that came more than once with different data; no step may rest on these records.
    pub fn conflicts(&self) -> &[CardholderId] {
        &self.conflicts
    }

    /// SHA-256 over the content, in hex. The order of arrival does not change it.
    pub fn digest(&self) -> String {
        self.digest.clone()
    }

    /// The cardholder in this row; rows are in the order of ids.
    pub(crate) fn row(&self, row: u32) -> Option<CardholderRef<'_>> {
        Some(CardholderRef { snapshot: self, row: self.rows.get(row as usize)? })
    }

    /// The row of the cardholder with this id.
    pub(crate) fn row_of(&self, id: &str) -> Option<u32> {
        self.by_id.find(hash_of(id), |row| self.rows.get(row as usize).is_some_and(|row| row.id.as_str() == id))
    }

    /// The number by which [`CardholderRef::level_numbers`] calls a level; `None` when nobody has it.
    pub(crate) fn level_number(&self, level: &AccessLevelId) -> Option<u32> {
        self.levels.find(level)
    }

    /// How many different levels anybody has.
    pub(crate) fn level_count(&self) -> usize {
        self.levels.all().len()
    }

    /// How many different sets of levels anybody has.
    pub(crate) fn level_set_count(&self) -> usize {
        self.sets.len()
    }

    /// The levels of a set by number, see [`CardholderRef::level_set`].
    pub(crate) fn set_levels(&self, set: u32) -> impl Iterator<Item = u32> + Clone + '_ {
        self.sets.members(set)
    }

    /// The number by which [`CardholderRef::numbered_fields`] calls a field; `None` when nobody has it.
    pub(crate) fn field_number(&self, name: &FieldName) -> Option<u32> {
        self.vocabulary.fields.find(name)
    }
}

/// A cardholder in a snapshot.
#[derive(Debug, Clone, Copy)]
pub struct CardholderRef<'a> {
    pub(super) snapshot: &'a TargetSnapshot,
    pub(super) row: &'a Row,
}

impl<'a> CardholderRef<'a> {
    /// The PACS' own id.
    pub const fn id(self) -> &'a CardholderId {
        &self.row.id
    }

    /// Whether the record may open anything at all.
    pub fn status(self) -> Status {
        match self.row.state {
            State::Active => Status::Active,
            State::Suspended => Status::Suspended,
            State::Other => self.tail().status,
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

    /// Managed and unmanaged levels.
    pub fn levels(self) -> BTreeSet<AccessLevelId> {
        self.level_numbers().filter_map(|level| self.snapshot.levels.get(level).cloned()).collect()
    }

    /// Cards, passes and PINs, ordered by id.
    pub fn credentials(self) -> Vec<Credential> {
        self.tail().credentials
    }

    /// When the record is valid.
    pub fn validity(self) -> Validity {
        self.tail().validity
    }

    /// The partition or site the record belongs to.
    pub fn site(self) -> Option<&'a SiteId> {
        let number = self.fields().rest().number();
        self.snapshot.sites.get(number.checked_sub(1)? as u32)
    }

    /// The whole record as the connector gave it, but its revision.
    pub fn to_cardholder(self) -> Cardholder {
        let tail = self.tail();
        Cardholder {
            id: self.row.id.clone(),
            keys: self.correlation_keys(),
            profile: self.profile(),
            status: tail.status,
            levels: self.levels(),
            credentials: tail.credentials,
            validity: tail.validity,
            site: self.site().cloned(),
            revision: None,
        }
    }

    pub(crate) const fn state(self) -> State {
        self.row.state
    }

    /// The number of the set of levels; cardholders with the same levels have the same number.
    pub(crate) const fn level_set(self) -> u32 {
        self.row.levels
    }

    /// The levels by number, see [`TargetSnapshot::level_number`].
    pub(crate) fn level_numbers(self) -> impl Iterator<Item = u32> + Clone + 'a {
        self.snapshot.sets.members(self.row.levels)
    }

    pub(crate) fn key_refs(self) -> impl Iterator<Item = KeyRef<'a>> {
        Keys::new(self.reader())
    }

    /// The fields by number, see [`TargetSnapshot::field_number`].
    pub(crate) fn numbered_fields(self) -> impl Iterator<Item = (u32, &'a [u8])> {
        self.fields()
    }

    pub(super) fn reader(self) -> Reader<'a> {
        Reader::new(self.snapshot.arena.at(self.row.at))
    }

    fn fields(self) -> Fields<'a> {
        Keys::new(self.reader()).fields(&self.snapshot.vocabulary.texts)
    }

    pub(super) fn tail(self) -> Tail {
        let mut reader = self.fields().rest();
        reader.number(); // the site
        Tail::get(&mut reader, self.row.state)
    }
}

/// What is looked at only for those about whom something is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) status: Status,
    pub(super) validity: Validity,
    pub(super) credentials: Vec<Credential>,
}

const KINDS: [CredentialKind; 4] =
    [CredentialKind::Card, CredentialKind::Mobile, CredentialKind::Pin, CredentialKind::Other];
const INACTIVE: [InactiveStatus; 5] = [
    InactiveStatus::Disabled,
    InactiveStatus::Lost,
    InactiveStatus::Stolen,
    InactiveStatus::Expired,
    InactiveStatus::Returned,
];
// How the status of a credential is written: active, another word, or the place in `INACTIVE` and two.
const ACTIVE: u8 = 0;
const OTHER: u8 = 1;

impl Tail {
    /// Writes what follows the site.
    pub(super) fn put(out: &mut Vec<u8>, cardholder: &Cardholder) {
        use super::arena::{put_number, put_text};
        if let Status::Other(word) = &cardholder.status {
            put_text(out, word);
        }
        let Validity { from, until } = cardholder.validity;
        out.push(u8::from(from.is_some()) | u8::from(until.is_some()) << 1);
        for bound in [from, until].into_iter().flatten() {
            record::put_time(out, bound);
        }
        let mut credentials: Vec<&Credential> = cardholder.credentials.iter().collect();
        credentials.sort_by(|a, b| a.id.cmp(&b.id));
        put_number(out, credentials.len() as u64);
        for credential in credentials {
            put_text(out, credential.id.as_str());
            out.push(KINDS.iter().position(|kind| *kind == credential.kind).unwrap_or_default() as u8);
            match &credential.number {
                Some(number) => {
                    out.push(1);
                    put_text(out, number);
                }
                None => out.push(0),
            }
            match &credential.status {
                CredentialStatus::Active => out.push(ACTIVE),
                CredentialStatus::Other(word) => {
                    out.push(OTHER);
                    put_text(out, word);
                }
                CredentialStatus::Inactive(why) => {
                    out.push(INACTIVE.iter().position(|known| known == why).unwrap_or_default() as u8 + 2);
                }
            }
        }
    }

    /// The bytes that [`put`](Self::put) wrote: the same for the same content.
    pub(super) fn bytes(start: Reader<'_>, state: State) -> &[u8] {
        let mut reader = start;
        if state == State::Other {
            reader.text();
        }
        let bounds = reader.byte();
        reader.bytes(16 * (bounds.count_ones() as usize));
        for _ in 0..reader.number() {
            reader.text();
            reader.byte();
            if reader.byte() == 1 {
                reader.text();
            }
            if reader.byte() == OTHER {
                reader.text();
            }
        }
        start.until(reader)
    }

    fn get(reader: &mut Reader<'_>, state: State) -> Self {
        let status = match state {
            State::Active => Status::Active,
            State::Suspended => Status::Suspended,
            State::Other => Status::Other(as_text(reader.text()).to_owned()),
        };
        let bounds = reader.byte();
        let mut bound = |bit: u8| if bounds & bit == 0 { None } else { record::get_time(reader) };
        let validity = Validity { from: bound(1), until: bound(2) };
        let count = reader.number();
        let credentials = (0..count).map_while(|_| Self::get_credential(reader)).collect();
        Self { status, validity, credentials }
    }

    fn get_credential(reader: &mut Reader<'_>) -> Option<Credential> {
        let id = CredentialId::new(as_text(reader.text())).ok()?;
        let kind = *KINDS.get(usize::from(reader.byte()))?;
        let number = (reader.byte() == 1).then(|| as_text(reader.text()).to_owned());
        let status = match reader.byte() {
            ACTIVE => CredentialStatus::Active,
            OTHER => CredentialStatus::Other(as_text(reader.text()).to_owned()),
            place => CredentialStatus::Inactive(*INACTIVE.get(usize::from(place.checked_sub(2)?))?),
        };
        Some(Credential { id, kind, number, status })
    }
}
