//! Searches on a connection. A search is an answer only when the server ended it with
//! success and referred to nobody else; anything less is a fault, and what arrived is dropped.

use std::future::Future;
use std::sync::Arc;

use ldap3::controls::{Control, RawControl};
use ldap3::{LdapError, ResultEntry, Scope};
use lockstep_contract::{Cx, Fault, FaultKind};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::dn::Name;
use crate::entry::{Entry, constructed, primitive};
use crate::faults::{About, broken, search_failed};

/// Deleted objects are answered, too (Active Directory).
const SHOW_DELETED: &str = "1.2.840.113556.1.4.417";
/// Names carry the GUID of what they name (Active Directory).
const EXTENDED_NAMES: &str = "1.2.840.113556.1.4.529";

/// One call of the engine: whose budget it is, and for which directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    cx: &'a Cx,
    pub(crate) system: &'a str,
    pub(crate) until: Instant,
}

impl<'a> Call<'a> {
    /// Starts the clock. The time ends a little before the budget of the engine, to say why.
    pub(crate) fn new(cx: &'a Cx, system: &'a str) -> Self {
        Self { cx, system, until: Instant::now() + cx.budget.mul_f32(0.95) }
    }

    /// For faults about this operation.
    pub(crate) const fn about(&self, operation: &'a str) -> About<'a> {
        About { system: self.system, operation }
    }

    /// Runs one request within the budget.
    pub(crate) async fn within<T>(
        &self,
        about: About<'_>,
        request: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        self.cx.check(about.system, about.operation)?;
        tokio::time::timeout_at(self.until, request).await.unwrap_or_else(|_| {
            Err(about.fault(FaultKind::Unreachable, format!("no answer within {:?}", self.cx.budget)))
        })
    }
}

/// What to search.
#[derive(Debug, Clone, Default)]
pub(crate) struct Search {
    pub(crate) base: String,
    pub(crate) base_only: bool,
    pub(crate) filter: String,
    pub(crate) attributes: Vec<String>,
    /// Names are to carry the GUID.
    pub(crate) extended_names: bool,
    /// Tombstones are to be answered.
    pub(crate) deleted: bool,
    /// References to places below these are expected.
    pub(crate) elsewhere: Arc<[Name]>,
}

impl Search {
    /// One entry by its name.
    pub(crate) fn entry(base: impl Into<String>, attributes: Vec<String>) -> Self {
        Self { base: base.into(), base_only: true, filter: "(objectClass=*)".to_owned(), attributes, ..Self::default() }
    }

    pub(crate) fn controls(&self) -> Vec<RawControl> {
        let mut controls = Vec::new();
        if self.extended_names {
            // SEQUENCE { INTEGER 1 }: GUIDs in text.
            let value = Some(vec![0x30, 0x03, 0x02, 0x01, 0x01]);
            controls.push(RawControl { ctype: EXTENDED_NAMES.to_owned(), crit: true, val: value });
        }
        if self.deleted {
            controls.push(RawControl { ctype: SHOW_DELETED.to_owned(), crit: true, val: None });
        }
        controls
    }
}

/// How a search ended, and what came before the end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) entries: Vec<Entry>,
    pub(crate) code: u32,
    /// The nearest entry above that is there, when the base is not.
    pub(crate) matched: String,
    pub(crate) text: String,
    pub(crate) controls: Vec<Control>,
    references: Vec<String>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Broken {
    Connection(Box<LdapError>),
    Malformed(&'static str),
}

impl From<LdapError> for Broken {
    fn from(error: LdapError) -> Self {
        Self::Connection(Box::new(error))
    }
}

impl Broken {
    pub(crate) fn fault(&self, about: About<'_>) -> Fault {
        match self {
            Self::Connection(error) => broken(about, error),
            Self::Malformed(message) => about.protocol(*message),
        }
    }
}

/// A connection that is logged in.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    ldap: ldap3::Ldap,
    /// The server at the other end.
    pub(crate) host: Arc<str>,
    /// Which database of which server is at the other end, asked once for each connection.
    pub(crate) replica: Arc<OnceCell<Option<String>>>,
}

impl Session {
    /// A connection on which somebody logged in.
    pub(crate) fn new(ldap: ldap3::Ldap, host: &str) -> Self {
        Self { ldap, host: host.into(), replica: Arc::default() }
    }

    /// This connection, unless it is known to be gone.
    pub(crate) fn if_open(mut self) -> Option<Self> {
        if self.ldap.is_closed() { None } else { Some(self) }
    }

    /// Sends a search and takes everything until the server ends it, whatever the code. A connection that breaks first is
    /// a fault.
    pub(crate) async fn ask(&self, call: &Call<'_>, operation: &str, search: &Search) -> Result<Answer, Fault> {
        let about = About { system: call.system, operation };
        let answer = async { self.ask_now(search, search.controls()).await.map_err(|why| why.fault(about)) };
        call.within(about, answer).await
    }

    /// As [`ask`](Self::ask), without a limit of time.
    pub(crate) async fn ask_now(&self, search: &Search, controls: Vec<RawControl>) -> Result<Answer, Broken> {
        let mut ldap = self.ldap.clone();
        if !controls.is_empty() {
            ldap.with_controls(controls);
        }
        let mut entries = Vec::new();
        let ending = exchange(ldap, search, |item| {
            if !item.is_intermediate() {
                let entry = Entry::from_ber(item.0);
                entries.push(entry.ok_or(Broken::Malformed("an entry of the answer is malformed"))?);
            }
            Ok(())
        })
        .await?;
        Ok(Answer { entries, ..ending })
    }

    /// As [`ask`](Self::ask), and hands on whatever comes before the end as it is. The answer has no entries then.
    pub(crate) async fn follow(
        &self,
        call: &Call<'_>,
        operation: &str,
        search: &Search,
        control: RawControl,
        take: impl FnMut(ResultEntry) -> Result<(), Broken>,
    ) -> Result<Answer, Fault> {
        let about = About { system: call.system, operation };
        let mut ldap = self.ldap.clone();
        ldap.with_controls(search.controls().into_iter().chain([control]).collect::<Vec<_>>());
        call.within(about, async { exchange(ldap, search, take).await.map_err(|why| why.fault(about)) }).await
    }

    /// A search whose answer fits in one piece, complete or a fault.
    pub(crate) async fn all(&self, call: &Call<'_>, operation: &str, search: &Search) -> Result<Vec<Entry>, Fault> {
        let about = About { system: call.system, operation };
        let answer = self.ask(call, operation, search).await?;
        complete(about, search, &answer)?;
        Ok(answer.entries)
    }

    /// One entry by its name: `None` when the server says positively that there is none to be seen.
    pub(crate) async fn entry(&self, call: &Call<'_>, operation: &str, search: &Search) -> Result<Sight, Fault> {
        let about = About { system: call.system, operation };
        let mut answer = self.ask(call, operation, search).await?;
        match (answer.code, answer.entries.len()) {
            (0, 1) => {
                complete(about, search, &answer)?;
                Ok(answer.entries.pop().map_or(Sight::Hidden, Sight::Seen))
            }
            // No such object; the name above that the server shows tells truly absent from hidden.
            (32, 0) => Ok(Sight::Absent { matched: Name::parse(&answer.matched) }),
            (0 | 50, 0) => Ok(Sight::Hidden),
            (0, _) => Err(about.protocol("several entries have one name")),
            (code, _) => Err(search_failed(about, code, &answer.text)),
        }
    }
}

/// Sends a search, hands on every message but references, and says how it ended.
async fn exchange(
    mut ldap: ldap3::Ldap,
    search: &Search,
    mut take: impl FnMut(ResultEntry) -> Result<(), Broken>,
) -> Result<Answer, Broken> {
    let scope = if search.base_only { Scope::Base } else { Scope::Subtree };
    let attributes = if search.attributes.is_empty() { vec!["1.1".to_owned()] } else { search.attributes.clone() };
    let mut stream = ldap.streaming_search(&search.base, scope, &search.filter, attributes).await?;
    let mut references = Vec::new();
    while let Some(item) = stream.next().await? {
        if item.is_ref() {
            references.extend(uris(item.0).ok_or(Broken::Malformed("a reference of the server is malformed"))?);
        } else {
            take(item)?;
        }
    }
    // Only now, after the stream said that it ended, is this the server's own result and not an older one.
    let result = stream.finish().await;
    references.extend(result.refs);
    Ok(Answer {
        entries: Vec::new(),
        code: result.rc,
        matched: result.matched,
        text: result.text,
        controls: result.ctrls,
        references,
    })
}

/// What was seen of one entry.
#[derive(Debug)]
pub(crate) enum Sight {
    /// It is there.
    Seen(Entry),
    /// There is no such object. With the nearest name above it that the server shows, if it shows one.
    Absent {
        /// The nearest name above.
        matched: Option<Name>,
    },
    /// Nothing was shown, and that says nothing.
    Hidden,
}

/// An answer that says everything: ended with success, and referring to nobody else.
pub(crate) fn complete(about: About<'_>, search: &Search, answer: &Answer) -> Result<(), Fault> {
    if answer.code != 0 {
        return Err(search_failed(about, answer.code, &answer.text));
    }
    match answer.references.iter().find(|uri| !expected(uri, &search.elsewhere)) {
        None => Ok(()),
        Some(uri) => {
            let uri = shown(uri);
            let fault = about.fault(FaultKind::Unsupported, format!("a part of the tree is on another server: {uri}"));
            Err(fault.with_help("if nobody of yours is there, name that place in `elsewhere`; it is never followed"))
        }
    }
}

/// True for a reference to a place that is known to be elsewhere.
fn expected(uri: &str, elsewhere: &[Name]) -> bool {
    let Ok(uri) = url::Url::parse(uri) else { return false };
    let Some(name) = Name::parse(&percent_decoded(uri.path().trim_start_matches('/'))) else { return false };
    !name.is_empty() && elsewhere.iter().any(|place| name.is_below(place))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let pair = (ahead.next(), ahead.next());
        match (byte, pair) {
            (b'%', (Some(high), Some(low))) => match (char::from(high).to_digit(16), char::from(low).to_digit(16)) {
                (Some(h), Some(l)) => {
                    bytes.push(u8::try_from(h * 16 + l).unwrap_or(b'?'));
                    rest = ahead;
                }
                _ => bytes.push(byte),
            },
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn uris(reference: ldap3::asn1::StructureTag) -> Option<Vec<String>> {
    constructed(reference)?.into_iter().map(|uri| String::from_utf8(primitive(uri)?).ok()).collect()
}

/// What a server said, made harmless for a line of a report: cut, without control characters.
pub(crate) fn shown(text: &str) -> String {
    const CHARACTERS_MAX: usize = 200;
    let mut line: String = text
        .trim_end_matches('\0')
        .chars()
        .take(CHARACTERS_MAX)
        .map(|c| if c.is_control() || ('\u{200b}'..='\u{202e}').contains(&c) { '\u{fffd}' } else { c })
        .collect();
    if text.chars().count() > CHARACTERS_MAX {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reference_to_a_known_place_is_expected() {
        let known = [Name::parse("CN=Configuration,DC=corp,DC=example").expect("name")];
        assert!(expected("ldap://corp.example/CN=Configuration,DC=corp,DC=example", &known));
        assert!(expected("ldap://corp.example/cn=configuration,dc=corp,dc=example??sub", &known));
        assert!(expected("ldap://c/CN%3dConfiguration,DC=corp,DC=example", &known));
        for other in ["ldap://other/OU=Staff,DC=corp,DC=example", "ldap://other/", "nonsense", ""] {
            assert!(!expected(other, &known), "{other}");
        }
    }

    #[test]
    fn what_a_server_says_fits_on_one_line() {
        assert_eq!(shown("a\nb\u{202e}c\0"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(shown(&"x".repeat(500)).chars().count(), 201);
    }
}
