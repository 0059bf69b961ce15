//! The simulated PACS as a connector. It hands requests to the world and lets [`Faults`] have their way with them; it
//! must not decide anything.
//!
//! Every operation gives the executor a turn before its effect and another one between its effect and its answer, so
//! that a caller dropped at a poll meets both halves of a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lockstep_contract::{
    Action, ApplyFault, Capabilities, Cardholder, CardholderId, Catalog, Census, Check, CheckOutcome, CorrelationKey,
    CredentialSupport, Cursor, Cx, Enforcement, Fault, FaultKind, FieldName, FieldRule, Granularity, Health, KeyKind,
    Next, Opening, Page, Receipt, ServerMark, Suspend, Target, TargetId, TargetInfo, TargetReader, field,
};

use crate::config::Config;
use crate::faults::{Faults, Mishap, Operation, on_the_way_back, on_the_way_there};
use crate::file::{self, FileError, Stamp};
use crate::world::World;

/// A simulated PACS. Clones are the same PACS, seen through another connection.
#[derive(Debug, Clone)]
pub struct Sim {
    info: Arc<TargetInfo>,
    page_size: usize,
    /// What an answer takes.
    answer: Duration,
    controllers: Option<Controllers>,
    world: Arc<Mutex<World>>,
    file: Option<Arc<Kept>>,
    faults: Faults,
}

/// The controllers get what the database has after a while; before that they have what it had.
#[derive(Debug, Clone)]
struct Controllers {
    lag: Duration,
    /// When each record was written last, through any connection of this process.
    written: Arc<Mutex<BTreeMap<CardholderId, tokio::time::Instant>>>,
}

impl Controllers {
    fn lagging(lag: Duration) -> Self {
        Self { lag, written: Arc::default() }
    }

    fn have(&self, id: &CardholderId) -> Enforcement {
        let written = lock(&self.written).get(id).copied();
        match written {
            Some(at) if at.elapsed() < self.lag => Enforcement::Database,
            _ => Enforcement::Controllers,
        }
    }
}

/// Where the world is kept, and which version of the file `Sim::world` is. The stamp is locked before the world.
#[derive(Debug)]
struct Kept {
    path: PathBuf,
    stamp: Mutex<Stamp>,
}

/// Opens a simulated PACS that is kept in a file.
///
/// # Errors
/// When the file cannot be read, or does not hold a simulated PACS.
pub fn open(id: TargetId, config: Config, opening: &Opening<'_>) -> Result<Sim, Fault> {
    let path = opening.path(&config.file);
    let failed = |error: FileError| error.fault(id.as_str(), "open the simulated PACS");
    if config.create && !path.exists() {
        let _lock = file::lock(&path).map_err(failed)?;
        if !path.exists() {
            file::write(&path, &World::new(id.as_str())).map_err(failed)?;
        }
    }
    let Some((world, stamp)) = file::read(&path, None).map_err(failed)? else {
        return Err(Fault::new(FaultKind::Protocol, id.as_str(), "open the simulated PACS", "nothing was read"));
    };
    let can = Capabilities { in_flight_max: config.in_flight_max, ..standard_capabilities() };
    let endpoint = config.file.display().to_string();
    let mut sim = Sim::build(id, endpoint, world, can, Some(Kept { path, stamp: Mutex::new(stamp) }));
    sim.page_size = config.page_size.get() as usize;
    sim.answer = Duration::from_millis(config.answer_ms.into());
    sim.controllers = config.controllers_lag_ms.map(|lag| Controllers::lagging(Duration::from_millis(lag.into())));
    Ok(sim)
}

/// What a simulated PACS can do unless it is told otherwise: everything but issue credentials.
///
/// # Panics
/// Never: eight is not zero.
pub fn standard_capabilities() -> Capabilities {
    const ALL_FIELDS: [&str; 15] = [
        field::GIVEN_NAME,
        field::FAMILY_NAME,
        field::DISPLAY_NAME,
        field::EMPLOYEE_NUMBER,
        field::EMPLOYEE_TYPE,
        field::DEPARTMENT,
        field::TITLE,
        field::MANAGER,
        field::COMPANY,
        field::SITE,
        field::MAIL,
        field::PHONE,
        field::UPN,
        field::ACCOUNT,
        field::USER_NAME,
    ];
    let rule = |name| FieldRule { required: name == field::DISPLAY_NAME, chars_max: Some(256) };
    Capabilities {
        granularity: Granularity::Step,
        suspend: Suspend::CardholderFlag,
        credentials: CredentialSupport::Status,
        validity: true,
        revision: true,
        idempotency: true,
        keys: KeyKind::ALL.into_iter().collect::<BTreeSet<_>>(),
        fields: ALL_FIELDS.into_iter().map(|name| (FieldName::known(name), rule(name))).collect::<BTreeMap<_, _>>(),
        enforcement: Enforcement::Database,
        in_flight_max: NonZeroU32::new(8).expect("not zero"),
        requests_per_minute: None,
    }
}

impl Sim {
    /// A simulated PACS that lives in memory.
    pub fn in_memory(id: TargetId, world: World) -> Self {
        Self::in_memory_with(id, world, standard_capabilities())
    }

    /// A simulated PACS that lives in memory and can do only this. One without `idempotency` creates a second record
    /// when a joiner's action is sent twice, as plain systems do.
    pub fn in_memory_with(id: TargetId, world: World, can: Capabilities) -> Self {
        Self::build(id, "memory".to_owned(), world, can, None)
    }

    /// The same PACS with pages of so many cardholders.
    #[must_use]
    pub fn with_page_size(mut self, page_size: NonZeroU32) -> Self {
        self.page_size = page_size.get() as usize;
        self
    }

    /// The same PACS with controllers that can be asked, and that get what the database has after this long.
    #[must_use]
    pub fn with_controllers_lag(mut self, lag: Duration) -> Self {
        self.controllers = Some(Controllers::lagging(lag));
        self
    }

    /// The script of what goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The world, to inspect and to edit as an operator of the PACS would. Do not hold it across an await. For a PACS
    /// that is kept in a file this is what was read last, and edits are not written.
    pub fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    fn build(id: TargetId, endpoint: String, world: World, can: Capabilities, file: Option<Kept>) -> Self {
        let info = TargetInfo {
            id,
            kind: "sim".to_owned(),
            endpoint,
            fingerprint: format!("sim:{}", world.id),
            capabilities: can,
        };
        Self {
            info: Arc::new(info),
            page_size: 100,
            answer: Duration::ZERO,
            controllers: None,
            world: Arc::new(Mutex::new(world)),
            file: file.map(Arc::new),
            faults: Faults::none(),
        }
    }

    async fn take_time(&self) {
        if !self.answer.is_zero() {
            tokio::time::sleep(self.answer).await;
        }
    }

    fn system(&self) -> &str {
        self.info.id.as_str()
    }

    fn fault(&self, kind: FaultKind, operation: Operation, message: impl Into<String>) -> Fault {
        Fault::new(kind, self.system(), operation.as_str(), message)
    }

    /// One read: there, the effect, and back.
    async fn ask<T>(
        &self,
        cx: &Cx,
        operation: Operation,
        effect: impl FnOnce(&World, Option<Mishap>) -> Result<T, Fault> + Send,
    ) -> Result<T, Fault>
    where
        T: Send,
    {
        cx.check(self.system(), operation.as_str())?;
        let mishap = self.faults.next(operation);
        on_the_way_there(mishap, self.system(), operation.as_str()).await?;
        self.take_time().await;
        let answer = self.refresh(operation).and_then(|()| effect(&self.world(), mishap))?;
        on_the_way_back(mishap, self.system(), operation.as_str()).await?;
        Ok(answer)
    }

    /// Takes over what another process wrote.
    fn refresh(&self, operation: Operation) -> Result<(), Fault> {
        let Some(kept) = &self.file else { return Ok(()) };
        let mut stamp = lock(&kept.stamp);
        let read = file::read(&kept.path, Some(&stamp)).map_err(|e| e.fault(self.system(), operation.as_str()))?;
        if let Some((world, newer)) = read {
            if self.info.fingerprint != format!("sim:{}", world.id) {
                let message = format!("the file now holds another PACS, `{}`", world.id);
                return Err(self.fault(FaultKind::Protocol, operation, message));
            }
            *self.world() = world;
            *stamp = newer;
        }
        Ok(())
    }

    /// Carries an action out, and keeps the result before it answers.
    #[expect(clippy::result_large_err, reason = "the error type of the contract; a write costs far more than a move")]
    fn carry_out(&self, action: &Action) -> Result<CardholderId, ApplyFault> {
        let operation = Operation::Apply;
        let failed = |error: FileError| error.fault(self.system(), operation.as_str());
        let Some(kept) = &self.file else {
            let mut world = self.world();
            return accept(self, &mut world, action);
        };
        let _held = file::lock(&kept.path).map_err(|error| ApplyFault::NotSent(failed(error)))?;
        self.refresh(operation).map_err(ApplyFault::NotSent)?;
        let mut stamp = lock(&kept.stamp);
        let mut world = self.world().clone();
        let id = accept(self, &mut world, action)?;
        if world != *self.world() {
            // Once the file may have been replaced, only a read can tell whether it was.
            *stamp = file::write(&kept.path, &world).map_err(|error| ApplyFault::Uncertain(failed(error)))?;
            *self.world() = world;
        }
        Ok(id)
    }
}

#[expect(clippy::result_large_err, reason = "the error type of the contract; a write costs far more than a move")]
fn accept(sim: &Sim, world: &mut World, action: &Action) -> Result<CardholderId, ApplyFault> {
    world
        .apply(&sim.info.capabilities, action)
        .map_err(|no| ApplyFault::Refused(sim.fault(no.kind, Operation::Apply, no.message)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked while holding it was a test that has failed anyway.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl TargetReader for Sim {
    fn info(&self) -> &TargetInfo {
        &self.info
    }

    async fn probe(&self, cx: &Cx) -> Result<Health, Fault> {
        self.ask(cx, Operation::Probe, |world, _| {
            let detail = format!("{} cardholders, {} access levels", world.cardholders.len(), world.levels.len());
            let check = Check { name: "read".to_owned(), outcome: CheckOutcome::Pass, detail, help: None };
            let server =
                ServerMark { domain: world.id.clone(), replica: None, generation: Some(world.generation), clock: None };
            Ok(Health { checks: vec![check], server: Some(server) })
        })
        .await
    }

    async fn catalog(&self, cx: &Cx) -> Result<Catalog, Fault> {
        self.ask(cx, Operation::Catalog, |world, _| Ok(world.catalog())).await
    }

    async fn list(&self, cx: &Cx, at: Option<Cursor>) -> Result<Page<Cardholder>, Fault> {
        self.ask(cx, Operation::List, |world, mishap| self.page(world, at.as_ref(), mishap)).await
    }

    async fn find(&self, cx: &Cx, key: &CorrelationKey) -> Result<Vec<Cardholder>, Fault> {
        self.ask(cx, Operation::Find, |world, mishap| {
            let answered: Vec<&Cardholder> = match mishap {
                Some(Mishap::IgnoredFilter) => world.cardholders.values().collect(),
                _ => world.with_key(key).collect(),
            };
            // The filter of a system is a wish; what it sent is checked.
            Ok(answered.into_iter().filter(|holder| holder.keys.contains(key)).cloned().collect())
        })
        .await
    }

    async fn read(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Cardholder>, Fault> {
        self.ask(cx, Operation::Read, |world, _| Ok(world.cardholders.get(id).cloned())).await
    }

    async fn enforced(&self, cx: &Cx, id: &CardholderId) -> Result<Option<Enforcement>, Fault> {
        let Some(controllers) = &self.controllers else { return Ok(None) };
        self.ask(cx, Operation::Enforced, |_, _| Ok(Some(controllers.have(id)))).await
    }
}

#[async_trait]
impl Target for Sim {
    async fn apply(&self, cx: &Cx, action: &Action) -> Result<Receipt, ApplyFault> {
        let operation = Operation::Apply;
        let (system, name) = (self.system(), operation.as_str());
        cx.check(system, name).map_err(ApplyFault::NotSent)?;
        if action.target != self.info.id {
            let message = format!("the action is for target `{}`", action.target);
            return Err(ApplyFault::NotSent(self.fault(FaultKind::Invalid, operation, message)));
        }
        let mishap = self.faults.next(operation);
        on_the_way_there(mishap, system, name).await.map_err(|fault| match mishap {
            Some(Mishap::Down) => ApplyFault::NotSent(fault),
            Some(Mishap::Throttle(_) | Mishap::Deny | Mishap::Unauthenticated | Mishap::Refuse) => {
                ApplyFault::Refused(fault)
            }
            _ => ApplyFault::Uncertain(fault),
        })?;
        self.take_time().await;
        let cardholder = self.carry_out(action)?;
        if let Some(controllers) = &self.controllers {
            lock(&controllers.written).insert(cardholder.clone(), tokio::time::Instant::now());
        }
        on_the_way_back(mishap, system, name).await.map_err(ApplyFault::Uncertain)?;
        Ok(Receipt { cardholder, enforced: self.info.capabilities.enforcement })
    }
}

/// Where a list goes on: how many went out so far, and after which id. Written as `12:sim-000012`.
struct Place {
    sent: usize,
    after: Option<CardholderId>,
}

impl Place {
    fn parse(cursor: Option<&Cursor>) -> Option<Self> {
        let Some(cursor) = cursor else { return Some(Self { sent: 0, after: None }) };
        let (sent, after) = cursor.0.split_once(':')?;
        Some(Self { sent: sent.parse().ok()?, after: Some(CardholderId::new(after).ok()?) })
    }
}

impl Sim {
    fn page(&self, world: &World, at: Option<&Cursor>, mishap: Option<Mishap>) -> Result<Page<Cardholder>, Fault> {
        let cut = || {
            self.fault(FaultKind::Unreachable, Operation::List, "the connection closed before the list was complete")
        };
        let at = match mishap {
            Some(Mishap::CutList) if at.is_some() => return Err(cut()),
            Some(Mishap::EmptyList) => {
                let census = Census { sent: 0, server_total: None };
                return Ok(Page { items: Vec::new(), next: Next::End(census) });
            }
            Some(Mishap::RepeatedPage) => None,
            _ => at,
        };
        let Some(place) = Place::parse(at) else {
            let message = "this cursor was not made by this connector";
            return Err(self.fault(FaultKind::Invalid, Operation::List, message));
        };
        // By key, not by position: records that come and go between two pages shift nothing.
        let beyond = world.cardholders.values().filter(|holder| place.after.as_ref().is_none_or(|id| holder.id > *id));
        let mut items: Vec<Cardholder> = beyond.take(self.page_size + 1).cloned().collect();
        let more = items.len() > self.page_size;
        items.truncate(self.page_size);
        let sent = place.sent + items.len();
        let total = world.cardholders.len() as u64;
        if mishap == Some(Mishap::LyingTotal) {
            let census = Census { sent: sent as u64, server_total: Some(sent as u64) };
            return Ok(Page { items, next: Next::End(census) });
        }
        match items.last() {
            Some(last) if more => {
                let next = Next::More(Cursor(format!("{sent}:{}", last.id)));
                Ok(Page { items, next })
            }
            _ if mishap == Some(Mishap::CutList) => Err(cut()),
            _ if mishap == Some(Mishap::ShortList) => {
                let lost = usize::from(items.pop().is_some());
                let census = Census { sent: (sent - lost) as u64, server_total: Some(total) };
                Ok(Page { items, next: Next::End(census) })
            }
            _ => Ok(Page { items, next: Next::End(Census { sent: sent as u64, server_total: Some(total) }) }),
        }
    }
}
