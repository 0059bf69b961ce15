//! The planning core alone, against the least that could find the same differences: arrays of compact records, sorted
//! and merged.
//!
//! Both are fed by the same code with the same people, groups, cardholders and links, a batch at a time, and both hold
//! everything in memory at the end. Only their own work is timed: a batch is made up before the clock is started.
//! Seconds are of processor time, so a busy machine changes little.

mod compact;

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;
use lockstep_contract::{Cardholder, GroupId, Members, Membership, Person, RunId};
use lockstep_core::{
    DirectoryBuilder, DirectorySnapshot, Holds, Inputs, Link, Links, TargetBuilder, TargetSnapshot, plan,
};

use crate::world;
use compact::Compact;

/// So many records are made up at a time.
const BATCH: usize = 1_024;
/// The members of so many groups are made up at a time.
const GROUP_BATCH: usize = 50;

/// Only makes up what the others are fed.
pub(crate) fn generate(people: usize) -> String {
    run(people, Nothing::default())
}

/// Snapshots of both sides, links, and a plan.
pub(crate) fn core(people: usize) -> String {
    run(people, Core::default())
}

/// Compact records, sorted, merged and compared.
pub(crate) fn merge(people: usize) -> String {
    run(people, Compact::default())
}

/// What is fed and timed.
trait Program {
    fn person(&mut self, person: &Person);
    fn group(&mut self, id: &GroupId, membership: &Membership);
    /// The directory has been read.
    fn census_read(&mut self);
    fn cardholder(&mut self, cardholder: &Cardholder);
    /// The PACS has been read.
    fn target_read(&mut self);
    fn link(&mut self, link: Link);
    /// Finds the differences: how many people are as they should be.
    fn compare(&mut self) -> u64;
}

/// Feeds a program, and says in words what its two parts took.
fn run(people: usize, mut program: impl Program) -> String {
    let mut ingest = Clock::default();
    let batches = || (0..people).step_by(BATCH).map(|start| start..people.min(start + BATCH));
    for batch in batches() {
        let made: Vec<Person> = batch.map(world::person).collect();
        ingest.time(|| made.iter().for_each(|person| program.person(person)));
    }
    for start in (0..world::GROUPS).step_by(GROUP_BATCH) {
        let made: Vec<(GroupId, Membership)> = world::members(people, start..start + GROUP_BATCH)
            .map(|(group, list)| (group, Members::new(list).map_or(Membership::Unproven, Membership::Members)))
            .collect();
        ingest.time(|| made.iter().for_each(|(group, membership)| program.group(group, membership)));
    }
    ingest.time(|| program.census_read());
    for batch in batches() {
        let made: Vec<Cardholder> = batch.map(world::cardholder).collect();
        ingest.time(|| made.iter().for_each(|cardholder| program.cardholder(cardholder)));
    }
    ingest.time(|| program.target_read());
    for batch in batches() {
        let made: Vec<Link> = batch.map(world::link).collect();
        ingest.time(|| made.into_iter().for_each(|link| program.link(link)));
    }
    let mut planning = Clock::default();
    let mut same = 0;
    planning.time(|| same = program.compare());
    assert_eq!(same, people as u64, "nothing differs");
    format!("ingest {:.3} s, planning {:.3} s of processor time", ingest.seconds, planning.seconds)
}

/// Adds up processor time.
#[derive(Debug, Default)]
struct Clock {
    seconds: f64,
}

impl Clock {
    fn time(&mut self, work: impl FnOnce()) {
        let (started, before) = (Instant::now(), processor_seconds());
        work();
        self.seconds += match (before, processor_seconds()) {
            (Some(before), Some(after)) => after - before,
            _ => started.elapsed().as_secs_f64(),
        };
    }
}

/// What the main thread has run, to the nanosecond (`schedstat`, proc(5)); `None` where the system does not tell.
fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    stat.split_whitespace().next()?.parse::<f64>().ok().filter(|ran| *ran > 0.0).map(|ran| ran / 1e9)
}

/// Does nothing with anything.
#[derive(Debug, Default)]
struct Nothing {
    people: u64,
}

impl Program for Nothing {
    fn person(&mut self, _: &Person) {
        self.people += 1;
    }
    fn group(&mut self, _: &GroupId, _: &Membership) {}
    fn census_read(&mut self) {}
    fn cardholder(&mut self, _: &Cardholder) {}
    fn target_read(&mut self) {}
    fn link(&mut self, _: Link) {}
    fn compare(&mut self) -> u64 {
        self.people
    }
}

/// The planning core as the engine uses it.
#[derive(Debug, Default)]
struct Core {
    people: DirectoryBuilder,
    census: DirectorySnapshot,
    cardholders: TargetBuilder,
    target: TargetSnapshot,
    links: Links,
}

impl Program for Core {
    fn person(&mut self, person: &Person) {
        self.people.add(person);
    }

    fn group(&mut self, id: &GroupId, membership: &Membership) {
        self.people.group(id.clone(), membership);
    }

    fn census_read(&mut self) {
        self.census = std::mem::take(&mut self.people).finish();
    }

    fn cardholder(&mut self, cardholder: &Cardholder) {
        self.cardholders.add(cardholder);
    }

    fn target_read(&mut self) {
        self.cardholders.catalog(world::catalog());
        self.target = std::mem::take(&mut self.cardholders).finish();
    }

    fn link(&mut self, link: Link) {
        self.links.insert(link).expect("everybody is linked once");
    }

    fn compare(&mut self) -> u64 {
        let (policy, target) = (world::policy(), world::target());
        let draft = plan(Inputs {
            target: &target,
            people: &self.census,
            cardholders: &self.target,
            links: &self.links,
            holds: &Holds::default(),
            looked: &BTreeMap::new(),
            policy: &policy,
            run: RunId::new(uuid::Uuid::nil()),
            now: Timestamp::UNIX_EPOCH,
        });
        assert!(draft.is_empty(), "nothing differs, so nothing is planned");
        draft.tally().unchanged
    }
}
