//! Where NBAPI is, who is let in, and what they see.

use lockstep_contract::{ApplyFault, CheckOutcome, FaultKind, Next, Reduction, Step, TargetReader as _};
use lockstep_netbox::simulator::Simulator;

use crate::common::{Site, cx, everybody, seeded};

#[tokio::test]
async fn logging_in_succeeds_where_nothing_else_does() {
    let site = Site::prepared(|sim| sim.rules(|rules| rules.log_in = false), |s| s).await;
    let fault = site.read(&seeded(0)).await.expect_err("not authenticated");
    assert_eq!(fault.kind, FaultKind::Unauthenticated);
    assert!(fault.help.is_some_and(|help| help.contains("Use login username/password")), "{}", fault.message);
    assert_eq!(site.commands(), ["Login", "GetPerson", "Login", "GetPerson"], "once more, and no more");
}

#[tokio::test]
async fn an_interface_that_is_switched_off_is_denied_and_says_where_to_switch_it_on() {
    let site = Site::prepared(|sim| sim.rules(|rules| rules.enabled = false), |s| s).await;
    let fault = site.read(&seeded(0)).await.expect_err("denied");
    assert_eq!(fault.kind, FaultKind::Denied);
    assert!(fault.help.is_some_and(|help| help.contains("Data Integration")));
}

#[tokio::test]
async fn the_path_depends_on_the_version_and_is_found() {
    for old in [false, true] {
        let site = Site::prepared(|sim| sim.rules(|rules| rules.old = old), |s| s).await;
        assert_eq!(site.everybody().await.expect("a list").len(), 25, "old: {old}");
        let logins = site.commands().iter().filter(|name| *name == "Login").count();
        assert_eq!(logins, if old { 2 } else { 1 }, "the old path is tried only where the new one is not there");
    }
}

#[tokio::test]
async fn a_path_that_is_gone_is_a_wrong_address_and_never_a_missing_person() {
    let site = Site::with(|settings| format!("path = \"/goforms/nbapi\"\n{settings}")).await;
    let fault = site.read(&seeded(0)).await.expect_err("410");
    assert_eq!(fault.kind, FaultKind::Protocol);
    assert!(fault.help.is_some_and(|help| help.contains("path")));
}

#[tokio::test]
async fn a_session_that_ended_is_renewed_once_in_the_middle_of_a_list() {
    let site = Site::new().await;
    let first = site.netbox.list(&cx(), None).await.expect("a page");
    let Next::More(cursor) = first.next else { panic!("more than one page") };
    site.sim().end_sessions();
    site.server.arrived();
    let second = site.netbox.list(&cx(), Some(cursor)).await.expect("a page");
    assert_eq!(second.items.len(), 10);
    assert_eq!(site.commands(), ["SearchPersonData", "Login", "SearchPersonData"]);
}

#[tokio::test]
async fn a_session_that_ended_before_a_write_does_not_make_it_happen_twice() {
    let site = Site::new().await;
    site.everybody().await.expect("a list");
    site.sim().end_sessions();
    site.server.arrived();
    site.create("77001", vec![]).await.expect("created");
    assert_eq!(site.commands(), ["AddPerson", "Login", "AddPerson"]);
    assert_eq!(site.sim().count(), 26);
}

#[tokio::test]
async fn the_partition_is_the_scope_and_a_part_of_who_the_target_is() {
    let second = |settings: String| format!("partition = \"2\"\n{settings}");
    let prepare = |sim: &Simulator| {
        sim.add_level("South gate", 2);
        sim.add_person("S1", "South", 2);
    };
    let site = Site::prepared(prepare, second).await;
    let here = site.everybody().await.expect("a list");
    assert_eq!(here.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["S1"]);
    assert_eq!(site.read(&seeded(0)).await.expect("readable"), None, "somebody of another partition is not here");
    assert_eq!(site.netbox.catalog(&cx()).await.expect("readable").levels.len(), 1);
    site.sim().end_sessions();
    let gate = site.level("South gate").await;
    site.create("S2", vec![Step::Grant { level: gate }]).await.expect("created");
    assert_eq!(site.sim().person("S2").expect("there").partition, 2, "after a new log-in, too");
    let whole = site.another(|settings| settings);
    assert_ne!(whole.info().fingerprint, site.netbox.info().fingerprint);
    assert_eq!(everybody(&whole).await.expect("a list").len(), 25);
    let health = whole.probe(&cx()).await.expect("readable");
    assert!(health.checks.iter().any(|c| c.name == "partition" && c.outcome == CheckOutcome::Warn), "{health:?}");
    let nowhere = site.another(|settings| format!("partition = \"9\"\n{settings}"));
    assert_eq!(nowhere.read(&cx(), &seeded(0)).await.expect_err("no such").kind, FaultKind::Denied);
}

#[tokio::test]
async fn a_number_that_is_taken_in_another_partition_is_refused() {
    let site = Site::new().await;
    assert!(site.sim().add_person("77001", "South", 2));
    let Err(ApplyFault::Refused(fault)) = site.create("77001", vec![]).await else { panic!("refused") };
    assert_eq!(fault.kind, FaultKind::Conflict);
    assert!(fault.help.is_some_and(|help| help.contains("partitions")));
}

#[tokio::test]
async fn a_role_that_may_only_read_is_refused_with_the_words_of_the_netbox() {
    let site = Site::prepared(|sim| sim.rules(|rules| rules.read_only = true), |s| s).await;
    assert_eq!(site.everybody().await.expect("a list").len(), 25);
    let Err(ApplyFault::Refused(fault)) = site.change(&seeded(1), vec![Reduction::Suspend.into()]).await else {
        panic!("refused")
    };
    assert!(fault.message.contains("Insufficient privileges"), "{fault}");
}
