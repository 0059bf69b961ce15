//! The rules of the store, once for every implementation: leases, the lives of runs and actions, and links.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{ActionId, CardholderId, DirectoryId, RunId, ServerMark, TargetId};
use lockstep_core::{
    ActionEvent, ActionState, History, Hold, Lift, RunEvent, RunState, Settled, next_action, next_run,
};
use lockstep_engine::{
    Epoch, Intent, JournalEntry, LinkChange, NodeId, Observation, Outcome, RunRecord, SpoolEntry, StoreError, Watched,
};

use crate::event::Event;
use crate::tables::{FuseRow, Result, Tables, fence};

/// So many counts of people are compared with.
pub(crate) const PEOPLE_REMEMBERED: usize = 7;
/// So many readings are kept for each target.
pub(crate) const OBSERVATIONS_KEPT: usize = 50;
/// The windows of the rolling counts.
pub(crate) const HOUR: SignedDuration = SignedDuration::from_hours(1);
pub(crate) const DAY: SignedDuration = SignedDuration::from_hours(24);
pub(crate) const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Takes or renews the lease. `locked`: this process holds the lock of the system, so that a holder who held it, too,
/// is dead.
pub(crate) fn lease(
    tables: &mut impl Tables,
    node: &NodeId,
    ttl: SignedDuration,
    now: Timestamp,
    locked: bool,
) -> Result<Epoch> {
    let mut lease = tables.lease()?;
    let until = now.saturating_add(ttl).unwrap_or(Timestamp::MAX);
    match &lease.holder {
        Some((holder, since, _)) if holder == node => lease.holder = Some((node.clone(), *since, until)),
        Some((holder, since, ends)) if *ends > now && !(locked && lease.locked) => {
            return Err(StoreError::Leased { holder: holder.clone(), since: *since, until: *ends });
        }
        Some(_) | None => {
            lease.epoch += 1;
            lease.holder = Some((node.clone(), now, until));
            tables.append(&Event::Lease { node, epoch: Epoch(lease.epoch), at: now })?;
        }
    }
    lease.locked = locked;
    tables.put_lease(&lease)?;
    Ok(Epoch(lease.epoch))
}

/// Gives the lease back, if it is still held.
pub(crate) fn release(tables: &mut impl Tables, epoch: Epoch) -> Result<()> {
    let mut lease = tables.lease()?;
    if lease.epoch == epoch.0 {
        lease.holder = None;
        tables.put_lease(&lease)?;
    }
    Ok(())
}

pub(crate) fn begin(tables: &mut impl Tables, epoch: Epoch, record: &RunRecord) -> Result<()> {
    fence(tables, epoch)?;
    if tables.run(record.run)?.is_some() {
        return Err(StoreError::Illegal(format!("run {} began before", record.run)));
    }
    tables.append(&Event::Begin { run: record })?;
    tables.put_run(record)
}

fn known_run(tables: &impl Tables, run: RunId) -> Result<RunRecord> {
    tables.run(run)?.ok_or_else(|| StoreError::Illegal(format!("run {run} is not known")))
}

pub(crate) fn set_plan(tables: &mut impl Tables, epoch: Epoch, run: RunId, digest: &str) -> Result<()> {
    fence(tables, epoch)?;
    let mut record = known_run(tables, run)?;
    record.plan = Some(digest.to_owned());
    tables.append(&Event::Plan { run, digest })?;
    tables.put_run(&record)
}

pub(crate) fn advance(
    tables: &mut impl Tables,
    epoch: Epoch,
    run: RunId,
    what: RunEvent,
    summary: &str,
    now: Timestamp,
) -> Result<RunState> {
    fence(tables, epoch)?;
    let mut record = known_run(tables, run)?;
    record.state =
        next_run(record.state, what).map_err(|illegal| StoreError::Illegal(format!("run {run}: {illegal}")))?;
    record.changed = now;
    summary.clone_into(&mut record.summary);
    tables.append(&Event::Advance { run, what, summary, at: now })?;
    tables.put_run(&record)?;
    Ok(record.state)
}

fn moved(id: &ActionId, state: ActionState, event: ActionEvent) -> Result<ActionState> {
    next_action(state, event).map_err(|illegal| StoreError::Illegal(format!("action {id}: {illegal}")))
}

pub(crate) fn intend(tables: &mut impl Tables, epoch: Epoch, intents: &[Intent]) -> Result<()> {
    fence(tables, epoch)?;
    for intent in intents {
        let id = &intent.action.id;
        let known = tables.action(id)?;
        let (state, sent) = known.map_or((ActionState::Pending, 0), |entry| (entry.state, entry.sent));
        let state = moved(id, state, ActionEvent::Intend)?;
        tables.append(&Event::Intend { intent })?;
        tables.put_action(&JournalEntry {
            intent: intent.clone(),
            state,
            detail: String::new(),
            after: None,
            sent: sent + 1,
        })?;
    }
    Ok(())
}

pub(crate) fn record(
    tables: &mut impl Tables,
    epoch: Epoch,
    action: &ActionId,
    outcome: &Outcome,
) -> Result<ActionState> {
    fence(tables, epoch)?;
    let Some(mut entry) = tables.action(action)? else {
        return Err(StoreError::Illegal(format!("action {action} was never intended")));
    };
    entry.state = moved(action, entry.state, outcome.event)?;
    tables.append(&Event::Record { action, outcome })?;
    outcome.detail.clone_into(&mut entry.detail);
    if outcome.after.is_some() {
        entry.after.clone_from(&outcome.after);
    }
    let target = entry.intent.action.target.clone();
    for change in &outcome.links {
        match change_link(tables, &target, change) {
            // What was done is done, and must be recorded as done whoever else claims the record.
            Err(StoreError::Illegal(why)) => entry.detail.extend(["; ", &why]),
            other => other?,
        }
    }
    tables.put_action(&entry)?;
    Ok(entry.state)
}

pub(crate) fn link(tables: &mut impl Tables, epoch: Epoch, target: &TargetId, changes: &[LinkChange]) -> Result<()> {
    fence(tables, epoch)?;
    tables.append(&Event::Link { target, changes })?;
    changes.iter().try_for_each(|change| change_link(tables, target, change))
}

fn change_link(tables: &mut impl Tables, target: &TargetId, change: &LinkChange) -> Result<()> {
    match change {
        LinkChange::Add(link) => {
            let taken = tables.link_of_cardholder(target, &link.cardholder)?;
            if taken.is_some_and(|taken| taken.person != link.person) {
                let (person, cardholder) = (&link.person, &link.cardholder);
                return Err(StoreError::Illegal(format!(
                    "{person} cannot be linked to {cardholder} on {target}: somebody else is"
                )));
            }
            let mut link = link.clone();
            if let Some(before) = tables.link_of_person(target, &link.person)?
                && before.cardholder == link.cardholder
            {
                // The same two again: since when, how, and whose suspension stay as they were.
                link.since = before.since;
                link.origin = before.origin;
                link.suspended_by = before.suspended_by;
            }
            tables.put_link(target, &link)
        }
        LinkChange::Suspended { cardholder, by } => suspend(tables, target, cardholder, Some(*by)),
        LinkChange::Reinstated { cardholder } => suspend(tables, target, cardholder, None),
    }
}

fn suspend(tables: &mut impl Tables, target: &TargetId, cardholder: &CardholderId, by: Option<RunId>) -> Result<()> {
    match tables.link_of_cardholder(target, cardholder)? {
        Some(mut link) => {
            link.suspended_by = by;
            tables.put_link(target, &link)
        }
        // An offboarding may suspend a record that nobody is linked to.
        None => Ok(()),
    }
}

pub(crate) fn observe(
    tables: &mut impl Tables,
    epoch: Epoch,
    target: &TargetId,
    observation: &Observation,
    at: Timestamp,
) -> Result<()> {
    fence(tables, epoch)?;
    tables.append(&Event::Observe { target, observation, at })?;
    tables.put_observation(target, observation, at)
}

pub(crate) fn accept(
    tables: &mut impl Tables,
    epoch: Epoch,
    target: &TargetId,
    run: RunId,
    at: Timestamp,
) -> Result<()> {
    fence(tables, epoch)?;
    // Only the reading that somebody said yes to: another one that was disputed may have been a fault of the source.
    if let Some(before) = tables.disputed(target, run)? {
        tables.append(&Event::Accept { target, run, at })?;
        tables.replace_observation(target, &before, &Observation { disputed: false, ..before.clone() })?;
    }
    Ok(())
}

pub(crate) fn mark_server(tables: &mut impl Tables, epoch: Epoch, system: &str, mark: &ServerMark) -> Result<()> {
    fence(tables, epoch)?;
    tables.append(&Event::Server { system, mark })?;
    tables.put_server(system, mark)
}

pub(crate) fn watch(tables: &mut impl Tables, epoch: Epoch, directory: &DirectoryId, watched: &Watched) -> Result<()> {
    fence(tables, epoch)?;
    tables.append(&Event::Watch { directory, watched })?;
    tables.put_watched(directory, watched)
}

pub(crate) fn applied_policy(
    tables: &mut impl Tables,
    epoch: Epoch,
    target: &TargetId,
    digest: &str,
    at: Timestamp,
) -> Result<()> {
    fence(tables, epoch)?;
    let mut row = tables.applied(target)?;
    row.runs += 1;
    row.policy_digest = Some(digest.to_owned());
    tables.append(&Event::Policy { target, digest, at })?;
    tables.put_applied(target, &row)
}

pub(crate) fn set_fuse(
    tables: &mut impl Tables,
    epoch: Epoch,
    target: &TargetId,
    open: Option<&str>,
    at: Timestamp,
) -> Result<()> {
    fence(tables, epoch)?;
    tables.append(&Event::Fuse { target, open, at })?;
    let row = match open {
        Some(reason) => {
            FuseRow { open_since: Some(at), reason: reason.to_owned(), reset: tables.fuse_row(target)?.reset }
        }
        None => FuseRow { open_since: None, reason: String::new(), reset: Some(at) },
    };
    tables.put_fuse(target, &row)
}

pub(crate) fn absorb(tables: &mut impl Tables, epoch: Epoch, spool: &[SpoolEntry]) -> Result<()> {
    fence(tables, epoch)?;
    for entry in spool {
        match entry {
            SpoolEntry::Hold { targets, hold } => absorb_hold(tables, targets, hold)?,
            SpoolEntry::Action { intent, outcome } => absorb_action(tables, intent, outcome.as_deref())?,
        }
    }
    Ok(())
}

fn absorb_hold(tables: &mut impl Tables, targets: &BTreeSet<TargetId>, hold: &Hold) -> Result<()> {
    tables.append(&Event::Hold { targets, hold })?;
    let hold = &hold.clone().identified();
    if targets.is_empty() {
        return tables.put_hold(None, hold);
    }
    targets.iter().try_for_each(|target| tables.put_hold(Some(target), hold))
}

/// A lift is kept beside the hold, by the id of the offboarding: the hold may be written again, and stays lifted.
pub(crate) fn lift(tables: &mut impl Tables, epoch: Epoch, lift: &Lift) -> Result<()> {
    fence(tables, epoch)?;
    let mut new = Vec::new();
    for held in &lift.what.holds {
        match tables.lift_of(&held.hold)? {
            Some(before) if before.run == lift.run => {}
            Some(before) => {
                return Err(StoreError::Illegal(format!("hold {} was lifted by run {}", held.hold, before.run)));
            }
            None if tables.knows_hold(&held.hold)? => new.push(&held.hold),
            None => return Err(StoreError::Illegal(format!("hold {} is not known", held.hold))),
        }
    }
    if new.is_empty() {
        return Ok(());
    }
    tables.append(&Event::Lift { lift })?;
    new.into_iter().try_for_each(|hold| tables.put_lift(hold, lift))
}

fn absorb_action(tables: &mut impl Tables, intent: &Intent, outcome: Option<&Outcome>) -> Result<()> {
    let id = &intent.action.id;
    let known = tables.action(id)?;
    let done = known.as_ref().is_some_and(|entry| {
        entry.state.is_settled() || outcome.is_none_or(|outcome| moved(id, entry.state, outcome.event).is_err())
    });
    if done {
        return Ok(());
    }
    tables.append(&Event::Absorb { intent, outcome })?;
    let mut entry = known.unwrap_or_else(|| JournalEntry {
        intent: intent.clone(),
        state: ActionState::Intended,
        detail: String::new(),
        after: None,
        sent: 1,
    });
    if let Some(outcome) = outcome {
        entry.state = moved(id, entry.state, outcome.event)?;
        outcome.detail.clone_into(&mut entry.detail);
        entry.after.clone_from(&outcome.after);
        for change in &outcome.links {
            match change_link(tables, &intent.action.target, change) {
                Err(StoreError::Illegal(why)) => entry.detail.extend(["; ", &why]),
                other => other?,
            }
        }
    }
    tables.put_action(&entry)
}

/// True when an action in this state may have taken something away from somebody.
pub(crate) fn may_have_reduced(entry: &JournalEntry) -> bool {
    let reduces = entry.intent.action.steps.iter().any(|step| step.as_reduction().is_some());
    reduces && !matches!(entry.state, ActionState::Refused | ActionState::Withdrawn | ActionState::Pending)
}

/// What a run did and read back.
pub(crate) fn settled(journal: Vec<JournalEntry>) -> Vec<Settled> {
    let verified = journal.into_iter().filter(|entry| entry.state == ActionState::Verified);
    verified
        .filter_map(|entry| {
            Some(Settled { action: entry.intent.action, before: entry.intent.before, after: entry.after? })
        })
        .collect()
}

/// The past, from the readings that count (oldest first) and the rest.
pub(crate) fn history(
    readings: Vec<Observation>,
    applied: crate::tables::AppliedRow,
    [reduced_hour, reduced_day, reduced_week]: [u64; 3],
) -> History {
    let people = readings.iter().map(|reading| reading.people).collect();
    let last = readings.into_iter().next_back();
    History {
        applied_runs: applied.runs,
        people,
        cardholders: last.as_ref().map(|last| last.cardholders),
        managed: last.as_ref().and_then(|last| last.managed),
        groups: last.as_ref().map(|last| last.groups.clone()).unwrap_or_default(),
        levels: last.map(|last| last.levels).unwrap_or_default(),
        reduced_hour,
        reduced_day,
        reduced_week,
        policy_digest: applied.policy_digest,
    }
}
