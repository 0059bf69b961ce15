//! Watching a directory: whom it names as changed is looked at directly, and whoever has left goes out at once, through
//! the same plan, guards, approval and journal as in every run. Everything else is for a census, the ordinary run over
//! everybody, which is brought forward when a look was not enough.
//!
//! What it must never do: give anything; take anything on the word of a list of changes; guess after a mark that was
//! lost. It holds the lease only while it writes, so that others get in between.

mod look;
mod neighbours;
mod taken;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{Cancel, Changes, Cx, Directory, FaultKind, PersonId, RunId, Watermark};
use lockstep_core::{Left, PlanDocument};
use tokio::time::Instant;

use self::look::{Kind, Look};
use self::waiting::Waiting;
use crate::layers;
use crate::lease::leased;
use crate::{ApplyReport, Clock, NodeId, Owed, RunError, Store, StoreError, TargetOrder, Watched};

/// More people than this are not asked for links one by one: everybody is read instead.
const NAMED_MAX: usize = 5_000;
/// More linked people than this are not looked up one by one: everybody is read instead.
const CANDIDATES_MAX: usize = 100;
/// A mark that was not renewed for longer is followed by a census.
const MARK_AGE_MAX: SignedDuration = SignedDuration::from_hours(24);
/// So often a mark that moved is written although nothing happened. Reading again from an older one does no harm.
const MARK_EVERY: SignedDuration = SignedDuration::from_mins(5);
/// Whoever keeps a mark from being written for longer is left to a census.
const WAITS_MAX: SignedDuration = SignedDuration::from_mins(15);
/// A census is brought forward no sooner than so many times what the last one took.
const CENSUS_REST: u32 = 4;
/// The longest wait after failures, but for what a peer asks for.
const BACKOFF_MAX: Duration = Duration::from_secs(5 * 60);

/// A directory is to be watched.
pub struct WatchOrder<'a> {
    /// The directory.
    pub directory: &'a dyn Directory,
    /// The targets, in the order of their ids.
    pub targets: Vec<TargetOrder<'a>>,
    /// The memory.
    pub store: &'a dyn Store,
    /// Who watches.
    pub node: NodeId,
    /// Makes the id of each run.
    pub new_run: &'a (dyn Fn() -> RunId + Send + Sync),
    /// The version of the program, for plans.
    pub version: String,
    /// SHA-256 of the configuration.
    pub config_digest: String,
    /// How long one call to a system may take.
    pub call_budget: Duration,
    /// How often to look.
    pub poll: Duration,
    /// Asks everybody to stop after what is in progress.
    pub cancel: Cancel,
    /// The time.
    pub clock: Clock,
}

/// What a watch has done for it. It need not be passed between threads: a watch is one.
#[async_trait(?Send)]
pub trait Hands {
    /// Approves of a plan what may run unattended, applies that, and reads it back.
    async fn carry_out(&self, plan: &PlanDocument) -> Result<CarriedOut, Trouble>;
    /// The ordinary run over everybody. True when everything was read.
    async fn census(&self, why: &Owed) -> Result<bool, Trouble>;
}

/// What became of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedOut {
    /// What ran.
    pub report: ApplyReport,
    /// What did not.
    pub left: Vec<Left>,
}

/// Something went wrong; nothing that began is without its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Another run holds the lease. It will be our turn.
    pub busy: bool,
    /// What, for people.
    pub what: String,
}

impl From<RunError> for Trouble {
    fn from(error: RunError) -> Self {
        let busy = matches!(&error, RunError::Store(StoreError::Leased { .. } | StoreError::Deposed));
        Self { busy, what: error.to_string() }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        RunError::Store(error).into()
    }
}

/// What one look did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pass {
    /// How many people the directory named.
    pub named: usize,
    /// How many of them were looked up: those who are linked.
    pub looked: usize,
    /// What was carried out.
    pub done: Vec<CarriedOut>,
    /// The census that was made, and whether everything was read.
    pub census: Option<(Owed, bool)>,
    /// What went wrong, for people.
    pub trouble: Vec<String>,
}

/// A watch.
pub struct Watch<'a> {
    order: WatchOrder<'a>,
    /// As it is written.
    kept: Option<Watched>,
    /// How far the directory's changes were asked for.
    at: Option<Watermark>,
    owed: Option<Owed>,
    census: Option<Timestamp>,
    waiting: Waiting,
    /// False for a directory that cannot tell what changed: only censuses help.
    tells: bool,
    /// How often asking for changes failed in a row.
    deaf: u32,
    census_failed: u32,
    census_not_before: Instant,
    groups_not_before: Instant,
    looked: Option<Timestamp>,
}

impl<'a> Watch<'a> {
    /// Begins where the last watch ended.
    ///
    /// # Errors
    /// When the memory cannot be read.
    pub async fn begin(order: WatchOrder<'a>) -> Result<Self, StoreError> {
        let kept = order.store.watched(&order.directory.info().id).await?;
        let now = (order.clock)();
        let mut watch = Self {
            at: kept.as_ref().map(|kept| kept.mark.clone()),
            owed: kept.as_ref().and_then(|kept| kept.owed.clone()),
            census: kept.as_ref().and_then(|kept| kept.census),
            waiting: Waiting::default(),
            tells: true,
            deaf: 0,
            census_failed: 0,
            census_not_before: Instant::now(),
            groups_not_before: Instant::now(),
            looked: None,
            kept,
            order,
        };
        if let Some(kept) = &watch.kept {
            let age = now.duration_since(kept.at);
            if age > MARK_AGE_MAX || age < SignedDuration::ZERO {
                watch.owe(format!("nobody watched since {}", kept.at));
            }
        }
        Ok(watch)
    }

    /// When changes were last asked for with success.
    pub const fn looked(&self) -> Option<Timestamp> {
        self.looked
    }

    /// When the last census began that read everything.
    pub const fn census(&self) -> Option<Timestamp> {
        self.census
    }

    /// The census that is owed.
    pub const fn owed(&self) -> Option<&Owed> {
        self.owed.as_ref()
    }

    /// False for a directory that cannot tell what changed.
    pub const fn tells(&self) -> bool {
        self.tells
    }

    /// How many people wait for another look.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Everybody is to be read before long.
    pub fn owe(&mut self, why: impl Into<String>) {
        let since = (self.order.clock)();
        self.owed.get_or_insert_with(|| Owed { since, why: why.into() });
    }

    /// How long to wait before the next look. Not always the same, so that many watches do not ask at one moment.
    pub fn wait(&self, jitter: f64) -> Duration {
        let poll = self.order.poll;
        let wait = if self.deaf == 0 { poll } else { backoff(poll, self.deaf) };
        wait.mul_f64(0.9 + 0.2 * jitter.clamp(0.0, 1.0))
    }

    /// One look: who changed, who of them has left, and a census when one is due. What goes wrong is in the answer, and
    /// is tried again in the next look.
    pub async fn pass(&mut self, hands: &dyn Hands) -> Pass {
        let mut pass = Pass::default();
        if self.tells {
            self.ask(&mut pass).await;
            self.look(hands, &mut pass).await;
        }
        self.keep(&mut pass).await;
        if self.owed.is_some() && Instant::now() >= self.census_not_before && !self.order.cancel.is_cancelled() {
            self.read_everybody(hands, &mut pass).await;
        }
        pass
    }

    /// Whom the directory names.
    async fn ask(&mut self, pass: &mut Pass) {
        let (directory, cx) = (self.order.directory, self.cx());
        // Asked once: the next look is the next try, and a connection that hangs must not be waited for again and again.
        let asked = tokio::time::timeout(cx.budget, directory.changes(&cx, self.at.clone())).await;
        let late = || layers::too_late(directory.info().id.as_str(), "read changes", cx.budget);
        match asked.unwrap_or_else(|_| Err(late())) {
            Ok(changes) => {
                self.deaf = 0;
                self.looked = Some((self.order.clock)());
                if let Err(error) = self.take(changes, pass).await {
                    pass.trouble.push(error.to_string());
                }
            }
            Err(fault) if fault.kind == FaultKind::Cancelled => {}
            Err(fault) if fault.kind == FaultKind::Unsupported => {
                self.tells = false;
                self.owe("this directory cannot tell what changed");
            }
            Err(fault) => {
                self.deaf += 1;
                pass.trouble.push(fault.to_string());
            }
        }
    }

    /// The answer counts only when its people were found among the linked.
    async fn take(&mut self, changes: Changes, pass: &mut Pass) -> Result<(), StoreError> {
        pass.named = changes.people.len();
        let named: BTreeSet<PersonId> = changes.people.into_iter().collect();
        let many = named.len() > NAMED_MAX;
        let mut linked = BTreeSet::new();
        if !many {
            for target in &self.order.targets {
                let links = self.order.store.links_of(&target.reader.info().id, &named).await?;
                linked.extend(links.into_iter().map(|link| link.person));
            }
        }
        if self.at.is_none() {
            self.owe("the watch begins");
        } else if changes.reset {
            self.owe("the directory cannot tell whom its last changes concern");
        }
        if many || self.waiting.would_be(&linked) > CANDIDATES_MAX {
            self.owe(format!("{} people changed at once", named.len()));
            self.waiting.clear();
        } else {
            self.waiting.add(linked);
        }
        self.at = Some(changes.next);
        Ok(())
    }

    fn cx(&self) -> Cx {
        Cx { cancel: self.order.cancel.clone(), ..Cx::new(self.order.call_budget) }
    }

    /// Looks at those who wait, leavers first.
    async fn look(&mut self, hands: &dyn Hands, pass: &mut Pass) {
        let due = self.waiting.due();
        if due.is_empty() || self.order.cancel.is_cancelled() {
            return;
        }
        pass.looked = due.len();
        let mut look = match Look::at(&self.order, due.clone()).await {
            Ok(look) => look,
            Err(trouble) => return self.again(due, &trouble, pass),
        };
        self.carry_out(hands, &mut look, Kind::Leavers, pass).await;
        let staying = look.may_lose(&self.order);
        if !staying.is_empty() {
            let now = Instant::now();
            if now < self.groups_not_before {
                // Reading all groups is most of a census. Small directories do not notice this.
                self.waiting.not_before(&staying, self.groups_not_before);
            } else {
                look.read_groups(&self.order, &staying).await;
                self.groups_not_before = Instant::now() + now.elapsed() * CENSUS_REST;
                self.carry_out(hands, &mut look, Kind::Losses, pass).await;
            }
        }
        let Look { doubts, unsure, .. } = look;
        if let Some(why) = unsure {
            self.owe(why);
        }
        for (person, trouble) in doubts {
            self.again(BTreeSet::from([person]), &trouble, pass);
        }
        for person in &due {
            self.waiting.done(person);
        }
    }

    async fn carry_out(&mut self, hands: &dyn Hands, look: &mut Look, kind: Kind, pass: &mut Pass) {
        if self.order.cancel.is_cancelled() {
            return look.give_up(&Trouble { busy: true, what: "stopped on request".to_owned() });
        }
        let document = match look.plan(&self.order, kind).await {
            Ok(None) => return,
            Ok(Some(document)) => document,
            Err(trouble) => return look.give_up(&trouble),
        };
        match hands.carry_out(&document).await {
            Ok(done) => {
                look.judge(&document, &done);
                pass.done.push(done);
            }
            Err(trouble) => look.not_done(&document, &trouble),
        }
    }

    /// These people are looked at again later, and by a census when that was tried often enough.
    fn again(&mut self, people: BTreeSet<PersonId>, trouble: &Trouble, pass: &mut Pass) {
        if !trouble.busy && !pass.trouble.contains(&trouble.what) {
            pass.trouble.push(trouble.what.clone());
        }
        for person in people {
            if !self.waiting.again(person, trouble.busy, self.order.poll) {
                self.owe(format!("somebody could not be looked at, or not be put out: {}", trouble.what));
            }
        }
    }

    /// Writes how far we are, when everybody up to there was looked at.
    async fn keep(&mut self, pass: &mut Pass) {
        let Some(at) = self.at.clone() else { return };
        let now = (self.order.clock)();
        let age = self.kept.as_ref().map(|kept| now.duration_since(kept.at).abs());
        if !self.waiting.is_empty() && age.is_some_and(|age| age > WAITS_MAX) {
            self.owe("people waited too long for another look");
            self.waiting.clear();
        }
        let changed = self.kept.as_ref().is_none_or(|kept| kept.owed != self.owed || kept.census != self.census);
        let moved = self.kept.as_ref().is_none_or(|kept| kept.mark != at);
        let worth_it = changed || (moved && (pass.looked > 0 || age.is_none_or(|age| age > MARK_EVERY)));
        // While somebody waits, the old mark is what brings them back after a crash.
        let mark = match &self.kept {
            Some(kept) if !self.waiting.is_empty() => kept.mark.clone(),
            Some(_) | None => at,
        };
        if !worth_it || (!changed && !self.waiting.is_empty()) {
            return;
        }
        let written = if self.waiting.is_empty() { now } else { self.kept.as_ref().map_or(now, |kept| kept.at) };
        let watched = Watched { mark, at: written, owed: self.owed.clone(), census: self.census };
        let (order, id, new) = (&self.order, &self.order.directory.info().id, &watched);
        let write = leased(order.store, &order.node, &order.clock, |epoch| async move {
            Ok(order.store.watch(epoch, id, new).await?)
        });
        match write.await.map_err(Trouble::from) {
            Ok(()) => self.kept = Some(watched),
            Err(trouble) if trouble.busy => {}
            Err(trouble) => pass.trouble.push(trouble.what),
        }
    }

    async fn read_everybody(&mut self, hands: &dyn Hands, pass: &mut Pass) {
        let Some(owed) = self.owed.clone() else { return };
        let (began, start) = ((self.order.clock)(), Instant::now());
        let whole = match hands.census(&owed).await {
            Ok(whole) => whole,
            Err(trouble) if trouble.busy => {
                self.census_not_before = Instant::now() + self.order.poll;
                return;
            }
            Err(trouble) => {
                pass.trouble.push(trouble.what);
                false
            }
        };
        let rest = if whole {
            self.owed = None;
            self.census = Some(began);
            self.census_failed = 0;
            self.order.poll.max(start.elapsed() * CENSUS_REST)
        } else {
            self.census_failed += 1;
            backoff(self.order.poll, self.census_failed).max(start.elapsed() * CENSUS_REST)
        };
        self.census_not_before = Instant::now() + rest;
        pass.census = Some((owed, whole));
        self.keep(pass).await;
    }
}

/// Twice as long after each failure, up to a most.
fn backoff(first: Duration, failures: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(failures.min(10))).min(BACKOFF_MAX.max(first))
}

type Doubts = BTreeMap<PersonId, Trouble>;
