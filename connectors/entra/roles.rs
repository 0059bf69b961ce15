//! What the token allows, by the names of the permissions, and what it should allow. Pure.
//!
//! Microsoft may stop making these tokens readable, so nothing rests on a role that is not seen: an unreadable token means
//! that it is not known.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::config::Config;

pub(crate) const USERS: &str = "User.Read.All";
pub(crate) const MEMBERS: &str = "GroupMember.Read.All";
pub(crate) const HIDDEN: &str = "Member.Read.Hidden";
pub(crate) const LIFE_CYCLE: &str = "User-LifeCycleInfo.Read.All";
pub(crate) const APPLICATIONS: &str = "Application.Read.All";

/// The least that does, by what the configuration asks for.
pub(crate) fn least(config: &Config) -> Vec<&'static str> {
    let asked = [
        (USERS, true),
        (MEMBERS, true),
        (HIDDEN, config.groups.hidden),
        (LIFE_CYCLE, config.people.leave_date),
        (APPLICATIONS, config.auth.secret_dates),
    ];
    asked.into_iter().filter_map(|(name, needed)| needed.then_some(name)).collect()
}

/// What is needed, and what allows the same and more.
const STANDS_FOR: [(&str, &[&str]); 4] = [
    (USERS, &["User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"]),
    (
        MEMBERS,
        &[
            "GroupMember.ReadWrite.All",
            "Group.Read.All",
            "Group.ReadWrite.All",
            "Directory.Read.All",
            "Directory.ReadWrite.All",
        ],
    ),
    (HIDDEN, &[]),
    (LIFE_CYCLE, &["User-LifeCycleInfo.ReadWrite.All"]),
];

/// Names that allow more than reading who is who: writing, applications, roles, and what people write and keep.
const DANGEROUS: [&str; 9] = [
    "ReadWrite",
    "Application.",
    "RoleManagement",
    "AppRoleAssignment",
    "Mail",
    "Files",
    "Sites",
    "Chat",
    "full_access",
];

/// What a token says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// The permissions; `None` when the token cannot be read.
    pub(crate) roles: Option<BTreeSet<String>>,
    /// The tenant.
    pub(crate) tenant: Option<String>,
}

#[derive(Deserialize)]
struct Payload {
    #[serde(default)]
    roles: Vec<String>,
    tid: Option<String>,
}

impl Claims {
    /// Reads the middle part of a token. Its signature is Graph's to check, not ours.
    pub(crate) fn of(token: &str) -> Self {
        let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        match payload.and_then(|bytes| serde_json::from_slice::<Payload>(&bytes).ok()) {
            Some(payload) => Self { roles: Some(payload.roles.into_iter().collect()), tenant: payload.tid },
            None => Self::default(),
        }
    }

    /// Whether a permission, or one that includes it, is there; `None` when that cannot be known.
    pub(crate) fn allow(&self, permission: &str) -> Option<bool> {
        let roles = self.roles.as_ref()?;
        let wider = STANDS_FOR.iter().find(|(name, _)| *name == permission).map_or(&[][..], |(_, wider)| wider);
        Some(roles.contains(permission) || wider.iter().any(|role| roles.contains(*role)))
    }
}

/// What two tokens allow together. A token may be renewed while something is read, and what was read may rest on either.
pub(crate) const fn both(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(true), Some(true)) => Some(true),
        (Some(false), _) | (_, Some(false)) => Some(false),
        _ => None,
    }
}

/// How the permissions compare with the least that does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// Needed and not there.
    pub(crate) missing: Vec<&'static str>,
    /// There, and not needed: somebody should take them away.
    pub(crate) excessive: Vec<String>,
    /// There, and able to change something or to read what is nobody's business.
    pub(crate) dangerous: Vec<String>,
}

/// Compares with the least that does.
pub(crate) fn compare(roles: &BTreeSet<String>, needed: &[&'static str]) -> Comparison {
    let claims = Claims { roles: Some(roles.clone()), tenant: None };
    let mut comparison = Comparison {
        missing: needed.iter().copied().filter(|name| claims.allow(name) != Some(true)).collect(),
        ..Comparison::default()
    };
    for role in roles.iter().filter(|role| !needed.contains(&role.as_str())) {
        let dangerous = DANGEROUS.iter().any(|word| role.contains(word));
        let list = if dangerous { &mut comparison.dangerous } else { &mut comparison.excessive };
        list.push(role.clone());
    }
    comparison
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 5] = [USERS, MEMBERS, HIDDEN, LIFE_CYCLE, APPLICATIONS];

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_least_set_has_nothing_missing_and_nothing_excessive() {
        assert_eq!(compare(&set(&[USERS, MEMBERS]), &[USERS, MEMBERS]), Comparison::default());
        assert_eq!(compare(&set(&ALL), &ALL), Comparison::default());
    }

    #[test]
    fn each_missing_and_each_excessive_permission_is_named() {
        let found = compare(
            &set(&["Directory.Read.All", "Mail.Read", "Group.ReadWrite.All", HIDDEN]),
            &[USERS, MEMBERS, LIFE_CYCLE],
        );
        assert_eq!(found.missing, [LIFE_CYCLE], "Directory.Read.All reads users and members");
        assert_eq!(found.excessive, ["Directory.Read.All", HIDDEN]);
        assert_eq!(found.dangerous, ["Group.ReadWrite.All", "Mail.Read"]);
        assert_eq!(compare(&set(&["User.ReadBasic.All"]), &[USERS, MEMBERS]).missing, [USERS, MEMBERS]);
    }

    #[test]
    fn a_token_that_cannot_be_read_says_neither_yes_nor_no() {
        for opaque in ["", "EwBoA8l6BAAU", "a.b.c", "a.!!.c"] {
            assert_eq!(Claims::of(opaque).allow(USERS), None, "{opaque}");
        }
        let payload = URL_SAFE_NO_PAD.encode(r#"{"tid":"t","aud":"x"}"#);
        let bare = Claims::of(&format!("h.{payload}.s"));
        assert_eq!(bare.allow(USERS), Some(false), "a token without roles was given no permission");
        assert_eq!(bare.tenant.as_deref(), Some("t"));
    }
}
