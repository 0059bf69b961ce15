//! The census of several directories as pages of one list: first pages without anybody, while each directory is read
//! whole, then everybody of the authority with what the overlays say.

use std::sync::Arc;

use lockstep_contract::{Census as Counts, Cursor, Cx, Fault, FaultKind, Next, Page, Person, Scope};
use lockstep_core::DirectorySnapshot;

use crate::census::Reading;
use crate::table::{self, Known, Read, Whole};
use crate::{Merged, lock};

const OPERATION: &str = "read people";
/// So many people make a page.
const PAGE: usize = 2_000;

/// A census under way.
#[derive(Debug, Default)]
pub(crate) struct Census {
    number: u64,
    step: u64,
    scope: Scope,
    /// The directory that is being read.
    reading: Reading,
    /// The authority, once it was read.
    ours: Option<Whole>,
    /// The overlays that were read, in their order.
    overlays: Vec<Read>,
    /// Everybody, once all were read.
    joined: Option<Joined>,
}

#[derive(Debug)]
struct Joined {
    ours: Whole,
    known: Arc<Vec<Known>>,
    handed: usize,
}

impl Census {
    fn cursor(&self) -> Cursor {
        Cursor(format!("{}.{}", self.number, self.step))
    }
}

impl Merged {
    pub(crate) async fn people_page(&self, cx: &Cx, scope: &Scope, at: Option<Cursor>) -> Result<Page<Person>, Fault> {
        cx.check(self.info.id.as_str(), OPERATION)?;
        let mut census = self.census.lock().await;
        match at {
            None => {
                let number = census.number + 1;
                *census = Census { number, scope: scope.clone(), ..Census::default() };
            }
            Some(cursor) if cursor == census.cursor() => {}
            Some(_) => {
                let message = "this census has broken off or was begun anew; it must start again at the first page";
                return Err(Fault::new(FaultKind::Unreachable, self.info.id.as_str(), OPERATION, message));
            }
        }
        let items = self.step(&mut census, cx).await?;
        census.step += 1;
        match &census.joined {
            Some(joined) if joined.handed >= joined.ours.people.len() => {
                let next = Next::End(self.finish(&mut census));
                Ok(Page { items, next })
            }
            _ => Ok(Page { items, next: Next::More(census.cursor()) }),
        }
    }

    /// One page of one directory, or of the joined list. The authority comes first: without it, nothing counts.
    async fn step(&self, census: &mut Census, cx: &Cx) -> Result<Vec<Person>, Fault> {
        if census.joined.is_some() {
            return Ok(self.hand_out(census));
        }
        if census.ours.is_none() {
            let mut scope = census.scope.clone();
            scope.fields.extend(self.overlays.iter().filter_map(|overlay| overlay.anchor.field()).cloned());
            if let Some(ours) = census.reading.step(&*self.authority, cx, &scope).await? {
                census.ours = Some(ours);
                census.reading = Reading::default();
            }
        } else if let Some(overlay) = self.overlays.get(census.overlays.len())
            && let Some(read) = census.reading.step_overlay(&*overlay.directory, cx, &census.scope).await?
        {
            census.overlays.push(read);
            census.reading = Reading::default();
        }
        if census.overlays.len() == self.overlays.len()
            && let Some(ours) = census.ours.take()
        {
            let known = self.overlays.iter().zip(&census.overlays);
            let known =
                known.map(|(overlay, read)| table::know(&ours.people, read, &overlay.anchor, overlay.id().as_str()));
            census.joined = Some(Joined { known: Arc::new(known.collect()), ours, handed: 0 });
        }
        Ok(Vec::new())
    }

    fn hand_out(&self, census: &mut Census) -> Vec<Person> {
        let Census { overlays, joined, scope, .. } = census;
        let Some(joined) = joined else { return Vec::new() };
        let of_page = joined.ours.people.iter().skip(joined.handed).take(PAGE);
        let items: Vec<Person> =
            of_page.map(|person| self.overlaid(person.to_person(), &joined.known, overlays, scope)).collect();
        joined.handed += items.len();
        items
    }

    fn overlaid(&self, mut person: Person, known: &[Known], read: &[Read], scope: &Scope) -> Person {
        for ((overlay, known), read) in self.overlays.iter().zip(known).zip(read) {
            let people: Option<&DirectorySnapshot> = read.as_ref().ok().map(|whole| &whole.people);
            person = table::overlaid(person, known, overlay.missing, |id| people?.person(id));
        }
        narrowed(person, scope)
    }

    /// What the census found out is kept, and nothing else of it.
    fn finish(&self, census: &mut Census) -> Counts {
        let Some(Joined { ours, known, handed }) = census.joined.take() else {
            return Counts { sent: 0, server_total: None };
        };
        let mut set_aside = ours.set_aside;
        for ((overlay, known), read) in self.overlays.iter().zip(known.iter()).zip(&census.overlays) {
            let label = |label: &str| format!("{}: {label}", overlay.id());
            if let Ok(whole) = read {
                set_aside.extend(whole.set_aside.iter().map(|(place, why)| (label(place), why.clone())));
            }
            match known {
                Known::Unread(fault) => {
                    let why = format!("{fault}; whoever it could have ended or sent on leave is left as they are");
                    set_aside.push((label("directory"), why));
                }
                Known::Pairs { pairs, .. } => {
                    set_aside.extend(pairs.disputes.iter().map(|(who, why)| (label(who), why.clone())));
                }
            }
        }
        let sent = (handed + set_aside.len()) as u64;
        *lock(&self.memory.0) = Some(known);
        *lock(&self.set_aside) = set_aside;
        *census = Census { number: census.number, step: census.step, ..Census::default() };
        Counts { sent, server_total: None }
    }

    /// What is known about the overlays; everybody is read for it when no census was made yet.
    pub(crate) async fn known_or_read(&self, cx: &Cx) -> Result<Arc<Vec<Known>>, Fault> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let mut at = None;
        loop {
            match self.people_page(cx, &Scope::default(), at.take()).await {
                Ok(Page { next: Next::More(cursor), .. }) => at = Some(cursor),
                Ok(Page { next: Next::End(_), .. }) => break,
                Err(fault) => return Err(fault),
            }
        }
        self.known().ok_or_else(|| {
            Fault::new(FaultKind::Protocol, self.info.id.as_str(), OPERATION, "the census came to no result")
        })
    }
}

/// Without the fields that were asked for to recognise people only.
pub(crate) fn narrowed(mut person: Person, scope: &Scope) -> Person {
    if person.profile.iter().any(|(name, _)| !scope.fields.contains(name)) {
        let wanted = person.profile.iter().filter(|(name, _)| scope.fields.contains(*name));
        person.profile = wanted.map(|(name, value)| (name.clone(), value.to_owned())).collect();
    }
    person
}
