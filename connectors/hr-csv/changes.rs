//! Whom to look at since a watermark: whose rows, groups or days are others than then. Pure. Never a proof; when the files
//! of then are not known any more, a census is asked for.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lockstep_contract::{Person, PersonId, sha256_hex};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::feed::Feed;
use crate::people::People;
use crate::standing::Schedule;

/// What a watermark holds: which files were seen, with which settings, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    version: u32,
    settings: String,
    pub(crate) files: String,
    at: Timestamp,
}

impl Mark {
    pub(crate) fn new(config: &Config, feed: &Feed, at: Timestamp) -> Self {
        Self { version: 1, settings: sha256_hex(format!("{config:?}").as_bytes()), files: feed.digest.clone(), at }
    }

    /// True when only the files and the time can be others since this mark.
    pub(crate) fn fits(&self, now: &Self) -> bool {
        self.version == now.version && self.settings == now.settings && self.at <= now.at
    }
}

/// Whose day came or ended between two marks of the same files.
pub(crate) fn by_time(feed: &Feed, since: &Mark, now: &Mark) -> BTreeSet<PersonId> {
    let moved = |schedule: &Schedule| schedule.standing(since.at) != schedule.standing(now.at);
    everybody(&feed.people).filter(|(_, schedule)| moved(schedule)).map(|(person, _)| person.id.clone()).collect()
}

/// Who is another in these files than in those; `None` when that cannot be told.
pub(crate) fn by_files(before: &Feed, after: &Feed, since: &Mark, now: &Mark) -> Option<BTreeSet<PersonId>> {
    let mut changed = match (&before.groups, &after.groups) {
        (Ok(before), Ok(after)) => after.changed(before)?,
        (Err(_), Err(_)) => BTreeSet::new(),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => return None,
    };
    for (person, schedule) in everybody(&after.people) {
        let same = before.people.index.get(&person.id).is_some_and(|at| {
            let then = before.people.list.get(*at).zip(before.people.schedules.get(*at));
            then.is_some_and(|(then, days)| {
                then.keys == person.keys
                    && then.profile == person.profile
                    && days.standing(since.at) == schedule.standing(now.at)
            })
        });
        if !same {
            changed.insert(person.id.clone());
        }
    }
    let gone = before.people.list.iter().map(|person| &person.id).filter(|id| !after.people.index.contains_key(id));
    changed.extend(gone.chain(&after.people.held).chain(&before.people.held).cloned());
    Some(changed)
}

fn everybody(people: &People) -> impl Iterator<Item = (&Person, &Schedule)> {
    people.list.iter().zip(&people.schedules)
}
