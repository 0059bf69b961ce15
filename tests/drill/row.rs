//! One row of the drill: break something, put a person out, look at every PACS, mend it, and see that the person stays
//! out.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;

use crate::condition::Condition;
use crate::lane::{Feed, Lane, PERSON, TARGETS, number};
use crate::program::{Ran, Stream};
use crate::scene::{Scene, Skipped};

/// A healthy PACS that is done later than this fails its row; the goal is a fifth of it.
const GROSS: Duration = Duration::from_secs(10);
/// The row in which nothing is broken.
pub(crate) const NOTHING: &str = "nothing";
/// So many runs of `sync` settle whatever is open.
const SYNCS_MAX: usize = 3;

/// From the start of the command to the last read-back on a healthy PACS, for every row.
pub(crate) static STOPWATCH: Mutex<Vec<(Duration, String)>> = Mutex::new(Vec::new());

/// Runs one row in a lane that was put back before.
pub(crate) fn run(lane: &Lane, conditions: &[Condition]) -> Result<Vec<String>, Skipped> {
    let mut scene = Scene::new(lane);
    for condition in conditions {
        condition.cause(&mut scene)?;
    }
    let names: Vec<String> = conditions.iter().map(|one| one.name()).collect();
    let all = names.join(" + ");
    Ok(carry_out(scene, if names.is_empty() { NOTHING } else { &all }))
}

/// The same in a scene that is broken already.
pub(crate) fn carry_out(mut scene: Scene<'_>, name: &str) -> Vec<String> {
    let lane = scene.lane;
    let who = format!("employee:{}", number(PERSON));
    let ran = scene.call(&["offboard", &who, "--reason", "drill", "--by", "Desk", "--yes", "--json"]).run();
    is_out_where_reached(&scene, &ran);
    time(&scene, &ran, name);
    let open = scene.unrecorded || !scene.unreachable.is_empty();
    let said = format!("\nstdout:\n{}\nstderr:\n{}", ran.out, ran.err);
    assert_eq!(ran.code, Some(if open { 4 } else { 0 }), "an honest exit code{said}");
    if scene.stdout == Stream::Kept {
        told_honestly(&scene, &ran.json());
    }
    scene.mend();
    if scene.unrecorded {
        // What it says to do next: the same again, now that there is a place for the record.
        lane.run(&["offboard", &who, "--reason", "drill", "--by", "Desk", "--yes"]).ends(&[0]);
        scene.unreachable.clear();
    }
    settles_and_stays_out(&scene);
    std::mem::take(&mut scene.notes)
}

/// Past the program: no access is left on any PACS that could be reached.
#[track_caller]
fn is_out_where_reached(scene: &Scene<'_>, ran: &Ran) {
    for target in TARGETS.iter().filter(|target| !scene.unreachable.contains(*target)) {
        let access = scene.lane.access(target, PERSON);
        let out = !access.active && access.cards == 0;
        let none = access.levels.is_empty() || scene.levels_stay.contains(target);
        assert!(out && none, "{target}: {access:?}: {:?}\nstdout:\n{}\nstderr:\n{}", ran.code, ran.out, ran.err);
    }
}

fn time(scene: &Scene<'_>, ran: &Ran, name: &str) {
    for target in TARGETS.iter().filter(|target| !scene.unreachable.contains(*target) && !scene.slow.contains(*target))
    {
        if let Some(took) = scene.lane.busy_until(target, ran.began) {
            assert!(took < GROSS, "{target}: {took:?}: {name}");
            let name = format!("{name} on {target}, command ended after {:?}", ran.took);
            STOPWATCH.lock().expect("whole").push((took, name));
        }
    }
}

/// The receipt says of each PACS what was seen there.
#[track_caller]
fn told_honestly(scene: &Scene<'_>, receipt: &Value) {
    let report = &receipt["people"][0];
    for target in TARGETS {
        let told = &report["targets"][target];
        let confirmed =
            told["cardholders"].as_array().is_some_and(|all| all.iter().any(|one| one["confirmed"] == true));
        assert_eq!(confirmed, !scene.unreachable.contains(target), "{target}: {receipt:#}");
        if confirmed {
            let times = &told["cardholders"][0];
            let time = |name: &str| times[name].as_u64();
            assert!(
                time("noticed_ms") <= time("requested_ms") && time("requested_ms") <= time("confirmed_ms"),
                "{times}"
            );
        }
    }
    let open = scene.unrecorded || !scene.unreachable.is_empty();
    assert_eq!(receipt["complete"], !open, "{receipt:#}");
    assert_eq!(report["journal_faults"] != serde_json::json!([]), scene.unrecorded, "{receipt:#}");
}

/// What is open is settled by the next runs, and whatever the directory says, nobody comes back.
#[track_caller]
fn settles_and_stays_out(scene: &Scene<'_>) {
    let lane = scene.lane;
    let is_out = || TARGETS.iter().all(|target| !lane.access(target, PERSON).active);
    let mut said = String::new();
    for _ in 0..SYNCS_MAX {
        let ran = lane.run(&["sync"]).ends(&[0, 3, 4]);
        said = format!("{said}{:?}\n{}{}", ran.code, ran.out, ran.err);
        let reached = TARGETS.iter().filter(|target| !scene.unreachable.contains(*target));
        assert!(reached.into_iter().all(|target| !lane.access(target, PERSON).active), "came back:\n{said}");
        if is_out() {
            break;
        }
    }
    assert!(is_out(), "not out everywhere after {SYNCS_MAX} runs:\n{said}");
    // The directory gives more to everybody.
    lane.staff(&Feed { lab: (0..3).collect(), ..Feed::default() });
    let ran = lane.run(&["sync"]).ends(&[0, 3, 4]);
    assert!(is_out(), "came back:\n{said}{}{}", ran.out, ran.err);
    let standing = lane.run(&["status", "--json"]).ends(&[0]).json();
    assert_eq!(standing["spooled"], 0, "{standing:#}");
    assert_eq!(standing["unsettled"], serde_json::json!([]), "{standing:#}\n{said}");
    let held = |target: &Value| target["holds"].as_array().is_some_and(|holds| !holds.is_empty());
    assert!(standing["targets"].as_array().is_some_and(|all| all.iter().all(held)), "{standing:#}\n{said}");
}

/// How long it took, and where it took longest.
pub(crate) fn summary() -> Option<String> {
    let mut times = STOPWATCH.lock().expect("whole").clone();
    times.sort();
    let (longest, at) = times.last()?.clone();
    let p99 = times[(times.len() * 99).div_ceil(100) - 1].0;
    let usual = times.iter().filter(|(_, name)| name.starts_with(NOTHING)).map(|(took, _)| *took).max();
    let usual = usual.map_or_else(String::new, |usual| format!(", {usual:?} when nothing is broken"));
    Some(format!(
        "stopwatch, command start to last read-back on {} healthy PACS: p99 {p99:?}, max {longest:?} ({at}){usual}",
        times.len()
    ))
}
