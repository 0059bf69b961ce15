//! The HR feed, and what it says everybody can open. This module must not know any target.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use lockstep_conformance::{Seed, SeedCardholder};
use lockstep_contract::{KeyKind, Status, field};
use lockstep_simulator::world;

use crate::places::Access;

/// So many of each kind of change.
const SOME: usize = 4;
/// What somebody is called after their wedding.
pub(crate) const NEW_NAME: &str = "Ashworth-O'Malley";

/// One line of the feed.
struct Line {
    id: String,
    employee: String,
    person: SeedCardholder,
    levels: Vec<usize>,
    active: bool,
    /// Two lines claim to be this one human: what they have stays.
    doubled: bool,
}

/// The feed.
pub(crate) struct Feed {
    seed: Seed,
    lines: Vec<Line>,
}

fn key(person: &SeedCardholder, kind: KeyKind) -> String {
    person.keys.of(kind).next().expect("everybody has every key").value().to_owned()
}

fn line(person: &SeedCardholder) -> Line {
    Line {
        id: key(person, KeyKind::Directory),
        employee: key(person, KeyKind::Employee),
        person: person.clone(),
        levels: person.levels.clone(),
        active: person.status == Status::Active,
        doubled: false,
    }
}

impl Feed {
    /// As the targets are at first.
    pub(crate) fn new(people: usize) -> Self {
        let seed = world(people);
        let lines = seed.cardholders.iter().map(line).collect();
        Self { seed, lines }
    }

    pub(crate) fn seed(&self) -> &Seed {
        &self.seed
    }

    pub(crate) fn joiners_movers_leavers_a_rename_and_a_double(&mut self) {
        let there = self.lines.len();
        let newcomers = world(there + SOME).cardholders.split_off(there);
        self.lines.extend(newcomers.iter().map(line));
        for line in self.lines.iter_mut().skip(there) {
            line.active = true;
        }
        self.move_some(10);
        for line in self.active().skip(30).take(SOME) {
            line.active = false;
        }
        let renamed = self.renamed();
        let line = self.lines.iter_mut().find(|line| line.employee == renamed).expect("somebody");
        line.person.profile.set(lockstep_contract::FieldName::known(field::FAMILY_NAME), NEW_NAME);
        // A second line for somebody who is there: with other groups, which must come to nothing.
        let double = self.active().nth(50).expect("somebody");
        double.doubled = true;
        let mut second = line_again(double);
        "double-entry".clone_into(&mut second.id);
        second.levels = vec![0];
        self.lines.push(second);
    }

    /// Who left comes back. Their employee numbers.
    pub(crate) fn rehires(&mut self) -> Vec<String> {
        let seeded = self.seed.cardholders.iter().filter(|person| person.status == Status::Active);
        let were: BTreeSet<String> = seeded.map(|person| key(person, KeyKind::Employee)).collect();
        let gone = self.lines.iter_mut().filter(|line| !line.active && were.contains(&line.employee));
        gone.map(|line| {
            line.active = true;
            line.employee.clone()
        })
        .collect()
    }

    pub(crate) fn more_movers_and_leavers(&mut self) {
        self.move_some(70);
        for line in self.active().skip(110).take(SOME) {
            line.active = false;
        }
    }

    /// The employee numbers of those who were not there at first.
    pub(crate) fn newcomers(&self) -> Vec<String> {
        let there = self.seed.cardholders.len();
        self.lines.iter().skip(there).filter(|line| !line.doubled).map(|line| line.employee.clone()).collect()
    }

    /// Some get another department's rooms.
    fn move_some(&mut self, skip: usize) {
        let count = self.seed.levels.len();
        for line in self.active().skip(skip).take(SOME) {
            if let Some(last) = line.levels.last_mut() {
                *last = if *last + 1 < count { *last + 1 } else { 2 };
            }
        }
    }

    fn active(&mut self) -> impl Iterator<Item = &mut Line> {
        self.lines.iter_mut().filter(|line| line.active && !line.doubled)
    }

    /// The employee number of whoever is renamed.
    pub(crate) fn renamed(&self) -> String {
        key(&self.seed.cardholders[3], KeyKind::Employee)
    }

    /// The employee number of somebody who did nothing.
    pub(crate) fn somebody(&self) -> String {
        key(&self.seed.cardholders[5], KeyKind::Employee)
    }

    /// What everybody can open, by employee number.
    pub(crate) fn access(&self) -> Access {
        let mut access = Access::new();
        for line in self.lines.iter().filter(|line| line.id != "double-entry") {
            let levels: &[usize] = match (line.active, line.doubled) {
                (_, true) => &line.person.levels,
                (true, false) => &line.levels,
                (false, false) => &[],
            };
            access.insert(line.employee.clone(), doors(&self.seed, levels.iter().copied()));
        }
        access
    }

    /// Who was switched off before any of this is nobody whom HR knows.
    fn known(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.active || line.person.status == Status::Active)
    }

    pub(crate) fn people(&self) -> String {
        let mut text = String::from("id,employee_number,given_name,family_name,department,title,mail,status\n");
        for line in self.known() {
            let of = |name| line.person.profile.get(name).unwrap_or_default();
            let (given, family) = (of(field::GIVEN_NAME), of(field::FAMILY_NAME));
            let (department, title, mail) = (of(field::DEPARTMENT), of(field::TITLE), of(field::MAIL));
            let status = if line.active { "active" } else { "left" };
            let (id, employee) = (&line.id, &line.employee);
            let _ = writeln!(text, "{id},{employee},{given},{family},{department},{title},{mail},{status}");
        }
        text
    }

    pub(crate) fn groups(&self) -> String {
        let mut text = String::from("group,member\n");
        for line in self.known() {
            for level in &line.levels {
                let _ = writeln!(text, "{},{}", group(*level), line.id);
            }
        }
        text
    }
}

fn line_again(line: &Line) -> Line {
    Line {
        id: line.id.clone(),
        employee: line.employee.clone(),
        person: line.person.clone(),
        levels: line.levels.clone(),
        active: true,
        doubled: true,
    }
}

/// The group that gives a level.
pub(crate) fn group(level: usize) -> String {
    format!("GRP-{level}")
}

/// The doors of some levels.
pub(crate) fn doors(seed: &Seed, levels: impl Iterator<Item = usize>) -> BTreeSet<String> {
    levels.filter_map(|nth| seed.levels.get(nth)).flat_map(|level| level.doors.iter().cloned()).collect()
}
