//! One person is put out by name, and then everything happens that might bring them back: syncs, approvals of older and
//! newer plans, rollbacks, another identity in the directory, crashes, the same spool again. Nothing may, until a
//! reinstatement is approved and applied; then exactly what was taken comes back.
//!
//! The warden who watches looks at the records of both PACS and nothing else.

use std::collections::BTreeSet;

use lockstep_contract::{
    Cardholder, CardholderId, CorrelationKeys, Credential, CredentialId, CredentialKind, CredentialStatus, Cx,
    InactiveStatus, PersonId, RunId, Standing, Status, Target as _, TargetId,
};
use lockstep_core::{Hold, HoldId, LaneKind, Mover, PlanDocument};
use lockstep_engine::{Intent, SpoolEntry, Store as _};
use lockstep_sim::{Mishap, Operation};

use self::desk::{Tray, confirmed, cut, locked};
use self::warden::{Access, Seen};
use crate::bench::{cardholder, group, key, person, person_id, policy, rule, run};
use crate::campus::Campus;
use crate::crash::Crash;
use crate::dice::Dice;

mod desk;
mod warden;

const LEVELS: [&str; 4] = ["Door", "Lab", "Vault", "Manual"];
const MANAGED: [&str; 3] = ["Door", "Lab", "Vault"];
const PEOPLE: u64 = 5;
/// More polls than this for one operation are no work but a loop that never ends.
const POLLS_MAX: u64 = 200_000;

/// What became of one exile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Story {
    /// Operations tried while the person was out.
    pub operations: u64,
    /// Times the process died.
    pub crashes: u64,
    /// Plans that were applied, in whole or in part, while the person was out.
    pub applied: u64,
    /// The person came back.
    pub returned: bool,
    /// Records on which exactly what they had before the offboarding was there again.
    pub exact: u64,
}

/// Lives one exile through, with so many operations before the return. A desk that `forgets` switches the person off and
/// writes down no hold: the bug that the warden must see.
///
/// # Errors
/// With what was broken, and everything that led to it.
pub fn live(seed: u64, operations: u64, forgets: bool) -> Result<Story, String> {
    run(async {
        let mut exile = Exile::new(seed);
        exile.forgets = forgets;
        let story = exile.live(operations).await;
        story.map_err(|broken| format!("seed {seed}: {broken}\n{}", exile.campus.notes()))
    })
}

struct Exile {
    dice: Dice,
    campus: Campus,
    tray: Tray,
    /// Everything that was ever written to the spool.
    spool: Vec<SpoolEntry>,
    /// Plans to be approved one day.
    plans: Vec<PlanDocument>,
    /// Runs to be rolled back one day.
    runs: Vec<RunId>,
    /// What the person had when they were put out first, and the cards that somebody reported lost since.
    had: Seen,
    lost: BTreeSet<CredentialId>,
    /// Records that an operator deleted.
    deleted: BTreeSet<(TargetId, CardholderId)>,
    /// Records that an older plan or a rollback changed before anybody was put out there: what came of that is no matter
    /// of the offboarding, and is not given back with it.
    others: BTreeSet<(TargetId, CardholderId)>,
    identities: u64,
    forgets: bool,
    story: Story,
}

impl Exile {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let rules = vec![
            rule("Door", &["All"], &[], &[], 1),
            rule("Lab", &["Lab"], &[], &[], 2),
            rule("Vault", &["Vault"], &[], &[], 3),
        ];
        let campus = Campus::new(&LEVELS, policy(rules, Mover::WithGrant));
        {
            let mut world = campus.people.world();
            for n in 1..=PEOPLE {
                world.insert(person(n, "Works", Standing::Active));
                world.group(&group("All")).people.insert(person_id(n));
                for name in ["Lab", "Vault"] {
                    if dice.percent(50) {
                        world.group(&group(name)).people.insert(person_id(n));
                    }
                }
            }
            for name in ["Lab", "Vault"] {
                world.group(&group(name)).people.insert(person_id(9_999));
            }
        }
        for (id, sim) in &campus.pacs {
            for n in 1..=PEOPLE {
                // On the second PACS some have no record yet: a joiner there.
                if id.as_str() == "hq" || dice.percent(60) {
                    sim.world().insert(first_record(&mut dice, id, n));
                }
            }
        }
        Self {
            dice,
            campus,
            tray: Tray::default(),
            spool: Vec::new(),
            plans: Vec::new(),
            runs: Vec::new(),
            had: Seen::new(),
            lost: BTreeSet::new(),
            deleted: BTreeSet::new(),
            others: BTreeSet::new(),
            identities: 1,
            forgets: false,
            story: Story::default(),
        }
    }

    async fn live(&mut self, operations: u64) -> Result<Story, String> {
        for _ in 0..2 {
            self.sync().await?;
        }
        // Plans and runs from before, some of them to be approved and rolled back when it is too late.
        self.directory_changes();
        self.plans.push(self.campus.plan().await?);
        self.directory_changes();
        self.sync().await?;
        self.had = self.seen();
        self.put_out("the first time").await?;
        for at in 0..operations {
            self.story.operations += 1;
            let before = self.seen();
            self.campus.note(format!("operation {at}"));
            self.operation().await?;
            self.watch(&before)?;
            self.campus.pass(self.dice.below(7_200).cast_signed());
        }
        self.come_back().await?;
        Ok(self.story)
    }

    /// Every record that is the person's, by the one thing that stays the same.
    fn seen(&self) -> Seen {
        let mut seen = Seen::new();
        for (id, sim) in &self.campus.pacs {
            let theirs = |record: &&Cardholder| record.keys.contains(&key(1));
            let world = sim.world();
            let records = world.cardholders.values().filter(theirs);
            seen.extend(records.map(|record| ((id.clone(), record.id.clone()), Access::of(record))));
        }
        seen
    }

    /// The warden: whatever was done, the person has nothing that they had not before it.
    fn watch(&self, before: &Seen) -> Result<(), String> {
        for (place, now) in self.seen() {
            match before.get(&place) {
                Some(before) if now.within(before) => {}
                Some(before) => return Err(format!("{place:?} gained: {before:?} became {now:?}")),
                None => return Err(format!("a record was made for whoever is out: {place:?} {now:?}")),
            }
        }
        Ok(())
    }

    /// A named offboarding: what the desk could reach is switched off at once, and the record of it waits.
    async fn put_out(&mut self, what: &str) -> Result<(), String> {
        let mut entries = self.offboard(what).await;
        if self.forgets {
            entries.retain(|entry| matches!(entry, SpoolEntry::Action { .. }));
        }
        self.spool.extend(entries.iter().cloned());
        locked(&self.tray.waiting).extend(entries);
        Ok(())
    }

    async fn offboard(&mut self, what: &str) -> Vec<SpoolEntry> {
        let run = self.campus.next_run();
        self.runs.push(run);
        let (id, since) = (HoldId::of(run, 0), self.campus.now());
        let hold = |person, cardholders, keys| Hold {
            id: id.clone(),
            person,
            cardholders,
            keys,
            by: "desk".to_owned(),
            reason: what.to_owned(),
            since,
        };
        let keys: CorrelationKeys = [key(1)].into_iter().collect();
        let all = SpoolEntry::Hold { targets: BTreeSet::new(), hold: hold(Some(person_id(1)), Vec::new(), keys) };
        let mut entries = vec![all];
        let pacs: Vec<_> = self.campus.pacs.clone().into_iter().collect();
        for (target, sim) in pacs {
            if self.dice.percent(20) {
                self.campus.note(format!("  {what}: {target} was not reached"));
                continue;
            }
            let records: Vec<_> = sim.world().with_key(&key(1)).cloned().collect();
            for before in records {
                let only = hold(Some(person_id(1)), vec![before.id.clone()], CorrelationKeys::new());
                entries.push(SpoolEntry::Hold { targets: BTreeSet::from([target.clone()]), hold: only });
                let Some(action) = cut(run, &target, &before) else { continue };
                let intent = Intent { run, lane: LaneKind::Revoke, action, before: Some(before), at: since };
                let outcome = if self.dice.percent(15) {
                    self.campus.note(format!("  {what}: died before it was sent to {target}"));
                    None
                } else {
                    sim.apply(&Cx::new(std::time::Duration::from_secs(20)), &intent.action).await.ok();
                    Some(Box::new(confirmed(&intent)))
                };
                entries.push(SpoolEntry::Action { intent: Box::new(intent), outcome });
            }
        }
        entries
    }

    /// What every command begins with.
    async fn absorb(&self) -> Result<(), String> {
        self.tray.arrive();
        let waiting = locked(&self.tray.waiting).clone();
        if !waiting.is_empty() {
            self.campus.absorb(&waiting).await?;
            locked(&self.tray.waiting).clear();
        }
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), String> {
        self.absorb().await?;
        self.campus.settle(&self.tray).await?;
        let document = self.campus.plan().await?;
        self.runs.push(document.header.run);
        let yes = self.campus.yes_to_all(&document);
        self.apply(&document, &yes).await
    }

    async fn apply(&mut self, document: &PlanDocument, yes: &[lockstep_core::Approval]) -> Result<(), String> {
        let plan = self.campus.decide(document, yes).await?;
        self.absorb().await?;
        self.campus.apply(document, &plan, &self.tray).await?;
        self.story.applied += 1;
        Ok(())
    }

    /// Something that people or machines do. What is refused is refused; what is done is watched.
    async fn operation(&mut self) -> Result<(), String> {
        self.directory_changes();
        self.trouble();
        let what = self.dice.below(12);
        let before = self.seen();
        let polls = if self.dice.percent(20) { self.dice.below(150) } else { POLLS_MAX };
        let done = Crash::after(polls, self.one(what), || ()).await;
        match done {
            None if polls == POLLS_MAX => return Err("it never ends".to_owned()),
            None => {
                self.campus.note(format!("  {what}: died after {polls} polls"));
                self.story.crashes += 1;
                let lucky = self.dice.percent(50);
                self.campus.store.crash(lucky);
            }
            Some(Ok(())) => self.campus.note(format!("  {what}: done")),
            Some(Err(why)) => self.campus.note(format!("  {what}: {why}")),
        }
        if matches!(what, 5..=8) {
            let now = self.seen();
            let changed = before.into_iter().filter(|(place, before)| before.on && now.get(place) != Some(before));
            self.others.extend(changed.map(|(place, _)| place));
        }
        self.campus.restart();
        for sim in self.campus.pacs.values() {
            sim.faults().clear();
        }
        Ok(())
    }

    async fn one(&mut self, what: u64) -> Result<(), String> {
        match what {
            0..=3 => self.sync().await,
            4 => {
                self.absorb().await?;
                let document = self.campus.plan().await?;
                self.plans.push(document);
                Ok(())
            }
            5 | 6 => {
                let Some(document) = self.dice.pick(&self.plans).cloned() else { return Ok(()) };
                let yes = self.campus.yes_to_all(&document);
                self.apply(&document, &yes).await
            }
            7 | 8 => {
                let Some(old) = self.dice.pick(&self.runs).copied() else { return Ok(()) };
                self.absorb().await?;
                let Some(document) = self.campus.roll_back(old).await? else { return Ok(()) };
                self.runs.push(document.header.run);
                let yes = self.campus.yes_to_all(&document);
                self.apply(&document, &yes).await
            }
            9 => self.campus.absorb(&self.spool.clone()).await,
            10 => {
                // Asked for, but approved by nobody who may.
                self.absorb().await?;
                let Some(document) = self.campus.reinstate(&[key(1)]).await? else {
                    return Err("nobody is held out".to_owned());
                };
                let own = [self.campus.decision(&document, " CAROL ", None), self.campus.decision(&document, "", None)];
                self.apply(&document, &own).await
            }
            _ => self.return_overtaken().await,
        }
    }

    /// A return that was approved, and an offboarding that comes before or while it is applied.
    async fn return_overtaken(&mut self) -> Result<(), String> {
        self.absorb().await?;
        self.campus.settle(&self.tray).await?;
        let document = self.campus.reinstate(&[key(1)]).await?.ok_or("nobody is held out")?;
        let plan = self.campus.decide(&document, &self.campus.yes_to_all(&document)).await?;
        let again = self.offboard("again").await;
        self.spool.extend(again.iter().cloned());
        // From the first question on: later ones would let something come back before it is taken again.
        *locked(&self.tray.late) = Some((0, again));
        let applied = self.campus.apply(&document, &plan, &self.tray).await;
        self.tray.arrive();
        match applied {
            Err(why) => Err(why),
            Ok(_) => Err("a return was applied although the person was put out again".to_owned()),
        }
    }

    fn directory_changes(&mut self) {
        let mut world = self.campus.people.world();
        let ours: Vec<PersonId> =
            world.people.values().filter(|person| person.keys.contains(&key(1))).map(|p| p.id.clone()).collect();
        let what = self.dice.below(10);
        match what {
            0 => drop(world.people.get_mut(&person_id(1)).map(|p| p.standing = Standing::Ended { since: None })),
            1 => ours.iter().for_each(|id| world.delete(id)),
            2 => {
                world.insert(person(1, "Elsewhere", Standing::Active));
                world.group(&group("All")).people.insert(person_id(1));
            }
            3 => {
                // The same human under another identity, and not under the old one any more.
                for id in &ours {
                    world.delete(id);
                }
                self.identities += 1;
                let id = PersonId::new(format!("again-{}", self.identities)).expect("an id");
                let back = person(1, "Works", Standing::Active);
                world.insert(lockstep_contract::Person { id: id.clone(), ..back });
                for name in ["All", "Lab", "Vault"] {
                    world.group(&group(name)).people.insert(id.clone());
                }
            }
            4 | 5 => {
                let name = MANAGED.map(|_| ["All", "Lab", "Vault"][self.dice.below(3) as usize])[0];
                for id in ours {
                    let members = &mut world.group(&group(name)).people;
                    if !members.remove(&id) {
                        members.insert(id);
                    }
                }
            }
            6 => {
                let n = 2 + self.dice.below(PEOPLE - 1);
                let standing = if self.dice.percent(50) { Standing::Active } else { Standing::Ended { since: None } };
                world.insert(person(n, "Works", standing));
            }
            _ => return,
        }
        drop(world);
        self.campus.note(format!("  directory: {what}"));
    }

    /// What goes wrong on the PACS, and what its operators do to the person's record.
    fn trouble(&mut self) {
        let pacs: Vec<_> = self.campus.pacs.clone().into_iter().collect();
        for (id, sim) in pacs {
            if self.dice.percent(10) {
                let of = [Mishap::Down, Mishap::LostAnswer, Mishap::LostRequest, Mishap::Refuse];
                let (Some(mishap), nth) = (self.dice.pick(&of).copied(), 1 + self.dice.below(3) as u32) else { return };
                self.campus.note(format!("  {id}: write {nth} goes wrong: {mishap:?}"));
                sim.faults().on(Operation::Apply, nth, mishap);
            }
            if self.had.is_empty() || !self.dice.percent(4) {
                continue;
            }
            let records: Vec<_> = sim.world().with_key(&key(1)).cloned().collect();
            for mut record in records {
                if self.dice.percent(70) {
                    if let Some(card) = record.credentials.first_mut() {
                        self.campus.note(format!("  {id}: {} is reported lost", card.id));
                        card.status = CredentialStatus::Inactive(InactiveStatus::Lost);
                        self.lost.insert(card.id.clone());
                    }
                    sim.world().insert(record);
                } else {
                    self.campus.note(format!("  {id}: {} is deleted by hand", record.id));
                    self.deleted.insert((id.clone(), record.id.clone()));
                    sim.world().cardholders.remove(&record.id);
                }
            }
        }
    }

    /// A reinstatement that is approved and applied: exactly what was taken comes back.
    async fn come_back(&mut self) -> Result<(), String> {
        self.campus.note("the return");
        self.absorb().await?;
        self.campus.settle(&self.tray).await?;
        self.campus.reset_fuses().await?;
        let before = self.seen();
        let document = self.campus.reinstate(&[key(1)]).await?.ok_or("nobody is held out")?;
        let whole = [self.campus.decision(&document, "dora", None)];
        let plan = self.campus.decide(&document, &whole).await?;
        if plan.len() != document.entries.len() {
            return Err(format!("not all of the return may run: {:?}", plan.left()));
        }
        for section in &document.targets {
            let steps = document.entries.iter().filter(|entry| entry.action.target == section.target);
            let steps: Vec<_> = steps.flat_map(|entry| entry.action.steps.iter()).collect();
            self.campus.note(format!("  {}: {steps:?}, {:?}", section.target, section.findings));
        }
        let polls = if self.dice.percent(50) { self.dice.below(60) } else { POLLS_MAX };
        if Crash::after(polls, self.campus.apply(&document, &plan, &self.tray), || ()).await.is_none() {
            self.campus.note(format!("  died after {polls} polls"));
            let lucky = self.dice.percent(50);
            self.campus.store.crash(lucky);
            self.campus.restart();
            self.campus.settle(&self.tray).await?;
        }
        // The same plan again, as whoever finds it unfinished would.
        if let Ok(rest) = self.campus.decide(&document, &whole).await {
            self.campus.apply(&document, &rest, &self.tray).await?;
        }
        // An old spool that is found again brings nobody's hold back.
        self.campus.absorb(&self.spool.clone()).await?;
        for target in self.campus.pacs.keys() {
            let holds = self.campus.store.holds(target).await.map_err(|error| error.to_string())?;
            if !holds.0.is_empty() {
                return Err(format!("still held out on {target}: {holds:?}"));
            }
        }
        for (place, now) in self.seen() {
            let had = self.had.get(&place).cloned().unwrap_or_default();
            let before = before.get(&place).cloned().unwrap_or_default();
            let cards = had.cards.iter().filter(|card| !self.lost.contains(*card)).cloned().collect();
            let expected = Access { cards, ..had };
            let exact = !self.others.contains(&place);
            self.story.exact += u64::from(exact);
            if (exact && now != expected) || !now.within(&expected) || !before.within(&now) {
                return Err(format!("{place:?} is {now:?}, had {expected:?}, and had before the return {before:?}"));
            }
        }
        let there: BTreeSet<_> = self.seen().into_keys().collect();
        let missing = self.had.keys().find(|place| !there.contains(*place) && !self.deleted.contains(*place));
        if let Some(place) = missing {
            return Err(format!("{place:?} is gone"));
        }
        self.story.returned = true;
        self.directory_decides_again().await
    }

    /// The next run handles the person as any other: whoever has left is switched off again.
    async fn directory_decides_again(&mut self) -> Result<(), String> {
        {
            let mut world = self.campus.people.world();
            // A directory in which nobody is left is not believed.
            (1..=PEOPLE).for_each(|n| world.insert(person(n, "Works", Standing::Active)));
            // Under whatever identity they are known by now.
            let ours = world.people.values_mut().filter(|person| person.keys.contains(&key(1)));
            ours.for_each(|person| person.standing = Standing::Ended { since: None });
        }
        self.sync().await?;
        let still = self.seen().into_iter().find(|((target, id), access)| {
            let linked = self.had.contains_key(&(target.clone(), id.clone()));
            linked && access.on
        });
        still.map_or(Ok(()), |(place, access)| Err(format!("left, and still in: {place:?} {access:?}")))
    }
}

fn first_record(dice: &mut Dice, target: &TargetId, n: u64) -> Cardholder {
    let levels: Vec<&str> = LEVELS.into_iter().filter(|_| dice.percent(50)).collect();
    let mut record = cardholder(n, n, &levels, Status::Active);
    record.credentials = (0..3)
        .map(|at| Credential {
            id: CredentialId::new(format!("{target}-{n}-{at}")).expect("an id"),
            kind: CredentialKind::Card,
            number: None,
            status: match dice.below(6) {
                0 => CredentialStatus::Inactive(InactiveStatus::Lost),
                1 => CredentialStatus::Inactive(InactiveStatus::Disabled),
                _ => CredentialStatus::Active,
            },
        })
        .collect();
    record
}
