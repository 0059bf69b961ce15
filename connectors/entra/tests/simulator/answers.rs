//! How Graph answers, with its odd ways: `null` for what is not shown, counts only for those who ask twice, lists of changes
//! that repeat. This module must not make trouble of its own.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::tenant::{Change, Tenant};
use super::wire::{Reply, Request};

/// Who asks, and where links lead.
pub(crate) struct Asking<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) permissions: &'a BTreeSet<String>,
    pub(crate) root: &'a str,
    pub(crate) page_max: usize,
}

/// What arrives when nothing was selected: without the state of the account.
const DEFAULT: [&str; 5] = ["id", "userPrincipalName", "mail", "displayName", "givenName"];
/// Kept elsewhere than in the directory.
const ELSEWHERE: [&str; 3] = ["skills", "birthday", "mailboxSettings"];

impl Asking<'_> {
    fn may(&self, permission: &str) -> bool {
        self.permissions.contains(permission) || self.permissions.contains("Directory.Read.All")
    }

    pub(crate) fn answer(&self, request: &Request) -> Reply {
        let path = request.path();
        let parts: Vec<&str> = path.iter().map(String::as_str).skip(1).collect();
        let id = |at: usize| parts.get(at).and_then(|text| Uuid::try_parse(text).ok());
        match parts.as_slice() {
            ["users", "delta"] => self.delta(request, true),
            ["groups", "delta"] => self.delta(request, false),
            ["users"] => self.users(request),
            ["groups"] => self.groups(request),
            ["users", _] => self.user(request, id(1)),
            ["groups", _] => self.group(request, id(1)),
            ["directory", "deletedItems", _] => self.deleted(id(2)),
            [one] if one.starts_with("applications(") => self.application(one),
            ["users" | "groups", _, "memberOf"] => self.member_of(id(1)),
            ["groups", _, "transitiveMembers"] => self.members(request, id(1), false),
            ["groups", _, "transitiveMembers", "microsoft.graph.user"] => self.members(request, id(1), true),
            _ => Reply::error(400, "Request_BadRequest"),
        }
    }

    fn selected(&self, user: &Map<String, Value>, request: &Request) -> Value {
        let select = request.parameter("$select");
        let names: Vec<String> = match &select {
            Some(select) => select.split(',').map(str::to_owned).collect(),
            None => DEFAULT.map(str::to_owned).to_vec(),
        };
        let mut shown = Map::new();
        for name in names {
            let hidden = (name == "employeeLeaveDateTime" && !self.permissions.contains("User-LifeCycleInfo.Read.All"))
                || (self.tenant.properties_hidden && name != "id");
            let value = if hidden { Value::Null } else { user.get(&name).cloned().unwrap_or_default() };
            shown.insert(name, value);
        }
        Value::Object(shown)
    }

    fn users(&self, request: &Request) -> Reply {
        if !self.may("User.Read.All") {
            return Reply::denied();
        }
        let select = request.parameter("$select").unwrap_or_default();
        if select.split(',').any(|name| ELSEWHERE.contains(&name)) {
            return Reply::error(501, "NotImplemented");
        }
        let counted = match advanced(request, request.parameter("$filter").is_some()) {
            Ok(counted) => counted,
            Err(reply) => return reply,
        };
        let tenant = if counted { self.tenant.indexed() } else { self.tenant };
        let filter = request.parameter("$filter").unwrap_or_default();
        let found: Vec<&Map<String, Value>> =
            tenant.users.values().filter(|user| !self.tenant.blind && fits(user, &filter)).collect();
        let total = found.len();
        let some = self.window(request).map(|(from, size)| {
            found.into_iter().skip(from).take(size).map(|user| self.selected(user, request)).collect()
        });
        self.page_of(request, some, total, counted)
    }

    fn page(&self, request: &Request, items: Vec<Value>, counted: bool) -> Reply {
        let total = items.len();
        let some = self.window(request).map(|(from, size)| items.into_iter().skip(from).take(size).collect());
        self.page_of(request, some, total, counted)
    }

    /// Where a page begins and how long it is; `None` when more is asked for than there is in a page.
    fn window(&self, request: &Request) -> Option<(usize, usize)> {
        let from: usize = request.parameter("$skiptoken").and_then(|text| text.parse().ok()).unwrap_or(0);
        let top: usize = request.parameter("$top").and_then(|text| text.parse().ok()).unwrap_or(100);
        (top <= 999).then(|| (from, top.min(self.page_max)))
    }

    fn page_of(&self, request: &Request, some: Option<Vec<Value>>, total: usize, counted: bool) -> Reply {
        let (Some(some), Some((from, size))) = (some, self.window(request)) else {
            return Reply::error(400, "Request_BadRequest");
        };
        let mut body = json!({"@odata.context": format!("{}/v1.0/$metadata", self.root), "value": some});
        if counted && from == 0 {
            body["@odata.count"] = json!(total);
        }
        if from + size < total {
            let target = without(&request.target, "$skiptoken");
            body["@odata.nextLink"] = json!(format!("{}{target}&$skiptoken={}", self.root, from + size));
        }
        Reply::ok(body)
    }

    fn user(&self, request: &Request, id: Option<Uuid>) -> Reply {
        if !self.may("User.Read.All") {
            return Reply::denied();
        }
        match id.and_then(|id| self.tenant.users.get(&id)).filter(|_| !self.tenant.blind) {
            Some(user) => Reply::ok(self.selected(user, request)),
            None => Reply::not_found(),
        }
    }

    fn application(&self, part: &str) -> Reply {
        if !self.permissions.contains("Application.Read.All") {
            return Reply::denied();
        }
        if part != format!("applications(appId='{}')", super::CLIENT) {
            return Reply::not_found();
        }
        let hint = super::SECRET.get(..3);
        Reply::ok(json!({"passwordCredentials": [{"hint": hint, "endDateTime": self.tenant.secret_ends}]}))
    }

    fn deleted(&self, id: Option<Uuid>) -> Reply {
        if !self.may("User.Read.All") {
            return Reply::denied();
        }
        match id.and_then(|id| self.tenant.deleted.get(&id)).filter(|_| !self.tenant.blind) {
            Some(user) => Reply::ok(json!({"@odata.type": "#microsoft.graph.user", "id": user["id"],
                "deletedDateTime": user["deletedDateTime"]})),
            None => Reply::not_found(),
        }
    }

    fn groups(&self, request: &Request) -> Reply {
        if !self.may("GroupMember.Read.All") {
            return Reply::denied();
        }
        if let Err(reply) = advanced(request, true) {
            return reply;
        }
        let filter = request.parameter("$filter").unwrap_or_default();
        let groups = self.tenant.groups.values().filter(|group| fits(&group.properties, &filter));
        let items =
            groups.map(|group| json!({"id": group.properties["id"], "displayName": group.properties["displayName"]}));
        self.page(request, items.collect(), true)
    }

    fn group(&self, request: &Request, id: Option<Uuid>) -> Reply {
        match self.readable(id) {
            Ok(id) => {
                let group = &self.tenant.groups[&id];
                let select = request.parameter("$select").unwrap_or_default();
                let names = select.split(',').map(str::to_owned);
                Reply::ok(
                    names
                        .map(|name| (name.clone(), group.properties.get(&name).cloned().unwrap_or_default()))
                        .collect(),
                )
            }
            Err(reply) => reply,
        }
    }

    fn readable(&self, id: Option<Uuid>) -> Result<Uuid, Reply> {
        if !self.may("GroupMember.Read.All") && !self.permissions.contains("Group.Read.All") {
            return Err(Reply::denied());
        }
        let id = id.filter(|id| self.tenant.groups.contains_key(id)).ok_or_else(Reply::not_found)?;
        if self.tenant.denied.contains(&id) { Err(Reply::denied()) } else { Ok(id) }
    }

    fn members(&self, request: &Request, id: Option<Uuid>, cast: bool) -> Reply {
        let id = match self.readable(id) {
            Ok(id) => id,
            Err(reply) => return reply,
        };
        let counted = match advanced(request, cast) {
            Ok(counted) => counted,
            Err(reply) => return reply,
        };
        let tenant = if counted { self.tenant.indexed() } else { self.tenant };
        let found = if self.tenant.blind { BTreeSet::new() } else { tenant.transitive(id, self.permissions) };
        let is_user = |id: &Uuid| tenant.users.contains_key(id);
        let items = found.into_iter().filter(|id| !cast || is_user(id)).map(|id| {
            let mut item = match tenant.users.get(&id) {
                Some(user) if self.may("User.Read.All") => self.selected(user, request),
                _ => json!({"id": id, "accountEnabled": null, "userPrincipalName": null}),
            };
            if !cast {
                item["@odata.type"] = json!(tenant.kind(id));
            }
            item
        });
        self.page(request, items.collect(), counted)
    }

    fn member_of(&self, id: Option<Uuid>) -> Reply {
        let Some(id) = id else { return Reply::not_found() };
        let above = self.tenant.groups.values().filter(|group| group.members.contains(&id));
        let shown = above.filter(|group| {
            let hidden = group.properties["visibility"] == json!("HiddenMembership");
            !hidden || self.permissions.contains("Member.Read.Hidden")
        });
        let items: Vec<Value> = shown
            .map(|group| {
                json!({"@odata.type": "#microsoft.graph.group", "id": group.properties["id"],
                "displayName": group.properties["displayName"]})
            })
            .chain([json!({"@odata.type": "#microsoft.graph.directoryRole", "id": Uuid::from_u128(0xd1)})])
            .collect();
        Reply::ok(json!({"value": items}))
    }

    /// The links are what was reached, and where the page begins: `at-from`. Pages are small, the first is empty, every
    /// entry comes twice, and the last comes first.
    fn delta(&self, request: &Request, users: bool) -> Reply {
        if request.parameter("$top").is_some() || request.parameter("$expand").is_some() {
            return Reply::error(400, "Request_UnsupportedQuery");
        }
        if let Some(status) = self.tenant.links_forgotten
            && request.parameter("$deltatoken").as_deref() != Some("latest")
        {
            let code = if status == 410 { "resyncRequired" } else { "syncStateNotFound" };
            return Reply::error(status, code);
        }
        let kind = if users { "users" } else { "groups" };
        let now = self.tenant.changes.len();
        let delta_link = format!("{}/v1.0/{kind}/delta?$deltatoken={now}", self.root);
        let token = request.parameter("$deltatoken").or_else(|| request.parameter("$skiptoken")).unwrap_or_default();
        if token == "latest" {
            return Reply::ok(json!({"value": [], "@odata.deltaLink": delta_link}));
        }
        let (since, from) = match token.split_once('-') {
            Some((since, from)) => (since.to_owned(), from.parse::<usize>().ok()),
            None => (token, None),
        };
        let since: usize = since.parse().unwrap_or(0);
        let mut items: Vec<Value> = self.tenant.changes[since.min(now)..]
            .iter()
            .filter_map(|change| match (change, users) {
                (Change::User(item), true) | (Change::Group(item), false) => Some(item.clone()),
                _ => None,
            })
            .rev()
            .collect();
        items.extend(items.clone());
        let next = |from: usize| json!(format!("{}/v1.0/{kind}/delta?$skiptoken={since}-{from}", self.root));
        let Some(from) = from else { return Reply::ok(json!({"value": [], "@odata.nextLink": next(0)})) };
        let some: Vec<Value> = items.iter().skip(from).take(2).cloned().collect();
        let mut body = json!({"value": some});
        if from + 2 < items.len() {
            body["@odata.nextLink"] = next(from + 2);
        } else {
            body["@odata.deltaLink"] = json!(delta_link);
        }
        Reply::ok(body)
    }
}

/// An advanced query needs the header and the parameter, on every page.
fn advanced(request: &Request, needed: bool) -> Result<bool, Reply> {
    let header = request.header("consistencylevel") == Some("eventual");
    let parameter = request.parameter("$count").as_deref() == Some("true");
    match (header, parameter) {
        (true, true) => Ok(true),
        (false, false) if !needed => Ok(false),
        _ => Err(Reply::error(400, "Request_UnsupportedQuery")),
    }
}

/// A request target without one parameter.
pub(crate) fn without(target: &str, name: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let start = format!("{name}=");
    let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with(&start)).collect();
    format!("{path}?{}", rest.join("&"))
}

/// As much of a filter as the connector uses: `a eq 'b'` and `a ne 'b'`, joined by `and`.
fn fits(object: &Map<String, Value>, filter: &str) -> bool {
    filter.split(" and ").map(|part| part.trim_matches(['(', ')'])).filter(|part| !part.is_empty()).all(|part| {
        let mut words = part.splitn(3, ' ');
        let (name, operator, text) = (words.next(), words.next(), words.next());
        let value = name
            .and_then(|name| {
                name.split('/').try_fold(None, |at: Option<&Value>, key| match at {
                    None => object.get(key).map(Some),
                    Some(value) => value.get(key).map(Some),
                })
            })
            .flatten()
            .and_then(Value::as_str);
        let wanted = text.unwrap_or_default().trim_matches('\'').replace("''", "'");
        let same = value.is_some_and(|value| value.eq_ignore_ascii_case(&wanted));
        if operator == Some("ne") { !same } else { same }
    })
}
