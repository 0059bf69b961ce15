//! The engine on simulated systems: plan, approve everything, apply, settle, and start again after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use lockstep_contract::{
    AccessLevel, AccessLevelId, Cancel, Capabilities, Cardholder, CardholderId, CorrelationKey, Directory, DirectoryId,
    FieldName, GroupId, KeyKind, Person, PersonId, Profile, RunId, Standing, Status, Target, TargetId, Validity, field,
};
use lockstep_core::{
    Approval, ApprovalPolicy, ApprovedPlan, Conditions, Limits, Mover, Occasion, OutOfScope, Ownership, PlanDocument,
    Policy, Refusal, Rule, RuleSource, TargetConditions, Template, approve,
};
use lockstep_engine::{
    ApplyOrder, ApplyReport, Beside, Clock, Nobody, NodeId, PlanOrder, Planned, RunError, Store, TargetOrder, Watch,
    WatchOrder,
};
use lockstep_sim::{DirectoryWorld, Sim, SimDirectory, World, standard_capabilities};

use crate::watched::Watched;

/// The digest of the configuration in every plan.
const CONFIG: &str = "c0";
/// How long one call may take.
const CALL_BUDGET: Duration = Duration::from_secs(20);

/// The one target.
///
/// # Panics
/// Never: it is an id.
pub fn hq() -> TargetId {
    TargetId::new("hq").expect("an id")
}

/// An access level.
///
/// # Panics
/// When it is no id.
pub fn level(id: &str) -> AccessLevelId {
    AccessLevelId::new(id).expect("an id")
}

/// A group.
///
/// # Panics
/// When it is no id.
pub fn group(id: &str) -> GroupId {
    GroupId::new(id).expect("an id")
}

/// The person with this number.
///
/// # Panics
/// Never: it is an id.
pub fn person_id(n: u64) -> PersonId {
    PersonId::new(format!("person-{n}")).expect("an id")
}

/// The employee number of the person with this number.
///
/// # Panics
/// Never: it is a key.
pub fn key(n: u64) -> CorrelationKey {
    CorrelationKey::new(KeyKind::Employee, &format!("e{n}")).expect("a key")
}

fn profile(n: u64, department: &str) -> Profile {
    let field = |name: &'static str, value: String| (FieldName::known(name), value);
    Profile::from_iter([
        field(field::DISPLAY_NAME, format!("Person {n}")),
        field(field::DEPARTMENT, department.to_owned()),
    ])
}

/// A person as the directory has them.
pub fn person(n: u64, department: &str, standing: Standing) -> Person {
    Person { id: person_id(n), keys: [key(n)].into_iter().collect(), profile: profile(n, department), standing }
}

/// A cardholder of the person with this number, under the id with that one.
///
/// # Panics
/// Never: it is an id.
pub fn cardholder(id: u64, n: u64, levels: &[&str], status: Status) -> Cardholder {
    Cardholder {
        id: CardholderId::new(format!("card-{id}")).expect("an id"),
        keys: [key(n)].into_iter().collect(),
        profile: profile(n, "Works"),
        status,
        levels: levels.iter().map(|id| level(id)).collect(),
        credentials: Vec::new(),
        validity: Validity::ALWAYS,
        site: None,
        revision: None,
    }
}

/// Who gets one level.
pub fn rule(id: &str, any: &[&str], all: &[&str], none: &[&str], line: u32) -> Rule {
    let groups = |ids: &[&str]| ids.iter().map(|id| group(id)).collect();
    Rule {
        level: level(id),
        any: groups(any),
        all: groups(all),
        none: groups(none),
        may_be_empty: false,
        high_security: false,
        tags: BTreeSet::new(),
        source: RuleSource { file: "mappings/hq.toml".to_owned(), line },
    }
}

/// A mapping with these rules.
///
/// # Panics
/// Never: the templates parse.
pub fn policy(levels: Vec<Rule>, mover: Mover) -> Policy {
    let template = |name| (FieldName::known(name), Template::parse(&format!("{{{name}}}")).expect("a template"));
    Policy {
        correlate: vec![KeyKind::Employee],
        mover,
        ownership: Ownership::Linked,
        out_of_scope: OutOfScope::Hold,
        scope: Vec::new(),
        sites: BTreeSet::new(),
        protected: BTreeSet::new(),
        levels,
        profile: [template(field::DISPLAY_NAME), template(field::DEPARTMENT)].into(),
        provision: true,
        approval: ApprovalPolicy::Recorded,
        digest: "p0".to_owned(),
    }
}

/// A PACS with these levels, which, like most, makes a second record when it is told twice to make one.
pub fn pacs(levels: &[&str], in_flight: u32) -> Sim {
    let can = Capabilities {
        idempotency: false,
        in_flight_max: NonZeroU32::new(in_flight).unwrap_or(NonZeroU32::MIN),
        ..standard_capabilities()
    };
    let world = levels.iter().fold(World::new("hq-1"), |world, id| world.with_level(level(id), AccessLevel::default()));
    Sim::in_memory_with(hq(), world, can)
}

/// A directory with nobody in it.
///
/// # Panics
/// Never: it is an id.
pub fn directory() -> SimDirectory {
    SimDirectory::new(DirectoryId::new("corp").expect("an id"), DirectoryWorld::default())
}

/// As loose as limits can be: in a simulation, evidence and not a guard is what must hold.
pub fn loose() -> Limits {
    Limits {
        reductions_per_run: 10_000,
        reductions_percent: 50,
        reductions_day_percent: 50,
        reductions_week_percent: 75,
        group_drop_percent: 100,
        source_drop_percent: 50,
        grants_per_run: 10_000,
        grants_percent: 100,
        unreadable_groups_percent: 50,
        snapshot_age_minutes: 1_440,
        plan_age_hours: 168,
    }
}

/// Systems, memory and settings of one simulation.
pub struct Bench {
    /// The PACS itself, for operators and oracles.
    pub sim: Sim,
    /// What the engine sees of it.
    pub target: Arc<dyn Target>,
    /// The directory itself.
    pub people: SimDirectory,
    /// What the engine sees of it.
    pub directory: Arc<dyn Directory>,
    /// The memory.
    pub store: Arc<dyn Store>,
    /// The mapping.
    pub policy: Policy,
    /// The limits.
    pub limits: Limits,
    now: Arc<AtomicI64>,
    runs: AtomicU64,
    /// Changes with every start of the engine.
    starts: AtomicU64,
    notes: Mutex<Vec<String>>,
}

impl Bench {
    /// A simulation with a watched PACS.
    pub fn new(sim: Sim, people: SimDirectory, store: Arc<dyn Store>, policy: Policy) -> (Self, Watched) {
        let watched = Watched::new(&sim);
        let bench = Self {
            sim,
            target: Arc::new(watched.clone()),
            directory: Arc::new(people.clone()),
            people,
            store,
            policy,
            limits: loose(),
            now: Arc::new(AtomicI64::new(1_800_000_000)),
            runs: AtomicU64::new(1),
            starts: AtomicU64::new(1),
            notes: Mutex::default(),
        };
        (bench, watched)
    }

    /// The id of the directory.
    pub fn people_id(&self) -> DirectoryId {
        lockstep_contract::Directory::info(&self.people).id.clone()
    }

    /// What happened, for the message of a failure.
    pub fn note(&self, what: impl Into<String>) {
        let what = what.into();
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// Everything noted so far.
    pub fn notes(&self) -> String {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    /// Lets time go by.
    pub fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    /// What time it is.
    ///
    /// # Panics
    /// When more time passed than there is.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_second(self.now.load(Ordering::SeqCst)).expect("in range")
    }

    /// The process died, and another one starts.
    pub fn restart(&self) {
        self.starts.fetch_add(1, Ordering::SeqCst);
    }

    fn node(&self) -> NodeId {
        NodeId(format!("simulated host, start {}", self.starts.load(Ordering::SeqCst)))
    }

    fn clock(&self) -> Clock {
        let now = self.now.clone();
        Arc::new(move || Timestamp::from_second(now.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX))
    }

    /// The next run.
    pub fn next_run(&self) -> RunId {
        RunId::new(uuid::Uuid::from_u128(u128::from(self.runs.fetch_add(1, Ordering::SeqCst))))
    }

    /// Plans.
    ///
    /// # Errors
    /// As the engine says.
    pub async fn plan(&self, run: RunId) -> Result<Planned, RunError> {
        self.plan_on(run, Occasion::Run).await
    }

    /// Plans on an occasion.
    ///
    /// # Errors
    /// As the engine says.
    pub async fn plan_on(&self, run: RunId, occasion: Occasion) -> Result<Planned, RunError> {
        let order = PlanOrder {
            directory: &*self.directory,
            targets: self.orders(),
            store: &*self.store,
            node: self.node(),
            run,
            version: "0".to_owned(),
            config_digest: CONFIG.to_owned(),
            call_budget: CALL_BUDGET,
            cancel: Cancel::default(),
            clock: self.clock(),
            observer: &Nobody,
        };
        lockstep_engine::plan_on(order, occasion).await
    }

    fn orders(&self) -> Vec<TargetOrder<'_>> {
        vec![TargetOrder { reader: &*self.target, policy: &self.policy, limits: &self.limits }]
    }

    /// Watches the directory, from where the last watch ended.
    ///
    /// # Panics
    /// When the memory cannot be read.
    pub async fn watch<'a>(&'a self, new_run: &'a (dyn Fn() -> RunId + Send + Sync)) -> Watch<'a> {
        let order = WatchOrder {
            directory: &*self.directory,
            targets: self.orders(),
            store: &*self.store,
            node: self.node(),
            new_run,
            version: "0".to_owned(),
            config_digest: CONFIG.to_owned(),
            call_budget: CALL_BUDGET,
            poll: Duration::from_secs(5),
            cancel: Cancel::default(),
            clock: self.clock(),
        };
        Watch::begin(order).await.expect("the memory can be read")
    }

    /// Two people approve everything, guards or no guards: the worst that people can do.
    ///
    /// # Errors
    /// When the plan is refused.
    ///
    /// # Panics
    /// When the memory cannot be read.
    pub async fn approve(&self, document: &PlanDocument) -> Result<ApprovedPlan, Refusal> {
        let all: BTreeSet<_> = document.entries.iter().map(|entry| entry.action.id.clone()).collect();
        let by = |name: &str, only, overrule| Approval {
            by: name.to_owned(),
            at: self.now(),
            plan: document.digest.clone(),
            only,
            reject: BTreeSet::new(),
            overrule,
            note: String::new(),
        };
        let approvals = [by("ann", None, false), by("ann", Some(all.clone()), true), by("ben", Some(all), true)];
        self.decide(document, &approvals).await
    }

    /// What may run after these decisions.
    ///
    /// # Errors
    /// When the plan is refused.
    ///
    /// # Panics
    /// When the memory cannot be read.
    pub async fn decide(&self, document: &PlanDocument, approvals: &[Approval]) -> Result<ApprovedPlan, Refusal> {
        let ids: Vec<_> = document.entries.iter().map(|entry| entry.action.id.clone()).collect();
        let journaled = self.store.journaled(&ids).await.expect("the memory can be read");
        let history = self.store.history(&hq(), self.now()).await.expect("the memory can be read");
        let lifts = self.store.lifts().await.expect("the memory can be read");
        let lifted = lifts.iter().any(|lift| lift.run == document.header.run);
        let conditions = TargetConditions {
            fingerprint: &self.target.info().fingerprint,
            policy: &self.policy,
            limits: &self.limits,
            history: &history,
        };
        let conditions = Conditions {
            now: self.now(),
            config_digest: CONFIG,
            journaled: &journaled,
            lifted,
            targets: BTreeMap::from([(hq(), conditions)]),
        };
        approve(document, approvals, &conditions)
    }

    fn order(&self) -> ApplyOrder<'_> {
        ApplyOrder {
            targets: BTreeMap::from([(hq(), self.target.clone())]),
            limits: BTreeMap::from([(hq(), self.limits.clone())]),
            store: &*self.store,
            node: self.node(),
            fresh: None,
            call_budget: CALL_BUDGET,
            cancel: Cancel::default(),
            clock: self.clock(),
            observer: &Nobody,
        }
    }

    /// Applies.
    ///
    /// # Errors
    /// As the engine says.
    pub async fn apply(&self, plan: &ApprovedPlan) -> Result<ApplyReport, RunError> {
        lockstep_engine::apply(self.order(), plan).await
    }

    /// Applies, as the program does: with the document that people saw beside what they approved.
    ///
    /// # Errors
    /// As the engine says.
    pub async fn apply_seen(&self, document: &PlanDocument, plan: &ApprovedPlan) -> Result<ApplyReport, RunError> {
        let beside = Beside { document: Some(document), ..Beside::default() };
        lockstep_engine::apply_beside(self.order(), plan, beside).await
    }

    /// Settles.
    ///
    /// # Errors
    /// As the engine says.
    pub async fn settle(&self) -> Result<ApplyReport, RunError> {
        lockstep_engine::settle(&self.order(), &Nobody).await
    }

    /// A person resets the fuse.
    ///
    /// # Panics
    /// When the memory fails.
    pub async fn reset_fuse(&self) {
        let node = self.node();
        let ttl = jiff::SignedDuration::from_mins(1);
        let epoch = self.store.lease(&node, ttl, self.now()).await.expect("the lease is free");
        self.store.set_fuse(epoch, &hq(), None, self.now()).await.expect("reset");
        self.store.release(epoch).await.expect("given back");
    }
}

/// Runs something on one thread with paused time.
///
/// # Panics
/// When there can be no runtime.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime needs nothing but memory");
    runtime.block_on(future)
}
