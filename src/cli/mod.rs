//! The command line: one file a verb. This file has what all of them share and nothing of what any one does.

mod alerts;
mod apply;
mod approve;
mod check;
#[cfg(feature = "sim")]
mod conform;
mod connector;
mod context;
mod emergency;
mod explain;
mod explain_text;
mod export;
mod failures;
mod files;
mod fuse;
mod held;
mod hints;
mod housekeeping;
mod init;
mod offboard;
mod outcome;
mod plan;
mod plan_dir;
mod probe;
mod progress;
mod reinstate;
mod rollback;
mod runs;
#[cfg(all(test, feature = "sim"))]
mod schemas;
mod secret;
mod select;
mod settle;
mod show;
mod simulate;
mod status;
mod sync;
mod watch;
mod worklist;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::exit::{Exit, Failure};
use crate::terminal::{Color, Terminal, complain};

/// Keeps physical access in step with what the directory says.
///
/// Reads people and groups, compares them with the cardholders of each PACS, and writes a plan that people can read.
/// Nothing is changed until a plan is approved and applied; what takes access away can run unattended, within guards.
#[derive(Debug, Parser)]
#[command(name = "lockstep", version, propagate_version = true, max_term_width = 110, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

const EXIT_CODES: &str = "\
Exit codes:
   0  done, or nothing to do
   1  failed; nothing was written to any PACS
   2  only with --detailed-exitcode: there are changes
   3  held: a guard tripped, or an approval is needed
   4  done in part: something is not verified or was not reached
   5  a source or a group could not be read whole; nothing that rests on it was planned
   6  plan refused: stale, expired, applied before, altered, or for something else
   7  another run holds the lease
   8  integrity: state, journal or log does not verify
  64  usage
  78  configuration or mapping invalid";

/// Options of every verb.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Configuration file [default: $LOCKSTEP_CONFIG, lockstep.toml here, /etc/lockstep/lockstep.toml]
    #[arg(long, global = true, value_name = "FILE", env = "LOCKSTEP_CONFIG", hide_env = true)]
    pub config: Option<PathBuf>,
    /// Only this target; may be given several times
    #[arg(long = "target", global = true, value_name = "ID")]
    pub targets: Vec<String>,
    /// One JSON document on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// When to colour: auto, always or never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: Color,
    /// No talk and no progress on standard error, only failures
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// More talk on standard error; twice for every request
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Form of the log on standard error: text or json
    #[arg(long, global = true, value_name = "FORM", default_value = "text", hide_possible_values = true)]
    pub log_format: LogFormat,
}

impl Global {
    /// The part of a next command that names the configuration, when this one named it.
    pub(crate) fn again(&self) -> String {
        self.config.as_ref().map_or_else(String::new, |path| format!(" --config {}", plan_dir::quoted(path)))
    }
}

/// Form of the log on standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Write a commented configuration and mapping to start from; never overwrites
    Init(init::Init),
    /// Check configuration, mapping and referenced secrets, offline
    Check(check::Check),
    /// Reach each system and prove the rights it has, and those it must not have
    Probe(probe::Probe),
    /// Read both sides and write a plan to review; changes nothing
    Plan(plan::Plan),
    /// Show a saved plan
    Show(show::Show),
    /// Record a named person's decision over a plan
    Approve(approve::Approve),
    /// Apply exactly the approved actions of a plan, reading each back
    Apply(apply::Apply),
    /// Plan, apply what may run unattended, stage the rest
    Sync(sync::Sync),
    /// Put people out, now, on every PACS; needs neither directory nor database
    Offboard(offboard::Offboard),
    /// Plan the return of somebody whom offboard put out; approved and applied like any plan
    Reinstate(reinstate::Reinstate),
    /// Plan the inverse of a run from its before-images; approved and applied like any plan
    Rollback(rollback::Rollback),
    /// Say why a person has, or lacks, each access level
    Explain(explain::Explain),
    /// Write the manual fallback: who has what on each PACS, readable without this program
    Export(export::Export),
    /// Last runs, holds, fuses, unsettled actions
    Status(status::Status),
    /// Reset the breaker that stops reductions, after somebody looked
    Fuse(fuse::Fuse),
    /// Set, check or remove a secret in the credential store of the operating system
    Secret(secret::Secret),
    /// The connectors: list them, print their schemas, test one
    Connector(connector::Connector),
}

impl Verb {
    /// Whether it may write to a PACS.
    pub(crate) const fn writes(&self) -> bool {
        matches!(self, Self::Apply(_) | Self::Sync(_) | Self::Offboard(_))
    }
}

/// Carries out a verb.
pub(crate) fn run(cli: Cli) -> Result<Exit, Failure> {
    match refuse_unknown_variables() {
        // A stray variable must not be what keeps somebody in.
        Err(failure) if matches!(cli.verb, Verb::Offboard(_)) => {
            complain(&format!("lockstep: {failure}\n  it is ignored for this emergency"));
        }
        other => other?,
    }
    let terminal = Terminal::new(cli.global.json, cli.global.quiet, cli.global.color);
    log(&cli.global);
    match cli.verb {
        Verb::Init(verb) => verb.run(terminal),
        Verb::Check(verb) => verb.run(&cli.global, terminal),
        Verb::Probe(verb) => verb.run(&cli.global, terminal),
        Verb::Plan(verb) => verb.run(&cli.global, terminal),
        Verb::Show(verb) => verb.run(&cli.global, terminal),
        Verb::Approve(verb) => verb.run(&cli.global, terminal),
        Verb::Apply(verb) => verb.run(&cli.global, terminal),
        Verb::Sync(verb) => verb.run(&cli.global, terminal),
        Verb::Offboard(verb) => verb.run(&cli.global, terminal),
        Verb::Reinstate(verb) => verb.run(&cli.global, terminal),
        Verb::Rollback(verb) => verb.run(&cli.global, terminal),
        Verb::Explain(verb) => verb.run(&cli.global, terminal),
        Verb::Export(verb) => verb.run(&cli.global, terminal),
        Verb::Status(verb) => verb.run(&cli.global, terminal),
        Verb::Fuse(verb) => verb.run(&cli.global, terminal),
        Verb::Secret(verb) => verb.run(terminal),
        Verb::Connector(verb) => verb.run(terminal),
    }
}

/// A misspelt variable would be ignored in silence, so every unknown one of ours is refused.
fn refuse_unknown_variables() -> Result<(), Failure> {
    const KNOWN: [&str; 1] = ["LOCKSTEP_CONFIG"];
    let unknown = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .find(|name| name.starts_with("LOCKSTEP_") && !KNOWN.contains(&name.as_str()));
    match unknown {
        Some(name) => Err(Failure::new(Exit::Usage, format!("environment variable {name} is not known"))
            .next(format!("unset {name}; the only one Lockstep reads is {}", KNOWN.join(", ")))),
        None => Ok(()),
    }
}

/// The log goes to stderr. Levels: warnings by default, `-v` what is done, `-vv` every request.
fn log(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, 2) => "debug",
        (false, _) => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::new(format!("warn,lockstep={level}"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(crate::terminal::log).with_ansi(false);
    // The only failure is that a log was set up before, which one process never does.
    let _ = match global.log_format {
        LogFormat::Text => log.without_time().try_init(),
        LogFormat::Json => log.json().try_init(),
    };
}
