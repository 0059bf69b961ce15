//! What a watch tells: a line for each thing that happened, and one now and then although nothing did. Lines of text, or
//! with `--json` a line of JSON each.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use lockstep_engine::{Pass, Watch};
use lockstep_view::escape;
use serde::Serialize;
use tokio::time::Instant;

use super::mark::{self, Mark};
use crate::cli::context::{self, Context};
use crate::cli::outcome::Numbers;
use crate::cli::settle::Settled;
use crate::exit::Failure;
use crate::terminal::Terminal;

/// Something that happened, or a heartbeat: one line of `sync --watch --json`.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub(crate) struct Event {
    /// `lockstep/watch/1`.
    schema: &'static str,
    /// When.
    #[schemars(with = "String")]
    at: Timestamp,
    /// `started`, `noticed`, `census`, `settled`, `trouble`, `heartbeat` or `stopped`.
    #[serde(rename = "event")]
    kind: &'static str,
    /// The same for people.
    message: String,
    /// When the directory last said what changed.
    #[schemars(with = "Option<String>")]
    looked: Option<Timestamp>,
    /// When the last census began that read everything.
    #[schemars(with = "Option<String>")]
    census: Option<Timestamp>,
    /// Why everybody is to be read before long.
    owed: Option<String>,
    /// How many people wait for another look.
    waiting: usize,
    /// The folder of the plan.
    plan: Option<String>,
    /// What became of it.
    numbers: Option<Numbers>,
    /// Who was concerned, or what went wrong, for people.
    lines: Vec<String>,
}

/// What the hands did.
pub(super) enum Told {
    /// A few people.
    Notice { plan: String, numbers: Numbers, people: Vec<String> },
    /// Everybody.
    Census(Census),
}

/// A census that was made.
pub(super) struct Census {
    pub(super) why: String,
    pub(super) plan: String,
    pub(super) numbers: Numbers,
    pub(super) unreadable: Vec<String>,
    pub(super) exit: u8,
}

/// Tells, and keeps the sign of life fresh.
pub(super) struct Teller {
    terminal: Terminal,
    state: PathBuf,
    every: Duration,
    mark: Mark,
    beat: Option<Instant>,
    begun: bool,
    /// Trouble that was told and lasts.
    last_trouble: Vec<String>,
    last_once: String,
}

impl Teller {
    pub(super) fn new(context: &Context) -> Self {
        let now = context.now();
        let mark = Mark {
            node: context.node.to_string(),
            since: now,
            at: now,
            every_seconds: context.config.watch.heartbeat.as_secs(),
            looked: None,
            census: None,
            owed: None,
            waiting: 0,
            tells: true,
            reading: false,
            stopped: false,
        };
        Self {
            terminal: context.terminal,
            state: context.config.state.clone(),
            every: context.config.watch.heartbeat,
            mark,
            beat: None,
            begun: false,
            last_trouble: Vec::new(),
            last_once: String::new(),
        }
    }

    pub(super) const fn has_begun(&self) -> bool {
        self.begun
    }

    fn event(&self, kind: &'static str, message: impl Into<String>) -> Event {
        Event {
            schema: "lockstep/watch/1",
            at: context::now(),
            kind,
            message: message.into(),
            looked: self.mark.looked,
            census: self.mark.census,
            owed: self.mark.owed.clone(),
            waiting: self.mark.waiting,
            plan: None,
            numbers: None,
            lines: Vec::new(),
        }
    }

    fn tell(&self, event: &Event) -> Result<(), Failure> {
        if self.terminal.json {
            let line = serde_json::to_string(event).unwrap_or_default();
            return self.terminal.text(&line);
        }
        let at = event.at.strftime("%Y-%m-%d %H:%M:%S UTC");
        let mut text = escape::terminal(&format!("{at}  {}: {}", event.kind, event.message));
        for line in &event.lines {
            text.push_str("\n    ");
            text.push_str(line);
        }
        self.terminal.text(&text)
    }

    fn learn(&mut self, watch: &Watch<'_>) {
        // A new session has not looked yet; what the last one saw stays true.
        self.mark.looked = watch.looked().or(self.mark.looked);
        self.mark.census = watch.census();
        self.mark.owed = watch.owed().map(|owed| owed.why.clone());
        self.mark.waiting = watch.waiting();
        self.mark.tells = watch.tells();
    }

    fn write(&mut self) -> Result<(), Failure> {
        self.mark.at = context::now();
        mark::write(&self.state, &self.mark)
    }

    pub(super) fn begun(&mut self, watch: &Watch<'_>) -> Result<(), Failure> {
        self.learn(watch);
        self.write()?;
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        self.beat = Some(Instant::now());
        self.tell(&self.event("started", "whoever leaves is put out from now on; stop it with Ctrl-C or SIGTERM"))
    }

    pub(super) fn reconfigured(&mut self, context: &Context) -> Result<(), Failure> {
        self.every = context.config.watch.heartbeat;
        self.mark.every_seconds = self.every.as_secs();
        self.last_once.clear();
        self.tell(&self.event("started", "the configuration changed, and the new one is in force"))
    }

    /// What one look did.
    pub(super) fn looked(&mut self, pass: &Pass, told: &[Told], watch: &Watch<'_>) -> Result<(), Failure> {
        let tells = self.mark.tells;
        self.learn(watch);
        if tells && !self.mark.tells {
            self.once(
                "this directory cannot tell what changed: whoever leaves is found by the next census, not sooner",
            )?;
        }
        for told in told {
            let event = match told {
                Told::Notice { plan, numbers, people } => Event {
                    plan: Some(plan.clone()),
                    numbers: Some(*numbers),
                    lines: people.clone(),
                    ..self.event("noticed", format!("{} people, {} confirmed", people.len(), numbers.verified))
                },
                Told::Census(census) => self.census(census),
            };
            self.tell(&event)?;
        }
        if pass.census.is_some() {
            self.write()?;
        }
        self.trouble(&pass.trouble)
    }

    fn census(&self, census: &Census) -> Event {
        let Numbers { verified, not_approved, held, .. } = census.numbers;
        let unread = match census.unreadable.as_slice() {
            [] => String::new(),
            some => format!("; not read: {}", some.join(", ")),
        };
        let (why, exit) = (&census.why, census.exit);
        let waits = not_approved + held;
        let message =
            format!("everybody was read ({why}): {verified} done, {waits} wait for people, code {exit}{unread}");
        Event { plan: Some(census.plan.clone()), numbers: Some(census.numbers), ..self.event("census", message) }
    }

    /// What goes wrong is told when it begins and when it changes, not at every look.
    pub(super) fn trouble(&mut self, trouble: &[String]) -> Result<(), Failure> {
        if trouble == self.last_trouble {
            return Ok(());
        }
        self.last_trouble = trouble.to_vec();
        let [first, ..] = trouble else { return Ok(()) };
        let lines = trouble.iter().skip(1).map(|line| escape::terminal(line)).collect();
        self.tell(&Event { lines, ..self.event("trouble", first.clone()) })
    }

    /// Tells something that lasts, once.
    pub(super) fn once(&mut self, what: &str) -> Result<(), Failure> {
        if self.last_once == what {
            return Ok(());
        }
        what.clone_into(&mut self.last_once);
        self.tell(&self.event("trouble", what))
    }

    pub(super) fn settled(&self, settled: &Settled) -> Result<(), Failure> {
        if settled.done.is_empty() {
            return Ok(());
        }
        let message =
            format!("{} people who were put out by name, {} still open", settled.done.len(), settled.open.len());
        let lines = settled.done.iter().map(|one| escape::terminal(&format!("{} on {}", one.who, one.target)));
        self.tell(&Event { lines: lines.collect(), ..self.event("settled", message) })
    }

    /// A sign of life, when it is time. True when there was one.
    pub(super) fn beats(&mut self, context: &Context, watch: &Watch<'_>) -> Result<bool, Failure> {
        if self.beat.is_some_and(|at| at.elapsed() < self.every) {
            return Ok(false);
        }
        self.beat = Some(Instant::now());
        self.learn(watch);
        self.write()?;
        let ago = |at: Option<Timestamp>| {
            at.map_or_else(|| "never".to_owned(), |at| format!("{} s ago", context.now().duration_since(at).as_secs()))
        };
        let owed = self.mark.owed.as_ref().map_or_else(String::new, |why| format!(", one is owed: {why}"));
        let (looked, census) = (ago(self.mark.looked), ago(self.mark.census));
        let message = format!("looked {looked}, last census {census}{owed}, {} wait", self.mark.waiting);
        self.tell(&self.event("heartbeat", message))?;
        Ok(true)
    }

    /// The last word. A watch that fails did not stop as asked, and is missed.
    pub(super) fn stopped(&mut self, failure: Option<&Failure>) -> Result<(), Failure> {
        if !self.begun {
            return Ok(());
        }
        self.mark.stopped = failure.is_none();
        self.write()?;
        let message = failure.map_or_else(|| "on request; nothing was left half done".to_owned(), |f| f.what.clone());
        self.tell(&self.event("stopped", message))
    }
}
