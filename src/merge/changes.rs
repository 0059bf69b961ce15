//! Whom to look at in any of the directories. The watermark is theirs together; when one of them lost its own, a census is
//! needed.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{Changes, Cx, Fault, FaultKind, PersonId, Presence, Watermark};

use crate::Merged;
use crate::single::having;
use crate::table::Known;

const OPERATION: &str = "read changes";

/// The watermark of each directory, by its id.
type Marks = BTreeMap<String, Watermark>;

impl Merged {
    pub(crate) async fn changes_since(&self, cx: &Cx, since: Option<Watermark>) -> Result<Changes, Fault> {
        let before: Marks = since.and_then(|since| serde_json::from_str(&since.0).ok()).unwrap_or_default();
        let of = |id: &str| before.get(id).cloned();
        let own = self.info.id.as_str();
        let Changes { people, next, mut reset } = self.authority.changes(cx, of(own)).await?;
        let mut people: BTreeSet<PersonId> = people.into_iter().collect();
        let mut marks = Marks::from([(own.to_owned(), next)]);
        for (at, overlay) in self.overlays.iter().enumerate() {
            let id = overlay.id().as_str();
            let theirs = overlay.directory.changes(cx, of(id)).await?;
            marks.insert(id.to_owned(), theirs.next);
            reset |= theirs.reset;
            for person in theirs.people {
                // A census looks at everybody, so nobody has to be found before it.
                if reset {
                    break;
                }
                match self.ours(cx, at, &person).await? {
                    Some(ours) => people.extend(ours),
                    None => reset = true,
                }
            }
        }
        // A directory that came or went since is another set of people.
        reset |= !before.keys().eq(marks.keys());
        let next = serde_json::to_string(&marks)
            .map(Watermark)
            .map_err(|_| Fault::new(FaultKind::Protocol, own, OPERATION, "the watermark cannot be written"))?;
        Ok(Changes { people: people.into_iter().collect(), next, reset })
    }

    /// Whom of the authority a person of an overlay is, before and now; `None` when that cannot be known.
    async fn ours(&self, cx: &Cx, at: usize, theirs: &PersonId) -> Result<Option<BTreeSet<PersonId>>, Fault> {
        let Some(overlay) = self.overlays.get(at) else { return Ok(None) };
        let known = self.known();
        let before = match known.as_ref().and_then(|known| known.get(at)) {
            Some(Known::Pairs { pairs, .. }) => Some(pairs.of_theirs.get(theirs)),
            Some(Known::Unread(_)) | None => None,
        };
        let mut found: BTreeSet<PersonId> = before.flatten().cloned().into_iter().collect();
        match overlay.directory.lookup(cx, theirs).await {
            Ok(Presence::Present(person)) => {
                for key in person.keys.of(overlay.anchor.kind()) {
                    found.extend(having(&*self.authority, cx, key).await?.into_iter().map(|person| person.id));
                }
                Ok(Some(found))
            }
            Err(fault) if fault.kind.is_transient() || fault.kind == FaultKind::Cancelled => Err(fault),
            // Not there any more, or not clear: who that was is looked at; when that is not known, everybody is.
            Ok(Presence::Gone(_)) => Ok(before.map(|_| found)),
            Err(_) => Ok((!found.is_empty()).then_some(found)),
        }
    }
}
