//! What an emergency offboarding works with when everything else is down: the roster says who is who, the spool keeps
//! the record. Both may be missing; that never stops an offboarding.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::{
    Action, ActionId, Cardholder, CardholderId, CorrelationKeys, KeyKind, PersonId, Reduction, RunId, Step, Subject,
    TargetId,
};
use lockstep_core::{ActionEvent, Hold, LaneKind, Links};
use lockstep_engine::{Intent, LinkChange, Outcome, SpoolEntry};
use lockstep_offboard::{Event, Journal, Who};
use lockstep_store::{Roster as Known, Spool};
use serde::{Deserialize, Serialize};

use crate::terminal;

/// The folder of the spool within that of the state.
pub(crate) const SPOOL: &str = "spool";
/// The file of the roster within the folder of the state.
pub(crate) const ROSTER: &str = "roster.db";

/// One line of the spool: what happened, and in the course of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// The command.
    pub run: RunId,
    /// Which of the people named, from 0.
    pub nth: usize,
    /// The keys they were named by.
    pub keys: CorrelationKeys,
    /// The record they were named by.
    pub record: Option<(TargetId, CardholderId)>,
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// Where the record of one command goes: one file of the spool, made when it is needed.
pub(crate) struct Record {
    folder: Option<PathBuf>,
    run: RunId,
    open: Mutex<Option<Spool>>,
}

impl Record {
    /// The record of a command. Without a folder (a dry run) nothing is recorded.
    pub(crate) fn new(state: Option<&Path>, run: RunId) -> Self {
        Self { folder: state.map(|state| state.join(SPOOL)), run, open: Mutex::default() }
    }

    /// The journal for one of the people named.
    pub(crate) fn of(&self, nth: usize, who: &Who) -> PersonRecord<'_> {
        let record = match who {
            Who::Cardholder { target, id } => Some((target.clone(), id.clone())),
            Who::Key(_) | Who::Bare(_) => None,
        };
        PersonRecord { all: self, nth, keys: who.keys().into_iter().collect(), record }
    }

    /// The file, when there is one.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.as_ref().map(|spool| spool.path().to_path_buf())
    }

    fn append(&self, line: &Line) -> Result<(), String> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.is_none() {
            *open = Some(Spool::create(folder, &self.run.to_string()).map_err(|error| error.to_string())?);
        }
        match open.as_mut() {
            Some(spool) => spool.append(line).map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }
}

/// The journal of one person's offboarding.
pub(crate) struct PersonRecord<'a> {
    all: &'a Record,
    nth: usize,
    keys: CorrelationKeys,
    record: Option<(TargetId, CardholderId)>,
}

impl Journal for PersonRecord<'_> {
    fn record(&self, event: &Event) -> Result<(), String> {
        let line = Line {
            run: self.all.run,
            nth: self.nth,
            keys: self.keys.clone(),
            record: self.record.clone(),
            at: Timestamp::now(),
            event: event.clone(),
        };
        self.all.append(&line).inspect_err(|_| second_best(&line.event))
    }
}

/// The disk does not take the record: stderr is the second place, so that a service manager's log may have it.
fn second_best(event: &Event) {
    let line = match event {
        Event::Hold { who, reason, by, at } => {
            serde_json::json!({"event": "hold", "who": who, "reason": reason, "by": by, "at": at})
        }
        Event::Intent { action, .. } => {
            serde_json::json!({"event": "intent", "target": action.target, "subject": action.subject})
        }
        Event::Outcome { target, cardholder, confirmed, .. } => {
            serde_json::json!({"event": "outcome", "target": target, "cardholder": cardholder, "confirmed": confirmed})
        }
    };
    terminal::complain(&line.to_string());
}

/// How many people somebody put out within the last hour, as far as the spool tells. It never keeps anybody from being
/// put out: what cannot be read counts as nobody.
pub(crate) fn recently(state: &Path, by: &str, now: Timestamp) -> usize {
    /// A line of a spool file, read without its chain: taken-over files are only counted here.
    #[derive(Deserialize)]
    struct Written {
        event: Line,
    }
    let is_recent = |line: &str| match serde_json::from_str::<Written>(line) {
        Ok(Written { event: Line { event: Event::Hold { by: one, at, .. }, .. } }) => {
            let age = now.duration_since(at);
            same_human(one.split(" and ").next().unwrap_or_default(), by) && age < SignedDuration::from_hours(1)
        }
        Ok(_) | Err(_) => false,
    };
    let files = std::fs::read_dir(state.join(SPOOL)).into_iter().flatten().flatten();
    let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    texts.map(|text| text.lines().filter(|line| is_recent(line)).count()).sum()
}

/// Two spellings of one name.
pub(crate) fn same_human(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    plain(one) == plain(other)
}

/// Who is who, as the last good run left it.
pub(crate) struct Roster(Option<Known>);

impl Roster {
    /// Opens the roster; without one, each PACS is asked for itself.
    pub(crate) fn open(state: &Path) -> Self {
        Self(Known::load(state.join(ROSTER)).ok())
    }

    /// The records of a person, by target.
    pub(crate) fn known(&self, who: &Who) -> BTreeMap<TargetId, BTreeSet<CardholderId>> {
        let keys = who.keys();
        self.0.as_ref().and_then(|roster| roster.lookup(&keys).ok()).unwrap_or_default()
    }
}

/// What is known of one person of one command.
#[derive(Default)]
struct Told<'l> {
    hold: Option<&'l Line>,
    /// By record: the first intent, with the record as it was before anything.
    intents: BTreeMap<(&'l TargetId, &'l CardholderId), (&'l Line, &'l Action, &'l Cardholder)>,
    outcomes: BTreeMap<(&'l TargetId, &'l CardholderId), &'l Line>,
    records: BTreeMap<&'l TargetId, BTreeSet<&'l CardholderId>>,
}

/// One file of the spool as the store takes it over. `links` says who a record belongs to.
pub(crate) fn entries(lines: &[Line], links: &BTreeMap<TargetId, Links>) -> Vec<SpoolEntry> {
    let mut people: BTreeMap<usize, Told<'_>> = BTreeMap::new();
    for line in lines {
        let told = people.entry(line.nth).or_default();
        if let Some((target, record)) = &line.record {
            told.records.entry(target).or_default().insert(record);
        }
        match &line.event {
            Event::Hold { .. } => told.hold = told.hold.or(Some(line)),
            Event::Intent { action, before } => {
                told.records.entry(&action.target).or_default().insert(&before.id);
                told.intents.entry((&action.target, &before.id)).or_insert((line, action, before));
            }
            Event::Outcome { target, cardholder, .. } => {
                told.records.entry(target).or_default().insert(cardholder);
                told.outcomes.insert((target, cardholder), line);
            }
        }
    }
    people.values().flat_map(|told| holds(told, links).into_iter().chain(actions(told))).collect()
}

/// The person stays out: on every PACS by key and by identity, on each that knows them by record, too.
fn holds(told: &Told<'_>, links: &BTreeMap<TargetId, Links>) -> Vec<SpoolEntry> {
    let Some(line) = told.hold else { return Vec::new() };
    let Event::Hold { reason, by, at, .. } = &line.event else { return Vec::new() };
    let found = !told.records.is_empty();
    // A card number in full stays out of the state where the record itself is known.
    let keys: CorrelationKeys = line.keys.iter().filter(|key| !found || key.kind() != KeyKind::Card).cloned().collect();
    let hold = |person: Option<PersonId>, cardholders: Vec<CardholderId>| Hold {
        person,
        cardholders,
        keys: keys.clone(),
        by: by.clone(),
        reason: reason.clone(),
        since: *at,
    };
    let owner =
        |target: &TargetId, record: &CardholderId| Some(links.get(target)?.of_cardholder(record)?.person.clone());
    let all = told.records.iter().flat_map(|(target, records)| records.iter().map(move |record| (*target, *record)));
    let people: BTreeSet<PersonId> = all.filter_map(|(target, record)| owner(target, record)).collect();
    let mut entries = Vec::new();
    if people.is_empty() && !keys.is_empty() {
        entries.push(SpoolEntry::Hold { targets: BTreeSet::new(), hold: hold(None, Vec::new()) });
    }
    for person in people {
        entries.push(SpoolEntry::Hold { targets: BTreeSet::new(), hold: hold(Some(person), Vec::new()) });
    }
    for (target, records) in &told.records {
        let cardholders = records.iter().map(|record| (*record).clone()).collect();
        entries.push(SpoolEntry::Hold { targets: BTreeSet::from([(*target).clone()]), hold: hold(None, cardholders) });
    }
    entries
}

/// What was sent, under the id of this command: the same person may be put out again another year.
fn actions(told: &Told<'_>) -> Vec<SpoolEntry> {
    let mut entries = Vec::new();
    for (record, (line, action, before)) in &told.intents {
        let subject = Subject::Existing(before.id.clone());
        let id = ActionId::of(line.run, &action.target, &subject, &action.steps);
        let action = Action { id, subject, ..(*action).clone() };
        let outcome = told.outcomes.get(record).and_then(|after| outcome(after, line.run, &action));
        let before = Some((*before).clone());
        let intent = Intent { run: line.run, lane: LaneKind::Revoke, action, before, at: line.at };
        entries.push(SpoolEntry::Action { intent: Box::new(intent), outcome });
    }
    entries
}

/// What the read-back showed. Not confirmed stays open: the next run reads again, and sends again.
fn outcome(line: &Line, run: RunId, action: &Action) -> Option<Box<Outcome>> {
    let Event::Outcome { confirmed, detail, cardholder, .. } = &line.event else { return None };
    let suspends = action.steps.iter().any(|step| *step == Step::Reduce(Reduction::Suspend));
    let links = if *confirmed && suspends {
        vec![LinkChange::Suspended { cardholder: cardholder.clone(), by: run }]
    } else {
        Vec::new()
    };
    let event = if *confirmed { ActionEvent::Verify } else { ActionEvent::Doubt };
    Some(Box::new(Outcome { event, at: line.at, detail: detail.clone(), after: None, links }))
}

#[cfg(test)]
mod tests {
    use lockstep_contract::{CorrelationKey, Expectation, Profile, Reason, Situation, Status, Steps, Validity};
    use lockstep_core::{Link, LinkOrigin};

    use super::*;

    fn target() -> TargetId {
        TargetId::new("hq").expect("id")
    }

    fn holder(status: Status) -> Cardholder {
        Cardholder {
            id: CardholderId::new("h-1").expect("id"),
            keys: CorrelationKeys::default(),
            profile: Profile::new(),
            status,
            levels: BTreeSet::new(),
            credentials: Vec::new(),
            validity: Validity::ALWAYS,
            site: None,
            revision: None,
        }
    }

    fn lines(confirmed: bool) -> Vec<Line> {
        let steps = Steps::new(vec![Step::Reduce(Reduction::Suspend)]).expect("a step");
        let subject = Subject::Existing(holder(Status::Active).id);
        let nobody = RunId::new(uuid::Uuid::nil());
        let action = Action {
            id: ActionId::of(nobody, &target(), &subject, &steps),
            target: target(),
            subject,
            person: None,
            steps,
            basis: None,
            expect: Expectation::default(),
            because: Reason { situation: Situation::Held, why: Vec::new() },
        };
        let at = Timestamp::UNIX_EPOCH;
        let intent = |before| Event::Intent { action: Box::new(action.clone()), before: Box::new(before) };
        let events = [
            Event::Hold { who: "card:…1".into(), reason: "theft".into(), by: "Desk".into(), at },
            intent(holder(Status::Active)),
            intent(holder(Status::Other("half off".into()))),
            Event::Outcome {
                target: target(),
                cardholder: holder(Status::Active).id,
                confirmed,
                detail: "seen".into(),
            },
        ];
        let line = |event| Line {
            run: RunId::new(uuid::Uuid::from_u128(7)),
            nth: 0,
            keys: [CorrelationKey::new(KeyKind::Card, "26-1").expect("key")].into_iter().collect(),
            record: None,
            at,
            event,
        };
        events.into_iter().map(line).collect()
    }

    fn parts(entries: &[SpoolEntry]) -> (Vec<&Hold>, &Intent, &Outcome) {
        let holds = entries.iter().filter_map(|entry| match entry {
            SpoolEntry::Hold { hold, .. } => Some(hold),
            SpoolEntry::Action { .. } => None,
        });
        let action = entries.iter().find_map(|entry| match entry {
            SpoolEntry::Action { intent, outcome } => Some((intent, outcome.as_ref().expect("an outcome"))),
            SpoolEntry::Hold { .. } => None,
        });
        let (intent, outcome) = action.expect("one action");
        (holds.collect(), intent, outcome)
    }

    #[test]
    fn a_found_person_is_held_by_record_and_identity_and_no_card_number_is_kept() {
        let mut links = Links::new();
        let person = PersonId::new("p-1").expect("id");
        let link = Link {
            person: person.clone(),
            cardholder: holder(Status::Active).id,
            origin: LinkOrigin::Provisioned,
            since: Timestamp::UNIX_EPOCH,
            keys: CorrelationKeys::default(),
            suspended_by: None,
        };
        links.insert(link).expect("first");
        let entries = entries(&lines(true), &BTreeMap::from([(target(), links)]));
        let (holds, _, _) = parts(&entries);
        assert!(holds.iter().any(|hold| hold.person.as_ref() == Some(&person)), "on every PACS, by identity");
        assert!(holds.iter().any(|hold| hold.cardholders == [holder(Status::Active).id]), "and here by record");
        assert!(holds.iter().all(|hold| hold.keys.is_empty() && hold.by == "Desk"));
    }

    #[test]
    fn the_first_before_image_counts_and_the_action_belongs_to_the_command() {
        let entries = entries(&lines(true), &BTreeMap::new());
        let (_, intent, outcome) = parts(&entries);
        assert_eq!(intent.before, Some(holder(Status::Active)), "tried twice, but this is how it was");
        assert_eq!(intent.action.id, ActionId::of(intent.run, &target(), &intent.action.subject, &intent.action.steps));
        assert_eq!(outcome.event, ActionEvent::Verify);
        assert!(matches!(outcome.links.as_slice(), [LinkChange::Suspended { by, .. }] if *by == intent.run));
    }

    #[test]
    fn what_was_not_confirmed_stays_open() {
        let entries = entries(&lines(false), &BTreeMap::new());
        let (_, _, outcome) = parts(&entries);
        assert_eq!((outcome.event, outcome.links.len()), (ActionEvent::Doubt, 0));
    }
}
