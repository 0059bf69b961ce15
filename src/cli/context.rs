//! What verbs share: the configuration, the systems it names, the state, the clock, and who is running.
//!
//! Nothing here decides anything; it opens what is configured and turns what goes wrong into a [`Failure`].

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lockstep_config::{Config, Diagnostic, DirectoryConfig, TargetConfig};
use lockstep_contract::{Cancel, Cx, Directory, Fault, FaultKind, Opening, Target, TargetId};
use lockstep_engine::{Clock, NodeId, Store};
use lockstep_merge::{Merged, Overlay};
use lockstep_store::SqliteStore;

use crate::cli::{Global, check, failures, files};
use crate::connectors::{self, OpenError};
use crate::exit::{Exit, Failure};
use crate::secrets::Stores;
use crate::terminal::Terminal;

/// The configuration file looked for when none is named.
const HERE: &str = "lockstep.toml";
/// The file of the state, within its folder.
pub(crate) const DATABASE: &str = "lockstep.db";
const SYSTEM: &str = "/etc/lockstep/lockstep.toml";

/// What a verb works with.
pub(crate) struct Context {
    /// The configuration.
    pub config: Config,
    /// The streams.
    pub terminal: Terminal,
    /// Who is running: host, process, start.
    pub node: NodeId,
    /// The time.
    pub clock: Clock,
    /// Asks everybody to stop.
    pub cancel: Cancel,
    /// What a next command needs to mean the same configuration.
    pub again: String,
    selected: Vec<TargetId>,
    secrets: Stores,
    /// Who is who in several directories, by the last census.
    merged: lockstep_merge::Memory,
}

impl Context {
    /// Loads the configuration and looks which targets are asked for.
    pub(crate) fn load(global: &Global, terminal: Terminal) -> Result<Self, Failure> {
        let path = config_path(global)?;
        let loaded = lockstep_config::load(&path).map_err(|errors| invalid(errors.to_string(), errors.iter()))?;
        let config = loaded.config;
        let wrong = check::settings(&config);
        if !wrong.is_empty() {
            let what = format!("{}: a connector's settings are not right; nothing was read or changed", path.display());
            return Err(invalid(what, wrong.iter()));
        }
        let selected = select(&config, &global.targets)?;
        if !loaded.warnings.is_empty() {
            let count = loaded.warnings.len();
            terminal.say(&format!("The configuration has warnings ({count}): lockstep check"));
        }
        let clock: Clock = Arc::new(Timestamp::now);
        let node = node(clock());
        let secrets = Stores::new(&config.base);
        let (cancel, merged) = Default::default();
        Ok(Self { config, terminal, node, clock, cancel, again: global.again(), selected, secrets, merged })
    }

    /// Now.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The targets that this command is about, in the order of their ids.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &TargetConfig> {
        self.config.targets.iter().filter(|target| self.selected.contains(&target.id))
    }

    /// True when `--target` left some out.
    pub(crate) fn narrowed(&self) -> bool {
        self.selected.len() < self.config.targets.len()
    }

    /// Opens the directory; of several, all of them as one.
    pub(crate) fn directory(&self) -> Result<Arc<dyn Directory>, Failure> {
        let authority = self.one_directory(&self.config.directory)?;
        if self.config.overlays.is_empty() {
            return Ok(authority);
        }
        let overlays = self.config.overlays.iter().map(|overlay| {
            let directory = self.one_directory(&overlay.directory)?;
            Ok(Overlay { directory, anchor: overlay.anchor.clone(), missing: overlay.missing })
        });
        let merged = Merged::new(authority, overlays.collect::<Result<_, Failure>>()?);
        Ok(Arc::new(merged.remembering(&self.merged)))
    }

    /// Opens one directory by itself.
    pub(crate) fn one_directory(&self, configured: &DirectoryConfig) -> Result<Arc<dyn Directory>, Failure> {
        let kind = connectors::directory(&configured.kind)
            .ok_or_else(|| no_connector("directory", configured.id.as_str(), &configured.kind))?;
        (kind.open)(configured.id.clone(), &configured.settings, &self.opening())
            .map_err(|error| not_opened(configured.id.as_str(), error))
    }

    /// Opens a target.
    pub(crate) fn target(&self, configured: &TargetConfig) -> Result<Arc<dyn Target>, Failure> {
        open_target(configured.id.clone(), &configured.kind, &configured.settings, &self.opening())
    }

    /// Opens a target where others can go on without it. Settings that are not right are still a [`Failure`].
    pub(crate) fn target_or_fault(&self, configured: &TargetConfig) -> Result<Result<Arc<dyn Target>, Fault>, Failure> {
        let name = configured.id.as_str();
        let kind =
            connectors::target(&configured.kind).ok_or_else(|| no_connector("target", name, &configured.kind))?;
        match (kind.open)(configured.id.clone(), &configured.settings, &self.opening()) {
            Ok(opened) => Ok(Ok(opened)),
            Err(OpenError::Fault(fault)) if !makes_no_sense(&fault) => Ok(Err(fault)),
            Err(error) => Err(not_opened(name, error)),
        }
    }

    /// What a connector is given when it is opened.
    pub(crate) fn opening(&self) -> Opening<'_> {
        Opening { base: &self.config.base, secrets: &self.secrets }
    }

    /// Opens the state.
    pub(crate) fn store(&self) -> Result<Box<dyn Store>, Failure> {
        files::folder(&self.config.state)?;
        let opened = SqliteStore::open(self.database());
        Ok(Box::new(opened.map_err(|error| failures::store(error, failures::Wrote::Nothing))?))
    }

    /// The file of the state.
    pub(crate) fn database(&self) -> PathBuf {
        self.config.state.join(DATABASE)
    }

    /// The context of a call to a system.
    pub(crate) fn cx(&self) -> Cx {
        Cx { cancel: self.cancel.clone(), ..Cx::new(self.config.call_budget) }
    }
}

/// Where plans are, for verbs that read plans and need no valid configuration.
pub(crate) struct Places {
    /// The folder of plans.
    pub plans: PathBuf,
}

impl Places {
    /// As configured, or the default beside the configuration file.
    pub(crate) fn guess(global: &Global) -> Self {
        let path = config_path(global).unwrap_or_else(|_| PathBuf::from(HERE));
        let plans = match lockstep_config::load(&path) {
            Ok(loaded) => loaded.config.plans,
            Err(_) => path.parent().unwrap_or(Path::new("")).join("plans"),
        };
        Self { plans }
    }
}

/// Opens a target by its parts.
pub(crate) fn open_target(
    id: TargetId,
    kind: &str,
    settings: &lockstep_config::Settings,
    opening: &Opening<'_>,
) -> Result<Arc<dyn Target>, Failure> {
    let name = id.to_string();
    let known = connectors::target(kind).ok_or_else(|| no_connector("target", &name, kind))?;
    (known.open)(id, settings, opening).map_err(|error| not_opened(&name, error))
}

/// The configuration file: as named, or the first that is there.
pub(crate) fn config_path(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(path) = &global.config {
        return Ok(path.clone());
    }
    [HERE, SYSTEM].into_iter().map(PathBuf::from).find(|path| path.is_file()).ok_or_else(|| {
        Failure::new(Exit::Config, format!("there is no configuration: neither {HERE} here nor {SYSTEM}"))
            .not_done("nothing was read or changed")
            .next("name one with --config FILE, or start with: lockstep init --directory hr-csv --target sim")
    })
}

fn select(config: &Config, asked: &[String]) -> Result<Vec<TargetId>, Failure> {
    let all = || config.targets.iter().map(|target| target.id.clone()).collect::<Vec<_>>();
    if asked.is_empty() {
        return Ok(all());
    }
    if let Some(unknown) = asked.iter().find(|name| !config.targets.iter().any(|target| target.id.as_str() == **name)) {
        let known: Vec<String> = all().iter().map(ToString::to_string).collect();
        return Err(Failure::new(Exit::Usage, format!("--target {unknown}: no such target is configured"))
            .not_done("nothing was read or changed")
            .next(format!("name one of: {}", known.join(", "))));
    }
    Ok(all().into_iter().filter(|id| asked.iter().any(|name| name == id.as_str())).collect())
}

/// A configuration that may not be used, with every complaint.
fn invalid<'e>(mut what: String, errors: impl Iterator<Item = &'e Diagnostic>) -> Failure {
    for error in errors {
        let _ = write!(what, "\n{}", diagnostic(error)); // writing to a String cannot fail
    }
    Failure::new(Exit::Config, what).next("mend the file, then: lockstep check")
}

/// A complaint as people read it: the line, the place, the help.
pub(crate) fn diagnostic(complaint: &Diagnostic) -> String {
    let mut text = String::new();
    let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor()).with_width(110);
    if handler.render_report(&mut text, complaint).is_err() {
        text = complaint.one_line();
    }
    text.trim_end().to_owned()
}

fn no_connector(side: &str, id: &str, kind: &str) -> Failure {
    Failure::new(Exit::Config, format!("{side} {id}: this program has no connector of kind `{kind}`"))
        .not_done("nothing was read or changed")
        .next("lockstep connector list")
}

fn not_opened(id: &str, error: OpenError) -> Failure {
    match error {
        OpenError::Settings(error) => {
            Failure::new(Exit::Config, format!("{id}: its settings are not right\n{}", diagnostic(&error)))
                .not_done("nothing was read or changed")
                .next("mend the file, then: lockstep check")
        }
        OpenError::Fault(fault) if makes_no_sense(&fault) => Failure::new(Exit::Config, fault.to_string())
            .not_done("nothing was read or changed")
            .next(fault.help.unwrap_or_else(|| "mend the file, then: lockstep check".into())),
        OpenError::Fault(fault) => failures::unreadable(id, &fault),
    }
}

/// A setting that parses and makes no sense: nothing was asked yet.
const fn makes_no_sense(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Invalid | FaultKind::Unsupported)
}

/// Now, whatever the clock of this machine says: one that is far off must not keep an emergency from being dealt with.
pub(crate) fn now() -> Timestamp {
    Timestamp::try_from(std::time::SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Host, process and start: what a person needs to find a run.
pub(crate) fn node(start: Timestamp) -> NodeId {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::env::var("COMPUTERNAME").or_else(|_| std::env::var("HOSTNAME")))
        .unwrap_or_default();
    let host: String = host.trim().chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')).collect();
    let host = if host.is_empty() { "localhost" } else { &host };
    NodeId(format!("{host}:{}:{}", std::process::id(), start.as_second()))
}

/// The log-in name of whoever runs this, for the record. The account of the process counts first: a variable can say
/// anything.
pub(crate) fn operator() -> Option<String> {
    let named = || ["LOGNAME", "USER", "USERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    account().or_else(|| named().filter(|name| !name.is_empty()))
}

/// The name of the account of this process, where the system keeps names in a file.
#[cfg(unix)]
fn account() -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let uid = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

#[cfg(not(unix))]
const fn account() -> Option<String> {
    None
}

/// Runs a future to its end. The runtime is made here and nowhere earlier, so that what needs none starts fast.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start: {error}")))?;
    let result = runtime.block_on(future);
    // A look-up of a name that hangs must not keep a command that is done from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}
