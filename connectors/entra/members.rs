//! Reads the members of groups: what each group is, who is in it through all nesting, and how many the index counts. Groups
//! are read some at a time, so that those that were read are answered when the time runs out.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::pin::Pin;

use futures::StreamExt as _;
use lockstep_contract::{Cx, Fault, FaultKind, GroupId, Membership};
use lockstep_http::{Url, Value};
use uuid::Uuid;

use crate::Entra;
use crate::api::{Ask, id_of, list_page};
use crate::graph::{Priority, Refusal, Session};
use crate::groups::{Group, Seen, Trust, judge};
use crate::roles::{HIDDEN, MEMBERS, both};

const OPERATION: &str = "read groups";
/// Groups that are read together: three questions each fill whole batches.
const TOGETHER: usize = 40;
/// More pages than this are no list but a loop.
const PAGES_MAX: usize = 10_000;

/// So many parts are read at one time.
const AT_ONCE: usize = 4;

/// What one call has learned about groups.
type Around = BTreeMap<Uuid, Result<Group, Fault>>;
type Reading<'a> = Pin<Box<dyn Future<Output = Vec<(Uuid, Membership)>> + Send + 'a>>;

/// What the parts of one call share.
#[derive(Debug, Default)]
struct Learned {
    around: tokio::sync::Mutex<Around>,
    /// Whether a group in which nobody is seen may be believed to be empty.
    sight: tokio::sync::OnceCell<bool>,
}

impl Learned {
    /// Adds these groups, and those that are within. Whoever reads holds the lock: the others may need the same ones.
    async fn with(&self, session: &Session<'_>, own: Around, read: &[(Uuid, Result<Seen, Fault>)]) -> Around {
        let mut around = self.around.lock().await;
        around.extend(own);
        nested(session, read, &mut around).await;
        around.clone()
    }
}

impl Entra {
    /// Who is in each of these groups.
    pub(crate) async fn memberships(&self, cx: &Cx, groups: &BTreeSet<GroupId>) -> BTreeMap<GroupId, Membership> {
        let session = Session::begin(&self.graph, cx, Priority::Low);
        let mut answers = BTreeMap::new();
        let mut by_id: BTreeMap<Uuid, Vec<GroupId>> = BTreeMap::new();
        for (group, found) in resolve(&session, groups).await {
            match found {
                Ok(id) => by_id.entry(id).or_default().push(group),
                Err(fault) => {
                    answers.insert(group, Membership::Unreadable(fault));
                }
            }
        }
        let learned = Learned::default();
        let ids: Vec<Uuid> = by_id.keys().copied().collect();
        let mut reads: Vec<Reading<'_>> = Vec::new();
        for some in ids.chunks(TOGETHER) {
            reads.push(Box::pin(self.some(&session, some, &learned)));
        }
        let mut reads = futures::stream::iter(reads).buffer_unordered(AT_ONCE);
        while let Some(read) = reads.next().await {
            for (id, membership) in read {
                for group in by_id.remove(&id).unwrap_or_default() {
                    answers.insert(group, membership.clone());
                }
            }
        }
        answers
    }

    async fn some(&self, session: &Session<'_>, ids: &[Uuid], learned: &Learned) -> Vec<(Uuid, Membership)> {
        let unreadable = |fault: Fault| ids.iter().map(|id| (*id, Membership::Unreadable(fault.clone()))).collect();
        let before = match session.claims().await {
            Ok(claims) => claims,
            Err(fault) => return unreadable(fault),
        };
        let size = self.settings.config.page_size;
        let asks: Vec<Ask> =
            ids.iter().flat_map(|id| [Ask::group(*id), Ask::group_members(*id, size), Ask::group_count(*id)]).collect();
        let mut answers = session.many(&asks, OPERATION).await.into_iter();
        let mut read: Vec<(Uuid, Result<Seen, Fault>)> = Vec::new();
        let mut own = Around::new();
        for id in ids {
            let (Some(group), Some(members), Some(count)) = (answers.next(), answers.next(), answers.next()) else {
                break;
            };
            own.insert(*id, known(session, *id, group));
            read.push((*id, self.seen(session, *id, members, count).await));
        }
        let around = learned.with(session, own, &read).await;
        let after = match session.claims().await {
            Ok(claims) => claims,
            Err(fault) => return unreadable(fault),
        };
        let allow = |permission| both(before.allow(permission), after.allow(permission));
        let anybody_empty = read.iter().any(|(_, seen)| seen.as_ref().is_ok_and(|seen| seen.users.is_empty()));
        let empty_is_believed =
            anybody_empty && *learned.sight.get_or_init(|| self.can_see(session, allow(MEMBERS) == Some(true))).await;
        let trust = Trust { may_see_hidden: allow(HIDDEN), empty_is_believed, canary: self.settings.canary };
        read.into_iter()
            .map(|(id, seen)| {
                let membership = match seen {
                    Ok(seen) => judge(id, &seen, &around, trust, session.system()),
                    // That the group is not there, or not shown, says more than that its list is not.
                    Err(fault) => match around.get(&id) {
                        Some(Err(why)) => Membership::Unreadable(why.clone()),
                        Some(Ok(_)) | None => Membership::Unreadable(fault),
                    },
                };
                (id, membership)
            })
            .collect()
    }

    async fn seen(
        &self,
        session: &Session<'_>,
        id: Uuid,
        members: Result<Value, Refusal>,
        count: Result<Value, Refusal>,
    ) -> Result<Seen, Fault> {
        let operation = format!("read members of group {id}");
        let mut seen = Seen::default();
        let ask = Ask::group_members(id, self.settings.config.page_size);
        let mut page = list_page(session, members?, &operation)?;
        let mut links: HashSet<Url> = HashSet::new();
        loop {
            for member in &page.items {
                seen.add(member);
            }
            let Some(next) = page.next.take() else { break };
            if !links.insert(next.clone()) || links.len() > PAGES_MAX {
                let message = "the list goes round in a circle: Graph sent a link twice, or there is no end to them";
                return Err(session.fault(FaultKind::Protocol, &operation, message));
            }
            page = list_page(session, session.follow(next, &ask).await?, &operation)?;
        }
        let counted = list_page(session, count?, &operation)?;
        seen.count = counted.count.ok_or_else(|| {
            let message = "Graph did not say how many members there are, so no list of them is whole";
            session.fault(FaultKind::Protocol, &operation, message)
        })?;
        Ok(seen)
    }

    /// Whether a group in which nobody is seen may be believed to be empty: the canary is seen, and either the planted
    /// group shows it, or the permission to read members is in the token.
    async fn can_see(&self, session: &Session<'_>, may_see_members: bool) -> bool {
        let Ok(Some(_)) = self.see_canary(session).await else { return false };
        let (Some(canary), Some(group)) = (self.settings.canary, self.settings.canary_group) else {
            return may_see_members;
        };
        self.group_shows(session, group, canary).await.unwrap_or(false)
    }

    /// Whether the planted group shows the canary.
    pub(crate) async fn group_shows(&self, session: &Session<'_>, group: Uuid, canary: Uuid) -> Result<bool, Fault> {
        let ask = Ask::group_members(group, self.settings.config.page_size);
        let page = list_page(session, session.one(&ask).await?, &ask.operation)?;
        Ok(page.items.iter().any(|member| id_of(member) == Some(canary)))
    }
}

/// What the groups within are: one that hides its members hides them from every group above.
async fn nested(session: &Session<'_>, read: &[(Uuid, Result<Seen, Fault>)], around: &mut Around) {
    let met: BTreeSet<Uuid> =
        read.iter().filter_map(|(_, seen)| seen.as_ref().ok()).flat_map(|seen| &seen.groups).copied().collect();
    let unknown: Vec<Uuid> = met.into_iter().filter(|id| !around.contains_key(id)).collect();
    let asks: Vec<Ask> = unknown.iter().copied().map(Ask::group).collect();
    for (id, answer) in unknown.into_iter().zip(session.many(&asks, OPERATION).await) {
        around.insert(id, known(session, id, answer));
    }
}

fn known(session: &Session<'_>, id: Uuid, answer: Result<Value, Refusal>) -> Result<Group, Fault> {
    let body = answer.map_err(|refusal| match *refusal.fault {
        fault if fault.kind == FaultKind::Missing => {
            fault.with_help("check the id in the mapping: a group that was deleted must be taken out of it by somebody")
        }
        fault => fault,
    })?;
    Group::of(&body, id).map_err(|(kind, message)| session.fault(kind, &format!("read group {id}"), message))
}

/// The object ids of groups that a mapping names by id or by what they are called. Two of one name are a fault.
pub(crate) async fn resolve(session: &Session<'_>, groups: &BTreeSet<GroupId>) -> Vec<(GroupId, Result<Uuid, Fault>)> {
    let mut found = Vec::with_capacity(groups.len());
    let mut named: Vec<&GroupId> = Vec::new();
    for group in groups {
        match Uuid::try_parse(group.as_str()) {
            Ok(id) => found.push((group.clone(), Ok(id))),
            Err(_) => named.push(group),
        }
    }
    let asks: Vec<Ask> = named.iter().map(|group| Ask::groups_named(group.as_str())).collect();
    for (group, answer) in named.into_iter().zip(session.many(&asks, OPERATION).await) {
        found.push((group.clone(), only_one(session, group, answer)));
    }
    found
}

fn only_one(session: &Session<'_>, group: &GroupId, answer: Result<Value, Refusal>) -> Result<Uuid, Fault> {
    let operation = format!("find group {group}");
    let page = list_page(session, answer?, &operation)?;
    let called = |item: &&crate::api::Object| {
        let name = item.get("displayName").and_then(Value::as_str);
        name.is_some_and(|name| name.to_lowercase() == group.as_str().to_lowercase())
    };
    let ids: Vec<Uuid> = page.items.iter().filter(called).filter_map(id_of).collect();
    let fault = |kind, message: &str| session.fault(kind, &operation, message);
    match (ids.as_slice(), page.next.is_none()) {
        ([id], true) => Ok(*id),
        ([], true) => Err(fault(FaultKind::Missing, "no such group is visible to this registration")
            .with_help("name it by its object id; names change")),
        _ => Err(fault(FaultKind::Invalid, "several groups are called that; none of them was chosen")
            .with_help("name it by its object id")),
    }
}
