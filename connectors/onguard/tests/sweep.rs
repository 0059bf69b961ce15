//! A fault at every request of every operation, random timeouts, and how many requests all of it takes.

use lockstep_onguard::simulator::Simulator;
use lockstep_simulator::{Bed, Sweep, economy, landed_timeouts, opener};

fn bed() -> Bed<Simulator> {
    Bed::new("onguard", Simulator::new, opener!(lockstep_onguard))
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
async fn hardly_more_requests_than_the_interface_needs() {
    let found = economy(bed(), 2_000, 20).await.expect("nothing goes wrong");
    for count in [found.read, found.changes] {
        assert!(count.ratio().is_some_and(|ratio| ratio <= 1.1), "{count:?}");
    }
}
