//! What a directory connector can do: read. There is no method that writes.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    CorrelationKey, Cursor, Cx, DirectoryId, Entitled, Fault, FaultKind, FieldName, GroupId, Health, Membership, Page,
    Person, PersonId,
};

/// A source of people and groups: Active Directory, LDAP, Entra ID, an HR feed.
///
/// A connector never decides: it does not filter, has no thresholds, and supplies no default for what is missing.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Who this is.
    fn info(&self) -> &DirectoryInfo;

    /// Reaches the system, proves the rights it has and those it must not have.
    async fn probe(&self, cx: &Cx) -> Result<Health, Fault>;

    /// A page of the people in scope. Call with `None` first, then with the cursor of the page before.
    ///
    /// A record that cannot be understood is left out of `items`, counted in the census all the same, and reported
    /// by [`take_quarantined`](Self::take_quarantined): one bad record must not stop everybody else.
    async fn people(&self, cx: &Cx, scope: &Scope, at: Option<Cursor>) -> Result<Page<Person>, Fault>;

    /// The people in each of these groups, transitively. Cannot fail: it answers, for every group asked, and a failure
    /// is the value [`Membership::Unreadable`]. One unreadable nested group makes every group above it unreadable.
    async fn members(&self, cx: &Cx, groups: &BTreeSet<GroupId>) -> BTreeMap<GroupId, Membership>;

    /// The people with this key, whatever their standing. For `explain` and `offboard`.
    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Person>, Fault>;

    /// The one person with this immutable id. [`Presence::Gone`] is said only with a proof; doubt is a fault.
    async fn lookup(&self, cx: &Cx, id: &PersonId) -> Result<Presence, Fault>;

    /// Whether [`people`](Self::people) would give the person with this id, by the configured place and filter alone.
    /// Asked about somebody whom [`lookup`](Self::lookup) has just shown. "No" needs evidence: an entry that was read and
    /// stands elsewhere, say. Not to be found within is none; that, and every connector that cannot tell, is "unknown".
    async fn in_reach(&self, _cx: &Cx, _id: &PersonId) -> Result<Entitled, Fault> {
        Ok(Entitled::Unknown)
    }

    /// For each of these groups that the person is in, the shortest chain of groups from it down to the one that names
    /// the person. For `explain`.
    async fn paths(
        &self,
        cx: &Cx,
        id: &PersonId,
        groups: &BTreeSet<GroupId>,
    ) -> Result<BTreeMap<GroupId, GroupPath>, Fault>;

    /// Whom to look at since a watermark. Never a proof of anything. Connectors that cannot tell say so.
    async fn changes(&self, _cx: &Cx, _since: Option<Watermark>) -> Result<Changes, Fault> {
        let system = self.info().id.as_str();
        Err(Fault::new(
            FaultKind::Unsupported,
            system,
            "read changes",
            "this directory cannot tell what changed; a full read is used",
        ))
    }

    /// The records that the last complete [`people`](Self::people) read set aside: which, and why.
    fn take_quarantined(&self) -> Vec<(String, String)>;
}

/// Who a directory is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryInfo {
    /// The configured id.
    pub id: DirectoryId,
    /// The kind of connector: `ldap`, `hr-csv`.
    pub kind: String,
    /// Where it is, without user-info or secrets.
    pub endpoint: String,
}

/// What to read about people. Where and whom is the connector's own configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The fields that the mapping uses; a connector asks for these and no more.
    pub fields: BTreeSet<FieldName>,
}

/// The answer of a direct look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// The person is there.
    Present(Box<Person>),
    /// The person is gone, and this is why that is believed.
    Gone(Proof),
}

/// Why a person is believed to be gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// A tombstone of this very id was read (Active Directory *Deleted Objects*).
    Tombstone,
    /// The id was read among the deleted items.
    DeletedItem,
    /// The source, authoritative for existence, says not found, and in the same session the canary, an object of the
    /// same kind and place, was found.
    NotFound {
        /// The object that was found.
        canary: String,
    },
}

/// Groups from the one the mapping names down to the one that names the person, by name.
pub type GroupPath = Vec<String>;

/// How far a reader has seen. Opaque to everybody but the connector that made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Watermark(pub String);

/// Whom to look at: everybody who changed, and everybody who was put into or taken out of a group, whichever group in
/// between it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// People who may have changed.
    pub people: Vec<PersonId>,
    /// The next watermark.
    pub next: Watermark,
    /// The old watermark was lost or reset, or something happened of which it cannot be told whom it concerns: a census is
    /// needed, which begins after this answer.
    pub reset: bool,
}

/// Which server answered, and how far it is: a server that is another one, or that went back, is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServerMark {
    /// What must never change: the domain's SID or naming context, a SCIM service's id.
    pub domain: String,
    /// Which replica answered, where one can tell.
    pub replica: Option<String>,
    /// A number that only grows on this replica (`highestCommittedUSN`).
    pub generation: Option<u64>,
    /// The server's own clock.
    pub clock: Option<Timestamp>,
}
