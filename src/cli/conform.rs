//! `connector conform`: the laws that every connector must keep, examined against the simulated PACS, or against a program of
//! somebody else that brings a PACS of its own. Here is only what this program can make by itself.

use async_trait::async_trait;
use lockstep_conformance::{Outcome, Report, Seed, TargetBed, TargetRig, Trouble};
use lockstep_contract::{
    AccessLevel, AccessLevelId, Cardholder, CardholderId, Credential, CredentialId, CredentialKind, CredentialStatus,
    IdError, Target, TargetId,
};
use lockstep_sim::{Mishap, Operation, Sim, World};
use lockstep_view::escape;
use serde::Serialize;

use crate::cli::context::block_on;
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// The document of `connector conform --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Conformance {
    schema: &'static str,
    kind: &'static str,
    laws: Vec<Examined>,
}

#[derive(Debug, Serialize, schemars::JsonSchema)]
struct Examined {
    law: &'static str,
    says: &'static str,
    /// `kept`, `skipped` or `broken`.
    outcome: &'static str,
    detail: Option<String>,
}

impl From<&Report> for Examined {
    fn from(report: &Report) -> Self {
        let (outcome, detail) = match &report.outcome {
            Outcome::Kept => ("kept", None),
            Outcome::Skipped(why) => ("skipped", Some(why.clone())),
            Outcome::Broken(how) => ("broken", Some(how.clone())),
        };
        Self { law: report.law, says: report.says, outcome, detail }
    }
}

/// Examines the simulated PACS.
pub(crate) fn sim(terminal: Terminal) -> Result<Exit, Failure> {
    examine(terminal, "sim", &Bed)
}

/// Examines a program of somebody else, which brings a PACS of its own.
#[cfg(feature = "exec")]
pub(crate) fn program(terminal: Terminal, command: &str, arguments: &[String]) -> Result<Exit, Failure> {
    let bed = lockstep_exec::Bed::new(command.into(), arguments.to_vec()).map_err(|fault| {
        Failure::new(Exit::Failed, escape::terminal(&fault.to_string())).not_done("no law was examined").next(
            fault
                .help
                .as_deref()
                .map_or_else(|| "the messages: lockstep connector schema".to_owned(), escape::terminal),
        )
    })?;
    examine(terminal, "exec", &bed)
}

fn examine(terminal: Terminal, kind: &'static str, bed: &dyn TargetBed) -> Result<Exit, Failure> {
    let reports = block_on(async { Ok(lockstep_conformance::check_target(bed).await) })?;
    let broken = reports.iter().filter(|report| matches!(report.outcome, Outcome::Broken(_))).count();
    let skipped = reports.iter().filter(|report| matches!(report.outcome, Outcome::Skipped(_))).count();
    let document = Conformance {
        schema: "lockstep/connector-conform/1",
        kind,
        laws: reports.iter().map(Examined::from).collect(),
    };
    terminal.show(&document, || {
        let mut lines: Vec<String> = reports.iter().map(|report| escape::terminal(&report.to_string())).collect();
        lines.push(format!("{} laws: {broken} broken, {skipped} skipped.", reports.len()));
        lines.join("\n")
    })?;
    Ok(if broken == 0 { Exit::Done } else { Exit::Failed })
}

/// Small, so that a list has several pages.
const PAGE: std::num::NonZeroU32 = std::num::NonZeroU32::new(10).expect("not zero");

/// Makes simulated PACS.
struct Bed;

#[async_trait]
impl TargetBed for Bed {
    fn name(&self) -> &'static str {
        "sim"
    }

    async fn fresh(&self, seed: &Seed) -> Result<Box<dyn TargetRig>, String> {
        Ok(Box::new(Rig::new(seed).map_err(|error| error.to_string())?))
    }

    fn cannot(&self, _: Trouble) -> Option<String> {
        None
    }
}

/// One simulated PACS.
struct Rig {
    sim: Sim,
    cardholders: Vec<CardholderId>,
    levels: Vec<AccessLevelId>,
}

impl Rig {
    fn new(seed: &Seed) -> Result<Self, IdError> {
        let mut world = World::new("conform");
        let mut levels = Vec::new();
        for (at, level) in seed.levels.iter().enumerate() {
            let id = AccessLevelId::new(format!("L{at}"))?;
            world
                .levels
                .insert(id.clone(), AccessLevel { name: level.name.clone(), doors: level.doors.clone(), site: None });
            levels.push(id);
        }
        let mut cardholders = Vec::new();
        for (at, seeded) in seed.cardholders.iter().enumerate() {
            let id = CardholderId::new(format!("C{at}"))?;
            let mut credentials = Vec::new();
            for (nth, number) in seeded.cards.iter().enumerate() {
                credentials.push(Credential {
                    id: CredentialId::new(format!("C{at}-{nth}"))?,
                    kind: CredentialKind::Card,
                    number: Some(number.clone()),
                    status: CredentialStatus::Active,
                });
            }
            world.insert(Cardholder {
                id: id.clone(),
                keys: seeded.keys.clone(),
                profile: seeded.profile.clone(),
                status: seeded.status.clone(),
                levels: seeded.levels.iter().filter_map(|at| levels.get(*at).cloned()).collect(),
                credentials,
                validity: seeded.validity,
                site: None,
                revision: None,
            });
            cardholders.push(id);
        }
        Ok(Self { sim: Sim::in_memory(TargetId::new("conform")?, world).with_page_size(PAGE), cardholders, levels })
    }
}

#[async_trait]
impl TargetRig for Rig {
    fn target(&self) -> &dyn Target {
        &self.sim
    }

    fn cardholders(&self) -> &[CardholderId] {
        &self.cardholders
    }

    fn levels(&self) -> &[AccessLevelId] {
        &self.levels
    }

    async fn raw(&self, id: &CardholderId) -> Option<Result<Option<Cardholder>, String>> {
        Some(Ok(self.sim.world().cardholders.get(id).cloned()))
    }

    async fn trouble(&self, trouble: Trouble) -> Result<(), String> {
        let faults = self.sim.faults();
        match trouble {
            Trouble::CutList => faults.always(Operation::List, Mishap::CutList),
            Trouble::ShortList => faults.always(Operation::List, Mishap::ShortList),
            Trouble::RepeatedPage => faults.on(Operation::List, 2, Mishap::RepeatedPage),
            Trouble::IgnoredFilter => faults.always(Operation::Find, Mishap::IgnoredFilter),
            Trouble::LostAnswer => faults.always(Operation::Apply, Mishap::LostAnswer),
            Trouble::Refuse => faults.always(Operation::Apply, Mishap::Refuse),
            Trouble::Deny => faults.everywhere(Mishap::Deny),
            Trouble::Unauthenticated => faults.everywhere(Mishap::Unauthenticated),
            Trouble::Throttle => faults.everywhere(Mishap::Throttle(Trouble::THROTTLE_WAIT)),
            Trouble::Hang => faults.everywhere(Mishap::Hang),
            Trouble::Down => faults.everywhere(Mishap::Down),
        };
        Ok(())
    }

    async fn heal(&self) {
        self.sim.faults().clear();
    }
}
