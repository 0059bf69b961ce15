//! Whoever was put out by name stays out, whatever happens, until they are let back in by name.
//!
//! `TESTBED_EXILE_SEEDS` says how many lives; `TESTBED_EXILE_SEED` lives a single one again.

use lockstep_simulation::exile::live;

/// Forty lives with twenty-five operations each: a thousand while somebody is out.
const LIVES: u64 = 40;
const OPERATIONS: u64 = 25;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn nothing_brings_back_whoever_was_put_out_until_they_are_let_in_by_name() {
    if let Some(seed) = number("TESTBED_EXILE_SEED") {
        live(seed, OPERATIONS, false).unwrap_or_else(|broken| panic!("{broken}"));
        return;
    }
    let lives = number("TESTBED_EXILE_SEEDS").unwrap_or(LIVES);
    let stories: Vec<_> =
        (1..=lives).map(|seed| live(seed, OPERATIONS, false).unwrap_or_else(|broken| panic!("{broken}"))).collect();
    let sum = |of: fn(&lockstep_simulation::exile::Story) -> u64| stories.iter().map(of).sum::<u64>();
    let (applied, crashes, exact) = (sum(|story| story.applied), sum(|story| story.crashes), sum(|story| story.exact));
    let meant = format!("{applied} plans applied, {crashes} crashes, {exact} records exactly as before");
    assert!(sum(|story| story.operations) >= lives * OPERATIONS);
    assert!(applied > lives * 5 && crashes * 2 > lives && exact > lives, "too little to mean anything: {meant}");
    assert!(stories.iter().all(|story| story.returned));
}

#[test]
fn a_desk_that_writes_down_no_hold_is_seen() {
    let seen = (1..=5).filter_map(|seed| live(seed, OPERATIONS, true).err()).find(|broken| broken.contains("gained"));
    assert!(seen.is_some(), "the warden sleeps");
}
