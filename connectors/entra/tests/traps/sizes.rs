//! How many requests a whole read takes: as many as the documented sizes of pages and batches allow, and no more.

use std::collections::BTreeSet;

use lockstep_contract::{Directory, GroupId, Membership};
use serde_json::json;
use uuid::Uuid;

use crate::simulator::opened::{cx, everybody, open};
use crate::simulator::{Simulator, Tenant};

#[tokio::test]
async fn a_whole_read_takes_the_fewest_requests() {
    let mut tenant = Tenant::new();
    let users: Vec<Uuid> = (0..2_500_u128).map(|n| Uuid::from_u128(n + 1)).collect();
    for user in &users {
        tenant.add_user(*user, json!({}));
    }
    let groups: Vec<Uuid> = (0..80_u128).map(|n| Uuid::from_u128(n + 1_000_000)).collect();
    for (n, group) in groups.iter().enumerate() {
        tenant.add_group(*group, &format!("Group {n}"), &users[n * 10..n * 10 + 10]);
    }
    tenant.add_group(groups[0], "Everybody", &users);
    let simulator = Simulator::start(tenant).await;
    let directory = open(&simulator, &json!({}));
    let (people, _) = everybody(&directory, &cx()).await.expect("read");
    assert_eq!((people.len(), simulator.arrived().len()), (2_500, 3), "999 on a page");
    let asked: BTreeSet<GroupId> =
        groups.iter().map(|group| GroupId::new(group.to_string()).expect("a group")).collect();
    let answers = directory.members(&cx(), &asked).await;
    assert!(answers.values().all(|answer| matches!(answer, Membership::Members(members) if members.gaps() == 0)));
    let requests = simulator.arrived().into_iter().filter(|request| !request.in_batch).count();
    assert_eq!(
        requests,
        80 * 3 / 20 + 2,
        "three questions a group, twenty in a request, and two more pages of one group"
    );
}
