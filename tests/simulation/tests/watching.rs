//! A watch under random edits, mishaps and crashes, each world from one seed, and the planted bugs that show that a wrong
//! removal would be seen.
//!
//! `TESTBED_WATCH_EDITS` says how many edits of the directory; `TESTBED_WATCH_SEED` lives a single world again.

use lockstep_simulation::planted::Bug;
use lockstep_simulation::vigil::{Vigil, watch};

/// Edits unless the environment says otherwise.
const EDITS: u64 = 10_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn nobody_is_taken_anything_from_without_evidence_and_whoever_left_is_out() {
    if let Some(seed) = number("TESTBED_WATCH_SEED") {
        let vigil = watch(seed, None).unwrap_or_else(|broken| panic!("{broken}"));
        assert!(vigil.looks > 0, "{vigil:?}");
        return;
    }
    let edits = number("TESTBED_WATCH_EDITS").unwrap_or(EDITS);
    let (mut sum, mut seed) = (Vigil::default(), 0);
    while sum.edits < edits {
        let vigil = watch(seed, None).unwrap_or_else(|broken| panic!("{broken}"));
        sum.edits += vigil.edits;
        sum.looks += vigil.looks;
        sum.crashes += vigil.crashes;
        sum.noticed += vigil.noticed;
        sum.by_census += vigil.by_census;
        sum.converged += vigil.converged;
        seed += 1;
    }
    // A vigil in which nothing is noticed, or nobody dies, would prove nothing.
    assert!(sum.noticed * 20 > sum.edits && sum.crashes * 2 > seed && sum.converged * 10 > seed * 8, "{sum:?}");
}

#[test]
fn one_seed_is_one_vigil() {
    for seed in [3, 14, 159] {
        assert_eq!(watch(seed, None), watch(seed, None));
    }
}

#[test]
fn bugs_in_what_a_watch_looks_at_are_caught() {
    for bug in [Bug::UnreadableIsEmpty, Bug::DoubtIsGone, Bug::FindsNobody] {
        let caught = (0..300).find_map(|seed| watch(seed, Some(bug)).err());
        assert!(caught.is_some(), "{bug:?} was never seen");
    }
}
