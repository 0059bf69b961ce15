//! What named offboardings left open, told from their record alone: it needs no state, no directory and no clock. Pure.
//!
//! What was once closed stays closed, whatever order the lines are read in: files of two folders have no common order,
//! and clocks are set back. For the same reason no command closes what another one left: which of them came later is
//! nowhere on record. Whoever reads a PACS anew says so under the command that was open there.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lockstep_contract::{Cardholder, CardholderId, CorrelationKey, CorrelationKeys, KeyKind, RunId, TargetId};
use lockstep_offboard::{Event, Who};

use super::{Line, Named, Scope};

/// One person on one PACS, who may still have access there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Open {
    /// The command that put them out.
    pub run: RunId,
    /// Which of the people of that command.
    pub nth: usize,
    /// Who was named, as people may see it.
    pub who: String,
    /// The keys they were named by.
    pub keys: CorrelationKeys,
    /// The record they were named by.
    pub record: Option<(TargetId, CardholderId)>,
    /// Why they were put out.
    pub reason: String,
    /// By whom.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
    /// What that command was about.
    pub scope: Scope,
    /// Where it is open.
    pub target: TargetId,
    /// Why it is.
    pub why: String,
    /// Every record of this human that was acted on, by this command or another, by target.
    pub records: BTreeMap<TargetId, BTreeSet<CardholderId>>,
    /// The records of this target that this very command acted on.
    pub own: BTreeSet<CardholderId>,
    /// These records as they were: what is known of the human, whatever became of their cards since.
    pub before: Vec<Cardholder>,
    /// Several records match there, and people have to say which is meant.
    pub ambiguous: bool,
    /// The records that match, as far as they are on record.
    pub candidates: BTreeSet<CardholderId>,
}

impl Open {
    /// As their record names them.
    pub(crate) fn named(&self) -> Named {
        let Self { run, nth, keys, record, scope, .. } = self.clone();
        Named { run, nth, keys, record, scope }
    }

    /// How they were named; nothing when the record of it is lost.
    pub(crate) fn who(&self) -> Option<Who> {
        if let Some((target, id)) = &self.record {
            return Some(Who::Cardholder { target: target.clone(), id: id.clone() });
        }
        match self.keys.len() {
            // What is left of a damaged record: a record that was acted on.
            0 => {
                let (target, records) = self.records.iter().next()?;
                Some(Who::Cardholder { target: target.clone(), id: records.first()?.clone() })
            }
            1 => self.keys.iter().next().cloned().map(Who::Key),
            // A value without a kind is kept as every kind of key that it may be.
            _ => self.keys.iter().next().map(|key| Who::Bare(key.value().to_owned())),
        }
    }

    /// The number of which a human has one, as far as the records that were acted on agree on it.
    pub(crate) fn number(&self) -> Option<CorrelationKey> {
        let all: BTreeSet<&CorrelationKey> = self.before.iter().flat_map(|record| record.keys.iter()).collect();
        let of = |kind| all.iter().filter(|key| key.kind() == kind).copied().collect::<Vec<_>>();
        match (of(KeyKind::Employee).as_slice(), of(KeyKind::Directory).as_slice()) {
            ([one], [] | [_]) | ([], [one]) => Some((*one).clone()),
            _ => None,
        }
    }
}

/// What is known of one person of one command.
#[derive(Default)]
struct Told<'l> {
    first: Option<&'l Line>,
    hold: Option<&'l Line>,
    /// By whom it was ended for good.
    closed: bool,
    done: BTreeSet<&'l TargetId>,
    why: BTreeMap<&'l TargetId, String>,
    ambiguous: BTreeMap<&'l TargetId, &'l [CardholderId]>,
    records: BTreeMap<TargetId, BTreeSet<CardholderId>>,
    before: BTreeMap<(&'l TargetId, &'l CardholderId), &'l Cardholder>,
}

impl<'l> Told<'l> {
    fn hear(&mut self, line: &'l Line) {
        self.first.get_or_insert(line);
        match &line.event {
            Event::Hold { .. } => self.hold = self.hold.or(Some(line)),
            Event::Intent { action, before } => {
                self.records.entry(action.target.clone()).or_default().insert(before.id.clone());
                self.why.entry(&action.target).or_insert_with(|| "sent, and not read back".to_owned());
                self.before.entry((&action.target, &before.id)).or_insert(before);
            }
            Event::Outcome { target, cardholder, confirmed, detail } => {
                self.records.entry(target.clone()).or_default().insert(cardholder.clone());
                if !confirmed {
                    self.why.insert(target, detail.clone());
                }
            }
            Event::Ambiguous { target, candidates } => drop(self.ambiguous.insert(target, candidates)),
            Event::Ended { target, open: None } => drop(self.done.insert(target)),
            Event::Ended { target, open: Some(why) } => drop(self.why.insert(target, why.clone())),
            Event::Closed { .. } => self.closed = true,
        }
    }

    /// Where this person was to be put out.
    fn targets(&self, configured: &[TargetId]) -> BTreeSet<TargetId> {
        let scope = self.first.map(|line| line.scope.clone()).unwrap_or_default();
        let met = self.why.keys().chain(self.ambiguous.keys()).map(|target| (*target).clone());
        let everywhere = scope.unread.then_some(configured).into_iter().flatten().cloned();
        scope.targets.into_iter().chain(met).chain(self.records.keys().cloned()).chain(everywhere).collect()
    }

    /// The same human as another command was about: both acted on one record.
    fn is_same_human(&self, other: &Self) -> bool {
        let shared = |(target, records): (&TargetId, &BTreeSet<CardholderId>)| {
            other.records.get(target).is_some_and(|others| !others.is_disjoint(records))
        };
        !self.closed && self.records.iter().any(shared)
    }

    /// What of it is open, of itself: the places, and why.
    fn open(&self, configured: &[TargetId]) -> Vec<(TargetId, String, bool)> {
        // Nothing stays behind of a command that asked who is meant, and did nothing.
        if self.closed || (!self.ambiguous.is_empty() && self.records.is_empty()) {
            return Vec::new();
        }
        let targets = self.targets(configured);
        let open = targets.into_iter().filter(|target| !self.done.contains(target));
        open.map(|target| {
            let ambiguous = self.ambiguous.contains_key(&target);
            let why = if ambiguous {
                "several records match; which one is meant?".to_owned()
            } else {
                self.why
                    .get(&target)
                    .cloned()
                    .unwrap_or_else(|| "it was not asked, or the command was cut short".into())
            };
            (target, why, ambiguous)
        })
        .collect()
    }
}

/// Everything that is open. `configured`: the targets there are, for a command that could not tell.
pub(crate) fn open<'l>(lines: impl IntoIterator<Item = &'l Line>, configured: &[TargetId]) -> Vec<Open> {
    let mut people: BTreeMap<(RunId, usize), Told<'l>> = BTreeMap::new();
    for line in lines {
        people.entry((line.run, line.nth)).or_default().hear(line);
    }
    let mut found = Vec::new();
    for ((run, nth), told) in &people {
        let (Some(first), Some(word)) = (told.first, told.hold.or(told.first)) else { continue };
        let (who, reason, by, since) = match &word.event {
            Event::Hold { who, reason, by, at, .. } => (who.clone(), reason.clone(), by.clone(), *at),
            _ => (names(told), String::new(), "an offboarding whose record is damaged".to_owned(), word.at),
        };
        for (target, why, ambiguous) in told.open(configured) {
            let mut records = told.records.clone();
            let mut before = told.before.clone();
            for same in people.values().filter(|other| other.is_same_human(told)) {
                for (target, more) in &same.records {
                    records.entry(target.clone()).or_default().extend(more.iter().cloned());
                }
                before.extend(&same.before);
            }
            let own = told.records.get(&target).cloned().unwrap_or_default();
            let candidates = told.ambiguous.get(&target).into_iter().copied().flatten().cloned().collect();
            found.push(Open {
                run: *run,
                nth: *nth,
                who: who.clone(),
                keys: first.keys.clone(),
                record: first.record.clone(),
                reason: reason.clone(),
                by: by.clone(),
                since,
                scope: first.scope.clone(),
                target,
                why,
                records,
                own,
                before: before.into_values().cloned().collect(),
                ambiguous,
                candidates,
            });
        }
    }
    found
}

/// Somebody, by the records that were acted on.
fn names(told: &Told<'_>) -> String {
    let one = |(target, records): (&TargetId, &BTreeSet<CardholderId>)| {
        records.iter().map(|record| format!("cardholder:{target}/{record}")).collect::<Vec<_>>()
    };
    let names: Vec<String> = told.records.iter().flat_map(one).collect();
    if names.is_empty() { "somebody whose record is damaged".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id<T: std::str::FromStr>(text: &str) -> T
    where
        T::Err: std::fmt::Debug,
    {
        text.parse().expect("an id")
    }

    /// A line of the command with this number, about one person, on targets `hq` and `annex`.
    fn line(run: u128, event: Event) -> Line {
        Line {
            run: RunId::new(uuid::Uuid::from_u128(run)),
            nth: 0,
            keys: [CorrelationKey::new(KeyKind::Employee, "1003").expect("a key")].into_iter().collect(),
            record: None,
            scope: Scope { all: false, targets: [id("annex"), id("hq")].into(), unread: false },
            at: Timestamp::UNIX_EPOCH,
            event,
        }
    }

    fn hold(run: u128) -> Line {
        let (who, reason) = ("employee:1003".to_owned(), "theft".to_owned());
        line(run, Event::Hold { who, reason, ticket: None, by: "Desk".to_owned(), at: Timestamp::UNIX_EPOCH })
    }

    fn ended(run: u128, target: &str, open: Option<&str>) -> Line {
        line(run, Event::Ended { target: id(target), open: open.map(str::to_owned) })
    }

    fn outcome(run: u128, target: &str, record: &str, confirmed: bool) -> Line {
        let detail = "seen".to_owned();
        line(run, Event::Outcome { target: id(target), cardholder: id(record), confirmed, detail })
    }

    fn places(lines: &[Line]) -> Vec<String> {
        let configured = [id("annex"), id("hq"), id("lab")];
        open(lines, &configured).into_iter().map(|one| format!("{}: {}", one.target, one.why)).collect()
    }

    #[test]
    fn a_command_that_was_cut_short_is_open_wherever_it_was_to_ask() {
        let cut = "it was not asked, or the command was cut short";
        assert_eq!(places(&[hold(1)]), [format!("annex: {cut}"), format!("hq: {cut}")]);
        let confirmed = [hold(1), outcome(1, "hq", "h-03", true), ended(1, "annex", None)];
        assert_eq!(places(&confirmed), [format!("hq: {cut}")], "there may be a second record of this person");
        assert_eq!(places(&[hold(1), ended(1, "hq", None), ended(1, "annex", None)]), [""; 0]);
    }

    #[test]
    fn what_was_closed_stays_closed_in_whatever_order_it_is_read() {
        let mut lines = vec![
            hold(1),
            ended(1, "hq", Some("no answer")),
            ended(1, "annex", Some("no answer")),
            outcome(1, "hq", "h-03", true),
            ended(1, "hq", None),
        ];
        for _ in 0..lines.len() {
            lines.rotate_left(1);
            assert_eq!(places(&lines), ["annex: no answer"], "{lines:?}");
        }
    }

    #[test]
    fn whoever_was_reinstated_is_open_nowhere() {
        assert_eq!(places(&[hold(1), line(1, Event::Closed { by: "Chief".to_owned() })]), [""; 0]);
    }

    #[test]
    fn a_configuration_that_did_not_read_leaves_every_target_open() {
        let mut lines = [hold(1), ended(1, "hq", None)];
        for line in &mut lines {
            line.scope = Scope { all: false, targets: [id("hq")].into(), unread: true };
        }
        assert_eq!(places(&lines).len(), 2, "annex and lab, which nobody asked");
    }

    #[test]
    fn nothing_stays_behind_of_a_command_that_asked_and_did_nothing() {
        let asked = |run| line(run, Event::Ambiguous { target: id("hq"), candidates: vec![id("h-03"), id("h-twin")] });
        assert_eq!(places(&[hold(1), asked(1), ended(1, "annex", Some("no answer"))]), [""; 0]);
        let acted = [hold(1), asked(1), outcome(1, "annex", "a-03", true), ended(1, "annex", None)];
        let open = open(&acted, &[]);
        assert!(matches!(open.as_slice(), [one] if one.ambiguous && one.target == id("hq")), "{open:?}");
        assert_eq!(open[0].candidates, [id("h-03"), id("h-twin")].into(), "{open:?}");
    }

    #[test]
    fn no_command_closes_what_another_one_left_whichever_the_clock_says_came_first() {
        let first = [hold(1), ended(1, "hq", None), ended(1, "annex", Some("no answer"))];
        let second = [hold(2), ended(2, "hq", Some("no answer")), ended(2, "annex", None)];
        for pair in [[&first[..], &second[..]], [&second[..], &first[..]]] {
            assert_eq!(places(&pair.concat()), ["annex: no answer", "hq: no answer"]);
        }
    }

    #[test]
    fn what_another_command_acted_on_is_known_to_be_the_same_human() {
        let mut card = [hold(1), outcome(1, "hq", "h-03", true), ended(1, "hq", None)];
        for line in &mut card {
            line.keys = [CorrelationKey::new(KeyKind::Card, "26-1").expect("a key")].into_iter().collect();
        }
        let number = [outcome(2, "hq", "h-03", true), outcome(2, "annex", "a-03", true), hold(2)];
        let all = [&card[..], &number[..]].concat();
        let open = open(&all, &[]);
        let annex = open.iter().find(|one| one.run == card[0].run && one.target == id("annex")).expect("open");
        assert_eq!(annex.records.get(&id("annex")), Some(&[id("a-03")].into()), "{open:?}");
    }
}
