//! What a PACS connector can do. The trait is in two halves: a planner is handed a [`TargetReader`], which has no
//! method that writes; only apply and offboard ever hold a [`Target`].
//!
//! No method opens a door, unlocks, changes a schedule, or deletes a record, and none may be added.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    AccessLevelId, Action, ApplyFault, Cardholder, CardholderId, CorrelationKey, Cursor, Cx, Fault, FieldName, KeyKind,
    Page, ServerMark, SiteId, TargetId,
};

/// Reads cardholders and access levels.
#[async_trait]
pub trait TargetReader: Send + Sync {
    /// Who this is and what it can do.
    fn info(&self) -> &TargetInfo;

    /// Reaches the system, proves the rights it has and those it must not have.
    async fn probe(&self, cx: &Cx) -> Result<Health, Fault>;

    /// The access levels that exist, with their doors.
    async fn catalog(&self, cx: &Cx) -> Result<Catalog, Fault>;

    /// A page of all cardholders, suspended ones too. Call with `None` first, then with the cursor of the page before.
    async fn list(&self, cx: &Cx, at: Option<Cursor>) -> Result<Page<Cardholder>, Fault>;

    /// The cardholders that have exactly this key. A connector checks the answer against the key itself: some systems
    /// ignore a filter and return everybody.
    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Cardholder>, Fault>;

    /// One cardholder, or `None` when the system says positively that it is not there.
    async fn read(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Cardholder>, Fault>;

    /// How far the record as it is now has got: its database, or every controller concerned. `None` when this system
    /// cannot tell, which is never taken for a yes. Controllers lag by seconds to days, so this may be asked again.
    async fn enforced(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Enforcement>, Fault> {
        let _ = (cx, id);
        Ok(None)
    }
}

/// Writes, too: one action, once, without retries.
#[async_trait]
pub trait Target: TargetReader {
    /// Carries out one action. Returning `Ok` says that the system accepted it, not that it is so: the engine reads back.
    ///
    /// # Errors
    /// [`ApplyFault::NotSent`] and [`ApplyFault::Refused`] promise that there was no effect at all. An action of several
    /// requests that broke off in the middle is [`ApplyFault::Uncertain`].
    async fn apply(&self, cx: &Cx, action: &Action) -> Result<Receipt, ApplyFault>;
}

/// Who a target is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TargetInfo {
    /// The configured id.
    pub id: TargetId,
    /// The kind of connector: `sim`, `scim`.
    pub kind: String,
    /// Where it is, without user-info or secrets.
    pub endpoint: String,
    /// What tells this system from another one of its kind: the PACS' own id, partition, base URL. Part of every plan's
    /// digest, so that a plan for one site never runs on another.
    pub fingerprint: String,
    /// What it can do.
    pub capabilities: Capabilities,
}

/// What a target can do. Facts, not wishes: the conformance suite checks each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Capabilities {
    /// Whether a write changes one thing or replaces the record.
    pub granularity: Granularity,
    /// What suspending somebody means here.
    pub suspend: Suspend,
    /// What can be done with credentials.
    pub credentials: CredentialSupport,
    /// Validity dates can be written.
    pub validity: bool,
    /// Conditional writes with a revision.
    pub revision: bool,
    /// Accepts an action id as a request key, so that a repeat is recognised.
    pub idempotency: bool,
    /// The kinds of key it can find somebody by.
    pub keys: BTreeSet<KeyKind>,
    /// The fields it can store, and their limits.
    pub fields: BTreeMap<FieldName, FieldRule>,
    /// What a successful write proves.
    pub enforcement: Enforcement,
    /// How many requests it may have in flight.
    pub in_flight_max: NonZeroU32,
    /// Its quota, if it has one.
    pub requests_per_minute: Option<NonZeroU32>,
}

/// Whether a write changes one thing or replaces the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Granularity {
    /// One step at a time.
    Step,
    /// The whole record: unmanaged parts must be carried through untouched.
    WholeCardholder,
}

/// What suspending somebody means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Suspend {
    /// The record has a flag.
    CardholderFlag,
    /// There is no flag; every credential is switched off. The status of a record follows from its credentials: active while
    /// one works, suspended otherwise, also when there is none. Levels are given only to somebody with one that works.
    EveryCredential,
}

/// What can be done with credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CredentialSupport {
    /// Nothing.
    None,
    /// Switch off and on.
    Status,
    /// Also issue new ones.
    Issue,
}

/// What a PACS accepts in a field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FieldRule {
    /// A new record must have it.
    pub required: bool,
    /// At most so many characters, where there is a limit.
    pub chars_max: Option<u32>,
}

/// What was proved. "In the database of the PACS" is not "at the door".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Enforcement {
    /// The head end has it. Controllers may lag.
    Database,
    /// The controllers have confirmed it.
    Controllers,
}

/// The access levels of a PACS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Catalog {
    /// All levels by id.
    pub levels: BTreeMap<AccessLevelId, AccessLevel>,
}

/// One access level as people know it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccessLevel {
    /// Its name.
    pub name: String,
    /// The doors it opens, by name, where the PACS tells.
    pub doors: Vec<String>,
    /// Its site, where the PACS tells.
    pub site: Option<SiteId>,
}

/// What the system said about a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Receipt {
    /// The record written to; the new one's id after a `Provision`.
    pub cardholder: CardholderId,
    /// What the answer proves.
    pub enforced: Enforcement,
}

/// The result of a probe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Health {
    /// Each thing looked at.
    pub checks: Vec<Check>,
    /// Which server answered.
    pub server: Option<ServerMark>,
}

/// One thing that a probe looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Check {
    /// What: `TLS`, `bind`, `canary`, `over-privilege`.
    pub name: String,
    /// How it went.
    pub outcome: CheckOutcome,
    /// What was seen.
    pub detail: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CheckOutcome {
    /// As it should be.
    Pass,
    /// Works, but somebody should look at it: too many rights, a certificate near its end.
    Warn,
    /// Does not work.
    Fail,
}
