//! One PACS that is open: its calls, no more at a time than it bears. This module decides nothing.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use lockstep_contract::{
    Action, ApplyFault, Cardholder, CardholderId, CorrelationKey, Cx, Enforcement, Fault, Receipt, Target, TargetInfo,
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The way to a PACS: open at some time, or a sentence that says why it cannot be opened.
pub type Gate = Shared<BoxFuture<'static, Result<Arc<Pacs>, String>>>;

/// A PACS that is open. Everybody who is put out there goes through the same one.
pub struct Pacs {
    target: Arc<dyn Target>,
    /// One permit for each request that may be in flight.
    in_flight: Semaphore,
}

impl Pacs {
    /// With as many requests in flight as it says that it bears.
    pub fn new(target: Arc<dyn Target>) -> Self {
        let in_flight = Semaphore::new(target.info().capabilities.in_flight_max.get() as usize);
        Self { target, in_flight }
    }

    /// A gate that stands open.
    pub fn open(target: Arc<dyn Target>) -> Gate {
        let pacs = Arc::new(Self::new(target));
        async move { Ok(pacs) }.boxed().shared()
    }

    pub(crate) fn info(&self) -> &TargetInfo {
        self.target.info()
    }

    /// Never closed, so that there is always a permit to come; without one a call goes out all the same.
    async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        self.in_flight.acquire().await.ok()
    }

    pub(crate) async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Cardholder>, Fault> {
        let _permit = self.permit().await;
        self.target.find(cx, key).await
    }

    pub(crate) async fn read(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Cardholder>, Fault> {
        let _permit = self.permit().await;
        self.target.read(cx, id).await
    }

    pub(crate) async fn apply(&self, cx: &Cx, action: &Action) -> Result<Receipt, ApplyFault> {
        let _permit = self.permit().await;
        self.target.apply(cx, action).await
    }

    pub(crate) async fn enforced(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Enforcement>, Fault> {
        let _permit = self.permit().await;
        self.target.enforced(cx, id).await
    }
}
