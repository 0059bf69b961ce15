//! A PACS that is watched: what each write of the engine did to it, record by record, whoever else edits meanwhile.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use lockstep_contract::{
    Action, ApplyFault, Cardholder, CardholderId, Catalog, CorrelationKey, Cursor, Cx, Fault, Health, Page, Receipt,
    RunId, Target, TargetInfo, TargetReader,
};
use lockstep_sim::Sim;

/// What one write changed in one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The run that wrote.
    pub run: Option<RunId>,
    /// The record before; `None` when it was made.
    pub before: Option<Cardholder>,
    /// The record after.
    pub after: Cardholder,
}

/// A watched PACS.
#[derive(Clone)]
pub struct Watched {
    /// What the engine talks to: the simulated PACS, or one with a planted bug.
    inner: Arc<dyn Target>,
    /// Where the records really are.
    sim: Sim,
    effects: Arc<Mutex<Vec<Effect>>>,
}

impl Watched {
    /// Watches a PACS.
    pub fn new(sim: &Sim) -> Self {
        Self::through(Arc::new(sim.clone()), sim)
    }

    /// Watches a PACS behind something that forwards to it.
    pub fn through(inner: Arc<dyn Target>, sim: &Sim) -> Self {
        Self { inner, sim: sim.clone(), effects: Arc::default() }
    }

    /// What was written since the last time, in order.
    pub fn take_effects(&self) -> Vec<Effect> {
        std::mem::take(&mut self.effects.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn records(&self) -> BTreeMap<CardholderId, Cardholder> {
        self.sim.world().cardholders.clone()
    }

    fn note(&self, run: Option<RunId>, mut before: BTreeMap<CardholderId, Cardholder>) {
        let changed = self.records().into_iter().filter_map(|(id, after)| {
            let before = before.remove(&id);
            (before.as_ref() != Some(&after)).then_some(Effect { run, before, after })
        });
        self.effects.lock().unwrap_or_else(PoisonError::into_inner).extend(changed);
    }
}

#[async_trait]
impl TargetReader for Watched {
    fn info(&self) -> &TargetInfo {
        self.inner.info()
    }

    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        self.inner.probe(cx).await
    }

    async fn catalog(&self, cx: &Cx) -> Result<Catalog, Fault> {
        self.inner.catalog(cx).await
    }

    async fn list(&self, cx: &Cx, at: Option<Cursor>) -> Result<Page<Cardholder>, Fault> {
        self.inner.list(cx, at).await
    }

    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Cardholder>, Fault> {
        self.inner.find(cx, key).await
    }

    async fn read(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Cardholder>, Fault> {
        self.inner.read(cx, id).await
    }
}

#[async_trait]
impl Target for Watched {
    async fn apply(&self, cx: &Cx, action: &Action) -> Result<Receipt, ApplyFault> {
        let mut write: Pin<Box<_>> = Box::pin(self.inner.apply(cx, action));
        // One thread: whatever changes during a poll was changed by this write.
        std::future::poll_fn(|context| {
            let before = self.records();
            let polled = write.as_mut().poll(context);
            self.note(cx.run, before);
            match polled {
                Poll::Ready(answer) => Poll::Ready(answer),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}
