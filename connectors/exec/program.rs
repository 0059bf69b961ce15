//! A program as it is configured, with its secrets, ready to be started. This module must not start it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use lockstep_contract::{Fault, FaultKind, Opening, Secret, TargetId};

use crate::config::{Config, Sha256};
use crate::protocol::{Initialize, VERSION};
use crate::{pin, stop};

/// Longest time for a start that can be configured, in seconds.
const START_SECONDS_MAX: u64 = 60;

/// What is started, and what it is told.
pub(crate) struct Program {
    /// The target.
    pub(crate) id: TargetId,
    /// How long it may take to start.
    pub(crate) start_max: Duration,
    /// What must not stand in any message.
    pub(crate) secrets: BTreeMap<String, Secret>,
    command: PathBuf,
    args: Vec<String>,
    folder: PathBuf,
    pinned: Vec<(PathBuf, Sha256)>,
    settings: serde_json::Map<String, serde_json::Value>,
    environment: BTreeMap<String, String>,
    conformance: bool,
}

impl Program {
    /// From the configuration; fetches the secrets.
    pub(crate) fn of(id: TargetId, config: Config, opening: &Opening<'_>) -> Result<Self, Fault> {
        let invalid = |message: String| Fault::new(FaultKind::Invalid, id.as_str(), "open", message);
        if config.start_seconds_max.get() > START_SECONDS_MAX {
            return Err(invalid(format!("`start_seconds_max` is at most {START_SECONDS_MAX}")));
        }
        let mut secrets = BTreeMap::new();
        for (name, places) in &config.secrets {
            let secret = opening.secrets.first(places).map_err(|error| invalid(error.to_string()))?;
            secrets.insert(name.clone(), secret);
        }
        let command = opening.path(&config.command);
        let files = config.files.into_iter().map(|(file, digest)| (opening.path(&file), digest));
        Ok(Self {
            start_max: Duration::from_secs(config.start_seconds_max.get()),
            secrets,
            pinned: std::iter::once((command.clone(), config.sha256)).chain(files).collect(),
            command,
            args: config.args,
            folder: opening.base.to_owned(),
            settings: config.settings,
            environment: config.environment,
            conformance: false,
            id,
        })
    }

    /// Somebody's program that is to be examined: it is started as it is, and is told to reach no PACS.
    pub(crate) fn to_examine(id: TargetId, command: &Path, args: &[String], secret: Secret) -> Self {
        Self {
            id,
            start_max: Duration::from_secs(START_SECONDS_MAX),
            secrets: BTreeMap::from([("secret".to_owned(), secret)]),
            command: command.to_owned(),
            args: args.to_vec(),
            folder: PathBuf::from("."),
            pinned: Vec::new(),
            settings: serde_json::Map::new(),
            environment: BTreeMap::new(),
            conformance: true,
        }
    }

    /// The command, when every file is the one that is configured.
    pub(crate) fn command(&self) -> Result<Command, Fault> {
        for (path, digest) in &self.pinned {
            pin::check(path, digest).map_err(|error| {
                let message = format!("{error}; nothing was started");
                Fault::new(FaultKind::Protocol, self.id.as_str(), "start", message)
                    .with_help("see what was changed there; then set its SHA-256 in the configuration: sha256sum FILE")
            })?;
        }
        let mut command = Command::new(&self.command);
        command.args(&self.args).env_clear().envs(&self.environment);
        if self.folder.is_dir() {
            command.current_dir(&self.folder);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        stop::prepare(&mut command);
        Ok(command)
    }

    /// The first message.
    pub(crate) fn initialize(&self) -> Initialize {
        Initialize {
            protocol: [VERSION, VERSION],
            target: self.id.clone(),
            settings: self.settings.clone(),
            secrets: self.secrets.iter().map(|(name, secret)| (name.clone(), secret.expose().to_owned())).collect(),
            conformance: self.conformance,
        }
    }

    /// For messages.
    pub(crate) fn name(&self) -> String {
        self.command.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}
