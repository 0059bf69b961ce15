//! From the users of a list page to cardholders. Pure work, done beside: a page is hundreds of them, and the same thread
//! may be waiting for another system. This module must not ask.

use std::collections::BTreeSet;
use std::sync::Arc;

use lockstep_contract::{AccessLevelId, Cardholder};

use crate::api::Object;
use crate::convert::{self, BadRecord, Shape, groups_of};
use crate::memberships::{Agreement, Memberships};

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

/// The users of one page.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) items: Vec<Cardholder>,
    /// Somebody names fewer groups than name them.
    pub(crate) fewer: bool,
}

impl Lister {
    /// Reads the users of one page.
    pub(crate) fn page(&self, users: Vec<Object>) -> Result<Listed, String> {
        let mut listed = Listed { items: Vec::with_capacity(users.len()), fewer: false };
        for user in users {
            let levels = self.levels(&user, &mut listed.fewer)?;
            listed.items.push(convert::cardholder(&user, levels, self.shape).map_err(bad)?);
        }
        Ok(listed)
    }

    fn levels(&self, user: &Object, fewer: &mut bool) -> Result<BTreeSet<AccessLevelId>, String> {
        let Some(memberships) = &self.memberships else { return named_levels(user).map_err(bad) };
        let id = convert::id_of(user, "user").map_err(bad)?;
        let levels = memberships.levels_of(id);
        if self.cross_check {
            match memberships.compare(user, &levels) {
                Agreement::Same => {}
                Agreement::Fewer => *fewer = true,
                Agreement::Contradicts(group) => {
                    return Err(format!(
                        "user {id} names group {group}, whose members do not name the user; read again, and if it stays \
                         so, set `memberships = \"all-groups\"`"
                    ));
                }
            }
        }
        Ok(levels)
    }
}

fn bad(error: BadRecord) -> String {
    error.to_string()
}

/// The levels that a user names itself.
pub(crate) fn named_levels(user: &Object) -> Result<BTreeSet<AccessLevelId>, BadRecord> {
    let named = groups_of(user).unwrap_or_default();
    let level = |id| AccessLevelId::new(id).map_err(|error| BadRecord::Id("group", error.to_string()));
    named.into_iter().map(level).collect()
}
