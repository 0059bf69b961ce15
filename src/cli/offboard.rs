//! `offboard`: people out, now, on every PACS. Needs no directory, no state and no valid configuration of anything but
//! the PACS in question: whatever can be read is used, whatever cannot is named.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures::FutureExt as _;
use lockstep_config::LenientLoaded;
use lockstep_contract::TargetId;
use lockstep_offboard::{KnownRecords, Person, Place, Report, Request, Roster, Times, Who};
use lockstep_store::SqliteStore;
use lockstep_view::escape;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::cli::emergency::{Folders, Scope};
use crate::cli::housekeeping::Taken;
use crate::cli::{Global, context, emergency, housekeeping, runs, settle};
use crate::exit::{Exit, Failure};
use crate::terminal::{Terminal, ask};

mod by_hand;
mod document;
#[cfg(feature = "sim")]
mod drill;
mod help;
mod herald;
mod people;
mod reach;
mod receipt;
mod second;
mod text;

pub(crate) use document::Offboarded;
use document::{Mode, NotAsked};
use herald::Herald;
use receipt::Receipt;
use second::{Recent, is_another};

/// Put people out, now, on every PACS
#[derive(Debug, Args)]
#[command(after_long_help = help::LONG)]
pub(crate) struct Offboard {
    /// employee:10482, upn:jdoe@corp.example, card:26-1234, cardholder:hq/5871, or a bare value that matches one person
    #[arg(required_unless_present_any = ["from", "settle", "drill"], value_name = "WHO")]
    who: Vec<String>,
    /// People from a file, one a line or a CSV; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["settle", "drill", "dry_run"])]
    reason: Option<String>,
    /// The ticket this belongs to, for the record
    #[arg(long, value_name = "ID")]
    ticket: Option<String>,
    /// Who asks [default: the log-in name]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// A second person who agrees; needed beyond ten people within an hour
    #[arg(long, value_name = "NAME")]
    second: Option<String>,
    /// Take every record that matches, where a PACS has several
    #[arg(long)]
    all: bool,
    /// Look everybody up and say what would be done; write nothing
    #[arg(long)]
    dry_run: bool,
    /// Rehearse against simulated copies of the configured PACS; touch nothing that is real
    #[arg(long, conflicts_with_all = ["dry_run", "second", "ticket"])]
    drill: bool,
    /// Try again, now, whatever earlier offboardings could not confirm
    #[arg(long, conflicts_with_all = ["who", "from", "reason", "ticket", "second", "all", "dry_run", "drill", "yes"])]
    settle: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// How long to wait for one PACS, in seconds [default: as configured, or 60]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=1800))]
    patience: Option<u64>,
}

/// A report of each of the people, and what the roster knows of them.
type Round = (Vec<Report>, Vec<Arc<KnownRecords>>);

/// People with their numbers within the command.
type Numbered = Vec<(usize, Who)>;

/// What all rounds of one command share.
struct Job<'a> {
    loaded: &'a LenientLoaded,
    mode: Mode,
    reason: String,
    places: Vec<Place>,
    record: Arc<emergency::Record>,
    herald: Arc<Herald>,
    patience: Duration,
}

impl Offboard {
    pub(crate) fn run(self, global: &Global, terminal: Terminal) -> Result<Exit, Failure> {
        if self.settle {
            return settle::run_for(global, terminal, self.patience.map(Duration::from_secs));
        }
        let people = self.people()?;
        let reason = self.reason.as_deref().map(str::trim).unwrap_or_default().to_owned();
        if reason.is_empty() && self.mode() == Mode::Real {
            return Err(Failure::new(Exit::Usage, "--reason needs a reason").not_done("nobody was put out"));
        }
        let loaded = lockstep_config::load_lenient(&context::config_path(global)?);
        reach::refuse_unknown_targets(global, &loaded)?;
        if self.drill {
            return self.drill(global, terminal, &loaded, people);
        }
        let by = self.by.clone().or_else(context::operator).unwrap_or_else(|| "unknown".into());
        let (go, wait) = self.who_goes(&by, &people, &loaded)?;
        // Opened while somebody is asked; nothing is said to a PACS yet.
        let places = reach::places(global, &loaded, reach::gate);
        self.confirm(&go, &loaded)?;
        let folders = Folders::of(&loaded);
        let folders = (self.mode() == Mode::Real).then_some(&folders);
        let scope = Scope::of(&loaded, &global.targets, self.all);
        let job = Job {
            loaded: &loaded,
            mode: self.mode(),
            reason,
            places,
            record: Arc::new(emergency::Record::covering(folders, runs::new_run(), &people, &scope)),
            herald: Arc::new(Herald::new(terminal, self.mode(), &people)),
            patience: self.patience.map_or(loaded.offboard_patience, Duration::from_secs),
        };
        self.work(global, terminal, &job, &by, go, wait)
    }

    fn work(
        &self,
        global: &Global,
        terminal: Terminal,
        job: &Job<'_>,
        by: &str,
        go: Numbered,
        wait: Numbered,
    ) -> Result<Exit, Failure> {
        let runtime = runtime()?;
        if self.second.is_some() && self.agreed(by).is_none() {
            job.herald.say(format!("  ! --second names nobody but {by}: it counts as not given"));
        }
        let agreed = self.agreed(by).map(str::to_owned);
        let state = (job.mode == Mode::Real).then(|| open_state(&runtime, job.loaded));
        let (mut reports, mut known) = self.round(&runtime, job, &by_both(by, agreed.as_deref()), &go);
        let (mut second, mut waiting) = (agreed, Vec::new());
        if !wait.is_empty() {
            match self.ask_for_a_second(by, &wait) {
                Some(name) => {
                    let more = self.round(&runtime, job, &by_both(by, Some(&name)), &wait);
                    reports.extend(more.0);
                    known.extend(more.1);
                    second = Some(name);
                }
                None => waiting = wait.iter().map(|(_, who)| who.to_string()).collect(),
            }
        }
        job.herald.finish();
        if job.mode != Mode::Drill {
            runtime.block_on(reach::tell_managed(job.loaded.state.clone(), &mut reports));
        }
        let not_asked = reach::not_asked(global, job.loaded);
        let done = Arc::new(Offboarded {
            schema: "lockstep/offboard/1",
            mode: job.mode,
            complete: waiting.is_empty()
                && not_asked.is_empty()
                && reports.iter().all(|report| report.complete() && report.known_anywhere()),
            by: by.to_owned(),
            second,
            reason: job.reason.clone(),
            ticket: self.ticket.clone(),
            by_hand: by_hand::rows(job.loaded, &known, &reports, &not_asked),
            people: reports,
            waiting,
            not_asked,
            left_out: reach::left_out(global, job.loaded),
            record: job.record.path().filter(|_| job.mode == Mode::Real).map(|path| path.display().to_string()),
        });
        let receipt = Receipt::write(terminal, &done);
        if let (Some(state), true) = (state, done.record.is_some()) {
            job.record.close();
            runtime.block_on(take_over(terminal, job.loaded, state));
        }
        if job.mode == Mode::Real {
            runtime.block_on(settle::after_offboarding(terminal, job.loaded, &done.people, job.record.run()));
        }
        for line in done.next() {
            terminal.say(line);
        }
        let taken = receipt.wait();
        // Whatever hangs in there must not keep a command that is done from ending.
        runtime.shutdown_background();
        Ok(if taken || done.exit() != Exit::Done { done.exit() } else { Exit::Partial })
    }

    /// Everybody of these at once: a PACS that is down for the first person must not keep the second one in.
    fn round(&self, runtime: &Runtime, job: &Job<'_>, by: &str, people: &[(usize, Who)]) -> Round {
        let started = std::time::Instant::now();
        let who: Vec<Who> = people.iter().map(|(_, who)| who.clone()).collect();
        let rosters = reach::rosters(job.loaded.state.clone(), &who);
        let person = |((nth, who), roster): (&(usize, Who), &Roster)| Person {
            nth: *nth,
            request: Request {
                who: who.clone(),
                reason: job.reason.clone(),
                ticket: self.ticket.clone(),
                by: by.to_owned(),
                at: context::now(),
                all: self.all,
                dry_run: job.mode == Mode::DryRun,
            },
            roster: roster.clone(),
            judged: Vec::new(),
        };
        let people = people.iter().zip(&rosters).map(person).collect();
        let times = Times { started: started.into(), patience: job.patience };
        let (record, herald) = (job.record.clone(), job.herald.clone());
        let all = lockstep_offboard::offboard(people, job.places.clone(), record, herald, times);
        let reports = runtime.block_on(all);
        // A roster that has not answered by now says nothing.
        (reports, rosters.into_iter().map(|roster| roster.now_or_never().unwrap_or_default()).collect())
    }

    const fn mode(&self) -> Mode {
        match (self.drill, self.dry_run) {
            (true, _) => Mode::Drill,
            (false, true) => Mode::DryRun,
            (false, false) => Mode::Real,
        }
    }

    fn people(&self) -> Result<Vec<Who>, Failure> {
        if people::is_stdin(self.from.as_deref()) && !self.yes && !self.dry_run && !self.drill {
            return Err(Failure::new(Exit::Usage, "--from - reads standard input, so nobody can be asked there")
                .not_done("nobody was put out")
                .next("the same command with --yes"));
        }
        people::named(&self.who, self.from.as_deref())
    }

    /// The second person, where `--second` names one: nothing and one's own name are nobody.
    fn agreed(&self, by: &str) -> Option<&str> {
        self.second.as_deref().filter(|second| is_another(second, by))
    }

    /// Who goes at once, and who waits for a second name, with their numbers. What cannot be counted stops nobody.
    fn who_goes(&self, by: &str, people: &[Who], loaded: &LenientLoaded) -> Result<(Numbered, Numbered), Failure> {
        let all: Numbered = people.iter().cloned().enumerate().collect();
        if self.dry_run || self.agreed(by).is_some() {
            return Ok((all, Vec::new()));
        }
        let most = loaded.offboard_per_hour;
        let recent = Recent::of(&Folders::of(loaded), by, context::now());
        let (go, wait) = recent.split(all, most);
        if go.is_empty() && self.nobody_to_ask() {
            let what = format!(
                "{by} put {} people out within the last hour, and this names {}: more than {most}",
                recent.len(),
                wait.len()
            );
            return Err(Failure::new(Exit::Held, what)
                .not_done("nobody was put out by this command")
                .next("the same command with --second NAME, the name of another person who agrees"));
        }
        Ok((go, wait))
    }

    /// With `--yes` nobody is asked anything.
    fn nobody_to_ask(&self) -> bool {
        use std::io::IsTerminal as _;
        self.yes || !std::io::stdin().is_terminal()
    }

    /// The second name, from whoever sits there.
    fn ask_for_a_second(&self, by: &str, wait: &[(usize, Who)]) -> Option<String> {
        if self.nobody_to_ask() {
            return None;
        }
        let names: Vec<String> = wait.iter().map(|(_, who)| who.to_string()).collect();
        let question = format!(
            "{} more wait for a second person to agree: {}\nName of that person (nothing: leave them in):",
            wait.len(),
            escape::terminal(&names.join(", "))
        );
        ask(&question).filter(|name| is_another(name, by))
    }

    fn confirm(&self, people: &[(usize, Who)], loaded: &LenientLoaded) -> Result<(), Failure> {
        if self.yes || self.dry_run || people.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = people.iter().map(|(_, who)| who.to_string()).collect();
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

    #[cfg(feature = "sim")]
    fn drill(
        &self,
        global: &Global,
        terminal: Terminal,
        loaded: &LenientLoaded,
        people: Vec<Who>,
    ) -> Result<Exit, Failure> {
        let people = if people.is_empty() { vec![drill::somebody()?] } else { people };
        let folder = drill::folder();
        let job = Job {
            loaded,
            mode: Mode::Drill,
            reason: self.reason.clone().unwrap_or_else(|| "drill".into()),
            places: drill::places(global, loaded, &people),
            record: Arc::new(emergency::Record::new(folder.as_deref(), runs::new_run(), &people)),
            herald: Arc::new(Herald::new(terminal, self.mode(), &people)),
            patience: self.patience.map_or(loaded.offboard_patience, Duration::from_secs),
        };
        terminal.say("DRILL: simulated copies only. No PACS, no hold and no record of yours is touched.");
        let go = people.iter().cloned().enumerate().collect();
        let by = self.by.clone().or_else(context::operator).unwrap_or_else(|| "unknown".into());
        let exit = self.work(global, terminal, &job, &by, go, Vec::new());
        drill::clear(folder);
        exit
    }

    #[cfg(not(feature = "sim"))]
    fn drill(&self, _: &Global, _: Terminal, _: &LenientLoaded, _: Vec<Who>) -> Result<Exit, Failure> {
        Err(Failure::new(Exit::Usage, "this program was built without simulated PACS")
            .not_done("nothing was rehearsed")
            .next("use --dry-run, which reads the real ones and writes nothing"))
    }
}

fn by_both(by: &str, second: Option<&str>) -> String {
    second.map_or_else(|| by.to_owned(), |second| format!("{by} and {second}"))
}

/// A thread more than needed for a few PACS that block instead of waiting.
fn runtime() -> Result<Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    built.map_err(|error| Failure::new(Exit::Failed, format!("cannot start: {error}")).not_done("nobody was put out"))
}

/// The state, or why it cannot be had; none when there is none.
type State = JoinHandle<Option<Result<SqliteStore, String>>>;

/// Opens the state while the PACS are asked: it is looked through first, and nobody needs it before the end. On a thread
/// of its own: a disk that hangs must not keep anybody in, nor this command from ending.
fn open_state(runtime: &Runtime, loaded: &LenientLoaded) -> State {
    let database = loaded.state.join(context::DATABASE);
    runtime.spawn_blocking(move || {
        database.is_file().then(|| SqliteStore::open(&database).map_err(|error| error.to_string()))
    })
}

/// Has the state take the record over at once, when it can be had within two seconds. If not, the next run does it.
async fn take_over(terminal: Terminal, loaded: &LenientLoaded, state: State) {
    let folders = Folders::of(loaded);
    let targets: Vec<TargetId> = loaded.targets.iter().map(|target| target.id.clone()).collect();
    let handle = tokio::runtime::Handle::current();
    let work = tokio::task::spawn_blocking(move || {
        let opened = handle.block_on(state).map_err(|broken| broken.to_string())?;
        let Some(store) = opened.transpose()? else { return Ok(()) };
        let now = context::now();
        let node = context::node(now);
        let absorbed = housekeeping::absorb(&folders, &store, (&node, now), &targets, Taken::AtOnce);
        handle.block_on(absorbed).map_err(|failure| failure.what)
    });
    let why = match tokio::time::timeout(Duration::from_secs(2), work).await {
        Ok(Ok(Ok(()))) => return,
        Ok(Ok(Err(why))) => why,
        Ok(Err(broken)) => broken.to_string(),
        Err(_) => "it did not answer within two seconds".into(),
    };
    terminal.say(&format!("The record stays in the spool until the next run takes it over; the state: {why}"));
}
