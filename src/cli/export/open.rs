//! What is open, from everything that is known here: named offboardings that are not confirmed, what was sent and not
//! settled, and what plans have agreed to or wait with. Works with the directory, every PACS and the state down: what
//! could not be looked at is said, and the rest is listed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lockstep_contract::{
    Action, ActionId, Cardholder, CardholderId, Catalog, CorrelationKeys, CredentialStatus, Expectation,
    InactiveStatus, KeyKind, Reason, Reduction, RunId, Situation, Status, Step, Steps, Subject, TargetId,
    canonical_json,
};
use lockstep_core::{ActionState, Hold, HoldId, LaneKind, Lift, Verdict, Who, verify};
use lockstep_engine::{JournalEntry, Store};
use lockstep_view::Urgency;

use super::last_seen;
use super::manifest::{JournalHead, PlanFacts};
use super::plans;
use super::reading::{self, Reading};
use crate::cli::context::Context;
use crate::cli::emergency::{self, Roster};
use crate::cli::housekeeping;
use crate::cli::worklist::{Task, id_of};

/// The state may be held by a run; the sheets are worth more than what it would add.
const STATE_PATIENCE: Duration = Duration::from_secs(10);

/// Everything that is open.
#[derive(Debug, Default)]
pub(crate) struct OpenWork {
    /// What is to be done to a record that is known.
    pub tasks: Vec<Task>,
    /// Whom to look for.
    pub searches: Vec<Search>,
    /// What could not be looked at, for whoever works from the list.
    pub notes: Vec<String>,
    /// Levels by name, by target.
    pub catalogs: BTreeMap<TargetId, Catalog>,
    /// The last run in the journal.
    pub journal_head: Option<JournalHead>,
    /// The newest plan on the list.
    pub plan: Option<PlanFacts>,
}

/// Somebody who was put out by name on a PACS that has not been asked, and whose record there is not known.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    /// The PACS.
    pub target: TargetId,
    /// As people named them.
    pub who: String,
    /// Without card numbers, which stay out of the state.
    pub keys: CorrelationKeys,
    /// Why.
    pub because: String,
}

impl Search {
    /// By which the row is known again.
    pub(crate) fn id(&self) -> String {
        id_of(&canonical_json(&("look for", &self.target, &self.who)))
    }
}

/// What the state says.
#[derive(Default)]
pub(crate) struct State {
    unsettled: Vec<JournalEntry>,
    lifts: Vec<Lift>,
    /// Holds, each with the records that are known to be that person's.
    holds: BTreeMap<TargetId, Vec<(Hold, BTreeSet<CardholderId>)>>,
    head: Option<JournalHead>,
    /// Actions of plans that nobody has to do any more, or that stand on the list as begun.
    pub(crate) taken_up: BTreeSet<ActionId>,
}

/// Puts together what is open.
pub(crate) async fn gather(context: &Context, readings: &BTreeMap<TargetId, Reading>) -> OpenWork {
    let mut work = OpenWork::default();
    for (target, reading) in readings {
        work.catalogs.insert(target.clone(), reading.catalog.clone());
    }
    let plans = plans::recent(context, &mut work.notes);
    let state = match tokio::time::timeout(STATE_PATIENCE, remembered(context, &plans)).await {
        Ok(Ok(state)) => state,
        Ok(Err(why)) => unknown_state(&mut work.notes, &why),
        Err(_) => unknown_state(&mut work.notes, "it did not answer in time"),
    };
    work.journal_head.clone_from(&state.head);
    let mut held: BTreeSet<(TargetId, CardholderId)> = BTreeSet::new();
    put_out(context, readings, &state, &mut work, &mut held).await;
    from_holds(readings, &state, &mut work, &mut held);
    from_journal(readings, &state, &mut work, &held);
    plans::add(&plans, &state, readings, &mut work, &held);
    last_seen::name(&mut work.tasks, &context.config.exports);
    work.tasks.sort_by(|a, b| {
        let order = |task: &Task| (task.urgency, rank(&task.action), reading::place_in_alphabet(&task.who.name));
        order(a).cmp(&order(b))
    });
    work
}

fn unknown_state(notes: &mut Vec<String>, why: &str) -> State {
    notes.push(format!(
        "The state of Lockstep could not be read ({why}). What earlier runs sent and did not confirm is missing here, \
         and what is listed from plans may be done already: look at the record first."
    ));
    State::default()
}

async fn remembered(context: &Context, plans: &[plans::Recent]) -> Result<State, String> {
    if !context.database().is_file() {
        return Ok(State::default());
    }
    let store = context.store().map_err(|failure| failure.what)?;
    read_state(context, &*store, plans).await.map_err(|error| error.to_string())
}

async fn read_state(
    context: &Context,
    store: &dyn Store,
    plans: &[plans::Recent],
) -> Result<State, lockstep_engine::StoreError> {
    let mut state = State { unsettled: store.unsettled().await?, lifts: store.lifts().await?, ..State::default() };
    for target in &context.config.targets {
        let links = store.links(&target.id).await?;
        let holds = store.holds(&target.id).await?;
        let known = holds.0.into_iter().map(|hold| {
            let linked = hold.person.as_ref().and_then(|person| links.of_person(person)).map(|link| link.cardholder);
            let records = hold.cardholders.iter().cloned().chain(linked).collect();
            (hold, records)
        });
        state.holds.insert(target.id.clone(), known.collect());
    }
    state.head = store.runs(1).await?.into_iter().next().map(|run| JournalHead {
        run: run.run.to_string(),
        state: run.state.as_str().to_owned(),
        changed: run.changed.to_string(),
    });
    for plan in plans {
        let journal = store.journal(plan.run()).await?;
        // What the PACS refused, or did otherwise, is still to be done; what was withdrawn was found to be wrong.
        let open = |entry: &JournalEntry| matches!(entry.state, ActionState::Refused | ActionState::Diverged);
        state.taken_up.extend(journal.into_iter().filter(|entry| !open(entry)).map(|entry| entry.intent.action.id));
    }
    Ok(state)
}

/// Named offboardings whose record says that they are not confirmed.
async fn put_out(
    context: &Context,
    readings: &BTreeMap<TargetId, Reading>,
    state: &State,
    work: &mut OpenWork,
    held: &mut BTreeSet<(TargetId, CardholderId)>,
) {
    let targets: Vec<TargetId> = context.config.targets.iter().map(|target| target.id.clone()).collect();
    let folders = housekeeping::folders(context);
    let left = match housekeeping::left_open_within(&folders, &targets, STATE_PATIENCE).await {
        Ok(left) => left,
        Err(failure) => {
            work.notes.push(format!("The record of emergency offboardings could not be read: {}.", failure.what));
            return;
        }
    };
    work.notes.extend(left.damaged.iter().map(|path| {
        format!(
            "The record of an emergency offboarding is damaged; who it put out may be missing here: {}.",
            path.display()
        )
    }));
    let roster = Roster::open(&context.config.state);
    let stands = |one: &&emergency::Open| state.lifts.iter().all(|lift| !lift.lifted(&HoldId::of(one.run, one.nth)));
    for one in left.open.iter().filter(stands) {
        let reading = readings.get(&one.target);
        let mut records: BTreeSet<CardholderId> = one.records.get(&one.target).cloned().unwrap_or_default();
        if let Some(who) = one.who() {
            records.extend(roster.known(&who).remove(&one.target).into_iter().flatten().map(|(id, _)| id));
        }
        if records.is_empty()
            && let Some(reading) = reading
        {
            let theirs = reading.with_keys(one.keys.iter());
            if theirs.is_empty() && !one.keys.is_empty() {
                continue; // the PACS was read since, and has nobody by that name
            }
            if let [only] = theirs.as_slice() {
                records.insert(only.id.clone());
            }
        }
        let because = format!("put out by {}: {}", one.by, one.reason);
        if records.is_empty() {
            work.searches.push(Search {
                target: one.target.clone(),
                who: one.who.clone(),
                keys: one.keys.iter().filter(|key| key.kind() != KeyKind::Card).cloned().collect(),
                because,
            });
            continue;
        }
        for record in records {
            lock_out(one.run, (&one.target, &record), reading, &because, work, held);
        }
    }
}

/// People held out by name whose record is in force all the same, as just read.
fn from_holds(
    readings: &BTreeMap<TargetId, Reading>,
    state: &State,
    work: &mut OpenWork,
    held: &mut BTreeSet<(TargetId, CardholderId)>,
) {
    for (target, holds) in &state.holds {
        let Some(reading) = readings.get(target) else { continue };
        for (hold, records) in holds {
            let mut records = records.clone();
            if records.is_empty()
                && let [only] = reading.with_keys(hold.keys.iter()).as_slice()
            {
                records.insert(only.id.clone());
            }
            let because = format!("held out by {}: {}", hold.by, hold.reason);
            for record in records {
                let run = RunId::new(uuid::Uuid::nil()); // the row is known by what it does; no run did it yet
                lock_out(run, (target, &record), Some(reading), &because, work, held);
            }
        }
    }
}

/// One record to be switched off, with every card of it that is known to work.
fn lock_out(
    run: RunId,
    (target, id): (&TargetId, &CardholderId),
    reading: Option<&Reading>,
    because: &str,
    work: &mut OpenWork,
    held: &mut BTreeSet<(TargetId, CardholderId)>,
) {
    if !held.insert((target.clone(), id.clone())) {
        return;
    }
    let record = reading.and_then(|reading| reading.record(id));
    if reading.is_some() && record.is_none_or(is_out) {
        return;
    }
    let off = InactiveStatus::Disabled;
    let works = record.into_iter().flat_map(|record| &record.credentials);
    let working: Vec<_> = works
        .filter(|credential| !matches!(credential.status, CredentialStatus::Inactive(_)))
        .map(|credential| credential.id.clone())
        .collect();
    let deactivate =
        working.iter().map(|credential| Reduction::Deactivate { credential: credential.clone(), status: off });
    let steps = std::iter::once(Reduction::Suspend).chain(deactivate).map(Step::Reduce).collect();
    let Some(steps) = Steps::new(steps) else { return };
    let subject = Subject::Existing(id.clone());
    let expect = Expectation {
        status: Some(Status::Suspended),
        credentials: working.into_iter().map(|id| (id, CredentialStatus::Inactive(off))).collect(),
        ..Expectation::default()
    };
    let action = Action {
        id: ActionId::of(run, target, &subject, &steps),
        target: target.clone(),
        subject,
        person: None,
        steps,
        basis: None,
        expect,
        because: Reason { situation: Situation::Held, why: Vec::new() },
    };
    let who = record.map(who).unwrap_or_default();
    let because = because.to_owned();
    work.tasks.push(Task { action, urgency: Urgency::PutOut, who, because, record: record.cloned() });
}

/// True when the record and every card of it is off.
pub(crate) fn is_out(record: &Cardholder) -> bool {
    let off = |status: &CredentialStatus| matches!(status, CredentialStatus::Inactive(_));
    record.status == Status::Suspended && record.credentials.iter().all(|credential| off(&credential.status))
}

fn who(record: &Cardholder) -> Who {
    let field = |name| record.profile.get(name).map(str::to_owned).filter(|value| !value.is_empty());
    Who {
        name: reading::name(record),
        employee_number: field(lockstep_contract::field::EMPLOYEE_NUMBER),
        department: field(lockstep_contract::field::DEPARTMENT),
        ..Who::default()
    }
}

/// What was sent, or was about to be, and is not settled.
fn from_journal(
    readings: &BTreeMap<TargetId, Reading>,
    state: &State,
    work: &mut OpenWork,
    held: &BTreeSet<(TargetId, CardholderId)>,
) {
    for entry in &state.unsettled {
        let action = &entry.intent.action;
        if is_kept_out(action, held) || is_done(action, readings) {
            continue;
        }
        let because = match entry.state {
            ActionState::Acknowledged => "accepted by the PACS, and not seen there yet",
            _ => "begun, and not confirmed",
        };
        let seen = record_of(action, readings).or(entry.intent.before.as_ref());
        let urgency = if action.because.situation == Situation::Held { Urgency::PutOut } else { Urgency::Agreed };
        work.tasks.push(Task {
            action: action.clone(),
            urgency,
            who: seen.map(who).unwrap_or_default(),
            because: because.to_owned(),
            record: seen.cloned(),
        });
    }
}

/// True when somebody put this record out by name: what is to be done to it is on the list already, and nothing else
/// may be.
pub(crate) fn is_kept_out(action: &Action, held: &BTreeSet<(TargetId, CardholderId)>) -> bool {
    match &action.subject {
        Subject::Existing(id) => held.contains(&(action.target.clone(), id.clone())),
        Subject::New(_) => false,
    }
}

/// The record of an action as it was just read.
pub(crate) fn record_of<'r>(action: &Action, readings: &'r BTreeMap<TargetId, Reading>) -> Option<&'r Cardholder> {
    let Subject::Existing(id) = &action.subject else { return None };
    readings.get(&action.target)?.record(id)
}

/// True when the PACS, as just read, shows that it is done.
pub(crate) fn is_done(action: &Action, readings: &BTreeMap<TargetId, Reading>) -> bool {
    let found = match &action.subject {
        Subject::Existing(_) => record_of(action, readings),
        Subject::New(key) => match readings.get(&action.target).map(|reading| reading.with_keys([key])).as_deref() {
            Some([only]) => Some(*only),
            _ => None,
        },
    };
    found.is_some_and(|found| verify(action, Some(found)) == Verdict::Verified)
}

/// What only takes away comes before what gives anything.
fn rank(action: &Action) -> LaneKind {
    if action.steps.iter().all(|step| step.as_reduction().is_some()) { LaneKind::Revoke } else { LaneKind::Stage }
}
