//! What every call to a system gets, added once and outside the connectors: a trace, the quota, a place among those in
//! flight, a deadline, and for reads another try when waiting may help.
//!
//! No layer ever tries `apply` again: only the journal may decide that.

use std::future::Future;
use std::num::NonZeroU32;
use std::ops::Deref;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBuilder};
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use lockstep_contract::{
    Action, ApplyFault, Cardholder, CardholderId, Catalog, CorrelationKey, Cursor, Cx, Enforcement, Fault, FaultKind,
    Health, Page, Receipt, Target, TargetInfo, TargetReader,
};
use tokio::sync::Semaphore;

/// A read is tried this many times more, at most.
const RETRIES_MAX: usize = 4;
/// The first wait before another try; each is about twice the one before.
const WAIT_FIRST: Duration = Duration::from_millis(250);
/// The longest wait of our own choice.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// The longest wait that a peer may ask for (F17).
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(15 * 60);

type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'a>>;

/// The time of the runtime, so that a test with paused time waits for nothing.
#[derive(Debug, Clone)]
struct RuntimeClock(tokio::time::Instant);

impl governor::clock::Clock for RuntimeClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The quota of one system.
pub struct Throttle {
    limiter: RateLimiter<NotKeyed, InMemoryState, RuntimeClock, NoOpMiddleware<Duration>>,
    clock: RuntimeClock,
}

impl Throttle {
    /// So many requests a minute, evenly spread after a burst of a tenth of that.
    pub fn per_minute(requests: NonZeroU32) -> Self {
        let clock = RuntimeClock(tokio::time::Instant::now());
        let burst = NonZeroU32::new(requests.get() / 10).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_minute(requests).allow_burst(burst);
        Self { limiter: RateLimiter::direct_with_clock(quota, clock.clone()), clock }
    }

    /// Waits for a place.
    pub async fn wait(&self) {
        while let Err(busy) = self.limiter.check() {
            tokio::time::sleep(busy.wait_time_from(self.clock.now())).await;
        }
    }
}

/// The waits between tries, with jitter, so that many clients do not come back at one moment.
pub(crate) fn waits() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::new()
        .with_jitter()
        .with_min_delay(WAIT_FIRST)
        .with_max_delay(WAIT_MAX)
        .with_max_times(RETRIES_MAX)
        .build()
}

/// The wait before another try after this fault: ours or the peer's, whichever is longer.
pub(crate) fn wait_after(fault: &Fault, own: Duration) -> Duration {
    own.max(fault.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX))
}

pub(crate) fn too_late(system: &str, operation: &str, budget: Duration) -> Fault {
    let message = format!("no answer within {} s", budget.as_secs_f32());
    Fault::new(FaultKind::Unreachable, system, operation, message)
}

/// The way to one system.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    system: &'a str,
    throttle: Option<&'a Throttle>,
    in_flight: Option<&'a Semaphore>,
}

impl<'a> Way<'a> {
    /// The way to a system that bounds nothing.
    pub(crate) const fn to(system: &'a str) -> Self {
        Self { system, throttle: None, in_flight: None }
    }
}

/// A read with everything that a read gets.
pub(crate) async fn read<'a, T>(
    cx: &Cx,
    way: Way<'_>,
    operation: &str,
    call: impl Fn() -> Call<'a, T> + Send + Sync,
) -> Result<T, Fault> {
    let system = way.system;
    let mut waits = waits();
    loop {
        cx.check(system, operation)?;
        if let Some(throttle) = way.throttle {
            throttle.wait().await;
        }
        let permit = match way.in_flight {
            Some(in_flight) => in_flight.acquire().await.ok(),
            None => None,
        };
        let answer = tokio::time::timeout(cx.budget, call()).await;
        drop(permit);
        let fault = match answer.unwrap_or_else(|_| Err(too_late(system, operation, cx.budget))) {
            Ok(value) => {
                tracing::trace!(system, operation, "answered");
                return Ok(value);
            }
            Err(fault) => fault,
        };
        tracing::debug!(system, operation, %fault, "not answered");
        match waits.next().filter(|_| fault.kind.is_transient()) {
            Some(own) => tokio::time::sleep(wait_after(&fault, own)).await,
            None => return Err(fault),
        }
    }
}

/// A target, or a reader of one, with trace, quota, places in flight, deadline, and another try of reads.
pub struct Layered<R> {
    inner: R,
    throttle: Option<Throttle>,
    /// One permit for each request that may be in flight. Held for the request only, so that a caller who waits for its
    /// own disk does not keep the PACS idle.
    in_flight: Semaphore,
}

impl<R> Layered<R>
where
    R: Deref + Send + Sync,
    R::Target: TargetReader,
{
    /// Wraps a target in the order trace, quota, place in flight, deadline; quota and places are the target's own.
    pub fn new(inner: R) -> Self {
        let can = &inner.info().capabilities;
        let throttle = can.requests_per_minute.map(Throttle::per_minute);
        let in_flight = Semaphore::new(can.in_flight_max.get() as usize);
        Self { inner, throttle, in_flight }
    }

    async fn reading<'a, T>(
        &self,
        cx: &Cx,
        operation: &str,
        call: impl Fn() -> Call<'a, T> + Send + Sync,
    ) -> Result<T, Fault> {
        let system = self.inner.info().id.as_str();
        let way = Way { system, throttle: self.throttle.as_ref(), in_flight: Some(&self.in_flight) };
        read(cx, way, operation, call).await
    }
}

#[async_trait]
impl<R> TargetReader for Layered<R>
where
    R: Deref + Send + Sync,
    R::Target: TargetReader,
{
    fn info(&self) -> &TargetInfo {
        self.inner.info()
    }

    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        self.reading(cx, "probe", || self.inner.probe(cx)).await
    }

    async fn catalog(&self, cx: &Cx) -> Result<Catalog, Fault> {
        self.reading(cx, "read access levels", || self.inner.catalog(cx)).await
    }

    async fn list(&self, cx: &Cx, at: Option<Cursor>) -> Result<Page<Cardholder>, Fault> {
        self.reading(cx, "list cardholders", || self.inner.list(cx, at.clone())).await
    }

    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Cardholder>, Fault> {
        self.reading(cx, "find cardholder", || self.inner.find(cx, key)).await
    }

    async fn read(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Cardholder>, Fault> {
        self.reading(cx, "read cardholder", || self.inner.read(cx, id)).await
    }

    async fn enforced(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Enforcement>, Fault> {
        self.reading(cx, "ask the controllers", || self.inner.enforced(cx, id)).await
    }
}

#[async_trait]
impl<R> Target for Layered<R>
where
    R: Deref + Send + Sync,
    R::Target: Target,
{
    async fn apply(&self, cx: &Cx, action: &Action) -> Result<Receipt, ApplyFault> {
        let system = self.inner.info().id.as_str();
        let operation = "apply an action";
        cx.check(system, operation).map_err(ApplyFault::NotSent)?;
        if let Some(throttle) = &self.throttle {
            throttle.wait().await;
        }
        let permit = self.in_flight.acquire().await;
        let answer = tokio::time::timeout(cx.budget, self.inner.apply(cx, action)).await;
        drop(permit);
        let answer = match answer {
            Ok(answer) => answer,
            Err(_) => Err(ApplyFault::Uncertain(too_late(system, operation, cx.budget))),
        };
        match &answer {
            Ok(_) => tracing::debug!(system, action = %action.id, "accepted"),
            Err(fault) => tracing::warn!(system, action = %action.id, %fault, "not accepted"),
        }
        answer
    }
}
