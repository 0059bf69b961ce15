//! By the time of the last modification, where a server has nothing better. It is blind to what was deleted: that is
//! noticed by a census only.

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::Fault;
use serde::{Deserialize, Serialize};

use super::{Look, OPERATION, Round};
use crate::pager::Pager;

/// Times have whole seconds: a second counts as past when it has been the newest for this long.
const SETTLED: SignedDuration = SignedDuration::from_secs(3);
const EARLIEST: &str = "19700101000000Z";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// The newest time that was seen, as the server writes it.
    newest: String,
    /// Since when it is the newest, by our clock.
    since: Timestamp,
    /// When it was looked last.
    looked: Timestamp,
}

/// The place of a newest time.
pub(super) fn place(newest: &str, now: Timestamp) -> String {
    let newest = if newest.is_empty() { EARLIEST } else { newest };
    serde_json::to_string(&Place { newest: newest.to_owned(), since: now, looked: now }).unwrap_or_default()
}

impl Look<'_> {
    /// What was modified since. Whatever has the newest time is named again until that second is long past.
    pub(super) async fn stamps_round(&self, place: &str) -> Result<Option<Round>, Fault> {
        let Ok(old) = serde_json::from_str::<Place>(place) else { return Ok(None) };
        let search = self.touched_search(format!("(modifyTimestamp>={})", old.newest));
        let mut pager = Pager::new(self.session.clone(), search, self.ldap.settings.config.page_size);
        let mut round = Round::default();
        while !pager.ended() {
            round.entries.extend(pager.next(&self.call, OPERATION).await?);
        }
        let newest = round.entries.iter().filter_map(|e| e.only_text("modifyTimestamp")).max().unwrap_or(&old.newest);
        let since = if *newest > *old.newest { self.now } else { old.since };
        let next = Place { newest: newest.to_owned(), since, looked: self.now };
        // Only when somebody looked after the second was over, was everything seen that has it.
        if old.looked.duration_since(old.since) > SETTLED {
            round.entries.retain(|entry| entry.only_text("modifyTimestamp") != Some(&old.newest));
        }
        round.place = serde_json::to_string(&next).map_err(|_| self.broken("the watermark cannot be written"))?;
        Ok(Some(round))
    }
}
