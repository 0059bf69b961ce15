//! Access levels and partitions.

use super::answers::{Asked, Outcome, empty, fail};
use super::node::{Node, leaf, wrap};
use super::world::{Person, World};

/// So many levels on one page.
pub(super) const PAGE: usize = 100;
/// Nobody holds more.
const HELD_MAX: usize = 32;

pub(super) fn partitions(world: &World) -> Outcome {
    let mut list = String::new();
    for (key, name) in &world.partitions {
        let mut one = String::new();
        leaf(&mut one, "PARTITIONKEY", &key.to_string());
        leaf(&mut one, "NAME", name);
        leaf(&mut one, "DESCRIPTION", "");
        wrap(&mut list, "PARTITION", &one);
    }
    let mut out = String::new();
    wrap(&mut out, "PARTITIONS", &list);
    Outcome::Success(out)
}

pub(super) fn switch(world: &mut World, asked: &Asked<'_>, session: &str) -> Outcome {
    let key = asked.params.value("PARTITIONKEY").and_then(|key| key.parse().ok());
    let Some(key) = key.filter(|key| world.partitions.contains_key(key)) else { return Outcome::NotFound };
    if let Some(session) = world.sessions.get_mut(session) {
        session.partition = key;
    }
    Outcome::Success(String::new())
}

pub(super) fn list(world: &World, asked: &Asked<'_>) -> Outcome {
    let start = asked.params.value("STARTFROMKEY").and_then(|key| key.parse().ok()).unwrap_or(0);
    let from_name = asked.params.value("STARTFROMNAME").unwrap_or_default();
    let mut levels = world
        .levels
        .range(start..)
        .filter(|(_, level)| level.partition == asked.partition && level.name.as_str() >= from_name);
    let page: Vec<_> = levels.by_ref().take(PAGE).collect();
    if page.is_empty() {
        return empty(world, "ACCESSLEVELS");
    }
    let mut list = String::new();
    for (key, level) in page {
        if asked.params.yes("WANTKEY") {
            let mut one = String::new();
            leaf(&mut one, "ACCESSLEVELKEY", &key.to_string());
            leaf(&mut one, "ACCESSLEVELNAME", &level.name);
            wrap(&mut list, "ACCESSLEVEL", &one);
        } else {
            leaf(&mut list, "ACCESSLEVEL", &level.name);
        }
    }
    let mut out = String::new();
    wrap(&mut out, "ACCESSLEVELS", &list);
    leaf(&mut out, "NEXTKEY", &levels.next().map(|(key, _)| key.to_string()).unwrap_or_default());
    Outcome::Success(out)
}

/// Carries the two forms of `ACCESSLEVELS` out: blocks change what they name, bare names replace everything.
pub(super) fn change(world: &World, person: &mut Person, list: &Node) -> Result<(), Outcome> {
    let key_of = |name: &str| {
        let key = world.level_named(name, person.partition);
        key.ok_or_else(|| fail(format!("Access level does not exist: {name}")))
    };
    let blocks = list.children.iter().filter(|level| level.child("ACCESSLEVELNAME").is_some()).count();
    if blocks != 0 && blocks != list.children.len() {
        return Err(fail("Access levels are given in two forms"));
    }
    let mut held = if blocks == 0 { std::collections::BTreeMap::new() } else { person.levels.clone() };
    for level in &list.children {
        if level.name != "ACCESSLEVEL" {
            return Err(Outcome::Error(3));
        }
        let Some(name) = level.value("ACCESSLEVELNAME") else {
            held.insert(key_of(&level.text)?, None);
            continue;
        };
        let key = key_of(name)?;
        if level.yes("DELETE") {
            held.remove(&key);
        } else {
            held.entry(key).or_insert(None);
        }
    }
    if held.len() > HELD_MAX {
        return Err(fail(format!("A person can have at most {HELD_MAX} access levels")));
    }
    person.levels = held;
    Ok(())
}
