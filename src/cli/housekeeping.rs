//! What every run does besides its work: take over what an emergency wrote to its spool, and keep the roster fresh.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{RunId, TargetId};
use lockstep_core::{Links, RunState};
use lockstep_engine::{NodeId, RunKind, RunRecord, SpoolEntry, Store};
use lockstep_offboard::Event;
use lockstep_store::{Roster, RosterEntry, SpoolError, SpoolFile, read_all, set_aside, set_aside_broken};

use crate::cli::context::Context;
use crate::cli::emergency::{self, Line};
use crate::cli::failures::{self, Wrote};
use crate::exit::{Exit, Failure};
use crate::terminal;

/// Long enough to take over a few files.
const LEASE: SignedDuration = SignedDuration::from_mins(1);

/// Takes over what emergency offboardings recorded, before anything is planned from the state.
pub(crate) async fn absorb_spool(context: &Context, store: &dyn Store) -> Result<(), Failure> {
    let targets: Vec<TargetId> = context.config.targets.iter().map(|target| target.id.clone()).collect();
    absorb(&context.config.state, store, &context.node, context.now(), &targets).await
}

/// Takes over every file of the spool. Doing so twice is once.
pub(crate) async fn absorb(
    state: &Path,
    store: &dyn Store,
    node: &NodeId,
    now: Timestamp,
    targets: &[TargetId],
) -> Result<(), Failure> {
    let files: Vec<SpoolFile<Line>> = read_all(state.join(emergency::SPOOL)).map_err(unreadable)?;
    if files.is_empty() {
        return Ok(());
    }
    let remembered = |error| failures::store(error, Wrote::Nothing);
    let epoch = store.lease(node, LEASE, now).await.map_err(remembered)?;
    let taken = async {
        for file in &files {
            let mut links: BTreeMap<TargetId, Links> = BTreeMap::new();
            for target in targets {
                links.insert(target.clone(), store.links(target).await.map_err(remembered)?);
            }
            let entries = emergency::entries(&file.events, &links);
            if let Some(first) = file.events.first()
                && store.run(first.run).await.map_err(remembered)?.is_none()
            {
                store.begin(epoch, &run(first.run, &entries, first.at, now)).await.map_err(remembered)?;
            }
            store.absorb(epoch, &entries).await.map_err(remembered)?;
            finish(file, &entries)?;
        }
        Ok(())
    };
    let taken = taken.await;
    store.release(epoch).await.map_err(remembered)?;
    taken
}

/// Sets a file aside, and says what of it could not be used. Damage must not stop every run for good, and must not go by
/// unseen either.
fn finish(file: &SpoolFile<Line>, entries: &[SpoolEntry]) -> Result<(), Failure> {
    let path = file.path.display();
    if let Some(damage) = &file.broken {
        let holds = entries.iter().filter(|entry| matches!(entry, SpoolEntry::Hold { .. })).count();
        terminal::complain(&format!(
            "! the record of an emergency offboarding is damaged: {path}: {damage}. {holds} holds in it were taken over; \
             it is kept as .broken. Next: read it, and put whoever is missing out again: lockstep offboard"
        ));
        return set_aside_broken(&file.path).map_err(unreadable);
    }
    if file.torn {
        terminal::complain(&format!("! {path}: its last line was cut off while it was written, and does not count"));
    }
    for line in file.events.iter().filter(|_| entries.is_empty()) {
        if let Event::Hold { who, .. } = &line.event {
            terminal::complain(&format!(
                "! nobody is held out by the offboarding of {who}: it found no record, or several. Next, for whoever is \
                 meant: lockstep offboard cardholder:TARGET/ID"
            ));
        }
    }
    set_aside(&file.path).map_err(unreadable)
}

fn run(run: RunId, entries: &[SpoolEntry], began: Timestamp, now: Timestamp) -> RunRecord {
    let records = entries.iter().filter(|entry| matches!(entry, SpoolEntry::Action { .. })).count();
    RunRecord {
        run,
        kind: RunKind::Offboard,
        state: RunState::Closed,
        began,
        changed: now,
        plan: None,
        summary: format!("emergency offboarding, {records} records switched off"),
    }
}

fn unreadable(error: SpoolError) -> Failure {
    Failure::new(Exit::Integrity, error.to_string())
        .not_done("nothing was planned or applied; who was put out in an emergency might have come back")
        .next("restore that file, or set it aside after reading it, and put those people out again: lockstep offboard")
}

/// How many emergency offboardings no run has taken over yet.
pub(crate) fn spooled(state: &Path) -> Result<usize, Failure> {
    let files: Vec<SpoolFile<Line>> = read_all(state.join(emergency::SPOOL)).map_err(unreadable)?;
    Ok(files.len())
}

/// Writes the roster anew. Its failure is told, and fails nothing: the run is done.
pub(crate) async fn after_run(context: &Context, store: &dyn Store) {
    if let Err(why) = write_roster(context, store).await {
        context.terminal.say(&format!("! the roster for emergencies was not written anew: {why}"));
    }
}

async fn write_roster(context: &Context, store: &dyn Store) -> Result<(), String> {
    let mut entries = Vec::new();
    for target in &context.config.targets {
        let links = store.links(&target.id).await.map_err(|error| error.to_string())?;
        entries.extend(links.iter().map(|link| RosterEntry {
            target: target.id.clone(),
            cardholder: link.cardholder.clone(),
            keys: link.keys.clone(),
        }));
    }
    let path = context.config.state.join(emergency::ROSTER);
    Roster::write(path, entries, context.now()).map_err(|error| error.to_string())
}
