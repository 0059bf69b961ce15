//! The protocol of the drop folder, step by step: what is there when something breaks, what an acknowledgement proves, and
//! what a reading that is not newer proves.

mod common;

use std::io::ErrorKind;

use common::{Site, action, cx, joiner, names, on};
use lockstep_contract::{
    AccessLevelId, ApplyFault, CorrelationKey, FaultKind, KeyKind, Reduction, Status, Step, Subject, Target,
    TargetReader,
};
use lockstep_staging::simulator::Operation;

fn suspend() -> Vec<Step> {
    vec![Reduction::Suspend.into()]
}

fn grant() -> Vec<Step> {
    vec![Step::Grant { level: AccessLevelId::new("level-04").expect("id") }]
}

fn unconfirmed<T: std::fmt::Debug>(answer: Result<T, ApplyFault>) -> String {
    match answer {
        Err(ApplyFault::Uncertain(fault)) if fault.kind == FaultKind::Unconfirmed => fault.to_string(),
        other => panic!("it should be delivered and not confirmed, and is {other:?}"),
    }
}

#[tokio::test]
async fn delivered_is_not_verified_until_something_newer_shows_it() {
    let site = Site::new("genetec");
    let id = site.id(1);
    let said = unconfirmed(site.target.apply(&cx(), &on(&id, suspend())).await);
    assert!(said.contains("lockstep-hq-1-disable-people-"), "it names the file: {said}");
    assert_eq!(site.read(&id).await.expect_err("nothing newer").kind, FaultKind::Unconfirmed);
    // Taken is not done: the export is still the old one.
    site.importer.import_all();
    assert_eq!(site.dropped(), [""; 0], "it is gone");
    let fault = site.read(&id).await.expect_err("gone is not applied");
    assert!(fault.kind == FaultKind::Unconfirmed && fault.message.contains("took it"), "{fault}");
    assert_eq!(site.read(&site.id(3)).await.expect("nobody else waits").expect("there").status, Status::Active);
    site.newer_export().await;
    assert_eq!(site.read(&id).await.expect("newer").expect("there").status, Status::Suspended);
    assert!(names(&site.path("manifests/open")).is_empty(), "nothing is open any more");
    let day = site.path("manifests/closed").join(&names(&site.path("manifests/closed"))[0]);
    let closed = std::fs::read_to_string(day.join(&names(&day)[0])).expect("a manifest");
    assert!(closed.contains("sha256") && !closed.contains("Given1"), "it keeps sums and forgets the person: {closed}");
}

#[tokio::test]
async fn an_importer_that_did_nothing_is_found_out_by_the_newer_export() {
    let site = Site::new("genetec");
    site.importer.set(|rules| rules.ignores_content = true);
    unconfirmed(site.target.apply(&cx(), &on(&site.id(1), suspend())).await);
    site.importer.import_all();
    site.newer_export().await;
    site.read(&site.id(1)).await.expect_err("it was only now seen to be gone: the export may be older than that");
    site.newer_export().await;
    let seen = site.read(&site.id(1)).await.expect("newer").expect("there");
    assert_eq!(seen.status, Status::Active, "nothing happened, and it is said");
}

#[tokio::test]
async fn files_sort_so_that_what_takes_away_comes_first_and_a_waiting_one_is_never_overwritten() {
    let site = Site::new("genetec");
    unconfirmed(site.target.apply(&cx(), &joiner(1)).await);
    unconfirmed(site.target.apply(&cx(), &on(&site.id(1), grant())).await);
    unconfirmed(site.target.apply(&cx(), &on(&site.id(3), suspend())).await);
    unconfirmed(site.target.apply(&cx(), &on(&site.id(4), suspend())).await);
    let kinds: Vec<String> =
        site.dropped().iter().map(|name| name.split('-').skip(2).take(3).collect::<Vec<_>>().join("-")).collect();
    assert_eq!(kinds, ["1-disable-people", "1-disable-people", "2-update-memberships", "3-create-people"]);
}

#[tokio::test]
async fn a_step_that_fails_leaves_nothing_to_be_taken() {
    for (operation, skip, kind, expected) in [
        (Operation::Write, 0, ErrorKind::StorageFull, FaultKind::Unreachable),
        (Operation::Write, 0, ErrorKind::ReadOnlyFilesystem, FaultKind::Denied),
        (Operation::Rename, 0, ErrorKind::PermissionDenied, FaultKind::Denied),
        (Operation::Rename, 0, ErrorKind::TimedOut, FaultKind::Unreachable),
    ] {
        let site = Site::new("genetec");
        site.share.fail(operation, skip, kind);
        match site.target.apply(&cx(), &on(&site.id(1), suspend())).await {
            Err(ApplyFault::NotSent(fault)) => assert_eq!(fault.kind, expected, "{operation:?}: {fault}"),
            other => panic!("{operation:?} failed with {kind:?}: {other:?}"),
        }
        site.share.heal();
        assert_eq!(site.dropped(), [""; 0], "{operation:?}");
        assert_eq!(site.read(&site.id(1)).await.expect("nothing is open").expect("there").status, Status::Active);
    }
}

#[tokio::test]
async fn an_action_of_two_files_that_broke_off_between_them_is_uncertain() {
    let site = Site::new("genetec");
    let steps = vec![
        Reduction::Suspend.into(),
        Reduction::Revoke { level: AccessLevelId::new("level-01").expect("id") }.into(),
    ];
    site.share.fail(Operation::Rename, 1, ErrorKind::TimedOut);
    let answer = site.target.apply(&cx(), &on(&site.id(0), steps)).await;
    assert!(matches!(answer, Err(ApplyFault::Uncertain(_))), "{answer:?}");
    site.share.heal();
    assert_eq!(site.dropped().len(), 1, "the first one is there");
    assert_eq!(site.read(&site.id(0)).await.expect_err("open").kind, FaultKind::Unconfirmed);
}

#[tokio::test]
async fn a_crash_between_manifest_and_file_is_settled_by_reading() {
    let mut site = Site::new("genetec");
    // The process dies after the manifest: it is as if the rename never came, and nobody cleaned up.
    site.share.fail(Operation::Rename, 0, ErrorKind::Interrupted);
    site.share.fail(Operation::Remove, 0, ErrorKind::Interrupted);
    let _ = site.target.apply(&cx(), &on(&site.id(1), suspend())).await;
    site.share.heal();
    site.reopen();
    assert!(
        site.dropped().iter().all(|name| name.starts_with('.')),
        "no importer takes what is left: {:?}",
        site.dropped()
    );
    site.importer.tick();
    assert_eq!(site.record(&site.id(1)).expect("there").status, Status::Active);
    unconfirmed(site.target.apply(&cx(), &on(&site.id(1), suspend())).await);
    site.importer.import_all();
    site.newer_export().await;
    assert_eq!(site.read(&site.id(1)).await.expect("newer").expect("there").status, Status::Suspended);
}

#[tokio::test]
async fn another_process_knows_what_an_earlier_one_delivered() {
    let mut site = Site::new("genetec");
    unconfirmed(site.target.apply(&cx(), &on(&site.id(1), suspend())).await);
    site.reopen();
    assert_eq!(site.read(&site.id(1)).await.expect_err("open").kind, FaultKind::Unconfirmed);
    unconfirmed(site.target.apply(&cx(), &on(&site.id(1), suspend())).await);
    assert_eq!(site.dropped().len(), 1, "the same action is not delivered again while it waits");
}

#[tokio::test]
async fn nothing_older_is_imported_after_what_takes_access_away() {
    let site = Site::new("generic-csv");
    let id = site.id(2);
    unconfirmed(site.target.apply(&cx(), &on(&id, vec![Step::Reinstate])).await);
    let other = site.target.apply(&cx(), &on(&id, grant())).await;
    assert!(matches!(&other, Err(ApplyFault::NotSent(fault)) if fault.kind == FaultKind::Unconfirmed), "{other:?}");
    unconfirmed(site.target.apply(&cx(), &on(&id, suspend())).await);
    let waiting = site.dropped();
    assert!(waiting.len() == 1 && waiting[0].contains("1-disable"), "the older one was taken back: {waiting:?}");
    site.importer.tick();
    assert_eq!(site.record(&id).expect("there").status, Status::Suspended);
}

#[tokio::test]
async fn what_the_importer_holds_open_is_not_taken_back_and_the_newer_state_holds_both() {
    let site = Site::new("generic-csv");
    let id = site.id(1);
    unconfirmed(site.target.apply(&cx(), &on(&id, grant())).await);
    let held = site.dropped();
    // A sharing lock: the next rename is refused, those after it are not.
    std::fs::rename(site.path("drop").join(&held[0]), site.path("drop").join("taken-just-now")).expect("renamed");
    unconfirmed(site.target.apply(&cx(), &on(&id, suspend())).await);
    let dropped = site.dropped();
    let disable = dropped.iter().find(|name| name.contains("1-disable")).expect("delivered");
    let text = std::fs::read_to_string(site.path("drop").join(disable)).expect("a file");
    assert!(text.contains("Inactive") && text.contains("level-04"), "whole target state: {text}");
}

#[tokio::test]
async fn whoever_is_looked_for_while_a_change_is_under_way_is_shown_with_what_it_gives() {
    let site = Site::new("genetec");
    let id = site.id(2);
    unconfirmed(site.target.apply(&cx(), &on(&id, vec![Step::Reinstate])).await);
    let key = CorrelationKey::new(KeyKind::Directory, id.as_str()).expect("a key");
    let found = site.target.find(&cx(), &key).await.expect("found");
    assert_eq!(found[0].status, Status::Active, "an offboarding must see what is to be taken away");
    unconfirmed(site.target.apply(&cx(), &joiner(7)).await);
    let Subject::New(new) = joiner(7).subject else { panic!("new") };
    let fault = site.target.find(&cx(), &new).await.expect_err("nobody can say that nobody has this key");
    assert_eq!(fault.kind, FaultKind::Unconfirmed);
}

#[tokio::test]
async fn each_kind_of_acknowledgement_is_understood() {
    for (kind, taken) in [("vanished", true), ("renamed", true), ("result-file", true), ("none", false)] {
        let edit =
            |text: String| text.replace("acknowledgement = \"renamed\"", &format!("acknowledgement = \"{kind}\""));
        let site = Site::edited("generic-csv", edit);
        unconfirmed(site.target.apply(&cx(), &on(&site.id(1), suspend())).await);
        site.importer.import_all();
        let fault = site.read(&site.id(1)).await.expect_err("no newer export");
        assert_eq!(fault.message.contains("the importer took it"), taken, "{kind}: {fault}");
        site.newer_export().await;
        assert_eq!(site.read(&site.id(1)).await.expect("newer").expect("there").status, Status::Suspended, "{kind}");
    }
}

#[tokio::test]
async fn a_refusal_of_the_importer_is_known_and_is_believed_once_a_newer_export_agrees() {
    for kind in ["vanished", "renamed", "result-file"] {
        let edit =
            |text: String| text.replace("acknowledgement = \"renamed\"", &format!("acknowledgement = \"{kind}\""));
        let site = Site::edited("generic-csv", edit);
        site.importer.set(|rules| rules.refuses = true);
        unconfirmed(site.target.apply(&cx(), &on(&site.id(1), suspend())).await);
        site.importer.import_all();
        let fault = site.read(&site.id(1)).await.expect_err("no newer export");
        assert!(fault.message.contains("something is wrong"), "{kind}: {fault}");
        site.newer_export().await;
        let answer = site.target.apply(&cx(), &on(&site.id(1), suspend())).await;
        // The earlier delivery was answered; this is a new one.
        unconfirmed(answer);
    }
}

#[tokio::test]
async fn an_export_that_is_torn_empty_short_or_gone_is_a_fault_and_never_a_smaller_pacs() {
    type Edit = fn(&mut lockstep_staging::simulator::Rules);
    let cases: [(Edit, FaultKind); 3] = [
        (|rules| rules.torn_export = true, FaultKind::Protocol),
        (|rules| rules.empty_export = true, FaultKind::Protocol),
        (|rules| rules.short_export = true, FaultKind::Protocol),
    ];
    for profile in ["genetec", "generic-csv", "generic-xml"] {
        for (edit, kind) in cases {
            let site = Site::new(profile);
            site.target.list(&cx(), None).await.expect("whole");
            site.importer.set(edit);
            site.newer_export().await;
            let fault = site.target.list(&cx(), None).await.expect_err("not believed");
            assert_eq!(fault.kind, kind, "{profile}: {fault}");
            assert!(fault.help.is_some());
            let apply = site.target.apply(&cx(), &on(&site.id(1), suspend())).await;
            assert!(matches!(apply, Err(ApplyFault::NotSent(_))), "{apply:?}");
        }
        let site = Site::new(profile);
        for name in names(&site.path("export")) {
            std::fs::remove_file(site.path("export").join(name)).expect("removed");
        }
        assert_eq!(site.target.list(&cx(), None).await.expect_err("gone").kind, FaultKind::Unreachable);
    }
}

#[tokio::test]
async fn a_level_that_the_last_export_does_not_have_is_not_given_even_where_the_importer_would_make_it() {
    let site = Site::new("generic-csv");
    site.importer.set(|rules| rules.creates_unknown_levels = true);
    let step = Step::Grant { level: AccessLevelId::new("Levle-04").expect("id") };
    let answer = site.target.apply(&cx(), &on(&site.id(1), vec![step])).await;
    assert!(matches!(&answer, Err(ApplyFault::NotSent(fault)) if fault.kind == FaultKind::Invalid), "{answer:?}");
    assert_eq!(site.dropped(), [""; 0]);
}

#[tokio::test]
async fn a_marker_follows_its_file_and_a_crash_while_reading_leaves_it_to_be_taken_again() {
    let site = Site::edited("generic-csv", |text| text.replace("[delivery]", "[delivery]\nmarker = \".done\""));
    site.importer.set(|rules| {
        rules.wants_marker = true;
        rules.crashes_while_reading = true;
    });
    unconfirmed(site.target.apply(&cx(), &on(&site.id(1), suspend())).await);
    assert!(site.dropped().iter().any(|name| name.ends_with(".csv.done")), "{:?}", site.dropped());
    site.importer.import_all();
    assert_eq!(site.record(&site.id(1)).expect("there").status, Status::Active);
    site.importer.import_all();
    assert_eq!(site.record(&site.id(1)).expect("there").status, Status::Suspended);
}

#[tokio::test]
async fn without_anything_to_read_back_it_says_what_it_cannot_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = r#"{"site":"hq","manifests":"m","drop":{"folder":"d"}}"#;
    let opening = lockstep_contract::Opening { base: folder.path(), secrets: &common::NoSecrets };
    let id = lockstep_contract::TargetId::new("hq").expect("id");
    let target =
        lockstep_staging::open(id, serde_json::from_str(settings).expect("settings"), &opening).expect("opened");
    let fault = target.list(&cx(), None).await.expect_err("nothing to read");
    assert_eq!(fault.kind, FaultKind::Unsupported);
    assert!(fault.help.is_some_and(|help| help.contains("lockstep export")));
    let key = CorrelationKey::new(KeyKind::Directory, "a").expect("a key");
    let apply = target.apply(&cx(), &action(Subject::New(key), suspend())).await;
    assert!(matches!(&apply, Err(ApplyFault::NotSent(fault)) if fault.kind == FaultKind::Unsupported), "{apply:?}");
}
