//! A plan on disk: a folder with `plan.jsonl`, the reports made from it, and the decisions of people beside it.
//!
//! What is read here is not believed: `lockstep_core::approve` checks it all again.

use std::fs;
use std::path::{Path, PathBuf};

use lockstep_core::{Approval, PlanDocument};
use lockstep_view::{report_csv, report_html, worklist_csv, worklist_html};

use crate::cli::{failures, files, worklist};
use crate::exit::{Exit, Failure};

/// The plan itself.
const PLAN: &str = "plan.jsonl";
/// The decisions, one a line.
const APPROVALS: &str = "approvals.jsonl";
/// A plan for a million people is a few hundred megabytes.
const PLAN_BYTES_MAX: u64 = 2 << 30;
const APPROVALS_BYTES_MAX: u64 = 64 << 20;

/// A path as a shell takes it. One below this folder is shown from here.
pub(crate) fn quoted(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let path = here.and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path).display().to_string();
    if path.contains(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '\\' | '$' | '&' | ';' | '(' | ')')) {
        format!("'{}'", path.replace('\'', r"'\''"))
    } else {
        path
    }
}

/// A plan on disk.
#[derive(Debug, Clone)]
pub(crate) struct PlanDir {
    path: PathBuf,
}

impl PlanDir {
    /// The plan that somebody named: its folder, its `plan.jsonl`, or the id of its run in the folder of plans.
    pub(crate) fn find(named: &Path, plans: &Path) -> Result<Self, Failure> {
        let candidates = [named.to_path_buf(), plans.join(named)];
        for path in candidates {
            if path.is_file() && path.file_name().is_some_and(|name| name == PLAN) {
                let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                return Ok(Self { path: folder.unwrap_or(Path::new(".")).to_path_buf() });
            }
            if path.join(PLAN).is_file() {
                return Ok(Self { path });
            }
        }
        Err(Failure::new(Exit::Usage, format!("there is no plan at {}", named.display()))
            .next(format!("name the folder of a plan; those made here are in {}", plans.display())))
    }

    /// Writes a plan with its reports: everything beside, then renamed in one go. Never overwrites.
    pub(crate) fn write(path: &Path, document: &PlanDocument) -> Result<Self, Failure> {
        if path.symlink_metadata().is_ok() {
            return Err(Failure::new(Exit::Failed, format!("{} is there already", path.display()))
                .not_done("no plan was written; nothing was changed on any PACS")
                .next("name another folder with --out"));
        }
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            files::folder(parent)?;
        }
        let beside = files::beside(path);
        let written = Self::fill(&beside, document).and_then(|()| {
            fs::rename(&beside, path).map_err(|error| failures::file("put in place", path, error))?;
            files::sync_folder(path)
        });
        if let Err(failure) = written {
            let _ = fs::remove_dir_all(&beside); // what is left is a folder with a dot, which nobody takes for a plan
            return Err(failure.not_done("no plan was made; nothing was changed on any PACS"));
        }
        Ok(Self { path: path.to_path_buf() })
    }

    fn fill(folder: &Path, document: &PlanDocument) -> Result<(), Failure> {
        files::folder(folder)?;
        files::create(&folder.join(PLAN), &document.to_jsonl())?;
        files::create(&folder.join("report.html"), report_html(document).as_bytes())?;
        files::create(&folder.join("report.csv"), &report_csv(document))?;
        let list = worklist::of_plan(document);
        files::create(&folder.join("worklist.html"), worklist_html(&list).as_bytes())?;
        files::create(&folder.join("worklist.csv"), &worklist_csv(&list))?;
        files::sync_folder(&folder.join(PLAN))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// One of the files in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// As it is written in a command.
    pub(crate) fn shown(&self) -> String {
        quoted(&self.path)
    }

    /// The plan. A byte that was changed is a refusal.
    pub(crate) fn document(&self) -> Result<PlanDocument, Failure> {
        let path = self.file(PLAN);
        let bytes = files::read(&path, PLAN_BYTES_MAX).map_err(|error| failures::file("read", &path, error))?;
        PlanDocument::parse(&bytes).map_err(|error| {
            Failure::new(Exit::Refused, format!("{} is not as Lockstep wrote it: {error}", path.display()))
                .not_done("nothing of this plan was approved or applied")
                .next("lockstep plan")
        })
    }

    /// The decisions made so far. None is fine; one that does not parse is a refusal.
    pub(crate) fn approvals(&self) -> Result<Vec<Approval>, Failure> {
        let path = self.file(APPROVALS);
        let bytes = match files::read(&path, APPROVALS_BYTES_MAX) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failures::file("read", &path, error)),
            Ok(bytes) => bytes,
        };
        let refuse = |line: usize, error: &dyn std::fmt::Display| {
            Failure::new(Exit::Refused, format!("{} line {line}: {error}", path.display()))
                .not_done("nothing of this plan was applied")
                .next("remove that line, and approve the plan again: lockstep approve")
        };
        let text = String::from_utf8(bytes).map_err(|error| refuse(1, &error))?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines.map(|(at, line)| serde_json::from_str(line).map_err(|error| refuse(at + 1, &error))).collect()
    }

    /// Adds a decision.
    pub(crate) fn add_approval(&self, approval: &Approval) -> Result<(), Failure> {
        let path = self.file(APPROVALS);
        let line = serde_json::to_string(approval).map_err(|error| failures::file("write", &path, error))?;
        files::append_line(&path, &line)
    }
}
