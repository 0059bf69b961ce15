//! `plan`: reads both sides and writes a plan to review. Changes nothing on any PACS; it is handed readers only.

use std::path::PathBuf;

use clap::Args;
use lockstep_contract::{Fault, TargetId};
use lockstep_core::PlanDocument;
use lockstep_view::{plan_json, plan_text};

use crate::cli::context::{Context, block_on};
use crate::cli::hints::{self, States};
use crate::cli::plan_dir::PlanDir;
use crate::cli::progress::{Bars, stop_on_signal};
use crate::cli::runs::{self, Systems};
use crate::cli::{Global, housekeeping};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// Read both sides and write a plan
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Write the plan to this new folder [default: a folder named after the run, in the configured folder of plans]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Exit with 2 when there are changes and no guard holds any
    #[arg(long)]
    detailed_exitcode: bool,
    /// At most so many changes in the text; the report has all
    #[arg(long, value_name = "N", default_value_t = 50)]
    rows: usize,
}

impl Plan {
    pub(crate) fn run(self, global: &Global, terminal: Terminal) -> Result<Exit, Failure> {
        let context = Context::load(global, terminal)?;
        let (planned, dir) = block_on(async {
            stop_on_signal(context.cancel.clone());
            let store = context.store()?;
            let systems = Systems::open(&context)?;
            housekeeping::absorb_spool(&context, &*store).await?;
            let bars = Bars::new(terminal);
            let planned = runs::plan(&context, &systems, &*store, &bars).await;
            bars.clear();
            let planned = planned?;
            let dir = write(&context, &planned.document, self.out)?;
            Ok((planned, dir))
        })?;
        let document = planned.document;
        let json = plan_json(&document, "lockstep/plan/1", Some(dir.path().display().to_string()));
        terminal.show(&json, || plan_text(&document, terminal.paint(), self.rows))?;
        tell(&context, &document, &dir);
        tell_unreadable(terminal, &planned.unreadable);
        Ok(if planned.unreadable.is_empty() { exit(&document, self.detailed_exitcode) } else { Exit::Partial })
    }
}

/// Writes a plan to its folder.
pub(crate) fn write(context: &Context, document: &PlanDocument, out: Option<PathBuf>) -> Result<PlanDir, Failure> {
    let path = out.unwrap_or_else(|| context.config.plans.join(document.header.run.to_string()));
    PlanDir::write(&path, document)
}

/// Where the plan is and what to do with it.
pub(crate) fn tell(context: &Context, document: &PlanDocument, dir: &PlanDir) {
    let terminal = context.terminal;
    terminal.say(&format!("Report to review: {}", dir.file("report.html").display()));
    for line in hints::next(document, dir, &context.again) {
        terminal.say(&format!("Next, {line}"));
    }
}

/// Targets that the plan says nothing about.
pub(crate) fn tell_unreadable(terminal: Terminal, unreadable: &[(TargetId, Fault)]) {
    for (target, fault) in unreadable {
        terminal.say(&format!("! {target} could not be read whole, so nothing was planned for it: {fault}"));
    }
}

/// What a plan ends with.
pub(crate) fn exit(document: &PlanDocument, detailed: bool) -> Exit {
    let states = States::of(document);
    if states.held > 0 || hints::tripped(document) {
        Exit::Held
    } else if hints::unread(document) {
        Exit::Unreadable
    } else if detailed && !states.is_empty() {
        Exit::Changes
    } else if states.needs_approval > 0 {
        Exit::Held
    } else {
        Exit::Done
    }
}
