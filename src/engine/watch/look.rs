//! One look at a few people: directly, one by one, on both sides; and the plan that follows from it.
//!
//! Whoever has left is planned for first, and for that no group is read. Whoever stays may have lost a group: that takes a
//! complete reading of every mapped group, as in a census. What it must never do: decide anything (the core does), or take
//! a look that failed for one that showed nothing.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{
    Cardholder, CardholderId, CorrelationKey, Cx, Entitled, Fault, FaultKind, GroupId, Membership, Person, PersonId,
    Presence, Standing, TargetId, TargetReader,
};
use lockstep_core::{
    ActionState, DirectoryBuilder, Draft, Guarded, Header, History, Inputs, LeftBecause, LevelCounts, Link, Links,
    Looked, Occasion, PLAN_FORMAT, PlanDocument, Remembered, RunEvent, RunState, TargetBuilder, guard, notice,
};

use super::{CarriedOut, Doubts, Trouble, WatchOrder, neighbours, taken};
use crate::layers::{self, Layered, Way};
use crate::lease::leased;
use crate::planning::server_mark;
use crate::{Nobody, RunKind, RunRecord, StoreError, TargetOrder, reading};

/// So many people are looked at at one time.
const AT_ONCE: usize = 8;

/// What is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whoever has left.
    Leavers,
    /// Whoever stays and lost a group.
    Losses,
}

/// What a direct look showed.
#[derive(Debug, Clone)]
enum Sight {
    /// There. Whether a list of everybody would have them may not be known.
    Here(Box<Person>, Entitled),
    /// There, and outside the place that we look after; or not there any more.
    Absent(Looked),
}

/// A few people, as they were seen.
pub(super) struct Look {
    sights: BTreeMap<PersonId, Sight>,
    links: BTreeMap<TargetId, Vec<Link>>,
    records: BTreeMap<TargetId, BTreeMap<CardholderId, Cardholder>>,
    groups: BTreeMap<GroupId, Membership>,
    /// Whom nobody could look at, or put out, and why.
    pub(super) doubts: Doubts,
    /// Why a census has to decide.
    pub(super) unsure: Option<String>,
}

fn trouble(fault: &Fault) -> Trouble {
    Trouble { busy: fault.kind == FaultKind::Cancelled, what: fault.to_string() }
}

fn context(order: &WatchOrder<'_>) -> Cx {
    Cx { cancel: order.cancel.clone(), ..Cx::new(order.call_budget) }
}

impl Look {
    /// Looks at these people on both sides.
    ///
    /// # Errors
    /// When another server answers for the directory than before, or the memory fails.
    pub(super) async fn at(order: &WatchOrder<'_>, people: BTreeSet<PersonId>) -> Result<Self, Trouble> {
        let cx = &context(order);
        server_mark(order.directory, order.store, cx, (order.clock)()).await?;
        let mut look = Self {
            sights: BTreeMap::new(),
            links: BTreeMap::new(),
            records: BTreeMap::new(),
            groups: BTreeMap::new(),
            doubts: Doubts::new(),
            unsure: None,
        };
        look.at_people(order, cx, &people).await;
        for target in &order.targets {
            look.at_records(order, cx, target).await?;
        }
        Ok(look)
    }

    async fn at_people(&mut self, order: &WatchOrder<'_>, cx: &Cx, people: &BTreeSet<PersonId>) {
        let each = people.iter().map(|person| async move { (person, sight(order, cx, person).await) });
        let mut answers = futures::stream::iter(each).buffer_unordered(AT_ONCE);
        while let Some((person, answer)) = answers.next().await {
            match answer {
                Ok(sight) => drop(self.sights.insert(person.clone(), sight)),
                Err(fault) => drop(self.doubts.insert(person.clone(), trouble(&fault))),
            }
        }
    }

    async fn at_records(
        &mut self,
        order: &WatchOrder<'_>,
        cx: &Cx,
        target: &TargetOrder<'_>,
    ) -> Result<(), StoreError> {
        let id = &target.reader.info().id;
        let people = self.sights.keys().cloned().collect();
        let links = order.store.links_of(id, &people).await?;
        let reader = &Layered::new(target.reader);
        let each = links.iter().map(|link| async move { (link, reader.read(cx, &link.cardholder).await) });
        let mut answers = futures::stream::iter(each).buffer_unordered(AT_ONCE);
        let mut records = BTreeMap::new();
        while let Some((link, answer)) = answers.next().await {
            match answer {
                Ok(record) => records.extend(record.map(|record| (record.id.clone(), record))),
                Err(fault) => drop(self.doubts.insert(link.person.clone(), trouble(&fault))),
            }
        }
        drop(answers);
        self.links.insert(id.clone(), links);
        self.records.insert(id.clone(), records);
        Ok(())
    }

    /// Who stays, and has a level that a group may have given.
    pub(super) fn may_lose(&self, order: &WatchOrder<'_>) -> BTreeSet<PersonId> {
        let has_levels = |person: &PersonId| {
            order.targets.iter().any(|target| {
                let id = &target.reader.info().id;
                let link = self.links.get(id).and_then(|links| links.iter().find(|link| link.person == *person));
                let record = link.and_then(|link| self.records.get(id)?.get(&link.cardholder));
                record.is_some_and(|record| record.levels.iter().any(|level| target.policy.rule(level).is_some()))
            })
        };
        let stays = |(person, sight): &(&PersonId, &Sight)| match sight {
            Sight::Here(one, _) => one.standing == Standing::Active && !self.doubts.contains_key(*person),
            Sight::Absent(_) => false,
        };
        let stay = self.sights.iter().filter(stays).map(|(person, _)| person);
        stay.filter(|person| has_levels(person)).cloned().collect()
    }

    /// Reads every mapped group of the targets on which these people have anything.
    pub(super) async fn read_groups(&mut self, order: &WatchOrder<'_>, people: &BTreeSet<PersonId>) {
        self.sights.retain(|person, _| people.contains(person));
        let concerned = |target: &&TargetOrder<'_>| {
            let links = self.links.get(&target.reader.info().id);
            links.is_some_and(|links| links.iter().any(|link| people.contains(&link.person)))
        };
        let groups = order.targets.iter().filter(concerned).flat_map(|target| target.policy.groups()).collect();
        match reading::members(order.directory, &context(order), &groups, &Nobody).await {
            Ok(answers) => self.groups = answers,
            Err(fault) => self.give_up(&trouble(&fault)),
        }
    }

    /// Plans, and remembers that the plan was made here. `None` when there is nothing to do.
    ///
    /// # Errors
    /// When the memory fails, or another run holds the lease.
    pub(super) async fn plan(&mut self, order: &WatchOrder<'_>, kind: Kind) -> Result<Option<PlanDocument>, Trouble> {
        let now = (order.clock)();
        let run = (order.new_run)();
        let mut judged = Vec::new();
        for target in &order.targets {
            if let Some(guarded) = self.plan_target(order, target, kind, run, now).await? {
                judged.push((target.reader.info().clone(), guarded));
            }
        }
        if judged.is_empty() {
            return Ok(None);
        }
        let document = PlanDocument::build(header(order, run, now), judged);
        register(order, &document, now).await?;
        Ok(Some(document))
    }

    async fn plan_target(
        &mut self,
        order: &WatchOrder<'_>,
        target: &TargetOrder<'_>,
        kind: Kind,
        run: lockstep_contract::RunId,
        now: Timestamp,
    ) -> Result<Option<Guarded>, StoreError> {
        let id = &target.reader.info().id;
        let mut about: BTreeSet<PersonId> =
            self.sights.keys().filter(|person| !self.doubts.contains_key(*person)).cloned().collect();
        let nothing = (History::default(), 0, LevelCounts::new());
        let alone = self.draft(target, &about, (&Around::default(), &nothing), run, now);
        let losing: BTreeSet<PersonId> =
            alone.revoke().actions().iter().filter_map(|action| action.person.clone()).collect();
        if losing.is_empty() {
            return Ok(None);
        }
        about.retain(|person| losing.contains(person));
        if kind == Kind::Losses {
            self.leave_unsure(&mut about);
        }
        let around = match self.around(order, target, &about).await? {
            Ok(around) => around,
            Err(why) => {
                self.doubts.extend(about.into_iter().map(|person| (person, why.clone())));
                return Ok(None);
            }
        };
        let linked = order.store.links(id).await?.iter().filter(|link| link.suspended_by.is_none()).count() as u64;
        let history = order.store.history(id, now).await?;
        let remembered = (history, linked, taken::since_census(order.store, id).await?);
        let draft = self.draft(target, &about, (&around, &remembered), run, now);
        if draft.revoke().actions().len() < about.len() {
            self.unsure.get_or_insert_with(|| "somebody shares a key with somebody else".to_owned());
        }
        if draft.is_empty() {
            return Ok(None);
        }
        Ok(Some(guard(draft, target.policy, target.limits, &remembered.0)))
    }

    /// Somebody of whom it is not known whether a census would have them loses no level here: where they stand outside,
    /// it is not their groups that decide.
    fn leave_unsure(&mut self, about: &mut BTreeSet<PersonId>) {
        let before = about.len();
        about.retain(|person| matches!(self.sights.get(person), Some(Sight::Here(_, Entitled::Yes))));
        if about.len() < before {
            self.unsure.get_or_insert_with(|| "somebody seems to have lost a group".to_owned());
        }
    }

    /// Who shares a key with these people, and what levels there are.
    async fn around(
        &self,
        order: &WatchOrder<'_>,
        target: &TargetOrder<'_>,
        about: &BTreeSet<PersonId>,
    ) -> Result<Result<Around, Trouble>, StoreError> {
        if about.is_empty() {
            return Ok(Ok(Around::default()));
        }
        let (cx, id) = (&context(order), &target.reader.info().id);
        let keys = self.keys(target, about);
        let reader = &Layered::new(target.reader);
        let (people, catalog) =
            futures::future::join(neighbours::with_keys(order.directory, cx, keys), reader.catalog(cx)).await;
        let (mut people, catalog) = match (people, catalog) {
            (Ok(people), Ok(catalog)) => (people, catalog),
            (Err(fault), _) | (_, Err(fault)) => return Ok(Err(trouble(&fault))),
        };
        people.retain(|person, _| !self.sights.contains_key(person));
        let links = order.store.links_of(id, &people.keys().cloned().collect()).await?;
        Ok(Ok(Around { people, links, catalog: Some(catalog) }))
    }

    /// Every key by which the mapping could take somebody else for one of these people.
    fn keys(&self, target: &TargetOrder<'_>, about: &BTreeSet<PersonId>) -> BTreeSet<CorrelationKey> {
        let id = &target.reader.info().id;
        let links = self.links.get(id).into_iter().flatten().filter(|link| about.contains(&link.person));
        let mut keys = BTreeSet::new();
        for link in links {
            keys.extend(link.keys.iter().cloned());
            if let Some(record) = self.records.get(id).and_then(|records| records.get(&link.cardholder)) {
                keys.extend(record.keys.iter().cloned());
            }
            if let Some(Sight::Here(person, _)) = self.sights.get(&link.person) {
                keys.extend(person.keys.iter().cloned());
            }
        }
        keys.retain(|key| target.policy.correlate.contains(&key.kind()));
        keys
    }

    fn draft(
        &self,
        target: &TargetOrder<'_>,
        about: &BTreeSet<PersonId>,
        (around, (history, linked, taken)): (&Around, &(History, u64, LevelCounts)),
        run: lockstep_contract::RunId,
        now: Timestamp,
    ) -> Draft {
        let id = &target.reader.info().id;
        let mut people = DirectoryBuilder::new();
        let mut looked = BTreeMap::new();
        for (person, sight) in &self.sights {
            match sight {
                Sight::Here(one, _) => drop(people.add(one)),
                Sight::Absent(how) => drop(looked.insert(person.clone(), how.clone())),
            }
        }
        for person in around.people.values() {
            people.add(person);
        }
        for (group, membership) in &self.groups {
            people.group(group.clone(), membership);
        }
        let mut records = TargetBuilder::new();
        records.catalog(around.catalog.clone().unwrap_or_default());
        for record in self.records.get(id).into_iter().flat_map(BTreeMap::values) {
            records.add(record);
        }
        let mut links = Links::new();
        for link in self.links.get(id).into_iter().flatten().chain(&around.links) {
            // Two links of one person or record: the memory takes care that there are none.
            let _ = links.insert(link.clone());
        }
        let inputs = Inputs {
            target: target.reader.info(),
            people: &people.finish(),
            cardholders: &records.finish(),
            links: &links,
            holds: &lockstep_core::Holds::default(),
            looked: &looked,
            policy: target.policy,
            run,
            now,
        };
        notice(inputs, about, Remembered { history, linked: *linked, taken })
    }

    /// What became of a plan.
    pub(super) fn judge(&mut self, document: &PlanDocument, done: &CarriedOut) {
        let reports = || done.report.targets.values().flat_map(|target| &target.actions);
        for entry in &document.entries {
            let Some(person) = entry.action.person.clone() else { continue };
            let left = done.left.iter().find(|left| left.action == entry.action.id);
            let report = reports().find(|report| report.action == entry.action.id);
            match (left.map(|left| left.because), report) {
                (Some(LeftBecause::Journaled), _) => {}
                (Some(LeftBecause::Held | LeftBecause::NotApproved | LeftBecause::Rejected), _) => {
                    self.unsure.get_or_insert_with(|| "what a look planned waits for people".to_owned());
                }
                (None, Some(report)) if report.state == ActionState::Verified => {}
                (None, Some(report)) => {
                    let what = format!("{}: {}", entry.action.target, report.detail);
                    self.doubts.insert(person, Trouble { busy: false, what });
                }
                (None, None) => {
                    let what = format!("{}: nothing was sent", entry.action.target);
                    self.doubts.insert(person, Trouble { busy: false, what });
                }
            }
        }
    }

    /// Nobody of this plan was put out.
    pub(super) fn not_done(&mut self, document: &PlanDocument, why: &Trouble) {
        let people = document.entries.iter().filter_map(|entry| entry.action.person.clone());
        self.doubts.extend(people.map(|person| (person, why.clone())));
    }

    /// Everybody is looked at again.
    pub(super) fn give_up(&mut self, why: &Trouble) {
        self.doubts.extend(self.sights.keys().map(|person| (person.clone(), why.clone())));
    }
}

/// What stands around a few people.
#[derive(Default)]
struct Around {
    people: BTreeMap<PersonId, Person>,
    links: Vec<Link>,
    catalog: Option<lockstep_contract::Catalog>,
}

async fn sight(order: &WatchOrder<'_>, cx: &Cx, id: &PersonId) -> Result<Sight, Fault> {
    let directory = order.directory;
    let way = Way::to(directory.info().id.as_str());
    let found = layers::read(cx, way, "look somebody up", || directory.lookup(cx, id)).await?;
    match found {
        Presence::Gone(proof) => Ok(Sight::Absent(Looked::Gone(proof))),
        Presence::Present(person) if person.standing != Standing::Active => Ok(Sight::Here(person, Entitled::Unknown)),
        Presence::Present(person) => {
            let reach =
                layers::read(cx, way, "see whether somebody is in reach", || directory.in_reach(cx, id)).await?;
            Ok(match reach {
                Entitled::No => Sight::Absent(Looked::Elsewhere(person.standing)),
                reach @ (Entitled::Yes | Entitled::Unknown) => Sight::Here(person, reach),
            })
        }
    }
}

fn header(order: &WatchOrder<'_>, run: lockstep_contract::RunId, now: Timestamp) -> Header {
    let hours = order.targets.iter().map(|target| target.limits.plan_age_hours).min().unwrap_or(24);
    Header {
        format: PLAN_FORMAT.to_owned(),
        run,
        created: now,
        expires: now.saturating_add(SignedDuration::from_hours(i64::from(hours))).unwrap_or(Timestamp::MAX),
        version: order.version.clone(),
        directory: Some(order.directory.info().id.clone()),
        config_digest: order.config_digest.clone(),
        by: None,
        occasion: Occasion::Notice,
        reinstate: None,
    }
}

/// Only a plan that the memory knows can be applied.
async fn register(order: &WatchOrder<'_>, document: &PlanDocument, now: Timestamp) -> Result<(), Trouble> {
    let tally = document.tally();
    let summary =
        format!("noticed: {} to change, {} to disable, {} held", tally.change, tally.disable, document.held());
    let record = RunRecord {
        run: document.header.run,
        kind: RunKind::Notice,
        state: RunState::Reading,
        began: now,
        changed: now,
        plan: None,
        summary: String::new(),
    };
    let (store, run) = (order.store, document.header.run);
    let write = leased(store, &order.node, &order.clock, |epoch| async move {
        store.begin(epoch, &record).await?;
        store.set_plan(epoch, run, &document.digest).await?;
        store.advance(epoch, run, RunEvent::Stage, &summary, now).await?;
        Ok(())
    });
    Ok(write.await?)
}
