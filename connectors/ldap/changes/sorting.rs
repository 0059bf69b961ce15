//! What a touched entry is, and so whom it concerns.

use std::collections::{BTreeSet, HashSet};

use lockstep_contract::{Fault, PersonId};

use super::lists::plain;
use super::memory::{Memory, Update};
use super::{Look, Round};
use crate::dn::Name;
use crate::entry::Entry;

/// A round, sorted.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// What is new of groups.
    pub(super) update: Update,
    /// People who were touched themselves.
    pub(super) people: BTreeSet<PersonId>,
    /// Something was touched of which it cannot be told whom it concerns.
    pub(super) unclear: bool,
}

/// Classes of places that hold people or other places.
pub(super) const PLACES: [&str; 6] =
    ["organizationalUnit", "organization", "domain", "locality", "country", "nsContainer"];

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Group,
    /// A place, with which people may have moved.
    Place,
    /// A machine, or a part of the server itself.
    Nobody,
    /// Somebody, or something that may be.
    Person,
}

impl Look<'_> {
    /// The attributes that tell what was touched.
    pub(super) fn touched_attributes(&self) -> Vec<String> {
        let member = match self.ldap.settings.config.groups.range {
            Some(step) if self.facts.active_directory => format!("member;range=0-{}", step.saturating_sub(1)),
            _ => "member".to_owned(),
        };
        let rest: &[&str] = if self.facts.active_directory {
            &["objectClass", "cn", "sAMAccountName", "isDeleted", "lastKnownParent", "memberOf", "accountExpires"]
        } else {
            &["objectClass", "cn", "uid", "uniqueMember", "memberUid", "gidNumber", "modifyTimestamp"]
        };
        let states = self.facts.states.iter().map(|state| state.name.to_owned());
        let own = [member, self.facts.id.name().to_owned()];
        rest.iter().map(|name| (*name).to_owned()).chain(own).chain(states).collect()
    }

    /// Sorts what was touched, and reads the lists of groups where that takes more.
    pub(super) async fn sort(&self, memory: &Memory, round: Round) -> Result<Sorted, Fault> {
        let mut sorted = Sorted { unclear: round.unclear, ..Sorted::default() };
        let mut seen: HashSet<PersonId> = HashSet::new();
        for entry in &round.entries {
            let Some(id) = self.facts.id.of(entry) else { continue };
            self.sort_entry(memory, &mut sorted, entry, &id).await?;
            seen.insert(id);
        }
        let absent = |id: &&PersonId| {
            round.present.as_ref().is_some_and(|present| !present.contains(*id)) && !seen.contains(*id)
        };
        for id in memory.ids().filter(absent).chain(&round.left) {
            if memory.groups.contains_key(id) {
                sorted.update.groups.insert(id.clone(), None);
            } else {
                sorted.people.insert(id.clone());
                sorted.update.gone.insert(id.clone());
            }
        }
        self.follow_nesting(memory, &mut sorted.update).await?;
        Ok(sorted)
    }

    async fn sort_entry(
        &self,
        memory: &Memory,
        sorted: &mut Sorted,
        entry: &Entry,
        id: &PersonId,
    ) -> Result<(), Fault> {
        let deleted = entry.only("isDeleted") == Some(b"TRUE");
        if let Some(mark) = self.mark(&memory.marks, entry).filter(|_| !deleted) {
            let groups = entry.values("memberOf").iter().filter_map(|name| crate::guid::from_extended_name(name));
            sorted.update.back.extend(groups.map(|(group, _)| (PersonId::from_uuid(group), mark)));
        }
        match self.kind(entry) {
            Kind::Nobody => {}
            // Whoever was in a place that is gone is gone before.
            Kind::Place if deleted => {}
            Kind::Place => {
                let name = memory.marks.of_bytes(plain(entry));
                // Nobody was in a new place before.
                sorted.unclear |= memory.places.get(id).is_some_and(|old| *old != name);
                sorted.update.places.insert(id.clone(), name);
            }
            Kind::Group if deleted => {
                if memory.groups.contains_key(id) {
                    sorted.update.groups.insert(id.clone(), None);
                } else {
                    sorted.unclear |= self.was_among_groups(entry);
                }
            }
            Kind::Group => {
                let Some(mark) = self.mark(&memory.marks, entry) else { return Ok(()) };
                sorted.update.known.insert(mark, id.clone());
                if memory.groups.contains_key(id) || self.among_groups(entry) {
                    let list = self.list(&memory.marks, entry).await?;
                    sorted.unclear |= list.is_none();
                    sorted.update.groups.extend(list.map(|list| (id.clone(), Some(list))));
                }
            }
            Kind::Person => {
                sorted.people.insert(id.clone());
                sorted.update.people.extend(self.person_marks(memory, entry, id));
                sorted.update.ends.extend(self.end(entry, self.now));
            }
        }
        Ok(())
    }

    fn kind(&self, entry: &Entry) -> Kind {
        const GROUPS: [&str; 6] =
            ["group", "groupOfNames", "groupOfUniqueNames", "posixGroup", "groupOfURLs", "groupOfMembers"];
        let is = |wanted: &[&str]| entry.texts("objectClass").any(|c| wanted.iter().any(|w| c.eq_ignore_ascii_case(w)));
        if is(&GROUPS) {
            return Kind::Group;
        }
        if is(&PLACES) && !is(&["person", "account"]) {
            return Kind::Place;
        }
        if is(&["container"]) {
            return if self.is_on_the_way(entry) { Kind::Place } else { Kind::Nobody };
        }
        // A filter of the site's own may find people anywhere.
        let sure = self.facts.active_directory && self.ldap.settings.people_filter.is_none();
        if sure && (is(&["computer"]) || !is(&["user", "person", "contact"])) { Kind::Nobody } else { Kind::Person }
    }

    /// True for a place above or below those of the configuration.
    fn is_on_the_way(&self, entry: &Entry) -> bool {
        let Some(name) = Name::from_bytes(plain(entry)) else { return true };
        let settings = &self.ldap.settings;
        [&settings.people_base, &settings.groups_base]
            .into_iter()
            .any(|base| name.is_below(base) || base.is_below(&name))
    }

    /// True unless a deleted group provably stood elsewhere.
    fn was_among_groups(&self, entry: &Entry) -> bool {
        let parent = entry.only_text("lastKnownParent");
        let parent = parent.and_then(|name| Name::from_bytes(crate::guid::from_extended_name(name.as_bytes())?.1));
        parent.is_none_or(|parent| parent.is_below(&self.ldap.settings.groups_base))
    }
}
