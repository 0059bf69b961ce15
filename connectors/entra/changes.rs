//! Whom to look at since a watermark: the users that Graph names in its list of changes, and those who were put into or taken
//! out of a group. Never a proof: the list repeats, reorders, and leaves out. What it says of anybody is thrown away.
//!
//! A lost or old watermark is said as a reset, and then only a census helps.

use std::collections::{BTreeSet, HashSet};

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{Changes, Cx, Fault, FaultKind, PersonId, Watermark, sha256_hex};
use lockstep_http::{Url, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Entra;
use crate::api::{Ask, GROUP_TYPE, ListPage, Object, USER_TYPE, id_of, list_page};
use crate::graph::{Priority, Refusal, Session};

const OPERATION: &str = "read changes";
/// Links live for seven days. Somewhat less is relied on.
const GOOD_FOR: SignedDuration = SignedDuration::from_hours(6 * 24);
/// More pages than this are no round but a loop.
const PAGES_MAX: usize = 10_000;
const GROUP_DELTA_SELECT: &str = "id,members";

/// What a watermark holds. Any difference from what would be asked today makes it worthless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    version: u32,
    /// Tenant, cloud and selection, as a digest.
    asked: String,
    since: Timestamp,
    users: String,
    groups: String,
}

/// How a round of one list ended.
enum Round {
    /// Whole, and where the next one begins.
    Whole(String),
    /// Graph does not know the link any more.
    Forgotten,
}

/// What a round named.
#[derive(Debug, Default)]
struct Named {
    users: BTreeSet<Uuid>,
    /// Groups that were put into or taken out of another: everybody in them is concerned.
    groups: BTreeSet<Uuid>,
    /// Something happened of which Graph does not say whom it concerns.
    unclear: bool,
}

impl Entra {
    /// Whom to look at. The new watermark may be kept only when all of them were looked at.
    pub(crate) async fn changes_since(&self, cx: &Cx, since: Option<Watermark>) -> Result<Changes, Fault> {
        let session = Session::begin(&self.graph, cx, Priority::High);
        session.check(OPERATION)?;
        let now = Timestamp::now();
        let Some(mark) = since.and_then(|since| self.believed(&since, now)) else {
            return self.begin_anew(&session, now).await;
        };
        let mut named = Named::default();
        let users = round(&session, &mark.users, true, &mut named).await?;
        let groups = round(&session, &mark.groups, false, &mut named).await?;
        let (Round::Whole(users), Round::Whole(groups)) = (users, groups) else {
            return self.begin_anew(&session, now).await;
        };
        for group in std::mem::take(&mut named.groups) {
            match self.everybody(&session, group).await {
                Ok(users) => named.users.extend(users),
                Err(fault) if fault.kind.is_transient() || fault.kind == FaultKind::Cancelled => return Err(fault),
                Err(_) => named.unclear = true,
            }
        }
        let next = self.mark(now, users, groups)?;
        let people = named.users.into_iter().map(PersonId::from_uuid).collect();
        Ok(Changes { people, next, reset: named.unclear })
    }

    /// Follows from now on. Whatever happened before is for a census that begins after this.
    async fn begin_anew(&self, session: &Session<'_>, now: Timestamp) -> Result<Changes, Fault> {
        let mut links = Vec::new();
        for (users, select) in [(true, self.delta_select()), (false, GROUP_DELTA_SELECT.to_owned())] {
            let ask = Ask::delta_from_now(users, &select);
            let mut nobody = Named::default();
            let url = session.url(&ask)?.to_string();
            match round(session, &url, users, &mut nobody).await? {
                Round::Whole(link) => links.push(link),
                Round::Forgotten => {
                    let message = "Graph forgot a link that it had just given";
                    return Err(session.fault(FaultKind::Protocol, OPERATION, message));
                }
            }
        }
        let groups = links.pop().unwrap_or_default();
        let users = links.pop().unwrap_or_default();
        Ok(Changes { people: Vec::new(), next: self.mark(now, users, groups)?, reset: true })
    }

    /// Only what is asked for is followed, so everything that anything rests on is.
    fn delta_select(&self) -> String {
        self.settings.fields.select(None, self.settings.config.people.leave_date)
    }

    fn asked(&self) -> String {
        let config = &self.settings.config;
        let text =
            format!("{} {} {GROUP_DELTA_SELECT} {}", self.graph.client.base(), config.tenant, self.delta_select());
        sha256_hex(text.as_bytes())
    }

    fn mark(&self, since: Timestamp, users: String, groups: String) -> Result<Watermark, Fault> {
        let mark = Mark { version: 1, asked: self.asked(), since, users, groups };
        serde_json::to_string(&mark).map(Watermark).map_err(|_| {
            Fault::new(FaultKind::Protocol, self.info.id.as_str(), OPERATION, "the watermark cannot be written")
        })
    }

    fn believed(&self, watermark: &Watermark, now: Timestamp) -> Option<Mark> {
        let mark: Mark = serde_json::from_str(&watermark.0).ok()?;
        let age = now.duration_since(mark.since);
        let fits = mark.version == 1 && mark.asked == self.asked();
        (fits && age >= SignedDuration::ZERO && age < GOOD_FOR).then_some(mark)
    }

    async fn everybody(&self, session: &Session<'_>, group: Uuid) -> Result<Vec<Uuid>, Fault> {
        let ask = Ask::group_members(group, self.settings.config.page_size);
        let mut page = list_page(session, session.one(&ask).await?, &ask.operation)?;
        let mut users = Vec::new();
        let mut links = HashSet::new();
        loop {
            let is_user = |item: &&Object| item.get("@odata.type").and_then(Value::as_str) == Some(USER_TYPE);
            users.extend(page.items.iter().filter(is_user).filter_map(id_of));
            let Some(next) = page.next.take() else { return Ok(users) };
            if !links.insert(next.clone()) {
                return Err(session.fault(FaultKind::Protocol, &ask.operation, "Graph sent a link twice"));
            }
            page = list_page(session, session.follow(next, &ask).await?, &ask.operation)?;
        }
    }
}

async fn round(session: &Session<'_>, link: &str, users: bool, named: &mut Named) -> Result<Round, Fault> {
    let ask = Ask::new(String::new(), 1, OPERATION);
    let mut links: HashSet<Url> = HashSet::new();
    let mut at = session.checked(link, OPERATION)?;
    loop {
        if !links.insert(at.clone()) || links.len() > PAGES_MAX {
            let message = "the changes go round in a circle: Graph sent a link twice, or there is no end to them";
            return Err(session.fault(FaultKind::Protocol, OPERATION, message));
        }
        let page = match session.follow(at, &ask).await {
            Ok(body) => list_page(session, body, OPERATION)?,
            Err(refusal) if is_forgotten(&refusal) => return Ok(Round::Forgotten),
            Err(refusal) => return Err(refusal.into()),
        };
        if users {
            named.users.extend(page.items.iter().filter_map(id_of));
        } else {
            named.take_groups(&page);
        }
        match (page.next, page.delta) {
            (Some(next), _) => at = next,
            (None, Some(delta)) => return Ok(Round::Whole(delta.to_string())),
            (None, None) => {
                let message = "the changes broke off: the last page does not say where to go on";
                return Err(session.fault(FaultKind::Protocol, OPERATION, message));
            }
        }
    }
}

/// Graph keeps links for a week, and ends them earlier when it must.
fn is_forgotten(refusal: &Refusal) -> bool {
    const CODES: [&str; 3] = ["syncStateNotFound", "resyncRequired", "syncStateInvalid"];
    refusal.status == Some(410)
        || refusal.codes.iter().any(|code| CODES.iter().any(|known| code.eq_ignore_ascii_case(known)))
}

impl Named {
    fn take_groups(&mut self, page: &ListPage) {
        for group in &page.items {
            // A group that is deleted is named without its members; one without a list of members has no news of them.
            self.unclear |= group.contains_key("@removed");
            let members = group.get("members@delta").and_then(Value::as_array);
            for member in members.into_iter().flatten().filter_map(Value::as_object) {
                let Some(id) = id_of(member) else { continue };
                match member.get("@odata.type").and_then(Value::as_str) {
                    // One of which it is not said what it is, is worth a look as a person.
                    Some(USER_TYPE) | None => self.users.insert(id),
                    Some(GROUP_TYPE) => self.groups.insert(id),
                    Some(_) => continue,
                };
            }
        }
    }
}
