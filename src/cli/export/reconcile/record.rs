//! Puts on record what was read back as done by hand: what was begun is settled with the name of whoever did it; what
//! no run had begun gets an entry of its own, under a run of its own.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use lockstep_contract::{Action, ActionId, Cardholder, RunId};
use lockstep_core::{ActionEvent, LaneKind, RunState, Verdict, verify};
use lockstep_engine::{Epoch, Intent, JournalEntry, Outcome, RunKind, RunRecord, SpoolEntry, Store, StoreError};

use super::Ticket;
use crate::cli::context::Context;
use crate::cli::export::register::What;
use crate::cli::failures::{self, Wrote};
use crate::cli::runs;
use crate::exit::Failure;

/// Long enough for a few thousand rows.
const LEASE: SignedDuration = SignedDuration::from_mins(5);
/// Among so many of the last runs the same one is looked for.
const RUNS_LOOKED_AT: u32 = 1000;

/// A row that is done, with its record.
type Seen<'a> = (Ticket<'a>, Option<Box<Cardholder>>);

/// Puts all of them on record.
pub(crate) async fn all(context: &Context, store: &dyn Store, done: &[Seen<'_>]) -> Result<(), Failure> {
    if done.is_empty() {
        return Ok(());
    }
    let remembered = |error| {
        failures::store(error, Wrote::Nothing)
            .not_done("what was read back is not on record; the file is as it was")
            .next("the same command again")
    };
    let epoch = store.lease(&context.node, LEASE, context.now()).await.map_err(remembered)?;
    let written = write(context, store, epoch, done).await;
    store.release(epoch).await.map_err(remembered)?;
    written.map_err(remembered)
}

async fn write(context: &Context, store: &dyn Store, epoch: Epoch, done: &[Seen<'_>]) -> Result<(), StoreError> {
    let mut acted = Vec::new();
    for (ticket, found) in done {
        match (&ticket.row.what, found) {
            (What::Act(action), Some(found)) => acted.push((ticket, action, found)),
            (What::Act(_) | What::Out { .. }, _) => without_record(context, store, epoch, ticket).await?,
        }
    }
    if acted.is_empty() {
        return Ok(());
    }
    let people: BTreeSet<&str> = acted.iter().map(|(ticket, ..)| ticket.tick.by.as_str()).collect();
    let people = people.into_iter().collect::<Vec<_>>().join(", ");
    let record = by_hand(context, format!("{} done by hand by {people}, and read back", acted.len()));
    let (run, now) = (record.run, record.began);
    store.begin(epoch, &record).await?;
    let mut unsettled = store.unsettled().await?;
    for (ticket, action, found) in acted {
        let outcome = Outcome {
            event: ActionEvent::Verify,
            at: now,
            detail: detail(ticket),
            after: Some((**found).clone()),
            links: Vec::new(),
        };
        if settle(store, epoch, &mut unsettled, action, &outcome).await? {
            continue;
        }
        let entry = entry(store, run, action, found, outcome).await?;
        store.absorb(epoch, &[entry]).await?;
    }
    Ok(())
}

/// A row without a record that an entry could be about: somebody was looked for and is not in force there. A run of its
/// own says so, and the same file once more does not say it again.
async fn without_record(
    context: &Context,
    store: &dyn Store,
    epoch: Epoch,
    ticket: &Ticket<'_>,
) -> Result<(), StoreError> {
    let (row, target, who) = (&ticket.tick.row, ticket.row.what.target(), &ticket.row.name);
    let summary = format!("{who} on {target}, {row}: {}", detail(ticket));
    let summary = summary.split_whitespace().collect::<Vec<_>>().join(" ");
    let known = store.runs(RUNS_LOOKED_AT).await?;
    if known.iter().any(|run| run.kind == RunKind::ByHand && run.summary == summary) {
        return Ok(());
    }
    store.begin(epoch, &by_hand(context, summary)).await
}

fn by_hand(context: &Context, summary: String) -> RunRecord {
    let (run, now) = (runs::new_run(), context.now());
    let (kind, state) = (RunKind::ByHand, RunState::Closed);
    RunRecord { run, kind, state, began: now, changed: now, plan: None, summary }
}

/// Who, and what they wrote down.
fn detail(ticket: &Ticket<'_>) -> String {
    let tick = ticket.tick;
    let mut detail = format!("done by hand by {}", tick.by);
    for (word, text) in [(" at ", &tick.time), (": ", &tick.note)] {
        if !text.is_empty() {
            detail.extend([word, text.as_str()]);
        }
    }
    detail + "; read back as expected"
}

/// Settles everything that was begun on this record and that it now shows. True when the row itself was among it.
async fn settle(
    store: &dyn Store,
    epoch: Epoch,
    unsettled: &mut Vec<JournalEntry>,
    action: &Action,
    outcome: &Outcome,
) -> Result<bool, StoreError> {
    let mut settled = false;
    let mut left = Vec::new();
    for entry in unsettled.drain(..) {
        let begun = &entry.intent.action;
        let same_record = begun.target == action.target && begun.subject == action.subject;
        if !same_record || verify(begun, outcome.after.as_ref()) != Verdict::Verified {
            left.push(entry);
            continue;
        }
        store.record(epoch, &begun.id, outcome).await?;
        settled |= begun.steps == action.steps;
    }
    *unsettled = left;
    Ok(settled)
}

/// An entry for what no run had begun. Lockstep took nothing and gave nothing, so the record before is the record
/// after: no rollback may undo with it what people did.
async fn entry(
    store: &dyn Store,
    run: RunId,
    action: &Action,
    found: &Cardholder,
    outcome: Outcome,
) -> Result<SpoolEntry, StoreError> {
    let nobodys = ActionId::of(RunId::new(uuid::Uuid::nil()), &action.target, &action.subject, &action.steps);
    let mut action = action.clone();
    // The id of a plan's action is kept, so that the plan does not do it a second time; any other gets one of this run.
    if action.id == nobodys || !store.journaled(std::slice::from_ref(&action.id)).await?.is_empty() {
        action.id = ActionId::of(run, &action.target, &action.subject, &action.steps);
    }
    let only_reduces = action.steps.iter().all(|step| step.as_reduction().is_some());
    let lane = if only_reduces { LaneKind::Revoke } else { LaneKind::Stage };
    let intent = Intent { run, lane, action, before: Some(found.clone()), at: outcome.at };
    Ok(SpoolEntry::Action { intent: Box::new(intent), outcome: Some(Box::new(outcome)) })
}
