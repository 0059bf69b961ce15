//! Lockstep: keeps physical access in step with what the directory says.
//!
//! The composition root: parse, dispatch, exit code. Nothing is started before the command line is understood, so that
//! `--version`, `--help` and a mistyped word cost nothing. It decides nothing else.

#![forbid(unsafe_code)]

mod cli;
mod connectors;
mod exit;
mod secrets;
mod terminal;

use std::panic;
use std::process::ExitCode;

use clap::Parser as _;

use crate::exit::Exit;

fn main() -> ExitCode {
    lockstep_memory::give_back_soon();
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers and go to stdout, as clap does it; everything else is wrong usage.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            let _ = error.print(); // nowhere to report that the stream is gone
            return exit.into();
        }
    };
    panic::set_hook(Box::new(|info| terminal::complain(&bug(info))));
    // A bug in the middle of writing leaves something open; the journal knows what.
    let after_a_bug = if cli.verb.writes() { Exit::Partial } else { Exit::Failed };
    let exit = match panic::catch_unwind(|| cli::run(cli)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(failure)) => {
            terminal::complain(&format!("lockstep: {failure}"));
            failure.exit
        }
        Err(_) => after_a_bug,
    };
    terminal::flush();
    exit.into()
}

/// What people read when the program itself is wrong: where, no backtrace, and what to do.
fn bug(info: &panic::PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let message =
        payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let place = info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
    format!(
        "lockstep: this is a bug in Lockstep{place}: {}\n  not done: whatever had not been done by then; every action \
         that was begun is in the journal\n  next: run `lockstep status`, then the same command again; please report \
         the line above",
        message.unwrap_or("no message"),
    )
}
