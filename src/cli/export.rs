//! `export`: the manual fallback. For each PACS a CSV and a printable page of who has what, read from the PACS itself,
//! so it works with the directory down. When the PACS is down too, the old files stay and this says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use lockstep_config::TargetConfig;
use lockstep_contract::{
    Cardholder, Catalog, Credential, CredentialKind, CredentialStatus, Cursor, Cx, Fault, FaultKind, Next, Status,
    TargetReader, field, sha256_hex,
};
use lockstep_view::{Export as Sheet, ExportRow, export_csv, export_html};
use serde::{Deserialize, Serialize};

use crate::cli::context::{Context, block_on};
use crate::cli::plan_dir::PlanDir;
use crate::cli::progress::stop_on_signal;
use crate::cli::{Global, failures, files};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// What is in the folder, and since when.
pub(crate) const MANIFEST: &str = "manifest.json";
/// More pages than this are no list but a loop.
const PAGES_MAX: u32 = 50_000;

/// Write who has what on each PACS
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Write to this folder [default: the configured folder of exports]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// The document of `export --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Exports<'a> {
    schema: &'static str,
    folder: String,
    targets: &'a [Exported],
}

/// What became of one target's export.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct Exported {
    /// The target.
    pub target: String,
    /// How many cardholders were written.
    pub cardholders: usize,
    /// Why the old export was kept; none when a new one was written.
    pub fault: Option<String>,
    /// When the PACS was read, for the files that are there now; none when there are none.
    pub read_at: Option<String>,
}

/// What is in the folder of exports.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub(crate) struct Manifest {
    /// `lockstep/export-manifest/1`.
    pub schema: String,
    /// Each target that was ever exported here.
    pub targets: BTreeMap<String, Listed>,
    /// The worklist of the last staged plan: its SHA-256.
    pub worklist: Option<String>,
}

/// The files of one target.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Listed {
    /// When the PACS was read.
    pub read_at: String,
    /// How many cardholders.
    pub cardholders: usize,
    /// SHA-256 of each file, in hex.
    pub files: BTreeMap<String, String>,
}

impl Export {
    pub(crate) fn run(self, global: &Global, terminal: Terminal) -> Result<Exit, Failure> {
        let mut context = Context::load(global, terminal)?;
        if let Some(out) = self.out {
            context.config.exports = out;
        }
        let exports = block_on(async {
            stop_on_signal(context.cancel.clone());
            all(&context, None).await
        })?;
        let document = Exports {
            schema: "lockstep/export/1",
            folder: context.config.exports.display().to_string(),
            targets: &exports,
        };
        terminal.show(&document, || exports.iter().map(line).collect::<Vec<_>>().join("\n"))?;
        let failed = exports.iter().filter(|one| one.fault.is_some()).count();
        Ok(match failed {
            0 => Exit::Done,
            all if all == exports.len() => Exit::Unreadable,
            _ => Exit::Partial,
        })
    }
}

/// Exports every target asked for, and the worklist of a staged plan.
pub(crate) async fn all(context: &Context, plan: Option<&PlanDir>) -> Result<Vec<Exported>, Failure> {
    let folder = context.config.exports.clone();
    files::folder(&folder)?;
    let mut manifest = manifest(&folder)?.unwrap_or_default();
    manifest.schema = "lockstep/export-manifest/1".into();
    let mut exported = Vec::new();
    for target in context.targets() {
        let id = target.id.to_string();
        let fault = match read(context, target).await {
            Ok(sheet) => {
                let listed = write(&folder, &id, &sheet)?;
                manifest.targets.insert(id.clone(), listed);
                None
            }
            Err(fault) => Some(fault),
        };
        let listed = manifest.targets.get(&id);
        exported.push(Exported {
            cardholders: listed.map_or(0, |listed| listed.cardholders),
            read_at: listed.map(|listed| listed.read_at.clone()),
            target: id,
            fault,
        });
    }
    if let Some(plan) = plan {
        let from = plan.file("worklist.html");
        let bytes = std::fs::read(&from).map_err(|error| failures::file("read", &from, error))?;
        files::replace(&folder.join("worklist.html"), &bytes)?;
        manifest.worklist = Some(sha256_hex(&bytes));
    }
    // Last: whoever finds a file in the manifest finds it whole.
    let text = serde_json::to_vec_pretty(&manifest).map_err(|error| failures::file("write", &folder, error))?;
    files::replace(&folder.join(MANIFEST), &text)?;
    Ok(exported)
}

/// What is in a folder of exports; none when there is none.
pub(crate) fn manifest(folder: &Path) -> Result<Option<Manifest>, Failure> {
    let path = folder.join(MANIFEST);
    match files::read(&path, 16 << 20) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failures::file("read", &path, error)),
        // One that does not parse is not worth keeping: every file in it is written again.
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
    }
}

/// Says what became of the exports.
pub(crate) fn tell(context: &Context, exports: &[Exported]) {
    for one in exports.iter().filter(|one| one.fault.is_some()) {
        context.terminal.say(&line(one));
    }
}

fn line(one: &Exported) -> String {
    match (&one.fault, &one.read_at) {
        (None, _) => format!("{}: {} cardholders written", one.target, one.cardholders),
        (Some(fault), Some(read_at)) => {
            format!("! {}: not read, the export of {read_at} was kept: {fault}", one.target)
        }
        (Some(fault), None) => format!("! {}: not read, and there is no older export: {fault}", one.target),
    }
}

fn write(folder: &Path, target: &str, sheet: &Sheet) -> Result<Listed, Failure> {
    let mut listed =
        Listed { read_at: sheet.read_at.to_string(), cardholders: sheet.rows.len(), files: BTreeMap::new() };
    for (ending, bytes) in [("csv", export_csv(sheet)), ("html", export_html(sheet).into_bytes())] {
        let name = format!("{target}.{ending}");
        files::replace(&folder.join(&name), &bytes)?;
        listed.files.insert(name, sha256_hex(&bytes));
    }
    Ok(listed)
}

async fn read(context: &Context, target: &TargetConfig) -> Result<Sheet, String> {
    let opened = context.target(target).map_err(|failure| failure.what)?;
    let at = context.now();
    let cx = context.cx();
    let (catalog, cardholders) = whole(&*opened, &cx).await.map_err(|fault| fault.to_string())?;
    Ok(sheet(&*opened, &catalog, cardholders, at))
}

/// Everybody on a PACS; nothing when the counts do not add up.
async fn whole(target: &dyn TargetReader, cx: &Cx) -> Result<(Catalog, Vec<Cardholder>), Fault> {
    let system = target.info().id.as_str();
    let late = |_| Fault::new(FaultKind::Unreachable, system, "list cardholders", "no answer in time");
    let catalog = tokio::time::timeout(cx.budget, target.catalog(cx)).await.map_err(late)??;
    let mut all = Vec::new();
    let mut at: Option<Cursor> = None;
    for _ in 0..PAGES_MAX {
        cx.check(system, "list cardholders")?;
        let page = tokio::time::timeout(cx.budget, target.list(cx, at.take())).await.map_err(late)??;
        all.extend(page.items);
        match page.next {
            Next::More(cursor) => at = Some(cursor),
            Next::End(census) => {
                let arrived = all.len() as u64;
                if census.sent < arrived || census.server_total.is_some_and(|total| total > census.sent) {
                    break;
                }
                return Ok((catalog, all));
            }
        }
    }
    Err(Fault::new(FaultKind::Protocol, system, "list cardholders", "the list is not complete"))
}

fn sheet(target: &dyn TargetReader, catalog: &Catalog, cardholders: Vec<Cardholder>, at: Timestamp) -> Sheet {
    let info = target.info();
    let mut rows: Vec<ExportRow> = cardholders.iter().map(|cardholder| row(catalog, cardholder)).collect();
    rows.sort_by(|a, b| (&a.name, &a.cardholder).cmp(&(&b.name, &b.cardholder)));
    Sheet {
        target: info.id.to_string(),
        endpoint: info.endpoint.clone(),
        read_at: at,
        basis: "read from the PACS".into(),
        rows,
    }
}

fn row(catalog: &Catalog, cardholder: &Cardholder) -> ExportRow {
    let get = |name| cardholder.profile.get(name).unwrap_or_default().to_owned();
    let display = get(field::DISPLAY_NAME);
    let name = if display.is_empty() {
        format!("{} {}", get(field::GIVEN_NAME), get(field::FAMILY_NAME)).trim().to_owned()
    } else {
        display
    };
    let level = |id| catalog.levels.get(id).filter(|level| !level.name.is_empty());
    ExportRow {
        name,
        employee_number: get(field::EMPLOYEE_NUMBER),
        department: get(field::DEPARTMENT),
        cardholder: cardholder.id.to_string(),
        status: match &cardholder.status {
            Status::Active => "active".into(),
            Status::Suspended => "suspended".into(),
            Status::Other(word) => word.clone(),
        },
        levels: cardholder
            .levels
            .iter()
            .map(|id| level(id).map_or(id.to_string(), |level| level.name.clone()))
            .collect(),
        credentials: cardholder.credentials.iter().map(credential).collect(),
    }
}

fn credential(credential: &Credential) -> String {
    let kind = match credential.kind {
        CredentialKind::Card => "card",
        CredentialKind::Mobile => "mobile",
        CredentialKind::Pin => "PIN",
        CredentialKind::Other => "other",
    };
    let status = match &credential.status {
        CredentialStatus::Active => "active".to_owned(),
        CredentialStatus::Inactive(why) => format!("{why:?}").to_lowercase(),
        CredentialStatus::Other(word) => word.clone(),
    };
    format!("{kind} {} ({status})", credential.masked_number().unwrap_or_else(|| credential.id.to_string()))
}
