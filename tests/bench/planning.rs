//! The planning core alone, against the least that could find the same differences: two arrays of compact records,
//! sorted and merged.
//!
//! Both are fed the same people and cardholders, one at a time, and both hold everything in memory at the end. The cost
//! of making up the people is measured by itself and taken off both.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockstep_contract::{Cardholder, Members, Membership, Person, RunId};
use lockstep_core::{DirectoryBuilder, Holds, Inputs, Links, TargetBuilder, plan};

use crate::world;

/// Only makes up the people and cardholders.
pub(crate) fn generate(people: usize) -> String {
    let mut bytes = 0;
    for n in 0..people {
        bytes += world::person(n).profile.len();
    }
    for n in 0..people {
        bytes += world::cardholder(n).profile.len();
    }
    let members: usize = world::members(people).iter().map(|(_, list)| list.len()).sum();
    format!("{bytes} attributes, {members} memberships made up")
}

/// Snapshots of both sides and a plan.
pub(crate) fn core(people: usize) -> String {
    let mut builder = DirectoryBuilder::new();
    for n in 0..people {
        builder.add(&world::person(n));
    }
    for (group, list) in world::members(people) {
        let membership = Members::new(list).map_or(Membership::Unproven, Membership::Members);
        builder.group(group, &membership);
    }
    let directory = builder.finish();
    let mut builder = TargetBuilder::new();
    for n in 0..people {
        builder.add(&world::cardholder(n));
    }
    builder.catalog(world::catalog());
    let cardholders = builder.finish();
    let mut links = Links::new();
    for n in 0..people {
        links.insert(world::link(n)).expect("everybody is linked once");
    }
    let (policy, target) = (world::policy(), world::target());
    let draft = plan(Inputs {
        target: &target,
        people: &directory,
        cardholders: &cardholders,
        links: &links,
        holds: &Holds::default(),
        looked: &BTreeMap::new(),
        policy: &policy,
        run: RunId::new(uuid::Uuid::nil()),
        now: Timestamp::UNIX_EPOCH,
    });
    assert!(draft.is_empty(), "nothing differs, so nothing is planned");
    format!("{} people unchanged", draft.tally().unchanged)
}

/// Sorts and merges compact records.
pub(crate) fn merge(people: usize) -> String {
    let mut left = Compact::default();
    for n in 0..people {
        left.person(&world::person(n), &world::groups_of(n));
    }
    // The groups come as lists of members, as they do from a directory; here they are only walked through.
    let members: usize = world::members(people).iter().map(|(_, list)| list.len()).sum();
    let mut right = Compact::default();
    for n in 0..people {
        right.cardholder(&world::cardholder(n), &world::groups_of(n), world::id(n).as_u128());
    }
    left.rows.sort_unstable();
    right.rows.sort_unstable();
    let mut same = 0;
    let mut others = right.rows.iter().peekable();
    for (id, at) in &left.rows {
        while others.next_if(|(other, _)| other < id).is_some() {}
        if let Some((_, there)) = others.next_if(|(other, _)| other == id) {
            same += usize::from(left.record(*at) == right.record(*there));
        }
    }
    assert_eq!(same, people, "nothing differs");
    format!("{same} records the same, {members} memberships")
}

/// Records one after another, found by id.
#[derive(Default)]
struct Compact {
    rows: Vec<(u128, u64)>,
    bytes: Vec<u8>,
}

impl Compact {
    fn person(&mut self, person: &Person, groups: &std::collections::BTreeSet<usize>) {
        let id = person.id.as_uuid().map_or(0, |uuid| uuid.as_u128());
        self.put(id, person.profile.iter().map(|(_, value)| value), groups);
    }

    fn cardholder(&mut self, cardholder: &Cardholder, levels: &std::collections::BTreeSet<usize>, id: u128) {
        self.put(id, cardholder.profile.iter().map(|(_, value)| value), levels);
    }

    fn put<'a>(&mut self, id: u128, values: impl Iterator<Item = &'a str>, set: &std::collections::BTreeSet<usize>) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        for value in values {
            self.bytes.extend_from_slice(&(value.len() as u16).to_le_bytes());
            self.bytes.extend_from_slice(value.as_bytes());
        }
        for member in set {
            self.bytes.extend_from_slice(&(*member as u16).to_le_bytes());
        }
        let len = (self.bytes.len() - at - 4) as u32;
        if let Some(head) = self.bytes.get_mut(at..at + 4) {
            head.copy_from_slice(&len.to_le_bytes());
        }
        self.rows.push((id, at as u64));
    }

    fn record(&self, at: u64) -> &[u8] {
        let at = at as usize;
        let head = self.bytes.get(at..at + 4).and_then(|head| head.try_into().ok()).unwrap_or_default();
        self.bytes.get(at + 4..at + 4 + u32::from_le_bytes(head) as usize).unwrap_or_default()
    }
}
