//! Requests and their answers: the only place that knows addresses and media types. This module must not decide what an
//! answer means for a cardholder.

use std::sync::Arc;

use lockstep_contract::{Cx, Fault, FaultKind};
use lockstep_http::{Answer, Call, CallFault, Client, Effect, Method, Request, Url, Value};
use serde_json::{Map, json};
use tokio::sync::{OwnedMutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::convert::compact_member;

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

const MEDIA: &str = "application/scim+json";
/// An answer of so many bytes takes milliseconds to take apart.
const LONG: usize = 32 * 1024;
const PATCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// The two kinds of resource that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    Users,
    Groups,
}

impl Resource {
    pub(crate) const fn one(self) -> &'static str {
        match self {
            Self::Users => "user",
            Self::Groups => "group",
        }
    }

    pub(crate) const fn many(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Groups => "groups",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Users => "Users",
            Self::Groups => "Groups",
        }
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ListPage<T> {
    pub(crate) items: Vec<T>,
    pub(crate) total: Option<u64>,
    pub(crate) start: Option<u64>,
    pub(crate) next_cursor: Option<String>,
}

/// One operation of a PATCH.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Op {
    /// `add`, `replace`, `remove`.
    pub(crate) verb: &'static str,
    pub(crate) path: String,
    pub(crate) value: Option<Value>,
}

/// The requests of one call.
#[derive(Debug)]
pub(crate) struct Api<'a> {
    call: Call<'a>,
}

impl<'a> Api<'a> {
    pub(crate) fn begin(client: &'a Client, cx: &'a Cx) -> Self {
        Self { call: client.call(cx) }
    }

    pub(crate) fn system(&self) -> &str {
        self.call.client().system()
    }

    /// Waits until no user of ours is being created, and keeps it so: a list that grows while it is read looks cut.
    pub(crate) async fn still<'l>(&self, arrivals: &'l RwLock<()>) -> Result<RwLockReadGuard<'l, ()>, CallFault> {
        let late = |_| self.late("read all users", "users are being created; nothing was read");
        tokio::time::timeout_at(self.call.deadline(), arrivals.read()).await.map_err(late)
    }

    /// Waits until nobody reads all users, to create one.
    pub(crate) async fn arrival<'l>(&self, arrivals: &'l RwLock<()>) -> Result<RwLockWriteGuard<'l, ()>, CallFault> {
        let late = |_| self.late("create a user", "all users are being read; nothing was sent");
        tokio::time::timeout_at(self.call.deadline(), arrivals.write()).await.map_err(late)
    }

    fn late(&self, operation: &str, message: &str) -> CallFault {
        CallFault::not_sent(self.fault(FaultKind::Unreachable, operation, message))
    }

    /// Waits for the turn of this call, as long as its budget allows.
    pub(crate) async fn turn(
        &self,
        turn: Arc<tokio::sync::Mutex<()>>,
        operation: &str,
    ) -> Result<OwnedMutexGuard<()>, CallFault> {
        tokio::time::timeout_at(self.call.deadline(), turn.lock_owned()).await.map_err(|_| {
            self.late(operation, "other changes of the same record took too long; nothing of this one was sent")
        })
    }

    pub(crate) fn fault(&self, kind: FaultKind, operation: &str, message: impl Into<String>) -> Fault {
        Fault::new(kind, self.system(), operation, message)
    }

    fn url(&self, segments: &[&str], query: &[(&str, String)]) -> Result<Url, CallFault> {
        let mut url = self.call.client().base().clone();
        // The parser drops these two, and the request would go to the list instead of the record.
        if segments.iter().any(|s| matches!(*s, "." | ".." | "")) {
            return Err(self.not_sent("the id of this record cannot stand in an address"));
        }
        url.path_segments_mut()
            .map_err(|()| self.not_sent("the base address has no path"))?
            .pop_if_empty()
            .extend(segments);
        if !query.is_empty() {
            let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
            url.set_query(Some(&pairs.join("&")));
        }
        Ok(url)
    }

    fn not_sent(&self, message: &str) -> CallFault {
        let fault = self.fault(FaultKind::Invalid, "make a request", message);
        CallFault::not_sent(fault)
    }

    /// Reads one of the three documents by which a server describes itself; `None` when it has no such document.
    pub(crate) async fn document(&self, name: &str) -> Result<Option<Value>, CallFault> {
        let answer = self.call.send(Request::get(self.url(&[name], &[])?, MEDIA, format!("read {name}"))).await?;
        match answer.status() {
            404 | 405 | 501 => Ok(None),
            _ => checked(answer)?.json().map(Some),
        }
    }

    /// Reads a page of a list, as `read` takes it apart.
    pub(crate) async fn list<T: Send + 'static>(
        &self,
        resource: Resource,
        query: &[(&str, String)],
        operation: &str,
        read: impl FnOnce(&Answer) -> Result<ListPage<T>, CallFault> + Send + 'static,
    ) -> Result<ListPage<T>, CallFault> {
        let url = self.url(&[resource.path()], query)?;
        let answer = self.call.send(Request::get(url, MEDIA, operation)).await?;
        if answer.status() == 404 {
            // A list can be empty, but it cannot be missing: this is not the place that it was taken for.
            let message = format!("there is no list of {} at this address", resource.many());
            let mut fault = answer.broken(&message);
            fault.fault.help = Some("check `url`: the names of resources are appended to it as they are".to_owned());
            return Err(fault);
        }
        let answer = checked(answer)?;
        if answer.body().len() < LONG {
            return read(&answer);
        }
        self.beside(operation, move || read(&answer)).await?
    }

    /// Does work that takes milliseconds beside: the same thread may be waiting for another system.
    pub(crate) async fn beside<T: Send + 'static>(
        &self,
        operation: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CallFault> {
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => Ok(done),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(self.protocol(operation, "the program ended before the answer was read")),
            },
        }
    }

    /// Reads one record; `None` when the server says positively that it has none of this id.
    pub(crate) async fn get(&self, resource: Resource, id: &str) -> Result<Option<Object>, CallFault> {
        Ok(self.get_tagged(resource, id).await?.map(|(record, _)| record))
    }

    /// As [`get`](Self::get), with the `ETag` of the answer.
    pub(crate) async fn get_tagged(
        &self,
        resource: Resource,
        id: &str,
    ) -> Result<Option<(Object, Option<String>)>, CallFault> {
        let operation = format!("read {} {id}", resource.one());
        let answer = self.call.send(Request::get(self.url(&[resource.path(), id], &[])?, MEDIA, &*operation)).await?;
        if answer.status() == 404 {
            if !is_scim_error(&answer) {
                // Any gateway can say 404. The list of the same kind must be where we think it is.
                self.list(resource, &[("count", "1".to_owned())], &operation, objects).await?;
            }
            return Ok(None);
        }
        let answer = checked(answer)?;
        let object = object(&answer)?;
        match object.get("id").and_then(Value::as_str) {
            Some(found) if found == id => Ok(Some((object, answer.etag().map(str::to_owned)))),
            Some(_) | None => Err(self.protocol(&operation, "the server sent another record than the one asked for")),
        }
    }

    pub(crate) async fn create(&self, user: &Object) -> Result<Answer, CallFault> {
        let body = serde_json::to_vec(user).expect("a JSON value can be written");
        let url = self.url(&[Resource::Users.path()], &[])?;
        self.call.send(request(Method::POST, url, body, "create a user", None)).await
    }

    pub(crate) async fn patch(&self, resource: Resource, id: &str, ops: &[Op]) -> Result<Answer, CallFault> {
        let ops: Vec<Value> = ops
            .iter()
            .map(|op| match &op.value {
                Some(value) => json!({"op": op.verb, "path": op.path, "value": value}),
                None => json!({"op": op.verb, "path": op.path}),
            })
            .collect();
        let body = json!({"schemas": [PATCH_SCHEMA], "Operations": ops}).to_string().into_bytes();
        let url = self.url(&[resource.path(), id], &[])?;
        self.call.send(request(Method::PATCH, url, body, format!("change {} {id}", resource.one()), None)).await
    }

    pub(crate) async fn put(
        &self,
        resource: Resource,
        id: &str,
        record: &Object,
        version: Option<String>,
    ) -> Result<Answer, CallFault> {
        let body = serde_json::to_vec(record).expect("a JSON value can be written");
        let url = self.url(&[resource.path(), id], &[])?;
        self.call.send(request(Method::PUT, url, body, format!("replace {} {id}", resource.one()), version)).await
    }

    pub(crate) fn protocol(&self, operation: &str, message: &str) -> CallFault {
        let fault = self.fault(FaultKind::Protocol, operation, message);
        CallFault::new(Effect::Uncertain, None, fault)
    }
}

fn request(method: Method, url: Url, body: Vec<u8>, operation: impl Into<String>, version: Option<String>) -> Request {
    Request { method, url, operation: operation.into(), media: MEDIA, body: Some(body), if_match: version }
}

/// The answer when it is a success; otherwise the fault, in the words of the SCIM error.
pub(crate) fn checked(answer: Answer) -> Result<Answer, CallFault> {
    if answer.is_success() {
        return Ok(answer);
    }
    let error = answer.json().ok();
    let detail = error.as_ref().and_then(|e| e.get("detail")).and_then(Value::as_str);
    Err(match (detail, scim_type(&answer)) {
        (Some(detail), Some(kind)) => answer.fault(Some(&format!("{kind}: {detail}"))),
        (detail, _) => answer.fault(detail),
    })
}

/// The `scimType` of an error.
pub(crate) fn scim_type(answer: &Answer) -> Option<String> {
    answer.json().ok()?.get("scimType")?.as_str().map(str::to_owned)
}

fn is_scim_error(answer: &Answer) -> bool {
    let Ok(error) = answer.json() else { return false };
    let schema = error.get("schemas").and_then(Value::as_array).is_some_and(|schemas| {
        schemas.iter().filter_map(Value::as_str).any(|s| s.to_ascii_lowercase().ends_with(":error"))
    });
    let status = error.get("status").is_some_and(|s| s.as_str() == Some("404") || s.as_u64() == Some(404));
    schema || status
}

/// The object of an answer.
pub(crate) fn object(answer: &Answer) -> Result<Object, CallFault> {
    object_of(answer, answer.json()?)
}

fn object_of(answer: &Answer, value: Value) -> Result<Object, CallFault> {
    match value {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(answer.broken("the answer is no JSON object"))
        }
    }
}

/// Reads a page of a list, whatever the records are.
pub(crate) fn objects(answer: &Answer) -> Result<ListPage<Object>, CallFault> {
    let mut page = object_of(answer, answer.json_with(&compact_member)?)?;
    let count = |value: Option<&Value>, what: &str| match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            value.as_u64().map(Some).ok_or_else(|| answer.broken(&format!("`{what}` of the list is no whole number")))
        }
    };
    let total = count(take(&mut page, "totalResults").as_ref(), "totalResults")?;
    let start = count(take(&mut page, "startIndex").as_ref(), "startIndex")?;
    let next_cursor = match take(&mut page, "nextCursor") {
        None | Some(Value::Null) => None,
        Some(Value::String(cursor)) => Some(cursor).filter(|c| !c.is_empty()),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            return Err(answer.broken("`nextCursor` of the list is no text"));
        }
    };
    let resources = match take(&mut page, "Resources") {
        Some(Value::Array(resources)) => resources,
        // The standard lets an empty list go without the attribute; then the count has to say that it is empty.
        None | Some(Value::Null) if total == Some(0) => Vec::new(),
        None | Some(Value::Null) if start.is_some() && total.is_some() => Vec::new(),
        Some(_) | None => return Err(answer.broken("the answer is no list: it has no array `Resources`")),
    };
    let items = resources.into_iter().map(|resource| match resource {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(answer.broken("the list holds something that is no object"))
        }
    });
    Ok(ListPage { items: items.collect::<Result<_, _>>()?, total, start, next_cursor })
}

impl<T> ListPage<T> {
    /// The page with every record read.
    pub(crate) fn read<U>(self, read: impl FnMut(T) -> Result<U, CallFault>) -> Result<ListPage<U>, CallFault> {
        let Self { items, total, start, next_cursor } = self;
        let items = items.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(ListPage { items, total, start, next_cursor })
    }
}

/// Takes an attribute out, whatever the case of its name.
fn take(object: &mut Object, name: &str) -> Option<Value> {
    if let Some(value) = object.remove(name) {
        return Some(value);
    }
    let spelling = object.keys().find(|key| key.eq_ignore_ascii_case(name))?.clone();
    object.remove(&spelling)
}

/// Percent-encoding with `%20` for a blank: some servers do not read `+` as one.
fn encode(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>().replace('+', "%20")
}

/// A text as a string in a filter.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_survives_the_address() {
        let filter = format!("userName eq {}", quoted("O\"Neil+a&b=c\\ é"));
        let encoded = encode(&filter);
        assert!(!encoded.contains(['+', '&', '=', ' ', '"', '\\']), "{encoded}");
        let url = Url::parse(&format!("https://pacs.example/Users?filter={encoded}")).expect("url");
        let (_, decoded) = url.query_pairs().next().expect("a pair");
        assert_eq!(decoded, filter);
    }
}
