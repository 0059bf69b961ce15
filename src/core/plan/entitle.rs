//! Who is entitled to which level: the rules of the mapping over groups, in Kleene's three values.
//!
//! What it must never do: let a group that could not be read count as a group that somebody is not in.

use std::collections::BTreeMap;

use lockstep_contract::{AccessLevelId, Entitled, GroupId};

use crate::{DirectorySnapshot, GroupState, GroupView, Inputs, PersonRef, Rule, TargetSnapshot};

/// The rules, ready to be asked about a million people.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    directory: &'a DirectorySnapshot,
    /// The managed levels, in the order of the mapping.
    pub(super) levels: Vec<Managed<'a>>,
    /// The managed level of each level number of the target snapshot.
    managed_of: Vec<Option<u32>>,
    compiled: Vec<Compiled<'a>>,
    /// For each group number: the rules that it can fulfil.
    by_group: Vec<Vec<u32>>,
    /// Rules that may be fulfilled by somebody who is not listed anywhere.
    foggy: Vec<u32>,
}

/// A managed level.
#[derive(Debug)]
pub(super) struct Managed<'a> {
    pub(super) id: &'a AccessLevelId,
    pub(super) rules: Vec<&'a Rule>,
    /// It is in the catalog of the PACS.
    pub(super) exists: bool,
}

#[derive(Debug)]
struct Compiled<'a> {
    rule: &'a Rule,
    level: u32,
    any: Vec<Asked>,
    all: Vec<Asked>,
    none: Vec<Asked>,
}

/// A group of a rule: its number, and what is known about those who are not listed.
#[derive(Debug, Clone, Copy)]
struct Asked {
    number: Option<u32>,
    strangers: Entitled,
}

/// What one person is entitled to, by place in [`Rules::levels`]. Reused from person to person.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    pub(super) yes: Vec<u32>,
    pub(super) unknown: Vec<u32>,
    groups: Stamps,
    rules: Stamps,
    levels: Stamps,
}

/// A set of small numbers that is emptied without being written to.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    stamps: Vec<u32>,
    now: u32,
}

impl Stamps {
    /// Empties the set and makes room.
    pub(super) fn reset(&mut self, len: usize) {
        if self.stamps.len() < len || self.now == u32::MAX {
            self.stamps = vec![0; len];
            self.now = 0;
        }
        self.now += 1;
    }

    /// Adds a number; true when it is new.
    pub(super) fn add(&mut self, number: u32) -> bool {
        match self.stamps.get_mut(number as usize) {
            Some(stamp) if *stamp != self.now => {
                *stamp = self.now;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Whether a number is in it.
    pub(super) fn has(&self, number: u32) -> bool {
        self.stamps.get(number as usize) == Some(&self.now)
    }
}

/// For each set of groups: a set of levels that is exactly what it entitles to, with nothing left unknown. Colleagues
/// share both, so most people are done with one look here.
#[derive(Debug, Default)]
pub(super) struct Settled {
    levels: Vec<Option<std::num::NonZeroU32>>,
}

impl Settled {
    pub(super) fn is_settled(&self, groups: u32, levels: u32) -> bool {
        let known = self.levels.get(groups as usize).copied().flatten();
        known.is_some_and(|known| known.get() - 1 == levels)
    }

    pub(super) fn settle(&mut self, groups: u32, levels: u32) {
        let groups = groups as usize;
        if self.levels.len() <= groups {
            self.levels.resize(groups + 1, None);
        }
        if let Some(slot) = self.levels.get_mut(groups) {
            *slot = std::num::NonZeroU32::new(levels.wrapping_add(1));
        }
    }
}

impl<'a> Rules<'a> {
    pub(super) fn new(inputs: Inputs<'a>) -> Self {
        let Inputs { people, cardholders, policy, .. } = inputs;
        let mut places: BTreeMap<&AccessLevelId, u32> = BTreeMap::new();
        let mut levels: Vec<Managed<'a>> = Vec::new();
        let mut rules = Vec::new();
        for rule in &policy.levels {
            let level = *places.entry(&rule.level).or_insert_with(|| {
                let exists = cardholders.catalog().levels.contains_key(&rule.level);
                levels.push(Managed { id: &rule.level, rules: Vec::new(), exists });
                levels.len() as u32 - 1
            });
            if let Some(managed) = levels.get_mut(level as usize) {
                managed.rules.push(rule);
            }
            rules.push(Compiled::new(people, rule, level));
        }
        let mut by_group: Vec<Vec<u32>> = Vec::new();
        let mut foggy = Vec::new();
        for (at, rule) in rules.iter().enumerate() {
            for number in rule.any.iter().filter_map(|asked| asked.number) {
                if by_group.len() <= number as usize {
                    by_group.resize(number as usize + 1, Vec::new());
                }
                if let Some(list) = by_group.get_mut(number as usize) {
                    list.push(at as u32);
                }
            }
            if rule.of_strangers() == Entitled::Unknown {
                foggy.push(at as u32);
            }
        }
        let managed_of = managed_of(cardholders, &places);
        Self { directory: people, levels, managed_of, compiled: rules, by_group, foggy }
    }

    /// The managed level with this number in the target snapshot; `None`: not ours to change.
    pub(super) fn managed(&self, number: u32) -> Option<u32> {
        self.managed_of.get(number as usize).copied().flatten()
    }

    /// The place of a managed level.
    pub(super) fn level(&self, place: u32) -> Option<&Managed<'a>> {
        self.levels.get(place as usize)
    }

    /// Finds out what a person is entitled to.
    pub(super) fn ask(&self, person: PersonRef<'_>, out: &mut Verdicts) {
        out.yes.clear();
        out.unknown.clear();
        out.groups.reset(self.by_group.len().max(self.directory.group_count()));
        out.rules.reset(self.compiled.len());
        out.levels.reset(self.levels.len());
        for group in self.directory.set_members(person.group_set()) {
            out.groups.add(group);
        }
        for group in self.directory.set_members(person.group_set()) {
            for rule in self.by_group.get(group as usize).into_iter().flatten() {
                self.ask_rule(*rule, out);
            }
        }
        for rule in &self.foggy {
            self.ask_rule(*rule, out);
        }
        let Verdicts { unknown, levels, .. } = out;
        // One rule that says yes decides for the level.
        unknown.retain(|level| !levels.has(*level));
        unknown.sort_unstable();
        unknown.dedup();
        out.yes.sort_unstable();
    }

    fn ask_rule(&self, at: u32, out: &mut Verdicts) {
        let Some(rule) = self.compiled.get(at as usize) else { return };
        if !out.rules.add(at) {
            return;
        }
        match rule.entitled(&out.groups) {
            Entitled::Yes => {
                if out.levels.add(rule.level) {
                    out.yes.push(rule.level);
                }
            }
            Entitled::Unknown => out.unknown.push(rule.level),
            Entitled::No => {}
        }
    }

    /// The groups that leave a level open for this person, by what could be read.
    pub(super) fn open_groups(&self, level: u32, person: PersonRef<'_>) -> Vec<&'a GroupId> {
        let Some(managed) = self.level(level) else { return Vec::new() };
        let groups = managed.rules.iter().flat_map(|rule| rule.groups().map(move |group| (*rule, group)));
        groups
            .filter(|(rule, group)| self.value(rule, group, person) == Entitled::Unknown)
            .map(|(_, group)| group)
            .collect()
    }

    /// Whether a person is in a group, as this rule sees it.
    pub(super) fn value(&self, rule: &Rule, group: &GroupId, person: PersonRef<'_>) -> Entitled {
        match self.directory.entitled(group, person) {
            Entitled::Unknown => strangers(self.directory.group(group), rule.may_be_empty),
            known @ (Entitled::No | Entitled::Yes) => known,
        }
    }

    /// Whether a person fulfils one rule.
    pub(super) fn verdict(&self, rule: &Rule, person: PersonRef<'_>) -> Entitled {
        let value = |group: &GroupId| self.value(rule, group, person);
        let any = if rule.any.is_empty() { Entitled::Unknown } else { Entitled::No };
        let any = rule.any.iter().map(value).fold(any, Entitled::or);
        let all = rule.all.iter().map(value).fold(any, Entitled::and);
        rule.none.iter().map(|group| !value(group)).fold(all, Entitled::and)
    }
}

impl<'a> Compiled<'a> {
    fn new(people: &DirectorySnapshot, rule: &'a Rule, level: u32) -> Self {
        let ask = |group: &GroupId| Asked {
            number: people.group_number(group),
            strangers: strangers(people.group(group), rule.may_be_empty),
        };
        let list = |groups: &[GroupId]| groups.iter().map(ask).collect();
        Self { rule, level, any: list(&rule.any), all: list(&rule.all), none: list(&rule.none) }
    }

    fn entitled(&self, groups: &Stamps) -> Entitled {
        let value = |asked: &Asked| match asked.number {
            Some(number) if groups.has(number) => Entitled::Yes,
            Some(_) | None => asked.strangers,
        };
        // A rule that names no group at all says nothing; it must not say no to everybody.
        let any = if self.rule.any.is_empty() { Entitled::Unknown } else { Entitled::No };
        let any = self.any.iter().map(value).fold(any, Entitled::or);
        let all = self.all.iter().map(value).fold(any, Entitled::and);
        self.none.iter().map(|asked| !value(asked)).fold(all, Entitled::and)
    }

    /// What the first part of the rule says about somebody who is in none of its groups.
    fn of_strangers(&self) -> Entitled {
        if self.any.is_empty() {
            return Entitled::Unknown;
        }
        self.any.iter().map(|asked| asked.strangers).fold(Entitled::No, Entitled::or)
    }
}

/// What is known about those who are not listed. A declaration in the mapping lends an answer that proves nothing the
/// proof it lacks; it never makes up for an answer that is missing.
fn strangers(group: Option<GroupView<'_>>, may_be_empty: bool) -> Entitled {
    match group {
        None => Entitled::Unknown,
        Some(group) if may_be_empty && *group.state() == GroupState::Unproven => Entitled::No,
        Some(group) => group.strangers(),
    }
}

fn managed_of(cardholders: &TargetSnapshot, places: &BTreeMap<&AccessLevelId, u32>) -> Vec<Option<u32>> {
    let mut managed = vec![None; cardholders.level_count()];
    for (level, place) in places {
        let slot = cardholders.level_number(level).and_then(|number| managed.get_mut(number as usize));
        if let Some(slot) = slot {
            *slot = Some(*place);
        }
    }
    managed
}
