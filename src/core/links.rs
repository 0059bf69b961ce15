//! What is remembered about people from run to run: who was matched to whom.

use jiff::Timestamp;
use lockstep_contract::{
    CardholderId, CorrelationKey, CorrelationKeys, Fault, KeyKind, PersonId, Proof, RunId, Standing,
};
use serde::{Deserialize, Serialize};

use crate::snapshot::{LinkRef, LinkRows};

/// How a link came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkOrigin {
    /// We created the cardholder.
    Provisioned,
    /// The cardholder was there; this kind of key matched.
    Matched(KeyKind),
}

/// A person and a cardholder who are one human.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The person.
    pub person: PersonId,
    /// The cardholder.
    pub cardholder: CardholderId,
    /// How we know.
    pub origin: LinkOrigin,
    /// Since when.
    pub since: Timestamp,
    /// The keys the person had when last seen, to notice a number that is given to somebody else.
    #[serde(default, skip_serializing_if = "CorrelationKeys::is_empty")]
    pub keys: CorrelationKeys,
    /// The run that suspended the cardholder, while our suspension is in force. Only such a one may we lift (I8).
    pub suspended_by: Option<RunId>,
}

/// All links of one target, held as compactly as a snapshot.
#[derive(Debug, Clone, Default)]
pub struct Links {
    rows: LinkRows,
}

/// The same links, in whatever order they were added.
impl PartialEq for Links {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Links {}

/// Two links name the same person or the same cardholder (S9). The second is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{person} and {cardholder} cannot be linked: one of them is linked already")]
pub struct LinkConflict {
    /// The person of the second link.
    pub person: PersonId,
    /// The cardholder of the second link.
    pub cardholder: CardholderId,
}

impl Links {
    /// No links.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a link.
    ///
    /// # Errors
    /// When person or cardholder is linked already: one human is one record on both sides.
    pub fn insert(&mut self, link: Link) -> Result<(), LinkConflict> {
        if self.rows.insert(&link) {
            Ok(())
        } else {
            Err(LinkConflict { person: link.person, cardholder: link.cardholder })
        }
    }

    /// The link of a person.
    pub fn of_person(&self, person: &PersonId) -> Option<Link> {
        self.rows.of_person(person).and_then(LinkRef::to_link)
    }

    /// The link of a cardholder.
    pub fn of_cardholder(&self, cardholder: &CardholderId) -> Option<Link> {
        self.rows.of_cardholder(cardholder.as_str()).and_then(LinkRef::to_link)
    }

    /// All links, ordered by person.
    pub fn iter(&self) -> impl Iterator<Item = Link> {
        self.rows.iter().filter_map(LinkRef::to_link)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) const fn rows(&self) -> &LinkRows {
        &self.rows
    }
}

/// A link that a plan proposes; recorded when the plan is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkProposal {
    /// The person.
    pub person: PersonId,
    /// The cardholder.
    pub cardholder: CardholderId,
    /// The key both have; of a card number only the last characters (S11).
    pub key: CorrelationKey,
    /// The person's keys now.
    pub keys: CorrelationKeys,
}

/// What a direct look-up said about a linked person who was not in the census.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// Proven gone.
    Gone(Proof),
    /// Still in the directory, but not where we read.
    Elsewhere(Standing),
    /// Not clear.
    Doubt(Fault),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(person: &str, cardholder: &str) -> Link {
        Link {
            person: PersonId::new(person).expect("id"),
            cardholder: CardholderId::new(cardholder).expect("id"),
            origin: LinkOrigin::Matched(KeyKind::Mail),
            since: Timestamp::UNIX_EPOCH,
            keys: [CorrelationKey::new(KeyKind::Employee, person).expect("key")].into_iter().collect(),
            suspended_by: None,
        }
    }

    #[test]
    fn links_come_out_as_they_went_in_ordered_by_person() {
        let run = RunId::new(uuid::Uuid::from_u128(7));
        let second = Link { origin: LinkOrigin::Provisioned, suspended_by: Some(run), ..link("p2", "a") };
        let mut links = Links::new();
        for link in [second.clone(), link("p1", "b")] {
            links.insert(link).expect("no conflict");
        }
        assert_eq!(links.iter().collect::<Vec<_>>(), [link("p1", "b"), second.clone()]);
        assert_eq!(links.of_person(&second.person), Some(second.clone()));
        assert_eq!(links.of_cardholder(&second.cardholder), Some(second));
        assert_eq!(links.of_person(&PersonId::new("p3").expect("id")), None);
    }

    #[test]
    fn a_link_keeps_a_key_that_is_the_persons_own_id_and_one_that_only_looks_so() {
        let id = "00112233-4455-6677-8899-aabbccddeeff";
        let other = "10112233-4455-6677-8899-aabbccddeeff";
        let key = |kind, value| CorrelationKey::new(kind, value).expect("key");
        let own = [key(KeyKind::Directory, id), key(KeyKind::Employee, "7"), key(KeyKind::Account, id)];
        let foreign = [key(KeyKind::Directory, other), key(KeyKind::Employee, id)];
        for keys in [own.as_slice(), foreign.as_slice(), &[]] {
            let link = Link { keys: keys.iter().cloned().collect(), ..link(id, "a") };
            let mut links = Links::new();
            links.insert(link.clone()).expect("no conflict");
            assert_eq!(links.of_person(&link.person), Some(link));
        }
    }

    #[test]
    fn the_beginning_of_a_link_is_kept_to_the_nanosecond_on_either_side_of_the_epoch() {
        for nanoseconds in [0, 1, -1, 1_700_000_000_123_456_789, -1_700_000_000_123_456_789] {
            let since = Timestamp::from_nanosecond(nanoseconds).expect("time");
            let mut links = Links::new();
            links.insert(Link { since, ..link("p1", "a") }).expect("no conflict");
            assert_eq!(links.iter().next().map(|link| link.since), Some(since));
        }
    }

    #[test]
    fn nobody_is_linked_twice() {
        let mut links = Links::new();
        links.insert(link("p1", "a")).expect("no conflict");
        assert!(links.insert(link("p1", "b")).is_err(), "one person, two cardholders");
        assert!(links.insert(link("p2", "a")).is_err(), "two people, one cardholder");
        assert_eq!(links.len(), 1);
    }

    #[test]
    fn the_order_of_adding_is_no_difference() {
        let add = |order: [(&str, &str); 2]| {
            let mut links = Links::new();
            for (person, cardholder) in order {
                links.insert(link(person, cardholder)).expect("no conflict");
            }
            links
        };
        assert_eq!(add([("p1", "a"), ("p2", "b")]), add([("p2", "b"), ("p1", "a")]));
        assert_ne!(add([("p1", "a"), ("p2", "b")]), add([("p1", "b"), ("p2", "a")]));
    }
}
