//! `offboard`: one person out, now, on every PACS. Needs no directory, no state and no valid configuration of anything
//! but the PACS in question: whatever can be read is used, whatever cannot is named.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use lockstep_config::LenientLoaded;
use lockstep_contract::{AccessLevelId, Opening, Target, TargetId};
use lockstep_offboard::{Place, Progress, Report, Request, Who, WhoError};
use lockstep_store::SqliteStore;
use lockstep_view::escape;
use serde::Serialize;

use crate::cli::context::{self, block_on};
use crate::cli::{Global, emergency, housekeeping, runs};
use crate::exit::{Exit, Failure};
use crate::secrets::Stores;
use crate::terminal::{Terminal, ask};

mod text;

/// So many people an operator may put out within an hour without a second person.
const PER_HOUR_MAX: usize = 10;

/// Put people out, now, on every PACS
#[derive(Debug, Args)]
pub(crate) struct Offboard {
    /// employee:10482, upn:jdoe@corp.example, card:26-1234, cardholder:hq/5871, or a bare value that matches one person
    #[arg(required = true, value_name = "WHO")]
    who: Vec<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who asks [default: the log-in name]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// A second person who agrees; asked for beyond ten people within an hour
    #[arg(long, value_name = "NAME")]
    second: Option<String>,
    /// Take every record that matches, where a PACS has several
    #[arg(long)]
    all: bool,
    /// Look everybody up and say what would be done; write nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// How long to wait for one PACS, in seconds [default: as configured, or 60]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=1800))]
    patience: Option<u64>,
}

/// The document of `offboard --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Offboarded<'a> {
    /// `lockstep/offboard/1`.
    schema: &'static str,
    /// Out on every PACS that was to be asked, read back, and on record.
    complete: bool,
    /// One report for each person named.
    #[schemars(with = "Vec<serde_json::Value>")]
    people: &'a [Report],
    /// Parts of the configuration that could not be used: somebody may still have access there.
    not_asked: &'a [NotAsked],
    /// Targets that `--target` left out: nobody was put out there.
    left_out: &'a [String],
    /// What human hands have to do, as far as it is known here.
    by_hand: &'a [ByHand],
    /// Where the record is; it is renamed to `.absorbed` when the state has taken it over.
    record: Option<String>,
}

/// A record that nobody could switch off from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
struct ByHand {
    /// Who was named.
    who: String,
    /// Where.
    target: String,
    /// The records the roster knows; empty: look the person up there, by name or card.
    cardholders: Vec<String>,
    /// Who has what there, as last written.
    export: Option<String>,
}

/// A target that could not even be opened.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
struct NotAsked {
    what: String,
    why: String,
}

impl Offboard {
    pub(crate) fn run(self, global: &Global, terminal: Terminal) -> Result<Exit, Failure> {
        let people: Vec<Who> = self
            .who
            .iter()
            .map(|who| who.parse())
            .collect::<Result<_, WhoError>>()
            .map_err(|error| Failure::new(Exit::Usage, error.to_string()).not_done("nobody was put out"))?;
        if self.reason.trim().is_empty() {
            return Err(Failure::new(Exit::Usage, "--reason needs a reason").not_done("nobody was put out"));
        }
        let by = self.by.clone().or_else(context::operator).unwrap_or_else(|| "unknown".into());
        let loaded = lockstep_config::load_lenient(&context::config_path(global)?);
        refuse_unknown_targets(global, &loaded)?;
        self.ask_for_a_second(&by, people.len(), &loaded)?;
        self.confirm(&people, &loaded)?;
        block_on(self.all_of(global, terminal, &people, &by, &loaded))
    }

    async fn all_of(
        &self,
        global: &Global,
        terminal: Terminal,
        people: &[Who],
        by: &str,
        loaded: &LenientLoaded,
    ) -> Result<Exit, Failure> {
        let patience = self.patience.map_or(loaded.offboard_patience, Duration::from_secs);
        let state = (!self.dry_run).then_some(loaded.state.as_path());
        let record = Arc::new(emergency::Record::new(state, runs::new_run()));
        let roster = emergency::Roster::open(&loaded.state);
        let (targets, not_asked) = reach(global, loaded);
        // All at once: a PACS that is down for the first person must not keep the second one in.
        let each = people.iter().enumerate().map(|(nth, who)| {
            let request = Request {
                who: who.clone(),
                reason: self.reason.clone(),
                by: self.second.as_ref().map_or_else(|| by.to_owned(), |second| format!("{by} and {second}")),
                at: jiff::Timestamp::now(),
                all: self.all,
                dry_run: self.dry_run,
            };
            let places = places(&targets, &roster, who);
            let journal = Arc::new(record.of(nth, who));
            async move { lockstep_offboard::offboard(&request, places, journal, patience).await }
        });
        let reports: Vec<Report> = futures::future::join_all(each).await;
        let by_hand = by_hand(loaded, people, &reports, &not_asked, &roster);
        let complete =
            not_asked.is_empty() && reports.iter().all(|report| report.complete() && report.known_anywhere());
        let left_out = left_out(global, loaded);
        let document = Offboarded {
            schema: "lockstep/offboard/1",
            complete,
            people: &reports,
            not_asked: &not_asked,
            left_out: &left_out,
            by_hand: &by_hand,
            record: record.path().map(|path: PathBuf| path.display().to_string()),
        };
        terminal.show(&document, || text::of(&document))?;
        if document.record.is_some() {
            take_over(terminal, loaded).await;
        }
        Ok(finish(terminal, &document))
    }

    /// Beyond ten people within an hour a second named person is asked for. What cannot be counted does not stop anybody.
    fn ask_for_a_second(&self, by: &str, people: usize, loaded: &LenientLoaded) -> Result<(), Failure> {
        let before = emergency::recently(&loaded.state, by, jiff::Timestamp::now());
        let agreed = self.second.as_deref().is_some_and(|second| !emergency::same_human(second, by));
        if self.dry_run || agreed || before + people <= PER_HOUR_MAX {
            return Ok(());
        }
        let what = format!(
            "{by} put {before} people out within the last hour, and this names {people}: more than {PER_HOUR_MAX}"
        );
        Err(Failure::new(Exit::Held, what)
            .not_done("nobody was put out by this command")
            .next("the same command with --second NAME, the name of another person who agrees"))
    }

    fn confirm(&self, people: &[Who], loaded: &LenientLoaded) -> Result<(), Failure> {
        if self.yes || self.dry_run {
            return Ok(());
        }
        let names: Vec<String> = people.iter().map(ToString::to_string).collect();
        let question = format!(
            "Put {} out on {} PACS, now? Type `yes`:",
            escape::terminal(&names.join(", ")),
            loaded.targets.len()
        );
        match ask(&question) {
            Some(answer) if answer == "yes" => Ok(()),
            Some(_) => Err(Failure::new(Exit::Failed, "not confirmed").not_done("nobody was put out")),
            None => Err(Failure::new(Exit::Usage, "nobody is there to confirm")
                .not_done("nobody was put out")
                .next("the same command with --yes")),
        }
    }
}

/// Has the state take the record over at once, when it can be had within two seconds. If not, the next run does it.
/// On a thread of its own: a disk that hangs must not keep this command from ending.
async fn take_over(terminal: Terminal, loaded: &LenientLoaded) {
    let state = loaded.state.clone();
    let database = state.join(context::DATABASE);
    if !database.is_file() {
        return;
    }
    let targets: Vec<TargetId> = loaded.targets.iter().map(|target| target.id.clone()).collect();
    let handle = tokio::runtime::Handle::current();
    let work = tokio::task::spawn_blocking(move || {
        let now = jiff::Timestamp::now();
        let node = context::node(now);
        let store = SqliteStore::open(&database).map_err(|error| error.to_string())?;
        let absorbed = handle.block_on(housekeeping::absorb(&state, &store, &node, now, &targets));
        absorbed.map_err(|failure| failure.what)
    });
    let why = match tokio::time::timeout(Duration::from_secs(2), work).await {
        Ok(Ok(Ok(()))) => return,
        Ok(Ok(Err(why))) => why,
        Ok(Err(broken)) => broken.to_string(),
        Err(_) => "it did not answer within two seconds".into(),
    };
    terminal.say(&format!("The record stays in the spool until the next run takes it over; the state: {why}"));
}

fn refuse_unknown_targets(global: &Global, loaded: &LenientLoaded) -> Result<(), Failure> {
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

/// Every PACS that can be opened, with the levels that are ours there; and those that cannot.
fn reach(global: &Global, loaded: &LenientLoaded) -> (Vec<Reached>, Vec<NotAsked>) {
    let stores = Stores::new(&loaded.base);
    let opening = Opening { base: &loaded.base, secrets: &stores };
    let asked = |id: &str| global.targets.is_empty() || global.targets.iter().any(|name| name == id);
    let mut open = Vec::new();
    let mut closed: Vec<NotAsked> = Vec::new();
    for target in loaded.targets.iter().filter(|target| asked(target.id.as_str())) {
        match context::open_target(target.id.clone(), &target.kind, &target.settings, &opening) {
            Ok(opened) => open.push(Reached {
                target: opened,
                managed: target.policy.levels.iter().map(|rule| rule.level.clone()).collect(),
            }),
            Err(failure) => closed.push(NotAsked { what: target.id.to_string(), why: failure.what }),
        }
    }
    // A broken mapping alone is no reason to miss somebody: only what has no place above was not asked.
    let reached = |what: &str| loaded.targets.iter().any(|target| target.id.as_str() == what);
    for (what, why) in &loaded.broken {
        if what != "directory" && asked(what) && !reached(what) {
            closed.push(NotAsked { what: what.clone(), why: why.clone() });
        }
    }
    (open, closed)
}

/// What is configured and was left out by `--target`.
fn left_out(global: &Global, loaded: &LenientLoaded) -> Vec<String> {
    let targets = loaded.targets.iter().map(|target| target.id.as_str());
    let all: BTreeSet<&str> = targets.chain(loaded.broken.iter().map(|(what, _)| what.as_str())).collect();
    let left = |what: &&str| !global.targets.is_empty() && global.targets.iter().all(|name| name != what);
    all.into_iter().filter(|what| *what != "directory").filter(left).map(str::to_owned).collect()
}

/// A PACS that can be asked.
struct Reached {
    target: Arc<dyn Target>,
    managed: BTreeSet<AccessLevelId>,
}

/// The same, with what the roster knows about one person there.
fn places(targets: &[Reached], roster: &emergency::Roster, who: &Who) -> Vec<Place> {
    let mut known = roster.known(who);
    let place = |reached: &Reached| Place {
        target: reached.target.clone(),
        managed: reached.managed.clone(),
        known: known.remove(&reached.target.info().id).unwrap_or_default(),
    };
    targets.iter().map(place).collect()
}

/// Every PACS that was not reached, for each person: what the roster knows, and where to look.
fn by_hand(
    loaded: &LenientLoaded,
    people: &[Who],
    reports: &[Report],
    not_asked: &[NotAsked],
    roster: &emergency::Roster,
) -> Vec<ByHand> {
    let mut hands = Vec::new();
    for (who, report) in people.iter().zip(reports) {
        let known = roster.known(who);
        let missed = |progress: &Progress| matches!(progress, Progress::Unreached { .. } | Progress::NotAsked { .. });
        let unreached = report.targets.iter().filter(|(_, outcome)| missed(&outcome.progress));
        let targets = unreached.map(|(id, _)| id.as_str()).chain(not_asked.iter().map(|one| one.what.as_str()));
        for target in targets {
            let records = known.iter().find(|(id, _)| id.as_str() == target).map(|(_, records)| records);
            let export = loaded.exports.join(format!("{target}.html"));
            hands.push(ByHand {
                who: report.who.clone(),
                target: target.to_owned(),
                cardholders: records.into_iter().flatten().map(|(id, _)| id.to_string()).collect(),
                export: export.is_file().then(|| export.display().to_string()),
            });
        }
    }
    hands
}

fn finish(terminal: Terminal, done: &Offboarded<'_>) -> Exit {
    let (reports, complete) = (done.people, done.complete);
    if reports.iter().any(Report::ambiguous) {
        terminal.say(
            "Next: the same command with cardholder:TARGET/ID for the right record, with a kind of key \
                  (employee:…), or with --all for every one",
        );
    }
    let unknown = reports.iter().filter(|report| !report.known_anywhere()).count();
    if reports.iter().any(|report| !report.found_anywhere()) {
        terminal.say("Next: check the spelling of whoever is found on no PACS, or name a card: card:NUMBER");
    }
    if unknown == reports.len() && done.not_asked.is_empty() {
        return Exit::Failed;
    }
    if !complete {
        terminal.say("Next: the same command again (what is done stays done), and hands where it says NOT");
    }
    if complete { Exit::Done } else { Exit::Partial }
}
