//! From a page of users to cardholders. Pure work, done beside: a page is hundreds of them, and the same thread may be
//! waiting for another system. This module must not ask.

use std::collections::BTreeSet;
use std::sync::Arc;

use lockstep_contract::{AccessLevelId, Cardholder};
use lockstep_http::{Answer, CallFault};

use crate::api::{ListPage, Object, objects};
use crate::convert::{BadRecord, Shape, groups_of, plain_user};
use crate::listing::Record;
use crate::memberships::{Agreement, Memberships};
use crate::plain;
use crate::user::User;

/// How the users of one list are read.
#[derive(Debug, Clone)]
pub(crate) struct Lister {
    /// `None` when the groups that users name are what counts.
    pub(crate) memberships: Option<Arc<Memberships>>,
    /// What a user says of its own groups is evidence, too.
    pub(crate) cross_check: bool,
    /// What the server stores.
    pub(crate) shape: Shape,
}

/// A user of a page.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listed {
    pub(crate) cardholder: Cardholder,
    /// It names fewer groups than name it.
    pub(crate) fewer: bool,
}

impl Record for Listed {
    fn id(&self, _: &'static str) -> Result<&str, BadRecord> {
        Ok(self.cardholder.id.as_str())
    }
}

impl Lister {
    /// Reads the users of one page.
    pub(crate) fn page(&self, answer: &Answer) -> Result<ListPage<Listed>, CallFault> {
        let in_place = |scanner: lockstep_http::Scanner<'_>| plain::page(scanner, |s| self.listed(User::scan(s)?).ok());
        if let Some(page) = answer.scanner().and_then(in_place) {
            return Ok(page);
        }
        let bad = |error: BadRecord| answer.broken(&error.to_string());
        objects(answer)?
            .read(|user| self.listed(plain_user(&user).map_err(bad)?).map_err(|problem| answer.broken(&problem)))
    }

    fn listed(&self, mut user: User<'_>) -> Result<Listed, String> {
        let (levels, fewer) = self.levels(&mut user)?;
        let cardholder = user.cardholder(levels, self.shape).map_err(|error| error.to_string())?;
        Ok(Listed { cardholder, fewer })
    }

    fn levels(&self, user: &mut User<'_>) -> Result<(BTreeSet<AccessLevelId>, bool), String> {
        let Some(memberships) = &self.memberships else {
            return named(user.groups.iter().map(|group| &**group)).map(|levels| (levels, false)).map_err(text);
        };
        let levels = memberships.levels_of(&user.id);
        if !self.cross_check {
            return Ok((levels, false));
        }
        match memberships.compare(&mut user.groups, &levels) {
            Agreement::Same => Ok((levels, false)),
            Agreement::Fewer => Ok((levels, true)),
            Agreement::Contradicts(group) => Err(format!(
                "user {} names group {group}, whose members do not name the user; read again, and if it stays so, set \
                 `memberships = \"all-groups\"`",
                user.id
            )),
        }
    }
}

fn text(error: BadRecord) -> String {
    error.to_string()
}

/// The levels that a user names itself.
pub(crate) fn named_levels(user: &Object) -> Result<BTreeSet<AccessLevelId>, BadRecord> {
    named(groups_of(user).into_iter().flatten())
}

fn named<'a>(groups: impl Iterator<Item = &'a str>) -> Result<BTreeSet<AccessLevelId>, BadRecord> {
    groups.map(|id| AccessLevelId::new(id).map_err(|error| BadRecord::Id("group", error.to_string()))).collect()
}
