//! The keys and their descriptions. The reader of the files is elsewhere; a test holds the two together.

use std::collections::BTreeMap;

use schemars::JsonSchema;

/// The file that says which systems there are and where things are kept. Relative paths start at its folder. Unknown
/// keys are refused.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described, never built")]
pub(super) struct File {
    /// What may run without a person's approval.
    #[schemars(extend("default" = "standing"))]
    approval: Option<Approval>,
    /// Folder of the database, the roster and the spool of emergency offboardings. Back it up.
    #[schemars(extend("default" = "state"))]
    state: Option<String>,
    /// A second folder for the record of an emergency offboarding, used when `state` does not take it: name one on another
    /// disk. Only the account of Lockstep may write there: whoever can, holds people out. None: standard error is the
    /// second place.
    spool_second: Option<String>,
    /// Folder of plans and their reports.
    #[schemars(extend("default" = "plans"))]
    plans: Option<String>,
    /// Folder of the manual fallback: who should have what, readable without Lockstep. Readable by few: it lists
    /// everybody's access.
    #[schemars(extend("default" = "exports"))]
    exports: Option<String>,
    /// How old the manual fallback may be before an alert is raised: `"26h"`. 1 hour to 31 days.
    #[schemars(extend("default" = "26h"))]
    export_age: Option<String>,
    /// So many days the sets of the manual fallback are kept: all of the last 24 hours, then the last one of each day. The
    /// newest is never removed. 1 to 3,650.
    #[schemars(extend("default" = 14))]
    export_keep_days: Option<u32>,
    /// The age recipients (`age1…`) that the manual fallback is encrypted to. Empty: it is not encrypted. Needs a program
    /// that was built with the feature `age`.
    #[schemars(extend("default" = json_empty()))]
    export_recipients: Option<Vec<String>>,
    /// File that alerts are added to, a line of JSON each; a named pipe will do. docs/alerts.md says what they are.
    #[schemars(extend("default" = "state/alerts.jsonl"))]
    alerts: Option<String>,
    /// How long one call to a system may take, with its retries of reads: `"30s"`, `"2m"`. 1 second to 10 minutes.
    #[schemars(extend("default" = "30s"))]
    call_budget: Option<String>,
    /// How long an emergency offboarding waits for one PACS before it says that it is not done there. 5 seconds to 30
    /// minutes.
    #[schemars(extend("default" = "60s"))]
    offboard_patience: Option<String>,
    /// How many people one operator may put out within an hour; beyond that a second named person has to agree. The
    /// first ones never wait. 1 to 50.
    #[schemars(extend("default" = 10))]
    offboard_per_hour: Option<u32>,
    /// The rhythm of `lockstep sync --watch`.
    watch: Option<Watch>,
    /// Where people and groups are read. At least one; of several, one is the authority and the others are overlays.
    #[schemars(extend("x-shape" = "tables"))]
    directory: Vec<String>,
    /// The systems kept in step, one table each. At least one.
    #[schemars(extend("x-shape" = "tables"))]
    target: Vec<String>,
}

/// The rhythm of a watch.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described, never built")]
pub(super) struct Watch {
    /// How often the directory is asked what changed. 1 second to 1 hour.
    #[schemars(extend("default" = "5s"))]
    poll: Option<String>,
    /// When everybody is read: so long after the last time (`"1h"`; 1 minute to 168 hours), or once a day at a time of this
    /// machine (`"02:15"`). An end date that comes changes nothing in most directories, so only this notices it.
    #[schemars(extend("default" = "1h"))]
    census: Option<String>,
    /// How often the watch says that it is there, although nothing happened. 5 seconds to 1 hour.
    #[schemars(extend("default" = "1m"))]
    heartbeat: Option<String>,
}

/// What may run without a person's approval.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only described, never built")]
enum Approval {
    /// Guarded grants of ordinary levels run unattended; high-security levels wait for a named person.
    Standing,
    /// A named person says yes to every plan that gives anything; the name is recorded with the plan's digest.
    Recorded,
}

/// Where people and groups are read. All other keys belong to the connector: see its section.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described, never built")]
pub(super) struct DirectoryTable {
    /// Its name in plans, reports and file names: lower-case letters, digits, `-` and `_`. Links are kept under it, so
    /// do not change it later.
    id: String,
    /// Which connector speaks to it; `lockstep connector list` shows them.
    kind: String,
    /// Of several directories, the one that says who exists. Default: the first, with a warning. The others are overlays:
    /// any of them may end a person, and the earliest leaving wins.
    #[schemars(extend("default" = false))]
    authority: Option<bool>,
    /// Of an overlay, by what its people are recognised: `directory` (the immutable id that the authority gave:
    /// `onPremisesImmutableId` of Entra ID, the id column of a feed) or `employee` (the employee number). Whatever
    /// contradicts it leaves those concerned undecided. Required there.
    anchor: Option<Anchor>,
    /// The field of the authority that holds that id, where it is another than its own, as with `mS-DS-ConsistencyGuid`.
    anchor_field: Option<String>,
    /// Of an overlay, what it means that it does not know somebody: `undecided` (nothing is changed for such a person) or
    /// `unchanged` (the other directories decide; whoever it had ended comes back when the record is gone).
    #[schemars(extend("default" = "undecided"))]
    missing: Option<Missing>,
}

/// By what the people of an overlay are recognised.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only described, never built")]
enum Anchor {
    /// By the immutable id that the authority gave them.
    Directory,
    /// By the employee number.
    Employee,
}

/// What it means that an overlay does not know somebody.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only described, never built")]
enum Missing {
    /// Nothing is changed for such a person.
    Undecided,
    /// The other directories decide.
    Unchanged,
}

/// One PACS. All other keys belong to the connector: see its section.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described, never built")]
pub(super) struct TargetTable {
    /// Its name in plans, reports and file names: lower-case letters, digits, `-` and `_`. Links and history are kept
    /// under it, so do not change it later.
    id: String,
    /// Which connector speaks to it; `lockstep connector list` shows them.
    kind: String,
    /// The mapping file: who gets what there.
    mapping: String,
    /// What the guards hold plans to, where the defaults do not fit.
    #[schemars(extend("x-shape" = "table"))]
    limits: Option<String>,
    /// Outranks the `approval` of the file.
    approval: Option<Approval>,
}

/// One sentence for each limit; its range is added.
pub(super) const LIMITS: &[(&str, &str)] = &[
    ("reductions_per_run", "People who may lose access in one run, whatever the percentage (guard G1)."),
    ("reductions_percent", "Percentage of managed people who may lose access in one run (G1)."),
    ("reductions_day_percent", "Percentage who may lose access within 24 hours (G2)."),
    ("reductions_week_percent", "Percentage who may lose access within 7 days (G3)."),
    (
        "group_drop_percent",
        "Percentage of its members that a group, or of its holders that a level, may lose at once. A drop to nobody is \
         held whatever this says (G4).",
    ),
    ("source_drop_percent", "Percentage by which active people may be fewer than in the last reads (G5)."),
    ("grants_per_run", "People who may gain access in one run, at least (G7)."),
    ("grants_percent", "Percentage of managed people who may gain access in one run (G7)."),
    ("unreadable_groups_percent", "Percentage of mapped groups that may be unreadable before the whole run is held."),
    ("snapshot_age_minutes", "How old the reading may be when a plan is applied, in minutes (G9)."),
    ("plan_age_hours", "How long a staged plan can be approved and applied, in hours."),
];

/// Who gets what on one target. Reviewed like code, because it is: it says who can walk in where. No wildcards and no
/// scripts, so that it can be read. After any change the next run is a preview that needs approval.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described, never built")]
pub(super) struct Mapping {
    /// Which keys match people and cardholders, the most trusted first. A key counts only when it is unique on both
    /// sides.
    correlate: Vec<Key>,
    /// When somebody who changes role loses the old access.
    #[schemars(extend("default" = "with-grant"))]
    mover: Option<Mover>,
    /// Whose records may be changed.
    #[schemars(extend("default" = "linked"))]
    ownership: Option<Ownership>,
    /// What becomes of a linked person who is in the directory, but out of scope.
    #[schemars(extend("default" = "hold"))]
    out_of_scope: Option<OutOfScope>,
    /// Create cardholders for joiners.
    #[schemars(extend("default" = true))]
    provision: Option<bool>,
    /// The sites or partitions of the PACS that are ours. Empty: all.
    #[schemars(extend("default" = json_empty()))]
    sites: Option<Vec<String>>,
    /// Cardholders who must not lose access without being named: guards, responders, break-glass badges. Each is a kind
    /// and a value, `"employee:10482"`.
    #[schemars(extend("default" = json_empty()))]
    protected: Option<Vec<String>>,
    /// Who is in scope at all. Each table must hold. None: everybody the directory lists.
    #[schemars(extend("x-shape" = "tables"))]
    scope: Option<Vec<String>>,
    /// The fields to write, each from a template: `display_name = "{family_name}, {given_name}"`. Nothing is written
    /// when a field in braces is not known. A brace is written twice to mean itself.
    #[schemars(extend("x-shape" = "table"))]
    profile: Option<BTreeMap<String, String>>,
    /// The managed levels. A level that has no table here is never changed.
    #[schemars(extend("x-shape" = "tables"))]
    level: Option<Vec<String>>,
}

fn json_empty() -> serde_json::Value {
    serde_json::Value::Array(Vec::new())
}

/// A kind of key.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only described, never built")]
enum Key {
    /// The directory's immutable id, stored on the PACS.
    Directory,
    /// Employee number, compared exactly: `00123` and `123` are two people.
    Employee,
    /// User principal name, whatever its case.
    Upn,
    /// Mail address, whatever its case.
    Mail,
    /// Account name, whatever its case.
    Account,
    /// Card number as printed.
    Card,
}

/// When somebody who changes role loses the old access.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only described, never built")]
enum Mover {
    /// Together with the new access, once approved: nobody stands before a closed door in between.
    WithGrant,
    /// At once; the new access follows when approved.
    RevokeFirst,
}

/// Whose records may be changed.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only described, never built")]
enum Ownership {
    /// Every cardholder that is linked to a person.
    Linked,
    /// Only cardholders that Lockstep created.
    Created,
}

/// What becomes of a linked person who is in the directory, but out of scope.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only described, never built")]
enum OutOfScope {
    /// A finding; a person decides. An edit of the scope cannot lock anybody out.
    Hold,
    /// A leaver.
    Leaver,
}

/// A person is in scope when the field has one of the values.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described, never built")]
pub(super) struct Scope {
    /// The field: `employee_type`, `company`, `department`, `site`, …
    field: String,
    /// The values, compared exactly.
    any: Vec<String>,
}

/// Who gets one access level: whoever is in one of `any`, in each of `all`, and in none of `none`. Groups within groups
/// count.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only described, never built")]
pub(super) struct Level {
    /// The level, as the PACS names it.
    id: String,
    /// At least one of these groups. Never empty.
    any: Vec<String>,
    /// And each of these.
    #[schemars(extend("default" = json_empty()))]
    all: Option<Vec<String>>,
    /// And none of these.
    #[schemars(extend("default" = json_empty()))]
    none: Option<Vec<String>>,
    /// The groups may be empty: an answer that they are is believed. Without this, an empty group needs other proof
    /// before anybody loses the level.
    #[schemars(extend("default" = false))]
    may_be_empty: Option<bool>,
    /// Never granted without an approval by name.
    #[schemars(extend("default" = false))]
    high_security: Option<bool>,
    /// For reports. The tag `high-security` means the same as `high_security = true`.
    #[schemars(extend("default" = json_empty()))]
    tags: Option<Vec<String>>,
}
