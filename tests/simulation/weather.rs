//! What a swarm begins with and lives in: the first day, mishaps, and other people at the keyboard. It judges nothing.

use std::time::Duration;

use lockstep_contract::{CardholderId, PersonId, Standing, Status};
use lockstep_sim::{Faults, Mishap, Operation, Sim, SimDirectory};

use crate::bench::{Bench, cardholder, group, level, person, person_id};
use crate::dice::Dice;
use crate::swarm::{GROUPS, LEVELS};

/// Edits the PACS while the engine works on it. It switches nobody off or on: whose suspension that is could not be told
/// from outside when two do it in one moment.
pub(crate) struct Meddler {
    dice: Dice,
    sim: Sim,
}

impl Meddler {
    pub(crate) fn new(seed: u64, sim: &Sim) -> Self {
        Self { dice: Dice::new(seed), sim: sim.clone() }
    }

    pub(crate) fn between(&mut self) {
        let dice = &mut self.dice;
        if !dice.percent(2) {
            return;
        }
        let mut pacs = self.sim.world();
        let ids: Vec<CardholderId> = pacs.cardholders.keys().cloned().collect();
        let Some(mut record) = dice.pick(&ids).and_then(|id| pacs.cardholders.get(id)).cloned() else { return };
        let name = LEVELS[dice.below(LEVELS.len() as u64) as usize];
        if dice.percent(50) {
            record.levels.remove(&level(name));
        } else {
            record.levels.insert(level(name));
        }
        pacs.insert(record);
    }
}

/// One mishap in one operation, once or always.
pub(crate) fn mishap(dice: &mut Dice, bench: &Bench, faults: &Faults, operations: &[Operation]) {
    let of = [
        Mishap::Down,
        Mishap::LostRequest,
        Mishap::LostAnswer,
        Mishap::Hang,
        Mishap::HangAfterEffect,
        Mishap::Throttle(Duration::from_secs(2)),
        Mishap::Deny,
        Mishap::Unauthenticated,
        Mishap::Refuse,
        Mishap::CutList,
        Mishap::ShortList,
        Mishap::LyingTotal,
        Mishap::EmptyList,
        Mishap::RepeatedPage,
        Mishap::IgnoredFilter,
        Mishap::Slow(7),
    ];
    let (Some(operation), Some(mishap)) = (dice.pick(operations), dice.pick(&of)) else { return };
    if dice.percent(15) {
        bench.note(format!("  every {} goes wrong: {mishap:?}", operation.as_str()));
        faults.always(*operation, *mishap);
    } else {
        let nth = 1 + dice.below(4) as u32;
        bench.note(format!("  {} number {nth} goes wrong: {mishap:?}", operation.as_str()));
        faults.on(*operation, nth, *mishap);
    }
}

/// The world as it is on the first day: most people have a record, some records are nobody's.
pub(crate) fn fill(dice: &mut Dice, sim: &Sim, directory: &SimDirectory, people: u64) {
    let mut world = directory.world();
    for name in GROUPS {
        world.group(&group(name));
    }
    world.group(&group("All")).groups.insert(group("Night"));
    for n in 1..=people {
        let standing = if dice.percent(15) { Standing::Ended { since: None } } else { Standing::Active };
        world.insert(person(n, "Works", standing));
        for name in GROUPS {
            let chance = if name == "All" { 85 } else { 25 };
            if dice.percent(chance) {
                let id: PersonId = person_id(n);
                world.group(&group(name)).people.insert(id);
            }
        }
    }
    let mut pacs = sim.world();
    for n in 1..=people + 2 {
        if dice.percent(70) {
            let levels: Vec<&str> = LEVELS.into_iter().filter(|_| dice.percent(40)).collect();
            let status = if dice.percent(10) { Status::Suspended } else { Status::Active };
            // The last two are people whom the directory does not know.
            let owner = if n > people { 1_000 + n } else { n };
            pacs.insert(cardholder(n, owner, &levels, status));
        }
    }
}
