//! Building a target snapshot, page by page, in any order.
//!
//! Nothing is decided here. Two different records with one id are held as one cardholder in a state that nobody knows:
//! no step may rest on either.

use lockstep_contract::{Cardholder, CardholderId, Catalog, CorrelationKeys, Profile, Status, Validity};
use sha2::{Digest, Sha256};

use super::arena::{Place, put_number, put_text};
use super::directory_builder::Added;
use super::record::{self, Keys};
use super::table::{RowTable, hash_of};
use super::target::{CardholderRef, Row, State, Tail, TargetSnapshot};

/// The word for the state of a record that was read twice, with different content.
const READ_TWICE: &str = "read twice with different content";

/// Takes cardholders as they are read.
#[derive(Debug, Default)]
pub struct TargetBuilder {
    snapshot: TargetSnapshot,
    table: RowTable,
    conflicts: std::collections::BTreeSet<CardholderId>,
    record: Vec<u8>,
    set: Vec<u32>,
}

impl TargetBuilder {
    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a cardholder. Nothing of it is kept.
    pub fn add(&mut self, cardholder: &Cardholder) -> Added {
        let hash = hash_of(&cardholder.id);
        let rows = &self.snapshot.rows;
        let known = self.table.find(hash, |row| rows.get(row as usize).is_some_and(|r| r.id == cardholder.id));
        if let Some(row) = known {
            return self.add_again(row, cardholder);
        }
        let (at, levels) = self.write(cardholder);
        let rows = &mut self.snapshot.rows;
        let row = rows.len() as u32;
        if rows.len() == rows.capacity() {
            // By an eighth, not doubled: rows are a good part of a snapshot.
            rows.reserve_exact(1_024.max(rows.len() / 8));
        }
        rows.push(Row { id: cardholder.id.clone(), at, levels, state: State::of(&cardholder.status) });
        self.table.insert(hash, row, |row| rows.get(row as usize).map_or(0, |r| hash_of(&r.id)));
        Added::New
    }

    /// Takes the access levels that exist.
    pub fn catalog(&mut self, catalog: Catalog) {
        self.snapshot.catalog = catalog;
    }

    /// Everything has been read.
    pub fn finish(self) -> TargetSnapshot {
        let Self { mut snapshot, table, conflicts, .. } = self;
        drop(table);
        if !snapshot.rows.is_sorted_by(|a, b| a.id <= b.id) {
            snapshot.rows.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        }
        snapshot.rows.shrink_to_fit();
        let rows = &snapshot.rows;
        let hash = |row: u32| rows.get(row as usize).map_or(0, |row| hash_of(row.id.as_str()));
        snapshot.by_id = RowTable::of(rows.len() as u32, hash);
        snapshot.arena.shrink();
        snapshot.vocabulary.texts.freeze();
        snapshot.sets.freeze();
        snapshot.conflicts = conflicts.into_iter().collect();
        snapshot.active = snapshot.rows.iter().filter(|row| row.state == State::Active).count() as u64;
        snapshot.digest = digest(&snapshot);
        snapshot
    }

    /// Writes everything but what stands in the row. Gives its place and the number of its set of levels.
    fn write(&mut self, cardholder: &Cardholder) -> (Place, u32) {
        let out = &mut self.record;
        out.clear();
        record::put_keys(out, &cardholder.keys);
        record::put_fields(out, &mut self.snapshot.vocabulary, &cardholder.keys, &cardholder.profile);
        let site = cardholder.site.as_ref().map_or(0, |site| u64::from(self.snapshot.sites.number(site)) + 1);
        put_number(out, site);
        Tail::put(out, cardholder);
        let at = self.snapshot.arena.push(out);
        let levels = &mut self.snapshot.levels;
        self.set.clear();
        self.set.extend(cardholder.levels.iter().map(|level| levels.number(level)));
        self.set.sort_unstable();
        (at, self.snapshot.sets.intern(&self.set))
    }

    fn add_again(&mut self, row: u32, cardholder: &Cardholder) -> Added {
        let Some(before) = self.snapshot.row(row).map(CardholderRef::to_cardholder) else { return Added::New };
        if !self.conflicts.contains(&cardholder.id) && before.digest() == cardholder.digest() {
            return Added::Again;
        }
        // What remains is the same whichever record came first: all keys, so that nobody else may be matched by them,
        // and nothing that a step could rest on.
        let keys: CorrelationKeys = before.keys.iter().chain(cardholder.keys.iter()).cloned().collect();
        let held = Cardholder {
            id: before.id,
            keys,
            profile: Profile::new(),
            status: Status::Other(READ_TWICE.to_owned()),
            levels: before.levels.union(&cardholder.levels).cloned().collect(),
            credentials: Vec::new(),
            validity: Validity::ALWAYS,
            site: None,
            revision: None,
        };
        let (at, levels) = self.write(&held);
        if let Some(row) = self.snapshot.rows.get_mut(row as usize) {
            (row.at, row.levels, row.state) = (at, levels, State::Other);
        }
        self.conflicts.insert(held.id);
        Added::Conflict
    }
}

impl State {
    /// The byte of a status.
    pub(crate) const fn of(status: &Status) -> Self {
        match status {
            Status::Active => Self::Active,
            Status::Suspended => Self::Suspended,
            Status::Other(_) => Self::Other,
        }
    }
}

fn digest(snapshot: &TargetSnapshot) -> String {
    let mut hasher = Sha256::new();
    let mut out = Vec::new();
    for (id, level) in &snapshot.catalog.levels {
        put_text(&mut out, id.as_str());
        put_text(&mut out, &level.name);
        put_number(&mut out, level.doors.len() as u64);
        for door in &level.doors {
            put_text(&mut out, door);
        }
        put_text(&mut out, level.site.as_ref().map_or("", |site| site.as_str()));
    }
    // Levels count in the order of their ids, not in that of their arrival.
    let names = snapshot.levels.all();
    let mut by_id: Vec<u32> = (0..names.len() as u32).collect();
    by_id.sort_unstable_by_key(|number| names.get(*number as usize));
    let mut order = vec![0_u32; names.len()];
    for (place, number) in by_id.iter().enumerate() {
        if let Some(slot) = order.get_mut(*number as usize) {
            *slot = place as u32;
        }
        put_text(&mut out, names.get(*number as usize).map_or("", |level| level.as_str()));
    }
    let mut levels: Vec<u32> = Vec::new();
    for cardholder in snapshot.iter() {
        put_text(&mut out, cardholder.id().as_str());
        out.push(cardholder.state() as u8);
        let keys = Keys::new(cardholder.reader());
        let fields = keys.fields(&snapshot.vocabulary.texts);
        record::digest(&mut out, keys, fields, &snapshot.vocabulary.fields);
        put_text(&mut out, cardholder.site().map_or("", |site| site.as_str()));
        let mut rest = fields.rest();
        rest.number(); // the site
        out.extend_from_slice(Tail::bytes(rest, cardholder.state()));
        levels.clear();
        levels.extend(cardholder.level_numbers().filter_map(|level| order.get(level as usize)));
        levels.sort_unstable();
        put_number(&mut out, levels.len() as u64);
        for level in &levels {
            put_number(&mut out, u64::from(*level));
        }
        hasher.update(&out);
        out.clear();
    }
    hasher.update(&out);
    super::hex(hasher)
}

#[cfg(test)]
mod tests {
    use lockstep_contract::{
        AccessLevelId, CorrelationKey, Credential, CredentialId, CredentialKind, CredentialStatus, FieldName,
        InactiveStatus, KeyKind, SiteId,
    };

    use super::*;

    fn plain(id: &str) -> Cardholder {
        Cardholder {
            id: CardholderId::new(id).expect("id"),
            keys: CorrelationKeys::new(),
            profile: Profile::new(),
            status: Status::Active,
            levels: std::collections::BTreeSet::new(),
            credentials: Vec::new(),
            validity: Validity::ALWAYS,
            site: None,
            revision: None,
        }
    }

    fn credential(id: &str, number: Option<&str>, status: CredentialStatus) -> Credential {
        let id = CredentialId::new(id).expect("id");
        Credential { id, kind: CredentialKind::Mobile, number: number.map(str::to_owned), status }
    }

    fn full(id: &str) -> Cardholder {
        let key = |kind, value| CorrelationKey::new(kind, value).expect("key");
        let level = |name| AccessLevelId::new(name).expect("level");
        Cardholder {
            keys: [key(KeyKind::Employee, "0012"), key(KeyKind::Mail, "zoë@x.example"), key(KeyKind::Card, "26-1")]
                .into_iter()
                .collect(),
            profile: [
                (FieldName::known("mail"), "zoë@x.example".to_owned()),
                (FieldName::known("department"), "Research".to_owned()),
                (FieldName::known("title"), String::new()),
            ]
            .into_iter()
            .collect(),
            status: Status::Other("Archived".to_owned()),
            levels: [level("Z"), level("A"), level("M")].into_iter().collect(),
            credentials: vec![
                credential("c1", Some("26-1"), CredentialStatus::Active),
                credential("c2", None, CredentialStatus::Inactive(InactiveStatus::Returned)),
                credential("c3", Some(""), CredentialStatus::Other("Paused".to_owned())),
            ],
            validity: Validity {
                from: None,
                until: Some(jiff::Timestamp::from_nanosecond(1_700_000_000_123_456_789).expect("time")),
            },
            site: Some(SiteId::new("North").expect("site")),
            ..plain(id)
        }
    }

    fn snapshot<'a>(cardholders: impl IntoIterator<Item = &'a Cardholder>) -> TargetSnapshot {
        let mut builder = TargetBuilder::new();
        for cardholder in cardholders {
            builder.add(cardholder);
        }
        builder.finish()
    }

    #[test]
    fn a_record_comes_out_as_it_went_in_and_with_the_digest_that_an_action_rests_on() {
        let records = [full("7"), plain("70"), Cardholder { status: Status::Suspended, ..full("100") }];
        let snapshot = snapshot(&records);
        for record in &records {
            let found = snapshot.cardholder(&record.id).expect("it was added");
            assert_eq!(found.to_cardholder(), *record);
            assert_eq!(found.to_cardholder().digest(), record.digest());
            assert_eq!(found.site(), record.site.as_ref());
            assert_eq!(found.field("department"), record.profile.get("department"));
        }
        assert_eq!((snapshot.len(), snapshot.active()), (3, 1));
        assert!(snapshot.cardholder(&CardholderId::new("8").expect("id")).is_none());
    }

    #[test]
    fn a_revision_is_no_difference_and_neither_is_the_order_of_credentials() {
        let mut builder = TargetBuilder::new();
        let record = full("7");
        let mut again = record.clone();
        again.revision = Some(lockstep_contract::Revision("W/2".to_owned()));
        again.credentials.reverse();
        assert_eq!((builder.add(&record), builder.add(&again)), (Added::New, Added::Again));
        let snapshot = builder.finish();
        assert_eq!(snapshot.len(), 1);
        assert_eq!(snapshot.cardholder(&record.id).map(CardholderRef::to_cardholder), Some(record));
    }

    #[test]
    fn two_different_records_with_one_id_are_held_whichever_came_first() {
        let other = Cardholder { status: Status::Active, levels: plain("7").levels, ..full("7") };
        let third = plain("7");
        let orders = [[&full("7"), &other, &third], [&third, &full("7"), &other], [&other, &third, &full("7")]];
        let snapshots: Vec<_> = orders
            .iter()
            .map(|order| {
                let mut builder = TargetBuilder::new();
                let added: Vec<_> = order.iter().map(|record| builder.add(record)).collect();
                assert_eq!(added, [Added::New, Added::Conflict, Added::Conflict]);
                builder.finish()
            })
            .collect();
        for snapshot in &snapshots {
            let held = snapshot.cardholder(&third.id).expect("held").to_cardholder();
            assert!(matches!(held.status, Status::Other(_)), "{:?}", held.status);
            assert_eq!((held.keys.len(), held.levels.len()), (3, 3), "nobody else is matched by these keys");
            assert_eq!(snapshot.conflicts(), std::slice::from_ref(&third.id));
            assert_eq!(snapshot.digest(), snapshots[0].digest());
        }
    }

    #[test]
    fn the_digest_is_of_the_content_not_of_the_order() {
        let records: Vec<_> = ["3", "1", "2"].map(full).into_iter().chain([plain("0")]).collect();
        let there = snapshot(&records);
        let back = snapshot(records.iter().rev());
        assert_eq!(there.digest(), back.digest());
        let mut changed = records.clone();
        changed[0].credentials[0].status = CredentialStatus::Inactive(InactiveStatus::Lost);
        assert_ne!(snapshot(&changed).digest(), there.digest());
        let ids: Vec<_> = there.iter().map(|cardholder| cardholder.id().as_str()).collect();
        assert_eq!(ids, ["0", "1", "2", "3"]);
    }

    #[test]
    fn the_digest_sees_every_part_of_a_record() {
        let base = full("1");
        let mut variants = vec![base.clone()];
        let mut vary = |change: &dyn Fn(&mut Cardholder)| {
            let mut record = base.clone();
            change(&mut record);
            variants.push(record);
        };
        vary(&|c| c.keys = CorrelationKeys::new());
        vary(&|c| c.profile.set(FieldName::known("title"), "x"));
        vary(&|c| c.status = Status::Active);
        vary(&|c| c.status = Status::Other("archived".to_owned()));
        vary(&|c| c.levels.clear());
        vary(&|c| c.credentials.truncate(2));
        vary(&|c| c.credentials[0].number = None);
        vary(&|c| c.validity = Validity::ALWAYS);
        vary(&|c| c.site = None);
        vary(&|c| c.site = Some(SiteId::new("South").expect("site")));
        let digests: std::collections::BTreeSet<_> =
            variants.iter().map(|record| snapshot([record]).digest()).collect();
        assert_eq!(digests.len(), variants.len());
    }

    #[test]
    fn the_catalog_is_part_of_the_digest() {
        let mut builder = TargetBuilder::new();
        let mut catalog = Catalog::default();
        catalog.levels.insert(AccessLevelId::new("A").expect("level"), lockstep_contract::AccessLevel::default());
        builder.catalog(catalog);
        assert_ne!(builder.finish().digest(), TargetBuilder::new().finish().digest());
    }
}
