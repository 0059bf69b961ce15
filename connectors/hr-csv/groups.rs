//! Groups and their members, nested ones included. Pure. A group that the files do not name is unreadable, not empty:
//! a misspelt name in a mapping must not take access away.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lockstep_contract::{
    CorrelationKey, EmptyProof, Fault, FaultKind, GroupId, GroupPath, KeyKind, Members, Membership, PersonId,
};

use crate::columns::configured;
use crate::config::{Config, MembersBy};
use crate::ldif::{self, Entry};
use crate::people::People;
use crate::source::Complaint;
use crate::table::Table;

/// All groups of the files.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups {
    all: Vec<Group>,
    /// Positions in `all` by every name that a mapping may use.
    names: BTreeMap<String, BTreeSet<usize>>,
    declared_empty: BTreeSet<String>,
}

#[derive(Debug, Clone, Default)]
struct Group {
    name: String,
    people: BTreeSet<PersonId>,
    nested: BTreeSet<String>,
    /// Members that could not be identified.
    gaps: u32,
}

/// What stands before the name of a group that is a member.
const NESTED: &str = "group:";

/// The groups of a CSV file with the columns `group` and `member`.
///
/// # Errors
/// When a row cannot be understood: it may be about any group, so none can be believed.
pub(crate) fn from_table(table: &Table, config: &Config, people: &People) -> Result<Groups, Complaint> {
    if let Some((place, why)) = table.ragged.first() {
        let message = format!("{place}: {why}: it is not known which group this row is about");
        return Err(Complaint::broken(message).with_help("mend the row; until then no group of this file is believed"));
    }
    let (group_at, member_at) = (column(table, config, "group")?, column(table, config, "member")?);
    let mut groups = Groups::default();
    for row in &table.rows {
        let cell = |at: usize| row.cells.get(at).map_or("", String::as_str);
        let (name, member) = (cell(group_at), cell(member_at));
        // ` LAB` would be a group of its own, and whoever is in it would be missing from `LAB`.
        if name.is_empty() || name.trim() != name || member.trim() != member {
            let message = format!("{}: a name is missing, or starts or ends with a blank", table.place(row.line));
            return Err(Complaint::broken(message).with_help("mend the row in the source"));
        }
        let group = groups.named(name);
        if let Some(nested) = member.strip_prefix(NESTED) {
            group.nested.insert(nested.to_owned());
        } else if !member.is_empty() {
            match identify(member, config.members_by, people) {
                Some(id) => {
                    group.people.insert(id);
                }
                None => group.gaps += 1,
            }
        }
    }
    Ok(groups)
}

fn column(table: &Table, config: &Config, name: &str) -> Result<usize, Complaint> {
    if let Some(at) = configured(table, config, name)? {
        return Ok(at);
    }
    table.headers.iter().position(|header| header.trim().eq_ignore_ascii_case(name)).ok_or_else(|| {
        Complaint::broken(format!("{}:1: there is no column `{name}`", table.file))
            .with_help(format!("name it with `columns = {{ {name} = \"…\" }}`"))
    })
}

/// The one person of that name; `None` when there is nobody, or more than one. An id that is in no row is somebody who
/// is not here any more, and no gap.
fn identify(member: &str, by: MembersBy, people: &People) -> Option<PersonId> {
    let kind = match by {
        MembersBy::Id => return PersonId::new(member).ok().filter(|id| !people.is_misspelt(id)),
        MembersBy::EmployeeNumber => KeyKind::Employee,
        MembersBy::Upn => KeyKind::Upn,
        MembersBy::Mail => KeyKind::Mail,
        MembersBy::Account => KeyKind::Account,
    };
    let key = CorrelationKey::new(kind, member).ok()?;
    let mut found = people.with_key(&key);
    let one = found.next()?;
    if found.next().is_some() { None } else { Some(one.id.clone()) }
}

/// The groups among the entries of an LDIF file. Members are names of entries of the same file.
pub(crate) fn from_entries(entries: &[Entry], people: &People) -> Groups {
    let mut groups = Groups::default();
    let entries: Vec<&Entry> = entries.iter().filter(|entry| is_group(entry)).collect();
    let known: BTreeSet<String> = entries.iter().map(|entry| ldif::comparable(&entry.dn)).collect();
    for entry in entries {
        let at = groups.all.len();
        let mut group = Group { name: entry.dn.clone(), ..Group::default() };
        if let Some(name) = entry.all("cn").first() {
            group.name.clone_from(name);
            groups.names.entry(name.clone()).or_default().insert(at);
        }
        groups.names.entry(ldif::comparable(&entry.dn)).or_default().insert(at);
        for member in entry.all("member").iter().chain(entry.all("uniquemember")) {
            let name = ldif::comparable(member);
            if known.contains(&name) {
                group.nested.insert(name);
            } else if let Some(id) = people.by_entry.get(&name) {
                group.people.insert(id.clone());
            } else if !member.is_empty() {
                group.gaps += 1;
            }
        }
        for member in entry.all("memberuid") {
            match identify(member, MembersBy::Account, people) {
                Some(id) => {
                    group.people.insert(id);
                }
                None => group.gaps += 1,
            }
        }
        groups.all.push(group);
    }
    groups
}

/// The comparable form of a text that can be the name of an entry; any other name is compared exactly.
fn entry_name(name: &str) -> Option<String> {
    name.contains('=').then(|| ldif::comparable(name))
}

/// True for an entry that is a group.
pub(crate) fn is_group(entry: &Entry) -> bool {
    entry.is_a(&["groupOfNames", "groupOfUniqueNames", "posixGroup", "group"])
}

impl Groups {
    fn named(&mut self, name: &str) -> &mut Group {
        let known = self.names.get(name).and_then(BTreeSet::first).copied();
        let at = known.unwrap_or(self.all.len());
        if known.is_none() {
            self.all.push(Group { name: name.to_owned(), ..Group::default() });
            self.names.insert(name.to_owned(), BTreeSet::from([at]));
        }
        &mut self.all[at]
    }

    /// Takes another file's groups over. A group that stands in both is in both.
    pub(crate) fn extend(&mut self, other: Self) {
        let offset = self.all.len();
        self.all.extend(other.all);
        for (name, places) in other.names {
            self.names.entry(name).or_default().extend(places.into_iter().map(|at| at + offset));
        }
    }

    pub(crate) fn declare_empty(&mut self, names: &[String]) {
        self.declared_empty.extend(names.iter().cloned());
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Whose groups are others than before; `None` when it cannot be told whom a difference concerns.
    pub(crate) fn changed(&self, before: &Self) -> Option<BTreeSet<PersonId>> {
        let mut changed = BTreeSet::new();
        if self.declared_empty != before.declared_empty {
            return None;
        }
        let names: BTreeSet<&String> = self.names.keys().chain(before.names.keys()).collect();
        for name in names {
            match (self.find(name), before.find(name)) {
                (Ok(now), Ok(then)) if now.nested == then.nested && now.gaps == then.gaps => {
                    changed.extend(now.people.symmetric_difference(&then.people).cloned());
                }
                // A group in another, or a member nobody knows, may concern everybody.
                _ => return None,
            }
        }
        Some(changed)
    }

    fn find(&self, name: &str) -> Result<&Group, (FaultKind, String)> {
        let places = self.names.get(name).or_else(|| self.names.get(&entry_name(name)?));
        let mut places = places.into_iter().flatten().filter_map(|at| self.all.get(*at));
        match (places.next(), places.next()) {
            (Some(one), None) => Ok(one),
            (Some(_), Some(_)) => Err((FaultKind::Invalid, format!("more than one group is named `{name}`"))),
            (None, _) => Err((FaultKind::Missing, format!("no group is named `{name}`"))),
        }
    }

    /// Who is in a group, nested groups included.
    pub(crate) fn membership(&self, id: &GroupId, fault: impl Fn(FaultKind, String) -> Fault) -> Membership {
        if self.declared_empty.contains(id.as_str()) && !self.names.contains_key(id.as_str()) {
            return Membership::Empty(EmptyProof::Declared);
        }
        let mut people = BTreeSet::new();
        let mut gaps = 0_u32;
        let mut seen = BTreeSet::from([id.as_str()]);
        let mut waiting = VecDeque::from([id.as_str()]);
        while let Some(name) = waiting.pop_front() {
            match self.find(name) {
                Ok(group) => {
                    people.extend(group.people.iter().cloned());
                    gaps = gaps.saturating_add(group.gaps);
                    waiting.extend(group.nested.iter().map(String::as_str).filter(|nested| seen.insert(nested)));
                }
                Err(_) if self.declared_empty.contains(name) => {}
                Err((kind, message)) => return Membership::Unreadable(fault(kind, message)),
            }
        }
        match Members::with_gaps(people.into_iter().collect(), gaps) {
            Some(members) => Membership::Members(members),
            None if gaps == 0 => Membership::Empty(EmptyProof::ServerCount),
            None => {
                let message = format!("none of the {gaps} members of `{id}` could be identified");
                Membership::Unreadable(fault(FaultKind::Protocol, message))
            }
        }
    }

    /// The shortest chain of groups from one down to the one that names the person.
    pub(crate) fn path(&self, from: &GroupId, to: &PersonId) -> Option<GroupPath> {
        let mut seen = BTreeSet::from([from.as_str()]);
        let mut waiting = VecDeque::from([vec![self.find(from.as_str()).ok()?]]);
        while let Some(chain) = waiting.pop_front() {
            let group = chain.last()?;
            if group.people.contains(to) {
                return Some(chain.into_iter().map(|group| group.name.clone()).collect());
            }
            for nested in &group.nested {
                if let (true, Ok(next)) = (seen.insert(nested), self.find(nested)) {
                    waiting.push_back(chain.iter().copied().chain([next]).collect());
                }
            }
        }
        None
    }
}
