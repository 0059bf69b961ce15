//! Random edits of the tenant, of its index and of what the registration may see, held against the truth after each: nobody
//! there is gone, nobody in a group is out of it, nobody out of it is in, and nobody concerned is left out of the changes.

use std::collections::BTreeSet;

use lockstep_contract::{Directory, Entitled, Presence, Standing};
use lockstep_entra::Entra;
use serde_json::json;
use uuid::Uuid;

use crate::simulator::opened::{cx, everybody, group, person};
use crate::simulator::{Simulator, Tenant};
use crate::world::{CANARY, EMPTY, OUTER, PLAIN, begin, id};

const EDITS: usize = 250;
const GROUPS: [u128; 3] = [PLAIN, OUTER, EMPTY];

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// One edit; whom it concerns.
fn edit(tenant: &mut Tenant, dice: &mut Dice) -> Option<Uuid> {
    let user = id(u128::from(dice.below(8)));
    let group = id(GROUPS[dice.below(3) as usize]);
    let there = tenant.users.contains_key(&user);
    match dice.below(12) {
        0 if there => tenant.soft_delete(user),
        1 if tenant.deleted.contains_key(&user) => tenant.restore(user),
        2 if tenant.deleted.contains_key(&user) => tenant.purge(user),
        3 if there => {
            let enabled = dice.below(2) == 0;
            tenant.set_user(user, "accountEnabled", json!(enabled));
        }
        4 | 5 if there => tenant.add_member(group, user),
        6 | 7 if tenant.groups[&group].members.contains(&user) && there => tenant.remove_member(group, user),
        8 => {
            let visibility = if dice.below(2) == 0 { json!("HiddenMembership") } else { json!(null) };
            tenant.set_group(group, "visibility", visibility);
            return None;
        }
        9 => {
            if !tenant.denied.remove(&group) {
                tenant.denied.insert(group);
            }
            return None;
        }
        10 => {
            if tenant.index.is_some() {
                tenant.index = None;
            } else {
                tenant.freeze_index();
            }
            return None;
        }
        11 => {
            tenant.properties_hidden = dice.below(3) == 0;
            return None;
        }
        _ if !there && !tenant.deleted.contains_key(&user) => tenant.add_user(user, json!({})),
        _ => return None,
    }
    Some(user)
}

/// How many were said to be gone.
async fn people_are_told_truly(simulator: &Simulator, directory: &Entra, what: &str) -> usize {
    let read = everybody(directory, &cx()).await;
    let tenant = simulator.tenant().clone();
    if let (Ok((people, _)), None) = (&read, &tenant.index) {
        let listed: BTreeSet<Uuid> = people.iter().filter_map(|it| it.id.as_uuid()).collect();
        assert_eq!(listed, tenant.users.keys().copied().collect(), "{what}");
        for person in people {
            let enabled = &tenant.users[&person.id.as_uuid().expect("an id")]["accountEnabled"];
            let right = match person.standing {
                Standing::Active => *enabled == json!(true),
                Standing::Ended { .. } => *enabled == json!(false),
                Standing::Unknown => tenant.properties_hidden,
                Standing::Away { .. } | Standing::Unconfirmed => false,
            };
            assert!(right, "{what}: {person:?}");
        }
    }
    let mut gone = 0;
    for n in 0..8 {
        match directory.lookup(&cx(), &person(n)).await {
            Ok(Presence::Gone(proof)) => {
                gone += 1;
                assert!(!tenant.users.contains_key(&id(n)), "{what}: {n} gone by {proof:?}");
            }
            Ok(Presence::Present(_)) => assert!(tenant.users.contains_key(&id(n)), "{what}: {n} present"),
            Err(_) => {}
        }
    }
    gone
}

/// How often it was said for certain that somebody is in a group, or out of it.
async fn groups_are_told_truly(simulator: &Simulator, directory: &Entra, what: &str) -> usize {
    let answers = directory.members(&cx(), &GROUPS.map(group).into()).await;
    let tenant = simulator.tenant().clone();
    let mut certain = 0;
    let everything = ["Member.Read.Hidden".to_owned()].into();
    for n in GROUPS {
        let truth = tenant.transitive(id(n), &everything);
        for someone in (0..8).filter(|someone| tenant.users.contains_key(&id(*someone))) {
            let said = answers[&group(n)].entitled(&person(someone));
            certain += usize::from(said != Entitled::Unknown);
            let is_in = truth.contains(&id(someone));
            let wrong = if is_in { Entitled::No } else { Entitled::Yes };
            assert_ne!(said, wrong, "{what}: person {someone} in group {n}: {:?}", answers[&group(n)]);
        }
    }
    certain
}

#[tokio::test]
async fn whatever_is_edited_nothing_false_is_said() {
    let (simulator, directory) = begin(json!({"page_size": 3})).await;
    let mut dice = Dice(4);
    let (mut gone, mut certain) = (0, 0);
    let mut mark = directory.changes(&cx(), None).await.expect("begun").next;
    for number in 0..EDITS {
        let concerned = edit(&mut simulator.tenant(), &mut dice);
        let what = format!("edit {number}, {concerned:?}");
        let changes = directory.changes(&cx(), Some(mark)).await.expect("changes");
        if let Some(user) = concerned {
            let named = changes.people.iter().any(|person| person.as_uuid() == Some(user));
            assert!(named || changes.reset, "{what}: not named");
        }
        mark = changes.next;
        gone += people_are_told_truly(&simulator, &directory, &what).await;
        certain += groups_are_told_truly(&simulator, &directory, &what).await;
    }
    assert!(simulator.tenant().users.contains_key(&id(CANARY)));
    assert!(gone > 100 && certain > 1_000, "whoever says nothing says nothing false: {gone} gone, {certain} certain");
}
