//! `sync --watch`: stays, asks the directory every few seconds what changed, and puts out whoever left; everybody is read
//! now and then, and whenever a look was not enough. The engine watches; this lends it hands, tells what happened, and
//! goes on with what offboardings left open.
//!
//! It ends on a signal, after what is in progress, and when the state cannot be trusted. Everything else it outlives.

mod event;
mod hands;
mod mark;
mod rhythm;

use std::fs::{File, TryLockError};
use std::time::Duration;

use lockstep_engine::{Pass, Store, Watch, WatchOrder};
use tokio::time::Instant;

use crate::cli::context::{Context, block_on};
use crate::cli::failures::{self, Wrote};
use crate::cli::progress::{Bars, stop_on_signal};
use crate::cli::runs::{self, Systems};
use crate::cli::{Global, alerts, files, housekeeping, settle, sync};
use crate::exit::{Exit, Failure};
use crate::terminal::Terminal;
#[cfg(test)]
pub(crate) use event::Event;
use event::Teller;
use hands::CliHands;
pub(crate) use mark::{Mark, read as last_mark};

/// So many looks in a row may go wrong before everything is opened anew.
const TROUBLED_MAX: u32 = 5;
/// How often what offboardings left open is tried again.
const SETTLE_EVERY: Duration = Duration::from_secs(15);
/// The longest wait before everything is opened anew.
const OPEN_AGAIN_MAX: Duration = Duration::from_secs(60);
/// A signal is noticed within this time.
const NAP: Duration = Duration::from_millis(200);

/// Why a watch stopped looking.
enum End {
    /// Somebody asked it to.
    Stopped,
    /// The configuration is another one now.
    Reconfigured,
    /// Looks go wrong again and again; perhaps a new connection helps.
    Troubled,
}

/// Watches until it is asked to stop.
pub(crate) fn run(global: &Global, terminal: Terminal, export: bool) -> Result<Exit, Failure> {
    let context = Context::load(global, terminal)?;
    block_on(async {
        stop_on_signal(context.cancel.clone());
        let _alone = alone(&context)?;
        let mut teller = Teller::new(&context);
        let ended = for_good(global, context, &mut teller, export).await;
        teller.stopped(ended.as_ref().err())?;
        ended.map(|()| Exit::Done)
    })
}

/// Two watches would do no harm, and no good either.
fn alone(context: &Context) -> Result<File, Failure> {
    files::folder(&context.config.state)?;
    let path = context.config.state.join("watch.lock");
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(|error| failures::file("open", &path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::new(Exit::Busy, "another watch is running on this state")
            .not_done("nothing was read or written")
            .next("lockstep status")),
        Err(TryLockError::Error(error)) => Err(failures::file("lock", &path, error)),
    }
}

/// Opens everything, looks until something has to be opened anew, and so on.
async fn for_good(global: &Global, mut context: Context, teller: &mut Teller, export: bool) -> Result<(), Failure> {
    let mut failed = 0;
    while !context.cancel.is_cancelled() {
        match one_session(&context, teller, export).await {
            Ok(End::Stopped) => break,
            Ok(End::Troubled) => failed = 0,
            Ok(End::Reconfigured) => match Context::load(global, context.terminal) {
                Ok(mut new) => {
                    // Whoever was told to stop the old one stops the new one.
                    new.cancel = context.cancel.clone();
                    context = new;
                    teller.reconfigured(&context)?;
                }
                Err(failure) => return Err(failure),
            },
            Err(failure) if ends(&failure, failed, teller) => return Err(failure),
            Err(failure) => {
                teller.trouble(std::slice::from_ref(&failure.what))?;
                failed += 1;
                let wait = context.config.watch.poll.saturating_mul(2_u32.saturating_pow(failed.min(6)));
                nap(&context, wait.min(OPEN_AGAIN_MAX.max(context.config.watch.poll))).await;
            }
        }
    }
    Ok(())
}

/// What cannot become better by waiting. What is wrong at the very start is told at once.
fn ends(failure: &Failure, failed: u32, teller: &Teller) -> bool {
    match failure.exit {
        Exit::Integrity | Exit::Config | Exit::Usage => true,
        Exit::Busy => false,
        Exit::Done | Exit::Failed | Exit::Changes | Exit::Held | Exit::Partial | Exit::Unreadable | Exit::Refused => {
            failed == 0 && !teller.has_begun()
        }
    }
}

async fn one_session(context: &Context, teller: &mut Teller, export: bool) -> Result<End, Failure> {
    let systems = Systems::open(context)?;
    let (store, settled) = sync::begin(context).await?;
    let store = &*store;
    runs::settle(context, &systems.targets, store, &Bars::new(context.terminal)).await?;
    alerts::after_run(context, store, &settled).await;
    let new_run = runs::new_run;
    let order = WatchOrder {
        directory: &*systems.directory,
        targets: runs::target_orders(context, &systems),
        store,
        node: context.node.clone(),
        new_run: &new_run,
        version: env!("CARGO_PKG_VERSION").into(),
        config_digest: context.config.digest.clone(),
        call_budget: context.config.call_budget,
        poll: context.config.watch.poll,
        cancel: context.cancel.clone(),
        clock: context.clock.clone(),
    };
    let begun = Watch::begin(order).await.map_err(|error| failures::store(error, Wrote::Nothing))?;
    let hands = CliHands::new(context, &systems, store, export);
    for (target, fault) in &systems.closed {
        teller.trouble(&[format!("{target} could not be opened; its people are looked at when it can be: {fault}")])?;
    }
    teller.begun(&begun)?;
    look(context, store, begun, &hands, teller).await
}

async fn look(
    context: &Context,
    store: &dyn Store,
    mut watch: Watch<'_>,
    hands: &CliHands<'_>,
    teller: &mut Teller,
) -> Result<End, Failure> {
    let files = rhythm::Files::of(context);
    let mut troubled = 0;
    let mut settle_again = Instant::now();
    loop {
        if context.cancel.is_cancelled() {
            return Ok(End::Stopped);
        }
        if files.changed() && rhythm::reads_well(context, teller)? {
            return Ok(End::Reconfigured);
        }
        if Instant::now() >= settle_again {
            settle_again = Instant::now() + SETTLE_EVERY + settle_open(context, store, teller).await?;
        }
        if rhythm::census_is_due(context.config.watch.census, watch.census(), context.now()) {
            watch.owe(rhythm::TIME);
        }
        let pass = watch.pass(hands).await;
        if let Some(failure) = hands.take_end() {
            return Err(failure);
        }
        teller.looked(&pass, &hands.take_told(), &watch)?;
        if teller.beats(context, &watch)? {
            hands.alert(&watch).await;
        }
        troubled = if went_wrong(&pass) { troubled + 1 } else { 0 };
        if troubled >= TROUBLED_MAX {
            return Ok(End::Troubled);
        }
        nap(context, watch.wait(rhythm::jitter())).await;
    }
}

fn went_wrong(pass: &Pass) -> bool {
    !pass.trouble.is_empty()
}

/// Goes on with what named offboardings left open, when there is any. Gives the time that it took.
async fn settle_open(context: &Context, store: &dyn Store, teller: &mut Teller) -> Result<Duration, Failure> {
    let folders = housekeeping::folders(context);
    let targets: Vec<_> = context.config.targets.iter().map(|target| target.id.clone()).collect();
    let open = housekeeping::open(&folders, &targets)?;
    if open.is_empty() && housekeeping::spooled(&folders)? == 0 {
        return Ok(Duration::ZERO);
    }
    let start = Instant::now();
    match housekeeping::settle_spool(context, store).await {
        Ok(settled) => {
            settle::tell(context.terminal, &settled);
            teller.settled(&settled)?;
        }
        Err(failure) if failure.exit == Exit::Busy => {}
        Err(failure) => return Err(failure),
    }
    // A PACS that does not answer takes its time; most of ours is for looking.
    Ok(start.elapsed() * 2)
}

/// Waits, and no longer than until somebody asks to stop.
async fn nap(context: &Context, time: Duration) {
    let until = Instant::now() + time;
    while !context.cancel.is_cancelled() && Instant::now() < until {
        tokio::time::sleep(NAP.min(until.saturating_duration_since(Instant::now()))).await;
    }
}
