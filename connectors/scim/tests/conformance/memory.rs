//! A small SCIM server in memory, in as many dialects as servers are met in. This module must not know the connector.

use serde_json::{Map, Value, json};

use crate::wire::{Reply, Request};

/// How a server differs from the standard.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "each is one way in which servers differ")]
pub(crate) struct Dialect {
    /// Knows PATCH.
    pub(crate) patch: bool,
    /// Has versions, and refuses a write to an old one.
    pub(crate) etag: bool,
    /// Knows filters.
    pub(crate) filter: bool,
    /// Says at a user in which groups it is.
    pub(crate) user_groups: bool,
    /// Pages by cursor.
    pub(crate) cursor: bool,
    /// Leaves the members of groups out of lists.
    pub(crate) bare_lists: bool,
    /// Has a `ServiceProviderConfig`.
    pub(crate) describes: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            patch: true,
            etag: false,
            filter: true,
            user_groups: false,
            cursor: false,
            bare_lists: false,
            describes: true,
        }
    }
}

/// The server.
pub(crate) struct Memory {
    dialect: Dialect,
    token: String,
    users: Vec<Value>,
    groups: Vec<Value>,
    writes: u64,
}

impl Memory {
    pub(crate) fn new(dialect: Dialect, token: &str) -> Self {
        Self { dialect, token: format!("Bearer {token}"), users: Vec::new(), groups: Vec::new(), writes: 0 }
    }

    pub(crate) fn answer(&mut self, request: &Request) -> Reply {
        if request.token.as_deref() != Some(&self.token) {
            return error(401, "", "no such token");
        }
        let url = request.url();
        let path: Vec<&str> = url.path().trim_start_matches("/scim/v2").trim_matches('/').split('/').collect();
        let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        match (request.method.as_str(), path.as_slice()) {
            ("GET", ["ServiceProviderConfig"]) if self.dialect.describes => Reply::json(200, &self.description()),
            ("GET", ["ResourceTypes"]) if self.dialect.describes => Reply::json(200, &resource_types()),
            ("GET", [kind @ ("Users" | "Groups")]) => self.list(request, kind),
            ("POST", [kind @ ("Users" | "Groups")]) => self.create(kind, body),
            (method, [kind @ ("Users" | "Groups"), id]) => self.one(method, kind, id, &body, request),
            _ => error(404, "", "no such resource"),
        }
    }

    fn description(&self) -> Value {
        let supported = |it: bool| json!({ "supported": it });
        let mut description = json!({
            "patch": supported(self.dialect.patch), "filter": {"supported": self.dialect.filter, "maxResults": 10},
            "etag": supported(self.dialect.etag), "sort": supported(false), "bulk": supported(false),
        });
        if self.dialect.cursor {
            description["pagination"] = json!({"cursor": true, "index": false, "defaultPaginationMethod": "cursor"});
        }
        description
    }

    fn records(&mut self, kind: &str) -> &mut Vec<Value> {
        if kind == "Users" { &mut self.users } else { &mut self.groups }
    }

    fn shown(&self, kind: &str, record: &Value) -> Value {
        let mut shown = record.clone();
        if kind == "Users" && self.dialect.user_groups {
            let id = record["id"].as_str().unwrap_or_default();
            let groups: Vec<Value> =
                self.groups.iter().filter(|g| has_member(g, id)).map(|g| json!({"value": g["id"]})).collect();
            shown["groups"] = groups.into();
        }
        shown
    }

    fn list(&mut self, request: &Request, kind: &str) -> Reply {
        let filter = request.parameter("filter");
        if filter.is_some() && !self.dialect.filter {
            return error(400, "invalidFilter", "filters are not supported");
        }
        let all: Vec<Value> = self.records(kind).clone();
        let mut found: Vec<Value> = match filter.map(|f| Filter::parse(&f)) {
            Some(None) => return error(400, "invalidFilter", "cannot read this filter"),
            Some(Some(filter)) => all.into_iter().filter(|record| filter.lets(record)).collect(),
            None => all,
        };
        let total = found.len();
        let number = |name: &str| request.parameter(name).and_then(|n| n.parse::<usize>().ok());
        let cursor =
            request.parameter("cursor").map(|c| c.strip_prefix("at-").and_then(|n| n.parse().ok()).unwrap_or(1));
        let start = cursor.or_else(|| number("startIndex")).unwrap_or(1).max(1);
        let count = number("count").unwrap_or(10).min(10);
        found = found.into_iter().skip(start - 1).take(count).collect();
        let mut items: Vec<Value> = found.iter().map(|record| self.shown(kind, record)).collect();
        let bare = self.dialect.bare_lists || request.parameter("excludedAttributes").as_deref() == Some("members");
        for item in items.iter_mut().filter_map(Value::as_object_mut).filter(|_| bare && kind == "Groups") {
            item.remove("members");
        }
        let next = start + items.len();
        let mut page = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": total, "Resources": items});
        match cursor {
            Some(_) if next <= total => page["nextCursor"] = format!("at-{next}").into(),
            Some(_) => {}
            None => page["startIndex"] = start.into(),
        }
        Reply::json(200, &page)
    }

    fn create(&mut self, kind: &str, mut record: Value) -> Reply {
        let name = record["userName"].as_str().unwrap_or_default().to_lowercase();
        let taken = |user: &Value| user["userName"].as_str().is_some_and(|n| n.to_lowercase() == name);
        if kind == "Users" && (name.is_empty() || self.users.iter().any(taken)) {
            return error(409, "uniqueness", "this userName is taken");
        }
        self.writes += 1;
        record["id"] = format!("{}-{:06x}", &kind[..1].to_lowercase(), self.writes).into();
        record["meta"] = json!({"version": format!("W/\"{}\"", self.writes)});
        self.records(kind).push(record.clone());
        Reply::json(201, &record)
    }

    fn one(&mut self, method: &str, kind: &str, id: &str, body: &Value, request: &Request) -> Reply {
        let Some(at) = self.records(kind).iter().position(|record| record["id"] == id) else {
            return error(404, "", "no such record");
        };
        let old = self.records(kind)[at].clone();
        let stale = request.if_match.as_deref().is_some_and(|version| old["meta"]["version"] != version);
        if self.dialect.etag && stale {
            return error(412, "", "another version");
        }
        let mut new = match method {
            "GET" => return Reply::json(200, &self.shown(kind, &old)),
            "PUT" => body.clone(),
            "PATCH" if self.dialect.patch => match patched(old, body) {
                Ok(new) => new,
                Err(reply) => return reply,
            },
            _ => return error(405, "", "not here"),
        };
        self.writes += 1;
        new["id"] = id.into();
        new["meta"] = json!({"version": format!("W/\"{}\"", self.writes)});
        self.records(kind)[at] = new;
        Reply { status: 204, headers: Vec::new(), body: Vec::new() }
    }
}

fn error(status: u16, kind: &str, detail: &str) -> Reply {
    let schema = "urn:ietf:params:scim:api:messages:2.0:Error";
    let mut body = json!({"schemas": [schema], "status": status.to_string(), "detail": detail});
    if !kind.is_empty() {
        body["scimType"] = kind.into();
    }
    Reply::json(status, &body)
}

fn resource_types() -> Value {
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    json!({"totalResults": 2, "Resources": [
        {"id": "User", "endpoint": "/Users", "schemaExtensions": [{"schema": enterprise, "required": false}]},
        {"id": "Group", "endpoint": "/Groups"},
    ]})
}

fn has_member(group: &Value, id: &str) -> bool {
    group["members"].as_array().into_iter().flatten().any(|member| member["value"] == id)
}

/// `attribute eq "text"`, nothing more.
struct Filter {
    path: Vec<String>,
    value: String,
}

impl Filter {
    fn parse(text: &str) -> Option<Self> {
        let (attribute, value) = text.split_once(" eq ")?;
        let value = serde_json::from_str(value).ok()?;
        Some(Self { path: path_of(attribute), value })
    }

    fn lets(&self, record: &Value) -> bool {
        let mut values = vec![record];
        for name in &self.path {
            values = values.into_iter().flat_map(|v| flat(&v[name.as_str()])).collect();
        }
        let exact = self.path.last().is_some_and(|name| name == "externalId" || name == "value");
        values
            .iter()
            .filter_map(|v| v.as_str())
            .any(|text| if exact { text == self.value } else { text.to_lowercase() == self.value.to_lowercase() })
    }
}

fn flat(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        other => vec![other],
    }
}

fn path_of(attribute: &str) -> Vec<String> {
    match attribute.rsplit_once(':') {
        Some((schema, name)) => vec![schema.to_owned(), name.to_owned()],
        None => attribute.split('.').map(str::to_owned).collect(),
    }
}

fn patched(mut record: Value, body: &Value) -> Result<Value, Reply> {
    for op in body["Operations"].as_array().into_iter().flatten() {
        let path = op["path"].as_str().unwrap_or_default();
        match (op["op"].as_str().unwrap_or_default(), path) {
            ("add", "members") => {
                for member in op["value"].as_array().into_iter().flatten() {
                    let id = member["value"].as_str().unwrap_or_default();
                    if !has_member(&record, id) {
                        push(&mut record, member.clone());
                    }
                }
            }
            ("remove", path) if path.starts_with("members[") => {
                let inner = path.trim_start_matches("members[").trim_end_matches(']');
                let Some(filter) = Filter::parse(inner) else { return Err(error(400, "invalidPath", "cannot read")) };
                if !has_member(&record, &filter.value) {
                    return Err(error(400, "noTarget", "nobody to remove"));
                }
                if let Some(members) = record["members"].as_array_mut() {
                    members.retain(|member| member["value"] != filter.value);
                }
            }
            ("replace" | "add", path) => *slot(&mut record, path) = op["value"].clone(),
            ("remove", path) => *slot(&mut record, path) = Value::Null,
            _ => return Err(error(400, "invalidSyntax", "no such operation")),
        }
    }
    Ok(record)
}

fn push(record: &mut Value, member: Value) {
    match record["members"].as_array_mut() {
        Some(members) => members.push(member),
        None => record["members"] = json!([member]),
    }
}

fn slot<'a>(record: &'a mut Value, path: &str) -> &'a mut Value {
    path_of(path).into_iter().fold(record, |place, name| {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        &mut place[name.as_str()]
    })
}
