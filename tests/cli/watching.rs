//! `sync --watch`: whoever leaves is out without anybody's doing, others get in between, and it ends when it is asked to.

#![cfg(unix)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::site::{CONFIG, Site, program};

/// Longer than this nothing takes. No measure, only so that nothing hangs.
const PATIENCE: Duration = Duration::from_secs(120);
const WATCH: &str = "watch = { poll = \"1s\", census = \"168h\", heartbeat = \"5s\" }\n";

struct Watching {
    child: Child,
    events: Receiver<Value>,
    seen: Vec<Value>,
}

impl Watching {
    fn start(site: &Site) -> Self {
        let command = program(&site.path(""));
        let mut child = Command::new(command.get_program())
            .args(["sync", "--watch", "--json"])
            .current_dir(site.path(""))
            .env_remove("LOCKSTEP_CONFIG")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let (tell, events) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                if tell.send(event).is_err() {
                    return;
                }
            }
        });
        Self { child, events, seen: Vec::new() }
    }

    /// Waits for an event of this kind.
    #[track_caller]
    fn event(&mut self, kind: &str) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(event) = self.events.recv_timeout(left) else { panic!("no {kind} came: {:#?}", self.seen) };
            assert_eq!(event["schema"], "lockstep/watch/1");
            self.seen.push(event.clone());
            if event["event"] == kind {
                return event;
            }
        }
    }

    /// Asks it to stop, and gives the code with which it ends.
    fn stop(&mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("kill");
        assert!(sent.success());
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

fn watched_site() -> Site {
    let site = Site::new();
    site.write("lockstep.toml", &format!("{WATCH}{CONFIG}"));
    let plan = site.plan();
    site.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(0);
    site.run(&["apply", &plan]).ends(0);
    site
}

#[test]
fn whoever_leaves_is_out_and_the_watch_ends_when_it_is_asked_to() {
    let mut site = watched_site();
    let mut watch = Watching::start(&site);
    watch.event("started");
    let census = watch.event("census");
    assert_eq!((census["numbers"]["verified"].clone(), census["owed"].clone()), (0.into(), Value::Null), "{census}");

    site.ended = vec![3];
    site.write_people();
    let noticed = watch.event("noticed");
    assert_eq!(noticed["numbers"]["verified"], 1, "{noticed}");
    assert!(noticed["lines"][0].as_str().is_some_and(|line| line.contains("Dora Lovelace on hq")), "{noticed}");
    assert_eq!(site.holder(3)["status"], "suspended");
    assert_eq!(site.holder(4)["status"], "active");

    let beat = watch.event("heartbeat");
    assert!(beat["looked"].is_string() && beat["census"].is_string(), "{beat}");
    // Nobody has to wait for a watch: what is done by hand gets in between its looks.
    let by_hand = site.run(&["sync", "--json", "--no-export"]).ends(0).json();
    assert_eq!(by_hand["numbers"]["verified"], 0, "nothing was left to do: {by_hand}");
    site.run(&["offboard", "employee:1005", "--reason", "test", "--yes"]).ends(0);
    let status = site.run(&["status", "--json"]).ends(0).json();
    assert_eq!(status["watch"]["stopped"], false);
    assert!(status["runs"].as_array().expect("runs").iter().any(|run| run["kind"] == "notice"), "{status}");
    let second = site.run(&["sync", "--watch"]);
    assert_eq!(second.code, 7, "one watch is enough: {}", second.err);

    assert_eq!(watch.stop(), Some(0));
    watch.event("stopped");
    let status = site.run(&["status"]).ends(0);
    assert!(status.out.contains("watch: stopped"), "{}", status.out);
}

#[test]
fn a_watch_that_was_killed_goes_on_where_it_was() {
    let mut site = watched_site();
    let mut watch = Watching::start(&site);
    watch.event("census");
    drop(watch);
    // Nobody watches; somebody leaves all the same.
    site.ended = vec![6];
    site.write_people();
    let mut watch = Watching::start(&site);
    // These files know nothing of the day before: a mark that is lost is a census, and no guess.
    let census = watch.event("census");
    assert!(census["message"].as_str().is_some_and(|text| text.contains("cannot tell whom")), "{census}");
    assert_eq!(
        (census["numbers"]["verified"].clone(), site.holder(6)["status"].clone()),
        (1.into(), "suspended".into())
    );
    assert_eq!(watch.stop(), Some(0));
}

#[test]
fn what_a_guard_holds_waits_for_people_and_is_an_alert() {
    let mut site = watched_site();
    let mut watch = Watching::start(&site);
    watch.event("census");
    site.ended = (2..10).collect();
    site.write_people();
    let noticed = watch.event("noticed");
    assert_eq!((noticed["numbers"]["verified"].clone(), noticed["numbers"]["held"].clone()), (0.into(), 8.into()));
    let census = watch.event("census");
    assert_eq!(census["numbers"]["held"], 8, "{census}");
    assert_eq!(watch.stop(), Some(0));
    assert!((2..10).all(|n| site.holder(n)["status"] == "active"), "nobody is out without a person");
    let alerts = std::fs::read_to_string(site.path("state/alerts.jsonl")).expect("alerts");
    assert!(alerts.contains("LA0107"), "{alerts}");
}
