//! The messages, version 1: JSON-RPC 2.0 (<https://www.jsonrpc.org/specification>), one message a line, UTF-8, in both
//! directions at most [`MESSAGE_BYTES_MAX`] bytes. The host asks, the child answers; the child never asks. Answers may come
//! in any order. What stands in them are the types of the contract, as they are written to JSON everywhere.
//!
//! This module must not send anything.

use std::collections::BTreeMap;

use lockstep_contract::{
    Action, Capabilities, Cardholder, CardholderId, Catalog, Census, CorrelationKey, CorrelationKeys, Cursor,
    Enforcement, FaultKind, Health, Profile, Receipt, Status, TargetId, Validity,
};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

/// The version that this program speaks.
pub const VERSION: u32 = 1;
/// Bytes of one message, line end included.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The names of the methods.
pub mod method {
    /// The first message: version, settings, secrets. The child must not reach its PACS yet.
    pub const INITIALIZE: &str = "initialize";
    /// Reaches the PACS and says what it found, rights that it should not have included.
    pub const PROBE: &str = "probe";
    /// The access levels.
    pub const CATALOG: &str = "catalog";
    /// A page of all cardholders.
    pub const LIST: &str = "list";
    /// The cardholders with exactly this key.
    pub const FIND: &str = "find";
    /// One cardholder, or `null` when the PACS says positively that it is not there.
    pub const READ: &str = "read";
    /// How far a record has got. Asked only when the child said `tells_enforcement`.
    pub const ENFORCED: &str = "enforced";
    /// Carries out one action, once.
    pub const APPLY: &str = "apply";
    /// For the conformance suite: a PACS that holds exactly these records.
    pub const FRESH: &str = "conformance/fresh";
    /// For the conformance suite: trouble from now on.
    pub const TROUBLE: &str = "conformance/trouble";
    /// For the conformance suite: all trouble ends.
    pub const HEAL: &str = "conformance/heal";
    /// For the conformance suite: a record as the PACS has it, by a way that shares nothing with `read`.
    pub const RECORD: &str = "conformance/record";
}

/// What every request but the first carries beside what it asks.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Asked<P> {
    /// The child must have answered by then, counted from the arrival of the message; it is killed a little later.
    pub deadline_ms: u64,
    /// The run that this belongs to, for the logs of the PACS.
    pub run: Option<String>,
    /// What is asked.
    #[serde(flatten)]
    pub what: P,
}

/// Nothing more to say.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Nothing {}

/// The first message.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Initialize {
    /// The versions that the host speaks, oldest and newest.
    pub protocol: [u32; 2],
    /// The id of the target in the configuration, for messages.
    pub target: TargetId,
    /// The settings of the child.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// Its secrets. They must appear in no answer and in no log.
    pub secrets: BTreeMap<String, String>,
    /// The conformance suite is run: no real PACS may be reached.
    #[serde(default)]
    pub conformance: bool,
}

/// The answer to the first message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Initialized {
    /// The version that the child chose.
    pub protocol: u32,
    /// Name and version of the child, for people.
    pub connector: String,
    /// Where the PACS is, without user-info or secrets.
    pub endpoint: String,
    /// What tells this PACS from another one: part of every plan, so that a plan for one never runs on another.
    pub fingerprint: String,
    /// What it can do. The suite checks each.
    pub capabilities: Capabilities,
    /// `enforced` may be asked.
    #[serde(default)]
    pub tells_enforcement: bool,
    /// What the child can do for the conformance suite; `null` when it cannot be examined.
    #[serde(default)]
    pub conformance: Option<Examinable>,
}

/// What a child can do for the conformance suite.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Examinable {
    /// The troubles that it cannot bring about, each with the reason. Their laws are skipped with that text.
    #[serde(default)]
    pub cannot: BTreeMap<String, String>,
    /// `conformance/record` may be asked.
    #[serde(default)]
    pub records: bool,
}

/// What `list` is asked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct List {
    /// The cursor of the page before; `null` for the first page.
    pub cursor: Option<Cursor>,
}

/// A page of all cardholders.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The cardholders, suspended ones too.
    pub items: Vec<Cardholder>,
    /// How to go on.
    pub next: Next,
}

/// How to go on after a page.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Next {
    /// There is more.
    More(Cursor),
    /// This was the last page, and these counts prove it.
    End(Census),
}

/// What `find` is asked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Find {
    /// The key.
    pub key: CorrelationKey,
}

/// What `read`, `enforced` and `conformance/record` are asked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Read {
    /// The cardholder.
    pub id: CardholderId,
}

/// What `apply` is asked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Apply {
    /// The action.
    pub action: Action,
}

/// What `conformance/fresh` is asked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Fresh {
    /// The access levels; the PACS gives them ids.
    pub levels: Vec<FreshLevel>,
    /// The cardholders; the PACS gives them ids.
    pub cardholders: Vec<FreshCardholder>,
}

/// An access level of a fresh PACS.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FreshLevel {
    /// Its name.
    pub name: String,
    /// Its doors.
    pub doors: Vec<String>,
}

/// A cardholder of a fresh PACS. What the PACS has no place for is left out.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FreshCardholder {
    /// Keys.
    pub keys: CorrelationKeys,
    /// Fields.
    pub profile: Profile,
    /// Active or suspended.
    pub status: Status,
    /// Levels, as positions in the list of levels.
    pub levels: Vec<usize>,
    /// Numbers of cards, all of which work.
    pub cards: Vec<String>,
    /// Validity.
    pub validity: Validity,
}

/// The ids that a fresh PACS gave, in the order in which it was asked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Made {
    /// Of the levels.
    pub levels: Vec<lockstep_contract::AccessLevelId>,
    /// Of the cardholders.
    pub cardholders: Vec<CardholderId>,
}

/// What `conformance/trouble` is asked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Strike {
    /// `cut-list`, `short-list`, `repeated-page`, `ignored-filter`, `lost-answer`, `refuse`, `deny`, `unauthenticated`,
    /// `throttle` (to wait 7 seconds), `hang`, `down`.
    pub trouble: String,
}

/// `data` of a JSON-RPC error: what the host does about it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ErrorData {
    /// What went wrong.
    pub kind: FaultKind,
    /// For `apply`: whether it may have had an effect. Without it, that is not known.
    #[serde(default)]
    pub effect: Effect,
    /// How long the PACS asked to wait.
    #[serde(default)]
    pub retry_after_seconds: Option<u64>,
    /// What to do about it, for people.
    #[serde(default)]
    pub help: Option<String>,
}

/// Whether a write that failed may have had an effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nothing left the machine.
    NotSent,
    /// The PACS said no.
    Refused,
    /// Only a read can tell.
    #[default]
    Uncertain,
}

/// A request on the wire.
#[derive(Debug, Serialize)]
pub(crate) struct Request<'a, P> {
    pub(crate) jsonrpc: &'static str,
    pub(crate) id: u64,
    pub(crate) method: &'a str,
    pub(crate) params: P,
}

/// An error on the wire.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct WireError {
    pub(crate) code: i64,
    #[serde(default)]
    pub(crate) message: String,
    #[serde(default)]
    pub(crate) data: Option<serde_json::Value>,
}

/// Each method with what it is asked and what it answers: the root of the schema.
#[derive(JsonSchema)]
#[schemars(title = "Lockstep connector protocol, version 1")]
#[expect(dead_code, reason = "only described, never built")]
struct Messages {
    #[schemars(rename = "initialize")]
    initialize: Exchange<Initialize, Initialized>,
    #[schemars(rename = "probe")]
    probe: Exchange<Asked<Nothing>, Health>,
    #[schemars(rename = "catalog")]
    catalog: Exchange<Asked<Nothing>, Catalog>,
    #[schemars(rename = "list")]
    list: Exchange<Asked<List>, Listed>,
    #[schemars(rename = "find")]
    find: Exchange<Asked<Find>, Vec<Cardholder>>,
    #[schemars(rename = "read")]
    read: Exchange<Asked<Read>, Option<Cardholder>>,
    #[schemars(rename = "enforced")]
    enforced: Exchange<Asked<Read>, Option<Enforcement>>,
    #[schemars(rename = "apply")]
    apply: Exchange<Asked<Apply>, Receipt>,
    #[schemars(rename = "conformance/fresh")]
    fresh: Exchange<Asked<Fresh>, Made>,
    #[schemars(rename = "conformance/trouble")]
    trouble: Exchange<Asked<Strike>, Nothing>,
    #[schemars(rename = "conformance/heal")]
    heal: Exchange<Asked<Nothing>, Nothing>,
    #[schemars(rename = "conformance/record")]
    record: Exchange<Asked<Read>, Option<Cardholder>>,
    /// `data` of an error of any method.
    #[schemars(rename = "error")]
    error: ErrorData,
}

/// A request and its answer.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described, never built")]
struct Exchange<P, R> {
    params: P,
    result: R,
}

/// The JSON Schema of all messages.
pub fn schema() -> Schema {
    schemars::schema_for!(Messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_describes_every_method_and_what_an_action_is() {
        let schema = serde_json::to_value(schema()).expect("a schema is JSON");
        for name in [
            method::INITIALIZE,
            method::PROBE,
            method::CATALOG,
            method::LIST,
            method::FIND,
            method::READ,
            method::ENFORCED,
            method::APPLY,
            method::FRESH,
            method::TROUBLE,
            method::HEAL,
            method::RECORD,
        ] {
            assert!(schema["properties"][name].is_object(), "{name}");
        }
        let steps = schema["$defs"]["Step"].to_string();
        assert!(steps.contains("provision") && !steps.contains("unlock"), "{steps}");
    }
}
