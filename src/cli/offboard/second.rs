//! The rule of the second operator: beyond a number of people within an hour, a second named person has to agree. It
//! never keeps the first ones in, and what cannot be counted counts as nobody.

use std::collections::BTreeSet;
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

/// Who was put out by one operator within the last hour, by how they were named.
#[derive(Debug, Default)]
pub(super) struct Recent(BTreeSet<Vec<u8>>);

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
            counted.contains(&mark) || (counted.len() < most && counted.insert(mark))
        })
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

fn count(folders: &Folders, by: &str, now: Timestamp) -> Recent {
    /// A line of a spool file, read without its chain: taken-over files are only counted here.
    #[derive(Deserialize)]
    struct Written {
        event: Line,
    }
    let recent = |line: &str| {
        let Written { event: line } = serde_json::from_str(line).ok()?;
        let Event::Hold { by: one, at, .. } = &line.event else { return None };
        let age = now.duration_since(*at);
        let theirs = same_human(one.split(" and ").next().unwrap_or_default(), by);
        (theirs && age < SignedDuration::from_hours(1) && age > -AHEAD)
            .then(|| canonical_json(&(&line.keys, &line.record)))
    };
    let files = folders.each().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let fresh = files.filter(|file| file.metadata().and_then(|data| data.modified()).is_ok_and(is_fresh));
    let texts = fresh.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    Recent(texts.flat_map(|text| text.lines().filter_map(recent).collect::<Vec<_>>()).collect())
}

/// Written within the last hours: years of old records need not be read.
fn is_fresh(modified: SystemTime) -> bool {
    SystemTime::now().duration_since(modified).is_ok_and(|age| age < Duration::from_secs(2 * 3_600))
}

/// Two spellings of one name.
pub(super) fn same_human(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    plain(one) == plain(other)
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

    #[test]
    fn the_first_ones_always_go_and_the_same_human_counts_once() {
        let people = people(12);
        assert_eq!(free(&Recent::default(), &people), (0..10).collect::<Vec<_>>());
        let last_eight = Recent(people.iter().skip(4).map(mark).collect());
        assert_eq!(free(&last_eight, &people), [0, 1, 4, 5, 6, 7, 8, 9, 10, 11], "eight again, and two new ones");
        let full = Recent(people.iter().take(10).map(mark).collect());
        assert_eq!(free(&full, &people[10..]), Vec::<usize>::new());
    }

    #[test]
    fn a_name_is_the_same_however_it_is_spelt() {
        assert!(same_human(" desk  Officer", "Desk officer") && !same_human("desk", "chief"));
    }
}
