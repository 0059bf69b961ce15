//! The record: before the request that it announces, and never a reason to wait long.

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use lockstep_contract::KeyKind;
use lockstep_offboard::{Event, Journal};
use lockstep_sim::Operation;

use crate::bed::{is_out, pacs, put_out};

/// A disk that does not answer as long as the other end is there.
struct Hung(Mutex<mpsc::Receiver<()>>);

impl Journal for Hung {
    fn record(&self, _: &[(usize, Event)]) -> Result<(), String> {
        self.0.lock().expect("whole").recv().map_err(|_| "let go".into())
    }
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_stops_no_offboarding_and_is_told() {
    let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &["employee:7"])]);
    let (hold, disk) = mpsc::channel();
    let report = put_out("employee:7", &[&hq], Arc::new(Hung(Mutex::new(disk)))).await;
    drop(hold);
    assert!(is_out(&hq, "h-1"));
    assert!(!report.complete());
    assert!(report.journal_faults.iter().any(|fault| fault.contains("incomplete")), "{report:?}");
}

/// Looks at the PACS while it records.
struct Witness(lockstep_sim::Sim);

impl Journal for Witness {
    fn record(&self, events: &[(usize, Event)]) -> Result<(), String> {
        let calls = |operation| self.0.faults().calls(operation);
        for (_, event) in events {
            match event {
                Event::Hold { .. } => {
                    // A search changes nothing: it goes out while the disk is still at it.
                    let start = Instant::now();
                    while calls(Operation::Find) == 0 && start.elapsed() < Duration::from_secs(20) {
                        std::thread::yield_now();
                    }
                    assert_eq!(calls(Operation::Find), 1);
                }
                Event::Intent { .. } => assert_eq!(calls(Operation::Apply), 0, "nothing is sent before this is made"),
                Event::Ambiguous { .. } | Event::Outcome { .. } | Event::Ended { .. } | Event::Closed { .. } => {}
            }
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_search_overlaps_with_the_record_and_the_request_does_not() {
    let hq = pacs("hq", &KeyKind::ALL, &[("h-1", &["employee:7"])]);
    let report = put_out("employee:7", &[&hq], Arc::new(Witness(hq.clone()))).await;
    assert!(report.complete() && is_out(&hq, "h-1"), "{report:?}");
}
