//! Reads people and groups from Microsoft Entra ID through Microsoft Graph.
//!
//! Graph answers with success where it does not show: `null` for properties, nothing for members. So nothing that is not
//! seen is believed without a proof: a list is whole only when it agrees with a count taken by another path, a group is
//! empty only with such a count and the canary in sight, somebody is gone only by the deleted items or when two paths say
//! so while the canary is seen. Nothing here writes, and nothing decides.

#![forbid(unsafe_code)]

mod api;
mod assertion;
mod batch;
mod changes;
mod cloud;
mod config;
mod convert;
mod expiry;
mod graph;
mod groups;
mod lookup;
mod members;
mod opening;
mod pace;
mod paths;
mod people;
mod probe;
mod roles;
mod standing;
mod token;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
pub use config::{Auth, Cloud, Config, Groups, People, Signature};
use lockstep_contract::{
    Changes, CorrelationKey, Cursor, Cx, Directory, DirectoryInfo, Fault, GroupId, GroupPath, Health, Membership, Page,
    Person, PersonId, Presence, Scope, Watermark,
};
pub use opening::open;
use uuid::Uuid;

use crate::convert::FieldMap;
use crate::graph::Graph;
use crate::standing::Leaving;

/// The configuration, checked.
#[derive(Debug)]
pub(crate) struct Settings {
    config: Config,
    fields: FieldMap,
    leaving: Leaving,
    /// Which users are people.
    filter: Option<String>,
    canary: Option<Uuid>,
    canary_group: Option<Uuid>,
}

/// A tenant of Entra ID.
#[derive(Debug)]
pub struct Entra {
    info: DirectoryInfo,
    graph: Graph,
    settings: Settings,
    people: tokio::sync::Mutex<people::State>,
    quarantined: Mutex<Vec<(String, String)>>,
}

#[async_trait]
impl Directory for Entra {
    fn info(&self) -> &DirectoryInfo {
        &self.info
    }

    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        self.health(cx).await
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
        std::mem::take(&mut *self.quarantined.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
