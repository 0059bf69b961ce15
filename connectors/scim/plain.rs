//! Pages of a list read in place, where they are as usual. What is not is read from a tree by [`objects`], which also
//! says what is wrong with a page. Pure.

use lockstep_contract::{AccessLevel, AccessLevelId};
use lockstep_http::{Answer, CallFault, Scanner};

use crate::api::{ListPage, objects};
use crate::convert::{self, BadRecord, Group, Member, Members, is_group};
use crate::listing::Record;
use crate::user::is_unusual;

const NAMES: [&str; 4] = ["totalResults", "startIndex", "nextCursor", "Resources"];

/// Reads a page whose records are read by `item`. `None` when anything is not as usual.
pub(crate) fn page<'a, T>(
    mut scanner: Scanner<'a>,
    mut item: impl FnMut(&mut Scanner<'a>) -> Option<T>,
) -> Option<ListPage<T>> {
    let mut page = ListPage { items: Vec::new(), total: None, start: None, next_cursor: None };
    let mut is_list = false;
    scanner.object(|scanner, name| {
        match name {
            "totalResults" => page.total = Some(scanner.count()?),
            "startIndex" => page.start = Some(scanner.count()?),
            "nextCursor" => {
                let cursor = scanner.text_or_null()?.filter(|cursor| !cursor.is_empty());
                page.next_cursor = cursor.map(std::borrow::Cow::into_owned);
            }
            "Resources" => {
                is_list = true;
                scanner.array(|scanner| item(scanner).map(|item| page.items.push(item)))?;
            }
            other if is_unusual(other, &NAMES) => return None,
            _ => scanner.skip()?,
        }
        Some(())
    })?;
    scanner.end()?;
    if is_list { Some(page) } else { None }
}

impl Record for Group {
    fn id(&self, _: &'static str) -> Result<&str, BadRecord> {
        Ok(self.id.as_str())
    }
}

/// Reads a page of groups.
pub(crate) fn groups(answer: &Answer) -> Result<ListPage<Group>, CallFault> {
    if let Some(page) = answer.scanner().and_then(|scanner| page(scanner, group)) {
        return Ok(page);
    }
    objects(answer)?.read(|group| convert::group(&group).map_err(|error| answer.broken(&error.to_string())))
}

fn group(scanner: &mut Scanner<'_>) -> Option<Group> {
    let (mut id, mut name, mut members) = (None, None, None);
    scanner.object(|scanner, key| {
        match key {
            "id" => id = Some(scanner.text()?),
            "displayName" => name = scanner.text_or_null()?,
            "members" => members = if scanner.null() { None } else { Some(scan_members(scanner)?) },
            other if is_unusual(other, &["id", "displayName", "members"]) => return None,
            _ => scanner.skip()?,
        }
        Some(())
    })?;
    let level = AccessLevel { name: name.unwrap_or_default().into_owned(), ..AccessLevel::default() };
    Some(Group { id: AccessLevelId::new(id?).ok()?, level, members })
}

fn scan_members(scanner: &mut Scanner<'_>) -> Option<Members> {
    let mut members = Members::default();
    scanner.array(|scanner| {
        if scanner.peek()? == b'"' {
            let id = scanner.text()?;
            members.push(Member { id: Some(&*id).filter(|id| !id.is_empty())?, is_group: false });
            return Some(());
        }
        let (mut id, mut kind, mut link) = (None, None, None);
        scanner.object(|scanner, key| {
            match key {
                "value" => id = Some(scanner.text()?),
                "type" => kind = scanner.text_or_null()?,
                "$ref" => link = scanner.text_or_null()?,
                other if is_unusual(other, &["value", "type", "$ref"]) => return None,
                _ => scanner.skip()?,
            }
            Some(())
        })?;
        let id = id.filter(|id| !id.is_empty())?;
        members.push(Member { id: &id, is_group: is_group(kind.as_deref(), link.as_deref()) });
        Some(())
    })?;
    Some(members)
}

#[cfg(test)]
#[path = "plain_tests.rs"]
mod tests;
