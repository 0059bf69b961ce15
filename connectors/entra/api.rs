//! What is asked of Graph, and how its lists are written: the only place that knows paths, parameters and costs. This
//! module must not send, and must not decide what an answer means.

use lockstep_contract::{Fault, FaultKind};
use lockstep_http::{Url, Value};
use serde_json::Map;
use uuid::Uuid;

use crate::graph::Session;

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// One read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    /// Below the version: `/users?…`.
    pub(crate) path: String,
    /// What it costs, in resource units.
    pub(crate) units: u32,
    /// Answered from the index that can count; Graph does not remember this from page to page.
    pub(crate) eventual: bool,
    /// What we are doing, for faults.
    pub(crate) operation: String,
}

/// A page of a list, as Graph sent it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ListPage {
    pub(crate) items: Vec<Object>,
    /// Where the list goes on.
    pub(crate) next: Option<Url>,
    /// Where changes from now on are asked for.
    pub(crate) delta: Option<Url>,
    /// How many there are in all; on the first page only.
    pub(crate) count: Option<u64>,
}

/// What a group is called and how it works.
pub(crate) const GROUP_SELECT: &str =
    "id,displayName,securityEnabled,groupTypes,visibility,membershipRule,membershipRuleProcessingState";
/// What is needed of each member: who it is, and whether its properties are shown at all.
const MEMBER_SELECT: &str = "id,accountEnabled,userPrincipalName";
/// The properties of a user whose change makes somebody worth looking at, beside those that are mapped.
pub(crate) const USER_TYPE: &str = "#microsoft.graph.user";
pub(crate) const GROUP_TYPE: &str = "#microsoft.graph.group";

impl Ask {
    pub(crate) fn new(path: String, units: u32, operation: impl Into<String>) -> Self {
        Self { path, units, eventual: false, operation: operation.into() }
    }

    fn counted(self) -> Self {
        Self { eventual: true, ..self }
    }

    /// All users, page by page, with their number.
    pub(crate) fn users(select: &str, filter: Option<&str>, page_size: u32) -> Self {
        let path = format!("/users?$select={}&$top={page_size}&$count=true{}", encode(select), and_filter(filter));
        Self::new(path, 1, "read people").counted()
    }

    /// How many users there are.
    pub(crate) fn users_count(filter: Option<&str>) -> Self {
        let path = format!("/users?$select=id&$top=1&$count=true{}", and_filter(filter));
        Self::new(path, 1, "count people").counted()
    }

    /// The users that a filter finds.
    pub(crate) fn users_where(select: &str, filter: &str, operation: impl Into<String>) -> Self {
        let path = format!("/users?$select={}&$top=999&$count=true{}", encode(select), and_filter(Some(filter)));
        Self::new(path, 1, operation).counted()
    }

    /// One user, read directly.
    pub(crate) fn user(id: Uuid, select: &str) -> Self {
        Self::new(format!("/users/{id}?$select={}", encode(select)), 1, format!("look up {id}"))
    }

    /// One user, by the other path: the index.
    pub(crate) fn user_in_index(id: Uuid) -> Self {
        let filter = format!("id eq '{id}'");
        let path = format!("/users?$select=id&$top=1&$count=true{}", and_filter(Some(&filter)));
        Self::new(path, 1, format!("look up {id} in the index")).counted()
    }

    /// The registration that we sign in as: when its secrets end.
    pub(crate) fn application(client_id: &str) -> Self {
        let path = format!("/applications(appId='{}')?$select=passwordCredentials", encode(client_id));
        Self::new(path, 1, "read when the secret ends")
    }

    /// One deleted object.
    pub(crate) fn deleted(id: Uuid) -> Self {
        let path = format!("/directory/deletedItems/{id}?$select=id,deletedDateTime");
        Self::new(path, 1, format!("look up {id} among the deleted"))
    }

    /// One group.
    pub(crate) fn group(id: Uuid) -> Self {
        Self::new(format!("/groups/{id}?$select={}", encode(GROUP_SELECT)), 1, format!("read group {id}"))
    }

    /// The groups of this name.
    pub(crate) fn groups_named(name: &str) -> Self {
        let filter = format!("displayName eq {}", literal(name));
        let path = format!("/groups?$select=id,displayName&$top=10&$count=true{}", and_filter(Some(&filter)));
        Self::new(path, 1, format!("find group {name}")).counted()
    }

    /// Everything in a group, through all nesting, read directly.
    pub(crate) fn group_members(id: Uuid, page_size: u32) -> Self {
        let path = format!("/groups/{id}/transitiveMembers?$select={}&$top={page_size}", encode(MEMBER_SELECT));
        Self::new(path, 4, format!("read members of group {id}"))
    }

    /// How many users are in a group, through all nesting, by the index.
    pub(crate) fn group_count(id: Uuid) -> Self {
        let path = format!("/groups/{id}/transitiveMembers/microsoft.graph.user?$select=id&$top=1&$count=true");
        Self::new(path, 3, format!("count members of group {id}")).counted()
    }

    /// The groups that name a user or a group themselves.
    pub(crate) fn member_of(group: bool, id: Uuid) -> Self {
        let kind = if group { "groups" } else { "users" };
        let path = format!("/{kind}/{id}/memberOf?$select=id,displayName&$top=999");
        Self::new(path, 1, format!("read what {id} is a member of"))
    }

    /// Where changes of users, or of groups, from now on are asked for.
    pub(crate) fn delta_from_now(users: bool, select: &str) -> Self {
        let kind = if users { "users" } else { "groups" };
        let path = format!("/{kind}/delta?$select={}&$deltatoken=latest", encode(select));
        Self::new(path, 1, format!("begin to follow {kind}"))
    }
}

/// Takes a page of a list apart.
///
/// # Errors
/// [`FaultKind::Protocol`] when it is no list, or a link leads elsewhere: it is no empty list then.
pub(crate) fn list_page(session: &Session<'_>, body: Value, operation: &str) -> Result<ListPage, Fault> {
    let broken = |message: &str| session.fault(FaultKind::Protocol, operation, message);
    let Value::Object(mut body) = body else { return Err(broken("the answer is no list")) };
    let Some(Value::Array(values)) = body.remove("value") else { return Err(broken("the answer holds no list")) };
    let mut items = Vec::with_capacity(values.len());
    for value in values {
        match value {
            Value::Object(item) => items.push(item),
            _ => return Err(broken("an item of the list is no object")),
        }
    }
    let link = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(link)) => session.checked(link, operation).map(Some),
        Some(_) => Err(broken("a link of the list is no text")),
    };
    let page = ListPage {
        items,
        next: link("@odata.nextLink")?,
        delta: link("@odata.deltaLink")?,
        count: body.get("@odata.count").and_then(Value::as_u64),
    };
    if page.next.is_some() && page.delta.is_some() {
        return Err(broken("the list both ends and goes on"));
    }
    Ok(page)
}

/// The id of an object, when it is one.
pub(crate) fn id_of(object: &Object) -> Option<Uuid> {
    object.get("id").and_then(Value::as_str).and_then(|text| Uuid::try_parse(text).ok())
}

/// A text in a filter.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn and_filter(filter: Option<&str>) -> String {
    filter.map(|filter| format!("&$filter={}", encode(filter))).unwrap_or_default()
}

/// Percent-encoding with `%20` for a blank; what stands in the names of properties is left as it is.
fn encode(value: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    encoded.replace('+', "%20").replace("%2C", ",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_survives_the_address() {
        let name = "O'Neil & Sons + 1 #é";
        let ask = Ask::groups_named(name);
        let url = Url::parse(&format!("https://graph.example/v1.0{}", ask.path)).expect("url");
        let filter = url.query_pairs().find(|(key, _)| key == "$filter").expect("a filter").1;
        assert_eq!(filter, "displayName eq 'O''Neil & Sons + 1 #é'");
        assert!(ask.eventual && ask.path.contains("$count=true"), "an advanced query needs both");
    }
}
