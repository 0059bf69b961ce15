//! A fault at every request of every operation, judged by laws against what the vendor's server really has.
//!
//! Each operation is carried out once without trouble, to count its requests, and then again on a fresh server for each of
//! its requests and each of some fifty mishaps. This module must not know any vendor.

mod laws;
pub(crate) mod operation;
pub(crate) mod reach;
pub(crate) mod report;
mod strike;
pub(crate) mod truth;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lockstep_conformance::Seed;
use lockstep_contract::{Cardholder, Catalog, Cx, FaultKind, Target};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::bed::{Bed, Rig};
use crate::decoy::Decoy;
use crate::edit::Edit;
use crate::server::When;
use crate::vendor::{Purpose, Vendor};
use laws::Case;
use operation::{Answer, Failed, Operation, What, operations};
use strike::{Strike, strikes};
use truth::Truth;

pub use report::{Finding, Report, Swept};

/// More than anything takes that does not hang.
pub(crate) const AMPLE: Duration = Duration::from_secs(20);
/// The budget of a call that nobody answers.
pub(crate) const SHORT: Duration = Duration::from_millis(150);
/// So many cases at the same time: many of them only wait.
const AT_ONCE: usize = 12;
/// Of the surprises in one answer, so many are tried, spread evenly.
const SURPRISES_MAX: usize = 48;

/// A sweep over one vendor's connector.
#[derive(Debug)]
pub struct Sweep<V> {
    bed: Bed<V>,
    excused: Vec<Excuse>,
    only: Option<&'static str>,
}

/// What is not examined, and why.
#[derive(Debug, Clone, Copy)]
struct Excuse {
    operation: &'static str,
    mishap: &'static str,
    why: &'static str,
}

/// An operation as it goes without trouble.
struct Known {
    name: String,
    /// What each of its requests is for.
    purposes: Vec<Purpose>,
    /// For each of its requests, how many surprises its answer could hold.
    surprises: Vec<usize>,
}

impl<V: Vendor> Sweep<V> {
    /// A sweep with the rigs of this bed.
    pub const fn of(bed: Bed<V>) -> Self {
        Self { bed, excused: Vec::new(), only: None }
    }

    /// Leaves something out, with a reason that the report shows. An operation or a mishap of `*` is every one.
    #[must_use]
    pub fn except(mut self, operation: &'static str, mishap: &'static str, why: &'static str) -> Self {
        self.excused.push(Excuse { operation, mishap, why });
        self
    }

    /// Only the operations whose names hold this: while something is being mended.
    #[must_use]
    pub fn only(mut self, operation: &'static str) -> Self {
        self.only = Some(operation);
        self
    }

    /// Sweeps.
    ///
    /// # Panics
    /// When there is no runtime, or no server can be made. What the connector does wrong is in the report.
    pub fn run(self) -> Report {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(self.sweep())
    }

    async fn sweep(self) -> Report {
        let mut report = Report::new(self.bed.label(), "sweep");
        let rig = self.bed.rig(&Seed::standard()).await.expect("a server and a connector opened on it");
        let truth = Truth::of(rig.server.vendor());
        let names: Vec<String> = operations(&rig, &truth).into_iter().map(|operation| operation.name).collect();
        let catalog = match rig.target().catalog(&Cx::new(AMPLE)).await {
            Ok(catalog) => Arc::new(catalog),
            Err(fault) => return report.with("catalog", None, "without trouble", vec![fault.to_string()]),
        };
        let mut cases = JoinSet::new();
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        for (index, name) in names.into_iter().enumerate() {
            if self.only.is_some_and(|only| !name.contains(only)) {
                continue;
            }
            let known = match undisturbed(self.bed, index).await {
                Ok(known) => known,
                Err(Untouched::Inapplicable(why)) => {
                    report.not_applicable(&name, &why);
                    continue;
                }
                Err(Untouched::Broken(how)) => {
                    report = report.with(&name, None, "without trouble", vec![how]);
                    continue;
                }
            };
            let planned = self.planned(&known, &rig, &mut report);
            report.swept(&known.name, known.purposes.len(), planned.len());
            for (nth, purpose, name) in planned {
                let (bed, catalog, turns) = (self.bed, Arc::clone(&catalog), Arc::clone(&turns));
                let operation = known.name.clone();
                cases.spawn(async move {
                    let _turn = turns.acquire_owned().await;
                    // On a task of its own: a panic is a finding, too.
                    let case = tokio::spawn(case(bed, index, nth, purpose, name.clone(), catalog));
                    let broken = case.await.unwrap_or_else(|error| vec![format!("it panics: {error}")]);
                    (operation, nth, name, broken)
                });
            }
        }
        while let Some(Ok((operation, nth, mishap, broken))) = cases.join_next().await {
            report = report.with(&operation, Some(nth), &mishap.to_string(), broken);
        }
        report.sorted()
    }

    /// Every request with everything that can happen to it, unless it is excused.
    fn planned(&self, known: &Known, rig: &Rig<V>, report: &mut Report) -> Vec<(usize, Purpose, Name)> {
        let mut planned = Vec::new();
        for (nth, purpose) in known.purposes.iter().enumerate() {
            let all = strikes(rig.server.vendor(), nth, *purpose, "");
            let named = all.into_iter().map(|strike| Name::Strike(strike.name));
            let count = known.surprises.get(nth).copied().unwrap_or_default();
            let step = count.div_ceil(SURPRISES_MAX).max(1);
            let surprises = (0..count).step_by(step).map(Name::Surprise);
            for name in named.chain(surprises) {
                match self.excused.iter().find(|excuse| excuse.covers(&known.name, &name)) {
                    Some(excuse) => report.excuse(&known.name, &name.to_string(), excuse.why),
                    None => planned.push((nth, *purpose, name)),
                }
            }
        }
        planned
    }
}

/// Which mishap.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Strike(&'static str),
    Surprise(usize),
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Strike(name) => f.write_str(name),
            Self::Surprise(nth) => write!(f, "surprise {nth}"),
        }
    }
}

impl Excuse {
    fn covers(&self, operation: &str, mishap: &Name) -> bool {
        let same = match mishap {
            Name::Strike(name) => self.mishap == *name,
            Name::Surprise(_) => self.mishap == "surprise",
        };
        (self.operation == "*" || self.operation == operation) && (self.mishap == "*" || same)
    }
}

/// Why an operation cannot be swept.
enum Untouched {
    /// The connector says that the system cannot do it.
    Inapplicable(String),
    /// It goes wrong without any trouble.
    Broken(String),
}

/// A rig that is ready for an operation.
struct Ready<V> {
    rig: Rig<V>,
    operation: Operation,
    before: Truth,
}

async fn ready<V: Vendor>(bed: Bed<V>, index: usize) -> Result<Ready<V>, Untouched> {
    let rig = bed.rig(&Seed::standard()).await.map_err(Untouched::Broken)?;
    let truth = Truth::of(rig.server.vendor());
    let operation = operations(&rig, &truth)
        .into_iter()
        .nth(index)
        .ok_or_else(|| Untouched::Broken("the operations differ from rig to rig".to_owned()))?;
    let cx = Cx::new(AMPLE);
    if !operation.cold
        && let Some(id) = truth.order.first()
    {
        rig.target().read(&cx, id).await.map_err(|fault| Untouched::Broken(fault.to_string()))?;
    }
    if let Some(action) = &operation.before {
        rig.target().apply(&cx, action).await.map_err(|fault| Untouched::Broken(format!("beforehand: {fault}")))?;
    }
    let before = Truth::of(rig.server.vendor());
    rig.server.arrived();
    Ok(Ready { rig, operation, before })
}

/// Carries an operation out without trouble.
async fn undisturbed<V: Vendor>(bed: Bed<V>, index: usize) -> Result<Known, Untouched> {
    let Ready { rig, operation, before } = ready(bed, index).await?;
    rig.server.keep_answers();
    let outcome = operation.what.perform(rig.target(), &Cx::new(AMPLE)).await;
    let purposes: Vec<Purpose> = rig.server.arrived().into_iter().map(|(purpose, _)| purpose).collect();
    let surprises = rig.server.said().iter().map(|reply| Edit::surprises(&reply.body)).collect();
    let after = Truth::of(rig.server.vendor());
    match &outcome {
        Err(failed) if failed.fault().kind == FaultKind::Unsupported => {
            return Err(Untouched::Inapplicable(failed.fault().to_string()));
        }
        Err(failed) => return Err(Untouched::Broken(failed.fault().to_string())),
        Ok(_) => {}
    }
    let nothing = Strike::surprise(usize::MAX);
    let catalog = match &outcome {
        Ok(Answer::Catalog(catalog)) => catalog.clone(),
        _ => Catalog::default(),
    };
    let can = &rig.target().info().capabilities;
    let honest = Strike { lies: false, ..nothing };
    let case = Case {
        what: &operation.what,
        strike: &honest,
        purpose: Purpose::Session,
        before: &before,
        after: &after,
        can,
        catalog: &catalog,
    };
    let mut broken = case.judge(&outcome, rig.target()).await;
    broken.extend(undone(&operation, &outcome, &after, rig.target()));
    if broken.is_empty() {
        Ok(Known { name: operation.name, purposes, surprises })
    } else {
        Err(Untouched::Broken(broken.join("; ")))
    }
}

/// Without trouble, what was accepted is done.
fn undone(
    operation: &Operation,
    outcome: &Result<Answer, Failed>,
    after: &Truth,
    target: &dyn Target,
) -> Option<String> {
    let (What::Apply(action), Ok(Answer::Written(receipt))) = (&operation.what, outcome) else { return None };
    let Some(record) = after.records.get(&receipt.cardholder) else {
        return Some(format!("the receipt names `{}`, which is not there", receipt.cardholder));
    };
    let lacking = reach::lacking(&action.steps, record, &target.info().capabilities);
    (!lacking.is_empty()).then(|| format!("accepted, but not done: {}", lacking.join(", ")))
}

/// Carries an operation out with one mishap, and says which laws are broken.
async fn case<V: Vendor>(
    bed: Bed<V>,
    index: usize,
    nth: usize,
    purpose: Purpose,
    name: Name,
    catalog: Arc<Catalog>,
) -> Vec<String> {
    let Ok(decoy) = Decoy::start().await else { return vec!["there is no decoy".to_owned()] };
    let Ready { rig, operation, before } = match ready(bed, index).await {
        Ok(ready) => ready,
        Err(Untouched::Broken(how) | Untouched::Inapplicable(how)) => return vec![how],
    };
    let strike = match name {
        Name::Surprise(nth) => Some(Strike::surprise(nth)),
        Name::Strike(name) => {
            strikes(rig.server.vendor(), nth, purpose, decoy.root()).into_iter().find(|strike| strike.name == name)
        }
    };
    let Some(strike) = strike else { return vec!["the mishap is not known".to_owned()] };
    let when = if strike.lasting { When::from(nth) } else { When::nth(nth) };
    rig.server.mishap(when, strike.mishap.clone());
    let budget = if strike.silent { SHORT } else { AMPLE };
    let cx = Cx::new(budget);
    let Ok(outcome) = tokio::time::timeout(budget + AMPLE, operation.what.perform(rig.target(), &cx)).await else {
        return vec!["it hangs: it did not end by its time limit".to_owned()];
    };
    let struck = rig.server.struck() > 0;
    rig.server.heal();
    let after = Truth::of(rig.server.vendor());
    let mut broken = Vec::new();
    if !struck && !strike.silent {
        broken.push("the request was not made this time: the operation differs from time to time".to_owned());
    }
    let can = &rig.target().info().capabilities;
    let case = Case {
        what: &operation.what,
        strike: &strike,
        purpose,
        before: &before,
        after: &after,
        can,
        catalog: &catalog,
    };
    broken.extend(case.judge(&outcome, rig.target()).await);
    broken.extend(told(&outcome, &before, &rig));
    broken.extend(lured(&decoy, &rig));
    if let Some(id) = after.order.get(1) {
        broken.extend(laws::recovers(rig.target(), &after, &strike, id).await);
    }
    broken
}

/// No fault holds a secret or a card number in full.
fn told<V: Vendor>(outcome: &Result<Answer, Failed>, truth: &Truth, rig: &Rig<V>) -> Option<String> {
    let Err(failed) = outcome else { return None };
    let text = format!("{failed:?} {}", failed.fault());
    let secrets = rig.server.vendor().secrets();
    let cards =
        |record: &Cardholder| record.credentials.iter().filter_map(|one| one.number.clone()).collect::<Vec<_>>();
    let numbers: BTreeSet<String> = truth.records.values().flat_map(cards).filter(|n| n.len() > 4).collect();
    // The text is not repeated: it holds the secret.
    if secrets.iter().any(|(_, value)| !value.is_empty() && text.contains(value.as_str())) {
        return Some("a fault holds a secret".to_owned());
    }
    numbers.iter().any(|number| text.contains(number.as_str())).then(|| "a fault holds a card number".to_owned())
}

/// Nobody goes where an answer says, unless it is the same server.
fn lured<V: Vendor>(decoy: &Decoy, rig: &Rig<V>) -> Option<String> {
    let heard = decoy.heard();
    let first = heard.first()?;
    let secrets = rig.server.vendor().secrets();
    let secret = secrets.iter().any(|(_, value)| heard.iter().any(|text| text.contains(value.as_str())));
    let line = first.lines().next().unwrap_or("nothing");
    Some(format!("it went to another host: `{line}`{}", if secret { ", and told it a secret" } else { "" }))
}
