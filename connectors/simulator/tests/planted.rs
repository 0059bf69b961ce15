//! The sweep finds what is planted: a harness that cannot fail proves nothing.

mod toy;

use lockstep_contract::{Fault, Opening, Target, TargetId};
use lockstep_simulator::{Bed, Opener, Report, Sweep, economy, landed_timeouts};
use toy::connector::{Bug, open};
use toy::vendor::Toy;

macro_rules! opened_with {
    ($bug:ident) => {{
        fn open_with(id: TargetId, root: &str, opening: &Opening<'_>) -> Result<Box<dyn Target>, Fault> {
            open(Bug::$bug, id, root, opening)
        }
        open_with as Opener
    }};
}

fn bed(open: Opener) -> Bed<Toy> {
    Bed::new("toy", Toy::new, open)
}

fn swept(open: Opener, operation: &'static str) -> Report {
    Sweep::of(bed(open)).only(operation).run()
}

/// Expects a finding in that operation, with that mishap, that says so.
fn expect(report: &Report, operation: &str, mishap: &str, says: &str) {
    let found = report.findings().iter().any(|finding| {
        finding.operation.contains(operation) && finding.mishap.contains(mishap) && finding.broken.contains(says)
    });
    assert!(found, "nothing like `{operation}, {mishap}: {says}` in:\n{report}");
}

#[test]
fn an_honest_connector_keeps_every_law() {
    Sweep::of(bed(opened_with!(Nothing))).run().assert_kept();
}

#[test]
fn a_second_create_after_a_lost_answer() {
    let report = swept(opened_with!(CreatesAgain), "apply");
    expect(&report, "provision", "the answer is lost", "2 records were made");
    expect(&report, "joiner", "500, and landed", "2 records were made");
}

#[test]
fn a_yes_to_half_an_answer() {
    expect(&swept(opened_with!(BelievesHalfAnAnswer), "grant"), "grant", "the answer is cut", "no whole answer");
}

#[test]
fn nobody_where_it_is_forbidden_or_unsaid() {
    expect(&swept(opened_with!(NobodyWhenDenied), "find"), "find by employee", "403", "gave 0 records");
    expect(&swept(opened_with!(NobodyWhenUnsaid), "find"), "find by employee", "an empty object", "gave 0 records");
    expect(&swept(opened_with!(BelievesAnyMissing), "read"), "read", "404 by a gateway", "gave 0 records");
    expect(&swept(opened_with!(StopsAtAFault), "list"), "list", "the answer is lost", "the list gave 10 records");
}

#[test]
fn a_link_to_another_host() {
    let report = swept(opened_with!(FollowsLinks), "list");
    expect(&report, "list", "links to another host", "it went to another host");
    expect(&report, "list", "links to another host", "told it a secret");
}

#[test]
fn no_effect_where_there_was_one() {
    expect(&swept(opened_with!(ForgetsTheFirstHalf), "joiner"), "joiner", "403", "there was no effect");
    expect(&swept(opened_with!(TakesErrorsForRefusals), "grant"), "grant", "500, and landed", "there was no effect");
}

#[test]
fn a_secret_in_a_fault() {
    expect(&swept(opened_with!(TellsTheKey), "read"), "read", "the answer is lost", "a fault holds a secret");
}

#[test]
fn more_than_the_action_names() {
    expect(&swept(opened_with!(OverwritesTheTitle), "grant"), "grant", "without trouble", "the field `title`");
}

#[test]
fn a_panic_on_a_surprise() {
    expect(&swept(opened_with!(PanicsOnSurprise), "read"), "read", "surprise", "it panics");
}

#[test]
fn after_a_thousand_timeouts_nobody_is_there_twice() {
    landed_timeouts(bed(opened_with!(Nothing)), 1_000, 11).assert_kept();
}

#[test]
fn timeouts_show_who_creates_again_and_who_takes_a_timeout_for_a_no() {
    let again = landed_timeouts(bed(opened_with!(CreatesAgain)), 200, 11).to_string();
    assert!(again.contains("2 records") || again.contains("duplicates"), "{again}");
    let refusal = landed_timeouts(bed(opened_with!(TakesErrorsForRefusals)), 200, 11).to_string();
    assert!(refusal.contains("no effect, and there was"), "{refusal}");
}

#[test]
fn a_read_takes_a_page_each_and_a_change_three_requests() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let counted = runtime.block_on(economy(bed(opened_with!(Nothing)), 200, 2)).expect("counted");
    assert_eq!((counted.read.made, counted.changes.made), (20, 26));
    assert_eq!((counted.read.fewest, counted.changes.ratio()), (Some(20), Some(1.0)));
}
