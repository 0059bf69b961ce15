//! What a group is, and what its list of members is worth. Pure.
//!
//! Graph shows nobody where it does not show. So a list counts together with a number from another path, a group that hides
//! its members is unreadable without the permission, and so is every group that contains it.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{EmptyProof, Fault, FaultKind, Members, Membership, PersonId};
use lockstep_http::{Value, quote};
use uuid::Uuid;

use crate::api::{GROUP_TYPE, Object, USER_TYPE, id_of};
use crate::standing::is_shown;

/// What is known about one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// What people call it.
    pub(crate) name: String,
    /// Its members are shown only to whoever has the permission for that.
    pub(crate) hidden: bool,
    /// Its members are found by a rule, and the rule is not being followed.
    pub(crate) stale: bool,
}

impl Group {
    /// Reads what Graph says of a group.
    ///
    /// # Errors
    /// When it is another one, or its properties are not shown.
    pub(crate) fn of(body: &Value, id: Uuid) -> Result<Self, (FaultKind, &'static str)> {
        let Some(object) = body.as_object().filter(|object| id_of(object) == Some(id)) else {
            return Err((FaultKind::Protocol, "Graph answered with another group"));
        };
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        // Every group has both, so without them nothing about it is shown.
        let (Some(name), true) = (text("displayName"), object.get("securityEnabled").is_some_and(Value::is_boolean))
        else {
            return Err((FaultKind::Denied, "the group is there, but its properties are not shown"));
        };
        let types = object.get("groupTypes").and_then(Value::as_array);
        let dynamic = types.into_iter().flatten().any(|kind| kind.as_str() == Some("DynamicMembership"));
        Ok(Self {
            name: quote(name, &[]),
            hidden: text("visibility").is_some_and(|word| word.eq_ignore_ascii_case("HiddenMembership")),
            stale: dynamic
                && !text("membershipRuleProcessingState").is_some_and(|word| word.eq_ignore_ascii_case("On")),
        })
    }

    /// Why nothing that is read of its members is worth anything. `may_see_hidden` is `None` when it cannot be known.
    fn obstacle(&self, may_see_hidden: Option<bool>) -> Option<(FaultKind, &'static str, &'static str)> {
        if self.hidden && may_see_hidden == Some(false) {
            return Some((
                FaultKind::Denied,
                "its members are hidden, and the permission Member.Read.Hidden is not in the token",
                "grant Member.Read.Hidden, and set `groups.hidden = true`; or map a group whose members are not hidden",
            ));
        }
        self.stale.then_some((
            FaultKind::Unsupported,
            "its members are found by a rule, and the rule is paused: whoever has left is still in it",
            "set the processing of the membership rule to On in Entra ID",
        ))
    }
}

/// What was read of the members of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The users, through all nesting.
    pub(crate) users: BTreeSet<Uuid>,
    /// The groups, through all nesting.
    pub(crate) groups: BTreeSet<Uuid>,
    /// Users whose properties are not shown, and members of whom it is not known what they are.
    pub(crate) odd: u32,
    /// How many users there are, by the index.
    pub(crate) count: u64,
}

impl Seen {
    /// Adds a member of a list.
    pub(crate) fn add(&mut self, member: &Object) {
        match (member.get("@odata.type").and_then(Value::as_str), id_of(member)) {
            (Some(USER_TYPE), Some(id)) => {
                self.odd += u32::from(self.users.insert(id) && !is_shown(member));
            }
            (Some(GROUP_TYPE), Some(id)) => {
                self.groups.insert(id);
            }
            // Devices, contacts, applications: nobody.
            (Some(_), Some(_)) => {}
            _ => self.odd += 1,
        }
    }
}

/// What a whole reading rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trust {
    /// Whether hidden members are shown.
    pub(crate) may_see_hidden: Option<bool>,
    /// Whether a list without anybody, confirmed by a count, proves that nobody is there.
    pub(crate) empty_is_believed: bool,
    /// The planted user.
    pub(crate) canary: Option<Uuid>,
}

/// Who is in a group. `around` holds the groups that were met, this one too.
pub(crate) fn judge(
    id: Uuid,
    seen: &Seen,
    around: &BTreeMap<Uuid, Result<Group, Fault>>,
    trust: Trust,
    system: &str,
) -> Membership {
    let mut doubtful = 0_u32;
    for part in std::iter::once(&id).chain(&seen.groups) {
        match around.get(part) {
            Some(Ok(group)) => {
                if let Some((kind, message, help)) = group.obstacle(trust.may_see_hidden) {
                    return Membership::Unreadable(
                        fault(id, *part, &group.name, system, kind, message).with_help(help),
                    );
                }
                doubtful += u32::from(group.hidden && trust.may_see_hidden.is_none());
            }
            Some(Err(why)) if *part == id => return Membership::Unreadable(why.clone()),
            Some(Err(why)) => {
                let message = format!("nested group {part}: {}", why.message);
                return Membership::Unreadable(Fault { message, ..why.clone() });
            }
            None => {
                let message = "nothing is known about it";
                return Membership::Unreadable(fault(id, *part, "", system, FaultKind::Protocol, message));
            }
        }
    }
    let listed = seen.users.len() as u64;
    let gaps = u32::try_from(listed.abs_diff(seen.count)).unwrap_or(u32::MAX).saturating_add(seen.odd);
    if gaps == 0
        && doubtful == 0
        && let (Some(canary), Some(only), 1) = (trust.canary, seen.users.first(), listed)
        && canary == *only
    {
        return Membership::Empty(EmptyProof::Canary(PersonId::from_uuid(canary)));
    }
    let people = seen.users.iter().copied().map(PersonId::from_uuid).collect();
    match Members::with_gaps(people, gaps.saturating_add(doubtful)) {
        Some(members) => Membership::Members(members),
        None if gaps > 0 => {
            let message = format!(
                "Graph counts {} users in it, has {} that it does not show, and lists none",
                seen.count, seen.odd
            );
            let name = around.get(&id).and_then(|group| group.as_ref().ok()).map_or("", |group| &group.name);
            Membership::Unreadable(fault(id, id, name, system, FaultKind::Denied, &message))
        }
        None if doubtful == 0 && trust.empty_is_believed => Membership::Empty(EmptyProof::ServerCount),
        None => Membership::Unproven,
    }
}

fn fault(id: Uuid, part: Uuid, name: &str, system: &str, kind: FaultKind, message: &str) -> Fault {
    let message = if part == id { message.to_owned() } else { format!("nested group {name} ({part}): {message}") };
    Fault::new(kind, system, format!("read members of group {id}"), message)
}

#[cfg(test)]
mod tests {
    use lockstep_contract::Entitled;
    use serde_json::json;

    use super::*;

    const TRUST: Trust = Trust { may_see_hidden: Some(false), empty_is_believed: true, canary: None };

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn plain() -> Group {
        Group { name: "Lab".to_owned(), hidden: false, stale: false }
    }

    fn seen(users: &[u128], groups: &[u128], count: u64) -> Seen {
        Seen {
            users: users.iter().copied().map(id).collect(),
            groups: groups.iter().copied().map(id).collect(),
            odd: 0,
            count,
        }
    }

    fn said(seen: &Seen, around: &[(u128, Group)], trust: Trust) -> Membership {
        let around = around.iter().map(|(n, group)| (id(*n), Ok(group.clone()))).collect();
        judge(id(1), seen, &around, trust, "cloud")
    }

    fn entitled(membership: &Membership, n: u128) -> Entitled {
        membership.entitled(&PersonId::from_uuid(id(n)))
    }

    #[test]
    fn a_list_that_agrees_with_the_count_is_whole() {
        let membership = said(&seen(&[10, 11], &[2], 2), &[(1, plain()), (2, plain())], TRUST);
        assert_eq!((entitled(&membership, 10), entitled(&membership, 99)), (Entitled::Yes, Entitled::No));
    }

    #[test]
    fn when_list_and_count_differ_nobody_is_out() {
        for count in [1, 3] {
            let membership = said(&seen(&[10, 11], &[], count), &[(1, plain())], TRUST);
            assert_eq!((entitled(&membership, 10), entitled(&membership, 99)), (Entitled::Yes, Entitled::Unknown));
        }
        assert!(matches!(said(&seen(&[], &[], 3), &[(1, plain())], TRUST), Membership::Unreadable(_)));
    }

    #[test]
    fn a_member_whose_properties_are_not_shown_leaves_everybody_else_unknown() {
        let mut seen = Seen { count: 1, ..Seen::default() };
        let member = json!({"@odata.type": USER_TYPE, "id": id(10), "accountEnabled": null, "userPrincipalName": null});
        seen.add(member.as_object().expect("object"));
        let membership = said(&seen, &[(1, plain())], TRUST);
        assert_eq!((entitled(&membership, 10), entitled(&membership, 99)), (Entitled::Yes, Entitled::Unknown));
    }

    #[test]
    fn nobody_is_a_proof_only_where_it_is_believed() {
        let nobody = seen(&[], &[], 0);
        assert_eq!(said(&nobody, &[(1, plain())], TRUST), Membership::Empty(EmptyProof::ServerCount));
        let blind = Trust { empty_is_believed: false, ..TRUST };
        assert_eq!(said(&nobody, &[(1, plain())], blind), Membership::Unproven);
        let planted = Trust { canary: Some(id(7)), ..TRUST };
        let only = said(&seen(&[7], &[], 1), &[(1, plain())], planted);
        assert_eq!(only, Membership::Empty(EmptyProof::Canary(PersonId::from_uuid(id(7)))));
    }

    #[test]
    fn what_is_hidden_or_stale_makes_every_group_above_it_unreadable() {
        let hidden = Group { hidden: true, ..plain() };
        let stale = Group { stale: true, ..plain() };
        for below in [&hidden, &stale] {
            assert!(matches!(said(&seen(&[10], &[], 1), &[(1, below.clone())], TRUST), Membership::Unreadable(_)));
            let above = said(&seen(&[10], &[2], 1), &[(1, plain()), (2, below.clone())], TRUST);
            let Membership::Unreadable(fault) = above else { panic!("unreadable") };
            assert!(fault.message.contains("nested group Lab"), "{fault}");
        }
        let unknown = Trust { may_see_hidden: None, ..TRUST };
        let doubtful = said(&seen(&[10], &[], 1), &[(1, hidden.clone())], unknown);
        assert_eq!(entitled(&doubtful, 99), Entitled::Unknown);
        assert_eq!(said(&seen(&[], &[], 0), &[(1, hidden.clone())], unknown), Membership::Unproven);
        let allowed = Trust { may_see_hidden: Some(true), ..TRUST };
        assert_eq!(entitled(&said(&seen(&[10], &[], 1), &[(1, hidden)], allowed), 99), Entitled::No);
    }

    #[test]
    fn a_group_whose_properties_are_not_shown_is_not_read_as_one_without_them() {
        let group = |extra: Value| {
            let mut body = json!({"id": id(1), "displayName": "Lab", "securityEnabled": true, "groupTypes": []});
            for (name, value) in extra.as_object().expect("object") {
                body[name] = value.clone();
            }
            Group::of(&body, id(1))
        };
        assert_eq!(group(json!({})), Ok(plain()));
        assert!(group(json!({"displayName": null})).is_err() && group(json!({"id": id(2)})).is_err());
        assert!(group(json!({"visibility": "hiddenmembership"})).expect("group").hidden);
        let dynamic = json!({"groupTypes": ["DynamicMembership", "Unified"], "membershipRuleProcessingState": "On"});
        assert!(!group(dynamic).expect("group").stale);
        for state in [json!("Paused"), json!(null), json!("Later")] {
            let group = group(json!({"groupTypes": ["DynamicMembership"], "membershipRuleProcessingState": state}));
            assert!(group.expect("group").stale);
        }
    }
}
