//! Who is in a group, and how sure we are.
//!
//! The one thing this module must never allow: a group that could not be read turning into a group with nobody in it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Fault, PersonId};

/// The answer about one group. There is no way to say "empty" without an [`EmptyProof`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Membership {
    /// At least one person is in it.
    Members(Members),
    /// Nobody is in it, and that is proven.
    Empty(EmptyProof),
    /// It was read without an error and nobody was seen in it, but nothing proves that nobody is: the account may not
    /// be allowed to see. Unknown for everybody, unless the mapping declares that the group may be empty. A denial is
    /// never this; it is [`Unreadable`](Self::Unreadable).
    Unproven,
    /// It could not be read, or not whole. Whoever depends on it keeps what they have.
    Unreadable(Fault),
}

impl Membership {
    /// Whether this person is in the group, as far as the answer goes.
    pub fn entitled(&self, id: &PersonId) -> Entitled {
        match self {
            Self::Members(members) => members.entitled(id),
            Self::Empty(_) => Entitled::No,
            Self::Unproven | Self::Unreadable(_) => Entitled::Unknown,
        }
    }
}

/// Why an empty group is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EmptyProof {
    /// The mapping says that this group may be empty.
    Declared,
    /// The server itself proves it: an independent count of zero, or a three-valued filter that is true only for an
    /// attribute that is readable and absent (RFC 4511 section 4.5.1.7).
    ServerCount,
    /// The planted member was seen, and nobody else.
    Canary(PersonId),
}

/// The people of a group, transitively, without duplicates. Never without anybody.
///
/// Many answers may share one list of people and name them by their places in it: a thousand groups of a thousand people
/// take four bytes for each membership then.
#[derive(Debug, Clone)]
pub struct Members {
    everybody: Arc<[PersonId]>,
    /// In the order of the ids.
    places: Box<[u32]>,
    gaps: u32,
}

impl PartialEq for Members {
    fn eq(&self, other: &Self) -> bool {
        self.gaps == other.gaps && self.people().eq(other.people())
    }
}

impl Eq for Members {}

impl Members {
    /// The people of a group that was read whole. `None` when there is nobody: then a proof is needed instead.
    pub fn new(people: Vec<PersonId>) -> Option<Self> {
        Self::with_gaps(people, 0)
    }

    /// The people of a group in which `gaps` members could not be identified (a member value that is no UTF-8, a
    /// foreign principal). Those who are listed are in; of everybody else it is unknown.
    /// `None` when nobody is listed: such a group is unreadable.
    pub fn with_gaps(people: Vec<PersonId>, gaps: u32) -> Option<Self> {
        let places = (0..u32::try_from(people.len()).ok()?).collect();
        Self::among(people.into(), places, gaps)
    }

    /// As [`with_gaps`](Self::with_gaps): those of `everybody` who stand at these places. A place behind the end is
    /// nobody.
    pub fn among(everybody: Arc<[PersonId]>, mut places: Vec<u32>, gaps: u32) -> Option<Self> {
        let at = |place: u32| everybody.get(place as usize);
        places.retain(|place| at(*place).is_some());
        places.sort_unstable_by(|a, b| at(*a).cmp(&at(*b)));
        places.dedup_by(|a, b| at(*a) == at(*b));
        if places.is_empty() {
            return None;
        }
        Some(Self { everybody, places: places.into_boxed_slice(), gaps })
    }

    /// The people, sorted.
    pub fn people(&self) -> impl ExactSizeIterator<Item = &PersonId> + Clone {
        // Every place is one of somebody: `among` saw to it.
        self.places.iter().map(|place| &self.everybody[*place as usize])
    }

    /// How many members could not be identified.
    pub const fn gaps(&self) -> u32 {
        self.gaps
    }

    /// Whether this person is in the group, as far as the answer goes.
    pub fn entitled(&self, id: &PersonId) -> Entitled {
        let at = |place: &u32| self.everybody.get(*place as usize);
        if self.places.binary_search_by(|place| at(place).cmp(&Some(id))).is_ok() {
            Entitled::Yes
        } else if self.gaps == 0 {
            Entitled::No
        } else {
            Entitled::Unknown
        }
    }
}

/// Kleene's three values: what is unknown stays unknown unless something known decides the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entitled {
    /// Certainly not.
    No,
    /// Not known.
    Unknown,
    /// Certainly.
    Yes,
}

impl Entitled {
    /// Both: no if either is no.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.min(other)
    }

    /// Either: yes if either is yes.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.max(other)
    }
}

impl std::ops::Not for Entitled {
    type Output = Self;
    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::Unknown => Self::Unknown,
            Self::No => Self::Yes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Entitled::{No, Unknown, Yes};

    fn person(n: u128) -> PersonId {
        PersonId::from_uuid(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn kleene_tables() {
        for (a, b, and, or) in [
            (Yes, Yes, Yes, Yes),
            (Yes, No, No, Yes),
            (No, No, No, No),
            (Yes, Unknown, Unknown, Yes),
            (No, Unknown, No, Unknown),
            (Unknown, Unknown, Unknown, Unknown),
        ] {
            assert_eq!((a.and(b), b.and(a)), (and, and), "{a:?} and {b:?}");
            assert_eq!((a.or(b), b.or(a)), (or, or), "{a:?} or {b:?}");
        }
        assert_eq!((!Yes, !Unknown, !No), (No, Unknown, Yes));
    }

    #[test]
    fn nobody_is_not_a_list_of_members() {
        assert!(Members::new(vec![]).is_none());
        assert!(Members::with_gaps(vec![], 3).is_none());
    }

    #[test]
    fn one_unidentified_member_makes_every_stranger_unknown_and_keeps_the_known() {
        let members = Members::with_gaps(vec![person(2), person(1), person(2)], 1).expect("two people");
        assert_eq!(members.people().len(), 2);
        assert_eq!(members.entitled(&person(1)), Yes);
        assert_eq!(members.entitled(&person(9)), Unknown);
        let everybody = [person(2), person(9), person(1), person(2)].into();
        assert_eq!(Members::among(everybody, vec![0, 2, 3, 7], 1), Some(members), "named by their places");
    }
}
