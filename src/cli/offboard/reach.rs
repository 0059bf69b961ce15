//! The way to each PACS and to the roster, each on a thread of its own: a credential store that is locked, a name that
//! does not resolve or a disk that hangs keeps nobody in elsewhere.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use lockstep_config::{LenientLoaded, TargetConfig};
use lockstep_contract::{CardholderId, Opening, Target, TargetId};
use lockstep_offboard::{Gate, KnownRecords, Pacs, Place, Report, Roster, Who};
use tokio::sync::oneshot;

use super::NotAsked;
use crate::cli::{Global, emergency};
use crate::connectors::{self, OpenError};
use crate::exit::{Exit, Failure};
use crate::secrets::Stores;

pub(super) fn refuse_unknown_targets(global: &Global, loaded: &LenientLoaded) -> Result<(), Failure> {
    let known = |name: &String| {
        loaded.targets.iter().any(|target| target.id.as_str() == name) || loaded.broken.iter().any(|(id, _)| id == name)
    };
    // When no section reads, the names are not known either, and what does not read is told below.
    match global.targets.iter().find(|name| !known(name) && !loaded.targets.is_empty()) {
        None => Ok(()),
        Some(name) => Err(Failure::new(Exit::Usage, format!("--target {name}: no such target is configured"))
            .not_done("nobody was put out")
            .next("leave --target out to reach every PACS")),
    }
}

fn is_asked(global: &Global, id: &str) -> bool {
    global.targets.is_empty() || global.targets.iter().any(|name| name == id)
}

/// The targets that this command is about.
pub(super) fn asked<'l>(global: &Global, loaded: &'l LenientLoaded) -> impl Iterator<Item = &'l TargetConfig> {
    loaded.targets.iter().filter(move |target| is_asked(global, target.id.as_str()))
}

/// A place for each target, by this gate.
pub(super) fn places(
    global: &Global,
    loaded: &LenientLoaded,
    gate: impl Fn(&TargetConfig, &LenientLoaded) -> Gate,
) -> Vec<Place> {
    let place = |target: &TargetConfig| Place {
        id: target.id.clone(),
        gate: gate(target, loaded),
        managed: target.policy.levels.iter().map(|rule| rule.level.clone()).collect(),
        managed_whole: loaded.broken.iter().all(|(what, _)| what != target.id.as_str()),
    };
    asked(global, loaded).map(place).collect()
}

/// The real PACS.
pub(super) fn gate(target: &TargetConfig, loaded: &LenientLoaded) -> Gate {
    let (base, target) = (loaded.base.clone(), target.clone());
    let name = target.id.to_string();
    let opened = on_a_thread(move || {
        let stores = Stores::new(&base);
        let opening = Opening { base: &base, secrets: &stores };
        open(&target, &opening).map(|opened| Arc::new(Pacs::new(opened)))
    });
    async move { opened.await.unwrap_or_else(|_| Err(format!("{name}: this is a bug in its connector"))) }
        .boxed()
        .shared()
}

fn open(target: &TargetConfig, opening: &Opening<'_>) -> Result<Arc<dyn Target>, String> {
    let known = connectors::target(&target.kind)
        .ok_or_else(|| format!("this program has no connector of kind `{}`", target.kind))?;
    (known.open)(target.id.clone(), &target.settings, opening).map_err(|error| match error {
        OpenError::Settings(error) => format!("its settings are not right: {}", error.one_line()),
        OpenError::Fault(fault) => fault.to_string(),
    })
}

/// Parts of the configuration that could not be used. A broken mapping alone is no reason to miss somebody: only what
/// has no place was not asked.
pub(super) fn not_asked(global: &Global, loaded: &LenientLoaded) -> Vec<NotAsked> {
    let reached = |what: &str| loaded.targets.iter().any(|target| target.id.as_str() == what);
    let broken = loaded.broken.iter();
    let missed = broken.filter(|(what, _)| what != "directory" && is_asked(global, what) && !reached(what));
    missed.map(|(what, why)| NotAsked { what: what.clone(), why: why.clone() }).collect()
}

/// What is configured and was left out by `--target`.
pub(super) fn left_out(global: &Global, loaded: &LenientLoaded) -> Vec<String> {
    let targets = loaded.targets.iter().map(|target| target.id.as_str());
    let all: BTreeSet<&str> = targets.chain(loaded.broken.iter().map(|(what, _)| what.as_str())).collect();
    all.into_iter().filter(|what| *what != "directory" && !is_asked(global, what)).map(str::to_owned).collect()
}

/// What the roster knows of each of these.
pub(super) fn rosters(state: PathBuf, people: &[Who]) -> Vec<Roster> {
    let (senders, answers): (Vec<_>, Vec<_>) = people.iter().map(|_| oneshot::channel::<Arc<KnownRecords>>()).unzip();
    let people = people.to_vec();
    on_a_thread(move || {
        let roster = emergency::Roster::open(&state);
        for (who, answer) in people.iter().zip(senders) {
            let _ = answer.send(Arc::new(roster.known(who))); // nobody waits for it any more
        }
    });
    answers.into_iter().map(|answer| async { answer.await.unwrap_or_default() }.boxed().shared()).collect()
}

/// Says of every record whether Lockstep keeps it in step. A roster that does not answer at once says nothing.
pub(super) async fn tell_managed(state: PathBuf, reports: &mut [Report]) {
    let records: Vec<(TargetId, CardholderId)> = reports
        .iter()
        .flat_map(|report| &report.targets)
        .flat_map(|(id, outcome)| outcome.cardholders.iter().map(|one| (id.clone(), one.cardholder.clone())))
        .collect();
    let told = on_a_thread(move || {
        let roster = emergency::Roster::open(&state);
        records.into_iter().map(|(target, id)| roster.has_record(&target, &id)).collect::<Vec<_>>()
    });
    let Ok(Ok(told)) = tokio::time::timeout(Duration::from_millis(500), told).await else { return };
    let outcomes = reports.iter_mut().flat_map(|report| report.targets.values_mut());
    let records = outcomes.flat_map(|outcome| &mut outcome.cardholders);
    for (record, managed) in records.zip(told) {
        record.managed = managed;
    }
}

/// The result of work that may hang for good.
fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (done, answer) = oneshot::channel();
    // Without a thread nobody answers, which is what the receiver says then.
    let _ = std::thread::Builder::new().name("offboard-reach".into()).spawn(move || done.send(work()).ok());
    answer
}
