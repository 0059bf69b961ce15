//! A watch over a directory in which people edit at random, with mishaps and crashes: nobody may lose anything without
//! evidence that stood in the directory while the watch looked, and everybody who left is out soon after nothing goes
//! wrong any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use lockstep_contract::{CorrelationKeys, Person, PersonId, RunId, Standing, Status};
use lockstep_core::{Mover, Occasion, OutOfScope, PlanDocument};
use lockstep_engine::{CarriedOut, Hands, Owed, Pass, Store as _, Trouble};
use lockstep_sim::{GroupView, Operation, SimDirectory};
use lockstep_store::MemoryStore;

use crate::bench::{self, Bench, group, hq, key, level, person, person_id, policy, rule};
use crate::crash::Crash;
use crate::dice::Dice;
use crate::oracle::{Answer, Grant, Oracle, Truth, Whereabouts, owner};
use crate::planted::Bug;
use crate::watched::{Effect, Watched};
use crate::weather::mishap;

const LEVELS: [&str; 4] = ["Door", "Lab", "Vault", "Other"];
const GROUPS: [&str; 4] = ["All", "Lab", "Night", "Vault"];
/// So many looks, once nothing goes wrong any more, until everybody who left is out.
const LOOKS_MAX: u32 = 6;
const POLLS_MAX: u64 = 200_000;

/// What became of one vigil.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vigil {
    /// Edits of the directory.
    pub edits: u64,
    /// Looks.
    pub looks: u64,
    /// Times the process died.
    pub crashes: u64,
    /// Writes that a notice made.
    pub noticed: u64,
    /// Writes that a census made.
    pub by_census: u64,
    /// Worlds in which everybody who left was out in the end, and no guard was in the way.
    pub converged: u64,
}

/// Watches one world.
///
/// # Errors
/// With what was broken, and everything that led to it.
pub fn watch(seed: u64, bug: Option<Bug>) -> Result<Vigil, String> {
    bench::run(async {
        let mut world = World::new(seed, bug);
        let lived = world.live().await;
        lived.map_err(|broken| format!("seed {seed}: {broken}\n{}", world.bench.notes()))?;
        Ok(world.vigil)
    })
}

/// Everything the directory was while a look went on.
#[derive(Clone)]
struct Truths {
    now: Arc<Mutex<Vec<Truth>>>,
    grants: Vec<Grant>,
    outside_is_left: bool,
    edits: Arc<AtomicU64>,
}

impl Truths {
    fn all(&self) -> MutexGuard<'_, Vec<Truth>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, people: &SimDirectory) {
        let world = people.world().clone();
        self.all().push(Truth { world, grants: self.grants.clone(), outside_is_left: self.outside_is_left });
    }

    /// A new look begins: only what is true now, and what comes, counts.
    fn begin(&self, people: &SimDirectory) {
        self.all().clear();
        self.note(people);
    }
}

/// Somebody who edits the directory.
struct Editor {
    dice: Dice,
    people: SimDirectory,
    truths: Truths,
    count: u64,
    outside: bool,
}

impl Editor {
    fn edit(&mut self) -> String {
        let n = 1 + self.dice.below(self.count);
        let what = self.dice.below(13);
        {
            let mut world = self.people.world();
            let id = person_id(n);
            let name = group(GROUPS[self.dice.below(GROUPS.len() as u64) as usize]);
            match what {
                0 => standing(&mut world.people, &id, Standing::Ended { since: None }),
                1 => standing(&mut world.people, &id, Standing::Active),
                2 => standing(&mut world.people, &id, Standing::Unknown),
                3 if self.dice.percent(40) => world.delete(&id),
                4 if self.dice.percent(40) && world.people.remove(&id).is_some() => {
                    // Made again: the same human, or another one, with the same number and another id.
                    let again = PersonId::new(format!("{id}-again")).expect("an id");
                    let keys: CorrelationKeys = [key(n)].into_iter().collect();
                    world.insert(Person { id: again, keys, ..person(n, "Works", Standing::Active) });
                }
                5 if self.outside && !world.outside.remove(&id) => drop(world.outside.insert(id)),
                6 => {
                    let department = format!("Department {}", self.dice.below(3));
                    if let Some(found) = world.people.get(&id).map(|person| person.standing) {
                        world.insert(person(n, &department, found));
                    }
                }
                7 if self.dice.percent(15) => drop(world.groups.remove(&name)),
                8 => {
                    let nested = group("Night");
                    let groups = &mut world.group(&group("All")).groups;
                    if !groups.remove(&nested) {
                        groups.insert(nested);
                    }
                }
                _ => {
                    let there = world.people.contains_key(&id);
                    let members = &mut world.group(&name).people;
                    if !members.remove(&id) && there {
                        members.insert(id);
                    }
                }
            }
        }
        self.truths.note(&self.people);
        self.truths.edits.fetch_add(1, Ordering::SeqCst);
        format!("  edit {what} of person {n}")
    }
}

fn standing(people: &mut BTreeMap<PersonId, Person>, id: &PersonId, standing: Standing) {
    if let Some(person) = people.get_mut(id) {
        person.standing = standing;
    }
}

/// What a watch has done for it: notices run unattended, and people approve all that a census plans.
pub struct BenchHands<'a> {
    /// The systems.
    pub bench: &'a Bench,
    /// What a census plans is approved by two people.
    pub approves: bool,
    /// A guard that gives way to nobody held something of the last census.
    pub stuck: AtomicBool,
    /// How many censuses were made.
    pub censuses: AtomicU64,
}

impl<'a> BenchHands<'a> {
    /// Hands on these systems.
    pub fn new(bench: &'a Bench, approves: bool) -> Self {
        Self { bench, approves, stuck: AtomicBool::new(false), censuses: AtomicU64::new(0) }
    }
}

#[async_trait(?Send)]
impl Hands for BenchHands<'_> {
    async fn carry_out(&self, plan: &PlanDocument) -> Result<CarriedOut, Trouble> {
        let refused = |refusal: lockstep_core::Refusal| Trouble { busy: false, what: refusal.to_string() };
        let approved = self.bench.decide(plan, &[]).await.map_err(refused)?;
        let left = approved.left().to_vec();
        let report = self.bench.apply_seen(plan, &approved).await?;
        self.bench.note(format!("  notice: {} of {} run", approved.len(), plan.entries.len()));
        Ok(CarriedOut { report, left })
    }

    async fn census(&self, why: &Owed) -> Result<bool, Trouble> {
        self.bench.note(format!("  census: {}", why.why));
        self.censuses.fetch_add(1, Ordering::SeqCst);
        self.bench.settle().await?;
        let planned = self.bench.plan_on(self.bench.next_run(), Occasion::Census).await?;
        let document = planned.document;
        let refused = |refusal: lockstep_core::Refusal| Trouble { busy: false, what: refusal.to_string() };
        let approved = if self.approves {
            self.bench.approve(&document).await.map_err(refused)?
        } else {
            self.bench.decide(&document, &[]).await.map_err(refused)?
        };
        self.stuck.store(self.approves && !approved.left().is_empty(), Ordering::SeqCst);
        let report = self.bench.apply_seen(&document, &approved).await?;
        Ok(planned.unreadable.is_empty() && report.complete())
    }
}

struct World {
    dice: Dice,
    bench: Bench,
    watched: Watched,
    store: Arc<MemoryStore>,
    oracle: Oracle,
    truths: Truths,
    /// What was true while each run was planned.
    evidence: BTreeMap<RunId, Arc<Vec<Truth>>>,
    bug: Option<Bug>,
    count: u64,
    outside: bool,
    vigil: Vigil,
}

impl World {
    fn new(seed: u64, bug: Option<Bug>) -> Self {
        let mut dice = Dice::new(seed ^ 0x5157_4154_4348);
        let sim = bench::pacs(&LEVELS, [1, 2, 4][dice.below(3) as usize]);
        let directory = bench::directory();
        let count = 6 + dice.below(8);
        {
            let mut world = directory.world();
            for name in GROUPS {
                world.group(&group(name));
            }
            for n in 1..=count {
                world.insert(person(n, "Works", Standing::Active));
                for name in GROUPS {
                    if dice.percent(if name == "All" { 90 } else { 40 }) {
                        world.group(&group(name)).people.insert(person_id(n));
                    }
                }
            }
        }
        let grants = [
            ("Door", vec!["All", "Night"], vec![]),
            ("Lab", vec!["Lab"], vec![]),
            ("Vault", vec!["Vault"], vec!["Lab"]),
        ];
        let rules = grants.iter().zip(1..).map(|((id, any, all), line)| rule(id, any, all, &[], line)).collect();
        let groups = |ids: &[&str]| ids.iter().map(|id| group(id)).collect();
        let grant = |(id, any, all): &(&str, Vec<&str>, Vec<&str>)| Grant {
            level: level(id),
            any: groups(any),
            all: groups(all),
            none: Vec::new(),
        };
        let grants: Vec<Grant> = grants.iter().map(grant).collect();
        let mover = if dice.percent(50) { Mover::WithGrant } else { Mover::RevokeFirst };
        let mut policy = policy(rules, mover);
        let outside_is_left = dice.percent(50);
        policy.out_of_scope = if outside_is_left { OutOfScope::Leaver } else { OutOfScope::Hold };
        let store = Arc::new(MemoryStore::new());
        let (mut bench, mut watched) = Bench::new(sim.clone(), directory.clone(), store.clone(), policy);
        if let Some(bug) = bug {
            watched = Watched::through(bug.target(&sim), &sim);
            bench.target = Arc::new(watched.clone());
            bench.directory = bug.directory(&directory);
        }
        let truths = Truths { now: Arc::default(), grants, outside_is_left, edits: Arc::default() };
        let outside = dice.percent(70);
        let (oracle, vigil) = (Oracle::default(), Vigil::default());
        Self { dice, bench, watched, store, oracle, truths, evidence: BTreeMap::new(), bug, count, outside, vigil }
    }

    fn editor(&mut self) -> Editor {
        Editor {
            dice: Dice::new(self.dice.roll()),
            people: self.bench.people.clone(),
            truths: self.truths.clone(),
            count: self.count,
            outside: self.outside,
        }
    }

    async fn live(&mut self) -> Result<(), String> {
        self.truths.begin(&self.bench.people.clone());
        let hands = BenchHands::new(&self.bench, true);
        let first = Owed { since: self.bench.now(), why: "the first day".to_owned() };
        hands.census(&first).await.map_err(|trouble| trouble.what)?;
        self.judge()?;
        for _ in 0..4 + self.dice.below(4) {
            self.one_life().await?;
            self.store.crash(self.dice.percent(50));
            self.bench.restart();
        }
        self.calm().await
    }

    /// From the start of the process to its death.
    async fn one_life(&mut self) -> Result<(), String> {
        let looks = 1 + self.dice.below(5);
        for look in 0..looks {
            let mut editor = self.editor();
            for _ in 0..self.dice.below(5) {
                let edit = editor.edit();
                self.bench.note(edit);
            }
            self.trouble();
            self.truths.begin(&self.bench.people.clone());
            let dies = look + 1 == looks && self.dice.percent(60);
            let polls = if dies { self.dice.below(160) } else { POLLS_MAX };
            let approves = self.dice.percent(50);
            let scheduled = self.dice.percent(10);
            let (bench, hands) = (&self.bench, BenchHands::new(&self.bench, approves));
            let new_run = || bench.next_run();
            // Each look is by a watch that begins anew: what it is to remember is in the memory, or nowhere.
            let one = async {
                let mut watch = bench.watch(&new_run).await;
                if scheduled {
                    watch.owe("it is time");
                }
                watch.pass(&hands).await
            };
            let outcome = Crash::after(polls, one, || {
                if editor.dice.percent(2) {
                    let edit = editor.edit();
                    bench.note(edit);
                }
            })
            .await;
            self.vigil.looks += 1;
            match outcome {
                None if polls == POLLS_MAX => return Err("it never ends".to_owned()),
                None => {
                    self.bench.note(format!("  died after {polls} polls"));
                    self.vigil.crashes += 1;
                }
                Some(pass) => self.bench.note(words(&pass)),
            }
            self.judge()?;
            self.bench.pass(60 * (1 + self.dice.below(20)).cast_signed());
        }
        Ok(())
    }

    fn trouble(&mut self) {
        let (pacs, people) = (self.bench.sim.faults().clone(), self.bench.people.faults().clone());
        pacs.clear();
        people.clear();
        self.bench.people.world().shows_nothing = self.dice.percent(4);
        for name in GROUPS {
            let view = match self.dice.below(24) {
                0 => GroupView::Hidden,
                1 => GroupView::Denied,
                2 => GroupView::Unproven,
                _ => GroupView::Visible,
            };
            if let Some(found) = self.bench.people.world().groups.get_mut(&group(name)) {
                found.view = view;
            }
        }
        for _ in 0..self.dice.below(3) {
            let on_pacs = [Operation::Catalog, Operation::List, Operation::Read, Operation::Apply];
            mishap(&mut self.dice, &self.bench, &pacs, &on_pacs);
        }
        for _ in 0..self.dice.below(3) {
            let on_people = [
                Operation::Probe,
                Operation::People,
                Operation::Members,
                Operation::Lookup,
                Operation::Changes,
                Operation::Find,
            ];
            mishap(&mut self.dice, &self.bench, &people, &on_people);
        }
        if let Some(bug) = self.bug {
            bug.weather(&pacs, &people);
        }
    }

    /// Every write must be right by the directory as it was at some moment since the look began.
    fn judge(&mut self) -> Result<(), String> {
        let now = Arc::new(self.truths.all().clone());
        // What an earlier look began and a crash left open is settled by the evidence of that look.
        for record in futures_now(self.store.runs(u32::MAX)).and_then(Result::ok).unwrap_or_default() {
            self.evidence.entry(record.run).or_insert_with(|| now.clone());
        }
        self.vigil.edits = self.truths.edits.load(Ordering::SeqCst);
        for effect in self.watched.take_effects() {
            let truths = effect.run.and_then(|run| self.evidence.get(&run)).unwrap_or(&now);
            let mut first = None;
            let right = truths.iter().any(|truth| {
                let mut oracle = self.oracle.clone();
                let judged = same_keys(&effect, truth).and_then(|()| oracle.judge(&effect, truth));
                if judged.is_ok() {
                    self.oracle = oracle;
                }
                judged.map_err(|broken| first.get_or_insert(broken).clone()).is_ok()
            });
            if !right {
                return Err(first.unwrap_or_else(|| "no truth".to_owned()));
            }
            match effect.run.filter(|run| self.is_notice(*run)) {
                Some(_) => self.vigil.noticed += 1,
                None => self.vigil.by_census += 1,
            }
        }
        Oracle::no_doubles(&self.bench.sim.world().cardholders)
    }

    fn is_notice(&self, run: RunId) -> bool {
        let found = futures_now(self.store.run(run));
        found.is_some_and(|found| {
            found.ok().flatten().is_some_and(|record| record.kind == lockstep_engine::RunKind::Notice)
        })
    }

    /// Nothing goes wrong any more, and nobody edits: whoever left is out, and nobody has more than they should.
    async fn calm(&mut self) -> Result<(), String> {
        self.bench.note("calm");
        self.bench.sim.faults().clear();
        self.bench.people.faults().clear();
        {
            let mut people = self.bench.people.world();
            people.shows_nothing = false;
            people.groups.values_mut().for_each(|group| group.view = GroupView::Visible);
        }
        self.truths.begin(&self.bench.people.clone());
        self.bench.reset_fuse().await;
        let bench = &self.bench;
        let new_run = || bench.next_run();
        let hands = BenchHands::new(bench, true);
        let mut watch = bench.watch(&new_run).await;
        // What was missed by a list that lied is for the census that comes anyway.
        watch.owe("it is time");
        for _ in 0..LOOKS_MAX {
            bench.pass(3_600 * 24 * 8);
            let pass = watch.pass(&hands).await;
            bench.note(words(&pass));
            tokio::time::sleep(std::time::Duration::from_secs(600)).await;
            self.vigil.looks += 1;
        }
        drop(watch);
        let stuck = hands.stuck.load(Ordering::SeqCst);
        self.judge()?;
        if stuck {
            // Somebody would have to mend the directory first.
            return Ok(());
        }
        self.vigil.converged += 1;
        self.nobody_stays().await
    }

    async fn nobody_stays(&self) -> Result<(), String> {
        let links = self.store.links(&hq()).await.map_err(|error| error.to_string())?;
        let linked: BTreeSet<_> = links.iter().map(|link| link.cardholder).collect();
        let truths = self.truths.all();
        let truth = truths.last().ok_or("no truth")?;
        for record in self.bench.sim.world().cardholders.values().filter(|record| linked.contains(&record.id)) {
            let Some(person) = owner(record) else { continue };
            let out = matches!(truth.whereabouts(&person), Whereabouts::Left | Whereabouts::Gone);
            if out && record.status == Status::Active && !is_shared(truth, &person) {
                return Err(format!("{person} is out, and {} is still switched on", record.id));
            }
            let here = truth.whereabouts(&person) == Whereabouts::Here && !is_shared(truth, &person);
            for has in record.levels.iter().filter(|_| here && record.status == Status::Active) {
                if truth.managed().contains(has) && truth.entitled(&person, has) == Answer::No {
                    return Err(format!("{person} is here, and still has {has}"));
                }
            }
        }
        Ok(())
    }
}

/// Somebody else has the number of this person, and is here.
fn is_shared(truth: &Truth, person: &PersonId) -> bool {
    let again = PersonId::new(format!("{person}-again")).expect("an id");
    truth.world.people.get(&again).is_some_and(|other| other.standing == Standing::Active)
}

/// Whoever is gone, and may be here under another id, keeps what they have until somebody looked.
fn same_keys(effect: &Effect, truth: &Truth) -> Result<(), String> {
    let Some(person) = owner(&effect.after) else { return Ok(()) };
    if truth.whereabouts(&person) == Whereabouts::Gone && is_shared(truth, &person) {
        return Err(format!("{person} may be here under another id, and was changed: {effect:?}"));
    }
    Ok(())
}

fn words(pass: &Pass) -> String {
    let census = pass.census.as_ref().map(|(owed, whole)| format!("{} ({whole})", owed.why));
    format!("  looked: {} named, {} looked at, census {census:?}, {:?}", pass.named, pass.looked, pass.trouble)
}

/// A future that is ready at once; the memory's reads are.
fn futures_now<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}
