//! Active Directory by the replication control (MS-ADTS 3.1.1.3.4.1.3), with the flag by which it shows only what the
//! account may read: the right to replicate, which includes every password, is never needed. It names only entries of which
//! something that is asked for changed, so on a busy domain it is quieter than change numbers.

use std::fmt::Write;

use ldap3::controls::{Control, RawControl};
use lockstep_contract::{Fault, PersonId};

use super::{Look, OPERATION, Round};
use crate::api::{Broken, Call, Search, Session};
use crate::entry::{Entry, constructed, primitive};
use crate::faults::search_failed;

const CONTROL: &str = "1.2.840.113556.1.4.841";
/// Only what the account may read.
const OBJECT_SECURITY: u8 = 1;
/// How many bytes an answer may have. Servers cap it.
const BYTES_MAX: u32 = 0x00f0_0000;
const ANSWERS_MAX: u32 = 100_000;
/// Entries that are read in one search.
const BATCH: usize = 50;
/// The server does not take the cookie.
const REFUSED: [u32; 3] = [12, 53, 8_453];

impl Look<'_> {
    /// A cookie for now. There is no way to it but past everything that there is.
    pub(super) async fn dirsync_now(&self) -> Result<String, Fault> {
        let (_, cookie) =
            self.dirsync(Vec::new(), false).await?.ok_or_else(|| self.broken("DirSync is refused without a cookie"))?;
        Ok(hex(&cookie))
    }

    /// What changed since this cookie was given.
    pub(super) async fn dirsync_round(&self, place: &str) -> Result<Option<Round>, Fault> {
        let Some(cookie) = from_hex(place) else { return Ok(None) };
        let Some((ids, cookie)) = self.dirsync(cookie, true).await? else { return Ok(None) };
        let mut round = Round { place: hex(&cookie), ..Round::default() };
        for batch in ids.chunks(BATCH) {
            let parts: String = batch.iter().filter_map(|id| self.facts.id.filter(id)).collect();
            let search = self.touched_search(format!("(|{parts})"));
            round.entries.extend(self.session.all(&self.call, OPERATION, &search).await?);
        }
        let seen: Vec<PersonId> = round.entries.iter().filter_map(|entry| self.facts.id.of(entry)).collect();
        round.left.extend(ids.into_iter().filter(|id| !seen.contains(id)));
        Ok(Some(round))
    }

    async fn dirsync(&self, from: Vec<u8>, keep: bool) -> Result<Option<(Vec<PersonId>, Vec<u8>)>, Fault> {
        let mut attributes = self.facts.fields.attributes(None);
        attributes.extend(self.touched_attributes());
        attributes.extend(self.ldap.standing_attributes(&self.facts));
        // Whatever changes shows only if it is asked for; a name stands in every entry.
        attributes.extend(["name", "parentGUID"].map(str::to_owned));
        let search = Search {
            base: self.facts.root.clone(),
            filter: "(objectClass=*)".to_owned(),
            attributes: attributes.into_iter().filter(|name| !name.contains(';')).collect(),
            ..Search::default()
        };
        let (mut ids, mut cookie) = (Vec::new(), from);
        for _ in 0..ANSWERS_MAX {
            let control = control(OBJECT_SECURITY, &cookie);
            let take = |item: ldap3::ResultEntry| {
                let entry = Entry::from_ber(item.0).ok_or(Broken::Malformed("an entry of the answer is malformed"))?;
                ids.extend(self.facts.id.of(&entry).filter(|_| keep));
                Ok(())
            };
            let answer = self.session.follow(&self.call, OPERATION, &search, control, take).await?;
            if !cookie.is_empty() && REFUSED.contains(&answer.code) {
                return Ok(None);
            }
            if answer.code != 0 {
                return Err(search_failed(self.call.about(OPERATION), answer.code, &answer.text));
            }
            let (more, next) =
                reply(&answer.controls).ok_or_else(|| self.broken("the server's DirSync control is malformed"))?;
            cookie = next;
            if !more {
                return Ok(Some((ids, cookie)));
            }
        }
        Err(self.broken("the changes have no end"))
    }
}

/// SEQUENCE { flags INTEGER, bytes INTEGER, cookie OCTET STRING }.
fn control(flags: u8, cookie: &[u8]) -> RawControl {
    let mut body = vec![0x02, 0x01, flags, 0x02, 0x04];
    body.extend(BYTES_MAX.to_be_bytes());
    body.extend(element(0x04, cookie));
    RawControl { ctype: CONTROL.to_owned(), crit: true, val: Some(element(0x30, &body)) }
}

/// True when the server replicates to this account, which shows it everything. Nobody but a domain controller needs that.
pub(crate) async fn may_replicate(session: &Session, call: &Call<'_>, root: &str) -> Result<bool, Fault> {
    let filter = "(&(objectClass=domainDNS)(!(objectClass=*)))".to_owned();
    let search = Search { base: root.to_owned(), filter, attributes: vec!["name".to_owned()], ..Search::default() };
    let answer = session.follow(call, "try to replicate", &search, control(0, &[]), |_| Ok(())).await?;
    Ok(answer.code == 0)
}

fn element(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes = vec![tag, 0x84];
    bytes.extend(length);
    bytes.extend(body);
    bytes
}

/// SEQUENCE { more INTEGER, unused INTEGER, cookie OCTET STRING }.
fn reply(controls: &[Control]) -> Option<(bool, Vec<u8>)> {
    let Control(_, control) = controls.iter().find(|Control(_, control)| control.ctype == CONTROL)?;
    let (_, tag) = ldap3::asn1::parse_tag(control.val.as_deref()?).ok()?;
    let mut parts = constructed(tag)?.into_iter();
    let more = primitive(parts.next()?)?.iter().any(|byte| *byte != 0);
    primitive(parts.next()?)?;
    Some((more, primitive(parts.next()?)?))
}

/// Bytes as a watermark holds them.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// And back.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2).map(|pair| {
        if pair.len() < 2 {
            return None;
        }
        u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn control(val: Vec<u8>) -> Vec<Control> {
        vec![Control(None, RawControl { ctype: CONTROL.to_owned(), crit: false, val: Some(val) })]
    }

    #[test]
    fn the_control_there_and_back() {
        let sent = super::control(1, &[7; 300]).val.expect("a value");
        let (_, tag) = ldap3::asn1::parse_tag(&sent).expect("well-formed");
        assert_eq!(constructed(tag).expect("a sequence").len(), 3);
        assert_eq!(reply(&control(vec![0x30, 9, 2, 1, 1, 2, 1, 0, 4, 1, 9])), Some((true, vec![9])));
        assert_eq!(reply(&control(vec![0x30, 8, 2, 1, 0, 2, 1, 0, 4, 0])), Some((false, vec![])));
        for bad in [vec![], vec![0x30, 3, 2, 1, 0], vec![4, 1, 0]] {
            assert_eq!(reply(&control(bad)), None);
        }
    }

    proptest! {
        #[test]
        fn a_cookie_survives_the_watermark(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            prop_assert_eq!(from_hex(&hex(&bytes)), Some(bytes));
        }
    }
}
