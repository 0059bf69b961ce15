//! Random worlds, each from one seed, and the planted bugs that show that a real one would be seen.
//!
//! `TESTBED_SWARM_SEEDS` says how many worlds; `TESTBED_SWARM_SEED` lives a single one again.

use lockstep_simulation::planted::Bug;
use lockstep_simulation::swarm::{Story, live};

/// Worlds unless the environment says otherwise: some twenty seconds in a debug build.
const WORLDS: u64 = 450;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn no_world_breaks_a_promise() {
    if let Some(seed) = number("TESTBED_SWARM_SEED") {
        let story = live(seed, None).unwrap_or_else(|broken| panic!("{broken}"));
        assert!(story.plans > 0, "{story:?}");
        return;
    }
    let worlds = number("TESTBED_SWARM_SEEDS").unwrap_or(WORLDS);
    let mut sum = Story::default();
    let mut converged = 0;
    for seed in 0..worlds {
        let story = live(seed, None).unwrap_or_else(|broken| panic!("{broken}"));
        sum.effects += story.effects;
        sum.crashes += story.crashes;
        sum.plans += story.plans;
        converged += u64::from(story.converged);
    }
    // A swarm in which nothing happens would prove nothing.
    assert!(sum.effects as u64 > worlds && sum.plans as u64 > worlds, "{sum:?}");
    assert!(worlds < 20 || sum.crashes as u64 > worlds / 8, "{sum:?}");
    assert!(converged * 10 > worlds * 8, "{converged} of {worlds} converged");
}

#[test]
fn one_seed_is_one_story() {
    for seed in [3, 14, 159] {
        assert_eq!(live(seed, None), live(seed, None));
    }
}

#[test]
fn every_planted_bug_is_caught() {
    for bug in Bug::ALL {
        let caught = (0..300).find_map(|seed| live(seed, Some(bug)).err());
        assert!(caught.is_some(), "{bug:?} was never seen");
    }
}
