//! Long member lists, which Active Directory sends in pieces. A list is whole when a piece says that it is the last, every
//! piece joins the one before, and the group did not change meanwhile.

use lockstep_contract::{Fault, FaultKind, PersonId};

use super::{Loader, Raw};
use crate::api::{Search, Sight};
use crate::entry::{Entry, Values};

/// How often a list that changes while it is read is read again.
const TRIES: u32 = 3;

impl Loader<'_> {
    /// The whole of a list that came in pieces, read again from its beginning until two readings of the group's change
    /// number agree. The outer error ends everything, the inner one is about this group only.
    pub(super) async fn rest_of_list(&self, raw: &Raw, entry: &Entry) -> Result<Result<Vec<Vec<u8>>, Fault>, Fault> {
        let Some(id) = &raw.group.id else {
            return Ok(Err(self.about_group(raw, FaultKind::Protocol, "a group without an id has a list in pieces")));
        };
        let (mut first, mut again) = (entry.clone(), 0);
        loop {
            let stamp = first.only("uSNChanged").map(<[u8]>::to_vec);
            let (values, last) = match self.pieces(raw, id, &first).await? {
                Ok(whole) => whole,
                Err(fault) => return Ok(Err(fault)),
            };
            if stamp.is_some() && last == stamp {
                return Ok(Ok(values));
            }
            again += 1;
            if again == TRIES {
                let message = "it changed each time while its long member list was read";
                return Ok(Err(self.about_group(raw, FaultKind::Unreachable, message)));
            }
            first = match self.piece(id, &self.attributes()).await? {
                Some(entry) => entry,
                None => return Ok(Err(self.about_group(raw, FaultKind::Denied, "it vanished while it was read"))),
            };
        }
    }

    /// Piece after piece until the one that says it is the last, and the change number that came with it.
    async fn pieces(
        &self,
        raw: &Raw,
        id: &PersonId,
        first: &Entry,
    ) -> Result<Result<(Vec<Vec<u8>>, Option<Vec<u8>>), Fault>, Fault> {
        let broken = |message: &str| Ok(Err(self.about_group(raw, FaultKind::Protocol, message)));
        let mut values: Vec<Vec<u8>> = Vec::new();
        let mut entry = first.clone();
        loop {
            let to = match entry.ranged("member") {
                Ok(Values::Piece(range, piece)) => {
                    if range.from as usize != values.len() {
                        return broken("the pieces of its member list do not join");
                    }
                    values.extend(piece.iter().cloned());
                    if range.to.is_some_and(|to| to as usize + 1 != values.len()) {
                        return broken("a piece of its member list is shorter than the server says");
                    }
                    range.to
                }
                Ok(Values::Whole(_)) | Err(_) => return broken("its member list broke off in the middle"),
            };
            if to.is_none() {
                return Ok(Ok((values, entry.only("uSNChanged").map(<[u8]>::to_vec))));
            }
            let next = values.len();
            let end = match self.ldap.settings.config.groups.range {
                Some(step) => (next + step as usize - 1).to_string(),
                None => "*".to_owned(),
            };
            let attributes = [format!("member;range={next}-{end}"), "uSNChanged".to_owned()];
            entry = match self.piece(id, &attributes).await? {
                Some(entry) => entry,
                None => return broken("it vanished while its long member list was read"),
            };
        }
    }

    async fn piece(&self, id: &PersonId, attributes: &[String]) -> Result<Option<Entry>, Fault> {
        let mut search = Search::entry(format!("<GUID={id}>"), attributes.to_vec());
        search.extended_names = true;
        match self.session.entry(&self.call, "read a long member list", &search).await? {
            Sight::Seen(entry) => Ok(Some(entry)),
            Sight::Absent { .. } | Sight::Hidden => Ok(None),
        }
    }
}
