//! `status`: last runs, holds, fuses, what is not settled, and how old the manual fallback is. Reads the state only.

use std::collections::BTreeSet;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use lockstep_core::Hold;
use lockstep_engine::{Fuse, JournalEntry, RunRecord};
use lockstep_view::{Align, Table, escape};
use serde::Serialize;

use crate::cli::context::{Context, block_on};
use crate::cli::failures::{self, Wrote};
use crate::cli::{Global, export, housekeeping};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

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
    /// Records of emergency offboardings that no run has taken over yet.
    spooled: usize,
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
    /// When the manual fallback was last written.
    exported: Option<String>,
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
    let mut standing = Standing {
        schema: "lockstep/status/1",
        state: context.database().is_file(),
        runs: Vec::new(),
        targets: Vec::new(),
        unsettled: Vec::new(),
        spooled: housekeeping::spooled(&context.config.state)?,
    };
    if !standing.state {
        return Ok(standing);
    }
    let store = context.store()?;
    let remembered = |error| failures::store(error, Wrote::Nothing);
    store.verify().await.map_err(remembered)?;
    standing.runs = store.runs(runs).await.map_err(remembered)?;
    standing.unsettled = store.unsettled().await.map_err(remembered)?.into_iter().map(Open::from).collect();
    let manifest = export::manifest(&context.config.exports)?.unwrap_or_default();
    let now = context.now();
    for target in context.targets() {
        let id = &target.id;
        standing.targets.push(TargetStanding {
            target: id.to_string(),
            applied_runs: store.history(id, now).await.map_err(remembered)?.applied_runs,
            links: store.links(id).await.map_err(remembered)?.len(),
            holds: merged(store.holds(id).await.map_err(remembered)?.0),
            fuse: store.fuse(id, now).await.map_err(remembered)?,
            exported: manifest.targets.get(id.as_str()).map(|listed| listed.read_at.clone()),
        });
    }
    Ok(standing)
}

fn text(standing: &Standing, now: Timestamp) -> String {
    let mut lines = Vec::new();
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
        lines.extend(holds(target).into_iter().map(|held| format!("  ! {}", escape::terminal(&held))));
        if let Some(since) = target.fuse.open_since {
            lines.push(format!("  ! fuse open since {}: {}", minute(since), escape::terminal(&target.fuse.reason)));
            lines.push(format!("    next, after looking: lockstep fuse reset {} --by NAME", target.target));
        }
    }
    for open in &standing.unsettled {
        let short = open.action.get(..12).unwrap_or(&open.action);
        lines.push(format!("! not settled on {}: action {short}: {}", open.target, escape::terminal(&open.detail)));
    }
    if standing.spooled > 0 {
        lines.push(format!(
            "! {} records of emergency offboardings wait for the next plan, apply or sync",
            standing.spooled
        ));
    }
    let all = standing.targets.iter().flat_map(|target| &target.holds);
    let holds: BTreeSet<_> = all.map(|hold| (hold.since, &hold.by, &hold.reason)).collect();
    lines.push(format!(
        "{} runs listed, {} holds, {} not settled.",
        standing.runs.len(),
        holds.len(),
        standing.unsettled.len()
    ));
    lines.join("\n")
}

/// One offboarding is remembered by identity or key everywhere, and by record where there is one: one hold for people.
fn merged(holds: Vec<Hold>) -> Vec<Hold> {
    let mut merged: Vec<Hold> = Vec::new();
    for hold in holds {
        let word = |hold: &Hold| (hold.since, hold.by.clone(), hold.reason.clone());
        let same = |other: &&mut Hold| {
            word(other) == word(&hold)
                && (other.person == hold.person || other.person.is_none() || hold.person.is_none())
        };
        let Some(other) = merged.iter_mut().find(same) else {
            merged.push(hold);
            continue;
        };
        other.person = other.person.take().or(hold.person);
        hold.keys.iter().for_each(|key| other.keys.insert(key.clone()));
        let more: Vec<_> = hold.cardholders.into_iter().filter(|id| !other.cardholders.contains(id)).collect();
        other.cardholders.extend(more);
    }
    merged
}

/// One line for each person held out.
fn holds(target: &TargetStanding) -> BTreeSet<String> {
    let line = |hold: &Hold| {
        let keys: Vec<String> = hold.keys.iter().map(ToString::to_string).collect();
        let records = hold.cardholders.iter().map(|id| format!("cardholder {id}"));
        let who = if keys.is_empty() { records.collect::<Vec<_>>().join(", ") } else { keys.join(", ") };
        let who = if who.is_empty() { hold.person.as_ref().map_or_else(String::new, ToString::to_string) } else { who };
        format!("held out since {} by {}: {who} ({})", minute(hold.since), hold.by, hold.reason)
    };
    target.holds.iter().map(line).collect()
}

fn target_line(target: &TargetStanding, now: Timestamp) -> String {
    let export = match target.exported.as_deref().and_then(|at| at.parse::<Timestamp>().ok()) {
        Some(at) => format!("fallback export {} old", age(now.duration_since(at))),
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
