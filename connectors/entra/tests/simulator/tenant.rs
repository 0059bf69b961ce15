//! What the simulated tenant holds, and how it changes. This module must not know HTTP.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use uuid::Uuid;

/// What a group holds and how it works.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) properties: Map<String, Value>,
    /// Users, groups and devices that it names itself.
    pub(crate) members: BTreeSet<Uuid>,
}

/// Something that the lists of changes tell.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    User(Value),
    Group(Value),
}

/// A tenant.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tenant {
    pub(crate) users: BTreeMap<Uuid, Map<String, Value>>,
    pub(crate) groups: BTreeMap<Uuid, Group>,
    pub(crate) devices: BTreeSet<Uuid>,
    /// Users that can be restored.
    pub(crate) deleted: BTreeMap<Uuid, Map<String, Value>>,
    pub(crate) changes: Vec<Change>,
    /// Permissions that a new token gets.
    pub(crate) permissions: BTreeSet<String>,
    /// Groups that may not be read.
    pub(crate) denied: BTreeSet<Uuid>,
    /// Every property of every user is `null`, without an error.
    pub(crate) properties_hidden: bool,
    /// Nothing is shown, without an error.
    pub(crate) blind: bool,
    /// What the index still holds of users and of members; `None` when it is current.
    pub(crate) index: Option<Box<Tenant>>,
    /// When the secret of the registration ends.
    pub(crate) secret_ends: Option<String>,
    /// Links of changes are not known any more, and this is how that is said.
    pub(crate) links_forgotten: Option<u16>,
}

impl Tenant {
    pub(crate) fn new() -> Self {
        let permissions = ["User.Read.All", "GroupMember.Read.All"].map(str::to_owned).into();
        Self { permissions, ..Self::default() }
    }

    pub(crate) fn add_user(&mut self, id: Uuid, properties: Value) {
        let mut user = Map::new();
        user.insert("id".to_owned(), json!(id));
        user.insert("accountEnabled".to_owned(), json!(true));
        user.insert("userType".to_owned(), json!("Member"));
        user.insert("userPrincipalName".to_owned(), json!(format!("{id}@corp.example")));
        user.extend(properties.as_object().cloned().unwrap_or_default());
        self.changes.push(Change::User(Value::Object(user.clone())));
        self.users.insert(id, user);
    }

    pub(crate) fn set_user(&mut self, id: Uuid, name: &str, value: Value) {
        let user = self.users.get_mut(&id).expect("a user");
        user.insert(name.to_owned(), value);
        self.changes.push(Change::User(Value::Object(user.clone())));
    }

    /// As Entra does it: the memberships stay, and no group tells.
    pub(crate) fn soft_delete(&mut self, id: Uuid) {
        let mut user = self.users.remove(&id).expect("a user");
        let upn = user.get("userPrincipalName").and_then(Value::as_str).unwrap_or_default();
        let altered = format!("{}{upn}", id.simple());
        user.insert("userPrincipalName".to_owned(), json!(altered));
        user.insert("deletedDateTime".to_owned(), json!("2026-03-01T12:00:00Z"));
        self.deleted.insert(id, user);
        self.changes.push(Change::User(json!({"id": id, "@removed": {"reason": "changed"}})));
    }

    pub(crate) fn purge(&mut self, id: Uuid) {
        self.deleted.remove(&id);
        self.changes.push(Change::User(json!({"id": id, "@removed": {"reason": "deleted"}})));
    }

    /// The memberships come back, and no group tells.
    pub(crate) fn restore(&mut self, id: Uuid) {
        let mut user = self.deleted.remove(&id).expect("a deleted user");
        user.remove("deletedDateTime");
        self.changes.push(Change::User(Value::Object(user.clone())));
        self.users.insert(id, user);
    }

    pub(crate) fn add_group(&mut self, id: Uuid, name: &str, members: &[Uuid]) {
        let properties = json!({"id": id, "displayName": name, "securityEnabled": true, "mailEnabled": false,
            "groupTypes": [], "visibility": null, "membershipRule": null, "membershipRuleProcessingState": null});
        let properties = properties.as_object().cloned().unwrap_or_default();
        self.groups.insert(id, Group { properties, members: members.iter().copied().collect() });
    }

    pub(crate) fn set_group(&mut self, id: Uuid, name: &str, value: Value) {
        self.groups.get_mut(&id).expect("a group").properties.insert(name.to_owned(), value);
        self.changes.push(Change::Group(json!({"id": id})));
    }

    pub(crate) fn add_member(&mut self, group: Uuid, member: Uuid) {
        self.groups.get_mut(&group).expect("a group").members.insert(member);
        let entry = json!({"@odata.type": self.kind(member), "id": member});
        self.changes.push(Change::Group(json!({"id": group, "members@delta": [entry]})));
    }

    pub(crate) fn remove_member(&mut self, group: Uuid, member: Uuid) {
        self.groups.get_mut(&group).expect("a group").members.remove(&member);
        let entry = json!({"@odata.type": self.kind(member), "id": member, "@removed": {"reason": "deleted"}});
        self.changes.push(Change::Group(json!({"id": group, "members@delta": [entry]})));
    }

    /// The index stays as it is now, whatever changes.
    pub(crate) fn freeze_index(&mut self) {
        self.index = None;
        self.index = Some(Box::new(self.clone()));
    }

    /// What an answer from the index rests on.
    pub(crate) fn indexed(&self) -> &Self {
        self.index.as_deref().unwrap_or(self)
    }

    pub(crate) fn kind(&self, id: Uuid) -> &'static str {
        if self.groups.contains_key(&id) {
            "#microsoft.graph.group"
        } else if self.devices.contains(&id) {
            "#microsoft.graph.device"
        } else {
            "#microsoft.graph.user"
        }
    }

    pub(crate) fn is_hidden(&self, group: Uuid) -> bool {
        let visibility = self.groups.get(&group).and_then(|group| group.properties.get("visibility"));
        visibility.and_then(Value::as_str) == Some("HiddenMembership")
    }

    /// Everything in a group through all nesting, as far as it is shown to somebody with these permissions.
    pub(crate) fn transitive(&self, group: Uuid, permissions: &BTreeSet<String>) -> BTreeSet<Uuid> {
        let mut found = BTreeSet::new();
        let mut waiting = vec![group];
        let mut seen = BTreeSet::from([group]);
        while let Some(at) = waiting.pop() {
            if self.is_hidden(at) && !permissions.contains("Member.Read.Hidden") {
                continue;
            }
            for member in self.groups.get(&at).into_iter().flat_map(|group| &group.members) {
                // Deleted users are members still, and are not shown.
                let there = self.users.contains_key(member)
                    || self.groups.contains_key(member)
                    || self.devices.contains(member);
                if there && *member != group {
                    found.insert(*member);
                }
                if self.groups.contains_key(member) && seen.insert(*member) {
                    waiting.push(*member);
                }
            }
        }
        found
    }
}
