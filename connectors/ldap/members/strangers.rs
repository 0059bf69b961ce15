//! Member values that name no person of the census: groups elsewhere, people out of scope, names that dangle, and what
//! cannot be identified.

use std::collections::HashMap;
use std::sync::Arc;

use lockstep_contract::{Fault, PersonId};

use super::{Found, Loader};
use crate::api::{Search, Sight};
use crate::dn::Name;
use crate::entry::Entry;
use crate::guid;

impl Loader<'_> {
    /// What each of these member values names. A server error is a fault: it is not known then.
    pub(super) async fn look_up(&self, values: &[Box<[u8]>]) -> Result<Vec<Found>, Fault> {
        if self.facts.active_directory { self.look_up_ids(values).await } else { self.look_up_names(values).await }
    }

    async fn look_up_ids(&self, values: &[Box<[u8]>]) -> Result<Vec<Found>, Fault> {
        let ids: Vec<Option<PersonId>> =
            values.iter().map(|v| guid::from_extended_name(v).map(|(uuid, _)| PersonId::from_uuid(uuid))).collect();
        let parts: String = ids.iter().flatten().filter_map(|id| self.facts.id.filter(id)).collect();
        let search = Search {
            base: self.facts.root.clone(),
            filter: format!("(|{parts})"),
            attributes: self.attributes(),
            extended_names: true,
            elsewhere: Arc::clone(&self.facts.elsewhere),
            ..Search::default()
        };
        let mut seen: HashMap<PersonId, Entry> = HashMap::new();
        for entry in self.session.all(&self.call, "find members", &search).await? {
            if let Some(id) = self.facts.id.of(&entry) {
                seen.insert(id, entry);
            }
        }
        Ok(ids
            .iter()
            .map(|id| id.as_ref().and_then(|id| seen.remove(id)).map_or(Found::Gap, |e| self.sight(e)))
            .collect())
    }

    async fn look_up_names(&self, values: &[Box<[u8]>]) -> Result<Vec<Found>, Fault> {
        let mut found = Vec::with_capacity(values.len());
        for value in values {
            let Ok(text) = std::str::from_utf8(value) else {
                found.push(Found::Gap);
                continue;
            };
            let search = Search::entry(text, self.attributes());
            found.push(match self.session.entry(&self.call, "find a member", &search).await? {
                Sight::Seen(entry) => self.sight(entry),
                // The entry above is shown, and this one is not there: the value dangles, and names nobody.
                Sight::Absent { matched: Some(matched) }
                    if Name::parse(text).and_then(|name| name.parent()).as_ref() == Some(&matched) =>
                {
                    Found::Nothing
                }
                Sight::Absent { .. } | Sight::Hidden => Found::Gap,
            });
        }
        Ok(found)
    }

    fn sight(&self, entry: Entry) -> Found {
        const GROUPS: [&str; 6] =
            ["group", "groupOfNames", "groupOfUniqueNames", "posixGroup", "groupOfURLs", "groupOfMembers"];
        let is = |wanted: &[&str]| entry.texts("objectClass").any(|c| wanted.iter().any(|w| c.eq_ignore_ascii_case(w)));
        if is(&GROUPS) {
            Found::Group(entry)
        } else if is(&["foreignSecurityPrincipal"]) || entry.values("objectClass").is_empty() {
            Found::Gap
        } else {
            self.facts.id.of(&entry).map_or(Found::Gap, Found::Person)
        }
    }
}
