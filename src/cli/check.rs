//! `check`: configuration, mappings, connector settings and referenced secrets, without talking to any system. Every
//! complaint names file, line, column and a fix.

use std::collections::BTreeSet;
use std::path::Path;

use clap::Args;
use lockstep_config::{Config, ConfigError, ConfigErrors, Diagnostic, Settings};
use lockstep_contract::{SecretRef, Secrets as _};
use serde::Serialize;

use crate::cli::Global;
use crate::cli::context::{self, diagnostic};
use crate::connectors;
use crate::exit::{Exit, Failure};
use crate::secrets::Stores;
use crate::terminal::Terminal;

/// Check the configuration, offline
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Do not look whether the referenced secrets are there: for a machine that must not hold them
    #[arg(long)]
    no_secrets: bool,
}

/// The document of `check --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Checked {
    schema: &'static str,
    config: String,
    /// May be used.
    valid: bool,
    complaints: Vec<Complaint>,
}

/// One complaint.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Complaint {
    /// `error` or `warning`.
    severity: &'static str,
    message: String,
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
    help: Option<String>,
}

/// What was found, with its text for people.
#[derive(Default)]
struct Found {
    complaints: Vec<Complaint>,
    texts: Vec<String>,
}

impl Found {
    fn add(&mut self, complaint: &Diagnostic) {
        let (line, column) = complaint.place().unzip();
        self.complaints.push(Complaint {
            severity: if complaint.is_warning() { "warning" } else { "error" },
            message: complaint.message().to_owned(),
            file: complaint.file().map(str::to_owned),
            line,
            column,
            help: complaint.advice().map(str::to_owned),
        });
        self.texts.push(diagnostic(complaint));
    }

    fn errors(&self) -> usize {
        self.complaints.iter().filter(|complaint| complaint.severity == "error").count()
    }
}

impl Check {
    pub(crate) fn run(self, global: &Global, terminal: Terminal) -> Result<Exit, Failure> {
        let path = context::config_path(global)?;
        let mut found = Found::default();
        match lockstep_config::load(&path) {
            Err(errors) => add_all(&mut found, &errors),
            Ok(loaded) => {
                loaded.warnings.iter().for_each(|warning| found.add(warning));
                for error in settings(&loaded.config) {
                    found.add(&error);
                }
                if !self.no_secrets {
                    secrets(&loaded.config, &mut found);
                }
            }
        }
        finish(terminal, &path, found)
    }
}

fn add_all(found: &mut Found, errors: &ConfigErrors) {
    errors.iter().for_each(|error| found.add(error));
}

/// Each section with its kind and settings.
fn sections(config: &Config) -> impl Iterator<Item = (&'static str, &str, &Settings)> {
    let directories = config.directories().map(|directory| ("directory", directory.kind.as_str(), &directory.settings));
    let targets = config.targets.iter().map(|target| ("target", target.kind.as_str(), &target.settings));
    directories.chain(targets)
}

/// What is wrong with the connectors' own parts.
pub(crate) fn settings(config: &Config) -> Vec<ConfigError> {
    let mut wrong = Vec::new();
    for (side, kind, settings) in sections(config) {
        let checked = match side {
            "directory" => connectors::directory(kind).map(|known| (known.check)(settings)),
            _ => connectors::target(kind).map(|known| (known.check)(settings)),
        };
        match checked {
            None => wrong.push(no_connector(side, kind, settings)),
            Some(Err(error)) => wrong.push(error),
            Some(Ok(())) => {}
        }
    }
    wrong
}

fn no_connector(side: &str, kind: &str, settings: &Settings) -> ConfigError {
    let known: Vec<&str> = match side {
        "directory" => connectors::DIRECTORIES.iter().map(|known| known.kind).collect(),
        _ => connectors::TARGETS.iter().map(|known| known.kind).collect(),
    };
    settings.error_at(
        "kind",
        format!("this program has no {side} connector of kind `{kind}`"),
        format!("use one of: {}", known.join(", ")),
    )
}

/// Every secret that a connector's settings refer to is there. It is fetched, looked at by nobody, and wiped. Of one that
/// is kept in several places, one must work; each other is worth a warning.
fn secrets(config: &Config, found: &mut Found) {
    let stores = Stores::new(&config.base);
    for (_, _, settings) in sections(config) {
        let Ok(value) = settings.parse::<serde_json::Value>() else { continue };
        for (key, places) in references(&value) {
            let failed: Vec<_> = places.iter().filter_map(|place| stores.get(place).err()).collect();
            let enough = failed.len() < places.len();
            for error in failed {
                let help = format!("lockstep secret check {}", error.reference);
                let complaint = settings.error_at(&key, error.to_string(), help);
                found.add(&if enough { complaint.warning() } else { complaint });
            }
        }
    }
}

/// The secrets in some settings, each with the first key on the way to it and the places where it is kept.
fn references(settings: &serde_json::Value) -> BTreeSet<(String, Vec<SecretRef>)> {
    fn place(value: &serde_json::Value) -> Option<SecretRef> {
        value.as_str()?.parse().ok()
    }
    fn walk(key: &str, value: &serde_json::Value, found: &mut BTreeSet<(String, Vec<SecretRef>)>) {
        if let Some(place) = place(value) {
            found.insert((key.to_owned(), vec![place]));
        }
        match value {
            serde_json::Value::Array(items) => match items.iter().map(place).collect::<Option<Vec<_>>>() {
                Some(places) if !places.is_empty() => drop(found.insert((key.to_owned(), places))),
                _ => items.iter().for_each(|item| walk(key, item, found)),
            },
            serde_json::Value::Object(fields) => fields.values().for_each(|field| walk(key, field, found)),
            serde_json::Value::String(_)
            | serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_) => {}
        }
    }
    let mut found = BTreeSet::new();
    for (key, value) in settings.as_object().into_iter().flatten() {
        walk(key, value, &mut found);
    }
    found
}

fn finish(terminal: Terminal, path: &Path, found: Found) -> Result<Exit, Failure> {
    let errors = found.errors();
    let warnings = found.complaints.len() - errors;
    let Found { complaints, texts } = found;
    let document =
        Checked { schema: "lockstep/check/1", config: path.display().to_string(), valid: errors == 0, complaints };
    terminal.show(&document, || {
        let summary = match (errors, warnings) {
            (0, 0) => format!("{}: right.", path.display()),
            (0, warnings) => format!("{}: usable, {warnings} to look at.", path.display()),
            (errors, warnings) => format!("{}: {errors} to mend, {warnings} to look at.", path.display()),
        };
        texts.into_iter().chain([summary]).collect::<Vec<_>>().join("\n")
    })?;
    Ok(if errors == 0 { Exit::Done } else { Exit::Config })
}
