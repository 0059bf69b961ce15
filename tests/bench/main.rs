//! Speed and memory as ratios: what Lockstep does beside the least that could do it, measured in one run on one machine.
//!
//! ```text
//! cargo run --release -p lockstep-bench            everything
//! cargo run --release -p lockstep-bench planning   one part: start, planning, changes, plan, entra, offboard
//! cargo run --release -p lockstep-bench watch      from a change in Active Directory to the read-back; needs Samba, and root
//! ```
//!
//! `BENCH_PEOPLE`, `BENCH_CHANGES`, `BENCH_PLAN_PEOPLE`, `BENCH_USERS` and `BENCH_GROUPS` make the parts smaller, for a quick look.
//! With `BENCH_HOLD` set, `plan` starts its servers, prints how to run the program against them, and waits for the end of
//! standard input: for a profiler.
//!
//! It prints, it never fails: a ratio is for people to look at. This must not become a timed test.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a bench program prints its table")]

mod changes;
mod entra;
mod measure;
mod offboard;
mod pacs;
mod planning;
mod start;
mod watch;
mod whole;
mod world;

use std::process::ExitCode;

use measure::{Reading, child, here};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(done) = as_child(&arguments) {
        return if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let wanted = |part: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == part);
    let mut failed = false;
    let mut part = |name: &str, run: &dyn Fn() -> Result<(), String>| {
        if wanted(name) {
            println!("\n== {name}");
            if let Err(why) = run() {
                println!("   could not be measured: {why}");
                failed = true;
            }
        }
    };
    part("start", &start::report);
    part("planning", &planning_report);
    part("changes", &changes::report);
    part("plan", &whole::report);
    part("entra", &entra::report);
    part("offboard", &offboard::report);
    if arguments.iter().any(|argument| argument == "watch") {
        // It starts a domain and takes its time: only when it is asked for.
        part("watch", &watch::report);
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What a process that this program started for itself does; `None` when a person started it.
fn as_child(arguments: &[String]) -> Option<Result<(), String>> {
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse().ok());
    match arguments.first()?.as_str() {
        "--measure" => Some(measured(arguments.get(1)?, number(2).unwrap_or(100_000))),
        "--serve" => {
            let answer = std::time::Duration::from_millis(u64::try_from(number(2)?).ok()?);
            Some(pacs::serve(number(1)?, answer).map_err(|error| error.to_string()))
        }
        "--cut" => Some(offboard::cut(number(1)?, number(2)?)),
        _ => None,
    }
}

/// One measurement, in this process, for the parent.
fn measured(name: &str, people: usize) -> Result<(), String> {
    let reading = match name {
        "generate" => here(|| planning::generate(people)),
        "core" => here(|| planning::core(people)),
        "merge" => here(|| planning::merge(people)),
        _ => return Err(format!("nothing is measured by the name of {name}")),
    };
    println!("{}", serde_json::to_string(&reading).map_err(|error| error.to_string())?);
    Ok(())
}

/// A size that the environment may change, for a quick look.
fn size(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(usual)
}

fn planning_report() -> Result<(), String> {
    let people = size("BENCH_PEOPLE", 1_000_000) as u64;
    let arguments = [people.to_string()];
    let generate = child("generate", &arguments, 1)?;
    let core = child("core", &arguments, 2)?;
    let merge = child("merge", &arguments, 2)?;
    let bytes = |reading: &Reading| reading.peak_bytes.saturating_sub(reading.before_bytes) / people;
    println!("   {people} people x {people} cardholders, 10 attributes and 10 groups each, nothing to do");
    println!(
        "   making them up       {:5} bytes an identity, {:.1} s (in none of the seconds below)",
        bytes(&generate),
        generate.seconds
    );
    println!("   compact sorted merge {:5} bytes an identity, {}", bytes(&merge), merge.note);
    println!("   planning core        {:5} bytes an identity, {}  (goal 600 bytes)", bytes(&core), core.note);
    let (core, merge) = (seconds(&core.note)?, seconds(&merge.note)?);
    println!("   ratio of ingest      {:8.2} x", core.0 / merge.0);
    println!("   ratio of planning    {:8.2} x  (goal 1.5 x)", core.1 / merge.1);
    Ok(())
}

/// The seconds of both parts, from the words that [`planning`] puts them in.
fn seconds(note: &str) -> Result<(f64, f64), String> {
    let mut numbers = note.split_whitespace().filter_map(|word| word.parse::<f64>().ok());
    numbers.next().zip(numbers.next()).ok_or_else(|| format!("no seconds in `{note}`"))
}
