//! `approve`: records the decision of a named person over the digest of one plan. Applies nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use lockstep_contract::ActionId;
use lockstep_core::{Approval, Barred, Entry, Overrule, PlanDocument, barred, is_own};
use lockstep_view::escape;
use serde::Serialize;

use crate::cli::context::Places;
use crate::cli::plan_dir::PlanDir;
use crate::cli::{Global, hints, select};
use crate::exit::{Exit, Failure};
use crate::terminal::{Terminal, ask};

/// Record a named person's decision
#[derive(Debug, Args)]
pub(crate) struct Approve {
    /// The plan: its folder, its plan.jsonl, or the id of its run
    plan: PathBuf,
    /// Who decides
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Approve only this: an employee number, employee:NUMBER, cardholder:TARGET/ID, a name, or an action id
    #[arg(long, value_name = "WHO", num_args = 1..)]
    only: Vec<String>,
    /// Say no to this, whoever else says yes; the rest of the plan is approved unless --only narrows it
    #[arg(long, value_name = "WHO", num_args = 1..)]
    reject: Vec<String>,
    /// Also let through what a guard holds, where the guard allows that
    #[arg(long)]
    overrule: bool,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// The document of `approve --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Approved {
    /// `lockstep/approve/1`.
    schema: &'static str,
    /// The digest decided on.
    digest: String,
    /// The folder of the plan.
    plan: String,
    /// Who decided.
    by: String,
    #[serde(flatten)]
    numbers: Numbers,
}

/// What a decision is about, in numbers of actions.
#[derive(Debug, Clone, Copy, Serialize, schemars::JsonSchema)]
struct Numbers {
    /// Approved that would have waited, or would have run anyway.
    approves: usize,
    /// Of these, held by a guard until overruled.
    overrules: usize,
    /// Said no to.
    rejects: usize,
}

impl Approve {
    pub(crate) fn run(self, global: &Global, terminal: Terminal) -> Result<Exit, Failure> {
        let dir = PlanDir::find(&self.plan, &Places::guess(global).plans)?;
        let document = dir.document()?;
        let approval = self.decision(&document)?;
        refuse_barred(&document, &approval)?;
        let numbers = numbers(&document, &approval);
        self.refuse_nonsense(&document, &approval, numbers)?;
        terminal.say(&question(&document, &approval, numbers));
        let own = document.entries.iter().filter(|entry| is_own(entry, &approval.by)).count();
        if own > 0 {
            let by = escape::terminal(&approval.by);
            terminal.say(&format!("! {own} of the actions are about {by}; somebody else must approve those"));
        }
        self.confirm()?;
        for decision in decisions(&document, &approval) {
            dir.add_approval(&decision)?;
        }
        let done = Approved {
            schema: "lockstep/approve/1",
            digest: document.digest.clone(),
            plan: dir.path().display().to_string(),
            by: approval.by.clone(),
            numbers,
        };
        terminal.show(&done, || {
            format!("Recorded: {} on plan {}.", escape::terminal(&approval.by), escape::short_digest(&document.digest))
        })?;
        terminal.say(&format!("Next: lockstep apply {}{}", dir.shown(), global.again()));
        Ok(Exit::Done)
    }

    fn decision(&self, document: &PlanDocument) -> Result<Approval, Failure> {
        let by = self.by.trim();
        if by.is_empty() {
            return Err(Failure::new(Exit::Usage, "--by needs a name").not_done("no decision was recorded"));
        }
        let only = if self.only.is_empty() { None } else { Some(select::actions(document, &self.only)?) };
        Ok(Approval {
            by: by.to_owned(),
            at: jiff::Timestamp::now(),
            plan: document.digest.clone(),
            only,
            reject: select::actions(document, &self.reject)?,
            overrule: self.overrule,
            note: self.note.clone(),
        })
    }

    fn refuse_nonsense(&self, document: &PlanDocument, approval: &Approval, numbers: Numbers) -> Result<(), Failure> {
        if approval.at > document.header.expires {
            return Err(Failure::new(Exit::Refused, format!("the plan expired at {}", document.header.expires))
                .not_done("no decision was recorded")
                .next("lockstep plan"));
        }
        let both: BTreeSet<&ActionId> =
            approval.only.iter().flatten().filter(|id| approval.reject.contains(*id)).collect();
        if !both.is_empty() {
            return Err(Failure::new(Exit::Usage, "somebody is named by --only and by --reject at once")
                .not_done("no decision was recorded"));
        }
        // A plan without actions may still have links and a mapping to approve.
        if numbers.approves + numbers.rejects == 0 && !document.entries.is_empty() {
            let held = document.held() > 0 && !self.overrule;
            let next =
                if held { "add --overrule where a guard allows it; lockstep show says which" } else { "lockstep plan" };
            return Err(Failure::new(Exit::Held, "there is nothing in this plan that this decision could let through")
                .not_done("no decision was recorded")
                .next(next));
        }
        Ok(())
    }

    fn confirm(&self) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        match ask("Type `yes` to record this decision:") {
            Some(answer) if answer == "yes" => Ok(()),
            Some(_) => Err(Failure::new(Exit::Failed, "not confirmed").not_done("no decision was recorded")),
            None => Err(Failure::new(Exit::Usage, "nobody is there to confirm")
                .not_done("no decision was recorded")
                .next("run it on a terminal, or add --yes")),
        }
    }
}

/// Nobody lets through what they asked for themselves, nor their own return (T04).
fn refuse_barred(document: &PlanDocument, approval: &Approval) -> Result<(), Failure> {
    let refuse = |what: String| Err(Failure::new(Exit::Refused, what).not_done("no decision was recorded"));
    let by = escape::terminal(&approval.by);
    match barred(document, &approval.by) {
        Some(Barred::Planner) => refuse(format!("{by} asked for this plan; somebody else must approve it")),
        Some(Barred::Subject) => refuse(format!("this plan is about {by}; somebody else must approve it")),
        None if document.header.reinstate.is_some() && approval.only.is_some() => {
            refuse("a reinstatement is approved as a whole, since it lifts the hold; --reject leaves parts out".into())
        }
        None => Ok(()),
    }
}

/// What is recorded. A guard gives way only to a decision that names the actions; for guards that leave it to one
/// person, `--overrule` alone names them. Those that want two persons want each of them to name whom.
fn decisions(document: &PlanDocument, approval: &Approval) -> Vec<Approval> {
    if !approval.overrule || approval.only.is_some() {
        return vec![approval.clone()];
    }
    let named = document.entries.iter().filter(|entry| overruled_by_one(document, entry));
    let named: BTreeSet<ActionId> =
        named.map(|entry| entry.action.id.clone()).filter(|id| !approval.reject.contains(id)).collect();
    let whole = Approval { overrule: false, ..approval.clone() };
    let overruling = Approval { only: Some(named), ..approval.clone() };
    vec![whole, overruling]
}

/// Whether one person may let through what holds this entry.
fn overruled_by_one(document: &PlanDocument, entry: &Entry) -> bool {
    hints::overrule(document, entry) == Some(Overrule::OnePerson)
}

fn numbers(document: &PlanDocument, approval: &Approval) -> Numbers {
    let named = |entry: &&Entry| approval.only.as_ref().is_none_or(|only| only.contains(&entry.action.id));
    let yes: Vec<&Entry> =
        document.entries.iter().filter(named).filter(|entry| !approval.reject.contains(&entry.action.id)).collect();
    let held = yes.iter().filter(|entry| select::is_held(entry)).count();
    let lets_through =
        |entry: &&&Entry| select::is_held(entry) && (approval.only.is_some() || overruled_by_one(document, entry));
    let overrules = if approval.overrule { yes.iter().filter(lets_through).count() } else { 0 };
    Numbers { approves: yes.len() - held + overrules, overrules, rejects: approval.reject.len() }
}

/// What is decided on: the digest and the numbers, from the plan itself.
fn question(document: &PlanDocument, approval: &Approval, numbers: Numbers) -> String {
    let tally = document.tally();
    let targets: Vec<String> = document.targets.iter().map(|section| section.target.to_string()).collect();
    let targets = if targets.is_empty() { "no PACS".to_owned() } else { targets.join(", ") };
    let lifts = lockstep_view::reinstatement_lines(document).into_iter().map(|line| format!("  {line}\n"));
    format!(
        "Plan {}\n{}  for {}, made {}, expires {}\n  {} to provision, {} to change, {} to disable, {} held, {} undecided\n\
         {} approves {} actions ({} of them against a guard), rejects {}",
        document.digest,
        escape::terminal(&lifts.collect::<String>()),
        targets,
        document.header.created,
        document.header.expires,
        tally.provision,
        tally.change,
        tally.disable,
        document.held(),
        tally.undecided,
        approval.by,
        numbers.approves,
        numbers.overrules,
        numbers.rejects,
    )
}
