//! Two directories and one human: who is who, who has ended, and what nobody may guess.

mod site;

use std::collections::BTreeSet;

use lockstep_contract::{CorrelationKey, Directory, Entitled, KeyKind, Membership, Standing};
use lockstep_merge::{Anchor, Missing};

use site::{Site, cx, group, id};

const CORP: &str = "id,employee_number,status,name\nA1,1,active,Ann\nA2,2,active,Ben\nA3,3,left,Cas\nA4,4,active,Dee\n";
const ENDED: Standing = Standing::Ended { since: None };

fn by_number(hr: &str) -> Site {
    Site::new(Anchor::Employee, Missing::Undecided, CORP, hr)
}

fn hr(rows: &str) -> String {
    format!("id,employee_number,status,leave_date,department\n{rows}")
}

const ALL: &str = "H1,1,active,,Lab\nH2,2,active,,Office\nH3,3,active,,Office\nH4,4,active,,Office\n";

#[tokio::test]
async fn one_human_in_two_directories_is_one_person_with_what_both_know() {
    let site = by_number(&hr(ALL));
    let (people, aside) = site.census().await.expect("a census");
    assert_eq!((people.len(), aside), (4, Vec::new()), "four humans, not eight");
    assert_eq!(people[0].profile.get("department"), Some("Lab"), "what the authority does not know is filled in");
    for (kind, value) in [(KeyKind::Directory, "a1"), (KeyKind::Directory, "h1"), (KeyKind::Employee, "1")] {
        let key = CorrelationKey::new(kind, value).expect("a key");
        let found = site.merged.find(&cx(), &key).await.expect("finds");
        assert_eq!(found.iter().map(|one| &one.id).collect::<Vec<_>>(), [&id("A1")], "{key}");
    }
}

#[tokio::test]
async fn either_directory_ends_a_person_and_the_earliest_leaving_wins() {
    let site =
        by_number(&hr("H1,1,left,,Lab\nH2,2,active,2020-01-31,Lab\nH3,3,active,,Lab\nH4,4,active,2999-01-31,L\n"));
    assert_eq!(site.standing("A1").await, ENDED);
    assert_eq!(site.standing("A2").await, Standing::Ended { since: "2020-01-31T23:00:00Z".parse().ok() });
    assert_eq!(site.standing("A3").await, ENDED, "ended by the authority, whatever the feed says");
    assert_eq!(site.standing("A4").await, Standing::Active, "the last day is to come");
}

#[tokio::test]
async fn an_overlay_that_cannot_be_read_ends_nobody_and_brings_nobody_back() {
    let site = by_number(&hr("H1,1,left,,Lab\nH2,2,active,,Lab\nH3,3,active,,Lab\nH4,4,active,,Lab\n"));
    assert_eq!(site.standing("A1").await, ENDED);
    for spoil in ["id,employee_number,status,leave_date,department\nH1,1", "", "gone"] {
        if spoil == "gone" {
            site.remove("hr.csv");
        } else {
            site.write("hr.csv", spoil);
        }
        let (_, aside) = site.census().await.expect("the authority is read all the same");
        assert!(aside.iter().any(|line| line.starts_with("hr: directory: ")), "{aside:?}");
        for (person, standing) in [("A1", Standing::Unconfirmed), ("A2", Standing::Unconfirmed), ("A3", ENDED)] {
            assert_eq!(site.standing(person).await, standing, "{person} with {spoil:?}");
        }
        let answers = site.merged.members(&cx(), &BTreeSet::from([group("hr/Lab"), group("Staff")])).await;
        assert!(matches!(answers.get(&group("hr/Lab")), Some(Membership::Unreadable(_))), "{answers:?}");
        assert!(matches!(answers.get(&group("Staff")), Some(Membership::Members(_))), "{answers:?}");
    }
    site.write("hr.csv", &hr(ALL));
    assert_eq!(site.standing("A1").await, Standing::Active, "read again, it counts again");
}

#[tokio::test]
async fn who_is_missing_in_an_overlay_is_undecided_unless_the_site_says_otherwise() {
    let rows = hr("H1,1,active,,Lab\nH2,2,active,,Lab\n");
    let careful = by_number(&rows);
    assert_eq!(careful.standing("A4").await, Standing::Unconfirmed);
    assert_eq!(careful.standing("A3").await, ENDED);
    let unchanged = Site::new(Anchor::Employee, Missing::Unchanged, CORP, &rows);
    assert_eq!(unchanged.standing("A4").await, Standing::Active);
    // A row that nobody can read may be anybody's.
    unchanged.write("hr.csv", &format!("{rows}H4,4\nH9,9,active,,Lab\n"));
    assert_eq!(unchanged.standing("A4").await, Standing::Unconfirmed);
}

#[tokio::test]
async fn whoever_the_directories_disagree_about_is_undecided_and_both_are_named() {
    let same_number_twice = hr("H1,1,active,,Lab\nH7,1,left,,Lab\nH2,2,active,,Lab\nH3,3,active,,L\nH4,4,active,,L\n");
    let site = by_number(&same_number_twice);
    assert_eq!(site.standing("A1").await, Standing::Unconfirmed, "nobody can tell which of the two rows counts");
    assert_eq!(site.standing("A2").await, Standing::Active, "others go on");
    let (_, aside) = site.census().await.expect("a census");
    assert!(
        aside.iter().any(|line| line.contains("H1") && line.contains("H7") && line.contains("Ann (A1)")),
        "{aside:?}"
    );

    let by_id = |hr: &str| Site::new(Anchor::Directory { field: None }, Missing::Unchanged, CORP, hr);
    let other_number = by_id(&hr("A1,2,left,,Lab\nA2,2,active,,Lab\n"));
    assert_eq!(other_number.standing("A1").await, Standing::Unconfirmed, "the id says A1, the number says A2");
    assert_eq!(other_number.standing("A2").await, Standing::Unconfirmed);
    let (_, aside) = other_number.census().await.expect("a census");
    assert!(aside.iter().any(|line| line.contains("Ann (A1)") && line.contains("Ben (A2)")), "{aside:?}");

    let unknown_number = by_id(&hr("A1,99,left,,Lab\nA2,2,active,,Lab\n"));
    assert_eq!(unknown_number.standing("A1").await, Standing::Unconfirmed, "a number of nobody contradicts as well");
    let number_alone = by_id(&hr("H1,1,left,,Lab\nA2,2,active,,Lab\n"));
    assert_eq!(number_alone.standing("A1").await, Standing::Unconfirmed, "a number alone ends nobody");
    assert_eq!(number_alone.standing("A4").await, Standing::Active);
}

#[tokio::test]
async fn an_anchor_that_recognises_nobody_is_a_wrong_anchor_and_brings_nobody_back() {
    let site = Site::new(Anchor::Employee, Missing::Unchanged, CORP, &hr("H1,0001,left,,Lab\nH2,0002,active,,Lab\n"));
    assert_eq!(site.standing("A1").await, Standing::Unconfirmed);
    let (_, aside) = site.census().await.expect("a census");
    assert!(aside.iter().any(|line| line.contains("none of its 2 people")), "{aside:?}");
}

#[tokio::test]
async fn groups_are_named_by_directory_and_their_members_as_the_authority_names_them() {
    let site = by_number(&hr(ALL));
    site.write("hr-groups.csv", "group,member\nLab,H1\nLab,H2\nGuests,H1\nGuests,H9\n");
    site.write("hr.csv", &hr(&format!("{ALL}H9,9,active,,Lab\n")));
    let asked = ["hr/Lab", "hr/Guests", "Staff", "corp/Staff"].map(group);
    let answers = site.merged.members(&cx(), &BTreeSet::from(asked.clone())).await;
    let said = |name: &str, person: &str| answers.get(&group(name)).expect("answered").entitled(&id(person));
    assert_eq!([said("hr/Lab", "A1"), said("hr/Lab", "A4")], [Entitled::Yes, Entitled::No]);
    assert_eq!(
        [said("hr/Guests", "A1"), said("hr/Guests", "A4")],
        [Entitled::Yes, Entitled::Unknown],
        "a member who is nobody of the authority is never left out"
    );
    assert_eq!(answers.get(&asked[2]), answers.get(&asked[3]), "the authority may be named or not");
    let paths = site.merged.paths(&cx(), &id("A1"), &BTreeSet::from(asked)).await.expect("paths");
    assert_eq!(
        paths.keys().map(lockstep_contract::GroupId::as_str).collect::<Vec<_>>(),
        ["Staff", "corp/Staff", "hr/Guests", "hr/Lab"]
    );
}

#[tokio::test]
async fn changes_of_each_directory_are_told_as_people_of_the_authority() {
    let site = by_number(&hr(ALL));
    let fresh = site.merged.changes(&cx(), None).await.expect("changes");
    assert!(fresh.reset, "there is nothing to compare with");
    site.census().await.expect("a census");
    let quiet = site.merged.changes(&cx(), Some(fresh.next)).await.expect("changes");
    assert_eq!((quiet.people.as_slice(), quiet.reset), (&[][..], false));

    site.write("hr.csv", &hr(&ALL.replace("H2,2,active", "H2,2,left")));
    site.write("corp.csv", &CORP.replace("A4,4,active", "A4,4,left"));
    let both = site.merged.changes(&cx(), Some(quiet.next.clone())).await.expect("changes");
    assert_eq!((both.people, both.reset), (vec![id("A2"), id("A4")], false));
    assert_eq!(site.standing("A2").await, ENDED);

    site.write("hr.csv", &hr(&ALL.replace("Office", "Works")));
    site.write("hr.csv", &hr(ALL));
    let lost = site.merged.changes(&cx(), Some(fresh_of_others(&quiet.next))).await.expect("changes");
    assert!(lost.reset, "a watermark of other files is a census");
}

fn fresh_of_others(mark: &lockstep_contract::Watermark) -> lockstep_contract::Watermark {
    lockstep_contract::Watermark(mark.0.replace("corp", "other"))
}

#[tokio::test]
async fn what_one_census_found_out_serves_whoever_looks_at_single_people_by_another_connection() {
    let site = by_number(&hr(ALL));
    let memory = lockstep_merge::Memory::default();
    let open = || {
        let settings = (site::CORP, site::HR);
        site::merged(site.folder.path(), Anchor::Employee, Missing::Undecided, settings).remembering(&memory)
    };
    let (watch, census) = (open(), open());
    let mark = watch.changes(&cx(), None).await.expect("changes").next;
    site::all(&census).await.expect("a census");
    site.write("hr.csv", &hr(&ALL.replace("H2,2,active,,Office\n", "")));
    let told = watch.changes(&cx(), Some(mark)).await.expect("changes");
    assert_eq!((told.people, told.reset), (vec![id("A2")], false), "known although this one read nobody");
}
