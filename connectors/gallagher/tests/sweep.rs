//! A fault at every request of every operation, a thousand answers that did not come, and how many requests there are.

use lockstep_gallagher::simulator::Simulator;
use lockstep_simulator::{Bed, Sweep, economy, landed_timeouts, opener};

fn bed() -> Bed<Simulator> {
    Bed::new("gallagher", Simulator::new, opener!(lockstep_gallagher))
}

#[test]
fn a_fault_at_every_request() {
    Sweep::of(bed()).run().assert_kept();
}

#[test]
fn after_a_thousand_timeouts_nobody_is_there_twice() {
    landed_timeouts(bed(), 1_000, 7).assert_kept();
}

#[tokio::test]
async fn the_requests_are_as_few_as_the_interface_allows() {
    let economy = economy(bed(), 2_000, 20).await.expect("a run");
    assert_eq!(Some(economy.read.made), economy.read.fewest, "everybody once");
    assert_eq!(Some(economy.changes.made), economy.changes.fewest, "and twenty changes");
}
