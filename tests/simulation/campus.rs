//! Two PACS, one directory, and everything the program does with a plan: made, approved, applied, rolled back, and the
//! return of somebody who was put out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{
    AccessLevel, ActionId, Cancel, CorrelationKey, Cx, RunId, Target, TargetId, TargetReader as _,
};
use lockstep_core::{
    Approval, ApprovedPlan, Conditions, Header, Limits, PLAN_FORMAT, PlanDocument, Policy, RunState, TargetConditions,
    UndoInputs, approve, guard, inverse,
};
use lockstep_engine::{
    ApplyOrder, ApplyReport, Beside, Clock, Desk, Memory, Nobody, NodeId, PlanOrder, ReturnOrder, RunKind, RunRecord,
    SpoolEntry, Store, TargetOrder, held_out, plan_return,
};
use lockstep_sim::{Sim, SimDirectory, World, standard_capabilities};
use lockstep_store::MemoryStore;

use crate::bench::{directory, level, loose};

const CONFIG: &str = "c0";
const CALL_BUDGET: Duration = Duration::from_secs(20);

/// A site with two PACS.
pub struct Campus {
    /// The directory.
    pub people: SimDirectory,
    /// Each PACS.
    pub pacs: BTreeMap<TargetId, Sim>,
    /// The memory.
    pub store: Arc<MemoryStore>,
    policy: Policy,
    limits: Limits,
    now: Arc<AtomicI64>,
    runs: AtomicU64,
    starts: AtomicU64,
    notes: Mutex<Vec<String>>,
}

impl Campus {
    /// A site with these levels on each of its PACS.
    ///
    /// # Panics
    /// Never: the ids are ids.
    pub fn new(levels: &[&str], policy: Policy) -> Self {
        let pacs = |name: &str| {
            let id = TargetId::new(name).expect("an id");
            let world = World::new(format!("{name}-1"));
            let world = levels.iter().fold(world, |world, id| world.with_level(level(id), AccessLevel::default()));
            (id.clone(), Sim::in_memory_with(id, world, standard_capabilities()))
        };
        Self {
            people: directory(),
            pacs: ["hq", "lab"].into_iter().map(pacs).collect(),
            store: Arc::new(MemoryStore::new()),
            policy,
            limits: loose(),
            now: Arc::new(AtomicI64::new(1_800_000_000)),
            runs: AtomicU64::new(1),
            starts: AtomicU64::new(1),
            notes: Mutex::default(),
        }
    }

    /// What happened, for the message of a failure.
    pub fn note(&self, what: impl Into<String>) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(what.into());
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

    fn orders(&self) -> Vec<TargetOrder<'_>> {
        self.pacs.values().map(|sim| TargetOrder { reader: sim, policy: &self.policy, limits: &self.limits }).collect()
    }

    /// Plans.
    ///
    /// # Errors
    /// In words.
    pub async fn plan(&self) -> Result<PlanDocument, String> {
        let planned = lockstep_engine::plan(PlanOrder {
            directory: &self.people,
            targets: self.orders(),
            store: &*self.store,
            node: self.node(),
            run: self.next_run(),
            version: "0".to_owned(),
            config_digest: CONFIG.to_owned(),
            call_budget: CALL_BUDGET,
            cancel: Cancel::default(),
            clock: self.clock(),
            observer: &Nobody,
        });
        planned.await.map(|planned| planned.document).map_err(|error| format!("not planned: {error}"))
    }

    /// A decision over a plan.
    pub fn decision(&self, document: &PlanDocument, by: &str, only: Option<BTreeSet<ActionId>>) -> Approval {
        let overrule = only.is_some();
        let (at, plan) = (self.now(), document.digest.clone());
        Approval { by: by.to_owned(), at, plan, only, reject: BTreeSet::new(), overrule, note: String::new() }
    }

    /// Two people approve everything, guards or no guards.
    pub fn yes_to_all(&self, document: &PlanDocument) -> Vec<Approval> {
        let all: BTreeSet<_> = document.entries.iter().map(|entry| entry.action.id.clone()).collect();
        let by = |name, only| self.decision(document, name, only);
        vec![by("ann", None), by("ann", Some(all.clone())), by("ben", Some(all))]
    }

    /// What may run after these decisions.
    ///
    /// # Errors
    /// In words, when the plan is refused.
    ///
    /// # Panics
    /// When the memory cannot be read.
    pub async fn decide(&self, document: &PlanDocument, approvals: &[Approval]) -> Result<ApprovedPlan, String> {
        let ids: Vec<_> = document.entries.iter().map(|entry| entry.action.id.clone()).collect();
        let journaled = self.store.journaled(&ids).await.expect("the memory can be read");
        let lifts = self.store.lifts().await.expect("the memory can be read");
        let mut histories = BTreeMap::new();
        for target in self.pacs.keys() {
            histories.insert(target, self.store.history(target, self.now()).await.expect("the memory can be read"));
        }
        let condition = |(id, sim): (&TargetId, &'_ Sim)| {
            let fingerprint = sim.info().fingerprint.clone();
            (id.clone(), fingerprint)
        };
        let fingerprints: BTreeMap<_, _> = self.pacs.iter().map(condition).collect();
        let targets = histories.iter().filter_map(|(id, history)| {
            let fingerprint = fingerprints.get(*id)?;
            let (policy, limits) = (&self.policy, &self.limits);
            Some(((*id).clone(), TargetConditions { fingerprint, policy, limits, history }))
        });
        let conditions = Conditions {
            now: self.now(),
            config_digest: CONFIG,
            journaled: &journaled,
            lifted: lifts.iter().any(|lift| lift.run == document.header.run),
            targets: targets.collect(),
        };
        approve(document, approvals, &conditions).map_err(|refusal| format!("refused: {refusal}"))
    }

    fn order(&self) -> ApplyOrder<'_> {
        let target = |(id, sim): (&TargetId, &Sim)| (id.clone(), Arc::new(sim.clone()) as Arc<dyn Target>);
        ApplyOrder {
            targets: self.pacs.iter().map(target).collect(),
            limits: self.pacs.keys().map(|id| (id.clone(), self.limits.clone())).collect(),
            store: &*self.store,
            node: self.node(),
            fresh: None,
            call_budget: CALL_BUDGET,
            cancel: Cancel::default(),
            clock: self.clock(),
            observer: &Nobody,
        }
    }

    /// Applies, with an eye on the desk.
    ///
    /// # Errors
    /// In words.
    pub async fn apply(
        &self,
        document: &PlanDocument,
        plan: &ApprovedPlan,
        desk: &dyn Desk,
    ) -> Result<ApplyReport, String> {
        let beside = Beside { desk, document: Some(document) };
        let applied = lockstep_engine::apply_beside(self.order(), plan, beside).await;
        applied.map_err(|error| format!("not applied: {error}"))
    }

    /// Settles.
    ///
    /// # Errors
    /// In words.
    pub async fn settle(&self, desk: &dyn Desk) -> Result<(), String> {
        lockstep_engine::settle(&self.order(), desk).await.map(drop).map_err(|error| format!("not settled: {error}"))
    }

    /// A person resets every fuse.
    ///
    /// # Errors
    /// In words.
    pub async fn reset_fuses(&self) -> Result<(), String> {
        let epoch = self.lease().await?;
        for target in self.pacs.keys() {
            self.store.set_fuse(epoch, target, None, self.now()).await.map_err(|error| error.to_string())?;
        }
        self.store.release(epoch).await.map_err(|error| error.to_string())
    }

    /// Takes over what a desk wrote.
    ///
    /// # Errors
    /// In words.
    pub async fn absorb(&self, spool: &[SpoolEntry]) -> Result<(), String> {
        let epoch = self.lease().await?;
        let absorbed = self.store.absorb(epoch, spool).await.map_err(|error| error.to_string());
        self.store.release(epoch).await.map_err(|error| error.to_string())?;
        absorbed
    }

    async fn lease(&self) -> Result<lockstep_engine::Epoch, String> {
        let ttl = SignedDuration::from_mins(1);
        self.store.lease(&self.node(), ttl, self.now()).await.map_err(|error| error.to_string())
    }

    /// Plans the inverse of a run, as `rollback` does. `None`: nothing of it was done.
    ///
    /// # Errors
    /// In words.
    pub async fn roll_back(&self, old: RunId) -> Result<Option<PlanDocument>, String> {
        let run = self.next_run();
        let done = self.store.settled(old).await.map_err(|error| error.to_string())?;
        let mut judged = Vec::new();
        for (id, sim) in &self.pacs {
            let here: Vec<_> = done.iter().filter(|settled| settled.action.target == *id).cloned().collect();
            if here.is_empty() {
                continue;
            }
            let mut now_on_pacs = BTreeMap::new();
            for settled in &here {
                let read = sim.read(&Cx::new(CALL_BUDGET), &settled.after.id).await.map_err(|f| f.to_string())?;
                now_on_pacs.extend(read.map(|record| (record.id.clone(), record)));
            }
            let holds = self.store.holds(id).await.map_err(|error| error.to_string())?;
            let history = self.store.history(id, self.now()).await.map_err(|error| error.to_string())?;
            let draft = inverse(UndoInputs {
                target: sim.info(),
                done: &here,
                now_on_pacs: &now_on_pacs,
                holds: &holds,
                run,
                now: self.now(),
            });
            judged.push((sim.info().clone(), guard(draft, &self.policy, &self.limits, &history)));
        }
        if judged.is_empty() {
            return Ok(None);
        }
        let header = Header {
            format: PLAN_FORMAT.to_owned(),
            run,
            created: self.now(),
            expires: self.now() + SignedDuration::from_hours(168),
            version: "0".to_owned(),
            directory: None,
            config_digest: CONFIG.to_owned(),
            by: None,
            occasion: lockstep_core::Occasion::Run,
            reinstate: None,
        };
        let document = PlanDocument::build(header, judged);
        let record = RunRecord {
            run,
            kind: RunKind::Rollback,
            state: RunState::Staged,
            began: self.now(),
            changed: self.now(),
            plan: Some(document.digest.clone()),
            summary: format!("the inverse of run {old}"),
        };
        let epoch = self.lease().await?;
        let begun = self.store.begin(epoch, &record).await.map_err(|error| error.to_string());
        self.store.release(epoch).await.map_err(|error| error.to_string())?;
        begun.map(|()| Some(document))
    }

    /// Plans the return of the one who has one of these keys, asked for by `carol`. `None`: nobody like that is out.
    ///
    /// # Errors
    /// In words.
    pub async fn reinstate(&self, keys: &[CorrelationKey]) -> Result<Option<PlanDocument>, String> {
        let mut memory = Memory::new();
        for target in self.pacs.keys() {
            let links = self.store.links(target).await.map_err(|error| error.to_string())?;
            let holds = self.store.holds(target).await.map_err(|error| error.to_string())?;
            memory.insert(target.clone(), (links, holds));
        }
        let (mut named, others): (Vec<_>, Vec<_>) =
            held_out(&memory).into_iter().partition(|person| person.is_named_by(keys));
        let Some(person) = named.pop() else { return Ok(None) };
        if !named.is_empty() {
            return Err("the person is held out as two".to_owned());
        }
        let order = ReturnOrder {
            targets: self.orders(),
            left_out: BTreeSet::new(),
            person,
            others,
            who: "the one who was put out".to_owned(),
            reason: "cleared".to_owned(),
            by: "carol".to_owned(),
            store: &*self.store,
            node: self.node(),
            run: self.next_run(),
            version: "0".to_owned(),
            config_digest: CONFIG.to_owned(),
            call_budget: CALL_BUDGET,
            clock: self.clock(),
        };
        plan_return(order).await.map(Some).map_err(|error| error.to_string())
    }
}
