//! `connector`: what this program can speak to, the JSON Schema of each connector's settings, and the conformance suite.

use clap::{Args, Subcommand};
use lockstep_view::{Align, Table};
use schemars::Schema;
use serde::Serialize;

use crate::cli::{conform, simulate};
use crate::connectors::{DIRECTORIES, TARGETS};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// The connectors
#[derive(Debug, Args)]
pub(crate) struct Connector {
    #[command(subcommand)]
    verb: ConnectorVerb,
}

#[derive(Debug, Subcommand)]
enum ConnectorVerb {
    /// List the connectors of this program
    List,
    /// Print the JSON Schema of a connector's settings, or of the messages that programs of others speak
    Schema {
        /// The kind, as the configuration names it; without one, the messages of `exec`
        kind: Option<String>,
    },
    /// Hold a connector to the laws that every connector must keep
    Conform {
        /// The kind; this program can test `sim` by itself
        #[arg(required_unless_present = "program")]
        kind: Option<String>,
        /// A program that speaks the messages of `connector schema`, with its arguments
        #[arg(last = true)]
        program: Vec<String>,
    },
    /// Run a simulation of a vendor's server on this machine, to rehearse without a licence; Ctrl-C ends it
    Simulate(simulate::Simulate),
}

/// The document of `connector list --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct List {
    schema: &'static str,
    connectors: Vec<Listed>,
}

/// One connector.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Listed {
    kind: &'static str,
    /// `directory` or `target`.
    side: &'static str,
    about: &'static str,
}

impl Connector {
    pub(crate) fn run(self, terminal: Terminal) -> Result<Exit, Failure> {
        match self.verb {
            ConnectorVerb::List => list(terminal),
            ConnectorVerb::Schema { kind } => schema(terminal, kind.as_deref()),
            ConnectorVerb::Conform { kind, program } => examine(terminal, kind.as_deref(), &program),
            ConnectorVerb::Simulate(simulate) => simulate.run(terminal),
        }
    }
}

fn listed() -> Vec<Listed> {
    let directories = DIRECTORIES.iter().map(|it| Listed { kind: it.kind, side: "directory", about: it.about });
    let targets = TARGETS.iter().map(|it| Listed { kind: it.kind, side: "target", about: it.about });
    directories.chain(targets).collect()
}

fn list(terminal: Terminal) -> Result<Exit, Failure> {
    let document = List { schema: "lockstep/connector/1", connectors: listed() };
    terminal.show(&document, || {
        let mut table = Table::new([12, 12, 100].map(|width| (Align::Left, width)));
        for one in &document.connectors {
            table.row([one.kind, one.side, one.about]);
        }
        table.lines(0).join("\n")
    })?;
    Ok(Exit::Done)
}

fn schema(terminal: Terminal, kind: Option<&str>) -> Result<Exit, Failure> {
    let Some(kind) = kind else { return messages(terminal) };
    let directory = DIRECTORIES.iter().find(|known| known.kind == kind).map(|known| known.schema);
    let target = TARGETS.iter().find(|known| known.kind == kind).map(|known| known.schema);
    let of: fn() -> Schema = directory.or(target).ok_or_else(|| unknown(kind))?;
    // A JSON Schema is JSON with or without --json.
    terminal.document(&of())?;
    Ok(Exit::Done)
}

pub(crate) fn unknown(kind: &str) -> Failure {
    let known: Vec<&str> = listed().into_iter().map(|one| one.kind).collect();
    Failure::new(Exit::Usage, format!("this program has no connector of kind `{kind}`"))
        .next(format!("name one of: {}", known.join(", ")))
}

/// What programs of others speak.
fn messages(terminal: Terminal) -> Result<Exit, Failure> {
    #[cfg(feature = "exec")]
    {
        terminal.document(&lockstep_exec::protocol::schema())?;
        Ok(Exit::Done)
    }
    #[cfg(not(feature = "exec"))]
    {
        let _ = terminal;
        Err(unknown("exec"))
    }
}

fn examine(terminal: Terminal, kind: Option<&str>, program: &[String]) -> Result<Exit, Failure> {
    #[cfg(feature = "exec")]
    if let [command, arguments @ ..] = program {
        return conform::program(terminal, command, arguments);
    }
    let _ = program;
    let kind = kind.unwrap_or("exec");
    #[cfg(feature = "sim")]
    if kind == "sim" {
        return conform::sim(terminal);
    }
    let _ = terminal;
    if !listed().iter().any(|known| known.kind == kind) {
        return Err(unknown(kind));
    }
    Err(Failure::new(Exit::Usage, format!("this program cannot make a system of kind `{kind}` to examine"))
        .next(format!("run the connector's own suite: cargo test -p lockstep-{kind} --test conformance")))
}
