//! `show`: a saved plan for people and scripts. Reads the plan's folder and nothing else.

use std::path::PathBuf;

use clap::Args;
use lockstep_core::{EntryState, PlanDocument};
use lockstep_view::{plan_json, plan_text, report_csv, report_html};

use crate::cli::context::Places;
use crate::cli::plan_dir::PlanDir;
use crate::cli::{Global, files, select};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// Show a saved plan
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The plan: its folder, its plan.jsonl, or the id of its run
    plan: PathBuf,
    /// Only this person: an employee number, employee:NUMBER, cardholder:TARGET/ID, a name, or an action id
    #[arg(long, value_name = "WHO")]
    person: Vec<String>,
    /// Only what a guard holds
    #[arg(long, conflicts_with = "only_open")]
    only_held: bool,
    /// Only what waits for an approval
    #[arg(long)]
    only_open: bool,
    /// Only this situation, as --json names it: unqualified, absent, confirmed …
    #[arg(long, value_name = "SITUATION")]
    situation: Vec<String>,
    /// At most so many changes in the text
    #[arg(long, value_name = "N", default_value_t = 200)]
    rows: usize,
    /// Write the report as HTML to this file instead (`-`: standard output)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["csv", "json"])]
    html: Option<PathBuf>,
    /// Write the report as CSV to this file instead (`-`: standard output)
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    csv: Option<PathBuf>,
}

impl Show {
    pub(crate) fn run(self, global: &Global, terminal: Terminal) -> Result<Exit, Failure> {
        let dir = PlanDir::find(&self.plan, &Places::guess(global).plans)?;
        let plan = self.narrow(&dir.document()?, &global.targets);
        if let Some(path) = &self.html {
            return write(terminal, path, report_html(&plan).as_bytes());
        }
        if let Some(path) = &self.csv {
            return write(terminal, path, &report_csv(&plan));
        }
        let document = plan_json(&plan, "lockstep/show/1", Some(dir.path().display().to_string()));
        terminal.show(&document, || plan_text(&plan, terminal.paint(), self.rows))?;
        Ok(Exit::Done)
    }

    /// Only what was asked for.
    fn narrow(&self, plan: &PlanDocument, targets: &[String]) -> PlanDocument {
        let any = |asked: &[String], test: &dyn Fn(&str) -> bool| asked.is_empty() || asked.iter().any(|one| test(one));
        let mut plan = select::filtered(plan, |entry| {
            let situation = serde_json::to_value(entry.action.because.situation).ok();
            let situation = situation.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
            any(targets, &|target| entry.action.target.as_str() == target)
                && any(&self.person, &|who| select::is_named(entry, who))
                && any(&self.situation, &|asked| asked == situation)
                && (!self.only_held || select::is_held(entry))
                && (!self.only_open || entry.state == EntryState::NeedsApproval)
        });
        plan.targets.retain(|section| any(targets, &|target| section.target.as_str() == target));
        plan
    }
}

fn write(terminal: Terminal, path: &std::path::Path, bytes: &[u8]) -> Result<Exit, Failure> {
    if path.as_os_str() == "-" {
        terminal.data(bytes)?;
    } else {
        files::replace(path, bytes)?;
        terminal.say(&format!("Written: {}", path.display()));
    }
    Ok(Exit::Done)
}
