//! The census: people page by page on one connection, and an index of who is where, for the members of groups.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, MutexGuard, PoisonError};

use jiff::Timestamp;
use lockstep_contract::{
    Census, Cursor, Cx, Fault, FaultKind, FieldName, Next, Page, Person, PersonId, RunId, Scope, Standing,
};

use crate::api::{Call, Search, Session};
use crate::dn::{Mark, Marks, Name};
use crate::entry::Entry;
use crate::facts::Facts;
use crate::filter;
use crate::pager::Pager;
use crate::standing;
use crate::{Ldap, Settings};

const OPERATION: &str = "read people";

/// What goes on from one page to the next.
#[derive(Debug, Default)]
pub(crate) struct State {
    number: u64,
    reading: Option<Reading>,
    quarantined: Vec<(String, String)>,
    index: Option<(RunId, Arc<Index>)>,
    /// Who is a person, as it was read once, on Active Directory. An id never comes to mean something else.
    known: Option<Arc<Index>>,
}

/// One census under way.
#[derive(Debug)]
struct Reading {
    number: u64,
    page: u32,
    pager: Pager,
    facts: Arc<Facts>,
    fields: BTreeSet<FieldName>,
    sent: u64,
    quarantined: Vec<(String, String)>,
    proofs: Proofs,
    index: Index,
    run: Option<RunId>,
    /// Canaries that were not met yet.
    canaries: Vec<PersonId>,
}

impl Reading {
    /// From the entries of a page to people.
    fn take(mut self, settings: &Settings, entries: Vec<Entry>) -> (Self, Vec<Person>) {
        let facts = Arc::clone(&self.facts);
        let mut items = Vec::with_capacity(entries.len());
        for entry in entries {
            self.sent += 1;
            let unseen = unseen(&facts, &entry);
            let proven = unseen == 0 || self.proofs.proven(unseen, &entry.name);
            let standing = settings.judge(&facts, &entry, proven);
            match facts.fields.person(&entry, &facts.id, standing, Some(&self.fields)) {
                Ok(person) => {
                    self.canaries.retain(|canary| *canary != person.id);
                    if self.run.is_some() {
                        self.index.add(&facts, &entry, &person.id);
                    }
                    items.push(person);
                }
                Err(why) => self.quarantined.push((entry.shown(), why)),
            }
        }
        (self, items)
    }
}

impl Ldap {
    fn state(&self) -> MutexGuard<'_, State> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The records that the last complete census set aside.
    pub(crate) fn quarantined(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.state().quarantined)
    }

    /// A page of the census.
    pub(crate) async fn people_page(&self, cx: &Cx, scope: &Scope, at: Option<Cursor>) -> Result<Page<Person>, Fault> {
        let call = self.call(cx);
        let mut reading = match at {
            None => self.begin(&call, cx, scope).await?,
            Some(cursor) => self.resume(&call, &cursor)?,
        };
        let entries = reading.pager.next(&call, OPERATION).await?;
        for entry in &entries {
            let unseen = unseen(&reading.facts, entry);
            if unseen != 0 {
                reading.proofs.find(self, &call, &Arc::clone(&reading.facts), unseen).await?;
            }
        }
        let settings = Arc::clone(&self.settings);
        // A page is a thousand people: this thread may have something else to wait for.
        let taken = tokio::task::spawn_blocking(move || reading.take(&settings, entries)).await;
        let (mut reading, items) = taken.map_err(|error| call.about(OPERATION).protocol(error.to_string()))?;
        if !reading.pager.ended() {
            reading.page += 1;
            let cursor = Cursor(format!("{}.{}", reading.number, reading.page));
            self.state().reading = Some(reading);
            return Ok(Page { items, next: Next::More(cursor) });
        }
        if let Some(canary) = reading.canaries.first() {
            let message = format!("the canary {canary} is not among the people read, so the list is not believed");
            let fault = call.about(OPERATION).fault(FaultKind::Denied, message);
            return Err(fault.with_help("check `people.base` and `people.filter`; a canary must be one of the people"));
        }
        let census = Census { sent: reading.sent, server_total: None };
        self.finish(reading);
        Ok(Page { items, next: Next::End(census) })
    }

    async fn begin(&self, call: &Call<'_>, cx: &Cx, scope: &Scope) -> Result<Reading, Fault> {
        self.state().reading = None;
        let session = self.server.connect(call).await?;
        let facts = self.facts(call, &session).await?;
        let canaries = self.see_canaries(call, &session, &facts).await?;
        let mut attributes = facts.fields.attributes(Some(&scope.fields));
        attributes.extend(self.standing_attributes(&facts));
        attributes.extend(Index::attributes(&facts));
        let pager = Pager::new(session, self.people_search(&facts, attributes), self.settings.config.page_size);
        let number = {
            let mut state = self.state();
            state.number += 1;
            state.number
        };
        Ok(Reading {
            number,
            page: 0,
            pager,
            facts,
            fields: scope.fields.clone(),
            sent: 0,
            quarantined: Vec::new(),
            proofs: Proofs::default(),
            index: Index::default(),
            run: cx.run,
            canaries,
        })
    }

    fn resume(&self, call: &Call<'_>, cursor: &Cursor) -> Result<Reading, Fault> {
        let mut state = self.state();
        let expected = |reading: &Reading| format!("{}.{}", reading.number, reading.page) == cursor.0;
        // A page cookie is good for one connection and one try: a census that broke off starts again at the first page.
        state.reading.take_if(|reading| expected(reading)).ok_or_else(|| {
            let message = "this census has broken off or was begun anew; it must start again at the first page";
            call.about(OPERATION).fault(FaultKind::Unreachable, message)
        })
    }

    fn finish(&self, reading: Reading) {
        self.give_back(reading.pager.into_session());
        let mut state = self.state();
        state.quarantined = reading.quarantined;
        state.index = reading.run.map(|run| (run, Arc::new(reading.index)));
    }

    /// The index that this very run's census left, or else one that is read now. On Active Directory, where member values
    /// are ids, an older one tells as well who is a person; whose primary group is which must be read again then.
    pub(crate) async fn index(&self, call: &Call<'_>, cx: &Cx, session: &Session) -> Result<(Arc<Index>, Age), Fault> {
        let facts = self.facts(call, session).await?;
        {
            let state = self.state();
            let left = state.index.as_ref().filter(|(of, _)| cx.run == Some(*of));
            if let Some((_, index)) = left {
                return Ok((Arc::clone(index), Age::Fresh));
            }
            if let Some(known) = &state.known {
                return Ok((Arc::clone(known), Age::Older));
            }
        }
        let search = self.people_search(&facts, Index::attributes(&facts));
        let mut pager = Pager::new(session.clone(), search, self.settings.config.page_size);
        let mut index = Index::default();
        while !pager.ended() {
            for entry in pager.next(call, "read where people are").await? {
                if let Some(id) = facts.id.of(&entry) {
                    index.add(&facts, &entry, &id);
                }
            }
        }
        let index = Arc::new(index);
        if facts.active_directory {
            self.state().known = Some(Arc::clone(&index));
        }
        Ok((index, Age::Fresh))
    }

    /// Too many people are not in the index that is kept: the next one is read anew.
    pub(crate) fn forget_known(&self) {
        self.state().known = None;
    }

    /// The members of all groups are known: the index is not needed any more.
    pub(crate) fn forget_index(&self) {
        self.state().index = None;
    }

    /// A search for all people.
    pub(crate) fn people_search(&self, facts: &Facts, attributes: BTreeSet<String>) -> Search {
        Search {
            base: self.settings.config.people.base.clone(),
            filter: facts.people_filter.clone(),
            attributes: attributes.into_iter().collect(),
            elsewhere: Arc::clone(&facts.elsewhere),
            ..Search::default()
        }
    }

    /// The attributes that tell whether somebody is still here.
    pub(crate) fn standing_attributes(&self, facts: &Facts) -> Vec<String> {
        let mut names: Vec<String> = if facts.active_directory {
            standing::ACTIVE_DIRECTORY.map(str::to_owned).to_vec()
        } else {
            facts.states.iter().map(|state| state.name.to_owned()).collect()
        };
        names.extend(self.settings.config.people.state.as_ref().map(|state| state.attribute.clone()));
        names
    }

    /// The standing of one person who was read on their own.
    pub(crate) async fn standing_of_one(
        &self,
        call: &Call<'_>,
        session: &Session,
        facts: &Facts,
        entry: &Entry,
    ) -> Result<Standing, Fault> {
        let unseen = unseen(facts, entry);
        let proven = unseen == 0 || {
            let mut search = Search::entry(String::from_utf8_lossy(&entry.name), Vec::new());
            search.filter = absent_filter(facts, unseen, "(objectClass=*)");
            !session.ask(call, "prove what is absent", &search).await?.entries.is_empty()
        };
        Ok(self.settings.judge(facts, entry, proven))
    }
}

impl Settings {
    fn judge(&self, facts: &Facts, entry: &Entry, proven: bool) -> Standing {
        let now = Timestamp::now();
        let people = &self.config.people;
        let state = people.state.as_ref();
        if facts.active_directory {
            // An Active Directory account with a state of the site's own: both have a say.
            let own = standing::by_state_attributes(entry, &[], state, false, true, now);
            match (standing::active_directory(entry, now), own) {
                (Standing::Active, own) | (Standing::Unknown, own @ Standing::Ended { .. }) => own,
                (account, _) => account,
            }
        } else {
            standing::by_state_attributes(entry, &facts.states, state, people.locked_is_ended, proven, now)
        }
    }
}

/// Which state attributes of an entry have no value to be seen, as bits.
fn unseen(facts: &Facts, entry: &Entry) -> u32 {
    let bits = facts.states.iter().enumerate().filter(|(_, state)| entry.values(state.name).is_empty());
    bits.fold(0, |mask, (at, _)| mask | 1 << at)
}

fn absent_filter(facts: &Facts, unseen: u32, whom: &str) -> String {
    let states = facts.states.iter().enumerate().filter(|(at, _)| unseen & 1 << at != 0);
    let parts: Vec<String> = states.map(|(_, state)| filter::absent(state.name)).collect();
    filter::all(std::iter::once(whom).chain(parts.iter().map(String::as_str)))
}

/// Who provably has no value of which state attributes. On servers with three-valued logic a filter for the absence of an
/// attribute does not match where it may not be read, so one more pass over the people (without attributes) tells those
/// who have nothing from those whose state is hidden.
#[derive(Debug, Default)]
struct Proofs {
    session: Option<Session>,
    marks: Marks,
    sets: BTreeMap<u32, HashSet<Mark>>,
}

impl Proofs {
    /// Reads who has none of these, unless it is known.
    async fn find(&mut self, ldap: &Ldap, call: &Call<'_>, facts: &Facts, unseen: u32) -> Result<(), Fault> {
        if self.sets.contains_key(&unseen) {
            return Ok(());
        }
        let session = match self.session.take() {
            Some(session) => session,
            None => ldap.session(call).await?,
        };
        let mut search = ldap.people_search(facts, BTreeSet::new());
        search.filter = absent_filter(facts, unseen, &facts.people_filter);
        let mut pager = Pager::new(session, search, ldap.settings.config.page_size);
        let mut set = HashSet::new();
        while !pager.ended() {
            let page = pager.next(call, "prove what is absent").await?;
            set.extend(page.iter().map(|entry| self.marks.of_bytes(&entry.name)));
        }
        self.session = Some(pager.into_session());
        self.sets.insert(unseen, set);
        Ok(())
    }

    fn proven(&self, unseen: u32, name: &[u8]) -> bool {
        self.sets.get(&unseen).is_some_and(|set| set.contains(&self.marks.of_bytes(name)))
    }
}

/// Who is where: finds the person behind a member value. People are known by their places, which are four bytes where an
/// id is twenty-four.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) marks: Marks,
    people: Vec<PersonId>,
    by_id: HashMap<PersonId, Place>,
    by_name: HashMap<Halves, Place>,
    /// By the very bytes of the name.
    by_spelling: HashMap<Halves, Place>,
    by_account: HashMap<Halves, Place>,
    by_primary_group: HashMap<u32, Vec<Place>>,
}

/// How old an index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// Of this very reading.
    Fresh,
    /// Of an older one: ids are right, primary groups may not be.
    Older,
}

/// The place of a person in an index.
pub(crate) type Place = u32;

/// A [`Mark`] in two parts: beside a place, it takes a quarter less memory.
type Halves = (u64, u64);

const fn halves(mark: Mark) -> Halves {
    ((mark >> 64) as u64, mark as u64)
}

impl Index {
    /// The attributes that the index needs.
    fn attributes(facts: &Facts) -> BTreeSet<String> {
        let rest: &[&str] = if facts.active_directory { &["primaryGroupID"] } else { &["uid", "gidNumber"] };
        rest.iter().map(|name| (*name).to_owned()).chain([facts.id.name().to_owned()]).collect()
    }

    fn add(&mut self, facts: &Facts, entry: &Entry, id: &PersonId) {
        let place = self.people.len() as Place;
        if self.people.len() == self.people.capacity() {
            // By an eighth, not doubled.
            self.people.reserve_exact(1_024.max(self.people.len() / 8));
        }
        self.people.push(id.clone());
        let primary = if facts.active_directory {
            self.by_id.insert(id.clone(), place);
            "primaryGroupID"
        } else {
            if let Some(name) = Name::from_bytes(&entry.name) {
                self.by_name.insert(halves(self.marks.of(&name)), place);
                self.by_spelling.insert(halves(self.marks.of_bytes(&entry.name)), place);
            }
            if facts.member_attributes.contains(&"memberUid") {
                for account in entry.values("uid") {
                    self.by_account.insert(halves(self.marks.of_bytes(account)), place);
                }
            }
            "gidNumber"
        };
        if let Some(Ok(group)) = entry.only_text(primary).map(str::parse) {
            self.by_primary_group.entry(group).or_default().push(place);
        }
    }

    /// The ids, by place.
    pub(crate) fn people(&self) -> &[PersonId] {
        &self.people
    }

    /// The person with this id, if in scope.
    pub(crate) fn with_id(&self, id: &PersonId) -> Option<Place> {
        self.by_id.get(id).copied()
    }

    /// The person with this name.
    pub(crate) fn named(&self, name: &Name) -> Option<Place> {
        self.by_name.get(&halves(self.marks.of(name))).copied()
    }

    /// The person whose entry has this name in exactly this spelling.
    pub(crate) fn spelled(&self, name: &[u8]) -> Option<Place> {
        self.by_spelling.get(&halves(self.marks.of_bytes(name))).copied()
    }

    /// The person with this account name, in exactly this spelling.
    pub(crate) fn with_account(&self, account: &[u8]) -> Option<Place> {
        self.by_account.get(&halves(self.marks.of_bytes(account))).copied()
    }

    /// The people whose primary group has this number.
    pub(crate) fn with_primary_group(&self, group: u32) -> &[Place] {
        self.by_primary_group.get(&group).map_or(&[], Vec::as_slice)
    }
}
