//! Who of an overlay is who of the authority. Pure: two readings in, pairs and doubts out.
//!
//! Nobody is paired by likeness: the declared anchor pairs, and whatever contradicts it leaves all those concerned
//! undecided, with a finding that names both sides.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{KeyKind, PersonId, Standing, field};
use lockstep_core::{Anchor, DirectorySnapshot, PersonRef};

use crate::anchor;

/// So many people are named in one finding.
const NAMES_MAX: usize = 5;

/// What is known about a person of the authority in an overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pair {
    /// This one.
    One(PersonId),
    /// The two directories disagree about who that is.
    Disputed,
}

/// The pairs of an overlay.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    /// By the person of the authority.
    pub(crate) of_ours: BTreeMap<PersonId, Pair>,
    /// The person of the authority, by that of the overlay.
    pub(crate) of_theirs: BTreeMap<PersonId, PersonId>,
    /// What the directories disagree about: who in the overlay, and what is wrong.
    pub(crate) disputes: Vec<(String, String)>,
}

/// Everybody of one directory by the values of one kind.
struct Index<'a>(BTreeMap<String, Vec<PersonRef<'a>>>);

impl<'a> Index<'a> {
    fn new(people: &'a DirectorySnapshot, values: impl Fn(PersonRef<'a>) -> Vec<String>) -> Self {
        let mut index: BTreeMap<String, Vec<PersonRef<'a>>> = BTreeMap::new();
        for person in people.iter() {
            for value in values(person) {
                index.entry(value).or_default().push(person);
            }
        }
        Self(index)
    }

    fn having(&self, values: &[String]) -> BTreeMap<&'a PersonId, PersonRef<'a>> {
        let found = values.iter().filter_map(|value| self.0.get(value)).flatten();
        found.map(|person| (person.id(), *person)).collect()
    }
}

/// Pairs two readings.
pub(crate) fn pair(ours: &DirectorySnapshot, theirs: &DirectorySnapshot, anchor: &Anchor) -> Pairs {
    let anchors = Index::new(ours, |person| anchor::of(anchor, person));
    let checks = Index::new(ours, |person| values(person, anchor.check()));
    let mut work = Work::default();
    let mut loose = Vec::new();
    for person in theirs.iter() {
        let hit = anchors.having(&values(person, anchor.kind()));
        let other = checks.having(&values(person, anchor.check()));
        match hit.len() {
            0 if other.is_empty() => {}
            0 => loose.push((person, other)),
            1 => work.one(person, hit, other, anchor),
            _ => work.dispute(person, &hit, format!("{} points to {}", word(anchor.kind()), names(hit.values()))),
        }
    }
    work.settle(loose, anchor)
}

/// What is collected on the way.
#[derive(Default)]
struct Work<'a> {
    claims: BTreeMap<&'a PersonId, (PersonRef<'a>, Vec<PersonRef<'a>>)>,
    pairs: Pairs,
}

impl<'a> Work<'a> {
    fn one(
        &mut self,
        theirs: PersonRef<'a>,
        hit: BTreeMap<&'a PersonId, PersonRef<'a>>,
        other: BTreeMap<&'a PersonId, PersonRef<'a>>,
        anchor: &Anchor,
    ) {
        let Some(ours) = hit.values().next().copied() else { return };
        let strangers: Vec<PersonRef<'a>> = other.values().filter(|person| person.id() != ours.id()).copied().collect();
        if !strangers.is_empty() {
            let (by, says) = (word(anchor.kind()), word(anchor.check()));
            let why = format!("{by} points to {}, and {says} to {}", name(ours), names(strangers.iter()));
            let all = hit.into_iter().chain(other).collect();
            return self.dispute(theirs, &all, why);
        }
        // Two ids of one human differ as a matter of course; two employee numbers do not.
        let (mine, yours) = (values(ours, KeyKind::Employee), values(theirs, KeyKind::Employee));
        let differ = !mine.is_empty() && !yours.is_empty() && !mine.iter().any(|value| yours.contains(value));
        if differ && anchor.kind() == KeyKind::Directory {
            let (mine, yours) = (mine.join(", "), yours.join(", "));
            let why = format!("the id points to {}, whose employee number is {mine} and not {yours}", name(ours));
            return self.dispute(theirs, &hit, why);
        }
        self.claims.entry(ours.id()).or_insert_with(|| (ours, Vec::new())).1.push(theirs);
    }

    fn dispute(&mut self, theirs: PersonRef<'a>, ours: &BTreeMap<&'a PersonId, PersonRef<'a>>, why: String) {
        for id in ours.keys() {
            self.pairs.of_ours.insert((*id).clone(), Pair::Disputed);
        }
        self.pairs.disputes.push((name(theirs), format!("{why}; nothing is decided about them")));
    }

    fn settle(mut self, loose: Vec<(PersonRef<'a>, BTreeMap<&'a PersonId, PersonRef<'a>>)>, anchor: &Anchor) -> Pairs {
        for (id, (ours, theirs)) in std::mem::take(&mut self.claims) {
            match theirs.as_slice() {
                [one] if !self.pairs.of_ours.contains_key(id) => {
                    self.pairs.of_ours.insert(id.clone(), Pair::One(one.id().clone()));
                    self.pairs.of_theirs.insert(one.id().clone(), id.clone());
                }
                [] | [_] => {}
                [first, ..] => {
                    let why = format!("{} points to {}", word(anchor.kind()), name(ours));
                    let why = format!("{why} from each of {}", names(theirs.iter()));
                    self.dispute(*first, &BTreeMap::from([(id, ours)]), why);
                }
            }
        }
        for (person, other) in loose {
            // A second account of somebody who is paired already is nobody's business.
            let open = |id: &PersonId| !matches!(self.pairs.of_ours.get(id), Some(Pair::One(_)));
            let other: BTreeMap<_, _> = other.into_iter().filter(|(id, _)| open(id)).collect();
            if !other.is_empty() {
                let (by, says) = (word(anchor.kind()), word(anchor.check()));
                let why = format!("{says} points to {}, and {by} to nobody", names(other.values()));
                self.dispute(person, &other, why);
            }
        }
        self.pairs.disputes.sort();
        self.pairs
    }
}

/// A person of the authority, with what the overlay adds: its standing, its keys, and the fields that are not known.
pub(crate) fn united(mut ours: lockstep_contract::Person, theirs: PersonRef<'_>) -> lockstep_contract::Person {
    ours.standing = crate::standing::together(ours.standing, theirs.standing());
    let theirs = theirs.to_person();
    theirs.keys.iter().for_each(|key| ours.keys.insert(key.clone()));
    for (name, value) in theirs.profile.iter() {
        if ours.profile.get(name.as_str()).is_none() {
            ours.profile.set(name.clone(), value);
        }
    }
    ours
}

/// A person of the authority of whom an overlay that counts says nothing that could be believed.
pub(crate) fn unconfirmed(mut ours: lockstep_contract::Person) -> lockstep_contract::Person {
    ours.standing = crate::standing::together(ours.standing, Standing::Unconfirmed);
    ours
}

fn values(person: PersonRef<'_>, kind: KeyKind) -> Vec<String> {
    person.keys().filter(|(found, _)| *found == kind).map(|(_, value)| value.to_owned()).collect()
}

/// A person as people know them.
pub(crate) fn name(person: PersonRef<'_>) -> String {
    let get = |name: &str| person.field(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let full = || Some(format!("{} {}", get(field::GIVEN_NAME)?, get(field::FAMILY_NAME)?));
    let key = || person.keys().find(|(kind, _)| *kind == KeyKind::Upn).map(|(_, value)| value.to_owned());
    match get(field::DISPLAY_NAME).or_else(full).or_else(key) {
        Some(name) => format!("{name} ({})", person.id()),
        None => person.id().to_string(),
    }
}

fn names<'p, 'a: 'p>(people: impl ExactSizeIterator<Item = &'p PersonRef<'a>>) -> String {
    let count = people.len();
    let mut names: BTreeSet<String> = people.take(NAMES_MAX).map(|person| name(*person)).collect();
    if count > NAMES_MAX {
        names.insert(format!("{} more", count - NAMES_MAX));
    }
    names.into_iter().collect::<Vec<_>>().join(" and ")
}

const fn word(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Employee => "the employee number",
        _ => "the id",
    }
}
