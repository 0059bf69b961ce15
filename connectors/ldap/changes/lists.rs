//! The member values of a group as marks: enough to see who came and who went.

use lockstep_contract::{Fault, PersonId};

use super::memory::{Listed, Memory};
use super::{Look, OPERATION};
use crate::api::{Search, Sight};
use crate::dn::{Mark, Marks, Name};
use crate::entry::{Entry, Values};
use crate::guid;
use crate::members::without_unique_part;

/// How many pieces a member list may come in.
const PIECES_MAX: u32 = 100_000;

impl Look<'_> {
    /// The list of a group; `None` when it cannot be told.
    pub(super) async fn list(&self, marks: &Marks, entry: &Entry) -> Result<Option<Listed>, Fault> {
        let active_directory = self.facts.active_directory;
        let (Some(id), Some(own)) = (self.facts.id.of(entry), self.mark(marks, entry)) else { return Ok(None) };
        let mut members: Vec<Mark> = Vec::new();
        let Some(values) = self.whole(&id, entry).await? else { return Ok(None) };
        for value in &values {
            let mark = if active_directory { id_mark(value) } else { name_mark(marks, value) };
            members.extend(mark);
        }
        members.extend(entry.values("uniqueMember").iter().filter_map(|v| name_mark(marks, without_unique_part(v))));
        members.extend(entry.values("memberUid").iter().map(|account| account_mark(marks, account)));
        members.sort_unstable();
        members.dedup();
        let called = ["cn", "sAMAccountName"].into_iter().flat_map(|name| entry.values(name));
        let label: Vec<u8> =
            called.flat_map(|name| [name.as_slice(), b"\n"].concat()).chain(plain(entry).to_vec()).collect();
        let number = entry.only_text("gidNumber").filter(|_| !active_directory).and_then(|n| n.parse().ok());
        Ok(Some(Listed { own, label: marks.of_bytes(&label), number, members: members.into() }))
    }

    /// All member values, of which Active Directory sends many in pieces. If the group changes meanwhile, it is among the
    /// next changes again.
    async fn whole(&self, id: &PersonId, entry: &Entry) -> Result<Option<Vec<Vec<u8>>>, Fault> {
        let (mut values, mut piece) = (Vec::new(), None::<Entry>);
        for _ in 0..PIECES_MAX {
            match piece.as_ref().unwrap_or(entry).ranged("member") {
                Ok(Values::Whole(all)) if piece.is_none() => return Ok(Some(all.to_vec())),
                Ok(Values::Piece(range, some)) if range.from as usize == values.len() && !some.is_empty() => {
                    values.extend(some.iter().cloned());
                    if range.to.is_none() {
                        return Ok(Some(values));
                    }
                }
                // It was cut short meanwhile, or makes no sense.
                Ok(_) | Err(_) => return Ok(None),
            }
            let attribute = match self.ldap.settings.config.groups.range {
                Some(step) => format!("member;range={}-{}", values.len(), values.len() + step as usize - 1),
                None => format!("member;range={}-*", values.len()),
            };
            let mut search = Search::entry(format!("<GUID={id}>"), vec![attribute]);
            search.extended_names = true;
            piece = match self.session.entry(&self.call, OPERATION, &search).await? {
                Sight::Seen(entry) => Some(entry),
                Sight::Absent { .. } | Sight::Hidden => return Ok(None),
            };
        }
        Ok(None)
    }

    /// What member values know an entry by.
    pub(super) fn mark(&self, marks: &Marks, entry: &Entry) -> Option<Mark> {
        if self.facts.active_directory {
            guid::from_object_guid(entry.only("objectGUID")?).map(|id| id.as_u128())
        } else {
            name_mark(marks, &entry.name)
        }
    }

    /// All marks by which groups may name a person.
    pub(super) fn person_marks(&self, memory: &Memory, entry: &Entry, id: &PersonId) -> Vec<(Mark, PersonId)> {
        if self.facts.active_directory {
            return Vec::new();
        }
        let accounts = entry.values("uid").iter().map(|account| account_mark(&memory.marks, account));
        self.mark(&memory.marks, entry).into_iter().chain(accounts).map(|mark| (mark, id.clone())).collect()
    }
}

/// The name without ids before it.
pub(super) fn plain(entry: &Entry) -> &[u8] {
    guid::from_extended_name(&entry.name).map_or(entry.name.as_slice(), |(_, name)| name)
}

fn id_mark(value: &[u8]) -> Option<Mark> {
    guid::from_extended_name(value).map(|(id, _)| id.as_u128())
}

fn name_mark(marks: &Marks, name: &[u8]) -> Option<Mark> {
    Name::from_bytes(name).filter(|name| !name.is_empty()).map(|name| marks.of(&name))
}

/// An account name is no distinguished name, and must not be taken for one.
fn account_mark(marks: &Marks, account: &[u8]) -> Mark {
    marks.of_bytes(&[b"memberUid\0", account].concat())
}
