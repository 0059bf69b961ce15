//! A simulated directory: people, nested groups, groups that hide, people who are gone. It must not decide anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use lockstep_contract::{
    Census, Changes, Check, CheckOutcome, CorrelationKey, Cursor, Cx, Directory, DirectoryId, DirectoryInfo,
    EmptyProof, Entitled, Fault, FaultKind, GroupId, GroupPath, Health, Members, Membership, Next, Page, Person,
    PersonId, Presence, Proof, Scope, ServerMark, Watermark,
};

use crate::changes::Past;
use crate::faults::{Faults, Mishap, Operation, on_the_way_back, on_the_way_there};

/// Everything a simulated directory holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirectoryWorld {
    /// The people.
    pub people: BTreeMap<PersonId, Person>,
    /// The groups, by the name a mapping would use.
    pub groups: BTreeMap<GroupId, SimGroup>,
    /// People who are gone and left a tombstone.
    pub tombstones: BTreeSet<PersonId>,
    /// Records that cannot be understood: which, and why. They count in the census.
    pub unreadable: Vec<(String, String)>,
    /// Shows no people and no members, without an error: rights that were taken away quietly.
    pub shows_nothing: bool,
    /// People outside the configured place: a list of people leaves them out, and a look-up shows them.
    pub outside: BTreeSet<PersonId>,
}

/// A group of a simulated directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SimGroup {
    /// The people it names.
    pub people: BTreeSet<PersonId>,
    /// The groups it names.
    pub groups: BTreeSet<GroupId>,
    /// What a reader gets to see of it.
    pub view: GroupView,
}

/// What a reader gets to see of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GroupView {
    /// Everything; an empty group is proven empty.
    #[default]
    Visible,
    /// Everything, but nothing proves that an empty group is empty.
    Unproven,
    /// No members, and no error.
    Hidden,
    /// An error: this group may not be read.
    Denied,
}

impl DirectoryWorld {
    /// Adds a person, or replaces the one with the same id.
    pub fn insert(&mut self, person: Person) {
        self.people.insert(person.id.clone(), person);
    }

    /// Takes a person out, out of every group, too, and leaves a tombstone.
    pub fn delete(&mut self, id: &PersonId) {
        self.people.remove(id);
        for group in self.groups.values_mut() {
            group.people.remove(id);
        }
        self.tombstones.insert(id.clone());
    }

    /// How many people stand within the configured place.
    fn within(&self) -> usize {
        self.people.keys().filter(|id| !self.outside.contains(*id)).count()
    }

    /// The group of that name; made when it is not there.
    pub fn group(&mut self, id: &GroupId) -> &mut SimGroup {
        self.groups.entry(id.clone()).or_default()
    }
}

/// A simulated directory. Clones are the same directory, seen through another connection.
#[derive(Debug, Clone)]
pub struct SimDirectory {
    info: Arc<DirectoryInfo>,
    page_size: usize,
    world: Arc<Mutex<DirectoryWorld>>,
    set_aside: Arc<Mutex<Vec<(String, String)>>>,
    past: Arc<Mutex<Past>>,
    faults: Faults,
}

impl SimDirectory {
    /// A directory that lives in memory.
    pub fn new(id: DirectoryId, world: DirectoryWorld) -> Self {
        Self {
            info: Arc::new(DirectoryInfo { id, kind: "sim".to_owned(), endpoint: "memory".to_owned() }),
            page_size: 100,
            world: Arc::new(Mutex::new(world)),
            set_aside: Arc::default(),
            past: Arc::default(),
            faults: Faults::none(),
        }
    }

    /// The same directory with pages of so many people.
    #[must_use]
    pub fn with_page_size(mut self, page_size: NonZeroU32) -> Self {
        self.page_size = page_size.get() as usize;
        self
    }

    /// The script of what goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The world, to inspect and to edit. Do not hold it across an await.
    pub fn world(&self) -> MutexGuard<'_, DirectoryWorld> {
        lock(&self.world)
    }

    fn system(&self) -> &str {
        self.info.id.as_str()
    }

    fn fault(&self, kind: FaultKind, operation: Operation, message: impl Into<String>) -> Fault {
        Fault::new(kind, self.system(), operation.as_str(), message)
    }

    async fn ask<T: Send>(
        &self,
        cx: &Cx,
        operation: Operation,
        effect: impl FnOnce(&DirectoryWorld, Option<Mishap>) -> Result<T, Fault> + Send,
    ) -> Result<T, Fault> {
        cx.check(self.system(), operation.as_str())?;
        let mishap = self.faults.next(operation);
        on_the_way_there(mishap, self.system(), operation.as_str()).await?;
        let answer = effect(&self.world(), mishap)?;
        on_the_way_back(mishap, self.system(), operation.as_str()).await?;
        Ok(answer)
    }

    fn page(&self, world: &DirectoryWorld, at: Option<&Cursor>, mishap: Option<Mishap>) -> Result<Page<Person>, Fault> {
        if world.shows_nothing || mishap == Some(Mishap::EmptyList) {
            let census = Census { sent: 0, server_total: None };
            return Ok(Page { items: Vec::new(), next: Next::End(census) });
        }
        let cut = || {
            let message = "the connection closed before the list was complete";
            self.fault(FaultKind::Unreachable, Operation::People, message)
        };
        let at = if mishap == Some(Mishap::RepeatedPage) { None } else { at };
        let (sent, after) = place(at).ok_or_else(|| {
            self.fault(FaultKind::Invalid, Operation::People, "this cursor was not made by this connector")
        })?;
        if mishap == Some(Mishap::CutList) && at.is_some() {
            return Err(cut());
        }
        let within = world.people.values().filter(|person| !world.outside.contains(&person.id));
        let beyond = within.filter(|person| after.as_ref().is_none_or(|id| person.id > *id));
        let mut items: Vec<Person> = beyond.take(self.page_size + 1).cloned().collect();
        let more = items.len() > self.page_size;
        items.truncate(self.page_size);
        let sent = sent + items.len();
        if mishap == Some(Mishap::LyingTotal) {
            let census = Census { sent: sent as u64, server_total: Some(sent as u64) };
            return Ok(Page { items, next: Next::End(census) });
        }
        if let Some(last) = items.last().filter(|_| more) {
            let next = Next::More(Cursor(format!("{sent}:{}", last.id)));
            return Ok(Page { items, next });
        }
        if mishap == Some(Mishap::CutList) {
            return Err(cut());
        }
        let lost = usize::from(mishap == Some(Mishap::ShortList) && items.pop().is_some());
        lock(&self.set_aside).clone_from(&world.unreadable);
        let aside = world.unreadable.len();
        let census = Census { sent: (sent - lost + aside) as u64, server_total: Some((world.within() + aside) as u64) };
        Ok(Page { items, next: Next::End(census) })
    }
}

fn place(cursor: Option<&Cursor>) -> Option<(usize, Option<PersonId>)> {
    let Some(cursor) = cursor else { return Some((0, None)) };
    let (sent, after) = cursor.0.split_once(':')?;
    Some((sent.parse().ok()?, Some(PersonId::new(after).ok()?)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked while holding it was a test that has failed anyway.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The answer about one group, its nested groups included.
fn membership(world: &DirectoryWorld, asked: &GroupId, fault: impl Fn(FaultKind, String) -> Fault) -> Membership {
    let mut people = BTreeSet::new();
    let mut gaps = 0;
    let mut proven = true;
    let mut seen = BTreeSet::from([asked]);
    let mut waiting = VecDeque::from([asked]);
    while let Some(id) = waiting.pop_front() {
        let Some(group) = world.groups.get(id) else {
            return Membership::Unreadable(fault(FaultKind::Missing, format!("there is no group `{id}`")));
        };
        match group.view {
            GroupView::Denied => {
                let message = format!("the members of group `{id}` may not be read");
                return Membership::Unreadable(fault(FaultKind::Denied, message));
            }
            // Seen as empty, and nothing proves it: of everybody who is not named elsewhere it is unknown.
            GroupView::Hidden => gaps += 1,
            GroupView::Unproven if group.people.is_empty() && group.groups.is_empty() => gaps += 1,
            GroupView::Unproven | GroupView::Visible => {
                people.extend(group.people.iter().cloned());
                waiting.extend(group.groups.iter().filter(|nested| seen.insert(nested)));
            }
        }
        proven &= group.view == GroupView::Visible;
    }
    match Members::with_gaps(people.into_iter().collect(), gaps) {
        Some(members) => Membership::Members(members),
        None if proven => Membership::Empty(EmptyProof::ServerCount),
        None => Membership::Unproven,
    }
}

/// The shortest chain of groups from one down to the one that names the person.
fn path(world: &DirectoryWorld, from: &GroupId, to: &PersonId) -> Option<GroupPath> {
    let mut seen = BTreeSet::from([from]);
    let mut waiting = VecDeque::from([vec![from]]);
    while let Some(chain) = waiting.pop_front() {
        let group = chain.last().and_then(|id| world.groups.get(*id))?;
        if group.people.contains(to) {
            return Some(chain.into_iter().map(ToString::to_string).collect());
        }
        for nested in group.groups.iter().filter(|nested| world.groups.contains_key(*nested)) {
            if seen.insert(nested) {
                let mut longer = chain.clone();
                longer.push(nested);
                waiting.push_back(longer);
            }
        }
    }
    None
}

#[async_trait]
impl Directory for SimDirectory {
    fn info(&self) -> &DirectoryInfo {
        &self.info
    }

    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        self.ask(cx, Operation::Probe, |world, _| {
            let detail = format!("{} people, {} groups", world.people.len(), world.groups.len());
            let check = Check { name: "read".to_owned(), outcome: CheckOutcome::Pass, detail, help: None };
            let domain = self.system().to_owned();
            let server = ServerMark { domain, replica: None, generation: None, clock: None };
            Ok(Health { checks: vec![check], server: Some(server) })
        })
        .await
    }

    async fn people(&self, cx: &Cx, _scope: &Scope, at: Option<Cursor>) -> Result<Page<Person>, Fault> {
        self.ask(cx, Operation::People, |world, mishap| self.page(world, at.as_ref(), mishap)).await
    }

    async fn members(&self, cx: &Cx, groups: &BTreeSet<GroupId>) -> BTreeMap<GroupId, Membership> {
        let fault = |kind, message| self.fault(kind, Operation::Members, message);
        let answer = self
            .ask(cx, Operation::Members, |world, mishap| {
                let hides = world.shows_nothing || mishap == Some(Mishap::EmptyList);
                let one = |id: &GroupId| if hides { Membership::Unproven } else { membership(world, id, fault) };
                Ok(groups.iter().map(|id| (id.clone(), one(id))).collect())
            })
            .await;
        answer.unwrap_or_else(|fault| {
            groups.iter().map(|id| (id.clone(), Membership::Unreadable(fault.clone()))).collect()
        })
    }

    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Person>, Fault> {
        self.ask(cx, Operation::Find, |world, _| {
            let visible = world.people.values().filter(|one| !world.shows_nothing && !world.outside.contains(&one.id));
            Ok(visible.filter(|person| person.keys.contains(key)).cloned().collect())
        })
        .await
    }

    async fn lookup(&self, cx: &Cx, id: &PersonId) -> Result<Presence, Fault> {
        self.ask(cx, Operation::Lookup, |world, _| {
            if !world.shows_nothing {
                if let Some(person) = world.people.get(id) {
                    return Ok(Presence::Present(Box::new(person.clone())));
                }
                if world.tombstones.contains(id) {
                    return Ok(Presence::Gone(Proof::Tombstone));
                }
                if let Some(canary) = world.people.keys().next() {
                    return Ok(Presence::Gone(Proof::NotFound { canary: canary.to_string() }));
                }
            }
            let message = format!("person `{id}` was not found, and nothing else can be seen either");
            Err(self.fault(FaultKind::Denied, Operation::Lookup, message))
        })
        .await
    }

    async fn in_reach(&self, cx: &Cx, id: &PersonId) -> Result<Entitled, Fault> {
        self.ask(cx, Operation::Lookup, |world, _| {
            Ok(match (world.shows_nothing, world.people.contains_key(id)) {
                (false, true) if world.outside.contains(id) => Entitled::No,
                (false, true) => Entitled::Yes,
                (true, _) | (false, false) => Entitled::Unknown,
            })
        })
        .await
    }

    async fn changes(&self, cx: &Cx, since: Option<Watermark>) -> Result<Changes, Fault> {
        self.ask(cx, Operation::Changes, |world, mishap| Ok(lock(&self.past).changes(world, since.as_ref(), mishap)))
            .await
    }

    async fn paths(
        &self,
        cx: &Cx,
        id: &PersonId,
        groups: &BTreeSet<GroupId>,
    ) -> Result<BTreeMap<GroupId, GroupPath>, Fault> {
        self.ask(cx, Operation::Paths, |world, _| {
            let found = groups.iter().filter_map(|group| Some((group.clone(), path(world, group, id)?)));
            Ok(found.collect())
        })
        .await
    }

    fn take_quarantined(&self) -> Vec<(String, String)> {
        std::mem::take(&mut lock(&self.set_aside))
    }
}
