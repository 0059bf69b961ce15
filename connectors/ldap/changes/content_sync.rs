//! Content synchronization (RFC 4533) as a poll: OpenLDAP with the overlay syncprov, 389 Directory Server with its plug-in.
//! What it says of anybody who is not to be seen any more means just that, and not that they have left.

use std::collections::HashSet;

use ldap3::asn1::{PL, StructureTag, TagClass};
use ldap3::controls::{Control, MakeCritical, RawControl, RefreshMode, SyncRequest};
use lockstep_contract::{Fault, FaultKind, PersonId};
use uuid::Uuid;

use super::dirsync::{from_hex, hex};
use super::{Look, OPERATION, Round};
use crate::api::{Broken, Search};
use crate::convert::IdAttribute;
use crate::entry::{Entry, constructed, primitive};
use crate::faults::search_failed;

/// The control by which a server is asked.
pub(crate) const SYNC_REQUEST: &str = "1.3.6.1.4.1.4203.1.9.1.1";
const SYNC_STATE: &str = "1.3.6.1.4.1.4203.1.9.1.2";
const SYNC_DONE: &str = "1.3.6.1.4.1.4203.1.9.1.3";
const SYNC_INFO: &str = "1.3.6.1.4.1.4203.1.9.1.4";
/// The server has no use for the cookie: a size limit, unwilling (it is older than the cookie), refresh required.
const REFUSED: [u32; 4] = [4, 11, 53, 4_096];

/// What an answer says, gathered message by message.
#[derive(Debug, Default)]
struct Gathered {
    entries: Vec<Entry>,
    left: Vec<Uuid>,
    present: Option<HashSet<Uuid>>,
    cookie: Option<Vec<u8>>,
}

impl Look<'_> {
    /// A cookie for now. OpenLDAP shows what it is made of at the top of the naming context; others give one after they
    /// have sent everything.
    pub(super) async fn sync_now(&self) -> Result<String, Fault> {
        let search = Search::entry(self.facts.root.as_str(), vec!["contextCSN".to_owned()]);
        let top = self.session.all(&self.call, OPERATION, &search).await?;
        let states: Vec<&str> = top.iter().flat_map(|entry| entry.texts("contextCSN")).collect();
        if !states.is_empty() {
            return Ok(hex(format!("rid=000,csn={}", states.join(";")).as_bytes()));
        }
        let gathered = self.sync(None).await?;
        let cookie = gathered.ok().and_then(|gathered| gathered.cookie).ok_or_else(|| {
            let message = "the server gives no cookie to begin with: it shows no contextCSN, and did not send everything";
            let help = "let the account read contextCSN at the top of the naming context, or lift its size limit; or set \
                        `changes = \"timestamp\"`";
            self.call.about(OPERATION).fault(FaultKind::Unsupported, message).with_help(help)
        })?;
        Ok(hex(&cookie))
    }

    /// What changed since a cookie. One request.
    pub(super) async fn sync_round(&self, place: &str) -> Result<Option<Round>, Fault> {
        let Some(cookie) = from_hex(place).filter(|cookie| !cookie.is_empty()) else { return Ok(None) };
        let gathered = match self.sync(Some(cookie)).await? {
            Ok(gathered) => gathered,
            Err(code) if REFUSED.contains(&code) => return Ok(None),
            Err(code) => return Err(self.refused(code)),
        };
        // An id of another kind cannot be told from the id of the entry.
        let known = matches!(&self.facts.id, IdAttribute::Text(name)
            if name.eq_ignore_ascii_case("entryUUID") || name.eq_ignore_ascii_case("nsUniqueId"));
        let ids = |ids: Vec<Uuid>| ids.into_iter().map(PersonId::from_uuid);
        let unclear = !known && (!gathered.left.is_empty() || gathered.present.is_some());
        Ok(Some(Round {
            entries: gathered.entries,
            left: if known { ids(gathered.left).collect() } else { Vec::new() },
            present: gathered.present.filter(|_| known).map(|present| ids(present.into_iter().collect()).collect()),
            // Nothing happened when no new cookie comes.
            place: gathered.cookie.map_or_else(|| place.to_owned(), |cookie| hex(&cookie)),
            unclear,
        }))
    }

    fn refused(&self, code: u32) -> Fault {
        let about = self.call.about(OPERATION);
        if code == 12 || code == 2 {
            let message = "the server does not tell for this naming context what changed (content synchronization)";
            let help = "load the overlay syncprov on the database, or set `changes = \"timestamp\"`";
            return about.fault(FaultKind::Unsupported, message).with_help(help);
        }
        search_failed(about, code, "")
    }

    /// One exchange; the code with which the server refused.
    async fn sync(&self, cookie: Option<Vec<u8>>) -> Result<Result<Gathered, u32>, Fault> {
        // Places count, too: people move with them.
        let search =
            Search { elsewhere: std::sync::Arc::default(), ..self.touched_search("(objectClass=*)".to_owned()) };
        let begins = cookie.is_none();
        let control: RawControl =
            SyncRequest { mode: RefreshMode::RefreshOnly, cookie, reload_hint: false }.critical().into();
        let mut gathered = Gathered::default();
        let malformed = Broken::Malformed;
        let take = |item: ldap3::ResultEntry| {
            if item.is_intermediate() {
                return gathered.note(item.0).ok_or(malformed("a note on what changed is malformed"));
            }
            if begins {
                return Ok(());
            }
            gathered.entry(item).ok_or(malformed("an entry of the answer is malformed"))
        };
        let answer = self.session.follow(&self.call, OPERATION, &search, control, take).await?;
        if answer.code != 0 {
            return Ok(Err(answer.code));
        }
        let done = gathered.done(&answer.controls).ok_or_else(|| self.broken("the end of the changes is malformed"))?;
        if !done && begins {
            return Ok(Err(12));
        }
        Ok(Ok(gathered))
    }
}

impl Gathered {
    /// An entry with its state: SEQUENCE { state ENUMERATED, id OCTET STRING, cookie OPTIONAL }.
    fn entry(&mut self, item: ldap3::ResultEntry) -> Option<()> {
        const PRESENT: u8 = 0;
        const DELETED: u8 = 3;
        let Control(_, control) = item.1.into_iter().find(|Control(_, control)| control.ctype == SYNC_STATE)?;
        let mut parts = sequence(control.val.as_deref()?)?.into_iter();
        let state = *primitive(parts.next()?)?.last()?;
        let id = Uuid::from_slice(&primitive(parts.next()?)?).ok()?;
        match state {
            PRESENT => {
                self.present.get_or_insert_default().insert(id);
            }
            DELETED => self.left.push(id),
            _ => self.entries.push(Entry::from_ber(item.0)?),
        }
        Some(())
    }

    /// A message between entries: a cookie, or a set of ids.
    fn note(&mut self, message: StructureTag) -> Option<()> {
        let mut parts = constructed(message)?.into_iter();
        let (name, value) = (parts.next()?, parts.next());
        if name.id != 0 || primitive(name)? != SYNC_INFO.as_bytes() {
            // About something else.
            return Some(());
        }
        let (_, info) = ldap3::asn1::parse_tag(&primitive(value.filter(|value| value.id == 1)?)?).ok()?;
        if info.class != TagClass::Context {
            return None;
        }
        match info.id {
            0 => self.cookie = Some(primitive(info)?),
            // The end of a phase. That of the present phase says that whatever was not named is not there.
            phase @ (1 | 2) => {
                if phase == 2 {
                    self.present.get_or_insert_default();
                }
                self.parts(constructed(info)?)?;
            }
            3 => {
                let (deleted, ids) = self.parts(constructed(info)?)?;
                if deleted {
                    self.left.extend(ids);
                } else {
                    self.present.get_or_insert_default().extend(ids);
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// An optional cookie, an optional truth, an optional set of ids.
    fn parts(&mut self, parts: Vec<StructureTag>) -> Option<(bool, Vec<Uuid>)> {
        let (mut truth, mut ids) = (false, Vec::new());
        for part in parts {
            match (part.id, part.payload) {
                (4, PL::P(cookie)) => self.cookie = Some(cookie),
                (1, PL::P(value)) => truth = value.iter().any(|byte| *byte != 0),
                (17, PL::C(list)) => {
                    for id in list {
                        ids.push(Uuid::from_slice(&primitive(id)?).ok()?);
                    }
                }
                _ => return None,
            }
        }
        Some((truth, ids))
    }

    /// The end: SEQUENCE { cookie OPTIONAL, refreshDeletes BOOLEAN DEFAULT FALSE }. False when the server sent none.
    fn done(&mut self, controls: &[Control]) -> Option<bool> {
        let Some(Control(_, control)) = controls.iter().find(|Control(_, control)| control.ctype == SYNC_DONE) else {
            return Some(false);
        };
        if let Some(value) = control.val.as_deref().filter(|value| !value.is_empty()) {
            let parts = sequence(value)?;
            let news = parts.iter().any(|part| part.id == 4);
            let (deletes, _) = self.parts(parts)?;
            if news && !deletes {
                // Without word of deletions, what was not named is not there.
                self.present.get_or_insert_default();
            }
        }
        Some(true)
    }
}

fn sequence(bytes: &[u8]) -> Option<Vec<StructureTag>> {
    constructed(ldap3::asn1::parse_tag(bytes).ok()?.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ldap3::ResultEntry;
    use proptest::prelude::*;

    const ID: [u8; 16] = [7; 16];

    fn element(tag: u8, body: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(body.len()).expect("short")], body].concat()
    }

    /// An intermediate response that holds this.
    fn message(info: &[u8]) -> StructureTag {
        let parts = [element(0x80, SYNC_INFO.as_bytes()), element(0x81, info)].concat();
        let (_, tag) = ldap3::asn1::parse_tag(&element(0x79, &parts)).expect("well-formed");
        tag
    }

    fn ids(deleted: Option<u8>) -> Vec<u8> {
        let truth = deleted.map(|value| element(0x01, &[value])).unwrap_or_default();
        element(0xa3, &[truth, element(0x31, &element(0x04, &ID))].concat())
    }

    fn control(ctype: &str, val: Vec<u8>) -> Control {
        Control(None, RawControl { ctype: ctype.to_owned(), crit: false, val: Some(val) })
    }

    #[test]
    fn ids_that_are_deleted_are_told_from_ids_that_are_still_there() {
        let id = Uuid::from_bytes(ID);
        for (deleted, left, present) in
            [(Some(0xff), vec![id], None), (Some(0), vec![], Some(1)), (None, vec![], Some(1))]
        {
            let mut gathered = Gathered::default();
            gathered.note(message(&ids(deleted))).expect("well-formed");
            assert_eq!((gathered.left, gathered.present.map(|ids| ids.len())), (left, present), "{deleted:?}");
        }
    }

    #[test]
    fn a_new_cookie_without_word_of_deletions_means_that_whatever_was_not_named_is_gone() {
        let end = |cookie: bool, deletes: bool| {
            let cookie = if cookie { element(0x04, b"c") } else { Vec::new() };
            let deletes = if deletes { element(0x01, &[0xff]) } else { Vec::new() };
            let mut gathered = Gathered::default();
            let value = element(0x30, &[cookie, deletes].concat());
            assert_eq!(gathered.done(&[control(SYNC_DONE, value)]), Some(true));
            gathered.present.is_some()
        };
        assert!(end(true, false));
        assert!(!end(true, true) && !end(false, false), "nothing happened, or it was named");
        assert_eq!(Gathered::default().done(&[]), Some(false), "the server did not take part");
    }

    #[test]
    fn an_entry_without_its_state_is_malformed() {
        let (_, tag) = ldap3::asn1::parse_tag(&element(0x64, &[element(0x04, b"cn=a"), element(0x30, b"")].concat()))
            .expect("well-formed");
        let entry = |controls: Vec<Control>| {
            let mut item = ResultEntry::new(tag.clone());
            item.1 = controls;
            let mut gathered = Gathered::default();
            gathered.entry(item).map(|()| (gathered.entries.len(), gathered.left.len()))
        };
        let state = |state: u8| {
            let parts = [element(0x0a, &[state]), element(0x04, &ID)].concat();
            vec![control(SYNC_STATE, element(0x30, &parts))]
        };
        assert_eq!(entry(Vec::new()), None);
        assert_eq!(entry(state(1)), Some((1, 0)));
        assert_eq!(entry(state(3)), Some((0, 1)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut gathered = Gathered::default();
            let _ = gathered.note(message(&bytes));
            let _ = gathered.done(&[control(SYNC_DONE, bytes.clone())]);
            if let Ok((_, tag)) = ldap3::asn1::parse_tag(&bytes) {
                let _ = gathered.note(tag.clone());
                let mut item = ResultEntry::new(tag);
                item.1 = vec![control(SYNC_STATE, bytes)];
                let _ = gathered.entry(item);
            }
        }
    }
}
