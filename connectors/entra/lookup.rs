//! Single people: by key, and by immutable id with a proof when they are gone.

use jiff::Timestamp;
use lockstep_contract::{CorrelationKey, Cx, Fault, FaultKind, KeyKind, Person, PersonId, Presence, Proof};
use lockstep_http::Value;
use uuid::Uuid;

use crate::Entra;
use crate::api::{Ask, Object, id_of, list_page, literal};
use crate::convert::to_anchor;
use crate::graph::{Priority, Refusal, Session};
use crate::people::judge_canary;
use crate::standing;

const OPERATION: &str = "look somebody up";

impl Entra {
    /// The people with this key, whatever their standing.
    pub(crate) async fn find_people(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Person>, Fault> {
        let session = Session::begin(&self.graph, cx, Priority::High);
        let operation = format!("find {}", key.kind());
        let select = self.select_all();
        let mut people = Vec::new();
        let dates_readable = self.dates_readable(&session).await?;
        let filter = if key.kind() == KeyKind::Directory {
            let id = Uuid::try_parse(key.value())
                .map_err(|_| session.fault(FaultKind::Invalid, &operation, "this is no object id"))?;
            match session.one(&Ask::user(id, &select)).await {
                Ok(body) => people.push(self.person_of(&session, body, dates_readable)?),
                Err(refusal) if refusal.is_not_found() => {}
                Err(refusal) => return Err(refusal.into()),
            }
            // The id that the same person has in Active Directory.
            format!("onPremisesImmutableId eq {}", literal(&to_anchor(id)))
        } else {
            let property = self.settings.fields.filter_name(key.kind()).ok_or_else(|| {
                let message = format!("no property of this directory holds {} keys", key.kind());
                session.fault(FaultKind::Unsupported, &operation, message)
            })?;
            format!("{property} eq {}", literal(key.value()))
        };
        let ask = Ask::users_where(&select, &filter, &*operation);
        let page = list_page(&session, session.one(&ask).await?, &operation)?;
        if page.count != Some(page.items.len() as u64) {
            let message = "Graph did not send as many users as it counts, or did not count them";
            return Err(session.fault(FaultKind::Protocol, &operation, message));
        }
        for user in page.items {
            people.push(self.person_of(&session, Value::Object(user), dates_readable)?);
        }
        // Graph compares by rules of its own; a key is exact.
        people.retain(|person| person.keys.contains(key));
        people.sort_by(|one, other| one.id.cmp(&other.id));
        people.dedup_by(|one, other| one.id == other.id);
        if people.is_empty() {
            // Nobody found means something only to somebody who can see.
            self.see_canary(&session).await?;
        }
        Ok(people)
    }

    fn select_all(&self) -> String {
        self.settings.fields.select(None, self.settings.config.people.leave_date)
    }

    fn person_of(&self, session: &Session<'_>, body: Value, dates_readable: bool) -> Result<Person, Fault> {
        let broken = |message: String| session.fault(FaultKind::Protocol, "read one person", message);
        let Value::Object(user) = body else { return Err(broken("the answer is no user".to_owned())) };
        let standing = standing::of(&user, &self.settings.leaving, dates_readable, Timestamp::now());
        let person = self.settings.fields.person(&user, standing, None);
        person.map_err(|why| broken(format!("the record cannot be understood: {why}")))
    }

    /// The person with this immutable id, or a proof that there is none any more. All that is needed for the proof is
    /// asked in one request: directly, among the deleted, in the index, and the canary.
    pub(crate) async fn look_up(&self, cx: &Cx, id: &PersonId) -> Result<Presence, Fault> {
        let session = Session::begin(&self.graph, cx, Priority::High);
        session.check(OPERATION)?;
        let Some(uuid) = id.as_uuid() else {
            return Err(session.fault(FaultKind::Invalid, OPERATION, format!("`{id}` is no object id of this tenant")));
        };
        // Before and after: the token may be renewed in between, and a date be hidden by either.
        let dates_readable = self.dates_readable(&session).await?;
        let mut asks = vec![Ask::user(uuid, &self.select_all()), Ask::deleted(uuid), Ask::user_in_index(uuid)];
        asks.extend(self.settings.canary.map(|canary| self.canary_ask(canary)));
        let mut answers = session.many(&asks, OPERATION).await.into_iter();
        let mut next = || {
            let lost = || Err(session.fault(FaultKind::Protocol, OPERATION, "a question got lost").into());
            answers.next().unwrap_or_else(lost)
        };
        let (direct, deleted, index) = (next(), next(), next());
        let canary = self.settings.canary.map(|canary| (canary, next()));
        match direct {
            Ok(Value::Object(user)) if id_of(&user) == Some(uuid) => {
                let dates_readable = dates_readable && self.dates_readable(&session).await?;
                let person = self.person_of(&session, Value::Object(user), dates_readable)?;
                return Ok(Presence::Present(Box::new(person)));
            }
            Ok(_) => return Err(session.fault(FaultKind::Protocol, OPERATION, "Graph answered with somebody else")),
            Err(refusal) if refusal.is_not_found() => {}
            Err(refusal) => return Err(in_doubt(&session, refusal)),
        }
        match deleted {
            Ok(Value::Object(item)) if is_deleted(&item, uuid) => return Ok(Presence::Gone(Proof::DeletedItem)),
            Ok(_) => {
                let message = format!("{id} is not seen, and what is among the deleted does not show what it is");
                return Err(session.fault(FaultKind::Denied, OPERATION, message));
            }
            Err(refusal) if refusal.is_not_found() => {}
            Err(refusal) => return Err(in_doubt(&session, refusal)),
        }
        proof_by_absence(&session, id, index, canary)
    }
}

/// Nobody by the direct path, nobody among the deleted: purged, or not seen. Two paths and the canary tell.
fn proof_by_absence(
    session: &Session<'_>,
    id: &PersonId,
    index: Result<Value, Refusal>,
    canary: Option<(Uuid, Result<Value, Refusal>)>,
) -> Result<Presence, Fault> {
    let page = list_page(session, index.map_err(|refusal| in_doubt(session, refusal))?, OPERATION)?;
    if page.count != Some(0) || !page.items.is_empty() {
        let message = format!("{id} is not found, but the index still knows it: one of the two lags behind");
        return Err(session.fault(FaultKind::Unreachable, OPERATION, message));
    }
    let Some((canary, answer)) = canary else {
        let message = format!("{id} is not seen, and without a canary that does not prove that it is gone");
        let help = "set `canary` to the object id of a user who never leaves";
        return Err(session.fault(FaultKind::Denied, OPERATION, message).with_help(help));
    };
    let answer = answer.map_err(|refusal| (refusal.is_not_found(), refusal.into()));
    judge_canary(session, canary, answer)?;
    Ok(Presence::Gone(Proof::NotFound { canary: canary.to_string() }))
}

fn is_deleted(item: &Object, id: Uuid) -> bool {
    id_of(item) == Some(id) && item.get("deletedDateTime").is_some_and(Value::is_string)
}

/// `Not found` that is not Graph's own word is doubt, and doubt is never said as missing.
fn in_doubt(session: &Session<'_>, refusal: Refusal) -> Fault {
    let mut fault = *refusal.fault;
    if fault.kind == FaultKind::Missing {
        fault.kind = FaultKind::Protocol;
        fault.help = Some(format!("something between here and {} answered in its place", session.system()));
    }
    fault
}
