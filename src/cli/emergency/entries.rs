//! What the store takes over from the spool: who stays out, what was sent, and what the read-back showed. Pure; nothing
//! here reads or writes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lockstep_contract::{
    Action, ActionId, Cardholder, CardholderId, CorrelationKeys, KeyKind, PersonId, Reduction, RunId, Step, Subject,
    TargetId,
};
use lockstep_core::{ActionEvent, Hold, HoldId, LaneKind, Links};
use lockstep_engine::{Intent, LinkChange, Outcome, SpoolEntry};
use lockstep_offboard::Event;

use crate::cli::emergency::Line;

/// What is known of one person of one command.
#[derive(Default)]
struct Told<'l> {
    hold: Option<&'l Line>,
    /// Somewhere several records matched: what was named is no name of one human.
    ambiguous: bool,
    /// By record: the first intent, with the record as it was before anything.
    intents: BTreeMap<(&'l TargetId, &'l CardholderId), (&'l Line, &'l Action, &'l Cardholder)>,
    outcomes: BTreeMap<(&'l TargetId, &'l CardholderId), &'l Line>,
    records: BTreeMap<&'l TargetId, BTreeSet<&'l CardholderId>>,
}

/// What a hold says: who asked, why, since when, and by which keys the person was named.
struct Word {
    id: HoldId,
    keys: CorrelationKeys,
    by: String,
    reason: String,
    since: Timestamp,
}

impl<'l> Told<'l> {
    /// The last word counts, but once something was read back as done it is.
    fn outcome(&mut self, target: &'l TargetId, cardholder: &'l CardholderId, line: &'l Line) {
        let confirmed = |line: &Line| matches!(line.event, Event::Outcome { confirmed: true, .. });
        let known = self.outcomes.entry((target, cardholder)).or_insert(line);
        if !confirmed(known) {
            *known = line;
        }
    }

    /// As written first of all; when that line is lost, what was sent still tells that somebody is to stay out.
    fn word(&self) -> Option<Word> {
        if let Some(line) = self.hold
            && let Event::Hold { reason, ticket, by, at, .. } = &line.event
        {
            let id = HoldId::of(line.run, line.nth);
            let reason = ticket.as_ref().map_or_else(|| reason.clone(), |ticket| format!("{reason} (ticket {ticket})"));
            return Some(Word { id, keys: line.keys.clone(), by: by.clone(), reason, since: *at });
        }
        let (line, action, _) = self.intents.values().next()?;
        let reason = action.because.why.first().map_or_else(String::new, |why| why.text.clone());
        let by = "an offboarding whose record is damaged".to_owned();
        let id = HoldId::of(line.run, line.nth);
        Some(Word { id, keys: CorrelationKeys::new(), by, reason, since: line.at })
    }
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
            Event::Ambiguous { .. } => told.ambiguous = true,
            Event::Outcome { target, cardholder, .. } => {
                told.records.entry(target).or_default().insert(cardholder);
                told.outcome(target, cardholder, line);
            }
            // What is open is told by the spool itself.
            Event::Ended { .. } | Event::Closed { .. } => {}
        }
    }
    people.values().flat_map(|told| holds(told, links).into_iter().chain(actions(told))).collect()
}

/// Who gets nothing while a run works: whoever [`entries`] holds, and whoever is named by a key alone. Such a hold is
/// wide; it may keep something from somebody for the length of a run, and must never take anything away.
pub(crate) fn withheld(lines: &[Line], links: &BTreeMap<TargetId, Links>) -> Vec<SpoolEntry> {
    let mut entries = entries(lines, links);
    for line in lines {
        if let Event::Hold { reason, by, at, .. } = &line.event
            && !line.keys.is_empty()
        {
            let hold = Hold {
                id: HoldId::of(line.run, line.nth),
                person: None,
                cardholders: Vec::new(),
                keys: line.keys.clone(),
                by: by.clone(),
                reason: reason.clone(),
                since: *at,
            };
            entries.push(SpoolEntry::Hold { targets: BTreeSet::new(), hold });
        }
    }
    entries
}

/// The person stays out: by identity on every PACS, by record on each where one was named or acted on, and by every key
/// they are known to have, so that the same human does not come in again under another identity. After an ambiguous
/// answer, at which nothing was done, no key holds anybody.
fn holds(told: &Told<'_>, links: &BTreeMap<TargetId, Links>) -> Vec<SpoolEntry> {
    let Some(word) = told.word() else { return Vec::new() };
    let named: BTreeSet<_> = told
        .records
        .iter()
        .flat_map(|(target, records)| records.iter().map(move |record| (*target, *record)))
        .map(|(target, record)| (target.clone(), record.clone()))
        .collect();
    let alone = named.is_empty() && !told.ambiguous;
    let (records, owners) = if alone { one_human(&word.keys, links) } else { owned(named, links) };
    let mut entries = Vec::new();
    let mut put = |targets, person: Option<&PersonId>, cardholders, keys| {
        let (by, reason) = (word.by.clone(), word.reason.clone());
        let person = person.cloned();
        entries.push(SpoolEntry::Hold {
            targets,
            hold: Hold { id: word.id.clone(), person, cardholders, keys, by, reason, since: word.since },
        });
    };
    // A key that turns out to be several humans' puts none of them out; planning sees to that. A card number stays out
    // of the state.
    let keys: CorrelationKeys = if told.ambiguous { CorrelationKeys::new() } else { keys(told, &word, &owners, links) };
    for person in &owners {
        put(BTreeSet::new(), Some(person), Vec::new(), keys.clone());
    }
    // Whoever is nobody of ours yet must not come in later: a joiner, or somebody on a PACS that could not be asked.
    if owners.is_empty() && !keys.is_empty() {
        put(BTreeSet::new(), None, Vec::new(), keys);
    }
    for ((target, person), cardholders) in records {
        put(BTreeSet::from([target]), person.as_ref(), cardholders, CorrelationKeys::new());
    }
    entries
}

/// Every key that this human is known to have: those named, those of their records, and those their links remember.
fn keys(
    told: &Told<'_>,
    word: &Word,
    owners: &BTreeSet<PersonId>,
    links: &BTreeMap<TargetId, Links>,
) -> CorrelationKeys {
    let of_links = links.values().flat_map(|links| owners.iter().filter_map(|person| links.of_person(person)));
    let linked = of_links.flat_map(|link| link.keys.iter().cloned().collect::<Vec<_>>());
    let of_records = told.intents.values().flat_map(|(_, _, before)| before.keys.iter().cloned());
    let all = word.keys.iter().cloned().chain(linked).chain(of_records);
    all.filter(|key| key.kind() != KeyKind::Card).collect()
}

/// Records by target and owner, and the owners.
type Owned = (BTreeMap<(TargetId, Option<PersonId>), Vec<CardholderId>>, BTreeSet<PersonId>);

/// Who these records belong to.
fn owned(named: BTreeSet<(TargetId, CardholderId)>, links: &BTreeMap<TargetId, Links>) -> Owned {
    let mut owned = Owned::default();
    for (target, record) in named {
        let link = links.get(&target).and_then(|links| links.of_cardholder(&record));
        let person = link.map(|link| link.person);
        owned.1.extend(person.clone());
        owned.0.entry((target, person)).or_default().push(record);
    }
    owned
}

/// The records of the one person who has one of these keys; nothing when nobody has, or several have.
fn one_human(keys: &CorrelationKeys, links: &BTreeMap<TargetId, Links>) -> Owned {
    let mut named = BTreeSet::new();
    for (target, links) in links {
        let theirs = links.iter().filter(|link| link.keys.iter().any(|key| keys.contains(key)));
        named.extend(theirs.map(|link| (target.clone(), link.cardholder)));
    }
    let owned = owned(named, links);
    if owned.1.len() == 1 { owned } else { Owned::default() }
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
            Event::Hold { who: "card:…1".into(), reason: "theft".into(), ticket: None, by: "Desk".into(), at },
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
            scope: crate::cli::emergency::Scope::default(),
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

    fn link(person: &str, record: &str, employee: &str) -> Link {
        Link {
            person: PersonId::new(person).expect("id"),
            cardholder: CardholderId::new(record).expect("id"),
            origin: LinkOrigin::Provisioned,
            since: Timestamp::UNIX_EPOCH,
            keys: [CorrelationKey::new(KeyKind::Employee, employee).expect("key")].into_iter().collect(),
            suspended_by: None,
        }
    }

    fn only_hold(more: Option<Event>) -> Vec<Line> {
        let hold = lines(true).remove(0);
        let keys: CorrelationKeys = [CorrelationKey::new(KeyKind::Employee, "1").expect("key")].into_iter().collect();
        let line = |event| Line { keys: keys.clone(), event, ..hold.clone() };
        [Some(hold.event.clone()), more].into_iter().flatten().map(line).collect()
    }

    fn held(entries: &[SpoolEntry]) -> Vec<(&Hold, &BTreeSet<TargetId>)> {
        let holds = entries.iter().filter_map(|entry| match entry {
            SpoolEntry::Hold { hold, targets } => Some((hold, targets)),
            SpoolEntry::Action { .. } => None,
        });
        holds.collect()
    }

    fn linked(all: &[Link]) -> BTreeMap<TargetId, Links> {
        let mut links = Links::new();
        for one in all {
            links.insert(one.clone()).expect("no conflict");
        }
        BTreeMap::from([(target(), links)])
    }

    #[test]
    fn a_key_alone_holds_the_one_person_who_has_it_and_nobody_who_has_another() {
        let links = linked(&[link("p-1", "h-1", "1"), link("p-2", "h-2", "2")]);
        let entries = entries(&only_hold(None), &links);
        let held = held(&entries);
        let other = CorrelationKey::new(KeyKind::Employee, "2").expect("key");
        assert!(!held.is_empty() && held.iter().all(|(hold, _)| !hold.keys.contains(&other)), "{held:?}");
        assert!(held.iter().any(|(hold, _)| !hold.keys.is_empty()), "the same human under another identity: {held:?}");
        assert!(held.iter().all(|(hold, _)| hold.person == Some(PersonId::new("p-1").expect("id"))), "{held:?}");
        assert!(held.iter().any(|(hold, _)| hold.cardholders == [CardholderId::new("h-1").expect("id")]), "{held:?}");
    }

    #[test]
    fn whoever_is_not_known_yet_is_held_by_key_so_that_they_never_come_in() {
        let several = linked(&[link("p-1", "h-1", "1"), link("p-2", "h-2", "1")]);
        for links in [several, BTreeMap::new()] {
            let entries = entries(&only_hold(None), &links);
            let [(hold, targets)] = held(&entries)[..] else { panic!("one hold: {entries:?}") };
            assert!(hold.person.is_none() && hold.cardholders.is_empty() && targets.is_empty());
            assert_eq!(hold.keys.len(), 1);
        }
    }

    #[test]
    fn an_ambiguous_answer_takes_the_hold_by_key_back() {
        let candidates = vec![CardholderId::new("h-1").expect("id"), CardholderId::new("h-2").expect("id")];
        let asked = Event::Ambiguous { target: TargetId::new("lab").expect("id"), candidates };
        let links = linked(&[link("p-1", "h-1", "1")]);
        assert_eq!(entries(&only_hold(Some(asked.clone())), &links), [], "nobody was put out");
        let mut partly = lines(true);
        partly.push(Line { event: asked, ..partly[0].clone() });
        let entries = entries(&partly, &BTreeMap::new());
        let held = held(&entries);
        assert!(held.iter().all(|(hold, _)| hold.keys.is_empty()), "{held:?}");
        assert!(held.iter().any(|(hold, targets)| hold.cardholders.len() == 1 && targets.len() == 1), "{held:?}");
    }

    #[test]
    fn whoever_was_acted_on_stays_out_when_the_first_line_is_lost() {
        let entries = entries(&lines(true)[1..], &BTreeMap::new());
        let held = held(&entries);
        assert!(held.iter().any(|(hold, _)| hold.cardholders == [holder(Status::Active).id]), "{held:?}");
    }
}
