//! `fuse`: the breaker below approval. It opens by itself and is reset by a named person, after looking.

use clap::{Args, Subcommand};
use jiff::SignedDuration;
use lockstep_contract::TargetId;
use lockstep_engine::Store;
use lockstep_view::escape;
use serde::Serialize;

use crate::cli::Global;
use crate::cli::context::{Context, block_on};
use crate::cli::failures::{self, Wrote};
use crate::exit::{Exit, Failure};
use crate::terminal::{Terminal, ask};

/// Long enough for one write.
const LEASE: SignedDuration = SignedDuration::from_mins(1);

/// The breaker below approval
#[derive(Debug, Args)]
pub(crate) struct Fuse {
    #[command(subcommand)]
    verb: FuseVerb,
}

#[derive(Debug, Subcommand)]
enum FuseVerb {
    /// Close an open fuse again, so that access can be reduced there
    Reset {
        /// The target
        id: String,
        /// Who looked, and found that it may go on
        #[arg(long, value_name = "NAME")]
        by: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// The document of `fuse --json`.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Reset {
    /// `lockstep/fuse/1`.
    schema: &'static str,
    /// The target.
    target: String,
    /// It was open, and why.
    was_open: Option<String>,
}

impl Fuse {
    pub(crate) fn run(self, global: &Global, terminal: Terminal) -> Result<Exit, Failure> {
        let FuseVerb::Reset { id, by, yes } = self.verb;
        let context = Context::load(global, terminal)?;
        let known = context.config.targets.iter().find(|target| target.id.as_str() == id);
        let target = known.map(|target| target.id.clone()).ok_or_else(|| {
            Failure::new(Exit::Usage, format!("no target {id} is configured")).not_done("no fuse was reset")
        })?;
        if by.trim().is_empty() {
            return Err(Failure::new(Exit::Usage, "--by needs a name").not_done("no fuse was reset"));
        }
        let was_open = block_on(reset(&context, &target, by.trim(), yes))?;
        let document = Reset { schema: "lockstep/fuse/1", target: id, was_open };
        terminal.show(&document, || match &document.was_open {
            Some(why) => {
                format!("{target}: reset by {}; it was open: {}", escape::terminal(&by), escape::terminal(why))
            }
            None => format!("{target}: the fuse was not open"),
        })?;
        Ok(Exit::Done)
    }
}

async fn reset(context: &Context, target: &TargetId, by: &str, yes: bool) -> Result<Option<String>, Failure> {
    let remembered = |error| failures::store(error, Wrote::Nothing);
    let store = context.store()?;
    let fuse = store.fuse(target, context.now()).await.map_err(remembered)?;
    if fuse.open_since.is_none() {
        return Ok(None);
    }
    context
        .terminal
        .say(&format!("The fuse of {target} is open: {}; {} reduced in 24 h", fuse.reason, fuse.reduced_day));
    confirm(target, yes)?;
    close(context, &*store, target).await?;
    tracing::warn!(%target, by, reason = %fuse.reason, "fuse reset");
    Ok(Some(fuse.reason))
}

fn confirm(target: &TargetId, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    match ask(&format!("Reset the fuse of {target}? Type `yes`:")) {
        Some(answer) if answer == "yes" => Ok(()),
        Some(_) => Err(Failure::new(Exit::Failed, "not confirmed").not_done("no fuse was reset")),
        None => Err(Failure::new(Exit::Usage, "nobody is there to confirm")
            .not_done("no fuse was reset")
            .next("run it on a terminal, or add --yes")),
    }
}

async fn close(context: &Context, store: &dyn Store, target: &TargetId) -> Result<(), Failure> {
    let remembered = |error| failures::store(error, Wrote::Nothing);
    let epoch = store.lease(&context.node, LEASE, context.now()).await.map_err(remembered)?;
    let done = store.set_fuse(epoch, target, None, context.now()).await.map_err(remembered);
    store.release(epoch).await.map_err(remembered)?;
    done
}
