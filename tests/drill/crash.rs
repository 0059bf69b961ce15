//! The real program is killed at a point of an offboarding, for very many points: before and after each write, sync,
//! rename and request, and after each answer. Then it is started again, in one of the ways people would, and nothing may be
//! lost or doubled.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::lane::{Lane, TARGETS, number};
use crate::shim;

/// So many points are drawn.
pub(crate) const POINTS: usize = 48;
/// So many of them at least must hit.
const HITS_MIN: usize = 40;
/// Who is put out: three people, on each of the three PACS.
const PEOPLE: [usize; 3] = [3, 5, 7];
const SYNCS_MAX: usize = 3;

static HITS: AtomicUsize = AtomicUsize::new(0);

fn offboard(lane: &Lane, env: impl IntoIterator<Item = (String, String)>) -> crate::program::Ran {
    let people = PEOPLE.map(|n| format!("employee:{}", number(n)));
    let mut args = vec!["offboard", "--reason", "drill", "--by", "Desk", "--yes"];
    args.extend(people.iter().map(String::as_str));
    let mut call = lane.call(&args);
    call.env.extend(env);
    call.run()
}

/// The points of an offboarding that nobody disturbs, drawn: one of each kind, and the others evenly.
fn points(lane: &Lane) -> &'static [(usize, String)] {
    static DRAWN: OnceLock<Vec<(usize, String)>> = OnceLock::new();
    DRAWN.get_or_init(|| {
        let file = lane.path("points");
        offboard(lane, shim::points(&file)).ends(&[0]);
        let text = lane.read("points");
        lane.reset();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() > POINTS, "there are points: {text}");
        let mut kinds = BTreeSet::new();
        let first_of_a_kind = |n: &usize| kinds.insert(kind(lines[*n]));
        let mut drawn: BTreeSet<usize> = (0..lines.len()).filter(first_of_a_kind).take(POINTS / 2).collect();
        for n in (0..POINTS).map(|n| n * lines.len() / POINTS) {
            let free = (n..lines.len()).chain(0..n).find(|n| !drawn.contains(n));
            drawn.extend(free.filter(|_| drawn.len() < POINTS));
        }
        drawn.into_iter().map(|n| (n + 1, lines[n].to_owned())).collect()
    })
}

/// A point without the number in the name of a file.
fn kind(point: &str) -> String {
    point.split(' ').map(|word| word.rsplit('.').next().unwrap_or(word)).collect::<Vec<_>>().join(" ")
}

/// Kills the program at one of the points drawn, and starts it again.
pub(crate) fn run(lane: &Lane, nth: usize) {
    let (number_of_point, what) = points(lane)[nth].clone();
    let ran = offboard(lane, shim::kill_at(number_of_point));
    if ran.code.is_none() {
        HITS.fetch_add(1, Ordering::SeqCst);
    }
    // Threads take turns as they like: what came before this point differs a little from run to run.
    let what = format!("point {number_of_point}, about {what}");
    let promised: Vec<bool> = PEOPLE.iter().map(|n| is_promised(lane, *n)).collect();
    let mut said = restart(lane, nth, &what);
    let due: Vec<bool> = promised.iter().map(|promised| *promised || nth.is_multiple_of(3)).collect();
    let is_right =
        || PEOPLE.iter().zip(&due).all(|(n, due)| TARGETS.iter().all(|target| is_as_due(lane, target, *n, *due)));
    for _ in 0..SYNCS_MAX {
        let ran = lane.run(&["sync"]).ends(&[0, 3, 4]);
        said = format!("{said}{:?} {}{}", ran.code, ran.out, ran.err);
        if is_right() {
            break;
        }
    }
    assert!(is_right(), "{what}: who was to be out, and nobody else: {due:?}\n{said}");
    recorded_once(lane, due.contains(&true), &what);
    held(lane, &due, &format!("{what}\n{said}"));
}

/// Whether the command got so far that the person must be out: the hold is on record, or something was done.
fn is_promised(lane: &Lane, n: usize) -> bool {
    let files = fs::read_dir(lane.path("state/spool")).into_iter().flatten().flatten();
    let who = format!("employee:{}", number(n));
    // Only a line with its end counts.
    let is_whole = |text: &str| text.split_inclusive('\n').any(|line| line.ends_with('\n') && line.contains(&who));
    let spooled = files.filter_map(|file| fs::read_to_string(file.path()).ok()).any(|text| is_whole(&text));
    spooled || TARGETS.iter().any(|target| !lane.access(target, n).active)
}

fn restart(lane: &Lane, nth: usize, what: &str) -> String {
    let ran = match nth % 3 {
        0 => offboard(lane, []),
        1 => lane.run(&["sync"]),
        _ => lane.run(&["offboard", "--settle"]),
    };
    assert!(ran.code.is_some_and(|code| [0, 3, 4].contains(&code)), "{what}: {:?}\n{}{}", ran.code, ran.out, ran.err);
    if nth.is_multiple_of(3) {
        assert_eq!(ran.code, Some(0), "{what}: the same again does all of it\n{}{}", ran.out, ran.err);
    }
    format!("{:?} {}{}", ran.code, ran.out, ran.err)
}

fn is_as_due(lane: &Lane, target: &str, n: usize, due: bool) -> bool {
    let access = lane.access(target, n);
    if due {
        !access.active && access.cards == 0 && access.levels.is_empty()
    } else {
        access.active && !access.levels.is_empty()
    }
}

/// In the journal each action was begun, and ended once. (What was begun and not done is begun again when it is settled,
/// under its own name.)
#[track_caller]
fn recorded_once(lane: &Lane, some: bool, what: &str) {
    let database = Connection::open(lane.path("state/lockstep.db")).expect("the database");
    let mut query = database.prepare("SELECT body FROM journal ORDER BY seq").expect("the journal");
    let events = query.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    let events = events.map(|body| serde_json::from_str::<Value>(&body.expect("a row")).expect("JSON"));
    let mut times: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for event in events {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let is_end = |outcome: &Value| {
            let word =
                if outcome["event"].is_string() { outcome["event"].clone() } else { outcome["event"]["is"].clone() };
            ["verify", "diverge", "refuse", "withdraw"].iter().any(|end| word == *end)
        };
        let begun = text(&event["intent"]["action"]["id"]);
        let id = begun.clone().or_else(|| text(&event["action"]));
        let Some(id) = id.filter(|_| event["event"] != "link") else { continue };
        let counts = times.entry(id).or_default();
        counts.0 += usize::from(begun.is_some());
        counts.1 += usize::from(is_end(&event["outcome"]));
    }
    assert!(!some || !times.is_empty(), "{what}: the journal is understood");
    let wrong: Vec<_> = times.iter().filter(|(_, (begun, ended))| *begun == 0 || *ended != 1).collect();
    assert!(wrong.is_empty(), "{what}: begun, and ended once each: {wrong:?}");
}

#[track_caller]
fn held(lane: &Lane, due: &[bool], what: &str) {
    let standing = lane.run(&["status", "--json"]).ends(&[0]).json();
    assert_eq!(standing["spooled"], 0, "{what}\n{standing:#}");
    assert_eq!(standing["unsettled"], json!([]), "{what}\n{standing:#}");
    for target in standing["targets"].as_array().expect("targets") {
        let holds = target["holds"].as_array().expect("holds");
        let people: BTreeSet<String> = holds.iter().map(|hold| hold["person"].to_string()).collect();
        let expected = due.iter().filter(|due| **due).count();
        assert_eq!(people.len(), expected, "{what}: each is held once, and nobody else\n{holds:#?}");
    }
}

/// Whether enough points were hit, when all of them were tried.
pub(crate) fn enough() -> Result<String, String> {
    let hits = HITS.load(Ordering::SeqCst);
    let told = format!("killed at {hits} of {POINTS} points of an offboarding");
    if hits >= HITS_MIN { Ok(told) } else { Err(format!("{told}: too few")) }
}
