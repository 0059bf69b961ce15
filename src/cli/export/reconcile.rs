//! `export reconcile`: what people did by hand comes back. Each ticked row is read back from its PACS; what the PACS
//! shows is put on record with the name of whoever did it, and what it does not show is still open. Only what was read
//! counts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use lockstep_contract::TargetId;
use lockstep_view::escape;
use serde::Serialize;

use super::open;
use super::register::{self, Row};
use super::ticked::{self, Complaint, Tick, Ticked, may_be};
use crate::cli::context::{Context, block_on};
use crate::cli::failures::Wrote;
use crate::cli::progress::stop_on_signal;
use crate::cli::{Global, failures, files, housekeeping};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

mod lifted;
mod look;
mod record;

use lifted::Lifted;
use look::{Looked, Looker};

/// No worklist is larger.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Read back what people did by hand, and put it on record
#[derive(Debug, Args)]
pub(crate) struct Reconcile {
    /// The worklist.csv of an export, with its ticks
    file: PathBuf,
    /// Who did the rows that have no initials
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// The document of `export reconcile --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Reconciled {
    /// `lockstep/export-reconcile/1`.
    schema: &'static str,
    /// The file.
    file: String,
    /// Read back as done, and on record.
    done: Vec<Done>,
    /// Ticked, and the PACS does not show it.
    open: Vec<StillOpen>,
    /// Lines that could not be used.
    complaints: Vec<Complaint>,
    /// How many rows are not ticked.
    unticked: usize,
}

/// A row that is done.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct Done {
    line: u64,
    row: String,
    target: String,
    who: String,
    by: String,
    /// Somebody put this person out by name.
    put_out: bool,
}

/// A row that is not.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct StillOpen {
    line: u64,
    row: String,
    target: String,
    who: String,
    why: String,
}

/// A ticked row, and what it stands for.
pub(crate) struct Ticket<'a> {
    tick: &'a Tick,
    row: &'a Row,
}

impl Reconcile {
    pub(crate) fn run(self, global: &Global, terminal: Terminal) -> Result<Exit, Failure> {
        let context = Context::load(global, terminal)?;
        let nothing = "nothing was put on record";
        let bytes = files::read(&self.file, FILE_BYTES_MAX)
            .map_err(|error| failures::file("read", &self.file, error).not_done(nothing))?;
        let ticked = ticked::read(&bytes, self.by.as_deref()).map_err(|why| {
            Failure::new(Exit::Failed, format!("{}: {why}", self.file.display()))
                .not_done(nothing)
                .next("take the worklist.csv of an export, tick the column done, and save it as CSV")
        })?;
        let mut document = block_on(async {
            stop_on_signal(context.cancel.clone());
            reconcile(&context, ticked).await
        })?;
        document.file = self.file.display().to_string();
        terminal.show(&document, || document.text())?;
        let clean = document.open.is_empty() && document.complaints.is_empty();
        Ok(if clean { Exit::Done } else { Exit::Partial })
    }
}

async fn reconcile(context: &Context, ticked: Ticked) -> Result<Reconciled, Failure> {
    let Ticked { ticks, unticked, mut complaints } = ticked;
    let store = context.store()?;
    housekeeping::absorb_spool(context, &*store).await?;
    // Besides the rows of old lists those of plans and offboardings since the last export.
    let mut known = register::known(&context.config.state)?;
    for (id, row) in register::rows(&open::gather(context, &BTreeMap::new()).await, context.now()) {
        known.entry(id).or_insert(row);
    }
    let mut tickets = Vec::new();
    for tick in &ticks {
        match resolve(context, tick, &known) {
            Ok(row) => tickets.push(Ticket { tick, row }),
            Err(what) => complaints.push(Complaint { line: tick.line, what }),
        }
    }
    let lifted = Lifted::read(context, &*store).await.map_err(|error| failures::store(error, Wrote::Nothing))?;
    let mut looker = Looker::new(context);
    let (mut done, mut open) = (Vec::new(), Vec::new());
    for ticket in tickets {
        match looker.look(&ticket.row.what).await {
            Looked::Done(found) => done.push((ticket, found)),
            Looked::Open(why) => match lifted.why_not(ticket.row) {
                Some(what) => complaints.push(Complaint { line: ticket.tick.line, what }),
                None => open.push(ticket.open(why)),
            },
        }
    }
    complaints.sort_by_key(|complaint| complaint.line);
    record::all(context, &*store, &done).await?;
    let done = done.iter().map(|(ticket, _)| ticket.done()).collect();
    Ok(Reconciled { schema: "lockstep/export-reconcile/1", file: String::new(), done, open, complaints, unticked })
}

/// What a ticked row stands for; a row that was changed is somebody else's.
fn resolve<'k>(context: &Context, tick: &Tick, known: &'k BTreeMap<String, Row>) -> Result<&'k Row, String> {
    let Some(row) = known.get(&tick.row) else {
        return Err(format!(
            "{} is on no worklist that is known here; if its letters were not changed, look at the record and tell \
             whoever runs Lockstep",
            tick.row
        ));
    };
    let target: &TargetId = row.what.target();
    if tick.target != target.as_str() {
        return Err(format!("{} is about {target}, and the line says {}; the file was changed", tick.row, tick.target));
    }
    let number = row.what.record_number();
    if !may_be(&tick.cardholder, &number) {
        let (id, said) = (&tick.row, &tick.cardholder);
        return Err(format!("{id} is about record {number}, and the line says {said}; the file was changed"));
    }
    if !context.targets().any(|configured| configured.id == *target) {
        return Err(format!("{} is about {target}, which is not configured or was not asked for", tick.row));
    }
    Ok(row)
}

impl Ticket<'_> {
    fn done(&self) -> Done {
        Done {
            line: self.tick.line,
            row: self.tick.row.clone(),
            target: self.row.what.target().to_string(),
            who: self.row.name.clone(),
            by: self.tick.by.clone(),
            put_out: self.row.what.puts_out(),
        }
    }

    fn open(&self, why: String) -> StillOpen {
        StillOpen {
            line: self.tick.line,
            row: self.tick.row.clone(),
            target: self.row.what.target().to_string(),
            who: self.row.name.clone(),
            why,
        }
    }
}

impl Reconciled {
    fn text(&self) -> String {
        let mut lines = Vec::new();
        for done in &self.done {
            let who = escape::terminal(&done.who);
            lines.push(format!("= {} on {}: read back as done, by {}", who, done.target, escape::terminal(&done.by)));
        }
        for open in &self.open {
            let (who, why) = (escape::terminal(&open.who), escape::terminal(&open.why));
            lines.push(format!(
                "! {who} on {}: ticked, and STILL OPEN: {why} (line {}, {})",
                open.target, open.line, open.row
            ));
        }
        for complaint in &self.complaints {
            lines.push(format!("! line {}: {}", complaint.line, escape::terminal(&complaint.what)));
        }
        if self.done.iter().any(|done| done.put_out) {
            lines.push("Next: lockstep offboard --settle, which closes the offboardings that are done".to_owned());
        }
        if !self.open.is_empty() {
            lines.push("Next: look at those records again; then the same command, or: lockstep sync".to_owned());
        }
        lines.push(format!(
            "{} done by hand and read back, {} still open, {} lines not used, {} not ticked.",
            self.done.len(),
            self.open.len(),
            self.complaints.len(),
            self.unticked
        ));
        lines.join("\n")
    }
}
