//! Reading all groups in one paged search, and joining their member values with people and with each other.

mod primary;
mod ranges;
mod strangers;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use lockstep_contract::{Cx, Fault, FaultKind, GroupId, GroupPath, Membership, PersonId};

use crate::Ldap;
use crate::api::{Call, Search, Session};
use crate::dn::{Mark, Name};
use crate::entry::{Entry, Values};
use crate::facts::Facts;
use crate::filter;
use crate::groups::{Finder, Graph, Group, List};
use crate::guid;
use crate::pager::Pager;
use crate::people::{Age, Index, Place};

const OPERATION: &str = "read groups";
/// Groups in one page: a group may have as many members as there are people.
const GROUPS_PER_PAGE: u32 = 50;
/// Unknown members that are looked up in one search.
const LOOKUP_BATCH: usize = 50;
/// With more people than this who are not in the index that is kept, it is read anew.
const OTHERS_MAX: usize = 1_000;

impl Ldap {
    /// The answer about each group. A failure of the whole read is the answer for all of them.
    pub(crate) async fn memberships(&self, cx: &Cx, groups: &BTreeSet<GroupId>) -> BTreeMap<GroupId, Membership> {
        match self.graph(cx).await {
            Ok((graph, canaries)) => {
                self.forget_index();
                let finder = graph.finder();
                groups.iter().map(|id| (id.clone(), self.membership(&finder, &canaries, id))).collect()
            }
            Err(fault) => groups.iter().map(|id| (id.clone(), Membership::Unreadable(fault.clone()))).collect(),
        }
    }

    fn membership(&self, finder: &Finder<'_>, canaries: &[PersonId], id: &GroupId) -> Membership {
        let system = self.info.id.as_str();
        let at = match finder.find(id, system) {
            Ok(at) => at,
            Err(fault) => return Membership::Unreadable(fault),
        };
        let graph = finder.graph();
        let planted = graph.groups.get(at).is_some_and(|group| graph.names(group, canaries));
        if self.settings.config.groups.canary_in_every_group && !planted {
            let message = "the canary is not seen in it, so what is seen may not be all";
            let fault = Fault::new(FaultKind::Denied, system, format!("read group {id}"), message);
            return Membership::Unreadable(fault.with_help("add the canary to the group, or let the account read it"));
        }
        graph.members(at, system, canaries)
    }

    /// The chains from groups down to a person.
    pub(crate) async fn group_paths(
        &self,
        cx: &Cx,
        id: &PersonId,
        groups: &BTreeSet<GroupId>,
    ) -> Result<BTreeMap<GroupId, GroupPath>, Fault> {
        let (graph, _) = self.graph(cx).await?;
        let finder = graph.finder();
        let mut paths = BTreeMap::new();
        for group in groups {
            let at = finder.find(group, self.info.id.as_str())?;
            if let Some(path) = graph.path(at, id) {
                paths.insert(group.clone(), path);
            }
        }
        Ok(paths)
    }

    async fn graph(&self, cx: &Cx) -> Result<(Graph, Vec<PersonId>), Fault> {
        let call = self.call(cx);
        let session = self.session(&call).await?;
        let facts = self.facts(&call, &session).await?;
        let canaries = self.see_canaries(&call, &session, &facts).await?;
        let (index, age) = self.index(&call, cx, &session).await?;
        let placeholders = self.settings.placeholders.iter().filter_map(|name| index.named(name)).collect();
        let (others, groups, at) = (Vec::new(), Vec::new(), HashMap::new());
        let mut loader = Loader { ldap: self, call, session, facts, index, others, placeholders, groups, at };
        loader.read_all().await?;
        loader.prove_empty().await?;
        loader.join().await?;
        match age {
            Age::Fresh => loader.add_primary_members(),
            Age::Older => loader.read_primary_members().await?,
        }
        let Loader { session, groups, index, others, .. } = loader;
        if age == Age::Older && others.len() > OTHERS_MAX {
            self.forget_known();
        }
        self.give_back(session);
        let people = index.people().iter().chain(&others).cloned().collect();
        let groups = groups.into_iter().map(|raw| raw.group).collect();
        Ok((Graph { groups, people }, canaries))
    }
}

/// A group whose member values are not all joined yet.
struct Raw {
    group: Group,
    /// The name as the server spells it.
    spelled: Vec<u8>,
    /// What its members' primary group number would be.
    number: Option<u32>,
    /// Member values that name no person of the index.
    pending: Vec<Box<[u8]>>,
}

struct Loader<'a> {
    ldap: &'a Ldap,
    call: Call<'a>,
    session: Session,
    facts: Arc<Facts>,
    index: Arc<Index>,
    /// People who are not in the index. Their places follow those of the index.
    others: Vec<PersonId>,
    /// People who only stand in groups because the schema wants a member.
    placeholders: HashSet<Place>,
    groups: Vec<Raw>,
    /// Groups by what a member value is known by.
    at: HashMap<Mark, usize>,
}

/// What a member value turned out to name.
enum Found {
    Person(PersonId),
    Group(Entry),
    /// Something that exists, or may exist, and cannot be identified.
    Gap,
    /// Provably nothing.
    Nothing,
}

impl Loader<'_> {
    /// A place for somebody who is not in the index.
    fn other(&mut self, id: PersonId) -> Place {
        self.others.push(id);
        (self.index.people().len() + self.others.len() - 1) as Place
    }

    fn attributes(&self) -> Vec<String> {
        let member = match self.ldap.settings.config.groups.range {
            Some(step) if self.facts.active_directory => format!("member;range=0-{}", step.saturating_sub(1)),
            _ => "member".to_owned(),
        };
        let rest: &[&str] = if self.facts.active_directory {
            &["objectClass", "cn", "sAMAccountName", "objectSid", "uSNChanged"]
        } else {
            &["objectClass", "cn", "uniqueMember", "memberUid", "ipaExternalMember", "gidNumber"]
        };
        rest.iter().map(|name| (*name).to_owned()).chain([member, self.facts.id.name().to_owned()]).collect()
    }

    async fn read_all(&mut self) -> Result<(), Fault> {
        let search = Search {
            base: self.ldap.settings.config.groups.base.clone(),
            filter: self.facts.groups_filter.clone(),
            attributes: self.attributes(),
            extended_names: self.facts.active_directory,
            elsewhere: Arc::clone(&self.facts.elsewhere),
            ..Search::default()
        };
        let mut pager =
            Pager::new(self.session.clone(), search, self.ldap.settings.config.page_size.min(GROUPS_PER_PAGE));
        while !pager.ended() {
            for entry in pager.next(&self.call, OPERATION).await? {
                self.take(entry).await?;
            }
        }
        Ok(())
    }

    /// Takes one group in.
    async fn take(&mut self, entry: Entry) -> Result<(), Fault> {
        let plain = if self.facts.active_directory {
            guid::from_extended_name(&entry.name).map_or(entry.name.as_slice(), |(_, name)| name)
        } else {
            entry.name.as_slice()
        };
        let name = Name::from_bytes(plain);
        let id = self.facts.id.of(&entry);
        let mut called: Vec<String> = entry.texts("cn").map(str::to_owned).collect();
        called.extend(
            entry
                .texts("sAMAccountName")
                .filter(|n| !called.iter().any(|c| c == n))
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        );
        let number = if self.facts.active_directory {
            entry.only("objectSid").and_then(guid::relative_id)
        } else {
            entry.only_text("gidNumber").and_then(|text| text.parse().ok())
        };
        let group = Group { id, name, called, people: Vec::new(), groups: Vec::new(), gaps: 0, list: List::Seen };
        let mut raw = Raw { group, spelled: entry.name.clone(), number, pending: Vec::new() };
        self.take_members(&mut raw, &entry).await?;
        let at = self.groups.len();
        if let Some(mark) = self.mark(&raw.group) {
            self.at.insert(mark, at);
        }
        self.groups.push(raw);
        Ok(())
    }

    /// What member values know a group by: its id on Active Directory, its name elsewhere.
    fn mark(&self, group: &Group) -> Option<Mark> {
        if self.facts.active_directory {
            Some(group.id.as_ref()?.as_uuid()?.as_u128())
        } else {
            group.name.as_ref().map(|name| self.index.marks.of(name))
        }
    }

    async fn take_members(&mut self, raw: &mut Raw, entry: &Entry) -> Result<(), Fault> {
        if entry.texts("objectClass").any(|class| class.eq_ignore_ascii_case("groupOfURLs")) {
            let message =
                "its members are computed by the server from what the reader may see; such a group is refused";
            raw.group.list = List::Unreadable(self.about_group(raw, FaultKind::Unsupported, message));
            return Ok(());
        }
        let mut seen = 0;
        match entry.ranged("member") {
            Ok(Values::Whole(values)) => {
                seen += values.len();
                self.sort_all_in(raw, values);
            }
            Ok(Values::Piece(..)) => match self.rest_of_list(raw, entry).await? {
                Ok(values) => {
                    seen += values.len();
                    self.sort_all_in(raw, &values);
                }
                Err(fault) => {
                    raw.group.list = List::Unreadable(fault);
                    return Ok(());
                }
            },
            Err(_) => {
                let message = "the server sent a piece of the member list with bounds that make no sense";
                raw.group.list = List::Unreadable(self.about_group(raw, FaultKind::Protocol, message));
                return Ok(());
            }
        }
        for value in entry.values("uniqueMember") {
            seen += 1;
            self.sort_in(raw, without_unique_part(value));
        }
        for account in entry.values("memberUid") {
            seen += 1;
            match self.index.with_account(account) {
                Some(place) => raw.group.people.push(place),
                None => raw.group.gaps += 1,
            }
        }
        let external = entry.values("ipaExternalMember").len();
        seen += external;
        raw.group.gaps += external as u32;
        if seen == 0 {
            raw.group.list = List::Unproven;
        }
        Ok(())
    }

    fn about_group(&self, raw: &Raw, kind: FaultKind, message: &str) -> Fault {
        Fault::new(kind, self.ldap.info.id.as_str(), format!("read group {}", raw.group.shown()), message)
    }

    fn sort_all_in(&self, raw: &mut Raw, values: &[Vec<u8>]) {
        for value in values {
            self.sort_in(raw, value);
        }
    }

    /// Sorts one member value: a person, a gap, nobody, or something to be found out about later.
    fn sort_in(&self, raw: &mut Raw, value: &[u8]) {
        if self.facts.active_directory {
            match guid::from_extended_name(value).map(|(uuid, _)| self.index.with_id(&PersonId::from_uuid(uuid))) {
                Some(Some(place)) => raw.group.people.push(place),
                Some(None) => raw.pending.push(value.into()),
                None => raw.group.gaps += 1,
            }
            return;
        }
        // Most values are spelled as the entry itself is, and need not be parsed.
        if let Some(place) = self.index.spelled(value)
            && !self.placeholders.contains(&place)
        {
            raw.group.people.push(place);
            return;
        }
        match Name::from_bytes(value) {
            None => raw.group.gaps += 1,
            Some(name) if name.is_empty() || self.ldap.settings.placeholders.contains(&name) => {}
            Some(name) => match self.index.named(&name) {
                Some(place) => raw.group.people.push(place),
                None => raw.pending.push(value.into()),
            },
        }
    }

    /// Tells groups that provably have no member from those whose members are hidden, where the server's logic can tell.
    async fn prove_empty(&mut self) -> Result<(), Fault> {
        let open = self.groups.iter().any(|raw| matches!(raw.group.list, List::Unproven));
        if self.facts.active_directory || !open {
            return Ok(());
        }
        let parts: Vec<String> = self.facts.member_attributes.iter().map(|name| filter::absent(name)).collect();
        let search = Search {
            base: self.ldap.settings.config.groups.base.clone(),
            filter: filter::all(
                std::iter::once(self.facts.groups_filter.as_str()).chain(parts.iter().map(String::as_str)),
            ),
            elsewhere: Arc::clone(&self.facts.elsewhere),
            ..Search::default()
        };
        let mut proven = HashSet::new();
        let mut pager = Pager::new(self.session.clone(), search, self.ldap.settings.config.page_size);
        while !pager.ended() {
            proven.extend(pager.next(&self.call, "prove groups empty").await?.into_iter().map(|entry| entry.name));
        }
        let message = "its members are hidden from the service account";
        let system = self.ldap.info.id.as_str();
        for raw in self.groups.iter_mut().filter(|raw| matches!(raw.group.list, List::Unproven)) {
            raw.group.list = if proven.contains(&raw.spelled) {
                List::ProvenEmpty
            } else {
                let fault = Fault::new(FaultKind::Denied, system, format!("read group {}", raw.group.shown()), message);
                List::Unreadable(fault.with_help("let the service account read the member attribute of this group"))
            };
        }
        Ok(())
    }

    /// Finds out about every member value that names no person of the index.
    async fn join(&mut self) -> Result<(), Fault> {
        let mut from = 0;
        // Groups that stand elsewhere are taken in as they are found, and may name more of them.
        while from < self.groups.len() {
            let until = self.groups.len();
            let mut unknown: BTreeMap<Box<[u8]>, Vec<usize>> = BTreeMap::new();
            for at in from..until {
                let Some(raw) = self.groups.get_mut(at) else { continue };
                for value in std::mem::take(&mut raw.pending) {
                    unknown.entry(value).or_default().push(at);
                }
            }
            from = until;
            unknown.retain(|value, above| match self.known_group(value) {
                Some(below) => {
                    for at in above {
                        self.groups[*at].group.groups.push(below);
                    }
                    false
                }
                None => true,
            });
            let values: Vec<Box<[u8]>> = unknown.keys().cloned().collect();
            for batch in values.chunks(LOOKUP_BATCH) {
                for (value, found) in batch.iter().zip(self.look_up(batch).await?) {
                    let above = unknown.remove(value).unwrap_or_default();
                    self.settle(found, &above).await?;
                }
            }
        }
        Ok(())
    }

    fn known_group(&self, value: &[u8]) -> Option<usize> {
        let mark = if self.facts.active_directory {
            guid::from_extended_name(value)?.0.as_u128()
        } else {
            self.index.marks.of(&Name::from_bytes(value)?)
        };
        self.at.get(&mark).copied()
    }

    async fn settle(&mut self, found: Found, above: &[usize]) -> Result<(), Fault> {
        let below = self.groups.len();
        let person = match found {
            Found::Nothing => return Ok(()),
            Found::Gap => {
                for at in above {
                    self.groups[*at].group.gaps += 1;
                }
                return Ok(());
            }
            Found::Group(entry) => {
                self.take(entry).await?;
                None
            }
            Found::Person(id) => Some(self.other(id)),
        };
        for at in above {
            let group = &mut self.groups[*at].group;
            match person {
                Some(place) => group.people.push(place),
                None => group.groups.push(below),
            }
        }
        Ok(())
    }
}

/// `uniqueMember` may end in `#'0101'B`, which tells two holders of one name apart and is no part of it.
pub(crate) fn without_unique_part(value: &[u8]) -> &[u8] {
    let Some(body) = value.strip_suffix(b"'B") else { return value };
    let digits = body.iter().rev().take_while(|b| matches!(b, b'0' | b'1')).count();
    body.get(..body.len() - digits).and_then(|rest| rest.strip_suffix(b"#'")).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::without_unique_part;

    #[test]
    fn the_unique_part_is_no_part_of_the_name() {
        for (value, name) in [
            ("cn=a,dc=b#'0101'B", "cn=a,dc=b"),
            ("cn=a,dc=b#''B", "cn=a,dc=b"),
            ("cn=a,dc=b", "cn=a,dc=b"),
            ("cn='B", "cn='B"),
        ] {
            assert_eq!(without_unique_part(value.as_bytes()), name.as_bytes(), "{value}");
        }
    }
}
