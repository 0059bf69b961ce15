//! The rule of the second operator: beyond a number of people within an hour, a second named person has to agree. It
//! never keeps the first ones in, and what cannot be counted counts as nobody. Nor does whoever was named and not found.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use lockstep_contract::canonical_json;
use lockstep_offboard::{Event, Who};
use serde::Deserialize;

use super::Numbered;
use crate::cli::emergency::{Folders, Line};

/// So long the count may keep somebody in.
const LIMIT: Duration = Duration::from_millis(500);
/// A clock may be set a little while people are put out.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// What tells one human: how they were named, and the records of theirs that were acted on.
type Marks = BTreeSet<Vec<u8>>;

/// The humans who were put out by one operator within the last hour.
#[derive(Debug, Default)]
pub(super) struct Recent(Vec<Marks>);

impl Recent {
    /// Looks into the spool, on a thread of its own: a disk that hangs must not keep anybody in.
    pub(super) fn of(folders: &Folders, by: &str, now: Timestamp) -> Self {
        let (folders, by) = (folders.clone(), by.to_owned());
        let (done, answer) = std::sync::mpsc::channel();
        let counting = std::thread::Builder::new().name("offboard-count".into()).spawn(move || {
            let _ = done.send(count(&folders, &by, now)); // nobody listens any more when it took too long
        });
        match counting {
            Ok(_) => answer.recv_timeout(LIMIT).unwrap_or_default(),
            Err(_) => Self::default(),
        }
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Who may go without a second name, and who waits for one. Whoever was put out before goes again for nothing: it is
    /// the same human.
    pub(super) fn split(&self, people: Numbered, most: usize) -> (Numbered, Numbered) {
        let mut counted = self.0.clone();
        people.into_iter().partition(|(_, who)| {
            let mark = mark(who);
            let free = counted.iter().any(|marks| marks.contains(&mark));
            let goes = free || counted.len() < most;
            if goes && !free {
                counted.push(Marks::from([mark]));
            }
            goes
        })
    }

    /// Who shares a mark with somebody is the same human.
    fn add(&mut self, mut marks: Marks) {
        let (same, others) = std::mem::take(&mut self.0).into_iter().partition(|one| !one.is_disjoint(&marks));
        self.0 = others;
        let same: Vec<Marks> = same;
        marks.extend(same.into_iter().flatten());
        self.0.push(marks);
    }
}

/// What tells how somebody was named, without saying it.
fn mark(who: &Who) -> Vec<u8> {
    let record = match who {
        Who::Cardholder { target, id } => Some((target.clone(), id.clone())),
        Who::Key(_) | Who::Bare(_) => None,
    };
    canonical_json(&(who.keys().into_iter().collect::<lockstep_contract::CorrelationKeys>(), record))
}

/// Somebody of whom a record was found or something was sent, by an operator who asked within the hour.
fn count(folders: &Folders, by: &str, now: Timestamp) -> Recent {
    /// A line of a spool file, read without its chain: taken-over files are only counted here.
    #[derive(Deserialize)]
    struct Written {
        event: Line,
    }
    let files = folders.each().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let fresh = files.filter(|file| file.metadata().and_then(|data| data.modified()).is_ok_and(is_fresh));
    let texts = fresh.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    // What became of somebody may stand in a later file than their name.
    let (mut named, mut acted_on) = (BTreeMap::new(), BTreeMap::<_, Marks>::new());
    for text in texts {
        for line in text.lines().filter_map(|line| serde_json::from_str::<Written>(line).ok()).map(|it| it.event) {
            let whose = (line.run, line.nth);
            match &line.event {
                Event::Hold { by: one, at, .. } if is_theirs(one, by) && is_recent(now.duration_since(*at)) => {
                    named.insert(whose, canonical_json(&(&line.keys, &line.record)));
                }
                Event::Intent { action, before } => {
                    acted_on.entry(whose).or_default().insert(canonical_json(&(&action.target, &before.id)));
                }
                Event::Outcome { target, cardholder, .. } => {
                    acted_on.entry(whose).or_default().insert(canonical_json(&(target, cardholder)));
                }
                Event::Hold { .. } | Event::Ambiguous { .. } | Event::Ended { .. } | Event::Closed { .. } => {}
            }
        }
    }
    let mut recent = Recent::default();
    for (whose, mark) in named {
        if let Some(mut marks) = acted_on.remove(&whose) {
            marks.insert(mark);
            recent.add(marks);
        }
    }
    recent
}

/// Whether this operator asked, alone or together with a second person.
fn is_theirs(written: &str, by: &str) -> bool {
    same_human(written, by) || plain(written).starts_with(&format!("{} and ", plain(by)))
}

fn is_recent(age: SignedDuration) -> bool {
    age < SignedDuration::from_hours(1) && age > -AHEAD
}

/// Written within the last hours: years of old records need not be read.
fn is_fresh(modified: SystemTime) -> bool {
    SystemTime::now().duration_since(modified).is_ok_and(|age| age < Duration::from_secs(2 * 3_600))
}

/// Whether this names a second person besides the one who asks. Nothing, blanks and signs name nobody.
pub(super) fn is_another(name: &str, by: &str) -> bool {
    name.chars().any(char::is_alphanumeric) && !same_human(name, by)
}

/// Two spellings of one name.
fn same_human(one: &str, other: &str) -> bool {
    plain(one) == plain(other)
}

fn plain(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(count: usize) -> Vec<Who> {
        (0..count).map(|n| format!("employee:{n}").parse().expect("names somebody")).collect()
    }

    fn free(recent: &Recent, people: &[Who]) -> Vec<usize> {
        let people = people.iter().cloned().enumerate().collect();
        recent.split(people, 10).0.into_iter().map(|(nth, _)| nth).collect()
    }

    fn recent(people: &[Who]) -> Recent {
        Recent(people.iter().map(|who| Marks::from([mark(who)])).collect())
    }

    #[test]
    fn the_first_ones_always_go_and_the_same_human_counts_once() {
        let people = people(12);
        assert_eq!(free(&Recent::default(), &people), (0..10).collect::<Vec<_>>());
        let last_eight = recent(&people[4..]);
        assert_eq!(free(&last_eight, &people), [0, 1, 4, 5, 6, 7, 8, 9, 10, 11], "eight again, and two new ones");
        let full = recent(&people[..10]);
        assert_eq!(free(&full, &people[10..]), Vec::<usize>::new());
    }

    #[test]
    fn whoever_was_named_in_two_ways_and_acted_on_once_is_one_human() {
        let mut recent = Recent::default();
        for marks in [["employee:1", "hq/h-1"], ["card:1", "lab/l-1"], ["hq/h-1", "lab/l-1"], ["employee:2", "hq/h-2"]]
        {
            recent.add(marks.iter().map(|mark| mark.as_bytes().to_vec()).collect());
        }
        assert_eq!(recent.len(), 2, "{recent:?}");
    }

    #[test]
    fn a_name_is_the_same_however_it_is_spelt_and_nothing_is_no_name() {
        assert!(same_human(" desk  Officer", "Desk officer") && !same_human("desk", "chief"));
        assert!(is_another("Chief", "desk") && !is_another(" Desk ", "desk"));
        assert!(!is_another("", "desk") && !is_another(" ", "desk") && !is_another("-", "desk"));
        assert!(is_theirs("Ann and Bob", "ann and bob") && is_theirs("Desk and Chief", "desk"));
        assert!(!is_theirs("Desk and Chief", "chief") && !is_theirs("Desk", "Desk and Chief"));
    }
}
