//! PACS, people and a journal to test with.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use lockstep_contract::{
    Cardholder, CardholderId, CorrelationKey, CorrelationKeys, KeyKind, Profile, Status, TargetId, TargetReader as _,
    Validity,
};
use lockstep_offboard::{
    Event, Journal, KnownRecords, Pacs, Person, Place, Progress, Report, Request, Roster, Times, offboard, roster,
};
use lockstep_sim::{Sim, World, standard_capabilities};
use tokio::time::Instant;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A PACS that can search by these kinds of key only.
pub(crate) fn pacs(id: &str, kinds: &[KeyKind], holders: &[(&str, &[&str])]) -> Sim {
    let mut world = World::new(id);
    for (record, keys) in holders {
        world = world.with_cardholder(holder(record, keys));
    }
    let mut can = standard_capabilities();
    can.keys = kinds.iter().copied().collect();
    Sim::in_memory_with(TargetId::new(id).expect("id"), world, can)
}

pub(crate) fn holder(id: &str, keys: &[&str]) -> Cardholder {
    let key = |text: &&str| {
        let (kind, value) = text.split_once(':').expect("a kind");
        CorrelationKey::new(kind.parse().expect("a kind"), value).expect("a key")
    };
    Cardholder {
        id: CardholderId::new(id).expect("id"),
        keys: keys.iter().map(key).collect::<CorrelationKeys>(),
        profile: Profile::new(),
        status: Status::Active,
        levels: BTreeSet::new(),
        credentials: Vec::new(),
        validity: Validity::ALWAYS,
        site: None,
        revision: None,
    }
}

pub(crate) fn is_out(sim: &Sim, record: &str) -> bool {
    sim.world().cardholders[&CardholderId::new(record).expect("id")].status == Status::Suspended
}

/// Remembers everything.
#[derive(Default)]
pub(crate) struct Memory(pub(crate) Mutex<Vec<Event>>);

impl Journal for Memory {
    fn record(&self, events: &[(usize, Event)]) -> Result<(), String> {
        self.0.lock().expect("whole").extend(events.iter().map(|(_, event)| event.clone()));
        Ok(())
    }

    /// With paused time the thread of the journal may be too slow.
    fn late(&self, _: usize, event: &Event) {
        self.0.lock().expect("whole").push(event.clone());
    }
}

pub(crate) fn place(sim: &Sim) -> Place {
    Place {
        id: sim.info().id.clone(),
        gate: Pacs::open(Arc::new(sim.clone())),
        managed: BTreeSet::new(),
        managed_whole: true,
    }
}

pub(crate) fn request(who: &str) -> Request {
    Request {
        who: who.parse().expect("names somebody"),
        reason: "theft".into(),
        ticket: None,
        by: "Desk".into(),
        at: Timestamp::UNIX_EPOCH,
        all: false,
        dry_run: false,
    }
}

pub(crate) async fn run(request: Request, places: Vec<Place>, journal: Arc<dyn Journal>, roster: Roster) -> Report {
    let person = Person { nth: 0, request, roster, judged: Vec::new() };
    let times = Times { started: Instant::now(), patience: PATIENCE };
    offboard(vec![person], places, journal, Arc::new(()), times).await.remove(0)
}

pub(crate) async fn put_out(who: &str, places: &[&Sim], journal: Arc<dyn Journal>) -> Report {
    let places = places.iter().map(|sim| place(sim)).collect();
    run(request(who), places, journal, roster(KnownRecords::new())).await
}

pub(crate) async fn out(who: &str, places: &[&Sim]) -> Report {
    put_out(who, places, Arc::new(Memory::default())).await
}

pub(crate) fn progress<'r>(report: &'r Report, target: &str) -> &'r Progress {
    &report.targets[&TargetId::new(target).expect("id")].progress
}
