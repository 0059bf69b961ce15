//! `connector simulate`: a vendor's server in memory, on this machine, for rehearsals. What to enter in a configuration goes
//! to stdout, talk and the requests to stderr.

mod folder;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use lockstep_simulator::{Rehearsal, Rehearse, world};
use serde::Serialize;

use crate::cli::connector::unknown;
use crate::cli::context::block_on;
use crate::cli::{plan_dir, progress};
use crate::connectors::{self, TargetKind};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// So many people live in memory at most.
const PEOPLE_MAX: u32 = 100_000;

/// Run a simulation
#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// The kind, as the configuration names it
    kind: String,
    /// Where to listen: a port of this machine, 0 for any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8470")]
    listen: SocketAddr,
    /// How many cardholders there are
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=i64::from(PEOPLE_MAX)))]
    people: u32,
    /// Also write a configuration, a mapping and an HR feed to rehearse with, to a folder that is not there yet
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// The document of `connector simulate --json`: written once the server listens.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Simulation {
    schema: &'static str,
    kind: String,
    url: String,
    people: u32,
    /// The `[[target]]` section for it, as TOML.
    target: String,
    /// The environment variables that the section names as secrets. Made up, and good for nothing else.
    secrets: Vec<Made>,
    /// The folder that was written.
    folder: Option<String>,
}

/// A secret of the simulator.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Made {
    variable: &'static str,
    value: String,
}

impl Simulate {
    pub(crate) fn run(self, terminal: Terminal) -> Result<Exit, Failure> {
        let target = connectors::target(&self.kind).ok_or_else(|| unknown(&self.kind))?;
        let rehearse = simulator(target)?;
        if !self.listen.ip().is_loopback() {
            return Err(Failure::new(Exit::Usage, format!("a simulator does not listen on {}", self.listen.ip()))
                .not_done("nothing was started: its records and secrets are for this machine only")
                .next("lockstep connector simulate … --listen 127.0.0.1:8470"));
        }
        if let Some(folder) = &self.folder {
            folder::must_be_new(folder)?;
        }
        block_on(self.serve(terminal, rehearse))
    }

    async fn serve(&self, terminal: Terminal, rehearse: Rehearse) -> Result<Exit, Failure> {
        let seed = world(self.people as usize);
        let rehearsal = rehearse(self.listen, seed.clone(), Box::new(tell)).await.map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot listen on {}: {error}", self.listen))
                .not_done("nothing was started")
                .next("name another port, or 0 for any that is free: --listen 127.0.0.1:0")
        })?;
        if let Some(folder) = &self.folder {
            folder::write(folder, &self.kind, &section(&self.kind, &rehearsal.settings), &rehearsal, &seed)?;
        }
        let document = self.document(&rehearsal);
        terminal.show(&document, || document.text())?;
        terminal.say(&format!(
            "The simulator of `{}` listens on {} with {} people, all in memory; Ctrl-C ends it.",
            self.kind, rehearsal.root, self.people
        ));
        if let Some(folder) = &self.folder {
            let config = plan_dir::quoted(&folder.join(folder::CONFIG));
            terminal
                .say(&format!("Next, in another terminal, with the variables above: lockstep probe --config {config}"));
        }
        // Where this system cannot tell of signals, the server runs until it is killed.
        if !progress::signal().await {
            std::future::pending::<()>().await;
        }
        Ok(Exit::Done)
    }

    fn document(&self, rehearsal: &Rehearsal) -> Simulation {
        let made = |(variable, value): &(&'static str, String)| Made { variable, value: value.clone() };
        Simulation {
            schema: "lockstep/connector-simulate/1",
            kind: self.kind.clone(),
            url: rehearsal.root.clone(),
            people: self.people,
            target: section(&self.kind, &rehearsal.settings),
            secrets: rehearsal.secrets.iter().map(made).collect(),
            folder: self.folder.as_ref().map(|folder| folder.display().to_string()),
        }
    }
}

impl Simulation {
    /// TOML to paste, with everything else as comments.
    fn text(&self) -> String {
        let mut text = String::new();
        if !self.secrets.is_empty() {
            text.push_str("# Secrets are given by reference. These are made up, and good for this simulator only:\n");
        }
        for secret in &self.secrets {
            let _ = writeln!(text, "#   export {}='{}'", secret.variable, secret.value); // writing to a String cannot fail
        }
        format!("{text}{}", self.target)
    }
}

/// How to simulate this kind.
fn simulator(target: &TargetKind) -> Result<Rehearse, Failure> {
    match target.simulate {
        connectors::Simulate::Server(rehearse) => Ok(rehearse),
        connectors::Simulate::No { why, next } => {
            let what = format!("there is no server to simulate for `{}`: {why}", target.kind);
            Err(Failure::new(Exit::Usage, what).not_done("nothing was started").next(next))
        }
    }
}

/// The `[[target]]` section.
fn section(kind: &str, settings: &str) -> String {
    let mut text = format!("[[target]]\nid = \"{kind}\"\nkind = \"{kind}\"\nmapping = \"{}\"\n", folder::MAPPING);
    for line in settings.lines() {
        // A table of the connector's is a table of its section.
        let line = match (line.strip_prefix("[["), line.strip_prefix('[')) {
            (Some(rest), _) => format!("[[target.{rest}"),
            (None, Some(rest)) => format!("[target.{rest}"),
            (None, None) => line.to_owned(),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// One line for each request, with `-v`.
fn tell(purpose: lockstep_simulator::Purpose, request: &lockstep_simulator::Request, status: Option<u16>) {
    let status = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    tracing::info!("{} {} {status} ({purpose:?}, {} bytes)", request.method, request.target, request.body.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connectors_tables_become_tables_of_its_section() {
        let settings = "url = \"http://127.0.0.1:1\"\n\n[keys]\nemployee = \"SSNO\"\n";
        let text = section("nobody", settings);
        assert!(text.ends_with("url = \"http://127.0.0.1:1\"\n\n[target.keys]\nemployee = \"SSNO\"\n"), "{text}");
    }
}
