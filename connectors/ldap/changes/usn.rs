//! Active Directory by change numbers. Every database of a domain controller counts for itself: a number means something
//! only on the one it is of.

use std::sync::Arc;

use lockstep_contract::Fault;

use super::{Look, OPERATION, Round};
use crate::api::Search;
use crate::pager::Pager;

impl Look<'_> {
    /// The number of the last change.
    pub(super) async fn usn_now(&self) -> Result<u64, Fault> {
        let search = Search::entry("", vec!["highestCommittedUSN".to_owned()]);
        let found = self.session.all(&self.call, OPERATION, &search).await?;
        let number = found.first().and_then(|root| root.only_text("highestCommittedUSN")).and_then(|n| n.parse().ok());
        number.ok_or_else(|| self.broken("the server does not say how far it is (highestCommittedUSN)"))
    }

    /// What changed after this number. One request when nothing did. A server that went back is another one.
    pub(super) async fn usn_round(&self, place: &str) -> Result<Option<Round>, Fault> {
        let Ok(since) = place.parse::<u64>() else { return Ok(None) };
        // Read first: what changes after this is found again by the next round.
        let now = self.usn_now().await?;
        if now < since {
            return Ok(None);
        }
        let mut round = Round { place: now.to_string(), ..Round::default() };
        if now == since {
            return Ok(Some(round));
        }
        let search = self.touched_search(format!("(uSNChanged>={})", since + 1));
        let mut pager = Pager::new(self.session.clone(), search, self.ldap.settings.config.page_size);
        while !pager.ended() {
            round.entries.extend(pager.next(&self.call, OPERATION).await?);
        }
        Ok(Some(round))
    }

    /// A search for entries that were touched, with what there is to know about them.
    pub(super) fn touched_search(&self, filter: String) -> Search {
        Search {
            base: self.facts.root.clone(),
            filter,
            attributes: self.touched_attributes(),
            extended_names: self.facts.active_directory,
            deleted: self.facts.active_directory && self.ldap.settings.config.show_deleted,
            elsewhere: Arc::clone(&self.facts.elsewhere),
            ..Search::default()
        }
    }
}
