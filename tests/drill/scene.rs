//! A row's scene: how the program is called, what is broken around it, and how that is mended again. Each fault is a real
//! one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use lockstep_testbed::scripted::Mood;
use rusqlite::Connection;

use crate::disk;
use crate::lane::{DIRECTORY, Feed, Lane, PEOPLE, PERSON, TARGETS, number};
use crate::program::{Call, LIMIT, Stream};

/// What a row works with: how the program is called, what is expected of it, and what is to be taken away afterwards.
pub(crate) struct Scene<'l> {
    pub(crate) lane: &'l Lane,
    pub(crate) stdout: Stream,
    pub(crate) stderr: Stream,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) file_bytes_max: Option<u64>,
    /// Targets at which nobody can be put out.
    pub(crate) unreachable: BTreeSet<&'static str>,
    /// Targets that take their time.
    pub(crate) slow: BTreeSet<&'static str>,
    /// Where levels cannot be told to be ours: switched off is all that can be done there.
    pub(crate) levels_stay: BTreeSet<&'static str>,
    /// The record cannot be made durable: done, and not on record.
    pub(crate) unrecorded: bool,
    /// What was said about how a fault was brought about.
    pub(crate) notes: Vec<String>,
    undo: Vec<Undo<'l>>,
}

type Undo<'l> = Box<dyn FnOnce(&'l Lane) + 'l>;

/// Why a row is left out.
pub(crate) struct Skipped(pub(crate) &'static str);

impl<'l> Scene<'l> {
    /// Everything is as it should be.
    pub(crate) fn new(lane: &'l Lane) -> Self {
        Self {
            lane,
            stdout: Stream::Kept,
            stderr: Stream::Kept,
            env: Vec::new(),
            file_bytes_max: None,
            unreachable: BTreeSet::new(),
            slow: BTreeSet::new(),
            levels_stay: BTreeSet::new(),
            unrecorded: false,
            notes: Vec::new(),
            undo: Vec::new(),
        }
    }

    /// A run of the program in this scene, to be made.
    pub(crate) fn call<'a>(&self, args: &[&'a str]) -> Call<'a> {
        let mut call = self.lane.call(args);
        (call.stdout, call.stderr) = (self.stdout, self.stderr);
        call.env.clone_from(&self.env);
        call.file_bytes_max = self.file_bytes_max;
        call
    }

    /// Takes every fault away again, the last one first.
    pub(crate) fn mend(&mut self) {
        while let Some(undo) = self.undo.pop() {
            undo(self.lane);
        }
    }

    pub(crate) fn afterwards(&mut self, undo: impl FnOnce(&'l Lane) + 'l) {
        self.undo.push(Box::new(undo));
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        // A row that failed leaves nothing behind, whatever else is wrong.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.mend()));
    }
}

fn restore_database(lane: &Lane) {
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(lane.path(&format!("state/lockstep.db{end}")));
    }
    lane.restore("state/lockstep.db");
}

fn bus(path: &Path) -> (String, String) {
    ("DBUS_SESSION_BUS_ADDRESS".into(), format!("unix:path={}", path.display()))
}

fn pipe_file(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().expect("mkfifo runs");
    assert!(made.success(), "a named pipe");
}

fn killed(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

impl Scene<'_> {
    pub(crate) fn annex(&mut self, mood: Mood) {
        self.lane.annex.behave(mood).expect("the port is ours");
        self.unreachable.insert("annex");
        self.afterwards(|lane| lane.annex.behave(Mood::Answers).expect("the port is ours"));
    }

    fn without_database(&self) {
        for end in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(self.lane.path(&format!("state/lockstep.db{end}")));
        }
    }

    /// Back from a copy afterwards, or never again: then the next run begins with an empty one.
    pub(crate) fn lose_the_database(&mut self, for_now: bool) {
        self.without_database();
        if for_now {
            self.afterwards(restore_database);
        }
    }

    pub(crate) fn damage_the_database(&mut self) {
        self.without_database();
        let mut bytes = fs::read(self.lane.healthy("state/lockstep.db")).expect("the database");
        for place in [20..60, 4_096..4_400, bytes.len() / 2..bytes.len() / 2 + 2_000] {
            bytes[place].fill(0xa5);
        }
        fs::write(self.lane.path("state/lockstep.db"), bytes).expect("written");
        self.afterwards(restore_database);
    }

    pub(crate) fn lose_the_roster(&mut self) {
        fs::remove_file(self.lane.path("state/roster.db")).expect("there was one");
        self.afterwards(|lane| lane.restore("state/roster.db"));
    }

    pub(crate) fn break_a_section(&mut self) {
        let (whole, broken) = ("mapping = \"annex.toml\"", "mapping = [annex.toml");
        self.lane.replace("lockstep.toml", whole, broken);
        self.unreachable.insert("annex");
        self.afterwards(move |lane| lane.replace("lockstep.toml", broken, whole));
    }

    pub(crate) fn break_a_mapping(&mut self) {
        let text = self.lane.read("annex.toml");
        self.lane.write("annex.toml", &text.replace("correlate = [", "correlate = "));
        self.levels_stay.insert("annex");
        self.afterwards(move |lane| lane.write("annex.toml", &text));
    }

    /// No credential store of a session.
    pub(crate) fn without_a_bus(&mut self) {
        self.env.push(bus(Path::new("/nonexistent/bus")));
    }

    pub(crate) fn close_the_directory(&mut self) {
        // Nobody listens at port 1.
        let closed = "[[directory]]\nid = \"corp\"\nkind = \"ldap\"\nurl = \"ldaps://127.0.0.1:1\"\n\
                      bind = { user = \"cn=reader\", password = \"file:lab.token\" }\n\
                      people = { base = \"ou=people,dc=corp\" }\ngroups = { base = \"ou=groups,dc=corp\" }\n";
        self.lane.replace("lockstep.toml", DIRECTORY, closed);
        self.lane.run(&["sync"]).ends(&[5, 7]);
        self.afterwards(move |lane| lane.replace("lockstep.toml", closed, DIRECTORY));
    }

    /// Half of the staff are said to have left: a guard holds that.
    pub(crate) fn trip_a_guard(&mut self) {
        let left = (4..4 + PEOPLE / 2).collect();
        self.lane.staff(&Feed { left, ..Feed::default() });
        self.lane.run(&["sync"]).ends(&[3]);
        self.afterwards(|lane| lane.staff(&Feed::default()));
    }

    /// So many are put out that the fuse opens at the next leaver, whom two named persons let through.
    pub(crate) fn open_the_fuse(&mut self) {
        let people: Vec<String> = (8..18).map(|n| format!("employee:{}", number(n))).collect();
        let mut args = vec!["offboard", "--reason", "site closed", "--by", "Day Desk", "--yes"];
        args.extend(people.iter().map(String::as_str));
        self.lane.run(&args).ends(&[0]);
        self.lane.staff(&Feed { left: BTreeSet::from([20, 21]), ..Feed::default() });
        let plan = self.lane.run(&["plan", "--json"]).ends(&[0, 3]).json();
        let plan = plan["directory"].as_str().expect("a folder").to_owned();
        for by in ["Jane Doe", "John Roe"] {
            let (first, second) = (format!("employee:{}", number(20)), format!("employee:{}", number(21)));
            self.lane.run(&["approve", &plan, "--by", by, "--yes", "--overrule", "--only", &first, &second]).ends(&[0]);
        }
        self.lane.run(&["apply", &plan]);
        let standing = self.lane.run(&["status", "--json"]).json();
        let open =
            standing["targets"].as_array().expect("targets").iter().any(|one| !one["fuse"]["open_since"].is_null());
        assert!(open, "the fuse is open: {standing}");
        self.afterwards(|lane| {
            lane.staff(&Feed::default());
            for target in TARGETS {
                lane.run(&["fuse", "reset", target, "--by", "Jane Doe"]);
            }
        });
    }

    /// A plan that gives something to many, and to whoever is put out: begun on a slow PACS.
    pub(crate) fn begin_an_apply(&self) -> Child {
        let lab = (0..6).filter(|n| *n != PERSON).collect();
        self.lane.staff(&Feed { lab, joiners: 2, ..Feed::default() });
        let plan = self.lane.run(&["plan", "--json"]).ends(&[0, 3]).json();
        let plan = plan["directory"].as_str().expect("a folder").to_owned();
        self.lane.run(&["approve", &plan, "--by", "Jane Doe", "--yes"]).ends(&[0]);
        let before = self.lane.annex.writes();
        self.lane.annex.behave(Mood::Slow(Duration::from_millis(150))).expect("the port is ours");
        let mut child = self.lane.call(&["apply", &plan]).start();
        let began = Instant::now();
        while self.lane.annex.writes() == before {
            assert!(child.try_wait().expect("a child").is_none() && began.elapsed() < LIMIT, "it applies");
            std::thread::yield_now();
        }
        child
    }

    pub(crate) fn apply_slowly(&mut self) {
        let mut child = self.begin_an_apply();
        self.slow.insert("annex");
        self.afterwards(move |lane| {
            lane.annex.behave(Mood::Answers).expect("the port is ours");
            child.wait().expect("it ends");
        });
    }

    pub(crate) fn die_while_applying(&mut self) {
        killed(self.begin_an_apply());
        self.lane.annex.behave(Mood::Answers).expect("the port is ours");
    }

    /// Another process has the whole database for itself.
    pub(crate) fn lock_the_database(&mut self) {
        let lock = Connection::open(self.lane.path("state/lockstep.db")).expect("a connection");
        lock.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").expect("locked");
        self.afterwards(move |_| drop(lock));
    }

    /// Whoever opens a file of the state waits for good.
    pub(crate) fn hang_the_state(&mut self) {
        self.without_database();
        let files =
            ["state/lockstep.db", "state/roster.db", "state/spool/00000000.spool"].map(|name| self.lane.path(name));
        let _ = fs::remove_file(&files[1]);
        fs::create_dir_all(self.lane.path("state/spool")).expect("a folder");
        for file in &files {
            pipe_file(file);
        }
        self.afterwards(move |lane| {
            for file in &files {
                fs::remove_file(file).expect("removed");
            }
            restore_database(lane);
            lane.restore("state/roster.db");
        });
    }

    /// The credential store takes a connection and never answers.
    pub(crate) fn hang_the_keyring(&mut self) {
        let path = self.lane.path("bus");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
        self.env.push(bus(&path));
        self.afterwards(move |_| drop(listener));
    }

    pub(crate) fn fill_the_disk(&mut self) {
        self.unrecorded = true;
        let state = self.lane.path("state");
        match disk::Small::mount(&state) {
            Ok(small) => {
                small.fill();
                self.notes.push("a tmpfs of its own, filled".into());
                self.afterwards(move |_| small.give_back());
            }
            Err(why) => {
                // The record cannot be longer than nothing then; nor can the PACS in a file.
                self.notes.push(format!("by a limit on the size of files, since mount is refused: {why}"));
                self.file_bytes_max = Some(0);
                self.unreachable.insert("hq");
            }
        }
    }

    pub(crate) fn lock_the_disk(&mut self) {
        self.unrecorded = true;
        let state = self.lane.path("state");
        match disk::Small::mount(&state) {
            Ok(small) => {
                small.lock();
                self.notes.push("a tmpfs of its own, mounted read-only".into());
                self.afterwards(move |_| small.give_back());
            }
            Err(why) => {
                self.notes.push(format!("with the state in /sys, since mount is refused: {why}"));
                let aside = self.lane.path("state-aside");
                fs::rename(&state, &aside).expect("renamed");
                std::os::unix::fs::symlink("/sys/kernel", &state).expect("a link");
                self.afterwards(move |lane| {
                    let state = lane.path("state");
                    fs::remove_file(&state).and_then(|()| fs::rename(aside, state)).expect("put back");
                });
            }
        }
    }

    pub(crate) fn hang_the_alerts(&mut self) -> Result<(), Skipped> {
        let text = self.lane.read("lockstep.toml");
        let path = self.lane.path("alerts.pipe");
        self.lane.write("lockstep.toml", &format!("alerts = \"alerts.pipe\"\n{text}"));
        if self.lane.run(&["check"]).code != Some(0) {
            self.lane.write("lockstep.toml", &text);
            return Err(Skipped("this version writes no alerts to a file"));
        }
        pipe_file(&path);
        self.afterwards(move |lane| {
            fs::remove_file(path).expect("removed");
            lane.write("lockstep.toml", &text);
        });
        Ok(())
    }
}
