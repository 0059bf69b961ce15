//! The store in memory, for simulations. It can crash: what was written and not yet synced is gone then, or not, as the
//! caller says; a real disk promises neither.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{ActionId, CardholderId, DirectoryId, PersonId, RunId, ServerMark, Subject, TargetId};
use lockstep_core::{ActionState, History, Hold, HoldId, Holds, Lift, Link, Links, RunEvent, RunState, Settled};
use lockstep_engine::{
    Epoch, Fuse, Intent, JournalEntry, LinkChange, NodeId, Observation, Outcome, RunRecord, SpoolEntry, Store,
    StoreError, Watched,
};

use crate::event::Event;
use crate::logic::{self, DAY, HOUR, PEOPLE_REMEMBERED, WEEK, may_have_reduced};
use crate::tables::{AppliedRow, FuseRow, Lease, Result, Tables};

#[derive(Debug, Clone, Default)]
struct State {
    events: u64,
    lease: Lease,
    runs: Vec<RunRecord>,
    actions: Vec<JournalEntry>,
    links: BTreeMap<(TargetId, PersonId), Link>,
    holds: Vec<(Option<TargetId>, Hold)>,
    lifts: Vec<(HoldId, Lift)>,
    observations: BTreeMap<TargetId, Vec<Observation>>,
    servers: BTreeMap<String, ServerMark>,
    watched: BTreeMap<DirectoryId, Watched>,
    applied: BTreeMap<TargetId, AppliedRow>,
    fuses: BTreeMap<TargetId, FuseRow>,
}

#[derive(Debug, Default)]
struct Disk {
    /// What a reader sees.
    seen: State,
    /// What is there after a crash.
    synced: State,
    /// So many syncs succeed; then they fail.
    syncs_left: Option<u64>,
}

/// Remembers in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    disk: Mutex<Disk>,
}

impl MemoryStore {
    /// Remembers nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The process died: its lease is nobody's any more, and unless `lucky`, what was not synced is gone.
    pub fn crash(&self, lucky: bool) {
        let mut disk = self.disk();
        if lucky {
            disk.synced = disk.seen.clone();
        }
        disk.synced.lease.holder = None;
        disk.seen = disk.synced.clone();
        disk.syncs_left = None;
    }

    /// What was written last was not synced, whatever was said: for simulations of disks that lie.
    pub fn forget(&self) {
        let mut disk = self.disk();
        if let Some(entry) = disk.synced.actions.pop() {
            disk.seen.actions.retain(|seen| seen.intent.action.id != entry.intent.action.id);
        }
    }

    /// From the next but `after` on, syncing fails, as on a full disk, until the next [`crash`](Self::crash).
    pub fn fail_syncs(&self, after: u64) {
        self.disk().syncs_left = Some(after);
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes, then syncs, with a moment in between in which a crash loses the write.
    async fn write<T>(&self, job: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let result = {
            let mut disk = self.disk();
            let mut tried = disk.seen.clone();
            let result = job(&mut tried)?;
            disk.seen = tried;
            result
        };
        tokio::task::yield_now().await;
        let mut disk = self.disk();
        match &mut disk.syncs_left {
            Some(0) => {
                disk.seen = disk.synced.clone();
                return Err(StoreError::Io("no space left on the simulated disk".to_owned()));
            }
            Some(left) => *left -= 1,
            None => {}
        }
        disk.synced = disk.seen.clone();
        Ok(result)
    }

    fn read<T>(&self, job: impl FnOnce(&State) -> T) -> T {
        job(&self.disk().seen)
    }
}

impl State {
    fn reduced_since(&self, target: &TargetId, since: Timestamp) -> u64 {
        let reduced = self.actions.iter().filter(|entry| {
            entry.intent.action.target == *target && entry.intent.at > since && may_have_reduced(entry)
        });
        reduced.map(|entry| &entry.intent.action.subject).collect::<BTreeSet<_>>().len() as u64
    }

    fn reduced_within(&self, target: &TargetId, span: SignedDuration, now: Timestamp) -> u64 {
        self.reduced_since(target, now.saturating_sub(span).unwrap_or(Timestamp::MIN))
    }

    fn readings(&self, target: &TargetId) -> Vec<Observation> {
        let all = self.observations.get(target).map(Vec::as_slice).unwrap_or_default();
        let mut counted: Vec<_> = all.iter().rev().filter(|seen| !seen.disputed).take(PEOPLE_REMEMBERED).collect();
        counted.reverse();
        counted.into_iter().cloned().collect()
    }
}

impl Tables for State {
    fn append(&mut self, _: &Event<'_>) -> Result<()> {
        self.events += 1;
        Ok(())
    }

    fn lease(&self) -> Result<Lease> {
        Ok(self.lease.clone())
    }

    fn put_lease(&mut self, lease: &Lease) -> Result<()> {
        self.lease = lease.clone();
        Ok(())
    }

    fn run(&self, run: RunId) -> Result<Option<RunRecord>> {
        Ok(self.runs.iter().find(|record| record.run == run).cloned())
    }

    fn put_run(&mut self, record: &RunRecord) -> Result<()> {
        match self.runs.iter_mut().find(|known| known.run == record.run) {
            Some(known) => *known = record.clone(),
            None => self.runs.push(record.clone()),
        }
        Ok(())
    }

    fn action(&self, id: &ActionId) -> Result<Option<JournalEntry>> {
        Ok(self.actions.iter().find(|entry| entry.intent.action.id == *id).cloned())
    }

    fn put_action(&mut self, entry: &JournalEntry) -> Result<()> {
        match self.actions.iter_mut().find(|known| known.intent.action.id == entry.intent.action.id) {
            Some(known) => *known = entry.clone(),
            None => self.actions.push(entry.clone()),
        }
        Ok(())
    }

    fn link_of_person(&self, target: &TargetId, person: &PersonId) -> Result<Option<Link>> {
        Ok(self.links.get(&(target.clone(), person.clone())).cloned())
    }

    fn link_of_cardholder(&self, target: &TargetId, cardholder: &CardholderId) -> Result<Option<Link>> {
        let found = self.links.iter().find(|((on, _), link)| on == target && link.cardholder == *cardholder);
        Ok(found.map(|(_, link)| link.clone()))
    }

    fn put_link(&mut self, target: &TargetId, link: &Link) -> Result<()> {
        self.links.insert((target.clone(), link.person.clone()), link.clone());
        Ok(())
    }

    fn put_hold(&mut self, target: Option<&TargetId>, hold: &Hold) -> Result<()> {
        let row = (target.cloned(), hold.clone());
        if !self.holds.contains(&row) {
            self.holds.push(row);
        }
        Ok(())
    }

    fn knows_hold(&self, hold: &HoldId) -> Result<bool> {
        Ok(self.holds.iter().any(|(_, known)| known.id == *hold))
    }

    fn lift_of(&self, hold: &HoldId) -> Result<Option<Lift>> {
        Ok(self.lifts.iter().find(|(lifted, _)| lifted == hold).map(|(_, lift)| lift.clone()))
    }

    fn put_lift(&mut self, hold: &HoldId, lift: &Lift) -> Result<()> {
        self.lifts.push((hold.clone(), lift.clone()));
        Ok(())
    }

    fn put_observation(&mut self, target: &TargetId, observation: &Observation, _: Timestamp) -> Result<()> {
        self.observations.entry(target.clone()).or_default().push(observation.clone());
        Ok(())
    }

    fn disputed(&self, target: &TargetId, run: RunId) -> Result<Option<Observation>> {
        let mut all = self.observations.get(target).into_iter().flatten();
        Ok(all.rfind(|one| one.disputed && one.run == Some(run)).cloned())
    }

    fn replace_observation(&mut self, target: &TargetId, before: &Observation, after: &Observation) -> Result<()> {
        if let Some(found) = self.observations.get_mut(target).and_then(|all| all.iter_mut().find(|one| *one == before))
        {
            found.clone_from(after);
        }
        Ok(())
    }

    fn put_server(&mut self, system: &str, mark: &ServerMark) -> Result<()> {
        self.servers.insert(system.to_owned(), mark.clone());
        Ok(())
    }

    fn put_watched(&mut self, directory: &DirectoryId, watched: &Watched) -> Result<()> {
        self.watched.insert(directory.clone(), watched.clone());
        Ok(())
    }

    fn applied(&self, target: &TargetId) -> Result<AppliedRow> {
        Ok(self.applied.get(target).cloned().unwrap_or_default())
    }

    fn put_applied(&mut self, target: &TargetId, row: &AppliedRow) -> Result<()> {
        self.applied.insert(target.clone(), row.clone());
        Ok(())
    }

    fn fuse_row(&self, target: &TargetId) -> Result<FuseRow> {
        Ok(self.fuses.get(target).cloned().unwrap_or_default())
    }

    fn put_fuse(&mut self, target: &TargetId, row: &FuseRow) -> Result<()> {
        self.fuses.insert(target.clone(), row.clone());
        Ok(())
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn lease(&self, node: &NodeId, ttl: SignedDuration, now: Timestamp) -> Result<Epoch> {
        self.write(|state| logic::lease(state, node, ttl, now, false)).await
    }

    async fn release(&self, epoch: Epoch) -> Result<()> {
        self.write(|state| logic::release(state, epoch)).await
    }

    async fn links(&self, target: &TargetId) -> Result<Links> {
        let mut links = Links::new();
        let all: Vec<_> = self.read(|state| {
            state.links.iter().filter(|((on, _), _)| on == target).map(|(_, link)| link.clone()).collect()
        });
        for link in all {
            links.insert(link).map_err(|conflict| StoreError::Illegal(conflict.to_string()))?;
        }
        Ok(links)
    }

    async fn links_of(&self, target: &TargetId, people: &BTreeSet<PersonId>) -> Result<Vec<Link>> {
        let link = |state: &State, person| state.links.get(&(target.clone(), person)).cloned();
        Ok(self.read(|state| people.iter().filter_map(|person| link(state, person.clone())).collect()))
    }

    async fn watched(&self, directory: &DirectoryId) -> Result<Option<Watched>> {
        Ok(self.read(|state| state.watched.get(directory).cloned()))
    }

    async fn holds(&self, target: &TargetId) -> Result<Holds> {
        Ok(Holds(self.read(|state| {
            let lifted = |hold: &Hold| state.lifts.iter().any(|(lifted, _)| *lifted == hold.id);
            let in_force =
                |(on, hold): &&(Option<TargetId>, Hold)| on.as_ref().is_none_or(|on| on == target) && !lifted(hold);
            state.holds.iter().filter(in_force).map(|(_, hold)| hold.clone()).collect()
        })))
    }

    async fn lifts(&self) -> Result<Vec<Lift>> {
        let mut lifts: Vec<Lift> = self.read(|state| state.lifts.iter().map(|(_, lift)| lift.clone()).collect());
        lifts.dedup();
        Ok(lifts)
    }

    async fn history(&self, target: &TargetId, now: Timestamp) -> Result<History> {
        self.read(|state| {
            let reduced = [HOUR, DAY, WEEK].map(|window| state.reduced_within(target, window, now));
            Ok(logic::history(state.readings(target), state.applied(target)?, reduced))
        })
    }

    async fn server_mark(&self, system: &str) -> Result<Option<ServerMark>> {
        Ok(self.read(|state| state.servers.get(system).cloned()))
    }

    async fn fuse(&self, target: &TargetId, now: Timestamp) -> Result<Fuse> {
        self.read(|state| {
            let row = state.fuse_row(target)?;
            let day = now.saturating_sub(DAY).unwrap_or(Timestamp::MIN);
            let since = row.reset.map_or(day, |reset| reset.max(day));
            let reduced_day = state.reduced_since(target, since);
            Ok(Fuse { open_since: row.open_since, reason: row.reason, reduced_day })
        })
    }

    async fn run(&self, run: RunId) -> Result<Option<RunRecord>> {
        self.read(|state| Tables::run(state, run))
    }

    async fn runs(&self, limit: u32) -> Result<Vec<RunRecord>> {
        Ok(self.read(|state| state.runs.iter().rev().take(limit as usize).cloned().collect()))
    }

    async fn unsettled(&self) -> Result<Vec<JournalEntry>> {
        Ok(self.read(|state| state.actions.iter().filter(|entry| !entry.state.is_settled()).cloned().collect()))
    }

    async fn journal(&self, run: RunId) -> Result<Vec<JournalEntry>> {
        Ok(self.read(|state| state.actions.iter().filter(|entry| entry.intent.run == run).cloned().collect()))
    }

    async fn journal_of(&self, target: &TargetId, cardholder: &CardholderId) -> Result<Vec<JournalEntry>> {
        let subject = Subject::Existing(cardholder.clone());
        let of =
            |entry: &&JournalEntry| entry.intent.action.target == *target && entry.intent.action.subject == subject;
        Ok(self.read(|state| state.actions.iter().filter(of).cloned().collect()))
    }

    async fn journaled(&self, actions: &[ActionId]) -> Result<BTreeSet<ActionId>> {
        let mut known = BTreeSet::new();
        for action in actions {
            if self.read(|state| state.action(action))?.is_some() {
                known.insert(action.clone());
            }
        }
        Ok(known)
    }

    async fn settled(&self, run: RunId) -> Result<Vec<Settled>> {
        self.journal(run).await.map(logic::settled)
    }

    async fn observe(&self, epoch: Epoch, target: &TargetId, seen: &Observation, now: Timestamp) -> Result<()> {
        self.write(|state| logic::observe(state, epoch, target, seen, now)).await
    }

    async fn accept(&self, epoch: Epoch, target: &TargetId, run: RunId, now: Timestamp) -> Result<()> {
        self.write(|state| logic::accept(state, epoch, target, run, now)).await
    }

    async fn mark_server(&self, epoch: Epoch, system: &str, mark: &ServerMark) -> Result<()> {
        self.write(|state| logic::mark_server(state, epoch, system, mark)).await
    }

    async fn watch(&self, epoch: Epoch, directory: &DirectoryId, watched: &Watched) -> Result<()> {
        self.write(|state| logic::watch(state, epoch, directory, watched)).await
    }

    async fn begin(&self, epoch: Epoch, run: &RunRecord) -> Result<()> {
        self.write(|state| logic::begin(state, epoch, run)).await
    }

    async fn set_plan(&self, epoch: Epoch, run: RunId, digest: &str) -> Result<()> {
        self.write(|state| logic::set_plan(state, epoch, run, digest)).await
    }

    async fn advance(
        &self,
        epoch: Epoch,
        run: RunId,
        event: RunEvent,
        summary: &str,
        now: Timestamp,
    ) -> Result<RunState> {
        self.write(|state| logic::advance(state, epoch, run, event, summary, now)).await
    }

    async fn applied_policy(&self, epoch: Epoch, target: &TargetId, digest: &str, now: Timestamp) -> Result<()> {
        self.write(|state| logic::applied_policy(state, epoch, target, digest, now)).await
    }

    async fn link(&self, epoch: Epoch, target: &TargetId, changes: &[LinkChange]) -> Result<()> {
        self.write(|state| logic::link(state, epoch, target, changes)).await
    }

    async fn intend(&self, epoch: Epoch, intents: &[Intent]) -> Result<()> {
        self.write(|state| logic::intend(state, epoch, intents)).await
    }

    async fn record(&self, epoch: Epoch, action: &ActionId, outcome: &Outcome) -> Result<ActionState> {
        self.write(|state| logic::record(state, epoch, action, outcome)).await
    }

    async fn set_fuse(&self, epoch: Epoch, target: &TargetId, open: Option<&str>, now: Timestamp) -> Result<()> {
        self.write(|state| logic::set_fuse(state, epoch, target, open, now)).await
    }

    async fn absorb(&self, epoch: Epoch, spool: &[SpoolEntry]) -> Result<()> {
        self.write(|state| logic::absorb(state, epoch, spool)).await
    }

    async fn lift(&self, epoch: Epoch, lift: &Lift) -> Result<()> {
        self.write(|state| logic::lift(state, epoch, lift)).await
    }

    async fn verify(&self) -> Result<()> {
        Ok(())
    }
}
