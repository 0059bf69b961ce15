//! `status`: last runs, holds, fuses, what is not settled, and how old the manual fallback is. Reads the state only.

use std::collections::BTreeSet;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use lockstep_contract::TargetId;
use lockstep_core::{Hold, HoldId};
use lockstep_engine::{Fuse, JournalEntry, RunRecord};
use lockstep_view::{Align, Table, escape};
use serde::Serialize;

use crate::cli::context::{Context, block_on};
use crate::cli::failures::{self, Wrote};
use crate::cli::settle::Unconfirmed;
use crate::cli::watch::{self, Mark};
use crate::cli::{Global, emergency, export, held, housekeeping};
use crate::exit::{Exit, Failure};
use crate::terminal::{self, Terminal};

/// Last runs, holds, fuses, unsettled actions
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// How many runs to list
    #[arg(long, value_name = "N", default_value_t = 5)]
    runs: u32,
}

/// The document of `status --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Standing {
    /// `lockstep/status/1`.
    schema: &'static str,
    /// There is a state database.
    state: bool,
    /// The last runs, newest first.
    #[schemars(with = "Vec<serde_json::Value>")]
    runs: Vec<RunRecord>,
    /// Each target asked for.
    targets: Vec<TargetStanding>,
    /// What was begun and is not settled.
    unsettled: Vec<Open>,
    /// Who was put out by name and may still have access somewhere, until it is read back.
    open: Vec<Unconfirmed>,
    /// The watch, where there is or was one.
    watch: Option<Mark>,
    /// Records of emergency offboardings that no run has taken over yet.
    spooled: usize,
    /// Records of emergency offboardings that were damaged, and that nobody has looked at yet.
    damaged: Vec<String>,
}

/// One target.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct TargetStanding {
    target: String,
    applied_runs: u64,
    links: usize,
    /// People held out by name.
    #[schemars(with = "Vec<serde_json::Value>")]
    holds: Vec<Hold>,
    #[schemars(with = "serde_json::Value")]
    fuse: Fuse,
    /// How old the manual fallback is; none when there is none.
    exported: Option<export::Standing>,
}

/// An action that is not settled.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Open {
    target: String,
    run: String,
    action: String,
    #[schemars(with = "String")]
    state: lockstep_core::ActionState,
    detail: String,
}

impl From<JournalEntry> for Open {
    fn from(entry: JournalEntry) -> Self {
        Self {
            target: entry.intent.action.target.to_string(),
            run: entry.intent.run.to_string(),
            action: entry.intent.action.id.to_string(),
            state: entry.state,
            detail: entry.detail,
        }
    }
}

impl Status {
    pub(crate) fn run(self, global: &Global, terminal: Terminal) -> Result<Exit, Failure> {
        let context = Context::load(global, terminal)?;
        let standing = block_on(read(&context, self.runs))?;
        let now = context.now();
        terminal.show(&standing, || text(&standing, now))?;
        Ok(Exit::Done)
    }
}

async fn read(context: &Context, runs: u32) -> Result<Standing, Failure> {
    let folders = housekeeping::folders(context);
    let mut standing = Standing {
        schema: "lockstep/status/1",
        state: context.database().is_file(),
        runs: Vec::new(),
        targets: Vec::new(),
        unsettled: Vec::new(),
        open: Vec::new(),
        watch: watch::last_mark(&context.config.state),
        spooled: housekeeping::spooled(&folders)?,
        damaged: folders.broken().iter().map(|path| path.display().to_string()).collect(),
    };
    let configured: Vec<TargetId> = context.config.targets.iter().map(|target| target.id.clone()).collect();
    let open = housekeeping::open(&folders, &configured)?;
    standing.open = open.iter().map(Unconfirmed::from).collect();
    if !standing.state {
        return Ok(standing);
    }
    // A state that is of no use must not hide who may still have access.
    let urgent = first(&standing);
    remembered(context, runs, &open, &mut standing).await.inspect_err(|_| {
        for line in &urgent {
            terminal::complain(line);
        }
    })?;
    Ok(standing)
}

/// What the state has to say.
async fn remembered(
    context: &Context,
    runs: u32,
    open: &[emergency::Open],
    standing: &mut Standing,
) -> Result<(), Failure> {
    let store = context.store()?;
    let remembered = |error| failures::store(error, Wrote::Nothing);
    store.verify().await.map_err(remembered)?;
    let lifts = store.lifts().await.map_err(remembered)?;
    let stands = |one: &&emergency::Open| lifts.iter().all(|lift| !lift.lifted(&HoldId::of(one.run, one.nth)));
    standing.open = open.iter().filter(stands).map(Unconfirmed::from).collect();
    standing.runs = store.runs(runs).await.map_err(remembered)?;
    standing.unsettled = store.unsettled().await.map_err(remembered)?.into_iter().map(Open::from).collect();
    let now = context.now();
    let manifest = export::manifest(&context.config.exports)?;
    let exports =
        manifest.map(|manifest| export::standing(&manifest, context.config.export_age, now)).unwrap_or_default();
    for target in context.targets() {
        let id = &target.id;
        standing.targets.push(TargetStanding {
            target: id.to_string(),
            applied_runs: store.history(id, now).await.map_err(remembered)?.applied_runs,
            links: store.links(id).await.map_err(remembered)?.len(),
            holds: held::on_target(&*store, id).await.map_err(remembered)?,
            fuse: store.fuse(id, now).await.map_err(remembered)?,
            exported: exports.iter().find(|one| one.target == id.as_str()).cloned(),
        });
    }
    Ok(())
}

/// How far the watch is.
fn watch_line(mark: &Mark, now: Timestamp) -> String {
    let time = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), minute);
    let (looked, census) = (time(mark.looked), time(mark.census));
    let owed = mark.owed.as_ref().map_or_else(String::new, |why| format!(", another is owed: {why}"));
    let state = match mark.trouble(now) {
        Some(why) => format!("! {why}"),
        None if mark.stopped => format!("watch: stopped {}", minute(mark.at)),
        None => format!("watch: goes on, as of {}", minute(mark.at)),
    };
    escape::terminal(&format!("{state}; last look {looked}, last census {census}{owed}"))
}

fn text(standing: &Standing, now: Timestamp) -> String {
    let mut lines = first(standing);
    if !standing.state {
        lines.push("No run yet: there is no state. Next: lockstep plan".into());
    }
    let mut runs = Table::new([20, 9, 10, 36, 80].map(|width| (Align::Left, width)));
    for run in &standing.runs {
        runs.row([minute(run.began), word(&run.kind), word(&run.state), run.run.to_string(), run.summary.clone()]);
    }
    lines.extend(runs.lines(0));
    for target in &standing.targets {
        lines.push(target_line(target, now));
        lines.extend(held::lines(&target.holds).into_iter().map(|held| format!("  ! {held}")));
        if let Some(since) = target.fuse.open_since {
            lines.push(format!("  ! fuse open since {}: {}", minute(since), escape::terminal(&target.fuse.reason)));
            lines.push(format!("    next, after looking: lockstep fuse reset {} --by NAME", target.target));
        }
    }
    lines.extend(standing.watch.as_ref().map(|mark| watch_line(mark, now)));
    let all = standing.targets.iter().flat_map(|target| &target.holds);
    let holds: BTreeSet<_> = all.map(|hold| (hold.since, &hold.by, &hold.reason)).collect();
    let open = if standing.open.is_empty() { String::new() } else { format!(", {} NOT out yet", standing.open.len()) };
    lines.push(format!(
        "{} runs listed, {} holds, {} not settled{open}.",
        standing.runs.len(),
        holds.len(),
        standing.unsettled.len()
    ));
    lines.join("\n")
}

/// What somebody has to look at comes first.
fn first(standing: &Standing) -> Vec<String> {
    let mut lines = Vec::new();
    for one in &standing.open {
        lines.push(one.line());
        lines.push(format!("    next: {}", escape::terminal(&one.next)));
    }
    for path in &standing.damaged {
        lines.push(format!("! the record of an emergency offboarding was damaged: {}", escape::terminal(path)));
        lines.push("    next: compare it with the holds below and with the PACS, then move it away".into());
    }
    if standing.spooled > 0 {
        lines.push(format!(
            "! {} records of emergency offboardings wait for the next plan, apply or sync",
            standing.spooled
        ));
    }
    for open in &standing.unsettled {
        let short = open.action.get(..12).unwrap_or(&open.action);
        lines.push(format!("! not settled on {}: action {short}: {}", open.target, escape::terminal(&open.detail)));
    }
    lines
}

fn target_line(target: &TargetStanding, now: Timestamp) -> String {
    let export = match &target.exported {
        Some(one) => {
            let read_at = one.read_at.parse().unwrap_or(now);
            let warning = if one.too_old { ", TOO OLD: lockstep export" } else { "" };
            format!("fallback export {} old{warning}", age(now.duration_since(read_at)))
        }
        None => "no fallback export".into(),
    };
    format!(
        "{}: {} runs applied, {} people linked, {} reduced in 24 h, {export}",
        target.target, target.applied_runs, target.links, target.fuse.reduced_day
    )
}

/// `3 d`, `5 h`, `12 min`.
fn age(age: SignedDuration) -> String {
    match (age.as_hours(), age.as_mins()) {
        (hours, _) if hours >= 48 => format!("{} d", hours / 24),
        (hours, _) if hours >= 1 => format!("{hours} h"),
        (_, minutes) => format!("{} min", minutes.max(0)),
    }
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// The word that serde writes for a plain enum.
fn word(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).ok();
    value.as_ref().and_then(serde_json::Value::as_str).unwrap_or("?").to_owned()
}
