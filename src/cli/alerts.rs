//! Alerts: what somebody must be told until it is dealt with, whether or not they look. Each run raises what still stands,
//! to the log and as one line of JSON each to the file that the configuration names.
//!
//! An alert never delays or fails what it is about: the file is written on a thread of its own, within a time, and what
//! could not be written is said on standard error. docs/alerts.md explains each code.

mod file;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use lockstep_core::HoldId;
use lockstep_engine::Store;
use serde::Serialize;

use crate::cli::context::{self, Context};
use crate::cli::emergency::Open;
use crate::cli::plan_dir::{self, PlanDir};
use crate::cli::settle::{Settled, Unconfirmed};
use crate::cli::{export, watch};
use crate::terminal;

/// What an alert is about. Codes are never reused, and their meaning does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A person who was put out may still have access.
    NotConfirmed,
    /// Reductions have stopped on a target until somebody looked.
    FuseOpen,
    /// What an offboarding recorded was damaged.
    SpoolDamaged,
    /// The manual fallback is older than it may be.
    ExportOld,
    /// An offboarding was done and could not be recorded.
    RecordIncomplete,
    /// Nobody watches for leavers, although somebody should.
    WatchStill,
    /// What a watch planned waits for people.
    PlanWaits,
}

impl Kind {
    /// Every kind, for the test that holds the documentation.
    #[cfg(test)]
    const ALL: [Self; 7] = [
        Self::NotConfirmed,
        Self::FuseOpen,
        Self::SpoolDamaged,
        Self::ExportOld,
        Self::RecordIncomplete,
        Self::WatchStill,
        Self::PlanWaits,
    ];

    const fn code(self) -> &'static str {
        match self {
            Self::NotConfirmed => "LA0101",
            Self::FuseOpen => "LA0102",
            Self::SpoolDamaged => "LA0103",
            Self::ExportOld => "LA0104",
            Self::RecordIncomplete => "LA0105",
            Self::WatchStill => "LA0106",
            Self::PlanWaits => "LA0107",
        }
    }

    const fn severity(self) -> &'static str {
        match self {
            Self::NotConfirmed => "critical",
            Self::FuseOpen | Self::SpoolDamaged | Self::RecordIncomplete | Self::WatchStill => "high",
            Self::ExportOld | Self::PlanWaits => "medium",
        }
    }
}

/// Something somebody must be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub(crate) struct Alert {
    /// `lockstep/alert/1`.
    schema: &'static str,
    /// When this line was written.
    #[schemars(with = "String")]
    at: Timestamp,
    /// What it is about: see docs/alerts.md.
    code: &'static str,
    /// `critical`, `high` or `medium`.
    severity: &'static str,
    /// Since when it stands, where that is known.
    #[schemars(with = "Option<String>")]
    since: Option<Timestamp>,
    /// Which PACS.
    target: Option<String>,
    /// Who, as named; card numbers masked.
    subject: Option<String>,
    /// What stands, in one sentence.
    message: String,
    /// What to do.
    next: String,
}

impl Alert {
    fn new(kind: Kind, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            schema: "lockstep/alert/1",
            at: context::now(),
            code: kind.code(),
            severity: kind.severity(),
            since: None,
            target: None,
            subject: None,
            message: message.into(),
            next: next.into(),
        }
    }
}

/// Everything that stands after a run.
pub(crate) async fn after_run(context: &Context, store: &dyn Store, settled: &Settled) {
    // Whoever this very run let back in is not to be put out any more.
    let lifts = store.lifts().await.unwrap_or_default();
    let stands = |one: &&Open| lifts.iter().all(|lift| !lift.lifted(&HoldId::of(one.run, one.nth)));
    let open: Vec<Open> = settled.open.iter().filter(stands).cloned().collect();
    let mut all = of_offboardings(&open, &settled.faults, &settled.damaged);
    all.extend(of_fuses(context, store).await);
    all.extend(of_exports(context));
    all.extend(of_watch(context));
    raise(&context.config.alerts, all).await;
}

/// What offboardings left: people who are not confirmed out, records that could not be made, and records that broke.
pub(crate) fn of_offboardings(open: &[Open], faults: &[String], damaged: &[PathBuf]) -> Vec<Alert> {
    let unconfirmed = open.iter().map(|one| {
        let shown = Unconfirmed::from(one);
        let message = format!("{} may still have access on {}: {}", shown.who, shown.target, shown.why);
        Alert {
            since: Some(shown.since),
            target: Some(shown.target),
            subject: Some(shown.who),
            ..Alert::new(Kind::NotConfirmed, message, shown.next)
        }
    });
    let unrecorded = faults.iter().map(|fault| {
        let message = format!("the record of an emergency offboarding is incomplete: {fault}");
        Alert::new(Kind::RecordIncomplete, message, "look at the disk; keep what standard error said")
    });
    let damaged = damaged.iter().map(|path| {
        let message = format!("the record of an emergency offboarding was damaged: {}", path.display());
        Alert::new(Kind::SpoolDamaged, message, "compare it with lockstep status and the PACS, then move it away")
    });
    unconfirmed.chain(unrecorded).chain(damaged).collect()
}

async fn of_fuses(context: &Context, store: &dyn Store) -> Vec<Alert> {
    let mut open = Vec::new();
    for target in context.targets() {
        // A state that cannot be read fails the run itself.
        let Ok(fuse) = store.fuse(&target.id, context.now()).await else { continue };
        if let Some(since) = fuse.open_since {
            let message = format!("nothing is taken from anybody on {} any more: {}", target.id, fuse.reason);
            let next = format!("look, then: lockstep fuse reset {} --by NAME", target.id);
            open.push(Alert {
                since: Some(since),
                target: Some(target.id.to_string()),
                ..Alert::new(Kind::FuseOpen, message, next)
            });
        }
    }
    open
}

/// Fallbacks that are older than they may be. One that was never written is no alert: another machine may keep it.
fn of_exports(context: &Context) -> Vec<Alert> {
    let Ok(Some(manifest)) = export::manifest(&context.config.exports) else { return Vec::new() };
    let asked = |standing: &export::Standing| context.targets().any(|target| target.id.as_str() == standing.target);
    let old = export::standing(&manifest, context.config.export_age, context.now()).into_iter();
    let alert = |one: export::Standing| {
        let message = format!("the manual fallback of {} is {} h old", one.target, one.age_hours);
        Alert {
            since: one.read_at.parse().ok(),
            target: Some(one.target),
            ..Alert::new(Kind::ExportOld, message, "lockstep export; if that fails: lockstep probe")
        }
    };
    old.filter(|one| one.too_old && asked(one)).map(alert).collect()
}

/// A watch that stands still, or that cannot look.
fn of_watch(context: &Context) -> Option<Alert> {
    let mark = watch::last_mark(&context.config.state)?;
    let why = mark.trouble(context.now())?;
    let next = "start it again, or mend the way to the directory (`lockstep probe`); until then: lockstep sync";
    Some(Alert { since: Some(mark.looked.unwrap_or(mark.at)), ..Alert::new(Kind::WatchStill, why, next) })
}

/// A plan of a watch that waits for people.
pub(crate) async fn waits(context: &Context, dir: &PlanDir) {
    let message = format!("part of a plan waits for a person to say yes: {}", dir.path().display());
    let next = format!("lockstep show {}; then: lockstep approve, and lockstep apply", plan_dir::quoted(dir.path()));
    raise(&context.config.alerts, vec![Alert::new(Kind::PlanWaits, message, next)]).await;
}

/// Tells of alerts, in the log and in the file.
pub(crate) async fn raise(path: &Path, alerts: Vec<Alert>) {
    if alerts.is_empty() {
        return;
    }
    for alert in &alerts {
        let Alert { code, severity, target, subject, message, next, .. } = alert;
        let (target, subject) = (target.as_deref().unwrap_or("-"), subject.as_deref().unwrap_or("-"));
        tracing::error!(code, severity, target_id = target, subject, next, "{message}");
    }
    let count = alerts.len();
    if let Err(why) = file::append(path, alerts).await {
        terminal::complain(&format!("! {count} alerts could not be written to {}: {why}", path.display()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_its_own_and_is_explained() {
        let page = include_str!("../../docs/alerts.md");
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            assert!(page.contains(&format!("## {}", kind.code())), "docs/alerts.md explains {}", kind.code());
            assert!(Kind::ALL.iter().skip(at + 1).all(|other| other.code() != kind.code()), "{}", kind.code());
        }
    }
}
