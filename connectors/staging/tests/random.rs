//! A thousand times, something is lost on the way: the file is taken or not, the export comes or not, the process dies. In
//! the end nobody is there twice, and whoever was said to be done is done.

mod common;

use common::{Site, cx, joiner, on};
use lockstep_conformance::Seed;
use lockstep_contract::{ApplyFault, FaultKind, Reduction, Status, Subject, Target, TargetReader};
use lockstep_staging::ImportProfile;

const WORLDS: u64 = 10;
const CASES: usize = 100;

/// A generator of numbers that is the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

async fn one(site: &mut Site, dice: &mut Dice, number: usize) {
    let creates = dice.below(2) == 0;
    let action = if creates {
        joiner(number)
    } else {
        on(&site.id(number % Seed::CARDHOLDERS), vec![Reduction::Suspend.into()])
    };
    for sends in 0.. {
        assert!(sends < 20, "it never ends");
        let answer = site.target.apply(&cx(), &action).await;
        match dice.below(4) {
            0 => {}
            1 => site.importer.import_all(),
            2 => site.importer.tick(),
            _ => {
                site.importer.import_all();
                site.reopen();
            }
        }
        match answer {
            Ok(_) => return,
            Err(ApplyFault::Uncertain(fault)) => assert_eq!(fault.kind, FaultKind::Unconfirmed, "{fault}"),
            Err(other) => panic!("nothing was refused: {other}"),
        }
        // As the engine does: an unknown outcome is resolved by reading, however long that takes.
        for _ in 0..20 {
            let seen = match &action.subject {
                Subject::Existing(id) => site.target.read(&cx(), id).await.map(|record| record.into_iter().collect()),
                Subject::New(key) => site.target.find(&cx(), key).await,
            };
            match seen {
                Ok(records) if creates && records.len() == 1 => return,
                Ok(records) if !creates && records[0].status == Status::Suspended => return,
                Ok(_) => break,
                Err(fault) => assert_eq!(fault.kind, FaultKind::Unconfirmed, "{fault}"),
            }
            if dice.below(2) == 0 {
                site.importer.import_all();
            }
            site.newer_export().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_a_thousand_lost_answers_nobody_is_there_twice() {
    let worlds = (0..WORLDS).map(|world| {
        tokio::spawn(async move {
            let profile = ImportProfile::shipped("genetec").expect("shipped");
            let mut site = Site::with(profile, "genetec", &Seed::standard());
            let mut dice = Dice(world + 1);
            for number in 0..CASES {
                one(&mut site, &mut dice, number).await;
            }
            site.importer.tick();
            let (people, created) = site.importer.world(|world| (world.len() as u64, world.created()));
            assert_eq!(people, Seed::CARDHOLDERS as u64 + created, "everybody was made once");
            let listed = site.target.list(&cx(), None).await.expect("whole").items;
            let mut names: Vec<_> = listed.iter().filter_map(|one| one.profile.get("given_name")).collect();
            names.sort_unstable();
            let all = names.len();
            names.dedup();
            assert_eq!(names.len(), all, "nobody is there twice");
            created
        })
    });
    let mut created = 0;
    for world in worlds.collect::<Vec<_>>() {
        created += world.await.expect("a world");
    }
    assert!(created > 300, "only {created} joiners: the dice are loaded");
}
