//! Settling: what named offboardings did not confirm is read again, and what is still there is taken away and read back.
//! `offboard --settle` goes on until all is settled or its patience is over; every run that may write does one pass.
//!
//! It needs the configuration of the PACS and the spool, nothing else: no directory, no database, no lease. It is the same
//! offboarding again, on record under the same command: it reads first, only ever reduces, and believes a read-back.

mod answers;
mod attempt;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use lockstep_config::LenientLoaded;
use lockstep_contract::{RunId, TargetId};
use lockstep_core::{HoldId, Lift};
use lockstep_engine::Store as _;
use lockstep_offboard::Report;
use lockstep_store::SqliteStore;
use lockstep_view::escape;
use serde::Serialize;
use tokio::time::Instant;

use crate::cli::context::{self, Context, block_on};
use crate::cli::emergency::{self, Folders, Open};
use crate::cli::housekeeping::{self, LeftOpen, Taken};
use crate::cli::progress::signal;
use crate::cli::{Global, alerts};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;
use answers::Answer;

/// So long one pass waits for one PACS. A run has other work, too.
const PASS: Duration = Duration::from_secs(10);
/// So long it waits at the end of an offboarding, for the sake of earlier ones.
const SHORT: Duration = Duration::from_secs(3);
/// So long the state may take to say who was reinstated, or to take the record over.
const STATE: Duration = Duration::from_secs(2);
/// The longest wait between two passes.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A person who may still have access on one PACS, although an offboarding was to take it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub(crate) struct Unconfirmed {
    /// Who was named; card numbers masked.
    pub who: String,
    /// On which PACS.
    pub target: String,
    /// Since when.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// By whom they were put out.
    pub by: String,
    /// Why they were put out.
    pub reason: String,
    /// Why it is not confirmed.
    pub why: String,
    /// What to do.
    pub next: String,
}

impl From<&Open> for Unconfirmed {
    fn from(open: &Open) -> Self {
        let next = if open.ambiguous {
            format!("lockstep offboard cardholder:{}/ID, for whoever is meant", open.target)
        } else {
            "lockstep offboard --settle; until then: by hand, with that PACS' own client".to_owned()
        };
        Self {
            who: open.who.clone(),
            target: open.target.to_string(),
            since: open.since,
            by: open.by.clone(),
            reason: open.reason.clone(),
            why: open.why.clone(),
            next,
        }
    }
}

impl Unconfirmed {
    /// One line for people.
    pub(crate) fn line(&self) -> String {
        let since = self.since.strftime("%Y-%m-%d %H:%M UTC");
        escape::terminal(&format!("! NOT confirmed out: {} on {}, since {since}: {}", self.who, self.target, self.why))
    }
}

/// What settling did.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Read back as out, or not there; `why` says which.
    pub done: Vec<Open>,
    /// Still open.
    pub open: Vec<Open>,
    /// What could not be recorded.
    pub faults: Vec<String>,
    /// Damaged records that nobody has looked at yet.
    pub damaged: Vec<PathBuf>,
}

impl Settled {
    /// What is still open, for people.
    pub(crate) fn unconfirmed(&self) -> Vec<Unconfirmed> {
        self.open.iter().map(Unconfirmed::from).collect()
    }

    fn lines(&self) -> Vec<String> {
        let out = |one: &Open| escape::terminal(&format!("- {} on {}: {}", one.who, one.target, one.why));
        let still = self.unconfirmed();
        let open = still.iter().flat_map(|one| [one.line(), format!("    next: {}", escape::terminal(&one.next))]);
        let faults = self.faults.iter().map(|fault| escape::terminal(&format!("! not on record: {fault}")));
        self.done.iter().map(out).chain(open).chain(faults).collect()
    }
}

/// The document of `offboard --settle --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Document {
    /// `lockstep/settle/1`.
    schema: &'static str,
    /// Nothing is open any more, and all of it is on record.
    complete: bool,
    /// What was settled.
    settled: Vec<Confirmed>,
    /// What is still open.
    open: Vec<Unconfirmed>,
    /// What could not be recorded.
    faults: Vec<String>,
}

/// Somebody who is out on one PACS, or has no record there.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Confirmed {
    /// Who was named; card numbers masked.
    who: String,
    /// On which PACS.
    target: String,
    /// What was seen there.
    seen: String,
}

/// Settles what is open for as long as the configured patience lasts, or as somebody says. 0: all is read back; 4:
/// something is still open.
pub(crate) fn run_for(global: &Global, terminal: Terminal, patience: Option<Duration>) -> Result<Exit, Failure> {
    let loaded = lockstep_config::load_lenient(&context::config_path(global)?);
    let patience = patience.unwrap_or(loaded.offboard_patience);
    block_on(async {
        let work = settle(&loaded, &global.targets, None, Times { pass: PASS, until: Instant::now() + patience });
        let settled = tokio::select! {
            settled = work => settled?,
            true = signal() => return Err(stopped()),
        };
        let open = settled.unconfirmed();
        let confirmed =
            |one: &Open| Confirmed { who: one.who.clone(), target: one.target.to_string(), seen: one.why.clone() };
        let document = Document {
            schema: "lockstep/settle/1",
            complete: open.is_empty() && settled.faults.is_empty(),
            settled: settled.done.iter().map(confirmed).collect(),
            open,
            faults: settled.faults.clone(),
        };
        terminal.show(&document, || {
            let mut lines = settled.lines();
            lines.push(match (settled.done.len(), document.open.len()) {
                (0, 0) => "Nothing is open.".to_owned(),
                (done, open) => format!("{done} settled, {open} still open."),
            });
            lines.join("\n")
        })?;
        if !settled.done.is_empty() {
            take_over(&loaded).await;
        }
        alerts::raise(&loaded.alerts, alerts::of_offboardings(&settled.open, &settled.faults, &settled.damaged)).await;
        Ok(if document.complete { Exit::Done } else { Exit::Partial })
    })
}

fn stopped() -> Failure {
    Failure::new(Exit::Partial, "stopped on request")
        .not_done("what is open stays open, and is on record")
        .next("lockstep status; then: lockstep offboard --settle")
}

/// One pass over what is open, beside other work. `but`: a command whose own places are left to the next run.
pub(crate) async fn pass(loaded: &LenientLoaded, only: &[String], but: Option<RunId>) -> Result<Settled, Failure> {
    settle(loaded, only, but, Times { pass: PASS.min(loaded.offboard_patience), until: Instant::now() }).await
}

/// Says what a pass did, beside other work. What is still open is an alert.
pub(crate) fn tell(terminal: Terminal, settled: &Settled) {
    for one in &settled.done {
        terminal.say(&format!("- {} on {}: {}", one.who, one.target, one.why));
    }
    for fault in &settled.faults {
        terminal.say(&format!("! not on record: {fault}"));
    }
}

/// How long a pass may take at one PACS, and until when passes are repeated.
#[derive(Clone, Copy)]
struct Times {
    pass: Duration,
    until: Instant,
}

async fn settle(loaded: &LenientLoaded, only: &[String], but: Option<RunId>, times: Times) -> Result<Settled, Failure> {
    let folders = Folders::of(loaded);
    let configured: Vec<TargetId> = loaded.targets.iter().map(|target| target.id.clone()).collect();
    let LeftOpen { mut open, damaged } = housekeeping::left_open_within(&folders, &configured, STATE).await?;
    open.retain(|one| Some(one.run) != but && (only.is_empty() || only.iter().any(|id| id == one.target.as_str())));
    if open.is_empty() {
        return Ok(Settled { damaged, ..Settled::default() });
    }
    if let Some(lifts) = lifts(loaded).await {
        emergency::close_lifted(&folders, &open, &lifts);
        open.retain(|one| !lifts.iter().any(|lift| lift.lifted(&HoldId::of(one.run, one.nth))));
    }
    let mut by_target: BTreeMap<TargetId, Vec<Open>> = BTreeMap::new();
    for one in open {
        by_target.entry(one.target.clone()).or_default().push(one);
    }
    let roster = roster(loaded).await;
    let each = by_target.into_values().map(|open| on_one_target(loaded, &folders, &roster, open, times));
    let mut all = Settled { damaged, ..Settled::default() };
    for mut one in join_all(each).await {
        all.done.append(&mut one.done);
        all.open.append(&mut one.open);
        all.faults.append(&mut one.faults);
    }
    all.faults.dedup();
    Ok(all)
}

/// Everybody who is open on one PACS, again and again while there is time. One PACS does not wait for another.
async fn on_one_target(
    loaded: &LenientLoaded,
    folders: &Folders,
    roster: &emergency::Roster,
    open: Vec<Open>,
    times: Times,
) -> Settled {
    let mut settled = Settled::default();
    // People have to say who is meant; asking again might find one record by accident, and somebody else's.
    let (ambiguous, mut open): (Vec<Open>, Vec<Open>) = open.into_iter().partition(|one| one.ambiguous);
    let (mut wait, mut pass) = (Duration::from_secs(1), times.pass);
    while !open.is_empty() {
        // One pass alone has its whole time; of several none goes on after the end.
        let left = times.until.saturating_duration_since(Instant::now());
        let patience = if left.is_zero() { pass } else { pass.min(left.max(Duration::from_secs(1))) };
        let mut tried = attempt::all(loaded, folders, roster, open, patience).await;
        settled.done.append(&mut tried.done);
        settled.faults.append(&mut tried.faults);
        open = tried.open;
        if Instant::now() + wait >= times.until {
            break;
        }
        if !open.is_empty() {
            tokio::time::sleep(jittered(wait)).await;
        }
        wait = (wait * 2).min(WAIT_MAX);
        // A PACS may be slow rather than down.
        pass = (pass * 2).min(loaded.offboard_patience.max(times.pass));
    }
    let said: Vec<Answer> = settled.done.iter().map(Answer::of).collect();
    let folders = folders.clone();
    let asked = ambiguous.clone();
    let ended = tokio::task::spawn_blocking(move || answers::end(&folders, &asked, &said));
    let ended = tokio::time::timeout(STATE, ended).await.ok().and_then(Result::ok).unwrap_or_default();
    let stands = |one: &Open| !ended.iter().any(|known| (known.run, known.nth) == (one.run, one.nth));
    settled.open = ambiguous.into_iter().filter(stands).chain(open).collect();
    settled.done.extend(ended);
    settled
}

/// Three quarters to the whole of a wait, so that several who wait for one PACS do not come at once.
fn jittered(wait: Duration) -> Duration {
    let random = u32::from(uuid::Uuid::now_v7().as_bytes()[15]);
    wait * 3 / 4 + wait / 4 * random / 255
}

/// Who is who, as far as the disk says it at once. Without it each PACS is asked for itself.
async fn roster(loaded: &LenientLoaded) -> emergency::Roster {
    let state = loaded.state.clone();
    let look = tokio::task::spawn_blocking(move || emergency::Roster::open(&state));
    match tokio::time::timeout(STATE, look).await {
        Ok(Ok(roster)) => roster,
        Ok(Err(_)) | Err(_) => emergency::Roster::default(),
    }
}

/// Who was reinstated, as far as the state can be had at once. A state that cannot be had stops nothing.
async fn lifts(loaded: &LenientLoaded) -> Option<Vec<Lift>> {
    let database = loaded.state.join(context::DATABASE);
    let handle = tokio::runtime::Handle::current();
    let look = tokio::task::spawn_blocking(move || {
        if !database.is_file() {
            return None;
        }
        handle.block_on(SqliteStore::open(&database).ok()?.lifts()).ok()
    });
    tokio::time::timeout(STATE, look).await.ok()?.ok()?
}

/// What a run looks after: what `--target` names, or everything, also on a PACS that is no longer configured.
pub(crate) fn only(context: &Context) -> Vec<String> {
    if !context.narrowed() {
        return Vec::new();
    }
    context.targets().map(|target| target.id.to_string()).collect()
}

/// One pass of a run that cannot have the state. What it did is found by the next one that can.
pub(crate) async fn without_state(context: &Context) {
    let loaded = lockstep_config::load_lenient(&context.config.path);
    match pass(&loaded, &only(context), None).await {
        Err(failure) => context.terminal.say(&not_looked_at(&failure)),
        Ok(settled) => {
            tell(context.terminal, &settled);
            let alerts = alerts::of_offboardings(&settled.open, &settled.faults, &settled.damaged);
            alerts::raise(&loaded.alerts, alerts).await;
        }
    }
}

/// What an offboarding does for earlier ones, and whom it tells. Its own places had their time.
pub(crate) async fn after_offboarding(terminal: Terminal, loaded: &LenientLoaded, reports: &[Report], run: RunId) {
    let faults: Vec<String> = reports.iter().flat_map(|report| report.journal_faults.clone()).collect();
    let configured: Vec<TargetId> = loaded.targets.iter().map(|target| target.id.clone()).collect();
    let said = answers::after(loaded, reports, run).await;
    let left = match settle(loaded, &[], Some(run), Times { pass: SHORT, until: Instant::now() }).await {
        Err(failure) => {
            terminal.say(&not_looked_at(&failure));
            LeftOpen::default()
        }
        Ok(mut settled) => {
            settled.done.extend(said);
            tell(terminal, &settled);
            if !settled.done.is_empty() {
                take_over(loaded).await;
            }
            housekeeping::left_open_within(&Folders::of(loaded), &configured, STATE).await.unwrap_or_default()
        }
    };
    alerts::raise(&loaded.alerts, alerts::of_offboardings(&left.open, &faults, &left.damaged)).await;
}

fn not_looked_at(failure: &Failure) -> String {
    format!("! what earlier offboardings left open was not looked at: {}", failure.what)
}

/// Has the state take the record over at once, when it can be had. If not, the next run does it.
pub(crate) async fn take_over(loaded: &LenientLoaded) {
    let folders = Folders::of(loaded);
    let database = loaded.state.join(context::DATABASE);
    let targets: Vec<TargetId> = loaded.targets.iter().map(|target| target.id.clone()).collect();
    let handle = tokio::runtime::Handle::current();
    let work = tokio::task::spawn_blocking(move || {
        if database.is_file()
            && let Ok(store) = SqliteStore::open(&database)
        {
            let now = context::now();
            let node = context::node(now);
            let taken = housekeeping::absorb(&folders, &store, (&node, now), &targets, Taken::AtOnce);
            // Whoever holds the lease, or the next run, finds it.
            let _ = handle.block_on(taken);
        }
    });
    let _ = tokio::time::timeout(STATE, work).await;
}
