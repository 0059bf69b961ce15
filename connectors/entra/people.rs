//! The census: users page by page, held against the number that Graph gives by another path.

use std::collections::{BTreeSet, HashSet};
use std::sync::PoisonError;

use jiff::Timestamp;
use lockstep_contract::{Census, Cursor, Cx, Fault, FaultKind, FieldName, Next, Page, Person, Scope};
use lockstep_http::{Url, Value};
use uuid::Uuid;

use crate::Entra;
use crate::api::{Ask, ListPage, Object, id_of, list_page};
use crate::graph::{Priority, Session};
use crate::roles::LIFE_CYCLE;
use crate::standing;

const OPERATION: &str = "read people";
const NO_CANARY: &str =
    "check that `canary` is the object id of a user who exists, and the permissions that `lockstep probe` names";

/// What goes on from one page to the next.
#[derive(Debug, Default)]
pub(crate) struct State {
    number: u64,
    reading: Option<Reading>,
}

/// One census under way.
#[derive(Debug)]
struct Reading {
    number: u64,
    page: u32,
    ask: Ask,
    next: Option<Url>,
    links: HashSet<Url>,
    fields: BTreeSet<FieldName>,
    dates_readable: bool,
    count: Option<u64>,
    sent: u64,
    seen: HashSet<Uuid>,
    quarantined: Vec<(String, String)>,
}

impl Reading {
    fn cursor(&self) -> String {
        format!("{}.{}", self.number, self.page)
    }
}

impl Entra {
    /// A page of the census.
    pub(crate) async fn people_page(&self, cx: &Cx, scope: &Scope, at: Option<Cursor>) -> Result<Page<Person>, Fault> {
        let session = Session::begin(&self.graph, cx, Priority::Low);
        session.check(OPERATION)?;
        let mut state = self.people.lock().await;
        match at {
            None => {
                state.reading = None;
                state.number += 1;
                let number = state.number;
                state.reading = Some(self.begin(&session, scope, number).await?);
            }
            Some(cursor) if state.reading.as_ref().is_some_and(|reading| reading.cursor() == cursor.0) => {}
            Some(_) => {
                let message = "this census has broken off or was begun anew; it must start again at the first page";
                return Err(session.fault(FaultKind::Unreachable, OPERATION, message));
            }
        }
        // Nothing is changed before a page has arrived whole: the same page can be asked for again until then.
        let page = match &state.reading {
            Some(reading) => fetch(&session, reading).await?,
            None => return Err(session.fault(FaultKind::Unreachable, OPERATION, "the census has broken off")),
        };
        let Some(mut reading) = state.reading.take() else {
            return Err(session.fault(FaultKind::Unreachable, OPERATION, "the census has broken off"));
        };
        let items = self.take_page(&session, &mut reading, page)?;
        if reading.next.is_some() {
            reading.page += 1;
            let cursor = Cursor(reading.cursor());
            state.reading = Some(reading);
            return Ok(Page { items, next: Next::More(cursor) });
        }
        let census = self.finish(&session, reading).await?;
        Ok(Page { items, next: Next::End(census) })
    }

    async fn begin(&self, session: &Session<'_>, scope: &Scope, number: u64) -> Result<Reading, Fault> {
        let config = &self.settings.config;
        let select = self.settings.fields.select(Some(&scope.fields), config.people.leave_date);
        Ok(Reading {
            number,
            page: 0,
            ask: Ask::users(&select, self.settings.filter.as_deref(), config.page_size),
            next: None,
            links: HashSet::new(),
            fields: scope.fields.clone(),
            dates_readable: self.dates_readable(session).await?,
            count: None,
            sent: 0,
            seen: HashSet::new(),
            quarantined: Vec::new(),
        })
    }

    fn take_page(&self, session: &Session<'_>, reading: &mut Reading, page: ListPage) -> Result<Vec<Person>, Fault> {
        let broken = |message: String| session.fault(FaultKind::Protocol, OPERATION, message);
        if reading.page == 0 {
            reading.count = page.count;
            if page.count.is_none() {
                return Err(broken(
                    "Graph did not say how many users there are, so no list of them is whole".to_owned(),
                ));
            }
        }
        if let Some(next) = &page.next
            && !reading.links.insert(next.clone())
        {
            return Err(broken("the list goes round in a circle: Graph sent a link twice".to_owned()));
        }
        reading.next = page.next;
        let now = Timestamp::now();
        let mut items = Vec::with_capacity(page.items.len());
        for user in page.items {
            reading.sent += 1;
            let standing = standing::of(&user, &self.settings.leaving, reading.dates_readable, now);
            match self.settings.fields.person(&user, standing, Some(&reading.fields)) {
                Ok(person) => {
                    if let Some(id) = person.id.as_uuid()
                        && !reading.seen.insert(id)
                    {
                        return Err(broken(format!("user {id} came twice, so somebody else may be missing")));
                    }
                    items.push(person);
                }
                Err(why) => reading.quarantined.push((shown(&user), why)),
            }
        }
        Ok(items)
    }

    /// The list is whole when it agrees with the count, or with one taken now: somebody may have come or gone meanwhile.
    async fn finish(&self, session: &Session<'_>, reading: Reading) -> Result<Census, Fault> {
        if let Some(canary) = self.settings.canary.filter(|canary| !reading.seen.contains(canary)) {
            let message = format!("the canary {canary} is not among the people read, so the list is not believed");
            let help = format!("{NO_CANARY}; a canary must be one of the people (`people.filter`)");
            return Err(session.fault(FaultKind::Denied, OPERATION, message).with_help(help));
        }
        if reading.sent == 0 {
            let message = "Graph answered without an error and showed nobody at all, which is not believed";
            return Err(session.fault(FaultKind::Denied, OPERATION, message).with_help("run `lockstep probe`"));
        }
        if reading.dates_readable && !self.dates_readable(session).await? {
            let message = "the permission to read leave dates was lost while people were read";
            return Err(session.fault(FaultKind::Denied, OPERATION, message));
        }
        let mut total = reading.count.unwrap_or_default();
        if total != reading.sent {
            let ask = Ask::users_count(self.settings.filter.as_deref());
            let page = list_page(session, session.one(&ask).await?, &ask.operation)?;
            total = page.count.unwrap_or(total);
        }
        if total != reading.sent {
            let message = format!("Graph counts {total} users and sent {}; the list is not whole", reading.sent);
            let help = "try again: the index that counts lags behind the directory now and then";
            return Err(session.fault(FaultKind::Protocol, OPERATION, message).with_help(help));
        }
        *self.quarantined.lock().unwrap_or_else(PoisonError::into_inner) = reading.quarantined;
        Ok(Census { sent: reading.sent, server_total: Some(total) })
    }

    /// Whether a leave date would be shown if there were one: the permission is in the token, or the canary shows one.
    pub(crate) async fn dates_readable(&self, session: &Session<'_>) -> Result<bool, Fault> {
        if !self.settings.config.people.leave_date || session.claims().await?.allow(LIFE_CYCLE) == Some(true) {
            return Ok(true);
        }
        let canary = self.see_canary(session).await?;
        Ok(canary.is_some_and(|user| user.get("employeeLeaveDateTime").is_some_and(Value::is_string)))
    }

    /// The canary, seen with the properties that every user has; `None` when none is configured.
    ///
    /// # Errors
    /// [`FaultKind::Denied`] when it is not seen, and so nothing that is not seen may be believed.
    pub(crate) async fn see_canary(&self, session: &Session<'_>) -> Result<Option<Object>, Fault> {
        let Some(canary) = self.settings.canary else { return Ok(None) };
        let answer = session.one(&self.canary_ask(canary)).await;
        judge_canary(session, canary, answer.map_err(|refusal| (refusal.is_not_found(), refusal.into()))).map(Some)
    }

    pub(crate) fn canary_ask(&self, canary: Uuid) -> Ask {
        let select = if self.settings.config.people.leave_date {
            "id,accountEnabled,userPrincipalName,employeeLeaveDateTime"
        } else {
            "id,accountEnabled,userPrincipalName"
        };
        Ask { operation: "look for the canary".to_owned(), ..Ask::user(canary, select) }
    }
}

/// Whether what came for the canary is the canary, shown. The error says whether Graph knows no such object.
pub(crate) fn judge_canary(
    session: &Session<'_>,
    canary: Uuid,
    answer: Result<Value, (bool, Fault)>,
) -> Result<Object, Fault> {
    let unseen = || {
        let message = format!("the canary {canary} is not seen, so nothing that is not seen is believed");
        session.fault(FaultKind::Denied, "look for the canary", message).with_help(NO_CANARY)
    };
    match answer {
        Ok(Value::Object(user)) if id_of(&user) == Some(canary) && standing::is_shown(&user) => Ok(user),
        Ok(_) | Err((true, _)) => Err(unseen()),
        Err((false, fault)) => Err(fault),
    }
}

async fn fetch(session: &Session<'_>, reading: &Reading) -> Result<ListPage, Fault> {
    let body = match &reading.next {
        Some(link) => session.follow(link.clone(), &reading.ask).await?,
        None => session.one(&reading.ask).await?,
    };
    list_page(session, body, OPERATION)
}

/// What a record that is set aside is called.
fn shown(user: &Object) -> String {
    let text = |name: &str| user.get(name).and_then(Value::as_str);
    lockstep_http::quote(text("userPrincipalName").or_else(|| text("id")).unwrap_or("a user without a name"), &[])
}
