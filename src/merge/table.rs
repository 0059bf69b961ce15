//! What the last census found out about the overlays: who is who, and what could not be read. Pure.

use lockstep_contract::{Fault, FaultKind, Person, Standing};
use lockstep_core::{Anchor, DirectorySnapshot, Missing, PersonRef};

use crate::join::{self, Pair, Pairs};

/// An overlay that was read whole, or why it was not.
pub(crate) type Read = Result<Whole, Fault>;

/// An overlay that was read whole.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) people: DirectorySnapshot,
    pub(crate) set_aside: Vec<(String, String)>,
}

/// What is kept of an overlay after a census.
#[derive(Debug)]
pub(crate) enum Known {
    /// Who is who there.
    Pairs {
        /// The pairs.
        pairs: Pairs,
        /// Some records were set aside, and may be anybody's.
        set_aside: bool,
    },
    /// It could not be read whole.
    Unread(Fault),
}

/// Pairs an overlay that was read with the authority. One of which nobody is known counts as unread: an anchor that
/// pairs nobody is a wrong anchor, and would otherwise bring everybody back whom it ended.
pub(crate) fn know(ours: &DirectorySnapshot, read: &Read, anchor: &Anchor, system: &str) -> Known {
    match read {
        Err(fault) => Known::Unread(fault.clone()),
        Ok(whole) => {
            let pairs = join::pair(ours, &whole.people, anchor);
            if pairs.of_ours.is_empty() && !ours.is_empty() {
                let message = format!("none of its {} people is anybody of the directory that says who exists", {
                    whole.people.len()
                });
                let fault = Fault::new(FaultKind::Invalid, system, "recognise people", message);
                let help = "check `anchor` of this directory: it must name what both directories hold in one spelling";
                return Known::Unread(fault.with_help(help));
            }
            Known::Pairs { pairs, set_aside: !whole.set_aside.is_empty() }
        }
    }
}

/// A person with what one overlay says. `find` gives the overlay's person.
pub(crate) fn overlaid<'a>(
    ours: Person,
    known: &Known,
    missing: Missing,
    find: impl Fn(&lockstep_contract::PersonId) -> Option<PersonRef<'a>>,
) -> Person {
    let Known::Pairs { pairs, set_aside } = known else { return join::unconfirmed(ours) };
    match pairs.of_ours.get(&ours.id) {
        Some(Pair::One(theirs)) => match find(theirs) {
            Some(theirs) => join::united(ours, theirs),
            None => join::unconfirmed(ours),
        },
        None if missing == Missing::Unchanged && !set_aside => ours,
        // In doubt, not said, or in a record that nobody can read: nothing that brings anybody back.
        Some(Pair::Disputed) | None => join::unconfirmed(ours),
    }
}

/// True for somebody who is out whatever the overlays say.
pub(crate) const fn is_ended(standing: Standing) -> bool {
    matches!(standing, Standing::Ended { .. })
}
