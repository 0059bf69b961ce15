//! Long answers, page by page. The paging loop is our own: every page's result code, control and references are looked
//! at. This module must not know what the entries are.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use ldap3::controls::{Control, PagedResults, RawControl};
use lockstep_contract::Fault;
use tokio::task::JoinSet;

use crate::api::{Answer, Broken, Call, Search, Session, complete};
use crate::entry::{Entry, constructed, primitive};
use crate::faults::About;

/// Paged results (RFC 2696).
const PAGED: &str = "1.2.840.113556.1.4.319";
/// More pages than any directory has.
const PAGES_MAX: u32 = 1_000_000;
/// How many pages in a row may be empty.
const EMPTY_PAGES_MAX: u32 = 1_000;

/// Reads a long answer page by page on one connection. The page after the one that was given is already on its way: the
/// server works while its last page is taken in.
#[derive(Debug)]
pub(crate) struct Pager {
    session: Session,
    search: Arc<Search>,
    size: u32,
    /// The answer that was asked for ahead of time. Dropped, it is not waited for.
    ahead: JoinSet<Result<Answer, Broken>>,
    /// The first entry of every page.
    firsts: HashSet<u64>,
    empty_pages: u32,
    hasher: RandomState,
    pages: u32,
    ended: bool,
}

impl Pager {
    /// At the first page.
    pub(crate) fn new(session: Session, search: Search, size: u32) -> Self {
        Self {
            session,
            search: Arc::new(search),
            size,
            ahead: JoinSet::new(),
            firsts: HashSet::new(),
            empty_pages: 0,
            hasher: RandomState::new(),
            pages: 0,
            ended: false,
        }
    }

    /// True after the last page.
    pub(crate) const fn ended(&self) -> bool {
        self.ended
    }

    /// The connection, when the last page has been read.
    pub(crate) fn into_session(self) -> Session {
        self.session
    }

    /// The next page, whole, or a fault. After a fault the read is over: a cookie is not good for a second try.
    pub(crate) async fn next(&mut self, call: &Call<'_>, operation: &str) -> Result<Vec<Entry>, Fault> {
        self.pages += 1;
        let operation = format!("{operation}, page {}", self.pages);
        let about = About { system: call.system, operation: &operation };
        if self.ahead.is_empty() {
            self.ask(Vec::new());
        }
        let answer = async {
            match self.ahead.join_next().await {
                Some(Ok(answer)) => answer.map_err(|why| why.fault(about)),
                Some(Err(_)) | None => Err(about.protocol("an answer of the server is malformed")),
            }
        };
        let answer = call.within(about, answer).await?;
        complete(about, &self.search, &answer)?;
        let malformed = || about.protocol("the server does not say whether there are more pages");
        let cookie = page_cookie(&answer.controls).ok_or_else(malformed)?;
        self.ended = cookie.is_empty();
        // A cookie says nothing: Samba and 389 Directory Server answer every page with the same one. A page that begins
        // with an entry that another page began with is that page again.
        if let Some(first) = answer.entries.first() {
            self.empty_pages = 0;
            if !self.firsts.insert(self.hasher.hash_one(&first.name)) {
                return Err(about.protocol("the server sent the same page twice"));
            }
        } else {
            self.empty_pages += 1;
        }
        if self.pages >= PAGES_MAX || self.empty_pages >= EMPTY_PAGES_MAX {
            return Err(about.protocol("the list has no end"));
        }
        if !self.ended {
            self.ask(cookie);
        }
        Ok(answer.entries)
    }

    /// Asks for the page at this cookie.
    fn ask(&mut self, cookie: Vec<u8>) {
        let mut controls = self.search.controls();
        let size = i32::try_from(self.size).unwrap_or(i32::MAX);
        let paged: RawControl = PagedResults { size, cookie }.into();
        controls.push(RawControl { crit: true, ..paged });
        let (session, search) = (self.session.clone(), Arc::clone(&self.search));
        self.ahead.spawn(async move { session.ask_now(&search, controls).await });
    }
}

/// The cookie in the paging control of an answer: SEQUENCE { size INTEGER, cookie OCTET STRING }.
fn page_cookie(controls: &[Control]) -> Option<Vec<u8>> {
    let Control(_, control) = controls.iter().find(|Control(_, control)| control.ctype == PAGED)?;
    let (_, tag) = ldap3::asn1::parse_tag(control.val.as_deref()?).ok()?;
    let mut parts = constructed(tag)?.into_iter();
    primitive(parts.next()?)?;
    primitive(parts.next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_a_well_formed_control_has_no_cookie() {
        let control =
            |val: Option<Vec<u8>>| vec![Control(None, RawControl { ctype: PAGED.to_owned(), crit: false, val })];
        assert_eq!(page_cookie(&control(Some(vec![0x30, 5, 2, 1, 0, 4, 0]))), Some(vec![]));
        assert_eq!(page_cookie(&control(Some(vec![0x30, 6, 2, 1, 0, 4, 1, 9]))), Some(vec![9]));
        for bad in [None, Some(vec![]), Some(vec![0x30, 3, 2, 1, 0]), Some(vec![4, 1, 0])] {
            assert_eq!(page_cookie(&control(bad.clone())), None, "{bad:?}");
        }
        assert_eq!(page_cookie(&[]), None);
    }
}
