//! Says on standard error how it goes, while it goes: whoever sits there at night wants to see it. From a thread of its
//! own, since a terminal or a pipe that hangs must not keep anybody in.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use lockstep_contract::{Fault, TargetId};
use lockstep_offboard::{Progress, TargetOutcome, Watch, Who};

use super::Mode;
use super::text::seconds;
use crate::terminal::Terminal;

/// So long the last lines may take.
const LIMIT: Duration = Duration::from_millis(500);

/// Says lines, one after the other.
pub(super) struct Herald {
    lines: Mutex<Option<mpsc::Sender<String>>>,
    silent: Mutex<mpsc::Receiver<()>>,
    mode: Mode,
    people: Vec<String>,
    /// What was said of a PACS that did not answer, so that it is said once.
    said: Mutex<BTreeMap<(usize, TargetId), String>>,
}

impl Herald {
    pub(super) fn new(terminal: Terminal, mode: Mode, people: &[Who]) -> Self {
        let (lines, queue) = mpsc::channel::<String>();
        let (end, silent) = mpsc::channel();
        let spawned = std::thread::Builder::new().name("offboard-herald".into()).spawn(move || {
            for line in queue {
                terminal.say(&line);
            }
            let _ = end.send(()); // nobody waits any more
        });
        Self {
            lines: Mutex::new(spawned.is_ok().then_some(lines)),
            silent: Mutex::new(silent),
            mode,
            people: people.iter().map(ToString::to_string).collect(),
            said: Mutex::default(),
        }
    }

    /// Returns when everything is said, or soon.
    pub(super) fn finish(&self) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = self.silent.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(LIMIT);
    }

    /// Says a line, in its turn.
    pub(super) fn say(&self, line: String) {
        if let Some(lines) = &*self.lines.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = lines.send(line); // whoever says them is gone
        }
    }

    fn who(&self, nth: usize) -> &str {
        self.people.get(nth).map_or("", String::as_str)
    }
}

impl Watch for Herald {
    fn waiting(&self, nth: usize, target: &TargetId, fault: &Fault) {
        let text = fault.message.clone();
        let before =
            self.said.lock().unwrap_or_else(PoisonError::into_inner).insert((nth, target.clone()), text.clone());
        if before.as_deref() != Some(&text) {
            self.say(format!("  … {target}: {}: no answer yet, trying again: {text}", self.who(nth)));
        }
    }

    fn through(&self, nth: usize, target: &TargetId, outcome: &TargetOutcome) {
        let who = self.who(nth);
        let time = outcome.stopwatch.confirmed_ms.map_or_else(String::new, |ms| format!(" after {}", seconds(ms)));
        let copy = if self.mode == Mode::Drill { " (simulated)" } else { "" };
        let (sign, what) = match (&outcome.progress, self.mode) {
            (Progress::Done, Mode::DryRun) => ('=', "found".to_owned()),
            (Progress::Done, Mode::Real | Mode::Drill) if outcome.complete(false) => ('✓', format!("out{time}")),
            (Progress::Done, Mode::Real | Mode::Drill) => ('!', "NOT confirmed".to_owned()),
            (Progress::NotThere, _) => ('=', "no record".to_owned()),
            (Progress::NotAsked { .. }, _) => ('!', "NOT asked".to_owned()),
            (Progress::Unreached { .. }, _) => ('!', "NOT reached".to_owned()),
            (Progress::Ambiguous { candidates }, _) => {
                ('?', format!("not clear who is meant, of {}; nothing was done there", candidates.len()))
            }
        };
        self.say(format!("  {sign} {target}{copy}: {who}: {what}"));
    }
}
