//! Which request gets which answer: the gates in their order (version, licence, session), then the paths.

use lockstep_conformance::Trouble;
use lockstep_simulator::{Purpose, Reply, Request};
use serde_json::{Value, json};

use super::filter;
use super::state::State;
use super::table::{Row, Table};
use super::writes;
use super::{APPLICATION_ID, BASE, PASSWORD, USER_NAME};

pub(super) fn refused(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"error": {"code": code, "message": message}, "version": "1.0"}))
}

fn bad_item(name: &str) -> Reply {
    let message = format!("The property {name} did not exist or contained an invalid value.");
    refused(400, "openaccess.general.invalidrequestitem", &message)
}

/// A parameter of the query, or of the body of a request that has one.
fn parameter(request: &Request, name: &str) -> Option<String> {
    request.parameter(name).or_else(|| {
        let json = request.json();
        let value = json.get(name)?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    })
}

fn path(request: &Request) -> &str {
    request.path().strip_prefix(BASE).unwrap_or_default()
}

pub(super) fn purpose(request: &Request) -> Purpose {
    let type_name = request.parameter("type_name").unwrap_or_default();
    match (request.method.as_str(), path(request)) {
        ("GET", "/instances") => match type_name.as_str() {
            "Lnl_Cardholder" => match request.parameter("filter") {
                None => Purpose::List,
                Some(filter) if filter.starts_with("ID=") => Purpose::Read,
                Some(_) => Purpose::Search,
            },
            "Lnl_Badge" | "Lnl_AccessLevelAssignment" => Purpose::Read,
            _ => Purpose::Catalog,
        },
        (_, "/instances" | "/property_bulk_update" | "/execute_method") => Purpose::Write,
        (_, "/authentication" | "/keepalive" | "/session" | "/version" | "/directories") => Purpose::Session,
        (_, path) if path.starts_with("/queue/") => Purpose::Read,
        _ => Purpose::Catalog,
    }
}

pub(super) fn answer(state: &mut State, request: &Request, trouble: Option<Trouble>) -> Reply {
    match trouble {
        Some(Trouble::Deny) => {
            return refused(403, "openaccess.general.permissiondenied", "You do not have permission to do this.");
        }
        Some(Trouble::Unauthenticated) => return no_session(),
        Some(Trouble::Throttle) => {
            let wait = Trouble::THROTTLE_WAIT.as_secs().to_string();
            return refused(429, "openaccess.general.toomanyrequests", "Too many requests.")
                .header("Retry-After", wait);
        }
        Some(Trouble::Refuse) => return bad_item("STATUS"),
        Some(_) | None => {}
    }
    if request.parameter("version").as_deref() != Some("1.0") {
        return bad_item("version");
    }
    let path = path(request).to_owned();
    let open = matches!((request.method.as_str(), path.as_str()), ("GET", "/version" | "/directories"));
    if !state.licensed || request.header("application-id") != Some(APPLICATION_ID) {
        let message = "You are not licensed for OpenAccess.";
        return refused(401, "openaccess.general.invalidapplicationid", message);
    }
    let login = (request.method.as_str(), path.as_str()) == ("POST", "/authentication");
    let known = request.header("session-token").is_some_and(|token| state.sessions.contains(token));
    if !open && !login && !known {
        return no_session();
    }
    let queued = path == "/instances" && (state.queues_all || parameter(request, "queue").as_deref() == Some("true"));
    let reply = routed(state, request, &path, trouble);
    if queued { into_queue(state, &reply) } else { reply }
}

fn no_session() -> Reply {
    refused(401, "openaccess.general.invalidsession", "The session is not valid.")
}

fn into_queue(state: &mut State, reply: &Reply) -> Reply {
    let id = state.queue.len() as u64 + 1;
    state.queue.insert(id, (0, serde_json::from_slice(&reply.body).unwrap_or_default()));
    Reply::json(202, &json!({"id": id.to_string(), "status": "pending", "version": "1.0"}))
}

fn from_queue(state: &mut State, id: &str) -> Reply {
    let polls = state.polls;
    let Some((asked, result)) = id.parse().ok().and_then(|id: u64| state.queue.get_mut(&id)) else {
        return refused(404, "openaccess.queue.notfound", "There is no such task.");
    };
    *asked += 1;
    if *asked <= polls {
        return Reply::json(200, &json!({"id": id, "status": "pending", "version": "1.0"}));
    }
    Reply::json(200, &json!({"id": id, "status": "complete", "response": result, "version": "1.0"}))
}

fn routed(state: &mut State, request: &Request, path: &str, trouble: Option<Trouble>) -> Reply {
    match (request.method.as_str(), path) {
        ("GET", "/version") => {
            Reply::json(200, &json!({"product_name": "OnGuard 7.6", "product_version": "7.6.001", "version": "1.0"}))
        }
        ("GET", "/directories") => {
            let own = json!({"property_value_map": {"ID": "id-1", "Name": "<Internal>", "DirectoryType": 1}});
            Reply::json(200, &json!({"version": "1.0", "item_list": [own]}))
        }
        ("POST", "/authentication") => log_on(state, &request.json()),
        ("DELETE", "/authentication") => {
            state.sessions.remove(request.header("session-token").unwrap_or_default());
            Reply::json(200, &json!({"version": "1.0"}))
        }
        ("GET", "/keepalive") => {
            Reply::json(200, &json!({"token_expiration_time": "2099-01-01T00:00:00Z", "version": "1.0"}))
        }
        ("GET", "/session") => Reply::json(200, &json!({"user_name": USER_NAME, "version": "1.0"})),
        ("GET", "/type") => {
            let name = request.parameter("type_name").unwrap_or_default();
            state.table(&name).map_or_else(|| bad_item("type_name"), |table| Reply::json(200, &table.of.described()))
        }
        ("GET", "/settings/cardholder") => Reply::json(200, &state.limits.shown()),
        ("GET", "/instances") => page(state, request, trouble),
        (method @ ("POST" | "PUT" | "DELETE"), "/instances") => writes::write(state, method, &request.json()),
        (_, "/property_bulk_update") => {
            state.bulk_updates += 1;
            refused(403, "openaccess.general.permissiondenied", "You do not have permission to do this.")
        }
        ("GET", path) if path.starts_with("/queue/") => from_queue(state, path.trim_start_matches("/queue/")),
        _ => refused(404, "openaccess.general.notfound", "There is nothing at this address."),
    }
}

fn log_on(state: &mut State, body: &Value) -> Reply {
    let says = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let known = says("user_name") == USER_NAME && says("password") == PASSWORD && says("directory_id") == "id-1";
    if !known || !state.password_works {
        return refused(401, "openaccess.authentication.invalidcredentials", "The user name or password is not valid.");
    }
    state.sessions_made += 1;
    let token = format!("simulated-session-{}", state.sessions_made);
    state.sessions.insert(token.clone());
    let body = json!({"session_token": token, "token_expiration_time": "2099-01-01T00:00:00Z", "version": "1.0"});
    Reply::json(200, &body)
}

fn page(state: &mut State, request: &Request, trouble: Option<Trouble>) -> Reply {
    let page_size_max = state.page_size_max;
    let name = request.parameter("type_name").unwrap_or_default();
    let Some(table) = state.tables.get_mut(name.as_str()) else { return bad_item("type_name") };
    let number = |name: &str, default: u64| request.parameter(name).map_or(Some(default), |text| text.parse().ok());
    let (Some(asked), Some(size)) = (number("page_number", 1), number("page_size", 20)) else {
        return bad_item("page_number");
    };
    if asked == 0 || size == 0 {
        return bad_item("page_size");
    }
    if request.parameter("order_by").is_some_and(|order| table.of.property(&order).is_none()) {
        return bad_item("order_by");
    }
    let conditions = match request.parameter("filter").map(|text| filter::parsed(&text)) {
        None => Vec::new(),
        Some(Ok(conditions)) => conditions,
        Some(Err(_)) => return bad_item("filter"),
    };
    if conditions.iter().any(|condition| table.of.property(&condition.property).is_none()) {
        return bad_item("filter");
    }
    listed(table, &conditions, asked, size.min(page_size_max), trouble)
}

fn listed(
    table: &mut Table,
    conditions: &[filter::Condition],
    asked: u64,
    size: u64,
    trouble: Option<Trouble>,
) -> Reply {
    let shown = if trouble == Some(Trouble::RepeatedPage) { 1 } else { asked };
    let small = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let (skip, take) = (small((shown - 1).saturating_mul(size)), small(size));
    let (total, mut items): (usize, Vec<Value>) = if conditions.is_empty() || trouble == Some(Trouble::IgnoredFilter) {
        let (total, rows) = table.page(skip, take);
        let rows: Vec<Row> = rows.into_iter().cloned().collect();
        (total, rows.iter().map(|row| item(table, row)).collect())
    } else {
        let rows = table.matching(conditions);
        (rows.len(), rows.iter().skip(skip).take(take).map(|row| item(table, row)).collect())
    };
    let pages = (total as u64).div_ceil(size);
    if trouble == Some(Trouble::ShortList) && asked >= pages {
        items.pop();
    }
    Reply::json(
        200,
        &json!({"version": "1.0", "type_name": table.of.name, "count": items.len(), "page_number": asked,
            "page_size": size, "total_items": total, "total_pages": pages, "item_list": items}),
    )
}

fn item(table: &Table, row: &Row) -> Value {
    json!({"property_value_map": table.shown(row)})
}
