//! What is remembered about people from run to run: who was matched to whom, and who is held out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lockstep_contract::{
    CardholderId, CorrelationKey, CorrelationKeys, Fault, KeyKind, PersonId, Proof, RunId, Standing,
};
use serde::{Deserialize, Serialize};

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

/// All links of one target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    by_person: BTreeMap<PersonId, Link>,
    by_cardholder: BTreeMap<CardholderId, PersonId>,
}

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
        if self.by_person.contains_key(&link.person) || self.by_cardholder.contains_key(&link.cardholder) {
            return Err(LinkConflict { person: link.person, cardholder: link.cardholder });
        }
        self.by_cardholder.insert(link.cardholder.clone(), link.person.clone());
        self.by_person.insert(link.person.clone(), link);
        Ok(())
    }

    /// The link of a person.
    pub fn of_person(&self, person: &PersonId) -> Option<&Link> {
        self.by_person.get(person)
    }

    /// The link of a cardholder.
    pub fn of_cardholder(&self, cardholder: &CardholderId) -> Option<&Link> {
        self.by_cardholder.get(cardholder).and_then(|person| self.by_person.get(person))
    }

    /// All links, ordered by person.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.by_person.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_person.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.by_person.is_empty()
    }
}

/// A link that a plan proposes; recorded when the plan is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkProposal {
    /// The person.
    pub person: PersonId,
    /// The cardholder.
    pub cardholder: CardholderId,
    /// The key both have.
    pub key: CorrelationKey,
    /// The person's keys now.
    pub keys: CorrelationKeys,
}

/// A person who must stay out until reinstated by name (S8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The person, where known.
    pub person: Option<PersonId>,
    /// The cardholders, on this target.
    pub cardholders: Vec<CardholderId>,
    /// The keys named when the hold was set.
    pub keys: CorrelationKeys,
    /// Who set it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// All holds in force. They always win.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds(pub Vec<Hold>);

impl Holds {
    /// The hold on this human, if there is one, by any of the ways to know them.
    pub fn on<'k>(
        &self,
        person: Option<&PersonId>,
        cardholder: Option<&CardholderId>,
        keys: impl IntoIterator<Item = &'k CorrelationKey>,
    ) -> Option<&Hold> {
        if self.0.is_empty() {
            return None;
        }
        let keys: Vec<_> = keys.into_iter().collect();
        self.0.iter().find(|hold| {
            (person.is_some() && hold.person.as_ref() == person)
                || cardholder.is_some_and(|c| hold.cardholders.contains(c))
                || keys.iter().any(|key| hold.keys.contains(key))
        })
    }
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
