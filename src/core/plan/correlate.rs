//! Who is whom: links first, then keys in the order of the mapping.
//!
//! A key counts only when it is unique on both sides. Where two people could be one cardholder, or one person two, all
//! of them are held (S9). This module must not decide what becomes of anybody.

use std::collections::BTreeMap;

use lockstep_contract::{CardholderId, KeyKind, PersonId, Standing};

use super::index::KeyIndex;
use crate::snapshot::{KeyRef, LinkRef, LinkRows};
use crate::{CardholderRef, Code, Inputs, PersonRef};

/// What a person was matched to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// Nobody.
    Nobody,
    /// Linked; the cardholder is in this row.
    Linked(u32),
    /// Linked; the cardholder is gone.
    Gone,
    /// Not linked; exactly the cardholder in this row has the key of this kind.
    Found(u32, KeyKind),
}

/// Why a match is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clash {
    pub(super) code: Code,
    pub(super) message: String,
}

/// The outcome of matching everybody.
#[derive(Debug)]
pub(super) struct Matches<'a> {
    /// By row of the directory snapshot.
    pub(super) people: Vec<Match>,
    /// By row of the directory snapshot: the number of the link, or [`UNLINKED`].
    links: Vec<u32>,
    linked: usize,
    all_links: &'a LinkRows,
    /// Links whose person is not in the census, with the row of the cardholder.
    pub(super) absent: Vec<(LinkRef<'a>, Option<u32>)>,
    /// By row of the directory snapshot.
    pub(super) clashes: BTreeMap<u32, Clash>,
    /// Clashes of people who are not in the census.
    pub(super) absent_clashes: BTreeMap<&'a PersonId, Clash>,
    /// By row of the target snapshot: how it is accounted for.
    pub(super) cardholders: Vec<Account>,
}

/// Whether anybody accounts for a cardholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Account {
    /// Nobody.
    Orphan,
    /// A linked person.
    Linked,
    /// A person who was found by a key.
    Found,
    /// People who share a key with it, but it cannot be told whose it is.
    Claimed,
}

impl<'a> Matches<'a> {
    pub(super) fn new(inputs: Inputs<'a>) -> Self {
        let mut matches = Self {
            people: vec![Match::Nobody; inputs.people.len()],
            links: vec![UNLINKED; inputs.people.len()],
            linked: 0,
            all_links: inputs.links.rows(),
            absent: Vec::new(),
            clashes: BTreeMap::new(),
            absent_clashes: BTreeMap::new(),
            cardholders: vec![Account::Orphan; inputs.cardholders.len()],
        };
        matches.follow_links(inputs);
        let mut kinds = inputs.policy.correlate.clone();
        let mut seen = std::collections::BTreeSet::new();
        kinds.retain(|kind| seen.insert(*kind));
        let people = KeyIndex::of_kinds(&kinds, inputs.people.iter().map(PersonRef::key_refs));
        for index in &people {
            matches.hold_shared(inputs, index);
        }
        if matches.linked < inputs.people.len() || matches.people.contains(&Match::Gone) {
            matches.hold_reused(inputs, &people);
            let cardholders = KeyIndex::of_kinds(&kinds, inputs.cardholders.iter().map(CardholderRef::key_refs));
            matches.find_by_key(inputs, &cardholders);
        }
        matches.claim_duplicates(inputs, &people);
        matches
    }

    /// The link of the person in this row.
    pub(super) fn link(&self, row: u32) -> Option<LinkRef<'a>> {
        // No link has the number `UNLINKED`.
        self.all_links.get(*self.links.get(row as usize)?)
    }

    /// Both sides are in the order of ids: one walk.
    fn follow_links(&mut self, inputs: Inputs<'a>) {
        // Cardholders are looked up in the order in which links lie in memory: going through a million of them in
        // another order would mostly be waiting for memory.
        let lying = inputs.links.rows().lying();
        let cardholders: Vec<u32> =
            lying.map(|link| inputs.cardholders.row_of(link.cardholder()).unwrap_or(NO_ROW)).collect();
        let mut people = inputs.people.iter().enumerate().peekable();
        for number in inputs.links.rows().numbered() {
            let Some(link) = inputs.links.rows().get(number) else { continue };
            while people.next_if(|(_, person)| person.id() < link.person()).is_some() {}
            let cardholder = cardholders.get(number as usize).copied().filter(|row| *row != NO_ROW);
            if let Some(account) = cardholder.and_then(|row| self.cardholders.get_mut(row as usize)) {
                *account = Account::Linked;
            }
            match people.next_if(|(_, person)| person.id() == link.person()) {
                Some((row, _)) => {
                    self.linked += 1;
                    if let Some(slot) = self.links.get_mut(row) {
                        *slot = number;
                    }
                    if let Some(slot) = self.people.get_mut(row) {
                        *slot = cardholder.map_or(Match::Gone, Match::Linked);
                    }
                }
                None => self.absent.push((link, cardholder)),
            }
        }
    }

    fn is_linked(&self, row: u32) -> bool {
        matches!(self.people.get(row as usize), Some(Match::Linked(_) | Match::Gone))
    }

    fn clash(&mut self, row: u32, code: Code, message: impl FnOnce() -> String) {
        self.clashes.entry(row).or_insert_with(|| Clash { code, message: message() });
    }

    /// People who share a key. A link stands on the immutable id, so an old account that has ended does not shake it;
    /// everything else does.
    fn hold_shared(&mut self, inputs: Inputs<'a>, index: &KeyIndex) {
        let ended = |row: u32| inputs.people.row(row).is_some_and(|p| matches!(p.standing(), Standing::Ended { .. }));
        let holders = |row: u32| inputs.people.row(row).into_iter().flat_map(PersonRef::key_refs);
        for (key, rows) in index.shared(holders) {
            let here = rows.iter().filter(|row| !ended(**row)).count();
            for row in &rows {
                let others_here = here - usize::from(!ended(*row));
                if self.is_linked(*row) && others_here == 0 {
                    continue;
                }
                self.clash(*row, Code::SharedKey, || {
                    let others = rows.iter().filter(|other| *other != row);
                    let names = name_all(others.filter_map(|other| inputs.people.row(*other)));
                    format!("{} is also the key of {names}; a key must be one person's", show(key))
                });
            }
        }
    }

    /// Keys that were another linked person's: a re-used number, or an account made again.
    fn hold_reused(&mut self, inputs: Inputs<'a>, people: &[KeyIndex]) {
        let keys_of = |row: u32| inputs.people.row(row).into_iter().flat_map(PersonRef::key_refs);
        for link in inputs.links.rows().iter() {
            let mut buffer = [0; 36];
            for key in link.own_id(&mut buffer).into_iter().chain(link.keys()) {
                let Some(index) = people.iter().find(|index| index.kind() == key.kind) else { continue };
                for row in index.find(key, keys_of) {
                    let other = inputs.people.row(row).is_some_and(|person| person.id() != link.person());
                    if other && !self.is_linked(row) {
                        self.hold_reuse(inputs, row, link, key);
                    }
                }
            }
        }
    }

    fn hold_reuse(&mut self, inputs: Inputs<'a>, row: u32, link: LinkRef<'a>, key: KeyRef<'_>) {
        let Some(person) = inputs.people.row(row) else { return };
        let message = || {
            format!(
                "{} belongs to cardholder {} of person {}; a number given to somebody else, or an account made again",
                show(key),
                link.cardholder(),
                link.person()
            )
        };
        self.clash(row, Code::KeyReused, message);
        // Somebody who is gone and somebody new with the same key may be one human with a new account: neither is acted
        // upon. A newcomer who has left, too, is no reason to wait.
        let newcomer_left = matches!(person.standing(), Standing::Ended { .. });
        if !newcomer_left && inputs.people.person(link.person()).is_none() {
            let message = || format!("{} is now the key of {}", show(key), super::words::name(person));
            self.absent_clashes
                .entry(link.person())
                .or_insert_with(|| Clash { code: Code::KeyReused, message: message() });
        }
    }

    fn find_by_key(&mut self, inputs: Inputs<'a>, cardholders: &[KeyIndex]) {
        let mut claims: Vec<(u32, u32)> = Vec::new();
        for row in 0..self.people.len() as u32 {
            if !matches!(self.people.get(row as usize), Some(Match::Nobody | Match::Gone)) {
                continue;
            }
            let Some(person) = inputs.people.row(row) else { continue };
            let candidates = candidates(inputs, person, cardholders);
            for (candidate, key) in &candidates {
                if let Some(account @ Account::Orphan) = self.cardholders.get_mut(*candidate as usize) {
                    *account = Account::Claimed;
                }
                let id = inputs.cardholders.row(*candidate).map(CardholderRef::id);
                if let Some(link) = id.and_then(|id| inputs.links.rows().of_cardholder(id.as_str())) {
                    self.hold_reuse(inputs, row, link, *key);
                }
            }
            let gone = self.people.get(row as usize) == Some(&Match::Gone);
            match candidates.as_slice() {
                [] => {}
                [(candidate, key)] if !gone => {
                    claims.push((*candidate, row));
                    if let Some(slot) = self.people.get_mut(row as usize) {
                        *slot = Match::Found(*candidate, key.kind);
                    }
                }
                several => self.clash(row, Code::AmbiguousCardholder, || {
                    let ids = several.iter().filter_map(|(row, _)| inputs.cardholders.row(*row)).map(CardholderRef::id);
                    several_match(gone, ids)
                }),
            }
        }
        claims.sort_unstable();
        for claim in claims.chunk_by(|a, b| a.0 == b.0) {
            self.settle_claim(inputs, claim);
        }
    }

    /// One cardholder was found for these people.
    fn settle_claim(&mut self, inputs: Inputs<'a>, claim: &[(u32, u32)]) {
        let Some((cardholder, _)) = claim.first().copied() else { return };
        let account = if claim.len() == 1 { Account::Found } else { Account::Claimed };
        if let Some(slot @ Account::Claimed) = self.cardholders.get_mut(cardholder as usize) {
            *slot = account;
        }
        if claim.len() == 1 {
            return;
        }
        for (_, row) in claim {
            self.clash(*row, Code::SharedKey, || {
                let others = claim.iter().filter(|(_, other)| other != row);
                let names = name_all(others.filter_map(|(_, other)| inputs.people.row(*other)));
                let id = inputs.cardholders.row(cardholder).map(CardholderRef::id);
                format!("cardholder {} also matches {names}", id.map_or("?", CardholderId::as_str))
            });
        }
    }

    /// Cardholders nobody is matched to, but which have a key of somebody: most likely a second record of that person.
    fn claim_duplicates(&mut self, inputs: Inputs<'a>, people: &[KeyIndex]) {
        let keys_of = |row: u32| inputs.people.row(row).into_iter().flat_map(PersonRef::key_refs);
        for (account, cardholder) in self.cardholders.iter_mut().zip(inputs.cardholders.iter()) {
            if *account != Account::Orphan {
                continue;
            }
            let shared = cardholder.key_refs().any(|key| {
                people.iter().any(|index| index.kind() == key.kind && index.find(key, keys_of).next().is_some())
            });
            if shared {
                *account = Account::Claimed;
            }
        }
    }
}

/// In place of the number of a row.
const NO_ROW: u32 = u32::MAX;
/// In place of the number of a link.
const UNLINKED: u32 = u32::MAX;

/// More candidates than these tell nobody anything new.
const CANDIDATES: usize = 8;

/// The cardholders that have a key of this person, each with the first such key in the order of the mapping.
fn candidates<'a>(inputs: Inputs<'a>, person: PersonRef<'a>, cardholders: &[KeyIndex]) -> Vec<(u32, KeyRef<'a>)> {
    let keys_of = |row: u32| inputs.cardholders.row(row).into_iter().flat_map(CardholderRef::key_refs);
    let mut found: Vec<(u32, KeyRef<'a>)> = Vec::new();
    for index in cardholders {
        for key in person.key_refs().filter(|key| key.kind == index.kind()) {
            for row in index.find(key, keys_of) {
                if found.iter().all(|(known, _)| *known != row) {
                    found.push((row, key));
                }
                if found.len() == CANDIDATES {
                    return found;
                }
            }
        }
    }
    found
}

fn several_match<'i>(gone: bool, ids: impl Iterator<Item = &'i CardholderId>) -> String {
    let ids: Vec<&str> = ids.map(CardholderId::as_str).take(5).collect();
    let ids = ids.join(", ");
    if gone {
        format!("the linked cardholder is gone, and its keys are now on cardholder {ids}")
    } else {
        format!("several cardholders match: {ids}")
    }
}

/// A key for people; a card number is never shown in full.
pub(super) fn show(key: KeyRef<'_>) -> String {
    key.to_key().to_string()
}

fn name_all<'p>(people: impl Iterator<Item = PersonRef<'p>>) -> String {
    let names: Vec<String> = people.take(5).map(super::words::name).collect();
    names.join(", ")
}
