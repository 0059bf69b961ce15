//! One person of several directories. The overlays are asked directly, and what they say is judged by the same pairing as
//! in a census: over the few records that have anything to do with this person.

use std::collections::BTreeMap;

use lockstep_contract::{CorrelationKey, Cx, Directory, Fault, FaultKind, KeyKind, Person, PersonId, Presence};
use lockstep_core::DirectorySnapshot;

use crate::anchor;
use crate::census::small;
use crate::join::{self, Pair};
use crate::table::{self, Known, is_ended};
use crate::{Merged, Overlay};

type People = BTreeMap<PersonId, Person>;

/// The records that have anything to do with one person, on both sides.
struct Near {
    ours: DirectorySnapshot,
    theirs: DirectorySnapshot,
}

impl Merged {
    pub(crate) async fn look_up(&self, cx: &Cx, id: &PersonId) -> Result<Presence, Fault> {
        match self.authority.lookup(cx, id).await? {
            Presence::Present(person) => Ok(Presence::Present(Box::new(self.complete(cx, *person).await?))),
            gone @ Presence::Gone(_) => Ok(gone),
        }
    }

    /// The people who have this key, in whichever directory it is kept.
    pub(crate) async fn find_people(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Person>, Fault> {
        let mut failed = None;
        let mut found = People::new();
        match self.authority.find(cx, key).await {
            Ok(people) => take(&mut found, people),
            Err(fault) if is_no_such_key(&fault) => failed = Some(fault),
            Err(fault) => return Err(fault),
        }
        for (at, overlay) in self.overlays.iter().enumerate() {
            match overlay.directory.find(cx, key).await {
                Ok(people) => {
                    for person in people {
                        self.take_ours(cx, at, &person, &mut found).await?;
                    }
                    failed = failed.filter(|fault| !is_no_such_key(fault));
                }
                Err(fault) if is_no_such_key(&fault) => {}
                Err(fault) if fault.kind == FaultKind::Cancelled => return Err(fault),
                Err(fault) => failed = Some(fault),
            }
        }
        if let (true, Some(fault)) = (found.is_empty(), failed) {
            return Err(fault);
        }
        let mut people = Vec::new();
        for (_, person) in found {
            people.push(self.complete(cx, person).await?);
        }
        people.retain(|person| person.keys.contains(key));
        Ok(people)
    }

    /// Whom of the authority a record of an overlay may be.
    async fn take_ours(&self, cx: &Cx, at: usize, theirs: &Person, found: &mut People) -> Result<(), Fault> {
        let Some(overlay) = self.overlays.get(at) else { return Ok(()) };
        let known = self.known();
        if let Some(Known::Pairs { pairs, .. }) = known.as_ref().and_then(|known| known.get(at))
            && let Some(ours) = pairs.of_theirs.get(&theirs.id)
            && let Presence::Present(person) = self.authority.lookup(cx, ours).await?
        {
            found.insert(person.id.clone(), *person);
            return Ok(());
        }
        for key in theirs.keys.of(overlay.anchor.kind()) {
            take(found, having(&*self.authority, cx, key).await?);
        }
        Ok(())
    }

    /// A person of the authority with what each overlay says.
    async fn complete(&self, cx: &Cx, ours: Person) -> Result<Person, Fault> {
        let mut person = ours.clone();
        let known = self.known();
        for (at, overlay) in self.overlays.iter().enumerate() {
            let before = known.as_ref().and_then(|known| known.get(at));
            person = match self.near(cx, overlay, &ours).await {
                Ok(near) => {
                    let pairs = join::pair(&near.ours, &near.theirs, &overlay.anchor);
                    // Whom the last census did not find because it could not read may be there all the same.
                    let set_aside = !matches!(before, None | Some(Known::Pairs { set_aside: false, .. }));
                    let now = Known::Pairs { pairs, set_aside };
                    table::overlaid(person, &now, overlay.missing, |id| near.theirs.person(id))
                }
                Err(fault) if fault.kind == FaultKind::Cancelled => return Err(fault),
                // Whoever has ended in one directory has ended; for anybody else, waiting may help.
                Err(fault) if fault.kind.is_transient() && !is_ended(person.standing) => return Err(fault),
                Err(_) => join::unconfirmed(person),
            };
        }
        Ok(person)
    }

    /// The record of this person in an overlay, if they are one beyond doubt.
    pub(crate) async fn paired(&self, cx: &Cx, overlay: &Overlay, id: &PersonId) -> Result<Option<PersonId>, Fault> {
        let Presence::Present(ours) = self.authority.lookup(cx, id).await? else { return Ok(None) };
        let near = self.near(cx, overlay, &ours).await?;
        let mut pairs = join::pair(&near.ours, &near.theirs, &overlay.anchor);
        match pairs.of_ours.remove(id) {
            Some(Pair::One(theirs)) => Ok(Some(theirs)),
            Some(Pair::Disputed) | None => Ok(None),
        }
    }

    /// Everybody in the overlay who may be this person, and everybody of the authority whom those may be.
    async fn near(&self, cx: &Cx, overlay: &Overlay, ours: &Person) -> Result<Near, Fault> {
        let (anchor, directory) = (&overlay.anchor, &*overlay.directory);
        let mut theirs = People::new();
        for key in anchor::keys_of(anchor, ours) {
            take(&mut theirs, having(directory, cx, &key).await?);
        }
        for key in ours.keys.of(anchor.check()) {
            take(&mut theirs, having(directory, cx, key).await?);
        }
        let mut around = People::from([(ours.id.clone(), ours.clone())]);
        for person in theirs.values() {
            for kind in [KeyKind::Directory, KeyKind::Employee] {
                for key in person.keys.of(kind) {
                    take(&mut around, having(&*self.authority, cx, key).await?);
                }
            }
        }
        Ok(Near { ours: small(around.values()), theirs: small(theirs.values()) })
    }
}

/// The people with this key; nobody where a directory has no such keys, or no such value can be one.
pub(crate) async fn having(directory: &dyn Directory, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Person>, Fault> {
    match directory.find(cx, key).await {
        Err(fault) if is_no_such_key(&fault) => Ok(Vec::new()),
        answer => answer,
    }
}

const fn is_no_such_key(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Unsupported | FaultKind::Invalid)
}

fn take(people: &mut People, found: Vec<Person>) {
    for person in found {
        people.entry(person.id.clone()).or_insert(person);
    }
}
