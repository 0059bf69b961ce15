//! The files of the quickstart read whole, and hold what its README promises.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use lockstep_contract::{
    Cx, Directory as _, DirectoryId, EmptyProof, GroupId, Membership, Next, Opening, Person, Presence, Scope, Secret,
    SecretError, SecretRef, Secrets, Standing,
};
use lockstep_hr_csv::{Config, HrFeed, open};

struct NoSecrets;

impl Secrets for NoSecrets {
    fn get(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        Err(SecretError { reference: reference.clone(), message: "there are none".into() })
    }
}

fn day(ending: &str) -> HrFeed {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/quickstart");
    let settings = format!(
        r#"{{"people": "people{ending}.csv", "groups": "groups{ending}.csv", "time_zone": "Europe/Dublin",
            "status": {{"active": ["active"], "ended": ["left"]}}, "min_rows": 250}}"#
    );
    let config: Config = serde_json::from_str(&settings).expect("settings");
    open(DirectoryId::new("people").expect("id"), config, &Opening { base: &base, secrets: &NoSecrets }).expect("opens")
}

fn cx() -> Cx {
    Cx::new(Duration::from_secs(10))
}

async fn people(feed: &HrFeed) -> Vec<Person> {
    let page = feed.people(&cx(), &Scope::default(), None).await.expect("a page");
    assert!(matches!(page.next, Next::End(_)), "one page holds them all");
    assert_eq!(feed.take_quarantined(), [], "no row is set aside");
    page.items
}

fn ids(people: &[Person], standing: impl Fn(&Standing) -> bool) -> BTreeSet<String> {
    people.iter().filter(|one| standing(&one.standing)).map(|one| one.id.to_string()).collect()
}

#[tokio::test]
async fn the_second_day_has_joiners_leavers_a_rehire_and_somebody_undecided() {
    let (first, second) = (people(&day("")).await, people(&day("-day2")).await);
    let here = |one: &Standing| *one == Standing::Active;
    let ended = |one: &Standing| matches!(one, Standing::Ended { .. });
    let (before, after) = (ids(&first, here), ids(&second, here));
    assert_eq!((before.len(), ids(&first, ended).len()), (312, 2));
    let came: BTreeSet<&String> = after.difference(&before).collect();
    assert_eq!(came.len(), 7, "five joiners, somebody with a number that is taken, and a rehire: {came:?}");
    assert_eq!(ids(&second, ended).intersection(&before).count(), 3, "three are read as ended");
    assert_eq!(ids(&second, |one| *one == Standing::Unknown).len(), 1);
    let there: BTreeSet<String> = second.iter().map(|one| one.id.to_string()).collect();
    let gone: Vec<&String> = before.difference(&there).collect();
    assert_eq!(gone.len(), 1, "one is not in the file any more");
    let gone = first.iter().find(|one| one.id.to_string() == *gone[0]).expect("of the first day");
    assert!(matches!(day("-day2").lookup(&cx(), &gone.id).await, Ok(Presence::Gone(_))));
}

#[tokio::test]
async fn a_whole_group_is_emptied_on_the_second_day() {
    let group = GroupId::new("TRIAL-AURORA").expect("id");
    let asked = BTreeSet::from([group.clone()]);
    let before = day("").members(&cx(), &asked).await.remove(&group);
    assert!(matches!(&before, Some(Membership::Members(members)) if members.people().len() == 5), "{before:?}");
    let after = day("-day2").members(&cx(), &asked).await.remove(&group);
    assert_eq!(after, Some(Membership::Empty(EmptyProof::ServerCount)));
}
