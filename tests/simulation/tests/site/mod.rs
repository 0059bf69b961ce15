//! A small site, for tests of one thing at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use lockstep_contract::{Cancel, Standing, Status};
use lockstep_core::{ActionState, ApprovedPlan, Link, LinkOrigin, Mover, PlanDocument};
use lockstep_engine::{ApplyOrder, ApplyReport, LinkChange, Nobody, NodeId, TargetReport};
use lockstep_simulation::bench::{self, Bench, cardholder, group, hq, key, person, person_id, policy, rule};
use lockstep_simulation::watched::Watched;
use lockstep_store::MemoryStore;

/// So many linked people, each with a record that is as it should be.
pub(crate) async fn site(people: u64) -> (Bench, Watched) {
    let sim = bench::pacs(&["Door", "Lab"], 1);
    let directory = bench::directory();
    {
        let (mut world, mut pacs) = (directory.world(), sim.world());
        for n in 1..=people {
            world.insert(person(n, "Works", Standing::Active));
            world.group(&group("All")).people.insert(person_id(n));
            pacs.insert(cardholder(n, n, &["Door"], Status::Active));
        }
        // Somebody outside: a group with nobody in it is never believed to be empty.
        world.group(&group("Lab")).people.insert(person_id(9_999));
    }
    let rules = vec![rule("Door", &["All"], &[], &[], 1), rule("Lab", &["Lab"], &[], &[], 2)];
    let (bench, watched) = Bench::new(sim, directory, Arc::new(MemoryStore::new()), policy(rules, Mover::WithGrant));
    let link = |n| {
        LinkChange::Add(Link {
            person: person_id(n),
            cardholder: cardholder(n, n, &[], Status::Active).id,
            origin: LinkOrigin::Provisioned,
            since: bench.now(),
            keys: [key(n)].into_iter().collect(),
            suspended_by: None,
        })
    };
    let links: Vec<_> = (1..=people).map(link).collect();
    let epoch = lease(&bench, "setup").await;
    bench.store.link(epoch, &hq(), &links).await.expect("linked");
    bench.store.release(epoch).await.expect("given back");
    (bench, watched)
}

pub(crate) async fn lease(bench: &Bench, who: &str) -> lockstep_engine::Epoch {
    let ttl = jiff::SignedDuration::from_mins(1);
    bench.store.lease(&NodeId(who.into()), ttl, bench.now()).await.expect("the lease is free")
}

pub(crate) fn leaves(bench: &Bench, people: impl IntoIterator<Item = u64>) {
    for n in people {
        bench.people.world().insert(person(n, "Works", Standing::Ended { since: None }));
    }
}

pub(crate) fn enters_the_lab(bench: &Bench, n: u64) {
    bench.people.world().group(&group("Lab")).people.insert(person_id(n));
}

pub(crate) async fn planned(bench: &Bench) -> (PlanDocument, ApprovedPlan) {
    let document = bench.plan(bench.next_run()).await.expect("both sides can be read").document;
    let approved = bench.approve(&document).await.expect("approved");
    assert_eq!(approved.len(), document.entries.len(), "everything was approved");
    (document, approved)
}

pub(crate) fn report(report: &ApplyReport) -> &TargetReport {
    report.targets.get(&hq()).expect("the target is in the report")
}

pub(crate) fn states(of: &TargetReport) -> Vec<ActionState> {
    of.actions.iter().map(|action| action.state).collect()
}

pub(crate) fn edit(bench: &Bench, n: u64, change: impl FnOnce(&mut lockstep_contract::Cardholder)) {
    let id = cardholder(n, n, &[], Status::Active).id;
    let mut pacs = bench.sim.world();
    let mut record = pacs.cardholders.get(&id).expect("there").clone();
    change(&mut record);
    pacs.insert(record);
}

pub(crate) fn order<'a>(bench: &'a Bench, fresh: Option<&'a PlanDocument>, cancel: Cancel) -> ApplyOrder<'a> {
    let now = bench.now();
    ApplyOrder {
        targets: BTreeMap::from([(hq(), bench.target.clone())]),
        limits: BTreeMap::from([(hq(), bench.limits.clone())]),
        store: &*bench.store,
        node: NodeId("another".into()),
        fresh,
        call_budget: std::time::Duration::from_secs(20),
        cancel,
        clock: Arc::new(move || now),
        observer: &Nobody,
    }
}
