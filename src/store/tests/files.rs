//! What is on the disk: who may read it, what becomes of damage, and the two files that an emergency works with.

use std::fs;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{CardholderId, CorrelationKey, KeyKind, TargetId};
use lockstep_engine::{NodeId, Store, StoreError};
use lockstep_store::{Roster, RosterEntry, Spool, SqliteStore, read_all, set_aside};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

async fn written(path: &Path) {
    let store = SqliteStore::open(path).expect("opens");
    let now = Timestamp::UNIX_EPOCH;
    let epoch = store.lease(&NodeId("a".into()), SignedDuration::from_mins(1), now).await.expect("free");
    let target = TargetId::new("hq").expect("id");
    for digest in ["first", "second", "third"] {
        store.applied_policy(epoch, &target, digest, now).await.expect("written");
    }
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).expect("is there").permissions().mode() & 0o777
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_any_of_it() {
    let folder = folder();
    let path = folder.path().join("state.db");
    written(&path).await;
    Roster::write(folder.path().join("roster.db"), [], Timestamp::UNIX_EPOCH).expect("written");
    drop(Spool::create(folder.path(), "x").expect("made"));
    for entry in fs::read_dir(folder.path()).expect("lists") {
        let path = entry.expect("is there").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("state.db");
    written(&path).await;
    rusqlite::Connection::open(&path).and_then(|c| c.pragma_update(None, "user_version", 99)).expect("changed");
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::TooNew { found: 99, .. })));
}

#[tokio::test]
async fn what_cannot_be_understood_is_never_made_anew() {
    let folder = folder();
    for (name, bytes) in [("empty", b"".as_slice()), ("text", b"this is no database, but a text of some length")] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("written");
        assert!(matches!(SqliteStore::open(&path), Err(StoreError::Corrupt { .. })), "{name}");
        assert_eq!(fs::read(&path).expect("read"), bytes, "{name} was changed");
    }
    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other).and_then(|c| c.execute_batch("CREATE TABLE t (x)")).expect("made");
    assert!(matches!(SqliteStore::open(&other), Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn a_change_behind_our_back_is_found() {
    for change in [
        "UPDATE journal SET body = replace(body, 'second', 'sEcond')",
        "DELETE FROM journal WHERE seq = 2",
        "DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)",
        "UPDATE named SET body = replace(body, 'third', 'other')",
        "UPDATE named SET name = 'lab'",
        "UPDATE head SET seq = seq - 1",
    ] {
        let folder = folder();
        let path = folder.path().join("state.db");
        written(&path).await;
        rusqlite::Connection::open(&path).and_then(|c| c.execute_batch(change)).expect("changed");
        let found = match SqliteStore::open(&path) {
            Ok(store) => store.verify().await,
            Err(error) => Err(error),
        };
        assert!(matches!(found, Err(StoreError::Corrupt { .. })), "{change}: {found:?}");
    }
}

#[tokio::test]
async fn flipped_bits_in_what_was_written_are_found() {
    let folder = folder();
    let path = folder.path().join("state.db");
    written(&path).await;
    let whole = fs::read(&path).expect("read");
    let at = whole.windows(6).position(|bytes| bytes == b"second").expect("it is in the journal");
    for offset in 0..6 {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at + offset] ^= 1 << bit;
            fs::write(&path, &flipped).expect("written");
            let found = match SqliteStore::open(&path) {
                Ok(store) => store.verify().await,
                Err(error) => Err(error),
            };
            assert!(matches!(found, Err(StoreError::Corrupt { .. })), "byte {offset}, bit {bit}: {found:?}");
        }
    }
}

/// What the store says about everything that `written` wrote, or that it does not verify.
async fn told(path: &Path) -> Result<String, StoreError> {
    let store = SqliteStore::open_inline(path)?;
    store.verify().await?;
    let target = TargetId::new("hq").expect("id");
    let now = Timestamp::UNIX_EPOCH;
    let history = store.history(&target, now).await?;
    let (runs, open) = (store.runs(10).await?, store.unsettled().await?);
    let links = store.links(&target).await?;
    Ok(format!("{history:?} {runs:?} {open:?} {links:?}"))
}

#[tokio::test]
async fn a_bit_that_flips_anywhere_is_found_or_changes_nothing() {
    let folder = folder();
    let path = folder.path().join("state.db");
    written(&path).await;
    let whole = fs::read(&path).expect("read");
    let meant = told(&path).await.expect("whole");
    let mut found = 0;
    // A prime step, so that every kind of page and every place in it is met.
    for position in (0..whole.len() * 8).step_by(3_331) {
        for left in ["state.db-wal", "state.db-shm"] {
            let _ = fs::remove_file(folder.path().join(left)); // it may not be there
        }
        let mut flipped = whole.clone();
        flipped[position / 8] ^= 1 << (position % 8);
        fs::write(&path, &flipped).expect("written");
        match told(&path).await {
            Err(_) => found += 1,
            Ok(said) => assert_eq!(said, meant, "bit {position} changed what is remembered, and nothing noticed"),
        }
    }
    assert!(found > 0, "no flip was found at all");
}

fn key(value: &str) -> CorrelationKey {
    CorrelationKey::new(KeyKind::Employee, value).expect("key")
}

#[test]
fn the_roster_knows_whoever_is_in_it_and_names_nobody() {
    let folder = folder();
    let path = folder.path().join("roster.db");
    let entry = |target: &str, id: &str, value: &str| RosterEntry {
        target: TargetId::new(target).expect("id"),
        cardholder: CardholderId::new(id).expect("id"),
        keys: [key(value)].into_iter().collect(),
    };
    let now = Timestamp::from_second(1_700_000_000).expect("in range");
    Roster::write(&path, [entry("hq", "1", "old")], Timestamp::UNIX_EPOCH).expect("written");
    Roster::write(&path, [entry("hq", "7", "77001"), entry("lab", "9", "77001"), entry("hq", "8", "77002")], now)
        .expect("replaced");
    let roster = Roster::load(&path).expect("loads");
    assert_eq!(roster.made(), now);
    let found = roster.lookup([&key("77001")]).expect("read");
    let found: Vec<String> =
        found.iter().flat_map(|(target, ids)| ids.iter().map(move |id| format!("{target}/{id}"))).collect();
    assert_eq!(found, ["hq/7", "lab/9"]);
    let has = |target: &str, id: &str| {
        let (target, id) = (TargetId::new(target).expect("id"), CardholderId::new(id).expect("id"));
        roster.has_record(&target, &id).expect("read")
    };
    assert_eq!((has("hq", "7"), has("lab", "7")), (true, false));
    assert!(roster.lookup([&key("old")]).expect("read").is_empty(), "it was replaced as a whole");
    let bytes = fs::read(&path).expect("read");
    assert!(!bytes.windows(5).any(|bytes| bytes == b"77001"), "a key is in the file");
    assert!(Roster::load(folder.path().join("none")).is_err());
}

#[test]
fn a_spool_is_read_back_as_written_and_a_torn_line_never_happened() {
    let folder = folder();
    let path = folder.path().join("spool");
    assert_eq!(read_all::<String>(&path).expect("no folder, no files"), []);
    let mut spool = Spool::create(&path, "2026-11-24/../x").expect("made");
    for event in ["held", "intended", "done"] {
        spool.append(&event).expect("synced");
    }
    let file = spool.path().to_owned();
    assert_eq!(file.parent(), Some(path.as_path()), "a name leads nowhere else");
    drop(spool);
    let read = read_all::<String>(&path).expect("whole");
    assert_eq!(
        (read[0].events.as_slice(), read[0].torn),
        (["held", "intended", "done"].map(String::from).as_slice(), false)
    );

    let whole = fs::read(&file).expect("read");
    let two = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1).expect("three lines").0 + 1;
    for cut in two + 1..whole.len() {
        fs::write(&file, &whole[..cut]).expect("written");
        let read = read_all::<String>(&path).expect("the rest is whole");
        assert_eq!((read[0].events.len(), read[0].torn), (2, true), "cut at {cut}");
    }
    let mut lost = 0;
    for changed in 0..two {
        let mut bytes = whole.clone();
        bytes[changed] ^= 1;
        fs::write(&file, &bytes).expect("written");
        let found = read_all::<String>(&path).expect("a damaged file stops nobody").remove(0);
        assert!(found.broken.is_some(), "a change at {changed} went unseen: {found:?}");
        let written = |event: &String| ["held", "intended", "done"].contains(&event.as_str());
        assert!(found.events.iter().all(written), "a change at {changed} says what nobody wrote: {found:?}");
        lost += usize::from(!found.events.contains(&"done".to_owned()));
    }
    assert!(lost <= 8, "what is whole behind the damage counts, unless the very end of a line is hit: {lost}");
    fs::write(&file, &whole).expect("written");
    set_aside(&file).expect("renamed");
    assert_eq!(read_all::<String>(&path).expect("nothing is left"), []);
}
