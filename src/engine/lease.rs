//! Holding the lease while a run works: taken first, renewed in good time, given back at the end.
//!
//! A lease that was lost is noticed by the store, which refuses every write under an old epoch; nothing here has to be
//! believed for safety.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use jiff::SignedDuration;

use crate::{Clock, Epoch, NodeId, RunError, Store};

/// How long a lease lasts unless it is renewed.
const TTL: SignedDuration = SignedDuration::from_mins(3);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(60);

/// Does `work` under the lease.
pub(crate) async fn leased<T, W>(
    store: &dyn Store,
    node: &NodeId,
    clock: &Clock,
    work: impl FnOnce(Epoch) -> W,
) -> Result<T, RunError>
where
    W: Future<Output = Result<T, RunError>>,
{
    let epoch = store.lease(node, TTL, clock()).await?;
    let work = pin!(work(epoch));
    let renewal = pin!(renew(store, node, clock, epoch));
    let result = match select(work, renewal).await {
        Either::Left((result, _)) => result,
        Either::Right((never, _)) => match never {},
    };
    if let Err(error) = store.release(epoch).await {
        tracing::warn!(%error, "the lease was not given back; it ends by itself");
    }
    result
}

/// Renews until it fails once. Whoever was deposed must not take the lease back while it still works under the old one.
async fn renew(store: &dyn Store, node: &NodeId, clock: &Clock, epoch: Epoch) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(RENEWAL).await;
        match store.lease(node, TTL, clock()).await {
            Ok(renewed) if renewed == epoch => {}
            Ok(other) => {
                let _ = store.release(other).await; // it ends by itself
                break;
            }
            Err(error) => {
                tracing::warn!(%error, "the lease was not renewed");
                break;
            }
        }
    }
    std::future::pending().await
}
