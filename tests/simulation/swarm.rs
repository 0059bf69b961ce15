//! The swarm: from one seed a world, a workload, faults and crashes; the engine works on it tick after tick, and the
//! oracle looks at every write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lockstep_contract::{CardholderId, RunId, Standing, Status};
use lockstep_core::{Hold, HoldId, Mover, PlanDocument};
use lockstep_engine::{NodeId, SpoolEntry, Store};
use lockstep_sim::{GroupView, Operation};
use lockstep_store::MemoryStore;

use crate::bench::{self, Bench, group, hq, key, level, person, person_id, policy, rule};
use crate::crash::Crash;
use crate::dice::Dice;
use crate::oracle::{Grant, Oracle, Truth};
use crate::planted::Bug;
use crate::watched::Watched;
use crate::weather::{Meddler, fill, mishap};

/// The levels of the PACS; rules name the first three.
pub(crate) const LEVELS: [&str; 5] = ["Door", "Lab", "Vault", "Other", "Manual"];
/// The groups of the directory.
pub(crate) const GROUPS: [&str; 5] = ["All", "Lab", "Night", "Vault", "Barred"];
/// So often the engine may plan and apply until everything is as it should be, once nothing goes wrong any more.
const ROUNDS_MAX: u32 = 8;

/// What became of one world.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Story {
    /// Writes that changed something.
    pub effects: usize,
    /// Times the process died.
    pub crashes: usize,
    /// Plans that were made.
    pub plans: usize,
    /// Everybody has what they should have at the end; false when a guard that nobody may overrule was in the way.
    pub converged: bool,
}

/// More polls than this for one round are no work but a loop that never ends.
const POLLS_MAX: u64 = 200_000;

/// Lives one world through.
///
/// # Errors
/// With what was broken, and everything that led to it.
pub fn live(seed: u64, bug: Option<Bug>) -> Result<Story, String> {
    bench::run(async {
        let mut world = Swarm::new(seed, bug);
        let story = world.live().await;
        story.map_err(|broken| format!("seed {seed}: {broken}\n{}", world.bench.notes()))
    })
}

/// A level with the groups that give it: any of these, all of those, none of them.
type Wanted = (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str]);

struct Swarm {
    dice: Dice,
    bench: Bench,
    watched: Watched,
    store: Arc<MemoryStore>,
    oracle: Oracle,
    truths: BTreeMap<RunId, Truth>,
    grants: Vec<Grant>,
    people: u64,
    story: Story,
    bug: Option<Bug>,
}

impl Swarm {
    fn new(seed: u64, bug: Option<Bug>) -> Self {
        let mut dice = Dice::new(seed);
        let in_flight = [1, 2, 4][dice.below(3) as usize];
        let sim = bench::pacs(&LEVELS, in_flight).with_page_size(std::num::NonZeroU32::MIN.saturating_add(2));
        let directory = bench::directory().with_page_size(std::num::NonZeroU32::MIN.saturating_add(3));
        let people = 4 + dice.below(7);
        fill(&mut dice, &sim, &directory, people);
        let mover = if dice.percent(50) { Mover::WithGrant } else { Mover::RevokeFirst };
        let rules: [Wanted; 3] = [
            ("Door", &["All", "Night"], &[], &[]),
            ("Lab", &["Lab", "Night"], &[], &["Barred"]),
            ("Vault", &["Vault"], &["Lab"], &[]),
        ];
        let groups = |ids: &[&str]| ids.iter().map(|id| group(id)).collect();
        let grants = rules
            .iter()
            .map(|(id, any, all, none)| Grant {
                level: level(id),
                any: groups(any),
                all: groups(all),
                none: groups(none),
            })
            .collect();
        let rules = rules.iter().zip(1..).map(|((id, any, all, none), line)| rule(id, any, all, none, line)).collect();
        let store = Arc::new(MemoryStore::new());
        let (mut bench, mut watched) = Bench::new(sim.clone(), directory.clone(), store.clone(), policy(rules, mover));
        if let Some(bug) = bug {
            watched = Watched::through(bug.target(&sim), &sim);
            bench.target = Arc::new(watched.clone());
            bench.directory = bug.directory(&directory);
        }
        Self {
            dice,
            bench,
            watched,
            store,
            oracle: Oracle::default(),
            truths: BTreeMap::new(),
            grants,
            people,
            story: Story::default(),
            bug,
        }
    }

    async fn live(&mut self) -> Result<Story, String> {
        for tick in 0..3 + self.dice.below(4) {
            self.bench.note(format!("tick {tick}"));
            self.life_goes_on().await;
            self.trouble();
            self.work().await?;
            self.look()?;
            self.bench.pass(3_600 * 6);
        }
        self.calm_down().await?;
        Ok(self.story.clone())
    }

    /// People come, change and go; operators of the PACS do as they please.
    async fn life_goes_on(&mut self) {
        for _ in 0..self.dice.below(4) {
            let n = 1 + self.dice.below(self.people);
            let what = self.dice.below(9);
            self.bench.note(format!("  event {what} on person {n}"));
            match what {
                0 => self.standing(n, Standing::Ended { since: None }),
                1 => self.standing(n, Standing::Unknown),
                2 => self.standing(n, Standing::Active),
                3 => self.bench.people.world().delete(&person_id(n)),
                4 => {
                    self.people += 1;
                    let id = person_id(self.people);
                    let mut people = self.bench.people.world();
                    people.insert(person(self.people, "Works", Standing::Active));
                    people.group(&group("All")).people.insert(id);
                }
                5 => self.change_group(n),
                6 => self.operator(),
                7 if self.dice.percent(40) => self.hold(n).await,
                7 | 8 => {
                    let department = format!("Department {}", self.dice.below(3));
                    let standing = self.bench.people.world().people.get(&person_id(n)).map(|p| p.standing);
                    if let Some(standing) = standing {
                        self.bench.people.world().insert(person(n, &department, standing));
                    }
                }
                _ => {}
            }
        }
    }

    fn standing(&self, n: u64, standing: Standing) {
        if let Some(person) = self.bench.people.world().people.get_mut(&person_id(n)) {
            person.standing = standing;
        }
    }

    fn change_group(&mut self, n: u64) {
        let Some(name) = self.dice.pick(&GROUPS).copied() else { return };
        let id = person_id(n);
        let mut people = self.bench.people.world();
        if !people.people.contains_key(&id) {
            return;
        }
        let members = &mut people.group(&group(name)).people;
        if !members.remove(&id) {
            members.insert(id);
        }
    }

    /// Somebody at the keyboard of the PACS.
    fn operator(&mut self) {
        let mut pacs = self.bench.sim.world();
        let ids: Vec<CardholderId> = pacs.cardholders.keys().cloned().collect();
        let Some(mut record) = self.dice.pick(&ids).and_then(|id| pacs.cardholders.get(id)).cloned() else { return };
        match self.dice.below(4) {
            0 => {
                record.status = match record.status {
                    Status::Active => Status::Suspended,
                    Status::Suspended | Status::Other(_) => Status::Active,
                };
                self.oracle.operator_switched(&record.id);
            }
            what => {
                let name = LEVELS[self.dice.below(LEVELS.len() as u64) as usize];
                if what == 1 {
                    record.levels.remove(&level(name));
                } else {
                    record.levels.insert(level(name));
                }
            }
        }
        pacs.insert(record);
    }

    /// A named offboarding, as the emergency path leaves it for the store. The desk itself switches the record off.
    async fn hold(&mut self, n: u64) {
        let id = person_id(n);
        let hold = Hold {
            id: HoldId::default(),
            person: Some(id.clone()),
            cardholders: Vec::new(),
            keys: [key(n)].into_iter().collect(),
            by: "desk".to_owned(),
            reason: "dismissed".to_owned(),
            since: self.bench.now(),
        };
        let ttl = jiff::SignedDuration::from_mins(1);
        let entry = SpoolEntry::Hold { targets: BTreeSet::new(), hold };
        let epoch = self.store.lease(&NodeId("desk".into()), ttl, self.bench.now()).await.expect("nobody works now");
        self.store.absorb(epoch, &[entry]).await.expect("absorbed");
        self.store.release(epoch).await.expect("given back");
        self.oracle.held.insert(id);
    }

    /// What goes wrong in this tick.
    fn trouble(&mut self) {
        let dark = self.dice.percent(8);
        self.bench.people.world().shows_nothing = dark;
        for name in GROUPS {
            let view = match self.dice.below(12) {
                0 => GroupView::Hidden,
                1 => GroupView::Denied,
                2 => GroupView::Unproven,
                _ => GroupView::Visible,
            };
            if view != GroupView::Visible {
                self.bench.note(format!("  group {name} is {view:?}"));
            }
            self.bench.people.world().group(&group(name)).view = view;
        }
        let (pacs, people) = (self.bench.sim.faults().clone(), self.bench.people.faults().clone());
        for _ in 0..self.dice.below(4) {
            let on_pacs = [Operation::Catalog, Operation::List, Operation::Find, Operation::Read, Operation::Apply];
            mishap(&mut self.dice, &self.bench, &pacs, &on_pacs);
        }
        if let Some(bug) = self.bug {
            bug.weather(&pacs, &people);
        }
        for _ in 0..self.dice.below(2) {
            let on_people = [Operation::Probe, Operation::People, Operation::Members, Operation::Lookup];
            mishap(&mut self.dice, &self.bench, &people, &on_people);
        }
    }

    fn truth(&self) -> Truth {
        let world = self.bench.people.world().clone();
        Truth { world, grants: self.grants.clone(), outside_is_left: false }
    }

    /// Settle, plan, approve, apply; the process may die anywhere in it, and other people edit meanwhile.
    async fn work(&mut self) -> Result<(), String> {
        let run = self.bench.next_run();
        self.truths.insert(run, self.truth());
        let polls = if self.dice.percent(40) { self.dice.below(120) } else { POLLS_MAX };
        let outcome = {
            let mut meddler = Meddler::new(self.dice.roll(), &self.bench.sim);
            Crash::after(polls, round(&self.bench, run), move || meddler.between()).await
        };
        match outcome {
            None if polls == POLLS_MAX => return Err("it never ends".to_owned()),
            None => {
                self.bench.note(format!("  died after {polls} polls"));
                self.story.crashes += 1;
                self.die();
            }
            Some(Ok(document)) => {
                self.story.plans += 1;
                self.bench.note(format!("  planned {} actions", document.entries.len()));
            }
            // Fail static: nothing more to do than to look at what was written.
            Some(Err(why)) => self.bench.note(format!("  {why}")),
        }
        self.bench.restart();
        Ok(())
    }

    fn die(&mut self) {
        let lucky = self.dice.percent(50);
        self.store.crash(lucky);
    }

    /// The oracle looks at what was written.
    fn look(&mut self) -> Result<(), String> {
        let now = self.truth();
        for effect in self.watched.take_effects() {
            self.story.effects += 1;
            let truth = effect.run.and_then(|run| self.truths.get(&run)).unwrap_or(&now);
            self.oracle.judge(&effect, truth)?;
        }
        Oracle::no_doubles(&self.bench.sim.world().cardholders)
    }

    /// Nothing goes wrong any more: everything becomes as it should be.
    async fn calm_down(&mut self) -> Result<(), String> {
        self.bench.note("calm");
        self.bench.sim.faults().clear();
        self.bench.people.faults().clear();
        {
            let mut people = self.bench.people.world();
            people.shows_nothing = false;
            people.groups.values_mut().for_each(|group| group.view = GroupView::Visible);
        }
        for _ in 0..ROUNDS_MAX {
            self.bench.pass(3_600 * 24 * 8);
            self.bench.reset_fuse().await;
            let run = self.bench.next_run();
            self.truths.insert(run, self.truth());
            let document =
                round(&self.bench, run).await.map_err(|why| format!("nothing goes wrong, and yet: {why}"))?;
            self.story.plans += 1;
            self.look()?;
            self.bench.note(format!("  planned {} actions, {} held", document.entries.len(), document.held()));
            let held = document.held();
            if held > 0 && held == document.entries.len() {
                // A guard that gives way to nobody: somebody would have to mend the directory first.
                return Ok(());
            }
            if document.entries.is_empty() {
                let links = self.store.links(&hq()).await.map_err(|error| error.to_string())?;
                let linked = links.iter().map(|link| link.cardholder.clone()).collect();
                let records = self.bench.sim.world().cardholders.clone();
                self.oracle.converged(&self.truth(), &records, &linked)?;
                self.story.converged = true;
                return Ok(());
            }
        }
        Err(format!("not settled after {ROUNDS_MAX} rounds in which nothing went wrong"))
    }
}

async fn round(bench: &Bench, run: RunId) -> Result<PlanDocument, String> {
    bench.settle().await.map_err(|error| format!("not settled: {error}"))?;
    let planned = bench.plan(run).await.map_err(|error| format!("not planned: {error}"))?;
    let document = planned.document;
    let approved = bench.approve(&document).await.map_err(|refusal| format!("refused: {refusal}"))?;
    let report = bench.apply(&approved).await.map_err(|error| format!("not applied: {error}"))?;
    for action in report.targets.values().flat_map(|target| &target.actions) {
        bench.note(format!("    {:?} {:?}: {}", action.subject, action.state, action.detail));
    }
    Ok(document)
}
