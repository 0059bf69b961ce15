//! People whose primary group it is: no member value names them.

use std::collections::{BTreeSet, HashMap};

use lockstep_contract::Fault;

use super::Loader;
use crate::filter;
use crate::pager::Pager;

/// The primary group that nearly everybody in a domain has (*Domain Users*).
const USUAL: u32 = 513;

impl Loader<'_> {
    /// Adds the people of the index.
    pub(super) fn add_primary_members(&mut self) {
        let Self { groups, index, .. } = self;
        for raw in groups {
            if let Some(number) = raw.number {
                raw.group.people.extend_from_slice(index.with_primary_group(number));
            }
        }
    }

    /// Adds them as they are today. Those who have the usual one are read only where somebody may ask for it.
    pub(super) async fn read_primary_members(&mut self) -> Result<(), Fault> {
        let by_number: HashMap<u32, usize> =
            self.groups.iter().enumerate().filter_map(|(at, raw)| Some((raw.number?, at))).collect();
        let attributes = BTreeSet::from(["primaryGroupID".to_owned(), self.facts.id.name().to_owned()]);
        let mut search = self.ldap.people_search(&self.facts, attributes);
        if !by_number.contains_key(&USUAL) {
            let unusual = format!("(!(primaryGroupID={USUAL}))");
            search.filter = filter::all([self.facts.people_filter.as_str(), &unusual]);
        }
        let mut pager = Pager::new(self.session.clone(), search, self.ldap.settings.config.page_size);
        while !pager.ended() {
            for entry in pager.next(&self.call, "read primary groups").await? {
                let number = entry.only_text("primaryGroupID").and_then(|text| text.parse().ok());
                let (Some(at), Some(id)) = (number.and_then(|n| by_number.get(&n)), self.facts.id.of(&entry)) else {
                    continue;
                };
                let place = match self.index.with_id(&id) {
                    Some(place) => place,
                    None => self.other(id),
                };
                if let Some(raw) = self.groups.get_mut(*at) {
                    raw.group.people.push(place);
                }
            }
        }
        Ok(())
    }
}
