//! The spool, looked at while a run works: an emergency offboarding does not wait for the lease, so what it wrote is
//! not in the state yet. Reads only; taking the spool over is housekeeping.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use lockstep_contract::TargetId;
use lockstep_core::{Holds, Links};
use lockstep_engine::{Desk, SpoolEntry, Store};

use crate::cli::emergency::{self, Folders};

/// What a folder holds: names, lengths and times. A file that grew is another one.
type Listing = Vec<(PathBuf, u64, Option<SystemTime>)>;

type ByTarget = BTreeMap<TargetId, Arc<Holds>>;

/// Knows who is held out by the spool of this state.
pub(crate) struct SpoolDesk<'a> {
    folders: Folders,
    targets: Vec<TargetId>,
    store: &'a dyn Store,
    seen: Mutex<(Listing, Arc<ByTarget>)>,
}

impl<'a> SpoolDesk<'a> {
    pub(crate) fn new(folders: Folders, targets: Vec<TargetId>, store: &'a dyn Store) -> Self {
        Self { folders, targets, store, seen: Mutex::default() }
    }

    /// What both folders hold.
    fn listing(&self) -> Result<Listing, String> {
        let mut all = Listing::new();
        for folder in self.folders.each() {
            all.extend(listing(folder).map_err(|error| format!("{}: {error}", folder.display()))?);
        }
        Ok(all)
    }

    async fn read(&self) -> Result<ByTarget, String> {
        let files = self.folders.waiting().map_err(|error| error.to_string())?;
        let mut links: BTreeMap<TargetId, Links> = BTreeMap::new();
        for target in &self.targets {
            links.insert(target.clone(), self.store.links(target).await.map_err(|error| error.to_string())?);
        }
        let mut holds: BTreeMap<TargetId, Holds> = BTreeMap::new();
        for file in &files {
            if let Some(why) = &file.broken {
                return Err(format!("{}: {why}", file.path.display()));
            }
            for entry in emergency::withheld(&file.events, &links) {
                let SpoolEntry::Hold { targets, hold } = entry else { continue };
                for target in self.targets.iter().filter(|target| targets.is_empty() || targets.contains(target)) {
                    holds.entry(target.clone()).or_default().0.push(hold.clone());
                }
            }
        }
        Ok(holds.into_iter().map(|(target, holds)| (target, Arc::new(holds))).collect())
    }
}

fn listing(folder: &Path) -> io::Result<Listing> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Listing::new()),
        other => other?,
    };
    let mut listing = Listing::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "spool") {
            // What was renamed in between was taken over first.
            let found = match path.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            listing.push((path, found.len(), found.modified().ok()));
        }
    }
    listing.sort();
    Ok(listing)
}

#[async_trait]
impl Desk for SpoolDesk<'_> {
    async fn holds(&self, target: &TargetId) -> Result<Arc<Holds>, String> {
        // Listed before it is read: what arrives in between makes the next look read again.
        let now = self.listing()?;
        let known = {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            (seen.0 == now).then(|| seen.1.clone())
        };
        let all = if let Some(all) = known {
            all
        } else {
            let read = Arc::new(self.read().await?);
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = (now, read.clone());
            read
        };
        Ok(all.get(target).cloned().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use lockstep_contract::{CorrelationKey, KeyKind, RunId};
    use lockstep_offboard::Event;
    use lockstep_store::{MemoryStore, Spool, set_aside};

    use super::*;
    use crate::cli::emergency::Line;

    fn line(employee: &str) -> Line {
        let key = CorrelationKey::new(KeyKind::Employee, employee).expect("a key");
        Line {
            run: RunId::new(uuid::Uuid::from_u128(1)),
            nth: 0,
            keys: [key].into_iter().collect(),
            record: None,
            scope: emergency::Scope::default(),
            at: Timestamp::UNIX_EPOCH,
            event: Event::Hold {
                who: employee.to_owned(),
                reason: "dismissed".to_owned(),
                ticket: None,
                by: "desk".to_owned(),
                at: Timestamp::UNIX_EPOCH,
            },
        }
    }

    #[tokio::test]
    async fn whoever_is_put_out_while_a_run_works_is_known_at_once() {
        let state = tempfile::tempdir().expect("a folder");
        let second = state.path().join("second");
        let hq = TargetId::new("hq").expect("an id");
        let store = MemoryStore::new();
        let desk = SpoolDesk::new(Folders::new(state.path(), Some(&second)), vec![hq.clone()], &store);
        let held = async || {
            let holds = desk.holds(&hq).await?;
            let on = |employee: &str| holds.on(None, None, line(employee).keys.iter()).is_some();
            Ok::<_, String>([on("e1"), on("e2")])
        };
        assert_eq!(held().await, Ok([false, false]), "no folder yet");
        let folder = state.path().join(emergency::SPOOL);
        let mut spool = Spool::create(&folder, "first").expect("made");
        assert_eq!(held().await, Ok([false, false]), "nothing said yet");
        spool.append(&line("e1")).expect("written");
        assert_eq!((held().await, held().await), (Ok([true, false]), Ok([true, false])));
        Spool::create(&second, "second").expect("made").append(&line("e2")).expect("written");
        assert_eq!(held().await, Ok([true, true]));
        set_aside(spool.path()).expect("renamed");
        assert_eq!(held().await, Ok([false, true]), "what was taken over is in the state");
        std::fs::write(folder.join("third-000.spool"), "something else\n").expect("written");
        assert!(held().await.is_err(), "nobody knows who is put out there");
    }
}
