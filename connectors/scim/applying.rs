//! Carries out one action, once. Reductions go first; what cannot be done refuses the whole action before anything is
//! sent; an action that broke off in the middle says that its outcome is unknown. This module must not retry or decide.

#![expect(clippy::result_large_err, reason = "the size of `ApplyFault` is the contract's matter")]

use lockstep_contract::{
    AccessLevelId, Action, ApplyFault, CardholderId, CorrelationKeys, Cx, Enforcement, Fault, FaultKind, Profile,
    Receipt, Reduction, Step, Subject,
};
use lockstep_http::{Answer, CallFault, Effect, Value};
use serde_json::json;
use tokio::sync::OwnedMutexGuard;

use crate::Scim;
use crate::api::{Api, Object, Op, Resource, checked, object, quoted, scim_type};
use crate::config::MemberRemoval;
use crate::convert::{self, active_op, amend_ops, change, version_of, writable};
use crate::discovery::Provider;
use crate::finding;

/// The steps of an action, sorted by the requests they need. The order of the fields is the order of the requests.
#[derive(Debug, Default, PartialEq)]
struct Work<'a> {
    suspend: bool,
    revoke: Vec<&'a AccessLevelId>,
    provision: Option<(&'a Profile, &'a CorrelationKeys)>,
    amend: Option<&'a Profile>,
    reinstate: bool,
    grant: Vec<&'a AccessLevelId>,
}

impl<'a> Work<'a> {
    fn of(action: &'a Action) -> Result<Self, &'static str> {
        let mut work = Self::default();
        for step in &action.steps {
            match step {
                Step::Reduce(Reduction::Suspend) => work.suspend = true,
                Step::Reduce(Reduction::Revoke { level }) => work.revoke.push(level),
                Step::Provision { profile, keys } => work.provision = Some((profile, keys)),
                Step::Amend { profile } => work.amend = Some(profile),
                Step::Reinstate => work.reinstate = true,
                Step::Grant { level } => work.grant.push(level),
                Step::Reduce(Reduction::Deactivate { .. }) | Step::Activate { .. } => {
                    return Err("SCIM knows no credentials");
                }
                Step::Reduce(Reduction::Narrow { .. }) | Step::Widen { .. } => {
                    return Err("SCIM has no validity dates");
                }
            }
        }
        Ok(work)
    }
}

/// Applies an action.
pub(crate) async fn apply(scim: &Scim, cx: &Cx, action: &Action) -> Result<Receipt, ApplyFault> {
    let api = Api::begin(&scim.client, cx);
    let refuse = |message: &str| {
        ApplyFault::Refused(api.fault(FaultKind::Unsupported, &format!("apply {}", action.id), message))
    };
    let work = Work::of(action).map_err(refuse)?;
    if work.provision.is_some() != matches!(action.subject, Subject::New(_)) {
        return Err(refuse("an action creates a record exactly when it is about a new one"));
    }
    let provider = scim.provider(&api).await.map_err(|fault| ApplyFault::NotSent(*fault.fault))?;
    let mut writer = Writer { scim, api: &api, provider, wrote: false };
    let cardholder = match &action.subject {
        Subject::Existing(id) => id.clone(),
        Subject::New(_) => writer.create(action, &work).await?,
    };
    writer.carry_out(&cardholder, &work).await?;
    Ok(Receipt { cardholder, enforced: Enforcement::Database })
}

struct Writer<'a> {
    scim: &'a Scim,
    api: &'a Api<'a>,
    provider: Provider,
    /// A request that may have had an effect was answered well.
    wrote: bool,
}

impl Writer<'_> {
    async fn carry_out(&mut self, id: &CardholderId, work: &Work<'_>) -> Result<(), ApplyFault> {
        if work.suspend {
            self.change_user(id, &[active_op(false)]).await?;
        }
        for level in &work.revoke {
            self.remove_member(level, id).await?;
        }
        let mut ops = Vec::new();
        if let Some(profile) = work.amend {
            ops = self.amendment(id, profile).await?;
        }
        if work.reinstate {
            ops.push(active_op(true));
        }
        if !ops.is_empty() {
            self.change_user(id, &ops).await?;
        }
        for level in &work.grant {
            self.add_member(level, id).await?;
        }
        Ok(())
    }

    /// A write that failed. After an earlier one took effect, the action as a whole is neither done nor undone.
    fn failed(&self, fault: CallFault) -> ApplyFault {
        if self.wrote { ApplyFault::Uncertain(*fault.fault) } else { fault.into_apply() }
    }

    /// A read that failed: this write was not sent.
    fn not_read(&self, fault: CallFault) -> ApplyFault {
        self.failed(CallFault { effect: Effect::NotSent, ..fault })
    }

    fn refused(&self, kind: FaultKind, operation: &str, message: &str) -> ApplyFault {
        let fault: Fault = self.api.fault(kind, operation, message);
        self.failed(CallFault::new(Effect::Refused, None, fault))
    }

    fn sent(&mut self, answer: Result<Answer, CallFault>) -> Result<Answer, ApplyFault> {
        let answer = answer.and_then(checked).map_err(|fault| self.failed(fault))?;
        self.wrote = true;
        Ok(answer)
    }

    /// The record, which must be there, and its version where this server has versions.
    async fn current(&self, resource: Resource, id: &str) -> Result<(Object, Option<String>), ApplyFault> {
        let found = self.api.get_tagged(resource, id).await.map_err(|fault| self.not_read(fault))?;
        let found = found.map(|(record, tag)| {
            let version = self.provider.etag.then(|| version_of(&record).or(tag)).flatten();
            (record, version)
        });
        let operation = format!("change {} {id}", resource.one());
        found.ok_or_else(|| self.refused(FaultKind::Missing, &operation, "it is not there"))
    }

    async fn change_user(&mut self, id: &CardholderId, ops: &[Op]) -> Result<(), ApplyFault> {
        if self.provider.patch {
            let answer = self.api.patch(Resource::Users, id.as_str(), ops).await;
            return self.sent(answer).map(drop);
        }
        let (mut user, version) = self.current(Resource::Users, id.as_str()).await?;
        change(&mut user, ops);
        let answer = self.api.put(Resource::Users, id.as_str(), &writable(user), version).await;
        self.sent(answer).map(drop)
    }

    /// The turn to change a group, where some change of a group is more than one request: reading it and writing it
    /// back, or counting its members before and after. Then single requests wait as well, or they would fall in between.
    async fn turn(&self, level: &AccessLevelId) -> Result<Option<OwnedMutexGuard<()>>, ApplyFault> {
        if self.provider.patch && self.scim.config.member_removal == MemberRemoval::Path {
            return Ok(None);
        }
        let operation = format!("change group {level}");
        let turn = self.api.turn(self.scim.turn_of(level), &operation).await;
        turn.map(Some).map_err(|fault| self.not_read(fault))
    }

    async fn amendment(&self, id: &CardholderId, profile: &Profile) -> Result<Vec<Op>, ApplyFault> {
        if !convert::needs_current(profile) {
            return Ok(amend_ops(profile, None));
        }
        let (user, _) = self.current(Resource::Users, id.as_str()).await?;
        let mut ops = amend_ops(profile, Some(&user));
        // Some servers refuse to take away what is not there.
        ops.retain(|op| op.value.is_some() || convert::has(&user, &op.path));
        Ok(ops)
    }

    async fn add_member(&mut self, level: &AccessLevelId, user: &CardholderId) -> Result<(), ApplyFault> {
        let member = json!({"value": user.as_str()});
        let _turn = self.turn(level).await?;
        if self.provider.patch {
            let op = Op { verb: "add", path: "members".to_owned(), value: Some(Value::Array(vec![member])) };
            let answer = self.api.patch(Resource::Groups, level.as_str(), &[op]).await;
            // Some servers call a member that is there already a clash. It is what was asked for.
            return self.sent_or(answer, 409, "uniqueness");
        }
        let (mut group, version) = self.current(Resource::Groups, level.as_str()).await?;
        let members = members_of(&mut group);
        if members.iter().any(|m| is_member(m, user)) {
            return Ok(());
        }
        members.push(member);
        self.put_group(level, group, version).await
    }

    async fn remove_member(&mut self, level: &AccessLevelId, user: &CardholderId) -> Result<(), ApplyFault> {
        let _turn = self.turn(level).await?;
        let removal = if self.provider.patch { self.scim.config.member_removal } else { MemberRemoval::Replace };
        match removal {
            MemberRemoval::Path => {
                let op =
                    Op { verb: "remove", path: format!("members[value eq {}]", quoted(user.as_str())), value: None };
                let answer = self.api.patch(Resource::Groups, level.as_str(), &[op]).await;
                // Nobody there to remove is what was asked for.
                self.sent_or(answer, 400, "noTarget")
            }
            MemberRemoval::Value => self.remove_by_value(level, user).await,
            MemberRemoval::Replace => {
                let (mut group, version) = self.current(Resource::Groups, level.as_str()).await?;
                let members = members_of(&mut group);
                let before = members.len();
                members.retain(|m| !is_member(m, user));
                if members.len() == before { Ok(()) } else { self.put_group(level, group, version).await }
            }
        }
    }

    async fn remove_by_value(&mut self, level: &AccessLevelId, user: &CardholderId) -> Result<(), ApplyFault> {
        let (mut group, _) = self.current(Resource::Groups, level.as_str()).await?;
        let before = members_of(&mut group).clone();
        if !before.iter().any(|m| is_member(m, user)) {
            return Ok(());
        }
        let value = json!([{"value": user.as_str()}]);
        let op = Op { verb: "remove", path: "members".to_owned(), value: Some(value) };
        let answer = self.api.patch(Resource::Groups, level.as_str(), &[op]).await;
        self.sent(answer)?;
        let (mut group, _) = self.current(Resource::Groups, level.as_str()).await?;
        let after = members_of(&mut group).len();
        if after + 1 < before.len() {
            let message = format!(
                "the group had {} members, and has {after} after one was taken out: this server empties groups on \
                 `member_removal = \"value\"`",
                before.len()
            );
            let fault =
                self.api.fault(FaultKind::Protocol, &format!("take a member out of group {level}"), message).with_help(
                    "set `member_removal` to `path` or `replace`, and put the members back from the last export",
                );
            return Err(ApplyFault::Uncertain(fault));
        }
        Ok(())
    }

    async fn put_group(
        &mut self,
        level: &AccessLevelId,
        group: Object,
        version: Option<String>,
    ) -> Result<(), ApplyFault> {
        let answer = self.api.put(Resource::Groups, level.as_str(), &writable(group), version).await;
        self.sent(answer).map(drop)
    }

    fn sent_or(&mut self, answer: Result<Answer, CallFault>, status: u16, kind: &str) -> Result<(), ApplyFault> {
        match answer {
            Ok(answer) if answer.status() == status && scim_type(&answer).as_deref() == Some(kind) => Ok(()),
            other => self.sent(other).map(drop),
        }
    }

    /// Creates the record, unless the key finds it already: a creation whose answer was lost is not repeated.
    async fn create(&mut self, action: &Action, work: &Work<'_>) -> Result<CardholderId, ApplyFault> {
        let (Subject::New(key), Some((profile, keys))) = (&action.subject, work.provision) else {
            return Err(self.refused(FaultKind::Unsupported, "create a user", "the action creates nobody"));
        };
        let operation = format!("create a user for {key}");
        if let Some(id) = self.there_already(action, &operation).await? {
            return Ok(id);
        }
        let mut keys = keys.clone();
        keys.insert(key.clone());
        let Some(user) = convert::new_user(profile, &keys, self.scim.config.shape(false)) else {
            let message = "a SCIM user needs a user name: map `user_name`, `upn` or `mail`";
            return Err(self.refused(FaultKind::Invalid, &operation, message));
        };
        let answer = {
            let _arrival = self.api.arrival(&self.scim.arrivals).await.map_err(|fault| self.failed(fault))?;
            self.sent(self.api.create(&user).await)?
        };
        let created = object(&answer).map_err(|fault| self.failed(fault))?;
        let id = convert::id_of(&created, "user").ok().and_then(|id| CardholderId::new(id).ok());
        let id =
            id.ok_or_else(|| self.failed(answer.broken("the user was created, but the answer has no usable id")))?;
        self.scim.set_canary(id.clone(), key.clone());
        Ok(id)
    }

    async fn there_already(&self, action: &Action, operation: &str) -> Result<Option<CardholderId>, ApplyFault> {
        let Subject::New(key) = &action.subject else { return Ok(None) };
        let found = finding::find(self.scim, self.api, key).await.map_err(|fault| self.not_read(fault))?;
        match found.as_slice() {
            [] => Ok(None),
            [one] => {
                let id = convert::id_of(one, "user").ok().and_then(|id| CardholderId::new(id).ok());
                id.map(Some).ok_or_else(|| self.refused(FaultKind::Protocol, operation, "a user without a usable id"))
            }
            several => {
                let message = format!("{} users have this key already", several.len());
                Err(self.refused(FaultKind::Conflict, operation, &message))
            }
        }
    }
}

fn members_of(group: &mut Object) -> &mut Vec<Value> {
    let name =
        group.keys().find(|key| key.eq_ignore_ascii_case("members")).cloned().unwrap_or_else(|| "members".into());
    let slot = group.entry(name).or_insert_with(|| Value::Array(Vec::new()));
    if !slot.is_array() {
        *slot = Value::Array(Vec::new());
    }
    slot.as_array_mut().expect("made an array above")
}

fn is_member(member: &Value, user: &CardholderId) -> bool {
    member.get("value").and_then(Value::as_str) == Some(user.as_str())
}
