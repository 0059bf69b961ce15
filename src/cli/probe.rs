//! `probe`: reaches each system and proves the rights it has, and those it must not have. Writes nothing.

use clap::Args;
use lockstep_contract::{Check, CheckOutcome, Cx, Directory, Fault, FaultKind, Health, Target};
use lockstep_view::{Align, Table};
use serde::Serialize;

use crate::cli::Global;
use crate::cli::context::{Context, block_on};
use crate::cli::progress::until_stopped;
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// Reach each system
#[derive(Debug, Args)]
pub(crate) struct Probe {}

/// The document of `probe --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Probed {
    /// `lockstep/probe/1`.
    schema: &'static str,
    /// The directories first, then the targets.
    systems: Vec<System>,
}

/// One system.
#[derive(Debug, Serialize, schemars::JsonSchema)]
struct System {
    id: String,
    /// `directory` or `target`.
    side: &'static str,
    kind: String,
    endpoint: String,
    /// The system could be asked at all.
    reached: bool,
    /// Each thing looked at: `name`, `outcome` (`pass`, `warn`, `fail`), `detail`, `help`.
    #[schemars(with = "Vec<serde_json::Value>")]
    checks: Vec<Check>,
}

impl System {
    fn worst(&self) -> CheckOutcome {
        self.checks.iter().map(|check| check.outcome).max().unwrap_or(CheckOutcome::Pass)
    }
}

impl Probe {
    #[expect(clippy::unused_self, reason = "every verb is run the same way; this one has no options of its own")]
    pub(crate) fn run(self, global: &Global, terminal: Terminal) -> Result<Exit, Failure> {
        let context = Context::load(global, terminal)?;
        let systems = block_on(until_stopped(async {
            let mut systems = Vec::new();
            for configured in context.config.directories() {
                systems.push(directory(&context, configured).await);
            }
            for target in context.targets() {
                systems.push(target_of(&context, target).await);
            }
            Ok(systems)
        }))?;
        let exit = exit(&systems);
        let document = Probed { schema: "lockstep/probe/1", systems };
        terminal.show(&document, || text(&document.systems))?;
        Ok(exit)
    }
}

/// Unreachable is 5, like everywhere; a check that failed is 1.
fn exit(systems: &[System]) -> Exit {
    if systems.iter().any(|system| !system.reached) {
        Exit::Unreadable
    } else if systems.iter().any(|system| system.worst() == CheckOutcome::Fail) {
        Exit::Failed
    } else {
        Exit::Done
    }
}

async fn directory(context: &Context, configured: &lockstep_config::DirectoryConfig) -> System {
    let blank = System {
        id: configured.id.to_string(),
        side: "directory",
        kind: configured.kind.clone(),
        endpoint: String::new(),
        reached: false,
        checks: Vec::new(),
    };
    match context.one_directory(configured) {
        Err(failure) => not_opened(blank, &failure),
        Ok(opened) => {
            let endpoint = opened.info().endpoint.clone();
            let cx = context.cx();
            let health = in_time(&cx, &blank.id, Directory::probe(&*opened, &cx)).await;
            looked_at(System { endpoint, ..blank }, health)
        }
    }
}

async fn target_of(context: &Context, configured: &lockstep_config::TargetConfig) -> System {
    let blank = System {
        id: configured.id.to_string(),
        side: "target",
        kind: configured.kind.clone(),
        endpoint: String::new(),
        reached: false,
        checks: Vec::new(),
    };
    match context.target(configured) {
        Err(failure) => not_opened(blank, &failure),
        Ok(opened) => {
            let endpoint = opened.info().endpoint.clone();
            let cx = context.cx();
            let mut system =
                looked_at(System { endpoint, ..blank }, in_time(&cx, configured.id.as_str(), opened.probe(&cx)).await);
            if system.reached {
                system.checks.push(levels(configured, &*opened, &cx).await);
            }
            system
        }
    }
}

/// Every level that the mapping names exists.
async fn levels(configured: &lockstep_config::TargetConfig, target: &dyn Target, cx: &Cx) -> Check {
    let name = "mapped levels".to_owned();
    match in_time(cx, configured.id.as_str(), target.catalog(cx)).await {
        Err(fault) => Check { name, outcome: CheckOutcome::Fail, detail: fault.to_string(), help: fault.help },
        Ok(catalog) => {
            let rules = &configured.policy.levels;
            let missing: Vec<String> = rules
                .iter()
                .filter(|rule| !catalog.levels.contains_key(&rule.level))
                .map(|rule| format!("{} ({})", rule.level, rule.source))
                .collect();
            if missing.is_empty() {
                let detail = format!("all {} exist", rules.len());
                return Check { name, outcome: CheckOutcome::Pass, detail, help: None };
            }
            let detail = format!("not on the PACS: {}", missing.join(", "));
            let help = Some("correct the mapping, or make the level on the PACS".into());
            Check { name, outcome: CheckOutcome::Fail, detail, help }
        }
    }
}

async fn in_time<T>(cx: &Cx, system: &str, call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match tokio::time::timeout(cx.budget, call).await {
        Ok(answer) => answer,
        Err(_) => Err(Fault::new(FaultKind::Unreachable, system, "probe", "no answer in time")),
    }
}

fn looked_at(mut system: System, health: Result<Health, Fault>) -> System {
    match health {
        Ok(health) => {
            system.reached = true;
            system.checks = health.checks;
        }
        Err(fault) => system.checks.push(Check {
            name: "reach".into(),
            outcome: CheckOutcome::Fail,
            detail: fault.to_string(),
            help: fault.help,
        }),
    }
    system
}

fn not_opened(mut system: System, failure: &Failure) -> System {
    system.checks.push(Check {
        name: "open".into(),
        outcome: CheckOutcome::Fail,
        detail: failure.what.clone(),
        help: failure.next.clone(),
    });
    system
}

fn text(systems: &[System]) -> String {
    let mut table = Table::new([4, 12, 20, 120].map(|width| (Align::Left, width)));
    let word = |outcome| match outcome {
        CheckOutcome::Pass => "ok",
        CheckOutcome::Warn => "warn",
        CheckOutcome::Fail => "FAIL",
    };
    for system in systems {
        for check in &system.checks {
            table.row([word(check.outcome), &system.id, &check.name, &check.detail]);
            if let (Some(help), true) = (&check.help, check.outcome != CheckOutcome::Pass) {
                table.row(["", "", "", &format!("→ {help}")]);
            }
        }
    }
    let count =
        |wanted| systems.iter().flat_map(|system| &system.checks).filter(|check| check.outcome == wanted).count();
    let mut lines = table.lines(0);
    lines.push(format!(
        "{} systems: {} checks passed, {} to look at, {} failed.",
        systems.len(),
        count(CheckOutcome::Pass),
        count(CheckOutcome::Warn),
        count(CheckOutcome::Fail),
    ));
    lines.join("\n")
}
