//! A plan that was applied and rolled back leaves every record as it was: each reversible part byte for byte. What cannot
//! be undone was named when the plan was made.
//!
//! `TESTBED_ROLLBACK_PLANS` says how many plans; `TESTBED_ROLLBACK_SEED` lives a single world again.

use std::collections::BTreeMap;

use lockstep_contract::{
    Cardholder, CardholderId, Credential, CredentialId, CredentialKind, CredentialStatus, FieldName, InactiveStatus,
    Person, Profile, Standing, Status, Step, Subject, TargetId, Validity, field,
};
use lockstep_core::{Code, Mover, PlanDocument};
use lockstep_engine::Nobody;
use lockstep_simulation::bench::{cardholder, group, person, person_id, policy, rule, run};
use lockstep_simulation::campus::Campus;
use lockstep_simulation::dice::Dice;

const PLANS: u64 = 100;
const LEVELS: [&str; 5] = ["Door", "Lab", "Vault", "Other", "Manual"];
const GROUPS: [&str; 3] = ["All", "Lab", "Vault"];
const PEOPLE: u64 = 8;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

type Records = BTreeMap<(TargetId, CardholderId), Cardholder>;

fn records(campus: &Campus) -> Records {
    let of = |(target, sim): (&TargetId, &lockstep_sim::Sim)| {
        let records = sim.world().cardholders.clone();
        records.into_iter().map(|(id, record)| ((target.clone(), id), record)).collect::<Vec<_>>()
    };
    campus.pacs.iter().flat_map(of).collect()
}

fn world(dice: &mut Dice) -> Campus {
    let rules = vec![
        rule("Door", &["All"], &[], &[], 1),
        rule("Lab", &["Lab"], &[], &["Vault"], 2),
        rule("Vault", &["Vault"], &[], &[], 3),
    ];
    let mover = if dice.percent(50) { Mover::WithGrant } else { Mover::RevokeFirst };
    let campus = Campus::new(&LEVELS, policy(rules, mover));
    for name in GROUPS {
        campus.people.world().group(&group(name)).people.insert(person_id(9_999));
    }
    for n in 1..=PEOPLE {
        change(dice, &campus, n);
        for sim in campus.pacs.values() {
            if dice.percent(75) {
                sim.world().insert(record(dice, n));
            }
        }
    }
    campus
}

fn record(dice: &mut Dice, n: u64) -> Cardholder {
    let levels: Vec<&str> = LEVELS.into_iter().filter(|_| dice.percent(40)).collect();
    let status = if dice.percent(15) { Status::Suspended } else { Status::Active };
    let mut record = cardholder(n, n, &levels, status);
    let mut profile = Profile::new();
    for (name, value) in record.profile.iter() {
        // Some fields are not there at all, some are empty, some hold what no directory would say.
        match dice.below(5) {
            0 if name.as_str() != field::DISPLAY_NAME => {}
            1 => profile.set(name.clone(), format!("  {value}\u{a0}é\u{301} ")),
            _ => profile.set(name.clone(), value),
        }
    }
    profile.set(FieldName::known(field::PHONE), "not ours");
    record.profile = profile;
    if dice.percent(50) {
        let until =
            jiff::Timestamp::from_second(1_900_000_000 + dice.below(1_000_000).cast_signed()).expect("in range");
        record.validity = Validity { from: None, until: Some(until) };
    }
    record.credentials = (0..dice.below(4))
        .map(|at| Credential {
            id: CredentialId::new(format!("k-{n}-{at}")).expect("an id"),
            kind: CredentialKind::Card,
            number: None,
            status: match dice.below(5) {
                0 => CredentialStatus::Inactive(InactiveStatus::Lost),
                1 => CredentialStatus::Inactive(InactiveStatus::Disabled),
                _ => CredentialStatus::Active,
            },
        })
        .collect();
    record
}

/// Something new about a person in the directory.
fn change(dice: &mut Dice, campus: &Campus, n: u64) {
    let standing = if dice.percent(75) { Standing::Active } else { Standing::Ended { since: None } };
    let mut world = campus.people.world();
    let person: Person = person(n, &format!("Department {}", dice.below(4)), standing);
    world.insert(person);
    for name in GROUPS {
        let members = &mut world.group(&group(name)).people;
        if dice.percent(50) {
            members.insert(person_id(n))
        } else {
            members.remove(&person_id(n))
        };
    }
}

async fn apply(campus: &Campus, document: &PlanDocument) -> Result<(), String> {
    let plan = campus.decide(document, &campus.yes_to_all(document)).await?;
    if !plan.left().is_empty() {
        return Err(format!("not everything may run: {:?} {:?}", plan.left(), document.trips()));
    }
    let report = campus.apply(document, &plan, &Nobody).await?;
    if report.complete() { Ok(()) } else { Err(format!("not everything was done: {report:?}")) }
}

/// The parts of a record that a rollback owes: not what the PACS counts for itself; and a field that is cleared is as
/// one that was never filled.
fn owed(record: &Cardholder) -> Cardholder {
    let filled = record.profile.iter().filter(|(_, value)| !value.is_empty());
    let profile = filled.map(|(name, value)| (name.clone(), value.to_owned())).collect();
    Cardholder { revision: None, profile, ..record.clone() }
}

/// The fuse, which counts what was taken of late, is no matter of this test.
async fn a_week_later(campus: &Campus) -> Result<(), String> {
    campus.pass(3_600 * 24 * 8);
    campus.reset_fuses().await
}

/// One world with so many plans. How many records were changed, and made.
async fn live(seed: u64, plans: u64) -> Result<(usize, usize), String> {
    let mut dice = Dice::new(seed);
    let campus = world(&mut dice);
    let (mut changed, mut made) = (0, 0);
    for _ in 0..plans {
        for n in 1..=PEOPLE {
            if dice.percent(40) {
                change(&mut dice, &campus, n);
            }
        }
        let before = records(&campus);
        let document = campus.plan().await?;
        apply(&campus, &document).await?;
        let after = records(&campus);
        changed += before.iter().filter(|(place, record)| after.get(*place) != Some(record)).count();
        a_week_later(&campus).await?;
        if let Some(back) = campus.roll_back(document.header.run).await? {
            apply(&campus, &back).await?;
        }
        made += restored(&document, &before, &records(&campus))?;
        a_week_later(&campus).await?;
        // What came of it is wiped away by the next plan, which is not rolled back.
        apply(&campus, &campus.plan().await?).await?;
        a_week_later(&campus).await?;
    }
    Ok((changed, made))
}

fn restored(document: &PlanDocument, before: &Records, now: &Records) -> Result<usize, String> {
    let mut made = 0;
    for (place, now) in now {
        match before.get(place) {
            Some(before) if owed(before) == owed(now) => {}
            Some(before) => return Err(format!("{place:?} was {before:?}\n and is {now:?}")),
            None if now.status == Status::Suspended && now.levels.is_empty() => made += 1,
            None => return Err(format!("{place:?} was made, and is still {now:?}")),
        }
    }
    let creates = |step: &Step| matches!(step, Step::Provision { .. });
    for entry in document.entries.iter().filter(|entry| entry.action.steps.iter().any(creates)) {
        let section = document.section(&entry.action.target).ok_or("no section")?;
        let Subject::New(key) = &entry.action.subject else { return Err("made without a key".to_owned()) };
        let named = |finding: &&lockstep_core::Finding| {
            finding.code == Code::NotReversible && finding.subject.contains(&entry.who.name)
        };
        if section.findings.iter().find(named).is_none() {
            return Err(format!("nobody was told that {key} cannot be unmade"));
        }
    }
    Ok(made)
}

#[test]
fn what_was_applied_and_rolled_back_is_as_it_was_byte_for_byte() {
    const EACH: u64 = 5;
    let one = |seed| run(live(seed, EACH)).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    if let Some(seed) = number("TESTBED_ROLLBACK_SEED") {
        one(seed);
        return;
    }
    let worlds = number("TESTBED_ROLLBACK_PLANS").unwrap_or(PLANS).div_ceil(EACH);
    let (changed, made) = (1..=worlds).map(one).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let plans = usize::try_from(worlds * EACH).unwrap_or(usize::MAX);
    assert!(changed > plans * 2 && made > plans / 4, "too little to mean anything: {changed} changed, {made} made");
}
