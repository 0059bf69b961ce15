//! A bed of the conformance suite for any program that speaks the protocol: the program brings a PACS of its own, which holds
//! what the suite asks for and gets into the trouble that it asks for. This module must not know any program.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_conformance::{Seed, SeedCardholder, TargetBed, TargetRig, Trouble};
use lockstep_contract::{AccessLevelId, Cardholder, CardholderId, Cx, Fault, Secret, Target, TargetId};

use crate::Exec;
use crate::program::Program;
use crate::protocol::{Examinable, Fresh, FreshCardholder, FreshLevel, Made, Nothing, Read, Strike, method};

/// A secret that nobody needs, to see whether it gets into a fault.
const SECRET: &str = "conformance-7b1e0c";
/// How long the suite waits for what is not examined.
const BUDGET: Duration = Duration::from_secs(30);

/// Somebody's program, to be examined.
#[derive(Debug)]
pub struct Bed {
    name: String,
    command: PathBuf,
    args: Vec<String>,
    examinable: Examinable,
}

impl Bed {
    /// A bed for a program, which is started once here to ask what it can do.
    ///
    /// # Errors
    /// When it does not start, or cannot be examined.
    pub fn new(command: PathBuf, args: Vec<String>) -> Result<Self, Fault> {
        let mut bed = Self { name: String::new(), command, args, examinable: Examinable::default() };
        let opened = bed.open()?;
        let Some(examinable) = opened.line().examinable() else {
            let message = "this connector says that it cannot be examined: it brings no PACS of its own";
            let help = "answer `initialize` with `conformance`, and the methods `conformance/…`, when it is asked for";
            let kind = lockstep_contract::FaultKind::Unsupported;
            return Err(opened.line().fault(kind, method::INITIALIZE, message).with_help(help));
        };
        bed.examinable = examinable.clone();
        bed.name = bed.command.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(bed)
    }

    fn open(&self) -> Result<Exec, Fault> {
        let id = TargetId::new("conform").expect("a plain name is an id");
        Exec::start(Program::to_examine(id, &self.command, &self.args, Secret::new(SECRET.to_owned())))
    }
}

/// One run of the program.
struct Rig {
    exec: Exec,
    seed: Fresh,
    records: bool,
    made: Made,
    /// Where the records are. Another run of the program has none yet.
    filled: Mutex<usize>,
}

/// As the protocol writes it.
fn word(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::CutList => "cut-list",
        Trouble::ShortList => "short-list",
        Trouble::RepeatedPage => "repeated-page",
        Trouble::IgnoredFilter => "ignored-filter",
        Trouble::LostAnswer => "lost-answer",
        Trouble::Refuse => "refuse",
        Trouble::Deny => "deny",
        Trouble::Unauthenticated => "unauthenticated",
        Trouble::Throttle => "throttle",
        Trouble::Hang => "hang",
        Trouble::Down => "down",
    }
}

fn fresh(seed: &Seed) -> Fresh {
    let one = |one: &SeedCardholder| FreshCardholder {
        keys: one.keys.clone(),
        profile: one.profile.clone(),
        status: one.status.clone(),
        levels: one.levels.clone(),
        cards: one.cards.clone(),
        validity: one.validity,
    };
    Fresh {
        levels: seed
            .levels
            .iter()
            .map(|level| FreshLevel { name: level.name.clone(), doors: level.doors.clone() })
            .collect(),
        cardholders: seed.cardholders.iter().map(one).collect(),
    }
}

impl Rig {
    /// Which run of the program it is, as a number that differs for each.
    fn run(&self) -> usize {
        self.exec.line().current().map_or(0, |running| std::sync::Arc::as_ptr(&running) as usize)
    }

    async fn fill(&self) -> Result<Made, String> {
        let made = self.exec.line().ask(&Cx::new(BUDGET), method::FRESH, &self.seed, &[]).await;
        let made = made.map_err(|call| call.fault.to_string())?;
        *self.filled.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = self.run();
        Ok(made)
    }
}

#[async_trait]
impl TargetBed for Bed {
    fn name(&self) -> &str {
        &self.name
    }

    async fn fresh(&self, seed: &Seed) -> Result<Box<dyn TargetRig>, String> {
        let exec = self.open().map_err(|fault| fault.to_string())?;
        let made = Made { levels: Vec::new(), cardholders: Vec::new() };
        let records = self.examinable.records;
        let mut rig = Rig { exec, seed: fresh(seed), records, made, filled: Mutex::new(0) };
        rig.made = rig.fill().await?;
        Ok(Box::new(rig))
    }

    fn cannot(&self, trouble: Trouble) -> Option<String> {
        self.examinable.cannot.get(word(trouble)).cloned()
    }

    fn one_at_a_time(&self) -> bool {
        false
    }
}

#[async_trait]
impl TargetRig for Rig {
    fn target(&self) -> &dyn Target {
        &self.exec
    }

    fn cardholders(&self) -> &[CardholderId] {
        &self.made.cardholders
    }

    fn levels(&self) -> &[AccessLevelId] {
        &self.made.levels
    }

    async fn raw(&self, id: &CardholderId) -> Option<Result<Option<Cardholder>, String>> {
        if !self.records {
            return None;
        }
        let asked = self.exec.line().ask(&Cx::new(BUDGET), method::RECORD, &Read { id: id.clone() }, &[]).await;
        Some(asked.map_err(|call| call.fault.to_string()))
    }

    async fn trouble(&self, trouble: Trouble) -> Result<(), String> {
        let strike = Strike { trouble: word(trouble).to_owned() };
        let done: Result<Nothing, _> = self.exec.line().ask(&Cx::new(BUDGET), method::TROUBLE, &strike, &[]).await;
        done.map(drop).map_err(|call| call.fault.to_string())
    }

    async fn heal(&self) {
        let healed: Result<Nothing, _> = self.exec.line().ask(&Cx::new(BUDGET), method::HEAL, &Nothing {}, &[]).await;
        let filled = *self.filled.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // One that was ended by a law starts anew, and has nobody until it is told.
        if healed.is_ok() && filled != self.run() {
            let _ = self.fill().await;
        }
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned()]
    }
}
