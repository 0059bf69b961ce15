//! HR feeds as sites have them: with errors in a row, in a header, in the whole file.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use lockstep_contract::{
    CorrelationKey, Cx, Directory as _, DirectoryId, EmptyProof, Fault, FaultKind, FieldName, GroupId, KeyKind,
    Membership, Next, Opening, Person, PersonId, Presence, Scope, Secret, SecretError, SecretRef, Secrets, Standing,
    field,
};
use lockstep_hr_csv::{Config, HrFeed, open};

struct NoSecrets;

impl Secrets for NoSecrets {
    fn get(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        Err(SecretError { reference: reference.clone(), message: "there are none".into() })
    }
}

fn opened(folder: &Path, settings: &str) -> Result<HrFeed, Fault> {
    let config: Config = serde_json::from_str(settings).expect("settings");
    open(DirectoryId::new("hr").expect("id"), config, &Opening { base: folder, secrets: &NoSecrets })
}

/// A folder with these files, and a feed on it.
fn feed(files: &[(&str, &str)], settings: &str) -> (tempfile::TempDir, HrFeed) {
    let folder = tempfile::tempdir().expect("folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    let feed = opened(folder.path(), settings).expect("opens");
    (folder, feed)
}

const PLAIN: &str = r#"{"people": "people.csv", "groups": "groups.csv"}"#;

fn cx() -> Cx {
    Cx::new(Duration::from_secs(5))
}

fn person(id: &str) -> PersonId {
    PersonId::new(id).expect("id")
}

async fn people(feed: &HrFeed) -> Result<(Vec<Person>, Vec<(String, String)>), Fault> {
    let fields = [field::GIVEN_NAME, field::FAMILY_NAME, field::DEPARTMENT].map(FieldName::known);
    let page = feed.people(&cx(), &Scope { fields: fields.into_iter().collect() }, None).await?;
    let aside = feed.take_quarantined();
    match page.next {
        Next::End(census) => assert_eq!(census.sent, (page.items.len() + aside.len()) as u64),
        Next::More(cursor) => panic!("one page was enough, and it says {cursor:?}"),
    }
    Ok((page.items, aside))
}

async fn membership(feed: &HrFeed, name: &str) -> Membership {
    let id = GroupId::new(name).expect("id");
    feed.members(&cx(), &BTreeSet::from([id.clone()])).await.remove(&id).expect("an answer")
}

fn members(answer: &Membership) -> (Vec<String>, u32) {
    match answer {
        Membership::Members(members) => (members.people().map(ToString::to_string).collect(), members.gaps()),
        other => panic!("members expected, and it is {other:?}"),
    }
}

#[tokio::test]
async fn bad_rows_are_set_aside_with_their_place_and_nobody_in_them_is_gone() {
    let text = "id,status,given_name,mail\n\
                1,active,Ada,ada@x.example\n\
                2,active,Bo,bo@x.example\n\
                2,active,Bob,bob@x.example\n\
                3,active,Cy, cy@x.example\n\
                4,active\n\
                ,active,Di,di@x.example\n\
                5,left,Ed,\n";
    let (_folder, feed) = feed(&[("people.csv", text)], r#"{"people": "people.csv"}"#);
    let (listed, aside) = people(&feed).await.expect("people");
    let ids: Vec<String> = listed.iter().map(|one| one.id.to_string()).collect();
    assert_eq!(ids, ["1", "5"]);
    let mut places: Vec<&str> = aside.iter().map(|(place, _)| place.as_str()).collect();
    places.sort_unstable();
    assert_eq!(places, ["people.csv:3", "people.csv:4", "people.csv:5", "people.csv:6", "people.csv:7"]);
    for id in ["2", "3", "somebody"] {
        let doubt = feed.lookup(&cx(), &person(id)).await.expect_err("not proven");
        assert_eq!(doubt.kind, FaultKind::Invalid, "{doubt}");
    }
}

#[tokio::test]
async fn who_is_not_in_a_file_is_gone_only_when_the_file_is_shown_to_be_whole() {
    let plain = ("people.csv", "id,status\n1,active\n");
    let closed = ("people.csv", "id,status\n1,active\nEOF,1\n");
    let ldif = ("people.ldif", "dn: cn=1,o=x\nobjectClass: person\nid: 1\nemployeeStatus: active\n\n");
    for (file, settings, gone) in [
        (plain, "", false),
        (plain, r#", "min_rows": 0"#, false),
        (plain, r#", "min_rows": 1"#, true),
        (plain, r#", "expected_rows": 1"#, true),
        (plain, r#", "expected_rows": 1, "authoritative": false"#, false),
        (closed, r#", "trailer": "EOF""#, true),
        (ldif, "", false),
        // There is no trailer in LDIF.
        (ldif, r#", "trailer": "EOF""#, false),
        (ldif, r#", "expected_rows": 1"#, true),
    ] {
        let (_folder, feed) = feed(&[file], &format!(r#"{{"people": "{}"{settings}}}"#, file.0));
        assert!(matches!(feed.lookup(&cx(), &person("1")).await, Ok(Presence::Present(_))), "{file:?} {settings}");
        match feed.lookup(&cx(), &person("2")).await {
            Ok(Presence::Gone(_)) => assert!(gone, "{file:?} {settings}"),
            Ok(Presence::Present(found)) => panic!("{found:?}"),
            Err(fault) => {
                assert!(!gone && fault.kind == FaultKind::Unsupported, "{fault}");
                let named = fault.help.as_deref().is_some_and(|help| help.contains("min_rows"));
                assert!(named || settings.contains("authoritative"), "{fault:?}");
            }
        }
        let warned = feed.probe(&cx()).await.expect("a probe").checks.iter().any(|check| check.name == "whole");
        assert_eq!(warned, !gone && !settings.contains("authoritative"), "{file:?} {settings}");
    }
}

#[tokio::test]
async fn a_file_cut_inside_its_last_value_gives_nobody_anything() {
    let everybody = "id,status\nP040,active\nP04001,active\n";
    for (groups, settings, believed) in [
        ("group,member\nlab,P04001\n", "", true),
        ("group,member\nlab,P040", "", false),
        ("group,member\r\nlab,P040", r#", "expected_rows": 2"#, false),
        ("group,member\nlab,P040", r#", "unterminated": "allow""#, true),
    ] {
        let settings = format!(r#"{{"people": "people.csv", "groups": "groups.csv"{settings}}}"#);
        let (_folder, feed) = feed(&[("people.csv", everybody), ("groups.csv", groups)], &settings);
        let answer = membership(&feed, "lab").await;
        match &answer {
            Membership::Unreadable(fault) => {
                assert!(!believed && fault.message.contains("may have been cut"), "{settings}: {fault}");
                assert!(fault.help.as_deref().is_some_and(|help| help.contains("unterminated")), "{fault:?}");
            }
            Membership::Members(_) | Membership::Empty(_) | Membership::Unproven => {
                assert!(believed, "{settings}: {answer:?}");
            }
        }
    }
    for (file, whole) in [
        ("people.csv", "id,status,mail\n1,active,ann@x.example\n2,active,bob@x.example\n"),
        ("people.csv", "id,status,mail\n1,active,ann@x.example\n2,active,bob@x.example\nEOF,2"),
        ("people.ldif", "dn: cn=1,o=x\nobjectClass: person\nid: 1\nemployeeStatus: active\nmail: ann@x.example\n\n"),
    ] {
        let trailer = if whole.contains("EOF") { r#", "trailer": "EOF""# } else { "" };
        let settings = format!(r#"{{"people": "{file}"{trailer}}}"#);
        for cut in [0, 1, 2, 4] {
            let (_folder, feed) = feed(&[(file, &whole[..whole.len() - cut])], &settings);
            let read = people(&feed).await;
            assert_eq!(read.is_ok(), cut == 0, "{file} without its last {cut}: {read:?}");
        }
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_whole_is_not_believed() {
    for (text, settings, says) in [
        ("id,status\n", "", "nobody in it"),
        ("id,status\n1,active\n", r#", "min_rows": 2"#, "at least 2"),
        ("id,status\n1,active\n", r#", "expected_rows": 2"#, "says 2"),
        ("id,status\n1,active\n", r#", "trailer": "EOF""#, "does not begin with `EOF`"),
        ("id,status\n1,active\n2,act", r#", "columns": {"mail": "E-mail"}"#, "no column `E-mail`"),
        ("id,status,mail\n1,active,a@x\n2,act", "", "people.csv:3: the file ends in the middle of a row"),
        ("id;status\n1;active\n", r#", "delimiter": ",""#, "no column holds the id"),
    ] {
        let (_folder, feed) = feed(&[("people.csv", text)], &format!(r#"{{"people": "people.csv"{settings}}}"#));
        let fault = people(&feed).await.expect_err(says);
        assert_eq!(fault.kind, FaultKind::Protocol, "{fault}");
        assert!(fault.message.contains(says), "{fault}");
        assert!(feed.lookup(&cx(), &person("9")).await.is_err(), "nobody is gone on the word of such a file");
        assert!(matches!(membership(&feed, "g").await, Membership::Unreadable(_)));
    }
}

#[tokio::test]
async fn an_old_file_is_not_believed() {
    let (folder, feed) =
        feed(&[("people.csv", "id,status\n1,active\n")], r#"{"people": "people.csv", "max_age_hours": 36}"#);
    assert_eq!(people(&feed).await.expect("fresh").0.len(), 1);
    let later = feed.with_clock(|| jiff::Timestamp::now() + jiff::SignedDuration::from_hours(37));
    let fault = people(&later).await.expect_err("old");
    assert!(fault.message.contains("37 hours ago; at most 36"), "{fault}");
    drop(folder);
}

#[tokio::test]
async fn a_changed_file_is_read_again_and_never_in_the_middle_of_a_list() {
    let (folder, feed) =
        feed(&[("people.csv", "id,status\n1,active\n2,active\n")], r#"{"people": "people.csv", "page_size": 1}"#);
    let scope = Scope::default();
    let Next::More(cursor) = feed.people(&cx(), &scope, None).await.expect("a page").next else {
        panic!("two pages are needed")
    };
    std::fs::write(folder.path().join("people.csv"), "id,status\n1,left\n2,active\n3,active\n").expect("written");
    let fault = feed.people(&cx(), &scope, Some(cursor)).await.expect_err("another file");
    assert_eq!(fault.kind, FaultKind::Unreachable, "{fault}");
    let key = CorrelationKey::new(KeyKind::Directory, "1").expect("key");
    let found = feed.find(&cx(), &key).await.expect("read again");
    assert_eq!(found.first().map(|one| one.standing), Some(Standing::Ended { since: None }));
}

#[tokio::test]
async fn a_group_that_is_not_in_the_file_is_unreadable_unless_it_is_declared_empty() {
    let groups =
        "group,member\nlab,1\nlab,group:night\nnight,group:lab\nnight,2\nempty,\nouter,group:nowhere\nouter,1\n";
    let files = [("people.csv", "id,status\n1,active\n2,active\n"), ("groups.csv", groups)];
    let settings = r#"{"people": "people.csv", "groups": "groups.csv", "empty_groups": ["visitors"]}"#;
    let (_folder, feed) = feed(&files, settings);
    for name in ["lab", "night"] {
        assert_eq!(members(&membership(&feed, name).await), (vec!["1".to_owned(), "2".to_owned()], 0));
    }
    assert_eq!(membership(&feed, "empty").await, Membership::Empty(EmptyProof::ServerCount));
    assert_eq!(membership(&feed, "visitors").await, Membership::Empty(EmptyProof::Declared));
    for name in ["Lab", "outer"] {
        match membership(&feed, name).await {
            Membership::Unreadable(fault) => assert_eq!(fault.kind, FaultKind::Missing, "{fault}"),
            other => panic!("`{name}` is not whole in the file, and reads as {other:?}"),
        }
    }
}

#[tokio::test]
async fn members_may_be_named_by_mail_and_who_is_not_found_is_a_gap() {
    let files = [
        ("people.csv", "id,status,mail\n1,active,Ada@x.example\n2,active,b@x.example\n3,active,b@x.example\n"),
        ("groups.csv", "group,member\nlab,ada@X.example\nlab,b@x.example\nlab,c@x.example\nlost,c@x.example\n"),
    ];
    let (_folder, feed) = feed(&files, r#"{"people": "people.csv", "groups": "groups.csv", "members_by": "mail"}"#);
    assert_eq!(members(&membership(&feed, "lab").await), (vec!["1".to_owned()], 2));
    assert!(matches!(membership(&feed, "lost").await, Membership::Unreadable(_)), "a group of strangers only");
}

#[tokio::test]
async fn a_member_whose_id_is_misspelt_is_a_gap_and_one_who_is_not_here_any_more_is_none() {
    let files = [
        ("people.csv", "id,status\nP1,active\nP2,active\n"),
        ("groups.csv", "group,member\nlab,P1\nlab,p2\nold,P1\nold,P9\n"),
    ];
    let (_folder, feed) = feed(&files, PLAIN);
    assert_eq!(members(&membership(&feed, "lab").await), (vec!["P1".to_owned()], 1));
    assert_eq!(members(&membership(&feed, "old").await), (vec!["P1".to_owned(), "P9".to_owned()], 0));
}

#[tokio::test]
async fn a_broken_groups_file_freezes_groups_and_leaves_people_alone() {
    for groups in [
        "group,member\nlab,1\nlab\n",
        "name,member\nlab,1\n",
        "group,member\n,1\n",
        "group,member\nlab,1\nlab ,2\n",
        "group,member\nlab, 1\n",
    ] {
        let (_folder, feed) = feed(&[("people.csv", "id,status\n1,active\n"), ("groups.csv", groups)], PLAIN);
        assert_eq!(people(&feed).await.expect("people").0.len(), 1);
        assert!(matches!(membership(&feed, "lab").await, Membership::Unreadable(_)), "{groups}");
    }
    let (_folder, feed) = feed(&[("people.csv", "id,status\n1,active\n")], PLAIN);
    assert!(matches!(membership(&feed, "lab").await, Membership::Unreadable(_)), "there is no groups file");
}

#[tokio::test]
async fn several_files_make_one_list_and_an_id_in_two_of_them_is_held() {
    let files = [("a.csv", "id,status\n1,active\n2,active\n"), ("b.csv", "status;id\nactive;2\nactive;3\n")];
    let (_folder, feed) = feed(&files, r#"{"people": ["a.csv", "b.csv"]}"#);
    let (listed, aside) = people(&feed).await.expect("people");
    assert_eq!((listed.len(), aside.len()), (2, 2));
    assert_eq!(aside.iter().map(|(place, _)| place.as_str()).collect::<Vec<_>>(), ["a.csv:3", "b.csv:2"]);
}

#[test]
fn settings_that_make_no_sense_are_refused_when_the_feed_is_opened() {
    let folder = tempfile::tempdir().expect("folder");
    for (settings, says) in [
        (r#"{"people": []}"#, "names no file"),
        (r#"{"people": "p.csv", "time_zone": "Mars/Olympus"}"#, "no time zone `Mars/Olympus`"),
        (r#"{"people": "p.csv", "columns": {"E-Mail": "x"}}"#, "`E-Mail` is no name of a field"),
    ] {
        let fault = opened(folder.path(), settings).expect_err(says);
        assert!(fault.message.contains(says), "{fault}");
    }
    assert!(serde_json::from_str::<Config>(r#"{"people": "p.csv", "min_row": 3}"#).is_err(), "an unknown setting");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    /// Whatever is in the cells: they come back as they were written, or their row is set aside.
    #[test]
    fn cells_survive_quoting(cells in proptest::collection::vec("[ -~äß€\"\r\n,;]{0,12}", 1..20)) {
        let mut text = "id,status,given_name\n".to_owned();
        for (nth, cell) in cells.iter().enumerate() {
            let _ = writeln!(text, "p{nth},active,\"{}\"", cell.replace('"', "\"\""));
        }
        let (_folder, feed) = feed(&[("people.csv", &text)], r#"{"people": "people.csv"}"#);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let (listed, aside) = runtime.block_on(people(&feed)).expect("people");
        proptest::prop_assert_eq!((listed.len(), aside.len()), (cells.len(), 0));
        for (one, cell) in listed.iter().zip(&cells) {
            proptest::prop_assert_eq!(one.profile.get("given_name").unwrap_or_default(), cell.as_str());
        }
    }
}
