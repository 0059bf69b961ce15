//! Every kind of trouble with every kind of read: each ends in a fault, or in an answer that is right.

use std::time::Duration;

use lockstep_contract::{CorrelationKey, Cx, Directory, Entitled, KeyKind, Membership, Presence};
use lockstep_entra::Entra;
use serde_json::json;

use crate::simulator::opened::{self, everybody, group, person};
use crate::simulator::{Simulator, Tenant, Trouble, What};
use crate::world::{EMPTY, OUTER, PLAIN, begin};

/// Time enough for an answer, and not for one that never comes.
fn cx() -> Cx {
    Cx::new(Duration::from_millis(400))
}

/// Reads everything, and says how many reads failed. Whatever is answered must be so.
async fn only_the_truth(directory: &Entra, what: &str) -> usize {
    let mut faults = 0;
    match everybody(directory, &cx()).await {
        Ok((people, census)) => {
            assert_eq!((people.len(), census.sent), (10, 10), "{what}: a list with somebody missing");
        }
        Err(_) => faults += 1,
    }
    match directory.lookup(&cx(), &person(1)).await {
        Ok(presence) => assert!(matches!(presence, Presence::Present(_)), "{what}: somebody there is said gone"),
        Err(_) => faults += 1,
    }
    let key = CorrelationKey::new(KeyKind::Employee, "00901").expect("a key");
    match directory.find(&cx(), &key).await {
        Ok(found) => assert_eq!(found.len(), 1, "{what}: somebody there is not found"),
        Err(_) => faults += 1,
    }
    let asked = [group(PLAIN), group(OUTER), group(EMPTY)].into();
    let answers = directory.members(&cx(), &asked).await;
    assert_eq!(answers.len(), 3, "{what}: a group without an answer");
    for (n, within) in [(PLAIN, 0..4), (OUTER, 0..5), (EMPTY, 0..0)] {
        let answer = &answers[&group(n)];
        faults += usize::from(matches!(answer, Membership::Unreadable(_)));
        for someone in 0..10 {
            let wrong = if within.contains(&someone) { Entitled::No } else { Entitled::Yes };
            assert_ne!(answer.entitled(&person(someone)), wrong, "{what}: person {someone} in group {n}: {answer:?}");
        }
    }
    faults
}

/// The kinds of trouble, and whether every read must fail by it.
fn kinds(decoy: &Simulator) -> Vec<(What, bool)> {
    vec![
        (What::Status(401, None), true),
        (What::Status(403, None), true),
        (What::Status(404, None), false),
        (What::Status(410, None), true),
        (What::Status(429, Some(0)), true),
        (What::Status(500, None), true),
        (What::Status(503, Some(0)), true),
        (What::Status(504, None), true),
        (What::Gateway404, true),
        (What::Cut, true),
        (What::Reset, true),
        (What::Drip, true),
        (What::Html, true),
        (What::Silence, true),
        (What::Loop, false),
        (What::Repeat, false),
        (What::Elsewhere(decoy.root().to_owned()), false),
        (What::Redirect(decoy.root().to_owned()), true),
        (What::Empty, false),
        (What::Short, false),
    ]
}

#[tokio::test]
async fn whatever_goes_wrong_everywhere_nothing_false_is_said() {
    let decoy = Simulator::start(Tenant::new()).await;
    for (kind, all_fail) in kinds(&decoy) {
        let (simulator, directory) = begin(json!({"page_size": 3})).await;
        directory.probe(&opened::cx()).await.expect("well at first");
        simulator.trouble(Some(Trouble::always("", kind.clone())));
        let faults = only_the_truth(&directory, &format!("{kind:?}")).await;
        assert!(if all_fail { faults == 6 } else { faults > 0 }, "{kind:?}: {faults} faults");
    }
    assert!(decoy.arrived().is_empty());
}

#[tokio::test]
async fn whichever_page_goes_wrong_nothing_false_is_said() {
    let decoy = Simulator::start(Tenant::new()).await;
    for (kind, _) in kinds(&decoy).into_iter().filter(|(kind, _)| !matches!(kind, What::Drip | What::Silence)) {
        let (simulator, directory) = begin(json!({"page_size": 3})).await;
        for on in ["/users?", "/transitiveMembers", "$batch", "/users/", "$count=true"] {
            for skip in 0..4 {
                simulator.trouble(Some(Trouble { skip, times: 1, ..Trouble::always(on, kind.clone()) }));
                only_the_truth(&directory, &format!("{kind:?} with number {skip} of {on}")).await;
            }
        }
    }
    assert!(decoy.arrived().is_empty());
}

#[tokio::test]
async fn an_answer_of_a_gigabyte_is_not_taken() {
    let (simulator, directory) = begin(json!({})).await;
    simulator.trouble(Some(Trouble::always("/users?", What::Flood)));
    let long = Cx::new(Duration::from_secs(60));
    let fault = everybody(&directory, &long).await.expect_err("too long");
    assert!(fault.message.contains("longer than the limit"), "{fault}");
}
