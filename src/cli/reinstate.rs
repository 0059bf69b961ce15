//! `reinstate`: plans the return of somebody whom `offboard` put out. The plan lifts the hold and gives back exactly what
//! was taken; all of it waits for a named person who is not the one who asked. Changes nothing by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use lockstep_contract::{Cx, Fault, FaultKind, Target, TargetId};
use lockstep_core::PlanDocument;
use lockstep_engine::{HeldOut, Memory, ReturnError, ReturnOrder, Store, TargetOrder, held_out, plan_return};
use lockstep_offboard::{Who, WhoError};
use lockstep_view::{escape, plan_json, plan_text};

use crate::cli::context::{self, Context, block_on};
use crate::cli::failures::{self, Wrote};
use crate::cli::progress::until_stopped;
use crate::cli::{Global, housekeeping, plan, runs};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;

/// What a refusal here never does.
const NOTHING: &str = "nothing was planned; every hold stays";

/// Plan the return of somebody whom offboard put out
#[derive(Debug, Args)]
pub(crate) struct Reinstate {
    /// employee:10482, upn:…, mail:…, card:26-1234, cardholder:hq/5871, directory:ID, or a bare value
    who: String,
    /// Why they may come back, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who asks for it, and so may not approve it [default: the log-in name]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Write the plan to this new folder [default: a folder named after the new run, in the configured folder of plans]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Reinstate {
    pub(crate) fn run(self, global: &Global, terminal: Terminal) -> Result<Exit, Failure> {
        let who: Who = self
            .who
            .parse()
            .map_err(|error: WhoError| Failure::new(Exit::Usage, error.to_string()).not_done(NOTHING))?;
        if self.reason.trim().is_empty() {
            return Err(Failure::new(Exit::Usage, "--reason needs a reason").not_done(NOTHING));
        }
        let context = Context::load(global, terminal)?;
        let document = block_on(until_stopped(self.planned(&context, &who)))?;
        let dir = plan::write(&context, &document, self.out)?;
        let json = plan_json(&document, "lockstep/reinstate/1", Some(dir.path().display().to_string()));
        terminal.show(&json, || plan_text(&document, terminal.paint(), usize::MAX))?;
        plan::tell(&context, &document, &dir);
        Ok(Exit::Held)
    }

    async fn planned(&self, context: &Context, who: &Who) -> Result<PlanDocument, Failure> {
        let store = context.store()?;
        housekeeping::absorb_spool(context, &*store).await?;
        let mut targets: BTreeMap<TargetId, Arc<dyn Target>> = BTreeMap::new();
        for configured in context.targets() {
            let opened = context.target(configured).map_err(|failure| leave_out(&configured.id, failure))?;
            targets.insert(configured.id.clone(), opened);
        }
        let (person, others) = find(context, &*store, &targets, who).await?;
        tell_of_others(context, &person, &others);
        let all: BTreeSet<TargetId> = context.config.targets.iter().map(|target| target.id.clone()).collect();
        let left_out = all.into_iter().filter(|target| !targets.contains_key(target)).collect();
        let order = ReturnOrder {
            targets: context
                .targets()
                .filter_map(|target| {
                    let reader = targets.get(&target.id)?;
                    Some(TargetOrder { reader: &**reader, policy: &target.policy, limits: &target.limits })
                })
                .collect(),
            left_out,
            person,
            others,
            who: who.to_string(),
            reason: self.reason.trim().to_owned(),
            by: self.by.clone().or_else(context::operator).unwrap_or_else(|| "unknown".into()).trim().to_owned(),
            store: &*store,
            node: context.node.clone(),
            run: runs::new_run(),
            version: env!("CARGO_PKG_VERSION").into(),
            config_digest: context.config.digest.clone(),
            call_budget: context.config.call_budget,
            clock: context.clock.clone(),
        };
        plan_return(order).await.map_err(refused)
    }
}

/// The one human who is meant, and everybody else who is held out. Nobody and several are both refused.
async fn find(
    context: &Context,
    store: &dyn Store,
    targets: &BTreeMap<TargetId, Arc<dyn Target>>,
    who: &Who,
) -> Result<(HeldOut, Vec<HeldOut>), Failure> {
    let remembered = |error| failures::store(error, Wrote::Nothing);
    let mut memory = Memory::new();
    for target in &context.config.targets {
        let links = store.links(&target.id).await.map_err(remembered)?;
        let holds = store.holds(&target.id).await.map_err(remembered)?;
        memory.insert(target.id.clone(), (links, holds));
    }
    let everybody = held_out(&memory);
    let named = |person: &HeldOut| match who {
        Who::Cardholder { target, id } => person.has(target, id),
        Who::Key(_) | Who::Bare(_) => person.is_named_by(&who.keys()),
    };
    let mut matching: Vec<&HeldOut> = everybody.iter().filter(|person| named(person)).collect();
    if matching.is_empty() && !everybody.is_empty() {
        matching = by_record(&context.cx(), targets, who, &everybody).await?;
    }
    // An offboarding that nothing but this key tells of cannot be named in another way.
    if matching.len() > 1 && matching.iter().filter(|person| person.is_just(&who.keys())).count() == 1 {
        matching.retain(|person| person.is_just(&who.keys()));
    }
    match matching.as_slice() {
        [one] => {
            let others = everybody.iter().filter(|other| other != one).cloned().collect();
            Ok(((*one).clone(), others))
        }
        [] => Err(Failure::new(Exit::Failed, format!("{who} is not held out"))
            .not_done(NOTHING)
            .next("lockstep status lists everybody who is held out")),
        several => {
            let lines: Vec<String> =
                several.iter().map(|person| format!("\n    {}", escape::terminal(&person.line()))).collect();
            Err(Failure::new(Exit::Usage, format!("{who} names several people who are held out:{}", lines.concat()))
                .not_done(NOTHING)
                .next("name one of them by cardholder:TARGET/ID or directory:ID"))
        }
    }
}

/// Other offboardings that may mean the same human keep access from them until they are lifted, too.
fn tell_of_others(context: &Context, person: &HeldOut, others: &[HeldOut]) {
    for other in others.iter().filter(|other| person.may_be(other)) {
        let line = escape::terminal(&other.line());
        let next = other.keys.first().filter(|_| other.is_known_by_keys_alone());
        let next = next.map_or_else(String::new, |key| format!("; to lift it, too: lockstep reinstate {key}"));
        let next = escape::terminal(&next);
        context.terminal.say(&format!("! Another offboarding may mean them as well, and stays: {line}{next}"));
    }
}

/// Whose the records are that the systems find by what was given: a card number is in no state.
async fn by_record<'p>(
    cx: &Cx,
    targets: &BTreeMap<TargetId, Arc<dyn Target>>,
    who: &Who,
    all: &'p [HeldOut],
) -> Result<Vec<&'p HeldOut>, Failure> {
    let mut matching: BTreeMap<usize, &HeldOut> = BTreeMap::new();
    for (id, target) in targets {
        let look_up = async {
            let mut records = Vec::new();
            if let Who::Cardholder { target: on, id: record } = who
                && on == id
            {
                records.extend(target.read(cx, record).await?);
            }
            for key in who.keys().iter().filter(|key| target.info().capabilities.keys.contains(&key.kind())) {
                records.extend(target.find(cx, key).await?);
            }
            Ok::<_, Fault>(records)
        };
        let late = |_| Fault::new(FaultKind::Unreachable, id.as_str(), "find a record", "no answer in time");
        let found = tokio::time::timeout(cx.budget, look_up).await.map_err(late).and_then(|found| found);
        for record in found.map_err(|fault| leave_out(id, failures::unreadable(id.as_str(), &fault)))? {
            matching.extend(all.iter().enumerate().filter(|(_, person)| person.owns(id, &record)));
        }
    }
    Ok(matching.into_values().collect())
}

fn refused(error: ReturnError) -> Failure {
    match error {
        ReturnError::Unreadable { target, fault } => leave_out(&target, failures::unreadable(target.as_str(), &fault)),
        ReturnError::NotSettled { ref target, .. } => {
            leave_out(target, Failure::new(Exit::Held, error.to_string()).next("lockstep sync settles it"))
        }
        ReturnError::Store(error) => failures::store(error, Wrote::Nothing),
    }
}

fn leave_out(target: &TargetId, failure: Failure) -> Failure {
    let next = failure.next.clone().unwrap_or_else(|| "lockstep probe".into());
    failure.not_done(NOTHING).next(format!(
        "{next}; or, to give nothing back on {target}, name the other targets: lockstep reinstate … --target ID"
    ))
}
