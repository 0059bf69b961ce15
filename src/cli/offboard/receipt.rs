//! The receipt goes out on a thread of its own: a reader that does not read must neither keep the record from being
//! taken over nor an alert from being raised.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::{Offboarded, text};
use crate::exit::Failure;
use crate::terminal::{self, Terminal};

/// So long what comes next waits for it, so that all stands in order.
const SOON: Duration = Duration::from_secs(2);
/// So long the end of the command waits for it.
const AT_LAST: Duration = Duration::from_secs(30);

/// A receipt on its way to whoever reads it.
pub(super) struct Receipt {
    taken: Option<Result<(), Failure>>,
    answer: mpsc::Receiver<Result<(), Failure>>,
}

impl Receipt {
    /// Writes it, and returns when it is taken, or soon.
    pub(super) fn write(terminal: Terminal, done: &Arc<Offboarded>) -> Self {
        let (tell, answer) = mpsc::channel();
        let (document, show) = (done.clone(), move |done: &Offboarded| terminal.show(done, || text::of(done)));
        let writing = std::thread::Builder::new().name("offboard-receipt".into()).spawn(move || {
            let _ = tell.send(show(&document)); // nobody waits for it any more when it took too long
        });
        let taken = match writing {
            Ok(_) => answer.recv_timeout(SOON).ok(),
            Err(_) => Some(show(done)),
        };
        Self { taken, answer }
    }

    /// Waits until it is taken, not for good; whether it was. That it could not be written is told, and is no failure of the work.
    pub(super) fn wait(self) -> bool {
        let Some(written) = self.taken.or_else(|| self.answer.recv_timeout(AT_LAST).ok()) else {
            terminal::complain(
                "lockstep: nobody reads the receipt on standard output; the work is done all the same, and on record: \
                 lockstep status",
            );
            return false;
        };
        if let Err(failure) = written {
            terminal::complain(&format!("lockstep: {}: the work is done all the same, as said above", failure.what));
        }
        true
    }
}
