//! Random edits against an oracle: whoever is in scope, in another state or in other groups than before must be named.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{Directory, Membership, PersonId, Standing};
use lockstep_ldap::Ldap;

use super::Follower;
use super::common::{everybody, group, members_of};

/// What an edit does, by number: people from 0 to 11, groups from 0 to 5.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Edit {
    Join(usize, usize),
    Leave(usize, usize),
    Nest(usize, usize),
    Take(usize, usize),
    End(usize),
    Return(usize),
    DeletePerson(usize),
    Move(usize),
    MoveBack(usize),
    DeleteGroup(usize),
    MakeGroup(usize),
    Note(usize),
}

pub(crate) const PEOPLE: usize = 12;
pub(crate) const GROUPS: usize = 6;

/// A directory that can be edited. What makes no sense is refused by the server, and left.
pub(crate) trait Edited {
    fn edit(&self, edit: Edit);
}

/// What is known of everybody.
type State = BTreeMap<PersonId, (Option<Standing>, BTreeSet<String>)>;

async fn state(directory: &Ldap) -> State {
    let mut state = State::new();
    for person in everybody(directory).await.expect("a census") {
        state.entry(person.id).or_default().0 = Some(person.standing);
    }
    let names: Vec<String> = (0..GROUPS).map(|n| format!("g{n}")).collect();
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let answers = members_of(directory, &wanted).await;
    for name in names {
        if let Membership::Members(members) = &answers[&group(&name)] {
            for person in members.people() {
                state.entry(person.clone()).or_default().1.insert(name.clone());
            }
        }
    }
    state
}

/// A number, and the next one after it.
fn next(seed: &mut u64, below: usize) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    usize::try_from(*seed % below as u64).expect("small")
}

fn any(seed: &mut u64) -> Edit {
    let (person, one, other) = (next(seed, PEOPLE), next(seed, GROUPS), next(seed, GROUPS));
    match next(seed, 24) {
        0..=3 => Edit::Join(one, person),
        4..=6 => Edit::Leave(one, person),
        7..=9 => Edit::Nest(one, other),
        10..=12 => Edit::Take(one, other),
        13 | 14 => Edit::End(person),
        15 => Edit::Return(person),
        16 if person > 8 => Edit::DeletePerson(person),
        17 => Edit::Move(person),
        18 => Edit::MoveBack(person),
        19 => Edit::DeleteGroup(one),
        20 | 21 => Edit::MakeGroup(one),
        _ => Edit::Note(person),
    }
}

/// How many rounds; more where somebody has the time.
fn rounds(usual: usize) -> usize {
    std::env::var("TESTBED_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Edits, looks, and compares.
pub(crate) async fn edits(server: &impl Edited, watched: Ldap, oracle: &Ldap, usual: usize, mut seed: u64) {
    let rounds = rounds(usual);
    let mut follower = Follower::new(watched).await;
    let mut before = state(oracle).await;
    let (mut named_in_all, mut resets) = (0, 0);
    for round in 0..rounds {
        let done: Vec<Edit> = (0..=next(&mut seed, 3)).map(|_| any(&mut seed)).collect();
        for edit in &done {
            server.edit(*edit);
        }
        let changes = follower.look().await;
        let after = state(oracle).await;
        let everybody: BTreeSet<&PersonId> = before.keys().chain(after.keys()).collect();
        for person in everybody {
            let differs = before.get(person) != after.get(person);
            assert!(
                !differs || changes.reset || changes.people.contains(person),
                "round {round}: {done:?} concern {person}, who is not named: {:?}, then {:?}",
                before.get(person),
                after.get(person)
            );
        }
        named_in_all += changes.people.len();
        resets += usize::from(changes.reset);
        before = after;
    }
    assert!(named_in_all > rounds / 4, "only {named_in_all} were ever named");
    assert!(resets < rounds / 4, "{resets} of {rounds} looks say that a census is needed");
    // Somebody else's beginning is no concern of this one.
    assert!(oracle.changes(&super::common::cx(), None).await.expect("a beginning").reset);
}
