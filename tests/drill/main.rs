//! The drill: one person is put out by the real program while something is really broken, alone and in pairs. Whatever
//! can be reached is disabled and read back each time, the exit code tells what is open, and nobody comes back.
//!
//! `TESTBED_DRILL_PAIRS` says how many pairs are drawn, `TESTBED_DRILL_SEED` by what: a large number draws them all.

mod condition;
mod crash;
mod disk;
mod lane;
mod program;
mod row;
mod scene;
mod shim;
mod slapd;

use std::process::ExitCode;
use std::sync::{Condvar, Mutex};

use libtest_mimic::{Arguments, Completion, Trial};

use condition::{ALL, Condition};
use lane::Lane;

/// So many rows at once: most of the time is spent waiting.
const LANES: u8 = 5;
/// So many pairs are drawn, unless somebody wants others.
const PAIRS: u64 = 40;
/// What the pairs are drawn by.
const SEED: u64 = 20_261_125;

/// Lanes that are free just now; the number of those that were made.
static FREE: (Mutex<(Vec<Lane>, u8)>, Condvar) = (Mutex::new((Vec::new(), 0)), Condvar::new());

/// Runs in a lane that was put back to where it was.
fn in_a_lane<T>(work: impl FnOnce(&Lane) -> T) -> T {
    let (lock, changed) = &FREE;
    let whole =
        |result: Result<_, std::sync::PoisonError<_>>| result.unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut free = whole(lock.lock());
    while free.0.is_empty() && free.1 == LANES {
        free = changed.wait(free).unwrap_or_else(std::sync::PoisonError::into_inner);
    }
    let lane = free.0.pop();
    if lane.is_none() {
        free.1 += 1;
    }
    let nth = free.1;
    drop(free);
    let lane = lane.unwrap_or_else(|| Lane::new(nth));
    lane.reset();
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&lane)));
    whole(lock.lock()).0.push(lane);
    changed.notify_one();
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn trial(name: String, conditions: Vec<Condition>) -> Trial {
    Trial::ignorable_test(name.clone(), move || Ok(completed(&name, in_a_lane(|lane| row::run(lane, &conditions)))))
}

fn completed(name: &str, row: Result<Vec<String>, scene::Skipped>) -> Completion {
    match row {
        Ok(notes) => {
            for note in notes {
                say(&format!("{name}: {note}"));
            }
            Completion::Completed
        }
        Err(scene::Skipped(why)) => Completion::ignored_with(why),
    }
}

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |value| value.parse().expect("a number"))
}

/// Draws pairs that can be had together, none twice.
fn pairs(many: u64, seed: u64) -> Vec<[Condition; 2]> {
    let all = ALL.iter().enumerate().flat_map(|(n, one)| ALL[n + 1..].iter().map(move |other| [*one, *other]));
    let mut possible: Vec<_> = all.filter(|[one, other]| one.goes_with(*other)).collect();
    let mut state = seed;
    let mut draw = |below: usize| {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below as u64).expect("below")
    };
    let many = usize::try_from(many).expect("small").min(possible.len());
    (0..many).map(|_| possible.swap_remove(draw(possible.len()))).collect()
}

#[expect(clippy::print_stderr, reason = "what a drill measured is told")]
fn say(text: &str) {
    eprintln!("{text}");
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(LANES.into());
    let mut trials: Vec<Trial> = ALL.iter().map(|one| trial(format!("alone::{}", one.name()), vec![*one])).collect();
    trials.push(trial(format!("alone::{}", row::NOTHING), Vec::new()));
    trials.push(Trial::ignorable_test("alone::slapd_stopped", || {
        Ok(completed("alone::slapd_stopped", slapd::stopped()))
    }));
    let (many, seed) = (setting("TESTBED_DRILL_PAIRS", PAIRS), setting("TESTBED_DRILL_SEED", SEED));
    let pairs = pairs(many, seed);
    let drawn = format!("{} pairs, seed {seed}", pairs.len());
    for [one, other] in pairs {
        trials.push(trial(format!("pair::{}+{}", one.name(), other.name()), vec![one, other]));
    }
    for nth in 0..crash::POINTS {
        let kill = move || in_a_lane(|lane| crash::run(lane, nth));
        trials.push(Trial::test(format!("killed::at_{:02}_of_{}", nth + 1, crash::POINTS), move || {
            kill();
            Ok(())
        }));
    }
    let listed = arguments.list;
    if !listed {
        say(&drawn);
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(summary) = row::summary().filter(|_| !listed) {
        say(&summary);
    }
    let whole = arguments.filter.is_none() && arguments.skip.is_empty();
    let kills = crash::enough();
    if whole && !listed {
        kills.as_ref().map_or_else(|told| say(told), |told| say(told));
    }
    shim::clean_up();
    FREE.0.lock().map(|mut free| free.0.clear()).unwrap_or_default();
    if whole && !listed && kills.is_err() { ExitCode::FAILURE } else { conclusion.exit_code() }
}
