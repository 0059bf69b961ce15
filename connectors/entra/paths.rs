//! Through which groups somebody is in a group: from the person upwards, a level at a time, until every group that was asked
//! for is reached or there is nothing above. This module must not judge.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_contract::{Cx, Fault, FaultKind, GroupId, GroupPath, PersonId};
use lockstep_http::{Value, quote};
use uuid::Uuid;

use crate::Entra;
use crate::api::{Ask, GROUP_TYPE, id_of, list_page};
use crate::graph::{Priority, Refusal, Session};
use crate::members::resolve;

const OPERATION: &str = "follow groups upwards";
/// More levels than anybody nests.
const LEVELS_MAX: usize = 64;

/// A group that was reached: what it is called, and through which group below; none when it names the person.
struct Reached {
    name: String,
    through: Option<Uuid>,
}

impl Entra {
    /// For each of these groups that the person is in, the shortest chain down to the one that names the person.
    pub(crate) async fn group_paths(
        &self,
        cx: &Cx,
        id: &PersonId,
        groups: &BTreeSet<GroupId>,
    ) -> Result<BTreeMap<GroupId, GroupPath>, Fault> {
        let session = Session::begin(&self.graph, cx, Priority::High);
        session.check(OPERATION)?;
        let Some(person) = id.as_uuid() else {
            return Err(session.fault(FaultKind::Invalid, OPERATION, format!("`{id}` is no object id of this tenant")));
        };
        let mut wanted = Vec::new();
        for (group, found) in resolve(&session, groups).await {
            match found {
                Ok(uuid) => wanted.push((group, uuid)),
                // Nobody is in a group that is not there.
                Err(fault) if fault.kind == FaultKind::Missing => {}
                Err(fault) => return Err(fault),
            }
        }
        let reached = climb(&session, person, &wanted).await?;
        let path = |top: Uuid| {
            let mut path = Vec::new();
            let mut at = Some(top);
            while let Some(step) = at.and_then(|id| reached.get(&id)) {
                path.push(step.name.clone());
                at = step.through;
            }
            (!path.is_empty()).then_some(path)
        };
        Ok(wanted.into_iter().filter_map(|(group, uuid)| Some((group, path(uuid)?))).collect())
    }
}

async fn climb(
    session: &Session<'_>,
    person: Uuid,
    wanted: &[(GroupId, Uuid)],
) -> Result<BTreeMap<Uuid, Reached>, Fault> {
    let mut reached: BTreeMap<Uuid, Reached> = BTreeMap::new();
    let mut level: Vec<(Option<Uuid>, Ask)> = vec![(None, Ask::member_of(false, person))];
    for _ in 0..LEVELS_MAX {
        let asks: Vec<Ask> = level.iter().map(|(_, ask)| ask.clone()).collect();
        let answers = session.many(&asks, OPERATION).await;
        let mut next = Vec::new();
        for ((through, ask), answer) in level.iter().zip(answers) {
            for (id, name) in above(session, ask, answer).await? {
                reached.entry(id).or_insert_with(|| {
                    next.push((Some(id), Ask::member_of(true, id)));
                    Reached { name, through: *through }
                });
            }
        }
        if next.is_empty() || wanted.iter().all(|(_, id)| reached.contains_key(id)) {
            return Ok(reached);
        }
        level = next;
    }
    Err(session.fault(FaultKind::Protocol, OPERATION, format!("groups are nested more than {LEVELS_MAX} deep")))
}

/// The groups that name one user or group.
async fn above(session: &Session<'_>, ask: &Ask, answer: Result<Value, Refusal>) -> Result<Vec<(Uuid, String)>, Fault> {
    let mut found = Vec::new();
    let mut links = BTreeSet::new();
    let mut page = list_page(session, answer?, &ask.operation)?;
    loop {
        for item in &page.items {
            if item.get("@odata.type").and_then(Value::as_str) == Some(GROUP_TYPE)
                && let Some(id) = id_of(item)
            {
                let name = item.get("displayName").and_then(Value::as_str);
                found.push((id, name.map_or_else(|| id.to_string(), |name| quote(name, &[]))));
            }
        }
        let Some(next) = page.next.take() else { return Ok(found) };
        if !links.insert(next.to_string()) {
            return Err(session.fault(FaultKind::Protocol, &ask.operation, "Graph sent a link twice"));
        }
        page = list_page(session, session.follow(next, ask).await?, &ask.operation)?;
    }
}
