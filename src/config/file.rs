//! Reading `lockstep.toml`: the file, its sections, and the mapping file of each target.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lockstep_contract::{TargetId, sha256_hex};
use lockstep_core::ApprovalPolicy;
use toml::de::DeTable;

use crate::complaint::{ConfigError, ConfigErrors, Source, arrange};
use crate::directories::{Directories, directories};
use crate::mapping;
use crate::redact::hide_secrets;
use crate::settings::Settings;
use crate::table::{Report, Section, Text};
use crate::value::{
    CALL_BUDGET, EXPORT_AGE, OFFBOARD_PATIENCE, approval, export_keep_days, export_recipients, limits,
    offboard_per_hour,
};
use crate::watch::{WatchConfig, watch};
use crate::{Config, DirectoryConfig, Loaded, OverlayConfig, TargetConfig};

/// No configuration a person wrote is larger than this.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Keys of the whole file.
pub(crate) const FILE_KEYS: &[&str] = &[
    "approval",
    "state",
    "spool_second",
    "plans",
    "exports",
    "export_age",
    "export_keep_days",
    "export_recipients",
    "alerts",
    "call_budget",
    "offboard_patience",
    "offboard_per_hour",
    "watch",
    "directory",
    "target",
];
/// Keys of a `[[target]]` that are ours; all others are the connector's.
pub(crate) const TARGET_KEYS: &[&str] = &["id", "kind", "mapping", "limits", "approval"];

/// The file as text, with the two forms of its folder.
pub(crate) struct Opened {
    pub(crate) source: Source,
    pub(crate) digest: String,
    /// The folder, absolute.
    pub(crate) base: PathBuf,
    /// The folder as it was named, for names that people read.
    pub(crate) shown: PathBuf,
}

/// What the top of the file says.
pub(crate) struct Top {
    pub(crate) approval: ApprovalPolicy,
    pub(crate) state: PathBuf,
    pub(crate) spool_second: Option<PathBuf>,
    pub(crate) alerts: PathBuf,
    pub(crate) export_age: Duration,
    pub(crate) export_keep_days: u32,
    pub(crate) export_recipients: Vec<String>,
    pub(crate) plans: PathBuf,
    pub(crate) exports: PathBuf,
    pub(crate) call_budget: Duration,
    pub(crate) offboard_patience: Duration,
    pub(crate) offboard_per_hour: usize,
    pub(crate) watch: WatchConfig,
}

pub(crate) fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
    let name = path.display().to_string();
    let opened = open(path, read_text).map_err(|error| ConfigErrors::new(vec![error], &name))?;
    let source = opened.source.clone();
    let mut report = Report::new(source.clone());
    let (root, syntax) = DeTable::parse_recoverable(source.text());
    if !syntax.is_empty() {
        // What follows from a broken line would only confuse: the syntax first, the meaning once it reads.
        let errors = syntax.iter().map(|error| syntax_error(&source, error)).collect();
        return Err(ConfigErrors::new(errors, &name));
    }
    let whole = Section::new(root.get_ref(), 0..0);
    refuse_later(&whole, &mut report);
    let top = top(&whole, &opened.base, &mut report);
    let Directories { authority, overlays } = directories(&whole, &mut report);
    let targets = targets(&whole, &opened, top.approval, &mut report);
    let Report { mut errors, mut warnings, .. } = report;
    arrange(&mut warnings, &name);
    match authority {
        Some(directory) if errors.is_empty() => {
            let config = assemble(path, opened, (directory, overlays), targets, top);
            Ok(Loaded { config, warnings })
        }
        _ => {
            if errors.is_empty() {
                errors.push(ConfigError::general(format!("{name}: no directory could be read")));
            }
            Err(ConfigErrors::new(errors, &name))
        }
    }
}

fn assemble(
    path: &Path,
    opened: Opened,
    (directory, overlays): (DirectoryConfig, Vec<OverlayConfig>),
    targets: Vec<TargetConfig>,
    top: Top,
) -> Config {
    Config {
        path: path.to_path_buf(),
        base: opened.base,
        digest: opened.digest,
        directory,
        overlays,
        targets,
        state: top.state,
        spool_second: top.spool_second,
        alerts: top.alerts,
        export_age: top.export_age,
        export_keep_days: top.export_keep_days,
        export_recipients: top.export_recipients,
        plans: top.plans,
        exports: top.exports,
        call_budget: top.call_budget,
        offboard_patience: top.offboard_patience,
        offboard_per_hour: top.offboard_per_hour,
        watch: top.watch,
    }
}

/// Reads a file that people write, within a size that they can write.
pub(crate) fn read_text(path: &Path, what: &str) -> Result<String, ConfigError> {
    let shown = path.display();
    let trouble = |error: std::io::Error| {
        let (message, help) = match error.kind() {
            std::io::ErrorKind::NotFound => (
                format!("{what} {shown} is not there"),
                "check the path; relative paths start at the folder of the configuration",
            ),
            std::io::ErrorKind::PermissionDenied => {
                (format!("{what} {shown} may not be read"), "let the account that runs Lockstep read this file")
            }
            _ => (format!("{what} {shown} cannot be read: {error}"), "see that it is a plain file that can be read"),
        };
        ConfigError::general(message).help(help)
    };
    let size = std::fs::metadata(path).map_err(trouble)?.len();
    if size > FILE_BYTES_MAX {
        let message = format!("{what} {shown} has {size} bytes; the limit is {FILE_BYTES_MAX}");
        return Err(ConfigError::general(message).help("see that the path names the right file"));
    }
    let bytes = std::fs::read(path).map_err(trouble)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        ConfigError::general(format!("{what} {shown} is not UTF-8 text: byte {at} begins no character"))
            .help("save the file as UTF-8")
    })
}

/// Opens the configuration; `read` gets its text, or says why not.
pub(crate) fn open(path: &Path, read: fn(&Path, &str) -> Result<String, ConfigError>) -> Result<Opened, ConfigError> {
    let text = read(path, "configuration")?;
    let absolute = std::path::absolute(path)
        .map_err(|error| ConfigError::general(format!("the folder of {} is not known: {error}", path.display())))?;
    let base = absolute.parent().map_or_else(|| absolute.clone(), Path::to_path_buf);
    let shown = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let digest = sha256_hex(text.as_bytes());
    let source = hide_secrets(&Source::new(path.display().to_string(), text));
    Ok(Opened { source, digest, base, shown })
}

pub(crate) fn syntax_error(source: &Source, error: &toml::de::Error) -> ConfigError {
    let span = error.span().unwrap_or(0..0);
    ConfigError::at(source, span, error.message().replace('\n', ": "))
        .label("here")
        .help("this is not TOML; texts stand in quotes, each `key = value` on a line of its own")
}

/// Keys that the design has and this version has not, and those that nobody knows.
fn refuse_later(whole: &Section<'_>, report: &mut Report) {
    const LATER: [(&str, &str); 4] = [
        (
            "schedule",
            "run `lockstep sync` from a timer of the operating system, or `lockstep sync --watch` as a service",
        ),
        ("store", "the state is kept in SQLite in the folder that `state` names"),
        ("notify", "read the exit code and the summary of each run"),
        ("audit", "the log of each run is kept in the folder that `state` names"),
    ];
    for (key, instead) in LATER {
        if whole.get(key).is_some() {
            let complaint = report.at(whole.key_span(key), format!("`{key}` is not in this version"));
            report.refuse(complaint.label("remove it").help(instead));
        }
    }
    let later: Vec<&str> = LATER.iter().map(|(key, _)| *key).collect();
    whole.refuse_unknown_but(FILE_KEYS, &later, report);
}

pub(crate) fn top(whole: &Section<'_>, base: &Path, report: &mut Report) -> Top {
    let approval = approval(whole, report).unwrap_or(ApprovalPolicy::Standing);
    let mut path = |key: &str| {
        let named = whole.text(key, report)?;
        if named.value.trim().is_empty() {
            report.refuse(report.at(named.span.clone(), format!("`{key}` is empty")).help("name a file or folder"));
        }
        Some(base.join(named.value))
    };
    let mut folder = |key: &str| path(key).unwrap_or_else(|| base.join(key));
    let (state, plans, exports) = (folder("state"), folder("plans"), folder("exports"));
    let alerts = path("alerts").unwrap_or_else(|| state.join("alerts.jsonl"));
    let spool_second = path("spool_second");
    if let Some(second) = spool_second.as_ref().filter(|second| second.starts_with(&state)) {
        let message = format!("`spool_second` is within the folder of the state: {}", second.display());
        let complaint = report.at(whole.key_span("spool_second"), message);
        report.refuse(complaint.help("name a folder on another disk, that only the account of Lockstep can write to"));
    }
    for (a, b, key) in [(&state, &plans, "plans"), (&state, &exports, "exports"), (&plans, &exports, "exports")] {
        if a == b {
            let complaint = report.at(whole.key_span(key), format!("`{key}` is the folder of something else as well"));
            report.refuse(complaint.help("give `state`, `plans` and `exports` a folder each"));
        }
    }
    let call_budget = CALL_BUDGET.read(whole, report);
    let offboard_patience = OFFBOARD_PATIENCE.read(whole, report);
    let offboard_per_hour = offboard_per_hour(whole, report);
    let export_age = EXPORT_AGE.read(whole, report);
    let export_keep_days = export_keep_days(whole, report);
    let export_recipients = export_recipients(whole, report);
    Top {
        approval,
        state,
        spool_second,
        alerts,
        export_age,
        export_keep_days,
        export_recipients,
        plans,
        exports,
        call_budget,
        offboard_patience,
        offboard_per_hour,
        watch: watch(whole, report),
    }
}

/// Every target, ordered by id.
fn targets(whole: &Section<'_>, opened: &Opened, approval: ApprovalPolicy, report: &mut Report) -> Vec<TargetConfig> {
    let sections = whole.tables("target", report);
    if whole.get("target").is_none() {
        let complaint = report.at(0..0, "there is no [[target]]");
        report.refuse(complaint.help("add one for each PACS: [[target]] with `id`, `kind` and `mapping`"));
    }
    let mut targets: Vec<TargetConfig> = Vec::new();
    let mut places: Vec<(TargetId, Range<usize>)> = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        let Some((target, span)) = one_target(section, index, opened, approval, report) else { continue };
        if let Some((_, first)) = places.iter().find(|(id, _)| *id == target.id) {
            let complaint = report.at(span.clone(), format!("the id `{}` is used twice", target.id));
            report.refuse(complaint.label("again here").also(first.clone(), "first here").help(
                "give each target an id of its own; links and history are kept under it, so the older one keeps it",
            ));
        }
        places.push((target.id.clone(), span));
        targets.push(target);
    }
    targets.sort_by(|a, b| a.id.cmp(&b.id));
    targets
}

/// One target and the place of its id. Complaints about its mapping are among the others; what could be read of the
/// mapping is in the policy, so a configuration with any complaint is handed to nobody but the emergency path.
pub(crate) fn one_target(
    section: &Section<'_>,
    index: usize,
    opened: &Opened,
    default: ApprovalPolicy,
    report: &mut Report,
) -> Option<(TargetConfig, Range<usize>)> {
    let id = required_id::<TargetId>(section, "\"hq\"", report);
    let kind = required_kind(section, "\"scim\"", report);
    let approval = approval(section, report).unwrap_or(default);
    let limits = limits(section, report);
    let named = section.required_text("mapping", "\"mappings/hq.toml\"", report);
    let mut policy = mapping::nothing(approval);
    let mut path = opened.base.clone();
    if let Some(named) = named {
        path = opened.base.join(&named.value);
        policy = read_mapping(&named, &path, opened, approval, report);
    }
    let settings = Settings::new(&report.source, "target", index, TARGET_KEYS, section.span.clone());
    let (id, span) = id?;
    Some((TargetConfig { id, kind: kind?, settings, policy, limits, mapping: path }, span))
}

fn read_mapping(
    named: &Text,
    path: &Path,
    opened: &Opened,
    approval: ApprovalPolicy,
    report: &mut Report,
) -> lockstep_core::Policy {
    match read_text(path, "mapping") {
        Ok(text) => {
            let shown = opened.shown.join(&named.value).display().to_string();
            let mut read = mapping::read(Source::new(shown, text), &named.value, approval);
            report.errors.append(&mut read.errors);
            report.warnings.append(&mut read.warnings);
            read.policy
        }
        Err(error) => {
            let complaint = report.at(named.span.clone(), error.message()).label("named here");
            report.refuse(complaint.help(error.advice().unwrap_or_default()));
            mapping::nothing(approval)
        }
    }
}

pub(crate) fn required_id<T: std::str::FromStr>(
    section: &Section<'_>,
    example: &str,
    report: &mut Report,
) -> Option<(T, Range<usize>)>
where
    T::Err: std::fmt::Display,
{
    let text = section.required_text("id", example, report)?;
    let id = text.parse("the id is also used in file names, so only these characters are safe everywhere", report)?;
    Some((id, text.span))
}

pub(crate) fn required_kind(section: &Section<'_>, example: &str, report: &mut Report) -> Option<String> {
    let text = section.required_text("kind", example, report)?;
    if text.value.is_empty() {
        let complaint = report.at(text.span, "`kind` is empty");
        report.refuse(complaint.help("`lockstep connector list` shows the kinds there are"));
        return None;
    }
    Some(text.value)
}
