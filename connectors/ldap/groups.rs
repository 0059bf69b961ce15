//! The graph of groups: who is in which, through any nesting and any circle. Pure.
//!
//! What could not be read stays unread all the way up: a group above an unreadable one is unreadable, a group above one
//! that shows nobody has gaps.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use lockstep_contract::{EmptyProof, Fault, FaultKind, GroupId, GroupPath, Members, Membership, PersonId};

use crate::dn::Name;
use crate::guid;
use crate::people::Place;

/// One group as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// Its immutable id.
    pub(crate) id: Option<PersonId>,
    /// Its distinguished name.
    pub(crate) name: Option<Name>,
    /// What people call it: `cn`, `sAMAccountName`.
    pub(crate) called: Vec<String>,
    /// The people it names itself, as places in [`Graph::people`].
    pub(crate) people: Vec<Place>,
    /// The groups it names itself, as positions.
    pub(crate) groups: Vec<usize>,
    /// Members that could not be identified.
    pub(crate) gaps: u32,
    /// What is known about its list.
    pub(crate) list: List,
}

/// What is known about the member list of a group.
#[derive(Debug, Clone)]
pub(crate) enum List {
    /// It was seen: what it names is all there is.
    Seen,
    /// Nothing was seen, and the server proves that nothing is there.
    ProvenEmpty,
    /// Nothing was seen, and that proves nothing.
    Unproven,
    /// It could not be read.
    Unreadable(Fault),
}

/// All groups.
#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) groups: Vec<Group>,
    /// Everybody who is in any of them, and maybe others.
    pub(crate) people: Arc<[PersonId]>,
}

impl Graph {
    /// Whether a group itself names one of these.
    pub(crate) fn names(&self, group: &Group, people: &[PersonId]) -> bool {
        !people.is_empty()
            && group.people.iter().filter_map(|at| self.people.get(*at as usize)).any(|id| people.contains(id))
    }

    /// All groups by what a mapping may call them.
    pub(crate) fn finder(&self) -> Finder<'_> {
        let mut finder = Finder { graph: self, ids: HashMap::new(), names: HashMap::new(), called: HashMap::new() };
        for (at, group) in self.groups.iter().enumerate() {
            if let Some(id) = &group.id {
                finder.ids.entry(id).or_default().push(at);
            }
            if let Some(name) = &group.name {
                finder.names.entry(name).or_default().push(at);
            }
            for called in &group.called {
                finder.called.entry(called.to_lowercase()).or_default().push(at);
            }
        }
        finder
    }

    /// Who is in a group, through all nesting.
    pub(crate) fn members(&self, start: usize, system: &str, canaries: &[PersonId]) -> Membership {
        let mut seen = vec![false; self.groups.len()];
        let mut waiting = vec![start];
        let mut people: Vec<Place> = Vec::new();
        let (mut gaps, mut unproven) = (0_u32, 0_u32);
        while let Some(at) = waiting.pop() {
            let Some(group) = self.groups.get(at) else { continue };
            let Some(flag) = seen.get_mut(at) else { continue };
            if std::mem::replace(flag, true) {
                continue;
            }
            match &group.list {
                List::Unreadable(fault) if at == start => return Membership::Unreadable(fault.clone()),
                List::Unreadable(fault) => {
                    let message = format!("nested group {}: {}", group.shown(), fault.message);
                    return Membership::Unreadable(Fault { message, ..fault.clone() });
                }
                List::Unproven => unproven += 1,
                List::Seen | List::ProvenEmpty => {}
            }
            gaps = gaps.saturating_add(group.gaps);
            people.extend_from_slice(&group.people);
            waiting.extend(&group.groups);
        }
        let unknown = gaps.saturating_add(unproven);
        let members = Members::among(Arc::clone(&self.people), people, unknown);
        let only = members.as_ref().and_then(|members| members.people().next().filter(|_| members.people().len() == 1));
        if let Some(only) = only
            && canaries.contains(only)
            && gaps == 0
            && self.groups.get(start).is_some_and(|group| self.names(group, canaries))
        {
            // The planted member was seen. A group below that shows nobody is not covered by it.
            return if unproven == 0 {
                Membership::Empty(EmptyProof::Canary(only.clone()))
            } else {
                Membership::Unproven
            };
        }
        match members {
            Some(members) => Membership::Members(members),
            None if gaps > 0 => {
                let name = self.groups.get(start).map(Group::shown).unwrap_or_default();
                let message = format!("it has {gaps} members, and none of them could be identified");
                let fault = Fault::new(FaultKind::Denied, system, format!("read group {name}"), message);
                Membership::Unreadable(fault.with_help("let the service account read these entries, or remove them"))
            }
            None if unproven > 0 => Membership::Unproven,
            None => Membership::Empty(EmptyProof::ServerCount),
        }
    }

    /// The shortest chain of groups from this one down to one that names the person itself.
    pub(crate) fn path(&self, start: usize, person: &PersonId) -> Option<GroupPath> {
        let mut from: BTreeMap<usize, Option<usize>> = BTreeMap::from([(start, None)]);
        let mut waiting = VecDeque::from([start]);
        while let Some(at) = waiting.pop_front() {
            let group = self.groups.get(at)?;
            if self.names(group, std::slice::from_ref(person)) {
                let mut path = Vec::new();
                let mut step = Some(at);
                while let Some(here) = step {
                    path.push(self.groups.get(here)?.shown());
                    step = *from.get(&here)?;
                }
                path.reverse();
                return Some(path);
            }
            for next in &group.groups {
                if !from.contains_key(next) {
                    from.insert(*next, Some(at));
                    waiting.push_back(*next);
                }
            }
        }
        None
    }
}

/// Finds groups by name. A mapping may name thousands of them, so they are not gone through for each.
pub(crate) struct Finder<'a> {
    graph: &'a Graph,
    ids: HashMap<&'a PersonId, Vec<usize>>,
    names: HashMap<&'a Name, Vec<usize>>,
    /// In lower case.
    called: HashMap<String, Vec<usize>>,
}

impl Finder<'_> {
    /// The group that a mapping names: by distinguished name, by immutable id, or by what it is called. Two are a fault.
    pub(crate) fn find(&self, wanted: &GroupId, system: &str) -> Result<usize, Fault> {
        let text = wanted.as_str();
        let fault = |kind, message: String| Fault::new(kind, system, format!("find group {text}"), message);
        let by_id = guid::from_text(text).map(PersonId::from_uuid).and_then(|id| self.ids.get(&id));
        let name = if text.contains('=') { Name::parse(text) } else { None };
        let by_name = name.and_then(|name| self.names.get(&name));
        let by_call = self.called.get(&text.to_lowercase());
        let found: BTreeSet<usize> = [by_id, by_name, by_call].into_iter().flatten().flatten().copied().collect();
        match (found.first(), found.len()) {
            (Some(at), 1) => Ok(*at),
            (Some(_), count) => {
                let message = format!("{count} groups are called that; none of them was chosen");
                Err(fault(FaultKind::Invalid, message).with_help("name it by its distinguished name or immutable id"))
            }
            (None, _) => Err(fault(FaultKind::Missing, "no such group is visible to the service account".to_owned())
                .with_help("check the spelling, `groups.base`, and the rights of the service account")),
        }
    }

    /// All groups.
    pub(crate) const fn graph(&self) -> &Graph {
        self.graph
    }
}

impl Group {
    /// What people call it.
    pub(crate) fn shown(&self) -> String {
        let called = self.called.first().cloned();
        crate::api::shown(&called.or_else(|| self.id.as_ref().map(ToString::to_string)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn person(n: usize) -> PersonId {
        PersonId::from_uuid(uuid::Uuid::from_u128(n as u128 + 1))
    }

    fn group(name: &str, people: &[usize], groups: &[usize]) -> Group {
        Group {
            id: Some(PersonId::from_uuid(uuid::Uuid::from_u128(1_000))),
            name: Name::parse(&format!("cn={name},dc=corp")),
            called: vec![name.to_owned()],
            people: people.iter().map(|n| *n as Place).collect(),
            groups: groups.to_vec(),
            gaps: 0,
            list: List::Seen,
        }
    }

    fn graph(groups: Vec<Group>) -> Graph {
        Graph { groups, people: (0..20).map(person).collect() }
    }

    fn listed(membership: &Membership) -> (Vec<PersonId>, u32) {
        match membership {
            Membership::Members(members) => (members.people().cloned().collect(), members.gaps()),
            other => panic!("no members: {other:?}"),
        }
    }

    #[test]
    fn circles_end_and_everybody_counts_once() {
        let graph = graph(vec![group("a", &[0, 1], &[1]), group("b", &[1], &[2]), group("c", &[2], &[0, 2])]);
        for start in 0..3 {
            assert_eq!(listed(&graph.members(start, "corp", &[])), (vec![person(0), person(1), person(2)], 0));
        }
    }

    #[test]
    fn an_unreadable_group_makes_all_above_it_unreadable_and_nobody_else() {
        let mut broken = group("c", &[9], &[]);
        broken.list = List::Unreadable(Fault::new(FaultKind::Denied, "corp", "read", "hidden"));
        let graph = graph(vec![group("a", &[0], &[1]), group("b", &[1], &[2]), broken, group("d", &[3], &[])]);
        for start in 0..3 {
            assert!(matches!(graph.members(start, "corp", &[]), Membership::Unreadable(_)), "{start}");
        }
        let Membership::Unreadable(fault) = graph.members(0, "corp", &[]) else { panic!("unreadable") };
        assert!(fault.message.contains("nested group c"), "{fault}");
        assert_eq!(listed(&graph.members(3, "corp", &[])).0, [person(3)]);
    }

    #[test]
    fn nobody_seen_is_empty_only_with_a_proof() {
        let with = |list: List| Group { list, ..group("x", &[], &[]) };
        let graph = graph(vec![
            with(List::ProvenEmpty),
            with(List::Unproven),
            group("above-proven", &[], &[0]),
            group("above-unproven", &[], &[1]),
            group("above-both", &[5], &[0, 1]),
        ]);
        assert_eq!(graph.members(0, "corp", &[]), Membership::Empty(EmptyProof::ServerCount));
        assert_eq!(graph.members(1, "corp", &[]), Membership::Unproven);
        assert_eq!(graph.members(2, "corp", &[]), Membership::Empty(EmptyProof::ServerCount));
        assert_eq!(graph.members(3, "corp", &[]), Membership::Unproven);
        assert_eq!(listed(&graph.members(4, "corp", &[])), (vec![person(5)], 1));
    }

    #[test]
    fn members_who_cannot_be_identified_are_gaps_and_never_nobody() {
        let odd = Group { gaps: 2, ..group("odd", &[], &[]) };
        let graph = graph(vec![odd, group("above", &[1], &[0])]);
        assert!(matches!(graph.members(0, "corp", &[]), Membership::Unreadable(_)));
        assert_eq!(listed(&graph.members(1, "corp", &[])), (vec![person(1)], 2));
    }

    #[test]
    fn the_planted_member_alone_proves_an_empty_group() {
        let graph = graph(vec![group("a", &[7], &[]), group("b", &[7, 8], &[])]);
        assert_eq!(graph.members(0, "corp", &[person(7)]), Membership::Empty(EmptyProof::Canary(person(7))));
        assert_eq!(listed(&graph.members(1, "corp", &[person(7)])).0, [person(7), person(8)]);
    }

    #[test]
    fn a_name_that_two_groups_have_is_a_fault() {
        let mut twin = group("twin", &[], &[]);
        twin.name = Name::parse("cn=twin,ou=other,dc=corp");
        let graph = graph(vec![group("twin", &[], &[]), twin, group("alone", &[], &[])]);
        let find = |text: &str| graph.finder().find(&GroupId::new(text).expect("id"), "corp");
        assert_eq!(find("twin").expect_err("two").kind, FaultKind::Invalid);
        assert_eq!(find("CN=Twin, OU=other, DC=corp"), Ok(1));
        assert_eq!(find("ALONE"), Ok(2));
        assert_eq!(find("nobody").expect_err("none").kind, FaultKind::Missing);
    }

    #[test]
    fn the_shortest_path() {
        let graph = graph(vec![group("top", &[], &[1, 2]), group("long", &[], &[2]), group("leaf", &[4], &[0])]);
        assert_eq!(graph.path(0, &person(4)), Some(vec!["top".to_owned(), "leaf".to_owned()]));
        assert_eq!(graph.path(0, &person(5)), None);
    }

    proptest! {
        #[test]
        fn closure_is_the_union_of_what_can_be_reached(
            edges in proptest::collection::vec((0_usize..12, 0_usize..12), 0..40),
            start in 0_usize..12,
        ) {
            let mut groups: Vec<Group> = (0..12).map(|n| group(&n.to_string(), &[n], &[])).collect();
            for (above, below) in &edges {
                groups[*above].groups.push(*below);
            }
            let mut reach = [false; 12];
            reach[start] = true;
            for _ in 0..12 {
                for (above, below) in &edges {
                    reach[*below] |= reach[*above];
                }
            }
            let expected: Vec<PersonId> = (0..12).filter(|n| reach[*n]).map(person).collect();
            let graph = graph(groups);
            for (n, reached) in reach.iter().enumerate() {
                prop_assert_eq!(graph.path(start, &person(n)).is_some(), *reached);
            }
            prop_assert_eq!(listed(&graph.members(start, "corp", &[])), (expected, 0));
        }
    }
}
