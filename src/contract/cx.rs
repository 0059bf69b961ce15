//! What a call carries along: its budget, its cancellation, and the run it belongs to. There is no global state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::{Fault, FaultKind, RunId};

/// The context of one call to a connector.
#[derive(Debug, Clone)]
pub struct Cx {
    /// The run this call belongs to, for request headers and logs.
    pub run: Option<RunId>,
    /// How long this call may take, all of its requests together. The engine drops the future at that time; a
    /// connector uses it to set time-outs that end a little earlier with a better message.
    pub budget: Duration,
    /// Set when the run is to end.
    pub cancel: Cancel,
}

impl Cx {
    /// A context without a run.
    pub fn new(budget: Duration) -> Self {
        Self { run: None, budget, cancel: Cancel::default() }
    }

    /// An error when the run is to end. Connectors call this between requests.
    ///
    /// # Errors
    /// [`FaultKind::Cancelled`] after [`Cancel::cancel`].
    pub fn check(&self, system: &str, operation: &str) -> Result<(), Fault> {
        if self.cancel.is_cancelled() {
            Err(Fault::new(FaultKind::Cancelled, system, operation, "the run was asked to stop"))
        } else {
            Ok(())
        }
    }
}

/// A flag shared by everybody who works for one run.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks everybody to stop at the next safe point.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// True after [`cancel`](Self::cancel).
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
