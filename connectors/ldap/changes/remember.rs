//! Reading what is to be remembered: the lists of all groups that matter, who people are, and when accounts end.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use lockstep_contract::{Fault, PersonId};

use super::lists::plain;
use super::memory::{Listed, Memory, Update};
use super::sorting::PLACES;
use super::{Look, Way};
use crate::api::{Search, Sight};
use crate::convert::IdAttribute;
use crate::dn::Mark;
use crate::entry::Entry;
use crate::pager::Pager;
use crate::standing;

const OPERATION: &str = "read what is to be remembered";
const GROUPS_PER_PAGE: u32 = 50;

impl Look<'_> {
    /// Everything to remember, and the newest time of a modification among it. Accounts that end after the given time.
    pub(super) async fn remember(&self, after: Timestamp) -> Result<(Memory, String), Fault> {
        let mut memory = Memory::default();
        let mut newest = String::new();
        if self.facts.active_directory {
            self.remember_ends(&mut memory, after).await?;
        } else {
            memory.people = Some(HashMap::new());
            self.remember_people(&mut memory, after, &mut newest).await?;
        }
        let base = &self.ldap.settings.config.groups.base;
        let mut update = Update::default();
        let search = self.groups_search(base, self.touched_attributes());
        let mut pager = Pager::new(self.session.clone(), search, self.page(GROUPS_PER_PAGE));
        while !pager.ended() {
            for entry in pager.next(&self.call, OPERATION).await? {
                note_newest(&mut newest, &entry);
                if let (Some(id), Some(list)) = (self.facts.id.of(&entry), self.list(&memory.marks, &entry).await?) {
                    update.known.insert(list.own, id.clone());
                    update.groups.insert(id, Some(list));
                }
            }
        }
        if *base != self.facts.root {
            self.know_all_groups(&memory, &mut update).await?;
        }
        self.follow_nesting(&memory, &mut update).await?;
        self.remember_places(&memory, &mut update).await?;
        memory.commit(update);
        Ok((memory, newest))
    }

    fn page(&self, most: u32) -> u32 {
        self.ldap.settings.config.page_size.min(most)
    }

    fn groups_search(&self, base: &str, attributes: Vec<String>) -> Search {
        Search {
            base: base.to_owned(),
            attributes,
            deleted: false,
            ..self.touched_search(self.facts.groups_filter.clone())
        }
    }

    /// Every group in the naming context, without its list: any of them may be put into one that matters.
    async fn know_all_groups(&self, memory: &Memory, update: &mut Update) -> Result<(), Fault> {
        let search = self.groups_search(&self.facts.root, vec![self.facts.id.name().to_owned()]);
        let mut pager = Pager::new(self.session.clone(), search, self.ldap.settings.config.page_size);
        while !pager.ended() {
            for entry in pager.next(&self.call, OPERATION).await? {
                if let (Some(id), Some(mark)) = (self.facts.id.of(&entry), self.mark(&memory.marks, &entry)) {
                    update.known.insert(mark, id);
                }
            }
        }
        Ok(())
    }

    async fn remember_places(&self, memory: &Memory, update: &mut Update) -> Result<(), Fault> {
        let classes: Vec<String> =
            PLACES.iter().chain(&["container"]).map(|class| crate::filter::equals("objectClass", class)).collect();
        let attributes = vec![self.facts.id.name().to_owned()];
        let search =
            Search { filter: format!("(|{})", classes.concat()), ..self.groups_search(&self.facts.root, attributes) };
        let mut pager = Pager::new(self.session.clone(), search, self.ldap.settings.config.page_size);
        while !pager.ended() {
            for entry in pager.next(&self.call, OPERATION).await? {
                if let Some(id) = self.facts.id.of(&entry) {
                    update.places.insert(id, memory.marks.of_bytes(plain(&entry)));
                }
            }
        }
        Ok(())
    }

    /// Reads the list of every group that is in one that matters, through all nesting.
    pub(super) async fn follow_nesting(&self, memory: &Memory, update: &mut Update) -> Result<(), Fault> {
        let lists = update.groups.values().flatten();
        let mut waiting: Vec<Mark> = lists.flat_map(|list| list.members.iter().copied()).collect();
        while let Some(mark) = waiting.pop() {
            let Some(id) = memory.group_of(mark).or_else(|| update.known.get(&mark)).cloned() else { continue };
            if memory.groups.contains_key(&id) || update.groups.contains_key(&id) {
                continue;
            }
            let list = self.read_list(memory, &id).await?;
            waiting.extend(list.iter().flat_map(|list| list.members.iter().copied()));
            update.groups.insert(id, list);
        }
        Ok(())
    }

    async fn read_list(&self, memory: &Memory, id: &PersonId) -> Result<Option<Listed>, Fault> {
        let entry = if matches!(self.facts.id, IdAttribute::ObjectGuid) {
            let search = Search::entry(format!("<GUID={id}>"), self.touched_attributes());
            match self.session.entry(&self.call, OPERATION, &Search { extended_names: true, ..search }).await? {
                Sight::Seen(entry) => Some(entry),
                Sight::Absent { .. } | Sight::Hidden => None,
            }
        } else {
            let Some(filter) = self.facts.id.filter(id) else { return Ok(None) };
            self.session.all(&self.call, OPERATION, &self.touched_search(filter)).await?.pop()
        };
        match entry {
            Some(entry) => self.list(&memory.marks, &entry).await,
            None => Ok(None),
        }
    }

    /// When accounts end by themselves, of those few that do.
    async fn remember_ends(&self, memory: &mut Memory, after: Timestamp) -> Result<(), Fault> {
        let from = standing::to_file_time(after);
        let filter = format!("(&{}(accountExpires>={from})(!(accountExpires={})))", self.facts.people_filter, i64::MAX);
        let attributes = BTreeSet::from([self.facts.id.name().to_owned(), "accountExpires".to_owned()]);
        let search = Search { filter, ..self.ldap.people_search(&self.facts, attributes) };
        let mut pager = Pager::new(self.session.clone(), search, self.ldap.settings.config.page_size);
        let mut update = Update::default();
        while !pager.ended() {
            for entry in pager.next(&self.call, OPERATION).await? {
                update.ends.extend(self.end(&entry, after));
            }
        }
        memory.commit(update);
        Ok(())
    }

    async fn remember_people(&self, memory: &mut Memory, after: Timestamp, newest: &mut String) -> Result<(), Fault> {
        let mut attributes = BTreeSet::from([self.facts.id.name().to_owned()]);
        if self.facts.member_attributes.contains(&"memberUid") {
            attributes.insert("uid".to_owned());
        }
        attributes.extend(self.facts.states.iter().map(|state| state.name.to_owned()));
        if self.way == Way::Timestamp {
            attributes.insert("modifyTimestamp".to_owned());
        }
        let search = self.ldap.people_search(&self.facts, attributes);
        let mut pager = Pager::new(self.session.clone(), search, self.ldap.settings.config.page_size);
        while !pager.ended() {
            let mut update = Update::default();
            for entry in pager.next(&self.call, OPERATION).await? {
                note_newest(newest, &entry);
                if let Some(id) = self.facts.id.of(&entry) {
                    update.people.extend(self.person_marks(memory, &entry, &id));
                    update.ends.extend(self.end(&entry, after));
                }
            }
            memory.commit(update);
        }
        Ok(())
    }

    /// When the account of this entry ends by itself, if that is after the given time.
    pub(super) fn end(&self, entry: &Entry, after: Timestamp) -> Option<(PersonId, Option<Timestamp>)> {
        let end = standing::next_end(entry, self.facts.active_directory, &self.facts.states, after);
        Some((self.facts.id.of(entry)?, end))
    }

    /// True for an entry in the place where groups are.
    pub(super) fn among_groups(&self, entry: &Entry) -> bool {
        let name = crate::dn::Name::from_bytes(plain(entry));
        name.is_none_or(|name| name.is_below(&self.ldap.settings.groups_base))
    }
}

fn note_newest(newest: &mut String, entry: &Entry) {
    if let Some(time) = entry.only_text("modifyTimestamp").filter(|time| *time > newest.as_str()) {
        time.clone_into(newest);
    }
}
