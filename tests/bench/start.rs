//! How long the program takes to say its version, beside a program that does nothing.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Best of this many starts.
const TIMES: u32 = 50;

/// Prints the comparison.
#[expect(clippy::print_stdout, reason = "a bench program prints its table")]
pub(crate) fn report() -> Result<(), String> {
    let lockstep = lockstep()?;
    let nothing = best("true".as_ref())?;
    let version = best(&lockstep)?;
    println!("   a program that does nothing {:6.2} ms", millis(nothing));
    println!("   lockstep --version          {:6.2} ms  (goal 10 ms)", millis(version));
    Ok(())
}

/// The program beside this one: both are built by the same profile.
pub(crate) fn lockstep() -> Result<PathBuf, String> {
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    let beside = here.with_file_name("lockstep");
    if beside.exists() {
        Ok(beside)
    } else {
        Err(format!("build it first: cargo build --release ({})", beside.display()))
    }
}

fn best(program: &std::path::Path) -> Result<Duration, String> {
    let mut best = Duration::MAX;
    for _ in 0..TIMES {
        let started = Instant::now();
        let status =
            Command::new(program).arg("--version").stdout(Stdio::null()).status().map_err(|error| error.to_string())?;
        if !status.success() {
            return Err(format!("{} --version: {status}", program.display()));
        }
        best = best.min(started.elapsed());
    }
    Ok(best)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
