//! How far a run is, on stderr, and only when somebody watches. Also Ctrl-C: the first one asks everybody to stop at
//! the next safe point.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use lockstep_contract::{Cancel, TargetId};
use lockstep_engine::{Observer, Progress};

use crate::exit::{Exit, Failure};
use crate::terminal::{self, Terminal};

/// Shows how far a run is.
pub(crate) struct Bars {
    all: MultiProgress,
    lines: Mutex<BTreeMap<Line, ProgressBar>>,
}

/// What a line is about, in the order in which lines are shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Line {
    People,
    Groups,
    Cardholders(TargetId),
    LookingUp,
    Applying(TargetId),
}

impl Bars {
    /// Bars on a terminal, silence elsewhere.
    pub(crate) fn new(terminal: Terminal) -> Self {
        let target = if terminal.watched() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { all: MultiProgress::with_draw_target(target), lines: Mutex::default() }
    }

    /// Takes all lines away, so that what follows is not drawn over.
    pub(crate) fn clear(&self) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        for bar in std::mem::take(&mut *lines).into_values() {
            bar.finish_and_clear();
        }
        let _ = self.all.clear(); // a terminal that went away needs no clearing
    }

    fn line(&self, line: Line, update: impl FnOnce(&ProgressBar)) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = lines.entry(line).or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new_spinner().with_style(spinner()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        update(bar);
    }
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

impl Observer for Bars {
    fn progress(&self, progress: Progress) {
        match progress {
            Progress::People(count) => self.line(Line::People, |bar| bar.set_message(format!("{count} people read"))),
            Progress::Groups { groups, done } => self.line(Line::Groups, |bar| {
                bar.set_message(format!("{groups} groups {}", if done { "read" } else { "being read" }));
            }),
            Progress::Cardholders { target, count } => {
                let text = format!("{target}: {count} cardholders read");
                self.line(Line::Cardholders(target), |bar| bar.set_message(text));
            }
            Progress::LookingUp { done, total } => self.line(Line::LookingUp, |bar| {
                bar.set_message(format!("{done} of {total} absent people looked up"));
            }),
            Progress::Applying { target, done, total } => {
                let text = format!("{target}: {done} of {total} actions settled");
                self.line(Line::Applying(target), |bar| bar.set_message(text));
            }
        }
    }
}

/// Listens for Ctrl-C (and the service manager's stop) for as long as the runtime lives.
pub(crate) fn stop_on_signal(cancel: Cancel) {
    tokio::spawn(async move {
        while signal().await {
            cancel.cancel();
            terminal::complain("stopping: what is in flight is finished and recorded first");
        }
    });
}

/// Does something that only reads, and drops it when asked to stop.
pub(crate) async fn until_stopped<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::select! {
        done = work => done,
        true = signal() => Err(Failure::new(Exit::Failed, "stopped on request").not_done("nothing was changed")),
    }
}

/// Waits for a signal to stop. False when this system cannot tell.
pub(crate) async fn signal() -> bool {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut stop) = signal(SignalKind::terminate()) else { return tokio::signal::ctrl_c().await.is_ok() };
        tokio::select! {
            seen = tokio::signal::ctrl_c() => seen.is_ok(),
            seen = stop.recv() => seen.is_some(),
        }
    }
    #[cfg(not(unix))]
    {
        tokio::signal::ctrl_c().await.is_ok()
    }
}
