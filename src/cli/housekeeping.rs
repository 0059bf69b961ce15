//! What every run does besides its work: take over what an emergency wrote to its spool, and keep the roster fresh.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{RunId, TargetId};
use lockstep_core::{Links, RunState};
use lockstep_engine::{Epoch, NodeId, RunKind, RunRecord, SpoolEntry, Store};
use lockstep_offboard::Event;
use lockstep_store::{Roster, RosterEntry, Spool, SpoolError, SpoolFile, set_aside, set_aside_broken, set_aside_open};

use crate::cli::context::Context;
use crate::cli::emergency::{self, Folders, Line};
use crate::cli::failures::{self, Wrote};
use crate::cli::settle::{self, Settled};
use crate::exit::{Exit, Failure};
use crate::terminal;

/// Long enough to take over a few files.
const LEASE: SignedDuration = SignedDuration::from_mins(1);

/// Takes over what emergency offboardings recorded, before anything is planned from the state.
pub(crate) async fn absorb_spool(context: &Context, store: &dyn Store) -> Result<(), Failure> {
    let targets: Vec<TargetId> = context.config.targets.iter().map(|target| target.id.clone()).collect();
    let folders = folders(context);
    close_lifted(&folders, store, &targets).await?;
    absorb(&folders, store, (&context.node, context.now()), &targets, Taken::Late).await
}

/// The folders of the spool.
pub(crate) fn folders(context: &Context) -> Folders {
    Folders::new(&context.config.state, context.config.spool_second.as_deref())
}

/// Whether a record is taken over by the command that wrote it, or by a later run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// By the command itself.
    AtOnce,
    /// By a later run, and marked so.
    Late,
}

/// Takes over every file of the spool. Doing so twice is once.
pub(crate) async fn absorb(
    folders: &Folders,
    store: &dyn Store,
    (node, now): (&NodeId, Timestamp),
    targets: &[TargetId],
    taken: Taken,
) -> Result<(), Failure> {
    let waiting = folders.waiting().map_err(unreadable)?;
    let open = folders.open().map_err(unreadable)?;
    if waiting.iter().any(says_something) {
        let remembered = |error| failures::store(error, Wrote::Nothing);
        let epoch = store.lease(node, LEASE, now).await.map_err(remembered)?;
        let done = remember(store, epoch, (&waiting, &open), (targets, now, taken)).await;
        store.release(epoch).await.map_err(remembered)?;
        done?;
    }
    set_aside_all(&waiting, &open, targets)
}

type Files = [SpoolFile<Line>];

/// An empty file is one that was made, and whose writer has yet to write its first line, or never will.
fn says_something(file: &SpoolFile<Line>) -> bool {
    file.length > 0
}

/// Command by command: what a later file says of a command is read with what the first one says.
async fn remember(
    store: &dyn Store,
    epoch: Epoch,
    (waiting, open): (&Files, &Files),
    (targets, now, taken): (&[TargetId], Timestamp, Taken),
) -> Result<(), Failure> {
    let remembered = |error| failures::store(error, Wrote::Nothing);
    let mut links: BTreeMap<TargetId, Links> = BTreeMap::new();
    for target in targets {
        links.insert(target.clone(), store.links(target).await.map_err(remembered)?);
    }
    // What was taken over before is taken over once more: a state that was put back from a copy may not have it.
    let runs: BTreeSet<RunId> = waiting.iter().chain(open).flat_map(|file| &file.events).map(|line| line.run).collect();
    for run in runs {
        let lines = lines_of(run, waiting, open);
        let entries = emergency::entries(&lines, &links);
        if let Some(first) = lines.first()
            && store.run(run).await.map_err(remembered)?.is_none()
        {
            let record = run_record(run, &entries, (first.at, now), taken);
            store.begin(epoch, &record).await.map_err(remembered)?;
        }
        store.absorb(epoch, &entries).await.map_err(remembered)?;
        tell_unheld(&lines, &entries, targets);
    }
    Ok(())
}

/// Everything that is said of one command, the file that began it first.
fn lines_of(run: RunId, waiting: &Files, open: &Files) -> Vec<Line> {
    let mut files: Vec<Vec<Line>> = open
        .iter()
        .chain(waiting)
        .map(|file| file.events.iter().filter(|line| line.run == run).cloned().collect())
        .collect();
    files.sort_by_key(|lines| !lines.iter().any(|line| matches!(line.event, Event::Hold { .. })));
    files.into_iter().flatten().collect()
}

/// Nobody is held out by a command that found no record, or several, and none of whose places is open.
fn tell_unheld(lines: &[Line], entries: &[SpoolEntry], targets: &[TargetId]) {
    if !entries.is_empty() || !emergency::open(lines, targets).is_empty() {
        return;
    }
    for line in lines {
        if let Event::Hold { who, .. } = &line.event {
            terminal::complain(&format!(
                "! nobody is held out by the offboarding of {who}: it found no record, or several. Next, for whoever is \
                 meant: lockstep offboard cardholder:TARGET/ID"
            ));
        }
    }
}

/// Gives every file that was taken over its name: by whether something in it is open, and whether it is whole.
fn set_aside_all(waiting: &Files, open: &Files, targets: &[TargetId]) -> Result<(), Failure> {
    let lines = waiting.iter().chain(open).flat_map(|file| &file.events);
    let still: BTreeSet<RunId> = emergency::open(lines, targets).into_iter().map(|one| one.run).collect();
    let is_open = |file: &SpoolFile<Line>| file.events.iter().any(|line| still.contains(&line.run));
    for file in waiting {
        // Whoever still writes it goes on, or has added to it since; what it says so far was taken over, and will be once
        // more.
        if !file.is_read_to_the_end() {
            continue;
        }
        tell_damage(file);
        match (&file.broken, is_open(file)) {
            (Some(_), true) => salvage(file),
            (Some(_), false) => set_aside_broken(&file.path),
            (None, true) => set_aside_open(&file.path),
            (None, false) => set_aside(&file.path),
        }
        .map_err(unreadable)?;
    }
    open.iter().filter(|file| !is_open(file)).try_for_each(|file| set_aside(&file.path).map_err(unreadable))
}

/// What is whole in a damaged file is written anew, so that it is not lost what is open.
fn salvage(file: &SpoolFile<Line>) -> Result<(), SpoolError> {
    let (Some(folder), Some(name)) = (file.path.parent(), file.path.file_stem()) else { return Ok(()) };
    let mut whole = Spool::create(folder, &format!("{}-whole", name.to_string_lossy()))?;
    whole.append_all(&file.events)?;
    set_aside_broken(&file.path)?;
    set_aside_open(whole.path())
}

/// Says what of a file could not be used. Damage must not stop every run for good, and must not go by unseen either.
fn tell_damage(file: &SpoolFile<Line>) {
    let path = file.path.display();
    if let Some(damage) = &file.broken {
        let whole = file.events.len();
        terminal::complain(&format!(
            "! the record of an emergency offboarding is damaged: {path}: {damage}. What is whole in it was taken over \
             ({whole} lines); it is kept as .broken. Next: read it, and put whoever is missing out again: lockstep \
             offboard"
        ));
    } else if file.torn {
        terminal::complain(&format!("! {path}: its last line was cut off while it was written, and does not count"));
    }
}

/// Goes on with what named offboardings left open: one pass, then on with the run's own work. A state that does not take
/// the outcome over now finds it in the spool.
pub(crate) async fn settle_spool(context: &Context, store: &dyn Store) -> Result<Settled, Failure> {
    let loaded = lockstep_config::load_lenient(&context.config.path);
    let settled = settle::pass(&loaded, &settle::only(context), None).await?;
    settle::tell(context.terminal, &settled);
    absorb_spool(context, store).await?;
    Ok(settled)
}

/// Whoever was reinstated by name is not to be put out by an offboarding that is open somewhere. The state knows who
/// was; the spool is told, so that it holds without the state, too.
async fn close_lifted(folders: &Folders, store: &dyn Store, targets: &[TargetId]) -> Result<(), Failure> {
    let files = folders.waiting().and_then(|waiting| Ok((waiting, folders.open()?))).map_err(unreadable)?;
    let lines = files.0.iter().chain(&files.1).flat_map(|file| &file.events);
    let open = emergency::open(lines, targets);
    if open.is_empty() {
        return Ok(());
    }
    let lifts = store.lifts().await.map_err(|error| failures::store(error, Wrote::Nothing))?;
    emergency::close_lifted(folders, &open, &lifts);
    Ok(())
}

fn run_record(run: RunId, entries: &[SpoolEntry], (began, now): (Timestamp, Timestamp), taken: Taken) -> RunRecord {
    let records = entries.iter().filter(|entry| matches!(entry, SpoolEntry::Action { .. })).count();
    let late = match taken {
        Taken::AtOnce => "",
        Taken::Late => "; late: taken over by a later run",
    };
    RunRecord {
        run,
        kind: RunKind::Offboard,
        state: RunState::Closed,
        began,
        changed: now,
        plan: None,
        summary: format!("emergency offboarding, {records} records switched off{late}"),
    }
}

fn unreadable(error: SpoolError) -> Failure {
    Failure::new(Exit::Integrity, error.to_string())
        .not_done("nothing was planned or applied; who was put out in an emergency might have come back")
        .next("restore that file, or set it aside after reading it, and put those people out again: lockstep offboard")
}

/// How many emergency offboardings no run has taken over yet.
pub(crate) fn spooled(folders: &Folders) -> Result<usize, Failure> {
    Ok(folders.waiting().map_err(unreadable)?.iter().filter(|file| says_something(file)).count())
}

/// What the spool says of things that are not done.
#[derive(Debug, Default)]
pub(crate) struct LeftOpen {
    /// What named offboardings left open.
    pub open: Vec<emergency::Open>,
    /// Damaged files that nobody has looked at yet.
    pub damaged: Vec<PathBuf>,
}

/// Reads what is open.
pub(crate) fn left_open(folders: &Folders, targets: &[TargetId]) -> Result<LeftOpen, Failure> {
    let (waiting, open) = (folders.waiting().map_err(unreadable)?, folders.open().map_err(unreadable)?);
    let open = emergency::open(waiting.iter().chain(&open).flat_map(|file| &file.events), targets);
    Ok(LeftOpen { open, damaged: folders.broken() })
}

/// What named offboardings left open.
pub(crate) fn open(folders: &Folders, targets: &[TargetId]) -> Result<Vec<emergency::Open>, Failure> {
    left_open(folders, targets).map(|left| left.open)
}

/// What is open, from a disk that may hang: on a thread of its own, within a time.
pub(crate) async fn left_open_within(
    folders: &Folders,
    targets: &[TargetId],
    limit: Duration,
) -> Result<LeftOpen, Failure> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let (folders, targets) = (folders.clone(), targets.to_vec());
    // Without a thread nobody answers, which is told like any other silence.
    let _ = std::thread::Builder::new()
        .name("spool-reading".into())
        .spawn(move || tell.send(left_open(&folders, &targets)).ok());
    match tokio::time::timeout(limit, told).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) | Err(_) => Err(Failure::new(Exit::Partial, "the folder of the spool does not answer")
            .not_done("what earlier offboardings left open was not looked at")
            .next("look at the disk that `state` is on; then: lockstep offboard --settle")),
    }
}

/// Writes the roster anew. Its failure is told, and fails nothing: the run is done.
pub(crate) async fn after_run(context: &Context, store: &dyn Store) {
    let targets: Vec<TargetId> = context.config.targets.iter().map(|target| target.id.clone()).collect();
    // Whoever this very run lifted a hold of must not be put out again by what is open elsewhere.
    if let Err(failure) = close_lifted(&folders(context), store, &targets).await {
        context.terminal.say(&format!("! the spool was not told who was reinstated: {}", failure.what));
    }
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

#[cfg(test)]
mod tests {
    use lockstep_contract::{CorrelationKey, KeyKind};
    use lockstep_store::MemoryStore;

    use super::*;

    /// The first line of an offboarding, by a clock that shows this.
    fn hold(run: u128, employee: &str, at: Timestamp) -> Line {
        let key = CorrelationKey::new(KeyKind::Employee, employee).expect("a key");
        let (who, reason, by) = (key.to_string(), "theft".to_owned(), "Desk".to_owned());
        Line {
            run: RunId::new(uuid::Uuid::from_u128(run)),
            nth: 0,
            keys: [key].into_iter().collect(),
            record: None,
            scope: emergency::Scope::default(),
            at,
            event: Event::Hold { who, reason, ticket: None, by, at },
        }
    }

    async fn absorbed(folders: &Folders, store: &MemoryStore) {
        let now = "2026-11-25T02:00:00Z".parse().expect("a time");
        let node = NodeId("here:1:1".to_owned());
        let targets = [TargetId::new("hq").expect("an id")];
        absorb(folders, store, (&node, now), &targets, Taken::Late).await.expect("taken over");
    }

    #[tokio::test]
    async fn a_hold_is_about_a_person_whatever_the_clock_showed_and_taking_it_over_again_is_once() {
        let state = tempfile::tempdir().expect("a folder");
        let second = state.path().join("elsewhere");
        let folders = Folders::new(state.path(), Some(&second));
        let store = MemoryStore::new();
        let clocks = [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX];
        for (nth, at) in clocks.into_iter().enumerate() {
            let folder = folders.each().nth(nth % 2).expect("two folders").to_owned();
            let mut spool = Spool::create(folder, &format!("run-{nth}")).expect("made");
            spool.append(&hold(nth as u128 + 1, &format!("100{nth}"), at)).expect("written");
        }
        let copies: Vec<_> = folders.waiting().expect("read").into_iter().map(|file| file.path).collect();
        absorbed(&folders, &store).await;
        assert_eq!(folders.waiting().expect("read"), []);
        let held = async || store.holds(&TargetId::new("hq").expect("an id")).await.expect("read").0;
        let first = held().await;
        assert_eq!(first.len(), clocks.len(), "{first:?}");
        for path in copies {
            std::fs::rename(path.with_extension("absorbed"), path).expect("as if it had not been taken over");
        }
        absorbed(&folders, &store).await;
        assert_eq!(held().await, first);
        let runs = store.runs(9).await.expect("read");
        assert!(runs.len() == clocks.len() && runs.iter().all(|run| run.summary.contains("late")), "{runs:?}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn what_is_still_written_is_taken_over_now_and_again_when_it_is_whole() {
        let state = tempfile::tempdir().expect("a folder");
        let folders = Folders::new(state.path(), None);
        let store = MemoryStore::new();
        let mut spool = Spool::create(folders.each().next().expect("one"), "run").expect("made");
        let mut lines = [hold(1, "1001", Timestamp::UNIX_EPOCH), hold(1, "1002", Timestamp::UNIX_EPOCH)];
        lines[1].nth = 1;
        for (at, line) in lines.iter().enumerate() {
            spool.append(line).expect("written");
            absorbed(&folders, &store).await;
            let held = store.holds(&TargetId::new("hq").expect("an id")).await.expect("read").0;
            assert_eq!(held.len(), at + 1, "{held:?}");
            assert_eq!(folders.waiting().expect("read").len(), 1, "its writer has not let go");
        }
        drop(spool);
        absorbed(&folders, &store).await;
        assert_eq!(folders.waiting().expect("read"), []);
    }

    #[test]
    fn what_was_added_after_it_was_read_is_not_set_aside_unread_nor_is_a_file_that_says_nothing_yet() {
        let state = tempfile::tempdir().expect("a folder");
        let folders = Folders::new(state.path(), None);
        let folder = folders.each().next().expect("one").to_owned();
        let mut spool = Spool::create(&folder, "run").expect("made");
        spool.append(&hold(1, "1001", Timestamp::UNIX_EPOCH)).expect("written");
        std::fs::write(folder.join("made-000.spool"), "").expect("as it is before its writer holds it");
        let read = folders.waiting().expect("read");
        spool.append(&hold(1, "1002", Timestamp::UNIX_EPOCH)).expect("written");
        drop(spool);
        set_aside_all(&read, &[], &[]).expect("set aside");
        let left = folders.waiting().expect("read");
        assert_eq!(left.iter().map(|file| file.events.len()).collect::<Vec<_>>(), [0, 2]);
        set_aside_all(&left, &[], &[]).expect("set aside");
        assert_eq!(folders.waiting().expect("read").len(), 1);
        set_aside_all(&left, &[], &[]).expect("somebody else did so in the meantime");
    }
}
