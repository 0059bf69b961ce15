//! The same people in a directory of the house and in Entra ID: one person, not two, whoever says that somebody has left.

#[path = "../../../connectors/entra/tests/simulator/mod.rs"]
mod simulator;
mod site;

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockstep_contract::{CorrelationKey, Directory, Entitled, KeyKind, Presence, Standing};
use lockstep_merge::{Anchor, Merged, Missing, Overlay};
use serde_json::{Value, json};
use uuid::Uuid;

use simulator::{Simulator, Tenant, opened};
use site::{all, cx, feed, group, id};

/// How many people both have.
const PEOPLE: u128 = 6;
/// A group of the cloud that names people 0 and 1.
const LAB: u128 = 100;
/// The canary, and the group that shows it.
const CANARY: u128 = 900;
const PLANTED: u128 = 901;

/// The objectGUID of a person.
fn guid(n: u128) -> Uuid {
    Uuid::from_u128(0x0011_2233_4455_6677_8899_0000_0000_0000 + n)
}

/// The object id of the same person in the cloud.
fn cloud(n: u128) -> Uuid {
    Uuid::from_u128(n + 1)
}

fn number(n: u128) -> String {
    format!("{:05}", 700 + n)
}

fn tenant() -> Tenant {
    let mut tenant = Tenant::new();
    for n in 0..PEOPLE {
        let anchor = STANDARD.encode(guid(n).to_bytes_le());
        let user =
            json!({"onPremisesImmutableId": anchor, "employeeId": number(n), "displayName": format!("Person {n}")});
        tenant.add_user(cloud(n), user);
    }
    tenant.add_user(Uuid::from_u128(CANARY), json!({"accountEnabled": false}));
    tenant.add_group(Uuid::from_u128(LAB), "Lab", &[cloud(0), cloud(1)]);
    tenant.add_group(Uuid::from_u128(PLANTED), "Planted", &[Uuid::from_u128(CANARY)]);
    tenant
}

struct Hybrid {
    simulator: Simulator,
    merged: Merged,
    folder: tempfile::TempDir,
}

async fn hybrid(missing: Missing) -> Hybrid {
    let simulator = Simulator::start(tenant()).await;
    let canary = Uuid::from_u128(CANARY).to_string();
    let settings: Value = json!({"canary": canary, "canary_group": Uuid::from_u128(PLANTED).to_string()});
    let overlay = Overlay {
        directory: Arc::new(opened::open(&simulator, &settings)),
        anchor: Anchor::Directory { field: None },
        missing,
    };
    let folder = tempfile::tempdir().expect("a folder");
    let corp = feed(folder.path(), "corp", r#"{"people":"corp.csv","groups":"groups.csv","min_rows":1}"#);
    std::fs::write(folder.path().join("groups.csv"), "group,member\n").expect("writes");
    let merged = Merged::new(Arc::new(corp), vec![overlay]);
    let hybrid = Hybrid { simulator, merged, folder };
    hybrid.write(&[]);
    hybrid
}

impl Hybrid {
    /// The people of the house, without the account of those who have left.
    fn write(&self, left: &[u128]) {
        let row = |n: u128| {
            let status = if left.contains(&n) { "left" } else { "active" };
            format!("{},{},{status},Person {n}\n", guid(n), number(n))
        };
        let rows: String = (0..PEOPLE).map(row).collect();
        let text = format!("id,employee_number,status,display_name\n{rows}");
        std::fs::write(self.folder.path().join("corp.csv"), text).expect("writes");
    }

    async fn standing(&self, n: u128) -> Standing {
        let people = all(&self.merged).await.expect("a census");
        let listed = people.into_iter().find(|person| person.id.as_uuid() == Some(guid(n))).expect("listed").standing;
        let Presence::Present(found) = self.merged.lookup(&cx(), &id(&guid(n).to_string())).await.expect("looked up")
        else {
            panic!("person {n} is gone")
        };
        assert_eq!(found.standing, listed, "a look-up says the same as the census");
        listed
    }
}

#[tokio::test]
async fn the_same_people_in_both_are_one_person_each_found_by_either_id() {
    let hybrid = hybrid(Missing::Undecided).await;
    let people = all(&hybrid.merged).await.expect("a census");
    assert_eq!(people.len() as u128, PEOPLE, "one person, not two");
    assert_eq!(hybrid.merged.take_quarantined(), [], "the canary is nobody of the house, and no dispute");
    for text in [guid(0).to_string(), cloud(0).to_string(), format!("{{{}}}", guid(0))] {
        let Ok(key) = CorrelationKey::new(KeyKind::Directory, text.trim_matches(['{', '}'])) else { panic!("{text}") };
        let found = hybrid.merged.find(&cx(), &key).await.expect("finds");
        assert_eq!(found.iter().map(|person| person.id.clone()).collect::<Vec<_>>(), [id(&guid(0).to_string())]);
        assert_eq!(found[0].keys.of(KeyKind::Directory).count(), 2, "a cardholder may carry either id");
    }
}

#[tokio::test]
async fn either_account_that_is_disabled_ends_the_person() {
    let hybrid = hybrid(Missing::Undecided).await;
    hybrid.simulator.tenant().set_user(cloud(1), "accountEnabled", json!(false));
    hybrid.write(&[2]);
    for (n, expected) in
        [(0, Standing::Active), (1, Standing::Ended { since: None }), (2, Standing::Ended { since: None })]
    {
        assert_eq!(hybrid.standing(n).await, expected, "{n}");
    }
}

#[tokio::test]
async fn a_cloud_that_cannot_be_read_ends_nobody_and_one_account_that_vanished_there_is_undecided() {
    let hybrid = hybrid(Missing::Undecided).await;
    hybrid.simulator.tenant().set_user(cloud(1), "accountEnabled", json!(false));
    hybrid.simulator.tenant().soft_delete(cloud(4));
    hybrid.write(&[2]);
    assert_eq!(hybrid.standing(4).await, Standing::Unconfirmed, "the authority says who exists, and he does");
    hybrid.simulator.stop().await;
    let people = all(&hybrid.merged).await.expect("the house is read all the same");
    let standings: Vec<Standing> = people.into_iter().map(|person| person.standing).collect();
    let open = Standing::Unconfirmed;
    assert_eq!(standings, [open, open, Standing::Ended { since: None }, open, open, open]);
}

#[tokio::test]
async fn members_of_a_group_of_the_cloud_are_people_of_the_house() {
    let hybrid = hybrid(Missing::Undecided).await;
    let lab = group(&format!("cloud/{}", Uuid::from_u128(LAB)));
    let answers = hybrid.merged.members(&cx(), &BTreeSet::from([lab.clone()])).await;
    let said = |n| answers.get(&lab).expect("answered").entitled(&id(&guid(n).to_string()));
    assert_eq!([said(0), said(1), said(2)], [Entitled::Yes, Entitled::Yes, Entitled::No]);
    let paths = hybrid.merged.paths(&cx(), &id(&guid(0).to_string()), &BTreeSet::from([lab.clone()])).await;
    assert!(paths.expect("paths").contains_key(&lab));
}

#[tokio::test]
async fn what_happens_in_the_cloud_is_noticed_as_the_person_of_the_house() {
    let hybrid = hybrid(Missing::Undecided).await;
    let mark = hybrid.merged.changes(&cx(), None).await.expect("a watermark").next;
    all(&hybrid.merged).await.expect("a census");
    hybrid.simulator.tenant().set_user(cloud(3), "accountEnabled", json!(false));
    hybrid.simulator.tenant().remove_member(Uuid::from_u128(LAB), cloud(1));
    let told = hybrid.merged.changes(&cx(), Some(mark)).await.expect("changes");
    assert_eq!((told.people, told.reset), (vec![id(&guid(1).to_string()), id(&guid(3).to_string())], false));
}
