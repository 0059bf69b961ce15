//! Plans the return of somebody who is held out by name: the end of the hold, and what gives back exactly what was taken.
//! Reads the records concerned, and no directory; writes nothing but that the plan was made here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{Cardholder, CardholderId, Cx, Fault, FaultKind, RunId, TargetId, TargetReader};
use lockstep_core::{
    Guarded, Header, Lift, Occasion, PLAN_FORMAT, PlanDocument, Reinstatement, RestoreInputs, RunState, Who, guard,
    restore,
};

use crate::{Clock, HeldOut, JournalEntry, NodeId, RunKind, RunRecord, Store, StoreError, TargetOrder};

/// Long enough to write one record.
const LEASE: SignedDuration = SignedDuration::from_mins(1);

/// A plan is wanted that lets somebody back in.
pub struct ReturnOrder<'a> {
    /// Where what was taken is given back, in the order of their ids.
    pub targets: Vec<TargetOrder<'a>>,
    /// Where nothing is looked at.
    pub left_out: BTreeSet<TargetId>,
    /// Who.
    pub person: HeldOut,
    /// Everybody else who is held out: what they share with this person is not this person's alone.
    pub others: Vec<HeldOut>,
    /// As they were named.
    pub who: String,
    /// Why they may come back.
    pub reason: String,
    /// Who asks for it.
    pub by: String,
    /// The memory.
    pub store: &'a dyn Store,
    /// Who plans.
    pub node: NodeId,
    /// The new run.
    pub run: RunId,
    /// The version of the program, for the header.
    pub version: String,
    /// SHA-256 of the configuration.
    pub config_digest: String,
    /// How long one call to a system may take.
    pub call_budget: Duration,
    /// The time.
    pub clock: Clock,
}

/// There is no plan.
#[derive(Debug, thiserror::Error)]
pub enum ReturnError {
    /// A system did not say what it has.
    #[error("{target} could not be read: {fault}")]
    Unreadable {
        /// Which.
        target: TargetId,
        /// Why.
        fault: Fault,
    },
    /// Nobody knows yet what became of the offboarding there.
    #[error("it is not known yet what became of the offboarding on {target}: {detail}")]
    NotSettled {
        /// Where.
        target: TargetId,
        /// What was seen last.
        detail: String,
    },
    /// The memory failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Records = BTreeMap<CardholderId, Cardholder>;

/// Plans the return. The plan waits for a named person who is not the one who asked.
///
/// # Errors
/// When a record cannot be read, an action of the offboarding is not settled, or the memory fails.
pub async fn plan_return(mut order: ReturnOrder<'_>) -> Result<PlanDocument, ReturnError> {
    let lifts = order.store.lifts().await?;
    let now = (order.clock)();
    let (mut names, mut judged) = (BTreeSet::new(), Vec::new());
    for at in 0..order.targets.len() {
        let Some(target) = order.targets.get(at) else { continue };
        let info = target.reader.info().clone();
        let records = records(&order, target.reader)
            .await
            .map_err(|fault| ReturnError::Unreadable { target: info.id.clone(), fault })?;
        names.extend(records.values().map(|record| Who::from(record).name));
        if !records.is_empty() {
            order.person.records.entry(info.id.clone()).or_default().extend(records.keys().cloned());
        }
        // Also where the person has no record: the lift is of every target, and bound to each.
        let Some(target) = order.targets.get(at) else { continue };
        let guarded = one_target(&order, target, &records, &lifts, now).await?;
        judged.push((info, guarded));
    }
    let document = PlanDocument::build(header(&order, names, now), judged);
    register(&order, &document, now).await?;
    Ok(document)
}

async fn one_target(
    order: &ReturnOrder<'_>,
    target: &TargetOrder<'_>,
    now_on_pacs: &Records,
    lifts: &[Lift],
    now: Timestamp,
) -> Result<Guarded, ReturnError> {
    let info = target.reader.info();
    let mut taken = Vec::new();
    for record in order.person.records.get(&info.id).into_iter().flatten() {
        let journal = order.store.journal_of(&info.id, record).await?;
        let of_record = order.person.taken(journal, lifts).map_err(|open| not_settled(&info.id, &open))?;
        taken.extend(of_record);
    }
    let links = order.store.links(&info.id).await?;
    let people = now_on_pacs.keys().filter_map(|id| Some((id.clone(), links.of_cardholder(id)?.person))).collect();
    let history = order.store.history(&info.id, now).await?;
    let why = format!("gives back what the offboarding took: {}", order.reason);
    let inputs = RestoreInputs {
        target: info,
        policy: target.policy,
        taken: &taken,
        people: &people,
        now_on_pacs,
        run: order.run,
        why: &why,
    };
    Ok(guard(restore(inputs), target.policy, target.limits, &history))
}

fn not_settled(target: &TargetId, open: &JournalEntry) -> ReturnError {
    let detail = if open.detail.is_empty() { "not read back".to_owned() } else { open.detail.clone() };
    ReturnError::NotSettled { target: target.clone(), detail }
}

/// The records of the person on one target, as they are now. Whoever was held by a key alone is looked for by it.
async fn records(order: &ReturnOrder<'_>, reader: &dyn TargetReader) -> Result<Records, Fault> {
    let (info, person, cx) = (reader.info(), &order.person, Cx::new(order.call_budget));
    let mut now = Records::new();
    for id in person.records.get(&info.id).into_iter().flatten() {
        if let Some(read) = in_time(order, reader, "read a record", reader.read(&cx, id)).await? {
            now.insert(id.clone(), read);
        }
    }
    let mut known = person.clone();
    known.learn_ids(now.values());
    // A key that several have names nobody: the record of somebody else stays theirs, held out or not.
    let is_theirs = |record: &Cardholder| {
        !known.is_somebody_else(record.keys.iter()) && !order.others.iter().any(|other| other.owns(&info.id, record))
    };
    for key in person.keys.iter().filter(|key| info.capabilities.keys.contains(&key.kind())) {
        for record in in_time(order, reader, "find a record", reader.find(&cx, key)).await? {
            if is_theirs(&record) {
                now.entry(record.id.clone()).or_insert(record);
            }
        }
    }
    Ok(now)
}

async fn in_time<T>(
    order: &ReturnOrder<'_>,
    reader: &dyn TargetReader,
    what: &str,
    call: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let late = |_| Fault::new(FaultKind::Unreachable, reader.info().id.as_str(), what, "no answer in time");
    tokio::time::timeout(order.call_budget, call).await.map_err(late)?
}

fn header(order: &ReturnOrder<'_>, names: BTreeSet<String>, created: Timestamp) -> Header {
    let hours = order.targets.iter().map(|target| target.limits.plan_age_hours).min().unwrap_or(24);
    let person = &order.person;
    Header {
        format: PLAN_FORMAT.to_owned(),
        run: order.run,
        created,
        expires: created.checked_add(SignedDuration::from_hours(i64::from(hours))).unwrap_or(created),
        version: order.version.clone(),
        directory: None,
        config_digest: order.config_digest.clone(),
        by: Some(order.by.clone()),
        occasion: Occasion::Run,
        reinstate: Some(Reinstatement {
            who: order.who.clone(),
            reason: order.reason.clone(),
            holds: person.holds.clone(),
            names,
            people: person.people.clone(),
            keys: person.own_keys(&order.others),
            records: person.records.clone(),
            left_out: order.left_out.clone(),
        }),
    }
}

/// Only a plan that the memory knows can be applied.
async fn register(order: &ReturnOrder<'_>, document: &PlanDocument, now: Timestamp) -> Result<(), StoreError> {
    let record = RunRecord {
        run: order.run,
        kind: RunKind::Reinstate,
        state: RunState::Staged,
        began: now,
        changed: now,
        plan: Some(document.digest.clone()),
        summary: format!("lets {} back in: {} actions", order.who, document.entries.len()),
    };
    let epoch = order.store.lease(&order.node, LEASE, now).await?;
    let begun = order.store.begin(epoch, &record).await;
    order.store.release(epoch).await?;
    begun
}
