//! Whom a feed says to look at since a watermark, and that a day that comes or ends is noticed with no file changing.

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use lockstep_contract::{
    Changes, Cx, Directory, DirectoryId, Opening, PersonId, Presence, Secret, SecretError, SecretRef, Secrets,
    Standing, Watermark,
};
use lockstep_hr_csv::{HrFeed, open};

struct NoSecrets;

impl Secrets for NoSecrets {
    fn get(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        Err(SecretError { reference: reference.clone(), message: "there are none".into() })
    }
}

fn feed(folder: &Path) -> HrFeed {
    let settings = r#"{"people":"people.csv","groups":"groups.csv","time_zone":"Europe/Berlin","cut_over":"18:00",
        "columns":{"start_date":"start","absent_from":"away","absent_to":"back"},
        "sites":{"Leeds":{"time_zone":"Europe/London"}}}"#;
    let opening = Opening { base: folder, secrets: &NoSecrets };
    let config = serde_json::from_str(settings).expect("settings");
    open(DirectoryId::new("hr").expect("id"), config, &opening).expect("opens")
}

const HEADER: &str = "id,status,start,last day,away,back,site\n";

fn write(folder: &Path, rows: &str, groups: &str) {
    std::fs::write(folder.join("people.csv"), format!("{HEADER}{rows}")).expect("writes");
    std::fs::write(folder.join("groups.csv"), format!("group,member\n{groups}")).expect("writes");
}

fn cx() -> Cx {
    Cx::new(Duration::from_secs(5))
}

async fn since(feed: &HrFeed, mark: &Watermark) -> (Vec<String>, bool, Watermark) {
    let Changes { people, next, reset } = feed.changes(&cx(), Some(mark.clone())).await.expect("changes");
    (people.iter().map(PersonId::to_string).collect(), reset, next)
}

static NOW: AtomicI64 = AtomicI64::new(0);

fn clock() -> Timestamp {
    Timestamp::from_second(NOW.load(Ordering::SeqCst)).expect("a time")
}

fn set_clock(text: &str) {
    NOW.store(text.parse::<Timestamp>().expect("a time").as_second(), Ordering::SeqCst);
}

#[tokio::test]
async fn a_day_that_comes_or_ends_is_noticed_and_looked_up_with_no_file_changing() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = "P1,active,,2026-11-25,,,Bonn\nP2,active,,2026-11-25,,,Leeds\nP3,active,2026-11-26,,,,Bonn\n\
                P4,active,,,2026-11-20,2026-11-25,Bonn\nP5,active,,,,,Bonn\n";
    write(folder.path(), rows, "");
    set_clock("2026-11-25T12:00:00Z");
    let feed = feed(folder.path()).with_clock(clock);
    let begun = feed.changes(&cx(), None).await.expect("changes");
    assert!(begun.reset, "there is nothing to compare with");
    let standing = async |id: &str| {
        let id = PersonId::new(id).expect("id");
        match feed.lookup(&cx(), &id).await.expect("looked up") {
            Presence::Present(person) => person.standing,
            Presence::Gone(proof) => panic!("{proof:?}"),
        }
    };
    let mut mark = begun.next;
    for (now, who) in [
        ("2026-11-25T16:59:59Z", &[][..]),
        ("2026-11-25T17:00:00Z", &["P1"]),
        ("2026-11-25T17:59:59Z", &[]),
        ("2026-11-25T18:00:00Z", &["P2"]),
        ("2026-11-25T23:00:00Z", &["P3", "P4"]),
        ("2026-11-26T23:00:00Z", &[]),
    ] {
        set_clock(now);
        let (people, reset, next) = since(&feed, &mark).await;
        assert_eq!((people.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), reset), (who, false), "{now}");
        mark = next;
    }
    assert_eq!(standing("P1").await, Standing::Ended { since: "2026-11-25T17:00:00Z".parse().ok() });
    assert_eq!([standing("P3").await, standing("P4").await], [Standing::Active, Standing::Active]);
}

#[tokio::test]
async fn a_changed_file_names_whom_it_concerns_and_a_watermark_of_other_files_asks_for_a_census() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = "P1,active,,,,,Bonn\nP2,active,,,,,Bonn\nP3,active,,,,,Bonn\nP4,active,,,,,Bonn\n";
    write(folder.path(), rows, "LAB,P1\nLAB,P2\n");
    let feed = feed(folder.path());
    let mark = feed.changes(&cx(), None).await.expect("changes").next;
    assert_eq!(since(&feed, &mark).await.0, [""; 0]);

    write(
        folder.path(),
        "P1,active,,,,,Bonn\nP2,left,,,,,Bonn\nP4,active,,,,,Bonn\nP5,active,,,,,Bonn\n",
        "LAB,P2\nLAB,P4\n",
    );
    let (people, reset, next) = since(&feed, &mark).await;
    assert_eq!((people, reset), (["P1", "P2", "P3", "P4", "P5"].map(str::to_owned).to_vec(), false));

    write(folder.path(), rows, "LAB,group:ALL\nALL,P1\n");
    assert!(since(&feed, &next).await.1, "nobody can tell whom a nested group concerns");
    assert!(since(&feed, &mark).await.1, "files of which nothing is kept");
    let reopened = crate::feed(folder.path());
    let (people, reset, _) = since(&reopened, &since(&feed, &next).await.2).await;
    assert_eq!((people.len(), reset), (0, false), "the same files after a restart");
    assert!(since(&reopened, &Watermark("of another kind".into())).await.1);
}
