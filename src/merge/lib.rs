//! Several directories as one: each is read whole by itself, people are recognised by a declared anchor, and any of them
//! may end a person.
//!
//! One directory is the authority: it says who exists. The others are overlays. What an overlay cannot say (it was not
//! read, it does not know the person, it disagrees about who that is) leaves the person undecided: nobody is ended and
//! nobody comes back because of it. This crate knows no connector, writes nothing, and pairs nobody by likeness. With one
//! directory it is not used at all.

#![forbid(unsafe_code)]

mod anchor;
mod census;
mod changes;
mod groups;
mod join;
mod people;
mod single;
mod standing;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use lockstep_contract::{
    Changes, Check, CheckOutcome, CorrelationKey, Cursor, Cx, Directory, DirectoryId, DirectoryInfo, Entitled, Fault,
    GroupId, GroupPath, Health, Membership, Page, Person, PersonId, Presence, Scope, Watermark,
};

pub use lockstep_core::{Anchor, Missing};

use table::Known;

/// A directory beside the authority.
pub struct Overlay {
    /// The directory.
    pub directory: Arc<dyn Directory>,
    /// By what its people are recognised.
    pub anchor: Anchor,
    /// What it means that it does not know somebody.
    pub missing: Missing,
}

/// What the last whole census found out about each overlay. A watch looks at single people by what its census found.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<Option<Arc<Vec<Known>>>>>);

/// Several directories as one. Its id is that of the authority, and so are the ids of its people.
pub struct Merged {
    info: DirectoryInfo,
    authority: Arc<dyn Directory>,
    overlays: Vec<Overlay>,
    census: tokio::sync::Mutex<people::Census>,
    memory: Memory,
    set_aside: Mutex<Vec<(String, String)>>,
}

impl Merged {
    /// The authority and the overlays. Nothing is read yet.
    pub fn new(authority: Arc<dyn Directory>, overlays: Vec<Overlay>) -> Self {
        let DirectoryInfo { id, kind, endpoint } = authority.info().clone();
        let others = overlays.iter().map(|overlay| format!("{}: {}", overlay.id(), overlay.directory.info().endpoint));
        let endpoint = std::iter::once(endpoint).chain(others).collect::<Vec<_>>().join("; ");
        Self {
            info: DirectoryInfo { id, kind, endpoint },
            authority,
            overlays,
            census: tokio::sync::Mutex::default(),
            memory: Memory::default(),
            set_aside: Mutex::default(),
        }
    }

    /// The same, sharing what a census finds out with others that were made from the same configuration.
    #[must_use]
    pub fn remembering(mut self, memory: &Memory) -> Self {
        self.memory = memory.clone();
        self
    }

    fn known(&self) -> Option<Arc<Vec<Known>>> {
        lock(&self.memory.0).clone()
    }
}

impl Overlay {
    fn id(&self) -> &DirectoryId {
        &self.directory.info().id
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is kept is replaced whole, so whoever panicked left nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Directory for Merged {
    fn info(&self) -> &DirectoryInfo {
        &self.info
    }

    /// The mark is the authority's. An overlay that cannot be reached is a check that failed.
    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        let mut health = self.authority.probe(cx).await?;
        for overlay in &self.overlays {
            let id = overlay.id();
            match overlay.directory.probe(cx).await {
                Ok(theirs) => health.checks.extend(theirs.checks.into_iter().map(|check| {
                    let name = format!("{id}: {}", check.name);
                    Check { name, ..check }
                })),
                Err(fault) => health.checks.push(Check {
                    name: format!("{id}: reach"),
                    outcome: CheckOutcome::Fail,
                    detail: fault.to_string(),
                    help: fault.help,
                }),
            }
        }
        Ok(health)
    }

    async fn people(&self, cx: &Cx, scope: &Scope, at: Option<Cursor>) -> Result<Page<Person>, Fault> {
        self.people_page(cx, scope, at).await
    }

    async fn members(&self, cx: &Cx, groups: &BTreeSet<GroupId>) -> BTreeMap<GroupId, Membership> {
        self.memberships(cx, groups).await
    }

    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Person>, Fault> {
        self.find_people(cx, key).await
    }

    async fn lookup(&self, cx: &Cx, id: &PersonId) -> Result<Presence, Fault> {
        self.look_up(cx, id).await
    }

    /// Who exists is the authority's word.
    async fn in_reach(&self, cx: &Cx, id: &PersonId) -> Result<Entitled, Fault> {
        self.authority.in_reach(cx, id).await
    }

    async fn paths(
        &self,
        cx: &Cx,
        id: &PersonId,
        groups: &BTreeSet<GroupId>,
    ) -> Result<BTreeMap<GroupId, GroupPath>, Fault> {
        self.group_paths(cx, id, groups).await
    }

    async fn changes(&self, cx: &Cx, since: Option<Watermark>) -> Result<Changes, Fault> {
        self.changes_since(cx, since).await
    }

    fn take_quarantined(&self) -> Vec<(String, String)> {
        std::mem::take(&mut lock(&self.set_aside))
    }
}
